"""A learner's file, read without running it: the definitions that an exercise needs, taken by ``ast``.

From a ``.py`` file, a percent-format one or a notebook come the imports, and the functions, classes and constants
that the exercise's own name needs, in their order; nothing else of the page is run. Not handled: names that a page
makes by running code, such as a trained tokenizer; an answer gets those as arguments.
"""

from __future__ import annotations

import ast
import builtins
import json
import re
import symtable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Bytes of a learner's file; a notebook with its pictures has a tenth of that.
MOST_BYTES = 20_000_000


@dataclass(frozen=True)
class Source:
    """The code of one cell, or of a whole file, and where it starts."""

    code: str
    label: str  # "cell 3", or the file's name


@dataclass(frozen=True)
class Answer:
    """What must run so that ``name`` exists.

    Attributes:
        sources: code and label of each cell that gives something, with everything else blanked out.
        unmet: names that the page makes by running code, and where.
        found: whether the file defines ``name`` at all.
    """

    name: str
    sources: tuple[Source, ...]
    unmet: dict[str, str]
    found: bool


def read(path: Path) -> list[Source]:
    """The code cells of a notebook, or the one piece that a Python file is.

    Raises:
        ValueError: it is neither; says what is wrong.
        OSError: it cannot be read.
    """
    if path.suffix not in (".py", ".ipynb"):
        raise ValueError(f"[check] {path} must be a .py file or a .ipynb notebook")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"[check] {path} must hold at most {MOST_BYTES:,} bytes, but has {size:,}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"[check] {path} must be UTF-8, but byte {error.start} is not") from None
    if path.suffix == ".py":
        return [Source(text, path.name)]
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"[check] {path} is no notebook: {error}") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise ValueError(f"[check] {path} is no notebook: it has no list of cells")
    sources = []
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        code = cell.get("source", "")
        if isinstance(code, list) and all(isinstance(line, str) for line in code):
            code = "".join(code)
        if not isinstance(code, str):
            raise ValueError(f"[check] {path} is no notebook: the source of cell {number} is no text")
        sources.append(Source(code, f"cell {number}"))
    return sources


@dataclass(frozen=True)
class _Definition:
    source: int  # which piece
    node: ast.stmt
    binds: frozenset[str]
    needs: frozenset[str]


def take(sources: list[Source], name: str) -> Answer:
    """The definitions that ``name`` needs; of several definitions of a name the last one counts.

    Raises:
        ValueError: the code that defines it is no Python; says where.
    """
    kept: dict[str, _Definition] = {}
    made: dict[str, str] = {}  # by running code
    broken: list[str] = []
    always: list[_Definition] = []
    for k, source in enumerate(sources):
        code = _without_magics(source.code)
        try:
            tree = ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            broken.append(
                f"{source.label}{f', line {line}' if line else ''}: {getattr(error, 'msg', None) or error}"
            )
            continue
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and (
                node.module == "__future__" or node.names[0].name == "*"
            ):
                always.append(_Definition(k, node, frozenset(), frozenset()))
                continue
            bound = _binds(node)
            if _is_definition(node):
                definition = _Definition(k, node, frozenset(bound), frozenset(_needs(node, code)))
                for one in bound:
                    kept[one] = definition
                    made.pop(one, None)
            else:
                for one in bound:
                    made[one] = f"{source.label}, line {node.lineno}"
                    kept.pop(one, None)
    if name not in kept and broken:
        raise ValueError(f"[check] the code that should define {name} cannot be read: {broken[0]}")
    if name not in kept:
        return Answer(name, (), {name: made[name]} if name in made else {}, False)
    chosen: list[_Definition] = []
    todo, unmet = [name], {}
    seen: set[str] = set()
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        if one in kept:
            if kept[one] not in chosen:
                chosen.append(kept[one])
                todo += kept[one].needs
        elif one in made:
            unmet[one] = made[one]
    pieces = []
    for k, source in enumerate(sources):
        nodes = [d.node for d in (*always, *chosen) if d.source == k]
        if nodes:
            pieces.append(Source(_only(_without_magics(source.code), nodes), source.label))
    return Answer(name, tuple(pieces), unmet, True)


def _without_magics(code: str) -> str:
    """Jupyter's own lines (``%time``, ``!ls``, ``x?``) blanked; a cell that begins with ``%%`` is none of Python's."""
    if code.lstrip().startswith("%%"):
        return ""
    return "\n".join(
        "" if re.match(r"\s*[%!]|.*\?\s*$", line) and not line.lstrip().startswith("#") else line
        for line in code.split("\n")
    )


def _only(code: str, nodes: list[ast.stmt]) -> str:
    """The lines of these statements; all others empty, so that line numbers stay."""
    lines = code.split("\n")
    keep = [""] * len(lines)
    for node in nodes:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        last = node.end_lineno or node.lineno
        keep[first - 1 : last] = lines[first - 1 : last]
    return "\n".join(keep) + "\n"


#: Calls that a constant may hold: ``re.compile(…)`` or ``np.array(…)``, but no training and no reading of files.
_CALLS = set(
    "set frozenset dict list tuple range len sorted min max sum zip enumerate str bytes int float chr ord reversed map "
    "compile array arange namedtuple TypeVar".split()
)


def _is_definition(node: ast.stmt) -> bool:
    """Imports, functions, classes, and assignments of constants: literals, arithmetic, and a few harmless calls."""
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return True
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        return node.value is not None and all(_is_constant(part) for part in ast.walk(node.value))
    if isinstance(node, ast.Try):
        handled = [part for handler in node.handlers for part in handler.body]
        return all(map(_is_definition, [*node.body, *handled, *node.orelse, *node.finalbody]))
    return False


def _is_constant(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        return name in _CALLS
    return not isinstance(node, (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr))


def _binds(node: ast.AST) -> set[str]:
    """The names that a statement gives a value."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    found = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in part.names}
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            found.add(part.id)
        elif isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            found.add(part.name)
    return found


def _needs(node: ast.stmt, code: str) -> set[str]:
    """Names that a definition takes from around it."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return set()
    table = symtable.symtable(_only(code, [node]), "answer", "exec")
    found: set[str] = set()
    tables = [table]
    while tables:
        scope = tables.pop()
        tables += scope.get_children()
        for symbol in scope.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or scope is table):
                found.add(symbol.get_name())
    return {one for one in found if not hasattr(builtins, one)}


def build(answer: Answer, file: str) -> Any:
    """Run the definitions and return what ``answer.name`` is.

    Raises:
        whatever the definitions raise, an import that is missing among them.
    """
    import linecache
    import sys
    import types

    module = types.ModuleType("answer")  # dataclasses look their module up
    sys.modules["answer"] = module
    for source in answer.sources:
        label = f"<{file}, {source.label}>" if source.label != file else f"<{file}>"
        linecache.cache[label] = (len(source.code), None, source.code.splitlines(keepends=True), label)
        exec(compile(source.code, label, "exec"), module.__dict__)
    return getattr(module, answer.name)
