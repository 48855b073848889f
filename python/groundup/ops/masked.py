"""masked_fill and masked_select: elements replaced or taken where a mask is true."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup import ops
from groundup.ops._spec import Array, Bad, DTypeError, Example, Sample, ShapeError, Spec, require, sample
from groundup.ops.reshape import EXACT


def masked_fill(x: Array, mask: Array, value: float) -> Array:
    return np.where(mask, np.asarray(value, x.dtype), x)


def masked_select(x: Array, mask: Array) -> Array:
    x, mask = np.broadcast_arrays(x, mask)
    return x[mask]


def _check_mask(op: str, mask: Any) -> None:
    dtype = getattr(mask.dtype, "name", mask.dtype)
    require(dtype == "bool", DTypeError, f"[{op}] mask must be bool, but got {dtype}")


def _broadcast(op: str, x: Any, mask: Any) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(tuple(x.shape), tuple(mask.shape))
    except ValueError:
        shapes = f"{tuple(x.shape)} and {tuple(mask.shape)}"
        raise ShapeError(f"[{op}] shapes must broadcast, but got {shapes}") from None


def compose_fill(x: Any, mask: Any, value: float) -> Any:
    _check_mask("masked_fill", mask)
    shape = _broadcast("masked_fill", x, mask)
    require(
        shape == tuple(x.shape),
        ShapeError,
        f"[masked_fill] mask must broadcast to the shape {tuple(x.shape)} of x, but got {tuple(mask.shape)}",
    )
    y = ops.where(mask, value, x)
    require(
        y.dtype == x.dtype,
        DTypeError,
        f"[masked_fill] value must be a number of x's dtype {x.dtype.name}, but got {value}",
    )
    return y


def compose_select(x: Any, mask: Any) -> Any:
    _check_mask("masked_select", mask)
    shape = _broadcast("masked_select", x, mask)
    chosen = ops.nonzero(ops.expand(mask, shape).reshape(-1)).reshape(-1)  # n
    return ops.index_select(ops.expand(x, shape).reshape(-1), 0, chosen)


def fill_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((4, 5, 6))
    yield sample(x, rng.integers(0, 2, (4, 5, 6)) > 0, 1.5)
    yield sample(x, rng.integers(0, 2, (5, 1)) > 0, -1)
    yield sample(x, np.tri(5, 6) == 0, value=0.0)
    yield sample(rng.standard_normal((72, 73)), np.tri(72, 73) == 0, -9.0)
    yield sample(np.array(2.5), np.array(True), 0.5)
    yield sample(np.zeros((0, 3)), np.zeros((0, 3), bool), 1.0)
    yield sample(rng.integers(0, 9, (4, 5)), np.tri(4, 5) == 0, -100)


def select_samples(rng: np.random.Generator) -> Iterable[Sample]:
    x = rng.standard_normal((4, 5, 6))
    yield sample(x, rng.integers(0, 2, (4, 5, 6)) > 0)
    yield sample(x, np.array([True, False, True, True, False, True]))
    yield sample(rng.standard_normal((1, 3)), rng.integers(0, 2, (4, 3)) > 0)
    yield sample(rng.standard_normal((72, 73)), np.tri(72, 73) == 0)
    yield sample(x, np.array(False))
    yield sample(np.array(2.5), np.array(True))
    yield sample(np.zeros((0, 3)), np.zeros((0, 3), bool))


_ROW = np.array([1.0, 2.0, 3.0])
_MASK = np.array([True, False, True])

SPECS = [
    Spec(
        name="masked_fill",
        summary="A number where the mask is true, x elsewhere.",
        formula=r"y_i = v \text{ if } m_i \text{ else } x_i",
        shapes="x [...], mask [...] bool, broadcast to x -> y [...]",
        args={"value": "a number; it takes the dtype of x"},
        forward=masked_fill,
        composition=compose_fill,
        samples=fill_samples,
        example=Example(sample(_ROW, _MASK, 9.0), [9.0, 2.0, 9.0], ([0.0, 1.0, 0.0],)),
        bad=(
            Bad(
                sample(_ROW, np.array([1, 0, 1]), 9.0),
                DTypeError,
                "[masked_fill] mask must be bool, but got int64",
            ),
            Bad(
                sample(_ROW, _MASK[:2], 9.0),
                ShapeError,
                "[masked_fill] shapes must broadcast, but got (3,) and (2,)",
            ),
            Bad(
                sample(_ROW, np.array([_MASK]), 9.0),
                ShapeError,
                "[masked_fill] mask must broadcast to the shape (3,) of x, but got (1, 3)",
            ),
            Bad(
                sample(np.array([1, 2, 3]), _MASK, 0.5),
                DTypeError,
                "[masked_fill] value must be a number of x's dtype int64, but got 0.5",
            ),
        ),
        tolerance=EXACT,
        bench=lambda rng: sample(rng.standard_normal((16, 512, 512)), np.tri(512) == 0, -1e9),
    ),
    Spec(
        name="masked_select",
        summary="The elements of x where the mask is true, in one row.",
        formula=r"\{\, x_i : m_i \,\}",
        shapes="x [...], mask [...] bool, broadcast -> y [n]",
        forward=masked_select,
        composition=compose_select,
        samples=select_samples,
        example=Example(sample(_ROW, _MASK), [1.0, 3.0], ([1.0, 0.0, 1.0],)),
        bad=(
            Bad(
                sample(_ROW, np.array([1, 0, 1])),
                DTypeError,
                "[masked_select] mask must be bool, but got int64",
            ),
            Bad(
                sample(_ROW, _MASK[:2]),
                ShapeError,
                "[masked_select] shapes must broadcast, but got (3,) and (2,)",
            ),
        ),
        # A broadcast element's gradient is a sum over its copies.
        tolerance={"float32": (2e-6, 2e-6), "float64": (1e-13, 1e-13)},
        bench=lambda rng: sample(rng.standard_normal((1024, 1024)), rng.integers(0, 2, (1024, 1024)) > 0),
    ),
]
