"""Token streams: windows as a function of (seed, step), files mapped and checked."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.data import TokenStream, token_dtype, write_tokens


@given(
    n=st.integers(2, 60), context=st.integers(1, 59), batch_size=st.integers(1, 5),
    seed=st.integers(0, 2**64 - 1), step=st.integers(0, 2**64 - 1),
)  # fmt: skip
def test_windows_lie_in_the_text(n: int, context: int, batch_size: int, seed: int, step: int) -> None:
    if n <= context:
        with pytest.raises(ValueError, match=f"got {n} ids for context {context}"):
            TokenStream(np.arange(n), context)
        return
    stream = TokenStream(np.arange(n), context, batch_size, seed=seed)
    x, y = stream.batch(step)
    assert x.shape == y.shape == (batch_size, context) and x.dtype == y.dtype == np.int64
    assert x.flags.c_contiguous and y.flags.c_contiguous
    assert (x == x[:, :1] + np.arange(context)).all() and (y == x + 1).all()
    assert x.min() >= 0 and y.max() <= n - 1


def test_a_step_does_not_depend_on_the_steps_before() -> None:
    ids = np.random.default_rng(0).integers(0, 50, 5000)
    run = TokenStream(ids, 16, 8, seed=4)
    batches = [run.batch(step) for step in range(30)]
    resumed = TokenStream(ids, 16, 8, seed=4).batch(29)
    assert all((a == b).all() for a, b in zip(batches[29], resumed, strict=True))
    assert len({x.tobytes() for x, _ in batches}) == 30
    assert (TokenStream(ids, 16, 8, seed=5).batch(29)[0] != resumed[0]).any()


def test_starts_are_uniform_and_reach_both_ends() -> None:
    stream = TokenStream(np.arange(14), 4, 1000, seed=1)
    starts = np.concatenate([stream.batch(step)[0][:, 0] for step in range(20)])
    counts = np.bincount(starts, minlength=14)
    # 10 starts, 20,000 draws: 2000 each, standard deviation 42.4.
    np.testing.assert_allclose(counts[:10], 2000, atol=5 * 42.4)
    assert (counts[10:] == 0).all()


@given(n=st.integers(2, 80), context=st.integers(1, 30), batch_size=st.integers(1, 5))
def test_evaluation_sees_each_target_once(n: int, context: int, batch_size: int) -> None:
    if n <= context:
        return
    stream = TokenStream(np.arange(n), context)
    windows = list(stream.windows(batch_size))
    targets = [t for _, y in windows for t in y.ravel().tolist()]
    assert targets == list(range(1, n))
    assert all((y == x + 1).all() for x, y in windows)
    assert all(x.shape == (batch_size, context) for x, _ in windows[:-2])


def test_a_limit_spreads_windows_over_the_text() -> None:
    stream = TokenStream(np.arange(1001), 10, 3)
    starts = [s for x, _ in stream.windows(limit=4) for s in x[:, 0].tolist()]
    assert starts == [0, 250, 500, 750]
    assert len(list(stream.windows(1, limit=10**6))) == 100


@pytest.mark.parametrize("suffix", [".npy", ".bin"])
@pytest.mark.parametrize(("vocab_size", "itemsize"), [(65, 2), (65_536, 2), (65_537, 4), (2**32, 4)])
def test_files(tmp_path: Path, suffix: str, vocab_size: int, itemsize: int) -> None:
    ids = np.random.default_rng(1).integers(0, vocab_size, 1000)
    ids[3] = vocab_size - 1
    path = tmp_path / f"ids{suffix}"
    write_tokens(path, ids, vocab_size)
    assert token_dtype(vocab_size).itemsize == itemsize
    stream = TokenStream(path, 8, 4, seed=2, vocab_size=vocab_size)
    assert isinstance(stream.ids, np.memmap) and stream.ids.dtype.itemsize == itemsize
    assert len(stream) == 1000 and (stream.ids == ids).all()
    for mapped, plain in zip(stream.batch(5), TokenStream(ids, 8, 4, seed=2).batch(5), strict=True):
        np.testing.assert_array_equal(mapped, plain)
    if suffix == ".npy":
        np.testing.assert_array_equal(np.load(path), ids)
    else:
        assert path.stat().st_size == 1000 * itemsize


def test_a_large_file_stays_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    n = 30_000_000
    with path.open("wb") as f:
        f.truncate(2 * n)  # zeros, without blocks on disk
    tracemalloc.start()
    stream = TokenStream(path, 64, 8, vocab_size=2)
    stream.batch(3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(stream) == n and peak < 10_000_000


@pytest.mark.parametrize(
    ("ids", "vocab_size", "error", "message"),
    [
        ([], None, ValueError, "not empty, but got (0,)"),
        ([[1, 2, 3]], None, ValueError, "one axis"),
        ([0.5, 1, 2], None, TypeError, "float64"),
        ([1, 2], None, ValueError, "longer than the context, but got 2 ids for context 2"),
        ([0, 1, 2, -7], None, ValueError, "[0, 2**63), but got -7 at position 3"),
        ([0, 1, 2, -7], 5, ValueError, "[0, 5), but got -7 at position 3"),
        ([0, 1, 5, 2], 5, ValueError, "[0, 5), but got 5 at position 2"),
        (np.array([0, 1, 9, 2], np.uint16), 9, ValueError, "[0, 9), but got 9 at position 2"),
        ([0, 1, 2], 0, ValueError, "but got 0 at position 0"),
    ],
)
def test_bad_ids(ids: Any, vocab_size: int | None, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        TokenStream(ids, 2, vocab_size=vocab_size)
    assert message in str(caught.value)


def test_an_id_out_of_range_far_into_the_file(tmp_path: Path) -> None:
    ids = np.zeros((1 << 20) + 10, np.uint16)
    ids[-3] = 77
    np.save(tmp_path / "a.npy", ids)
    with pytest.raises(ValueError, match=f"got 77 at position {len(ids) - 3}"):
        TokenStream(tmp_path / "a.npy", 4, vocab_size=77)


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="at least 1, but got 0 and 1"):
        TokenStream([1, 2], 0)
    with pytest.raises(ValueError, match="at least 1, but got 1 and 0"):
        TokenStream([1, 2], 1, 0)
    stream = TokenStream([1, 2, 3], 1)
    with pytest.raises(ValueError, match=r"index must lie in .*got -1"):
        stream.batch(-1)
    with pytest.raises(ValueError, match="got 0 and None"):
        list(stream.windows(0))
    with pytest.raises(ValueError, match="got 1 and 0"):
        list(stream.windows(limit=0))


def test_bad_files(tmp_path: Path) -> None:
    def refused(name: str, data: bytes, message: str, vocab_size: int | None = 10) -> None:
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ValueError) as caught:
            TokenStream(path, 1, vocab_size=vocab_size)
        assert message in str(caught.value) and str(path) in str(caught.value)

    with pytest.raises(FileNotFoundError):
        TokenStream(tmp_path / "none.npy", 1)
    refused("a.txt", b"1 2 3", "must end in .npy or .bin")
    refused("a.bin", b"", "not empty")
    refused("a.bin", b"abc", "multiple of 2 bytes, but got 3")
    refused("a.bin", b"ab", "pass vocab_size", vocab_size=None)
    refused("a.npy", b"", "must be a .npy file")
    refused("a.npy", b"not an array at all", "must be a .npy file")
    arrays: list[tuple[str, Any]] = [
        ("float", np.zeros(3)),
        ("two axes", np.zeros((2, 2), np.int64)),
        ("no axis", np.int64(3)),
        ("big-endian", np.zeros(3, ">i4")),
        ("bool", np.zeros(3, np.bool_)),
        ("fields", np.zeros(3, [("a", np.int64)])),
        ("object", np.array([{}], object)),
    ]
    for name, array in arrays:
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=True)
        refused(f"{name}.npy", (tmp_path / f"{name}.npy").read_bytes(), "one axis of integers")
    np.save(tmp_path / "empty.npy", np.zeros(0, np.int64))
    refused("empty.npy", (tmp_path / "empty.npy").read_bytes(), "not empty")
    np.save(tmp_path / "good.npy", np.arange(9, dtype=np.uint16))
    good = (tmp_path / "good.npy").read_bytes()
    for length in range(len(good)):
        refused("a.npy", good[:length], "")
    refused("a.npy", good + b"\0", "size must be 146 bytes for the 9 ids of the header, but got 147")
    # A header that promises more than memory could hold.
    large = good.replace(b"(9,), }" + b" " * 11, b"(900000000000,), }")
    assert len(large) == len(good)
    refused("a.npy", large, "for the 900000000000 ids")
    # A header longer than the file.
    refused("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + good[10:], "one axis of integers")


@given(position=st.integers(0, 145), byte=st.integers(0, 255))
def test_flipped_bytes(tmp_path_factory: pytest.TempPathFactory, position: int, byte: int) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.npy"
    np.save(path, np.arange(9, dtype=np.uint16))
    raw = bytearray(path.read_bytes())
    assert len(raw) == 146
    raw[position] = byte
    path.write_bytes(raw)
    try:
        stream = TokenStream(path, 1, vocab_size=10)
    except ValueError as error:
        assert f"{path}: " in str(error)  # noqa: PT017 — some flips leave a valid file
    else:
        assert 0 <= stream.ids.min() <= stream.ids.max() < 10


@pytest.mark.parametrize(
    ("name", "ids", "vocab_size", "message"),
    [
        ("a.npy", [1, 2, 10], 10, "[0, 10), but got 10 at position 2"),
        ("a.npy", [1, -2], 10, "[0, 10), but got -2 at position 1"),
        ("a.npy", [], 10, "not empty"),
        ("a.txt", [1], 10, "must end in .npy or .bin"),
        ("a.npy", [1], 2**33, "vocab_size must lie in"),
    ],
)
def test_bad_writes(tmp_path: Path, name: str, ids: list[int], vocab_size: int, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        write_tokens(tmp_path / name, np.array(ids, np.int64), vocab_size)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_written_npy_is_what_numpy_writes(tmp_path: Path) -> None:
    write_tokens(tmp_path / "ours.npy", np.arange(7), 9)
    np.save(tmp_path / "theirs.npy", np.arange(7, dtype="<u2"))
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()
    write_tokens(tmp_path / "ours.bin", np.arange(3), 9)
    assert (tmp_path / "ours.bin").read_bytes() == struct.pack("<3H", 0, 1, 2)
