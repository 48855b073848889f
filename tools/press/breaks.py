"""Break a page on purpose and see its assertions fail: an assertion that nothing can make fail guards nothing.

The breaks of ``day34`` are data, ``tests/pages/breaks/day34.yaml``, a list of::

    - old: "np.sqrt(d)"          # stands once in the page's code
      new: "d"                   # the bug
      caught: "0.14 < scaled"    # how the assertion begins, or the clause of its ``and``, that must fail first

Cells run in one process, which forks before the cell that a break changes: what went before is computed once.
"""

from __future__ import annotations

import ast
import io
import json
import linecache
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from tools.press.execute import environment
from tools.press.page import Cell, Page, PageError, read

AT_ONCE = 2


@dataclass(frozen=True)
class Break:
    """A cell with a bug planted in it, and the clause that must notice it."""

    cell: Cell
    caught: str
    where: str


def path_of(page: Page) -> Path:
    """Where the breaks of a page stand."""
    return page.root / "tests" / "pages" / "breaks" / f"{page.source.stem}.yaml"


def parts(assertion: ast.Assert) -> list[ast.expr]:
    """The condition of an assertion, or the parts of its ``and``."""
    test = assertion.test
    return test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]


def words(text: str, part: ast.expr) -> str:
    """A part of an assertion as it stands in a cell's text, on one line."""
    return " ".join((ast.get_source_segment(text, part) or "").split())


def clauses(cell: Cell) -> list[str]:
    """Everything that a cell asserts."""
    if cell.kind != "code":
        return []
    asserts = (node for node in ast.walk(ast.parse(cell.text)) if isinstance(node, ast.Assert))
    return [words(cell.text, part) for node in asserts for part in parts(node)]


def load(page: Page) -> list[Break]:
    """The breaks of a page, in its order; a :class:`PageError` says what is wrong with one."""
    path = path_of(page)
    if not path.exists():
        raise PageError(f"{page.where(1)}: the page has no {path.relative_to(page.root)}")
    known = {text for cell in page.cells for text in clauses(cell)}
    found = []
    for number, entry in enumerate(yaml.safe_load(path.read_text(encoding="utf-8")), 1):
        where = f"{path.relative_to(page.root)}: break {number}"
        if not isinstance(entry, dict) or set(entry) != {"old", "new", "caught"}:
            raise PageError(f"{where}: needs old, new and caught, but has {entry!r}")
        old, new, caught = entry["old"], entry["new"], " ".join(entry["caught"].split())
        at = [cell for cell in page.cells if cell.kind == "code" and old in cell.text]
        if len(at) != 1 or at[0].text.count(old) != 1:
            raise PageError(f"{where}: {old!r} must stand once in the page's code, but is in {len(at)} cells")
        if sum(text.startswith(caught) for text in known) != 1:
            raise PageError(f"{where}: {caught!r} must begin one assertion or one clause of its 'and'")
        found.append(Break(replace(at[0], text=at[0].text.replace(old, new)), caught, where))
    return sorted(found, key=lambda b: b.cell.number)


def check(page: Page) -> list[str]:
    """Plant every break of a page; name those that pass unnoticed and the clauses that no break reaches."""
    breaks = load(page)
    wrong = [
        f"{page.where(cell.number)}: no break for: assert {text}"
        for cell in page.cells
        for text in clauses(cell)
        if not any(text.startswith(b.caught) for b in breaks)
    ]
    with tempfile.TemporaryDirectory() as scratch:
        # One thread: those of a pool do not live on in a fork.
        env = environment(scratch) | {"MPLBACKEND": "agg", "GROUNDUP_NUM_THREADS": "1"}
        env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), env.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "tools.press.breaks", str(page.root.resolve()), page.name]
        done = subprocess.run(command, cwd=scratch, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PageError(f"{page.where(1)}: {done.stderr.strip().splitlines()[-1]}")
    return [*wrong, *json.loads(done.stdout)]


def run(page: Page) -> list[str]:
    """Execute a page as it is, and, in a fork each, with its breaks; complaints about breaks."""
    space: dict[str, Any] = {"__name__": "__main__", CaughtError.__name__: CaughtError}
    waiting: dict[int, tuple[int, Break]] = {}
    complaints: list[str] = []
    done = 0
    for planted in load(page):
        before = planted.cell.number - 1
        execute(page.cells[done:before], space)
        done = before
        if len(waiting) == AT_ONCE:
            complaints += reap(waiting)
        receive, send = os.pipe()
        if child := os.fork():
            os.close(send)
            waiting[child] = receive, planted
            continue
        os.write(send, outcome(page, planted, space).encode())
        os._exit(0)
    while waiting:
        complaints += reap(waiting)
    return complaints


def reap(waiting: dict[int, tuple[int, Break]]) -> list[str]:
    """Wait for one fork; what is wrong with its outcome."""
    child, _ = os.wait()
    receive, planted = waiting.pop(child)
    with open(receive, encoding="utf-8") as pipe:
        found = pipe.read() or "the process died"
    if found.startswith(planted.caught):
        return []
    return [f"{planted.where}: should fail {planted.caught!r}, but: {found}"]


def outcome(page: Page, planted: Break, space: dict[str, Any]) -> str:
    """The clause that fails first once a break is planted, or what happened instead."""
    try:
        execute([planted.cell, *page.cells[planted.cell.number :]], space)
    except CaughtError as failed:
        return str(failed)
    except Exception as error:  # whatever a planted bug makes a page raise
        return f"{type(error).__name__}: {error}"
    return "nothing failed"


class CaughtError(Exception):
    """A clause of an assertion is false; its text is the clause's."""


def execute(cells: Iterable[Cell], space: dict[str, Any]) -> None:
    """Run the code among some cells in ``space``, every clause of an assertion on its own."""
    for cell in cells:
        if cell.kind != "code":
            continue
        name = f"<cell {cell.number}>"
        linecache.cache[name] = len(cell.text), None, cell.text.splitlines(True), name
        tree = ast.fix_missing_locations(Asserts(cell.text).visit(ast.parse(cell.text)))
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            exec(compile(tree, name, "exec"), space)


class Asserts(ast.NodeTransformer):
    """Each assertion becomes ``if not clause: raise CaughtError(its words)`` for each clause."""

    def __init__(self, text: str) -> None:
        self.text = text

    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for part in parts(node):
            failed = ast.Call(
                ast.Name(CaughtError.__name__, ast.Load()), [ast.Constant(words(self.text, part))], []
            )
            made.append(ast.If(ast.UnaryOp(ast.Not(), part), [ast.Raise(failed)], []))
        return made


if __name__ == "__main__":
    print(json.dumps(run(read(Path(sys.argv[1]), sys.argv[2]))))
