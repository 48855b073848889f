"""What the losses share: how the losses of single elements become the result, and checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundup import ops
from groundup.ops._spec import Array, Bad, ShapeError, require, sample

REDUCTION = "'mean', 'sum' or 'none'"


def check_reduction(op: str, reduction: str, *others: str) -> None:
    """Raise unless this is a reduction that the loss knows; ``others`` are some beside mean, sum and none."""
    known = ["mean", "sum", *others, "none"]
    text = ", ".join(f"'{r}'" for r in known[:-1]) + f" or '{known[-1]}'"
    require(reduction in known, ValueError, f"[{op}] reduction must be {text}, but got '{reduction}'")


def check_same_shape(op: str, x: Any, target: Any) -> None:
    """Raise unless both have one shape. Broadcasting [N, 1] with [N] here would hide a mistake."""
    a, b = tuple(x.shape), tuple(target.shape)
    require(a == b, ShapeError, f"[{op}] x and target must have the same shape, but got {a} and {b}")


def reduced(losses: Array, reduction: str) -> Array:
    """The losses themselves, their sum or their mean, in NumPy."""
    if reduction == "none":
        return losses
    return np.asarray(losses.sum() if reduction == "sum" else losses.mean())


def reduce(losses: Any, reduction: str) -> Any:
    """The same over ops."""
    if reduction == "none":
        return losses
    return ops.sum(losses) if reduction == "sum" else ops.mean(losses)


def bad_loss(op: str, reductions: str = REDUCTION) -> tuple[Bad, ...]:
    """Calls that every loss of two tensors refuses."""
    x = np.zeros((2, 3))
    return (
        Bad(
            sample(x, np.zeros((2, 1))),
            ShapeError,
            f"[{op}] x and target must have the same shape, but got (2, 3) and (2, 1)",
        ),
        Bad(
            sample(x, x, reduction="max"),
            ValueError,
            f"[{op}] reduction must be {reductions}, but got 'max'",
        ),
    )
