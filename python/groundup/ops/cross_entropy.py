"""cross_entropy: how surprised a distribution of logits is by the class that came."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundup.ops._spec import (
    Array,
    Bad,
    Cost,
    DTypeError,
    Example,
    Sample,
    ShapeError,
    Spec,
    nbytes,
    require,
    sample,
)


def _rows(x: Array) -> Array:
    """The logits with classes last: [N, V, ...] or [V] as rows [R, V]."""
    return np.moveaxis(x, min(1, x.ndim - 1), -1).reshape(-1, x.shape[min(1, x.ndim - 1)])


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


def _total_weight(x: Array, target: Array, weight: Array | None, ignore_index: int) -> Array:
    counted = target[target != ignore_index]
    total = len(counted) if weight is None else weight[counted].sum()
    return np.asarray(total, x.dtype)


def cross_entropy(
    x: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    x, y = _rows(x), target.reshape(-1)  # R,V and R
    q = _distribution(x, y, weight, ignore_index, label_smoothing)  # R,V
    losses: Array = -(np.where(q == 0, 0, _log_softmax(x)) * q).sum(axis=-1)  # R
    if reduction == "none":
        return losses.reshape(target.shape)
    total: Array = losses.sum()
    # Where no row counts, the mean is 0 / 0.
    return total if reduction == "sum" else total / _total_weight(x, y, weight, ignore_index)


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
    rows, classes = _rows(x), target.reshape(-1)
    q = _distribution(rows, classes, weight, ignore_index, label_smoothing)
    p = np.exp(_log_softmax(rows))
    # Without smoothing and weights this is p − one_hot: what the model believes minus what came.
    dlosses = p * q.sum(axis=-1, keepdims=True) - q  # R,V
    if reduction == "mean":
        dy = dy / _total_weight(rows, classes, weight, ignore_index)
    drows = dlosses * np.reshape(dy, (-1, 1))
    if x.ndim < 3:
        return drows.reshape(x.shape), None, None
    return np.moveaxis(drows.reshape(*target.shape, -1), -1, 1), None, None


def check(
    x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str, label_smoothing: float
) -> None:
    require(x.ndim > 0, ShapeError, "[cross_entropy] x must be [V] or [N, V, ...], but got shape ()")
    axis = min(1, x.ndim - 1)
    V, expected = x.shape[axis], x.shape[:axis] + x.shape[axis + 1 :]
    require(
        target.shape == expected,
        ShapeError,
        f"[cross_entropy] target must have shape {expected}, but got {target.shape}",
    )
    require(
        target.dtype == np.int64, DTypeError, f"[cross_entropy] target must be int64, but got {target.dtype}"
    )
    require(V > 0, ShapeError, f"[cross_entropy] x must have at least one class, but got shape {x.shape}")
    if weight is not None:
        require(
            weight.shape == (V,),
            ShapeError,
            f"[cross_entropy] weight must have shape ({V},), but got {weight.shape}",
        )
        require(
            weight.dtype == x.dtype,
            DTypeError,
            f"[cross_entropy] weight must be {x.dtype} like x, but got {weight.dtype}",
        )
    require(
        reduction in ("mean", "sum", "none"),
        ValueError,
        f"[cross_entropy] reduction must be 'mean', 'sum' or 'none', but got '{reduction}'",
    )
    require(
        0 <= label_smoothing <= 1,
        ValueError,
        f"[cross_entropy] label_smoothing must be in 0 to 1, but got {label_smoothing:g}",
    )
    wrong = np.flatnonzero(((target < 0) | (target >= V)) & (target != ignore_index))
    if wrong.size:
        raise IndexError(
            f"[cross_entropy] target must be in 0 to {V - 1} or ignore_index {ignore_index}, "
            f"but got {target.reshape(-1)[wrong[0]]} at position {wrong[0]}"
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
            Bad(
                sample(np.array(3.0), np.array(0)),
                ShapeError,
                "[cross_entropy] x must be [V] or [N, V, ...], but got shape ()",
            ),
            Bad(
                sample(np.zeros((2, 3)), np.array([0])),
                ShapeError,
                "[cross_entropy] target must have shape (2,), but got (1,)",
            ),
            Bad(
                sample(np.zeros((2, 3, 4)), np.zeros((2, 3), np.int64)),
                ShapeError,
                "[cross_entropy] target must have shape (2, 4), but got (2, 3)",
            ),
            Bad(
                sample(np.zeros((2, 3)), np.array([0.0, 1.0])),
                DTypeError,
                "[cross_entropy] target must be int64, but got float32",
            ),
            Bad(
                sample(np.zeros((2, 3)), np.array([0, 3])),
                IndexError,
                "[cross_entropy] target must be in 0 to 2 or ignore_index -100, but got 3 at position 1",
            ),
            Bad(
                sample(np.zeros((2, 3)), np.array([0, 1]), np.zeros(2)),
                ShapeError,
                "[cross_entropy] weight must have shape (3,), but got (2,)",
            ),
            Bad(
                sample(np.zeros((2, 3)), np.array([0, 1]), reduction="max"),
                ValueError,
                "[cross_entropy] reduction must be 'mean', 'sum' or 'none', but got 'max'",
            ),
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
