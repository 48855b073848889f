"""Unigram against the tokenizers package: the same ids from one file, and vocabularies as good as its own."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from groundup.data import stdlib_text
from groundup.text import UnigramTokenizer
from groundup.text import normalize as nm

tokenizers = pytest.importorskip("tokenizers", reason="the peer suite needs the tokenizers package")

CHARS = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
OLD = [c for c in CHARS if unicodedata.ucd_3_2_0.category(c) not in ("Cn", "Co")]
OLD_SET = set(OLD)
SPECIAL = ["<unk>", "<s>", "</s>"]


@pytest.fixture(scope="module")
def text() -> str:
    return stdlib_text().text[:400_000]


def generated(count: int, seed: int) -> list[str]:
    """Strings over Unicode, words among them, and what files may hold."""
    rng = random.Random(seed)
    ascii_ = "abcdefghijklmnopqrstuvwxyz     eeetTI.,▁\n"
    special = ["<s>", "</s>", "<unk>", "<0x41>", "the ", "  ", "▁▁"]
    return [
        "".join(
            rng.choice(rng.choices([CHARS, OLD, ascii_, special], [1, 2, 12, 1])[0])
            for _ in range(rng.randint(0, 30))
        )
        for _ in range(count)
    ]


def their_offsets_are_ours(ours: UnigramTokenizer, theirs: Any, text: str) -> None:
    encoding = theirs.encode(text)
    ids, spans = ours.encode_with_offsets(text, allowed_special="all")
    assert ids == encoding.ids
    for (start, end), (a, b) in zip(spans, encoding.offsets, strict=True):
        # A mark that was put in stands for nothing here, for the character after it there.
        assert (start, end) == (a, b) or start == end == a


@pytest.mark.parametrize(
    "options",
    [
        {}, {"byte_fallback": True}, {"prepend": "first"}, {"prepend": "never", "byte_fallback": True}, {"words": True},
        {"normalizer": nm.Sequence([nm.NFKC(), nm.Lowercase()])},
    ],
    ids=str,
)  # fmt: skip
def test_our_file_in_tokenizers(tmp_path: Path, text: str, options: dict[str, Any]) -> None:
    ours = UnigramTokenizer.train(text[:200_000], 1500, special_tokens=SPECIAL, **options)
    ours.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.get_vocab_size() == ours.vocab_size == 1500
    texts = [*text.splitlines()[:3000], text[:20_000], *generated(10_000, 1)]
    if "normalizer" in options:  # the forms of newer characters are those of this Python's Unicode
        texts = ["".join(c for c in line if c in OLD_SET) for line in texts]
    for line, encoding in zip(texts, theirs.encode_batch(texts), strict=True):
        assert ours.encode(line, allowed_special="all") == encoding.ids, ascii(line)
        assert ours.decode(encoding.ids) == theirs.decode(encoding.ids, skip_special_tokens=False), ascii(
            line
        )
    theirs.save(str(tmp_path / "again.json"))
    again = UnigramTokenizer.from_file(tmp_path / "again.json")
    # They read numbers to the last bit but one.
    assert dict(again.pieces) == pytest.approx(dict(ours.pieces), rel=1e-14)
    ours.pieces = again.pieces
    assert again == ours


def test_offsets(tmp_path: Path, text: str) -> None:
    ours = UnigramTokenizer.train(text[:100_000], 1000, special_tokens=SPECIAL)
    ours.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for line in [*text.splitlines()[:500], "é  日本 ☃☃ x", "a<s> b"]:
        their_offsets_are_ours(ours, theirs, line)


def trained_by_them(lines: list[str], size: int) -> Any:
    theirs = tokenizers.Tokenizer(tokenizers.models.Unigram())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    theirs.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=size, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False
    )
    theirs.train_from_iterator(lines, trainer)
    return theirs


def test_their_file_and_their_vocabulary(tmp_path: Path, text: str) -> None:
    lines = text.splitlines()
    theirs = trained_by_them(lines, 2000)
    theirs.save(str(tmp_path / "tokenizer.json"))
    loaded = UnigramTokenizer.from_file(tmp_path / "tokenizer.json")
    texts = [*lines, *generated(20_000, 2)]
    for line, encoding in zip(texts, theirs.encode_batch(texts), strict=True):
        assert loaded.encode(line, allowed_special="all") == encoding.ids, ascii(line)

    # Ours of the same size spells the text in about as few pieces, and as probably.
    ours = UnigramTokenizer.train(lines, loaded.vocab_size)
    ids, their_ids = ours.encode(text), loaded.encode(text)
    assert len(ids) < 1.02 * len(their_ids)
    assert ours.score(ids) > 1.02 * loaded.score(their_ids)  # both are negative
