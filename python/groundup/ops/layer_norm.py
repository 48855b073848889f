"""layer_norm: each vector to mean 0 and variance 1, then scaled and shifted by what is learned."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._norm import check_norm, fold, sum_to
from groundup.ops._spec import Array, Bad, Cost, Example, Sample, ShapeError, Spec, nbytes, sample


def layer_norm(
    x: Array,
    normalized_shape: tuple[int, ...],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    axes = fold(normalized_shape)
    mean = x.mean(axis=axes, keepdims=True)  # ...,1
    var = np.square(x - mean).mean(axis=axes, keepdims=True)  # ...,1
    y: Array = (x - mean) / np.sqrt(var + x.dtype.type(eps))  # ...,C
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y


def backward(
    dy: Array,
    y: Array,
    x: Array,
    normalized_shape: tuple[int, ...],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> tuple[Array, Array | None, Array | None]:
    axes = fold(normalized_shape)
    mean = x.mean(axis=axes, keepdims=True)
    rstd = 1 / np.sqrt(np.square(x - mean).mean(axis=axes, keepdims=True) + x.dtype.type(eps))
    xhat = (x - mean) * rstd
    dxhat = dy if weight is None else dy * weight
    # The mean and the variance depend on every element of the vector, hence the two corrections.
    dx = rstd * (
        dxhat - dxhat.mean(axis=axes, keepdims=True) - xhat * (dxhat * xhat).mean(axis=axes, keepdims=True)
    )
    dweight = None if weight is None else sum_to(dy * xhat, normalized_shape)
    dbias = None if bias is None else sum_to(dy, normalized_shape)
    return dx, dweight, dbias


def check(
    x: Array,
    normalized_shape: tuple[int, ...],
    weight: Array | None,
    bias: Array | None,
    eps: float,
) -> None:
    check_norm("layer_norm", x, normalized_shape, weight=weight, bias=bias)


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((5, 24)), (24,), rng.standard_normal(24), rng.standard_normal(24))
    yield sample(
        rng.standard_normal((3, 7, 73)) + 2.0, (73,), rng.standard_normal(73), rng.standard_normal(73)
    )
    yield sample(rng.standard_normal((4, 6, 5)), (6, 5), rng.standard_normal((6, 5)))
    yield sample(rng.standard_normal((17, 3)), 3, eps=1e-3)
    yield sample(rng.standard_normal((0, 8)), (8,), rng.standard_normal(8), rng.standard_normal(8))
    yield sample(rng.standard_normal(33), (33,), bias=rng.standard_normal(33))


SPECS = [
    Spec(
        name="layer_norm",
        summary="Bring each vector to mean 0 and variance 1, then scale and shift it by what is learned.",
        formula=r"y = \frac{x - \mathrm{mean}(x)}{\sqrt{\mathrm{var}(x) + \epsilon}} \odot w + b",
        shapes="x [..., *normalized_shape], weight and bias [*normalized_shape] -> y like x",
        args={
            "normalized_shape": "the last sizes of x, over which mean and variance are taken",
            "eps": "keeps the root away from zero",
        },
        forward=layer_norm,
        backward=backward,
        check=check,
        samples=samples,
        example=Example(
            sample(np.array([[1.0, 3.0]]), (2,), np.array([2.0, 1.0]), np.array([0.0, 5.0]), eps=0.0),
            [[-2.0, 6.0]],  # mean 2, variance 1: x is -1, 1 before weight and bias
            ([[0.0, 0.0]], [-1.0, 1.0], [1.0, 1.0]),
        ),
        bad=(
            Bad(
                sample(np.zeros((2, 3)), (4,)),
                ShapeError,
                "[layer_norm] normalized_shape must be the last sizes of x, but got (4,) for x of shape (2, 3)",
            ),
            Bad(
                sample(np.zeros((2, 3)), (3,), np.zeros(2)),
                ShapeError,
                "[layer_norm] weight must have shape (3,), but got (2,)",
            ),
        ),
        # The variance of C terms, twice rounded; gradients sum over all rows.
        tolerance={"float32": (2e-5, 1e-5), "float64": (1e-12, 1e-12)},
        cost=lambda x, *args, **kwargs: Cost(8 * x.size, 2 * nbytes(x)),
        bench=lambda rng: sample(
            rng.standard_normal((4096, 768)), (768,), rng.standard_normal(768), rng.standard_normal(768)
        ),
        source="Ba, Kiros, Hinton: Layer Normalization (2016)",
    )
]
