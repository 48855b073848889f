"""Pages as HTML that stands alone: one file a page and theme, formulas as MathML, no script, nothing from elsewhere."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html
from tools.press import notebook
from tools.press.page import Page, PageError

from groundup import _explain as explain

THEMES = ("light", "dark")

CODE = re.compile(r"(<(pre|code)\b.*?</\2>)", re.S)
MATH = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$([^$\n]+?)\$(?![\w$])", re.S)
SCRIPT = re.compile(r"<script\b.*?</script>", re.S)
REMOTE = re.compile(
    r"""(?:\b(?:src|srcset|poster)=|<link\b[^>]*\bhref=|\burl\()["']?(?:https?:)?//[^"')\s>]+"""
)
#: Wide enough for a line of code; on a narrower screen code scrolls.
STYLE = """<style>
body.jp-Notebook { max-width: 1080px; margin: 0 auto; padding: 1em; }
.jp-InputArea-editor { overflow-x: auto; }
.jp-RenderedHTMLCommon details { margin: .6em 0; }
math[display="block"] { margin: .8em 0; font-size: 1.15em; }
</style>"""


def typeset(text: str) -> str:
    """HTML with its formulas as MathML, those in code left alone.

    >>> typeset("<p>$x$ costs <code>$5</code></p>")[:30]
    '<p><math style="font-family:ST'
    """

    def formula(match: re.Match[str]) -> str:
        latex = html.unescape(match[1] or match[2]).strip()
        return explain.typeset(latex, "block" if match[1] else "inline")

    parts = CODE.split(text)  # text, code, its tag, text, …
    return "".join(
        MATH.sub(formula, part) if i % 3 == 0 else part for i, part in enumerate(parts) if i % 3 != 2
    )


def page_html(page: Page, theme: str) -> str:
    """A page as the text of an HTML file.

    Raises:
        PageError: it was not pressed yet, or something in it comes from elsewhere.
    """
    made = notebook.load(page.notebook)
    if made is None or not notebook.is_current(page):
        raise PageError(f"{page.where(1)}: the notebook was not made from this source; run: make pages")
    exporter: Any = HTMLExporter(template_name="lab", theme=theme)
    exporter.register_filter("markdown2html", lambda text: typeset(str(markdown2html(text))))
    title = next(line for line in page.cells[0].text.splitlines() if line.startswith("# "))[2:]
    text, _ = exporter.from_notebook_node(made, resources={"metadata": {"name": title}})
    text = SCRIPT.sub("", text).replace("</head>", f"{STYLE}</head>", 1)
    remote = REMOTE.search(text)
    if remote:
        raise PageError(f"{page.where(1)}: an exported page holds all it shows, but this names {remote[0]}")
    return text


def export(page: Page, folder: Path) -> list[str]:
    """Write ``NAME-light.html`` and ``NAME-dark.html`` into ``folder``; there is nothing to complain of then."""
    for theme in THEMES:
        path = folder / f"{page.name.replace('/', '-')}-{theme}.html"
        notebook.write(path, page_html(page, theme))
    return []
