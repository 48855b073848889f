"""exp."""

from __future__ import annotations
import numpy as np
from groundup.ops._spec import Array, Bad, DTypeError, Example, Spec, sample


def exp(x: Array) -> Array:
    return np.exp(x)


def backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy * y,)


SPECS = [
    Spec(
        name="exp",
        summary="e to the x.",
        formula="y = e^x",
        shapes="x [...] -> y [...]",
        forward=exp,
        backward=backward,
        samples=lambda rng: [
            sample(rng.standard_normal((72, 73))),
            sample(np.zeros((0, 3))),
            sample(np.array(1.5)),
        ],
        example=Example(sample(np.array([0.0, 1.0])), [1.0, 2.718281828459045], ([1.0, 2.718281828459045],)),
    )
]
