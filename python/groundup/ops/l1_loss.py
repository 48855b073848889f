"""l1_loss: the distance between prediction and target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup import ops
from groundup.ops._loss import REDUCTION, bad_loss, check_reduction, check_same_shape, reduce, reduced
from groundup.ops._spec import Array, Cost, Example, Sample, Spec, nbytes, sample


def l1_loss(x: Array, target: Array, reduction: str = "mean") -> Array:
    return reduced(np.abs(x - target), reduction)


def compose(x: Any, target: Any, reduction: str = "mean") -> Any:
    """Subtract, take absolute values, reduce."""
    check_same_shape("l1_loss", x, target)
    check_reduction("l1_loss", reduction)
    return reduce(ops.abs(ops.sub(x, target)), reduction)


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((4, 5)), rng.standard_normal((4, 5)))
    yield sample(rng.standard_normal((7, 13, 3)), rng.standard_normal((7, 13, 3)), "none")
    yield sample(rng.standard_normal(73), rng.standard_normal(73), reduction="sum")
    yield sample(np.array(2.0), np.array(-1.0))
    yield sample(np.zeros((0, 3)), np.zeros((0, 3)), reduction="sum")


SPECS = [
    Spec(
        name="l1_loss",
        summary="Mean absolute error: the loss whose best constant prediction is the median.",
        formula=r"L = \frac{1}{n} \sum_i |x_i - t_i|",
        shapes="x [...], target [...] -> scalar, or [...] with reduction='none'",
        args={"reduction": REDUCTION},
        forward=l1_loss,
        composition=compose,
        samples=samples,
        example=Example(
            sample(np.array([1.0, 5.0]), np.array([3.0, 2.0])),
            2.5,  # (2 + 3) / 2
            ([-0.5, 0.5], [0.5, -0.5]),
        ),
        bad=bad_loss("l1_loss"),
        cost=lambda x, target, reduction="mean": Cost(3 * x.size, nbytes(x, target)),
        bench=lambda rng: sample(rng.standard_normal((2048, 1024)), rng.standard_normal((2048, 1024))),
        source="Boscovich (1757), after Stigler: The History of Statistics (1986)",
    )
]
