"""Learning a BPE vocabulary from texts: what `BPETokenizer.train` does before there is a tokenizer.

The pieces of the texts are counted as they pass, so memory is bounded by how many distinct ones there are, and a corpus
may be an iterator over something much larger than memory. Then the most frequent pair of neighbouring tokens is merged,
again and again; the algorithm in Python is `groundup.reference.bpe`.

Equally frequent pairs are common, and which one goes first decides all that follows. ``tie_break`` takes the rule of
another library, and numbers the tokens as that one does: special tokens first, then bytes in GPT-2's order
(``"huggingface"``), or the bytes as they are and special tokens last (``"minbpe"``, ``"rustbpe"``).

Not handled: normalization before training, and continuing the training of a vocabulary.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from groundup import _core
from groundup.text import byte_level
from groundup.text.patterns import RegexSplitter, known_pattern
from groundup.text.tokenizer import utf8

TieBreak = Literal["huggingface", "minbpe", "rustbpe"]
#: Show a bar, or not, or call a function with (merges done, merges wanted); by default a bar on a terminal.
Progress = bool | Callable[[int, int], None] | None

_BLOCK = 1 << 22  # bytes of a file read at once
_NAME = "BPETokenizer"

#: Bytes in the order in which GPT-2 numbered them, which is that of the characters they are written as.
GPT2_BYTES = sorted(range(256), key=byte_level.CHARACTERS.__getitem__)


@dataclass(frozen=True)
class Learned:
    """A vocabulary: the bytes of each id (None for special tokens), merges as (left, right, result), special tokens.

    ``counts`` says how often the pair of each merge stood in the texts when it was merged.
    """

    vocab: list[bytes | None]
    merges: npt.NDArray[np.int64]
    counts: npt.NDArray[np.uint64]
    special_tokens: dict[str, int]


class Plan:
    """The checked arguments of a training.

    Raises:
        TypeError, ValueError: an argument is not what it must be; names it.
    """

    def __init__(
        self,
        vocab_size: int,
        pattern: str | Sequence[str],
        special_tokens: Iterable[str],
        min_frequency: int,
        tie_break: str,
    ) -> None:
        self.special_tokens = _checked_special(special_tokens)
        for name, value in (("vocab_size", vocab_size), ("min_frequency", min_frequency)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise TypeError(f"[{_NAME}] {name} must be an int, but got {type(value).__name__}")
        smallest = 256 + len(self.special_tokens)
        if not smallest <= vocab_size < 2**31:
            what = f"{len(self.special_tokens)} special tokens and " if self.special_tokens else ""
            raise ValueError(
                f"[{_NAME}] vocab_size must be at least {smallest} for {what}256 bytes, and below 2**31, "
                f"but got {vocab_size}"
            )
        if min_frequency < 0:
            raise ValueError(f"[{_NAME}] min_frequency must be at least 0, but got {min_frequency}")
        if tie_break not in ("huggingface", "minbpe", "rustbpe"):
            raise ValueError(
                f"[{_NAME}] tie_break must be 'huggingface', 'minbpe' or 'rustbpe', but got {tie_break!r}"
            )
        self.n_merges = int(vocab_size) - smallest
        self.min_frequency = int(min_frequency)
        self.tie_break = tie_break
        patterns = [pattern] if isinstance(pattern, str) else list(pattern)
        known = known_pattern(patterns[0]) if len(patterns) == 1 else None
        self._splitter = None if known else RegexSplitter(patterns)
        self._counter = _core.PieceCounter(known or "none", self.special_tokens)

    # ------------------------------------------------------------------------------------------------ counting

    def add_texts(self, texts: str | bytes | Iterable[str | bytes], progress: Progress) -> None:
        """Count the pieces of a text or of several."""
        if isinstance(texts, str | bytes):
            texts = [texts]
        if not isinstance(texts, Iterable):
            raise TypeError(
                f"[{_NAME}] texts must be a str, bytes, or several of them, but got {type(texts).__name__}"
            )
        with _reading(progress) as read:
            for index, text in enumerate(texts):
                if not isinstance(text, str | bytes):
                    raise TypeError(
                        f"[{_NAME}] texts must be str or bytes, but got {type(text).__name__} as text {index}"
                    )
                self._add_text(text)
                read(self._counter.n_bytes)

    def add_files(
        self, paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], progress: Progress
    ) -> None:
        """Count the pieces of files, each of them one text, read a few megabytes at a time."""
        if isinstance(paths, str | os.PathLike):
            paths = [paths]
        with _reading(progress) as read:
            for path in paths:
                with open(path, "rb") as f:
                    if self._splitter is not None:  # a regular expression wants the whole text
                        self._add_text(f.read())
                        continue
                    while block := f.read(_BLOCK):
                        self._counter.add_block(block)
                        read(self._counter.n_bytes)
                    self._counter.end_text()

    def _add_text(self, text: str | bytes) -> None:
        if self._splitter is None:
            self._counter.add_text(text)
            return
        data = text if isinstance(text, bytes) else utf8(text, _NAME)
        for part in self._without_special(data):
            for begin, end in pairwise([0, *self._splitter.ends(part).tolist()]):
                self._counter.add_piece(part[begin:end])

    def _without_special(self, data: bytes) -> list[bytes]:
        if not self.special_tokens:
            return [data]
        longest_first = sorted(self.special_tokens, key=len, reverse=True)
        return re.split(b"|".join(re.escape(token.encode("utf-8")) for token in longest_first), data)

    # ------------------------------------------------------------------------------------------------ learning

    def learn(self, progress: Progress) -> Learned:
        """Merge pairs until the vocabulary is full or no pair is left."""
        pieces = self._counter.finish()
        if len(pieces) == 0:
            raise ValueError(f"[{_NAME}] texts must hold text besides special tokens, but are empty")
        huggingface = self.tie_break == "huggingface"
        order = GPT2_BYTES if huggingface else list(range(256))
        byte_ids = np.argsort(order).tolist()
        with _merging(progress, self.n_merges) as report:
            pairs, counts = _core.train_bpe(
                pieces, self.n_merges, self.min_frequency, self.tie_break == "minbpe", byte_ids, report
            )
        tokens = [bytes([byte]) for byte in order]
        for left, right in pairs.tolist():
            tokens.append(tokens[left] + tokens[right])
        merges = np.column_stack([pairs, np.arange(256, len(tokens))]).astype(np.int64)
        vocab: list[bytes | None] = [*tokens]
        if huggingface:
            vocab[:0] = [None] * len(self.special_tokens)
            merges += len(self.special_tokens)
        first = 0 if huggingface else len(vocab)
        special = {token: first + i for i, token in enumerate(self.special_tokens)}
        taken = set(tokens)
        for token in special:
            # A tokenizer.json writes both as text: such a special token would be taken for the plain one.
            data = byte_level.to_bytes(token)
            if data in taken:
                raise ValueError(
                    f"[{_NAME}] special tokens must differ from the tokens as a file writes them, but {token!r} "
                    f"stands for {data!r}"
                )
        return Learned(vocab, merges, counts, special)


def _checked_special(special_tokens: Iterable[str]) -> list[str]:
    if isinstance(special_tokens, str | bytes) or not isinstance(special_tokens, Iterable):
        raise TypeError(
            f"[{_NAME}] special_tokens must be several str, but got one {type(special_tokens).__name__}"
        )
    tokens = list(special_tokens)
    for token in tokens:
        if not isinstance(token, str):
            raise TypeError(f"[{_NAME}] special_tokens must be str, but got {type(token).__name__}")
        if not token:
            raise ValueError(f"[{_NAME}] special_tokens must not be empty, but got ''")
        if tokens.count(token) > 1:
            raise ValueError(f"[{_NAME}] special_tokens must differ, but {token!r} is there twice")
        utf8(token, _NAME)
    return tokens


# ------------------------------------------------------------------------------------------------------- progress


def wants_bar(progress: Progress) -> bool:
    """Whether to show a bar."""
    return sys.stderr.isatty() if progress is None else progress is True


@contextlib.contextmanager
def _reading(progress: Progress) -> Iterator[Callable[[int], None]]:
    """What to call with the bytes read so far, every now and then."""
    if not wants_bar(progress):
        yield lambda _: None
        return
    from tqdm import tqdm

    told = time.monotonic()
    with tqdm(unit="B", unit_scale=True, leave=False, desc="counting pieces") as bar:

        def read(n_bytes: int) -> None:
            nonlocal told
            if time.monotonic() - told > 0.1:
                told = time.monotonic()
                bar.update(n_bytes - bar.n)

        yield read


@contextlib.contextmanager
def _merging(progress: Progress, n_merges: int) -> Iterator[Callable[[int], None] | None]:
    """What to call with the number of merges so far, or None."""
    if callable(progress):
        call = progress
        call(0, n_merges)
        yield lambda done: call(done, n_merges)
        return
    if not wants_bar(progress):
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=n_merges, unit="merge", leave=False, desc="merging pairs") as bar:
        yield lambda done: bar.update(done - bar.n) and None
