"""SentencePiece's BPE, the tokenizer of Llama and its kin: merges of characters, and bytes for what is no token.

Reads and writes the ``tokenizer.json`` of such models, with the same ids as the ``tokenizers`` package, and reads the
``tokenizer.bin`` of llama2.c. Spaces are written "▁". The algorithm to read is in `groundup.reference.char_bpe`, the
fast one in ``cpp/text/char_bpe.cpp``.

Not handled: training (`BPETokenizer.train` learns byte-level merges) and SentencePiece's ``.model`` files. Added tokens
are looked for before normalization, also where a file wants it after. `encode_file` reads a file whole.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy.typing as npt

from groundup import _core
from groundup.text import _templates as templates
from groundup.text import hf
from groundup.text import normalize as nm
from groundup.text._model import ModelTokenizer
from groundup.text.bpe import AddedToken
from groundup.text.metaspace import BYTE_NAMES, MARK, Metaspace
from groundup.text.unigram import _PREPEND, Prepend, _read_metaspace

#: A "▁" before every text, also before one that begins with a space; then "▁" for each space.
LLAMA_NORMALIZER = nm.Sequence([nm.Prepend(MARK), nm.Replace(" ", MARK)])
Decoder = Literal["strip", "plain", "metaspace"]
_DECODERS = ("strip", "plain", "metaspace")


class SentencePieceBPETokenizer(ModelTokenizer):
    """BPE over characters with byte fallback.

    Args:
        vocab: ids by token.
        merges: pairs of tokens in the order in which they merge; None: any pair that makes a token, by ``scores``.
        scores: of each token; the highest merges first.
        unk_token: the token of characters that are none and whose bytes are none; None: those are an error.
        byte_fallback: spell characters that are no token by their bytes "<0x00>" to "<0xFF>".
        fuse_unk: unknown characters beside each other are one token.
        ignore_merges: a word that is a token becomes it, whatever the merges make.
        normalizer: what is done to text first; None: nothing.
        prepend: of `Metaspace` after the normalizer: ``"always"``, ``"first"``, ``"never"``; None: there is none.
        split: with ``prepend``: words are encoded one by one.
        decoder: ``"strip"`` leaves out one space at the beginning of the text, ``"plain"`` does not, ``"metaspace"``
            leaves out all those of the first token.
        special_tokens: their names; None: those of <unk>, <s> and </s> that are in the vocabulary.
        added_tokens: more tokens that are found before anything else, with their flags.
        single, pair: what is put around texts: special tokens, "$A" and "$B".

    >>> vocab = {"<unk>": 0, "▁": 1, "h": 2, "u": 3, "g": 4, "▁h": 5, "ug": 6, "▁hug": 7}
    >>> merges = [("▁", "h"), ("u", "g"), ("▁h", "ug")]
    >>> tokenizer = SentencePieceBPETokenizer(vocab, merges, byte_fallback=False)
    >>> tokenizer.encode("hug ug"), tokenizer.decode([7, 1, 6])
    ([7, 1, 6], 'hug ug')
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Iterable[tuple[str, str]] | None = None,
        *,
        scores: Mapping[str, float] | None = None,
        unk_token: str | None = "<unk>",
        byte_fallback: bool = True,
        fuse_unk: bool = True,
        ignore_merges: bool = False,
        normalizer: nm.Normalizer | None = LLAMA_NORMALIZER,
        prepend: Prepend | None = None,
        split: bool = False,
        decoder: Decoder = "strip",
        special_tokens: Iterable[str] | Mapping[str, int] | None = None,
        added_tokens: Iterable[AddedToken] = (),
        single: Iterable[str] = ("$A",),
        pair: Iterable[str] = ("$A", "$B"),
    ) -> None:
        self._vocab = hf.check_vocabulary(vocab, self._error)
        if unk_token is not None and unk_token not in self._vocab:
            raise self._error("unk_token", "in the vocabulary, or None", unk_token)
        if byte_fallback and not any(name in self._vocab for name in BYTE_NAMES):
            raise self._error("vocab", "with bytes <0x00> to <0xFF> for byte_fallback", "none of them")
        if prepend is not None and prepend not in _PREPEND:
            raise self._error("prepend", "'always', 'first', 'never' or None", prepend)
        if decoder not in _DECODERS:
            raise self._error("decoder", "'strip', 'plain' or 'metaspace'", decoder)
        if (merges is None) == (scores is None):
            raise self._error("merges", "given, or else scores", "both" if merges is not None else "neither")
        if special_tokens is None:
            special_tokens = [name for name in ("<unk>", "<s>", "</s>") if name in self._vocab]
        self._set_added(special_tokens, added_tokens)
        self._set_templates(single, pair)
        if merges is not None:
            self._merges = _given_merges(list(merges), self._vocab, self._error)
        else:
            self._merges = _scored_merges(self._vocab, scores or {}, self._error)
        self.unk_token = unk_token
        self.byte_fallback = byte_fallback
        self.fuse_unk = fuse_unk
        self.ignore_merges = ignore_merges
        self.normalizer = normalizer
        self.prepend = prepend
        self.split = split and prepend is not None
        self.decoder = decoder
        before = [] if normalizer is None else [normalizer]
        starts = [Metaspace(prepend != "never")] if prepend else []
        continues = [Metaspace(prepend == "always")] if prepend else []
        self._at_start = nm.Sequence([*before, *starts])
        self._after_added = nm.Sequence([*before, *continues])
        self._model = _core.CharBpe(
            # Added tokens never come out of plain text.
            [item for item in self._vocab.items() if item[0] not in self._added],
            self._merges,
            [self._vocab.get(name) for name in BYTE_NAMES] if byte_fallback else [],
            None if unk_token is None else self._vocab[unk_token],
            fuse_unk,
            ignore_merges,
            self.split,
        )
        self._byte_of = {
            self._vocab[name]: byte for byte, name in enumerate(BYTE_NAMES) if name in self._vocab
        }
        self._finish()

    def __repr__(self) -> str:
        return f"SentencePieceBPETokenizer({self.vocab_size} tokens)"

    def _steps(self, at_start: bool) -> nm.Normalizer:
        return self._at_start if at_start else self._after_added

    @property
    def merges(self) -> list[tuple[str, str]]:
        """Pairs of tokens in the order in which they merge."""
        ordered = sorted(self._merges, key=lambda merge: (merge[3], merge[0], merge[1]))
        return [(self._tokens[left], self._tokens[right]) for left, right, _, _ in ordered]

    # -------------------------------------------------------------------------------------------------- decoding

    def decode_bytes(self, ids: npt.ArrayLike | Iterable[int]) -> bytes:
        """The bytes of ids: "▁" are spaces, and the one that encoding puts first is left out.

        Raises:
            ValueError: an id without a token.
            TypeError: ids are not integers.
        """
        return b"".join(self._pieces(self._id_array(ids).tolist()))

    def decode_stream(self, ids: Iterable[int], *, errors: str = "replace") -> Iterator[str]:
        """The text of ids as they come, in whole characters: the joined strings are `decode` of all ids."""
        return self._whole_characters(self._pieces(int(self._id_array([id_])[0]) for id_ in ids), errors)

    def _pieces(self, ids: Iterable[int]) -> Iterator[bytes]:
        mark = MARK.encode()
        begun = False
        for i, id_ in enumerate(ids):
            if self.byte_fallback and id_ in self._byte_of:
                piece = bytes([self._byte_of[id_]])
            elif self.decoder == "metaspace" and i == 0 and self.prepend != "never":
                piece = self.id_to_token(id_).replace(mark, b"")
            else:
                piece = self.id_to_token(id_).replace(mark, b" ")
            if self.decoder == "strip" and piece and not begun:
                piece = piece.removeprefix(b" ")
                begun = True
            yield piece

    # ----------------------------------------------------------------------------------------------------- files

    @classmethod
    def from_llama2c(cls, path: str | os.PathLike[str]) -> Self:
        """Read the ``tokenizer.bin`` of llama2.c: for each token its score, its length and its bytes.

        Ids 0, 1 and 2 are unknown, begin and end of text, then come 256 bytes; merges go by score.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is damaged; names the file and the token.
        """
        data = Path(path).read_bytes()

        def fail(what: str, expected: str, got: object) -> ValueError:
            return ValueError(
                f"[from_llama2c] {os.fspath(path)}: {what} must be {expected}, but got {hf.shown(got)}"
            )

        if len(data) < 4:
            raise fail("the file", "a length and tokens", f"{len(data)} bytes")
        (longest,) = struct.unpack_from("<i", data)
        fixed = ["<unk>", "<s>", "</s>", *BYTE_NAMES]
        vocab: dict[str, int] = {}
        scores: dict[str, float] = {}
        at = 4
        while at < len(data):
            id_ = len(vocab)
            if len(data) - at < 8:
                raise fail(f"token {id_}", "a score, a length and bytes", f"{len(data) - at} bytes")
            score, size = struct.unpack_from("<fi", data, at)
            at += 8
            if not math.isfinite(score):
                raise fail(f"token {id_}", "one with a finite score", score)
            if not 0 < size <= min(len(data) - at, max(longest, 8)):
                raise fail(f"token {id_}", f"of 1 to {max(longest, 8)} bytes that are there", size)
            try:
                token = data[at : at + size].decode("utf-8")
            except UnicodeDecodeError:
                raise fail(f"token {id_}", "UTF-8", data[at : at + size]) from None
            at += size
            if id_ < 3:
                token = token.strip()  # the file has line ends around them, for printing
            token = token.replace(" ", MARK)
            if id_ < len(fixed) and token != fixed[id_]:
                raise fail(f"token {id_}", repr(fixed[id_]), token)
            if token in vocab:
                raise fail(f"token {id_}", f"another than token {vocab[token]}", token)
            vocab[token] = id_
            scores[token] = score
        if len(vocab) < len(fixed):
            raise fail("the file", f"at least {len(fixed)} tokens", len(vocab))
        return cls(vocab, scores=scores, single=["<s>", "$A"], pair=["<s>", "$A", "<s>", "$B"])

    @classmethod
    def _from_entry(cls, top: hf.Entry) -> Self:
        model = top.entry("model")
        model.expect("type", "BPE", None)
        model.expect("dropout", None, 0.0)
        model.expect("continuing_subword_prefix", None, "")
        model.expect("end_of_word_suffix", None, "")
        vocab = hf.check_vocabulary(model.get("vocab", dict, "an object"), model.error)
        unk_token = model.get("unk_token", (str, type(None)), "a string or null", None)
        if unk_token is not None and unk_token not in vocab:
            raise model.error("unk_token", "in the vocabulary", unk_token)
        flags = {
            field: model.get(field, bool, "true or false", False)
            for field in ("byte_fallback", "fuse_unk", "ignore_merges")
        }
        if flags["byte_fallback"] and not any(name in vocab for name in BYTE_NAMES):
            raise model.error("vocab", "with bytes <0x00> to <0xFF> for byte_fallback", "none of them")
        merges = []
        for i, entry in enumerate(model.get("merges", list, "a list")):
            merge = entry.split(" ") if isinstance(entry, str) else entry
            if not isinstance(merge, list) or len(merge) != 2 or not all(isinstance(p, str) for p in merge):
                raise model.error(f"merges[{i}]", "two tokens", entry)
            merges.append((merge[0], merge[1]))
        _given_merges(merges, vocab, model.error)
        added = hf.read_added_tokens(top, vocab)
        prepend: Prepend | None = None
        split = False
        if top.content.get("pre_tokenizer") is not None:
            space = top.entry("pre_tokenizer")
            space.expect("type", "Metaspace")
            prepend, split = _read_metaspace(space)
        single, pair = templates.read(top, {token.text: token.id for token in added if token.special})
        return cls(
            vocab,
            merges,
            unk_token=unk_token,
            **flags,
            normalizer=nm.from_dict(top.content.get("normalizer"), f"{top.path}: normalizer"),
            prepend=prepend,
            split=split,
            decoder=_read_decoder(top.entry("decoder"), prepend),
            special_tokens=(),
            added_tokens=added,
            single=single,
            pair=pair,
        )

    def to_dict(self) -> dict[str, Any]:
        """The content of ``tokenizer.json``."""
        space = {
            "type": "Metaspace",
            "replacement": MARK,
            "prepend_scheme": self.prepend,
            "split": self.split,
        }
        steps: list[dict[str, Any]] = [
            {"type": "Replace", "pattern": {"String": MARK}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
        ]
        if self.decoder == "strip":
            steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
        elif self.decoder == "metaspace":
            scheme = self.prepend or "always"
            steps = [{"type": "ByteFallback"}, {**space, "prepend_scheme": scheme}]
        return self._file(
            self.normalizer,
            pre_tokenizer=space if self.prepend else None,
            decoder={"type": "Sequence", "decoders": steps},
            model={
                "type": "BPE",
                "dropout": None,
                "unk_token": self.unk_token,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": self.fuse_unk,
                "byte_fallback": self.byte_fallback,
                "ignore_merges": self.ignore_merges,
                "vocab": self._vocab,
                "merges": [list(merge) for merge in self.merges],
            },
        )

    def _config(self) -> dict[str, Any]:
        roles = {"unk_token": self.unk_token, "bos_token": "<s>", "eos_token": "</s>"}
        known = {role: token for role, token in roles.items() if token in self.special_tokens}
        return {**super()._config(), **known}


def _given_merges(
    merges: list[tuple[str, str]], vocab: Mapping[str, int], error: Any
) -> list[tuple[int, int, int, int]]:
    """Merges as (left, right, result, order)."""
    result: dict[tuple[int, int], tuple[int, int, int, int]] = {}
    for order, (left, right) in enumerate(merges):
        for token in (left, right, left + right):
            if token not in vocab:
                raise error(
                    f"merges[{order}]", f"of tokens and make one, and {token!r:.40} is none", [left, right]
                )
        pair = (vocab[left], vocab[right])
        if pair in result:
            raise error(f"merges[{order}]", "a pair that is not there before", [left, right])
        result[pair] = (*pair, vocab[left + right], order)
    return list(result.values())


def _scored_merges(
    vocab: Mapping[str, int], scores: Mapping[str, float], error: Any
) -> list[tuple[int, int, int, int]]:
    """All pairs of tokens that make a token, that of the highest score first."""
    from groundup.reference.char_bpe import merges_of_scores

    if missing := [token for token in vocab if not math.isfinite(scores.get(token, math.nan))]:
        raise error("scores", "a finite number for every token", {missing[0]: scores.get(missing[0])})
    merges = merges_of_scores(vocab, scores)
    return [(*pair, result, order) for pair, (order, result) in merges.items()]


def _read_decoder(entry: hf.Entry, prepend: Prepend | None) -> Decoder:
    """Which of the known ways of decoding a file describes."""
    steps = [entry] if entry.content.get("type") != "Sequence" else entry.entries("decoders")
    kinds = [step.content.get("type") for step in steps]
    if kinds and kinds[-1] == "Metaspace" and kinds[:-1] in ([], ["ByteFallback"]):
        scheme = _read_metaspace(steps[-1])[0]
        if (scheme == "never") != (prepend == "never"):
            raise steps[-1].error("prepend_scheme", "that of the pre_tokenizer", scheme)
        return "metaspace"
    if kinds[:3] != ["Replace", "ByteFallback", "Fuse"] or kinds[3:] not in ([], ["Strip"]):
        raise entry.error("decoders", "Replace, ByteFallback, Fuse and Strip, or Metaspace", kinds)
    steps[0].expect("pattern", {"String": MARK})
    steps[0].expect("content", " ")
    if len(steps) == 3:
        return "plain"
    for field, value in (("content", " "), ("start", 1), ("stop", 0)):
        steps[3].expect(field, value)
    return "strip"
