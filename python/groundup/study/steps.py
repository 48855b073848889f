"""Stepped views: a process shown frame by frame, as a table that stands still.

Every frame has a caption and something to look at: a row of tokens, a row of shares, or anything that shows in a
notebook. All frames are on the page, one under the other, or folded into each other; nothing moves and no script runs.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.study.markup import CELL, LINE, box, details, inline, plain, show
from groundup.text.trace import Trace
from groundup.text.view import readable

_COLOURS = ("230,159,0", "86,180,233", "0,158,115", "204,121,167", "240,228,66")


@dataclass(frozen=True)
class Frame:
    """One step.

    Attributes:
        caption: what happens, in a few words.
        tokens: a row of tokens, text or bytes; empty where ``body`` is shown instead.
        marked: positions of tokens that just changed; they are framed.
        shares: a number in 0 to 1 for each token: how dark it is drawn.
        body: anything else that shows in a notebook.
    """

    caption: str
    tokens: Sequence[str | bytes] = ()
    marked: Collection[int] = ()
    shares: Sequence[float] = ()
    body: Any = None


@dataclass(frozen=True)
class Steps:
    """Frames under a title; prints as text, shows as HTML in a notebook."""

    frames: tuple[Frame, ...]
    title: str = ""
    folded: bool = False

    def __len__(self) -> int:
        return len(self.frames)

    def __str__(self) -> str:
        lines = [self.title] if self.title else []
        width = max((len(plain(f.caption)) for f in self.frames), default=0)
        digits = len(str(len(self.frames)))
        for i, frame in enumerate(self.frames, 1):
            head = f"{i:{digits}}. {plain(frame.caption):{width}}"
            if frame.body is not None:
                lines += [head.rstrip(), *(f"    {line}" for line in str(frame.body).splitlines())]
                continue
            tokens = [_text(token) for token in frame.tokens]
            if len(frame.shares):
                tokens = [f"{t} {share:.0%}" for t, share in zip(tokens, frame.shares, strict=True)]
            shown = " ".join(f"[{t}]" if k in frame.marked else t for k, t in enumerate(tokens))
            lines.append(f"{head}  {shown}".rstrip())
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        title = f'<p style="margin:.3em 0"><strong>{inline(self.title)}</strong></p>' if self.title else ""
        if self.folded:
            folds = (
                details(
                    f"<strong>{i}.</strong> {inline(frame.caption)}",
                    "".join(_cells(frame, "span")) or show(frame.body),
                )
                for i, frame in enumerate(self.frames, 1)
            )
            return box(title + "\n".join(folds))
        rows = []
        for i, frame in enumerate(self.frames, 1):
            style = f"{CELL};border-top:{LINE}" if i > 1 else CELL
            cells = [f'<td style="{style};opacity:.75">{i}</td>']
            cells.append(
                f'<td style="{style};max-width:22em;white-space:normal">{inline(frame.caption)}</td>'
            )
            if frame.body is not None:
                cells.append(f'<td style="{style}">{show(frame.body)}</td>')
            elif len(frame.shares):  # a column a token, so that rows compare
                cells += _cells(frame, "td")
            else:
                cells.append(f'<td style="{style};line-height:1.8">{"".join(_cells(frame, "span"))}</td>')
            rows.append(f'<tr style="background:none">{"".join(cells)}</tr>')
        table = f'<table style="border:none;border-collapse:collapse;margin:0">{"".join(rows)}</table>'
        return box(f'{title}<div style="overflow-x:auto">{table}</div>')


def _cells(frame: Frame, tag: str) -> list[str]:
    """The tokens of a frame as elements: a box each; shares as how dark it is and as a number under it."""
    made = []
    for k, token in enumerate(frame.tokens):
        colour = _COLOURS[k % len(_COLOURS)]
        text = html.escape(_text(token))
        if len(frame.shares):
            share = min(1.0, max(0.0, float(frame.shares[k])))
            style = f"background:rgba(0,114,178,{0.65 * share:.2f});border:{LINE};padding:.2em .5em;text-align:center"
            style += ";display:inline-block" * (tag == "span")
            code = f'<code style="background:none;color:inherit">{text}</code>'
            made.append(f'<{tag} style="{style}">{code}<br><small>{share:.0%}</small></{tag}>')
            continue
        style = (
            f"background:rgba({colour},.35);color:inherit;padding:.1em .3em;border-radius:3px;white-space:pre"
        )
        if k in frame.marked:
            made.append(
                f'<strong><code style="{style};outline:2px solid rgb({colour})">{text}</code></strong> '
            )
        else:
            made.append(f'<code style="{style}">{text}</code> ')
    return made


def _text(token: str | bytes) -> str:
    return readable(token if isinstance(token, bytes) else token.encode("utf-8", "surrogatepass"), "␣")


def steps(frames: Iterable[Any], title: str = "", *, folded: bool = False) -> Steps:
    """A stepped view.

    Args:
        frames: a trace of `BPETokenizer.trace`; or frames: a `Frame`, a pair of a caption and what to show, or a text.
        title: stands above.
        folded: each step inside a fold, for readers who want to guess it first.

    >>> steps([("look", "what is there"), ("merge", ["lo", "w"])], title="Two steps")
    Two steps
    1. look
        what is there
    2. merge  lo w
    """
    made: list[Frame] = []
    for frame in merge_frames(frames) if isinstance(frames, Trace) else frames:
        if isinstance(frame, Frame):
            made.append(frame)
        elif isinstance(frame, str):
            made.append(Frame(frame))
        else:
            caption, body = frame
            if isinstance(body, (list, tuple)) and all(isinstance(t, (str, bytes)) for t in body):
                made.append(Frame(caption, tokens=body))
            else:
                made.append(Frame(caption, body=body))
    return Steps(tuple(made), title, folded)


def merge_frames(trace: Trace) -> list[Frame]:
    """A frame for each merge of a traced text."""
    frames = []
    for piece in trace.pieces:
        frames.append(Frame("bytes", piece.start))
        for step in piece.steps:
            made = b"".join(step.pair) if step.pair else piece.text
            marked = [k for k, token in enumerate(step.tokens) if token == made]
            caption = "the whole piece is a token" if step.rank is None else f"merge {step.rank}"
            frames.append(Frame(caption, step.tokens, marked))
    return frames


def attention_frames(
    weights: npt.ArrayLike, tokens: Sequence[str | bytes], queries: Iterable[int] | None = None
) -> list[Frame]:
    """A frame for each query: how much of each token it takes.

    Args:
        weights: of one head; rows are queries, columns keys.      # T,T
        tokens: the T tokens.
        queries: positions to show; all by default.
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 2 or w.shape[1] != len(tokens):
        raise ValueError(
            f"[study] weights must be (queries, {len(tokens)}), one column a token, but got {w.shape}"
        )
    rows = range(len(w)) if queries is None else queries
    return [Frame(f"`{_text(tokens[t])}` looks at", tokens, (), w[t].tolist()) for t in rows]
