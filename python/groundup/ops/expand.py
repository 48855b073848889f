"""expand and repeat: a tensor several times over, along axes of size 1 or along any axis."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np

from groundup.ops._spec import Array, Bad, Example, Sample, ShapeError, Spec, require, sample, unbroadcast

Sizes = tuple[int, ...]


def _resolved(x: Array, size: Sizes) -> Sizes:
    """``size`` with the sizes of x where it says −1."""
    added = len(size) - x.ndim
    return tuple(x.shape[d - added] if n == -1 and d >= added else n for d, n in enumerate(size))


def expand(x: Array, size: Sizes) -> Array:
    return np.broadcast_to(x, _resolved(x, size)).copy()


def expand_backward(dy: Array, y: Array, x: Array, size: Sizes) -> tuple[Array]:
    return (unbroadcast(dy, x.shape),)


def check_expand(x: Array, size: Sizes) -> None:
    sizes = _resolved(x, size)
    own = sizes[len(sizes) - x.ndim :]
    require(
        len(size) >= x.ndim
        and min(sizes, default=0) >= 0
        and all(n in (1, m) for n, m in zip(x.shape, own, strict=True)),
        ShapeError,
        f"[expand] shape {x.shape} must broadcast to size, but got {size}",
    )


def _pairs(x: Array, repeats: Sizes) -> Sizes:
    """r0, n0, r1, n1, ...: each axis with the axis that repeats it before it."""
    shape = (1,) * (len(repeats) - x.ndim) + x.shape
    return tuple(chain.from_iterable(zip(repeats, shape, strict=True)))


def repeat(x: Array, repeats: Sizes) -> Array:
    return np.tile(x, repeats)


def repeat_backward(dy: Array, y: Array, x: Array, repeats: Sizes) -> tuple[Array]:
    copies = tuple(range(0, 2 * len(repeats), 2))
    return (np.asarray(dy.reshape(_pairs(x, repeats)).sum(axis=copies)).reshape(x.shape),)


def check_repeat(x: Array, repeats: Sizes) -> None:
    require(
        len(repeats) >= x.ndim,
        ShapeError,
        f"[repeat] repeats must cover every axis of shape {x.shape}, but got {repeats}",
    )
    require(
        min(repeats, default=0) >= 0,
        ValueError,
        f"[repeat] repeats must not be negative, but got {repeats}",
    )


def expand_samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((3, 1)), (3, 4))
    yield sample(rng.standard_normal((72, 1, 73)), (-1, 5, -1))
    yield sample(rng.standard_normal(3), (2, 4, 3))
    yield sample(rng.standard_normal((1, 3, 1)), (5, 2, 3, 4))
    yield sample(rng.standard_normal((3, 4)), (3, 4))
    yield sample(np.array(2.5), (2, 3))
    yield sample(np.array(2.5), ())
    yield sample(rng.standard_normal((1, 3)), (0, 3))
    yield sample(np.zeros((0, 1)), (0, 3))
    yield sample(rng.integers(0, 9, (3, 1)), (3, 40))


def repeat_samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((2, 3)), (2, 1))
    yield sample(rng.standard_normal((7, 13)), (3, 4))
    yield sample(rng.standard_normal(3), (2, 4))
    yield sample(rng.standard_normal(3), 3)
    yield sample(np.array(2.5), (2, 2))
    yield sample(np.array(2.5), ())
    yield sample(rng.standard_normal((2, 3)), (0, 2))
    yield sample(np.zeros((0, 3)), (2, 2))
    yield sample(rng.integers(0, 9, (2, 3)), (2, 2))


# Sums of up to 72 copies of a gradient.
TOLERANCE = {"float32": (2e-6, 1e-5), "float64": (1e-13, 1e-13)}

SPECS = [
    Spec(
        name="expand",
        summary="Axes of size 1 repeated to a size, as broadcasting does; copies.",
        formula=r"y_{\ldots i \ldots} = x_{\ldots 0 \ldots}",
        shapes="x [..., 1, ...] -> y [..., n, ...]",
        args={"size": "the shape of the result; -1 keeps an axis as it is"},
        forward=expand,
        backward=expand_backward,
        check=check_expand,
        samples=expand_samples,
        # Each element stands twice in the result.
        example=Example(
            sample(np.array([[1.0], [3.0]]), (2, 2)), [[1.0, 1.0], [3.0, 3.0]], ([[2.0], [2.0]],)
        ),
        bad=(
            Bad(
                sample(np.zeros((2, 3)), (2, 4)),
                ShapeError,
                "[expand] shape (2, 3) must broadcast to size, but got (2, 4)",
            ),
            Bad(
                sample(np.zeros((2, 3)), 3),
                ShapeError,
                "[expand] shape (2, 3) must broadcast to size, but got (3,)",
            ),
            Bad(
                sample(np.zeros(3), (-1, 3)),
                ShapeError,
                "[expand] shape (3,) must broadcast to size, but got (-1, 3)",
            ),
        ),
        tolerance=TOLERANCE,
        bench=lambda rng: sample(rng.standard_normal((2048, 1)), (2048, 2048)),
    ),
    Spec(
        name="repeat",
        summary="Copies of a tensor behind one another along every axis.",
        formula=r"y_{i j \ldots} = x_{i \bmod n_0,\ j \bmod n_1 \ldots}",
        shapes="x [n0, n1, ...] -> y [r0 n0, r1 n1, ...]",
        args={"repeats": "how often along each axis; more than x has axes make new ones in front"},
        forward=repeat,
        backward=repeat_backward,
        check=check_repeat,
        samples=repeat_samples,
        example=Example(
            sample(np.array([[1.0, 2.0]]), (2, 2)),
            [[1.0, 2.0, 1.0, 2.0], [1.0, 2.0, 1.0, 2.0]],
            ([[4.0, 4.0]],),
        ),
        bad=(
            Bad(
                sample(np.zeros((2, 3)), 2),
                ShapeError,
                "[repeat] repeats must cover every axis of shape (2, 3), but got (2,)",
            ),
            Bad(sample(np.zeros(3), -1), ValueError, "[repeat] repeats must not be negative, but got (-1,)"),
        ),
        tolerance=TOLERANCE,
        bench=lambda rng: sample(rng.standard_normal((512, 512)), (4, 4)),
    ),
]
