"""mse_loss: the squared distance between prediction and target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup import ops
from groundup.ops._loss import REDUCTION, bad_loss, check_reduction, check_same_shape, reduce, reduced
from groundup.ops._spec import Array, Cost, Example, Sample, Spec, nbytes, sample


def mse_loss(x: Array, target: Array, reduction: str = "mean") -> Array:
    return reduced(np.square(x - target), reduction)


def compose(x: Any, target: Any, reduction: str = "mean") -> Any:
    """Subtract, square, reduce."""
    check_same_shape("mse_loss", x, target)
    check_reduction("mse_loss", reduction)
    return reduce(ops.square(ops.sub(x, target)), reduction)


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((4, 5)), rng.standard_normal((4, 5)))
    yield sample(rng.standard_normal((7, 13, 3)), rng.standard_normal((7, 13, 3)), "none")
    yield sample(rng.standard_normal(73), rng.standard_normal(73), reduction="sum")
    yield sample(np.array(2.0), np.array(-1.0))
    yield sample(np.zeros((0, 3)), np.zeros((0, 3)), reduction="sum")


SPECS = [
    Spec(
        name="mse_loss",
        summary="Mean squared error: the loss whose best constant prediction is the mean.",
        formula=r"L = \frac{1}{n} \sum_i (x_i - t_i)^2",
        shapes="x [...], target [...] -> scalar, or [...] with reduction='none'",
        args={"reduction": REDUCTION},
        forward=mse_loss,
        composition=compose,
        samples=samples,
        example=Example(
            sample(np.array([1.0, 5.0]), np.array([3.0, 2.0])),
            6.5,  # (4 + 9) / 2
            ([-2.0, 3.0], [2.0, -3.0]),
        ),
        bad=bad_loss("mse_loss"),
        cost=lambda x, target, reduction="mean": Cost(3 * x.size, nbytes(x, target)),
        bench=lambda rng: sample(rng.standard_normal((2048, 1024)), rng.standard_normal((2048, 1024))),
        source="Legendre: Nouvelles méthodes pour la détermination des orbites des comètes (1805)",
    )
]
