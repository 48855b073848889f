"""Training against Hugging Face's tokenizers, rustbpe and the algorithm of minbpe: same merges, same ids."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.data import stdlib_text
from groundup.text import BPETokenizer
from groundup.text.patterns import PATTERNS

tokenizers = pytest.importorskip("tokenizers", reason="the peer suite needs the tokenizers package")
regex = pytest.importorskip("regex", reason="the peer suite needs the regex package")

#: English prose, verse, names, Chinese, Hindi, Arabic, emoji.
TEXTS = [
    "text/moby_2701.txt", "text/tinyshakespeare.txt", "text/names.txt",
    "text/zh_tang300.json", "text/udhr/udhr_hin.xml", "text/udhr/udhr_arb.xml",
    "text/emoji-test.txt",
]  # fmt: skip


def read(folder: Path, name: str) -> str:
    return (folder / name).read_bytes().decode("utf-8")


# ------------------------------------------------------------------------------------------------------- tokenizers


def train_theirs(
    texts: list[str], vocab_size: int, pattern: str = "gpt2", special: tuple[str, ...] = (), min_frequency: int = 0
) -> Any:  # fmt: skip
    pre = tokenizers.pre_tokenizers
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    if pattern == "gpt2":
        tokenizer.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
    else:
        split = pre.Split(tokenizers.Regex(PATTERNS[pattern]), "isolated")
        tokenizer.pre_tokenizer = pre.Sequence(
            [split, pre.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=list(special),
        initial_alphabet=pre.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def assert_same_vocabulary(ours: BPETokenizer, theirs: Any) -> None:
    model, expected = ours.to_dict()["model"], json.loads(theirs.to_str())["model"]
    merges = [" ".join(m) if isinstance(m, list) else m for m in expected["merges"]]
    assert model["merges"] == merges
    assert model["vocab"] == expected["vocab"]


@pytest.mark.parametrize("vocab_size", [257, 1000, 8000])
@pytest.mark.parametrize("name", TEXTS)
def test_same_merges_as_tokenizers(test_data: Path, name: str, vocab_size: int) -> None:
    text = read(test_data, name)
    assert_same_vocabulary(BPETokenizer.train(text, vocab_size), train_theirs([text], vocab_size))


@pytest.mark.parametrize("pattern", ["cl100k_old", "qwen2", "o200k", "whitespace"])
def test_same_merges_for_other_patterns(test_data: Path, pattern: str) -> None:
    text = read(test_data, "text/sherlock_1661.txt") + read(test_data, "text/udhr/udhr_rus.xml")
    ours = BPETokenizer.train(text, 3000, pattern=pattern)
    assert_same_vocabulary(ours, train_theirs([text], 3000, pattern))


def test_same_merges_for_several_texts_with_special_tokens() -> None:
    texts = stdlib_text().text[:400_000].split("\n\n")
    special = ("<|endoftext|>", "<pad>")
    ours = BPETokenizer.train(texts, 2000, special_tokens=special, min_frequency=3)
    assert_same_vocabulary(ours, train_theirs(texts, 2000, "gpt2", special, 3))


@given(st.lists(st.text(alphabet="aab c'sé字\n", max_size=60), min_size=1, max_size=4), st.integers(256, 330))
@settings(max_examples=200)
def test_same_merges_for_short_texts(texts: list[str], vocab_size: int) -> None:
    if any(texts):
        assert_same_vocabulary(BPETokenizer.train(texts, vocab_size), train_theirs(texts, vocab_size))


@pytest.mark.parametrize("tie_break", ["huggingface", "minbpe"])
@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k", "whitespace", "none"])
def test_a_trained_file_gives_the_same_ids_in_tokenizers(
    tmp_path: Path, pattern: str, tie_break: Any
) -> None:
    text = stdlib_text().text
    learned_from = text[:60_000] if pattern == "none" else text[:600_000]
    ours = BPETokenizer.train(
        learned_from, 1500, pattern=pattern, special_tokens=["<|endoftext|>"], tie_break=tie_break
    )
    ours.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    unseen = text[-20_000:] + "<|endoftext|>Größe 字は  \r\n\t'S don't 12345 \U0001f600"
    ids = ours.encode(unseen, allowed_special="all")
    assert theirs.encode(unseen).ids == ids
    assert theirs.decode(ids, skip_special_tokens=False) == unseen == ours.decode(ids)


def test_a_trained_folder_loads_in_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the transformers package")
    text = stdlib_text().text
    ours = BPETokenizer.train(text[:200_000], 1000, special_tokens=["<|endoftext|>"])
    ours.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    unseen = text[-5_000:] + " don 't  \n"
    ids = ours.encode(unseen)
    assert theirs(unseen)["input_ids"] == ids and theirs.decode(ids) == unseen


# ---------------------------------------------------------------------------------------------------------- rustbpe


@pytest.mark.parametrize("name", TEXTS)
def test_same_merges_as_rustbpe(test_data: Path, name: str) -> None:
    rustbpe = pytest.importorskip("rustbpe", reason="needs the rustbpe package")
    text = read(test_data, name)
    theirs = rustbpe.Tokenizer()
    theirs.train_from_iterator(iter([text]), 3000, pattern=PATTERNS["gpt2"])
    ours = BPETokenizer.train(text, 3000, tie_break="rustbpe")
    ranks = {bytes(token): rank for token, rank in theirs.get_mergeable_ranks()}
    assert {ours.id_to_token(id_): id_ for id_ in range(ours.vocab_size)} == ranks


# ----------------------------------------------------------------------------------------------------------- minbpe


def minbpe(chunks: list[bytes], n_merges: int) -> list[tuple[bytes, bytes]]:
    """minbpe's training, as published: all chunks of the text in a row, every pair counted anew for each merge.

    Of equally frequent pairs `max` takes the first one that the dictionary was given.
    """
    ids = [list(chunk) for chunk in chunks]
    vocab = {byte: bytes([byte]) for byte in range(256)}
    learned = []
    for new_id in range(256, 256 + n_merges):
        counts: dict[tuple[int, int], int] = {}
        for chunk in ids:
            for pair in pairwise(chunk):
                counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        best = max(counts, key=lambda pair: counts[pair])
        for k, chunk in enumerate(ids):
            merged, i = [], 0
            while i < len(chunk):
                if i + 1 < len(chunk) and (chunk[i], chunk[i + 1]) == best:
                    merged.append(new_id)
                    i += 2
                else:
                    merged.append(chunk[i])
                    i += 1
            ids[k] = merged
        vocab[new_id] = vocab[best[0]] + vocab[best[1]]
        learned.append((vocab[best[0]], vocab[best[1]]))
    return learned


def learned_by(tokenizer: BPETokenizer) -> list[tuple[bytes, bytes]]:
    return [
        (tokenizer.id_to_token(left), tokenizer.id_to_token(right))
        for left, right, _ in tokenizer.merges.tolist()
    ]


@pytest.mark.parametrize(
    "name", ["text/the-verdict.txt", "text/udhr/udhr_hin.xml", "text/zh_lunyu.json", "text/emoji-test.txt"]
)
@pytest.mark.parametrize("pattern", ["gpt2", "none"])  # RegexTokenizer and BasicTokenizer
def test_same_merges_as_minbpe(test_data: Path, name: str, pattern: str) -> None:
    text = read(test_data, name)[:20_000]
    chunks = regex.findall(PATTERNS[pattern], text)
    ours = BPETokenizer.train(text, 256 + 150, pattern=pattern, tie_break="minbpe")
    assert learned_by(ours) == minbpe([chunk.encode() for chunk in chunks], 150)
    assert [ours.id_to_token(i) for i in range(256)] == [bytes([byte]) for byte in range(256)]


@given(
    st.lists(st.text(alphabet="aab c'sé字\n", min_size=1, max_size=60), min_size=1, max_size=3),
    st.integers(1, 60),
)
@settings(max_examples=300)
def test_same_merges_as_minbpe_for_short_texts(texts: list[str], n_merges: int) -> None:
    for pattern in ("gpt2", "none"):
        chunks = [chunk.encode() for text in texts for chunk in regex.findall(PATTERNS[pattern], text)]
        ours = BPETokenizer.train(texts, 256 + n_merges, pattern=pattern, tie_break="minbpe")
        assert learned_by(ours) == minbpe(chunks, n_merges)
