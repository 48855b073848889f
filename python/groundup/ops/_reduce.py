"""What the references of all reductions share: axes, their checks, and undoing a reduction in backward."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._spec import Array, Bad, Sample, sample

Dims = int | tuple[int, ...] | None


def axes_of(x: Array, dim: Dims) -> tuple[int, ...]:
    """The reduced axes, from 0 on. None and () mean all of them."""
    if dim is None or dim == ():
        return tuple(range(x.ndim))
    axes = (dim,) if isinstance(dim, int) else dim
    return tuple(a % x.ndim for a in axes) if x.ndim else ()


def count(x: Array, dim: Dims) -> int:
    """How many elements go into one."""
    return int(np.prod([x.shape[a] for a in axes_of(x, dim)], dtype=int))


def kept(y: Array, x: Array, dim: Dims) -> Array:
    """A result with the reduced axes back, of size 1."""
    axes = axes_of(x, dim)
    return y.reshape([1 if a in axes else n for a, n in enumerate(x.shape)])


def expand(y: Array, x: Array, dim: Dims) -> Array:
    """A result repeated over the axes that were reduced: each element of x gets its group's."""
    return np.broadcast_to(kept(y, x, dim), x.shape)


def check_axis(op: str, x: Array, axis: int) -> None:
    """Raise unless the axis exists; a 0-d tensor has the axes 0 and -1, as in PyTorch."""
    n = max(x.ndim, 1)
    if not -n <= axis < n:
        raise IndexError(f"[{op}] dim must be in {-n} to {n - 1}, but got {axis}")


def check_dims(op: str, x: Array, dim: Dims) -> None:
    """Raise unless all axes exist and none comes twice."""
    axes = () if dim is None else (dim,) if isinstance(dim, int) else dim
    for axis in axes:
        check_axis(op, x, axis)
    if len(set(axes_of(x, axes))) < len(axes) and x.ndim:
        raise ValueError(f"[{op}] dim must name every axis once, but got {axes}")


def bad_dims(op: str) -> tuple[Bad, ...]:
    """Calls that every reduction over several axes refuses."""
    x = np.ones((2, 3))
    return (
        Bad(sample(x, 2), IndexError, f"[{op}] dim must be in -2 to 1, but got 2"),
        Bad(sample(x, (0, -2)), ValueError, f"[{op}] dim must name every axis once, but got (0, -2)"),
    )


def reduction_samples(rng: np.random.Generator) -> Iterable[Sample]:
    """Everything, one axis at either end and between, several axes, a size of 0 and 0-d."""
    yield sample(rng.standard_normal((72, 73)))
    yield sample(rng.standard_normal((72, 73)), 0)
    yield sample(rng.standard_normal((72, 73)), -1, keepdim=True)
    x = rng.standard_normal((3, 4, 5, 6))
    for dims in (1, (0, 1), (0, 2), (1, 3), (-1, 0), (3, 1, 0), ()):
        yield sample(x, dims)
    yield sample(x, (0, 2), keepdim=True)
    yield sample(x, keepdim=True)
    yield sample(rng.standard_normal(20011))  # several blocks, and a ragged end
    yield sample(np.zeros((0, 3)), 1)
    yield sample(np.array(1.5))
    yield sample(np.array(1.5), 0)
