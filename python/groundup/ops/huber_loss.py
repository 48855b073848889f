"""huber_loss: squared near the target, linear far from it, so that outliers pull with a bounded force."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup import ops
from groundup.ops._loss import REDUCTION, bad_loss, check_reduction, check_same_shape, reduce, reduced
from groundup.ops._spec import Array, Bad, Cost, Example, Sample, Spec, nbytes, require, sample


def huber_loss(x: Array, target: Array, reduction: str = "mean", delta: float = 1.0) -> Array:
    d = np.abs(x - target)
    losses = np.where(d <= delta, d * d / 2, delta * (d - delta / 2))
    return reduced(losses.astype(d.dtype), reduction)


def compose(x: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """With c the difference d held between -delta and delta, both branches are c (d - c/2)."""
    check_same_shape("huber_loss", x, target)
    check_reduction("huber_loss", reduction)
    require(delta > 0, ValueError, f"[huber_loss] delta must be positive, but got {delta:g}")
    d = ops.sub(x, target)
    c = ops.clamp(d, -delta, delta)
    return reduce(ops.mul(c, ops.sub(d, ops.mul(c, 0.5))), reduction)


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    """Differences on both sides of the threshold."""
    yield sample(3 * rng.standard_normal((4, 5)), rng.standard_normal((4, 5)))
    yield sample(rng.standard_normal((7, 13, 3)), rng.standard_normal((7, 13, 3)), "none", 0.5)
    yield sample(rng.standard_normal(73), rng.standard_normal(73), "sum", 2.0)
    yield sample(np.array(2.0), np.array(-1.0))
    yield sample(np.zeros((0, 3)), np.zeros((0, 3)), reduction="sum")


SPECS = [
    Spec(
        name="huber_loss",
        summary="Squared error where it is small, absolute error where it is large.",
        formula=r"L = \frac{1}{n} \sum_i \begin{cases} d_i^2 / 2 & |d_i| \le \delta \\ "
        r"\delta (|d_i| - \delta / 2) & \text{else} \end{cases}, \quad d = x - t",
        shapes="x [...], target [...] -> scalar, or [...] with reduction='none'",
        args={"reduction": REDUCTION, "delta": "the distance from which on the loss is linear"},
        forward=huber_loss,
        composition=compose,
        samples=samples,
        example=Example(
            sample(np.array([1.0, 5.0]), np.array([0.5, 2.0]), "sum"),
            2.625,  # 0.5²/2 + (3 - 1/2)
            ([0.5, 1.0], [-0.5, -1.0]),
        ),
        bad=(
            *bad_loss("huber_loss"),
            Bad(
                sample(np.zeros(2), np.zeros(2), delta=0.0),
                ValueError,
                "[huber_loss] delta must be positive, but got 0",
            ),
        ),
        cost=lambda x, target, *args, **kwargs: Cost(5 * x.size, nbytes(x, target)),
        bench=lambda rng: sample(rng.standard_normal((2048, 1024)), rng.standard_normal((2048, 1024))),
        source="Huber: Robust Estimation of a Location Parameter (1964)",
    )
]
