"""What a rule sees of a page, and how it says what is wrong."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from tools.press.page import Cell, Page

FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
DISPLAY = re.compile(r"\$\$(.+?)\$\$", re.S)
INLINE = re.compile(r"(?<![\\$])\$(?![\s$])([^$\n]+?)(?<!\s)\$")
CODE = re.compile(r"`[^`\n]+`")
TAG = re.compile(r"<!--.*?-->|</?\w[^>]*>", re.S)
TARGET = re.compile(r"\]\([^)\s]*\)")
HEADING = re.compile(r"^(#{1,6}) +(.+?)\s*$", re.M)


@dataclass(frozen=True)
class Finding:
    """What is wrong in a cell (both counted from 1), and what to do."""

    cell: int
    message: str
    line: int = 1


@dataclass(frozen=True)
class Subject:
    """A page with its notebook, None where there is none, and its study data, empty where there are none."""

    page: Page
    notebook: Any = None
    data: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, page: Page, notebook: Any) -> Subject:
        """The page with the data that stand in its tree."""
        path = data_path(page.root, page.name)
        data = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
        return cls(page, notebook, data or {})

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells."""
        return self.page.cells

    @property
    def markdown(self) -> Iterator[Cell]:
        """Cells of prose."""
        return (cell for cell in self.cells if cell.kind == "markdown")

    @property
    def code(self) -> Iterator[Cell]:
        """Cells of code."""
        return (cell for cell in self.cells if cell.kind == "code")

    def outputs(self, cell: Cell) -> list[Any]:
        """What a cell put out; of a page that was not pressed, nothing."""
        if self.notebook is None or cell.kind != "code" or len(self.notebook.cells) < cell.number:
            return []
        return list(self.notebook.cells[cell.number - 1].get("outputs", ()))

    @cached_property
    def trees(self) -> dict[int, ast.Module]:
        """The syntax trees of the code cells, by number."""
        return {cell.number: parse(cell) for cell in self.code}

    @cached_property
    def sections(self) -> list[tuple[str, int]]:
        """Which section begins at which cell, in the page's order."""
        return [(tag, cell.number) for cell in self.cells for tag in cell.tags if tag in SECTIONS]

    def section_of(self, cell: Cell) -> str:
        """The section that a cell stands in."""
        return next((tag for tag, start in reversed(self.sections) if start <= cell.number), "")


#: Every page has the first ones, in this order; days have the others, too.
ORDER = "motto predict derive numpy cpp check measure break tell cards next".split()
DAYS = "exercise design drill quiz".split()
SECTIONS = (*ORDER, *DAYS)

Rule = Callable[[Subject], Iterator[Finding]]
RULES: dict[str, Rule] = {}


def rule(name: str) -> Callable[[Rule], Rule]:
    """Register a rule under ``NUMBER name``; ``form`` stands for what no number covers."""

    def register(function: Rule) -> Rule:
        RULES[name] = function
        return function

    return register


def data_path(root: Path, name: str) -> Path:
    """Where the cards and the quiz of a page stand."""
    return root / "python" / "groundup" / "study" / "cards" / f"{name.rsplit('/', maxsplit=1)[-1]}.yaml"


def lint(subject: Subject) -> list[str]:
    """Every finding as a line: file, line, cell, rule, and what to do; in the page's order."""
    for cell in subject.code:
        try:
            parse(cell)
        except SyntaxError as error:  # no rule can read on
            return [f"{subject.page.where(cell.number, error.lineno or 1)}: [form syntax] {error.msg}"]
    found = []
    for name, function in RULES.items():
        found += [(f.cell, f.line, name, f.message) for f in function(subject)]
    return [
        f"{subject.page.where(cell, line)}: [{name}] {message}" for cell, line, name, message in sorted(found)
    ]


def parse(cell: Cell) -> ast.Module:
    """A code cell's syntax tree; lines of magic are left out."""
    lines = cell.text.splitlines()
    return ast.parse("\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in lines))


def plain(text: str) -> str:
    """Prose alone, line by line: without fenced code, formulas, inline code, tags, and addresses of links."""

    def blank(match: re.Match[str]) -> str:
        return "\n" * match[0].count("\n") or " "

    for pattern in (FENCE, DISPLAY, INLINE, CODE, TAG, TARGET):
        text = pattern.sub(blank, text)
    return text


def line_of(text: str, position: int) -> int:
    """The line, from 1, of a position in a text."""
    return text.count("\n", 0, position) + 1
