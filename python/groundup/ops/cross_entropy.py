"""cross_entropy: how surprised a distribution of logits is by the class that came."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._loss import bad_class_targets, check_class_targets, class_rows, total_weight
from groundup.ops._spec import (
    Array,
    Bad,
    Cost,
    Example,
    Sample,
    Spec,
    nbytes,
    require,
    sample,
)


def _log_softmax(x: Array) -> Array:
    shifted = x - x.max(axis=-1, keepdims=True)  # N,V
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _distribution(
    x: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float
) -> Array:
    """What each row is compared with: mostly its class, times the classes' weights; zero where ignored."""
    V = x.shape[-1]
    counted = target != ignore_index  # N
    one_hot = np.zeros_like(x)
    one_hot[counted, target[counted]] = 1
    q = (1 - smoothing) * one_hot + smoothing / V * counted[:, None]
    return np.asarray(q if weight is None else q * weight, x.dtype)


def cross_entropy(
    x: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    x, y = class_rows(x), target.reshape(-1)  # R,V and R
    q = _distribution(x, y, weight, ignore_index, label_smoothing)  # R,V
    losses: Array = -(np.where(q == 0, 0, _log_softmax(x)) * q).sum(axis=-1)  # R
    if reduction == "none":
        return losses.reshape(target.shape)
    total: Array = losses.sum()
    # Where no row counts, the mean is 0 / 0.
    return total if reduction == "sum" else total / total_weight(x, y, weight, ignore_index)


def backward(
    dy: Array,
    y: Array,
    x: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> tuple[Array, None, None]:
    rows, classes = class_rows(x), target.reshape(-1)
    q = _distribution(rows, classes, weight, ignore_index, label_smoothing)
    p = np.exp(_log_softmax(rows))
    # Without smoothing and weights this is p − one_hot: what the model believes minus what came.
    dlosses = p * q.sum(axis=-1, keepdims=True) - q  # R,V
    if reduction == "mean":
        dy = dy / total_weight(rows, classes, weight, ignore_index)
    drows = dlosses * np.reshape(dy, (-1, 1))
    if x.ndim < 3:
        return drows.reshape(x.shape), None, None
    return np.moveaxis(drows.reshape(*target.shape, -1), -1, 1), None, None


def check(
    x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str, label_smoothing: float
) -> None:
    check_class_targets("cross_entropy", x, target, weight, ignore_index, reduction)
    require(
        0 <= label_smoothing <= 1,
        ValueError,
        f"[cross_entropy] label_smoothing must be in 0 to 1, but got {label_smoothing:g}",
    )


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((7, 5)), rng.integers(0, 5, 7))
    yield sample(rng.standard_normal((72, 73)) * 5, rng.integers(0, 73, 72), reduction="sum")
    yield sample(rng.standard_normal((6, 4)), np.array([0, -100, 3, -100, 1, 2]), reduction="none")
    yield sample(rng.standard_normal((9, 6)), rng.integers(0, 6, 9), label_smoothing=0.1)
    ids = rng.integers(0, 6, 9)
    ids[2] = 5
    yield sample(
        rng.standard_normal((9, 6)),
        ids,
        np.array([0.5, 1.0, 2.0, 0.25, 1.5, 3.0]),
        ignore_index=5,
        label_smoothing=0.2,
    )
    yield sample(rng.standard_normal((3, 5, 7)), rng.integers(0, 5, (3, 7)), label_smoothing=0.1)
    ids = rng.integers(0, 73, (2, 5, 13))
    ids[1, 2] = -100
    yield sample(rng.standard_normal((2, 73, 5, 13)), ids, rng.random(73), reduction="none")
    yield sample(rng.standard_normal(6), np.array(4))
    yield sample(rng.standard_normal((0, 3)), np.zeros(0, np.int64), reduction="sum")
    yield sample(rng.standard_normal((3, 1)), np.zeros(3, np.int64))


LOG2 = 0.6931471805599453

SPECS = [
    Spec(
        name="cross_entropy",
        summary="Mean negative log-probability, in nats, of the classes that came, from logits.",
        formula=r"L = -\frac{1}{N} \sum_r \log \mathrm{softmax}(x_r)_{y_r}",
        shapes="x [N, V, ...], target [N, ...] int64; or x [V], target [] -> scalar, or like target with "
        "reduction='none'",
        args={
            "weight": "of each class [V]; the mean divides by the weights of the targets; gets no gradient",
            "ignore_index": "rows with this target count for nothing",
            "reduction": "'mean', 'sum' or 'none'",
            "label_smoothing": "share of the target's probability that is spread over all classes",
        },
        forward=cross_entropy,
        backward=backward,
        check=check,
        samples=samples,
        example=Example(
            sample(np.array([[0.0, 0.0], [0.0, LOG2]]), np.array([0, 0])),
            (LOG2 + 1.0986122886681098) / 2,  # probabilities 1/2 and 1/3
            ([[-0.25, 0.25], [-1 / 3, 1 / 3]],),
        ),
        bad=(
            *bad_class_targets("cross_entropy"),
            Bad(
                sample(np.zeros((2, 3)), np.array([0, 1]), label_smoothing=1.5),
                ValueError,
                "[cross_entropy] label_smoothing must be in 0 to 1, but got 1.5",
            ),
        ),
        tolerance={"float32": (2e-6, 4e-6), "float64": (1e-13, 1e-13)},
        cost=lambda x, *args, **kwargs: Cost(5 * x.size, nbytes(x)),
        bench=lambda rng: sample(rng.standard_normal((4096, 1024)), rng.integers(0, 1024, 4096)),
        source="Shannon: A Mathematical Theory of Communication (1948)",
    )
]
