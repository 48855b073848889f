"""slice, select, flip, roll: elements at evenly spaced places, or at one place of an axis; the order along axes
reversed; axes turned round.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._spec import Array, Bad, Example, Sample, ShapeError, Spec, require, sample
from groundup.ops.reshape import EXACT
from groundup.ops.softmax import check_dim

Ints = tuple[int, ...]


def _places(starts: Ints, stops: Ints, steps: Ints | None) -> list[range]:
    return [range(*ends) for ends in zip(starts, stops, steps or (1,) * len(starts), strict=True)]


def _index(x: Array, starts: Ints, stops: Ints, steps: Ints | None) -> tuple[Array, ...]:
    ranges = [*_places(starts, stops, steps), *map(range, x.shape[len(starts) :])]
    return np.ix_(*(np.arange(r.start, r.stop, r.step) for r in ranges))


def slice(x: Array, starts: Ints, stops: Ints, steps: Ints | None = None) -> Array:
    return x[_index(x, starts, stops, steps)] if x.ndim else x.copy()


def slice_backward(
    dy: Array, y: Array, x: Array, starts: Ints, stops: Ints, steps: Ints | None
) -> tuple[Array]:
    dx = np.zeros_like(x)
    dx[_index(x, starts, stops, steps) if x.ndim else ()] = dy
    return (dx,)


def check_slice(x: Array, starts: Ints, stops: Ints, steps: Ints | None) -> None:
    require(
        len(starts) == len(stops) <= x.ndim and (steps is None or len(steps) == len(starts)),
        ShapeError,
        f"[slice] starts, stops and steps must be alike and at most {x.ndim}, "
        f"but got {starts}, {stops} and {steps}",
    )
    for d, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        step = 1 if steps is None else steps[d]
        require(step != 0, ValueError, "[slice] steps must not be 0")
        low, high = (0, x.shape[d]) if step > 0 else (-1, x.shape[d] - 1)
        require(
            low <= min(start, stop) and max(start, stop) <= high,
            IndexError,
            f"[slice] starts and stops must be in {low} to {high} along dim {d}, but got {start} and {stop}",
        )


def select(x: Array, dim: int, index: int) -> Array:
    return np.take(x, index, axis=dim)


def select_backward(dy: Array, y: Array, x: Array, dim: int, index: int) -> tuple[Array]:
    dx = np.zeros_like(x)
    np.moveaxis(dx, dim, 0)[index] = dy
    return (dx,)


def check_select(x: Array, dim: int, index: int) -> None:
    require(x.ndim > 0, ShapeError, "[select] a 0-d tensor has no axis to index")
    check_dim("select", x, dim)
    n = x.shape[dim]
    require(-n <= index < n, IndexError, f"[select] index must be in {-n} to {n - 1}, but got {index}")


def flip(x: Array, dims: Ints) -> Array:
    return np.flip(x, dims).copy() if x.ndim else x.copy()


def flip_backward(dy: Array, y: Array, x: Array, dims: Ints) -> tuple[Array]:
    return (np.flip(dy, dims) if x.ndim else dy,)


def check_flip(x: Array, dims: Ints) -> None:
    for d in dims:
        check_dim("flip", x, d)
    axes = [d % max(x.ndim, 1) for d in dims]
    require(
        x.ndim == 0 or len(set(axes)) == len(axes),
        ValueError,
        f"[flip] dims must name an axis once, but got {dims}",
    )


def roll(x: Array, shifts: Ints, dims: Ints | None = None) -> Array:
    if dims is None or x.ndim == 0:
        return np.roll(x, shifts[0]) if shifts else x.copy()
    return np.roll(x, shifts, dims)


def roll_backward(dy: Array, y: Array, x: Array, shifts: Ints, dims: Ints | None) -> tuple[Array]:
    return (roll(dy, tuple(-s for s in shifts), dims),)


def check_roll(x: Array, shifts: Ints, dims: Ints | None) -> None:
    require(
        len(shifts) == (1 if dims is None else len(dims)),
        ShapeError,
        f"[roll] shifts must be one for each dim, but got {shifts} for {dims}",
    )
    for d in dims or ():
        check_dim("roll", x, d)


def slice_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((5, 6, 7))
    yield sample(x, 1, 4)
    yield sample(x, (1, 0), (4, 6), (1, 2))
    yield sample(x, (0, 2, 3), (5, 5, 7), (2, 1, 3))
    yield sample(x, (4, 5), (-1, 0), (-1, -2))
    yield sample(x, (3, 5), (1, 5))  # nothing
    yield sample(x, 2, 5, 1000)
    yield sample(x, (), ())
    yield sample(rng.standard_normal((72, 73)), (1, 1), (71, 73))
    yield sample(np.array(2.5), (), ())
    yield sample(np.zeros((0, 3)), (0, 1), (0, 2))
    yield sample(rng.integers(0, 9, (5, 6)), (0, 5), (5, -1), (1, -1))


def select_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((5, 6, 7))
    yield sample(x, 0, 3)
    yield sample(x, 1, -1)
    yield sample(x, dim=-1, index=-7)
    yield sample(rng.standard_normal((72, 73)), 1, 72)
    yield sample(rng.standard_normal(3), 0, 2)
    yield sample(np.zeros((0, 3)), 1, 2)
    yield sample(rng.integers(0, 9, (5, 6)), 0, -2)


def flip_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((5, 6, 7))
    for dims in (0, (1,), -1, (0, 2), (0, 1, 2), ()):
        yield sample(x, dims)
    yield sample(np.array(2.5), 0)
    yield sample(np.zeros((0, 3)), (0, 1))
    yield sample(rng.integers(0, 9, (5, 6)), 1)


def roll_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((5, 6, 7))
    yield sample(x, 2)
    yield sample(x, -3, 1)
    yield sample(x, (1, 9), (0, -1))
    yield sample(x, (1, 2), (0, 0))
    yield sample(x, 0, dims=2)
    yield sample(np.array(2.5), 3)
    yield sample(np.zeros((0, 3)), 1, 0)
    yield sample(rng.integers(0, 9, (5, 6)), 1, 1)


_ROW = np.array([1.0, 2.0, 3.0, 4.0])

SPECS = [
    Spec(
        name="slice",
        summary="The elements at range(start, stop, step) along the first axes; what x[a:b:c] does.",
        formula=r"y_{i} = x_{\mathrm{start} + i \cdot \mathrm{step}}",
        shapes="x [n0, n1, ...] -> y [len(range(start0, stop0, step0)), ...]",
        args={
            "starts": "one for each of the first axes; nothing counts from the end",
            "stops": "likewise; a negative step goes down to before -1",
            "steps": "likewise, not 0; 1 if None",
        },
        forward=slice,
        backward=slice_backward,
        check=check_slice,
        samples=slice_samples,
        example=Example(sample(_ROW, 3, 0, -2), [4.0, 2.0], ([0.0, 1.0, 0.0, 1.0],)),
        bad=(
            Bad(
                sample(_ROW, 0, 5),
                IndexError,
                "[slice] starts and stops must be in 0 to 4 along dim 0, but got 0 and 5",
            ),
            Bad(
                sample(_ROW, 4, 0, -1),
                IndexError,
                "[slice] starts and stops must be in -1 to 3 along dim 0, but got 4 and 0",
            ),
            Bad(sample(_ROW, 0, 4, 0), ValueError, "[slice] steps must not be 0"),
            Bad(
                sample(_ROW, (0, 0), (1, 1)),
                ShapeError,
                "[slice] starts, stops and steps must be alike and at most 1, but got (0, 0), (1, 1) and None",
            ),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((16, 512, 512)), (0, 0, 1), (16, 511, 512)),
    ),
    Spec(
        name="select",
        summary="One place of an axis, without it; what x[i] does.",
        formula=r"y_{\ldots\ldots} = x_{\ldots i \ldots}",
        shapes="x [..., n, ...] -> y [..., ...]",
        args={"index": "negative ones count from the end"},
        forward=select,
        backward=select_backward,
        check=check_select,
        samples=select_samples,
        example=Example(
            sample(np.array([[1.0, 2.0], [3.0, 4.0]]), 1, -1), [2.0, 4.0], ([[0.0, 1.0], [0.0, 1.0]],)
        ),
        bad=(
            Bad(sample(_ROW, 0, 4), IndexError, "[select] index must be in -4 to 3, but got 4"),
            Bad(sample(_ROW, 1, 0), IndexError, "[select] dim must be in -1 to 0, but got 1"),
            Bad(sample(np.array(1.0), 0, 0), ShapeError, "[select] a 0-d tensor has no axis to index"),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((16, 1024, 1024)), 1, 512),
    ),
    Spec(
        name="flip",
        summary="The order along axes reversed.",
        formula=r"y_{i} = x_{n - 1 - i}",
        shapes="x [..., n, ...] -> y [..., n, ...]",
        forward=flip,
        backward=flip_backward,
        check=check_flip,
        samples=flip_samples,
        example=Example(sample(_ROW, 0), [4.0, 3.0, 2.0, 1.0], ([1.0, 1.0, 1.0, 1.0],)),
        bad=(
            Bad(sample(_ROW, 1), IndexError, "[flip] dim must be in -1 to 0, but got 1"),
            Bad(sample(_ROW, (0, -1)), ValueError, "[flip] dims must name an axis once, but got (0, -1)"),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((16, 512, 512)), 1),
    ),
    Spec(
        name="roll",
        summary="Axes turned round: what leaves at the end comes back at the beginning.",
        formula=r"y_{(i + s) \bmod n} = x_i",
        shapes="x [..., n, ...] -> y [..., n, ...]",
        args={"shifts": "one for each of dims", "dims": "if None, all elements turn as one row"},
        forward=roll,
        backward=roll_backward,
        check=check_roll,
        samples=roll_samples,
        example=Example(sample(_ROW, 1), [4.0, 1.0, 2.0, 3.0], ([1.0, 1.0, 1.0, 1.0],)),
        bad=(
            Bad(sample(_ROW, 1, 1), IndexError, "[roll] dim must be in -1 to 0, but got 1"),
            Bad(
                sample(_ROW, (1, 2), 0),
                ShapeError,
                "[roll] shifts must be one for each dim, but got (1, 2) for (0,)",
            ),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((16, 512, 512)), 3, 1),
    ),
]
