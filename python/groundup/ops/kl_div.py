"""kl_div: how many nats a code made for one distribution wastes on another."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup import ops
from groundup.ops._loss import bad_loss, check_reduction, check_same_shape, reduce, reduced
from groundup.ops._spec import Array, Cost, Example, Sample, Spec, nbytes, sample


def kl_div(x: Array, target: Array, reduction: str = "mean", log_target: bool = False) -> Array:
    log = target if log_target else np.log(np.where(target == 0, 1, target))  # 0 log 0 is 0
    losses = (np.exp(target) if log_target else target) * (log - x)
    if reduction == "batchmean":
        return np.asarray(losses.sum() / losses.dtype.type(len(x)))
    return reduced(losses, reduction)


def compose(x: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """The formula over ops."""
    check_same_shape("kl_div", x, target)
    check_reduction("kl_div", reduction, "batchmean")
    if log_target:
        losses = ops.mul(ops.exp(target), ops.sub(target, x))
    else:
        log = ops.log(ops.where(ops.eq(target, 0), 1, target))
        losses = ops.mul(target, ops.sub(log, x))
    if reduction == "batchmean":
        return ops.div(ops.sum(losses), x.shape[0] if len(x.shape) else 1)
    return reduce(losses, reduction)


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    def p(*shape: int) -> Array:  # need not sum to one, and is far from 0, where log t bends sharply
        return rng.random(shape) + 0.5

    yield sample(np.log(p(4, 5)), p(4, 5))
    yield sample(np.log(p(7, 73)), p(7, 73), "batchmean")
    yield sample(np.log(p(3, 2, 7)), p(3, 2, 7), "none")
    yield sample(np.log(p(5, 6)), np.log(p(5, 6)), "sum", True)
    yield sample(np.log(p(5, 6)), np.log(p(5, 6)), "batchmean", log_target=True)
    yield sample(np.zeros((0, 3)), np.zeros((0, 3)), reduction="sum")


SPECS = [
    Spec(
        name="kl_div",
        summary="Kullback-Leibler divergence of a distribution from the target, in nats, from log-probabilities.",
        formula=r"D(t \| x) = \sum_i t_i (\log t_i - x_i)",
        shapes="x [...], target [...] -> scalar, or [...] with reduction='none'",
        args={
            "x": "log-probabilities",
            "target": "probabilities, or their logarithms with log_target",
            "reduction": "'batchmean' divides by the first size and gives the divergence; 'mean' divides by all",
            "log_target": "whether the target holds logarithms",
        },
        forward=kl_div,
        composition=compose,
        samples=samples,
        example=Example(
            # Two coins: a fair one, coded as if it fell heads in 1 of 4 throws. Only x's gradient is -t / N.
            sample(np.log(np.array([[0.25, 0.75]])), np.array([[0.5, 0.5]]), "batchmean"),
            0.5 * math.log(2.0) + 0.5 * math.log(2.0 / 3.0),
            ([[-0.5, -0.5]], [[math.log(2.0) + 1, math.log(2.0 / 3.0) + 1]]),
        ),
        bad=bad_loss("kl_div", "'mean', 'sum', 'batchmean' or 'none'"),
        cost=lambda x, target, *args, **kwargs: Cost(4 * x.size, nbytes(x, target)),
        bench=lambda rng: sample(rng.standard_normal((2048, 1024)), rng.random((2048, 1024))),
        source="Kullback, Leibler: On Information and Sufficiency (1951)",
    )
]
