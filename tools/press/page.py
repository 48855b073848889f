"""A page: its percent-format source, cell by cell, with the lines where they stand.

A page is any ``notebooks/source/**/NAME.py``; its notebook is ``notebooks/**/NAME.ipynb``. Nothing lists pages by name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import jupytext

MARKER = re.compile(r"# %%(?: |$)")


class PageError(Exception):
    """What is wrong with a page; its text is one line that names the place."""


@dataclass(frozen=True)
class Cell:
    """One cell of a source; ``line`` is that of its first line of text, from 1."""

    number: int
    kind: str  # "markdown" or "code"
    text: str
    tags: tuple[str, ...]
    line: int

    @property
    def id(self) -> str:
        """An id that depends on what the cell holds, so that it stays when cells move around it."""
        return hashlib.sha256(f"{self.kind}\n{self.text}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Page:
    """One page of the tree at ``root``."""

    root: Path
    name: str  # sprint/day33
    text: str
    cells: tuple[Cell, ...]

    @property
    def source(self) -> Path:
        """Where its source stands."""
        return self.root / "notebooks" / "source" / f"{self.name}.py"

    @property
    def notebook(self) -> Path:
        """Where its notebook stands."""
        return self.root / "notebooks" / f"{self.name}.ipynb"

    @property
    def digest(self) -> str:
        """What tells one version of the source from another."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def where(self, number: int, line: int = 1) -> str:
        """The place of a line of a cell (both from 1) for a message: ``notebooks/…/day33.py:41: cell 7``."""
        at = self.cells[number - 1].line + line - 1
        return f"{self.source.relative_to(self.root)}:{at}: cell {number}"


def names(root: Path) -> list[str]:
    """The names of all pages of a tree, in order."""
    folder = root / "notebooks" / "source"
    return sorted(p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.py"))


def choose(root: Path, wanted: list[str]) -> list[str]:
    """The pages that ``wanted`` names, by full name, last part, or path of either file; all, if it is empty."""
    known = names(root)
    if not wanted:
        return known
    chosen = []
    for word in wanted:
        short = Path(word).with_suffix("").as_posix()
        found = [n for n in known if n == short or n.endswith(f"/{short}") or short.endswith(f"/{n}")]
        if len(found) != 1:
            what = "is no page" if not found else f"is any of {', '.join(found)}"
            raise PageError(f"[press] {word!r} {what}; pages: {', '.join(known) or 'none'}")
        chosen += found
    return list(dict.fromkeys(chosen))


def read(root: Path, name: str) -> Page:
    """Read the source of one page."""
    path = root / "notebooks" / "source" / f"{name}.py"
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if MARKER.match(line)]
    parsed = jupytext.reads(text, fmt="py:percent").cells
    if len(starts) != len(parsed):
        raise PageError(
            f"{path.relative_to(root)}:1: every cell must begin with '# %%', but there are "
            f"{len(starts)} such lines and {len(parsed)} cells"
        )
    cells = []
    for number, (start, cell) in enumerate(zip(starts, parsed, strict=True), 1):
        # Markdown may stand in comments or between triple quotes: then the text begins a line later.
        quoted = start + 1 < len(lines) and lines[start + 1].lstrip("rR").startswith(('"""', "'''"))
        first = start + 2 + (quoted and cell.cell_type == "markdown")
        tags = tuple(cell.metadata.get("tags", ()))
        cells.append(Cell(number, cell.cell_type, cell.source, tags, first))
    return Page(root, name, text, tuple(cells))
