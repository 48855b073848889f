"""Word tokenizers: every word of the vocabulary is a token, every other one unknown.

The classical way, and the reason for subwords: a vocabulary of 50,000 words still knows no names, no misspellings and
no other language. Saved as a ``tokenizer.json`` with a word-level model, which gives the same ids in ``tokenizers``.

Not handled: languages that do not part words by white space or punctuation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Self

import numpy.typing as npt

from groundup import _core
from groundup.text import _templates as templates
from groundup.text import hf
from groundup.text import normalize as nm
from groundup.text._model import ModelTokenizer
from groundup.text.bpe import AddedToken

_PRE_TOKENIZERS = {"bert": "BertPreTokenizer", "whitespace": "WhitespaceSplit"}
_SPACE, _PUNCTUATION = 4, 8  # bits of _core.bert_class
# What no token begins with: then WordPiece's encoder takes words whole or not at all.
_NO_PREFIX = "\U0010ffff" * 2


class WordTokenizer(ModelTokenizer):
    """Words to ids.

    Args:
        vocab: ids by word, or words in the order of their ids.
        unk_token: the token of all other words.
        normalizer: what is done to text first; None: nothing.
        pre_tokenizer: where words end: ``"bert"`` at white space and around punctuation marks, which are words as
            well, or ``"whitespace"``.
        special_tokens: their names; None: the unknown token.
        added_tokens: more tokens that are found before anything else, with their flags.
        single, pair: what is put around texts: special tokens, "$A" and "$B".

    >>> tokenizer = WordTokenizer.train("the cat, the dog and the bird", vocab_size=4)
    >>> tokenizer.vocab
    {'<unk>': 0, 'the': 1, ',': 2, 'and': 3}
    >>> tokenizer.encode("the fish, and the cat"), tokenizer.decode([1, 0, 2, 3])
    ([1, 0, 2, 3, 1, 0], 'the <unk> , and')
    """

    def __init__(
        self,
        vocab: Mapping[str, int] | Iterable[str],
        *,
        unk_token: str = "<unk>",
        normalizer: nm.Normalizer | None = None,
        pre_tokenizer: Literal["bert", "whitespace"] = "bert",
        special_tokens: Iterable[str] | Mapping[str, int] | None = None,
        added_tokens: Iterable[AddedToken] = (),
        single: Iterable[str] = ("$A",),
        pair: Iterable[str] = ("$A", "$B"),
    ) -> None:
        self._vocab = hf.vocabulary_of(vocab, self._error)
        if unk_token not in self._vocab:
            raise self._error("unk_token", "in the vocabulary", unk_token)
        if pre_tokenizer not in _PRE_TOKENIZERS:
            raise self._error("pre_tokenizer", "'bert' or 'whitespace'", pre_tokenizer)
        special = [unk_token] if special_tokens is None else special_tokens
        self._set_added(special, added_tokens)
        self._set_templates(single, pair)
        self.unk_token = unk_token
        self.normalizer = normalizer
        self.pre_tokenizer = pre_tokenizer
        self._set_word_piece(unk_token, _NO_PREFIX, 2**32 - 1, normalizer, pre_tokenizer == "bert")
        self._finish()

    def __repr__(self) -> str:
        return f"WordTokenizer({self.vocab_size} words)"

    # -------------------------------------------------------------------------------------------------- training

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        vocab_size: int | None = None,
        *,
        min_frequency: int = 1,
        special_tokens: Iterable[str] = ("<unk>",),
        unk_token: str = "<unk>",
        normalizer: nm.Normalizer | None = None,
        pre_tokenizer: Literal["bert", "whitespace"] = "bert",
    ) -> Self:
        """The most frequent words of texts; equally frequent ones in the order of their characters.

        Args:
            texts: a string, or strings one by one; memory is bounded by the distinct words.
            vocab_size: most tokens, special ones included; None: all words.
            min_frequency: words that occur less often are unknown.
            special_tokens: these get the first ids; the unknown one is among them.

        Raises:
            ValueError: ``vocab_size`` has no room for the special tokens, or a lone surrogate.
            TypeError: a text is not a string.
        """
        special = list(dict.fromkeys(special_tokens))
        if unk_token not in special:
            raise cls._error("unk_token", "one of special_tokens", unk_token)
        if vocab_size is not None and vocab_size < len(special):
            raise cls._error("vocab_size", f"at least {len(special)}, for the special tokens", vocab_size)
        if pre_tokenizer not in _PRE_TOKENIZERS:
            raise cls._error("pre_tokenizer", "'bert' or 'whitespace'", pre_tokenizer)
        parted = _Parted(pre_tokenizer == "bert")
        counts: Counter[str] = Counter()
        for text in [texts] if isinstance(texts, str) else texts:
            if not isinstance(text, str):
                raise TypeError(f"[WordTokenizer] texts must be strings, but got {type(text).__name__}")
            normalized = normalizer.normalize(text) if normalizer else text
            counts.update(normalized.translate(parted).split(" "))
        del counts[""]
        for token in special:
            del counts[token]
        words = [word for word, count in counts.items() if count >= min_frequency]
        words.sort(key=lambda word: (-counts[word], word))
        room = None if vocab_size is None else vocab_size - len(special)
        return cls(
            [*special, *words[:room]],
            unk_token=unk_token,
            normalizer=normalizer,
            pre_tokenizer=pre_tokenizer,
            special_tokens=special,
        )

    # -------------------------------------------------------------------------------------------------- decoding

    def _safe_cut(self, text: str | bytes) -> int:
        # Words end at blanks; BERT's normalizer does not look across them, another one may.
        return 0 if self._normalizer is not None else self._last_blank(text)

    def decode_bytes(self, ids: npt.ArrayLike | Iterable[int]) -> bytes:
        """The bytes of ids: words with a space between.

        Raises:
            ValueError: an id without a token.
            TypeError: ids are not integers.
        """
        return b" ".join(self.id_to_token(id_) for id_ in self._id_array(ids).tolist())

    def decode_stream(self, ids: Iterable[int], *, errors: str = "replace") -> Iterator[str]:
        """The text of ids as they come: the joined strings are `decode` of all ids."""
        for i, id_ in enumerate(ids):
            word = self.decode_bytes([id_]).decode("utf-8", errors)
            yield f" {word}" if i else word

    # ----------------------------------------------------------------------------------------------------- files

    @classmethod
    def _from_entry(cls, top: hf.Entry) -> Self:
        model = top.entry("model")
        model.expect("type", "WordLevel")
        vocab = hf.check_vocabulary(model.get("vocab", dict, "an object"), model.error)
        unk_token = model.get("unk_token", str, "a string")
        if unk_token not in vocab:
            raise model.error("unk_token", "in the vocabulary", unk_token)
        added = hf.read_added_tokens(top, vocab)
        splitter = top.entry("pre_tokenizer")
        splitter.expect("type", *_PRE_TOKENIZERS.values())
        top.expect("decoder", None)
        single, pair = templates.read(top, {token.text: token.id for token in added if token.special})
        return cls(
            vocab,
            unk_token=unk_token,
            normalizer=nm.from_dict(top.content.get("normalizer"), f"{top.path}: normalizer"),
            pre_tokenizer="bert" if splitter.content["type"] == "BertPreTokenizer" else "whitespace",
            special_tokens=(),
            added_tokens=added,
            single=single,
            pair=pair,
        )

    def to_dict(self) -> dict[str, Any]:
        """The content of ``tokenizer.json``."""
        return self._file(
            self.normalizer,
            pre_tokenizer={"type": _PRE_TOKENIZERS[self.pre_tokenizer]},
            decoder=None,
            model={"type": "WordLevel", "vocab": self._vocab, "unk_token": self.unk_token},
        )

    def _config(self) -> dict[str, Any]:
        return {**super()._config(), "unk_token": self.unk_token}


class _Parted(dict[int, int | str]):
    """For `str.translate`: white space to spaces, and spaces around punctuation."""

    def __init__(self, split_punctuation: bool) -> None:
        super().__init__()
        self._split_punctuation = split_punctuation

    def __missing__(self, point: int) -> int | str:
        kind = _core.bert_class(point)
        result: int | str = point
        if kind & _SPACE:
            result = " "
        elif kind & _PUNCTUATION and self._split_punctuation:
            result = f" {chr(point)} "
        self[point] = result
        return result
