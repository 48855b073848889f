"""Day 34: the causal mask, attention, and the softmax-weighted mean in one pass."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.study.checking import Exercise, expect

Array = npt.NDArray[Any]


def _returned(call: str, got: Any, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """What came, if it is an array of that shape and type."""
    came = "None" if got is None else f"a {type(got).__name__}"
    expect(isinstance(got, np.ndarray), f"{call} must return a NumPy array, but returned {came}")
    expect(got.shape == shape, f"{call} must have shape {shape}, but has {got.shape}")
    expect(got.dtype == dtype, f"{call} must hold {np.dtype(dtype)}, but holds {got.dtype}")
    return np.asarray(got)


def _tri(n: int, m: int) -> Array:
    return np.tri(n, m, m - n, dtype=np.bool_)


# ------------------------------------------------------------------------------------------------ causal_mask


def _mask(causal_mask: Callable[[int, int], Any], n_queries: int, n_keys: int) -> Array:
    call = f"causal_mask({n_queries}, {n_keys})"
    return _returned(call, causal_mask(n_queries, n_keys), (n_queries, n_keys), np.bool_)


def mask_of_three(causal_mask: Any) -> None:
    """Three queries, three keys."""
    mask = _mask(causal_mask, 3, 3)
    expect(not mask.all(), "causal_mask(3, 3): every query sees every key: nothing is hidden")
    expect(
        mask[2, 0] or not mask[0, 2],
        "causal_mask(3, 3): the first query sees the last key and the last query not the first key: "
        + ("rows and columns are transposed" if mask[1, 1] else "it is True where a key is hidden"),
    )
    expect(mask.diagonal().all(), "causal_mask(3, 3): a query must see itself, but the diagonal holds False")
    expect(
        not mask[0, 1],
        "causal_mask(3, 3): the first query sees the second key, which is the token it has to predict: off by one",
    )
    expect(
        mask[2, :2].all(), "causal_mask(3, 3): the last query must see every earlier key, but some are hidden"
    )


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
        mask = _mask(causal_mask, n_queries, n_keys)
        for i, (sees, must) in enumerate(zip(mask, _tri(n_queries, n_keys), strict=True)):
            expect(
                np.array_equal(sees, must),
                f"causal_mask({n_queries}, {n_keys}): query {i} must see keys 0 to {must.sum() - 1}, but sees "
                f"{np.flatnonzero(sees).tolist()}",
            )


# -------------------------------------------------------------------------------------------------- attention


def _attention(attention: Any, *arrays: Array) -> Array:
    given = [array.copy() for array in arrays]
    with np.errstate(all="ignore"):  # an overflow is told by what it gives
        y = attention(*given)
    Q, K, V, _ = arrays
    wanted, weights = (len(Q), V.shape[1]), (len(Q), len(K))
    expect(
        getattr(y, "shape", None) != weights or weights == wanted,
        f"the result must have shape {wanted}, but has {weights}, which is that of the weights",
    )
    y = _returned("attention(Q, K, V, mask)", y, wanted, np.float64)
    for name, before, after in zip(("Q", "K", "V", "mask"), arrays, given, strict=True):
        expect(
            np.array_equal(before, after),
            f"attention must leave its arguments as they are, but changed {name}",
        )
    return y


def _drawn(n: int, m: int, d: int, width: int, seed: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)), rng.standard_normal((m, width))


def attention_to_equal_keys(attention: Any) -> None:
    """Equal keys: the mean of their values."""
    Q, _, _ = _drawn(3, 5, 7, 3, 0)
    V = np.array([[1.0, 10, 9], [2, 0, 9], [3, 40, 9], [4, 30, 9], [5, 20, 9]])
    y = _attention(attention, Q, np.ones((5, 7)), V, np.ones((3, 5), np.bool_))
    said = "five equal keys, all visible, must give the mean of their values, [3, 20, 9]"
    expect(not np.isnan(y).any(), f"{said}, but gave {y[0]}: no key is left for the query")
    times = y / [3, 20, 9]
    expect(
        np.allclose(times, 1, atol=0.01) or not np.allclose(times, times[:, :1]),
        f"{said}, but three queries gave {times[:, 0].round(3)} times that: divided by a wrong sum, or by none",
    )
    expect(
        np.allclose(times, 1, atol=0.01),
        f"{said}, but gave {y[0].round(3)}: equal keys do not weigh the same",
    )


def attention_scale(attention: Any) -> None:
    """Ragged sizes: 3 queries, 5 keys of size 16, values of size 7."""
    Q, K, _ = _drawn(3, 5, 16, 7, 0)
    w = _attention(attention, Q, K, np.eye(5, 7), np.ones((3, 5), np.bool_))[:, :5]
    expect((w > 0).all(), f"all keys are visible, but one gets weight {w.min():.3g}")
    sums = w.sum(axis=1)
    expect(
        np.allclose(sums, 1, atol=0.01),
        f"the weights of a query must sum to 1, but sum to {sums.round(3).tolist()}",
    )
    log, product = (x - x.mean(axis=1, keepdims=True) for x in (np.log(w), Q @ K.T))
    slope = float((log * product).sum() / (product**2).sum())
    expect(
        np.allclose(log, slope * product, atol=0.02),
        "how many times one key outweighs another must depend on the difference of their q·k only, but does not: "
        "something else is in the scores",
    )
    expect(abs(slope) > 1e-9, "all keys are visible and weigh the same, whatever the query")
    used = 1 / slope
    known = {
        1.0: "they are not scaled",
        0.25: "they are multiplied",
        16.0: "by the size itself",
        3**0.5: "that belongs to the number of queries",
        5**0.5: "that belongs to the number of keys",
        7**0.5: "that belongs to the size of a value",
    }
    why = "".join(f": {what}" for size, what in known.items() if abs(used - size) < 0.01)
    expect(
        abs(used - 4) < 0.05,
        f"the scores of 3 queries and 5 keys of size 16, with values of size 7, look divided by {used:.2f}{why}",
    )


def attention_by_hand(attention: Any) -> None:
    """The hand example of this page, all keys visible."""
    Q, K = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0, 1.0], [2.0, 0.0]])
    w = _attention(attention, Q, K, np.eye(2), np.ones((2, 2), np.bool_))
    wanted = [[0.330, 0.670], [0.804, 0.196]]
    expect(np.allclose(w, wanted, atol=5e-4), f"the weights must be {wanted}, but are {w.round(3).tolist()}")


def attention_mask(attention: Any) -> None:
    """A hidden key leaves no trace."""
    Q, K, V = _drawn(5, 5, 8, 3, 1)
    mask = _tri(5, 5)
    w = _attention(attention, Q, K, np.eye(5), mask)
    for i, weights in enumerate(w):
        expect(
            np.isfinite(weights).all(),
            f"query {i} sees keys 0 to {i}, but its weights are {weights}: no score is left, or not all are numbers",
        )
    leak = w[~mask].max()
    alike = np.ptp(w[0, 1:]) < 1e-12
    expect(
        leak < 1e-9,
        f"a key whose mask is False gets weight {leak:.3g}, but must get 0: "
        + (
            "what stands in place of its score still weighs"
            if alike
            else "is the mask applied, to the right keys?"
        ),
    )
    expect(
        (w[mask] > 0).all(),
        "a key whose mask is True gets weight 0: it is hidden from a query that may see it",
    )
    sums = w.sum(axis=1)
    expect(
        np.allclose(sums, 1, atol=0.01),
        f"the visible weights sum to {sums.round(2).tolist()}, not to 1: the denominator has seen the hidden keys",
    )
    before = _attention(attention, Q, K, V, mask)
    K[3], V[3] = 7.0, -5.0
    moved = abs(_attention(attention, Q, K, V, mask)[:3] - before[:3]).max()
    expect(
        moved < 1e-12,
        f"token 3 changed, and the results of tokens 0 to 2 moved by {moved:.3g}: the future leaks",
    )


def attention_keeps_parts(attention: Any) -> None:
    """Any mask: each query gets what its visible keys alone would give."""
    Q, K, V = _drawn(6, 9, 5, 4, 2)
    mask = np.random.default_rng(2).random((6, 9)) < 0.4
    mask[range(6), [8, 0, 3, 3, 7, 1]] = True
    for i, y in enumerate(_attention(attention, Q, K, V, mask)):
        seen = np.flatnonzero(mask[i])
        w = np.exp(K[seen] @ Q[i] / np.sqrt(5))
        off = abs(y - w @ V[seen] / w.sum()).max()
        said = f"query {i} sees keys {seen.tolist()}, but is off by {off:.2g} from what they alone give"
        expect(off < 0.01, f"{said}: is it another mask?")
        expect(off < 1e-12, f"{said}: digits are lost, or something small is added")


def attention_large_scores(attention: Any) -> None:
    """Scores of 1000 and −1000, visible and hidden."""

    def near(scores: list[float], signs: list[float], mask: list[bool]) -> Array:
        """Queries with these scores or, where the sign is −1, the opposite ones; the keys' values are 1 and 5."""
        K = np.repeat(np.array(scores, np.float64)[:, None] / 2, 4, axis=1)
        Q, V = np.repeat(np.array(signs, np.float64)[:, None], 4, axis=1), np.array([[1.0], [5.0]])
        return _attention(attention, Q, K, V, np.array([mask] * len(signs)))[:, 0]

    both = [True, True]
    for a, b in ((1000, 996), (-1000, -996), (1000, -1000), (-1000, 1000)):
        (y,) = near([a, b], [1], both)
        w = np.exp(np.array([a, b]) - max(a, b))
        wanted = w @ [1, 5] / w.sum()
        said = f"visible scores {a} and {b} with values 1 and 5 must give {wanted:.4f}, but give {y:.4f}"
        expect(np.isfinite(y), f"{said}: a power of e left the range of a float")
        expect(np.isclose(y, wanted), said + ": both weigh the same" * bool(np.isclose(y, 3)))
    together = near([1000, 996], [1, -1], both)
    alone = np.array([near([1000, 996], [sign], both)[0] for sign in (1, -1)])
    expect(
        np.allclose(together, alone),
        f"a query with scores near 1000 gives {alone[0]:.4f}, one with scores near -1000 gives {alone[1]:.4f}, but "
        f"in one call they give {together.round(4)}: one disturbs the other",
    )
    (y,) = near([-1000, 1000], [1], [True, False])
    said = f"the visible key has score -1000 and value 1, the hidden one score 1000 and value 5, and {y:.4g} comes"
    expect(np.isfinite(y), f"{said}: the hidden score has left 0/0 or inf/inf")
    expect(y != 0, f"{said}: beside the hidden score the visible weight vanished")
    expect(
        np.isclose(y, 1),
        f"{said}: what stands in place of the hidden score outweighs the visible one, or equals it",
    )


# ---------------------------------------------------------------------------------------------- streaming_mean


class _Pairs:
    """An iterator over pairs that says so where it is read again after its end."""

    def __init__(self, pairs: Iterable[tuple[float, float]], shown: str) -> None:
        self.rest, self.shown, self.ended = iter(pairs), shown, False

    def __repr__(self) -> str:
        return self.shown

    def __iter__(self) -> Iterator[tuple[float, float]]:
        return self

    def __next__(self) -> tuple[float, float]:
        expect(
            not self.ended,
            "after the last pair more are asked for, but pairs arrive once: is it a second pass?",
        )
        try:
            return next(self.rest)
        except StopIteration:
            self.ended = True
            raise


def _stream(streaming_mean: Any, pairs: Iterable[tuple[float, float]], shown: str = "") -> tuple[float, str]:
    """The result, and how a message about it begins."""
    shown = shown or f"[{', '.join(f'({score:.6g}, {value:g})' for score, value in pairs)}]"
    with np.errstate(all="ignore"):
        got = streaming_mean(_Pairs(pairs, shown))
    came = "None" if got is None else f"a {type(got).__name__}"
    expect(isinstance(got, Real), f"streaming_mean({shown}) must return a number, but returned {came}")
    mean = float(got)
    expect(not np.isnan(mean), f"{shown} gave nan: weights are infinite, or sum to 0")
    return mean, f"{shown} gave {mean:.6g}"


def _close(got: float, wanted: float) -> bool:
    return abs(got - wanted) < 1e-3  # lost digits are told by mean_any_order


def mean_by_hand(streaming_mean: Any) -> None:
    """One pair: its value; equal scores: the plain mean."""
    got, said = _stream(streaming_mean, [(3.0, 8.0)])
    expect(got != 3, f"{said}, which is the score, but must give the value")
    expect(_close(got, 8), f"{said}, but the mean of one value is that value, 8")
    got, said = _stream(streaming_mean, [(0.0, 2.0), (0.0, 9.0), (0.0, 4.0)])
    why = ": only one pair counts" if got in (2, 9, 4) else ""
    expect(_close(got, 5), f"{said}, but equal scores must give the mean 5{why}")


def mean_weighs(streaming_mean: Any) -> None:
    """A score larger by ln 3 weighs three times as much, in either order."""
    larger, smaller = (float(np.log(3)), 1.0), (0.0, 5.0)
    got, said = _stream(streaming_mean, [larger, smaller])
    wrong = {3.0: "both weigh the same", 4.0: "the smaller score weighs more", 1.0: "only the larger counts"}
    why = wrong.get(round(got, 3), "the larger score does not weigh three times as much")
    expect(_close(got, 2), f"{said}, but must give (3·1 + 1·5)/4 = 2: {why}")
    got, said = _stream(streaming_mean, [smaller, larger])
    why = "is forgotten" if _close(got, 1) else "is in the wrong unit"
    expect(
        _close(got, 2),
        f"{said}, but must give 2 in this order, too: what was added before the larger score {why}",
    )


def mean_of_large_scores(streaming_mean: Any) -> None:
    """Scores of 1000 and of −1000, apart and together."""
    for base in (1000.0, -1000.0):
        got, said = _stream(streaming_mean, [(base, 1.0), (base + float(np.log(3)), 5.0)])
        expect(
            _close(got, 4), f"{said}, but must give (1·1 + 3·5)/4 = 4: differences of large scores are lost"
        )
    for pairs in ([(-1000.0, 1.0), (1000.0, 5.0)], [(1000.0, 5.0), (-1000.0, 1.0)]):
        got, said = _stream(streaming_mean, pairs)
        expect(_close(got, 5), f"{said}, but must give 5: the other score is smaller by 2000")


def mean_any_order(streaming_mean: Any) -> None:
    """Ragged lengths against NumPy, and any order gives the same."""
    rng = np.random.default_rng(3)
    for n in (2, 7, 33):
        for spread in (2, 1000):
            score, value = rng.uniform(-spread, spread, n), rng.standard_normal(n)
            w = np.exp(score - score.max())
            wanted = float(w @ value / w.sum())
            orders = {"": np.arange(n), ", rising": np.argsort(score), ", falling": np.argsort(-score)}
            for way, order in orders.items():
                pairs = zip(score[order].tolist(), value[order].tolist(), strict=True)
                shown = f"{n} pairs with scores from -{spread} to {spread}{way}"
                got, said = _stream(streaming_mean, pairs, shown)
                off = abs(got - wanted)
                why = ": digits are lost, or something small is added" if off < 1e-3 else ""
                expect(off < 1e-9, f"{said}, off by {off:.2g}{why}")


def mean_reads_once(streaming_mean: Any) -> None:
    """A hundred thousand pairs, three numbers held."""
    n = 100_000
    tracemalloc.start()
    try:
        got, said = _stream(streaming_mean, ((0.0, float(i)) for i in range(n)), f"{n} pairs")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    expect(peak < 200_000, f"{n} pairs took {peak // 1000} kB: what has passed is kept")
    wanted = (n - 1) / 2
    expect(
        _close(got, wanted),
        f"{said}, but equal scores with values 0, 1, 2 … must give {wanted}: not all count",
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
        "key may be seen. Every query sees at least one key; scores, hidden ones too, lie between −1000 and 1000.",
        checks=(
            attention_to_equal_keys,
            attention_scale,
            attention_by_hand,
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
