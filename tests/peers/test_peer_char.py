"""Our character tokenizer's file in the tokenizers and transformers packages."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundup.data import stdlib_text
from groundup.text import CharTokenizer

tokenizers = pytest.importorskip("tokenizers", reason="the peer suite needs the tokenizers package")
transformers = pytest.importorskip("transformers", reason="the peer suite needs the transformers package")

ODD = "é\r\n\t\0日𝄞 ' 's n't  \u2028\u00a0\ufeff"


@pytest.fixture(scope="module")
def text() -> str:
    return stdlib_text().text[:300_000] + ODD


@pytest.mark.parametrize("unk", [False, True])
def test_same_ids_and_same_text(tmp_path: Path, text: str, unk: bool) -> None:
    ours = CharTokenizer.train(text, unk=unk)
    ours.save_pretrained(tmp_path)
    ids = ours.encode(text)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.get_vocab_size() == ours.vocab_size
    assert theirs.encode(text).ids == ids and theirs.decode(ids) == text
    fast = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for tokenizer in (fast, auto):
        assert tokenizer(text)["input_ids"] == ids and tokenizer.decode(ids) == text


def test_unknown_characters(tmp_path: Path) -> None:
    strict, lenient = CharTokenizer.train("ab"), CharTokenizer.train("ab", unk=True)
    strict.save(tmp_path / "strict.json")
    lenient.save(tmp_path / "lenient.json")
    with pytest.raises(Exception, match="UNK"):
        tokenizers.Tokenizer.from_file(str(tmp_path / "strict.json")).encode("axb")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "lenient.json"))
    assert theirs.encode("axb").ids == lenient.encode("axb")
    assert theirs.decode(theirs.encode("axb").ids) == lenient.decode(lenient.encode("axb")) == "a\ufffdb"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text(tmp_path: Path, text: str) -> None:
    ours = CharTokenizer.train(text)
    ours.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ids = ours.encode(text)
    assert theirs.encode(text).ids == ids and theirs.decode(ids) == text


def test_their_file_written_anew_loads(tmp_path: Path) -> None:
    ours = CharTokenizer.train("to be\nor not")
    ours.save(tmp_path / "ours.json")
    tokenizers.Tokenizer.from_file(str(tmp_path / "ours.json")).save(str(tmp_path / "theirs.json"))
    assert CharTokenizer.load(tmp_path / "theirs.json") == ours
