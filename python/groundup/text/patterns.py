"""Splitting patterns: their regular expressions, which of them are written out in C++, and any other through `regex`.

A pattern cuts a text into pieces that no token crosses. Published tokenizers name it by its regular expression; one
that is known here runs in C++, a hundred times as fast. Any other needs the optional package ``regex``, as Python's
own ``re`` knows no ``\\p{L}``.

Not handled: text that no alternative of an expression matches is a piece of its own, where tiktoken drops it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

_WORD_START = r"[^\r\n\p{L}\p{N}]?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"

#: The regular expression of each pattern, as Hugging Face's ``tokenizer.json`` may hold it.
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": _CONTRACTION
    + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]+|\s+(?!\S)|\s+",
    "cl100k_old": _CONTRACTION
    + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": _CONTRACTION
    + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": rf"{_WORD_START}{_UPPER}*{_LOWER}+{_CONTRACTION}?|{_WORD_START}{_UPPER}+{_LOWER}*{_CONTRACTION}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "whitespace": r" ?\S+|\s+(?!\S)|\s+",
    "none": r"[\s\S]+",
}

# Other spellings of the same, as published files have them.
_SPELLINGS = {
    r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""": "gpt2",
    r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""": "gpt2",
    r"""'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""": "gpt2",
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""": "cl100k",  # noqa: E501
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+""": "cl100k_old",  # noqa: E501
}  # fmt: skip
_NAMES = {**{text: name for name, text in PATTERNS.items()}, **_SPELLINGS}


def known_pattern(pattern: str) -> str | None:
    """The name of a pattern from its name or its regular expression; ``None`` if it is not one of ours.

    >>> known_pattern("o200k"), known_pattern(PATTERNS["gpt2"]), known_pattern("[0-9]+")
    ('o200k', 'gpt2', None)
    """
    return pattern if pattern in PATTERNS else _NAMES.get(pattern)


class RegexSplitter:
    r"""Pieces by regular expressions, each one cutting the pieces of the one before.

    Args:
        patterns: regular expressions in the syntax of the ``regex`` package. What one matches is a piece, and so is
            what lies between two matches.

    Raises:
        ValueError: an expression that cannot be compiled.
        ModuleNotFoundError: ``regex`` is not installed.

    >>> splitter = RegexSplitter([r"\d", "b"])
    >>> splitter.ends("ab12").tolist()
    [1, 2, 3, 4]
    """

    def __init__(self, patterns: list[str]) -> None:
        try:
            regex = importlib.import_module("regex")
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                f"[BPETokenizer] the pattern {patterns[0]!r} is none of {', '.join(PATTERNS)} and needs the package "
                'regex: pip install "groundup[text]"'
            ) from None
        self.patterns = list(patterns)
        self._compiled: list[Any] = []
        for pattern in patterns:
            try:
                self._compiled.append(regex.compile(pattern))
            except regex.error as error:
                raise ValueError(
                    f"[BPETokenizer] the pattern must be a regular expression, but got {pattern!r}: {error}"
                ) from None

    def ends(self, text: str | bytes) -> npt.NDArray[np.uint64]:
        """Where each piece ends, in bytes; bytes that are not UTF-8 are characters that no class holds."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "surrogateescape")
        pieces = [text] if text else []
        for compiled in self._compiled:
            pieces = [part for piece in pieces for part in _cut(compiled, piece)]
        sizes = [len(piece.encode("utf-8", "surrogateescape")) for piece in pieces]
        return np.cumsum(sizes, dtype=np.uint64)


def _cut(compiled: Any, text: str) -> Iterator[str]:
    done = 0
    for match in compiled.finditer(text):
        start, end = match.span()
        if start > done:
            yield text[done:start]
        if end > start:
            yield text[start:end]
        done = max(done, end)
    if done < len(text):
        yield text[done:]
