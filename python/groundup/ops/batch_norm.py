"""batch_norm: each channel to mean 0 and variance 1 over the batch; in evaluation over what training has seen."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from groundup.ops._norm import check_parameter
from groundup.ops._spec import Array, Bad, Cost, Example, Sample, ShapeError, Spec, nbytes, require, sample


def _axes(x: Array) -> tuple[int, ...]:
    """All axes but that of the channels."""
    return (0, *range(2, x.ndim))


def _per_channel(p: Array, x: Array) -> Array:
    """An array [C] so that it broadcasts along x's channels. [1, C, 1, ...]"""
    return p.reshape(1, -1, *[1] * (x.ndim - 2))


def _moments(
    x: Array, running_mean: Array | None, running_var: Array | None, training: bool
) -> tuple[Array, Array]:
    """Mean and variance of each channel, over this batch or as training has seen them. [C]"""
    if not training and running_mean is not None and running_var is not None:
        return running_mean, running_var
    mean = x.mean(axis=_axes(x))
    return mean, np.square(x - _per_channel(mean, x)).mean(axis=_axes(x))


def batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    mean, var = _moments(x, running_mean, running_var, training)  # C
    if training and running_mean is not None and running_var is not None:
        m, n = x.dtype.type(momentum), x.size // x.shape[1]
        running_mean[...] = (1 - m) * running_mean + m * mean
        running_var[...] = (1 - m) * running_var + m * var * x.dtype.type(n / (n - 1))  # unbiased
    y: Array = (x - _per_channel(mean, x)) / np.sqrt(_per_channel(var, x) + x.dtype.type(eps))  # N,C,...
    if weight is not None:
        y = y * _per_channel(weight, x)
    if bias is not None:
        y = y + _per_channel(bias, x)
    return y


def backward(
    dy: Array,
    y: Array,
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array | None, ...]:
    axes = _axes(x)
    mean, var = _moments(x, running_mean, running_var, training)
    rstd = 1 / np.sqrt(_per_channel(var, x) + x.dtype.type(eps))
    xhat = (x - _per_channel(mean, x)) * rstd
    dxhat = dy if weight is None else dy * _per_channel(weight, x)
    if training:
        # The mean and the variance depend on every element of the channel, hence the two corrections.
        dxhat = (
            dxhat
            - dxhat.mean(axis=axes, keepdims=True)
            - xhat * (dxhat * xhat).mean(axis=axes, keepdims=True)
        )
    dweight = None if weight is None else (dy * xhat).sum(axis=axes)
    dbias = None if bias is None else dy.sum(axis=axes)
    return rstd * dxhat, None, None, dweight, dbias


def check(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    training: bool,
    momentum: float,
    eps: float,
) -> None:
    require(x.ndim >= 2, ShapeError, f"[batch_norm] x must be [N, C, ...], but got shape {x.shape}")
    shape = (x.shape[1],)
    check_parameter("batch_norm", "running_mean", running_mean, shape, x)
    check_parameter("batch_norm", "running_var", running_var, shape, x)
    check_parameter("batch_norm", "weight", weight, shape, x)
    check_parameter("batch_norm", "bias", bias, shape, x)
    require(
        (running_mean is None) == (running_var is None),
        ValueError,
        "[batch_norm] running_mean and running_var must be given together",
    )
    require(
        training or running_mean is not None,
        ValueError,
        "[batch_norm] running_mean and running_var are needed unless training",
    )
    require(
        not training or math.prod(x.shape[:1] + x.shape[2:]) > 1,
        ValueError,
        f"[batch_norm] training needs more than one value a channel, but got shape {x.shape}",
    )


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    def stats(C: int) -> tuple[Array, Array]:
        return rng.standard_normal(C), rng.random(C) + 0.5

    def affine(C: int) -> tuple[Array, Array]:
        return rng.standard_normal(C), rng.standard_normal(C)

    yield sample(rng.standard_normal((6, 5)), *stats(5), *affine(5), True)
    yield sample(rng.standard_normal((6, 5)), *stats(5), *affine(5))
    yield sample(rng.standard_normal((130, 37)) + 3.0, *stats(37), *affine(37), training=True, momentum=0.3)
    yield sample(rng.standard_normal((3, 4, 73)) + 2.0, None, None, *affine(4), training=True)
    yield sample(rng.standard_normal((3, 4, 9)), *stats(4), bias=rng.standard_normal(4), eps=1e-2)
    yield sample(rng.standard_normal((2, 3, 5, 7)), *stats(3), rng.standard_normal(3), training=True)
    yield sample(rng.standard_normal((2, 3, 5, 7)), *stats(3))
    yield sample(rng.standard_normal((1, 3, 4, 1)), *stats(3), *affine(3), training=True)
    yield sample(rng.standard_normal((0, 3)), *stats(3), *affine(3))
    yield sample(rng.standard_normal((4, 0)), None, None, training=True)


SPECS = [
    Spec(
        name="batch_norm",
        summary="Bring each channel to mean 0 and variance 1 over the batch, then scale and shift it.",
        formula=r"y = \frac{x - \mu_c}{\sqrt{\sigma^2_c + \epsilon}} w_c + b_c",
        shapes="x [N, C, ...], running_mean, running_var, weight and bias [C] -> y like x",
        args={
            "running_mean": "updated in place in training; used for the mean in evaluation",
            "running_var": "the same for the variance; its updates divide by n - 1",
            "training": "whether mean and variance are those of this batch",
            "momentum": "the share of this batch in an update of the running ones",
            "eps": "keeps the root away from zero",
        },
        forward=batch_norm,
        backward=backward,
        check=check,
        samples=samples,
        example=Example(
            # mean 2, variance 1: x is -1, 1 before weight and bias
            sample(np.array([[1.0], [3.0]]), None, None, np.array([2.0]), np.array([5.0]), True, eps=0.0),
            [[3.0], [7.0]],
            ([[0.0], [0.0]], [0.0], [2.0]),
        ),
        bad=(
            Bad(
                sample(np.zeros(3), None, None, training=True),
                ShapeError,
                "[batch_norm] x must be [N, C, ...], but got shape (3,)",
            ),
            Bad(
                sample(np.zeros((2, 3)), np.zeros(2), np.zeros(3)),
                ShapeError,
                "[batch_norm] running_mean must have shape (3,), but got (2,)",
            ),
            Bad(
                sample(np.zeros((2, 3)), np.zeros(3), np.ones(3), np.ones(4)),
                ShapeError,
                "[batch_norm] weight must have shape (3,), but got (4,)",
            ),
            Bad(
                sample(np.zeros((2, 3)), np.zeros(3), None),
                ValueError,
                "[batch_norm] running_mean and running_var must be given together",
            ),
            Bad(
                sample(np.zeros((2, 3)), None, None),
                ValueError,
                "[batch_norm] running_mean and running_var are needed unless training",
            ),
            Bad(
                sample(np.zeros((1, 3)), None, None, training=True),
                ValueError,
                "[batch_norm] training needs more than one value a channel, but got shape (1, 3)",
            ),
        ),
        # The variance of N·S terms, twice rounded; gradients of weight and bias sum over all of them.
        tolerance={"float32": (2e-5, 2e-5), "float64": (1e-12, 1e-12)},
        cost=lambda x, *args, **kwargs: Cost(8 * x.size, 2 * nbytes(x)),
        bench=lambda rng: sample(
            rng.standard_normal((32, 64, 32, 32)), np.zeros(64), np.ones(64), np.ones(64), np.zeros(64), True
        ),
        source="Ioffe, Szegedy: Batch Normalization (2015)",
    )
]
