"""The largest and the smallest elements, and where they are. A NaN counts as the extreme one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from groundup.ops._reduce import Dims, axes_of, bad_dims, check_axis, check_dims, count, expand, kept
from groundup.ops._reduce import reduction_samples as _reduction_samples
from groundup.ops._spec import Array, Bad, Example, Sample, ShapeError, Spec, require, sample

Pair = tuple[Array, Array]


def amax(x: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    return np.asarray(x.max(axes_of(x, dim), keepdims=keepdim))


def amin(x: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    return np.asarray(x.min(axes_of(x, dim), keepdims=keepdim))


def shared_backward(dy: Array, y: Array, x: Array, dim: Dims, keepdim: bool) -> tuple[Array]:
    """Equal extremes share the gradient evenly."""
    ties = x == kept(y, x, dim)
    return (ties * (expand(dy, x, dim) / ties.sum(axes_of(x, dim), dtype=x.dtype, keepdims=True)),)


def argmax(x: Array, dim: int | None = None, keepdim: bool = False) -> Array:
    return np.asarray(np.argmax(x, dim if x.ndim else None, keepdims=keepdim))


def argmin(x: Array, dim: int | None = None, keepdim: bool = False) -> Array:
    return np.asarray(np.argmin(x, dim if x.ndim else None, keepdims=keepdim))


def _take(x: Array, indices: Array, dim: int) -> Array:
    return np.take_along_axis(x, indices, dim) if x.ndim else x.copy()


def max(x: Array, dim: int | None = None, keepdim: bool = False) -> Array | Pair:
    if dim is None:
        return amax(x, None, keepdim)
    indices = argmax(x, dim, keepdim=True)
    values = _take(x, indices, dim)
    return (values, indices) if keepdim or x.ndim == 0 else (values.squeeze(dim), indices.squeeze(dim))


def min(x: Array, dim: int | None = None, keepdim: bool = False) -> Array | Pair:
    if dim is None:
        return amin(x, None, keepdim)
    indices = argmin(x, dim, keepdim=True)
    values = _take(x, indices, dim)
    return (values, indices) if keepdim or x.ndim == 0 else (values.squeeze(dim), indices.squeeze(dim))


def chosen_backward(dy: Any, y: Any, x: Array, dim: int | None, keepdim: bool) -> tuple[Array]:
    """Along one axis the gradient goes to the one element that was chosen."""
    if dim is None:
        return shared_backward(dy, y, x, dim, keepdim)
    dvalues, indices = kept(dy[0], x, dim), kept(y[1], x, dim)
    if x.ndim == 0:
        return (dvalues,)
    dx = np.zeros_like(x)
    np.put_along_axis(dx, indices, dvalues, dim)
    return (dx,)


def _need_elements(op: str, x: Array, reduced: int) -> None:
    require(reduced > 0, ShapeError, f"[{op}] at least one element must be reduced, but got shape {x.shape}")


def _check_dims(op: str) -> Callable[[Array, Dims, bool], None]:
    def check(x: Array, dim: Dims, keepdim: bool) -> None:
        check_dims(op, x, dim)
        _need_elements(op, x, count(x, dim))

    return check


def _check_dim(op: str) -> Callable[[Array, int | None, bool], None]:
    def check(x: Array, dim: int | None, keepdim: bool) -> None:
        if dim is not None:
            check_axis(op, x, dim)
        _need_elements(op, x, count(x, dim))

    return check


_TIES = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])


def reduction_samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield from _reduction_samples(rng)
    yield sample(rng.integers(-9, 10, (4, 5, 6)), (0, 2))
    yield sample(rng.integers(-9, 10, (4, 5, 6)) > 0, 1)
    yield sample(np.zeros((0, 3)), 1)


def _axis_samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((72, 73)))
    yield sample(rng.standard_normal((72, 73)), keepdim=True)
    for dim in (0, 1, -1):
        yield sample(rng.standard_normal((13, 4, 150)), dim)
        yield sample(rng.standard_normal((13, 4, 150)), dim, keepdim=True)
    yield sample(rng.integers(-9, 10, (4, 5, 6)), 1)
    yield sample(rng.integers(-9, 10, (4, 5, 6)))
    yield sample(rng.integers(-9, 10, (4, 5, 6)) > 0, 2)
    yield sample(np.zeros((0, 3)), 1)
    yield sample(np.array(1.5))
    yield sample(np.array(1.5), 0)
    yield sample(np.array(1.5), -1, keepdim=True)


def _nan_samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield from _axis_samples(rng)
    yield sample(_TIES, 1)  # of equal elements the first counts
    yield sample(np.array([1.0, np.nan, 5.0, np.nan]), 0)
    yield sample(np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, 0.0]]), 0)
    yield sample(np.full((3, 2), -np.inf), 0)
    yield sample(np.full((3, 2), np.inf), 1)


def _empty(op: str) -> Bad:
    return Bad(
        sample(np.zeros((0, 3)), 0),
        ShapeError,
        f"[{op}] at least one element must be reduced, but got shape (0, 3)",
    )


def _spec(name: str, **fields: Any) -> Spec:
    several = name in ("amax", "amin")
    defaults: dict[str, Any] = {
        "shapes": "x [...] -> y [...] without the axes of dim",
        "args": {
            "dim": "the axis or axes to reduce; None means all" if several else "the axis; None means all",
            "keepdim": "keep reduced axes with size 1",
        },
        "samples": reduction_samples if several else _axis_samples,
        "check": _check_dims(name) if several else _check_dim(name),
        "bad": (
            _empty(name),
            *(
                bad_dims(name)
                if several
                else (
                    Bad(
                        sample(np.ones((2, 3)), 2), IndexError, f"[{name}] dim must be in -2 to 1, but got 2"
                    ),
                )
            ),
        ),
        "bench": lambda rng: sample(rng.standard_normal((2500, 4000), np.float32), 1),
    }
    return Spec(name=name, forward=globals()[name], **{**defaults, **fields})


SPECS = [
    _spec(
        "amax",
        summary="The largest element over some or all axes; equal ones share the gradient.",
        formula=r"y = \max_i x_i",
        backward=shared_backward,
        example=Example(sample(_TIES, 1), [3.0, 2.0], ([[0.0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]],)),
    ),
    _spec(
        "amin",
        summary="The smallest element over some or all axes; equal ones share the gradient.",
        formula=r"y = \min_i x_i",
        backward=shared_backward,
        example=Example(sample(_TIES, 1), [1.0, 2.0], ([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]],)),
    ),
    _spec(
        "max",
        summary="The largest element, or (values, indices) along an axis; its gradient goes to that index.",
        formula=r"y = \max_i x_i",
        shapes="x [...] -> y [], or values [...] and indices [...] without the axis dim",
        backward=chosen_backward,
        example=Example(sample(_TIES, 1), ([3.0, 2.0], [1, 0]), ([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],)),
    ),
    _spec(
        "min",
        summary="The smallest element, or (values, indices) along an axis; its gradient goes to that index.",
        formula=r"y = \min_i x_i",
        shapes="x [...] -> y [], or values [...] and indices [...] without the axis dim",
        backward=chosen_backward,
        example=Example(sample(_TIES, 1), ([1.0, 2.0], [0, 0]), ([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]],)),
    ),
    _spec(
        "argmax",
        summary="Where the largest element is, along an axis or in the flat tensor; of equal ones the first.",
        formula=r"y = \arg\max_i x_i",
        samples=_nan_samples,
        example=Example(sample(_TIES, 1), [1, 0]),
    ),
    _spec(
        "argmin",
        summary="Where the smallest element is, along an axis or in the flat tensor; of equal ones the first.",
        formula=r"y = \arg\min_i x_i",
        samples=_nan_samples,
        example=Example(sample(_TIES, 1), [0, 0]),
    ),
]
