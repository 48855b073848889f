"""The embedded corpus: what is prose, in which order, and the cache."""

from __future__ import annotations

import hashlib
import platform
import re
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.data import corpus
from groundup.data.corpus import Corpus, compose, stdlib_text


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Made afresh, whatever an older run left in the cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROUNDUP_CACHE", str(tmp_path_factory.mktemp("cache")))
        return stdlib_text()


def test_is_prose_of_this_python(whole: Corpus) -> None:
    assert whole.python == platform.python_version()
    assert whole.sha256 == hashlib.sha256(whole.text.encode()).hexdigest()
    assert whole.source == "sources" and len(whole) == len(whole.text) > 1_000_000
    assert set(whole.text) <= {"\n", *map(chr, range(32, 127))}
    # Among English letters, e is the most frequent and z one of the rarest.
    counts = {letter: whole.text.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"}
    assert max(counts, key=counts.__getitem__) == "e" and counts["z"] < counts["e"] / 50


def test_holds_no_code_and_no_repetition(whole: Corpus) -> None:
    paragraphs = whole.text.rstrip("\n").split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs) > 5_000
    assert not any("\n" in paragraph or "  " in paragraph for paragraph in paragraphs)
    code = re.compile(r">>>|def \w+\(|import \w+( |$)|from \w+ import |\$ |\+--|\|")
    assert not [p for p in paragraphs if code.match(p)]


def test_known_sentences(whole: Corpus) -> None:
    # From a module's docstring, and from a documentation topic.
    assert "Return a shallow copy" in whole.text
    assert "*Objects* are Python's abstraction for data." in whole.text


def test_is_the_same_every_time(whole: Corpus) -> None:
    assert stdlib_text(cache=False) == whole


def test_names_of_packages_decide_the_order() -> None:
    documents = [
        ("mail/a.py", "The first module is about mail and its parts."),
        ("topic x", "A topic tells how a thing is done in the language."),
        ("mail/b.py", "The second module is about what a mail is made of."),
        ("zip.py", "This module reads and writes files of the kind named zip."),
    ]
    text = compose(documents)
    assert text == compose(reversed(documents))
    paragraphs = text.rstrip("\n").split("\n\n")
    first = next(i for i, p in enumerate(paragraphs) if p.startswith("The first"))
    assert paragraphs[first + 1].startswith("The second")


PROSE = "This is a sentence about the way in which it works."


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (PROSE, [PROSE]),
        ("Return printable representation.", ["Return printable representation."]),
        ("It is one of the things that are\nbroken by the layout.  Is it?",
         ["It is one of the things that are broken by the layout. Is it?"]),
        ("It is a built-\nin function of the language.", ["It is a built-in function of the language."]),
        ("For example, this is what it does::", ["For example, this is what it does:"]),
        ("It’s “quoted” — and so on, with the rest…", ["It's \"quoted\" -- and so on, with the rest..."]),
        ("* the first of the items\n  goes on\n* the second of the items",
         ["* the first of the items goes on", "* the second of the items"]),
        ("'action' -- one of the words\n      that follow it\n'category' -- a class that is given",
         ["'action' -- one of the words that follow it", "'category' -- a class that is given"]),
        (f"{PROSE}\n\n>>> 1 + 1\n2\n\n{PROSE}", [PROSE]),
        (">>> print('this is the way of it')", []),
        ("   comparison    ::= or_expr (comp_operator or_expr)*", []),
        ("Comparisons of the values\n*************************", []),
        ("| a | b |\n| the | of |", []),
        ("+------+------+\n| this | that |", []),
        ("x = f(y)\nreturn x[0] + {'a': 1}", []),
        ("splitquery('/path?query') --> '/path', 'query'.", []),
        ("name      type      what is in the column", []),
        ("Der Text ist über die Maße schön, as it is in the German.", []),
        ("two words", []),
        ("", []),
    ],
)  # fmt: skip
def test_what_is_prose(block: str, expected: list[str]) -> None:
    assert compose([("name", block)]) == ("\n\n".join(expected) + "\n" if expected else "")


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=200)), max_size=6))
def test_any_text(documents: list[tuple[str, str]]) -> None:
    text = compose(documents)
    assert text == "" or text.endswith("\n")
    assert set(text) <= {"\n", *map(chr, range(32, 127))}
    paragraphs = text.split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs)


def test_docstrings_everywhere_in_the_order_of_the_file() -> None:
    source = b'''"""module"""
try:
    import x
except ImportError:
    def f():
        """handler"""
class C:
    """class"""
    async def g(self):
        """method"""
        def inner():
            """inner"""
match 1:
    case 1:
        def h(): "case"
x = """not a docstring"""
'''
    found = list(corpus._docstrings(source))
    assert found == ["module", "handler", "class", "method", "inner", "case"]


def test_sources_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.py").write_text('"""a test"""')
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "b.py").write_text('"""b"""\nraise SystemExit("never run")')
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "nul.py").write_bytes(b"x = 1\0")
    (tmp_path / "latin.py").write_bytes(b'"""\xe9"""')
    (tmp_path / "silent.py").write_text("x = 1")
    assert corpus._source_documents(tmp_path) == [("package/b.py", "b")]


def test_without_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    text = stdlib_text(cache=False)
    assert text.source == "imported" and len(text) > 300_000
    assert "*Objects* are Python's abstraction for data." in text.text


def test_without_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(corpus, "_PLAIN_MODULES", [])
    monkeypatch.setattr(corpus, "_topics", list)
    with pytest.raises(RuntimeError, match="carries no documentation"):
        stdlib_text(cache=False)


def test_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path / "deep" / "cache"))
    monkeypatch.setattr(corpus, "_source_documents", lambda _: [("a.py", PROSE)])
    monkeypatch.setattr(corpus, "_topics", list)
    first = stdlib_text()
    assert first.text == PROSE + "\n"
    (file,) = (tmp_path / "deep" / "cache").iterdir()
    assert platform.python_version() in file.name

    monkeypatch.setattr(
        corpus, "_source_documents", lambda _: [("a.py", PROSE + " Now there is more of it.")]
    )
    assert stdlib_text() == first  # from the cache
    changed = stdlib_text(cache=False)
    assert changed != first

    for damage in (b"", b"no hash", file.read_bytes()[:-3], b"\xff" + file.read_bytes()):
        file.write_bytes(damage)
        assert stdlib_text() == changed  # made anew, and kept
        assert stdlib_text() == changed


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(corpus, "_source_documents", lambda _: [("a.py", PROSE)])
    monkeypatch.setattr(corpus, "_topics", list)
    assert stdlib_text().text == PROSE + "\n"


def test_repr_is_short(whole: Corpus) -> None:
    assert len(repr(whole)) < 120 and whole.sha256[:12] in repr(whole)
