"""concat and stack: several tensors behind one another, along an axis they have or a new one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup.ops._spec import Array, Bad, Example, Sample, ShapeError, Spec, promoted, require, sample
from groundup.ops.reshape import EXACT
from groundup.ops.softmax import check_dim


def concat(tensors: list[Array], dim: int = 0) -> Array:
    return np.concatenate(promoted(*tensors), axis=dim)


def concat_backward(dy: Array, y: Array, tensors: list[Array], dim: int) -> tuple[list[Array]]:
    ends = np.cumsum([t.shape[dim] for t in tensors])
    parts = np.split(dy, ends[:-1], axis=dim)
    return ([part.astype(t.dtype) for part, t in zip(parts, tensors, strict=True)],)


def stack(tensors: list[Array], dim: int = 0) -> Array:
    return np.stack(promoted(*tensors), axis=dim)


def stack_backward(dy: Array, y: Array, tensors: list[Array], dim: int) -> tuple[list[Array]]:
    return ([part.astype(t.dtype) for part, t in zip(np.moveaxis(dy, dim, 0), tensors, strict=True)],)


def check_concat(tensors: list[Array], dim: int) -> None:
    require(len(tensors) > 0, ValueError, "[concat] at least one tensor must be given")
    first = tensors[0]
    require(first.ndim > 0, ShapeError, "[concat] 0-d tensors have no axis to join along; use stack")
    check_dim("concat", first, dim)
    axis = dim % first.ndim
    for t in tensors:
        require(
            t.ndim == first.ndim
            and t.shape[:axis] + t.shape[axis + 1 :] == first.shape[:axis] + first.shape[axis + 1 :],
            ShapeError,
            f"[concat] shapes must agree but along dim {axis}, but got {first.shape} and {t.shape}",
        )


def check_stack(tensors: list[Array], dim: int) -> None:
    require(len(tensors) > 0, ValueError, "[stack] at least one tensor must be given")
    axes = tensors[0].ndim + 1
    require(-axes <= dim < axes, IndexError, f"[stack] dim must be in {-axes} to {axes - 1}, but got {dim}")
    for t in tensors:
        require(
            t.shape == tensors[0].shape,
            ShapeError,
            f"[stack] shapes must agree, but got {tensors[0].shape} and {t.shape}",
        )


def concat_samples(rng: np.random.Generator) -> Iterable[Sample]:
    def arrays(*shapes: tuple[int, ...]) -> list[Any]:
        return [rng.standard_normal(s) for s in shapes]

    yield sample(arrays((2, 3), (4, 3), (1, 3)))
    yield sample(arrays((5, 72, 3), (5, 1, 3), (5, 73, 3)), 1)
    yield sample(arrays((4, 3), (4, 5)), dim=-1)
    yield sample(arrays((7,)))
    yield sample(arrays((0, 3), (2, 3), (0, 3)))
    yield sample(arrays((2, 0), (2, 0)), 1)
    yield sample([rng.standard_normal((2, 3)), np.ones((1, 3))])
    yield sample([rng.integers(0, 9, (2, 3)), rng.integers(0, 9, (2, 1))], 1)


def stack_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = [rng.standard_normal((3, 4)) for _ in range(5)]
    for dim in (0, 1, 2, -1, -3):
        yield sample(x, dim)
    yield sample(x[:1])
    yield sample([np.array(1.5), np.array(2.5)])
    yield sample([np.zeros((0, 2))] * 3, 1)
    yield sample([rng.integers(0, 9, 3), rng.integers(0, 9, 3)])


_PAIR = [np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])]

SPECS = [
    Spec(
        name="concat",
        summary="Tensors behind one another along an axis they have.",
        formula=r"y = [x_1, x_2, \ldots]",
        shapes="tensors [..., n_i, ...] -> y [..., n_1 + n_2 + …, ...]",
        args={"tensors": "alike but along dim; the result has the latest of their dtypes"},
        forward=concat,
        backward=concat_backward,
        check=check_concat,
        samples=concat_samples,
        example=Example(
            sample(_PAIR, 0), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], ([[1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]])
        ),
        bad=(
            Bad(
                sample([np.zeros((2, 3)), np.zeros((2, 4))]),
                ShapeError,
                "[concat] shapes must agree but along dim 0, but got (2, 3) and (2, 4)",
            ),
            Bad(
                sample([np.zeros((2, 3)), np.zeros(3)], -1),
                ShapeError,
                "[concat] shapes must agree but along dim 1, but got (2, 3) and (3,)",
            ),
            Bad(sample([np.zeros((2, 3))], 2), IndexError, "[concat] dim must be in -2 to 1, but got 2"),
            Bad(
                sample([np.array(1.0)]),
                ShapeError,
                "[concat] 0-d tensors have no axis to join along; use stack",
            ),
            Bad(sample([]), ValueError, "[concat] at least one tensor must be given"),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample([rng.standard_normal((1024, 1024)) for _ in range(3)], -1),
    ),
    Spec(
        name="stack",
        summary="Tensors of one shape behind one another along a new axis.",
        formula=r"y_{\ldots k \ldots} = (x_k)_{\ldots\ldots}",
        shapes="n tensors [...] -> y [..., n, ...]",
        args={"dim": "where the new axis is in the result"},
        forward=stack,
        backward=stack_backward,
        check=check_stack,
        samples=stack_samples,
        example=Example(
            sample([np.array([1.0, 2.0]), np.array([3.0, 4.0])], 1),
            [[1.0, 3.0], [2.0, 4.0]],
            ([1.0, 1.0], [1.0, 1.0]),
        ),
        bad=(
            Bad(
                sample([np.zeros((2, 3)), np.zeros((2, 4))]),
                ShapeError,
                "[stack] shapes must agree, but got (2, 3) and (2, 4)",
            ),
            Bad(sample([np.zeros(3)], 2), IndexError, "[stack] dim must be in -2 to 1, but got 2"),
            Bad(sample([]), ValueError, "[stack] at least one tensor must be given"),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample([rng.standard_normal((1024, 1024)) for _ in range(3)], 1),
    ),
]
