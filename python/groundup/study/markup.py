"""A little HTML: what cards, quizzes, steps and reports are made of.

No script, no style sheet, nothing remote. Colours are transparent or inherited, so they suit a light page and a dark
one; where a page strips styles, elements still carry the structure: ``details``, ``table``, ``code``, ``strong``.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterable
from typing import Any

#: Lines and backgrounds that show on white and on black alike.
LINE = "1px solid rgba(128,128,128,.45)"
TINT = "rgba(128,128,128,.10)"
#: Okabe and Ito's green, vermilion and blue, as the edge of a box.
GOOD, BAD, NOTE = "#009E73", "#D55E00", "#0072B2"

CELL = "padding:.25em .8em .25em 0;text-align:left;vertical-align:top;background:none;border:none"
# Both names of the class that keeps MathJax away: text may hold dollars.
NO_MATH = "tex2jax_ignore mathjax_ignore"

_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])")


def inline(text: str) -> str:
    """A line of text as HTML, with `code`, **strong** and *emphasis*; everything else is escaped.

    >>> inline("`a < b` is **not** *this*")
    '<code>a &lt; b</code> is <strong>not</strong> <em>this</em>'
    """

    def element(found: re.Match[str]) -> str:
        for tag, part in zip(("code", "strong", "em"), found.groups(), strict=True):
            if part is not None:
                return f"<{tag}>{part}</{tag}>"
        raise AssertionError

    return _INLINE.sub(element, html.escape(text, quote=False))


def paragraphs(text: str) -> str:
    """Text as paragraphs; an empty line ends one."""
    blocks = re.split(r"\n\s*\n", text.strip())
    return "".join(
        f'<p style="margin:.4em 0">{inline(" ".join(block.split()))}</p>' for block in blocks if block
    )


def plain(text: str) -> str:
    """The same text for a terminal: emphasis without its signs, line breaks as they come.

    >>> plain("`a` is **not** *this*")
    'a is not this'
    """
    return _INLINE.sub(lambda found: next(part for part in found.groups() if part is not None), text)


def details(summary: str, body: str, edge: str = "") -> str:
    """A fold. Both arguments are HTML."""
    left = f";border-left:4px solid {edge}" if edge else ""
    style = f"border:{LINE}{left};border-radius:4px;padding:.35em .8em;margin:.35em 0"
    return (
        f'<details style="{style}"><summary style="cursor:pointer">{summary}</summary>\n'
        f'<div style="padding:.2em 0 .1em 1em">{body}</div></details>'
    )


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of cells, which are HTML, without lines between them; nothing if there are no rows.

    >>> table([])
    ''
    """
    cells = ("".join(f'<td style="{CELL}">{cell}</td>' for cell in row) for row in rows)
    body = "".join(f'<tr style="background:none">{row}</tr>' for row in cells)
    return body and f'<table style="border:none;margin:.3em 0">{body}</table>'


def box(body: str) -> str:
    """What every view is wrapped in."""
    return f'<div class="{NO_MATH}" style="max-width:50em;line-height:1.5">{body}</div>'


def show(value: Any) -> str:
    """Anything as HTML: text as paragraphs, what has HTML of its own as that, figures as pictures, the rest as text.

    >>> show("a < b")
    '<p style="margin:.4em 0">a &lt; b</p>'
    """
    if isinstance(value, str):
        return paragraphs(value)
    if isinstance(value, (list, tuple)) and value and all(not isinstance(v, (int, float)) for v in value):
        return "".join(show(part) for part in value)
    rendered = getattr(value, "_repr_html_", None)
    if callable(rendered):
        text = rendered()
        if isinstance(text, str):
            return text
    figure = getattr(value, "figure", value)  # axes know theirs
    if hasattr(figure, "savefig"):
        return picture(figure)
    text = html.escape(str(value), quote=False)
    return f'<pre style="font-family:monospace;white-space:pre-wrap;margin:.4em 0">{text}</pre>'


def picture(figure: Any) -> str:
    """A matplotlib figure as an image that is part of the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    title = next((ax.get_title() for ax in figure.axes if ax.get_title()), "figure")
    return f'<img alt="{html.escape(title)}" src="data:image/png;base64,{data}" style="max-width:100%">'
