"""What the code of a page may be called and import."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from tools.press.rules.base import CODE, DISPLAY, INLINE, Finding, Subject, rule

PACKAGES = {"groundup", "numpy", "matplotlib", "regex"}
NETWORK = {"ftplib", "http", "imaplib", "smtplib", "socket", "ssl", "urllib", "xmlrpc"}
BAD = re.compile(r"(?:^|_)(?:tmp|temp|foo|bar)(?:_|\d|$)|_\d$")
CLAIM = re.compile(
    r"\d|\b(?:better|best|beats?|worse|worst|faster|slower|wins?|loses?|more|fewer|less|than)\b", re.I
)


@rule("9 names")
def names(subject: Subject) -> Iterator[Finding]:
    """No tmp, no _2."""
    for number, tree in subject.trees.items():
        for node in ast.walk(tree):
            given = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            name = node.id if isinstance(node, ast.Name) and given else getattr(node, "name", None)
            if isinstance(name, str) and BAD.search(name):
                yield Finding(number, f"{name!r} says nothing: name what it is", getattr(node, "lineno", 1))


@rule("9 letters")
def letters(subject: Subject) -> Iterator[Finding]:
    """A single letter that a cell sets for later is a symbol of a formula, or explained: as `x`, or in a comment."""
    prose = " ".join(cell.text for cell in subject.markdown)
    symbols = " ".join(
        [*DISPLAY.findall(prose), *INLINE.findall(DISPLAY.sub("", prose)), *CODE.findall(prose)]
    )
    known = set(re.findall(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])", symbols))
    seen: set[str] = set()
    for number, tree in subject.trees.items():
        lines = subject.cells[number - 1].text.splitlines()
        for statement in tree.body:
            explained = "#" in lines[statement.lineno - 1]
            targets = statement.targets if isinstance(statement, ast.Assign) and not explained else []
            for node in (n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)):
                if (
                    len(node.id) == 1
                    and node.id not in known | seen
                    and isinstance(node.ctx, ast.Store)
                    and node.id != "_"
                ):
                    seen.add(node.id)
                    yield Finding(
                        number, f"{node.id!r} is a symbol of no formula on the page: name it", node.lineno
                    )


@rule("15 constants")
def constants(subject: Subject) -> Iterator[Finding]:
    """A conclusion is computed: what is printed as a constant would survive other data."""
    for number, tree in subject.trees.items():
        for node in ast.walk(tree):
            if not (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            ):
                continue
            if node.args and all(isinstance(a, ast.Constant) for a in node.args):
                text = " ".join(str(a.value) for a in node.args if isinstance(a, ast.Constant))
                if CLAIM.search(text):
                    yield Finding(
                        number, f"prints the constant {text!r}: print what was computed", node.lineno
                    )


@rule("form imports")
def imports(subject: Subject) -> Iterator[Finding]:
    """NumPy, groundup, Matplotlib, regex and the standard library without its network."""
    allowed = (PACKAGES | set(sys.stdlib_module_names)) - NETWORK
    for number, tree in subject.trees.items():
        for node in ast.walk(tree):
            found = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in found:
                if module.split(".")[0] not in allowed:
                    yield Finding(
                        number, f"imports {module}: pages do without it", getattr(node, "lineno", 1)
                    )
