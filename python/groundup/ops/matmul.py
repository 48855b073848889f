"""matmul: matrix products over all leading axes, which broadcast."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._spec import (
    Array,
    Bad,
    Cost,
    DTypeError,
    Example,
    Sample,
    ShapeError,
    Spec,
    nbytes,
    promoted,
    require,
    sample,
    unbroadcast,
)


def _operands(x: Array, other: Array, transpose_x: bool, transpose_other: bool) -> tuple[Array, Array]:
    """Both as stacks of matrices: a vector is one row on the left, one column on the right."""
    a, b = promoted(x, other)
    a = a[None, :] if a.ndim == 1 else a  # ...,m,k
    b = b[:, None] if b.ndim == 1 else b  # ...,k,n
    return (a.swapaxes(-1, -2) if transpose_x else a), (b.swapaxes(-1, -2) if transpose_other else b)


def matmul(x: Array, other: Array, transpose_x: bool = False, transpose_other: bool = False) -> Array:
    a, b = _operands(x, other, transpose_x, transpose_other)
    y = a @ b  # ...,m,n
    if x.ndim == 1:
        y = y[..., 0, :]
    if other.ndim == 1:
        y = y[..., 0]
    return np.asarray(y)


def matmul_backward(
    dy: Array, y: Array, x: Array, other: Array, transpose_x: bool, transpose_other: bool
) -> tuple[Array, Array]:
    a, b = _operands(x, other, transpose_x, transpose_other)
    if other.ndim == 1:
        dy = dy[..., None]
    if x.ndim == 1:
        dy = dy[..., None, :]
    da = unbroadcast(dy @ b.swapaxes(-1, -2), a.shape)  # ...,m,k
    db = unbroadcast(a.swapaxes(-1, -2) @ dy, b.shape)  # ...,k,n
    da = da.swapaxes(-1, -2) if transpose_x else da
    db = db.swapaxes(-1, -2) if transpose_other else db
    return da.reshape(x.shape).astype(x.dtype), db.reshape(other.shape).astype(other.dtype)


def check(x: Array, other: Array, transpose_x: bool, transpose_other: bool) -> None:
    shapes = f"{x.shape}{'.mT' * transpose_x} @ {other.shape}{'.mT' * transpose_other}"
    require(
        min(x.ndim, other.ndim) > 0,
        ShapeError,
        f"[matmul] x and other must have at least 1 axis, but got {shapes}",
    )
    require(
        not (transpose_x and x.ndim == 1) and not (transpose_other and other.ndim == 1),
        ShapeError,
        f"[matmul] what is transposed must have at least 2 axes, but got {shapes}",
    )
    require(
        x.dtype.kind == other.dtype.kind == "f",
        DTypeError,
        f"[matmul] x and other must be float32 or float64, but got {x.dtype} and {other.dtype}",
    )
    a, b = _operands(x, other, transpose_x, transpose_other)
    require(a.shape[-1] == b.shape[-2], ShapeError, f"[matmul] inner sizes must agree, but got {shapes}")
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(f"[matmul] batch axes must broadcast, but got {shapes}") from None


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((3, 4), (4, 5)),
        ((72, 73), (73, 74)),
        ((5,), (5,)),
        ((5,), (5, 6)),
        ((6, 5), (5,)),
        ((5,), (2, 3, 5, 6)),
        ((2, 3, 6, 5), (5,)),
        ((2, 7, 5), (5, 6)),  # one product over 14 rows
        ((7, 5), (3, 5, 6)),  # one matrix on the left of three
        ((4, 6, 5), (4, 5, 7)),
        ((2, 3, 6, 5), (2, 3, 5, 4)),
        ((2, 1, 6, 5), (3, 5, 4)),  # batch axes of both are repeated
        ((2, 3, 6, 5), (2, 1, 5, 4)),
        ((1, 1, 6, 5), (2, 3, 5, 4)),
        ((2, 1, 3, 2, 5), (4, 1, 5, 3)),
        ((0, 3), (3, 2)),
        ((3, 0), (0, 2)),
        ((2, 3), (3, 0)),
        ((0, 2, 3), (3, 4)),
        ((0, 2, 3), (1, 3, 4)),
        ((1, 2, 3), (0, 3, 4)),
        ((5, 0, 3), (5, 3, 2)),
    ]
    for a, b in shapes:
        yield sample(rng.standard_normal(a), rng.standard_normal(b))
    yield sample(rng.standard_normal((4, 3)), rng.standard_normal((4, 5)), transpose_x=True)
    yield sample(rng.standard_normal((3, 4)), rng.standard_normal((5, 4)), transpose_other=True)
    yield sample(rng.standard_normal((4, 3)), rng.standard_normal((5, 4)), True, True)
    yield sample(rng.standard_normal((2, 7, 4)), rng.standard_normal((5, 4)), transpose_other=True)
    yield sample(rng.standard_normal((2, 4, 7)), rng.standard_normal((4, 5)), transpose_x=True)
    yield sample(rng.standard_normal((2, 3, 4, 7)), rng.standard_normal((3, 5, 4)), True, True)
    yield sample(rng.standard_normal((4,)), rng.standard_normal((3, 5, 4)), transpose_other=True)


def _cost(x: Array, other: Array, transpose_x: bool = False, transpose_other: bool = False) -> Cost:
    y = np.broadcast_shapes(x.shape[:-2], other.shape[:-2])
    a, b = _operands(x, other, transpose_x, transpose_other)
    results = float(np.prod(y)) * a.shape[-2] * b.shape[-1]
    return Cost(2 * results * a.shape[-1], nbytes(x, other) + results * x.itemsize)


SPECS = [
    Spec(
        name="matmul",
        summary="The matrix product; of stacks of matrices, matrix by matrix.",
        formula=r"y_{ij} = \sum_p x_{ip}\, o_{pj}",
        shapes="x [..., m, k], other [..., k, n] -> y [..., m, n], leading axes broadcast",
        args={
            "x": "a vector [k] counts as one row, and the result has no row axis",
            "other": "a vector [k] counts as one column, and the result has no column axis",
            "transpose_x": "x is [..., k, m]",
            "transpose_other": "other is [..., n, k]",
        },
        forward=matmul,
        backward=matmul_backward,
        check=check,
        samples=samples,
        # Row (1, 2) by the columns: 1·5 + 2·7 and 1·6 + 2·8. dx sums the columns of other: 5 + 6, 7 + 8;
        # dother sums the rows of x: 1 + 3, 2 + 4.
        example=Example(
            sample(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])),
            [[19.0, 22.0], [43.0, 50.0]],
            ([[11.0, 15.0], [11.0, 15.0]], [[4.0, 4.0], [6.0, 6.0]]),
        ),
        bad=(
            Bad(
                sample(np.zeros((3, 4)), np.zeros((5, 6))),
                ShapeError,
                "[matmul] inner sizes must agree, but got (3, 4) @ (5, 6)",
            ),
            Bad(
                sample(np.zeros((3, 4)), np.zeros((5, 6)), transpose_other=True),
                ShapeError,
                "[matmul] inner sizes must agree, but got (3, 4) @ (5, 6).mT",
            ),
            Bad(
                sample(np.zeros((2, 3, 4)), np.zeros((3, 4, 5))),
                ShapeError,
                "[matmul] batch axes must broadcast, but got (2, 3, 4) @ (3, 4, 5)",
            ),
            Bad(
                sample(np.array(1.0), np.zeros(3)),
                ShapeError,
                "[matmul] x and other must have at least 1 axis, but got () @ (3,)",
            ),
            Bad(
                sample(np.zeros(3), np.zeros((3, 2)), transpose_x=True),
                ShapeError,
                "[matmul] what is transposed must have at least 2 axes, but got (3,).mT @ (3, 2)",
            ),
            Bad(
                sample(np.zeros((2, 2), np.int64), np.zeros((2, 2))),
                DTypeError,
                "[matmul] x and other must be float32 or float64, but got int64 and float32",
            ),
        ),
        # Sums of up to 74 products, in another order.
        tolerance={"float32": (1e-5, 1e-5), "float64": (1e-13, 2e-14)},
        cost=_cost,
        bench=lambda rng: sample(rng.standard_normal((768, 768)), rng.standard_normal((768, 768))),
    ),
]
