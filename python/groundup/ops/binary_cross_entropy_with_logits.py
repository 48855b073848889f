"""binary_cross_entropy_with_logits: how surprised a yes-or-no probability is by what came, from its logit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup import ops
from groundup.ops._loss import REDUCTION, bad_loss, check_reduction, check_same_shape, reduce, reduced
from groundup.ops._spec import Array, Cost, Example, Sample, Spec, nbytes, sample

NAME = "binary_cross_entropy_with_logits"


def binary_cross_entropy_with_logits(
    x: Array,
    target: Array,
    weight: Array | None = None,
    reduction: str = "mean",
    pos_weight: Array | None = None,
) -> Array:
    # log(1 + exp(-|x|)) cannot overflow; what it lacks for x < 0 is -x.
    minus_log_p = np.log1p(np.exp(-np.abs(x))) + np.maximum(-x, 0)  # -log sigmoid(x)
    positive = target if pos_weight is None else target * pos_weight
    losses = positive * minus_log_p + (1 - target) * (minus_log_p + x)  # -log(1 - sigmoid(x)) is x more
    return reduced(losses if weight is None else losses * weight, reduction)


def compose(x: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> Any:
    """The same over softplus, whose gradient is right at 0, too."""
    check_same_shape(NAME, x, target)
    check_reduction(NAME, reduction)
    # From 40 on log(1 + exp(z)) and z are the same float64.
    minus_log_p = ops.softplus(ops.neg(x), threshold=40.0)
    # positive · m + (1 - t)(m + x), sorted so that m comes once: it is as large as -x where x is negative.
    share = 1 if pos_weight is None else ops.add(ops.mul(ops.sub(pos_weight, 1), target), 1)
    losses = ops.add(ops.mul(ops.sub(1, target), x), ops.mul(minus_log_p, share))
    return reduce(losses if weight is None else ops.mul(losses, weight), reduction)


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((4, 5)), rng.random((4, 5)))
    yield sample(rng.standard_normal((7, 13)) * 8, rng.random((7, 13)), rng.random(13), "none")
    yield sample(
        rng.standard_normal((6, 3)), rng.random((6, 3)), reduction="sum", pos_weight=rng.random(3) * 4
    )
    yield sample(np.array([0.0, 100.0, -100.0, 1000.0]), np.array([0.25, 0.5, 0.75, 1.0]))
    yield sample(np.array(0.5), np.array(1.0), pos_weight=np.array(2.0))
    yield sample(np.zeros((0, 3)), np.zeros((0, 3)), reduction="sum")


SPECS = [
    Spec(
        name=NAME,
        summary="Mean negative log-probability, in nats, of yes-or-no targets, from logits.",
        formula=r"L = -\frac{1}{n} \sum_i w_i \left( p_i t_i \log \sigma(x_i) + (1 - t_i) \log (1 - "
        r"\sigma(x_i)) \right)",
        shapes="x [...], target [...], weight and pos_weight broadcast to [...] -> scalar, or [...] with "
        "reduction='none'",
        args={
            "target": "the probability of yes, 0 to 1, as floats",
            "weight": "of each element",
            "reduction": REDUCTION,
            "pos_weight": "p, of the positive part: above 1 it raises recall, below 1 precision",
        },
        forward=binary_cross_entropy_with_logits,
        composition=compose,
        samples=samples,
        example=Example(
            # σ(log 3) = 3/4
            sample(np.array([0.0, math.log(3.0)]), np.array([1.0, 0.0]), reduction="sum"),
            math.log(2.0) + math.log(4.0),
            ([-0.5, 0.75], [0.0, -math.log(3.0)]),
        ),
        bad=bad_loss(NAME),
        # x and -log σ(x) nearly cancel where x is negative and the target is near 0.
        tolerance={"float32": (4e-6, 4e-6), "float64": (1e-13, 1e-13)},
        cost=lambda x, target, *args, **kwargs: Cost(8 * x.size, nbytes(x, target)),
        bench=lambda rng: sample(rng.standard_normal((2048, 1024)), rng.random((2048, 1024))),
        source="Good: Rational Decisions (1952)",
    )
]
