"""Batches of rows: shuffled anew each epoch, reproducible, and resumable in the middle of one.

Which rows a batch holds is a function of (seed, epoch, position) alone. So a run that was killed continues
with the batches that an uninterrupted one would have seen, and the whole state of a loader is two integers.

Not handled: worker processes. Rows are gathered in the calling process; decode expensive ones beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from groundup.data import _random


@runtime_checkable
class Dataset(Protocol):
    """Anything with a length and rows by number; a list is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class ArrayDataset:
    """Rows of arrays of one length: row ``i`` is the tuple of their rows ``i``.

    >>> dataset = ArrayDataset(np.eye(3), np.array([7, 8, 9]))
    >>> len(dataset), dataset[1]
    (3, (array([0., 1., 0.]), ...8...))
    """

    def __init__(self, *arrays: npt.ArrayLike) -> None:
        self.arrays = tuple(np.asarray(a) for a in arrays)
        if not self.arrays or any(a.ndim == 0 for a in self.arrays):
            raise ValueError("[ArrayDataset] expects at least one array, each with a first axis to go along")
        if len({len(a) for a in self.arrays}) > 1:
            lengths = [len(a) for a in self.arrays]
            raise ValueError(f"[ArrayDataset] arrays must have one length, but got {lengths}")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(a[index] for a in self.arrays)


def batches(
    *arrays: npt.ArrayLike,
    batch_size: int,
    shuffle: bool = True,
    drop_last: bool = False,
    seed: int = 0,
    epoch: int = 0,
    start: int = 0,
) -> Iterator[Any]:
    """One epoch over arrays of one length: an array a batch, or a tuple of them where several were given.

    Args:
        batch_size: rows of a batch; the last one may hold fewer.
        shuffle: in an order that depends on ``seed`` and ``epoch``; otherwise as they are.
        drop_last: leave a smaller last batch out.
        start: the batch to begin with: a run resumed after k batches passes k.

    >>> [b.tolist() for b in batches(np.arange(5), batch_size=2, shuffle=False)]
    [[0, 1], [2, 3], [4]]
    """
    dataset = ArrayDataset(*arrays)
    rows = _rows_of_batches(len(dataset), batch_size, shuffle, drop_last, seed, epoch, start, "batches")
    return (batch if len(batch) > 1 else batch[0] for batch in map(dataset.__getitem__, rows))


def _count(n: int, batch_size: int, drop_last: bool) -> int:
    return n // batch_size if drop_last else -(-n // batch_size)


def _rows_of_batches(
    n: int, batch_size: int, shuffle: bool, drop_last: bool, seed: int, epoch: int, start: int, op: str
) -> Iterator[npt.NDArray[np.int64]]:
    """Row numbers of the batches of an epoch from batch ``start`` on."""
    if batch_size < 1:
        raise ValueError(f"[{op}] batch_size must be at least 1, but got {batch_size}")
    total = _count(n, batch_size, drop_last)
    if not 0 <= start <= total:
        raise ValueError(f"[{op}] start must lie in [0, {total}], the batches of an epoch, but got {start}")
    order = _random.permutation(seed, epoch, _random.SHUFFLE, n) if shuffle else np.arange(n)
    return (order[i * batch_size : (i + 1) * batch_size] for i in range(start, total))


def default_collate(rows: Sequence[Any]) -> Any:
    """Rows to a batch: numbers and arrays stacked, tuples and mappings field by field, the rest a list.

    >>> default_collate([(np.zeros(2), 1, "a"), (np.ones(2), 2, "b")])
    (array([[0., 0.],
           [1., 1.]]), array([1, 2]), ['a', 'b'])
    """
    first = rows[0]
    if isinstance(first, tuple):
        if len(fields := {len(row) for row in rows}) > 1:
            raise ValueError(f"[collate] rows must have one number of fields, but got {sorted(fields)}")
        return tuple(default_collate(field) for field in zip(*rows, strict=True))
    if isinstance(first, Mapping):
        return {key: default_collate([row[key] for row in rows]) for key in first}
    if isinstance(first, (bool, int, float, np.generic)):
        return np.array(rows)
    if isinstance(first, np.ndarray):
        if len(shapes := {row.shape for row in rows}) > 1:
            raise ValueError(f"[collate] rows must have one shape, but got {sorted(shapes)}; pad them first")
        return np.stack(rows)
    return list(rows)


class DataLoader:
    """Batches of a dataset, epoch after epoch.

    Each ``for batch in loader`` is an epoch, with its own order where ``shuffle`` is set. `state_dict`
    taken after a batch and loaded into a new loader continues with the next one.

    Args:
        dataset: a length and rows by number.
        batch_size: rows of a batch; the last one may hold fewer.
        shuffle: a new order each epoch, given by ``seed``.
        drop_last: leave a smaller last batch out.
        collate_fn: makes a batch of a list of rows. The default stacks them to NumPy arrays.

    >>> loader = DataLoader(ArrayDataset(np.arange(6)), batch_size=4, shuffle=True, seed=3)
    >>> len(loader), [len(x) for (x,) in loader]
    (2, [4, 2])
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        seed: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"[DataLoader] batch_size must be at least 1, but got {batch_size}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.collate_fn = collate_fn
        self.epoch = 0
        self._batch = 0  # batches of this epoch that were handed out
        self._begun = False

    def __len__(self) -> int:
        return _count(len(self.dataset), self.batch_size, self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        if self._begun:  # the epoch before was left early
            self.epoch += 1
            self._batch = 0
        self._begun = True
        n, epoch = len(self.dataset), self.epoch
        rows = _rows_of_batches(
            n, self.batch_size, self.shuffle, self.drop_last, self.seed, epoch, self._batch, "DataLoader"
        )
        return self._run(rows)

    def _run(self, rows: Iterator[npt.NDArray[np.int64]]) -> Iterator[Any]:
        for row_numbers in rows:
            self._batch += 1  # before the caller sees it: a state saved then points at the next
            yield self._gather(row_numbers)
        self.epoch += 1
        self._batch = 0
        self._begun = False

    def _gather(self, row_numbers: npt.NDArray[np.int64]) -> Any:
        if self.collate_fn is None and isinstance(self.dataset, ArrayDataset):
            return self.dataset[row_numbers]  # one indexing for the whole batch
        rows = [self.dataset[i] for i in row_numbers.tolist()]
        return default_collate(rows) if self.collate_fn is None else self.collate_fn(rows)

    def state_dict(self) -> dict[str, int]:
        """Where the loader is: the epoch and how many of its batches were handed out."""
        return {"epoch": self.epoch, "batch": self._batch, "seed": self.seed}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue where ``state`` was taken; the dataset and the other options must be the same."""
        if set(state) != {"epoch", "batch", "seed"}:
            raise ValueError(f"[DataLoader] state must hold epoch, batch and seed, but got {sorted(state)}")
        if not 0 <= state["batch"] <= len(self) or state["epoch"] < 0:
            raise ValueError(f"[DataLoader] state must lie within {len(self)} batches, but got {dict(state)}")
        self.epoch, self._batch, self.seed = state["epoch"], state["batch"], state["seed"]
        self._begun = False
