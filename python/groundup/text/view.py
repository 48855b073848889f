"""Tokens to look at: coloured in a terminal, as HTML in Jupyter, with bars between them where there are no colours.

A view shows every token as it stands in the text. What a screen would swallow or obey is written out: line breaks and
tabs as signs, control and formatting characters and bytes that are not UTF-8 as escapes. So text from anywhere is
safe to show. The HTML needs no script, no network and no style sheet; its colours are transparent and suit a dark
page as well as a light one.
"""

from __future__ import annotations

import html
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

# Okabe and Ito's palette, which readers with any colour vision tell apart, and its pastels for terminals.
_HTML_COLOURS = ("230,159,0", "86,180,233", "0,158,115", "204,121,167", "240,228,66")
_ANSI_COLOURS = (223, 153, 151, 218, 229)
_SIGNS = {"\n": "↵", "\r": "␍", "\t": "⇥"}


def readable(token: bytes, space: str = " ") -> str:
    r"""A token as text that is safe to show.

    >>> readable(b" the\n"), readable("é".encode()[:1]), readable(b"\x1b[2J", space="␣")
    (' the↵', '\\xc3', '\\x1b[2J')
    """
    text = token.decode("utf-8", "surrogateescape")
    return "".join(_readable_character(char, space) for char in text)


def _readable_character(char: str, space: str) -> str:
    if char == " ":
        return space
    if char in _SIGNS:
        return _SIGNS[char]
    if "\udc80" <= char <= "\udcff":  # surrogateescape's stand-in for a byte
        return f"\\x{ord(char) - 0xDC00:02x}"
    if char.isprintable():
        return char
    return (
        char.encode("ascii", "backslashreplace").decode("ascii")
        if ord(char) > 0x7F
        else f"\\x{ord(char):02x}"
    )


def colours_wanted() -> bool:
    """Whether standard output is a terminal that shows colours; ``NO_COLOR`` and ``FORCE_COLOR`` decide if set."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def ansi_token(token: bytes, index: int, *, special: bool = False, space: str = " ") -> str:
    """A token on the background of its place in the row; a special one underlined."""
    underline = "4;" if special else ""
    colour = _ANSI_COLOURS[index % len(_ANSI_COLOURS)]
    return f"\x1b[{underline}38;5;16;48;5;{colour}m{readable(token, space)}\x1b[0m"


def html_token(
    token: bytes, index: int, *, title: str = "", special: bool = False, strong: bool = False
) -> str:
    """A token as a ``<span>``; a special one in a frame, a strong one bold and in a frame."""
    colour = _HTML_COLOURS[index % len(_HTML_COLOURS)]
    style = f"background:rgba({colour},.35);border-radius:3px;padding:1px 0;margin-right:1px"
    if special or strong:
        style += f";outline:1px {'dashed' if special else 'solid'} rgb({colour})"
    if strong:
        style += ";font-weight:bold"
    text = html.escape(readable(token)).replace("↵", "↵\n")
    tooltip = f' title="{html.escape(title)}"' if title else ""
    return f'<span style="{style}"{tooltip}>{text}</span>'


def summary(n_tokens: int, n_bytes: int) -> str:
    """How many tokens, and how much of the text each holds.

    >>> summary(4, 18)
    '4 tokens, 18 bytes, 4.50 bytes a token'
    """
    tokens = f"{n_tokens:,} token{'s' * (n_tokens != 1)}, {n_bytes:,} byte{'s' * (n_bytes != 1)}"
    return f"{tokens}, {n_bytes / n_tokens:.2f} bytes a token" if n_tokens else tokens


@dataclass(frozen=True)
class TokenView:
    """The tokens of a text, to print or to display.

    Attributes:
        tokens: bytes of each.
        ids: id of each.
        special: whether it is a special token.
        n_bytes: bytes of the text they came from.
    """

    tokens: Sequence[bytes]
    ids: Sequence[int]
    special: Sequence[bool]
    n_bytes: int

    @property
    def summary(self) -> str:
        """How many tokens, and how much of the text each holds."""
        return summary(len(self.ids), self.n_bytes)

    def plain(self) -> str:
        """The tokens with a bar between any two of them, line breaks kept."""
        return "│".join(readable(token).replace("↵", "↵\n") for token in self.tokens)

    def ansi(self) -> str:
        """The tokens on coloured backgrounds, line breaks kept."""
        shown = [
            ansi_token(token, i, special=special).replace("↵\x1b[0m", "↵\x1b[0m\n")
            for i, (token, special) in enumerate(zip(self.tokens, self.special, strict=True))
        ]
        return "".join(shown)

    def __str__(self) -> str:
        body = self.ansi() if colours_wanted() else self.plain()
        return f"{body}\n{self.summary}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        spans = [
            html_token(token, i, title=f"id {id_} {token!r}", special=special)
            for i, (token, id_, special) in enumerate(zip(self.tokens, self.ids, self.special, strict=True))
        ]
        return (
            '<div><div style="font-family:monospace;white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.7">'
            f'{"".join(spans)}</div><div style="opacity:.7;margin-top:.3em">{self.summary}</div></div>'
        )
