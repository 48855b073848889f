"""nll_loss: the negative log-likelihood of the classes that came, from log-probabilities."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._loss import (
    REDUCTION,
    bad_class_targets,
    check_class_targets,
    class_rows,
    total_weight,
)
from groundup.ops._spec import Array, Cost, Example, Sample, Spec, nbytes, sample


def nll_loss(
    x: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    rows, classes = class_rows(x), target.reshape(-1)  # R,V and R
    counted = np.flatnonzero(classes != ignore_index)
    picked = rows[counted, classes[counted]]
    losses = np.zeros(len(rows), x.dtype)
    losses[counted] = -picked if weight is None else -picked * weight[classes[counted]]
    if reduction == "none":
        return losses.reshape(target.shape)
    total: Array = losses.sum()
    # Where no row counts, the mean is 0 / 0.
    return total if reduction == "sum" else total / total_weight(x, classes, weight, ignore_index)


def backward(
    dy: Array,
    y: Array,
    x: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> tuple[Array, None, None]:
    classes = target.reshape(-1)
    counted = np.flatnonzero(classes != ignore_index)
    if reduction == "mean":
        dy = dy / total_weight(x, classes, weight, ignore_index)
    drows = np.zeros_like(class_rows(x))
    dlosses = np.broadcast_to(dy, target.shape).reshape(-1)[counted]
    drows[counted, classes[counted]] = -dlosses if weight is None else -dlosses * weight[classes[counted]]
    if x.ndim < 3:
        return drows.reshape(x.shape), None, None
    return np.moveaxis(drows.reshape(*target.shape, -1), -1, 1), None, None


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((7, 5)), rng.integers(0, 5, 7))
    yield sample(rng.standard_normal((72, 73)), rng.integers(0, 73, 72), reduction="sum")
    yield sample(rng.standard_normal((6, 4)), np.array([0, -100, 3, -100, 1, 2]), reduction="none")
    yield sample(rng.standard_normal((9, 6)), rng.integers(0, 6, 9), rng.random(6), 3)
    yield sample(rng.standard_normal((2, 5, 3, 4)), rng.integers(0, 5, (2, 3, 4)), rng.random(5))
    yield sample(rng.standard_normal((3, 5, 7)), rng.integers(0, 5, (3, 7)), reduction="none")
    yield sample(rng.standard_normal(6), np.array(4))
    yield sample(rng.standard_normal((0, 3)), np.zeros(0, np.int64), reduction="sum")


SPECS = [
    Spec(
        name="nll_loss",
        summary="Mean negative log-likelihood of the classes that came, from log-probabilities.",
        formula=r"L = -\frac{1}{N} \sum_r x_{r, y_r}",
        shapes="x [N, V, ...], target [N, ...] int64; or x [V], target [] -> scalar, or like target with "
        "reduction='none'",
        args={
            "x": "log-probabilities, as log_softmax gives them; cross_entropy takes logits",
            "weight": "of each class [V]; the mean divides by the weights of the targets; gets no gradient",
            "ignore_index": "rows with this target count for nothing",
            "reduction": REDUCTION,
        },
        forward=nll_loss,
        backward=backward,
        check=lambda *args: check_class_targets("nll_loss", *args),
        samples=samples,
        example=Example(
            sample(np.array([[-1.0, -2.0], [-3.0, -4.0]]), np.array([1, 0])),
            2.5,  # (2 + 3) / 2
            ([[0.0, -0.5], [-0.5, 0.0]],),
        ),
        bad=bad_class_targets("nll_loss"),
        cost=lambda x, target, *args, **kwargs: Cost(2 * target.size, nbytes(target) + 8 * target.size),
        bench=lambda rng: sample(rng.standard_normal((4096, 1024)), rng.integers(0, 1024, 4096)),
        source="Fisher: On the Mathematical Foundations of Theoretical Statistics (1922)",
    )
]
