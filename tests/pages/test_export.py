"""Exported pages stand alone: formulas typeset, no script, nothing that a browser would have to fetch."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tools.press import notebook
from tools.press.export import THEMES, export, page_html, typeset
from tools.press.page import PageError, choose, read

ROOT = Path(__file__).parents[2]
PAGES = choose(ROOT, [])


@pytest.mark.parametrize("name", PAGES)
def test_a_page_stands_alone(name: str, tmp_path: Path) -> None:
    page = read(ROOT, name)
    assert export(page, tmp_path) == []
    files = sorted(tmp_path.iterdir())
    assert len(files) == len(THEMES)
    formulas = sum(cell.text.count("$$") // 2 for cell in page.cells if cell.kind == "markdown")
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "<script" not in text and "<iframe" not in text
        assert text.count('display="block"><') + text.count('display="block" ') >= formulas > 0
        assert "$$" not in re.sub(r"<(pre|code|style)\b.*?</\1>", "", text, flags=re.S)


def test_formulas_are_typeset_and_code_is_not() -> None:
    text = typeset("<p>$a_1 &lt; b$ <code>$5 and $6</code> for $5.</p><p>$$\\frac{1}{2}$$</p>")
    assert "<mo>&#x0003C;</mo>" in text and "<mfrac>" in text
    assert "<code>$5 and $6</code> for $5." in text


def test_what_comes_from_elsewhere_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "notebooks" / "source" / "sprint" / "far.py"
    source.parent.mkdir(parents=True)
    source.write_text(
        '# %% [markdown]\n# # Far\n#\n# <img src="https://example.org/picture.png" alt="far">\n',
        encoding="utf-8",
    )
    page = read(tmp_path, "sprint/far")
    with pytest.raises(PageError, match="was not made from this source"):
        page_html(page, "light")
    notebook.write(page.notebook, notebook.dumps(notebook.build(page)))
    with pytest.raises(PageError, match=r"this names .*https://example\.org"):
        page_html(page, "light")
