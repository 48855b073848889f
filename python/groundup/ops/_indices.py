"""Checks of integer arrays that say which elements to take."""

from __future__ import annotations

import numpy as np

from groundup.ops._spec import Array, DTypeError, require


def check_indices(op: str, what: str, index: Array, n: int, from_end: bool = False) -> None:
    """Raise unless ``index`` is int64 and within [0, n), or [−n, n) where negative ones count from the end."""
    require(index.dtype == np.int64, DTypeError, f"[{op}] {what} must be int64, but got {index.dtype}")
    least = -n if from_end else 0
    wrong = np.argwhere((index < least) | (index >= n))
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        where = str(place[0]) if len(place) == 1 else str(place)
        raise IndexError(
            f"[{op}] {what} must be in {least} to {n - 1}, but got {index[place]} at position {where}"
        )
