"""Statistics of vocabularies, against counts by hand and against the plain definition."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from groundup.data import stdlib_text
from groundup.text import BPETokenizer, WordPieceTokenizer, statistics


def test_counts() -> None:
    tokenizer = BPETokenizer.train("low lower lowest", 262, special_tokens=["<end>"])
    texts = {"one": "lower 字", "two": "low\n"}
    result = statistics.measure(tokenizer, texts)
    one, two = result.texts
    assert (one.n_words, one.n_characters, one.n_bytes) == (2, 7, 9)
    ids = {name: tokenizer.encode(text) for name, text in texts.items()}
    assert one.n_tokens == len(ids["one"]) and one.n_distinct == len(set(ids["one"]))
    assert one.bytes_per_token == 9 / len(ids["one"]) and two.fertility == len(ids["two"])
    counted = Counter(ids["one"] + ids["two"])
    assert {id_: n for id_, n in enumerate(result.counts.tolist()) if n} == counted
    # The special token is no text, so it is not missed.
    assert set(result.never_used) == set(range(1, tokenizer.vocab_size)) - set(counted)


def test_special_tokens_in_the_text_are_text() -> None:
    tokenizer = BPETokenizer.train("low", 257, special_tokens=["<end>"])
    assert statistics.measure(tokenizer, "<end>").texts[0].n_tokens == 5


def test_any_tokenizer_and_empty_text() -> None:
    words = WordPieceTokenizer(["[UNK]", "low", "##er"])
    assert statistics.measure(words, "lower low").texts[0].fertility == 1.5
    row = statistics.measure(words, "").texts[0]
    assert row.n_tokens == 0 and math.isnan(row.bytes_per_token) and math.isnan(row.fertility)


def test_most_used() -> None:
    tokenizer = BPETokenizer.train("x", 256)
    assert statistics.most_used(tokenizer, statistics.measure(tokenizer, "b aab"), 9) == [
        ("a", 2),
        ("b", 2),
        ("␣", 1),
    ]


def test_a_smaller_vocabulary_is_the_start_of_a_larger_one() -> None:
    text = stdlib_text().text
    learn, unseen = text[:100_000], text[-20_000:]
    sizes = [2000, 256, 700]
    effects = statistics.vocabulary_effect(learn, unseen, sizes, tie_break="minbpe")
    assert [effect.vocab_size for effect in effects] == sorted(sizes)
    for effect in effects:
        alone = BPETokenizer.train(learn, effect.vocab_size, tie_break="minbpe")
        assert effect.n_tokens == len(alone.encode(unseen))
    assert effects[0].bytes_per_token == 1 < effects[1].bytes_per_token < effects[2].bytes_per_token


def test_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    effects = statistics.vocabulary_effect("low lower lowest", "slower", [256, 258, 260])
    figure = statistics.plot_vocabulary_effect(effects, tmp_path / "effect.png")
    assert (tmp_path / "effect.png").stat().st_size > 1000
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [256, 258, 260]
    assert line.get_ydata().tolist() == [effect.bytes_per_token for effect in effects]


def test_bad_input() -> None:
    tokenizer = BPETokenizer.train("x", 256)
    with pytest.raises(ValueError, match=r"\[statistics\] texts must hold at least one, but got none"):
        statistics.measure(tokenizer, {})
    with pytest.raises(TypeError, match=r"\[statistics\] texts must be str, but got bytes for 'a'"):
        statistics.measure(tokenizer, {"a": b"x"})  # type: ignore[dict-item]
    for sizes in ([], [255, 300]):
        with pytest.raises(ValueError, match=r"\[statistics\] sizes must be at least one, of 256 or more"):
            statistics.vocabulary_effect("a b", "c", sizes)
    with pytest.raises(ValueError, match=r"\[statistics\] unseen must hold text"):
        statistics.vocabulary_effect("a b", "", [256])
    with pytest.raises(TypeError, match="without special_tokens"):
        statistics.vocabulary_effect("a b", "c", [256], special_tokens=["x"])
