"""WordPiece, the tokenizer of BERT: words are cut into the longest tokens of a vocabulary, from left to right.

Loads Hugging Face's ``tokenizer.json`` and BERT's ``vocab.txt``; ids equal those of the ``tokenizers`` package. The
algorithm to read is in `groundup.reference.wordpiece`, the fast one in ``cpp/text/wordpiece.cpp``.

Not handled: training a vocabulary.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy.typing as npt

from groundup.files import write_text
from groundup.text import _templates as templates
from groundup.text import hf
from groundup.text import normalize as nm
from groundup.text._model import ModelTokenizer
from groundup.text.bpe import AddedToken

_BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_PRE_TOKENIZERS = {"bert": "BertPreTokenizer", "whitespace": "WhitespaceSplit"}
# What English detokenization undoes, in this order, token by token.
_CLEAN_UP = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
    (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip


class WordPieceTokenizer(ModelTokenizer):
    """Words to ids by longest matches.

    `encode` gives the ids of the text; with ``add_special_tokens=True`` they stand between [CLS] and [SEP], as BERT
    was trained. Decoding joins tokens with spaces, so it gives the normalized text back only nearly.

    Args:
        vocab: ids by token, or tokens in the order of their ids.
        unk_token: the token of words that cannot be spelt.
        prefix: what tokens inside a word begin with.
        max_chars_per_word: longer words are unknown.
        normalizer: what is done to text first; None: nothing.
        pre_tokenizer: where words end: ``"bert"`` at white space and around punctuation, or ``"whitespace"``.
        special_tokens: their names; None: those of BERT's that are in the vocabulary.
        added_tokens: more tokens that are found before anything else, with their flags.
        single, pair: what `encode` and `encode_pair` make with special tokens: their names, "$A" and "$B".
        cleanup: take spaces before punctuation out again when decoding.

    Raises:
        ValueError: an argument contradicts another, or an id is there twice.

    >>> vocab = ["[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "!"]
    >>> tokenizer = WordPieceTokenizer(vocab)
    >>> tokenizer.encode("Unaffable!")
    [3, 4, 5, 6]
    >>> tokenizer.encode("Unaffable!", add_special_tokens=True)
    [1, 3, 4, 5, 6, 2]
    >>> tokenizer.decode([3, 4, 5, 6])
    'unaffable!'
    """

    def __init__(
        self,
        vocab: Mapping[str, int] | Iterable[str],
        *,
        unk_token: str = "[UNK]",
        prefix: str = "##",
        max_chars_per_word: int = 100,
        normalizer: nm.Normalizer | None = nm.BertNormalizer(),  # noqa: B008 - it has no state
        pre_tokenizer: Literal["bert", "whitespace"] = "bert",
        special_tokens: Iterable[str] | Mapping[str, int] | None = None,
        added_tokens: Iterable[AddedToken] = (),
        single: Iterable[str] | None = None,
        pair: Iterable[str] | None = None,
        cleanup: bool = True,
    ) -> None:
        self._vocab = hf.vocabulary_of(vocab, self._error)
        if unk_token not in self._vocab:
            raise self._error("unk_token", "in the vocabulary", unk_token)
        if max_chars_per_word < 1 or max_chars_per_word > 2**31:
            raise self._error("max_chars_per_word", "at least 1 and at most 2**31", max_chars_per_word)
        if pre_tokenizer not in _PRE_TOKENIZERS:
            raise self._error("pre_tokenizer", "'bert' or 'whitespace'", pre_tokenizer)
        if special_tokens is None:
            special_tokens = [token for token in _BERT_SPECIAL if token in self._vocab]
        self._set_added(special_tokens, added_tokens)
        self.unk_token = unk_token
        self.prefix = prefix
        self.max_chars_per_word = max_chars_per_word
        self.normalizer = normalizer
        self.pre_tokenizer = pre_tokenizer
        self.cleanup = cleanup
        framed = {"[CLS]", "[SEP]"} <= self.special_tokens.keys()
        default = (("[CLS]", "$A", "[SEP]"), ("[CLS]", "$A", "[SEP]", "$B", "[SEP]"))
        self._set_templates(
            single if single is not None else default[0] if framed else ("$A",),
            pair if pair is not None else default[1] if framed else ("$A", "$B"),
        )
        self._set_word_piece(unk_token, prefix, max_chars_per_word, normalizer, pre_tokenizer == "bert")
        self._finish()

    def __repr__(self) -> str:
        return f"WordPieceTokenizer({self.vocab_size} tokens)"

    # ---------------------------------------------------------------------------------------- encoding, decoding

    def _safe_cut(self, text: str | bytes) -> int:
        # Words end at blanks; BERT's normalizer does not look across them, another one may.
        return 0 if self._normalizer is not None else self._last_blank(text)

    def decode_bytes(self, ids: npt.ArrayLike | Iterable[int]) -> bytes:
        """The bytes of ids: tokens with a space between words.

        Raises:
            ValueError: an id without a token.
            TypeError: ids are not integers.
        """
        pieces = (self._piece(id_, i == 0) for i, id_ in enumerate(self._id_array(ids).tolist()))
        return "".join(pieces).encode("utf-8")

    def decode_stream(self, ids: Iterable[int], *, errors: str = "replace") -> Iterator[str]:  # noqa: ARG002
        """The text of ids as they come: the joined strings are `decode` of all ids."""
        for i, id_ in enumerate(ids):
            if piece := self._piece(int(self._id_array([id_])[0]), i == 0):
                yield piece

    def _piece(self, id_: int, first: bool) -> str:
        token = self.id_to_token(id_).decode("utf-8")
        if not first:
            token = token.removeprefix(self.prefix) if token.startswith(self.prefix) else f" {token}"
        if self.cleanup:
            for before, after in _CLEAN_UP:
                token = token.replace(before, after)
        return token

    # ----------------------------------------------------------------------------------------------- explanation

    def trace(self, text: str) -> WordPieceTrace:
        """What is tried on each word of a text, step by step; prints as a table.

        >>> print(WordPieceTokenizer(["[UNK]", "a", "##b"]).trace("abc"))
        word  tried           tokens
        abc   abc, ab, a      a
              ##bc, ##b       ##b
              ##c             [UNK]
        """
        from groundup.reference import wordpiece as reference

        normalized = self.normalizer.normalize(text) if self.normalizer else text
        words = list(reference.words(normalized, self.pre_tokenizer == "bert"))
        steps = [(word, list(reference.longest_matches(word, self._vocab, self.prefix))) for word in words]
        return WordPieceTrace(steps, self.unk_token, self.max_chars_per_word)

    # ----------------------------------------------------------------------------------------------------- files

    @classmethod
    def from_vocab(cls, path: str | os.PathLike[str], *, lowercase: bool = True, **options: Any) -> Self:
        """The tokenizer of BERT's ``vocab.txt``: a token a line, its number the id.

        Args:
            lowercase: is the model one for lower-case text without accents?
            options: as the class takes them.

        Raises:
            ValueError: a line is not UTF-8, empty or there twice, or the unknown token is missing; names file and line.
        """
        name = os.fspath(path)
        lines = Path(path).read_bytes().split(b"\n")
        if lines[-1] == b"":
            lines.pop()
        vocab: dict[str, int] = {}
        for number, line in enumerate(lines, 1):
            try:
                token = line.removesuffix(b"\r").decode("utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"[WordPieceTokenizer] {name} line {number}: must be UTF-8, but got byte "
                    f"0x{line[error.start]:02x}"
                ) from None
            if not token or token in vocab:
                raise ValueError(
                    f"[WordPieceTokenizer] {name} line {number}: must be a token that is not empty and not there "
                    f"before, but got {hf.shown(token)}"
                )
            vocab[token] = number - 1
        unknown = options.get("unk_token", "[UNK]")
        if unknown not in vocab:
            raise ValueError(
                f"[WordPieceTokenizer] {name}: must hold the unknown token {unknown!r}, but it does not"
            )
        return cls(vocab, normalizer=nm.BertNormalizer(lowercase=lowercase), **options)

    def save_vocab(self, path: str | os.PathLike[str]) -> None:
        """Write ``vocab.txt``; ids must be 0 to n − 1."""
        tokens = [self._tokens.get(id_) for id_ in range(len(self._vocab))]
        if None in tokens:
            raise self._error("ids", f"0 to {len(tokens) - 1} for a vocab.txt", max(self._tokens))
        if wrong := [token for token in tokens if token and ("\n" in token or token.endswith("\r"))]:
            raise self._error("tokens", "without line ends for a vocab.txt", wrong[0])
        write_text(path, "".join(f"{token}\n" for token in tokens))

    @classmethod
    def _from_entry(cls, top: hf.Entry) -> Self:
        model = top.entry("model")
        model.expect("type", "WordPiece")
        vocab = hf.check_vocabulary(model.get("vocab", dict, "an object"), model.error)
        unk_token = model.get("unk_token", str, "a string", "[UNK]")
        if unk_token not in vocab:
            raise model.error("unk_token", "in the vocabulary", unk_token)
        max_chars = model.get("max_input_chars_per_word", int, "a number", 100)
        if not 1 <= max_chars <= 2**31:
            raise model.error("max_input_chars_per_word", "from 1 to 2**31", max_chars)
        added = hf.read_added_tokens(top, vocab)
        special = {token.text: token.id for token in added if token.special}
        pre_tokenizer: Literal["bert", "whitespace"] = "whitespace"
        if top.entry("pre_tokenizer").content.get("type") != "WhitespaceSplit":
            top.entry("pre_tokenizer").expect("type", "BertPreTokenizer", "WhitespaceSplit")
            pre_tokenizer = "bert"
        single, pair = templates.read(top, special)
        prefix = model.get("continuing_subword_prefix", str, "a string", "##")
        cleanup = False
        if top.content.get("decoder") is not None:
            decoder = top.entry("decoder")
            decoder.expect("type", "WordPiece")
            decoder.expect("prefix", prefix)
            cleanup = decoder.get("cleanup", bool, "true or false", True)
        return cls(
            vocab,
            unk_token=unk_token,
            prefix=prefix,
            max_chars_per_word=max_chars,
            normalizer=nm.from_dict(top.content.get("normalizer"), f"{top.path}: normalizer"),
            pre_tokenizer=pre_tokenizer,
            special_tokens=(),
            added_tokens=added,
            single=single,
            pair=pair,
            cleanup=cleanup,
        )

    def to_dict(self) -> dict[str, Any]:
        """The content of ``tokenizer.json``."""
        return self._file(
            self.normalizer,
            pre_tokenizer={"type": _PRE_TOKENIZERS[self.pre_tokenizer]},
            decoder={"type": "WordPiece", "prefix": self.prefix, "cleanup": self.cleanup},
            model={
                "type": "WordPiece",
                "unk_token": self.unk_token,
                "continuing_subword_prefix": self.prefix,
                "max_input_chars_per_word": self.max_chars_per_word,
                "vocab": self._vocab,
            },
        )

    def _config(self) -> dict[str, Any]:
        roles = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")
        tokens = (self.unk_token, "[CLS]", "[SEP]", "[PAD]", "[MASK]")
        known = {
            role: token for role, token in zip(roles, tokens, strict=True) if token in self.special_tokens
        }
        return {**super()._config(), **known}


class WordPieceTrace:
    """What was tried on each word, and what matched."""

    def __init__(self, words: list[tuple[str, list[tuple[str, bool]]]], unknown: str, max_chars: int) -> None:
        self.words = words
        self._unknown = unknown
        self._max_chars = max_chars

    def __repr__(self) -> str:
        rows = [("word", "tried", "tokens")]
        for word, steps in self.words:
            if len(word) > self._max_chars:
                rows.append(
                    (word[:20] + "…", f"nothing: more than {self._max_chars} characters", self._unknown)
                )
                continue
            tried: list[str] = []
            name = word
            for token, matches in steps:
                tried.append(token)
                if matches:
                    rows.append((name, ", ".join(tried), token))
                    tried, name = [], ""
            if tried:
                rows.append((name, ", ".join(tried), self._unknown))
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in rows)
