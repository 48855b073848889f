"""reshape, flatten, squeeze, unsqueeze: other axes over the same elements in the same order, for free."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from groundup.ops._spec import Array, Bad, Cost, Example, Sample, ShapeError, Spec, require, sample
from groundup.ops.softmax import check_dim

Dims = tuple[int, ...]


def reshape(x: Array, shape: Dims) -> Array:
    return x.reshape(shape)


def back(dy: Array, y: Array, x: Array, *args: Any) -> tuple[Array]:
    """The gradient, under the shape that x has."""
    return (dy.reshape(x.shape),)


def reshape_backward(dy: Array, y: Array, x: Array, shape: Dims) -> tuple[Array]:
    return back(dy, y, x)


def check_reshape(x: Array, shape: Dims) -> None:
    require(shape.count(-1) <= 1, ShapeError, f"[reshape] at most one size may be -1, but got {shape}")
    require(all(n >= -1 for n in shape), ShapeError, f"[reshape] sizes must not be negative, but got {shape}")
    known = math.prod(n for n in shape if n != -1)
    if -1 in shape:
        require(
            known != 0 and x.size % known == 0,
            ShapeError,
            f"[reshape] -1 must stand for a whole number of elements, but got {shape} for {x.size} elements",
        )
    else:
        require(known == x.size, ShapeError, f"[reshape] sizes must multiply to {x.size}, but got {shape}")


def reshape_samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((4, 6)), (3, 8))
    yield sample(rng.standard_normal((72, 73)), (73, -1))
    yield sample(rng.standard_normal((2, 3, 4)), -1)
    yield sample(rng.standard_normal((2, 3, 4)), (2, -1))
    yield sample(rng.standard_normal((1, 1)), ())
    yield sample(np.array(2.5), (1, 1, 1))
    yield sample(np.zeros((0, 3)), (5, 0))
    yield sample(np.zeros((0, 3)), (-1, 3))
    yield sample(rng.integers(0, 9, (2, 6)), (3, 4))
    yield sample(rng.integers(0, 2, (2, 6)) > 0, (3, 4))


def flatten(x: Array, start_dim: int = 0, end_dim: int = -1) -> Array:
    if x.ndim == 0:
        return x.reshape(1)
    first, last = start_dim % x.ndim, end_dim % x.ndim
    return x.reshape(*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :])


def flatten_backward(dy: Array, y: Array, x: Array, start_dim: int, end_dim: int) -> tuple[Array]:
    return back(dy, y, x)


def check_flatten(x: Array, start_dim: int, end_dim: int) -> None:
    check_dim("flatten", x, start_dim)
    check_dim("flatten", x, end_dim)
    axes = max(x.ndim, 1)
    require(
        start_dim % axes <= end_dim % axes,
        ValueError,
        f"[flatten] start_dim must not come after end_dim, but got {start_dim} and {end_dim}",
    )


def flatten_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((2, 3, 4, 5))
    yield sample(x)
    yield sample(x, 1)
    yield sample(x, 1, 2)
    yield sample(x, end_dim=-2)
    yield sample(x, 2, 2)
    yield sample(np.array(2.5))
    yield sample(np.zeros((2, 0, 3)), 1)


def squeeze(x: Array, dim: Dims | None = None) -> Array:
    chosen = range(x.ndim) if dim is None else {d % max(x.ndim, 1) for d in dim}
    return x.reshape([n for d, n in enumerate(x.shape) if n != 1 or d not in chosen])


def squeeze_backward(dy: Array, y: Array, x: Array, dim: Dims | None) -> tuple[Array]:
    return back(dy, y, x)


def check_squeeze(x: Array, dim: Dims | None) -> None:
    for d in dim or ():
        check_dim("squeeze", x, d)


def squeeze_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((1, 3, 1, 4, 1))
    yield sample(x)
    yield sample(x, 0)
    yield sample(x, -1)
    yield sample(x, 1)  # an axis of another size stays
    yield sample(x, (0, 2))
    yield sample(np.array(2.5), 0)
    yield sample(np.zeros((1, 0)))


def unsqueeze(x: Array, dim: int) -> Array:
    return np.expand_dims(x, dim)


def unsqueeze_backward(dy: Array, y: Array, x: Array, dim: int) -> tuple[Array]:
    return back(dy, y, x)


def check_unsqueeze(x: Array, dim: int) -> None:
    axes = x.ndim + 1
    require(
        -axes <= dim < axes, IndexError, f"[unsqueeze] dim must be in {-axes} to {axes - 1}, but got {dim}"
    )


def unsqueeze_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((3, 4))
    for dim in (0, 1, 2, -1, -3):
        yield sample(x, dim)
    yield sample(np.array(2.5), 0)
    yield sample(np.zeros((0, 2)), 1)


def free(*args: Any, **kwargs: Any) -> Cost:
    return Cost(0, 0)


def _spec(name: str, forward: Callable[..., Array], backward: Callable[..., Any], **fields: Any) -> Spec:
    return Spec(name=name, forward=forward, backward=backward, cost=free, tolerance=EXACT, **fields)


EXACT = {"float32": (0.0, 0.0), "float64": (0.0, 0.0)}
_MATRIX = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
_ONES = np.ones((2, 3))

SPECS = [
    _spec(
        "reshape",
        reshape,
        reshape_backward,
        summary="The same elements in the same order under another shape; shares memory.",
        formula=r"y_{\mathrm{flat}(i)} = x_{\mathrm{flat}(i)}",
        shapes="x [...] -> y [shape]",
        args={"shape": "the new sizes, of which one may be -1: what is left"},
        check=check_reshape,
        samples=reshape_samples,
        example=Example(sample(_MATRIX, (3, 2)), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], (_ONES,)),
        bad=(
            Bad(
                sample(np.zeros((2, 3)), (4, 2)),
                ShapeError,
                "[reshape] sizes must multiply to 6, but got (4, 2)",
            ),
            Bad(
                sample(np.zeros((2, 3)), (-1, -1)),
                ShapeError,
                "[reshape] at most one size may be -1, but got (-1, -1)",
            ),
            Bad(
                sample(np.zeros((2, 3)), (-2, 3)),
                ShapeError,
                "[reshape] sizes must not be negative, but got (-2, 3)",
            ),
            Bad(
                sample(np.zeros((2, 3)), (4, -1)),
                ShapeError,
                "[reshape] -1 must stand for a whole number of elements, but got (4, -1) for 6 elements",
            ),
            Bad(
                sample(np.zeros((0, 3)), (0, -1)),
                ShapeError,
                "[reshape] -1 must stand for a whole number of elements, but got (0, -1) for 0 elements",
            ),
        ),
    ),
    _spec(
        "flatten",
        flatten,
        flatten_backward,
        summary="Neighbouring axes as one; shares memory.",
        formula=r"y_{\mathrm{flat}(i)} = x_{\mathrm{flat}(i)}",
        shapes="x [a, ..., b, c] -> y [a · … · b, c]",
        args={"start_dim": "the first axis of those that become one", "end_dim": "the last of them"},
        check=check_flatten,
        samples=flatten_samples,
        example=Example(sample(_MATRIX), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], (_ONES,)),
        bad=(
            Bad(sample(_MATRIX, 2), IndexError, "[flatten] dim must be in -2 to 1, but got 2"),
            Bad(
                sample(_MATRIX, 1, 0),
                ValueError,
                "[flatten] start_dim must not come after end_dim, but got 1 and 0",
            ),
        ),
    ),
    _spec(
        "squeeze",
        squeeze,
        squeeze_backward,
        summary="Without the axes of size 1; shares memory.",
        formula=r"y_{\mathrm{flat}(i)} = x_{\mathrm{flat}(i)}",
        shapes="x [..., 1, ...] -> y [..., ...]",
        args={"dim": "the axes that go if their size is 1; all if None"},
        check=check_squeeze,
        samples=squeeze_samples,
        example=Example(sample(np.array([[[1.0], [2.0]]]), 0), [[1.0], [2.0]], ([[[1.0], [1.0]]],)),
        bad=(Bad(sample(_MATRIX, 2), IndexError, "[squeeze] dim must be in -2 to 1, but got 2"),),
    ),
    _spec(
        "unsqueeze",
        unsqueeze,
        unsqueeze_backward,
        summary="With one more axis, of size 1; shares memory.",
        formula=r"y_{\mathrm{flat}(i)} = x_{\mathrm{flat}(i)}",
        shapes="x [..., ...] -> y [..., 1, ...]",
        args={"dim": "where the new axis is in the result"},
        check=check_unsqueeze,
        samples=unsqueeze_samples,
        example=Example(sample(np.array([1.0, 2.0]), 1), [[1.0], [2.0]], ([1.0, 1.0],)),
        bad=(Bad(sample(_MATRIX, 3), IndexError, "[unsqueeze] dim must be in -3 to 2, but got 3"),),
    ),
]
