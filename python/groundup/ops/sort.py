"""sort, argsort, topk: elements in order along one axis, and where they came from.

A NaN counts as larger than every number; equal elements keep their order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup.ops._spec import Array, Bad, Example, Sample, Spec, require, sample
from groundup.ops.reshape import EXACT
from groundup.ops.softmax import check_dim

Pair = tuple[Array, Array]


def argsort(x: Array, dim: int = -1, descending: bool = False) -> Array:
    if x.ndim == 0:
        return np.array(0)
    if not descending:
        return np.argsort(x, axis=dim, kind="stable")
    # Sorted upwards from behind and read backwards: equal elements come in their order.
    backwards = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
    return np.asarray(x.shape[dim] - 1 - np.flip(backwards, dim))


def _take(x: Array, indices: Array, dim: int) -> Array:
    return np.take_along_axis(x, indices, dim) if x.ndim else x.copy()


def sort(x: Array, dim: int = -1, descending: bool = False) -> Pair:
    indices = argsort(x, dim, descending)
    return _take(x, indices, dim), indices


def sort_backward(dys: Any, ys: Pair, x: Array, dim: int, descending: bool) -> tuple[Array]:
    return (_back(dys[0], ys[1], x, dim),)


def topk(x: Array, k: int, dim: int = -1, largest: bool = True) -> Pair:
    indices = argsort(x, dim, largest)
    if x.ndim:
        indices = np.take(indices, range(k), axis=dim)
    return _take(x, indices, dim), indices


def topk_backward(dys: Any, ys: Pair, x: Array, k: int, dim: int, largest: bool) -> tuple[Array]:
    return (_back(dys[0], ys[1], x, dim),)


def _back(dvalues: Array, indices: Array, x: Array, dim: int) -> Array:
    """Each gradient where its element came from."""
    if x.ndim == 0:
        return dvalues
    dx = np.zeros_like(x)
    np.put_along_axis(dx, indices, dvalues, dim)
    return dx


def check_topk(x: Array, k: int, dim: int, largest: bool) -> None:
    check_dim("topk", x, dim)
    axis, n = (dim % x.ndim, x.shape[dim]) if x.ndim else (0, 1)
    require(0 <= k <= n, ValueError, f"[topk] k must be in 0 to {n}, the size of dim {axis}, but got {k}")
    require(x.ndim > 0 or k == 1, ValueError, "[topk] k must be 1 for a 0-d tensor, but got 0")


_TIES = np.array([[2.0, 1.0, 2.0, 1.0, 3.0], [0.0, -0.0, 0.0, -1.0, -1.0]])


def _apart(rng: np.random.Generator, *shape: int) -> Array:
    """Numbers at least 0.1 apart: a small step changes no order."""
    return rng.permutation(math.prod(shape)).reshape(shape) / 10


def _arrays(rng: np.random.Generator) -> Iterable[Array]:
    yield _apart(rng, 4, 7, 6)
    yield _apart(rng, 72, 73)
    yield rng.integers(-4, 5, (5, 40))
    yield rng.integers(0, 2, (5, 6)) > 0


def sort_samples(rng: np.random.Generator) -> Iterable[Sample]:
    for x in _arrays(rng):
        yield sample(x)
        yield sample(x, 0, True)
    yield sample(_apart(rng, 4, 7, 6), 1)
    yield sample(np.array(2.5))
    yield sample(np.zeros((0, 3)))
    yield sample(np.zeros((3, 0)), descending=True)


def argsort_samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield from sort_samples(rng)
    yield sample(_TIES)
    yield sample(_TIES, descending=True)
    yield sample(np.array([1.0, np.nan, np.inf, -np.inf, np.nan]))
    yield sample(np.array([1.0, np.nan, np.inf, -np.inf, np.nan]), 0, True)


def topk_samples(rng: np.random.Generator) -> Iterable[Sample]:
    for x in _arrays(rng):
        yield sample(x, 3)
        yield sample(x, 2, 0, False)
    yield sample(_apart(rng, 4, 7, 6), 7, 1)
    yield sample(_apart(rng, 4, 7), 0)
    yield sample(np.array(2.5), 1)
    yield sample(np.zeros((0, 3)), 2)


_ROW = np.array([[3.0, 1.0, 2.0]])
_BAD_DIM = sample(np.zeros((2, 3)), 2)

SPECS = [
    Spec(
        name="sort",
        summary="The elements along an axis in order, and where each came from.",
        formula=r"y_1 \le y_2 \le \ldots",
        shapes="x [..., n, ...] -> values, indices [..., n, ...]",
        args={"descending": "from the largest to the smallest"},
        forward=sort,
        backward=sort_backward,
        check=lambda x, dim, descending: check_dim("sort", x, dim),
        samples=sort_samples,
        example=Example(sample(_ROW), ([[1.0, 2.0, 3.0]], [[1, 2, 0]]), ([[1.0, 1.0, 1.0]],)),
        bad=(Bad(_BAD_DIM, IndexError, "[sort] dim must be in -2 to 1, but got 2"),),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((64, 16384))),
    ),
    Spec(
        name="argsort",
        summary="The indices that put the elements along an axis in order.",
        formula=r"x_{i_1} \le x_{i_2} \le \ldots",
        shapes="x [..., n, ...] -> indices [..., n, ...]",
        args={"descending": "from the largest to the smallest"},
        forward=argsort,
        check=lambda x, dim, descending: check_dim("argsort", x, dim),
        samples=argsort_samples,
        example=Example(sample(_ROW, descending=True), [[0, 2, 1]]),
        bad=(Bad(_BAD_DIM, IndexError, "[argsort] dim must be in -2 to 1, but got 2"),),
        bench=lambda rng: sample(rng.standard_normal((64, 16384))),
    ),
    Spec(
        name="topk",
        summary="The k largest elements along an axis, in order, and where they are.",
        formula=r"y_1 \ge y_2 \ge \ldots \ge y_k",
        shapes="x [..., n, ...] -> values, indices [..., k, ...]",
        args={"largest": "False: the smallest ones, from the smallest on"},
        forward=topk,
        backward=topk_backward,
        check=check_topk,
        samples=topk_samples,
        example=Example(sample(_ROW, 2), ([[3.0, 2.0]], [[0, 2]]), ([[1.0, 0.0, 1.0]],)),
        bad=(
            Bad(
                sample(np.zeros((2, 3)), 4),
                ValueError,
                "[topk] k must be in 0 to 3, the size of dim 1, but got 4",
            ),
            Bad(sample(np.zeros((2, 3)), 1, 2), IndexError, "[topk] dim must be in -2 to 1, but got 2"),
            Bad(sample(np.array(1.0), 0), ValueError, "[topk] k must be 1 for a 0-d tensor, but got 0"),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((16, 50257)), 50),
    ),
]
