"""What a vocabulary makes of texts: bytes a token, tokens a word, tokens that are never used, and what its size does.

More bytes a token mean shorter sequences, so a model sees more text in the same context and pays less for it. Languages
of which the training texts held little come out worse: the same sentence costs more tokens.

Not handled: words of languages that put no white space between them; their *fertility* is tokens a stretch of text
without white space and says little.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from groundup.text.view import readable

if TYPE_CHECKING:
    from groundup.text.bpe import BPETokenizer
    from groundup.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class TextStatistics:
    """Counts of one text.

    Attributes:
        name: of the text, such as its language.
        n_tokens, n_words, n_characters, n_bytes: words are what white space separates, bytes those of UTF-8.
        n_distinct: how many different tokens occur.
    """

    name: str
    n_tokens: int
    n_words: int
    n_characters: int
    n_bytes: int
    n_distinct: int

    @property
    def bytes_per_token(self) -> float:
        """How much text a token holds."""
        return self.n_bytes / self.n_tokens if self.n_tokens else float("nan")

    @property
    def fertility(self) -> float:
        """Tokens a word."""
        return self.n_tokens / self.n_words if self.n_words else float("nan")


@dataclass(frozen=True)
class Statistics:
    """What a tokenizer makes of several texts. Printing gives a table.

    Attributes:
        texts: a row for each text.
        counts: how often each id occurs in all of them.
        never_used: ids of tokens that occur in none, special tokens left out.
    """

    texts: tuple[TextStatistics, ...]
    counts: npt.NDArray[np.int64]
    never_used: tuple[int, ...]

    def __str__(self) -> str:
        width = max(4, *(len(row.name) for row in self.texts))
        lines = [f"{'text':{width}}  {'bytes':>11}  {'tokens':>11}  bytes a token  tokens a word"]
        lines += [
            f"{row.name:{width}}  {row.n_bytes:11,}  {row.n_tokens:11,}  {row.bytes_per_token:13.2f}  "
            f"{row.fertility:13.2f}"
            for row in self.texts
        ]
        used = int((self.counts > 0).sum())
        return "\n".join([*lines, f"{used:,} tokens are used, {len(self.never_used):,} never"])


def measure(tokenizer: Tokenizer, texts: str | Mapping[str, str]) -> Statistics:
    """Count what ``tokenizer`` makes of a text, or of several by name.

    Raises:
        TypeError: a text is no str.
        ValueError: there is no text.

    >>> from groundup.text import BPETokenizer
    >>> tokenizer = BPETokenizer.train("low lower lowest", 262)
    >>> print(measure(tokenizer, {"known": "lower low", "new": "owls"}))
    text         bytes       tokens  bytes a token  tokens a word
    known            9            4           2.25           2.00
    new              4            4           1.00           4.00
    8 tokens are used, 254 never
    """
    named = {"text": texts} if isinstance(texts, str) else dict(texts)
    if not named:
        raise ValueError("[statistics] texts must hold at least one, but got none")
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    rows = []
    for name, text in named.items():
        if not isinstance(text, str):
            raise TypeError(f"[statistics] texts must be str, but got {type(text).__name__} for {name!r}")
        ids = tokenizer.encode_to_numpy(text, disallowed_special=())
        here = np.bincount(ids, minlength=tokenizer.vocab_size)
        counts += here
        n_bytes = len(text.encode("utf-8"))
        rows.append(
            TextStatistics(name, len(ids), len(text.split()), len(text), n_bytes, int((here > 0).sum()))
        )
    special = set(tokenizer.special_tokens.values())
    unused = (id_ for id_ in np.flatnonzero(counts == 0).tolist() if id_ not in special)
    return Statistics(tuple(rows), counts, tuple(unused))


def most_used(tokenizer: Tokenizer, statistics: Statistics, n: int = 20) -> list[tuple[str, int]]:
    """The ``n`` most frequent tokens, readable, with how often they occur; equals in the order of ids.

    >>> from groundup.text import BPETokenizer
    >>> tokenizer = BPETokenizer.train("low lower lowest", 259)
    >>> most_used(tokenizer, measure(tokenizer, "low low low"), 2)
    [('␣low', 2), ('low', 1)]
    """
    order = np.argsort(-statistics.counts, kind="stable")[:n].tolist()
    return [
        (readable(tokenizer.id_to_token(id_), "␣"), int(statistics.counts[id_]))
        for id_ in order
        if statistics.counts[id_]
    ]


# ------------------------------------------------------------------------------------------------- vocabulary size


@dataclass(frozen=True)
class SizeEffect:
    """A text under a vocabulary of one size.

    Attributes:
        vocab_size: its tokens.
        n_tokens, n_bytes: of the text.
        n_distinct: how many different tokens the text uses.
    """

    vocab_size: int
    n_tokens: int
    n_bytes: int
    n_distinct: int

    @property
    def bytes_per_token(self) -> float:
        """How much text a token holds."""
        return self.n_bytes / self.n_tokens


def vocabulary_effect(
    texts: str | Iterable[str],
    unseen: str,
    sizes: Sequence[int] = (256, 512, 1024, 2048, 4096, 8192, 16384),
    **options: Any,
) -> list[SizeEffect]:
    """How long ``unseen`` is in tokens under vocabularies of several sizes, all learned from ``texts``.

    One training gives them all, as a smaller vocabulary holds the first merges of a larger one. Sizes beyond the last
    pair of the texts come out as the largest there is.

    Args:
        unseen: a text that is not among ``texts``, or the largest vocabulary looks better than it is.
        options: as for `BPETokenizer.train`, but no special tokens.

    Raises:
        ValueError: no size or no text, or a size below 256.

    >>> [(e.vocab_size, e.n_tokens) for e in vocabulary_effect("low lower lowest", "slower", [256, 257, 258, 300])]
    [(256, 6), (257, 5), (258, 4), (263, 4)]
    """
    if not sizes or min(sizes) < 256:
        raise ValueError(f"[statistics] sizes must be at least one, of 256 or more, but got {list(sizes)}")
    if not unseen:
        raise ValueError("[statistics] unseen must hold text, but is empty")
    if "special_tokens" in options:
        raise TypeError("[statistics] vocabularies of several sizes are compared without special_tokens")
    from groundup.text.bpe import BPETokenizer

    largest = BPETokenizer.train(texts, max(sizes), **options)
    n_bytes = len(unseen.encode("utf-8"))
    effects: dict[int, SizeEffect] = {}
    for size in sorted(sizes):
        tokenizer = _first(largest, min(size, largest.vocab_size))
        ids = tokenizer.encode_to_numpy(unseen)
        effects[tokenizer.vocab_size] = SizeEffect(
            tokenizer.vocab_size, len(ids), n_bytes, len(np.unique(ids))
        )
    return list(effects.values())


def _first(tokenizer: BPETokenizer, size: int) -> BPETokenizer:
    """The tokenizer of the first ``size`` tokens."""
    vocab = [tokenizer.id_to_token(id_) for id_ in range(size)]
    return type(tokenizer)(vocab, tokenizer.merges[: size - 256], pattern=tokenizer.pattern)


def plot_vocabulary_effect(effects: Sequence[SizeEffect], path: str | os.PathLike[str] | None = None) -> Any:
    """Draw `vocabulary_effect`: bytes a token over vocabulary size, and the share of the vocabulary that was used.

    Args:
        path: also write a picture there.

    Returns:
        The matplotlib figure.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from groundup import plot

    sizes = [effect.vocab_size for effect in effects]
    picture, (left, right) = plot.figure(2, (8.4, 3.6))
    plot.lines(
        sizes, {"bytes a token": [effect.bytes_per_token for effect in effects]}, title="Text a token holds",
        xlabel="vocabulary size", ylabel="bytes a token", logx=True, ax=left,
    )  # fmt: skip
    plot.lines(
        sizes, {"share": [effect.n_distinct / effect.vocab_size for effect in effects]},
        title="Vocabulary that the text uses", xlabel="vocabulary size", ylabel="share", logx=True, ax=right,
    )  # fmt: skip
    right.set_ylim(0, 1.04)
    for axes in (left, right):
        axes.tick_params(axis="x", rotation=45)
    if path is not None:
        picture.savefig(path)
    return picture
