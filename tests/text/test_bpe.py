"""The BPE tokenizer: ids as in plain Python, nothing lost, special tokens, files."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import groundup as gu
from groundup import _core
from groundup.reference.bpe import BPE
from groundup.text import AddedToken, BPETokenizer, load, normalize

CORPUS = (
    "The quick brown fox doesn't jump over the lazy dog's back; it's 12345 times there, they'll say.\n\n"
    "\tdef getHTTPResponse(self): return {'ok': True, \"n\": 1_000}\n    Die Straße zum Fluß über Öl. "
    "中文字符在這裡 日本語のテキスト हिन्दी العربية 👩\u200d👧 αβγ the then there\n"
) * 3
PATTERNS = ["gpt2", "cl100k", "cl100k_old", "qwen2", "o200k", "whitespace", "none"]
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.sampled_from([*CORPUS.split(" "), " ", "  ", "\n", "'s", "<end>", "<|x|>"]), max_size=60).map(" ".join),
)  # fmt: skip
SPECIAL = {"<end>": 900, "<|x|>": 901, "<|x|>|": 905}


@pytest.fixture(scope="module", params=PATTERNS)
def tokenizer(request: pytest.FixtureRequest) -> BPETokenizer:
    trained = BPETokenizer.train(CORPUS, 700, pattern=request.param)
    return BPETokenizer(trained._vocab, trained.merges, pattern=request.param, special_tokens=SPECIAL)


@pytest.fixture(scope="module")
def english() -> BPETokenizer:
    trained = BPETokenizer.train(CORPUS, 700, pattern="cl100k")
    return BPETokenizer(trained._vocab, trained.merges, pattern="cl100k", special_tokens=SPECIAL)


def reference_ids(tokenizer: BPETokenizer, data: bytes) -> list[int]:
    """As `groundup.reference.bpe` has it, piece by piece."""
    merges = tokenizer.merges.tolist()
    tokens = [tokenizer.id_to_token(i) for i in [*range(256), *(result for *_, result in merges)]]
    reference = BPE(tokens, [(left, right) for left, right, _ in merges])
    offsets = _core.split_offsets(str(tokenizer.pattern), data).tolist()
    pieces = [data[a:b] for a, b in pairwise(offsets)]
    return [i for piece in pieces for i in reference.encode(piece)]


# ---------------------------------------------------------------------------------------------------------- ids


@settings(max_examples=30)
@given(data=st.one_of(st.binary(), TEXT.map(str.encode)))
def test_ids_are_those_of_plain_python(tokenizer: BPETokenizer, data: bytes) -> None:
    assert tokenizer.encode_ordinary(data) == reference_ids(tokenizer, data)


@given(data=st.binary())
def test_any_bytes_come_back(tokenizer: BPETokenizer, data: bytes) -> None:
    assert tokenizer.decode_bytes(tokenizer.encode(data, disallowed_special=())) == data


@given(text=TEXT)
def test_every_way_to_encode_gives_the_same(tokenizer: BPETokenizer, text: str) -> None:
    ids = tokenizer.encode(text, allowed_special="all")
    array = tokenizer.encode_to_numpy(text, allowed_special="all")
    assert array.dtype == np.uint32 and array.tolist() == ids
    assert tokenizer.decode(ids) == tokenizer.decode(array) == text
    assert "".join(tokenizer.decode_stream(ids)) == text
    assert tokenizer.encode(text.encode(), allowed_special="all") == ids
    cuts = [text[i : i + 7] for i in range(0, len(text), 7)]
    assert list(tokenizer.encode_iterable(cuts, allowed_special="all")) == ids


@given(texts=st.lists(TEXT, max_size=6), threads=st.sampled_from([None, 1, 2, 3]))
def test_a_batch_is_one_by_one(tokenizer: BPETokenizer, texts: list[str], threads: int | None) -> None:
    one_by_one = [tokenizer.encode(text, allowed_special="all") for text in texts]
    assert tokenizer.encode_batch(texts, threads=threads, allowed_special="all") == one_by_one
    ids, begins = tokenizer.encode_batch_to_numpy(texts, threads=threads, allowed_special="all")
    assert [ids[a:b].tolist() for a, b in pairwise(begins)] == one_by_one


@pytest.fixture
def two_threads() -> Any:
    before = gu.num_threads()
    gu.set_num_threads(2)
    yield
    gu.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    "unit", [CORPUS, "<end>a  ", "中文字符在這裡，日本語のテキスト。", "a", " ", "don't "]
)
def test_a_long_text_shared_by_threads(tokenizer: BPETokenizer, unit: str) -> None:
    text = unit * (400_000 // len(unit.encode()))
    whole = tokenizer.encode_to_numpy(text, allowed_special="all")
    ids, begins = tokenizer.encode_batch_to_numpy(["", text, "x", text], threads=2, allowed_special="all")
    assert begins.tolist() == [0, 0, len(whole), len(whole) + 1, 2 * len(whole) + 1]
    assert np.array_equal(ids[: len(whole)], whole) and np.array_equal(ids[len(whole) + 1 :], whole)


def test_parts_are_cut_where_no_token_crosses(tokenizer: BPETokenizer) -> None:
    """Parts of a few megabytes, so that the text is encoded in several goes; special tokens lie across the cuts."""
    text = (CORPUS + "word <end> word<|x|>| don't\n  \n") * 4000
    parts = [text[i : i + 300_001] for i in range(0, len(text), 300_001)]
    ids = list(tokenizer.encode_iterable(parts, allowed_special="all"))
    assert ids == tokenizer.encode(text, allowed_special="all")


@given(text=TEXT)
def test_cuts_are_safe(tokenizer: BPETokenizer, text: str) -> None:
    for end in range(0, len(text) + 1, 3):
        cut = tokenizer._safe_cut(text[:end])
        parts = [text[:cut], text[cut:]]
        joined = [i for part in parts for i in tokenizer.encode(part, allowed_special="all")]
        assert joined == tokenizer.encode(text, allowed_special="all")


# ------------------------------------------------------------------------------------------------------ long pieces


def test_a_million_equal_letters() -> None:
    """Pairs, pairs of pairs, and so on: as many of the longest as fit, then the number's binary digits."""
    vocab: list[bytes | None] = [bytes([b]) for b in range(256)]
    merges = []
    for k in range(10):
        left = 97 if k == 0 else 255 + k
        merges.append((left, left))
        vocab.append(b"a" * 2 ** (k + 1))
    tokenizer = BPETokenizer(vocab, merges)
    ids = tokenizer.encode_to_numpy("a" * 1_000_003)
    counts = dict(zip(*(x.tolist() for x in np.unique(ids, return_counts=True)), strict=True))
    expected = {265: 1_000_003 // 1024}
    for k in range(10):
        if 1_000_003 >> k & 1:
            expected[97 if k == 0 else 255 + k] = 1
    assert counts == expected


def test_ten_megabytes_without_a_space(english: BPETokenizer) -> None:
    unit = "thereandthenoverthelazydogback"
    text = unit * (10_000_000 // len(unit))
    ids = english.encode_to_numpy(text)
    assert english.decode(ids) == text
    short = english.encode(unit * 40)
    assert ids[:100].tolist() == short[:100]


def test_windows_of_a_long_piece_whose_merges_depend_on_its_end() -> None:
    # All pairs of neighbours differ, and those further right merge first: so pairs are counted from the end, and a
    # window that begins where the one before stopped would count them wrongly.
    order = bytes(x for i in range(256) for x in [i, *(y for j in range(i + 1, 256) for y in (i, j))])
    data = order[:40_001]
    pairs = [data[i : i + 2] for i in range(len(data) - 1)]
    assert len(set(pairs)) == len(pairs)
    vocab = [bytes([b]) for b in range(256)] + pairs[::-1]
    tokenizer = BPETokenizer(vocab, [(pair[0], pair[1]) for pair in pairs[::-1]], pattern="none")
    ids = tokenizer.encode(data)
    assert [vocab[i] for i in ids] == [data[:1], *(data[i : i + 2] for i in range(1, len(data), 2))]


@pytest.mark.parametrize("tail", [b"", b"x", b"aaa"])
def test_windows_of_a_long_piece_with_long_tokens(tail: bytes) -> None:
    # Tokens longer than a window: of 2, 4, 8 ... 2^17 letters.
    vocab = [bytes([b]) for b in range(256)] + [b"a" * 2**k for k in range(1, 18)]
    merges = [(97, 97), *((255 + k, 255 + k) for k in range(1, 17))]
    tokenizer = BPETokenizer(vocab, merges, pattern="none")
    data = b"a" * (3 * 2**17 - 1) + tail
    count = data.count(b"a")
    lengths = [2**17] * (count >> 17) + [2**k for k in range(16, -1, -1) if count >> k & 1]
    found = [vocab[i] for i in tokenizer.encode(data)]
    assert found == [b"a" * n for n in lengths] + ([b"x"] if tail == b"x" else [])


_LONG_PIECE = """
import numpy as np
from groundup.bench.worker import peak_mb
from groundup.text import BPETokenizer
tokenizer = BPETokenizer([bytes([b]) for b in range(256)] + [b"ab", b"cd"], [(97, 98), (99, 100)], pattern="none")
data = np.random.default_rng(0).integers(97, 101, 8_000_000, np.uint8).tobytes()
before = peak_mb()
n = len(tokenizer.encode_to_numpy(data))
print(peak_mb() - before - 4 * n / 2**20)
"""


def test_a_long_piece_takes_no_memory_but_its_ids() -> None:
    # AddressSanitizer, where it is on, keeps what was freed for a while.
    environment = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=0"}
    command = [sys.executable, "-c", _LONG_PIECE]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert float(run.stdout) < 8 + 50  # of 8 MB; in one window it would be 28 bytes a byte


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timers for signals")
def test_construction_over_long_tokens_can_be_interrupted() -> None:
    def seconds(tokens: int) -> float:
        vocab = [bytes([b]) for b in range(256)] + [b"aa"] + [b"a" * (1_000_000 + i) for i in range(tokens)]
        start = time.perf_counter()
        with contextlib.suppress(InterruptedError):
            BPETokenizer(vocab, [(97, 97)], pattern="none")
        return time.perf_counter() - start

    def interrupt(*_: object) -> None:
        raise InterruptedError

    a_few = seconds(6)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, a_few / 20)
        assert seconds(24) < 2 * a_few  # to its end it would take four times as long
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@settings(max_examples=30)
@given(data=st.binary(min_size=60, max_size=300).map(lambda b: bytes(97 + x % 4 for x in b)))
def test_the_heap_does_what_the_array_does(data: bytes) -> None:
    tokenizer = BPETokenizer.train(["abcabcdabdacadbabab" * 5, "aabbaabb" * 9], 300, pattern="none")
    assert tokenizer.encode(data) == reference_ids(tokenizer, data)


# -------------------------------------------------------------------------------------------------- ranks and merges


def test_without_merges_tokens_are_ranks() -> None:
    single = [bytes([b]) for b in range(256)]
    tokenizer = BPETokenizer([*single, b"bc", b"ab", b"abc", b"xyz"], pattern="none")
    assert tokenizer.encode("abc") == [258]  # a whole piece is a token first
    assert tokenizer.encode("abcd") == [258, 100]  # bc before ab, then a + bc
    assert tokenizer.encode("abd") == [257, 100]
    # No merges lead to xyz: only a whole piece is it.
    assert tokenizer.encode("xyz") == [259] and tokenizer.encode("xyzx") == [120, 121, 122, 120]
    assert tokenizer.merges.tolist() == [[98, 99, 256], [97, 98, 257], [97, 256, 258]]


def test_merges_go_in_their_order_and_whole_pieces_only_where_asked() -> None:
    single = [bytes([b]) for b in range(256)]
    vocab = [*single, b"ab", b"bc", b"abc"]
    merges = [(98, 99), (97, 98), (256, 99)]  # the last one never happens: bc goes first
    assert BPETokenizer(vocab, merges, pattern="none").encode("abc") == [97, 257]
    assert BPETokenizer(vocab, merges, pattern="none", whole_pieces=True).encode("abc") == [258]


@settings(max_examples=20)
@given(data=st.binary(max_size=80))
def test_ranks_equal_merges_of_a_trained_vocabulary(data: bytes) -> None:
    trained = BPETokenizer.train(CORPUS, 500, pattern="gpt2")
    assert BPETokenizer(trained._vocab, pattern="gpt2").encode(data) == trained.encode(data)


# ---------------------------------------------------------------------------------------------------------- offsets


@given(data=st.one_of(st.binary(), TEXT.map(str.encode)))
def test_offsets_tile_bytes(tokenizer: BPETokenizer, data: bytes) -> None:
    ids, spans = tokenizer.encode_with_offsets(data, allowed_special="all")
    assert [a for a, _ in spans] == [0, *(b for _, b in spans)][: len(spans)] and (
        not spans or spans[-1][1] == len(data)
    )
    assert [data[a:b] for a, b in spans] == [tokenizer.id_to_token(i) for i in ids]


@given(text=TEXT)
def test_offsets_cover_characters(tokenizer: BPETokenizer, text: str) -> None:
    ids, spans = tokenizer.encode_with_offsets(text, allowed_special="all")
    assert ids == tokenizer.encode(text, allowed_special="all")
    for id_, (start, end) in zip(ids, spans, strict=True):
        assert tokenizer.id_to_token(id_) in text[start:end].encode()
        assert tokenizer.id_to_token(id_) not in text[start + 1 : end].encode()  # no wider than need be
    starts, ends = [a for a, _ in spans], [b for _, b in spans]
    assert starts == sorted(starts) and ends == sorted(ends)
    assert {i for a, b in spans for i in range(a, b)} == set(range(len(text)))


def test_offsets_go_through_a_normalizer(english: BPETokenizer) -> None:
    tokenizer = BPETokenizer(english._vocab, english.merges, pattern="cl100k", normalizer=normalize.NFC())
    text = "the u\u0308ber o\u0308l"
    ids, spans = tokenizer.encode_with_offsets(text)
    assert ids == english.encode("the über öl")
    assert spans[0][0] == 0 and spans[-1][1] == len(text)
    assert any("\u0308" in text[a:b] for a, b in spans)
    assert {i for a, b in spans for i in range(a, b)} == set(range(len(text)))
    assert tokenizer.encode(text) == ids and tokenizer.encode("the fox") == english.encode("the fox")


# ---------------------------------------------------------------------------------------------------- special tokens


def test_special_tokens_raise_are_allowed_or_are_text(english: BPETokenizer) -> None:
    text = "über <end> the"
    with pytest.raises(ValueError, match=r"\[BPETokenizer\] .* not allowed, but got '<end>' at position 5"):
        english.encode(text)
    with pytest.raises(ValueError, match="at position 6"):
        english.encode(text.encode())  # counted in bytes
    with pytest.raises(ValueError, match="'<end>' at position 5"):
        english.encode_with_offsets(text)
    with pytest.raises(ValueError, match="'<end>' at position 5"):
        english.encode_batch(["", text], threads=2)
    assert english.encode(text, allowed_special={"<end>"}).count(900) == 1
    assert english.encode(text, allowed_special="all") == english.encode(text, allowed_special=["<end>"])
    plain = english.encode(text, disallowed_special=())
    assert 900 not in plain and english.decode(plain) == text
    assert english.encode(text, disallowed_special={"<|x|>"}) == plain
    with pytest.raises(ValueError, match=r"'<\|x\|>' at position 1"):
        english.encode(" <|x|>", allowed_special={"<end>"})
    for wrong in ({"<no>"}, "none"):
        with pytest.raises(ValueError, match="special tokens must be"):
            english.encode(text, allowed_special=wrong)


def test_the_longest_special_token_counts(english: BPETokenizer) -> None:
    assert english.encode("<|x|>|", allowed_special="all") == [905]
    assert english.encode("<|x|><|x|>|", allowed_special="all") == [901, 905]
    assert english.encode("<|x|>|", allowed_special={"<|x|>"}, disallowed_special=()) == [
        901,
        english.token_to_id("|"),
    ]


def test_added_tokens_and_their_flags(english: BPETokenizer) -> None:
    flags = [
        AddedToken("<m>", 800, special=False, lstrip=True),
        AddedToken("<r>", 801, special=False, rstrip=True),
        AddedToken("the", 802, special=False, single_word=True),
    ]
    tokenizer = BPETokenizer(english._vocab, english.merges, added_tokens=flags)
    a = english.encode("a")
    for fast in (True, False):
        tokenizer._plain_is_fast = fast
        assert tokenizer.encode("a \n<m> b") == [*a, 800, *english.encode(" b")]
        assert tokenizer.encode("<r> \t b") == [801, *english.encode("b")]
        assert tokenizer.encode("the")[0] == 802 and 802 not in tokenizer.encode("there") + tokenizer.encode(
            "_the"
        )
    ids, spans = tokenizer.encode_with_offsets("a  <m> b")
    assert ids[:2] == [*a, 800] and spans[:2] == [(0, 1), (1, 6)]


# -------------------------------------------------------------------------------------------------------- decoding


def test_decoding(english: BPETokenizer) -> None:
    assert english.decode([]) == "" and english.decode(range(64, 66)) == english.decode(iter([64, 65]))
    assert english.decode_bytes([900]) == b"<end>" and english.id_to_token(900) == b"<end>"
    euro = [i for b in "€".encode() if (i := english.token_to_id(bytes([b]))) is not None]
    assert english.decode(euro[:2]) == "\ufffd" and english.decode(euro) == "€"
    with pytest.raises(UnicodeDecodeError):
        english.decode(euro[:2], errors="strict")
    assert list(english.decode_stream([*euro, 900, *euro[:1]])) == ["€", "<end>", "\ufffd"]
    for wrong in (-1, 902, 2**40, 2**63):
        with pytest.raises(ValueError, match=r"ids must be of the vocabulary, but got -?\d+"):
            english.decode([97, wrong])
    with pytest.raises(TypeError, match="ids must be integers"):
        english.decode([1.5])
    with pytest.raises(ValueError, match="one axis"):
        english.decode([[1, 2]])


def test_the_surface(english: BPETokenizer) -> None:
    assert english.vocab_size == len(english) == 906 and english.special_tokens == SPECIAL
    assert english.token_to_id("<end>") == 900 and english.token_to_id(b"nothing like it") is None
    with pytest.raises(ValueError, match="but got 902"):
        english.id_to_token(902)
    text = "the quick <fox>"
    for copied in (copy.copy(english), copy.deepcopy(english), pickle.loads(pickle.dumps(english))):
        assert copied.encode(text) == english.encode(text) and copied.special_tokens == SPECIAL


@pytest.mark.parametrize("text", ["\ud800", "abc\udfff", "é\ud912"])
def test_lone_surrogates(english: BPETokenizer, text: str) -> None:
    message = rf"lone surrogate U\+{ord(text[-1]):04X} at position {len(text) - 1}"
    for encode in (
        english.encode,
        english.encode_to_numpy,
        english.encode_with_offsets,
        english.encode_ordinary,
    ):
        with pytest.raises(ValueError, match=message):
            encode(text)
    with pytest.raises(ValueError, match=message):
        english.encode_batch(["a", text])


@pytest.mark.parametrize("text", [3, None, ["a"], bytearray(b"a")])
def test_text_of_the_wrong_type(english: BPETokenizer, text: Any) -> None:
    for encode in (english.encode, english.encode_to_numpy, english.encode_with_offsets):
        with pytest.raises(TypeError, match="text must be a str or bytes, but got"):
            encode(text)
    with pytest.raises(TypeError, match="text must be"):
        english.encode_batch([text])
    with pytest.raises(TypeError, match="texts must be several of them, but got one str"):
        english.encode_batch("abc")


# --------------------------------------------------------------------------------------------------------- dropout


@given(text=TEXT, seed=st.integers(0, 2**64 - 1))
def test_dropout(tokenizer: BPETokenizer, text: str, seed: int) -> None:
    plain = tokenizer.encode_ordinary(text)
    assert tokenizer.encode_with_dropout(text, 0, seed=seed) == plain
    assert len(tokenizer.encode_with_dropout(text, 1, seed=seed)) == len(text.encode())
    dropped = tokenizer.encode_with_dropout(text, 0.3, seed=seed)
    assert tokenizer.decode(dropped) == text
    assert tokenizer.encode_with_dropout(text, 0.3, seed=seed) == dropped


def test_dropout_leaves_out_as_often_as_asked() -> None:
    tokenizer = BPETokenizer([*(bytes([b]) for b in range(256)), b"ab"], [(97, 98)])
    kept = tokenizer.encode_with_dropout(" ab" * 20_000, 0.25, seed=1).count(256)
    assert abs(kept / 20_000 - 0.75) < 5 * (0.25 * 0.75 / 20_000) ** 0.5
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"probability must lie in \[0, 1\]"):
            tokenizer.encode_with_dropout("ab", wrong, seed=0)


# ------------------------------------------------------------------------------------------- patterns of one's own


def test_any_regular_expression(english: BPETokenizer) -> None:
    pytest.importorskip("regex", reason="needs the package regex")
    tokenizer = BPETokenizer(english._vocab, english.merges, pattern=r"\p{L}+|\d", special_tokens=SPECIAL)
    text = "the 12 über-fox<end>"
    ids, spans = tokenizer.encode_with_offsets(text, allowed_special="all")
    assert ids == tokenizer.encode(text, allowed_special="all") and tokenizer.decode(ids) == text
    assert [text[a:b] for a, b in spans if text[a:b].isdigit()] == ["1", "2"]
    assert tokenizer.decode_bytes(tokenizer.encode(b"a\xff1")) == b"a\xff1"
    assert tokenizer.encode_batch([text, ""], disallowed_special=())[1] == []
    with pytest.raises(ValueError, match="must be a regular expression, but got"):
        BPETokenizer(english._vocab, english.merges, pattern=r"(")


def test_a_space_in_front(english: BPETokenizer) -> None:
    tokenizer = BPETokenizer(english._vocab, english.merges, pattern="gpt2", add_prefix_space=True)
    ids, spans = tokenizer.encode_with_offsets("the fox")
    assert ids == english.encode(" the fox") and spans == [(0, 3), (3, 7)]
    assert tokenizer.encode(" the") == tokenizer.encode("the") and tokenizer.encode("") == []


# ----------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("name", ["tokenizer.json", "ranks.tiktoken"])
def test_files_round_trip(tokenizer: BPETokenizer, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    # Hugging Face numbers bytes by their characters; in tiktoken's files an id is a rank, as it is here.
    tokenizer.save(path)
    if name.endswith("json"):
        loaded: Any = load(path)
        assert loaded.special_tokens == SPECIAL
    else:
        loaded = BPETokenizer.from_tiktoken(path, str(tokenizer.pattern), SPECIAL)
    assert isinstance(loaded, BPETokenizer) and loaded.pattern == tokenizer.pattern
    for text in (CORPUS, CORPUS.encode(), "<end>", "", "a" * 999):
        assert loaded.encode(text, allowed_special="all") == tokenizer.encode(text, allowed_special="all")
    again = tmp_path / f"again-{name}"
    loaded.save(again)
    assert (
        json.loads(again.read_text()) == json.loads(path.read_text())
        if name.endswith("json")
        else (again.read_bytes() == path.read_bytes())
    )


def test_ranks_need_the_order_of_ids(tmp_path: Path) -> None:
    single = [bytes([b]) for b in range(256)]
    tokenizer = BPETokenizer([*single, b"ab", b"bc"], [(98, 99), (97, 98)])
    with pytest.raises(ValueError, match=r"needs merges in the order of their ids"):
        tokenizer.save(tmp_path / "x.tiktoken")


def test_gpt2s_files_and_folders(tmp_path: Path) -> None:
    trained = BPETokenizer.train(CORPUS, 500)
    model = trained.to_dict()["model"]
    (tmp_path / "vocab.json").write_text(json.dumps({**model["vocab"], "<|endoftext|>": 500}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(model["merges"]) + "\n")
    loaded = load(tmp_path)
    assert isinstance(loaded, BPETokenizer)
    assert loaded.special_tokens == {"<|endoftext|>": 500} and loaded.encode(CORPUS) == trained.encode(CORPUS)
    trained.save_pretrained(tmp_path / "folder")
    assert load(tmp_path / "folder").encode(CORPUS) == trained.encode(CORPUS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: must hold tokenizer\.json"):
        load(tmp_path / "empty")


@pytest.mark.parametrize("suffix", [".npy", ".bin"])
def test_encode_file(english: BPETokenizer, tmp_path: Path, suffix: str) -> None:
    text = (CORPUS + "<end>") * 20_000  # several times what is read at once
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    out = tmp_path / f"ids{suffix}"
    count = english.encode_file(tmp_path / "text.txt", out, allowed_special="all")
    ids = np.load(out, mmap_mode="r") if suffix == ".npy" else np.fromfile(out, np.uint16)
    assert ids.dtype == np.uint16 and len(ids) == count
    assert np.array_equal(ids, english.encode_to_numpy(text, allowed_special="all"))
    stream = gu.data.TokenStream(out, context=8, vocab_size=english.vocab_size)
    assert stream.batch(0)[0].shape == (1, 8)
    with pytest.raises(ValueError, match=r"must end in \.npy or \.bin"):
        english.encode_file(tmp_path / "text.txt", tmp_path / "ids.txt")
    with pytest.raises(ValueError, match="<end>"):
        english.encode_file(tmp_path / "text.txt", out)
    assert np.array_equal(ids, english.encode_to_numpy(text, allowed_special="all"))  # the old file is whole


# ------------------------------------------------------------------------------------------------- damaged files


def ranks(**changes: bytes) -> bytes:
    lines = [b"%s %d" % (base64.b64encode(bytes([b])), b) for b in range(256)]
    lines += [b"%s 256" % base64.b64encode(b"ab"), b"%s 257" % base64.b64encode(b"abc")]
    for line, content in changes.items():
        lines[int(line[1:]) - 1] = content
    return b"\n".join(line for line in lines if line is not None) + b"\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ranks(_257=b"YW?i 256"), r"line 257: must begin with a token in base64"),
        (ranks(_257=b"YWI="), r"line 257: must be a token in base64, a space and a rank"),
        (ranks(_257=b"YWI= 2x"), r"line 257: must be a token"),
        (ranks(_257=b"YWI= -3"), r"line 257: must be a token"),
        (ranks(_257=b" 256"), r"line 257: must be a token"),
        (ranks(_257=b"YWI= 3"), r"line 257: ranks must differ, and that of line 4 is the same"),
        (ranks(_257=b"YQ== 256"), r"line 257: tokens must differ, and that of line 98 is the same"),
        (ranks(_257=b"YWI= 4000000000"), r"line 257: ranks must lie below 66052"),
        (ranks()[:1000], r"line \d+: must|byte 0x[0-9a-f]{2} is missing"),
        (b"", "byte 0x00 is missing"),
        (b"\x00\xff\xfe" * 50, "line 1: must begin with a token in base64"),
    ],
)
def test_damaged_ranks(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "cl100k.tiktoken"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert "cl100k.tiktoken" in str(caught.value)


def test_a_rank_file_whose_name_tells_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "my.tiktoken").write_bytes(ranks())
    with pytest.raises(ValueError, match=r"my\.tiktoken: the name must tell the pattern"):
        load(tmp_path / "my.tiktoken")
    assert BPETokenizer.from_tiktoken(tmp_path / "my.tiktoken", "none").encode("abc") == [257]


def tokenizer_json(**changes: Any) -> str:
    content = BPETokenizer(
        [*(bytes([b]) for b in range(256)), b"ab", b"abc"], [(97, 98), (256, 99)]
    ).to_dict()
    for path, value in changes.items():
        *parents, last = path.split("__")
        place: Any = content
        for parent in parents:
            place = place[parent]
        place[last] = value(place[last]) if callable(value) else value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "levels deep"),
        ('{"model": ', "must be JSON, but got .* at line 1 column"),
        (tokenizer_json()[:2000], "must be JSON, but got .* at line 1 column"),
        ("[]", "must be an object"),
        ("{}", "model must be an object"),
        (tokenizer_json(model__type="Unknown"), "model.type must be"),
        (tokenizer_json(model__vocab=[]), "vocab must be an object"),
        (tokenizer_json(model__vocab={}), "vocab must be an object that is not empty"),
        (tokenizer_json(model__vocab=lambda v: {**v, "x": -1}), "ids must be integers from 0"),
        (tokenizer_json(model__vocab=lambda v: {**v, "x": True}), "ids must be integers from 0"),
        (tokenizer_json(model__vocab=lambda v: {**v, "xy": 10**9}), "ids must be integers from 0 to"),
        (tokenizer_json(model__vocab=lambda v: {**v, "xy": 97}), "ids must differ, but got"),
        (tokenizer_json(model__vocab=lambda v: {**v, "x y": 300}), "byte-level tokens, but got {'x y': 300}"),
        (tokenizer_json(model__merges="ab"), "model.merges must be a list"),
        (tokenizer_json(model__merges=["a b", "b c"]), r"model.merges\[1\] must be of tokens and make one, and 'bc'"),
        (tokenizer_json(model__merges=["a b", "q zz"]), r"model.merges\[1\] must be of tokens and make one, and 'zz'"),
        (tokenizer_json(model__merges=["a b", "a b"]), "merges must differ"),
        (tokenizer_json(model__merges=["a b c"]), r"model.merges\[0\] must be two tokens"),
        (tokenizer_json(model__merges=[["a", 3]]), r"model.merges\[0\] must be two tokens"),
        (tokenizer_json(model__byte_fallback=True), "byte_fallback"),
        (tokenizer_json(model__dropout=0.1), "dropout"),
        (tokenizer_json(model__continuing_subword_prefix="##"), "continuing_subword_prefix"),
        (tokenizer_json(model__ignore_merges="yes"), "ignore_merges must be true or false"),
        (tokenizer_json(added_tokens={"a": 1}), "added_tokens must be a list"),
        (tokenizer_json(added_tokens=[3]), r"added_tokens\[0\] must be an object"),
        (tokenizer_json(added_tokens=[{"id": 1}]), r"added_tokens\[0\]\.content must be a text"),
        (tokenizer_json(added_tokens=[{"id": -1, "content": "x"}]), r"added_tokens\[0\]\.id must be an id"),
        (tokenizer_json(added_tokens=[{"id": 2**70, "content": "<x>"}]), "ids of added tokens must lie near"),
        (tokenizer_json(added_tokens=[{"id": 300, "content": "<x>", "lstrip": 1}]), "lstrip must be true or false"),
        (tokenizer_json(added_tokens=[{"id": 300, "content": "<x>"}, {"id": 301, "content": "<x>"}]), "have one id"),
        (tokenizer_json(added_tokens=[{"id": 300, "content": "<x>"}, {"id": 300, "content": "<y>"}]), "of one token"),
        (tokenizer_json(pre_tokenizer=None), "pre_tokenizer must be ByteLevel"),
        (tokenizer_json(pre_tokenizer={"type": "Sequence", "pretokenizers": []}), "pre_tokenizer must be"),
        (tokenizer_json(pre_tokenizer={"type": "Metaspace"}), "must be made of Split and ByteLevel"),
        (tokenizer_json(normalizer={"type": "Nonsense"}), "normalizer"),
        (tokenizer_json(post_processor=3), "post_processor must be"),
    ],
)  # fmt: skip
def test_damaged_json(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert "tokenizer.json" in str(caught.value)


@settings(max_examples=40)
@given(position=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans())
def test_a_changed_byte_is_an_error_or_a_tokenizer(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int, cut: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for name, content in (("t.json", tokenizer_json().encode()), ("cl100k.tiktoken", ranks())):
        at = position % len(content)
        damaged = content[:at] if cut else content[:at] + bytes([byte]) + content[at + 1 :]
        (folder / name).write_bytes(damaged)
        try:
            loaded = load(folder / name)
        except ValueError as caught:
            message = str(caught)
        else:
            message = name
            assert isinstance(loaded, BPETokenizer)
            assert loaded.decode_bytes(loaded.encode_ordinary("q")).endswith(b"q")
        assert name in message


@pytest.mark.parametrize(
    ("vocab", "merges", "message"),
    [
        (
            "#version: 0.2\na b\na b\n",
            None,
            r"merges\.txt line 3: merges must differ, and that of line 2 is the same",
        ),
        ("a b\nb zz\n", None, r"merges\.txt line 2: must be of tokens and make one, and 'zz'"),
        ("a b\nab\n", None, r"merges\.txt line 2: must be two tokens, but got 'ab'"),
        (b"a \xff", None, r"merges\.txt: must be UTF-8, but is not at byte 2"),
        ("a b\n", {"a": 0, "b": 0}, r"vocab\.json: ids must differ"),
        ("a b\n", ["a"], r"vocab\.json: vocab must be an object"),
    ],
)
def test_damaged_gpt2_files(tmp_path: Path, vocab: str | bytes, merges: Any, message: str) -> None:
    model = BPETokenizer([*(bytes([b]) for b in range(256)), b"ab"], [(97, 98)]).to_dict()["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"] if merges is None else merges))
    (tmp_path / "merges.txt").write_bytes(vocab if isinstance(vocab, bytes) else vocab.encode())
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_bad_arguments() -> None:
    single = [bytes([b]) for b in range(256)]
    for vocab, merges, message in [
        ([*single, b"a"], [], r"tokens must differ, but ids 97 and 256 have the same bytes"),
        ([*single, b""], [], "tokens must not be empty, but id 256"),
        ([*single, "ab"], [], "tokens must be bytes or None, but got str as id 256"),
        (single, [(97, 98)], r"merge 0 must give a token, but b'ab' is none"),
        (single, [(97, 256)], r"merge 0 must be of tokens, but got id 256"),
        (single, [(97, -1)], r"merge 0 must be of tokens, but got id -1"),
        (single, [(1, 2, 3, 4)], r"merges must be pairs of ids, but got shape \(1, 4\)"),
        ([*single, b"ab"], [(97, 99, 256)], "merge 0 must join its parts"),
        (single[:255], None, "every byte must be a token, but byte 255 is none"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            BPETokenizer(vocab, merges)  # type: ignore[arg-type]
    partial = BPETokenizer(single[:100], [])
    with pytest.raises(ValueError, match="must be of bytes with tokens, but got byte 122, which has none"):
        partial.encode("abz")
    with pytest.raises(ValueError, match="which has none"):
        partial.encode("z" * 1000)


# ------------------------------------------------------------------------------------------------ real vocabularies


def test_real_vocabularies(test_data: Path) -> None:
    folder = test_data / "tokenizers"
    gpt2 = BPETokenizer.from_gpt2(folder / "gpt2" / "encoder.json", folder / "gpt2" / "vocab.bpe")
    r50k = BPETokenizer.from_tiktoken(folder / "r50k_base.tiktoken", special_tokens={"<|endoftext|>": 50256})
    cl100k = load(folder / "cl100k_base.tiktoken")
    assert gpt2.special_tokens == r50k.special_tokens and gpt2.vocab_size == r50k.vocab_size == 50257
    assert gpt2.encode("Hello world") == r50k.encode("Hello world") == [15496, 995]
    assert cl100k.encode("tiktoken is great!") == [83, 1609, 5963, 374, 2294, 0]
    text = (test_data / "text" / "the-verdict.txt").read_text(encoding="utf-8")
    assert gpt2.encode(text) == r50k.encode(text) and len(gpt2.encode(text)) == 5145
