"""Byte-pair encoding: a text starts as bytes, and learned pairs of neighbours are merged into tokens.

Every text can be encoded, as every byte is a token, and `decode_bytes` gives it back exactly. What merges when is in
`groundup.reference.bpe`, in Python to read; the work is done in C++ and gives the same ids as tiktoken and Hugging
Face's tokenizers for their vocabularies.

Not handled: vocabularies whose tokens are characters instead of bytes, with unknown tokens or word suffixes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from groundup import _core
from groundup.files import write_bytes
from groundup.text import bpe_training, byte_level, formats
from groundup.text.bpe_training import Progress, TieBreak
from groundup.text.normalize import Normalizer
from groundup.text.patterns import PATTERNS, RegexSplitter, known_pattern
from groundup.text.tokenizer import Ids, Offsets, Special, Tokenizer

if TYPE_CHECKING:
    from groundup.text.trace import Trace


@dataclass(frozen=True)
class AddedToken:
    """A token that is looked for in the text before it is split, as Hugging Face's files describe it.

    Attributes:
        text: what is looked for.
        special: found only where `encode` allows it; others are always found.
        lstrip: it takes the white space before it, and ``rstrip`` after it.
        single_word: it is none inside a word.
        normalized: Hugging Face's note that the normalized text is searched; kept for the file only.
    """

    text: str
    id: int
    special: bool = True
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = False


class BPETokenizer(Tokenizer):
    r"""A byte-level BPE tokenizer.

    Args:
        vocab: the bytes of each token in the order of ids, ``None`` for an id that has none.
        merges: pairs of ids in the order in which they merge, ``[merges, 2]``. ``None``: any pair whose bytes
            together are a token, the lowest id first, as tiktoken has it.
        pattern: how a text is cut into pieces that no token crosses: ``"gpt2"``, ``"cl100k"``, ``"cl100k_old"``,
            ``"qwen2"``, ``"o200k"``, ``"whitespace"``, ``"none"``, or regular expressions for the package ``regex``.
        special_tokens: ids of special tokens by their text.
        added_tokens: more tokens that are found before splitting, with their flags.
        whole_pieces: a piece that is a token becomes it, also where merges would not make it ("ignore_merges").
        normalizer: what rewrites a text first.
        add_prefix_space: begin every text with a space.

    Raises:
        ValueError: tokens that are there twice, merges of what is no token, an unknown pattern, ids that collide.

    >>> tokenizer = BPETokenizer([*(bytes([b]) for b in range(256)), b"th", b"the"], [(116, 104), (256, 101)])
    >>> tokenizer.encode("the thaw"), tokenizer.decode([257, 32, 256])
    ([257, 32, 256, 97, 119], 'the th')
    """

    def __init__(
        self,
        vocab: Sequence[bytes | None],
        merges: npt.ArrayLike | Sequence[tuple[int, int]] | None = None,
        *,
        pattern: str | Sequence[str] = "gpt2",
        special_tokens: Mapping[str, int] | None = None,
        added_tokens: Iterable[AddedToken] = (),
        whole_pieces: bool = False,
        normalizer: Normalizer | None = None,
        add_prefix_space: bool = False,
    ) -> None:
        self._vocab = tuple(vocab)
        self.normalizer = normalizer
        self.add_prefix_space = add_prefix_space
        self._whole_pieces = whole_pieces or merges is None
        self._explicit = merges is not None
        self.added_tokens = (
            *(AddedToken(text, id_) for text, id_ in (special_tokens or {}).items()),
            *added_tokens,
        )
        self.special_tokens = {token.text: token.id for token in self.added_tokens if token.special}
        patterns = [pattern] if isinstance(pattern, str) else list(pattern)
        name = known_pattern(patterns[0]) if len(patterns) == 1 else None
        self.pattern: str | tuple[str, ...] = name or (patterns[0] if len(patterns) == 1 else tuple(patterns))
        self._splitter = None if name else RegexSplitter(patterns)
        self._bpe = _core.Bpe(list(self._vocab), self._triples(merges), self._whole_pieces, name or "none")
        self._tokens = _core.Vocabulary(self._with_added(), repeats=True)
        self._plain_is_fast = self._splitter is None and normalizer is None and not add_prefix_space
        self._finders: dict[tuple[frozenset[str], frozenset[str]], _core.AddedTokens] = {}
        self._default = self._finder((), "all")
        self._ordinary = self._finder((), ())

    def _triples(self, merges: npt.ArrayLike | Sequence[tuple[int, int]] | None) -> Any:
        """Pairs of ids with the id of what they become: ``[merges, 3]``."""
        if merges is None:
            return None
        pairs = np.asarray(merges, np.int64)
        if pairs.size == 0:
            return np.zeros((0, 3), np.int64)
        if pairs.ndim != 2 or pairs.shape[1] not in (2, 3):
            raise ValueError(f"[{self._name}] merges must be pairs of ids, but got shape {pairs.shape}")
        if pairs.shape[1] == 3:
            return pairs
        n = len(self._vocab)
        ids = {token: id_ for id_, token in enumerate(self._vocab)}
        results = []
        for order, (left, right) in enumerate(pairs.tolist()):
            a = self._vocab[left] if 0 <= left < n else None
            b = self._vocab[right] if 0 <= right < n else None
            if a is None or b is None:
                raise ValueError(
                    f"[{self._name}] merge {order} must be of tokens, but got id {left if a is None else right}"
                )
            if a + b not in ids:
                raise ValueError(f"[{self._name}] merge {order} must give a token, but {a + b!r} is none")
            results.append(ids[a + b])
        return np.column_stack([pairs, results])

    def _with_added(self) -> list[bytes | None]:
        """The bytes of every id, added tokens included."""
        tokens = list(self._vocab)
        texts: dict[str, int] = {}
        for added in self.added_tokens:
            if not added.text:
                raise ValueError(f"[{self._name}] added tokens must have a text, but id {added.id} has none")
            if not 0 <= added.id < 2 * len(self._vocab) + 2**20:
                raise ValueError(
                    f"[{self._name}] ids of added tokens must lie near the vocabulary's, "
                    f"but {added.text!r} has {added.id}"
                )
            if texts.setdefault(added.text, added.id) != added.id:
                raise ValueError(
                    f"[{self._name}] added tokens must have one id, "
                    f"but {added.text!r} has {texts[added.text]} and {added.id}"
                )
            tokens += [None] * (added.id + 1 - len(tokens))
            data = self._utf8(added.text)
            if tokens[added.id] not in (None, data):
                raise ValueError(
                    f"[{self._name}] ids must be of one token, "
                    f"but {added.id} is {tokens[added.id]!r} and {added.text!r}"
                )
            tokens[added.id] = data
        return tokens

    # ---------------------------------------------------------------------------------------------- the surface

    @property
    def vocab_size(self) -> int:
        """One more than the highest id."""
        return len(self._tokens)

    @property
    def merges(self) -> npt.NDArray[np.uint32]:
        """``(left, right, result)`` of every merge in order, ``[merges, 3]``."""
        merges: npt.NDArray[np.uint32] = self._bpe.merges()
        return merges

    def __repr__(self) -> str:
        return f"{self._name}({self.vocab_size} tokens, pattern {self.pattern!r})"

    def token_to_id(self, token: str | bytes) -> int | None:
        """The id of a token by its bytes or its text, special ones included, or ``None``."""
        return self._tokens.find(self._utf8(token) if isinstance(token, str) else token)

    def _token(self, id_: int) -> bytes | None:
        token: bytes | None = self._tokens.token(id_)
        return token

    def decode_bytes(self, ids: npt.ArrayLike | Iterable[int]) -> bytes:
        """The bytes of ids; see `Tokenizer.decode_bytes`."""
        return self._tokens.decode(self._id_array(ids))

    def decode_stream(self, ids: Iterable[int], *, errors: str = "replace") -> Iterator[str]:
        """The text of ids as they come, in whole characters: the joined strings are `decode` of all ids."""
        return super().decode_stream(ids, errors=errors)

    # -------------------------------------------------------------------------------------------------- encoding

    def _finder(self, allowed: Special, disallowed: Special) -> _core.AddedTokens:
        """What looks for these special tokens, and for the added ones that are not special."""
        allow, forbid = self._special_sets(allowed, disallowed)
        finder = self._finders.get((allow, forbid))
        if finder is None:
            finder = _core.AddedTokens(
                [
                    (t.text, t.id, t.special and t.text in forbid, t.lstrip, t.rstrip, t.single_word)
                    for t in self.added_tokens
                    if not t.special or t.text in allow or t.text in forbid
                ]
            )
            self._finders[allow, forbid] = finder
        return finder

    def encode(
        self, text: str | bytes, *, allowed_special: Special = (), disallowed_special: Special = "all"
    ) -> list[int]:
        """The ids of a text; see `Tokenizer.encode`."""
        if self._plain_is_fast:
            if not allowed_special and disallowed_special == "all":
                return self._bpe.encode(text, self._default)
            return self._bpe.encode(text, self._finder(allowed_special, disallowed_special))
        return super().encode(text, allowed_special=allowed_special, disallowed_special=disallowed_special)

    def encode_to_numpy(
        self, text: str | bytes, *, allowed_special: Special = (), disallowed_special: Special = "all"
    ) -> Ids:
        """The ids of a text as a uint32 array; see `Tokenizer.encode`."""
        if self._plain_is_fast:
            finder = self._default
            if allowed_special or disallowed_special != "all":
                finder = self._finder(allowed_special, disallowed_special)
            ids: Ids = self._bpe.encode_to_numpy(text, finder)
            return ids
        return super().encode_to_numpy(
            text, allowed_special=allowed_special, disallowed_special=disallowed_special
        )

    def encode_batch(
        self,
        texts: Iterable[str | bytes],
        *,
        threads: int | None = None,
        allowed_special: Special = (),
        disallowed_special: Special = "all",
    ) -> list[list[int]]:
        """The ids of several texts, the same as one by one; see `Tokenizer.encode_batch`."""
        if not self._plain_is_fast:
            return super().encode_batch(
                texts,
                threads=threads,
                allowed_special=allowed_special,
                disallowed_special=disallowed_special,
            )
        finder = self._finder(allowed_special, disallowed_special)
        return self._bpe.encode_batch(list(self._texts(texts)), finder, threads)

    def encode_batch_to_numpy(
        self,
        texts: Iterable[str | bytes],
        *,
        threads: int | None = None,
        allowed_special: Special = (),
        disallowed_special: Special = "all",
    ) -> tuple[Ids, Offsets]:
        """The ids of several texts in one array, and where each text's begin; their number is last.

        The ids of text ``i`` are ``ids[begins[i]:begins[i + 1]]``. One long text is shared between threads, too.
        """
        if not self._plain_is_fast:
            lists = [
                self.encode_to_numpy(
                    text, allowed_special=allowed_special, disallowed_special=disallowed_special
                )
                for text in self._texts(texts)
            ]
            begins = np.cumsum([0, *map(len, lists)], dtype=np.int64)
            return (np.concatenate(lists) if lists else np.zeros(0, np.uint32)), begins
        finder = self._finder(allowed_special, disallowed_special)
        result: tuple[Ids, Offsets] = self._bpe.encode_batch_to_numpy(
            list(self._texts(texts)), finder, threads
        )
        return result

    def encode_with_dropout(self, text: str | bytes, probability: float, *, seed: int) -> list[int]:
        """The ids of a text when each merge is left out with ``probability``, at each step anew (BPE dropout).

        A model that sees a text cut differently each time learns how tokens are spelled (Provilkov et al., 2020).
        0 gives the ids of `encode`, 1 those of the bytes. Nothing in the text is special.
        """
        if not 0 <= probability <= 1:
            raise ValueError(f"[{self._name}] probability must lie in [0, 1], but got {probability}")
        if not self._plain_is_fast:
            raise NotImplementedError(
                f"[{self._name}] dropout needs a pattern of ours and no normalizer, but got {self.pattern!r}"
            )
        ids = self._bpe.encode_with_dropout(text, probability, seed % 2**64)
        result: list[int] = ids.tolist()
        return result

    def _encode_with_ends(
        self, text: str | bytes, allowed_special: Special, disallowed_special: Special
    ) -> tuple[Ids, Offsets]:
        """Ids and where each ends, in bytes of the text as it came."""
        data = self._utf8(text) if isinstance(text, str) else text
        if not isinstance(data, bytes):
            raise TypeError(f"[{self._name}] text must be a str or bytes, but got {type(text).__name__}")
        finder = self._finder(allowed_special, disallowed_special)
        forbidden = {
            self.special_tokens[name] for name in self._special_sets(allowed_special, disallowed_special)[1]
        }
        all_ids: list[Ids] = []
        all_ends: list[Offsets] = []
        done = 0
        for begin, end, id_ in [*finder.find(data), (len(data), len(data), None)]:
            if id_ in forbidden:
                name = self.id_to_token(id_).decode("utf-8")
                begin += data[begin:end].index(name.encode("utf-8"))
                raise self._forbidden(name, data[:begin], isinstance(text, str))
            ids, ends = self._encode_plain(data[done:begin])
            all_ids.append(ids)
            all_ends.append(ends + done)
            if id_ is not None:
                all_ids.append(np.array([id_], np.uint32))
                all_ends.append(np.array([end]))
            done = end
        return np.concatenate(all_ids), np.concatenate(all_ends)

    def _encode_plain(self, text: str | bytes) -> tuple[Ids, Offsets]:
        data = self._utf8(text) if isinstance(text, str) else text
        if not data:
            return np.zeros(0, np.uint32), np.zeros(0, np.int64)
        rewritten = data
        spans = None
        if self.normalizer is not None:
            before = data.decode("utf-8", "surrogateescape")
            after = self.normalizer.normalize(before)
            if after != before:
                result = self.normalizer(before)
                after = result.text
                spans = result.starts, result.ends
            rewritten = after.encode("utf-8", "surrogateescape")
        prefix = self.add_prefix_space and not rewritten.startswith(b" ")
        if prefix:
            rewritten = b" " + rewritten
        if self._splitter is None:
            ids = self._bpe.encode_to_numpy(rewritten, _NOTHING)
        else:
            ids = self._bpe.encode_pieces(rewritten, self._splitter.ends(rewritten))
        ends = np.cumsum(self._lengths[ids])
        if prefix:
            ends = np.maximum(ends - 1, 0)
        if spans is not None:
            # Bytes of the new text to its characters, to characters of the old one, to its bytes.
            new, old = np.frombuffer(rewritten[prefix:], np.uint8), np.frombuffer(data, np.uint8)
            begun = np.concatenate([[0], np.cumsum((new & 0xC0) != 0x80)])  # characters begun before a byte
            byte_of = np.append(np.flatnonzero((old & 0xC0) != 0x80), len(old))
            first, last = (byte_of[np.concatenate([[0], span])][begun[ends]] for span in spans)
            # A token that ends inside a character ends inside what that character was.
            inside = np.append((new & 0xC0) == 0x80, False)[ends]
            ends = np.where(inside, np.minimum(first + 1, last), last)
        return ids, ends

    @property
    def _lengths(self) -> Offsets:
        """Bytes of each token."""
        if not hasattr(self, "_length_table"):
            self._length_table = np.array([len(token or b"") for token in self._vocab], np.int64)
        return self._length_table

    def _safe_cut(self, text: str | bytes) -> int:
        return self._bpe.safe_cut(text, self._default) if self._plain_is_fast else 0

    # --------------------------------------------------------------------------------------------------- playground

    def trace(
        self, text: str | bytes, *, allowed_special: Special = "all", disallowed_special: Special = ()
    ) -> Trace:
        """How a text becomes tokens, merge by merge, to print or to display in Jupyter; see `groundup.text.trace`.

        Raises:
            ValueError: the text is longer than a reader's patience, 4,096 bytes.
        """
        from groundup.text import trace

        self.encode(
            text, allowed_special=allowed_special, disallowed_special=disallowed_special
        )  # or its error
        data = self._utf8(text) if isinstance(text, str) else text
        if len(data) > trace.MOST:
            raise ValueError(
                f"[{self._name}] text to trace must hold at most 4,096 bytes, but got {len(data):,}"
            )
        if not hasattr(self, "_ranks"):
            self._ranks = {(a, b): (rank, c) for rank, (a, b, c) in enumerate(self.merges.tolist())}
            ids = {token: id_ for id_, token in enumerate(self._vocab) if token is not None}
            self._byte_ids = [ids.get(bytes([byte]), -1) for byte in range(256)]
        pieces: list[trace.Piece] = []
        done = 0
        found = self._finder(allowed_special, disallowed_special).find(data)
        for begin, end, id_ in [*found, (len(data), len(data), None)]:
            for piece in self._pieces(data[done:begin]):
                whole = self._bpe.encode(piece, _NOTHING) if self._whole_pieces else []
                pieces.append(
                    trace.trace_piece(
                        piece, self._byte_ids, self._vocab, self._ranks, whole[0] if len(whole) == 1 else None
                    )
                )
            if id_ is not None:
                token = self.id_to_token(id_)
                pieces.append(trace.Piece(data[begin:end], (token,), (), (id_,), special=True))
            done = end
        return trace.Trace(tuple(pieces), len(data))

    def _pieces(self, data: bytes) -> list[bytes]:
        """What is encoded piece by piece: the text after normalization, cut by the pattern."""
        if not data:
            return []
        if self.normalizer is not None:
            text = self.normalizer.normalize(data.decode("utf-8", "surrogateescape"))
            data = text.encode("utf-8", "surrogateescape")
        if self.add_prefix_space and not data.startswith(b" "):
            data = b" " + data
        if self._splitter is None:
            begins = _core.split_offsets(str(self.pattern), data).tolist()
        else:
            begins = [0, *self._splitter.ends(data).tolist()]
        return [data[begin:end] for begin, end in pairwise(begins)]

    # -------------------------------------------------------------------------------------------------- training

    @classmethod
    def train(
        cls,
        texts: str | bytes | Iterable[str | bytes],
        vocab_size: int,
        *,
        pattern: str | Sequence[str] = "gpt2",
        special_tokens: Iterable[str] = (),
        min_frequency: int = 0,
        tie_break: TieBreak = "huggingface",
        progress: Progress = None,
    ) -> Self:
        """Learn a vocabulary: the most frequent pair of neighbouring tokens is merged, again and again.

        Ctrl-C ends it at any time. The result is the same for any number of threads and for any way in which the
        same texts come.

        Args:
            texts: a text, or several; an iterator may yield more than fits into memory. No token crosses from one
                into the next.
            vocab_size: tokens to have in the end, 256 bytes and special tokens included. There are fewer where the
                texts hold no more pairs.
            pattern: how texts are cut into pieces that no token crosses; see the class.
            special_tokens: tokens that are no text. Where the texts hold one it is cut out.
            min_frequency: pairs that occur less often are not merged.
            tie_break: the library whose rule for equally frequent pairs, and so whose merges and ids, come out:
                ``"huggingface"`` (smallest ids first; special tokens have the first ids), ``"minbpe"`` (what the
                texts hold first; special tokens have the last ids) or ``"rustbpe"`` (smallest ids first, bytes
                numbered as they are; special tokens have the last ids).
            progress: show a bar; by default on a terminal. Or a function of (merges done, merges wanted).

        Raises:
            ValueError: no text, a size that does not hold bytes and special tokens, special tokens that are there
                twice, a lone surrogate.
            TypeError: texts that are neither str nor bytes.

        >>> tokenizer = BPETokenizer.train("low lower lowest", 259, special_tokens=["<end>"])
        >>> [tokenizer.id_to_token(i) for i in tokenizer.encode("slow")], tokenizer.special_tokens
        ([b's', b'low'], {'<end>': 0})
        """
        plan = bpe_training.Plan(vocab_size, pattern, special_tokens, min_frequency, tie_break)
        plan.add_texts(texts, progress)
        return cls._learned(plan, pattern, progress)

    @classmethod
    def train_from_files(
        cls,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        vocab_size: int,
        *,
        pattern: str | Sequence[str] = "gpt2",
        special_tokens: Iterable[str] = (),
        min_frequency: int = 0,
        tie_break: TieBreak = "huggingface",
        progress: Progress = None,
    ) -> Self:
        """Learn a vocabulary from files; see `train`. Each is one text, of any bytes, and never in memory as a whole.

        Raises:
            OSError: a file cannot be read.
        """
        plan = bpe_training.Plan(vocab_size, pattern, special_tokens, min_frequency, tie_break)
        plan.add_files(paths, progress)
        return cls._learned(plan, pattern, progress)

    @classmethod
    def _learned(cls, plan: bpe_training.Plan, pattern: str | Sequence[str], progress: Progress) -> Self:
        learned = plan.learn(progress)
        return cls(learned.vocab, learned.merges, pattern=pattern, special_tokens=learned.special_tokens)

    # ------------------------------------------------------------------------------------------------------- files

    @classmethod
    def from_tiktoken(
        cls,
        path: str | os.PathLike[str],
        pattern: str | None = None,
        special_tokens: Mapping[str, int] | None = None,
    ) -> Self:
        """Read a ``.tiktoken`` file: a token in base64 and its rank, which is its id, on each line.

        Args:
            path: the file.
            pattern: the file does not tell; ``None`` goes by its name: ``r50k``, ``p50k``, ``cl100k``, ``o200k``.
            special_tokens: ids by text; the file does not tell these either.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is damaged; names the file and the line.
        """
        vocab = formats.read_tiktoken(path)
        if pattern is None:
            pattern = formats.pattern_by_name(path)
        return cls(vocab, None, pattern=pattern, special_tokens=special_tokens)

    @classmethod
    def from_gpt2(
        cls,
        encoder_json: str | os.PathLike[str],
        vocab_bpe: str | os.PathLike[str],
        *,
        pattern: str = "gpt2",
    ) -> Self:
        """Read GPT-2's pair of files, which others call ``vocab.json`` and ``merges.txt``.

        ``<|endoftext|>`` and whatever else is in the vocabulary and made by no merge becomes a special token.

        Raises:
            OSError: a file cannot be read.
            ValueError: one is damaged or they contradict each other; names the file and the line.
        """
        vocab, merges, special = formats.read_gpt2(encoder_json, vocab_bpe)
        return cls(vocab, merges, pattern=pattern, special_tokens=special)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read a Hugging Face ``tokenizer.json`` of a byte-level BPE.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is damaged, or describes something else; names the file and the field.
        """
        fields = formats.read_bpe_json(path)
        added = [AddedToken(**token) for token in fields.pop("added_tokens")]
        post_processor = fields.pop("post_processor")
        try:
            tokenizer = cls(**fields, added_tokens=added)
        except ValueError as error:
            raise ValueError(f"{error} (in {os.fspath(path)})") from None
        tokenizer._post_processor = post_processor
        return tokenizer

    _post_processor: dict[str, Any] | None = None  # of the file this came from, for `save`

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a Hugging Face ``tokenizer.json``, or tiktoken's ranks where ``path`` ends in ``.tiktoken``.

        Raises:
            ValueError: ranks are asked for, and merges in the order of ids would give other ids.
        """
        if Path(path).suffix != ".tiktoken":
            super().save(path)
            return
        if self._explicit:
            ranked = _core.Bpe(list(self._vocab), None, True, "none")
            if not np.array_equal(ranked.merges(), self.merges):
                raise ValueError(
                    f"[{self._name}] a .tiktoken file needs merges in the order of their ids, but these have another"
                )
        write_bytes(path, formats.tiktoken_lines(self._vocab))

    def to_dict(self) -> dict[str, Any]:
        """The content of ``tokenizer.json``."""
        added = sorted(self.added_tokens, key=lambda token: token.id)
        texts = ["" if token is None else byte_level.to_characters(token) for token in self._vocab]
        vocab = {text: id_ for id_, text in enumerate(texts) if text}
        # Hugging Face gives an added token the id that the vocabulary has for it, or else the next free one.
        for token in added:
            vocab.setdefault(token.text, token.id)
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                {
                    "id": token.id,
                    "content": token.text,
                    "single_word": token.single_word,
                    "lstrip": token.lstrip,
                    "rstrip": token.rstrip,
                    "normalized": token.normalized,
                    "special": token.special,
                }
                for token in added
            ],
            "normalizer": None if self.normalizer is None else self.normalizer.to_dict(),
            "pre_tokenizer": self._pre_tokenizer(),
            "post_processor": self._post_processor,
            "decoder": {
                "type": "ByteLevel",
                "add_prefix_space": False,
                "trim_offsets": False,
                "use_regex": False,
            },
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": self._whole_pieces,
                "vocab": vocab,
                "merges": [f"{texts[left]} {texts[right]}" for left, right, _ in self.merges.tolist()],
            },
        }

    def _pre_tokenizer(self) -> dict[str, Any]:
        bytes_only = {
            "type": "ByteLevel",
            "add_prefix_space": self.add_prefix_space,
            "trim_offsets": False,
            "use_regex": self.pattern == "gpt2",
        }
        if self.pattern in ("gpt2", "none"):
            return bytes_only
        patterns = [self.pattern] if isinstance(self.pattern, str) else self.pattern
        splits = [
            {
                "type": "Split",
                "pattern": {"Regex": PATTERNS.get(pattern, pattern)},
                "behavior": "Isolated",
                "invert": False,
            }
            for pattern in patterns
        ]
        return {"type": "Sequence", "pretokenizers": [*splits, bytes_only]}

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (
            type(self),
            self._vocab,
            self.merges if self._explicit else None,
            {
                "pattern": self.pattern,
                "added_tokens": self.added_tokens,
                "whole_pieces": self._whole_pieces,
                "normalizer": self.normalizer,
                "add_prefix_space": self.add_prefix_space,
            },
            self._post_processor,
        )


_NOTHING = _core.AddedTokens([])


def _restore(
    cls: type[BPETokenizer], vocab: Sequence[bytes | None], merges: Any, options: Any, post: Any
) -> BPETokenizer:
    tokenizer = cls(vocab, merges, **options)
    tokenizer._post_processor = post
    return tokenizer
