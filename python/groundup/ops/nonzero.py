"""nonzero: where a tensor is not zero. one_hot: ids as rows that are zero but for a single one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._indices import check_indices
from groundup.ops._spec import Array, Bad, DTypeError, Example, Sample, Spec, require, sample


def nonzero(x: Array) -> Array:
    return np.argwhere(x)  # n,d


def one_hot(x: Array, num_classes: int = -1) -> Array:
    C = x.max() + 1 if num_classes == -1 else num_classes
    return np.eye(C, dtype=np.int64)[x]  # ...,C


def check_one_hot(x: Array, num_classes: int) -> None:
    require(x.dtype == np.int64, DTypeError, f"[one_hot] x must be int64, but got {x.dtype}")
    C = num_classes
    if C == -1:
        require(x.size > 0, ValueError, "[one_hot] num_classes must be given where x is empty")
        C = max(int(x.max()), 0) + 1
    require(C >= 1, ValueError, f"[one_hot] num_classes must be positive or -1, but got {C}")
    check_indices("one_hot", "x", x, C)


def nonzero_samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.integers(0, 3, (4, 5, 6)))
    yield sample(rng.integers(0, 2, (72, 73)) > 0)
    yield sample(np.array([0.0, -0.0, 1.5, np.nan, -np.inf]))
    yield sample(np.zeros((3, 4)))
    yield sample(np.zeros((0, 4)))
    yield sample(np.array(2.5))
    yield sample(np.array(0))


def one_hot_samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.integers(0, 5, (3, 4)))
    yield sample(rng.integers(0, 5, (3, 4)), 7)
    yield sample(np.array(2), 3)
    yield sample(np.zeros((0, 2), np.int64), num_classes=3)


SPECS = [
    Spec(
        name="nonzero",
        summary="The index of every element that is not zero, in the order of memory.",
        formula=r"\{\, i : x_i \ne 0 \,\}",
        shapes="x [...] with d axes -> y [n, d] int64",
        forward=nonzero,
        samples=nonzero_samples,
        example=Example(sample(np.array([[0, 5], [7, 0]])), [[0, 1], [1, 0]]),
        bench=lambda rng: sample(rng.integers(0, 2, (1024, 1024))),
    ),
    Spec(
        name="one_hot",
        summary="Each id as a row of zeros with a single one.",
        formula=r"y_{ic} = [\, x_i = c \,]",
        shapes="x [...] int64 -> y [..., C] int64",
        args={"num_classes": "C; -1: one more than the largest id"},
        forward=one_hot,
        check=check_one_hot,
        samples=one_hot_samples,
        example=Example(sample(np.array([2, 0])), [[0, 0, 1], [1, 0, 0]]),
        bad=(
            Bad(sample(np.array([1.0])), DTypeError, "[one_hot] x must be int64, but got float32"),
            Bad(
                sample(np.array([0, 3]), 3),
                IndexError,
                "[one_hot] x must be in 0 to 2, but got 3 at position 1",
            ),
            Bad(
                sample(np.array([-1])), IndexError, "[one_hot] x must be in 0 to 0, but got -1 at position 0"
            ),
            Bad(
                sample(np.array([0]), 0),
                ValueError,
                "[one_hot] num_classes must be positive or -1, but got 0",
            ),
            Bad(
                sample(np.zeros(0, np.int64)),
                ValueError,
                "[one_hot] num_classes must be given where x is empty",
            ),
        ),
        bench=lambda rng: sample(rng.integers(0, 256, 16384), 256),
    ),
]
