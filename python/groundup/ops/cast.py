"""The same values in another element type, and a copy that the tape follows."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundup.ops._spec import Array, Bad, DTypeError, Example, Spec, sample

_NUMPY = {"bool": np.bool_, "int64": np.int64, "float32": np.float32, "float64": np.float64}


def cast(x: Array, dtype: Any) -> Array:
    return x.astype(dtype)


def cast_backward(dy: Array, y: Array, x: Array, dtype: Any) -> tuple[Array]:
    return (dy.astype(x.dtype),)


def clone(x: Array) -> Array:
    return x.copy()


def clone_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy,)


_WIDE = np.array([0.0, -0.0, 1.7, -1.7])

SPECS = [
    Spec(
        name="cast",
        summary="x in another dtype; toward an integer it is cut off, toward bool everything but 0 is true.",
        formula=r"y_i = x_i",
        shapes="x [...] -> y [...]",
        args={"dtype": "bool, int64, bfloat16, float32 or float64; NumPy has no bfloat16"},
        forward=cast,
        backward=cast_backward,
        samples=lambda rng: [
            *(sample(_WIDE, dtype) for dtype in _NUMPY),
            *(sample(np.array([-3, 0, 2]), dtype) for dtype in _NUMPY),
            *(sample(np.array([True, False]), dtype) for dtype in _NUMPY),
            # Wider than an int32, and what an int64 cannot hold.
            sample(np.array([3e9, -3e9, np.nan, np.inf, -np.inf, 1e19, -1e19]), "int64"),
            sample(rng.standard_normal((72, 73)), "float64"),
            sample(np.zeros((0, 3)), "int64"),
            sample(np.array(1.5), np.float64),
        ],
        example=Example(sample(np.array([1.9, -1.9, 0.0]), "int64"), [1, -1, 0]),
        bad=(
            Bad(
                sample(np.ones(2), "float16"),
                DTypeError,
                "[cast] dtype must be bool, int64, bfloat16, float32 or float64, but got float16",
            ),
        ),
        bench=lambda rng: sample(rng.standard_normal((2500, 4000), np.float32), "float64"),
    ),
    Spec(
        name="clone",
        summary="A copy of x; gradients flow through it.",
        formula="y = x",
        shapes="x [...] -> y [...]",
        forward=clone,
        backward=clone_backward,
        samples=lambda rng: [
            sample(rng.standard_normal((72, 73))),
            sample(np.zeros((0, 3))),
            sample(np.array(1.5)),
            sample(np.array([1, 2])),
            sample(np.array([True])),
        ],
        example=Example(sample(np.array([1.0, 2.0])), [1.0, 2.0], ([1.0, 1.0],)),
        bench=lambda rng: sample(rng.standard_normal((2500, 4000), np.float32)),
    ),
]
