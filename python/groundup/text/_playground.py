"""``gu.text.playground``: type text, see its tokens, their ids, and the merges of one word.

What is shown is HTML that stays in a saved notebook. In a live one, with ipywidgets installed, there is a text box as
well, and what is shown follows it. Works offline. WordPiece and Unigram show how they cut a word; other tokenizers show
their tokens only.
"""

from __future__ import annotations

import html
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groundup.text.bpe import BPETokenizer
from groundup.text.view import readable, summary

if TYPE_CHECKING:
    from groundup.text.tokenizer import Tokenizer

#: Bytes of text that are shown, and tokens whose ids are listed.
MOST_BYTES, MOST_IDS = 2000, 60

_COLOURS = ("230,159,0", "86,180,233", "0,158,115", "204,121,167", "240,228,66")


@dataclass(frozen=True)
class Playground:
    """A text under a tokenizer; prints as text, shows as HTML, and has a text box where that can live.

    Attributes:
        tokenizer: any of ours.
        text: what to show first.
        word: the piece whose merges are shown; by default the one that takes the most.
    """

    tokenizer: Tokenizer
    text: str
    word: str | None = None

    def _cut(self, text: str) -> tuple[str, str]:
        """What is shown of a text, and a note if that is not all of it."""
        data = text.encode("utf-8", "surrogatepass")
        if len(data) <= MOST_BYTES:
            return text, ""
        shown = data[:MOST_BYTES].decode("utf-8", "ignore")
        return shown, f"the first {len(shown):,} of {len(text):,} characters are shown"

    def _steps(self, text: str) -> Any:
        """The merges of one piece; None where there are none to show."""
        if not isinstance(self.tokenizer, BPETokenizer):
            trace = getattr(self.tokenizer, "trace", None)  # how WordPiece and Unigram cut a word
            word = max(text.split(), key=len, default="") if self.word is None else self.word
            return trace(word) if trace is not None and word else None
        from groundup.study.steps import steps

        pieces = [p for p in self.tokenizer.trace(text if self.word is None else self.word).pieces if p.steps]
        if not pieces:
            return None
        piece = max(pieces, key=lambda p: len(p.steps))
        trace = self.tokenizer.trace(piece.text)
        return steps(trace, f"{readable(piece.text, '␣')}: {len(piece.steps)} merges, lowest rank first")

    def __str__(self) -> str:
        text, note = self._cut(self.text)
        if not text:
            return "no text, no tokens"
        try:
            view = self.tokenizer.show(text)
            lines = [
                str(view),
                f"ids {' '.join(map(str, view.ids[:MOST_IDS]))}{' …' * (len(view.ids) > MOST_IDS)}",
            ]
            made = self._steps(text)
        except (ValueError, TypeError) as error:
            return str(error)
        return "\n".join([*lines, *([str(made)] if made is not None else []), *([note] if note else [])])

    __repr__ = __str__

    def html(self, text: str) -> str:
        """What is shown for a text."""
        shown, note = self._cut(text)
        if not shown:
            return "<p><em>No text, no tokens.</em></p>"
        try:
            view = self.tokenizer.show(shown)
            made = self._steps(shown)
        except (ValueError, TypeError) as error:
            return f"<p><strong>This text has no tokens:</strong> {html.escape(str(error))}</p>"
        tokens = []
        for i, (token, id_, special) in enumerate(zip(view.tokens, view.ids, view.special, strict=True)):
            colour = _COLOURS[i % len(_COLOURS)]
            frame = f"outline:1px dashed rgb({colour});" if special else ""
            # <code>, so that tokens are told apart where styles are taken away.
            tokens.append(
                f'<code title="id {id_}" style="background:rgba({colour},.35);color:inherit;padding:.1em 0;'
                f'margin-right:2px;border-radius:2px;{frame}white-space:pre-wrap">'
                f"{html.escape(readable(token, '␣'))}</code>" + ("<br>" if token.endswith(b"\n") else "<wbr>")
            )
        n_characters = len(shown)
        counts = (
            f"{summary(len(view.ids), view.n_bytes)}, {n_characters:,} character{'s' * (n_characters != 1)}"
        )
        ids = " ".join(map(str, view.ids[:MOST_IDS])) + " …" * (len(view.ids) > MOST_IDS)
        parts = [
            f'<p style="margin:.4em 0;line-height:1.9">{"".join(tokens)}</p>',
            f'<p style="margin:.4em 0"><strong>{counts}</strong></p>',
            f'<p style="margin:.4em 0">ids <code style="color:inherit;background:none">{ids}</code></p>',
        ]
        if note:
            parts.append(f'<p style="margin:.4em 0"><em>{note}</em></p>')
        if made is not None:
            from groundup.study.markup import show

            parts.append(show(made))
        return "".join(parts)

    def _repr_html_(self) -> str:
        from groundup.study.markup import box

        return box(self.html(self.text))

    def _ipython_display_(self) -> None:
        """The static view, which is what a saved notebook keeps; a text box before it where somebody can type."""
        from IPython.display import HTML, display

        from groundup.study.markup import box

        widgets = _live_widgets()
        area = None
        if widgets is not None:
            area = widgets.Textarea(value=self.text, layout=widgets.Layout(width="50em", height="5em"))
            bundle = area._repr_mimebundle_()
            bundle["text/plain"] = "Run this cell to get a text box."
            display(bundle, raw=True)
        handle = display(HTML(self._repr_html_()), display_id=True)
        if area is not None:
            area.observe(lambda change: handle.update(HTML(box(self.html(change["new"])))), names="value")


def _live_widgets() -> Any:
    """The module ipywidgets where a person has this notebook open; None where there is nobody to type."""
    opened = "JPY_SESSION_NAME" in os.environ or "VSCODE_PID" in os.environ or "VSCODE_CWD" in os.environ
    if not opened or "ipykernel" not in sys.modules:
        return None
    try:
        import ipywidgets
    except ModuleNotFoundError:
        return None
    return ipywidgets


def playground(tokenizer: Tokenizer, text: str = "", word: str | None = None) -> Playground:
    """Text to play with: its tokens in colour, their ids, how many there are, and the merges of one word.

    Args:
        tokenizer: any of ours.
        text: what to begin with.
        word: whose merges to show; by default those of the piece that takes the most.

    Raises:
        TypeError: the tokenizer is none, or the text is no str.

    >>> from groundup.text import BPETokenizer
    >>> print(playground(BPETokenizer.train("low lower lowest", 259), "slow"))
    s│low
    2 tokens, 4 bytes, 2.00 bytes a token
    ids 82 257
    slow: 2 merges, lowest rank first
    1. bytes    s l o w
    2. merge 0  s [lo] w
    3. merge 1  s [low]
    """
    if not isinstance(text, str):
        raise TypeError(f"[playground] text must be a str, but got {type(text).__name__}")
    if not hasattr(tokenizer, "show"):
        raise TypeError(f"[playground] tokenizer must be one of ours, but got {type(tokenizer).__name__}")
    return Playground(tokenizer, text, word)
