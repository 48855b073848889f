"""BPE over characters with byte fallback: against the reference and llama2.c's algorithm, files good and bad."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import groundup as gu
from groundup.reference import char_bpe as reference
from groundup.text import AddedToken, SentencePieceBPETokenizer
from groundup.text import normalize as nm

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
TOKENS = [
    "<unk>", "<s>", "</s>", *BYTES, "▁a", "ab", "aa", "▁ab", "aba", "▁▁", "▁▁▁▁", "éa", "aab", "aaaa",
    "▁", "a", "b", "é", "日",
]  # fmt: skip
VOCAB = {token: id_ for id_, token in enumerate(TOKENS)}
SCORES = {token: float(-max(id_ - 259, 0)) for token, id_ in VOCAB.items()}
TEXT = st.text(
    st.one_of(st.sampled_from("aaabbé日▁  \n☃"), st.characters(exclude_categories=["Cs"])), max_size=50
)
OPTIONS: list[dict[str, Any]] = [
    {}, {"normalizer": None, "prepend": "first"}, {"normalizer": None, "prepend": "always", "split": True},
    {"normalizer": nm.NFKC(), "prepend": "never"}, {"decoder": "plain"}, {"ignore_merges": True},
    {"normalizer": None, "prepend": "always", "decoder": "metaspace"}, {"fuse_unk": False, "byte_fallback": False},
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> SentencePieceBPETokenizer:
    return SentencePieceBPETokenizer(VOCAB, scores=SCORES)


def llama2c(text: str) -> list[int]:
    """What run.c of llama2.c does: merge the pair whose joined token has the best score, until there is none."""
    joined = text.replace(" ", "▁")
    ids = [VOCAB["▁"]] if text else []
    for char in joined:
        ids += [VOCAB[char]] if char in VOCAB else [byte + 3 for byte in char.encode()]
    while True:
        best, at = -1e10, -1
        for i, (a, b) in enumerate(itertools.pairwise(ids)):
            token = TOKENS[a] + TOKENS[b]
            if token in VOCAB and SCORES[token] > best:
                best, at = SCORES[token], i
        if at < 0:
            return ids
        ids[at : at + 2] = [VOCAB[TOKENS[ids[at]] + TOKENS[ids[at + 1]]]]


@given(TEXT)
def test_ids_equal_the_reference_and_llama2c(tokenizer: SentencePieceBPETokenizer, text: str) -> None:
    merges = reference.merges_of_scores(VOCAB, SCORES)
    normalized = nm.Sequence([nm.Prepend("▁"), nm.Replace(" ", "▁")]).normalize(text)
    expected = reference.encode(normalized, VOCAB, merges)
    assert expected == llama2c(text)
    for _ in range(2):
        assert tokenizer.encode_ordinary(text) == expected
    ids, spans = tokenizer.encode_with_offsets(text, disallowed_special=())
    assert ids == expected
    assert spans == sorted(spans) and all(0 <= a <= b <= len(text) for a, b in spans)


@given(st.text("ab▁", max_size=200))
def test_long_words_equal_short_ones(tokenizer: SentencePieceBPETokenizer, text: str) -> None:
    # Longer than the array that is searched: the heap gives the same.
    merges = reference.merges_of_scores(VOCAB, SCORES)
    assert tokenizer.encode(text) == reference.encode("▁" + text if text else "", VOCAB, merges)


@given(TEXT)
def test_words_are_encoded_apart_only_where_nothing_changes(text: str) -> None:
    # With a token that reaches into the next word the whole text is one.
    crossing = {**VOCAB, "b▁": 300, "b▁a": 301}
    scores = {**SCORES, "b▁": -0.5, "b▁a": -0.25}
    tokenizer = SentencePieceBPETokenizer(crossing, scores=scores)
    merges = reference.merges_of_scores(crossing, scores)
    normalized = nm.Sequence([nm.Prepend("▁"), nm.Replace(" ", "▁")]).normalize(text)
    assert tokenizer.encode_ordinary(text) == reference.encode(normalized, crossing, merges)


@given(st.binary(max_size=60))
def test_any_bytes_come_back(tokenizer: SentencePieceBPETokenizer, data: bytes) -> None:
    ids, spans = tokenizer.encode_with_offsets(data, disallowed_special=())
    assert tokenizer.decode_bytes(ids) == data.replace("▁".encode(), b" ")
    assert "".join(tokenizer.decode_stream(ids)) == tokenizer.decode(ids)
    assert all(0 <= a <= b <= len(data) for a, b in spans)


def test_by_hand(tokenizer: SentencePieceBPETokenizer) -> None:
    def tokens(text: str, **options: Any) -> list[str]:
        return [tokenizer.id_to_token(i).decode() for i in tokenizer.encode(text, **options)]

    assert tokens("ab aba") == ["▁ab", "▁ab", "a"]
    assert tokens("") == []
    assert tokens(" ab") == ["▁", "▁ab"]  # the mark in front is there whatever the text begins with
    assert tokens("é☃") == ["▁", "é", "<0xE2>", "<0x98>", "<0x83>"]
    assert tokenizer.encode_with_offsets("é☃")[1] == [(0, 0), (0, 1), (1, 2), (1, 2), (1, 2)]
    assert tokens("a<s>a", allowed_special="all") == ["▁a", "<s>", "▁a"]
    with pytest.raises(ValueError, match="'<s>' at position 1"):
        tokens("a<s>")
    assert tokenizer.decode(tokenizer.encode(" ab  a")) == " ab  a"
    assert tokenizer.decode([1, VOCAB["▁ab"]]) == "<s> ab"
    assert tokenizer.decode([1, VOCAB["▁ab"]], skip_special_tokens=True) == "ab"
    framed = SentencePieceBPETokenizer(VOCAB, scores=SCORES, single=["<s>", "$A"])
    assert framed.encode("ab", add_special_tokens=True) == [1, VOCAB["▁ab"]]


def test_unknown_characters() -> None:
    small = {token: id_ for token, id_ in VOCAB.items() if token not in BYTES}
    merges = [("▁", "a"), ("a", "b")]
    fused = SentencePieceBPETokenizer(small, merges, byte_fallback=False, normalizer=None)
    single = SentencePieceBPETokenizer(small, merges, byte_fallback=False, normalizer=None, fuse_unk=False)
    none = SentencePieceBPETokenizer(small, merges, byte_fallback=False, normalizer=None, unk_token=None)
    assert fused.encode("☃☃ab☃") == [0, VOCAB["ab"], 0] and single.encode("☃☃ab☃") == [0, 0, VOCAB["ab"], 0]
    assert none.encode("ab") == [VOCAB["ab"]]
    with pytest.raises(
        ValueError, match=r"\[SentencePieceBPETokenizer\] text must be of the vocabulary.*'☃'"
    ):
        none.encode("a☃")
    some = SentencePieceBPETokenizer({**small, "<0xE2>": 3}, merges, normalizer=None)
    assert some.encode("☃a") == [0, VOCAB["a"]]  # two of its bytes have no token


def test_long_text_takes_no_square_of_time(tokenizer: SentencePieceBPETokenizer) -> None:
    assert len(tokenizer.encode("a" * 1_000_000)) < 500_000
    assert len(tokenizer.encode("☃" * 100_000)) == 300_001
    assert len(tokenizer.encode(" " * 500_000)) < 500_000


def test_added_tokens() -> None:
    added = [AddedToken("aaa", 400, special=False), AddedToken("<x>", 401, lstrip=True)]
    tokenizer = SentencePieceBPETokenizer(VOCAB, scores=SCORES, added_tokens=added)
    assert tokenizer.encode("aaaa") == [VOCAB["▁"], 400, VOCAB["▁a"]][1:] and tokenizer.vocab_size == 402
    assert tokenizer.encode("b  <x>", allowed_special="all") == [VOCAB["▁"], VOCAB["b"], 401]
    assert tokenizer.decode([400, 401]) == "aaa<x>" and tokenizer.token_to_id("<x>") == 401
    assert tokenizer.special_tokens == {"<unk>": 0, "<s>": 1, "</s>": 2, "<x>": 401}


# ---------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_files_round_trip(tmp_path: Path, options: dict[str, Any]) -> None:
    tokenizer = SentencePieceBPETokenizer(VOCAB, scores=SCORES, single=["<s>", "$A"], **options)
    tokenizer.save_pretrained(tmp_path)
    for loaded in (
        SentencePieceBPETokenizer.load(tmp_path / "tokenizer.json"),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert loaded == tokenizer and loaded.merges == tokenizer.merges
        assert loaded.encode("ab aé☃  aaa") == tokenizer.encode("ab aé☃  aaa")
    if tokenizer.byte_fallback:
        assert gu.text.load(tmp_path) == tokenizer
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["bos_token"] == "<s>"


def change(path: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    def apply(content: dict[str, Any]) -> Any:
        *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        entry: Any = content
        for key in parents:
            entry = entry[key]
        entry[last] = value
        return content

    return apply


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change("model.type", "Unigram"), "model.type must be 'BPE'"),
        (change("model.dropout", 0.5), "model.dropout must be None or 0.0"),
        (change("model.end_of_word_suffix", "</w>"), "model.end_of_word_suffix must be None or ''"),
        (change("model.vocab", {}), "model.vocab must be a vocabulary that is not empty"),
        (change("model.vocab.a", 1), "model.vocab must be tokens with an id of their own"),
        (change("model.unk_token", "?"), "model.unk_token must be in the vocabulary"),
        (change("model.byte_fallback", 1), "model.byte_fallback must be true or false"),
        (change("model.merges", {}), "model.merges must be a list"),
        (change("model.merges.1", "ab"), "model.merges[1] must be two tokens"),
        (change("model.merges.1", ["a", 3]), "model.merges[1] must be two tokens"),
        (change("model.merges.1", "x y"), "model.merges[1] must be of tokens and make one, and 'x' is none"),
        (
            change("model.merges.1", ["b", "b"]),
            "model.merges[1] must be of tokens and make one, and 'bb' is none",
        ),
        (change("model.merges.1", ["▁", "a"]), "must be a pair that is not there before"),
        (change("pre_tokenizer", {"type": "ByteLevel"}), "pre_tokenizer.type must be 'Metaspace'"),
        (change("decoder", None), "decoder must be an object"),
        (change("decoder.decoders.0.content", "_"), "decoder.decoders[0].content must be ' '"),
        (
            change("decoder.decoders.1.type", "Fuse"),
            "decoder.decoders must be Replace, ByteFallback, Fuse and Strip",
        ),
        (change("decoder.decoders.3.start", 2), "decoder.decoders[3].start must be 1"),
    ],
)
def test_bad_files(
    tokenizer: SentencePieceBPETokenizer, tmp_path: Path, edit: Callable[[Any], Any], message: str
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(edit(copy.deepcopy(tokenizer.to_dict()))))
    with pytest.raises(ValueError) as caught:
        SentencePieceBPETokenizer.from_file(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "merges must be given, or else scores, but got 'neither'"),
        ({"merges": [], "scores": {}}, "merges must be given, or else scores, but got 'both'"),
        ({"scores": {"a": 1.0}}, "scores must be a finite number for every token"),
        ({"merges": [("a", "x")]}, "merges[0] must be of tokens and make one, and 'x' is none"),
        ({"merges": [], "unk_token": "?"}, "unk_token must be in the vocabulary, or None"),
        ({"merges": [], "prepend": "no"}, "prepend must be 'always'"),
        ({"merges": [], "decoder": "no"}, "decoder must be 'strip'"),
        ({"merges": [], "single": []}, "single must be special tokens and $A"),
        (
            {"merges": [], "added_tokens": [AddedToken("x", 5)]},
            "added_tokens must be tokens with an id of their own",
        ),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"[SentencePieceBPETokenizer] {message}")):
        SentencePieceBPETokenizer(VOCAB, **options)
    with pytest.raises(ValueError, match="vocab must be with bytes"):
        SentencePieceBPETokenizer({"<unk>": 0}, [])


# -------------------------------------------------------------------------------------------------- llama2.c's file


def llama2c_file(tokens: list[tuple[bytes, float]], longest: int = 7) -> bytes:
    return struct.pack("<i", longest) + b"".join(
        struct.pack("<fi", score, len(token)) + token for token, score in tokens
    )


GOOD = [
    (TOKENS[i].replace("▁", " ").join(["\n", "\n"] if i in (1, 2) else ["", ""]).encode(), SCORES[TOKENS[i]])
    for i in range(len(TOKENS))
]


def test_llama2c_file(tokenizer: SentencePieceBPETokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.bin"
    path.write_bytes(llama2c_file(GOOD, 12))
    loaded = SentencePieceBPETokenizer.from_llama2c(path)
    assert loaded.vocab == tokenizer.vocab and loaded.merges == tokenizer.merges
    assert gu.text.load(path) == loaded
    assert loaded.encode("ab é", add_special_tokens=True) == [1, *tokenizer.encode("ab é")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file must be a length and tokens, but got '0 bytes'"),
        (llama2c_file([]), "the file must be at least 259 tokens, but got 0"),
        (llama2c_file(GOOD)[:50], "token 3 must be a score, a length and bytes"),
        (llama2c_file(GOOD)[:-1], f"token {len(GOOD) - 1} must be of 1 to"),
        (llama2c_file([(b"", 0.0)]), "token 0 must be of 1 to"),
        (struct.pack("<ifi", 7, 0.0, -5) + b"abc", "token 0 must be of 1 to"),
        (struct.pack("<ifi", 7, 0.0, 2**31 - 1) + b"abc", "token 0 must be of 1 to"),
        (llama2c_file([(b"<unk>", float("nan"))]), "token 0 must be one with a finite score"),
        (llama2c_file([(b"<pad>", 0.0)]), "token 0 must be '<unk>', but got '<pad>'"),
        (llama2c_file([*GOOD, (b"\xff", 0.0)]), f"token {len(GOOD)} must be UTF-8"),
        (
            llama2c_file([*GOOD, (b"a", 0.0)]),
            f"token {len(GOOD)} must be another than token {VOCAB['a']}, but got 'a'",
        ),
    ],
)
def test_bad_llama2c_files(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "tokenizer.bin"
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        SentencePieceBPETokenizer.from_llama2c(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_a_real_llama2c_file(test_data: Path) -> None:
    tokenizer = SentencePieceBPETokenizer.from_llama2c(test_data / "models" / "tok512.bin")
    assert tokenizer.vocab_size == 512
    text = "Once upon a time, there was a little girl named Lily. She said: “é☃”  ok?\n"
    ids = tokenizer.encode(text, add_special_tokens=True)
    assert ids[0] == 1
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    merges = reference.merges_of_scores(
        tokenizer.vocab, {token: -float(id_) for token, id_ in tokenizer.vocab.items()}
    )
    assert ids[1:] == reference.encode("▁" + text.replace(" ", "▁"), tokenizer.vocab, merges)
