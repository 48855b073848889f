"""WordPiece and normalization against the tokenizers package."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundup.text import WordPieceTokenizer
from groundup.text import normalize as nm

tokenizers = pytest.importorskip("tokenizers", reason="the peer suite needs the tokenizers package")

CHARS = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
# Where scripts, marks and symbols are: not the ideographs, syllables and private characters that are most of Unicode.
DENSE = [
    c
    for c in CHARS
    if unicodedata.category(c) not in ("Co", "Cn") and unicodedata.name(c, "")[:3] not in ("CJK", "HAN")
]
# Steps follow the Unicode version of the Python that runs: what is new in it, tokenizers may not know.
OLD = [c for c in DENSE if unicodedata.ucd_3_2_0.category(c) != "Cn"]


def random_text(rng: random.Random) -> str:
    """Characters of all of Unicode, of its denser parts and of ASCII, mixed."""
    pools = rng.choices([CHARS, DENSE, "abcdefgh EIT,.-'#1\t"], [1, 2, 2], k=rng.randint(1, 40))
    return "".join(map(rng.choice, pools))


@pytest.fixture(scope="module")
def folder(test_data: Path) -> Path:
    return test_data / "tokenizers" / "bert-uncased"


@pytest.fixture(scope="module")
def ours(folder: Path) -> WordPieceTokenizer:
    return WordPieceTokenizer.from_file(folder / "tokenizer.json")


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def test_ids_of_every_text(ours: WordPieceTokenizer, theirs: Any, test_data: Path) -> None:
    paths = [path for path in sorted((test_data / "text").rglob("*")) if path.is_file()]
    assert len(paths) > 10
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids, path


def test_ids_of_generated_strings(ours: WordPieceTokenizer, theirs: Any) -> None:
    rng = random.Random(5)
    texts = [random_text(rng) for _ in range(100_000)]
    expected = [encoding.ids for encoding in theirs.encode_batch(texts, add_special_tokens=False)]
    got = ours.encode_batch(texts)
    wrong = [text for text, a, b in zip(texts, got, expected, strict=True) if a != b]
    assert not wrong, ascii(wrong[0])


def test_special_tokens_offsets_and_decoding(ours: WordPieceTokenizer, theirs: Any, test_data: Path) -> None:
    texts = [line for line in (test_data / "text" / "moby_2701.txt").read_text().splitlines() if line][:2000]
    texts += (test_data / "text" / "udhr" / "udhr_fra.xml").read_text().splitlines()
    texts += [
        "don't do not you've . ? ! , 's",
        "it is n't 'm",
        "naïve Çà et là [MASK] x",
        "中文 字",
        "de\u0301ja\u0300 vu",
    ]
    for text in texts:
        encoding = theirs.encode(text)
        assert ours.encode(text, allowed_special="all", add_special_tokens=True) == encoding.ids
        ids, spans = ours.encode_with_offsets(text, allowed_special="all")
        assert ids == encoding.ids[1:-1] and spans == encoding.offsets[1:-1]
        assert ours.decode(encoding.ids, skip_special_tokens=True) == theirs.decode(encoding.ids)
        assert ours.decode(encoding.ids) == theirs.decode(encoding.ids, skip_special_tokens=False)
    pair = theirs.encode(texts[0], texts[1])
    assert ours.encode_pair(texts[0], texts[1]) == (pair.ids, pair.type_ids)


@pytest.mark.parametrize(
    "options",
    [
        {"normalizer": nm.BertNormalizer(lowercase=False)},
        {"normalizer": nm.BertNormalizer(clean_text=False, strip_accents=True, lowercase=False)},
        {"normalizer": nm.BertNormalizer(handle_chinese_chars=False, strip_accents=False)},
        {
            "normalizer": nm.Sequence([nm.NFD(), nm.StripAccents(), nm.Lowercase()]),
            "pre_tokenizer": "whitespace",
        },
        {"max_chars_per_word": 4, "cleanup": False},
        {"normalizer": None, "prefix": "@"},
    ],
    ids=str,
)
def test_our_file_in_tokenizers(folder: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    ours = WordPieceTokenizer(WordPieceTokenizer.from_vocab(folder / "vocab.txt").vocab, **options)
    ours.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    rng = random.Random(7)
    for _ in range(3000):
        text = "".join(map(rng.choice, rng.choices([OLD, "abcdefgh EIT,.-'#@1\t"], k=20)))
        expected = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode(text) == expected, ascii(text)
        assert ours.decode(expected) == theirs.decode(expected, skip_special_tokens=False)
    theirs.save(str(tmp_path / "again.json"))
    assert WordPieceTokenizer.from_file(tmp_path / "again.json") == ours


@pytest.mark.parametrize(
    "step",
    [
        nm.BertNormalizer(), nm.BertNormalizer(clean_text=False), nm.BertNormalizer(strip_accents=True),
        nm.Lowercase(), nm.StripAccents(), nm.NFC(), nm.NFD(), nm.NFKC(), nm.NFKD(), nm.CollapseWhitespace(),
        nm.RemoveControl(), nm.Strip(), nm.Replace("a", "bc"), nm.Prepend("▁"),
    ],
    ids=repr,
)  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(
        st.one_of(
            st.sampled_from("aAé\u0301\u0323ﬁ中 \t\x07İΣ가"),
            st.sampled_from([c for c in OLD if ord(c) < 0x800]),
        )
    )
)
def test_steps_equal_theirs(tmp_path: Path, step: nm.Normalizer, text: str) -> None:
    ours = WordPieceTokenizer(["[UNK]"], normalizer=step)
    ours.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json")).normalizer
    assert step.normalize(text) == theirs.normalize_str(text)
