"""Day 34: the causal mask, attention, and the softmax-weighted mean in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.study.checking import Exercise, expect

Array = npt.NDArray[Any]


# ------------------------------------------------------------------------------------------------ causal_mask


def _mask(causal_mask: Callable[[int, int], Any], n_queries: int, n_keys: int) -> Array:
    mask = np.asarray(causal_mask(n_queries, n_keys))
    call = f"causal_mask({n_queries}, {n_keys})"
    expect(
        mask.shape == (n_queries, n_keys), f"{call} must have shape {n_queries, n_keys}, but has {mask.shape}"
    )
    expect(mask.dtype == np.bool_, f"{call} must be bool, True or False, but holds {mask.dtype}")
    return mask


def mask_of_three(causal_mask: Any) -> None:
    """Three queries, three keys."""
    mask = _mask(causal_mask, 3, 3)
    expect(
        not (not mask[2, 0] and mask[0, 2]),
        "causal_mask(3, 3): the last query must see the first key and the first query not the last key, "
        "but it is the other way round: is it transposed, or True where a key is hidden?",
    )
    expect(mask.diagonal().all(), "causal_mask(3, 3): a query must see itself, but the diagonal holds False")
    expect(
        not mask[0, 1],
        "causal_mask(3, 3): the first query sees the second key, which is the token it has to predict: off by one",
    )
    expect(
        mask[2, :2].all(), "causal_mask(3, 3): the last query must see every earlier key, but some are hidden"
    )
    expect(not np.triu(mask, 1).any(), "causal_mask(3, 3): a later key is visible: the future leaks")


def mask_with_cache(causal_mask: Any) -> None:
    """One new query, five keys, as with a cache."""
    mask = _mask(causal_mask, 1, 5)
    expect(
        mask.all(),
        f"causal_mask(1, 5): the newest token must see all five keys, but sees {mask.sum()}: the last query stands "
        "at the last key, not the first at the first",
    )


def mask_of_ragged_sizes(causal_mask: Any) -> None:
    """Ragged sizes: each query sees one key more than the one before it."""
    for n_queries, n_keys in ((4, 7), (1, 1), (6, 6), (3, 11)):
        sees = _mask(causal_mask, n_queries, n_keys).sum(axis=1).tolist()
        wanted = [n_keys - n_queries + i + 1 for i in range(n_queries)]
        expect(
            sees == wanted,
            f"causal_mask({n_queries}, {n_keys}): queries must see {wanted} keys, but see {sees}",
        )


# -------------------------------------------------------------------------------------------------- attention


def _attention(attention: Any, *arrays: Array) -> Array:
    given = [array.copy() for array in arrays]
    y = np.asarray(attention(*given))
    wanted = (len(arrays[0]), arrays[2].shape[1])
    expect(y.shape == wanted, f"the result must have shape {wanted}, but has {y.shape}")
    same = all(np.array_equal(a, b) for a, b in zip(arrays, given, strict=True))
    expect(same, "attention must leave its arguments as they are, but it changed one")
    return y


def _drawn(n: int, m: int, d: int, width: int, seed: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)), rng.standard_normal((m, width))


def _tri(n: int, m: int) -> Array:
    return np.tri(n, m, m - n, dtype=np.bool_)


def attention_by_hand(attention: Any) -> None:
    """The hand example of this page, all keys visible."""
    Q, K = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0, 1.0], [2.0, 0.0]])
    w = _attention(attention, Q, K, np.eye(2), np.ones((2, 2), np.bool_))
    if np.allclose(w, [[0.269, 0.731], [0.881, 0.119]], atol=5e-4):
        expect(False, "the weights are those of scores that were not divided: where is √d?")
    sums = w.sum(axis=1)
    expect(np.allclose(sums, 1), f"the weights of a query must sum to 1, but sum to {sums.round(3).tolist()}")
    wanted = [[0.330, 0.670], [0.804, 0.196]]
    expect(np.allclose(w, wanted, atol=5e-4), f"the weights must be {wanted}, but are {w.round(3).tolist()}")


def attention_scale(attention: Any) -> None:
    """Ragged sizes: 3 queries, 5 keys of size 16."""
    Q, K, _ = _drawn(3, 5, 16, 1, 0)
    w = _attention(attention, Q, K, np.eye(5), np.ones((3, 5), np.bool_))
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.log(w).std(axis=1) / (Q @ K.T).std(axis=1)  # of scores used, over that of the products
    used = 1 / float(spread.mean())
    expect(
        abs(used - 4) < 0.01,
        f"keys of size 16 need their scores divided by √16 = 4, but they look divided by {used:.2f}: √ of which size?",
    )
    expect(
        np.allclose(w.sum(axis=1), 1),
        "the weights of each query must sum to 1: along which axis does softmax run?",
    )


def attention_mask(attention: Any) -> None:
    """A hidden key leaves no trace."""
    Q, K, V = _drawn(5, 5, 8, 3, 1)
    mask = _tri(5, 5)
    w = _attention(attention, Q, K, np.eye(5), mask)
    leak = w[~mask].max()
    expect(
        leak < 1e-9,
        f"a key whose mask is False gets weight {leak:.3f}, but must get 0: is the mask applied, the right way up?",
    )
    sums = w.sum(axis=1)
    expect(
        np.allclose(sums, 1),
        f"the visible weights sum to {sums.round(2).tolist()}, not to 1: the denominator has seen the hidden keys",
    )
    before = _attention(attention, Q, K, V, mask)
    K[3], V[3] = 7.0, -5.0
    moved = abs(_attention(attention, Q, K, V, mask)[:3] - before[:3]).max()
    expect(
        moved == 0,
        f"token 3 changed, and the results of tokens 0 to 2 moved by {moved:.3g}: the future leaks",
    )


def attention_keeps_parts(attention: Any) -> None:
    """Fewer visible keys: the same as without the hidden ones."""
    Q, K, V = _drawn(4, 7, 6, 5, 2)
    mask = np.zeros((4, 7), np.bool_)
    mask[:, [1, 4, 6]] = True
    full = _attention(attention, Q, K, V, mask)
    few = _attention(attention, Q, K[[1, 4, 6]], V[[1, 4, 6]], np.ones((4, 3), np.bool_))
    expect(
        np.allclose(full, few, rtol=1e-9),
        "hiding keys must give what leaving them out gives, but the results differ",
    )


def attention_large_scores(attention: Any) -> None:
    """Scores near 1000 and −1000."""
    for sign in (1.0, -1.0):
        Q, K = np.full((1, 4), 20.0 * sign), np.array([[25.0] * 4, [24.9] * 4])
        V = np.array([[1.0], [3.0]])
        with np.errstate(all="ignore"):
            y = _attention(attention, Q, K, V, np.ones((1, 2), np.bool_))
        near = 20 * 4 * 0.1 / 2 * sign  # how much larger the first score is
        wanted = 1 + 2 / (1 + np.exp(near))
        expect(
            bool(np.isfinite(y).all()),
            f"scores near {sign * 1000:.0f} give {float(y[0, 0])}: e^score left the range of a float. Softmax does not "
            "change when the same number is taken from all scores",
        )
        expect(
            np.allclose(y, wanted),
            f"scores near {sign * 1000:.0f}: must be {wanted:.4f}, but is {float(y[0, 0]):.4f}",
        )


# ---------------------------------------------------------------------------------------------- streaming_mean


def _stream(streaming_mean: Any, pairs: Iterable[tuple[float, float]]) -> float:
    with np.errstate(all="ignore"):
        return float(streaming_mean(iter(list(pairs))))


def _close(got: float, wanted: float) -> bool:
    return bool(np.isclose(got, wanted, rtol=1e-9, atol=1e-12))


def mean_by_hand(streaming_mean: Any) -> None:
    """Equal scores: the plain mean; one pair: its value."""
    got = _stream(streaming_mean, [(0.0, 2.0), (0.0, 4.0), (0.0, 9.0)])
    expect(_close(got, 5), f"three equal scores with values 2, 4, 9 must give their mean 5, but gave {got}")
    got = _stream(streaming_mean, [(3.0, 8.0)])
    expect(_close(got, 8), f"a single pair (3, 8) must give 8, but gave {got}")


def mean_weighs(streaming_mean: Any) -> None:
    """A score larger by ln 3 weighs three times as much, in either order."""
    pairs = [(float(np.log(3)), 1.0), (0.0, 5.0)]
    for order in (pairs, pairs[::-1]):
        got = _stream(streaming_mean, order)
        shown = ", ".join(f"({s:.3f}, {v:g})" for s, v in order)
        expect(
            _close(got, 2),
            f"pairs {shown} must give (3·1 + 1·5)/4 = 2, but gave {got:.4f}: when a larger score comes, what was added "
            "before is in the wrong unit, above the fraction and below it",
        )


def mean_of_large_scores(streaming_mean: Any) -> None:
    """Scores of 1000 and of −1000."""
    for base in (1000.0, -1000.0):
        try:
            got = _stream(streaming_mean, [(base, 1.0), (base + float(np.log(3)), 5.0)])
        except (OverflowError, ZeroDivisionError) as error:
            expect(
                False,
                f"scores near {base:.0f} raise {type(error).__name__}: e^{base:.0f} is not a float above 0",
            )
        expect(
            _close(got, 4),
            f"scores near {base:.0f} must give 4, but gave {got}: measure scores from the largest so far, which may be "
            "below zero",
        )


def mean_any_order(streaming_mean: Any) -> None:
    """Ragged lengths against NumPy, and any order gives the same."""
    rng = np.random.default_rng(3)
    for n in (1, 2, 7, 33):
        score, value = rng.standard_normal(n) * 20, rng.standard_normal(n)
        w = np.exp(score - score.max())
        wanted = float(w @ value / w.sum())
        for order in (np.arange(n), np.argsort(score), np.argsort(-score)):
            got = _stream(streaming_mean, zip(score[order].tolist(), value[order].tolist(), strict=True))
            expect(_close(got, wanted), f"{n} pairs must give {wanted:.6f} in any order, but gave {got:.6f}")


def mean_reads_once(streaming_mean: Any) -> None:
    """Thirty thousand pairs, three numbers held."""
    import tracemalloc

    n = 30_000
    tracemalloc.start()
    try:
        got = float(streaming_mean((0.0, float(i)) for i in range(n)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    expect(
        _close(got, (n - 1) / 2),
        f"{n} equal scores with values 0, 1, 2 … must give {(n - 1) / 2}, but gave {got}",
    )
    expect(
        peak < 200_000,
        f"{n} pairs took {peak // 1000} kB: they are kept in a list, but three numbers are enough",
    )


EXERCISES = [
    Exercise(
        name="causal_mask",
        minutes=10,
        difficulty=2,
        signature="causal_mask(n_queries, n_keys)",
        task="A bool array [n_queries, n_keys], True where the query may see the key. The last query stands at the "
        "last key.",
        checks=(mask_of_three, mask_with_cache, mask_of_ragged_sizes),
    ),
    Exercise(
        name="attention",
        minutes=20,
        difficulty=3,
        signature="attention(Q, K, V, mask)",
        task="Scaled dot-product attention in NumPy: Q [n, d], K [m, d], V [m, d_v], mask [n, m] bool, True where a "
        "key may be seen. Every query sees at least one key; scores may be as large as 1000.",
        checks=(
            attention_by_hand,
            attention_scale,
            attention_mask,
            attention_keeps_parts,
            attention_large_scores,
        ),
    ),
    Exercise(
        name="streaming_mean",
        minutes=20,
        difficulty=3,
        signature="streaming_mean(pairs)",
        task="The softmax-weighted mean of the values of (score, value) pairs that arrive one at a time, in one pass, "
        "holding three numbers.",
        checks=(mean_by_hand, mean_weighs, mean_of_large_scores, mean_any_order, mean_reads_once),
    ),
]
