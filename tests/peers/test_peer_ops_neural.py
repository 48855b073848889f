"""Softmax, normalizations, attention, positions and losses against PyTorch: values, gradients, edges."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup import ops
from groundup.ops._spec import Sample, sample

torch = pytest.importorskip("torch", reason="the peer suite needs torch")
F = torch.nn.functional

TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}
# What gets no gradient in one library or the other: in which ops, or None for all.
CONSTANTS: dict[str, tuple[str, ...] | None] = {
    "weight": ("cross_entropy", "nll_loss", "binary_cross_entropy_with_logits"),
    "pos_weight": None,
    "slopes": None,
    "running_mean": None,
    "running_var": None,
}


def over_last(function: Callable[..., Any]) -> Callable[..., Any]:
    """A normalization of torch, which wants its sizes as a sequence."""

    def call(x: Any, normalized_shape: Any, **rest: Any) -> Any:
        return function(x, np.atleast_1d(normalized_shape).tolist(), **rest)

    return call


def attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    is_causal: bool = False,
    scale: Any = None,
    slopes: Any = None,
) -> Any:
    """fused_attention by torch's ops, a step at a time: the last query stands at the last key."""
    H, (Tq, D), Tk = query.shape[1], query.shape[2:], key.shape[2]
    q, (k, v) = query, (t.repeat_interleave(H // t.shape[1], 1) for t in (key, value))
    scores = q @ k.transpose(-1, -2) * (1 / math.sqrt(D) if scale is None else scale)
    distance = torch.arange(Tk) - (torch.arange(Tq)[:, None] + Tk - Tq)
    if slopes is not None:
        scores = scores - slopes[:, None, None] * distance.abs()
    seen = distance <= 0 if is_causal else torch.ones(Tq, Tk, dtype=torch.bool)
    if mask is not None:
        seen = seen & mask
    some = seen.any(-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(~(seen | ~some), -math.inf), -1) * some
    return weights @ v


def packed(qkv: Any, n_head: int, n_kv_head: Any = None, is_causal: bool = True, **kwargs: Any) -> Any:
    K = n_kv_head or n_head
    B, T, width = qkv.shape
    heads = qkv.reshape(B, T, n_head + 2 * K, width // (n_head + 2 * K)).transpose(1, 2)
    y = attention(*heads.split([n_head, K, K], 1), None, is_causal, **kwargs)
    return y.transpose(1, 2).reshape(B, T, n_head * y.shape[-1])


def rotary(
    x: Any, start: int = 0, base: float = 1e4, interleaved: bool = False, positions: Any = None
) -> Any:
    """Pairs as complex numbers, multiplied by numbers on the unit circle."""
    T, half = x.shape[-2], x.shape[-1] // 2
    where = torch.arange(start, start + T) if positions is None else positions
    if where.ndim == 2:
        where = where.reshape(len(x), *[1] * (x.ndim - 3), T)
    angle = where[..., None] * torch.tensor([base ** (-i / half) for i in range(half)], dtype=torch.float64)
    turn = torch.polar(torch.ones_like(angle), angle)
    if interleaved:
        return torch.view_as_real(torch.view_as_complex(x.reshape(*x.shape[:-1], half, 2)) * turn).reshape(
            x.shape
        )
    y = torch.complex(x[..., :half], x[..., half:]) * turn
    return torch.cat([y.real, y.imag], -1)


PEERS: dict[str, Callable[..., Any]] = {
    "softmax": lambda x, dim=-1: torch.softmax(x, dim),
    "log_softmax": lambda x, dim=-1: torch.log_softmax(x, dim),
    "layer_norm": over_last(F.layer_norm),
    "rms_norm": over_last(F.rms_norm),
    "batch_norm": F.batch_norm,
    "scaled_dot_product_attention": F.scaled_dot_product_attention,
    "fused_attention": attention,
    "packed_attention": packed,
    "rotary": rotary,
    "cross_entropy": F.cross_entropy,
    "nll_loss": F.nll_loss,
    "mse_loss": F.mse_loss,
    "l1_loss": F.l1_loss,
    "huber_loss": F.huber_loss,
    "smooth_l1_loss": F.smooth_l1_loss,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    "kl_div": F.kl_div,
    "cosine_similarity": F.cosine_similarity,
}


def arguments(name: str, call: Sample) -> dict[str, Any]:
    """The arguments by our names."""
    return dict(inspect.signature(ops.spec(name).forward).bind(*call.args, **call.kwargs).arguments)


def is_constant(name: str, parameter: str) -> bool:
    where = CONSTANTS.get(parameter, ())
    return where is None or name in where


def compare(name: str, call: Sample, dtype: str = "float64", **tolerance: float) -> None:
    """The result and all gradients, for one random gradient of the result."""
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    leaves: dict[str, Any] = {}
    for parameter, value in arguments(name, call).items():
        ours[parameter] = theirs[parameter] = value
        if isinstance(value, np.ndarray):
            floats = value.dtype.kind == "f"
            value = value.astype(dtype) if floats else value
            grad = floats and not is_constant(name, parameter)
            ours[parameter] = gu.tensor(value, requires_grad=grad)
            theirs[parameter] = torch.tensor(value, requires_grad=grad)
            if grad:
                leaves[parameter] = theirs[parameter]
    tensors = [
        theirs.pop(p) for p in list(theirs)[:2] if p in ("x", "other", "target")
    ]  # torch names them otherwise
    y, expected = ops.get(name)(**ours), PEERS[name](*tensors, **theirs)
    assert tuple(y.shape) == tuple(expected.shape), call
    bounds = tolerance or TOLERANCE
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), **bounds, err_msg=f"{call}")
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    y.backward(gu.tensor(dy))
    expected.backward(torch.tensor(dy))
    for parameter, leaf in leaves.items():
        wanted = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy()
        got = ours[parameter].grad
        got = np.zeros(wanted.shape) if got is None else got.numpy()
        np.testing.assert_allclose(got, wanted, **bounds, err_msg=f"d{parameter} of {call}")


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # torch thinks about changing it
@pytest.mark.parametrize("name", PEERS)
def test_samples(name: str) -> None:
    spec = ops.spec(name)
    compared = 0
    for call in spec.samples(np.random.default_rng(list(name.encode()))):
        if call.kwargs.get("dropout_p") or (name == "cosine_similarity" and "eps" in call.kwargs):
            continue  # other random numbers; torch's gradient ignores that eps has replaced a length
        compare(name, call)
        compared += 1
    assert compared > 2


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape)


# ---- edges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    "row",
    [
        [0.0, math.nan, 1.0],
        [0.0, math.inf, 1.0],
        [0.0, -math.inf, 1.0],
        [-math.inf] * 3,
        [1e308, -1e308, 0.0],
    ],
    ids=["nan", "inf", "minus-inf", "all-minus-inf", "huge"],
)
def test_softmax_of_special_rows(name: str, row: list[float]) -> None:
    x = np.concatenate([np.array([row]), normal(4, 3)])
    for at in (x, np.ascontiguousarray(x.T)):
        dim = 1 if at.shape[1] == 3 else 0
        compare(name, sample(at, dim))


@pytest.mark.parametrize("shape", [(3, 70, 65), (2, 5, 129, 3), (64, 64, 1), (1, 300, 7)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_over_axes_that_are_not_the_last(name: str, shape: tuple[int, ...]) -> None:
    for dim in range(len(shape)):
        compare(name, sample(normal(*shape), dim))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_all_rows_ignored(name: str, reduction: str) -> None:
    """The mean of no rows is NaN; the gradient is 0."""
    compare(name, sample(normal(3, 5), np.full(3, -100), reduction=reduction))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_cross_entropy_of_special_logits(value: float) -> None:
    x = normal(4, 6)
    x[1, 2] = value
    compare("cross_entropy", sample(x, np.array([0, 3, 5, 1]), reduction="none"))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_ignored_rows_have_no_gradient_whatever_they_hold(value: float) -> None:
    """Where torch multiplies NaN by 0."""
    rows = normal(2, 6)
    rows[1, 2] = value
    x = gu.tensor(rows, requires_grad=True)
    y = gu.cross_entropy(x, np.array([3, -100]))
    y.backward()
    expected = F.cross_entropy(torch.tensor(rows), torch.tensor([3, -100]))
    np.testing.assert_allclose(y.item(), expected.item(), **TOLERANCE)
    np.testing.assert_array_equal(x.grad.numpy()[1], np.zeros(6))


def test_cross_entropy_far_apart() -> None:
    compare("cross_entropy", sample(normal(7, 11) * 1e4, np.arange(7)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_options(smoothing: float, reduction: str, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 65, 37)
    target[::5] = 7
    weight = rng.random(65) if weighted else None
    compare("cross_entropy", sample(normal(37, 65), target, weight, 7, reduction, smoothing))


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_empty_batches_of_classes(name: str) -> None:
    compare(name, sample(np.zeros((0, 3)), np.zeros(0, np.int64)))


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "kl_div"])
def test_means_of_nothing(name: str) -> None:
    compare(name, sample(np.zeros((0, 3)), np.zeros((0, 3))))


@pytest.mark.parametrize("name", ["huber_loss", "smooth_l1_loss", "mse_loss", "l1_loss"])
def test_losses_at_their_kinks_and_far_out(name: str) -> None:
    compare(name, sample(np.array([0.0, 1.0, -1.0, 2.0, 1e200, -1e150]), np.zeros(6), "none"))


def test_logits_at_zero_and_far_out() -> None:
    x = np.array([0.0, 0.0, 1e3, -1e3, 40.0, -40.0, 25.0, -25.0])
    compare(
        "binary_cross_entropy_with_logits",
        sample(x, np.array([0.0, 1.0, 0, 1, 1, 0, 1, 0]), reduction="none"),
    )


def test_kl_div_of_impossible_events() -> None:
    """0 log 0 is 0. (The gradient of the target is infinite there; torch makes it NaN.)"""
    x, target = np.log(np.array([0.2, 0.8])), np.array([0.0, 1.0])
    ours, theirs = gu.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, expected = gu.kl_div(ours, target, "sum"), F.kl_div(theirs, torch.tensor(target), reduction="sum")
    y.backward()
    expected.backward()
    np.testing.assert_allclose(y.item(), expected.item(), **TOLERANCE)
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), **TOLERANCE)


def test_cosine_of_zero_vectors() -> None:
    x, other = normal(3, 4), normal(3, 4, seed=1)
    x[1] = 0
    compare("cosine_similarity", sample(x, other))


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (5, 17), (130, 384)])
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_norms_of_ragged_rows(name: str, shape: tuple[int, int]) -> None:
    parameters = (normal(shape[1], seed=1), normal(shape[1], seed=2))[: 2 if name == "layer_norm" else 1]
    compare(name, sample(normal(*shape) + 5, (shape[1],), *parameters))


def test_layer_norm_of_a_constant_and_of_special_rows() -> None:
    x = normal(5, 7)
    x[0] = 3.0
    x[1, 2] = math.nan
    x[2, 3] = math.inf
    for name in ("layer_norm", "rms_norm"):
        compare(name, sample(x, (7,)))


@pytest.mark.parametrize("shape", [(6, 5), (129, 33), (4, 3, 17), (2, 5, 9, 31), (2, 3, 2, 3, 5)])
def test_batch_norm_keeps_the_same_statistics(shape: tuple[int, ...]) -> None:
    x, C = normal(*shape) * 3 + 2, shape[1]
    for momentum in (0.1, 1.0):
        ours = [gu.zeros(C, dtype="float64"), gu.ones(C, dtype="float64")]
        theirs = [torch.zeros(C).double(), torch.ones(C).double()]
        for _ in range(2):
            gu.batch_norm(gu.tensor(x), *ours, training=True, momentum=momentum)
            F.batch_norm(torch.tensor(x), *theirs, training=True, momentum=momentum)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), **TOLERANCE)


# ---- attention -----------------------------------------------------------------------------------


@pytest.mark.parametrize("D", [1, 3, 16, 17, 64])
@pytest.mark.parametrize("T", [1, 2, 9, 65])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_sizes(D: int, T: int, causal: bool) -> None:
    q, k, v = (normal(2, 3, T, D, seed=s) for s in range(3))
    compare("scaled_dot_product_attention", sample(q, k, v, None, 0.0, causal))
    compare("fused_attention", sample(q, k, v, None, causal))


def masks() -> Iterable[tuple[str, Any]]:
    rng = np.random.default_rng(5)
    for shape in [(2, 4, 6, 9), (2, 1, 1, 9), (1, 4, 6, 9), (6, 9), (2, 4, 6, 1)]:
        keep = rng.random(shape) < 0.6
        yield f"bool-{shape}", keep
    nothing = rng.random((2, 4, 6, 9)) < 0.6
    nothing[1, 2, 3] = False
    yield "bool-row-of-nothing", nothing


@pytest.mark.parametrize("mask", [pytest.param(m, id=i) for i, m in masks()])
def test_attention_masks(mask: Any) -> None:
    q, k, v = normal(2, 4, 6, 8), normal(2, 4, 9, 8, seed=1), normal(2, 4, 9, 5, seed=2)
    compare("scaled_dot_product_attention", sample(q, k, v, mask))


@pytest.mark.parametrize("shape", [(2, 4, 6, 9), (2, 1, 1, 9), (6, 9), (6, 1)])
def test_attention_float_masks(shape: tuple[int, ...]) -> None:
    """A bias with some keys at -inf; it has no gradient in ours, so torch's gets none either."""
    bias = normal(*shape, seed=3)
    if shape[-1] > 1:
        bias[..., 2] = -math.inf
    arrays = [normal(2, 4, 6, 8), normal(2, 4, 9, 8, seed=1), normal(2, 4, 9, 5, seed=2)]
    ours = [gu.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = gu.scaled_dot_product_attention(*ours, gu.tensor(bias))
    expected = F.scaled_dot_product_attention(*theirs, torch.tensor(bias))
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), **TOLERANCE)
    y.sum().backward()
    expected.sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), **TOLERANCE)


def test_a_mask_with_a_gradient_is_refused() -> None:
    q = gu.randn(1, 2, 3, 4)
    with pytest.raises(ValueError, match="a mask that requires a gradient is not supported"):
        gu.fused_attention(q, q, q, gu.zeros(3, 3, requires_grad=True))


def test_causal_masks_differ_where_lengths_do() -> None:
    """torch puts the first query at the first key; with a cache the last belongs at the last."""
    q, k = normal(1, 1, 2, 4), normal(1, 1, 5, 4, seed=1)
    first = gu.scaled_dot_product_attention(q, k, k, is_causal=True).numpy()
    np.testing.assert_allclose(first[0, 0, 0], k[0, 0, 0])
    last = gu.fused_attention(q, k, k, is_causal=True).numpy()
    whole = gu.fused_attention(
        np.concatenate([normal(1, 1, 3, 4, seed=2), q], 2), k, k, is_causal=True
    ).numpy()
    np.testing.assert_allclose(last, whole[:, :, 3:], **TOLERANCE)


def test_attention_dropout_keeps_the_expectation() -> None:
    """The mean over many draws is the result without dropout."""
    gu.manual_seed(3)
    q, k, v = (normal(1, 2, 5, 8, seed=s) for s in range(3))
    draws = [gu.fused_attention(q, k, v, dropout_p=0.3).numpy() for _ in range(4000)]
    spread = np.std(draws, axis=0) / math.sqrt(len(draws))
    difference = np.mean(draws, axis=0) - gu.fused_attention(q, k, v).numpy()
    assert np.abs(difference / spread).max() < 4.5  # of 80 normal numbers


def test_dropout_keeps_the_expectation_and_the_share() -> None:
    gu.manual_seed(3)
    for p in (0.1, 0.5, 0.9):
        y = gu.dropout(gu.ones(400, 500), p).numpy()
        kept = (y != 0).mean()
        assert abs(kept - (1 - p)) < 5 * math.sqrt(p * (1 - p) / y.size)
        np.testing.assert_allclose(y[y != 0], 1 / (1 - p), rtol=1e-6)


# ---- positions -----------------------------------------------------------------------------------


def test_rotary_is_that_of_llama() -> None:
    llama = pytest.importorskip("transformers.models.llama.modeling_llama", reason="needs transformers")
    from transformers import LlamaConfig

    q, k = (normal(2, 3, 7, 16, seed=s).astype(np.float32) for s in range(2))
    config = LlamaConfig(hidden_size=48, num_attention_heads=3, head_dim=16)
    positions = torch.arange(4, 11)[None]
    cos, sin = llama.LlamaRotaryEmbedding(config)(torch.tensor(q), positions)
    for ours, theirs in zip(
        (q, k), llama.apply_rotary_pos_emb(torch.tensor(q), torch.tensor(k), cos, sin), strict=True
    ):
        np.testing.assert_allclose(gu.rotary(ours, 4).numpy(), theirs.numpy(), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("n_head", [1, 2, 3, 5, 6, 7, 8, 12, 16, 20, 112])
def test_alibi_slopes_are_those_of_bloom(n_head: int) -> None:
    bloom = pytest.importorskip("transformers.models.bloom.modeling_bloom", reason="needs transformers")
    two = bloom.build_alibi_tensor(torch.ones(1, 2), n_head, torch.float32)  # slope · position
    np.testing.assert_allclose(gu.alibi_slopes(n_head).numpy(), two[:, 0, 1].numpy(), rtol=1e-6)


def test_alibi_in_attention_is_its_bias() -> None:
    q, k, v = (normal(2, 3, n, 8, seed=n) for n in (4, 9, 9))
    slopes = gu.alibi_slopes(3, "float64")
    y = gu.fused_attention(q, k, v, slopes=slopes)
    expected = F.scaled_dot_product_attention(
        *map(torch.tensor, (q, k, v)), torch.tensor(gu.alibi_bias(slopes, 4, 9).numpy())
    )
    np.testing.assert_allclose(y.numpy(), expected.numpy(), **TOLERANCE)


# ---- in single precision, at the sizes of a model ------------------------------------------------


@pytest.mark.parametrize("shape", [(768, 65), (64, 50257)])
def test_cross_entropy_in_float32(shape: tuple[int, int]) -> None:
    target = np.random.default_rng(0).integers(0, shape[1], shape[0])
    compare("cross_entropy", sample(normal(*shape) * 3, target), "float32", rtol=2e-6, atol=2e-6)


def test_attention_in_float32() -> None:
    q, k, v = (normal(2, 6, 256, 64, seed=s) for s in range(3))
    compare("scaled_dot_product_attention", sample(q, k, v, None, 0.0, True), "float32", rtol=1e-5, atol=1e-5)
