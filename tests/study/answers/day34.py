"""Answers to day 34's exercises: a right one each, and wrong ones whose messages must name the bug."""

import math

import numpy as np
from tests.study.answering import right, wrong

# ---- causal_mask


@right("causal_mask")
def causal_mask(n_queries, n_keys):
    return np.arange(n_keys) <= np.arange(n_queries)[:, None] + n_keys - n_queries


@wrong("causal_mask", says="off by one")
def next_token_visible(n_queries, n_keys):
    return np.tri(n_queries, n_keys, n_keys - n_queries + 1, dtype=bool)


@wrong("causal_mask", says="see itself")
def not_itself(n_queries, n_keys):
    return np.tri(n_queries, n_keys, n_keys - n_queries - 1, dtype=bool)


@wrong("causal_mask", says="transposed")
def upside_down(n_queries, n_keys):
    return np.triu(np.ones((n_queries, n_keys), bool))


@wrong("causal_mask", says="hidden")
def true_where_hidden(n_queries, n_keys):
    return ~np.tri(n_queries, n_keys, n_keys - n_queries, dtype=bool)


@wrong("causal_mask", says="last query stands at the last key")
def first_at_first(n_queries, n_keys):
    return np.tri(n_queries, n_keys, dtype=bool)


@wrong("causal_mask", says="must be bool")
def numbers(n_queries, n_keys):
    return np.tri(n_queries, n_keys, n_keys - n_queries)


# ---- attention


def softmax(scores, axis=-1):
    e = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@right("attention")
def attention(Q, K, V, mask):
    scores = np.where(mask, Q @ K.T / math.sqrt(Q.shape[1]), -np.inf)
    return softmax(scores) @ V


@wrong("attention", says="√d")
def no_root(Q, K, V, mask):
    return softmax(np.where(mask, Q @ K.T, -np.inf)) @ V


@wrong("attention", says="√ of which size")
def root_of_keys(Q, K, V, mask):
    return softmax(np.where(mask, Q @ K.T / math.sqrt(len(K)), -np.inf)) @ V


@wrong("attention", says="denominator has seen")
def mask_after(Q, K, V, mask):
    return (softmax(Q @ K.T / math.sqrt(Q.shape[1])) * mask) @ V


@wrong("attention", says="gets weight")
def off_by_one(Q, K, V, mask):
    wider = mask | np.roll(mask, 1, axis=1)
    return softmax(np.where(wider, Q @ K.T / math.sqrt(Q.shape[1]), -np.inf)) @ V


@wrong("attention", says="gets weight")
def ignores_mask(Q, K, V, mask):
    return softmax(Q @ K.T / math.sqrt(Q.shape[1])) @ V


@wrong("attention", says="gets weight")
def zeros_not_minus_infinity(Q, K, V, mask):
    return softmax(np.where(mask, Q @ K.T / math.sqrt(Q.shape[1]), 0)) @ V


@wrong("attention", says="sum to")
def over_queries(Q, K, V, mask):
    return softmax(np.where(mask, Q @ K.T / math.sqrt(Q.shape[1]), -np.inf), axis=0) @ V


@wrong("attention", says="range of a float")
def overflows(Q, K, V, mask):
    e = np.exp(np.where(mask, Q @ K.T / math.sqrt(Q.shape[1]), -np.inf))
    return e / e.sum(axis=1, keepdims=True) @ V


# ---- streaming_mean


@right("streaming_mean")
def streaming_mean(pairs):
    highest, above, below = -math.inf, 0.0, 0.0
    for score, value in pairs:
        if score > highest:
            shrink = math.exp(highest - score)
            highest, above, below = score, above * shrink, below * shrink
        weight = math.exp(score - highest)
        above, below = above + weight * value, below + weight
    return above / below


@wrong("streaming_mean", says="is not a float above 0")
def no_maximum(pairs):
    above = below = 0.0
    for score, value in pairs:
        above, below = above + math.exp(score) * value, below + math.exp(score)
    return above / below


@wrong("streaming_mean", says="wrong unit")
def denominator_not_rescaled(pairs):
    highest, above, below = -math.inf, 0.0, 0.0
    for score, value in pairs:
        new = max(highest, score)
        above = above * math.exp(highest - new) + math.exp(score - new) * value
        below, highest = below + math.exp(score - new), new
    return above / below


@wrong("streaming_mean", says="wrong unit")
def nothing_rescaled(pairs):
    highest, above, below = -math.inf, 0.0, 0.0
    for score, value in pairs:
        highest = max(highest, score)
        above, below = above + math.exp(score - highest) * value, below + math.exp(score - highest)
    return above / below


@wrong("streaming_mean", says="float above 0|below zero")
def maximum_begins_at_zero(pairs):
    highest, above, below = 0.0, 0.0, 0.0
    for score, value in pairs:
        new = max(highest, score)
        shrink, weight = math.exp(highest - new), math.exp(score - new)
        highest, above, below = new, above * shrink + weight * value, below * shrink + weight
    return above / below


@wrong("streaming_mean", says="mean 5")
def sum_not_mean(pairs):
    return sum(math.exp(score) * value for score, value in pairs)


@wrong("streaming_mean", says="kept in a list")
def keeps_everything(pairs):
    score, value = np.array(list(pairs)).T
    w = np.exp(score - score.max())
    return w @ value / w.sum()


@wrong("streaming_mean", says="mean 5")
def best_only(pairs):
    return max(pairs)[1]
