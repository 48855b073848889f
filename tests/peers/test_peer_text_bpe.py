"""BPE ids against tiktoken and tokenizers: the real vocabularies, every text of the test data, all of Unicode."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundup.text import AddedToken, BPETokenizer, load, normalize
from groundup.text.patterns import PATTERNS, RegexSplitter

tiktoken = pytest.importorskip("tiktoken", reason="the peer suite needs the tiktoken package")
tokenizers = pytest.importorskip("tokenizers", reason="the peer suite needs the tokenizers package")

# As tiktoken publishes them.
TIKTOKEN_PATTERNS = {
    "gpt2": r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""",
    "cl100k": r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",  # noqa: E501
    "o200k": PATTERNS["o200k"],
}  # fmt: skip
SPECIAL = {"<|endoftext|>": 100257, "<|fim_prefix|>": 100258}
STRINGS = 100_000

# Scripts, digits, marks, symbols and the rest, so that boundaries between them come up often.
BLOCKS = [
    *[(0x20, 0x7F)] * 4,
    *[(0x00, 0x20), (0x80, 0x250), (0x2B0, 0x370), (0x370, 0x530), (0x530, 0x700), (0x660, 0x66A), (0x900, 0xE00)],
    *[(0xE00, 0x1000), (0x1100, 0x1200), (0x1C80, 0x1CC0), (0x1E00, 0x2000), (0x2000, 0x2070), (0x2070, 0x2200)],
    *[(0x2460, 0x2500), (0x2C00, 0x2E00), (0x3000, 0x3100), (0x4E00, 0x9FFF), (0xA640, 0xA800), (0xAC00, 0xD7A4)],
    *[(0xE000, 0xE010), (0xF900, 0xFB10), (0xFE00, 0xFFFF), (0x10000, 0x110000), (0x1D400, 0x1D7FF)],
    *[(0x1F1E6, 0x1F200), (0x1F300, 0x1FB00)],
]  # fmt: skip
PARTS = [
    *["'s", "'S", "'ſ", "'ll", "'RE", "don't", "WordCase", "HTTPServer", " ", "  ", "\n", "\r\n", "\t", "123", "/"],
    *["!", "\n  \n", "!\n/", "\u200d", "\ufe0f", "\u0301", "\u00a0", "\u3000", "👩\u200d👩\u200d👧", "ﬁ", "ß", "İ"],
    "<|endoftext|>",
]  # fmt: skip


def strings(seed: int, count: int) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(count):
        out = []
        for _ in range(rng.choice([1, 1, 2, 3, 5, 8, 20])):
            low, high = rng.choice(BLOCKS)
            for _ in range(rng.choice([1, 2, 3, 6])):
                point = rng.randrange(low, high)
                if rng.random() < 0.25 or 0xD800 <= point < 0xE000:
                    out.append(rng.choice(PARTS))
                else:
                    out.append(chr(point))
        yield "".join(out)


def texts(test_data: Path) -> Iterator[str]:
    for path in sorted((test_data / "text").rglob("*.*")):
        yield path.read_text(encoding="utf-8")


def ranks(path: Path) -> dict[bytes, int]:
    lines = (line.split() for line in path.read_bytes().splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in lines}


@pytest.fixture(scope="module", params=["gpt2", "cl100k", "o200k"])
def tiktoken_pair(request: pytest.FixtureRequest, test_data: Path) -> tuple[Any, BPETokenizer]:
    """r50k's and cl100k's ranks with their own patterns; o200k's pattern with cl100k's ranks."""
    name = request.param
    path = test_data / "tokenizers" / f"{'r50k' if name == 'gpt2' else 'cl100k'}_base.tiktoken"
    theirs = tiktoken.Encoding(
        name, pat_str=TIKTOKEN_PATTERNS[name], mergeable_ranks=ranks(path), special_tokens=SPECIAL
    )
    return theirs, BPETokenizer.from_tiktoken(path, name, SPECIAL)


def test_tiktoken_on_texts(tiktoken_pair: tuple[Any, BPETokenizer], test_data: Path) -> None:
    theirs, ours = tiktoken_pair
    for text in texts(test_data):
        expected = theirs.encode(text)
        assert ours.encode(text) == expected
        assert ours.decode(expected) == theirs.decode(expected) == text


def test_tiktoken_on_all_of_unicode(tiktoken_pair: tuple[Any, BPETokenizer]) -> None:
    theirs, ours = tiktoken_pair
    for text in strings(1, STRINGS):
        assert ours.encode_ordinary(text) == theirs.encode_ordinary(text), repr(text)


def test_tiktoken_on_special_tokens(tiktoken_pair: tuple[Any, BPETokenizer]) -> None:
    theirs, ours = tiktoken_pair
    for text in [
        "a <|endoftext|> b<|fim_prefix|>",
        "<|endoftext|><|endoftext|>",
        "no <|end",
        " \n<|endoftext|>\n ",
    ]:
        for options in ({"allowed_special": "all"}, {"disallowed_special": ()},
                        {"allowed_special": {"<|endoftext|>"}, "disallowed_special": ()}):  # fmt: skip
            assert ours.encode(text, **options) == theirs.encode(text, **options)
        raised = []
        for tokenizer in (ours, theirs):
            try:
                tokenizer.encode(text)
                raised.append(False)
            except ValueError:
                raised.append(True)
        assert raised[0] == raised[1] == ("<|endoftext|>" in text)


def test_tiktoken_on_offsets_and_worst_cases(tiktoken_pair: tuple[Any, BPETokenizer]) -> None:
    theirs, ours = tiktoken_pair
    text = "the Straße, 中文 字符 don't  stop\n"
    ids, spans = ours.encode_with_offsets(text)
    assert theirs.decode_with_offsets(ids) == (text, [start for start, _ in spans])
    for unit in ("a", "ab", "^", " ", "0", "中", "\n", "aB"):
        long = unit * (20_000 // len(unit))
        assert ours.encode(long) == theirs.encode(long)


# ---------------------------------------------------------------------------------------------------- tokenizers


@pytest.fixture(
    scope="module", params=["gpt2", "cl100k", "cl100k_old", "qwen2", "o200k", "whitespace", "none"]
)
def pair(request: pytest.FixtureRequest, test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """GPT-2's vocabulary and merges with each pattern, saved by us and loaded by tokenizers."""
    folder = test_data / "tokenizers" / "gpt2"
    ours = BPETokenizer.from_gpt2(folder / "encoder.json", folder / "vocab.bpe", pattern=request.param)
    path = tmp_path_factory.mktemp("saved") / "tokenizer.json"
    ours.save(path)
    return tokenizers.Tokenizer.from_file(str(path)), ours


def test_tokenizers_on_texts(pair: tuple[Any, BPETokenizer], test_data: Path) -> None:
    theirs, ours = pair
    for text in texts(test_data):
        # One piece of a whole text takes tokenizers long.
        text = text[:20_000] if ours.pattern == "none" else text
        expected = theirs.encode(text).ids
        assert ours.encode(text, allowed_special="all") == expected


def test_tokenizers_on_all_of_unicode(pair: tuple[Any, BPETokenizer]) -> None:
    theirs, ours = pair
    batch = list(strings(2, STRINGS))
    for text, expected in zip(batch, theirs.encode_batch_fast(batch), strict=True):
        assert ours.encode(text, allowed_special="all") == expected.ids, repr(text)


def test_gpt2_as_tokenizers_builds_it(test_data: Path, tmp_path: Path) -> None:
    """Not from our file: made of the published ones, saved by tokenizers, loaded by us."""
    folder = test_data / "tokenizers" / "gpt2"
    theirs = tokenizers.ByteLevelBPETokenizer(str(folder / "encoder.json"), str(folder / "vocab.bpe"))
    theirs.add_special_tokens(["<|endoftext|>"])
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = load(tmp_path)
    assert isinstance(ours, BPETokenizer)
    text = (test_data / "text" / "sherlock_1661.txt").read_text(encoding="utf-8") + "<|endoftext|>"
    assert ours.encode(text, allowed_special="all") == theirs.encode(text).ids


def test_cl100k_through_a_json(test_data: Path, tmp_path: Path) -> None:
    """Ranks become merges and ignore_merges; special ids with gaps between them stay."""
    ours = BPETokenizer.from_tiktoken(test_data / "tokenizers" / "cl100k_base.tiktoken", "cl100k", SPECIAL)
    ours.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    back = load(tmp_path)
    assert isinstance(back, BPETokenizer) and back.pattern == "cl100k"
    for text in [*strings(3, 5_000), "<|fim_prefix|> x"]:
        expected = theirs.encode(text).ids
        assert (
            ours.encode(text, allowed_special="all") == expected == back.encode(text, allowed_special="all")
        )


@pytest.mark.parametrize("flags", [{}, {"lstrip": True}, {"rstrip": True}, {"single_word": True}])
def test_added_tokens_as_in_tokenizers(flags: dict[str, bool]) -> None:
    texts = ["a <m> b", "a  <m>\t\nb", "a<m>b", "<m>", " <m> ", "<m><m>", "_<m>.", "é<m> ², <m>2"]
    trained = BPETokenizer.train(" ".join(texts), 300, pattern="gpt2")
    ours = BPETokenizer(
        trained._vocab, trained.merges, added_tokens=[AddedToken("<m>", len(trained), special=False, **flags)]
    )
    theirs = tokenizers.Tokenizer.from_str(_json(trained))
    theirs.add_tokens([tokenizers.AddedToken("<m>", normalized=False, **flags)])
    for text in texts:
        assert ours.encode(text) == theirs.encode(text).ids, text


def _json(tokenizer: BPETokenizer) -> str:
    return json.dumps(tokenizer.to_dict())


@pytest.mark.parametrize("pattern", [r"\p{N}", r"[a-z]+| ", [r"\p{N}{1,3}", r"[一-龥]+", PATTERNS["qwen2"]]])
@pytest.mark.parametrize("normalizer", [None, normalize.NFC()])
def test_other_patterns_and_a_normalizer(pattern: Any, normalizer: Any) -> None:
    pytest.importorskip("regex", reason="needs the package regex")
    sample = "the 12345 wörds o\u0308 in 中文字符 and 1 more, don't they\n\n"
    trained = BPETokenizer.train(sample * 3, 320, pattern="qwen2")
    ours = BPETokenizer(trained._vocab, trained.merges, pattern=pattern, normalizer=normalizer)
    theirs = tokenizers.Tokenizer.from_str(_json(ours))
    for text in [sample, "u\u0308ber 7 中文", "", "a", "12 34", *strings(4, 300)]:
        expected = theirs.encode(text)
        assert ours.encode(text) == expected.ids, repr(text)
    ids, spans = ours.encode_with_offsets(sample)
    assert ids == theirs.encode(sample).ids
    if normalizer is None:
        assert [tuple(o) for o in theirs.encode(sample).offsets] == spans
    else:  # o and its dots are one character of three bytes: theirs and ours share it out differently
        assert {i for start, end in spans for i in range(start, end)} == set(range(len(sample)))


def test_regular_expressions_in_python(test_data: Path) -> None:
    """`RegexSplitter` cuts as tokenizers' Split does."""
    pytest.importorskip("regex", reason="needs the package regex")
    text = (test_data / "text" / "the-verdict.txt").read_text(encoding="utf-8")
    splitter = RegexSplitter([PATTERNS["o200k"]])
    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(PATTERNS["o200k"]), "isolated")
    ends = [end for _, (_, end) in split.pre_tokenize_str(text)]
    characters = [len(text.encode()[:end].decode()) for end in splitter.ends(text).tolist()]
    assert characters == ends
