"""What tokenizers with a compiled model over words share: normalization first, spans that lead back to the text."""

from __future__ import annotations

import itertools
import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

import groundup
from groundup import _core
from groundup.text import _templates as templates
from groundup.text import hf
from groundup.text._templates import Template
from groundup.text.bpe import AddedToken
from groundup.text.normalize import BertNormalizer, Normalizer
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
    """A stretch of text: plain, or one added token by its id."""

    text: bytes
    start: int
    added: int | None


def byte_starts(text: str) -> npt.NDArray[np.int64]:
    """The byte at which each character begins in UTF-8, and the number of bytes: N+1 numbers.

    A lone surrogate is one byte, as ``surrogateescape`` has it.
    """
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    escaped = (points >= 0xD800) & (points < 0xE000)
    widths = (
        1 + (points >= 0x80).astype(np.int64) + ((points >= 0x800) & ~escaped) + (points >= 0x10000) - escaped
    )
    return np.concatenate([[0], np.cumsum(widths)])


class ModelTokenizer(Tokenizer):
    """A tokenizer over a compiled model.

    A subclass sets ``_vocab``, calls `_set_added` and `_set_templates`, sets ``_model``, and ``_normalizer`` where the
    model does not normalize by itself, and calls `_finish`.

    Attributes:
        added_tokens: what is found in a text before anything else, special tokens and others.
        single, pair: what is made of one text and of two with special tokens: their names, "$A" and "$B".
    """

    added_tokens: tuple[AddedToken, ...]
    single: Template
    pair: Template
    _added: dict[str, int]
    _model: Compiled
    _vocab: dict[str, int]
    _normalizer: Normalizer | None = None

    @classmethod
    def _error(cls, field: str, expected: str, got: object) -> ValueError:
        return ValueError(f"[{cls.__name__}] {field} must be {expected}, but got {hf.shown(got)}")

    def _set_added(self, special: Iterable[str] | Mapping[str, int], added: Iterable[AddedToken]) -> None:
        """Set ``added_tokens`` and ``special_tokens``: names of the vocabulary or ids, and others with flags."""
        given = hf.special_ids(special, self._vocab, self._error)
        self.added_tokens = (*(AddedToken(name, id_) for name, id_ in given.items()), *added)
        self._added = hf.check_added(self.added_tokens, self._vocab, self._error)
        self.special_tokens = {token.text: token.id for token in self.added_tokens if token.special}

    def _set_templates(self, single: Iterable[str], pair: Iterable[str]) -> None:
        """Set ``single`` and ``pair``; after `_set_added`."""
        self.single = templates.check(tuple(single), self.special_tokens, 1, self._error, "single")
        self.pair = templates.check(tuple(pair), self.special_tokens, 2, self._error, "pair")

    def _set_word_piece(
        self, unk_token: str, prefix: str, longest: int, normalizer: Normalizer | None, punctuation: bool
    ) -> None:
        """The compiled model of tokenizers that work word by word; `punctuation` parts words as well."""
        # BERT's normalizer runs in the core; any other before it.
        bert = normalizer if isinstance(normalizer, BertNormalizer) else None
        self._normalizer = None if bert else normalizer
        self._model = _core.WordPiece(
            # Added tokens never come out of plain text.
            [item for item in self._vocab.items() if item[0] not in self._added],
            self._vocab[unk_token],
            prefix,
            longest,
            clean_text=bert is not None and bert.clean_text,
            handle_chinese_chars=bert is not None and bert.handle_chinese_chars,
            strip_accents=bert is not None and bert.strips_accents,
            lowercase=bert is not None and bert.lowercase,
            split_punctuation=punctuation,
        )

    def _finish(self) -> None:
        self._tokens = {id_: token for token, id_ in self._vocab.items()}
        self._tokens |= {id_: token for token, id_ in self._added.items()}
        self._size = max(self._tokens) + 1
        self._finders: dict[tuple[frozenset[str], frozenset[str]], _core.AddedTokens] = {}

    # ------------------------------------------------------------------------------------------------ vocabulary

    @property
    def vocab(self) -> dict[str, int]:
        """The id of each token of the model, without those that were only added."""
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
        return self._vocab.get(token, self._added.get(token))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((type(self), self._size, len(self._vocab)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._from_dict, (self.to_dict(),)

    # ----------------------------------------------------------------------------------------------------- files

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read a ``tokenizer.json`` with a model of this kind.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not one, or holds what is not known here; names file and field.
        """
        top = hf.read_entry(path, cls.__name__)
        try:
            return cls._from_entry(top)
        except ValueError as error:
            if top.path in str(error):
                raise
            raise ValueError(f"{error} (in {top.path})") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The same as `from_file`."""
        return cls.from_file(path)

    @classmethod
    def _from_dict(cls, content: dict[str, Any]) -> Self:
        return cls._from_entry(hf.Entry(content, cls.__name__, "content"))

    @classmethod
    @abstractmethod
    def _from_entry(cls, top: hf.Entry) -> Self:
        """The tokenizer of the content of a ``tokenizer.json``."""

    def _file(
        self, normalizer: Normalizer | None, pre_tokenizer: Any, decoder: Any, model: dict[str, Any]
    ) -> dict[str, Any]:
        """The content of ``tokenizer.json``."""
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": hf.added_tokens(self.added_tokens),
            "normalizer": normalizer.to_dict() if normalizer else None,
            "pre_tokenizer": pre_tokenizer,
            "post_processor": templates.to_dict(self.single, self.pair, self.special_tokens),
            "decoder": decoder,
            "model": model,
        }

    # -------------------------------------------------------------------------------------------------- encoding

    def _steps(self, at_start: bool) -> Normalizer | None:  # noqa: ARG002 - for tokenizers that ask
        """What is done to a stretch of text before the model sees it; ``at_start``: it begins the text."""
        return self._normalizer

    def _normalized(self, text: str | bytes, at_start: bool = True) -> str | bytes:
        steps = self._steps(at_start)
        if steps is None:
            return text
        if isinstance(text, str):
            self._utf8(text)
            return steps.normalize(text)
        # What is not UTF-8 passes through as it is.
        normalized = steps.normalize(text.decode("utf-8", "surrogateescape"))
        return normalized.encode("utf-8", "surrogateescape")

    def _encode_plain(self, text: str | bytes) -> tuple[Ids, Offsets]:
        ids, spans = self._spans(text, True)
        return ids, spans[:, 1]

    def _spans(self, text: str | bytes, at_start: bool) -> tuple[Ids, Offsets]:
        """Ids of plain text, and the bytes ``[start, end)`` of each: N, and N×2."""
        steps = self._steps(at_start)
        if steps is None:
            ids, spans = self._model.encode_spans(text)
            return ids, spans.astype(np.int64)
        if isinstance(text, str):
            self._utf8(text)
        else:
            text = text.decode("utf-8", "surrogateescape")
        normalized = steps(text)
        ids, spans = self._model.encode_spans(normalized.text.encode("utf-8", "surrogateescape"))
        # Bytes of the normalized text -> its characters -> the original's characters -> its bytes.
        starts = byte_starts(normalized.text)
        first = np.searchsorted(starts, spans[:, 0], "right") - 1
        last = np.searchsorted(starts, spans[:, 1], "left")
        original = [normalized.span(a, b) for a, b in zip(first.tolist(), last.tolist(), strict=True)]
        return ids, byte_starts(text)[np.array(original, np.int64).reshape(-1, 2)]

    def _finder(self, allowed: frozenset[str], forbidden: frozenset[str]) -> _core.AddedTokens:
        """What looks for these special tokens, and for the added ones that are not special."""
        finder = self._finders.get((allowed, forbidden))
        if finder is None:
            finder = self._finders[allowed, forbidden] = _core.AddedTokens(
                [
                    (t.text, t.id, t.special and t.text in forbidden, t.lstrip, t.rstrip, t.single_word)
                    for t in self.added_tokens
                    if not t.special or t.text in allowed or t.text in forbidden
                ]
            )
        return finder

    def _parts(
        self, text: str | bytes, allowed_special: Special, disallowed_special: Special
    ) -> list[Part] | None:
        """What lies between added tokens, and they, in order; None: there are none."""
        if not isinstance(text, str | bytes):
            raise TypeError(f"[{self._name}] text must be a str or bytes, but got {type(text).__name__}")
        allowed, forbidden = self._special_sets(allowed_special, disallowed_special)
        if isinstance(text, str):
            self._utf8(text)
        found = self._finder(allowed, forbidden).find(text)
        if not found:
            return None
        data = self._utf8(text) if isinstance(text, str) else text
        names = {self.special_tokens[name]: name for name in forbidden}
        parts: list[Part] = []
        done = 0
        for begin, end, id_ in found:
            if id_ in names:
                begin += data[begin:end].index(names[id_].encode("utf-8"))
                raise self._forbidden(names[id_], data[:begin], isinstance(text, str))
            parts += [Part(data[done:begin], done, None), Part(data[begin:end], begin, id_)]
            done = end
        return [*parts, Part(data[done:], done, None)]

    def encode(
        self,
        text: str | bytes,
        *,
        allowed_special: Special = (),
        disallowed_special: Special = "all",
        add_special_tokens: bool = False,
    ) -> list[int]:
        """The ids of a text; see `Tokenizer.encode`.

        Args:
            add_special_tokens: put the special tokens of ``single`` around them.
        """
        ids = super().encode(text, allowed_special=allowed_special, disallowed_special=disallowed_special)
        return templates.fill(self.single, self.special_tokens, ids)[0] if add_special_tokens else ids

    def encode_pair(
        self, first: str | bytes, second: str | bytes, *, disallowed_special: Special = "all"
    ) -> tuple[list[int], list[int]]:
        """Two texts in one, as ``pair`` has them: ids, and for each 0 or 1: which text it belongs to."""
        ids = (self.encode(text, disallowed_special=disallowed_special) for text in (first, second))
        return templates.fill(self.pair, self.special_tokens, *ids)

    def encode_to_numpy(
        self, text: str | bytes, *, allowed_special: Special = (), disallowed_special: Special = "all"
    ) -> Ids:
        """The ids of a text as a uint32 array; see `encode`."""
        parts = self._parts(text, allowed_special, disallowed_special)
        if parts is None:
            return self._model.encode(self._normalized(text))
        ids = [
            self._model.encode(self._normalized(part.text, part.start == 0))
            if part.added is None
            else np.array([part.added], np.uint32)
            for part in parts
        ]
        return np.concatenate(ids)

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
        if any(self._parts(text, allowed_special, disallowed_special) is not None for text in texts):
            return [
                self.encode(text, allowed_special=allowed_special, disallowed_special=disallowed_special)
                for text in texts
            ]
        if self._steps(True) is not None:
            texts = [self._normalized(text) for text in texts]
        ids, offsets = self._model.encode_batch(texts, threads)
        flat, bounds = ids.tolist(), offsets.tolist()
        return [flat[a:b] for a, b in itertools.pairwise(bounds)]

    def _encode_with_spans(
        self, text: str | bytes, allowed_special: Special, disallowed_special: Special
    ) -> tuple[Ids, Offsets]:
        parts = self._parts(text, allowed_special, disallowed_special)
        if parts is None:
            return self._spans(text, True)
        all_ids, all_spans = [], []
        for part in parts:
            if part.added is None:
                ids, spans = self._spans(part.text, part.start == 0)
            else:
                ids, spans = np.array([part.added], np.uint32), np.array([[0, len(part.text)]], np.int64)
            all_ids.append(ids)
            all_spans.append(spans + part.start)
        return np.concatenate(all_ids), np.concatenate(all_spans)

    def _last_blank(self, text: str | bytes) -> int:
        """The last white space of ASCII where no added token can lie across it, or 0."""
        blanks = " \n\t\r"
        if any(t.lstrip or t.rstrip or blank in t.text for t in self.added_tokens for blank in blanks):
            return 0
        if isinstance(text, bytes):
            return max(0, *(text.rfind(blank.encode()) for blank in blanks))
        return max(0, *(text.rfind(blank) for blank in blanks))

    # -------------------------------------------------------------------------------------------------- decoding

    def decode(
        self,
        ids: npt.ArrayLike | Iterable[int],
        *,
        errors: str = "replace",
        skip_special_tokens: bool = False,
    ) -> str:
        """The text of ids, special tokens as their names or left out; see `decode_bytes`."""
        if skip_special_tokens:
            special = set(self.special_tokens.values())
            ids = [id_ for id_ in self._id_array(ids).tolist() if id_ not in special]
        return super().decode(ids, errors=errors)
