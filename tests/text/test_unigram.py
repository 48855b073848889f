"""Unigram: the compiled encoder and trainer against the reference, closed forms, files good and bad."""

from __future__ import annotations

import copy
import itertools
import json
import math
import pickle
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import groundup as gu
from groundup import _core
from groundup.data import stdlib_text
from groundup.reference import unigram as reference
from groundup.text import UnigramTokenizer
from groundup.text import normalize as nm
from groundup.text.metaspace import Metaspace
from groundup.text.unigram import _WORD

PIECES = [
    ("<unk>", 0.0), ("<s>", 0.0), ("▁", -2.5), ("a", -3.0), ("b", -3.5), ("ab", -4.0), ("▁ab", -5.0), ("aba", -4.5),
    ("ba", -4.25), ("é", -6.0), ("▁é", -7.0), ("日本", -6.5), ("日", -8.0), ("c▁a", -3.0), ("bb", -7.0), ("\n", -5.5),
]  # fmt: skip
BYTES = [(f"<0x{i:02X}>", -60.0) for i in range(256)]
TEXT = st.text(
    st.one_of(st.sampled_from("aabbé日本c▁  \n☃"), st.characters(exclude_categories=["Cs"])), max_size=30
)
SPECIAL: dict[str, Any] = {"special_tokens": ["<unk>", "<s>"]}
OPTIONS: list[dict[str, Any]] = [
    {}, {"split": False}, {"words": True}, {"prepend": "never"}, {"prepend": "first"},
    {"normalizer": nm.Sequence([nm.NFKC(), nm.Lowercase()])},
]  # fmt: skip


def pieces_of(tokenizer: UnigramTokenizer, ids: list[int]) -> list[str]:
    return [tokenizer.id_to_token(i).decode() for i in ids]


@pytest.fixture(scope="module")
def words() -> Counter[str]:
    text = Metaspace().normalize(stdlib_text().text[:12_000])
    return Counter(_WORD.findall(text))


# ------------------------------------------------------------------------------------------------------- encoding


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@given(TEXT)
def test_ids_equal_the_reference(options: dict[str, Any], text: str) -> None:
    tokenizer = UnigramTokenizer(PIECES, **SPECIAL, **options)
    scores = {piece: score for piece, score in PIECES if piece not in ("<unk>", "<s>")}
    normalized = tokenizer._at_start.normalize(text)
    stretches = _WORD.findall(normalized) if tokenizer.split else [normalized]
    spelt = [piece for word in stretches for piece in reference.viterbi(word, scores, -18.0)]
    expected = [tokenizer.token_to_id(piece) or 0 for piece in spelt]
    for _ in range(2):  # worked out, then remembered
        assert tokenizer.encode_ordinary(text) == expected
    ids, spans = tokenizer.encode_with_offsets(text.encode(), disallowed_special=())
    assert ids == expected
    # Each span holds what the piece says, but for what was normalized, and they go forward.
    assert all(a <= b for a, b in spans) and spans == sorted(spans)
    if not options:
        for piece, (start, end) in zip(spelt, spans, strict=True):
            original = text.encode()[start:end].decode().replace(" ", "▁")
            assert original in (piece, piece.removeprefix("▁"))
        assert b"".join(text.encode()[a:b] for a, b in spans) == text.encode()


@given(TEXT)
def test_the_spelling_is_the_best_of_all(text: str) -> None:
    scores = {piece: score for piece, score in PIECES if score < 0}
    for word in _WORD.findall(text[:12]):
        spellings = reference.best_spellings(word, scores, 10**6)
        if not spellings:
            continue
        spelling = reference.viterbi(word, scores)
        assert "".join(spelling) == word
        assert sum(scores[piece] for piece in spelling) == pytest.approx(spellings[0][0])
        _, total = reference.expected_counts(word, scores)
        assert total == pytest.approx(math.log(sum(math.exp(score) for score, _ in spellings)))


def test_by_hand() -> None:
    tokenizer = UnigramTokenizer(PIECES, **SPECIAL)
    assert pieces_of(tokenizer, tokenizer.encode("aba ab")) == ["▁", "aba", "▁ab"]
    # ▁ab ab is −9, ▁ aba b −10.5: the longest match is not the best.
    assert pieces_of(tokenizer, tokenizer.encode("abab")) == ["▁ab", "ab"]
    assert pieces_of(tokenizer, tokenizer.encode("☃☃a☃")) == ["▁", "<unk>", "a", "<unk>"]
    assert tokenizer.encode("") == [] and tokenizer.encode("▁a") == tokenizer.encode(
        " a"
    ) == tokenizer.encode("a")
    assert pieces_of(tokenizer, tokenizer.encode("c a")) == ["▁", "<unk>", "▁", "a"]
    whole = UnigramTokenizer(PIECES, split=False, **SPECIAL)
    assert pieces_of(whole, whole.encode("c a")) == ["▁", "c▁a"]
    assert tokenizer.score(tokenizer.encode("aba ab")) == -2.5 - 4.5 - 5.0
    with pytest.raises(ValueError, match="ids must be of pieces"):
        tokenizer.score([99])


def test_special_tokens_and_spaces() -> None:
    always = UnigramTokenizer(PIECES, **SPECIAL)
    first = UnigramTokenizer(PIECES, prepend="first", **SPECIAL)
    never = UnigramTokenizer(PIECES, prepend="never", **SPECIAL)
    text = "a<s>a"
    for tokenizer, expected in (
        (always, ["▁", "a", "<s>", "▁", "a"]),
        (first, ["▁", "a", "<s>", "a"]),
        (never, ["a", "<s>", "a"]),
    ):
        assert pieces_of(tokenizer, tokenizer.encode(text, allowed_special="all")) == expected
        assert "<s>" not in pieces_of(tokenizer, tokenizer.encode_ordinary(text))
        with pytest.raises(
            ValueError, match="special tokens that are not allowed, but got '<s>' at position 1"
        ):
            tokenizer.encode(text)
    assert always.decode(always.encode(" a b")) == "a b" and never.decode(never.encode(" a b")) == " a b"
    framed = UnigramTokenizer(PIECES, single=["<s>", "$A"], **SPECIAL)
    assert framed.encode("b", add_special_tokens=True) == [1, 2, 4] and framed.encode_pair("b", "b")[1] == [
        0,
        0,
        1,
        1,
    ]
    assert framed.decode([1, 4], skip_special_tokens=True) == "b"


@given(st.binary(max_size=40))
def test_bytes_come_back(data: bytes) -> None:
    tokenizer = UnigramTokenizer(PIECES + BYTES, byte_fallback=True, **SPECIAL)
    ids, spans = tokenizer.encode_with_offsets(data, disallowed_special=())
    decoded = tokenizer.decode_bytes(ids)
    # All but the space that a text may begin with, and the mark that is a space.
    assert decoded == data.replace("▁".encode(), b" ").removeprefix(b" ")
    assert all(0 <= a <= b <= len(data) for a, b in spans)
    assert "".join(tokenizer.decode_stream(ids)) == tokenizer.decode(ids)


def test_unknown_without_a_token() -> None:
    tokenizer = UnigramTokenizer(PIECES[2:], unk_token=None)
    assert tokenizer.encode("ab") == [tokenizer.token_to_id("▁ab")]
    with pytest.raises(
        ValueError, match=r"\[UnigramTokenizer\] text must be of the vocabulary.*but got '☃☃'"
    ):
        tokenizer.encode("a☃☃")
    some = UnigramTokenizer([*PIECES, ("<0xE2>", -9.0)], byte_fallback=True)
    assert pieces_of(some, some.encode("☃")) == ["▁", "<unk>"]  # two of its bytes have no piece


def test_batches_parts_and_files(tmp_path: Path) -> None:
    tokenizer = UnigramTokenizer(PIECES, **SPECIAL)
    texts: list[str | bytes] = ["ab a", "", b"a\xff b", "<s>a"]
    expected = [tokenizer.encode(text, allowed_special="all") for text in texts]
    assert tokenizer.encode_batch(texts, allowed_special="all") == expected
    plain = ["ab é 日本", "", "ba" * 50]
    assert tokenizer.encode_batch(plain, threads=2) == [tokenizer.encode(text) for text in plain]
    text = "aba ab\n é" * 600_000
    (tmp_path / "text.txt").write_text(text)
    tokenizer.encode_file(tmp_path / "text.txt", tmp_path / "ids.npy")
    assert (np.load(tmp_path / "ids.npy") == tokenizer.encode_to_numpy(text)).all()


@given(st.lists(TEXT, max_size=6))
def test_parts_are_the_joined_text(parts: list[str]) -> None:
    tokenizer = UnigramTokenizer(PIECES, **SPECIAL)
    ids = list(tokenizer.encode_iterable(parts, disallowed_special=()))
    assert ids == tokenizer.encode_ordinary("".join(parts))


@pytest.mark.parametrize("prepend", ["always", "first", "never"])
@given(TEXT)
def test_safe_cuts_change_nothing(prepend: Any, text: str) -> None:
    tokenizer = UnigramTokenizer(PIECES, prepend=prepend, **SPECIAL)
    cut = tokenizer._safe_cut(text)
    joined = tokenizer.encode_ordinary(text[:cut]) + tokenizer.encode_ordinary(text[cut:])
    assert joined == tokenizer.encode_ordinary(text)


def test_long_text_takes_no_square_of_time() -> None:
    tokenizer = UnigramTokenizer(PIECES, **SPECIAL)
    assert len(tokenizer.encode("ab" * 500_000)) == 500_000
    assert len(tokenizer.encode("☃" * 500_000)) == 2
    assert len(tokenizer.encode(" " * 500_000)) == 500_000


def test_trace() -> None:
    tokenizer = UnigramTokenizer(PIECES, **SPECIAL)
    trace = tokenizer.trace("abab ☃")
    word, spellings, total = trace.words[0]
    assert word == "▁abab" and spellings[0][1] == pieces_of(tokenizer, tokenizer.encode("abab"))
    assert total > spellings[0][0] > spellings[1][0]
    assert "(unknown characters)" in repr(trace) and "-10.500" in repr(trace)


# ------------------------------------------------------------------------------------------------------- training


def test_training_equals_the_reference(words: Counter[str]) -> None:
    size = 400
    expected = reference.train(words, size)
    trainer = _core.UnigramTrainer(list(words.items()), 16, 1_000_000)
    seed = reference.seed(words, 16, 1_000_000)
    assert dict(trainer.pieces()).keys() == seed.keys()
    assert dict(trainer.pieces()) == pytest.approx(seed, abs=1e-12)
    scores, likelihood = reference.em_step(words, seed, 0.5)
    assert trainer.step(0.5) == pytest.approx(likelihood, rel=1e-12)
    assert dict(trainer.pieces()) == pytest.approx(scores, rel=1e-9)
    text = "".join(word * count for word, count in words.items())
    tokenizer = UnigramTokenizer.train(text.replace("▁", " "), size + 1)
    got = dict(tokenizer.pieces[1:])
    assert got.keys() == dict(expected).keys()
    assert got == pytest.approx(dict(expected), rel=1e-9)


@given(st.dictionaries(st.text("abc▁日", min_size=1, max_size=7), st.integers(1, 9), min_size=1, max_size=12))
def test_seeds_equal_the_reference(words: dict[str, int]) -> None:
    for longest, size in ((16, 10**6), (3, 10**6), (16, 4)):
        expected = reference.seed(words, longest, size)
        got = dict(_core.UnigramTrainer(list(words.items()), longest, size).pieces())
        assert got.keys() == expected.keys()
        assert got == pytest.approx(expected, abs=1e-12)


def test_every_step_makes_the_words_more_probable(words: Counter[str]) -> None:
    # With log(count / sum) expectation-maximization never steps back; digamma only nearly keeps that.
    trainer = _core.UnigramTrainer(list(words.items()), 16, 300)
    likelihoods = [trainer.step(0.0) for _ in range(6)]
    assert all(b >= a - 1e-3 * abs(a) for a, b in itertools.pairwise(likelihoods))
    assert likelihoods[-1] > likelihoods[0]


def test_expected_counts_by_hand() -> None:
    # "aa" is either aa (p = 1/2) or a a (1/4 · 1/4): 8 to 1.
    scores = {"a": math.log(1 / 4), "aa": math.log(1 / 2)}
    counts, total = reference.expected_counts("aa", scores)
    assert counts == pytest.approx({"aa": 8 / 9, "a": 2 / 9}) and total == pytest.approx(math.log(9 / 16))


def test_digamma() -> None:
    # ψ(1) = −γ, ψ(½) = −γ − 2 log 2, ψ(n + 1) = ψ(n) + 1/n
    euler = 0.5772156649015329
    assert reference.digamma(1) == pytest.approx(-euler, abs=1e-10)
    assert reference.digamma(0.5) == pytest.approx(-euler - 2 * math.log(2), abs=1e-10)
    assert reference.digamma(101) == pytest.approx(reference.digamma(100) + 0.01, abs=1e-12)


def test_training_options() -> None:
    text = stdlib_text().text[:60_000] + "☃é日"
    calls: list[tuple[int, int]] = []
    tokenizer = UnigramTokenizer.train(
        text.splitlines(keepends=True), 1000, byte_fallback=True, special_tokens=["<unk>", "<s>", "</s>"],
        character_coverage=0.999, longest=8, progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert tokenizer.vocab_size == 1000 and tokenizer.token_to_id("</s>") == 2
    assert calls == sorted(calls) and len(calls) > 5 and calls[-1][0] == calls[-1][1] > 1000
    assert max(len(piece) for piece, _ in tokenizer.pieces[259:]) <= 8
    assert tokenizer.token_to_id("☃") is None
    assert tokenizer.decode(tokenizer.encode(text)) == text.replace("▁", " ")
    assert pieces_of(tokenizer, tokenizer.encode("<0x41>"))[0] != "<0x41>"
    assert tokenizer.decode(tokenizer.encode("<0x41>")) == "<0x41>"
    lower = UnigramTokenizer.train(text, 500, normalizer=nm.Lowercase())
    assert lower.encode("THE") == lower.encode("the") and not any(p != p.lower() for p, _ in lower.pieces)


def test_training_does_not_depend_on_threads() -> None:
    lines = stdlib_text().text[:50_000].splitlines(keepends=True)
    before = gu.num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            gu.set_num_threads(threads)
            results.append(UnigramTokenizer.train(lines, 600).pieces)
    finally:
        gu.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_training_from_files(tmp_path: Path) -> None:
    text = stdlib_text().text[:30_000]
    (tmp_path / "a.txt").write_text(text)
    lines = text.splitlines(keepends=True)
    from_files = UnigramTokenizer.train_from_files(tmp_path / "a.txt", 400)
    assert from_files.pieces == UnigramTokenizer.train(iter(lines), 400).pieces
    (tmp_path / "b.txt").write_bytes(b"abc\nde\xff\n")
    with pytest.raises(ValueError, match=r"b\.txt line 2: must be UTF-8, but got byte 0xff"):
        UnigramTokenizer.train_from_files([tmp_path / "a.txt", tmp_path / "b.txt"], 400)


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ("", {}, "texts must be text to learn from"),
        ([], {}, "texts must be text to learn from"),
        ("abc", {"vocab_size": 4}, "vocab_size must be at least 5, for all characters, but got 4"),
        ("abc", {"unk_token": "?"}, "unk_token must be one of special_tokens"),
        ("abc", {"shrink": 1.0}, "shrink must be in range"),
        ("abc", {"steps": 0}, "steps must be in range"),
        ("abc", {"longest": 0}, "longest must be in range"),
        ("abc", {"character_coverage": 0}, "character_coverage must be in range"),
        ("a\ud800", {}, "texts must be Unicode"),
    ],
)
def test_bad_training(texts: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"[UnigramTokenizer] {message}")):
        UnigramTokenizer.train(texts, **options)


def test_texts_of_other_types() -> None:
    with pytest.raises(TypeError, match="texts must be strings, but got bytes"):
        UnigramTokenizer.train([b"abc"])  # type: ignore[list-item]


# ---------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("options", [*OPTIONS, {"single": ["<s>", "$A"]}, {"unk_token": None}], ids=str)
def test_files_round_trip(tmp_path: Path, options: dict[str, Any]) -> None:
    for fallback in (False, True):
        tokenizer = UnigramTokenizer(PIECES + BYTES, byte_fallback=fallback, **SPECIAL, **options)
        tokenizer.save_pretrained(tmp_path)
        for loaded in (
            UnigramTokenizer.from_file(tmp_path / "tokenizer.json"),
            UnigramTokenizer.load(tmp_path / "tokenizer.json"),
            pickle.loads(pickle.dumps(tokenizer)),
        ):
            assert loaded == tokenizer and loaded.pieces == tokenizer.pieces
            assert loaded.encode("ab ba é") == tokenizer.encode("ab ba é")


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
        (change("model.type", "BPE"), "model.type must be 'Unigram'"),
        (change("model.vocab", {}), "model.vocab must be a list"),
        (change("model.vocab", []), "model.vocab must be a vocabulary that is not empty"),
        (change("model.vocab.2", ["a"]), "model.vocab[2] must be a piece and its score"),
        (change("model.vocab.2", ["▁", "x"]), "model.vocab[2] must be a piece and its score"),
        (change("model.vocab.2", ["▁", True]), "model.vocab[2] must be a piece and its score"),
        (change("model.vocab.2", [2, 0.5]), "model.vocab[2] must be a piece and its score"),
        (
            change("model.vocab.2", ["a", -1.0]),
            "model.vocab[3] must be a piece that is not there before, but got 'a'",
        ),
        (change("model.vocab.2", ["▁", 1e999]), "must be finite"),
        (change("model.unk_id", 9999), "model.unk_id must be from 0 to"),
        (change("model.unk_id", "0"), "model.unk_id must be a number or null"),
        (change("model.byte_fallback", 1), "model.byte_fallback must be true or false"),
        (change("model.byte_fallback", True), "model.vocab must be with bytes"),
        (
            change("added_tokens.1.id", 5),
            "added_tokens[1] must be tokens with an id of their own, but got {'<s>': 5}",
        ),
        (change("normalizer", {"type": "Precompiled"}), "normalizer.type must be one of"),
        (change("pre_tokenizer", None), "pre_tokenizer must be an object"),
        (change("pre_tokenizer.type", "ByteLevel"), "pre_tokenizer.type must be 'Metaspace' or 'Sequence'"),
        (change("pre_tokenizer.replacement", "_"), "pre_tokenizer.replacement must be '▁'"),
        (
            change("pre_tokenizer.prepend_scheme", "sometimes"),
            "pre_tokenizer.prepend_scheme must be 'always' or",
        ),
        (change("pre_tokenizer.split", 1), "pre_tokenizer.split must be true or false"),
        (change("decoder", None), "decoder must be an object"),
        (change("decoder.type", "Fuse"), "decoder.type must be 'Metaspace'"),
        (
            change("decoder.prepend_scheme", "never"),
            "decoder.prepend_scheme must be that of the pre_tokenizer",
        ),
        (change("post_processor", {"type": "X"}), "post_processor.type must be"),
    ],
)
def test_bad_files(tmp_path: Path, edit: Callable[[Any], Any], message: str) -> None:
    path = tmp_path / "tokenizer.json"
    content = copy.deepcopy(UnigramTokenizer(PIECES, **SPECIAL).to_dict())
    path.write_text(json.dumps(edit(content)).replace("Infinity", "1e999"))
    with pytest.raises(ValueError) as caught:
        UnigramTokenizer.from_file(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("pieces", "options", "message"),
    [
        ([], {}, "pieces must be a vocabulary that is not empty"),
        ([("a", -1.0)], {}, "unk_token must be a piece, or None, but got '<unk>'"),
        ([("<unk>", 0.0), ("a", math.nan)], {}, "pieces[1] must be a piece with a finite score"),
        ([("<unk>", 0.0), ("a", 0.0), ("a", 0.0)], {}, "pieces[2] must be a piece that is not there before"),
        ([("<unk>", 0.0)], {"prepend": "no"}, "prepend must be 'always', 'first' or 'never'"),
        ([("<unk>", 0.0)], {"byte_fallback": True}, "pieces must be with bytes <0x00> to <0xFF>"),
        ([("<unk>", 0.0)], {"special_tokens": ["<s>"]}, "special_tokens must be in the vocabulary"),
        ([("<unk>", 0.0)], {"single": []}, "single must be special tokens and $A"),
        ([("\ud800", 0.0)], {"unk_token": None}, "pieces must be tokens of Unicode"),
    ],
)
def test_bad_arguments(pieces: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"[UnigramTokenizer] {message}")):
        UnigramTokenizer(pieces, **options)


@pytest.mark.parametrize("step", [Metaspace(), Metaspace(prepend=False), Metaspace(words=True)], ids=repr)
@given(TEXT)
def test_metaspace_has_spans(step: Metaspace, text: str) -> None:
    result = step(text)
    assert result.text == step.normalize(text)
    assert (np.diff(result.starts) >= 0).all() and (np.diff(result.ends) >= 0).all()


def test_load_finds_it(tmp_path: Path) -> None:
    tokenizer = UnigramTokenizer(PIECES, **SPECIAL)
    tokenizer.save_pretrained(tmp_path)
    assert gu.text.load(tmp_path) == tokenizer == gu.text.load(tmp_path / "tokenizer.json")
