"""Interpolated n-gram models with modified Kneser-Ney smoothing: the bar that a neural model must clear.

An n-gram model predicts a token from the n − 1 before it by counting. Most long contexts are rare, so their
counts are lowered by a discount, and the probability that this sets free goes to the model of the next
shorter context (Chen and Goodman, 1998; they found this smoothing the best of those they compared):

    p(w | h) = max(c(h w) − D(c(h w)), 0) / c(h) + g(h) p(w | h')        h' is h without its first token

D takes three values, for counts of 1, 2 and more, from how many n-grams occur 1, 2, 3 and 4 times. g(h)
makes the sum 1. Below the highest order, c(h w) counts not how often h w occurs but in front of how many
different tokens: a shorter context is asked only where the longer one was not seen. The shortest model
falls back on 1/V.

All of it is sorting and searching of whole arrays: each n-gram is one integer, the number of its first n −
1 tokens times V plus the last. A million and a half characters take about a second at order 6.

Not handled: several documents (ids are one sequence), pruning, order chosen by the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Order:
    """The model of one length k of n-grams. U of them occur, behind C different contexts of length k − 1."""

    keys: (
        Ids  # U, sorted: number of the context times V plus the last token; its place is the n-gram's number
    )
    share: Floats  # U: discounted count over the context's
    rest: Floats  # C: the probability g that a context leaves to the next shorter one


class NGram:
    """A smoothed model of order ``order``: it sees ``order − 1`` tokens.

    >>> ids = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1])
    >>> model = NGram(3).fit(ids, vocab_size=3)
    >>> model.probabilities([0, 1]).round(2)  # 2 always followed
    array([0.03, 0.03, 0.94])
    """

    def __init__(self, order: int) -> None:
        if order < 1:
            raise ValueError(f"[NGram] order must be at least 1, but got {order}")
        self.order = order
        self.vocab_size = 0
        self._orders: list[_Order] = []

    def __repr__(self) -> str:
        sizes = " + ".join(f"{len(o.keys):,}" for o in self._orders)
        return f"NGram({self.order}, {f'{sizes} n-grams' if sizes else 'not fitted'})"

    def fit(self, ids: npt.ArrayLike, vocab_size: int) -> Self:
        """Count the n-grams of ``ids``.

        Raises:
            ValueError: fewer ids than ``order``, or an id outside [0, vocab_size).
            TypeError: ids are not integers.
        """
        if not 1 <= vocab_size <= 2**31:
            raise ValueError(f"[NGram] vocab_size must lie in [1, 2**31], but got {vocab_size}")
        tokens = _checked(ids, vocab_size)
        if len(tokens) < self.order:
            raise ValueError(f"[NGram] ids must hold at least {self.order}, but got {len(tokens)}")

        keys: list[Ids] = []
        counts: list[Ids] = []
        number = np.zeros(
            len(tokens) + 1, np.int64
        )  # of the n-gram that starts at each position; length 0: one
        for k in range(1, self.order + 1):
            key = number[: len(tokens) - k + 1] * vocab_size + tokens[k - 1 :]
            unique, first, longer, count = np.unique(
                key, return_index=True, return_inverse=True, return_counts=True
            )
            if k > 1:
                # Each different n-gram of length k is one more token in front of its last k − 1.
                counts[-1] = np.bincount(number[first + 1], minlength=len(keys[-1]))
            keys.append(unique)
            counts.append(count)
            number = longer
        contexts = [1, *map(len, keys)]
        self._orders = [
            _smoothed(key, count, vocab_size, n)
            for key, count, n in zip(keys, counts, contexts, strict=False)
        ]
        self.vocab_size = vocab_size
        return self

    def token_nll(self, ids: npt.ArrayLike) -> Floats:
        """−ln p of each id given those before it; the first ones are given fewer than ``order − 1``."""
        self._must_be_fitted()
        tokens = _checked(ids, self.vocab_size)
        p = np.full(len(tokens), 1 / self.vocab_size)
        number = np.zeros(
            len(tokens) + 1, np.int64
        )  # of the n-gram that starts at each position; −1: never seen
        for k, order in enumerate(self._orders[: len(tokens)], 1):
            context = number[: len(tokens) - k + 1]
            share, rest, number = self._look_up(order, context, tokens[k - 1 :])
            p[k - 1 :] = share + rest * p[k - 1 :]
        nll: Floats = -np.log(p)
        return nll

    def nll(self, ids: npt.ArrayLike) -> float:
        """Mean negative log-likelihood in nats a token: `token_nll`, averaged.

        Raises:
            ValueError: no ids, or one outside the vocabulary.
        """
        return float(self.token_nll(ids).mean())

    def probabilities(self, context: npt.ArrayLike) -> Floats:
        """Probability of every token after ``context``, of which the last ``order − 1`` count. Shape V."""
        self._must_be_fitted()
        context = np.asarray(context)
        past = _checked(context, self.vocab_size) if context.size else np.zeros(0, np.int64)
        tokens = np.arange(self.vocab_size)
        p = np.full(self.vocab_size, 1 / self.vocab_size)
        for k, order in enumerate(self._orders[: len(past) + 1], 1):
            number = np.zeros(1, np.int64)
            for shorter, token in zip(self._orders, past[len(past) - k + 1 :], strict=False):
                number = self._look_up(shorter, number, np.array([token]))[2]
            share, rest, _ = self._look_up(order, np.repeat(number, self.vocab_size), tokens)
            p = share + rest * p
        return p

    def _look_up(self, order: _Order, context: Ids, token: Ids) -> tuple[Floats, Floats, Ids]:
        """(share, rest, number) of the n-gram of each context number and token; −1 is what never occurred."""
        key = context * self.vocab_size + token
        place = np.minimum(np.searchsorted(order.keys, key), len(order.keys) - 1)
        seen = (context >= 0) & (order.keys[place] == key)
        share = np.where(seen, order.share[place], 0.0)
        rest = np.where(context >= 0, order.rest[context], 1.0)  # an unseen context leaves everything
        return share, rest, np.where(seen, place, -1)

    def _must_be_fitted(self) -> None:
        if not self._orders:
            raise ValueError("[NGram] the model must be fitted first: call fit(ids, vocab_size)")


def _smoothed(keys: Ids, counts: Ids, vocab_size: int, n_contexts: int) -> _Order:
    """Discount the counts of one order."""
    discount = _discounts(counts)[np.minimum(counts, 3)]
    context = keys // vocab_size
    total = np.bincount(context, weights=counts, minlength=n_contexts)
    freed = np.bincount(context, weights=discount, minlength=n_contexts)
    # A context has nothing to count where the text ends with it, or starts with its only continuation.
    empty = total == 0
    total[empty] = 1
    return _Order(keys, (counts - discount) / total[context], np.where(empty, 1.0, freed / total))


def _discounts(counts: Ids) -> Floats:
    """D for counts of 0, 1, 2, and 3 or more.

    Chen and Goodman's estimate where the counts of counts allow it (n1, n2 and n3 are not 0), one half
    otherwise: the few tokens that a vocabulary holds are all frequent.
    """
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == c)) for c in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return np.array([0, 0.5, 0.5, 0.5])
    y = n1 / (n1 + 2 * n2)
    d = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    bounded: Floats = np.clip(d, 0, [0, 1, 2, 3])  # odd texts give estimates outside
    return bounded


def _checked(ids: npt.ArrayLike, vocab_size: int) -> Ids:
    array: npt.NDArray[Any] = np.asarray(ids)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"[NGram] ids must be one axis that is not empty, but got shape {array.shape}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"[NGram] ids must be integers, but got {array.dtype}")
    outside = (array < 0) | (array >= vocab_size)
    if outside.any():
        at = int(outside.argmax())
        raise ValueError(f"[NGram] ids must lie in [0, {vocab_size}), but got {array[at]} at position {at}")
    return array.astype(np.int64)
