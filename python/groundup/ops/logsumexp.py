"""The logarithm of a sum of exponentials, without overflow."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._reduce import Dims, axes_of, bad_dims, check_dims, kept, reduction_samples
from groundup.ops._spec import Array, Example, Sample, Spec, floats, sample


def logsumexp(x: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    x, axes = floats(x), axes_of(x, dim)
    m = x.max(axes, keepdims=True, initial=-np.inf)
    m = np.where(np.isinf(m), x.dtype.type(0), m)  # inf - inf would be NaN
    y = m + np.log(np.exp(x - m).sum(axes, keepdims=True))
    return np.asarray(y if keepdim else y.squeeze(axes))


def backward(dy: Array, y: Array, x: Array, dim: Dims, keepdim: bool) -> tuple[Array]:
    return (kept(dy, x, dim) * np.exp(x - kept(y, x, dim)),)


def _check(x: Array, dim: Dims, keepdim: bool) -> None:
    check_dims("logsumexp", x, dim)


def _samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield from reduction_samples(rng)
    yield sample(np.array([[1000.0, 1000.5], [-1000.0, -999.0]]), 1)  # e^1000 has no float
    yield sample(np.array([1, 2, 3]))
    yield sample(np.zeros((0, 3)), 0)


SPECS = [
    Spec(
        name="logsumexp",
        summary="The logarithm of the sum of e^x over some or all axes: a smooth maximum.",
        formula=r"y = \ln \sum_i e^{x_i} = m + \ln \sum_i e^{x_i - m},\ m = \max_i x_i",
        shapes="x [...] -> y [...] without the axes of dim",
        args={
            "dim": "the axis or axes to reduce; None means all",
            "keepdim": "keep reduced axes with size 1",
        },
        forward=logsumexp,
        backward=backward,
        samples=_samples,
        # ln(1 + 3) = ln 4; the gradient is the share of each: 1/4 and 3/4.
        example=Example(sample(np.array([0.0, 1.0986122886681098])), 1.3862943611198906, ([0.25, 0.75],)),
        check=_check,
        bad=bad_dims("logsumexp"),
        bench=lambda rng: sample(rng.standard_normal((2500, 4000), np.float32), 1),
    ),
]
