"""Sum and mean over any axes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._reduce import Dims, axes_of, bad_dims, check_dims, count, expand, reduction_samples
from groundup.ops._spec import Array, Bad, DTypeError, Example, Sample, Spec, require, sample


def sum(x: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    dtype = x.dtype if x.dtype.kind == "f" else np.int64
    return np.asarray(x.sum(axes_of(x, dim), dtype=dtype, keepdims=keepdim))


def sum_backward(dy: Array, y: Array, x: Array, dim: Dims, keepdim: bool) -> tuple[Array]:
    return (expand(dy, x, dim),)


def mean(x: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    return np.asarray(x.sum(axes_of(x, dim), keepdims=keepdim) / x.dtype.type(count(x, dim)))


def mean_backward(dy: Array, y: Array, x: Array, dim: Dims, keepdim: bool) -> tuple[Array]:
    return (expand(dy / x.dtype.type(count(x, dim)), x, dim),)


def _check_sum(x: Array, dim: Dims, keepdim: bool) -> None:
    check_dims("sum", x, dim)


def _check_mean(x: Array, dim: Dims, keepdim: bool) -> None:
    check_dims("mean", x, dim)
    require(x.dtype.kind == "f", DTypeError, f"[mean] dtype must be float32 or float64, but got {x.dtype}")


def _sum_samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield from reduction_samples(rng)
    yield sample(rng.integers(-9, 10, (4, 5, 6)), (0, 2))
    yield sample(rng.integers(-9, 10, (4, 5, 6)) > 0, 1)
    yield sample(np.zeros((0, 3)))
    yield sample(np.zeros((0, 3)), 0)


SPECS = [
    Spec(
        name="sum",
        summary="The sum over some or all axes; integers and bools give an int64.",
        formula=r"y = \sum_i x_i",
        shapes="x [...] -> y [...] without the axes of dim",
        args={
            "dim": "the axis or axes to sum over; None means all",
            "keepdim": "keep summed axes with size 1",
        },
        forward=sum,
        backward=sum_backward,
        samples=_sum_samples,
        # 1 + 2 + 3 and 4 + 5 + 6; every element counts once.
        example=Example(
            sample(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), 1), [6.0, 15.0], ([[1.0] * 3] * 2,)
        ),
        check=_check_sum,
        bad=bad_dims("sum"),
        bench=lambda rng: sample(rng.standard_normal((2500, 4000), np.float32)),
    ),
    Spec(
        name="mean",
        summary="The mean over some or all axes; of no element it is NaN.",
        formula=r"y = \frac{1}{n} \sum_i x_i",
        shapes="x [...] -> y [...] without the axes of dim",
        args={
            "dim": "the axis or axes to average over; None means all",
            "keepdim": "keep averaged axes with size 1",
        },
        forward=mean,
        backward=mean_backward,
        samples=reduction_samples,
        example=Example(
            sample(np.array([[1.0, 2.0], [4.0, 6.0]]), 1), [1.5, 5.0], ([[0.5, 0.5], [0.5, 0.5]],)
        ),
        check=_check_mean,
        bad=(
            *bad_dims("mean"),
            Bad(
                sample(np.array([1, 2])), DTypeError, "[mean] dtype must be float32 or float64, but got int64"
            ),
        ),
        bench=lambda rng: sample(rng.standard_normal((2500, 4000), np.float32), 0),
    ),
]
