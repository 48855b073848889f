"""Unigram language models of word pieces in NumPy and plain Python (Kudo 2018), to read.

Every piece x has a probability p(x), and a word may be spelt in many ways. The probability of one spelling is the
product of its pieces', that of the word the sum over all spellings. Encoding takes the most probable one (`viterbi`).

Training wants the vocabulary of a given size under which the training words are most probable. Nobody can try all of
them, so it starts with far too many pieces (`seed`) and repeats two things: fit p to the words (`em_step`), drop the
pieces without which the words lose least (`prune`). The compiled twin is ``cpp/text/unigram_trainer.cpp``; both give
the same pieces.

>>> words = {"▁hug": 10, "▁pug": 5, "▁hugs": 4, "▁pun": 12, "▁bun": 3}
>>> pieces = train(words, 10)
>>> viterbi("▁hugs", dict(pieces))
['▁hug', 's']
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

Scores = dict[str, float]  # log p of each piece
Words = Mapping[str, int]  # how often each word occurs


def spans(word: str, scores: Mapping[str, float]) -> Iterator[tuple[int, int]]:
    """All places [begin, end) of a word where a piece of the vocabulary stands, by begin and then by end."""
    longest = max(map(len, scores), default=0)
    for begin in range(len(word)):
        for end in range(begin + 1, min(len(word), begin + longest) + 1):
            if word[begin:end] in scores:
                yield begin, end


# --------------------------------------------------------------------------------------------------------- encoding


def viterbi(word: str, scores: Mapping[str, float], unknown: float = -math.inf) -> list[str]:
    """The most probable spelling: best[i] is that of the first i characters, made of the best ones before it.

    A character that is no piece costs ``unknown``; those beside each other are returned as one piece.
    """
    best = [-math.inf] * (len(word) + 1)
    back = [0] * (len(word) + 1)
    best[0] = 0.0
    candidates = [(begin, end, scores[word[begin:end]]) for begin, end in spans(word, scores)]
    candidates += [(i, i + 1, unknown) for i in range(len(word)) if word[i] not in scores]
    reached = {0}
    for begin, end, score in sorted(candidates, key=lambda c: c[:2]):
        if begin in reached and (end not in reached or best[begin] + score > best[end]):
            best[end], back[end] = best[begin] + score, begin
            reached.add(end)
    pieces: list[str] = []
    known = True
    end = len(word)
    while end > 0:
        piece = word[back[end] : end]
        if piece not in scores and not known:
            pieces[-1] = piece + pieces[-1]
        else:
            pieces.append(piece)
        known = piece in scores
        end = back[end]
    return pieces[::-1]


def best_spellings(word: str, scores: Mapping[str, float], n: int) -> list[tuple[float, list[str]]]:
    """The n most probable spellings with their log probabilities, best first."""
    best: list[list[tuple[float, list[str]]]] = [[] for _ in range(len(word) + 1)]
    best[0] = [(0.0, [])]
    for begin, end in spans(word, scores):
        piece = word[begin:end]
        best[end] += [(score + scores[piece], [*spelling, piece]) for score, spelling in best[begin]]
        best[end] = sorted(best[end], key=lambda item: -item[0])[:n]
    return best[-1]


# --------------------------------------------------------------------------------------------------------- training


def train(
    words: Words,
    size: int,
    *,
    longest: int = 16,
    seed_size: int = 1_000_000,
    shrink: float = 0.75,
    steps: int = 2,
) -> list[tuple[str, float]]:
    """The pieces of a vocabulary of ``size``, best first, with their log probabilities."""
    scores = seed(words, longest, seed_size)
    enough = int(size * 1.1)  # the last tenth is chosen by score
    while True:
        for _ in range(steps):
            scores, _ = em_step(words, scores, least=0.5)
        if len(scores) <= enough:
            break
        scores = prune(words, scores, max(enough, int(shrink * len(scores))))
    scores = finish(scores, size)
    scores, _ = em_step(words, scores, least=0.0)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def seed(words: Words, longest: int, size: int) -> Scores:
    """All characters, and of the substrings those with the highest count times length.

    A substring that the same character always follows is left out: the one with it says the same.
    """
    counts: dict[str, int] = {}
    followers: dict[str, set[str]] = {}
    for word, count in words.items():
        for begin in range(len(word)):
            for end in range(begin + 1, min(len(word), begin + longest) + 1):
                piece = word[begin:end]
                counts[piece] = counts.get(piece, 0) + count
                followers.setdefault(piece, set()).add(word[end : end + 1])
    weights = {
        piece: float(count * len(piece))
        for piece, count in counts.items()
        if len(piece) == 1
        or (count >= 2 and (len(piece) == longest or len(followers[piece]) > 1 or "" in followers[piece]))
    }
    best = sorted(weights, key=lambda piece: (-weights[piece], piece))
    others = set([piece for piece in best if len(piece) > 1][:size])
    kept = [piece for piece in best if len(piece) == 1 or piece in others]
    total = sum(weights[piece] for piece in kept)
    return {piece: math.log(weights[piece]) - math.log(total) for piece in kept}


def expected_counts(word: str, scores: Scores) -> tuple[dict[str, float], float]:
    """How often each piece is expected in a word, over all its spellings; and the word's log probability.

    forward[i] = log p(first i characters), backward[i] = log p(the rest), so
    p(piece at [b, e) | word) = exp(forward[b] + log p(piece) + backward[e] − log p(word)).
    """
    edges = list(spans(word, scores))
    forward = np.full(len(word) + 1, -np.inf)
    backward = np.full(len(word) + 1, -np.inf)
    forward[0] = backward[-1] = 0.0
    for begin, end in edges:
        forward[end] = np.logaddexp(forward[end], forward[begin] + scores[word[begin:end]])
    for begin, end in reversed(edges):
        backward[begin] = np.logaddexp(backward[begin], backward[end] + scores[word[begin:end]])
    counts: dict[str, float] = {}
    for begin, end in edges:
        piece = word[begin:end]
        share = math.exp(forward[begin] + scores[piece] + backward[end] - forward[-1])
        counts[piece] = counts.get(piece, 0.0) + share
    return counts, float(forward[-1])


def em_step(words: Words, scores: Scores, least: float) -> tuple[Scores, float]:
    """Expectation-maximization: count pieces as the scores expect them, then score them by their counts.

    log p(x) = digamma(c(x)) − digamma(Σ c): the mean of log p under the Dirichlet distribution that the counts
    make, which is harder on rare pieces than log(c(x) / Σ c). Pieces expected less than ``least`` times go; characters
    stay. Also returns the log likelihood of the words under the old scores.
    """
    counts = dict.fromkeys(scores, 0.0)
    likelihood = 0.0
    for word, times in words.items():
        expected, log_p = expected_counts(word, scores)
        likelihood += times * log_p
        for piece, count in expected.items():
            counts[piece] += times * count
    counts = {piece: max(count, 0.5) for piece, count in counts.items() if count >= least or len(piece) == 1}
    total = digamma(sum(counts.values()))
    return {piece: digamma(count) - total for piece, count in counts.items()}, likelihood


def prune(words: Words, scores: Scores, target: int) -> Scores:
    """Keep the ``target`` pieces whose loss would cost the likelihood most, and all characters.

    Without a piece its words are spelt by the next best spelling of it: its count goes to each of those pieces.
    """
    counts = dict.fromkeys(scores, 0)
    for word, times in words.items():
        for piece in viterbi(word, scores):
            counts[piece] += times
    total = sum(counts.values())
    losses: dict[str, float] = {}
    for piece, count in counts.items():
        if len(piece) == 1:
            losses[piece] = math.inf
            continue
        others = {x: score for x, score in scores.items() if x != piece and x in piece}
        spelling = viterbi(piece, others)
        if count == 0 or sum(others[x] for x in spelling) > scores[piece]:
            continue  # never used, or spelt better without it
        new_total = total + count * (len(spelling) - 1)
        without = sum(math.log(counts[x] + count) - math.log(new_total) for x in spelling)
        losses[piece] = count * (math.log(count) - math.log(total) - without)
    order = sorted(losses, key=lambda piece: -losses[piece])
    kept = set(order[:target]) | {piece for piece in scores if len(piece) == 1}
    return {piece: score for piece, score in scores.items() if piece in kept}


def finish(scores: Scores, size: int) -> Scores:
    """All characters and the best-scored other pieces, ``size`` in all."""
    best = sorted(scores, key=lambda piece: (-scores[piece], piece))
    characters = [piece for piece in best if len(piece) == 1]
    others = [piece for piece in best if len(piece) > 1][: max(size - len(characters), 0)]
    kept = {*characters, *others}
    return {piece: scores[piece] for piece in best if piece in kept}


def digamma(x: float) -> float:
    """The derivative of log Γ(x): up to 7 by ψ(x) = ψ(x + 1) − 1/x, then the series in 1/(x − ½)²."""
    result = 0.0
    while x < 7:
        result -= 1 / x
        x += 1
    y = x - 0.5
    z = 1 / (y * y)
    return result + math.log(y) + z * (1 / 24 - z * (7 / 960 - z * (31 / 8064 - z * 127 / 30720)))
