"""Arithmetic, elementwise functions, creation and reductions against PyTorch: values, gradients, dtypes, edges."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup import ops
from groundup.ops._spec import Sample

torch = pytest.importorskip("torch", reason="the peer suite needs torch")

DTYPES = {"bool": torch.bool, "int64": torch.int64, "float32": torch.float32, "float64": torch.float64}


def named(function: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """Our positional arguments after the tensor, under the names of torch."""
    return lambda x, *args, **kwargs: function(x, **dict(zip(names, args, strict=False)), **kwargs)


def spread(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(x: Any, dim: Any = None, correction: int = 1, keepdim: bool = False) -> Any:
        return function(x, dim, correction=correction, keepdim=keepdim)

    return call


def over_dims(function: Callable[..., Any]) -> Callable[..., Any]:
    """torch's function that needs a dim, or takes none and then no keepdim either."""

    def call(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        every = tuple(range(x.ndim))
        return function(x, every if dim in (None, ()) else dim, keepdim=keepdim)

    return call


def maybe_dim(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is not None:
            return function(x, dim, keepdim=keepdim)
        y = function(x)
        return y.reshape([1] * x.ndim) if keepdim else y

    return call


F = torch.nn.functional
SAME = (
    "add sub mul pow maximum minimum floor_divide remainder eq ne lt le gt ge logical_and logical_or logical_not "
    "isnan isinf isfinite where neg abs sign square sqrt rsqrt reciprocal exp expm1 log log1p sin cos tanh erf "
    "sigmoid relu clamp floor ceil round clone tril triu cumsum"
).split()
PEERS: dict[str, Callable[..., Any]] = {name: getattr(torch, name) for name in SAME} | {
    "div": torch.div,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": named(F.gelu, "approximate"),
    "silu": F.silu,
    "softplus": F.softplus,
    "sum": over_dims(torch.sum),
    "mean": over_dims(torch.mean),
    "amax": over_dims(torch.amax),
    "amin": over_dims(torch.amin),
    "logsumexp": over_dims(torch.logsumexp),
    "any": over_dims(torch.any),
    "all": over_dims(torch.all),
    "max": maybe_dim(torch.max),
    "min": maybe_dim(torch.min),
    "prod": maybe_dim(torch.prod),
    "argmax": torch.argmax,
    "argmin": torch.argmin,
    "var": spread(torch.var),
    "std": spread(torch.std),
}
TENSOR_ONLY = {"maximum", "minimum", "logical_and", "logical_or"}  # torch takes no numbers here


def ours(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return gu.tensor(value, requires_grad=value.dtype.kind == "f")


def theirs(value: Any, number: bool) -> Any:
    if isinstance(value, np.ndarray):
        return torch.tensor(value, requires_grad=value.dtype.kind == "f")
    return torch.tensor(value) if number and isinstance(value, int | float) else value


def samples(name: str) -> list[Sample]:
    return list(ops.get(name).spec.samples(np.random.default_rng(3)))


def supported(name: str, call: Sample) -> bool:
    """Calls that torch refuses or computes by another rule."""
    kinds = [a.dtype.kind for a in call.args if isinstance(a, np.ndarray)]
    if name == "remainder" or name == "floor_divide":
        # A bool beside anything, and a 0 as divisor, which torch's floor_divide takes for infinity, too.
        return "b" not in kinds and not any(a is True for a in call.args)
    if name == "pow":
        return kinds != ["b", "b"] and not any(a is True for a in call.args)
    if name == "sub":  # torch subtracts no bools at all
        return not any(a is True for a in call.args)
    if name in {"var", "std"}:  # torch's () is an empty sum over 1 - 1
        return call.args[1:2] != ((),)
    if name == "square":
        return kinds != ["b"]
    if name in {"abs", "neg", "sign", "relu", "floor", "ceil", "round", "clamp", "leaky_relu", "elu", "gelu"}:
        return "b" not in kinds and not (name in {"leaky_relu", "elu", "gelu"} and "i" in kinds)
    if name in {"silu", "softplus"}:
        return kinds == ["f"]
    if name == "where":
        return not any(isinstance(a, int) for a in call.args[1:3])
    if name == "logsumexp":
        return bool(call.args[0].size > 0)
    if name in {"argmax", "argmin"}:
        return kinds != ["b"]
    return True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(PEERS))
def test_same_values_and_gradients(name: str) -> None:
    compared = 0
    for call in samples(name):
        if not supported(name, call):
            continue
        args = [ours(a) for a in call.args]
        number = name in TENSOR_ONLY or (
            name in {"floor_divide", "remainder", "pow", "div", "sub", "mul", "add"}
            and not isinstance(call.args[0], np.ndarray)
        )
        peer_args = [theirs(a, number) for a in call.args]
        y = getattr(gu, name)(*args, **call.kwargs)
        expected = PEERS[name](*peer_args, **call.kwargs)
        pairs = list(zip(y, expected, strict=True)) if isinstance(y, tuple) else [(y, expected)]
        for mine, their in pairs:
            assert DTYPES[mine.dtype.name] == their.dtype, call
            tolerance = 1e-10 if their.dtype == torch.float64 else 1e-6
            np.testing.assert_allclose(
                mine.numpy(), their.detach().numpy(), tolerance, tolerance, err_msg=f"{call}"
            )
        mine, their = pairs[0]
        compared += 1
        if not (mine.requires_grad and their.requires_grad):
            continue
        dy = np.random.default_rng(4).standard_normal(mine.shape).astype(mine.dtype.name)
        mine.backward(gu.tensor(dy))
        their.backward(torch.tensor(dy))
        for a, b in zip(args, peer_args, strict=True):
            if getattr(a, "grad", None) is not None and b.grad is not None:
                np.testing.assert_allclose(
                    a.grad.numpy(), b.grad.numpy(), tolerance, tolerance, err_msg=f"gradient of {call}"
                )
    assert compared > 2


SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 1e300, -1e300, 88.0, 750.0, -750.0, np.inf, -np.inf, np.nan]
)
UNARY = (
    "neg abs sign square sqrt rsqrt reciprocal exp expm1 log log1p sin cos tanh erf sigmoid relu leaky_relu elu gelu "
    "silu softplus floor ceil round isnan isinf isfinite logical_not"
).split()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_special_values(name: str, dtype: str) -> None:
    """Zeros of both signs, overflow, infinities and NaN, wherever they stand in a vector register."""
    with np.errstate(over="ignore"):
        special = SPECIAL.astype(dtype)
    for shift in (0, 5, 40):
        x = np.concatenate([np.full(shift, 0.25, dtype), special])
        y = getattr(gu, name)(gu.tensor(x)).numpy()
        expected = PEERS[name](torch.tensor(x)).numpy()
        if name == "sign":
            expected[np.isnan(x)] = np.nan  # as NumPy; torch says 0
        if name == "gelu":
            expected[x == np.inf] = np.inf  # torch's float32 gives NaN here
        np.testing.assert_allclose(y, expected, 1e-6 if dtype == "float32" else 1e-12, err_msg=f"{x}")
        if name in {"neg", "abs", "sqrt", "reciprocal", "floor", "ceil", "round", "sin"}:
            zeros = expected == 0
            assert (np.signbit(y) == np.signbit(expected))[zeros].all(), "the sign of 0"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", "add sub mul div pow maximum minimum remainder eq ne lt le gt ge logical_and logical_or".split()
)
def test_special_pairs(name: str) -> None:
    values = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, np.inf, -np.inf, np.nan])
    a, b = (np.ascontiguousarray(v) for v in np.broadcast_arrays(values[:, None], values))
    if name == "remainder":  # by 0 and of or by an infinity torch and NumPy differ in NaN and sign alone
        usable = np.isfinite(a) & np.isfinite(b) & (b != 0)
        a, b = a[usable], b[usable]
    x, other = gu.tensor(a, requires_grad=True), gu.tensor(b, requires_grad=True)
    tx, tother = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)
    y, expected = getattr(gu, name)(x, other), PEERS[name](tx, tother)
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), 1e-14)
    if y.requires_grad:
        y.backward(gu.ones_like(y))
        expected.backward(torch.ones_like(expected))
        np.testing.assert_allclose(x.grad.numpy(), tx.grad.numpy(), 1e-12)
        np.testing.assert_allclose(other.grad.numpy(), tother.grad.numpy(), 1e-12)


@pytest.mark.parametrize(
    ("a", "b"), list(itertools.product(["bool", "int64", "float32", "float64", "bfloat16"], repeat=2))
)
def test_promotion(a: str, b: str) -> None:
    """bool < int64 < bfloat16 < float32 < float64; a bfloat16 is only stored, so two of them do not add."""
    x, other = gu.tensor([1.0, 2.0]).to(a), gu.tensor([3.0, 4.0]).to(b)
    tx, tother = (
        torch.tensor([1.0, 2.0]).to(getattr(torch, a)),
        torch.tensor([3.0, 4.0]).to(getattr(torch, b)),
    )
    expected = tx * tother
    if expected.dtype == torch.bfloat16:
        with pytest.raises(gu.DTypeError, match="only stored"):
            x * other
        return
    y = x * other
    assert DTYPES[y.dtype.name] == expected.dtype
    assert y.tolist() == expected.tolist()


@pytest.mark.parametrize("number", [2, 2.5, True])
@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "float64"])
def test_numbers_are_weak(dtype: str, number: Any) -> None:
    calls: list[Callable[[Any], Any]] = [
        lambda x: x + number,
        lambda x: number * x,
        lambda x: x / number,
        lambda x: x < number,
    ]
    for f in calls:
        y, expected = f(gu.tensor([0, 3]).to(dtype)), f(torch.tensor([0, 3]).to(getattr(torch, dtype)))
        assert DTYPES[y.dtype.name] == expected.dtype
        np.testing.assert_allclose(y.numpy(), expected.numpy(), 1e-6)


def test_bfloat16_is_rounded_as_torch_does() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 200_000, np.uint64).astype(np.uint32)
    ties = np.array([1.00390625, 1.01171875, 3.4e38, np.inf, -np.inf, 0.0, -0.0], np.float32)
    x = np.concatenate([bits.view(np.float32), ties])
    y = gu.tensor(x).bfloat16()
    assert y.dtype == gu.bfloat16 and y.nbytes == 2 * x.size
    expected = torch.tensor(x).bfloat16()
    np.testing.assert_array_equal(y.float().numpy(), expected.float().numpy())
    assert gu.ones(2, dtype="bfloat16").float().tolist() == [1.0, 1.0]
    leaf = gu.tensor([1.0, 2.0], requires_grad=True)
    (leaf.bfloat16().float() * 3).sum().backward()
    assert leaf.grad.dtype == gu.float32 and leaf.grad.tolist() == [3.0, 3.0]


def test_mixed_dtypes_send_each_gradient_back_in_its_own() -> None:
    x = gu.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    other = gu.tensor(np.arange(3.0), requires_grad=True)
    (x * other).sum().backward()
    assert x.grad.dtype == gu.float32 and x.grad.tolist() == [[0.0, 1.0, 2.0]] * 2
    assert other.grad.dtype == gu.float64 and other.grad.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda g: g.zeros((2, 3)),
        lambda g: g.ones(2, 3),
        lambda g: g.full((2,), 7),
        lambda g: g.full((2,), 7.5),
        lambda g: g.full((2,), True),
        lambda g: g.arange(7),
        lambda g: g.arange(2, 17, 3),
        lambda g: g.arange(0, 1, 0.1),
        lambda g: g.arange(5, -6, -2.5),
        lambda g: g.linspace(-1, 2, 7),
        lambda g: g.linspace(-1, 2, 1),
        lambda g: g.eye(3),
        lambda g: g.eye(2, 4),
        lambda g: g.ones(3, requires_grad=True),
        lambda g: g.zeros(3, dtype=g.float64),
        lambda g: g.zeros_like(g.arange(3)),
        lambda g: g.full_like(g.ones(2), 3),
        lambda g: g.ones_like(g.arange(3), dtype=g.float64),
        lambda g: g.tensor([1.0, -2.5]).long(),
        lambda g: g.tensor([1.0, 0.0]).bool(),
        lambda g: g.tensor([1, 2]).double(),
        lambda g: g.tensor([1.0, 5.0]).clip(2, 3),
        lambda g: g.tensor([1.0, 5.0]).where(g.tensor([True, False]), g.tensor(0.0)),
        lambda g: 2 / g.tensor([1.0, 4.0]),
        lambda g: 7 // g.tensor([2, -2]),
        lambda g: 7 % g.tensor([3, -3]),
        lambda g: 2 ** g.tensor([1.0, 4.0]),
        lambda g: ~(g.tensor([1, 3]) > 2) & g.tensor([True, True]),
        lambda g: -abs(g.tensor([1.0, -2.0])),
        lambda g: 1 - g.tensor([1.0, -2.0]),
    ],
)
def test_the_same_line_in_both(call: Callable[[Any], Any]) -> None:
    y, expected = call(gu), call(torch)
    assert DTYPES[y.dtype.name] == expected.dtype and y.requires_grad == expected.requires_grad
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), 1e-6)


def test_long_sums_of_float32_stay_accurate() -> None:
    """As accurate as NumPy's pairwise sum, along rows, columns and in total."""
    x = np.random.default_rng(0).random((3000, 1111), np.float32)
    exact = x.astype(np.float64)
    for dim in (None, 0, 1):
        y, wanted = gu.sum(gu.tensor(x), dim).numpy(), exact.sum(dim)
        assert np.abs(y / wanted - 1).max() < 4e-7, dim


def test_random_numbers_have_their_moments() -> None:
    gu.manual_seed(0)
    n = 400_000
    for draw, mean, variance in ((gu.rand, 0.5, 1 / 12), (gu.randn, 0.0, 1.0)):
        x = draw(n, dtype="float64").numpy()
        assert abs(x.mean() - mean) < 5 * np.sqrt(variance / n)
        assert abs(x.var() / variance - 1) < 5 * np.sqrt(2 / n)
    counts = np.bincount(gu.randint(0, 7, n).numpy(), minlength=7)
    assert counts.size == 7 and np.abs(counts / n - 1 / 7).max() < 5 * np.sqrt(1 / 7 / n)
    assert abs(gu.bernoulli(gu.full(n, 0.3)).numpy().mean() - 0.3) < 5 * np.sqrt(0.21 / n)
