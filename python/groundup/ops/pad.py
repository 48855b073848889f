"""pad: a constant around x; a negative width cuts off instead."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._spec import Array, Bad, DTypeError, Example, Sample, ShapeError, Spec, require, sample
from groundup.ops.reshape import EXACT

Widths = tuple[int, ...]


def _widths(x: Array, pad: Widths) -> list[tuple[int, int]]:
    """(before, after) of each axis; ``pad`` begins with the last one."""
    given = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    return [(0, 0)] * (x.ndim - len(given)) + given


def _kept(x: Array, widths: list[tuple[int, int]]) -> tuple[slice, ...]:
    """What of x is in the result: all but what negative widths cut off."""
    return tuple(slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(x.shape, widths, strict=True))


def pad(x: Array, pad: Widths, mode: str = "constant", value: float = 0) -> Array:
    widths = _widths(x, pad)
    added = [(max(b, 0), max(a, 0)) for b, a in widths]
    return np.pad(x[_kept(x, widths)], added, constant_values=value) if x.ndim else x.copy()


def pad_backward(dy: Array, y: Array, x: Array, pad: Widths, mode: str, value: float) -> tuple[Array]:
    widths = _widths(x, pad)
    inside = tuple(slice(max(b, 0), n - max(a, 0)) for n, (b, a) in zip(dy.shape, widths, strict=True))
    dx = np.zeros_like(x)  # what was cut off gets nothing back
    dx[_kept(x, widths)] = dy[inside]
    return (dx,)


def check(x: Array, pad: Widths, mode: str, value: float) -> None:
    require(mode == "constant", ValueError, f"[pad] mode must be 'constant', but got '{mode}'")
    require(
        len(pad) % 2 == 0 and len(pad) <= 2 * x.ndim,
        ShapeError,
        f"[pad] pad must hold two numbers for each of at most {x.ndim} axes, but got {pad}",
    )
    require(
        not (isinstance(value, float) and x.dtype.kind != "f"),
        DTypeError,
        f"[pad] value must be an int for {x.dtype} x, but got a float",
    )
    for n, widths in zip(x.shape, _widths(x, pad), strict=True):
        require(
            min(*widths, sum(widths)) >= -n and max(widths) <= 2**59,
            ShapeError,
            f"[pad] sizes must not become negative or beyond 2^59, but got pad {pad} for shape {x.shape}",
        )


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((3, 4, 5))
    yield sample(x, (1, 2))
    yield sample(x, (1, 2, 0, 3), value=1.5)
    yield sample(x, (0, 1, 2, 0, 1, 1), "constant", -2)
    yield sample(x, (-1, 2))
    yield sample(x, (-2, -1, 3, -2))
    yield sample(x, (-5, 0))
    yield sample(rng.standard_normal((72, 73)), (1, 1, 1, 1))
    yield sample(x, ())
    yield sample(np.array(2.5), ())
    yield sample(np.zeros((0, 3)), (1, 1, 2, 0), value=4.0)
    yield sample(rng.integers(0, 9, (3, 4)), (1, 1), value=-100)
    yield sample(rng.integers(0, 2, (3, 4)) > 0, (1, 1))


SPECS = [
    Spec(
        name="pad",
        summary="A constant before and after along the last axes; negative widths cut off instead.",
        formula=r"y_{b + i} = x_i,\ c \text{ elsewhere}",
        shapes="x [..., n, ...] -> y [..., before + n + after, ...]",
        args={
            "pad": "before and after of the last axis, then of the one before it, …",
            "mode": "'constant'",
            "value": "what is added",
        },
        forward=pad,
        backward=pad_backward,
        check=check,
        samples=samples,
        example=Example(
            sample(np.array([[1.0, 2.0], [3.0, 4.0]]), (1, 0), value=9.0),
            [[9.0, 1.0, 2.0], [9.0, 3.0, 4.0]],
            ([[1.0, 1.0], [1.0, 1.0]],),
        ),
        bad=(
            Bad(
                sample(np.zeros(3), (1, 1, 1)),
                ShapeError,
                "[pad] pad must hold two numbers for each of at most 1 axes, but got (1, 1, 1)",
            ),
            Bad(
                sample(np.zeros(3), (1, 1, 1, 1)),
                ShapeError,
                "[pad] pad must hold two numbers for each of at most 1 axes, but got (1, 1, 1, 1)",
            ),
            Bad(
                sample(np.zeros(3), (-2, -2)),
                ShapeError,
                "[pad] sizes must not become negative or beyond 2^59, but got pad (-2, -2) for shape (3,)",
            ),
            Bad(
                sample(np.zeros(3), (1, 1), "reflect"),
                ValueError,
                "[pad] mode must be 'constant', but got 'reflect'",
            ),
            Bad(
                sample(np.zeros(3, np.int64), (1, 1), value=0.5),
                DTypeError,
                "[pad] value must be an int for int64 x, but got a float",
            ),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((16, 3, 256, 256)), (1, 1, 1, 1)),
    ),
]
