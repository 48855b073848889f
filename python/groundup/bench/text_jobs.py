"""The jobs of `groundup.bench.peers` about tokenizers; see `groundup.bench.jobs`.

Texts are those that every machine has: the prose and the sources of its own Python's standard library.
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

Repetition = tuple[Callable[[], Any], int]


def documents(n_bytes: int) -> list[str]:
    """About ``n_bytes`` of text as documents: prose, then source files; they repeat where there are too few."""
    from groundup.data import stdlib_text

    found = stdlib_text().text.split("\n\n")
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if {"site-packages", "dist-packages"}.isdisjoint(path.parts):
            found.append(path.read_bytes().decode("utf-8", "ignore"))
    chosen: list[str] = []
    while n_bytes > 0:
        for text in found:
            chosen.append(text)
            n_bytes -= len(text.encode("utf-8"))
            if n_bytes <= 0:
                break
    return chosen


def digest(values: Iterable[object]) -> list[int]:
    """Numbers that differ where any value does."""
    sha = hashlib.sha256()
    for value in values:
        sha.update(repr(value).encode())
    return list(sha.digest()[:8])


def answered(train: Callable[[], Any], answer: Callable[[Any], list[int]]) -> Repetition:
    """A repetition of ``train`` whose answer is taken from the first one alone: it costs, and is not what is timed."""
    answers: list[list[int]] = []

    def repetition() -> Any:
        trained = train()
        if not answers:
            answers.append(answer(trained))
        return answers[0]

    return repetition, 1


# ------------------------------------------------------------------------------------------------------- training


def train_like_tokenizers(side: str, threads: int) -> Repetition:
    """Learn 32,000 merges from 20 MB; GPT-2's pattern; the merges of Hugging Face's tokenizers."""
    texts = documents(20_000_000)
    if side == "groundup":
        return answered(
            _ours(texts, 256 + 32_000, threads, tie_break="huggingface"),
            lambda tokenizer: digest(sorted(tokenizer.to_dict()["model"]["vocab"].items())),
        )
    tokenizers: Any = import_module("tokenizers")
    pre = tokenizers.pre_tokenizers

    def train() -> Any:
        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
        tokenizer.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=256 + 32_000, initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        return tokenizer

    return answered(train, lambda tokenizer: digest(sorted(tokenizer.get_vocab().items())))


def train_like_rustbpe(side: str, threads: int) -> Repetition:
    """The same with the merges of rustbpe."""
    from groundup.text.patterns import PATTERNS

    texts = documents(20_000_000)
    if side == "groundup":
        return answered(_ours(texts, 256 + 32_000, threads, tie_break="rustbpe"), _tokens)
    rustbpe: Any = import_module("rustbpe")

    def train() -> Any:
        tokenizer = rustbpe.Tokenizer()
        tokenizer.train_from_iterator(iter(texts), 256 + 32_000, pattern=PATTERNS["gpt2"])
        return tokenizer

    return answered(
        train, lambda tokenizer: digest(bytes(token) for token, _ in tokenizer.get_mergeable_ranks())
    )


def train_like_minbpe(side: str, threads: int) -> Repetition:
    """Learn 512 merges from 200 kB in one piece, as minbpe's BasicTokenizer does."""
    from groundup.data import stdlib_text

    text = stdlib_text().text[:200_000]
    if side == "groundup":
        return answered(_ours([text], 256 + 512, threads, tie_break="minbpe", pattern="none"), _tokens)
    return answered(lambda: minbpe_train(list(text.encode("utf-8")), 512), digest)


def _ours(texts: Sequence[str], vocab_size: int, threads: int, **options: Any) -> Callable[[], Any]:
    import groundup as gu

    gu.set_num_threads(threads)

    return lambda: gu.text.BPETokenizer.train(texts, vocab_size, progress=False, **options)


def _tokens(tokenizer: Any) -> list[int]:
    return digest(tokenizer.id_to_token(id_) for id_ in range(tokenizer.vocab_size))


def minbpe_train(ids: list[int], n_merges: int) -> list[bytes]:
    """minbpe's algorithm: every pair counted anew before each merge, the first one of the most frequent."""
    vocab = [bytes([byte]) for byte in range(256)]
    for _ in range(n_merges):
        counts: dict[tuple[int, int], int] = {}
        for pair in pairwise(ids):
            counts[pair] = counts.get(pair, 0) + 1
        best = max(counts, key=lambda pair: counts[pair])
        merged, i = [], 0
        while i < len(ids):
            if ids[i] == best[0] and i < len(ids) - 1 and ids[i + 1] == best[1]:
                merged.append(len(vocab))
                i += 2
            else:
                merged.append(ids[i])
                i += 1
        ids = merged
        vocab.append(vocab[best[0]] + vocab[best[1]])
    return vocab
