"""The product along an axis, and all sums from its start."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._reduce import check_axis, kept
from groundup.ops._spec import Array, Bad, Example, Sample, Spec, sample


def prod(x: Array, dim: int | None = None, keepdim: bool = False) -> Array:
    dtype = x.dtype if x.dtype.kind == "f" else np.int64
    return np.asarray(x.prod(dim if x.ndim else None, dtype=dtype, keepdims=keepdim))


def prod_backward(dy: Array, y: Array, x: Array, dim: int | None, keepdim: bool) -> tuple[Array]:
    # The product of all others is that of those before times that of those behind; y / x fails at 0.
    line = x.reshape(-1) if dim is None or x.ndim == 0 else np.moveaxis(x, dim, -1)  # ..., n
    ones = np.ones_like(line[..., :1])
    before = np.cumprod(np.concatenate([ones, line[..., :-1]], -1), -1)
    behind = np.cumprod(np.concatenate([ones, line[..., :0:-1]], -1), -1)[..., ::-1]
    others = before * behind
    others = others.reshape(x.shape) if dim is None or x.ndim == 0 else np.moveaxis(others, -1, dim)
    return (kept(dy, x, dim) * others,)


def cumsum(x: Array, dim: int) -> Array:
    # Floats are added in double: the rounding of a long float32 sum would grow with every step.
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.int64)
    total = np.float64 if dtype.kind == "f" else np.int64
    return x.cumsum(dim, dtype=total).astype(dtype).reshape(x.shape)


def cumsum_backward(dy: Array, y: Array, x: Array, dim: int) -> tuple[Array]:
    if x.ndim == 0:
        return (dy,)
    return (np.flip(cumsum(np.flip(dy, dim), dim), dim),)  # x_k is in y_k and in every later one


def _check_prod(x: Array, dim: int | None, keepdim: bool) -> None:
    if dim is not None:
        check_axis("prod", x, dim)


def _check_cumsum(x: Array, dim: int) -> None:
    check_axis("cumsum", x, dim)


def _prod_samples(rng: np.random.Generator) -> Iterable[Sample]:
    def near_one(*shape: int) -> Array:
        return np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.8, 1.25, shape))

    yield sample(near_one(5, 6))
    for dim in (0, 1, -1):
        yield sample(near_one(3, 24, 5), dim)
        yield sample(near_one(3, 24, 5), dim, keepdim=True)
    yield sample(np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 4.0]]), 1)  # zeros, where y / x fails
    yield sample(rng.integers(-3, 4, (4, 5)), 1)
    yield sample(np.array([True, False]))
    yield sample(np.zeros((0, 3)), 0)
    yield sample(np.zeros((0, 3)), 1)
    yield sample(np.array(1.5))
    yield sample(np.array(1.5), 0)


def _cumsum_samples(rng: np.random.Generator) -> Iterable[Sample]:
    for dim in (0, 1, 2, -2):
        yield sample(rng.standard_normal((7, 13, 5)), dim)
    yield sample(rng.standard_normal(20011), 0)
    yield sample(rng.integers(-9, 10, (4, 5)), 1)
    yield sample(np.array([True, False, True]), 0)
    yield sample(np.zeros((0, 3)), 0)
    yield sample(np.array(1.5), 0)


SPECS = [
    Spec(
        name="prod",
        summary="The product along an axis, or of all elements; integers and bools give an int64.",
        formula=r"y = \prod_i x_i",
        shapes="x [...] -> y [...] without the axis dim",
        args={"dim": "the axis; None means all", "keepdim": "keep the axis with size 1"},
        forward=prod,
        backward=prod_backward,
        samples=_prod_samples,
        # Each gets the product of the other two.
        example=Example(sample(np.array([2.0, 3.0, 4.0])), 24.0, ([12.0, 8.0, 6.0],)),
        check=_check_prod,
        bad=(Bad(sample(np.ones((2, 3)), 2), IndexError, "[prod] dim must be in -2 to 1, but got 2"),),
        # 24 and 30 factors of either side, rounded in another order.
        tolerance={"float32": (1e-5, 1e-5), "float64": (1e-13, 1e-13)},
        bench=lambda rng: sample(rng.uniform(0.9, 1.1, (2500, 4000)).astype(np.float32), 1),
    ),
    Spec(
        name="cumsum",
        summary="The sums of the first 1, 2, … elements along an axis.",
        formula=r"y_k = \sum_{i \le k} x_i",
        shapes="x [...] -> y [...]",
        args={"dim": "the axis"},
        forward=cumsum,
        backward=cumsum_backward,
        samples=_cumsum_samples,
        # x_0 is in three sums, x_2 in one.
        example=Example(sample(np.array([1.0, 2.0, 3.0]), 0), [1.0, 3.0, 6.0], ([3.0, 2.0, 1.0],)),
        check=_check_cumsum,
        bad=(Bad(sample(np.ones((2, 3)), -3), IndexError, "[cumsum] dim must be in -2 to 1, but got -3"),),
        bench=lambda rng: sample(rng.standard_normal((2500, 4000), np.float32), 1),
    ),
]
