"""The variance, that is the mean squared distance from the mean, and its root."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from groundup.ops._reduce import Dims, axes_of, bad_dims, check_dims, count, kept, reduction_samples
from groundup.ops._spec import Array, Bad, DTypeError, Example, Sample, Spec, require, sample


def _distances(x: Array, dim: Dims) -> Array:
    total = x.sum(axes_of(x, dim), keepdims=True)
    return np.asarray(x - total / x.dtype.type(count(x, dim)))


def _divisor(x: Array, dim: Dims, correction: int) -> Any:
    return x.dtype.type(max(0, count(x, dim) - correction))


def var(x: Array, dim: Dims = None, correction: int = 1, keepdim: bool = False) -> Array:
    squares = np.square(_distances(x, dim))
    return np.asarray(squares.sum(axes_of(x, dim), keepdims=keepdim) / _divisor(x, dim, correction))


def var_backward(dy: Array, y: Array, x: Array, dim: Dims, correction: int, keepdim: bool) -> tuple[Array]:
    # The mean depends on x, too, but its part vanishes: the distances from it add up to 0.
    return (_distances(x, dim) * (kept(dy, x, dim) * 2 / _divisor(x, dim, correction)),)


def std(x: Array, dim: Dims = None, correction: int = 1, keepdim: bool = False) -> Array:
    return np.sqrt(var(x, dim, correction, keepdim))


def std_backward(dy: Array, y: Array, x: Array, dim: Dims, correction: int, keepdim: bool) -> tuple[Array]:
    s = kept(y, x, dim)
    dvar = np.where(s == 0, 0, kept(dy, x, dim) / (2 * s))  # y = sqrt(var); at its corner 0
    return (_distances(x, dim) * (dvar * 2 / _divisor(x, dim, correction)),)


def _check(op: str) -> Callable[[Array, Dims, int, bool], None]:
    def check(x: Array, dim: Dims, correction: int, keepdim: bool) -> None:
        check_dims(op, x, dim)
        floats = x.dtype.kind == "f"
        require(floats, DTypeError, f"[{op}] dtype must be float32 or float64, but got {x.dtype}")

    return check


def _samples(rng: np.random.Generator) -> Iterable[Sample]:
    for call in reduction_samples(rng):
        if call.args[0].ndim:  # of one number the variance is 0 / 0
            yield call
    yield sample(rng.standard_normal((4, 5)), 1, 0)
    yield sample(rng.standard_normal((4, 5)), (0, 1), correction=3, keepdim=True)
    yield sample(1e4 + rng.standard_normal((3, 50)), 1)  # far from 0: mean squares would cancel


def _bad(op: str) -> tuple[Bad, ...]:
    message = f"[{op}] dtype must be float32 or float64, but got int64"
    return (*bad_dims(op), Bad(sample(np.array([1, 2])), DTypeError, message))


_ARGS = {
    "dim": "the axis or axes to reduce; None means all",
    "correction": "c; 1 makes the estimate from a sample unbiased, 0 is the variance of the numbers themselves",
    "keepdim": "keep reduced axes with size 1",
}

SPECS = [
    Spec(
        name="var",
        summary="The variance over some or all axes; of a single element it is NaN.",
        formula=r"y = \frac{1}{n - c} \sum_i (x_i - \bar x)^2",
        shapes="x [...] -> y [...] without the axes of dim",
        args=_ARGS,
        forward=var,
        backward=var_backward,
        samples=_samples,
        # Mean 3, distances -2, 0, 2: (4 + 0 + 4) / 2, and 2 (x - 3) / 2.
        example=Example(sample(np.array([1.0, 3.0, 5.0])), 4.0, ([-2.0, 0.0, 2.0],)),
        check=_check("var"),
        bad=_bad("var"),
        # Around 10^4 a float32 has a spacing of 10^-3, and both faces round the mean to it.
        tolerance={"float32": (1e-5, 1e-3), "float64": (1e-12, 1e-11)},
        bench=lambda rng: sample(rng.standard_normal((2500, 4000), np.float32), 1),
    ),
    Spec(
        name="std",
        summary="The standard deviation over some or all axes; of a single element it is NaN.",
        formula=r"y = \sqrt{\frac{1}{n - c} \sum_i (x_i - \bar x)^2}",
        shapes="x [...] -> y [...] without the axes of dim",
        args=_ARGS,
        forward=std,
        backward=std_backward,
        samples=_samples,
        # The root of 4, and the gradient of the variance over 2 * 2.
        example=Example(sample(np.array([1.0, 3.0, 5.0])), 2.0, ([-0.5, 0.0, 0.5],)),
        check=_check("std"),
        bad=_bad("std"),
        tolerance={"float32": (1e-5, 1e-3), "float64": (1e-12, 1e-11)},  # as var
        bench=lambda rng: sample(rng.standard_normal((2500, 4000), np.float32), 1),
    ),
]
