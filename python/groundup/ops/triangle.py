"""The lower and the upper triangle of matrices: the mask of everything that may not look ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from groundup.ops._spec import Array, Bad, Example, Sample, ShapeError, Spec, require, sample


def tril(x: Array, diagonal: int = 0) -> Array:
    return np.tril(x, diagonal)


def tril_backward(dy: Array, y: Array, x: Array, diagonal: int) -> tuple[Array]:
    return (np.tril(dy, diagonal),)


def triu(x: Array, diagonal: int = 0) -> Array:
    return np.triu(x, diagonal)


def triu_backward(dy: Array, y: Array, x: Array, diagonal: int) -> tuple[Array]:
    return (np.triu(dy, diagonal),)


def _check(op: str) -> Callable[[Array, int], None]:
    return lambda x, diagonal: require(
        x.ndim >= 2, ShapeError, f"[{op}] x must have at least 2 axes, but got shape {x.shape}"
    )


def _samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((72, 73)))
    for diagonal in (1, -2, 5, -9, 2**40, -(2**40)):
        yield sample(rng.standard_normal((2, 3, 4, 5)), diagonal)
    yield sample(rng.standard_normal((5, 3)), diagonal=-1)
    yield sample(np.zeros((0, 3)))
    yield sample(np.zeros((3, 0)), 1)
    yield sample(rng.integers(1, 9, (4, 4)))
    yield sample(np.ones((4, 4), np.bool_))


def _bad(op: str) -> tuple[Bad, ...]:
    return (Bad(sample(np.ones(3)), ShapeError, f"[{op}] x must have at least 2 axes, but got shape (3,)"),)


SPECS = [
    Spec(
        name="tril",
        summary="The lower triangle of matrices; elements above the diagonal become 0.",
        formula=r"y_{ij} = x_{ij} [j \le i + d]",
        shapes="x [..., R, C] -> y [..., R, C]",
        args={"diagonal": "d, how far above the main diagonal the last one kept is"},
        forward=tril,
        backward=tril_backward,
        samples=_samples,
        example=Example(
            sample(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])),
            [[1.0, 0.0, 0.0], [4.0, 5.0, 0.0]],
            ([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]],),
        ),
        check=_check("tril"),
        bad=_bad("tril"),
        bench=lambda rng: sample(rng.standard_normal((3000, 3000), np.float32)),
    ),
    Spec(
        name="triu",
        summary="The upper triangle of matrices; elements below the diagonal become 0.",
        formula=r"y_{ij} = x_{ij} [j \ge i + d]",
        shapes="x [..., R, C] -> y [..., R, C]",
        args={"diagonal": "d, how far above the main diagonal the first one kept is"},
        forward=triu,
        backward=triu_backward,
        samples=_samples,
        example=Example(
            sample(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])),
            [[1.0, 2.0, 3.0], [0.0, 5.0, 6.0]],
            ([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]],),
        ),
        check=_check("triu"),
        bad=_bad("triu"),
        bench=lambda rng: sample(rng.standard_normal((3000, 3000), np.float32)),
    ),
]
