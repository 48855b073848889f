"""softmax: scores to probabilities along one axis; and its logarithm."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._spec import Array, Bad, Cost, Example, Sample, Spec, nbytes, require, sample


def softmax(x: Array, dim: int = -1) -> Array:
    # Subtracting the maximum changes nothing in exact arithmetic and keeps exp from overflowing.
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    return np.asarray(e / e.sum(axis=dim, keepdims=True))


def softmax_backward(dy: Array, y: Array, x: Array, dim: int = -1) -> tuple[Array]:
    return (y * (dy - (dy * y).sum(axis=dim, keepdims=True)),)


def log_softmax(x: Array, dim: int = -1) -> Array:
    shifted = x - x.max(axis=dim, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True)))


def log_softmax_backward(dy: Array, y: Array, x: Array, dim: int = -1) -> tuple[Array]:
    return (dy - np.exp(y) * dy.sum(axis=dim, keepdims=True),)


def check_dim(op: str, x: Array, dim: int) -> None:
    axes = max(x.ndim, 1)
    require(-axes <= dim < axes, IndexError, f"[{op}] dim must be in {-axes} to {axes - 1}, but got {dim}")


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((4, 7)))
    yield sample(rng.standard_normal((12, 13, 74)) * 4)
    yield sample(rng.standard_normal((5, 6, 7)), 1)
    yield sample(rng.standard_normal((5, 6)), dim=0)
    yield sample(rng.standard_normal((2, 9, 74)), -2)
    yield sample(np.array([1e4, 0.0, -1e4]))
    yield sample(np.zeros((0, 3)))
    yield sample(np.array(2.5))


def _bad(op: str) -> tuple[Bad, ...]:
    return (Bad(sample(np.zeros((2, 3)), 2), IndexError, f"[{op}] dim must be in -2 to 1, but got 2"),)


THIRD = 1 / 3
SPECS = [
    Spec(
        name="softmax",
        summary="Scores to probabilities: positive, and summing to one along an axis.",
        formula=r"y_i = \frac{e^{x_i}}{\sum_j e^{x_j}}",
        shapes="x [..., n, ...] -> y [..., n, ...]",
        args={"dim": "the axis along which the result sums to one"},
        forward=softmax,
        backward=softmax_backward,
        check=lambda x, dim: check_dim("softmax", x, dim),
        samples=samples,
        # Scores 0 and log 2 weigh 1 : 2; ones as gradient change nothing, since the sum stays one.
        example=Example(sample(np.array([[0.0, np.log(2.0)]])), [[THIRD, 2 * THIRD]], ([[0.0, 0.0]],)),
        bad=_bad("softmax"),
        cost=lambda x, dim=-1: Cost(5 * x.size, 2 * nbytes(x)),
        bench=lambda rng: sample(rng.standard_normal((4096, 1024))),
        source="Bridle: Probabilistic Interpretation of Feedforward Classification Network Outputs (1990)",
    ),
    Spec(
        name="log_softmax",
        summary="The logarithm of softmax, exact where the probability itself would round to zero.",
        formula=r"y_i = x_i - \log \sum_j e^{x_j}",
        shapes="x [..., n, ...] -> y [..., n, ...]",
        args={"dim": "the axis along which the exponentials of the result sum to one"},
        forward=log_softmax,
        backward=log_softmax_backward,
        check=lambda x, dim: check_dim("log_softmax", x, dim),
        samples=samples,
        example=Example(
            sample(np.array([[0.0, np.log(2.0)]])),
            [[-np.log(3.0), np.log(2.0) - np.log(3.0)]],
            ([[THIRD, -THIRD]],),
        ),
        bad=_bad("log_softmax"),
        tolerance={"float32": (2e-6, 4e-6), "float64": (1e-13, 1e-13)},
        cost=lambda x, dim=-1: Cost(5 * x.size, 2 * nbytes(x)),
        bench=lambda rng: sample(rng.standard_normal((4096, 1024))),
    ),
]
