"""Answers to day 34's exercises: a right one each, and wrong ones whose messages must name the bug."""

import math

import numpy as np
from tests.study.answering import right, wrong

# ---- causal_mask


@right("causal_mask")
def causal_mask(n_queries, n_keys):
    return np.arange(n_keys) <= np.arange(n_queries)[:, None] + n_keys - n_queries


@right("causal_mask")
def last_rows_of_a_square(n_queries, n_keys):
    return np.tri(n_keys, dtype=bool)[n_keys - n_queries :]


@wrong("causal_mask", says="nothing is hidden")
def all_visible(n_queries, n_keys):
    return np.ones((n_queries, n_keys), bool)


@wrong("causal_mask", says="off by one")
def next_token_visible(n_queries, n_keys):
    return np.tri(n_queries, n_keys, n_keys - n_queries + 1, dtype=bool)


@wrong("causal_mask", says="see itself")
def not_itself(n_queries, n_keys):
    return np.tri(n_queries, n_keys, n_keys - n_queries - 1, dtype=bool)


@wrong("causal_mask", says="transposed")
def upside_down(n_queries, n_keys):
    return np.triu(np.ones((n_queries, n_keys), bool))


@wrong("causal_mask", says="True where a key is hidden")
def true_where_hidden(n_queries, n_keys):
    return ~np.tri(n_queries, n_keys, n_keys - n_queries, dtype=bool)


@wrong("causal_mask", says="last query stands at the last key")
def first_at_first(n_queries, n_keys):
    return np.tri(n_queries, n_keys, dtype=bool)


@wrong("causal_mask", says="must hold bool")
def numbers(n_queries, n_keys):
    return np.tri(n_queries, n_keys, n_keys - n_queries)


@wrong("causal_mask", says="returned a list")
def rows_in_a_list(n_queries, n_keys):
    return np.tri(n_queries, n_keys, n_keys - n_queries, dtype=bool).tolist()


@wrong("causal_mask", says="every earlier key")
def only_itself(n_queries, n_keys):
    return np.eye(n_queries, n_keys, n_keys - n_queries, dtype=bool)


@wrong("causal_mask", says=r"shape \(1, 5\), but has \(5, 1\)")
def sizes_swapped(n_queries, n_keys):
    return np.tri(n_keys, n_queries, n_queries - n_keys, dtype=bool)


@wrong("causal_mask", says=r"query 0 must see keys 0 to 3, but sees \[0, 4, 5, 6\]")
def cache_behind_the_new_keys(n_queries, n_keys):
    return np.hstack([np.tri(n_queries, dtype=bool), np.ones((n_queries, n_keys - n_queries), bool)])


# ---- attention


def softmax(scores, axis=-1):
    e = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def scores_of(Q, K):
    return Q @ K.T / math.sqrt(Q.shape[1])


def hidden(scores, mask, filler=-np.inf):
    return np.where(mask, scores, filler)


@right("attention")
def attention(Q, K, V, mask):
    scores = np.where(mask, Q @ K.T / math.sqrt(Q.shape[1]), -np.inf)
    return softmax(scores) @ V


@right("attention")
def shifted_before_hiding_and_after(Q, K, V, mask):
    scores = scores_of(Q, K)
    scores = hidden(scores - scores.max(axis=1, keepdims=True), mask)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e @ V / e.sum(axis=1, keepdims=True)


@right("attention")
def lowest_float_for_hidden(Q, K, V, mask):
    return np.einsum("nm,md->nd", softmax(hidden(scores_of(Q, K), mask, np.finfo(float).min)), V)


@right("attention")
def query_by_query(Q, K, V, mask):
    results = []
    for query, sees in zip(Q, mask, strict=True):
        scores = [float(query @ key) / len(query) ** 0.5 for key in K[sees]]
        weights = [math.exp(score - max(scores)) for score in scores]
        results.append(sum(w * value for w, value in zip(weights, V[sees], strict=True)) / sum(weights))
    return np.array(results)


@wrong("attention", says=r"divided by 1\.00: they are not scaled")
def not_scaled(Q, K, V, mask):
    return softmax(hidden(Q @ K.T, mask)) @ V


@wrong("attention", says="the size itself")
def no_root(Q, K, V, mask):
    return softmax(hidden(Q @ K.T / Q.shape[1], mask)) @ V


@wrong("attention", says="number of keys")
def root_of_keys(Q, K, V, mask):
    return softmax(hidden(Q @ K.T / math.sqrt(len(K)), mask)) @ V


@wrong("attention", says="size of a value")
def root_of_values(Q, K, V, mask):
    return softmax(hidden(Q @ K.T / math.sqrt(V.shape[1]), mask)) @ V


@wrong("attention", says=r"the weights must be \[\[0.33, 0.67\]")
def scale_of_another_size(Q, K, V, mask):
    return softmax(hidden(Q @ K.T / 4, mask)) @ V


@wrong("attention", says="weigh the same, whatever the query")
def mean_of_the_visible(Q, K, V, mask):
    return mask / mask.sum(axis=1, keepdims=True) @ V


@wrong("attention", says="one gets weight -")
def no_power(Q, K, V, mask):
    scores = scores_of(Q, K) * mask
    return scores / scores.sum(axis=1, keepdims=True) @ V


@wrong("attention", says="denominator has seen")
def mask_after(Q, K, V, mask):
    return (softmax(scores_of(Q, K)) * mask) @ V


@wrong("attention", says="gets weight.*right keys")
def off_by_one(Q, K, V, mask):
    return softmax(hidden(scores_of(Q, K), mask | np.roll(mask, 1, axis=1))) @ V


@wrong("attention", says="gets weight.*is the mask applied")
def ignores_mask(Q, K, V, mask):
    return softmax(scores_of(Q, K)) @ V


@wrong("attention", says="in place of its score still weighs")
def zeros_not_minus_infinity(Q, K, V, mask):
    return softmax(scores_of(Q, K) * mask) @ V


@wrong("attention", says="not all are numbers")
def times_minus_infinity(Q, K, V, mask):
    return softmax(scores_of(Q, K) * np.where(mask, 1, -np.inf)) @ V


@wrong("attention", says="no key is left")
def hides_the_visible(Q, K, V, mask):
    return softmax(hidden(scores_of(Q, K), ~mask)) @ V


@wrong("attention", says="broadcast")
def mask_transposed(Q, K, V, mask):
    return softmax(hidden(scores_of(Q, K), mask.T)) @ V


@wrong("attention", says="mask is True gets weight 0")
def first_row_of_mask(Q, K, V, mask):
    return softmax(hidden(scores_of(Q, K), mask[0])) @ V


@wrong("attention", says="equal keys do not weigh the same")
def mask_of_its_own(Q, K, V, mask):
    return softmax(hidden(scores_of(Q, K), np.tri(len(Q), len(K), dtype=bool))) @ V


@wrong("attention", says="is it another mask")
def causal_where_anything_is_hidden(Q, K, V, mask):
    own = mask if mask.all() else np.tri(len(Q), len(K), dtype=bool)
    return softmax(hidden(scores_of(Q, K), own)) @ V


def filled(filler):
    def fills(Q, K, V, mask):
        return softmax(hidden(scores_of(Q, K), mask, filler)) @ V

    fills.__name__ = f"hidden_scores_are_{filler}"
    return fills


for filler, came in ((-50, 5), (-200, 5), (-1000, 3)):
    wrong("attention", says=f"{came} comes: what stands in place of the hidden score outweighs")(
        filled(filler)
    )


@wrong("attention", says="3 comes: what stands in place of the hidden score .* equals it")
def lowered_by_2000(Q, K, V, mask):
    return softmax(scores_of(Q, K) + np.where(mask, 0, -2000)) @ V


@wrong("attention", says="nan comes: the hidden score")
def masked_after_the_power(Q, K, V, mask):
    scores = scores_of(Q, K)
    e = np.exp(scores - scores.max(axis=1, keepdims=True)) * mask
    return e @ V / e.sum(axis=1, keepdims=True)


@wrong("attention", says="the future leaks")
def masked_after_the_power_and_kept_from_0(Q, K, V, mask):
    scores = scores_of(Q, K)
    e = np.exp(scores - scores.max(axis=1, keepdims=True)) * mask
    return e @ V / (e.sum(axis=1, keepdims=True) + 1e-12)


@wrong("attention", says="visible weight vanished")
def masked_after_the_power_and_nan_removed(Q, K, V, mask):
    return np.nan_to_num(masked_after_the_power(Q, K, V, mask))


@wrong("attention", says="wrong sum")
def over_queries(Q, K, V, mask):
    return softmax(hidden(scores_of(Q, K), mask), axis=0) @ V


@wrong("attention", says="wrong sum")
def result_normalised(Q, K, V, mask):
    y = softmax(hidden(scores_of(Q, K), mask)) @ V
    return y / y.sum(axis=1, keepdims=True)


@wrong("attention", says="must sum to 1, but sum to")
def divided_by_the_number_of_keys(Q, K, V, mask):
    scores = hidden(scores_of(Q, K), mask)
    return np.exp(scores - scores.max(axis=1, keepdims=True)) / len(K) @ V


@wrong("attention", says="something else is in the scores")
def largest_of_each_key(Q, K, V, mask):
    scores = scores_of(Q, K)
    return softmax(hidden(scores - scores.max(axis=0), mask)) @ V


@wrong("attention", says="range of a float")
def overflows(Q, K, V, mask):
    e = np.exp(hidden(scores_of(Q, K), mask))
    return e / e.sum(axis=1, keepdims=True) @ V


@wrong("attention", says="scores -1000 and 1000 .* range of a float")
def first_key_as_reference(Q, K, V, mask):
    scores = scores_of(Q, K)
    e = np.exp(hidden(scores - scores[:, :1], mask))
    return e / e.sum(axis=1, keepdims=True) @ V


@wrong("attention", says="one disturbs the other")
def largest_of_all_queries(Q, K, V, mask):
    scores = hidden(scores_of(Q, K), mask)
    e = np.exp(scores - scores.max())
    return e / e.sum(axis=1, keepdims=True) @ V


@wrong("attention", says="both weigh the same")
def scores_cut_at_700(Q, K, V, mask):
    e = np.exp(np.minimum(hidden(scores_of(Q, K), mask), 700))
    return e / e.sum(axis=1, keepdims=True) @ V


@wrong("attention", says="digits are lost")
def weights_in_float32(Q, K, V, mask):
    return softmax(hidden(scores_of(Q, K), mask)).astype(np.float32) @ V


@wrong("attention", says="something small is added")
def small_number_in_the_denominator(Q, K, V, mask):
    scores = hidden(scores_of(Q, K), mask)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e @ V / (e.sum(axis=1, keepdims=True) + 1e-6)


@wrong("attention", says="must hold float64, but holds int64")
def into_whole_numbers(Q, K, V, mask):
    y = np.zeros((len(Q), V.shape[1]), np.int64)
    y[:] = softmax(hidden(scores_of(Q, K), mask)) @ V
    return y


@wrong("attention", says="changed Q")
def scales_queries_in_place(Q, K, V, mask):
    Q /= math.sqrt(Q.shape[1])
    return softmax(hidden(Q @ K.T, mask)) @ V


@wrong("attention", says="that of the weights")
def weights_only(Q, K, V, mask):
    return softmax(hidden(scores_of(Q, K), mask))


@wrong("attention", says=r"shape \(3, 3\), but has \(3, 7\)")
def keys_as_values(Q, K, V, mask):
    return softmax(hidden(scores_of(Q, K), mask)) @ K


@wrong("attention", says="returned a tuple")
def result_and_weights(Q, K, V, mask):
    weights = softmax(hidden(scores_of(Q, K), mask))
    return weights @ V, weights


@wrong("attention", says="returned None")
def nothing_returned(Q, K, V, mask):
    softmax(hidden(scores_of(Q, K), mask)) @ V


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


@right("streaming_mean")
def mean_moves(pairs):
    highest, below, mean = -math.inf, 0.0, 0.0
    for score, value in pairs:
        new = max(highest, score)
        weight = math.exp(score - new)
        below, highest = below * math.exp(highest - new) + weight, new
        mean += weight / below * (value - mean)
    return mean


@right("streaming_mean")
def logarithm_of_the_weight(pairs):
    total, mean = next(pairs)
    for score, value in pairs:
        total = np.logaddexp(total, score)
        mean += math.exp(score - total) * (value - mean)
    return mean


def largest(old, score, count):
    return max(old, score)


def plant(
    name, says, reference=largest, *, start=-math.inf, exp=math.exp, rescale=(True, True), number=float
):
    """One pass whose weights are e^(score − reference(old reference, score, number of pairs before))."""

    def mean(pairs):
        old, above, below = start, number(0), number(0)
        for count, (score, value) in enumerate(pairs):
            new = reference(old, score, count)
            weight, shrink = exp(score - new), 1.0 if old == new else exp(old - new)
            above = number(above * (shrink if rescale[0] else 1) + weight * value)
            below = number(below * (shrink if rescale[1] else 1) + weight)
            old = new
        return above / below

    mean.__name__ = name
    wrong("streaming_mean", says=says)(mean)


def first(old, score, count):
    return old if count else score


def frozen(old, score, count):
    return max(old, score) if count < 8 else old


def cut(x):
    return math.exp(max(-700, min(x, 700)))


WRONG_UNIT = "before the larger score is in the wrong unit"
plant("no_reference", r"\(1000, 1\).*OverflowError", lambda *_: 0, start=0)
plant(
    "no_reference_in_numpy", r"\(1000, 1\).*gave nan: weights are infinite", lambda *_: 0, start=0, exp=np.exp
)
plant("powers_cut", "differences of large scores are lost", lambda *_: 0, start=0, exp=cut)
plant("denominator_not_rescaled", WRONG_UNIT, rescale=(True, False))
plant("nothing_rescaled", WRONG_UNIT, rescale=(False, False))
plant("largest_begins_at_zero", r"\(-1000, 1\), \(-998.901, 5\).*ZeroDivisionError", start=0)
plant("first_score_for_ever", r"\(-1000, 1\), \(1000, 5\).*OverflowError", first)
plant("first_score_for_ever_in_numpy", r"\(-1000, 1\), \(1000, 5\).*infinite", first, exp=np.exp)
plant("newest_score", r"\(1000, 5\), \(-1000, 1\).*OverflowError", lambda old, score, count: score)
plant("reference_kept_after_eight", "-1000 to 1000, rising.*OverflowError", frozen)
plant("powers_of_two", "larger score does not weigh three times", exp=lambda x: 2.0**x)
plant("float32", "digits are lost", number=np.float32)
plant(
    "small_scores_weigh_more", "smaller score weighs more", lambda *_: 0, start=0, exp=lambda x: math.exp(-x)
)


@wrong("streaming_mean", says="larger score is forgotten")
def begins_anew(pairs):
    highest, above, below = -math.inf, 0.0, 0.0
    for score, value in pairs:
        if score > highest:
            highest, above, below = score, 0.0, 0.0
        above, below = above + math.exp(score - highest) * value, below + math.exp(score - highest)
    return above / below


@wrong("streaming_mean", says="other score is smaller by 2000")
def too_large_is_left_out(pairs):
    reference, mean = next(pairs)
    below = 1.0
    for score, value in pairs:
        if score - reference < 700:
            weight = math.exp(score - reference)
            below += weight
            mean += weight / below * (value - mean)
    return mean


@wrong("streaming_mean", says="both weigh the same")
def plain_mean(pairs):
    mean = 0.0
    for count, (_, value) in enumerate(pairs, 1):
        mean += (value - mean) / count
    return mean


@wrong("streaming_mean", says="mean of one value")
def sum_not_mean(pairs):
    return sum(math.exp(score) * value for score, value in pairs)


@wrong("streaming_mean", says="which is the score")
def value_and_score_swapped(pairs):
    return streaming_mean((value, score) for score, value in pairs)


@wrong("streaming_mean", says="only one pair counts")
def best_only(pairs):
    return max(pairs)[1]


@wrong("streaming_mean", says="second pass")
def two_passes(pairs):
    highest = max(score for score, _ in pairs)
    above = below = 0.0
    for score, value in pairs:
        above, below = above + math.exp(score - highest) * value, below + math.exp(score - highest)
    return above / below


@wrong("streaming_mean", says="what has passed is kept")
def keeps_everything(pairs):
    score, value = np.array(list(pairs)).T
    w = np.exp(score - score.max())
    return w @ value / w.sum()


@wrong("streaming_mean", says="what has passed is kept")
def sorts(pairs):
    return streaming_mean(iter(sorted(pairs)))


@wrong("streaming_mean", says="not all count")
def first_thousand(pairs):
    return streaming_mean(pair for _, pair in zip(range(1000), pairs, strict=False))


@wrong("streaming_mean", says="TypeError.*no len")
def asks_how_many(pairs):
    return streaming_mean(pairs) * len(pairs) / len(pairs)


@wrong("streaming_mean", says="returned a tuple")
def numbers_not_divided(pairs):
    highest, above, below = -math.inf, 0.0, 0.0
    for score, value in pairs:
        new = max(highest, score)
        shrink, weight = math.exp(highest - new), math.exp(score - new)
        highest, above, below = new, above * shrink + weight * value, below * shrink + weight
    return above, below


@wrong("streaming_mean", says="returned a generator")
def yields(pairs):
    for _, value in pairs:
        yield value
