"""The word tokenizer."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.reference.wordpiece import words
from groundup.text import WordTokenizer
from groundup.text import normalize as nm

TEXT = st.text(
    st.one_of(st.sampled_from("aab é,.日## \n\t"), st.characters(exclude_categories=["Cs"])), max_size=40
)


@pytest.mark.parametrize("pre_tokenizer", ["bert", "whitespace"])
@given(
    st.lists(TEXT, min_size=1, max_size=4), TEXT, st.integers(1, 3), st.one_of(st.none(), st.integers(1, 8))
)
def test_vocabulary_and_ids(
    pre_tokenizer: Any, texts: list[str], other: str, min_frequency: int, vocab_size: int | None
) -> None:
    tokenizer = WordTokenizer.train(
        texts, vocab_size, min_frequency=min_frequency, pre_tokenizer=pre_tokenizer
    )
    split = pre_tokenizer == "bert"
    counts = Counter(word for text in texts for word in words(text, split) if word != "<unk>")
    kept = sorted((-n, word) for word, n in counts.items() if n >= min_frequency)
    if vocab_size is not None:
        kept = kept[: vocab_size - 1]
    assert tokenizer.vocab == {"<unk>": 0} | {word: i for i, (_, word) in enumerate(kept, 1)}
    for text in [*texts, other]:
        expected = [tokenizer.vocab.get(word, 0) for word in words(text, split)]
        assert tokenizer.encode_ordinary(text) == expected == tokenizer.encode_ordinary(text.encode())
        ids, spans = tokenizer.encode_with_offsets(text, disallowed_special=())
        assert ids == expected and [text[a:b] for a, b in spans] == list(words(text, split))
    assert tokenizer.encode_batch(texts, disallowed_special=()) == [
        tokenizer.encode_ordinary(text) for text in texts
    ]
    joined = list(tokenizer.encode_iterable([*texts, other], disallowed_special=()))
    assert joined == tokenizer.encode_ordinary("".join([*texts, other]))


def test_by_hand() -> None:
    tokenizer = WordTokenizer.train(["a b, a", "c a b"], special_tokens=["<pad>", "<unk>", "<s>"])
    assert list(tokenizer.vocab) == ["<pad>", "<unk>", "<s>", "a", "b", ",", "c"]
    ids = tokenizer.encode("<s>a,x b", allowed_special="all")
    assert ids == [2, 3, 5, 1, 4]
    assert tokenizer.decode(ids) == "<s> a , <unk> b" == "".join(tokenizer.decode_stream(ids))
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a , b"
    with pytest.raises(ValueError, match="got '<s>' at position 1"):
        tokenizer.encode("a<s>")
    lower = WordTokenizer.train("A a", normalizer=nm.Lowercase())
    assert lower.encode("A b a") == [1, 0, 1]
    bert = WordTokenizer.train("Café 中国", normalizer=nm.BertNormalizer())
    assert bert.encode("CAFE cafe\u0301国") == [1, 1, bert.vocab["国"]] and list(bert.vocab)[1:] == [
        "cafe",
        "中",
        "国",
    ]
    assert WordTokenizer.train("", None).vocab == {"<unk>": 0}
    assert tokenizer.encode("b" * 1_000_000) == [1]


def test_files_round_trip(tmp_path: Path) -> None:
    for options in ({}, {"pre_tokenizer": "whitespace"}, {"normalizer": nm.NFC()}):
        tokenizer = WordTokenizer.train("a b, c a", **options)
        tokenizer.save_pretrained(tmp_path)
        loaded = WordTokenizer.load(tmp_path / "tokenizer.json")
        assert loaded == tokenizer == pickle.loads(pickle.dumps(tokenizer))
        assert loaded.encode("a, x") == tokenizer.encode("a, x")


def change(path: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    def apply(content: dict[str, Any]) -> Any:
        *parents, last = path.split(".")
        entry: Any = content
        for key in parents:
            entry = entry[key]
        entry[last] = value
        return content

    return apply


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change("model.type", "BPE"), "model.type must be 'WordLevel'"),
        (change("model.vocab.a", 0), "model.vocab must be tokens with an id of their own"),
        (change("model.unk_token", None), "model.unk_token must be a string"),
        (change("model.unk_token", "?"), "model.unk_token must be in the vocabulary"),
        (change("pre_tokenizer", {"type": "Whitespace"}), "pre_tokenizer.type must be 'BertPreTokenizer' or"),
        (change("decoder", {"type": "Fuse"}), "decoder must be None"),
    ],
)
def test_bad_files(tmp_path: Path, edit: Callable[[Any], Any], message: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(edit(copy.deepcopy(WordTokenizer.train("a b").to_dict()))))
    with pytest.raises(ValueError) as caught:
        WordTokenizer.from_file(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 0}, "vocab_size must be at least 1"),
        ({"unk_token": "?"}, "unk_token must be one of special_tokens"),
        ({"pre_tokenizer": "x"}, "pre_tokenizer must be 'bert' or 'whitespace'"),
        ({"texts": "a \ud800"}, "vocab must be tokens of Unicode"),
    ],
)
def test_bad_training(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"[WordTokenizer] {message}")):
        WordTokenizer.train(**{"texts": "a", **options})
    with pytest.raises(TypeError, match="texts must be strings, but got int"):
        WordTokenizer.train([3])  # type: ignore[list-item]
