"""WordPiece in plain Python: what ``cpp/text/wordpiece.cpp`` does, to read.

Training is not here: a vocabulary comes with a model. Encoding looks at one word at a time and takes, from left to
right, the longest token that fits. That is greedy: it finds one way to spell the word, not the shortest.

>>> vocab = {"[UNK]": 0, "un": 1, "##aff": 2, "##able": 3, "##a": 4, "!": 5}
>>> encode("Unaffable!", vocab)
[1, 2, 3, 5]
>>> encode("affable un", vocab)
[0, 1]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from groundup import _core
from groundup.text.normalize import BertNormalizer, Normalizer

_SPACE, _PUNCTUATION = 4, 8  # bits of _core.bert_class


def words(text: str, split_punctuation: bool = True) -> Iterator[str]:
    """BERT's pre-tokenizer: words end at white space, and a punctuation mark is a word of its own."""
    word = ""
    for char in text:
        kind = _core.bert_class(ord(char))
        punctuation = bool(kind & _PUNCTUATION) and split_punctuation
        if kind & _SPACE or punctuation:
            if word:
                yield word
            word = ""
            if punctuation and not kind & _SPACE:
                yield char
        else:
            word += char
    if word:
        yield word


def longest_matches(word: str, vocab: Mapping[str, int], prefix: str = "##") -> Iterator[tuple[str, bool]]:
    """Every token that is tried on a word, and whether it is there. A position without a match ends it."""
    start = 0
    while start < len(word):
        for end in range(len(word), start, -1):
            token = (prefix if start else "") + word[start:end]
            yield token, token in vocab
            if token in vocab:
                start = end
                break
        else:
            return


def encode_word(
    word: str, vocab: Mapping[str, int], unknown: str = "[UNK]", prefix: str = "##", max_chars: int = 100
) -> list[str]:
    """The tokens of a word: all of it, or the unknown token alone."""
    if len(word) > max_chars:
        return [unknown]
    found = [token for token, matches in longest_matches(word, vocab, prefix) if matches]
    spelt = "".join(token.removeprefix(prefix) if i else token for i, token in enumerate(found))
    return found if spelt == word else [unknown]


def encode(
    text: str,
    vocab: Mapping[str, int],
    *,
    unknown: str = "[UNK]",
    prefix: str = "##",
    max_chars: int = 100,
    normalizer: Normalizer | None = None,
    split_punctuation: bool = True,
) -> list[int]:
    """The ids of a text; ``normalizer`` None is BERT's with its defaults."""
    normalized = (normalizer or BertNormalizer()).normalize(text)
    return [
        vocab[token]
        for word in words(normalized, split_punctuation)
        for token in encode_word(word, vocab, unknown, prefix, max_chars)
    ]
