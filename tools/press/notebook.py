"""The lasting form of a notebook: the same page gives the same bytes, whoever runs it and when.

Ids come from what a cell holds, times of execution are left out, and the metadata say which source it was made from and
on what kind of machine it ran, and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from tools.press.page import Page

from groundup.files import write_text

#: Raised when the press makes something else of the same source.
VERSION = 1

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "pygments_lexer": "ipython3",
}

#: Needs a live kernel: dead in a saved notebook, and there only if the widget package was.
WIDGET = "application/vnd.jupyter.widget-view+json"


def facts() -> dict[str, Any]:
    """What the outputs of a page may depend on, besides its source and this repository."""
    import groundup as gu

    config = gu.config()
    return {key: config[key] for key in ("python", "numpy", "isa", "blas", "threads")}


def build(page: Page) -> Any:
    """The notebook of a page before it is run."""
    notebook = nbformat.v4.new_notebook()
    seen: dict[str, int] = {}
    for cell in page.cells:
        make = nbformat.v4.new_markdown_cell if cell.kind == "markdown" else nbformat.v4.new_code_cell
        new = make(cell.text)
        count = seen[cell.id] = seen.get(cell.id, 0) + 1
        new.id = cell.id if count == 1 else f"{cell.id}-{count}"
        new.metadata = nbformat.from_dict({"tags": list(cell.tags)} if cell.tags else {})
        notebook.cells.append(new)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": KERNEL,
            "language_info": LANGUAGE,
            "groundup": {"press": VERSION, "source": page.digest, "pressed_on": facts()},
        }
    )
    return notebook


def settle(notebook: Any, page: Page) -> Any:
    """An executed notebook without what changes from run to run."""
    for cell, source in zip(notebook.cells, page.cells, strict=True):
        cell.metadata = nbformat.from_dict({"tags": list(source.tags)} if source.tags else {})
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            if (
                "data" in output
                and output.data.pop(WIDGET, None) is not None
                and "text/html" not in output.data
            ):
                continue
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
            kept.append(output)
        cell.outputs = kept
    notebook.metadata = nbformat.from_dict(
        {key: notebook.metadata[key] for key in ("kernelspec", "language_info", "groundup")}
        | {"language_info": LANGUAGE}
    )
    return notebook


def dumps(notebook: Any) -> str:
    """A notebook as the text of its file, checked against the format's schema."""
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook, version=nbformat.NO_CONVERT)) + "\n"


def load(path: Path) -> Any:
    """The notebook at ``path``, or None if there is none."""
    return nbformat.read(path, as_version=4) if path.exists() else None


def is_current(page: Page) -> bool:
    """Was the notebook that is there made by this press from this source?"""
    there = load(page.notebook)
    made = there.metadata.get("groundup", {}) if there is not None else {}
    return (made.get("press"), made.get("source")) == (VERSION, page.digest)


def write(path: Path, text: str) -> bool:
    """Write a file whole or not at all; False if that is what it holds already."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return True
