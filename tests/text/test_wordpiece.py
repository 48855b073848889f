"""WordPiece: the compiled encoder against the reference, spans, special tokens, files good and bad."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.reference import wordpiece as reference
from groundup.text import AddedToken, WordPieceTokenizer
from groundup.text import normalize as nm

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [
    "a",
    "b",
    "ab",
    "aba",
    "c",
    "e",
    "un",
    "中",
    "¿",
    ".",
    ",",
    "'",
    "n",
    "t",
    "1",
    "12",
    "\u1100",
    "q",
    "日本",
]
VOCAB = [*SPECIAL, *PIECES, *(f"##{p}" for p in [*PIECES, "abab", "bac", "\u1161"])]

ALPHABET = st.sampled_from(
    "aAbBcCeÉe\u0301\u0323nNtT12.,'¿中日本가 \t\n\r\x0b\x00\ufffd\u200b\u00a0\U0001d165\u302e"
)
TEXT = st.text(st.one_of(ALPHABET, ALPHABET, st.characters(exclude_categories=["Cs"])), max_size=40)


@pytest.fixture(scope="module")
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer(VOCAB)


OPTIONS: list[dict[str, Any]] = [
    {}, {"normalizer": nm.BertNormalizer(lowercase=False)}, {"normalizer": nm.BertNormalizer(clean_text=False)},
    {"normalizer": nm.BertNormalizer(handle_chinese_chars=False, strip_accents=False)}, {"pre_tokenizer": "whitespace"},
    {"max_chars_per_word": 3}, {"prefix": ""}, {"prefix": "@@"}, {"normalizer": None},
    {"normalizer": nm.Sequence([nm.NFKC(), nm.Lowercase(), nm.Replace("c", "ab")])},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@given(TEXT)
def test_ids_equal_the_reference(options: dict[str, Any], text: str) -> None:
    tokenizer = WordPieceTokenizer(VOCAB, **options)
    expected = reference.encode(
        text,
        {token: id_ for token, id_ in tokenizer.vocab.items() if token not in SPECIAL or token == "[UNK]"},
        prefix=tokenizer.prefix,
        max_chars=tokenizer.max_chars_per_word,
        normalizer=tokenizer.normalizer or nm.Sequence([]),
        split_punctuation=tokenizer.pre_tokenizer == "bert",
    )
    for _ in range(2):  # worked out, then remembered
        assert tokenizer.encode_ordinary(text) == expected
    assert tokenizer.encode_ordinary(text.encode()) == expected
    ids, spans = tokenizer.encode_with_offsets(text, disallowed_special=())
    assert ids == expected
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert sorted(spans) == spans


@given(TEXT)
def test_compiled_normalizer_equals_the_python_one(text: str) -> None:
    # A vocabulary of all single characters shows what the words are made of.
    normalized = nm.BertNormalizer().normalize(text)
    chars = sorted(set(normalized) - set(" "))
    if not chars:
        return
    tokenizer = WordPieceTokenizer([*SPECIAL, *chars, *(f"##{c}" for c in chars)])
    letters = [c for c in normalized if not nm._bert_class(c) & nm._SPACE]
    assert [tokenizer.id_to_token(i).decode()[-1] for i in tokenizer.encode_ordinary(text)] == letters


@given(st.binary(max_size=40))
def test_any_bytes(tokenizer: WordPieceTokenizer, data: bytes) -> None:
    ids, spans = tokenizer.encode_with_offsets(data, disallowed_special=())
    assert ids == tokenizer.encode_ordinary(data)
    assert all(0 <= start < end <= len(data) for start, end in spans)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    assert tokenizer.encode_ordinary(text) == ids


@given(st.binary(max_size=30))
def test_spans_of_bytes_through_a_python_normalizer(data: bytes) -> None:
    tokenizer = WordPieceTokenizer(VOCAB, normalizer=nm.NFKC())
    ids, spans = tokenizer.encode_with_offsets(data, disallowed_special=())
    assert len(ids) == len(spans) and all(0 <= start <= end <= len(data) for start, end in spans)


@pytest.mark.parametrize(
    "normalizer", [nm.BertNormalizer(), nm.Sequence([nm.NFD(), nm.StripAccents(), nm.Lowercase()])]
)
def test_offsets_by_hand(normalizer: nm.Normalizer) -> None:
    tokenizer = WordPieceTokenizer(VOCAB, normalizer=normalizer)
    text = "Été ABA, xyz"
    ids, spans = tokenizer.encode_with_offsets(text)
    tokens = [tokenizer.id_to_token(i).decode() for i in ids]
    assert tokens == ["e", "##t", "##e", "aba", ",", "[UNK]"]
    assert [text[a:b] for a, b in spans] == ["É", "t", "é", "ABA", ",", "xyz"]
    assert tokenizer.encode_with_offsets(text.encode())[1][:2] == [(0, 2), (2, 3)]


def test_words_that_cannot_be_spelt(tokenizer: WordPieceTokenizer) -> None:
    unk = tokenizer.token_to_id("[UNK]")
    assert tokenizer.encode("abx xab") == [unk, unk]
    assert tokenizer.encode("a" * 100) == [tokenizer.token_to_id("a")] + [tokenizer.token_to_id("##a")] * 99
    assert tokenizer.encode("a" * 101) == [unk]
    # Greedy: "aba" is taken although "ab" + "##abab" would have spelt the word.
    assert [tokenizer.id_to_token(i) for i in tokenizer.encode("ababab")] == [b"aba", b"##b", b"##ab"]
    assert tokenizer.encode("") == [] == tokenizer.encode(" \n")


def test_long_text_takes_no_square_of_time(tokenizer: WordPieceTokenizer) -> None:
    assert tokenizer.encode("a" * 1_000_000) == [1]
    assert len(tokenizer.encode("中" * 300_000)) == 300_000
    assert len(tokenizer.encode("." * 300_000)) == 300_000
    assert len(tokenizer.encode("aba " * 300_000)) == 300_000
    assert tokenizer.encode("q" + "\u0301" * 100_000) == [tokenizer.token_to_id("q")]


def test_special_tokens(tokenizer: WordPieceTokenizer) -> None:
    with pytest.raises(
        ValueError,
        match=r"\[WordPieceTokenizer\] text must not hold special tokens .* '\[SEP\]' at position 2",
    ):
        tokenizer.encode("aé[SEP]")
    assert tokenizer.encode("a[SEP]b", allowed_special="all") == [5, 3, 6]
    assert tokenizer.encode("a[SEP]b", allowed_special={"[SEP]"}) == [5, 3, 6]
    by_space = WordPieceTokenizer(VOCAB, pre_tokenizer="whitespace")
    assert by_space.encode_ordinary("[SEP]") == [1] and by_space.encode("[SEP]", allowed_special="all") == [3]
    plain = tokenizer.encode("a[SEP]b", disallowed_special=())
    assert 3 not in plain and plain[0] == 5
    ids, spans = tokenizer.encode_with_offsets("é[MASK] b", allowed_special="all")
    assert [*ids] == [tokenizer.token_to_id("e"), 4, 6] and spans == [(0, 1), (1, 7), (8, 9)]
    assert tokenizer.encode("a b", add_special_tokens=True) == [2, 5, 6, 3]
    assert tokenizer.encode_pair("a", "b c") == ([2, 5, 3, 6, 9, 3], [0, 0, 0, 1, 1, 1])
    assert tokenizer.special_tokens == {name: i for i, name in enumerate(SPECIAL)}
    bare = WordPieceTokenizer(["[UNK]", "a"])
    assert bare.encode("a", add_special_tokens=True) == [1] and bare.encode_pair("a", "a") == ([1, 1], [0, 1])


def test_decoding(tokenizer: WordPieceTokenizer) -> None:
    ids = tokenizer.encode("aba, unab. a'a")
    assert tokenizer.decode(ids) == "aba, unab. a ' a"
    assert "".join(tokenizer.decode_stream(ids)) == tokenizer.decode(ids)
    assert WordPieceTokenizer(VOCAB, cleanup=False).decode(ids) == "aba , unab . a ' a"
    with_special = tokenizer.encode("a b", add_special_tokens=True)
    assert tokenizer.decode(with_special) == "[CLS] a b [SEP]"
    assert tokenizer.decode(with_special, skip_special_tokens=True) == "a b"
    assert tokenizer.decode([]) == "" and tokenizer.decode(np.array(ids, np.uint32)) == tokenizer.decode(ids)
    with pytest.raises(ValueError, match=r"ids must be of the vocabulary, but got 999"):
        tokenizer.decode([5, 999])
    with pytest.raises(TypeError, match="ids must be integers"):
        tokenizer.decode([0.5])


@given(st.lists(TEXT, max_size=8), st.integers(1, 4))
def test_a_batch_is_one_by_one(tokenizer: WordPieceTokenizer, texts: list[str], threads: int) -> None:
    assert tokenizer.encode_batch(texts, threads=threads, disallowed_special=()) == [
        tokenizer.encode_ordinary(text) for text in texts
    ]


def test_batches_of_everything(tokenizer: WordPieceTokenizer) -> None:
    texts: list[str | bytes] = ["ab", b"ab\xff", "[SEP]", ""]
    one_by_one = [tokenizer.encode(text, allowed_special="all") for text in texts]
    assert tokenizer.encode_batch(texts, allowed_special="all") == one_by_one
    with pytest.raises(TypeError, match="texts must be several"):
        tokenizer.encode_batch("ab")
    with pytest.raises(ValueError, match="threads must be at least 1"):
        tokenizer.encode_batch(["a"], threads=0)
    with pytest.raises(TypeError, match="text must be a str or bytes, but got int"):
        tokenizer.encode_batch([3])  # type: ignore[list-item]


@given(st.lists(TEXT, max_size=6))
def test_parts_are_the_joined_text(tokenizer: WordPieceTokenizer, parts: list[str]) -> None:
    ids = tokenizer.encode_iterable(parts, disallowed_special=())
    assert list(ids) == tokenizer.encode_ordinary("".join(parts))


def test_files_larger_than_what_is_read_at_once(tokenizer: WordPieceTokenizer, tmp_path: Path) -> None:
    text = "aba un, ab\n中 é." * 500_000
    (tmp_path / "text.txt").write_text(text)
    count = tokenizer.encode_file(tmp_path / "text.txt", tmp_path / "ids.npy")
    ids = np.load(tmp_path / "ids.npy")
    assert ids.dtype == np.uint16 and len(ids) == count
    assert (ids == tokenizer.encode_to_numpy(text)).all()


def test_lone_surrogates(tokenizer: WordPieceTokenizer) -> None:
    for encoder in (tokenizer, WordPieceTokenizer(VOCAB, normalizer=nm.NFC())):
        message = (
            r"\[WordPieceTokenizer\] text must be Unicode, but got the lone surrogate U\+D83D at position 1"
        )
        for call in (encoder.encode, encoder.encode_with_offsets, encoder.encode_to_numpy):
            with pytest.raises(ValueError, match=message):
                call("a\ud83d")


def test_trace(tokenizer: WordPieceTokenizer) -> None:
    trace = tokenizer.trace("Abx 中")
    assert trace.words[0] == ("abx", [("abx", False), ("ab", True), ("##x", False)])
    lines = repr(trace).splitlines()
    assert lines[1].split() == ["abx", "abx,", "ab", "ab"] and lines[2].split() == ["##x", "[UNK]"]
    assert lines[3].split() == ["中", "中", "中"]
    assert "more than 100 characters" in repr(tokenizer.trace("a" * 101))


# ----------------------------------------------------------------------------------------------------------- files


def test_files_round_trip(tokenizer: WordPieceTokenizer, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    for loaded in (
        WordPieceTokenizer.from_file(tmp_path / "tokenizer.json"),
        WordPieceTokenizer.load(tmp_path / "tokenizer.json"),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert loaded == tokenizer and hash(loaded) == hash(tokenizer)
        assert loaded.encode("Éab[SEP]", allowed_special="all") == tokenizer.encode(
            "Éab[SEP]", allowed_special="all"
        )
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert config["cls_token"] == "[CLS]" and config["unk_token"] == "[UNK]"
    tokenizer.save_vocab(tmp_path / "vocab.txt")
    assert WordPieceTokenizer.from_vocab(tmp_path / "vocab.txt") == tokenizer
    cased = WordPieceTokenizer.from_vocab(tmp_path / "vocab.txt", lowercase=False)
    assert cased != tokenizer and cased.encode("A") == [1]
    (tmp_path / "vocab.txt").write_bytes("\r\n".join(VOCAB).encode())
    assert WordPieceTokenizer.from_vocab(tmp_path / "vocab.txt").vocab == tokenizer.vocab


def test_every_option_round_trips(tmp_path: Path) -> None:
    for options in OPTIONS:
        tokenizer = WordPieceTokenizer(VOCAB, **options)
        tokenizer.save(tmp_path / "tokenizer.json")
        assert WordPieceTokenizer.from_file(tmp_path / "tokenizer.json") == tokenizer
    with pytest.raises(ValueError, match="no case folding"):
        WordPieceTokenizer(VOCAB, normalizer=nm.CaseFold()).to_dict()


def change(path: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    """Set a field; ... deletes it."""

    def apply(content: dict[str, Any]) -> Any:
        *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        entry: Any = content
        for key in parents:
            entry = entry[key]
        if value is ...:
            del entry[last]
        else:
            entry[last] = value
        return content

    return apply


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda _: [], "content must be an object, but got []"),
        (change("model", ...), "model must be an object, but got None"),
        (change("model.type", "BPE"), "model.type must be 'WordPiece', but got 'BPE'"),
        (change("model.vocab", []), "model.vocab must be an object"),
        (change("model.vocab", {}), "model.vocab must be a vocabulary that is not empty"),
        (change("model.vocab.a", 3), "model.vocab must be tokens with an id of their own, but got \"3 of '[SEP]'"),
        (change("model.vocab.a", -1), "model.vocab must be tokens with ids from 0"),
        (change("model.vocab.a", True), "model.vocab must be tokens with ids from 0"),
        (change("model.vocab.a", 2**40), "model.vocab must be tokens with ids from 0"),
        (change("model.vocab.[UNK]", ...), "model.unk_token must be in the vocabulary"),
        (change("model.unk_token", 3), "model.unk_token must be a string"),
        (change("model.max_input_chars_per_word", 0), "model.max_input_chars_per_word must be from 1"),
        (change("model.max_input_chars_per_word", 1.5), "model.max_input_chars_per_word must be a number"),
        (change("model.continuing_subword_prefix", None), "model.continuing_subword_prefix must be a string"),
        (change("added_tokens", {}), "added_tokens must be a list"),
        (change("added_tokens.0", 1), "added_tokens[0] must be an object"),
        (change("added_tokens.1.content", "[PAD]"), "added_tokens[1] must be texts that are not empty and there"),
        (change("added_tokens.1.id", 7), "added_tokens[1] must be tokens with an id of their own, but"),
        (change("added_tokens.1.single_word", 1), "added_tokens[1].single_word must be true or false"),
        (change("normalizer.type", "Nmt"), "normalizer.type must be one of"),
        (change("pre_tokenizer", None), "pre_tokenizer must be an object"),
        (change("pre_tokenizer.type", "ByteLevel"), "pre_tokenizer.type must be 'BertPreTokenizer' or"),
        (change("decoder.type", "BPEDecoder"), "decoder.type must be 'WordPiece'"),
        (change("decoder.prefix", "@@"), "decoder.prefix must be '##'"),
        (change("decoder.cleanup", 1), "decoder.cleanup must be true or false"),
        (change("post_processor.type", "ByteLevel"), "post_processor.type must be 'TemplateProcessing' or"),
        (change("post_processor.single.0.SpecialToken.id", "x"), "post_processor.single[0].SpecialToken must be"),
        (change("post_processor.single", []), "post_processor.single must be special tokens and $A"),
        (change("post_processor.pair.1.Sequence.id", "B"), "post_processor.pair must be special tokens and $A and $B"),
        (change("post_processor.pair.1", {}), "post_processor.pair[1]"),
        (change("post_processor.pair.3.Sequence.type_id", 0), "post_processor.pair[3].Sequence.type_id must be 1"),
    ],
)  # fmt: skip
def test_bad_files(
    tokenizer: WordPieceTokenizer, tmp_path: Path, edit: Callable[[Any], Any], message: str
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(edit(copy.deepcopy(tokenizer.to_dict()))))
    with pytest.raises(ValueError) as caught:
        WordPieceTokenizer.from_file(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_files_that_are_no_json(tokenizer: WordPieceTokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    data = path.read_bytes()
    for bad in (
        b"",
        data[: len(data) // 2],
        data.replace(b'"a":', b'"\xff":'),
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ):
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=r"tokenizer\.json"):
            WordPieceTokenizer.from_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must hold the unknown token '[UNK]'"),
        (b"a\nb\n", "must hold the unknown token '[UNK]'"),
        (b"[UNK]\na\n\nb\n", "line 3: must be a token that is not empty and not there before, but got ''"),
        (b"[UNK]\na\na\n", "line 3: must be a token that is not empty and not there before, but got 'a'"),
        (b"[UNK]\na\xff\n", "line 2: must be UTF-8, but got byte 0xff"),
    ],
)
def test_bad_vocabularies(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        WordPieceTokenizer.from_vocab(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("vocab", "options", "message"),
    [
        ([], {}, "vocab must be a vocabulary that is not empty"),
        (["[UNK]", "a", "a"], {}, "vocab must be tokens that are there once, but got 'a'"),
        ({"[UNK]": 0, "a": 0}, {}, "vocab must be tokens with an id of their own"),
        (["a"], {}, "unk_token must be in the vocabulary, but got '[UNK]'"),
        (["[UNK]"], {"max_chars_per_word": 0}, "max_chars_per_word must be at least 1"),
        (["[UNK]"], {"pre_tokenizer": "gpt2"}, "pre_tokenizer must be 'bert' or 'whitespace'"),
        (
            ["[UNK]"],
            {"special_tokens": ["[CLS]"]},
            "special_tokens must be in the vocabulary, or given with an id",
        ),
        (
            ["[UNK]", "a"],
            {"special_tokens": {"b": 1}},
            "added_tokens must be tokens with an id of their own",
        ),
        (
            ["[UNK]", "a"],
            {"special_tokens": {"a": 2}},
            "added_tokens must be tokens with the id of the vocabulary",
        ),
        (["[UNK]"], {"single": ["[CLS]", "$A"]}, "single must be special tokens and $A"),
        (["[UNK]"], {"pair": ["$A"]}, "pair must be special tokens and $A and $B"),
        (["[UNK]", "\ud800"], {}, "vocab must be tokens of Unicode"),
    ],
)
def test_bad_arguments(vocab: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        WordPieceTokenizer(vocab, **options)
    assert message in str(caught.value) and str(caught.value).startswith("[WordPieceTokenizer] ")


def test_a_vocabulary_with_gaps_and_tokens_beside_it() -> None:
    tokenizer = WordPieceTokenizer({"[UNK]": 3, "a": 10}, special_tokens={"<s>": 20})
    assert (
        tokenizer.encode("a b<s>", allowed_special="all") == [10, 3, 20]
        and tokenizer.vocab_size == len(tokenizer) == 21
    )
    assert tokenizer.decode([20, 10]) == "<s> a" and tokenizer.token_to_id(b"<s>") == 20
    assert tokenizer.token_to_id("x") is None and tokenizer.token_to_id(b"\xff") is None
    added = AddedToken("xyz", 30, special=False, lstrip=True)
    with_added = WordPieceTokenizer(tokenizer.vocab, added_tokens=[added])
    assert with_added.encode("a   xyz a") == [10, 30, 10] and with_added.special_tokens == {"[UNK]": 3}
    assert with_added.encode_with_offsets("a   xyz a")[1] == [(0, 1), (1, 7), (8, 9)]
    with pytest.raises(ValueError, match=r"0 to 1 for a vocab\.txt"):
        tokenizer.save_vocab("vocab.txt")


# ----------------------------------------------------------------------------------------------- a real vocabulary


def test_a_real_vocabulary(test_data: Path) -> None:
    folder = test_data / "tokenizers" / "bert-uncased"
    tokenizer = WordPieceTokenizer.from_file(folder / "tokenizer.json")
    assert tokenizer == WordPieceTokenizer.from_vocab(folder / "vocab.txt")
    assert tokenizer.encode("Hello, world!", add_special_tokens=True) == [101, 7592, 1010, 2088, 999, 102]
    text = (test_data / "text" / "udhr" / "udhr_fra.xml").read_text()
    assert tokenizer.encode(text) == reference.encode(text, tokenizer.vocab)
