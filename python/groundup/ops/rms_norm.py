"""rms_norm: each vector divided by its root mean square, then scaled; layer norm without the mean."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from groundup.ops._norm import check_norm, fold, sum_to
from groundup.ops._spec import Array, Bad, Cost, Example, Sample, ShapeError, Spec, nbytes, sample


def _rstd(x: Array, normalized_shape: tuple[int, ...], eps: float | None) -> Array:
    """One over the root mean square of each vector."""
    least = np.finfo(x.dtype).eps if eps is None else x.dtype.type(eps)
    mean_square = np.square(x).mean(axis=fold(normalized_shape), keepdims=True)  # ...,1
    return np.asarray(1 / np.sqrt(mean_square + least))


def rms_norm(
    x: Array, normalized_shape: tuple[int, ...], weight: Array | None = None, eps: float | None = None
) -> Array:
    y = x * _rstd(x, normalized_shape, eps)  # ...,C
    return y if weight is None else y * weight


def backward(
    dy: Array,
    y: Array,
    x: Array,
    normalized_shape: tuple[int, ...],
    weight: Array | None = None,
    eps: float | None = None,
) -> tuple[Array, Array | None]:
    rstd = _rstd(x, normalized_shape, eps)
    xhat = x * rstd
    dxhat = dy if weight is None else dy * weight
    # The root mean square depends on every element of the vector, hence the correction.
    dx = rstd * (dxhat - xhat * (dxhat * xhat).mean(axis=fold(normalized_shape), keepdims=True))
    return dx, None if weight is None else sum_to(dy * xhat, normalized_shape)


def check(x: Array, normalized_shape: tuple[int, ...], weight: Array | None, eps: float | None) -> None:
    check_norm("rms_norm", x, normalized_shape, weight=weight)


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((5, 24)), (24,), rng.standard_normal(24))
    yield sample(rng.standard_normal((3, 7, 73)) + 2.0, (73,), rng.standard_normal(73), 1e-5)
    yield sample(rng.standard_normal((4, 6, 5)), (6, 5), rng.standard_normal((6, 5)))
    yield sample(rng.standard_normal((17, 3)), 3, eps=1e-3)
    yield sample(rng.standard_normal((130, 37)), (37,), rng.standard_normal(37))  # several blocks of rows
    yield sample(rng.standard_normal((0, 8)), (8,), rng.standard_normal(8))
    yield sample(rng.standard_normal(33), (33,))


ROOT = math.sqrt(12.5)

SPECS = [
    Spec(
        name="rms_norm",
        summary="Divide each vector by its root mean square, then scale it by what is learned.",
        formula=r"y = \frac{x}{\sqrt{\mathrm{mean}(x^2) + \epsilon}} \odot w",
        shapes="x [..., *normalized_shape], weight [*normalized_shape] -> y like x",
        args={
            "normalized_shape": "the last sizes of x, over which the mean is taken",
            "eps": "keeps the root away from zero; None is the spacing of the dtype's numbers at 1",
        },
        forward=rms_norm,
        backward=backward,
        check=check,
        samples=samples,
        example=Example(
            sample(np.array([[3.0, 4.0]]), (2,), np.array([2.0, 1.0]), eps=0.0),
            [[6 / ROOT, 4 / ROOT]],  # the mean of 9 and 16 is 12.5
            # dxhat = 2, 1 and its mean product with xhat is 5 / ROOT: dx = (2 - 3·5/12.5, 1 - 4·5/12.5) / ROOT
            ([[0.8 / ROOT, -0.6 / ROOT]], [3 / ROOT, 4 / ROOT]),
        ),
        bad=(
            Bad(
                sample(np.zeros((2, 3)), (4,)),
                ShapeError,
                "[rms_norm] normalized_shape must be the last sizes of x, but got (4,) for x of shape (2, 3)",
            ),
            Bad(
                sample(np.zeros((2, 3)), (3,), np.zeros(2)),
                ShapeError,
                "[rms_norm] weight must have shape (3,), but got (2,)",
            ),
        ),
        # The mean of C squares; the gradient of weight sums over all rows.
        tolerance={"float32": (1e-5, 1e-5), "float64": (1e-12, 1e-12)},
        cost=lambda x, *args, **kwargs: Cost(4 * x.size, 2 * nbytes(x)),
        bench=lambda rng: sample(rng.standard_normal((4096, 768)), (768,), rng.standard_normal(768)),
        source="Zhang, Sennrich: Root Mean Square Layer Normalization (2019)",
    )
]
