"""The simplest tokenizer: every character is a token.

Text becomes long (GPT-2's tokens hold about four characters each) but the vocabulary small, nothing is ever
split in an odd place, and the model must learn to spell. Saved as a Hugging Face ``tokenizer.json`` that the
``tokenizers`` and ``transformers`` packages load: a word-level model whose words are single characters.

Not handled: Unicode normalization. "é" and "e" with a combining accent are different texts here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from groundup.files import read_json
from groundup.text.tokenizer import Ids, Offsets, Tokenizer

#: Stands for every character outside the vocabulary, where that is asked for.
REPLACEMENT = "\ufffd"

# A word-level model must name a token for unknown words. This one is not in the vocabulary: they are errors.
_NO_UNKNOWN = "<unk>"

_PRE_TOKENIZER = {
    "type": "Split",
    "pattern": {"Regex": r"[\s\S]"},  # any character, line ends as well
    "behavior": "Isolated",
    "invert": False,
}


class CharTokenizer(Tokenizer):
    """Characters to ids and back.

    Args:
        vocab: the characters, in the order of their ids.
        unk: encode a character outside the vocabulary as U+FFFD, which must then be in it, instead of
            raising an error.

    Raises:
        ValueError: an entry that is not one character, or one that is there twice.

    >>> tokenizer = CharTokenizer.train("hello world")
    >>> tokenizer.vocab_size, tokenizer.encode("hold")
    (8, [3, 5, 4, 1])
    >>> tokenizer.encode_to_numpy("hold")
    array([3, 5, 4, 1], dtype=uint32)
    >>> tokenizer.decode([3, 2, 4, 4, 5])
    'hello'
    >>> tokenizer.encode("help")
    Traceback (most recent call last):
    ValueError: [CharTokenizer] text must be of the vocabulary, but got 'p' (U+0070) at position 3
    """

    def __init__(self, vocab: Iterable[str], *, unk: bool = False) -> None:
        self.vocab = tuple(vocab)
        self.unk = unk
        self.special_tokens: dict[str, int] = {}
        if not self.vocab:
            raise ValueError("[CharTokenizer] vocab must hold at least one character, but got none")
        for id_, char in enumerate(self.vocab):
            if not isinstance(char, str) or len(char) != 1 or _is_surrogate(ord(char)):
                raise ValueError(
                    f"[CharTokenizer] vocab must hold single characters, but got {char!r} as id {id_}"
                )
        self._points = np.array([ord(char) for char in self.vocab], "<u4")  # code point of each id
        points, counts = np.unique(self._points, return_counts=True)
        if counts.max() > 1:
            raise ValueError(
                "[CharTokenizer] vocab must hold each character once, "
                f"but got {chr(points[counts.argmax()])!r} {counts.max()} times"
            )
        if unk and REPLACEMENT not in self.vocab:
            raise ValueError("[CharTokenizer] with unk=True vocab must hold U+FFFD, but it does not")
        # Id of each code point up to the highest one; -1 where there is none.
        self._ids = np.full(int(points[-1]) + 1, -1, np.int64)
        self._ids[self._points] = np.arange(len(self.vocab))

    @classmethod
    def train(cls, text: str, *, unk: bool = False) -> Self:
        """The tokenizer of all characters in ``text``, ids in the order of their code points.

        Args:
            text: the training text.
            unk: add U+FFFD for characters that come later and are not in ``text``.

        Raises:
            ValueError: no text, or a lone surrogate in it, which no file can hold.
        """
        if not text:
            raise ValueError("[CharTokenizer] text must hold at least one character, but is empty")
        points = np.unique(_code_points(text))
        if surrogates := points[(points >= 0xD800) & (points < 0xE000)].tolist():
            position = text.index(chr(surrogates[0]))
            raise ValueError(
                f"[CharTokenizer] text must be Unicode, but got the lone surrogate U+{surrogates[0]:04X} "
                f"at position {position}"
            )
        if unk:
            points = np.union1d(points, [ord(REPLACEMENT)])
        return cls(map(chr, points.tolist()), unk=unk)

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return len(self.vocab)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharTokenizer) and (self.vocab, self.unk) == (other.vocab, other.unk)

    def __hash__(self) -> int:
        return hash((self.vocab, self.unk))

    def __repr__(self) -> str:
        return f"CharTokenizer({self.vocab_size} characters{', unk' if self.unk else ''})"

    def token_to_id(self, token: str | bytes) -> int | None:
        """The id of a character, or ``None``."""
        if isinstance(token, bytes):
            token = token.decode("utf-8", "surrogateescape")
        point = ord(token) if len(token) == 1 else len(self._ids)
        id_ = int(self._ids[point]) if point < len(self._ids) else -1
        return None if id_ < 0 else id_

    def _token(self, id_: int) -> bytes | None:
        return self.vocab[id_].encode("utf-8") if 0 <= id_ < len(self.vocab) else None

    def _encode_plain(self, text: str | bytes) -> tuple[Ids, Offsets]:
        """The id of each character, and the byte at which it ends.

        Raises:
            ValueError: a character is not in the vocabulary and ``unk`` is off; names it and its position.
        """
        # A byte that is not UTF-8 is a surrogate here, so a character outside the vocabulary.
        chars = text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
        points = _code_points(chars)
        known = points < len(self._ids)
        ids = np.where(known, self._ids[np.where(known, points, 0)], -1)
        unknown = ids < 0
        escaped = (points >= 0xD800) & (points < 0xE000)
        if isinstance(text, str) and escaped.any():
            self._utf8(text)  # which says where
        if unknown.any():
            if not self.unk:
                position = int(unknown.argmax())
                point = points[position]
                got = f"{chars[position]!r} (U+{point:04X})"
                if escaped[position]:
                    got = f"byte 0x{point - 0xDC00:02x}, which is not UTF-8,"
                raise ValueError(
                    f"[CharTokenizer] text must be of the vocabulary, but got {got} at position {position}"
                )
            ids[unknown] = self._ids[ord(REPLACEMENT)]
        widths = 1 + (points >= 0x80).astype(np.int64) + ((points >= 0x800) & ~escaped) + (points >= 0x10000)
        return ids.astype(np.uint32), np.cumsum(widths - escaped)

    def _safe_cut(self, text: str | bytes) -> int:
        # Anywhere between characters; the last one of bytes may have more to come.
        cut = len(text)
        if isinstance(text, bytes):
            while cut > 0 and len(text) - cut < 3 and text[cut - 1] & 0xC0 == 0x80:
                cut -= 1
            if cut > 0 and text[cut - 1] >= 0x80:
                cut -= 1
        return cut

    def decode_bytes(self, ids: npt.ArrayLike | Iterable[int]) -> bytes:
        """The UTF-8 of ids; an unknown character comes back as U+FFFD.

        Raises:
            ValueError: an id is not in [0, vocab_size), or ids have more than one axis.
            TypeError: ids are not integers.
        """
        return self.decode(ids).encode("utf-8")

    def decode(self, ids: npt.ArrayLike | Iterable[int], *, errors: str = "replace") -> str:  # noqa: ARG002
        """The text of ids; an unknown character comes back as U+FFFD. Nothing can go wrong, so ``errors`` is unused.

        Raises:
            ValueError: an id is not in [0, vocab_size), or ids have more than one axis.
            TypeError: ids are not integers.
        """
        array = self._id_array(ids)
        outside = (array < 0) | (array >= self.vocab_size)
        if outside.any():
            position = int(outside.argmax())
            raise ValueError(
                f"[CharTokenizer] ids must lie in [0, {self.vocab_size}), but got {array[position]} "
                f"at position {position}"
            )
        return bytes(self._points[array]).decode("utf-32-le")

    # ---------------------------------------------------------------------------------------------- files

    def to_dict(self) -> dict[str, Any]:
        """The content of ``tokenizer.json``."""
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [],
            "normalizer": None,
            "pre_tokenizer": _PRE_TOKENIZER,
            "post_processor": None,
            "decoder": {"type": "Fuse"},
            "model": {
                "type": "WordLevel",
                "vocab": {char: id_ for id_, char in enumerate(self.vocab)},
                "unk_token": REPLACEMENT if self.unk else _NO_UNKNOWN,
            },
        }

    def _config(self) -> dict[str, Any]:
        return {**super()._config(), **({"unk_token": REPLACEMENT} if self.unk else {})}

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not JSON or not a character tokenizer; names the file and the field.
        """
        content = read_json(path, max_values=2_400_000)  # twice Unicode

        def fail(field: str, expected: str, got: object) -> ValueError:
            shown = repr(got) if len(repr(got)) <= 60 else repr(got)[:60] + "…"
            return ValueError(
                f"[CharTokenizer] {os.fspath(path)}: {field} must be {expected}, but got {shown}"
            )

        if not isinstance(content, dict):
            raise fail("content", "an object", content)
        model = content.get("model")
        if not isinstance(model, dict):
            raise fail("model", "an object", model)
        if model.get("type") != "WordLevel":
            raise fail("model.type", "'WordLevel'", model.get("type"))
        for field, expected in (("pre_tokenizer", _PRE_TOKENIZER), ("decoder", {"type": "Fuse"})):
            if content.get(field) != expected:
                raise fail(field, "that of a character tokenizer", content.get(field))
        for field in ("normalizer", "post_processor", "added_tokens"):  # these would change ids or text
            if content.get(field):
                raise fail(field, "empty", content[field])
        vocab = model.get("vocab")
        if not isinstance(vocab, dict) or not vocab:
            raise fail("model.vocab", "an object that is not empty", vocab)
        ordered: list[str | None] = [None] * len(vocab)
        for char, id_ in vocab.items():
            if len(char) != 1 or _is_surrogate(ord(char)):
                raise fail("model.vocab", "single characters", char)
            if type(id_) is not int or not 0 <= id_ < len(vocab) or ordered[id_] is not None:
                raise fail("model.vocab", f"ids 0 to {len(vocab) - 1}, each once", {char: id_})
            ordered[id_] = char
        unk_token = model.get("unk_token")
        if unk_token not in (REPLACEMENT, _NO_UNKNOWN) or (
            unk_token == REPLACEMENT and unk_token not in vocab
        ):
            raise fail("model.unk_token", f"{_NO_UNKNOWN!r}, or U+FFFD and in the vocabulary", unk_token)
        return cls((char for char in ordered if char is not None), unk=unk_token == REPLACEMENT)


def _is_surrogate(point: int) -> bool:
    return 0xD800 <= point < 0xE000


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    """The code point of each character, all at once."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
