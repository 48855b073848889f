"""What tokenizers with a compiled model over words share: normalization first, spans that lead back to the text."""

from __future__ import annotations

import itertools
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

import groundup
from groundup.text.normalize import Normalizer
from groundup.text.tokenizer import Ids, Offsets, Special, Tokenizer


class Compiled(Protocol):
    """A model of the core."""

    def encode(self, text: Any) -> npt.NDArray[np.uint32]:
        """Ids of a text."""

    def encode_batch(self, texts: Any, threads: int) -> tuple[Any, ...]:
        """Ids of all texts in one array, and the offsets at which each text's begin."""

    def encode_spans(self, text: Any) -> tuple[Any, ...]:
        """Ids, and the bytes (begin, end) of the text each stands for."""


class Part(NamedTuple):
    """A stretch of text: plain, or one special token."""

    text: bytes
    start: int
    special: int | None


def byte_starts(text: str) -> npt.NDArray[np.int64]:
    """The byte at which each character begins in UTF-8, and the number of bytes: N+1 numbers."""
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    return np.append(np.flatnonzero((data & 0xC0) != 0x80), len(data)).astype(np.int64)


class ModelTokenizer(Tokenizer):
    """A tokenizer over a compiled model.

    A subclass sets ``_model``, ``_vocab``, ``special_tokens``, and ``_normalizer`` where the model does not normalize
    by itself, and calls `_finish`.
    """

    _model: Compiled
    _vocab: dict[str, int]
    _normalizer: Normalizer | None = None

    def _finish(self) -> None:
        self._tokens = {id_: token for token, id_ in self._vocab.items()}
        self._size = max([*self._vocab.values(), *self.special_tokens.values()]) + 1
        # The longest one counts where several begin together.
        names = sorted(self.special_tokens, key=len, reverse=True)
        self._special_pattern = re.compile("|".join(map(re.escape, names))) if names else None

    # ------------------------------------------------------------------------------------------------ vocabulary

    @property
    def vocab(self) -> dict[str, int]:
        """The id of each token, without those that are special only."""
        return dict(self._vocab)

    @property
    def vocab_size(self) -> int:
        """One more than the highest id, special tokens included."""
        return self._size

    def _token(self, id_: int) -> bytes | None:
        token = self._tokens.get(id_)
        return None if token is None else token.encode("utf-8")

    def token_to_id(self, token: str | bytes) -> int | None:
        """The id of a token by its bytes or its text, special ones included, or ``None``."""
        if isinstance(token, bytes):
            token = token.decode("utf-8", "surrogateescape")
        return self._vocab.get(token, self.special_tokens.get(token))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((type(self), self._size, len(self._vocab)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._from_dict, (self.to_dict(),)

    @classmethod
    @abstractmethod
    def _from_dict(cls, content: dict[str, Any], path: str = "content") -> Any:
        """The tokenizer of the content of a ``tokenizer.json``."""

    # -------------------------------------------------------------------------------------------------- encoding

    def _normalized(self, text: str | bytes) -> str | bytes:
        if self._normalizer is None:
            return text
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        else:
            self._utf8(text)
        return self._normalizer.normalize(text)

    def _encode_plain(self, text: str | bytes) -> tuple[Ids, Offsets]:
        ids, spans = self._spans(text)
        return ids, spans[:, 1]

    def _spans(self, text: str | bytes) -> tuple[Ids, Offsets]:
        """Ids of plain text, and the bytes ``[start, end)`` of each: N, and N×2."""
        if self._normalizer is None:
            ids, spans = self._model.encode_spans(text)
            return ids, spans.astype(np.int64)
        if isinstance(text, str):
            self._utf8(text)
            original = text
        else:  # a byte that is not UTF-8 is one character, so that every character has its bytes
            original = text.decode("utf-8", "surrogateescape")
        normalized = self._normalizer(re.sub("[\ud800-\udfff]", "\ufffd", original))
        ids, spans = self._model.encode_spans(normalized.text)
        # Bytes of the normalized text -> its characters -> the original's characters -> its bytes.
        starts = byte_starts(normalized.text)
        first = np.searchsorted(starts, spans[:, 0], "right") - 1
        last = np.searchsorted(starts, spans[:, 1], "left")
        widths = [1 if "\ud800" <= char <= "\udfff" else len(char.encode()) for char in original]
        places = np.concatenate([[0], np.cumsum(np.array(widths, np.int64))])
        result = [
            places[list(normalized.span(a, b))] for a, b in zip(first.tolist(), last.tolist(), strict=True)
        ]
        return ids, np.array(result, np.int64).reshape(-1, 2)

    def _parts(
        self, text: str | bytes, allowed_special: Special, disallowed_special: Special
    ) -> Iterator[Part]:
        """What lies between special tokens, and they, in order."""
        if not isinstance(text, str | bytes):
            raise TypeError(f"[{self._name}] text must be a str or bytes, but got {type(text).__name__}")
        allowed, forbidden = self._special_sets(allowed_special, disallowed_special)
        data = self._utf8(text) if isinstance(text, str) else text
        done = 0
        if allowed or forbidden:
            names = sorted(allowed | forbidden, key=len, reverse=True)
            pattern = re.compile(b"|".join(re.escape(name.encode("utf-8")) for name in names))
            for match in pattern.finditer(data):
                name = match[0].decode("utf-8")
                if name in forbidden:
                    raise self._forbidden(name, data[: match.start()], isinstance(text, str))
                yield Part(data[done : match.start()], done, None)
                yield Part(match[0], match.start(), self.special_tokens[name])
                done = match.end()
        yield Part(data[done:], done, None)

    def _is_plain(self, text: str | bytes, allowed_special: Special, disallowed_special: Special) -> bool:
        """Is nothing in the text special, whatever is allowed? The usual case, found fast."""
        if isinstance(text, str) and allowed_special == () and disallowed_special in ("all", ()):
            return not (disallowed_special and any(name in text for name in self.special_tokens))
        return False

    def encode_to_numpy(
        self, text: str | bytes, *, allowed_special: Special = (), disallowed_special: Special = "all"
    ) -> Ids:
        """The ids of a text as a uint32 array; see `encode`."""
        if self._is_plain(text, allowed_special, disallowed_special):
            return self._model.encode(self._normalized(text))
        parts = [
            self._model.encode(self._normalized(part.text))
            if part.special is None
            else np.array([part.special], np.uint32)
            for part in self._parts(text, allowed_special, disallowed_special)
        ]
        return np.concatenate(parts)

    def encode_batch(
        self,
        texts: Iterable[str | bytes],
        *,
        threads: int | None = None,
        allowed_special: Special = (),
        disallowed_special: Special = "all",
    ) -> list[list[int]]:
        """The ids of several texts, the same as one by one.

        Args:
            threads: how many threads may share the work; ``None``: `gu.num_threads`.
        """
        texts = list(self._texts(texts))
        if threads is None:
            threads = groundup.num_threads()
        elif threads < 1:
            raise ValueError(f"[{self._name}] threads must be at least 1, but got {threads}")
        if not all(self._is_plain(text, allowed_special, disallowed_special) for text in texts):
            return [
                self.encode(text, allowed_special=allowed_special, disallowed_special=disallowed_special)
                for text in texts
            ]
        if self._normalizer is not None:
            texts = [self._normalized(text) for text in texts]
        ids, offsets = self._model.encode_batch(texts, threads)
        flat, bounds = ids.tolist(), offsets.tolist()
        return [flat[a:b] for a, b in itertools.pairwise(bounds)]

    def _encode_with_spans(
        self, text: str | bytes, allowed_special: Special, disallowed_special: Special
    ) -> tuple[Ids, Offsets]:
        all_ids, all_spans = [], []
        for part in self._parts(text, allowed_special, disallowed_special):
            if part.special is None:
                ids, spans = self._spans(part.text)
            else:
                ids, spans = np.array([part.special], np.uint32), np.array([[0, len(part.text)]], np.int64)
            all_ids.append(ids)
            all_spans.append(spans + part.start)
        return np.concatenate(all_ids), np.concatenate(all_spans)
