"""embedding: a row of a table for each id."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._indices import check_indices
from groundup.ops._spec import (
    Array,
    Bad,
    Cost,
    DTypeError,
    Example,
    Sample,
    ShapeError,
    Spec,
    nbytes,
    require,
    sample,
)


def embedding(ids: Array, weight: Array) -> Array:
    return weight[ids]  # ...,C


def embedding_backward(dy: Array, y: Array, ids: Array, weight: Array) -> tuple[None, Array]:
    dweight = np.zeros_like(weight)
    np.add.at(dweight, ids, dy)  # rows that several ids share add up what comes back from each
    return None, dweight


def check(ids: Array, weight: Array) -> None:
    require(weight.ndim == 2, ShapeError, f"[embedding] weight must be [V, C], but got shape {weight.shape}")
    check_indices("embedding", "ids", ids, len(weight))
    require(
        weight.dtype.kind == "f",
        DTypeError,
        f"[embedding] dtype must be float32 or float64, but got {weight.dtype}",
    )


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.integers(0, 7, (2, 5)), rng.standard_normal((7, 4)))
    yield sample(rng.integers(0, 74, 72), rng.standard_normal((74, 73)))
    yield sample(np.array([3, 3, 3, 0]), rng.standard_normal((5, 6)))
    yield sample(np.array(2), rng.standard_normal((3, 4)))
    yield sample(np.zeros((0, 2), np.int64), rng.standard_normal((3, 4)))
    yield sample(np.zeros((2, 2), np.int64), rng.standard_normal((3, 0)))


SPECS = [
    Spec(
        name="embedding",
        summary="A row of a table for each id.",
        formula=r"y_{i} = W_{\mathrm{ids}_i}",
        shapes="ids [...] int64, weight [V, C] -> y [..., C]",
        forward=embedding,
        backward=embedding_backward,
        check=check,
        samples=samples,
        # Row 1 is taken twice, so its gradient is 2.
        example=Example(
            sample(np.array([1, 0, 1]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])),
            [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]],
            ([[1.0, 1.0], [2.0, 2.0], [0.0, 0.0]],),
        ),
        bad=(
            Bad(
                sample(np.array([1, 50000]), np.zeros((50000, 2))),
                IndexError,
                "[embedding] ids must be in 0 to 49999, but got 50000 at position 1",
            ),
            Bad(
                sample(np.array([[0, 1], [2, -1]]), np.zeros((3, 2))),
                IndexError,
                "[embedding] ids must be in 0 to 2, but got -1 at position (1, 1)",
            ),
            Bad(
                sample(np.array([0.0]), np.zeros((3, 2))),
                DTypeError,
                "[embedding] ids must be int64, but got float32",
            ),
            Bad(
                sample(np.array([0]), np.zeros(3)),
                ShapeError,
                "[embedding] weight must be [V, C], but got shape (3,)",
            ),
            Bad(
                sample(np.array([0]), np.zeros((3, 2), np.int64)),
                DTypeError,
                "[embedding] dtype must be float32 or float64, but got int64",
            ),
        ),
        tolerance={"float32": (2e-6, 2e-6), "float64": (1e-13, 1e-13)},
        cost=lambda ids, weight: Cost(0, nbytes(ids) + 2 * ids.size * weight.shape[1] * weight.itemsize),
        bench=lambda rng: sample(rng.integers(0, 50000, (16, 1024)), rng.standard_normal((50000, 256))),
    ),
]
