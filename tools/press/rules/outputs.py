"""What a page puts out: pictures, and nothing that is remote, live, or of this machine."""

from __future__ import annotations

import ast
import base64
import io
import re
from collections.abc import Iterator

from tools.press.page import Cell
from tools.press.rules.base import Finding, Subject, plain, rule

PICTURE = 100_000
LIVE = re.compile(r"<script|<iframe|\bjavascript:|<[^>]+\son\w+\s*=", re.I)
REMOTE = re.compile(
    r"""(?:\bsrc|xlink:href)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import|<link\b|!\[[^\]]*\]\(\s*https?:""",
    re.I,
)
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}|<[\w.]+ object at ")
PATHS = re.compile(r"(?:^|[\s'\"(>])/(?:root|home|Users|tmp|work|opt|var/folders)/")


def titles(subject: Subject, cell: Cell) -> list[ast.expr]:
    """What a cell gives its plots as titles; of a name, what the page sets it to."""
    found: list[ast.expr] = []
    for node in ast.walk(subject.trees[cell.number]):
        if isinstance(node, ast.keyword) and node.arg == "title":
            found.append(node.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "set_title":
            found += node.args[:1]
    names = {node.id for node in found if isinstance(node, ast.Name)}
    for node in (node for tree in subject.trees.values() for node in ast.walk(tree)):
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") in names for t in node.targets):
            found.append(node.value)
    return found


@rule("14 plots")
def plots(subject: Subject) -> Iterator[Finding]:
    """A plot answers a question that stands above it, and its title states the answer, with a computed number."""
    for cell in subject.code:
        if not any("image/png" in output.get("data", {}) for output in subject.outputs(cell)):
            continue
        inside = [node for title in titles(subject, cell) for node in ast.walk(title)]
        if not inside:
            yield Finding(cell.number, "a plot without a title: let it state the answer, with its number")
        elif "diagram(" not in cell.text and not any(isinstance(node, ast.FormattedValue) for node in inside):
            yield Finding(cell.number, "the title of a plot holds no computed number: put the answer into it")
        above = [c.text for c in subject.cells[: cell.number - 1] if c.kind == "markdown"][-2:]
        if not any("?" in plain(text) for text in above):
            yield Finding(cell.number, "no question stands above the plot: what does it answer?")


@rule("25 figures")
def figures(subject: Subject) -> Iterator[Finding]:
    """A figure's message stands as text before it."""
    for cell in subject.code:
        if not any("image/png" in output.get("data", {}) for output in subject.outputs(cell)):
            continue
        above = [c for c in subject.cells[max(0, cell.number - 4) : cell.number - 1] if c.kind == "markdown"]
        if not above or len(plain(above[-1].text).split()) < 8:
            yield Finding(cell.number, "no text stands before the figure: say there what it shows")


@rule("25 pictures")
def pictures(subject: Subject) -> Iterator[Finding]:
    """Pictures are small and opaque, so that they can be read on any background."""
    for cell in subject.code:
        for output in subject.outputs(cell):
            data = output.get("data", {})
            if "image/png" in data:
                png = base64.b64decode(data["image/png"])
                if len(png) > PICTURE:
                    yield Finding(
                        cell.number, f"a picture of {len(png):,} bytes, at most {PICTURE:,}: draw less"
                    )
                if not opaque(png):
                    yield Finding(cell.number, "a picture with transparent parts: call gu.plot.use() first")
            if len(data.get("image/svg+xml", "")) > PICTURE:
                yield Finding(cell.number, f"an SVG of more than {PICTURE:,} bytes: draw less")


def opaque(png: bytes) -> bool:
    """Is no pixel of a picture transparent?"""
    from PIL import Image

    image = Image.open(io.BytesIO(png))
    if image.mode not in ("RGBA", "LA"):
        return True
    return min(image.getchannel("A").tobytes()) == 255


@rule("25 static")
def static(subject: Subject) -> Iterator[Finding]:
    """No script, nothing remote, in prose and outputs."""
    for cell in subject.cells:
        parts = [cell.text] if cell.kind == "markdown" else []
        for output in subject.outputs(cell):
            data = output.get("data", {})
            parts += [data.get(kind, "") for kind in ("text/html", "text/markdown", "image/svg+xml")]
            if "application/javascript" in data:
                yield Finding(cell.number, "an output that is a script: put out HTML")
        for part in parts:
            for pattern, what in ((LIVE, "a script"), (REMOTE, "something remote")):
                if match := pattern.search(part):
                    yield Finding(cell.number, f"{what} ({match[0].strip()!r}): pages are static and whole")


@rule("form outputs")
def portable(subject: Subject) -> Iterator[Finding]:
    """No warnings, no addresses, no paths of the machine that pressed the page, no cell that failed."""
    for cell in subject.code:
        for output in subject.outputs(cell):
            data = output.get("data", {})
            text = "\n".join([output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")])
            if output.output_type == "error":
                yield Finding(cell.number, f"ends in {output.ename}: catch it and print what it says")
            elif output.get("name") == "stderr":
                yield Finding(cell.number, f"writes to standard error: {text.strip()[:60]!r}")
            elif match := ADDRESS.search(text):
                yield Finding(
                    cell.number, f"{match[0]!r} differs from run to run: end the cell with ; or assign"
                )
            elif match := PATHS.search(text):
                yield Finding(
                    cell.number, f"a path of one machine: {text[match.start() : match.end() + 20].strip()!r}"
                )
