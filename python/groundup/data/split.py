"""Split data into a training and a validation part, so that the second tells about data never seen.

What the parts must not share decides how to split: independent rows may be shuffled; rows that belong
together (one patient, one author) stay together with ``groups``; a text or a time series is cut once, with
``shuffle=False``, because its neighbours tell about each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.data import _random


def train_val_split(
    *arrays: Any,
    fraction: float = 0.1,
    seed: int = 0,
    shuffle: bool = True,
    groups: Sequence[Any] | npt.NDArray[Any] | None = None,
    stratify: Sequence[Any] | npt.NDArray[Any] | None = None,
) -> tuple[Any, ...]:
    """Split arrays or sequences of one length alike into training and validation parts.

    Args:
        arrays: arrays (split along their first axis), lists, tuples or, with ``shuffle=False``, strings.
        fraction: of the rows that becomes the validation part; at least one row stays on each side.
        seed: which shuffle; equal seeds give equal splits everywhere.
        shuffle: draw rows at random; otherwise the last rows, in order, are the validation part.
        groups: a label a row; rows of one label never part. The fraction is met as nearly as the sizes of
            the groups allow in the order in which they are drawn.
        stratify: a class a row; each class is divided in the same proportion, to within one row.

    Returns:
        ``(train, val)`` for one array, ``(train_a, val_a, train_b, val_b, …)`` for several. NumPy arrays
        stay arrays (views where nothing was shuffled), tuples tuples and strings strings.

    Raises:
        ValueError: lengths differ; fewer than two rows, groups or members of a class; ``fraction`` outside
            (0, 1); options that exclude each other.

    >>> train_val_split("to be or not to be", fraction=0.25, shuffle=False)
    ('to be or not t', 'o be')
    >>> train, val = train_val_split(np.arange(10), fraction=0.3, seed=1)
    >>> len(train), len(val), sorted([*train.tolist(), *val.tolist()])
    (7, 3, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    n = _common_length(arrays)
    if not 0 < fraction < 1:
        raise ValueError(f"[train_val_split] fraction must lie in (0, 1), but got {fraction}")
    if groups is not None and stratify is not None:
        raise ValueError("[train_val_split] groups and stratify exclude each other, but got both")
    if not shuffle and (groups is not None or stratify is not None):
        raise ValueError("[train_val_split] groups and stratify need shuffle=True, but got shuffle=False")
    if shuffle and any(isinstance(a, str) for a in arrays):
        raise ValueError("[train_val_split] a text is cut, not shuffled: pass shuffle=False")

    n_val = min(max(round(fraction * n), 1), n - 1)
    if not shuffle:
        parts: tuple[Any, Any] = slice(0, n - n_val), slice(n - n_val, n)
    else:
        in_val = np.zeros(n, np.bool_)
        if groups is not None:
            in_val[_whole_groups(_labels(groups, n, "groups"), n_val, seed)] = True
        elif stratify is not None:
            in_val[_per_class(_labels(stratify, n, "stratify"), n_val, seed)] = True
        else:
            in_val[_random.permutation(seed, 0, _random.SPLIT, n)[:n_val]] = True
        parts = np.flatnonzero(~in_val), np.flatnonzero(in_val)
    return tuple(_take(array, part) for array in arrays for part in parts)


def _common_length(arrays: tuple[Any, ...]) -> int:
    if not arrays:
        raise ValueError("[train_val_split] expects at least one array, but got none")
    lengths = [len(a) for a in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(f"[train_val_split] arrays must have one length, but got {lengths}")
    if lengths[0] < 2:
        raise ValueError(f"[train_val_split] arrays must have at least 2 rows, but got {lengths[0]}")
    return lengths[0]


def _labels(labels: Any, n: int, name: str) -> npt.NDArray[np.int64]:
    """Labels of any kind as 0, 1, 2, … in the order in which they first appear."""
    if len(labels) != n:
        raise ValueError(f"[train_val_split] {name} must have {n} labels, one a row, but got {len(labels)}")
    numbers: dict[Any, int] = {}
    plain = labels.tolist() if isinstance(labels, np.ndarray) else labels
    return np.array([numbers.setdefault(label, len(numbers)) for label in plain], np.int64)


def _whole_groups(labels: npt.NDArray[np.int64], n_val: int, seed: int) -> npt.NDArray[np.bool_]:
    """Mask of the validation rows: groups in random order, each taken if that brings the size nearer."""
    sizes = np.bincount(labels)
    if len(sizes) < 2:
        raise ValueError("[train_val_split] groups must name at least 2 groups, but got 1")
    order = _random.permutation(seed, 0, _random.SPLIT, len(sizes))
    taken: list[int] = []
    size = 0
    for group in order:
        if abs(size + sizes[group] - n_val) < abs(size - n_val) and len(taken) < len(sizes) - 1:
            taken.append(int(group))
            size += sizes[group]
    if not taken:  # every group is more than twice too large
        taken = [int(order[np.argmin(sizes[order])])]
    return np.isin(labels, taken)


def _per_class(labels: npt.NDArray[np.int64], n_val: int, seed: int) -> npt.NDArray[np.int64]:
    """Validation rows: of each class its share of ``n_val``, the largest remainders rounded up."""
    sizes = np.bincount(labels)
    if sizes.min() < 2:
        rarest = int(np.flatnonzero(labels == sizes.argmin())[0])
        raise ValueError(f"[train_val_split] a class needs 2 members, but the class of row {rarest} has one")
    if not len(sizes) <= n_val <= len(labels) - len(sizes):
        raise ValueError(
            f"[train_val_split] each part must hold every class, but got {len(sizes)} classes for "
            f"{len(labels) - n_val} + {n_val} rows"
        )
    exact = sizes * (n_val / len(labels))
    counts = np.floor(exact).astype(np.int64)
    remainders = np.argsort(counts - exact, kind="stable")
    counts[remainders[: n_val - counts.sum()]] += 1
    order = _random.permutation(seed, 0, _random.SPLIT, len(labels))
    return np.concatenate([order[labels[order] == c][: counts[c]] for c in range(len(sizes))])


def _take(array: Any, part: Any) -> Any:
    if isinstance(array, np.ndarray) or isinstance(part, slice):
        return array[part]
    rows = [array[i] for i in part.tolist()]
    return tuple(rows) if isinstance(array, tuple) else rows
