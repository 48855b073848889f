"""The C++ of the core as text: whole files, and the part of a file that does one thing, found by its name."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

#: A file of so many lines or fewer is shown whole.
WHOLE = 120


@functools.cache
def _root(file: str) -> Path | None:
    package = Path(__file__).parent
    roots = (package / "_cpp", package.parents[1] / "cpp")
    return next((root for root in roots if (root / file).exists()), None)


def cpp_source(file: str) -> str:
    """The text of a C++ file of the core, ``ops/softmax.cpp``: shipped in a wheel, beside the package in a checkout.

    Raises:
        FileNotFoundError: this installation carries no C++ sources.
    """
    root = _root(file)
    if root is None:
        raise FileNotFoundError(
            f"[explain] this installation carries no C++ sources, but {file} was asked for"
        )
    return (root / file).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A definition at the top level of a file with the comment above it.

    Attributes:
        text: its lines.
        defines: the names that it defines.
    """

    text: str
    defines: tuple[str, ...]


# Up to the name: attributes, types and qualifiers, all on lines that begin at the margin.
_FUNCTION = re.compile(r"^(?!using|return|static_assert)[\w:<>,&*~\s\[\]]*?((?:\w+::)*[\w~]+)\(", re.M)
_TYPE = re.compile(
    r"^(?:template\s*<.*>\s*)?(?:struct|class|enum class|enum|union)\s+(?:alignas\(\d+\)\s*)?(\w+)", re.M
)
_ALIAS = re.compile(r"^(?:using|constexpr|static constexpr|const|inline constexpr)\s[^=;(]*?(\w+)\s*=", re.M)
_OP = re.compile(r"^GU_OP(?:_AS)?\((\w+)", re.M)


def blocks(source: str) -> list[Block]:
    """The definitions of a file. What is at the margin begins one; what is indented belongs to it."""
    lines = source.split("\n")
    found: list[Block] = []
    start: int | None = None
    for i, line in enumerate([*lines, ""]):
        if line.strip():
            start = i if start is None else start
            continue
        following = next((after for after in lines[i + 1 :] if after.strip()), "")
        if (start is not None and not following.startswith((" ", "}"))) or i == len(lines):
            if start is not None:
                found.append(_block(lines[start:i]))
            start = None
        elif start is not None and re.match(r"}\s*//\s*namespace", following):
            found.append(_block(lines[start:i]))
            start = None
    return [block for block in found if not re.match(r"}\s*//\s*namespace", block.text)]


def _block(lines: list[str]) -> Block:
    kept = [line for line in lines if not re.match(r"namespace\b.*{$|}\s*//\s*namespace", line)]
    text = "\n".join(kept).strip("\n")
    code = "\n".join(line for line in kept if not line.startswith(("//", "#", " ")))
    code = re.sub(r"^template\s*<.*?>\s*\n", "", code, flags=re.M)
    # A signature that goes on over several lines keeps its first one, which has the name.
    names = [n for pattern in (_TYPE, _ALIAS, _OP) for n in pattern.findall(code)]
    names += [n for n in _FUNCTION.findall(code) if not n.startswith("GU_")]
    return Block(text, tuple(dict.fromkeys(names)))


def _has(block: Block, symbol: str) -> bool:
    return any(name == symbol or name.endswith(f"::{symbol}") for name in block.defines)


def op_source(file: str, op: str) -> str:
    """The C++ of one op: its whole file if that is short, else its own part and the helpers that this part uses.

    Raises:
        FileNotFoundError: this installation carries no C++ sources.
    """
    source = cpp_source(file)
    if source.count("\n") <= WHOLE:
        return source
    found = blocks(source)
    chosen = {
        i
        for i, block in enumerate(found)
        if re.search(rf"^GU_OP(_AS)?\({op}\b|^GU_OP_AS\(.*\"{op}\"", block.text, re.M)
    }
    if not chosen:
        return source
    todo = list(chosen)
    while todo:
        used = set(re.findall(r"\w+", _without_comments(found[todo.pop()].text)))
        for i, block in enumerate(found):
            helper = i not in chosen and not _OP.search(block.text) and used.intersection(block.defines)
            if helper:
                chosen.add(i)
                todo.append(i)
    head = found[0].text if found and found[0].text.startswith("//") else ""
    parts = [head] if head else []
    parts += [found[i].text for i in sorted(chosen) if found[i].text != head]
    return "\n\n".join(parts) + f"\n\n// The other functions of {file} are left out.\n"


def _without_comments(text: str) -> str:
    return re.sub(r"//.*", "", text)


def _defining(root: Path, pattern: str, symbol: str) -> dict[str, list[str]]:
    """Of the files that match, those that define a name, and the text of what does."""
    found = {}
    for file in sorted(root.glob(pattern)):
        text = file.read_text(encoding="utf-8")
        if symbol.rsplit("::", 1)[-1] in text:
            found[file.relative_to(root).as_posix()] = [b.text for b in blocks(text) if _has(b, symbol)]
    return {file: texts for file, texts in found.items() if texts}


def symbols_source(folder: str, symbols: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The definitions of some names anywhere in a folder of the core, and the files that hold them.

    A header counts only for names that no ``.cpp`` defines, since it declares the others.

    Raises:
        FileNotFoundError: this installation carries no C++ sources.
        LookupError: no file of the folder defines a name, or several do: then its class must be named, too.
    """
    root = _root(folder)
    if root is None:
        raise FileNotFoundError(
            f"[explain] this installation carries no C++ sources, but {folder} was asked for"
        )
    parts: list[str] = []
    names: list[str] = []
    for symbol in symbols:
        found = _defining(root, f"{folder}/*.cpp", symbol) or _defining(root, f"{folder}/*.hpp", symbol)
        if len(found) != 1:
            problem = f"{', '.join(found)} define" if found else "no file of it defines"
            raise LookupError(f"[explain] one file of cpp/{folder} must define {symbol}, but {problem} it")
        for name, texts in found.items():
            names.append(name)
            parts += [f"// {name}\n{text}" for text in texts]
    return "\n\n".join(parts) + "\n", tuple(dict.fromkeys(names))
