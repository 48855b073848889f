"""split, chunk, unbind: a tensor cut along one axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from groundup.ops._spec import Array, Bad, Example, Sample, ShapeError, Spec, require, sample
from groundup.ops.reshape import EXACT
from groundup.ops.softmax import check_dim

Sizes = tuple[int, ...]


def _even(n: int, size: int) -> Sizes:
    """Sizes of parts of ``size``, the last one what is left."""
    return tuple(min(size, n - start) for start in range(0, n, size)) or (0,)


def _cut(x: Array, sizes: Sequence[int], dim: int) -> tuple[Array, ...]:
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=dim))


def _join(dys: Sequence[Array | None], parts: Sequence[Array], dim: int) -> Array:
    """One gradient of the whole; nothing came back for a part that nobody used."""
    return np.concatenate(
        [np.zeros_like(part) if dy is None else dy for dy, part in zip(dys, parts, strict=True)], axis=dim
    )


def split(x: Array, split_size_or_sections: Sizes, dim: int = 0) -> tuple[Array, ...]:
    sizes = split_size_or_sections
    return _cut(x, _even(x.shape[dim], max(sizes[0], 1)) if len(sizes) == 1 else sizes, dim)


def split_backward(
    dys: Sequence[Array | None], ys: Sequence[Array], x: Array, split_size_or_sections: Sizes, dim: int
) -> tuple[Array]:
    return (_join(dys, ys, dim),)


def chunk(x: Array, chunks: int, dim: int = 0) -> tuple[Array, ...]:
    n = x.shape[dim]
    return _cut(x, _even(n, max(-(-n // chunks), 1)), dim)


def chunk_backward(
    dys: Sequence[Array | None], ys: Sequence[Array], x: Array, chunks: int, dim: int
) -> tuple[Array]:
    return (_join(dys, ys, dim),)


def unbind(x: Array, dim: int = 0) -> tuple[Array, ...]:
    return tuple(np.moveaxis(x, dim, 0).copy())


def unbind_backward(dys: Sequence[Array | None], ys: Sequence[Array], x: Array, dim: int) -> tuple[Array]:
    grads = [np.zeros_like(y) if dy is None else dy for dy, y in zip(dys, ys, strict=True)]
    return (np.stack(grads, axis=dim),)


def _check_axis(op: str, x: Array, dim: int) -> None:
    require(x.ndim > 0, ShapeError, f"[{op}] a 0-d tensor has no axis to cut")
    check_dim(op, x, dim)


def check_split(x: Array, split_size_or_sections: Sizes, dim: int) -> None:
    sizes = split_size_or_sections
    _check_axis("split", x, dim)
    require(all(n >= 0 for n in sizes), ValueError, f"[split] sizes must not be negative, but got {sizes}")
    axis, n = dim % x.ndim, x.shape[dim]
    if len(sizes) == 1:
        require(sizes[0] > 0 or n == 0, ValueError, "[split] the size of parts must be positive, but got 0")
    else:
        require(
            sum(sizes) == n,
            ShapeError,
            f"[split] sizes must add up to {n} along dim {axis}, but got {sizes}",
        )


def check_chunk(x: Array, chunks: int, dim: int) -> None:
    _check_axis("chunk", x, dim)
    require(chunks >= 1, ValueError, f"[chunk] chunks must be at least 1, but got {chunks}")


def split_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((7, 6, 5))
    yield sample(x, 3)
    yield sample(x, 10)
    yield sample(x, (2, 3, 1), 1)
    yield sample(x, (2, 0, 3), dim=-1)
    yield sample(rng.standard_normal((72, 73)), (1, 72), 1)
    yield sample(np.zeros((0, 3)), 2)
    yield sample(np.zeros((0, 3)), (2, 1), 1)
    yield sample(rng.integers(0, 9, (4, 3)), 2)


def chunk_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((7, 6, 5))
    yield sample(x, 1)
    yield sample(x, 3)  # 3, 3, 1
    yield sample(x, 5)  # of 2, so only four
    yield sample(x, 2, 1)
    yield sample(x, 9, dim=-1)
    yield sample(np.zeros((0, 3)), 2)


def unbind_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((4, 3, 5))
    for dim in (0, 1, -1):
        yield sample(x, dim)
    yield sample(rng.standard_normal(3))
    yield sample(np.zeros((2, 0)))


_ROW = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
_BAD_DIM = sample(np.zeros((2, 3)), 1, 2)

SPECS = [
    Spec(
        name="split",
        summary="Parts of given sizes along an axis.",
        formula=r"x = [y_1, y_2, \ldots]",
        shapes="x [..., n, ...] -> y_i [..., n_i, ...]",
        args={"split_size_or_sections": "the size of every part, the last one may be smaller; or all sizes"},
        forward=split,
        backward=split_backward,
        check=check_split,
        samples=split_samples,
        example=Example(sample(_ROW, (2, 3)), ([1.0, 2.0], [3.0, 4.0, 5.0]), ([1.0, 1.0, 1.0, 1.0, 1.0],)),
        bad=(
            Bad(
                sample(np.zeros((2, 5)), (2, 2), 1),
                ShapeError,
                "[split] sizes must add up to 5 along dim 1, but got (2, 2)",
            ),
            Bad(sample(_ROW, (6, -1)), ValueError, "[split] sizes must not be negative, but got (6, -1)"),
            Bad(sample(_ROW, 0), ValueError, "[split] the size of parts must be positive, but got 0"),
            Bad(_BAD_DIM, IndexError, "[split] dim must be in -2 to 1, but got 2"),
            Bad(sample(np.array(1.0), 1), ShapeError, "[split] a 0-d tensor has no axis to cut"),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((1024, 3072)), 1024, -1),
    ),
    Spec(
        name="chunk",
        summary="At most so many parts along an axis, alike but for the last one.",
        formula=r"x = [y_1, \ldots, y_c]",
        shapes="x [..., n, ...] -> y_i [..., ⌈n / chunks⌉, ...]",
        args={"chunks": "how many parts; fewer where their rounded-up size leaves nothing"},
        forward=chunk,
        backward=chunk_backward,
        check=check_chunk,
        samples=chunk_samples,
        example=Example(sample(_ROW, 3), ([1.0, 2.0], [3.0, 4.0], [5.0]), ([1.0, 1.0, 1.0, 1.0, 1.0],)),
        bad=(
            Bad(sample(_ROW, 0), ValueError, "[chunk] chunks must be at least 1, but got 0"),
            Bad(_BAD_DIM, IndexError, "[chunk] dim must be in -2 to 1, but got 2"),
            Bad(sample(np.array(1.0), 1), ShapeError, "[chunk] a 0-d tensor has no axis to cut"),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((1024, 3072)), 3, -1),
    ),
    Spec(
        name="unbind",
        summary="The slices along an axis, without it.",
        formula=r"(y_k)_{\ldots\ldots} = x_{\ldots k \ldots}",
        shapes="x [..., n, ...] -> n tensors [..., ...]",
        forward=unbind,
        backward=unbind_backward,
        check=lambda x, dim: _check_axis("unbind", x, dim),
        samples=unbind_samples,
        example=Example(
            sample(np.array([[1.0, 2.0], [3.0, 4.0]]), 1),
            ([1.0, 3.0], [2.0, 4.0]),
            ([[1.0, 1.0], [1.0, 1.0]],),
        ),
        bad=(
            Bad(sample(np.zeros(2), 1), IndexError, "[unbind] dim must be in -1 to 0, but got 1"),
            Bad(sample(np.array(1.0)), ShapeError, "[unbind] a 0-d tensor has no axis to cut"),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((16, 1024, 256))),
    ),
]
