"""What the references of the normalizations share."""

from __future__ import annotations

import numpy as np

from groundup.ops._spec import Array, DTypeError, ShapeError, require


def fold(normalized_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that are normalized: the last ones."""
    return tuple(range(-len(normalized_shape), 0))


def sum_to(grad: Array, normalized_shape: tuple[int, ...]) -> Array:
    """Sum over all rows: the gradient of a parameter that every row used."""
    return np.asarray(grad.reshape(-1, *normalized_shape).sum(axis=0))


def check_norm(op: str, x: Array, normalized_shape: tuple[int, ...], **parameters: Array | None) -> None:
    """Raise what the compiled op raises for shapes and dtypes that do not fit."""
    n = len(normalized_shape)
    fits = 0 < n <= x.ndim and x.shape[-n:] == tuple(normalized_shape)
    require(
        fits,
        ShapeError,
        f"[{op}] normalized_shape must be the last sizes of x, but got {tuple(normalized_shape)} "
        f"for x of shape {x.shape}",
    )
    for name, p in parameters.items():
        check_parameter(op, name, p, tuple(normalized_shape), x)


def check_parameter(op: str, name: str, p: Array | None, shape: tuple[int, ...], x: Array) -> None:
    """Raise unless a parameter, where it is given, has this shape and the dtype of x."""
    if p is None:
        return
    require(p.shape == shape, ShapeError, f"[{op}] {name} must have shape {shape}, but got {p.shape}")
    require(p.dtype == x.dtype, DTypeError, f"[{op}] {name} must be {x.dtype} like x, but got {p.dtype}")
