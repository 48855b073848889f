"""Whether some or every element is true, that is, not 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from groundup.ops._reduce import Dims, axes_of, bad_dims, check_dims
from groundup.ops._spec import Array, Example, Sample, Spec, sample


def any(x: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    return np.asarray(np.any(x, axes_of(x, dim), keepdims=keepdim))


def all(x: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    return np.asarray(np.all(x, axes_of(x, dim), keepdims=keepdim))


def _samples(rng: np.random.Generator) -> Iterable[Sample]:
    for share in (0.02, 0.5, 0.98):  # so that both answers come up
        x = rng.random((72, 73)) < share
        yield sample(x)
        yield sample(x, 0)
        yield sample(x, 1, keepdim=True)
        yield sample(rng.random((3, 4, 5)) < share, (0, 2))
    yield sample(np.array([0, 3, 0]))
    yield sample(np.array([[0.0, -0.0], [np.nan, 1.0]]), 1)
    yield sample(np.zeros((0, 3)))
    yield sample(np.zeros((0, 3)), 0)
    yield sample(np.array(0.5))


def _check(op: str) -> Callable[[Array, Dims, bool], None]:
    return lambda x, dim, keepdim: check_dims(op, x, dim)


_ARGS = {"dim": "the axis or axes to reduce; None means all", "keepdim": "keep reduced axes with size 1"}
_TABLE = np.array([[0.0, 0.0], [0.0, 2.0], [1.0, 2.0]])

SPECS = [
    Spec(
        name="any",
        summary="Whether some element is true; of no element it is false.",
        formula=r"y = \bigvee_i [x_i \ne 0]",
        shapes="x [...] -> y [...] without the axes of dim, bool",
        args=_ARGS,
        forward=any,
        samples=_samples,
        example=Example(sample(_TABLE, 1), [False, True, True]),
        check=_check("any"),
        bad=bad_dims("any"),
        bench=lambda rng: sample(rng.random((2500, 4000)) < 0.5, 1),
    ),
    Spec(
        name="all",
        summary="Whether every element is true; of no element it is true.",
        formula=r"y = \bigwedge_i [x_i \ne 0]",
        shapes="x [...] -> y [...] without the axes of dim, bool",
        args=_ARGS,
        forward=all,
        samples=_samples,
        example=Example(sample(_TABLE, 1), [False, False, True]),
        check=_check("all"),
        bad=bad_dims("all"),
        bench=lambda rng: sample(rng.random((2500, 4000)) < 0.5, 1),
    ),
]
