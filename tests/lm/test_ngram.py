"""The n-gram model against its definition, written with dictionaries and loops."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.lm import NGram, bits_per_byte, perplexity


class Slow:
    """Modified Kneser-Ney, one dictionary an order, one formula a line."""

    def __init__(self, order: int, ids: Sequence[int], vocab_size: int) -> None:
        self.order, self.vocab_size = order, vocab_size
        text = tuple(ids)
        grams = {k: [text[i : i + k] for i in range(len(text) - k + 1)] for k in range(1, order + 2)}
        self.counts: dict[int, Counter[tuple[int, ...]]] = {order: Counter(grams[order])}
        for k in range(1, order):
            self.counts[k] = Counter(gram[1:] for gram in set(grams[k + 1]))
        self.discounts = {k: self._discounts(list(counts.values())) for k, counts in self.counts.items()}
        self.continuations: dict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
        for k in range(1, order + 1):
            for gram, count in self.counts[k].items():
                self.continuations[(k, *gram[:-1])][gram[-1]] = count

    @staticmethod
    def _discounts(counts: list[int]) -> tuple[float, float, float]:
        n1, n2, n3, n4 = (counts.count(c) for c in (1, 2, 3, 4))
        if min(n1, n2, n3) == 0:
            return 0.5, 0.5, 0.5
        y = n1 / (n1 + 2 * n2)
        raw = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
        return tuple(min(max(d, 0.0), float(c)) for c, d in enumerate(raw, 1))  # type: ignore[return-value]

    def p(self, token: int, context: tuple[int, ...]) -> float:
        context = context[-(self.order - 1) :] if self.order > 1 else ()
        k = len(context) + 1
        shorter = self.p(token, context[1:]) if context else 1 / self.vocab_size
        counts = self.continuations.get((k, *context), {})
        total = sum(counts.values())
        if total == 0:
            return shorter
        freed = sum(self.discounts[k][min(c, 3) - 1] for c in counts.values())
        count = counts.get(token, 0)
        discount = self.discounts[k][min(count, 3) - 1] if count else 0
        return (count - discount) / total + freed / total * shorter


def english(n: int) -> np.ndarray:
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "then", "ate", "that", "rat"]
    rng = np.random.default_rng(5)
    text = " ".join(rng.choice(words, n))[:n]
    return np.array([ord(c) - ord("a") if c != " " else 26 for c in text])


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
def test_equals_the_definition(order: int) -> None:
    ids = english(900)
    train, val = ids[:700], ids[650:]
    fast, slow = NGram(order).fit(train, 27), Slow(order, train.tolist(), 27)
    expected = [-math.log(slow.p(int(val[i]), tuple(val[:i].tolist()))) for i in range(len(val))]
    np.testing.assert_allclose(fast.token_nll(val), expected, rtol=1e-12)
    assert fast.nll(val) == pytest.approx(np.mean(expected), rel=1e-12)


@given(
    ids=st.lists(st.integers(0, 3), min_size=4, max_size=60),
    order=st.integers(1, 4),
    context=st.lists(st.integers(0, 4), max_size=6),
    val=st.lists(st.integers(0, 4), min_size=1, max_size=12),
)
def test_small_texts(ids: list[int], order: int, context: list[int], val: list[int]) -> None:
    # Token 4 is in the vocabulary and never seen.
    fast, slow = NGram(order).fit(ids, 5), Slow(order, ids, 5)
    p = fast.probabilities(context)
    assert p.sum() == pytest.approx(1, rel=1e-12) and (p > 0).all()
    np.testing.assert_allclose(p, [slow.p(w, tuple(context)) for w in range(5)], rtol=1e-12)
    expected = [-math.log(slow.p(w, tuple(val[:i]))) for i, w in enumerate(val)]
    np.testing.assert_allclose(fast.token_nll(val), expected, rtol=1e-12)


def test_sums_to_one_after_seen_and_unseen_contexts() -> None:
    model = NGram(5).fit(english(2000), 27)
    rng = np.random.default_rng(0)
    for length in (0, 1, 3, 4, 9):
        for context in (english(300)[40 : 40 + length], rng.integers(0, 27, length)):
            assert model.probabilities(context).sum() == pytest.approx(1, rel=1e-12)


def test_probabilities_are_those_of_token_nll() -> None:
    ids = english(400)
    model = NGram(4).fit(ids[:300], 27)
    nll = model.token_nll(ids[300:])
    for i in (0, 1, 2, 3, 50):
        assert -math.log(model.probabilities(ids[300 : 300 + i])[ids[300 + i]]) == pytest.approx(nll[i])


def test_a_longer_order_helps_where_there_is_something_to_see() -> None:
    ids = english(6000)
    losses = [NGram(order).fit(ids[:5000], 27).nll(ids[5000:]) for order in (1, 2, 3, 4)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] < math.log(27)


def test_large_vocabularies_do_not_overflow() -> None:
    # V to the power of the order would need 155 bits.
    ids = np.array([2**31 - 1, 0, 2**31 - 1, 5, 2**31 - 1, 0] * 3)
    model = NGram(5).fit(ids, 2**31)
    assert model.nll(ids) < 1 and math.isfinite(model.nll(ids[::-1]))


@pytest.mark.parametrize(
    ("ids", "vocab_size", "error", "message"),
    [
        ([], 3, ValueError, "not empty"),
        ([[0, 1]], 3, ValueError, "shape (1, 2)"),
        ([0, 1, 3], 3, ValueError, "[0, 3), but got 3 at position 2"),
        ([0, -1, 1], 3, ValueError, "[0, 3), but got -1 at position 1"),
        ([0, 1], 3, ValueError, "at least 3, but got 2"),
        ([0.0, 1.0, 2.0], 3, TypeError, "float64"),
        ([0, 0, 0], 0, ValueError, "vocab_size must lie in"),
    ],
)
def test_bad_input(ids: object, vocab_size: int, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        NGram(3).fit(ids, vocab_size)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_bad_order_and_unfitted() -> None:
    with pytest.raises(ValueError, match="order must be at least 1, but got 0"):
        NGram(0)
    with pytest.raises(ValueError, match="fitted first"):
        NGram(2).nll([0, 1])
    with pytest.raises(ValueError, match=r"got 7 at position 1"):
        NGram(1).fit([0, 1], 2).nll([0, 7])


def test_perplexity_of_the_interview_question() -> None:
    nats = np.mean([2.11, 3.97, 2.83, 1.65, 2.21])
    assert perplexity(float(nats)) == pytest.approx(12.86, abs=0.005)
    assert perplexity(1e9) == math.inf


def test_bits_per_byte() -> None:
    # Four tokens of 2 bits for a text of "aé" (3 bytes): 8 bits / 3 bytes.
    assert bits_per_byte(2 * math.log(2), tokens=4, n_bytes=len("aé".encode())) == pytest.approx(8 / 3)
    with pytest.raises(ValueError, match="at least 1, but got 0 and 3"):
        bits_per_byte(1.0, tokens=0, n_bytes=3)
