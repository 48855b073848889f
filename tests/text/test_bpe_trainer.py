"""Learning merges: the C++ trainer gives what the plain Python one gives, however the text comes."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import groundup as gu
from groundup import _core
from groundup.reference.bpe import BPE, GPT2_BYTES, TieBreak

PATTERNS = ["gpt2", "cl100k", "cl100k_old", "qwen2", "o200k", "whitespace", "none"]
# What the patterns tell apart, so that short texts hold many of their cases.
ATOMS = [*"aBé字1!/ \n\r\t\u00a0\u3000。", "'s", "<x>", "<x> y"]
TEXT = st.lists(st.sampled_from(ATOMS), max_size=60).map("".join)
FEW_LETTERS = st.text(alphabet="ab ", max_size=80)


def learn(pieces: list[bytes], n: int, tie_break: TieBreak, min_frequency: int = 0) -> list[list[int]]:
    order = GPT2_BYTES if tie_break == "huggingface" else range(256)
    byte_ids = [0] * 256
    for id_, byte in enumerate(order):
        byte_ids[byte] = id_
    counted = list(Counter(pieces).items())
    merges, _ = _core.train_bpe(_core.Pieces(counted), n, min_frequency, tie_break == "minbpe", byte_ids)
    return merges.tolist()  # type: ignore[no-any-return]


def pieces_of(pattern: str, data: bytes) -> list[bytes]:
    ends = _core.split_offsets(pattern, data).tolist()
    return [data[a:b] for a, b in pairwise(ends)]


@pytest.mark.parametrize("tie_break", ["huggingface", "minbpe", "rustbpe"])
@given(text=TEXT | FEW_LETTERS | st.text(), n=st.integers(0, 60), min_frequency=st.integers(0, 4))
@settings(max_examples=300, deadline=None)
def test_merges_are_those_of_the_reference(
    tie_break: TieBreak, text: str, n: int, min_frequency: int
) -> None:
    for pattern in ("gpt2", "none"):  # short pieces many times; one long piece
        pieces = pieces_of(pattern, text.encode())
        reference = BPE.train(pieces, n, tie_break=tie_break, min_frequency=min_frequency)
        assert learn(pieces, n, tie_break, min_frequency) == [list(pair) for pair in reference.merges]


@pytest.mark.parametrize("tie_break", ["huggingface", "minbpe", "rustbpe"])
def test_merges_of_prose(tie_break: TieBreak) -> None:
    text = gu.data.stdlib_text().text[:30_000].encode()
    pieces = pieces_of("gpt2", text)
    reference = BPE.train(pieces, 400, tie_break=tie_break)
    assert learn(pieces, 400, tie_break) == [list(pair) for pair in reference.merges]


def test_counts_fall_through_every_threshold() -> None:
    # Pairs from a million times to once: the index is made anew several times on the way.
    letters = [bytes([97 + i, 65 + i]) for i in range(20)]
    counted = [(piece, 2 ** (20 - i)) for i, piece in enumerate(letters)]
    merges, counts = _core.train_bpe(_core.Pieces(counted), 100, 1, False, list(range(256)))
    assert merges.tolist() == [list(piece) for piece in letters]
    assert counts.tolist() == [count for _, count in counted]


def test_counts_beyond_32_bits() -> None:
    counted = [(b"ab", 2**40), (b"cd", 2**40 + 1), (b"ef", 2**33)]
    merges, counts = _core.train_bpe(_core.Pieces(counted), 3, 1, False, list(range(256)))
    assert merges.tolist() == [list(b"cd"), list(b"ab"), list(b"ef")]
    assert counts.tolist() == [2**40 + 1, 2**40, 2**33]


@pytest.mark.parametrize("byte_ids", [[], list(range(255)), [*range(255), 254], [*range(255), 256]])
def test_byte_ids_are_a_permutation(byte_ids: list[int]) -> None:
    with pytest.raises(ValueError, match=r"\[train_bpe\] byte_ids must hold each of 0 to 255 once"):
        _core.train_bpe(_core.Pieces([]), 1, 1, False, byte_ids)


def test_a_million_equal_bytes() -> None:
    merges, counts = _core.train_bpe(_core.Pieces([(b"a" * 1_000_000, 1)]), 1000, 1, False, list(range(256)))
    assert merges[:3].tolist() == [[97, 97], [256, 256], [257, 257]]
    # Pairs overlap: n equal tokens in a row are n - 1 pairs.
    assert counts[:3].tolist() == [999_999, 499_999, 249_999]


@given(
    texts=st.lists(TEXT | st.text() | st.binary(max_size=40), max_size=4),
    pattern=st.sampled_from(PATTERNS),
    special=st.sampled_from([[], ["<x>"], ["<x>", "<x> y"], ["a", "/"]]),
    block=st.sampled_from([1, 5, 16]),
    step=st.integers(1, 12),
    threads=st.integers(1, 3),
)
@settings(max_examples=500, deadline=None)
def test_pieces_do_not_depend_on_blocks_or_threads(
    texts: list[str | bytes], pattern: str, special: list[str], block: int, step: int, threads: int
) -> None:
    before = gu.num_threads()
    gu.set_num_threads(threads)
    try:
        counter = _core.PieceCounter(pattern, special, block)
        expected: Counter[bytes] = Counter()
        for text in texts:
            data = text if isinstance(text, bytes) else text.encode()
            for i in range(0, len(data), step):
                counter.add_block(data[i : i + step])
            counter.end_text()
            for part in _without(data, special):
                expected.update(pieces_of(pattern, part))
        assert counter.n_bytes == sum(len(t if isinstance(t, bytes) else t.encode()) for t in texts)
        # Also their order, which is that of their first occurrence.
        assert counter.finish().items() == list(expected.items())
    finally:
        gu.set_num_threads(before)


def _without(data: bytes, special: list[str]) -> list[bytes]:
    """The parts of ``data`` between special tokens, of which the longest counts where several begin together."""
    if not special:
        return [data]
    names = sorted(special, key=len, reverse=True)
    return re.split(b"|".join(re.escape(name.encode()) for name in names), data)
