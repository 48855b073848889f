"""From logits to the next token: greedy, temperature, top-k, top-p."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def check(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise a ValueError that names the argument that is out of range."""
    if not temperature >= 0:
        raise ValueError(f"[generate] temperature must be >= 0, but got {temperature}")
    if top_k is not None and (not isinstance(top_k, (int, np.integer)) or top_k < 1):
        raise ValueError(f"[generate] top_k must be an int of at least 1, but got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"[generate] top_p must be in (0, 1], but got {top_p}")


def probabilities(
    logits: npt.NDArray[Any], temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Floats:
    """The distribution that is sampled. Shapes: logits [B, V] -> [B, V].

    Args:
        temperature: divides the logits; below 1 sharpens, above 1 flattens. 0 leaves only the largest.
        top_k: keep the k likeliest tokens.
        top_p: keep the fewest likeliest tokens that hold at least this probability (Holtzman et al., 2020).

    >>> probabilities(np.log([[0.5, 0.3, 0.2]]), top_k=2).round(3)
    array([[0.625, 0.375, 0.   ]])
    >>> probabilities(np.log([[0.5, 0.3, 0.2]]), top_p=0.6).round(3)
    array([[0.625, 0.375, 0.   ]])
    """
    check(temperature, top_k, top_p)
    scores = np.asarray(logits, np.float64)
    if np.isnan(scores).any():
        raise ValueError("[generate] logits must be numbers, but got NaN: the model's weights are not finite")
    if temperature == 0:
        greedy = np.zeros_like(scores)
        np.put_along_axis(greedy, scores.argmax(axis=-1)[:, None], 1.0, axis=-1)
        return greedy
    with np.errstate(over="ignore"):  # the largest stays 0, so a tiny temperature is greedy, not NaN
        scores = (scores - scores.max(axis=-1, keepdims=True)) / temperature
    order = np.argsort(-scores, axis=-1, kind="stable")  # likeliest first, ties by id
    if top_k is not None and top_k < scores.shape[-1]:
        np.put_along_axis(scores, order[:, top_k:], -np.inf, axis=-1)
    weights = np.exp(scores)
    p: Floats = weights / weights.sum(axis=-1, keepdims=True)
    if top_p is not None and top_p < 1:
        ranked = np.take_along_axis(p, order, axis=-1)
        before = np.cumsum(ranked, axis=-1) - ranked  # what the likelier ones hold
        np.put_along_axis(p, order, np.where(before < top_p, ranked, 0.0), axis=-1)
        p /= p.sum(axis=-1, keepdims=True)
    return p


def sample(p: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """One token a row by inverting the cumulative distribution. Shapes: p [B, V] -> [B]."""
    u = rng.random((p.shape[0], 1))
    cumulative = np.cumsum(p, axis=-1)
    chosen = (cumulative <= u * cumulative[:, -1:]).sum(axis=-1)
    # Rounding may point one past the last token that has any probability.
    last = p.shape[-1] - 1 - (p[:, ::-1] > 0).argmax(axis=-1)
    tokens: npt.NDArray[np.int64] = np.minimum(chosen, last)
    return tokens
