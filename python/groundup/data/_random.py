"""Draws that are a function of (seed, index) alone, so a resumed run needs no saved generator state.

They use the raw words of the counter-based Philox generator, whose stream NumPy guarantees to keep; methods
such as `numpy.random.Generator.permutation` may change their stream with NumPy's version.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# The last word of Philox's counter keeps the kinds of draws apart, from each other and from the core's,
# which is 0.
WINDOWS, SHUFFLE, SPLIT = 0x6461_7461_0001, 0x6461_7461_0002, 0x6461_7461_0003


def _words(seed: int, index: int, kind: int, n: int) -> npt.NDArray[np.uint64]:
    for name, value in (("seed", seed), ("index", index)):
        if not 0 <= value < 2**64:
            raise ValueError(f"[random] {name} must lie in [0, 2**64), but got {value}")
    generator = np.random.Philox(
        key=np.array([seed, index], np.uint64), counter=np.array([0, 0, 0, kind], np.uint64)
    )
    words: npt.NDArray[np.uint64] = generator.random_raw(n)
    return words


def integers(seed: int, index: int, kind: int, n: int, high: int) -> npt.NDArray[np.int64]:
    """``n`` integers, uniform in [0, high) for ``high`` up to 2**53."""
    unit = (_words(seed, index, kind, n) >> np.uint64(11)) * 2.0**-53  # 53 bits: [0, 1) in float64
    return (unit * high).astype(np.int64)


def permutation(seed: int, index: int, kind: int, n: int) -> npt.NDArray[np.int64]:
    """A random order of 0 … n − 1: where n random words would go if they were sorted."""
    return np.argsort(_words(seed, index, kind, n), kind="stable").astype(np.int64)
