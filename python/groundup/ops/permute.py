"""permute and transpose: the axes of x in another order."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._spec import Array, Bad, Example, Sample, Spec, require, sample
from groundup.ops.reshape import EXACT
from groundup.ops.softmax import check_dim

Dims = tuple[int, ...]


def permute(x: Array, dims: Dims) -> Array:
    return np.ascontiguousarray(x.transpose(dims)) if x.ndim else x.copy()


def permute_backward(dy: Array, y: Array, x: Array, dims: Dims) -> tuple[Array]:
    back = np.argsort([d % x.ndim for d in dims])  # where each axis of x went
    return (dy.transpose(back),) if x.ndim else (dy,)


def transpose(x: Array, dim0: int, dim1: int) -> Array:
    return np.ascontiguousarray(x.swapaxes(dim0, dim1)) if x.ndim else x.copy()


def transpose_backward(dy: Array, y: Array, x: Array, dim0: int, dim1: int) -> tuple[Array]:
    return (dy.swapaxes(dim0, dim1),) if x.ndim else (dy,)


def check_permute(x: Array, dims: Dims) -> None:
    for d in dims:
        check_dim("permute", x, d)
    require(
        x.ndim == len(dims) and sorted(d % x.ndim for d in dims) == list(range(x.ndim)),
        ValueError,
        f"[permute] dims must name each of the {x.ndim} axes once, but got {dims}",
    )


def check_transpose(x: Array, dim0: int, dim1: int) -> None:
    check_dim("transpose", x, dim0)
    check_dim("transpose", x, dim1)


def permute_samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((2, 3, 4)), (2, 0, 1))
    yield sample(rng.standard_normal((3, 5, 4, 6)), (0, 2, 1, 3))  # heads and time
    yield sample(rng.standard_normal((3, 5, 4, 6)), (3, -2, 1, 0))
    yield sample(rng.standard_normal((7, 33, 34)), (2, 0, 1))
    yield sample(rng.standard_normal((3, 35, 67)), (0, 2, 1))  # more than a block of both axes
    yield sample(rng.standard_normal((2, 3)), (0, 1))
    yield sample(rng.standard_normal(5), 0)
    yield sample(np.array(2.5), ())
    yield sample(np.zeros((2, 0, 3)), (2, 1, 0))
    yield sample(rng.integers(0, 9, (34, 35, 3)), (1, 2, 0))
    yield sample(rng.integers(0, 2, (34, 35, 3)) > 0, (1, 0, 2))


def transpose_samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((72, 73)), 0, 1)
    yield sample(rng.standard_normal((3, 5, 4, 6)), 1, 2)
    yield sample(rng.standard_normal((3, 5, 4, 6)), -1, -2)
    yield sample(rng.standard_normal((3, 5, 4)), dim0=0, dim1=2)
    yield sample(rng.standard_normal((3, 5)), 1, 1)
    yield sample(np.array(2.5), 0, -1)
    yield sample(np.zeros((0, 3)), 0, 1)


_MATRIX = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
_TURNED = [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
_ONES = np.ones((2, 3))

SPECS = [
    Spec(
        name="permute",
        summary="The axes in another order; copies.",
        formula=r"y_{i_{d_0} i_{d_1} \ldots} = x_{i_0 i_1 \ldots}",
        shapes="x [n_0, n_1, ...] -> y [n_dims[0], n_dims[1], ...]",
        args={"dims": "for each axis of the result, the axis of x that it is"},
        forward=permute,
        backward=permute_backward,
        check=check_permute,
        samples=permute_samples,
        example=Example(sample(_MATRIX, (1, 0)), _TURNED, (_ONES,)),
        bad=(
            Bad(
                sample(_MATRIX, (0, 0)),
                ValueError,
                "[permute] dims must name each of the 2 axes once, but got (0, 0)",
            ),
            Bad(
                sample(_MATRIX, 1),
                ValueError,
                "[permute] dims must name each of the 2 axes once, but got (1,)",
            ),
            Bad(sample(_MATRIX, (0, 2)), IndexError, "[permute] dim must be in -2 to 1, but got 2"),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((16, 256, 6, 64)), (0, 2, 1, 3)),
    ),
    Spec(
        name="transpose",
        summary="Two axes exchanged; copies.",
        formula=r"y_{\ldots j \ldots i \ldots} = x_{\ldots i \ldots j \ldots}",
        shapes="x [..., a, ..., b, ...] -> y [..., b, ..., a, ...]",
        forward=transpose,
        backward=transpose_backward,
        check=check_transpose,
        samples=transpose_samples,
        example=Example(sample(_MATRIX, 0, 1), _TURNED, (_ONES,)),
        bad=(Bad(sample(_MATRIX, 0, 2), IndexError, "[transpose] dim must be in -2 to 1, but got 2"),),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((2000, 3000)), 0, 1),
    ),
]
