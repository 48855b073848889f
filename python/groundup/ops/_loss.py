"""What the losses share: how the losses of single elements become the result, and checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundup import ops
from groundup.ops._spec import Array, Bad, DTypeError, ShapeError, require, sample

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


# ---- classes as targets --------------------------------------------------------------------------


def check_class_targets(
    op: str, x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str
) -> None:
    """Raise unless everything fits and each target is a class or ``ignore_index``."""
    require(x.ndim > 0, ShapeError, f"[{op}] x must be [V] or [N, V, ...], but got shape ()")
    axis = min(1, x.ndim - 1)
    V, expected = x.shape[axis], x.shape[:axis] + x.shape[axis + 1 :]
    require(
        target.shape == expected,
        ShapeError,
        f"[{op}] target must have shape {expected}, but got {target.shape}",
    )
    require(target.dtype == np.int64, DTypeError, f"[{op}] target must be int64, but got {target.dtype}")
    require(V > 0, ShapeError, f"[{op}] x must have at least one class, but got shape {x.shape}")
    if weight is not None:
        fits = weight.shape == (V,)
        require(fits, ShapeError, f"[{op}] weight must have shape ({V},), but got {weight.shape}")
        same = weight.dtype == x.dtype
        require(same, DTypeError, f"[{op}] weight must be {x.dtype} like x, but got {weight.dtype}")
    check_reduction(op, reduction)
    classes = target.reshape(-1)
    wrong = np.flatnonzero(((classes < 0) | (classes >= V)) & (classes != ignore_index))
    if wrong.size:
        raise IndexError(
            f"[{op}] target must be in 0 to {V - 1} or ignore_index {ignore_index}, "
            f"but got {classes[wrong[0]]} at position {wrong[0]}"
        )


def class_rows(x: Array) -> Array:
    """Logits or log-probabilities [N, V, ...] or [V] with classes last, as rows [R, V]."""
    axis = min(1, x.ndim - 1)
    return np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])


def total_weight(x: Array, classes: Array, weight: Array | None, ignore_index: int) -> Array:
    """What the mean divides by: the weights of the classes that came, of the rows that count."""
    counted = classes[classes != ignore_index]
    return np.asarray(len(counted) if weight is None else weight[counted].sum(), x.dtype)


def bad_class_targets(op: str) -> tuple[Bad, ...]:
    """Calls that both losses of classes refuse."""
    x = np.zeros((2, 3))
    return (
        Bad(
            sample(np.array(3.0), np.array(0)),
            ShapeError,
            f"[{op}] x must be [V] or [N, V, ...], but got shape ()",
        ),
        Bad(sample(x, np.array([0])), ShapeError, f"[{op}] target must have shape (2,), but got (1,)"),
        Bad(
            sample(np.zeros((2, 3, 4)), np.zeros((2, 3), np.int64)),
            ShapeError,
            f"[{op}] target must have shape (2, 4), but got (2, 3)",
        ),
        Bad(sample(x, np.array([0.0, 1.0])), DTypeError, f"[{op}] target must be int64, but got float32"),
        Bad(
            sample(np.zeros((2, 0)), np.array([0, 1])),
            ShapeError,
            f"[{op}] x must have at least one class, but got shape (2, 0)",
        ),
        Bad(
            sample(x, np.array([0, 3])),
            IndexError,
            f"[{op}] target must be in 0 to 2 or ignore_index -100, but got 3 at position 1",
        ),
        Bad(
            sample(x, np.array([-1, 0])),
            IndexError,
            f"[{op}] target must be in 0 to 2 or ignore_index -100, but got -1 at position 0",
        ),
        Bad(
            sample(x, np.array([0, 1]), np.zeros(2)),
            ShapeError,
            f"[{op}] weight must have shape (3,), but got (2,)",
        ),
        Bad(
            sample(x, np.array([0, 1]), reduction="max"),
            ValueError,
            f"[{op}] reduction must be {REDUCTION}, but got 'max'",
        ),
    )
