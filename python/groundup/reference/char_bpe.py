"""Byte-pair encoding over characters with byte fallback, as SentencePiece and Llama have it, in plain Python to read.

Unlike byte-level BPE it starts from characters. One that is not in the vocabulary is spelt by its UTF-8 bytes, tokens
named "<0x00>" to "<0xFF>". The compiled twin is ``cpp/text/char_bpe.cpp``.

>>> vocab = {"▁": 0, "h": 1, "u": 2, "g": 3, "▁h": 4, "ug": 5, "▁hug": 6, "<0xC3>": 7, "<0xA9>": 8}
>>> merges = merges_of_scores(vocab, {token: -id_ for token, id_ in vocab.items()})
>>> encode("▁hugé", vocab, merges)
[6, 7, 8]
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

Merges = Mapping[tuple[int, int], tuple[int, int]]  # a pair of ids -> (order, id of both together)


def merges_of_scores(
    vocab: Mapping[str, int], scores: Mapping[str, float]
) -> dict[tuple[int, int], tuple[int, int]]:
    """All pairs of tokens that make a token; those of the highest score come first."""
    best_first = sorted(vocab, key=lambda token: (-scores[token], vocab[token]))
    merges = {}
    for order, token in enumerate(best_first):
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in vocab and right in vocab:
                merges[vocab[left], vocab[right]] = (order, vocab[token])
    return merges


def start(text: str, vocab: Mapping[str, int], unknown: int | None = None) -> list[int]:
    """Characters, or their bytes, or the unknown token once for those beside each other."""
    ids: list[int] = []
    after_unknown = False
    for char in text:
        names = [char] if char in vocab else [f"<0x{byte:02X}>" for byte in char.encode("utf-8")]
        known = all(name in vocab for name in names)
        if known:
            ids += [vocab[name] for name in names]
        elif unknown is None:
            raise ValueError(f"the vocabulary must have every character or byte, but has no {char!r}")
        elif not after_unknown:
            ids.append(unknown)
        after_unknown = not known
    return ids


def encode(text: str, vocab: Mapping[str, int], merges: Merges, unknown: int | None = None) -> list[int]:
    """The ids of a text: of all pairs of neighbours the first in order is merged, the leftmost of equal ones."""
    ids = start(text, vocab, unknown)
    while True:
        pairs = [(merges[pair][0], i) for i, pair in enumerate(itertools.pairwise(ids)) if pair in merges]
        if not pairs:
            return ids
        _, i = min(pairs)
        ids[i : i + 2] = [merges[ids[i], ids[i + 1]][1]]
