"""smooth_l1_loss: absolute error with its corner rounded off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup import ops
from groundup.ops._loss import REDUCTION, bad_loss, check_reduction, check_same_shape, reduced
from groundup.ops._spec import Array, Bad, Cost, Example, Sample, Spec, nbytes, require, sample


def smooth_l1_loss(x: Array, target: Array, reduction: str = "mean", beta: float = 1.0) -> Array:
    d = np.abs(x - target)
    losses = np.where(d < beta, d * d / (2 * beta), d - beta / 2) if beta else d
    return reduced(losses.astype(d.dtype), reduction)


def compose(x: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Huber's loss, divided by its threshold so that the slope far away is 1."""
    check_same_shape("smooth_l1_loss", x, target)
    check_reduction("smooth_l1_loss", reduction)
    require(beta >= 0, ValueError, f"[smooth_l1_loss] beta must not be negative, but got {beta:g}")
    if beta == 0:
        return ops.get("l1_loss")(x, target, reduction)
    return ops.div(ops.get("huber_loss")(x, target, reduction, beta), beta)


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    """Differences on both sides of the threshold."""
    yield sample(3 * rng.standard_normal((4, 5)), rng.standard_normal((4, 5)))
    yield sample(rng.standard_normal((7, 13, 3)), rng.standard_normal((7, 13, 3)), "none", 0.5)
    yield sample(rng.standard_normal(73), rng.standard_normal(73), "sum", 2.0)
    yield sample(rng.standard_normal(7), rng.standard_normal(7), beta=0.0)
    yield sample(np.array(2.0), np.array(-1.0))
    yield sample(np.zeros((0, 3)), np.zeros((0, 3)), reduction="sum")


SPECS = [
    Spec(
        name="smooth_l1_loss",
        summary="Absolute error far from the target, squared error near it.",
        formula=r"L = \frac{1}{n} \sum_i \begin{cases} d_i^2 / 2\beta & |d_i| < \beta \\ "
        r"|d_i| - \beta / 2 & \text{else} \end{cases}, \quad d = x - t",
        shapes="x [...], target [...] -> scalar, or [...] with reduction='none'",
        args={"reduction": REDUCTION, "beta": "the distance from which on the loss is linear; 0 is l1_loss"},
        forward=smooth_l1_loss,
        composition=compose,
        samples=samples,
        example=Example(
            sample(np.array([1.0, 5.0]), np.array([0.0, 2.0]), "sum", 2.0),
            2.25,  # 1²/4 + (3 - 1)
            ([0.5, 1.0], [-0.5, -1.0]),
        ),
        bad=(
            *bad_loss("smooth_l1_loss"),
            Bad(
                sample(np.zeros(2), np.zeros(2), beta=-1.0),
                ValueError,
                "[smooth_l1_loss] beta must not be negative, but got -1",
            ),
        ),
        cost=lambda x, target, *args, **kwargs: Cost(5 * x.size, nbytes(x, target)),
        bench=lambda rng: sample(rng.standard_normal((2048, 1024)), rng.standard_normal((2048, 1024))),
        source="Girshick: Fast R-CNN (2015)",
    )
]
