"""What all tokenizers share: the surface, special tokens, files larger than memory, streams of ids.

A tokenizer of one's own gives `_encode_plain` (ids and where each ends), `_token` (the bytes of an id) and
`_to_json`; everything else follows from them, and a faster way may replace any of it.

Not handled: text that is neither str nor bytes; bytes need not be UTF-8 where the tokenizer is byte-level.
"""

from __future__ import annotations

import codecs
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from groundup.data.tokens import token_dtype
from groundup.files import atomic_write, write_json

if TYPE_CHECKING:
    from groundup.text.view import TokenView

Ids = npt.NDArray[np.uint32]
Offsets = npt.NDArray[np.int64]
#: Special tokens as tiktoken's arguments name them: some of them, or all.
Special = Literal["all"] | Collection[str]

_READ = 1 << 22  # bytes of a file looked at together


class Tokenizer(ABC):
    """Text to ids and back.

    Attributes:
        special_tokens: ids of the tokens that stand for something other than their text, by their text.
    """

    special_tokens: dict[str, int]

    # ------------------------------------------------------------------------------------ what a subclass gives

    @abstractmethod
    def _encode_plain(self, text: str | bytes) -> tuple[Ids, Offsets]:
        """Ids of text in which nothing is special, and the offset in bytes at which each token ends.

        A token may end where the next one begins or before it: text in between belongs to no token.
        """

    @abstractmethod
    def _token(self, id_: int) -> bytes | None:
        """The bytes that decoding makes of a plain token, or ``None`` where there is none with this id."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """One more than the highest id, special tokens included."""

    @abstractmethod
    def token_to_id(self, token: str | bytes) -> int | None:
        """The id of a token by its bytes or its text, special ones included, or ``None``."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The content of ``tokenizer.json``."""

    # -------------------------------------------------------------------------------------------------- encoding

    def encode(
        self, text: str | bytes, *, allowed_special: Special = (), disallowed_special: Special = "all"
    ) -> list[int]:
        """The ids of a text.

        Args:
            text: a str, or bytes, which need not be UTF-8.
            allowed_special: the special tokens that become their id where the text holds them, or ``"all"``.
            disallowed_special: those that raise an error where the text holds them; ``"all"`` means all that
                are not allowed, ``()`` makes them text like any other.

        Raises:
            ValueError: a special token that is not allowed, a lone surrogate, or bytes without a token.
            TypeError: ``text`` is neither str nor bytes.
        """
        ids = self.encode_to_numpy(
            text, allowed_special=allowed_special, disallowed_special=disallowed_special
        )
        result: list[int] = ids.tolist()
        return result

    def encode_to_numpy(
        self, text: str | bytes, *, allowed_special: Special = (), disallowed_special: Special = "all"
    ) -> Ids:
        """The ids of a text as a uint32 array; see `encode`."""
        return self._encode_with_ends(text, allowed_special, disallowed_special)[0]

    def encode_ordinary(self, text: str | bytes) -> list[int]:
        """The ids of a text in which nothing is special."""
        return self.encode(text, disallowed_special=())

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
            threads: how many threads may share the work, where a tokenizer can; ``None``: `gu.num_threads`.
        """
        del threads
        return [
            self.encode(text, allowed_special=allowed_special, disallowed_special=disallowed_special)
            for text in self._texts(texts)
        ]

    def encode_with_offsets(
        self, text: str | bytes, *, allowed_special: Special = (), disallowed_special: Special = "all"
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids, and the part ``text[start:end]`` that each came from.

        Offsets count characters of a str and bytes of bytes. Tokens of one character that was cut
        in several all give that character.
        """
        ids, spans = self._encode_with_spans(text, allowed_special, disallowed_special)
        if isinstance(text, str) and not text.isascii():
            data = np.frombuffer(text.encode("utf-8"), np.uint8)
            starts = np.concatenate([[0], np.cumsum((data & 0xC0) != 0x80)])  # characters begun before a byte
            ends = np.append(starts, starts[-1])
            # A span that begins inside a character begins with it; one that ends inside includes it.
            inside = np.append((data & 0xC0) == 0x80, False)
            spans = np.stack([starts[spans[:, 0]] - inside[spans[:, 0]], ends[spans[:, 1]]], axis=1)
        return ids.tolist(), [(start, end) for start, end in spans.tolist()]

    def encode_iterable(
        self,
        texts: Iterable[str | bytes],
        *,
        allowed_special: Special = (),
        disallowed_special: Special = "all",
    ) -> Iterator[int]:
        """The ids of the text that the parts make together, in memory bounded by a few of them.

        Parts may be lines or blocks of a file: a token may cross from one into the next, so the ids are those of
        the joined text. Parts are all str or all bytes.
        """
        for ids in self._encode_parts(self._texts(texts), allowed_special, disallowed_special):
            yield from ids.tolist()

    def encode_file(
        self,
        path: str | os.PathLike[str],
        out: str | os.PathLike[str],
        *,
        allowed_special: Special = (),
        disallowed_special: Special = "all",
    ) -> int:
        """Write the ids of a file to ``out``, for `gu.data.TokenStream`; returns how many.

        Only a few megabytes are in memory at a time, for a file of any size that has a white space now and then,
        if the tokenizer knows where a text may be cut. It does not, and holds the whole file, where it is
        SentencePiece's byte-pair encoding, whose normalizer marks where the text begins; where its pattern is none
        or the user's own; and where it has a normalizer other than BERT's, which may look across any place. Ids are
        uint16 where the vocabulary allows, else uint32.

        Args:
            path: the text, UTF-8 or any bytes.
            out: a ``.npy`` file, or ``.bin`` for the bare numbers; written atomically.
        """
        out = Path(out)
        if out.suffix not in (".npy", ".bin"):
            raise ValueError(f"[{self._name}] file name must end in .npy or .bin, but got {str(out)!r}")
        dtype = token_dtype(self.vocab_size)
        count = 0
        with open(path, "rb") as source, atomic_write(out) as f:

            def header() -> None:
                if out.suffix == ".npy":
                    np.lib.format.write_array_header_1_0(
                        f, {"descr": dtype.str, "fortran_order": False, "shape": (count,)}
                    )

            header()
            start = f.tell()
            parts = iter(lambda: source.read(_READ), b"")
            for ids in self._encode_parts(parts, allowed_special, disallowed_special):
                f.write(ids.astype(dtype).tobytes())
                count += len(ids)
            f.seek(0)
            header()  # NumPy leaves room in it for a larger count
            if f.tell() != start:
                raise RuntimeError(f"[{self._name}] {out}: the header of {count} ids does not fit")
        return count

    def _encode_parts(
        self, parts: Iterable[str | bytes], allowed_special: Special, disallowed_special: Special
    ) -> Iterator[Ids]:
        """Ids of the joined parts, cut where no token can cross."""
        held: list[str | bytes] = []
        size, wanted = 0, 0
        for part in parts:
            if held and type(part) is not type(held[0]):
                raise TypeError(f"[{self._name}] parts must be all str or all bytes, but got both")
            held.append(part)
            size += len(part)
            if size < max(wanted, _READ // 4):
                continue
            text = self._join(held)
            cut = self._safe_cut(text)
            if cut:
                yield self.encode_to_numpy(
                    text[:cut], allowed_special=allowed_special, disallowed_special=disallowed_special
                )
            held, size = [text[cut:]], len(text) - cut
            wanted = 2 * size  # looked at again when it has doubled: linear in total
        text = self._join(held)
        yield self.encode_to_numpy(
            text, allowed_special=allowed_special, disallowed_special=disallowed_special
        )

    @staticmethod
    def _join(parts: Sequence[str | bytes]) -> str | bytes:
        if parts and isinstance(parts[0], bytes):
            return b"".join(parts)  # type: ignore[arg-type]
        return "".join(parts)  # type: ignore[arg-type]

    def _safe_cut(self, text: str | bytes) -> int:  # noqa: ARG002 - for tokenizers that know one
        """An index at which the text may be cut without any change of ids, as far right as possible, or 0."""
        return 0

    # ---------------------------------------------------------------------------------------------- special tokens

    def _special_sets(self, allowed: Special, disallowed: Special) -> tuple[frozenset[str], frozenset[str]]:
        """Both as sets, ``"all"`` spelled out."""
        for value in (allowed, disallowed):
            if isinstance(value, str) and value != "all":
                raise ValueError(
                    f"[{self._name}] special tokens must be a collection of them or 'all', but got {value!r}"
                )
        known = frozenset(self.special_tokens)
        allow = known if isinstance(allowed, str) else frozenset(allowed)
        forbid = known - allow if isinstance(disallowed, str) else frozenset(disallowed)
        if unknown := (allow | forbid) - known:
            raise ValueError(
                f"[{self._name}] special tokens must be of this tokenizer, but got {sorted(unknown)[0]!r}"
            )
        return allow & known, forbid & known

    def _encode_with_spans(
        self, text: str | bytes, allowed_special: Special, disallowed_special: Special
    ) -> tuple[Ids, Offsets]:
        """Ids, and the bytes ``[start, end)`` of each."""
        ids, ends = self._encode_with_ends(text, allowed_special, disallowed_special)
        starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
        return ids, np.stack([starts, ends], axis=1)

    def _encode_with_ends(
        self, text: str | bytes, allowed_special: Special, disallowed_special: Special
    ) -> tuple[Ids, Offsets]:
        """`_encode_plain` of what lies between special tokens, and their ids."""
        allowed, forbidden = self._special_sets(allowed_special, disallowed_special)
        if not isinstance(text, str | bytes):
            raise TypeError(f"[{self._name}] text must be a str or bytes, but got {type(text).__name__}")
        if not allowed and not forbidden:
            return self._encode_plain(text)
        data = self._utf8(text) if isinstance(text, str) else text
        # The longest one counts where several begin together.
        names = sorted(allowed | forbidden, key=len, reverse=True)
        pattern = re.compile(b"|".join(re.escape(name.encode("utf-8")) for name in names))
        all_ids, all_ends = [], []
        done = 0
        for match in pattern.finditer(data):
            name = match[0].decode("utf-8")
            if name in forbidden:
                raise self._forbidden(name, data[: match.start()], isinstance(text, str))
            ids, ends = self._encode_plain(data[done : match.start()])
            done_before, done = done, match.end()
            all_ids += [ids, np.array([self.special_tokens[name]], np.uint32)]
            all_ends += [ends + done_before, np.array([done])]
        ids, ends = self._encode_plain(data[done:])
        return np.concatenate([*all_ids, ids]), np.concatenate([*all_ends, ends + done])

    def _forbidden(self, name: str, before: bytes, in_str: bool) -> ValueError:
        position = len(before.decode("utf-8")) if in_str else len(before)
        return ValueError(
            f"[{self._name}] text must not hold special tokens that are not allowed, but got {name!r} at position "
            f"{position}; allowed_special={{{name!r}}} makes it the token, disallowed_special=() makes it plain text"
        )

    # ---------------------------------------------------------------------------------------------------- decoding

    def decode_bytes(self, ids: npt.ArrayLike | Iterable[int]) -> bytes:
        """The bytes of ids.

        Raises:
            ValueError: an id without a token.
            TypeError: ids are not integers.
        """
        return b"".join(self.id_to_token(id_) for id_ in self._id_array(ids).tolist())

    def decode(self, ids: npt.ArrayLike | Iterable[int], *, errors: str = "replace") -> str:
        """The text of ids.

        Args:
            errors: what becomes of bytes that are not UTF-8, as `bytes.decode` has it: ``"replace"`` gives U+FFFD,
                ``"strict"`` raises.
        """
        return self.decode_bytes(ids).decode("utf-8", errors)

    def decode_stream(self, ids: Iterable[int], *, errors: str = "replace") -> Iterator[str]:
        """The text of ids as they come, in whole characters: the joined strings are `decode` of all ids."""
        return self._whole_characters((self.decode_bytes([id_]) for id_ in ids), errors)

    @staticmethod
    def _whole_characters(pieces: Iterable[bytes], errors: str) -> Iterator[str]:
        """The text of bytes as they come; what of a character is still missing waits for the next ones."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors)
        for piece in pieces:
            if text := decoder.decode(piece):
                yield text
        if text := decoder.decode(b"", final=True):
            yield text

    def id_to_token(self, id_: int) -> bytes:
        """The bytes of a token, a special one as its text."""
        token = self._token(id_)
        if token is None:
            token = self._special_bytes().get(id_)
        if token is None:
            raise ValueError(f"[{self._name}] ids must be of the vocabulary, but got {id_}")
        return token

    def _special_bytes(self) -> dict[int, bytes]:
        return {id_: name.encode("utf-8") for name, id_ in self.special_tokens.items()}

    def _id_array(self, ids: npt.ArrayLike | Iterable[int]) -> npt.NDArray[np.int64]:
        """Ids of any kind as one axis of int64."""
        many: Any = ids if isinstance(ids, np.ndarray) or not isinstance(ids, Iterable) else list(ids)
        array = np.asarray(many)
        if array.size == 0:
            return np.zeros(0, np.int64)
        if isinstance(many, list) and array.dtype.kind in "fO" and all(isinstance(i, int) for i in many):
            raise ValueError(f"[{self._name}] ids must be of the vocabulary, but got {max(many, key=abs)}")
        if array.dtype.kind not in "iu":
            raise TypeError(f"[{self._name}] ids must be integers, but got {array.dtype}")
        if array.ndim != 1:
            raise ValueError(f"[{self._name}] ids must be one axis, but got shape {array.shape}")
        if array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
            raise ValueError(f"[{self._name}] ids must be of the vocabulary, but got {array.max()}")
        return array.astype(np.int64, copy=False)

    # --------------------------------------------------------------------------------------------------- playground

    def show(
        self, text: str | bytes, *, allowed_special: Special = "all", disallowed_special: Special = ()
    ) -> TokenView:
        """The tokens of a text, to print in a terminal or to display in Jupyter; see `encode` for special tokens."""
        from groundup.text.view import TokenView

        ids = self.encode(text, allowed_special=allowed_special, disallowed_special=disallowed_special)
        special = set(self.special_tokens.values())
        n_bytes = len(text if isinstance(text, bytes) else self._utf8(text))
        return TokenView(
            [self.id_to_token(id_) for id_ in ids], ids, [id_ in special for id_ in ids], n_bytes
        )

    # ------------------------------------------------------------------------------------------------------- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a Hugging Face ``tokenizer.json``, atomically."""
        write_json(path, self.to_dict())

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write ``tokenizer.json`` and ``tokenizer_config.json`` into a folder, made if it is missing.

        `transformers.AutoTokenizer.from_pretrained` then loads it.
        """
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.save(Path(folder, "tokenizer.json"))
        write_json(Path(folder, "tokenizer_config.json"), self._config())

    def _config(self) -> dict[str, Any]:
        """The content of ``tokenizer_config.json``."""
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,  # or "it 's" would become "it's"
        }

    # ------------------------------------------------------------------------------------------------------ helpers

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __len__(self) -> int:
        return self.vocab_size

    def _texts(self, texts: Iterable[str | bytes]) -> Iterable[str | bytes]:
        if isinstance(texts, str | bytes):
            raise TypeError(
                f"[{self._name}] texts must be several of them, but got one {type(texts).__name__}"
            )
        return texts

    def _utf8(self, text: str) -> bytes:
        """The bytes of a str; a lone surrogate is an error."""
        return utf8(text, self._name)


def utf8(text: str, name: str) -> bytes:
    """The bytes of a str.

    Raises:
        ValueError: it holds a lone surrogate; the message begins with ``[name]``.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"[{name}] text must be Unicode, but got the lone surrogate "
            f"U+{ord(text[error.start]):04X} at position {error.start}"
        ) from None
