"""The character tokenizer."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.text import CharTokenizer, WordTokenizer, load

# Everything a file can hold: no lone surrogates.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def test_ids_follow_code_points() -> None:
    tokenizer = CharTokenizer.train("banana\n")
    assert tokenizer.vocab == ("\n", "a", "b", "n")
    assert tokenizer.encode("nab\n") == [3, 1, 2, 0]
    assert tokenizer.encode("") == [] and tokenizer.decode([]) == ""
    assert len(tokenizer) == tokenizer.vocab_size == 4


@given(TEXT)
def test_round_trip(text: str) -> None:
    tokenizer = CharTokenizer.train(text)
    ids = tokenizer.encode_to_numpy(text)
    assert ids.dtype == np.uint32 and len(ids) == len(text) and tokenizer.encode(text) == ids.tolist()
    assert tokenizer.decode(ids) == text == tokenizer.decode(ids.tolist())
    assert [tokenizer.vocab[i] for i in ids] == list(text)


@given(TEXT, TEXT)
def test_unknown_characters(text: str, other: str) -> None:
    unknown = [i for i, char in enumerate(other) if char not in text]
    strict, lenient = CharTokenizer.train(text), CharTokenizer.train(text, unk=True)
    expected = "".join(char if char in text else "\ufffd" for char in other)
    assert lenient.decode(lenient.encode(other)) == expected
    if unknown:
        with pytest.raises(ValueError) as caught:
            strict.encode(other)
        char = other[unknown[0]]
        assert f"{char!r} (U+{ord(char):04X}) at position {unknown[0]}" in str(caught.value)
    else:
        assert strict.decode(strict.encode(other)) == other


@given(TEXT, st.booleans())
def test_files_round_trip(tmp_path_factory: pytest.TempPathFactory, text: str, unk: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "tokenizer.json"
    tokenizer = CharTokenizer.train(text, unk=unk)
    tokenizer.save(path)
    loaded = CharTokenizer.load(path)
    assert loaded == tokenizer and hash(loaded) == hash(tokenizer)
    assert loaded.encode(text) == tokenizer.encode(text)


def test_save_pretrained_writes_both_files(tmp_path: Path) -> None:
    CharTokenizer.train("ab").save_pretrained(tmp_path / "model")
    assert CharTokenizer.load(tmp_path / "model" / "tokenizer.json").vocab == ("a", "b")
    config = json.loads((tmp_path / "model" / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        ([], "at least one"),
        (["a", "bc"], "'bc' as id 1"),
        (["a", ""], "'' as id 1"),
        (["a", "b", "a"], "'a' 2 times"),
        (["\ud800"], "as id 0"),
        ([3], "3 as id 0"),
    ],
)
def test_bad_vocabularies(vocab: list[Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        CharTokenizer(vocab)
    assert message in str(caught.value)


def test_bad_texts_and_ids() -> None:
    with pytest.raises(ValueError, match="is empty"):
        CharTokenizer.train("")
    with pytest.raises(ValueError, match=r"U\+D83D at position 1"):
        CharTokenizer.train("a\ud83d")
    with pytest.raises(ValueError, match=r"U\+FFFD"):
        CharTokenizer("ab", unk=True)
    tokenizer = CharTokenizer("ab")
    with pytest.raises(ValueError, match=r"lone surrogate U\+DC00 at position 1"):
        tokenizer.encode("a\udc00")
    with pytest.raises(ValueError, match=r"got byte 0xff, which is not UTF-8, at position 1"):
        tokenizer.encode(b"a\xff")
    with pytest.raises(ValueError, match=r"\[0, 2\), but got 2 at position 1"):
        tokenizer.decode([0, 2])
    with pytest.raises(ValueError, match=r"\[0, 2\), but got -1 at position 0"):
        tokenizer.decode([-1])
    with pytest.raises(TypeError, match="float64"):
        tokenizer.decode([0.0])
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        tokenizer.decode([[0, 1]])


def _set(*path: str, value: Any) -> Any:
    def change(content: dict[str, Any]) -> Any:
        target = content
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value
        return content

    return change


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda _: [1, 2], "content"),
        (lambda _: {}, "model"),
        (_set("model", "type", value="BPE"), "model.type"),
        (_set("model", "vocab", value=["a", "b"]), "model.vocab"),
        (_set("model", "vocab", value={}), "model.vocab"),
        (_set("model", "vocab", value={"a": 0, "b": 0}), "model.vocab"),
        (_set("model", "vocab", value={"a": 0, "b": 2}), "model.vocab"),
        (_set("model", "vocab", value={"a": 0, "b": True}), "model.vocab"),
        (_set("model", "vocab", value={"a": 0, "b": 1.0}), "model.vocab"),
        (_set("model", "vocab", value={"a": 0, "bc": 1}), "model.vocab"),
        (_set("model", "vocab", value={"a": 0, "": 1}), "model.vocab"),
        (_set("model", "vocab", value={"a": 0, "\ud800": 1}), "model.vocab"),
        (_set("model", "unk_token", value="\ufffd"), "model.unk_token"),
        (_set("model", "unk_token", value=None), "model.unk_token"),
        (_set("pre_tokenizer", value=None), "pre_tokenizer"),
        (_set("decoder", value=None), "decoder"),
        (_set("normalizer", value={"type": "Lowercase"}), "normalizer"),
        (_set("added_tokens", value=[{"id": 0, "content": "a"}]), "added_tokens"),
    ],
)
def test_damaged_files(tmp_path: Path, change: Any, field: str) -> None:
    path = tmp_path / "tokenizer.json"
    content = change(copy.deepcopy(CharTokenizer("ab").to_dict()))
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError) as caught:
        CharTokenizer.load(path)
    assert f"{path}: {field} must be" in str(caught.value)


@given(data=st.data())
def test_truncated_and_flipped_files(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    tokenizer = CharTokenizer("abc\n", unk=False)
    tokenizer.save(path)
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 3))]  # before the closing brace
        path.write_bytes(raw)
        with pytest.raises(ValueError):
            CharTokenizer.load(path)
    else:
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(raw)
        with contextlib.suppress(ValueError):  # and nothing else
            assert CharTokenizer.load(path).vocab_size >= 1


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_the_surface_that_all_tokenizers_share(parts: list[str]) -> None:
    text = "".join(parts)
    tokenizer = CharTokenizer.train(text, unk=True)
    ids = tokenizer.encode(text)
    assert tokenizer.encode(text.encode()) == ids == list(tokenizer.encode_iterable(parts))
    assert tokenizer.encode_batch(parts) == [tokenizer.encode(part) for part in parts]
    assert tokenizer.encode_with_offsets(text) == (ids, [(i, i + 1) for i in range(len(text))])
    ends = [len(text[: i + 1].encode()) for i in range(len(text))]
    assert tokenizer.encode_with_offsets(text.encode())[1] == list(zip([0, *ends], ends, strict=False))
    assert "".join(tokenizer.decode_stream(ids)) == text and tokenizer.decode_bytes(ids) == text.encode()
    assert [tokenizer.token_to_id(char) for char in text] == ids
    assert [tokenizer.id_to_token(id_).decode() for id_ in ids] == list(text)
    assert tokenizer.token_to_id("ab") is None and tokenizer.token_to_id("\U0010ffff") in (None, *ids)


def test_bytes_in_parts(tmp_path: Path) -> None:
    text = "aé日𝄞\n" * 500_000
    (tmp_path / "text.txt").write_text(text)
    tokenizer = CharTokenizer.train(text)
    tokenizer.encode_file(tmp_path / "text.txt", tmp_path / "ids.npy")
    assert (np.load(tmp_path / "ids.npy") == tokenizer.encode_to_numpy(text)).all()
    lenient = CharTokenizer.train("a", unk=True)
    assert lenient.decode(lenient.encode(b"a\xff\xe6\x97a")) == "a\ufffd\ufffd\ufffda"


def test_load_knows_the_kinds_apart(tmp_path: Path) -> None:
    CharTokenizer.train("abc").save(tmp_path / "tokenizer.json")
    assert load(tmp_path) == CharTokenizer("abc")
    WordTokenizer.train("a b").save(tmp_path / "tokenizer.json")
    assert load(tmp_path) == WordTokenizer(["<unk>", "a", "b"])
