"""Matrix products, shapes, parts, indices and order against PyTorch: values, gradients, dtypes, edges."""

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
F = torch.nn.functional

DTYPES = {"bool": torch.bool, "int64": torch.int64, "float32": torch.float32, "float64": torch.float64}


def matmul(x: Any, other: Any, transpose_x: bool = False, transpose_other: bool = False) -> Any:
    return torch.matmul(x.mT if transpose_x else x, other.mT if transpose_other else other)


def linear(
    x: Any, weight: Any, bias: Any = None, activation: str = "none", transpose_weight: bool = False
) -> Any:
    z = F.linear(x, weight.T if transpose_weight else weight, bias)
    if activation.startswith("gelu"):
        return F.gelu(z, approximate="tanh" if activation == "gelu_tanh" else "none")
    return z if activation == "none" else getattr(F, activation)(z)


def split(x: Any, sizes: Any, dim: int = 0) -> Any:
    # A lone size, in a sequence or not, is that of every part here; torch wants the bare number then.
    alone = isinstance(sizes, int) or len(sizes) == 1
    return torch.split(x, int(np.ravel(sizes)[0]) if alone else list(sizes), dim)


def slice_(x: Any, starts: Any, stops: Any, steps: Any = None) -> Any:
    """torch has no negative steps; an index along each axis takes the same."""
    starts, stops = np.atleast_1d(starts), np.atleast_1d(stops)
    steps = np.ones_like(starts) if steps is None else np.atleast_1d(steps)
    for dim, bounds in enumerate(zip(starts, stops, steps, strict=True)):
        x = x.index_select(dim, torch.tensor(range(*map(int, bounds)), dtype=torch.int64))
    return x


def topk(x: Any, k: int, dim: int = -1, largest: bool = True) -> Any:
    """By torch's stable sort: its topk leaves open which of equal elements it takes, and in what order."""
    chosen = torch.sort(x, dim=dim, descending=largest, stable=True)
    return tuple(t.narrow(dim, 0, k) if t.ndim else t for t in chosen)


def ordered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Ours are always stable."""
    return lambda x, dim=-1, descending=False: function(x, dim=dim, descending=descending, stable=True)


PEERS: dict[str, Callable[..., Any]] = {
    "matmul": matmul,
    "linear": linear,
    "reshape": lambda x, shape: torch.reshape(x, tuple(np.atleast_1d(shape).astype(int))),
    "flatten": torch.flatten,
    "squeeze": lambda x, dim=None: torch.squeeze(x) if dim is None else torch.squeeze(x, dim),
    "unsqueeze": torch.unsqueeze,
    "transpose": torch.transpose,
    "permute": lambda x, dims: torch.permute(x, tuple(np.atleast_1d(dims).astype(int))),
    "expand": lambda x, size: x.expand(size),
    "concat": torch.cat,
    "stack": torch.stack,
    "split": split,
    "chunk": torch.chunk,
    "unbind": torch.unbind,
    "pad": F.pad,
    "slice": slice_,
    "select": torch.select,
    "flip": lambda x, dims: torch.flip(x, np.atleast_1d(dims).tolist()),
    "repeat": lambda x, repeats: x.repeat(repeats),
    "roll": torch.roll,
    "gather": torch.gather,
    "scatter_add": torch.scatter_add,
    "index_select": torch.index_select,
    "masked_fill": torch.masked_fill,
    "one_hot": F.one_hot,
    "nonzero": torch.nonzero,
    "embedding": F.embedding,
    "sort": ordered(torch.sort),
    "argsort": ordered(torch.argsort),
    "topk": topk,
}


def tensors(value: Any, make: Callable[[Any], Any]) -> Any:
    if isinstance(value, list) and value and all(isinstance(v, np.ndarray) for v in value):
        return [tensors(v, make) for v in value]
    return make(value) if isinstance(value, np.ndarray) else value


def ours(value: Any) -> Any:
    return tensors(value, lambda a: gu.tensor(a, requires_grad=a.dtype.kind == "f"))


def theirs(value: Any) -> Any:
    return tensors(value, lambda a: torch.tensor(a, requires_grad=a.dtype.kind == "f"))


def flat(values: Any) -> list[Any]:
    """The tensors among arguments, lists of them included."""
    found: list[Any] = []
    for value in values:
        found += flat(value) if isinstance(value, list | tuple) else [value] if hasattr(value, "grad") else []
    return found


def compare(name: str, call: Sample) -> bool:
    """Results, and the gradients of a random mix of all float results. True where there were gradients."""
    args, peer_args = [ours(a) for a in call.args], [theirs(a) for a in call.args]
    kwargs = {k: ours(v) for k, v in call.kwargs.items()}
    peer_kwargs = {k: theirs(v) for k, v in call.kwargs.items()}
    ys, expected = ops.get(name)(*args, **kwargs), PEERS[name](*peer_args, **peer_kwargs)
    ys = list(ys) if isinstance(ys, tuple) else [ys]
    expected = list(expected) if isinstance(expected, list | tuple) else [expected]
    assert len(ys) == len(expected), call
    for y, e in zip(ys, expected, strict=True):
        assert y.shape == tuple(e.shape) and DTYPES[y.dtype.name] == e.dtype, call
        np.testing.assert_allclose(y.numpy(), e.detach().numpy(), 1e-10, 1e-10, err_msg=f"{call}")
    with_grad = [(y, e) for y, e in zip(ys, expected, strict=True) if e.requires_grad]
    assert all(y.requires_grad for y, _ in with_grad), call
    if not with_grad:
        return False
    dys = [np.random.default_rng(i).standard_normal(y.shape) for i, (y, _) in enumerate(with_grad)]
    gu.autograd.backward([y for y, _ in with_grad], [gu.tensor(dy) for dy in dys])
    torch.autograd.backward([e for _, e in with_grad], [torch.tensor(dy) for dy in dys])
    pairs = zip(flat([*args, *kwargs.values()]), flat([*peer_args, *peer_kwargs.values()]), strict=True)
    for a, b in pairs:
        assert (a.grad is None) == (b.grad is None), call
        if b.grad is not None:
            np.testing.assert_allclose(
                a.grad.numpy(), b.grad.numpy(), 1e-10, 1e-10, err_msg=f"gradient of {call}"
            )
    return True


def supported(name: str, call: Sample) -> bool:
    # torch cuts nothing into as many empty parts as were asked for, however many; ours is one.
    return not (name == "chunk" and call.args[0].size == 0)


GRADLESS = {"one_hot", "nonzero", "argsort"}


@pytest.mark.parametrize("name", sorted(PEERS))
def test_same_values_and_gradients(name: str) -> None:
    calls = [c for c in ops.get(name).spec.samples(np.random.default_rng(3)) if supported(name, c)]
    gradients = sum(compare(name, call) for call in calls)
    assert len(calls) > 2
    assert (gradients == 0) if name in GRADLESS else gradients > 2


VECTORS = [(0,), (3,), (5,)]
MATRICES = [(4, 3), (3, 5), (5, 2), (2, 3), (0, 3), (3, 0)]
STACKS = [(1, 4, 3), (2, 4, 3), (2, 3, 5), (3, 5, 4), (5, 1, 3, 3), (1, 2, 3, 3), (2, 0, 3), (0, 3, 5)]
SHAPES = [*VECTORS, *MATRICES, *STACKS]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matmul_takes_and_refuses_the_same_shapes(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    taken = 0
    for other in SHAPES:
        call = Sample((rng.standard_normal(shape), rng.standard_normal(other)), {})
        try:
            torch.matmul(*(torch.tensor(a) for a in call.args))
        except RuntimeError:
            with pytest.raises(gu.ShapeError, match=r"^\[matmul\] "):
                gu.matmul(*(gu.tensor(a) for a in call.args))
        else:
            compare("matmul", call)
            taken += 1
    assert 0 < taken < len(SHAPES)


@pytest.mark.parametrize(("ta", "tb"), list(itertools.product([False, True], repeat=2)))
def test_matmul_reads_transposed_layouts(ta: bool, tb: bool) -> None:
    rng = np.random.default_rng(1)
    for batch_a, batch_b in [
        ((), ()),
        ((3,), ()),
        ((), (3,)),
        ((2, 3), (3,)),
        ((2, 1), (1, 3)),
        ((1,), (4,)),
    ]:
        a = rng.standard_normal((*batch_a, *((5, 7) if ta else (7, 5))))
        b = rng.standard_normal((*batch_b, *((6, 5) if tb else (5, 6))))
        assert compare("matmul", Sample((a, b), {"transpose_x": ta, "transpose_other": tb}))


@pytest.mark.parametrize("size", [1, 15, 16, 17, 31, 32, 33, 64, 100])
@pytest.mark.parametrize("kind", ["bool", "int64", "float32", "float64"])
def test_transpose_of_every_element_size_at_the_edges_of_blocks(size: int, kind: str) -> None:
    values = np.random.default_rng(size).integers(0, 2 if kind == "bool" else 1000, (3, size, 2 * size + 1))
    x = values.astype(kind)
    y = gu.transpose(gu.tensor(x), 1, 2)
    np.testing.assert_array_equal(y.numpy(), torch.tensor(x).transpose(1, 2).numpy())
    np.testing.assert_array_equal(gu.permute(gu.tensor(x), (2, 0, 1)).numpy(), x.transpose(2, 0, 1))


def test_moving_floats_keeps_their_bits() -> None:
    bits = np.array([0x7FC00001, 0xFFC12345, 0x7F800001, 0x80000000, 1, 0xFF800000], np.uint32)
    x = np.resize(bits, (33, 20)).view(np.float32)  # NaNs of several payloads, -0, a subnormal
    for y in (gu.transpose(gu.tensor(x), 0, 1).numpy().T, gu.flip(gu.tensor(x), 0).numpy()[::-1]):
        np.testing.assert_array_equal(np.ascontiguousarray(y).view(np.uint32), x.view(np.uint32))


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("n", [1, 2, 7, 100, 5000])
def test_order_is_stable_and_nan_is_the_largest(n: int, dtype: str, descending: bool) -> None:
    x = np.random.default_rng(n).integers(-5, 6, (3, n)).astype(dtype)  # nearly all are ties
    if dtype != "int64":
        x[:, :: max(n // 7, 1)] = np.nan
        x[:, 1 :: max(n // 5, 1)] = -0.0
        x[:, 2 :: max(n // 3, 1)] = np.inf
    values, indices = gu.sort(gu.tensor(x), -1, descending)
    peer_values, peer_indices = torch.sort(torch.tensor(x), dim=-1, descending=descending, stable=True)
    np.testing.assert_array_equal(values.numpy(), peer_values.numpy())
    np.testing.assert_array_equal(indices.numpy(), peer_indices.numpy())
    for k in {0, 1, n // 2, n}:
        top, places = gu.topk(gu.tensor(x), k, -1, descending)
        np.testing.assert_array_equal(top.numpy(), peer_values[:, :k].numpy())
        np.testing.assert_array_equal(places.numpy(), peer_indices[:, :k].numpy())


def test_nan_and_infinity_stay_in_their_rows() -> None:
    x = np.ones((4, 3))
    x[1, 2], x[2, 0] = np.nan, np.inf
    w = np.array([[1.0, 2.0, 3.0], [-1.0, 0.0, 1.0]])
    for activation in ("none", "relu", "gelu", "gelu_tanh", "silu"):
        y = gu.linear(gu.tensor(x), gu.tensor(w), None, activation).numpy()
        expected = linear(torch.tensor(x), torch.tensor(w), None, activation).numpy()
        np.testing.assert_allclose(y, expected, 1e-12, 1e-12, err_msg=activation)
