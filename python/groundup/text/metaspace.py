"""Metaspace: spaces written as "▁" (U+2581), so that a text is its pieces joined, as in SentencePiece."""

from __future__ import annotations

import re
from collections.abc import Iterator

from groundup.text.normalize import WHITE_SPACE, Char, Normalizer

MARK = "▁"
_WORD = re.compile(f"[^{WHITE_SPACE}]+")

#: How SentencePiece's vocabularies name the tokens of single bytes.
BYTE_NAMES = [f"<0x{byte:02X}>" for byte in range(256)]


class Metaspace(Normalizer):
    """Spaces to "▁".

    Args:
        prepend: put one before a text that does not begin with one, so that a word is the same everywhere.
        words: all white space parts words, and each gets a mark; otherwise only spaces count, one by one.

    >>> Metaspace().normalize("a cat")
    '▁a▁cat'
    """

    def __init__(self, prepend: bool = True, words: bool = False) -> None:
        self.prepend = prepend
        self.words = words

    def normalize(self, text: str) -> str:
        if self.words:
            return "".join(map(self._marked, text.translate(_TO_SPACE).split(" ")))
        return self._marked(text.replace(" ", MARK))

    def _marked(self, text: str) -> str:
        return MARK + text if self.prepend and text and not text.startswith(MARK) else text

    def chars(self, text: str) -> Iterator[Char]:
        stretches = [match.span() for match in _WORD.finditer(text)] if self.words else [(0, len(text))]
        for start, end in stretches:
            if self.prepend and start < end and text[start] not in (MARK, " "):
                yield Char(MARK, start, start)
            for i in range(start, end):
                yield Char(MARK if text[i] == " " else text[i], i, i + 1)


_TO_SPACE = str.maketrans(dict.fromkeys(WHITE_SPACE, " "))
