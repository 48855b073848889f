"""dropout: in training, each element is zeroed with probability p and the others grow to make up."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._spec import Array, Bad, Cost, DTypeError, Example, Sample, Spec, nbytes, require, sample
from groundup.ops.creation import keep_mask


def _scaled(x: Array, p: float) -> Array:
    """x where this draw keeps it, times 1/(1 - p); 0 elsewhere."""
    keep = keep_mask(1, x.size, p).reshape(x.shape)
    return np.asarray(np.where(keep, x * x.dtype.type(np.divide(1, 1 - p)), 0), x.dtype)


def dropout(x: Array, p: float = 0.5, training: bool = True) -> Array:
    return _scaled(x, p) if training and p > 0 else x


def backward(dy: Array, y: Array, x: Array, p: float = 0.5, training: bool = True) -> tuple[Array]:
    return (_scaled(dy, p) if training and p > 0 else dy,)


def check(x: Array, p: float, training: bool) -> None:
    require(0 <= p <= 1, ValueError, f"[dropout] p must be in 0 to 1, but got {p:g}")
    is_float = x.dtype.kind == "f"
    require(is_float, DTypeError, f"[dropout] dtype must be float32 or float64, but got {x.dtype}")


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((4, 5)))
    yield sample(rng.standard_normal((72, 73)), 0.1)
    x = rng.standard_normal((9, 11))
    x[3] = 0  # a zero that is kept passes its gradient on
    yield sample(x, 0.3)
    yield sample(rng.standard_normal(7), 0.25, False)
    yield sample(rng.standard_normal(7), p=0.0)
    yield sample(rng.standard_normal(7), p=1.0)
    yield sample(np.zeros((0, 3)))
    yield sample(np.array(2.0))


SPECS = [
    Spec(
        name="dropout",
        summary="In training, zero each element with probability p and divide the others by 1 - p.",
        formula=r"y = \frac{x \odot m}{1 - p}, \quad m_i \sim \mathrm{Bernoulli}(1 - p)",
        shapes="x [...] -> y [...]",
        args={
            "p": "the probability that an element is zeroed",
            "training": "False returns x: the expectation of y is x, so nothing needs to change",
        },
        forward=dropout,
        backward=backward,
        check=check,
        random=True,
        samples=samples,
        # Where everything is dropped or nothing is, the result does not depend on the stream.
        example=Example(sample(np.array([1.0, 2.0]), 1.0), [0.0, 0.0], ([0.0, 0.0],)),
        bad=(
            Bad(sample(np.zeros(3), 1.5), ValueError, "[dropout] p must be in 0 to 1, but got 1.5"),
            Bad(sample(np.zeros(3), -0.25), ValueError, "[dropout] p must be in 0 to 1, but got -0.25"),
            Bad(
                sample(np.array([1, 2])),
                DTypeError,
                "[dropout] dtype must be float32 or float64, but got int64",
            ),
        ),
        cost=lambda x, *args, **kwargs: Cost(2 * x.size, 2 * nbytes(x)),
        bench=lambda rng: sample(rng.standard_normal((4096, 768)), 0.1),
        source="Srivastava et al.: Dropout (2014)",
    )
]
