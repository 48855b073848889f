"""SentencePiece's BPE against the tokenizers package, in files as Llama's are written."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from groundup.data import stdlib_text
from groundup.text import SentencePieceBPETokenizer
from groundup.text import normalize as nm

tokenizers = pytest.importorskip("tokenizers", reason="the peer suite needs the tokenizers package")

CHARS = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
OLD = [c for c in CHARS if unicodedata.ucd_3_2_0.category(c) not in ("Cn", "Co")]
SPECIAL = ["<unk>", "<s>", "</s>"]


def generated(count: int, seed: int, pool: list[str] = CHARS) -> list[str]:
    """Strings over Unicode, words among them, and what files may hold."""
    rng = random.Random(seed)
    ascii_ = list("abcdefghijklmnopqrstuvwxyz     eeetTI.,▁\n")
    names = ["<s>", "</s>", "<0x41>", "the ", "  ", "▁▁", "aaaa"]
    pools = [pool, OLD, ascii_, names]
    return [
        "".join(rng.choice(rng.choices(pools, [1, 2, 12, 1])[0]) for _ in range(rng.randint(0, 40)))
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def text() -> str:
    return stdlib_text().text[:300_000]


@pytest.fixture(scope="module")
def learnt(text: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A vocabulary with bytes, as theirs is trained."""
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    names = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=1500, special_tokens=names, show_progress=False)
    theirs.train_from_iterator(text.splitlines(), trainer)
    model = json.loads(theirs.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"single": ["<s>", "$A"], "pair": ["<s>", "$A", "<s>", "$B"]},
        {"decoder": "plain"},
        {"normalizer": None, "prepend": "first"},
        {"normalizer": None, "prepend": "always", "split": True},
        {"normalizer": None, "prepend": "always", "decoder": "metaspace"},
        {"normalizer": nm.NFKC(), "prepend": "never"},
        {"ignore_merges": True, "normalizer": None, "prepend": "always", "split": True},
        {"byte_fallback": False},
        {"byte_fallback": False, "fuse_unk": False},
    ],
    ids=str,
)
def test_our_file_in_tokenizers(tmp_path: Path, text: str, learnt: Any, options: dict[str, Any]) -> None:
    ours = SentencePieceBPETokenizer(*learnt, special_tokens=SPECIAL, **options)
    ours.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    # The forms of newer characters are those of this Python's Unicode.
    pool = OLD if options.get("normalizer") else CHARS
    texts = [*text.splitlines()[:2000], text[:20_000], *generated(10_000, 3, pool)]
    for line, encoding in zip(texts, theirs.encode_batch(texts), strict=True):
        ids = ours.encode(line, allowed_special="all", add_special_tokens=True)
        assert ids == encoding.ids, ascii(line)
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False), ascii(line)
        assert ours.decode(ids, skip_special_tokens=True) == theirs.decode(ids), ascii(line)
    theirs.save(str(tmp_path / "again.json"))
    assert SentencePieceBPETokenizer.from_file(tmp_path / "again.json") == ours


def test_a_real_llama2c_file(tmp_path: Path, test_data: Path, text: str) -> None:
    ours = SentencePieceBPETokenizer.from_llama2c(test_data / "models" / "tok512.bin")
    ours.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    texts = [*text.splitlines()[:3000], *generated(20_000, 4)]
    for line, encoding in zip(texts, theirs.encode_batch(texts), strict=True):
        assert ours.encode(line, allowed_special="all", add_special_tokens=True) == encoding.ids, ascii(line)
