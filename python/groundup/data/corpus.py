"""The embedded corpus: the English prose of the Python that runs, so that nothing is downloaded.

Every Python brings its documentation topics (what ``help("slicing")`` prints) and the docstrings of its
standard library: about one and a half million characters of technical English. `stdlib_text` takes the
prose out of them. Sources are parsed with `ast` and never run. Code, doctests, tables, headings and
everything not ASCII are left out, and so is each paragraph that was there before, because a repeated
paragraph in the validation part would flatter every model.

Not handled: the text differs a little between Python versions and distributions (some split the library into
packages), so results carry `Corpus.sha256` and `Corpus.python`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import os
import platform
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.files import write_text

# Part of the cache's name: raise it with every change of what the text comes out as.
_VERSION = 1

_SKIPPED = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


@dataclass(frozen=True)
class Corpus:
    """A text and where it came from.

    Attributes:
        text: the text; its characters are printable ASCII and line ends.
        sha256: of the text in UTF-8.
        python: version of the Python whose documentation it is.
        source: ``"sources"``, or ``"imported"`` where the standard library has no ``.py`` files.
    """

    text: str
    sha256: str
    python: str
    source: str

    def __len__(self) -> int:
        return len(self.text)

    def __repr__(self) -> str:
        return f"Corpus({len(self.text):,} characters, Python {self.python}, sha256 {self.sha256[:12]}…)"


def stdlib_text(*, cache: bool = True) -> Corpus:
    """The prose of this Python's own documentation, about 1.5 M characters.

    The first call takes a few seconds; the result is kept in the user's cache folder (``GROUNDUP_CACHE``
    names another one). Documents come in an order that looks random but is fixed, the modules of one
    package side by side, so the last tenth is a fair validation part that shares no package with the rest.

    Args:
        cache: read and write the cache. A cache that is damaged or cannot be written is no error.

    Raises:
        RuntimeError: this Python carries neither topics nor docstrings (it was started with ``-OO``, say).

    >>> corpus = stdlib_text()
    >>> len(corpus) > 300_000, corpus.text.isascii()
    (True, True)
    """
    path = _cache_path()
    if cache and (kept := _read_cache(path)):
        return kept
    root = Path(sysconfig.get_path("stdlib"))
    documents, source = _source_documents(root), "sources"
    if not documents:
        documents, source = _imported_documents(), "imported"
    text = compose([*_topics(), *documents])
    if not text:
        raise RuntimeError(
            "[stdlib_text] this Python carries no documentation: neither pydoc_data.topics nor docstrings; "
            "train on a text file instead"
        )
    corpus = Corpus(text, hashlib.sha256(text.encode()).hexdigest(), platform.python_version(), source)
    if cache:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, f"{corpus.sha256} {corpus.source}\n{text}")
    return corpus


# -------------------------------------------------------------------------------------------------- documents


def _topics() -> list[tuple[str, str]]:
    """(name, text) of the documentation topics, long ones first: the short ones repeat parts of them."""
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except (ImportError, AttributeError):
        return []
    return [(f"topic {name}", topics[name]) for name in sorted(topics, key=lambda n: (-len(topics[n]), n))]


def _source_documents(root: Path) -> list[tuple[str, str]]:
    """(path, docstrings) of every module under ``root`` that has a source file."""
    documents = []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if _SKIPPED.isdisjoint(relative.parts):
            with suppress(OSError, SyntaxError, ValueError):  # a few files are broken on purpose
                documents.append((relative.as_posix(), "\n\n".join(_docstrings(path.read_bytes()))))
    return [(name, text) for name, text in documents if text]


def _docstrings(source: bytes) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in old modules
        tree = ast.parse(source)
    nodes: list[ast.AST] = [tree]
    while nodes:  # depth first in the order of the file, without recursion
        node = nodes.pop()
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            docstring = ast.get_docstring(node)
            if docstring:
                yield docstring
        if isinstance(node, (ast.mod, ast.stmt, ast.excepthandler, ast.match_case)):  # what holds statements
            nodes.extend(reversed(list(ast.iter_child_nodes(node))))


# Modules whose import does nothing but define: they stand in where there are no sources to parse.
_PLAIN_MODULES = """
    abc argparse array ast asyncio base64 bisect builtins calendar codecs collections collections.abc
    configparser contextlib copy csv dataclasses datetime decimal difflib dis email enum fractions functools
    gettext glob gzip hashlib heapq html http inspect io ipaddress itertools json logging math operator
    optparse os pathlib pickle platform pprint queue random re shutil socket statistics string struct
    subprocess tarfile tempfile textwrap threading time tokenize traceback types typing unittest urllib.parse
    urllib.request uuid warnings weakref xml.dom xml.etree.ElementTree zipfile
""".split()


def _imported_documents() -> list[tuple[str, str]]:
    """(module, ``__doc__`` of it and what it defines): for a Python whose library is compiled or frozen."""
    documents = []
    for name in _PLAIN_MODULES:
        with suppress(ImportError):
            module = importlib.import_module(name)
            docs = [module.__doc__]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # members that warn when looked at
                for member in vars(module).values():
                    docs.extend(_member_docs(member, name))
            # A class with a slot of this name has a descriptor there.
            text = "\n\n".join(inspect.cleandoc(doc) for doc in docs if isinstance(doc, str))
            documents.append((name, text))
    return [(name, text) for name, text in documents if text]


def _member_docs(member: Any, module: str) -> Iterator[Any]:
    """``__doc__`` of a function or class, and of the class's methods, that ``module`` defines."""
    if getattr(member, "__module__", None) == module and callable(member):
        yield member.__doc__
        if isinstance(member, type):
            yield from (attribute.__doc__ for attribute in vars(member).values() if callable(attribute))


# ------------------------------------------------------------------------------------------------------ prose

_ASCII = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "–": "-",
        "—": "--",
        "…": "...",
        "→": "->",
        "×": "x",
        "\u00a0": " ",
    }
)
_BULLET = re.compile(r"(?:[*+\-o]|\d{1,2}[.)]|\([a-z\d]\)|\S+ --) ")
_CODE = re.compile(
    r"\s*(?:>>>|\.\.\. |\$ |# |@|\.\. |:\w+[ :]|import [\w., ]+$|import \w.* [#=]|from [\w.]+ import |"
    r"def \w+\(|class \w+.*:$|[\w.]+ = )|.*(?:::=|\w\(.*\)\s*(?:->|==|=>))"
)
_RULER = re.compile(r"\s*([=\-~*^\"#_+|.`:])\1{2,}[=\-~*^\"#_+|.`: ]*")
_TABLE = re.compile(r".*(?:\S {3,}\S.* {3,}\S|\s\|\s|\|$|\+--)")
_SYMBOL = re.compile(r"[^A-Za-z ,.;:'\"()\-\n]")
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
# The words that hold English sentences together, and that code, tables and signatures lack.
_GLUE = frozenset(
    """
    a about all also an and any are as at be been but by can do does each for from has have how if in into is
    it its may more must no not of on one only or other should so some such than that the their then there
    these they this to unless until used was what when where whether which while who will with would you
    """.split()
)


def compose(documents: Iterable[tuple[str, str]]) -> str:
    """The prose of (name, text) documents as one text: a line a paragraph, an empty line between them.

    A paragraph counts where it appears first. Documents are then ordered by the hash of their package, the
    part of the name before the first ``/``.
    """
    seen: set[str] = set()
    kept: list[tuple[str, str, str]] = []
    for name, text in documents:
        paragraphs = []
        for paragraph in _paragraphs(text):
            key = "".join(_WORD.findall(paragraph.lower()))
            if key not in seen:
                seen.add(key)
                paragraphs.append(paragraph)
        if paragraphs:
            order = hashlib.sha256(name.partition("/")[0].encode()).hexdigest()
            kept.append((order, name, "\n\n".join(paragraphs)))
    return "\n\n".join(text for _, _, text in sorted(kept)) + "\n" if kept else ""


def _paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of prose in ``text``, each without the line breaks of its layout."""
    for block in re.split(r"\n\s*\n", text.translate(_ASCII).expandtabs()):
        lines = block.split("\n")
        if any(_CODE.match(line) or _TABLE.match(line) for line in lines):
            continue
        if any(_RULER.fullmatch(line) for line in lines):  # a heading, or the border of a table
            continue
        for paragraph in _unwrapped(lines):
            if _is_prose(paragraph):
                yield paragraph


def _unwrapped(lines: list[str]) -> Iterator[str]:
    """Lines joined to paragraphs; a bullet, or a line that ends a hanging indent, opens a new one."""
    paragraph, indent = "", 0
    for line in lines:
        words = " ".join(line.split())
        if not words:
            continue
        depth = len(line) - len(line.lstrip())
        if paragraph and (depth < indent or _BULLET.match(words)):
            yield paragraph
            paragraph = ""
        if re.search(r"\w-$", paragraph):  # "built-" + "in"
            paragraph += words
        else:
            paragraph = f"{paragraph} {words}" if paragraph else words
        indent = depth + 2 if _BULLET.match(words) else depth
    if paragraph:
        yield re.sub(r"::$", ":", paragraph)  # reStructuredText's mark of a code block


def _is_prose(paragraph: str) -> bool:
    """Is it English sentences? They are held together by short common words and hold few symbols."""
    if not paragraph.isascii() or not paragraph.isprintable():
        return False
    words = _WORD.findall(paragraph)
    symbols = len(_SYMBOL.findall(paragraph))
    if len(words) < 3 or symbols > 0.06 * len(paragraph):
        return False
    glue = sum(word.lower() in _GLUE for word in words)
    if glue >= 0.15 * len(words):
        return True
    # A short summary, "Return printable representation.", may do without.
    return symbols == 0 and paragraph[0].isupper() and paragraph[-1] == "." and len(words) < 12


# ------------------------------------------------------------------------------------------------------ cache


def _cache_path() -> Path:
    """Where this Python's text is kept: the name tells versions and installations apart."""
    if folder := os.environ.get("GROUNDUP_CACHE"):
        cache = Path(folder)
    elif sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "groundup"
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches" / "groundup"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "groundup"
    where = hashlib.sha256(sysconfig.get_path("stdlib").encode()).hexdigest()[:8]
    return cache / f"stdlib-text-{_VERSION}-{platform.python_version()}-{where}.txt"


def _read_cache(path: Path) -> Corpus | None:
    try:
        head, _, text = path.read_bytes().decode().partition("\n")
        sha256, source = head.split(" ")
    except (OSError, ValueError):
        return None
    if hashlib.sha256(text.encode()).hexdigest() != sha256:
        return None
    return Corpus(text, sha256, platform.python_version(), source)
