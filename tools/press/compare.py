"""Does a notebook say what its source and this version of the library say?

Cells must equal the source everywhere. Outputs of cells tagged ``measured`` may be anything. The others must equal
those of a fresh run, text by text, where Python, NumPy, BLAS, the core's level and the number of threads are those that
the notebook was pressed on: sums are then rounded alike. On another machine they must be of the same kinds in the same
order, and the page's own assertions judge the values. Pictures are compared by kind: fonts differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.press.page import Page

TEXTS = ("text/plain", "text/markdown", "text/html", "text/latex", "image/svg+xml")


def cells_differ(page: Page, made: Any) -> Iterator[str]:
    """Where the notebook's cells are not those of the source."""
    if len(made.cells) != len(page.cells):
        yield f"{page.where(1)}: the notebook has {len(made.cells)} cells, its source {len(page.cells)}"
        return
    for cell, source in zip(made.cells, page.cells, strict=True):
        there = (cell.cell_type, cell.source, tuple(cell.metadata.get("tags", ())))
        if there != (source.kind, source.text, source.tags):
            yield f"{page.where(source.number)}: the notebook's cell is not the source's"


def kinds(output: Any) -> tuple[str, ...]:
    """What an output is made of."""
    return (output.output_type, output.get("name", ""), *sorted(output.get("data", ())))


def texts(output: Any) -> Iterator[str]:
    """The parts of an output that are text."""
    if output.output_type == "stream":
        yield output.text
    yield from (output.data[kind] for kind in TEXTS if kind in output.get("data", ()))


def first_difference(old: str, new: str) -> str:
    """The first line at which two texts part."""
    lines = zip([*old.splitlines(), "(end)"], [*new.splitlines(), "(end)"], strict=False)
    was, now = next((pair for pair in lines if pair[0] != pair[1]), ("(end)", "(end)"))
    at = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), 0)
    cut = slice(max(0, at - 30), at + 50)
    return f"{was[cut].strip()!r} is now {now[cut].strip()!r}"


def outputs_differ(page: Page, committed: Any, fresh: Any) -> Iterator[str]:
    """Where the committed outputs are not those of a fresh run."""
    same_machine = committed.metadata.groundup.pressed_on == fresh.metadata.groundup.pressed_on
    for source, old, new in zip(page.cells, committed.cells, fresh.cells, strict=True):
        if source.kind != "code" or "measured" in source.tags:
            continue
        was, now = [list(map(kinds, cell.outputs)) for cell in (old, new)]
        if was != now:
            yield f"{page.where(source.number)}: its outputs were {was}, but are now {now}"
        elif same_machine:
            for before, after in zip(old.outputs, new.outputs, strict=True):
                for one, two in zip(texts(before), texts(after), strict=True):
                    if one != two:
                        yield f"{page.where(source.number)}: its output differs: {first_difference(one, two)}"
