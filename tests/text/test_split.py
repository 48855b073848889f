"""The patterns that cut a text into pieces: written out by hand, at any place of a window."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup import _core
from groundup.text.patterns import PATTERNS, RegexSplitter, known_pattern

NAMES = list(PATTERNS)
# What the patterns treat differently, and what ends a window.
PARTS = [
    *["don't", "I'LL", "'s", "x's's", "'tis", "a'ſb", " word", "  Word", "camelCase", "HTTPServer", "Ab", "a", "Z"],
    *["!\n", "!\n/", "\n  \n", "\n    x", "\r\n", "\t", "\t\tx", " ", "  ", "\n", "'", "/", ".", '"', " 1234567", "7"],
    *["٣", "²", "é", "É", "中文", "ǅ", "ʰ", "\u0301", "\u00a0", "\u3000", "\u2028", "👩\u200d👧", "\x00", "\x85"],
]  # fmt: skip
ANY = st.characters(exclude_categories=["Cs"])
MIXED = st.lists(st.sampled_from(PARTS) | ANY | st.text("ab Z'\n.1", max_size=9), max_size=60).map("".join)


def pieces(pattern: str, text: str | bytes) -> list[bytes]:
    data = text.encode() if isinstance(text, str) else text
    offsets = _core.split_offsets(pattern, text).tolist()
    assert offsets[0] == 0 and offsets[-1] == len(data)
    assert all(a < b for a, b in pairwise(offsets))
    return [data[a:b] for a, b in pairwise(offsets)]


def words(pattern: str, text: str) -> list[str]:
    return [piece.decode() for piece in pieces(pattern, text)]


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("gpt2", "I'll don't  go, 2024!", ["I", "'ll", " don", "'t", " ", " go", ",", " 2024", "!"]),
        ("gpt2", "a\n\n x", ["a", "\n\n", " x"]),
        ("gpt2", "'LL a\tb  ", ["'", "LL", " a", "\t", "b", "  "]),
        ("cl100k", "I'LL (go) 12345!\n\n  x", ["I", "'LL", " (", "go", ")", " ", "123", "45", "!\n\n", " ", " x"]),
        ("cl100k", "a\tb\n  \nc \n ", ["a", "\tb", "\n  \n", "c", " \n "]),
        ("cl100k_old", "c \n ", ["c", " \n", " "]),
        ("cl100k", "'ſo", ["'ſ", "o"]),
        ("qwen2", "a 123", ["a", " ", "1", "2", "3"]),
        ("o200k", "getHTTPResponse's ABCdef'LL.x", ["get", "HTTPResponse's", " ABCdef'LL", ".x"]),
        ("o200k", "/y\n/\n", ["/y", "\n", "/\n"]),
        ("o200k", "A\u0301B中Cd \u0301E", ["A\u0301B中Cd", " \u0301", "E"]),
        ("o200k", "!\n/ x", ["!\n/", " x"]),
        ("whitespace", "one  two,three\n\nfour ", ["one", " ", " two,three", "\n", "\n", "four", " "]),
        ("none", "one two", ["one two"]),
    ],
)  # fmt: skip
def test_by_hand(pattern: str, text: str, expected: list[str]) -> None:
    assert words(pattern, text) == expected


@pytest.mark.parametrize("pattern", NAMES)
@given(text=MIXED)
def test_pieces_depend_on_nothing_before_them(pattern: str, text: str) -> None:
    """So every suffix that begins with a piece has the same pieces, though the windows lie otherwise in it."""
    whole = pieces(pattern, text)
    for i in range(1, min(len(whole), 70)):
        assert pieces(pattern, b"".join(whole[i:])) == whole[i:]


@pytest.mark.parametrize("pattern", NAMES)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_cut(pattern: str, data: bytes) -> None:
    assert b"".join(pieces(pattern, data)) == data


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "cl100k_old", "qwen2", "o200k", "whitespace"])
@pytest.mark.parametrize(
    "run", [" ", "\n", "a", "A", "1", "!", "é", "中", "Ab", "'s", "\n" + " " * 70, " " * 70 + "\n"]
)
def test_runs_longer_than_a_window(pattern: str, run: str) -> None:
    """Wherever the windows lie in a run, it is cut alike, whatever follows it."""
    for after in ("", "x", "\n", "\n x", " ", "'s", "é"):
        text = run * 80 + after
        for before in range(0, 70, 3):
            whole = pieces(pattern, "x 1"[before % 3 :] + "x 1" * (before // 3) + text)
            for i in (1, 2, len(whole) // 2, len(whole) - 1):
                assert pieces(pattern, b"".join(whole[i:])) == whole[i:]


def test_unknown_pattern() -> None:
    with pytest.raises(ValueError, match=r"\[split\] pattern must be gpt2, .* but got 'gpt3'"):
        _core.split_offsets("gpt3", "x")


def test_known_by_their_regular_expressions() -> None:
    for name, text in PATTERNS.items():
        assert known_pattern(name) == known_pattern(text) == name
    assert known_pattern(r"\w+") is None


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k_old", "qwen2", "o200k", "whitespace"])
@given(text=st.lists(st.sampled_from(PARTS), max_size=40).map("".join))
def test_equal_to_their_regular_expressions(pattern: str, text: str) -> None:
    pytest.importorskip("regex", reason="needs the package regex")
    ends = RegexSplitter([PATTERNS[pattern]]).ends(text).tolist()
    assert _core.split_offsets(pattern, text).tolist() == [0, *ends]
