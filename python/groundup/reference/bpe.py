"""Byte-pair encoding in plain Python: learn the merges, encode with them, decode.

A token is a string of bytes. At first there are 256 of them, one a byte. Learning looks for the pair of neighbours
that stands in the text most often, makes it a new token, replaces the pair by it everywhere, and begins again.
Encoding replays the merges on other text in the order in which they were learned.

Text comes as pieces, words more or less, which no token crosses. Not handled: how text is cut into pieces, special
tokens, any haste; the C++ of `groundup.text.BPETokenizer` gives the same merges and the same ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Self

TieBreak = Literal["huggingface", "minbpe", "rustbpe"]
Pair = tuple[int, int]

# GPT-2 wrote tokens as printable characters. Bytes that are such characters come first, then the other ones.
PRINTABLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
GPT2_BYTES = PRINTABLE + [byte for byte in range(256) if byte not in PRINTABLE]


def merge(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    """``ids`` with every ``pair`` replaced, from left to right.

    >>> merge([1, 1, 1, 2], (1, 1), 9)
    [9, 1, 2]
    """
    merged: list[int] = []
    i = 0
    while i < len(ids):
        if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


def count_pairs(words: Iterable[tuple[list[int], int]]) -> dict[Pair, int]:
    """How often each pair of neighbours stands in words that occur so many times, in the order of the text.

    >>> count_pairs([([1, 2, 1, 2], 10), ([2, 1], 1)])
    {(1, 2): 20, (2, 1): 11}
    """
    counts: dict[Pair, int] = {}
    for ids, times in words:
        for pair in pairwise(ids):
            counts[pair] = counts.get(pair, 0) + times
    return counts


@dataclass(frozen=True)
class BPE:
    """What was learned.

    Attributes:
        tokens: the bytes of each id.
        merges: pairs of ids; the first one made id 256, and so on.

    >>> bpe = BPE.train([b"low", b"lower", b"lowest"], 3)
    >>> bpe.tokens[256:]
    [b'lo', b'low', b'lowe']
    >>> [bpe.tokens[i] for i in bpe.encode(b"slower")]
    [b's', b'lowe', b'r']
    """

    tokens: list[bytes]
    merges: list[Pair]

    @classmethod
    def train(
        cls,
        pieces: Iterable[bytes],
        n_merges: int,
        *,
        tie_break: TieBreak = "huggingface",
        min_frequency: int = 0,
    ) -> Self:
        """Learn up to ``n_merges`` merges; fewer where the pieces hold no more pairs.

        Args:
            tie_break: which of equally frequent pairs comes first. That of the smaller ids, bytes numbered as GPT-2
                did, like the tokenizers package, or as they are, like rustbpe; or the one that the text holds
                first, like minbpe.
            min_frequency: pairs that occur less often are not merged.
        """
        tokens = [bytes([byte]) for byte in (GPT2_BYTES if tie_break == "huggingface" else range(256))]
        id_of = {token[0]: id_ for id_, token in enumerate(tokens)}
        # Equal pieces merge equally: one of each, with its count, in the order in which they first occur.
        words = [([id_of[byte] for byte in piece], times) for piece, times in Counter(pieces).items()]
        merges: list[Pair] = []
        while len(merges) < n_merges:
            counts = count_pairs(words)
            most = max(counts.values(), default=0)
            if most == 0 or most < min_frequency:
                break
            best = (pair for pair, count in counts.items() if count == most)
            pair = next(best) if tie_break == "minbpe" else min(best)
            new_id = len(tokens)
            tokens.append(tokens[pair[0]] + tokens[pair[1]])
            merges.append(pair)
            words = [(merge(ids, pair, new_id), times) for ids, times in words]
        return cls(tokens, merges)

    def encode(self, piece: bytes) -> list[int]:
        """The ids of one piece: of the pairs in it the one learned first is merged, until there is none."""
        id_of = {token: id_ for id_, token in enumerate(self.tokens[:256])}
        rank = {pair: k for k, pair in enumerate(self.merges)}
        ids = [id_of[bytes([byte])] for byte in piece]
        while True:
            known = [pair for pair in pairwise(ids) if pair in rank]
            if not known:
                return ids
            pair = min(known, key=rank.__getitem__)
            ids = merge(ids, pair, 256 + rank[pair])

    def decode(self, ids: Iterable[int]) -> bytes:
        """The bytes of ids."""
        return b"".join(self.tokens[id_] for id_ in ids)
