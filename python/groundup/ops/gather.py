"""gather, scatter_add, index_select: elements, or whole slices, by index along one axis."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._indices import check_indices
from groundup.ops._spec import (
    Array,
    Bad,
    DTypeError,
    Example,
    Sample,
    ShapeError,
    Spec,
    require,
    sample,
)
from groundup.ops.softmax import check_dim


def _places(index: Array, dim: int) -> tuple[Array, ...]:
    """For each axis, the coordinate that every element of ``index`` stands for."""
    places: list[Array] = list(np.indices(index.shape, sparse=True))
    places[dim] = index
    return tuple(places)


def gather(x: Array, dim: int, index: Array) -> Array:
    return x[_places(index, dim)]


def gather_backward(dy: Array, y: Array, x: Array, dim: int, index: Array) -> tuple[Array, None]:
    dx = np.zeros_like(x)
    np.add.at(dx, _places(index, dim), dy)
    return dx, None


def scatter_add(x: Array, dim: int, index: Array, src: Array) -> Array:
    y = x.copy()
    np.add.at(y, _places(index, dim), src)
    return y


def scatter_add_backward(
    dy: Array, y: Array, x: Array, dim: int, index: Array, src: Array
) -> tuple[Array, None, Array]:
    return dy, None, dy[_places(index, dim)]


def index_select(x: Array, dim: int, index: Array) -> Array:
    return np.take(x, index.reshape(-1), axis=dim)


def index_select_backward(dy: Array, y: Array, x: Array, dim: int, index: Array) -> tuple[Array, None]:
    dx = np.zeros_like(x)
    np.add.at(np.moveaxis(dx, dim, 0), index.reshape(-1), np.moveaxis(dy, dim, 0))
    return dx, None


def _check_gather(op: str, x: Array, dim: int, index: Array) -> None:
    require(x.ndim > 0, ShapeError, f"[{op}] a 0-d tensor has no axis to index")
    check_dim(op, x, dim)
    axis = dim % x.ndim
    fits = index.ndim == x.ndim and all(
        d == axis or m <= n for d, (m, n) in enumerate(zip(index.shape, x.shape, strict=True))
    )
    require(
        fits,
        ShapeError,
        f"[{op}] index must have the axes of x, and no more along them than x but along dim {axis}, "
        f"but got {index.shape} for {x.shape}",
    )
    check_indices(op, "index", index, x.shape[axis])


def check_scatter_add(x: Array, dim: int, index: Array, src: Array) -> None:
    _check_gather("scatter_add", x, dim, index)
    require(
        src.shape == index.shape,
        ShapeError,
        f"[scatter_add] src must have the shape {index.shape} of index, but got {src.shape}",
    )
    require(
        src.dtype == x.dtype,
        DTypeError,
        f"[scatter_add] src must be {x.dtype} like x, but got {src.dtype}",
    )


def check_index_select(x: Array, dim: int, index: Array) -> None:
    require(x.ndim > 0, ShapeError, "[index_select] a 0-d tensor has no axis to index")
    check_dim("index_select", x, dim)
    require(
        index.ndim <= 1,
        ShapeError,
        f"[index_select] index must have at most 1 axis, but got shape {index.shape}",
    )
    check_indices("index_select", "index", index, x.shape[dim])


def _gather_calls(rng: np.random.Generator) -> Iterable[tuple[Array, int, Array]]:
    x = rng.standard_normal((4, 5, 6))
    yield x, 0, rng.integers(0, 4, (7, 5, 6))
    yield x, 1, rng.integers(0, 5, (4, 3, 6))
    yield x, -1, rng.integers(0, 6, (4, 5, 1))
    yield x, 1, rng.integers(0, 5, (2, 9, 3))  # less along the other axes
    yield x, 2, rng.integers(0, 6, (4, 2, 40))  # every element many times
    yield rng.standard_normal((72, 73)), 1, rng.integers(0, 73, (72, 74))
    yield rng.standard_normal(5), 0, np.array([3, 3, 0])
    yield x, 0, np.zeros((0, 5, 6), np.int64)
    yield x, 0, np.zeros((3, 0, 6), np.int64)
    yield np.zeros((0, 3)), 1, np.zeros((0, 4), np.int64)
    yield rng.integers(0, 9, (4, 5)), 1, rng.integers(0, 5, (4, 5))


def gather_samples(rng: np.random.Generator) -> Iterable[Sample]:
    for x, dim, index in _gather_calls(rng):
        yield sample(x, dim, index)


def scatter_add_samples(rng: np.random.Generator) -> Iterable[Sample]:
    for x, dim, index in _gather_calls(rng):
        yield sample(x, dim, index, rng.standard_normal(index.shape).astype(x.dtype))


def index_select_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((4, 5, 6))
    yield sample(x, 0, np.array([3, 0, 3, 3]))
    yield sample(x, 1, rng.integers(0, 5, 9))
    yield sample(x, -1, np.array([5]))
    yield sample(x, 2, np.array(4))
    yield sample(rng.standard_normal((72, 73)), 0, rng.integers(0, 72, 74))
    yield sample(rng.standard_normal(5), 0, np.array([1, 1]))
    yield sample(x, 1, np.zeros(0, np.int64))
    yield sample(np.zeros((3, 0)), 0, np.array([1]))
    yield sample(rng.integers(0, 9, (4, 5)), 1, np.array([4, 2]))
    yield sample(rng.integers(0, 2, (4, 5)) > 0, 1, np.array([4, 2]))


_MATRIX = np.array([[1.0, 2.0], [3.0, 4.0]])
_CELLS = np.array([[1, 1], [0, 0]])


def _bad(op: str, *more: Array) -> tuple[Bad, ...]:
    return (
        Bad(
            sample(_MATRIX, 0, np.array([[0, 2]]), *more),
            IndexError,
            f"[{op}] index must be in 0 to 1, but got 2 at position (0, 1)",
        ),
        Bad(
            sample(_MATRIX, 0, np.array([[0, 1, 1]]), *more),
            ShapeError,
            f"[{op}] index must have the axes of x, and no more along them than x but along dim 0, "
            "but got (1, 3) for (2, 2)",
        ),
        Bad(
            sample(_MATRIX, 0, np.array([0]), *more),
            ShapeError,
            f"[{op}] index must have the axes of x, and no more along them than x but along dim 0, "
            "but got (1,) for (2, 2)",
        ),
        Bad(
            sample(_MATRIX, 0, np.zeros((1, 2)), *more),
            DTypeError,
            f"[{op}] index must be int64, but got float32",
        ),
        Bad(sample(_MATRIX, 2, _CELLS, *more), IndexError, f"[{op}] dim must be in -2 to 1, but got 2"),
        Bad(
            sample(np.array(1.0), 0, np.array(0), *more),
            ShapeError,
            f"[{op}] a 0-d tensor has no axis to index",
        ),
    )


# Sums of up to 40 gradients, in the same order.
TOLERANCE = {"float32": (2e-6, 2e-6), "float64": (1e-13, 1e-13)}

SPECS = [
    Spec(
        name="gather",
        summary="For every place, the element of x whose index along one axis is given.",
        formula=r"y_{ij} = x_{\mathrm{index}_{ij}\, j}",
        shapes="x [..., n, ...], index [..., m, ...] int64 -> y [..., m, ...]",
        args={"dim": "the axis that index counts along", "index": "as x, but for its size along dim"},
        forward=gather,
        backward=gather_backward,
        check=lambda x, dim, index: _check_gather("gather", x, dim, index),
        samples=gather_samples,
        # The first row takes its second element twice, the second row its first.
        example=Example(sample(_MATRIX, 1, _CELLS), [[2.0, 2.0], [3.0, 3.0]], ([[0.0, 2.0], [2.0, 0.0]],)),
        bad=_bad("gather"),
        tolerance=TOLERANCE,
        bench=lambda rng: sample(rng.standard_normal((2048, 1024)), 1, rng.integers(0, 1024, (2048, 1024))),
    ),
    Spec(
        name="scatter_add",
        summary="Adds every element of src to the element of x whose index along one axis is given.",
        formula=r"y_{ij} = x_{ij} + \sum_{k:\, \mathrm{index}_{kj} = i} \mathrm{src}_{kj}",
        shapes="x [..., n, ...], index [..., m, ...] int64, src [..., m, ...] -> y [..., n, ...]",
        args={"dim": "the axis that index counts along", "src": "of the shape of index and the dtype of x"},
        forward=scatter_add,
        backward=scatter_add_backward,
        check=check_scatter_add,
        samples=scatter_add_samples,
        # 10 + 20 meet in the first row's second element, 30 + 40 in the second row's first.
        example=Example(
            sample(_MATRIX, 1, _CELLS, np.array([[10.0, 20.0], [30.0, 40.0]])),
            [[1.0, 32.0], [73.0, 4.0]],
            ([[1.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]),
        ),
        bad=(
            *_bad("scatter_add", _MATRIX),
            Bad(
                sample(_MATRIX, 1, _CELLS, np.zeros(2)),
                ShapeError,
                "[scatter_add] src must have the shape (2, 2) of index, but got (2,)",
            ),
            Bad(
                sample(_MATRIX, 1, _CELLS, _CELLS),
                DTypeError,
                "[scatter_add] src must be float32 like x, but got int64",
            ),
        ),
        tolerance=TOLERANCE,
        bench=lambda rng: sample(
            rng.standard_normal((2048, 1024)),
            1,
            rng.integers(0, 1024, (2048, 1024)),
            rng.standard_normal((2048, 1024)),
        ),
    ),
    Spec(
        name="index_select",
        summary="Whole slices by their index along one axis.",
        formula=r"y_{kj} = x_{\mathrm{index}_k\, j}",
        shapes="x [..., n, ...], index [m] int64 -> y [..., m, ...]",
        args={"dim": "the axis that index counts along"},
        forward=index_select,
        backward=index_select_backward,
        check=check_index_select,
        samples=index_select_samples,
        example=Example(
            sample(_MATRIX, 1, np.array([1, 1])), [[2.0, 2.0], [4.0, 4.0]], ([[0.0, 2.0], [0.0, 2.0]],)
        ),
        bad=(
            Bad(
                sample(_MATRIX, 0, np.array([0, -1])),
                IndexError,
                "[index_select] index must be in 0 to 1, but got -1 at position 1",
            ),
            Bad(
                sample(_MATRIX, 0, np.array([[0]])),
                ShapeError,
                "[index_select] index must have at most 1 axis, but got shape (1, 1)",
            ),
            Bad(
                sample(_MATRIX, 0, np.array([0.0])),
                DTypeError,
                "[index_select] index must be int64, but got float32",
            ),
            Bad(
                sample(_MATRIX, 2, np.array([0])),
                IndexError,
                "[index_select] dim must be in -2 to 1, but got 2",
            ),
            Bad(
                sample(np.array(1.0), 0, np.array([0])),
                ShapeError,
                "[index_select] a 0-d tensor has no axis to index",
            ),
        ),
        tolerance=TOLERANCE,
        bench=lambda rng: sample(rng.standard_normal((4096, 1024)), 0, rng.integers(0, 4096, 4096)),
    ),
]
