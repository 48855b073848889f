"""A stream of token ids in a memory-mapped file, read as windows of a fixed context.

A language model of context T learns from windows of T + 1 neighbouring ids: x is the first T, y the last T,
the same moved by one. Files hold uint16 where the vocabulary allows, uint32 otherwise: ``.npy``, or
``.bin``, which is the bare numbers. The operating system reads only the pages that a batch touches, so a
file may exceed memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.data import _random
from groundup.files import atomic_write

Ids = npt.NDArray[np.int64]

_CHUNK = 1 << 20  # ids looked at or written at once


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The type that files of such ids have: uint16 up to 65,536 tokens, then uint32."""
    if not 1 <= vocab_size <= 2**32:
        raise ValueError(f"[tokens] vocab_size must lie in [1, 2**32], but got {vocab_size}")
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


def write_tokens(path: str | os.PathLike[str], ids: npt.ArrayLike, vocab_size: int) -> None:
    """Write ids to a ``.npy`` or ``.bin`` file, atomically.

    Raises:
        ValueError: an id is outside [0, vocab_size), there is none, or the name ends otherwise.
    """
    path = Path(path)
    ids = np.asarray(ids)
    dtype = token_dtype(vocab_size)
    _check_ids(ids, vocab_size, str(path))
    if path.suffix not in (".npy", ".bin"):
        raise ValueError(f"[tokens] file name must end in .npy or .bin, but got {str(path)!r}")
    with atomic_write(path) as f:
        if path.suffix == ".npy":
            header = {"descr": dtype.str, "fortran_order": False, "shape": ids.shape}
            np.lib.format.write_array_header_1_0(f, header)
        for start in range(0, len(ids), _CHUNK):
            f.write(ids[start : start + _CHUNK].astype(dtype).tobytes())


# The header of a one-dimensional array of integers, as NumPy writes it. Read by a pattern: NumPy's own reader
# evaluates it as Python, and on damaged headers raises whatever that raises.
_NPY_HEADER = re.compile(
    rb"\{'descr': '((?:<|\|)[iu][1248])', 'fortran_order': (?:True|False), 'shape': \((\d{1,18}),\), \} *\n"
)


def _open_tokens(path: Path, vocab_size: int | None) -> npt.NDArray[Any]:
    """The ids of a file, mapped and not read."""
    size = path.stat().st_size
    if path.suffix == ".npy":
        with path.open("rb") as f:
            start = f.read(8)
            n_length = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4, b"\x93NUMPY\x03\x00": 4}.get(start)
            if n_length is None:
                raise ValueError(f"[tokens] {path}: must be a .npy file, but starts with {start!r}")
            length = int.from_bytes(f.read(n_length), "little")
            header = f.read(min(length, 10_000))
            offset = f.tell()
        match = _NPY_HEADER.fullmatch(header)
        if match is None or len(header) != length:
            raise ValueError(
                f"[tokens] {path}: header must be that of one axis of integers, but got {header[:80]!r}"
            )
        dtype, n = np.dtype(match[1].decode()), int(match[2])
        if size != offset + n * dtype.itemsize:
            raise ValueError(
                f"[tokens] {path}: size must be {offset + n * dtype.itemsize} bytes for the {n} ids "
                f"of the header, but got {size}"
            )
    elif path.suffix == ".bin":
        if vocab_size is None:
            raise ValueError(f"[tokens] {path}: a .bin file does not tell its type: pass vocab_size")
        dtype, offset = token_dtype(vocab_size), 0
        n = size // dtype.itemsize
        if size % dtype.itemsize:
            raise ValueError(
                f"[tokens] {path}: size must be a multiple of {dtype.itemsize} bytes, but got {size}"
            )
    else:
        raise ValueError(f"[tokens] file name must end in .npy or .bin, but got {str(path)!r}")
    if n == 0:  # which cannot be mapped
        return np.zeros(0, dtype)
    return np.memmap(path, dtype, mode="r", offset=offset, shape=(n,))


def _check_ids(ids: npt.NDArray[Any], vocab_size: int | None, where: str) -> None:
    """One axis of integers, each of them a token; looked at in pieces, so a mapped file stays on disk."""
    if ids.ndim != 1 or len(ids) == 0:
        raise ValueError(f"[tokens] {where}: ids must be one axis that is not empty, but got {ids.shape}")
    if ids.dtype.kind not in "iu":
        raise TypeError(f"[tokens] {where}: ids must be integers, but got {ids.dtype}")
    if vocab_size is None and ids.dtype.kind == "u":
        return
    high = "2**63" if vocab_size is None else vocab_size
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        bad = chunk < 0 if vocab_size is None else (chunk < 0) | (chunk >= vocab_size)
        if bad.any():
            at = int(bad.argmax())
            raise ValueError(
                f"[tokens] {where}: ids must lie in [0, {high}), but got {chunk[at]} at position {start + at}"
            )


class TokenStream:
    """Windows of ``context`` ids out of an array or a file.

    The batch of a step is a function of (seed, step) alone: ask for step 1000 and it is what a run that
    began at 0 sees there. Nothing needs saving to resume.

    Args:
        source: ids as an array, or the path of a ``.npy`` or ``.bin`` file.
        context: length of a window.
        batch_size: windows of a batch.
        seed: which windows the steps draw.
        vocab_size: if given, every id is checked against it, once, here; ``.bin`` files need it.

    Raises:
        ValueError: no ids, fewer than context + 1, an id out of range, a damaged file.
        TypeError: ids that are not integers.

    >>> stream = TokenStream(np.arange(100), context=4, batch_size=2, seed=0)
    >>> x, y = stream.batch(step=7)
    >>> x.shape, bool((y == x + 1).all())
    ((2, 4), True)
    """

    def __init__(
        self,
        source: npt.ArrayLike | str | os.PathLike[str],
        context: int,
        batch_size: int = 1,
        *,
        seed: int = 0,
        vocab_size: int | None = None,
    ) -> None:
        if context < 1 or batch_size < 1:
            raise ValueError(
                f"[TokenStream] context and batch_size must be at least 1, but got {context} and {batch_size}"
            )
        if isinstance(source, (str, os.PathLike)):
            where = os.fspath(source)
            self.ids = _open_tokens(Path(source), vocab_size)
        else:
            where = "source"
            self.ids = np.asarray(source)
        _check_ids(self.ids, vocab_size, where)
        if len(self.ids) <= context:
            raise ValueError(
                f"[TokenStream] {where} must be longer than the context, but got {len(self.ids)} ids "
                f"for context {context}"
            )
        self.context = context
        self.batch_size = batch_size
        self.seed = seed

    def __len__(self) -> int:
        """Number of ids."""
        return len(self.ids)

    def _windows(self, starts: npt.NDArray[np.int64], length: int) -> tuple[Ids, Ids]:
        rows = np.stack([self.ids[s : s + length + 1] for s in starts]).astype(np.int64)  # B,T+1
        return np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, 1:])

    def batch(self, step: int) -> tuple[Ids, Ids]:
        """(x, y) of a step, windows that start anywhere with equal chance; both int64 of shape B,T."""
        starts = _random.integers(
            self.seed, step, _random.WINDOWS, self.batch_size, len(self.ids) - self.context
        )
        return self._windows(starts, self.context)

    def windows(
        self, batch_size: int | None = None, *, limit: int | None = None
    ) -> Iterator[tuple[Ids, Ids]]:
        """(x, y) batches of neighbouring windows, for evaluation: every id but the first is a target once.

        What remains behind the last whole window comes as a window of its own, shorter, in a batch of its
        own: a mean over the whole text weighs each batch by its size.

        Args:
            batch_size: windows of a batch; the stream's own if not given.
            limit: at most so many whole windows, evenly spread over the text, and no remainder: a quick
                estimate.
        """
        batch_size = self.batch_size if batch_size is None else batch_size
        if batch_size < 1 or (limit is not None and limit < 1):
            raise ValueError(
                f"[TokenStream] batch_size and limit must be at least 1, but got {batch_size} and {limit}"
            )
        targets = len(self.ids) - 1
        whole, rest = divmod(targets, self.context)
        starts = np.arange(whole) * self.context
        if limit is not None and limit <= whole:
            starts = starts[np.arange(limit) * whole // limit]
            rest = 0
        for i in range(0, len(starts), batch_size):
            yield self._windows(starts[i : i + batch_size], self.context)
        if rest:
            yield self._windows(np.array([targets - rest]), rest)
