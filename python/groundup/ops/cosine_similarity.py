"""cosine_similarity: the cosine of the angle between vectors; their lengths do not matter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup import ops
from groundup.ops._reduce import check_axis
from groundup.ops._spec import Array, Bad, Cost, Example, Sample, ShapeError, Spec, nbytes, require, sample

NAME = "cosine_similarity"


def cosine_similarity(x: Array, other: Array, dim: int = 1, eps: float = 1e-8) -> Array:
    def length(v: Array) -> Array:
        return np.asarray(np.maximum(np.sqrt(np.square(v).sum(axis=dim)), v.dtype.type(eps)))

    return np.asarray((x * other).sum(axis=dim) / (length(x) * length(other)))


def compose(x: Any, other: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """The product over both lengths. Under the root, so that a zero vector has a gradient: max(|v|², eps²)."""
    a, b = tuple(x.shape), tuple(other.shape)
    check_axis(NAME, x, dim)
    fits = len(a) == len(b) and all(m == n or 1 in (m, n) for m, n in zip(a, b, strict=True))
    require(
        fits and (not a or a[dim] == b[dim]),
        ShapeError,
        f"[{NAME}] x and other must have as many axes, sizes that broadcast, and one size along dim, "
        f"but got {a} and {b}",
    )

    def length(v: Any) -> Any:
        return ops.sqrt(ops.clamp(ops.sum(ops.square(v), dim), eps * eps))

    return ops.div(ops.sum(ops.mul(x, other), dim), ops.mul(length(x), length(other)))


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((4, 5)), rng.standard_normal((4, 5)))
    yield sample(rng.standard_normal((7, 3, 73)), rng.standard_normal((7, 3, 73)), -1)
    yield sample(rng.standard_normal((5, 1, 8)), rng.standard_normal((1, 6, 8)), dim=2)
    yield sample(rng.standard_normal(9), rng.standard_normal(9), 0)
    yield sample(rng.standard_normal((3, 4)), rng.standard_normal((3, 4)) * 0.01, eps=0.5)
    yield sample(np.zeros((0, 3)), np.zeros((0, 3)))


SPECS = [
    Spec(
        name=NAME,
        summary="The cosine of the angle between vectors: 1 in the same direction, 0 at a right angle.",
        formula=r"y = \frac{x \cdot z}{\max(\|x\|, \epsilon) \max(\|z\|, \epsilon)}",
        shapes="x [..., n, ...], other [..., n, ...] -> y [..., ...]",
        args={
            "dim": "the axis of the vectors' components",
            "eps": "the least length; keeps zero vectors finite",
        },
        forward=cosine_similarity,
        composition=compose,
        samples=samples,
        example=Example(
            sample(np.array([[3.0, 4.0]]), np.array([[1.0, 0.0]])),
            [0.6],
            # (z/|z| - y x/|x|) / |x| = ((1, 0) - 0.6 (0.6, 0.8)) / 5, and the other way round over |z| = 1
            ([[0.128, -0.096]], [[0.0, 0.8]]),
        ),
        bad=(
            Bad(
                sample(np.zeros((2, 3)), np.zeros((2, 4))),
                ShapeError,
                f"[{NAME}] x and other must have as many axes, sizes that broadcast, and one size along dim, "
                "but got (2, 3) and (2, 4)",
            ),
            Bad(sample(np.zeros(3), np.zeros(3)), IndexError, f"[{NAME}] dim must be in -1 to 0, but got 1"),
        ),
        cost=lambda x, other, *args, **kwargs: Cost(6 * x.size, nbytes(x, other)),
        bench=lambda rng: sample(rng.standard_normal((2048, 1024)), rng.standard_normal((2048, 1024))),
    )
]
