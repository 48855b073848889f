"""How a text becomes tokens, merge by merge: what `BPETokenizer.trace` returns.

Each piece of the text starts as bytes. Of all neighbouring pairs that the vocabulary can merge, the one learned first
is merged, everywhere in the piece; that is a step. When no pair is left, what remains are the tokens.

>>> from groundup.text import BPETokenizer
>>> tokenizer = BPETokenizer.train("low lower lowest", 260)
>>> print(tokenizer.trace("slow low"))
'slow'
        s l o w
  0     s lo w         l + o
  1     s low          lo + w
'␣low'
        ␣ l o w
  0     ␣ lo w         l + o
  1     ␣ low          lo + w
  2     ␣low           ␣ + low
3 tokens, 8 bytes, 2.67 bytes a token
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from groundup.reference.bpe import merge
from groundup.text.view import ansi_token, colours_wanted, html_token, readable, summary

#: Rank and result of each pair of ids.
Merges = Mapping[tuple[int, int], tuple[int, int]]

#: Bytes of text that may be traced: a piece of n bytes has up to n steps of up to n tokens each.
MOST = 4096


@dataclass(frozen=True)
class Step:
    """One merge in one piece.

    Attributes:
        piece: the piece.
        step: number of this step in the piece, from 1.
        pair: bytes of the two tokens that are merged; ``None`` where the piece as a whole is a token.
        rank: when that merge was learned, from 0; ``None`` without a pair.
        tokens: the piece's tokens afterwards.
    """

    piece: bytes
    step: int
    pair: tuple[bytes, bytes] | None
    rank: int | None
    tokens: tuple[bytes, ...]


@dataclass(frozen=True)
class Piece:
    """A piece of the text, the steps it took, and the ids it became."""

    text: bytes
    start: tuple[bytes, ...]
    steps: tuple[Step, ...]
    ids: tuple[int, ...]
    special: bool = False


@dataclass(frozen=True)
class Trace:
    """Every step of a text, piece by piece. Iterating gives the steps."""

    pieces: tuple[Piece, ...]
    n_bytes: int

    def __iter__(self) -> Iterator[Step]:
        for piece in self.pieces:
            yield from piece.steps

    def __len__(self) -> int:
        return sum(len(piece.steps) for piece in self.pieces)

    @property
    def ids(self) -> list[int]:
        """The ids of the text."""
        return [id_ for piece in self.pieces for id_ in piece.ids]

    @property
    def summary(self) -> str:
        """How many tokens, and how much of the text each holds."""
        return summary(len(self.ids), self.n_bytes)

    def __str__(self) -> str:
        coloured = colours_wanted()
        lines = []
        for piece in self.pieces:
            lines.append(f"'{readable(piece.text, '␣')}'{' special token' if piece.special else ''}")
            if piece.special:
                continue
            rows = [("", piece.start, "")] + [
                ("" if step.rank is None else str(step.rank), step.tokens, _pair_text(step))
                for step in piece.steps
            ]
            width = max(12, *(len(_row(tokens)) for _, tokens, _ in rows)) + 3
            digits = max(5, *(len(rank) for rank, _, _ in rows))
            for rank, tokens, pair in rows:
                row = _row(tokens)
                shown = (
                    " ".join(ansi_token(token, i, space="␣") for i, token in enumerate(tokens))
                    if coloured
                    else row
                )
                lines.append(f"  {rank:<{digits}} {shown}{' ' * (width - len(row))}{pair}".rstrip())
        return "\n".join([*lines, self.summary])

    def _repr_html_(self) -> str:
        cell = "padding:2px 10px 2px 0;text-align:left;vertical-align:top;background:none;border:none"
        parts = []
        for piece in self.pieces:
            if piece.special:
                body = f'<td style="{cell}" colspan="3">{html_token(piece.text, 0, special=True)} special token</td>'
                parts.append(f'<tr style="background:none">{body}</tr>')
                continue
            rows: list[tuple[str, tuple[bytes, ...], str, bytes | None]] = [("", piece.start, "", None)]
            for step in piece.steps:
                result = b"".join(step.pair) if step.pair else piece.text
                rank = "" if step.rank is None else f"rank {step.rank}"
                rows.append((rank, step.tokens, _pair_text(step), result))
            for rank, tokens, pair, made in rows:
                spans = "".join(html_token(token, i, strong=token == made) for i, token in enumerate(tokens))
                parts.append(
                    f'<tr style="background:none"><td style="{cell};opacity:.7">{rank}</td>'
                    f'<td style="{cell};white-space:pre-wrap">{spans}</td>'
                    f'<td style="{cell};opacity:.7">{html.escape(pair)}</td></tr>'
                )
            ids = " ".join(map(str, piece.ids))
            parts.append(
                f'<tr style="background:none"><td style="{cell}"></td>'
                f'<td style="{cell};padding-bottom:12px" colspan="2">ids {ids}</td></tr>'
            )
        return (
            f'<div><table style="font-family:monospace;border-collapse:collapse;border:none">{"".join(parts)}</table>'
            f'<div style="opacity:.7">{self.summary}</div></div>'
        )


def _row(tokens: Sequence[bytes]) -> str:
    return " ".join(readable(token, "␣") for token in tokens)


def _pair_text(step: Step) -> str:
    if step.pair is None:
        return "the whole piece is a token"
    return f"{readable(step.pair[0], '␣')} + {readable(step.pair[1], '␣')}"


def trace_piece(
    piece: bytes, byte_ids: Sequence[int], vocab: Sequence[bytes | None], merges: Merges, whole: int | None
) -> Piece:
    """Follow one piece.

    Args:
        byte_ids: id of each byte.
        vocab: bytes of each id.
        merges: rank and result of each pair.
        whole: the id of the piece if it becomes that whatever the merges give, or ``None``.
    """

    def spelled(ids: Sequence[int]) -> tuple[bytes, ...]:
        return tuple(vocab[id_] or b"" for id_ in ids)

    ids = [byte_ids[byte] for byte in piece]
    start = spelled(ids)
    steps: list[Step] = []
    while known := [pair for pair in pairwise(ids) if pair in merges]:
        pair = min(known, key=lambda pair: merges[pair][0])
        rank, result = merges[pair]
        ids = merge(ids, pair, result)
        left, right = spelled(pair)
        steps.append(Step(piece, len(steps) + 1, (left, right), rank, spelled(ids)))
    if whole is not None and ids != [whole]:
        ids = [whole]
        steps.append(Step(piece, len(steps) + 1, None, None, (piece,)))
    return Piece(piece, start, tuple(steps), tuple(ids))
