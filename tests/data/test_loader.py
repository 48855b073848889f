"""Batches: every row once, reproducibly, and resumable at any batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.data import ArrayDataset, DataLoader, Dataset, batches, default_collate


@given(
    n=st.integers(0, 40), batch_size=st.integers(1, 12), shuffle=st.booleans(), drop_last=st.booleans(),
    seed=st.integers(0, 2**64 - 1), epoch=st.integers(0, 99), data=st.data(),
)  # fmt: skip
def test_every_row_once_and_resumable(
    n: int, batch_size: int, shuffle: bool, drop_last: bool, seed: int, epoch: int, data: st.DataObject
) -> None:
    def run(start: int) -> list[list[int]]:
        options: dict[str, Any] = {"batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last}
        rows = batches(np.arange(n), seed=seed, epoch=epoch, start=start, **options)
        return [b.tolist() for b in rows]

    whole = run(0)
    flat = [row for batch in whole for row in batch]
    assert len(set(flat)) == len(flat) == (n // batch_size * batch_size if drop_last else n)
    assert all(len(b) == batch_size for b in whole[:-1])
    if not shuffle:
        assert flat == list(range(len(flat)))
    start = data.draw(st.integers(0, len(whole)))
    assert run(start) == whole[start:]


def test_epochs_and_seeds_differ() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(list(batches(np.arange(50), batch_size=7, seed=seed, epoch=epoch))).tolist()  # type: ignore[no-any-return]

    orders = [order(seed=s, epoch=e) for s in (0, 1) for e in (0, 1)]
    assert len({tuple(o) for o in orders}) == 4
    assert order(seed=1, epoch=1) == orders[3]


def test_several_arrays_go_together() -> None:
    x = np.arange(12).reshape(6, 2)
    for a, b in batches(x, x[:, 0] * 10, batch_size=4):
        assert (a[:, 0] * 10 == b).all()


@given(
    n=st.integers(1, 20), batch_size=st.integers(1, 6), drop_last=st.booleans(), arrays=st.booleans(),
    taken=st.integers(0, 30),
)  # fmt: skip
def test_a_resumed_loader_continues(
    n: int, batch_size: int, drop_last: bool, arrays: bool, taken: int
) -> None:
    def loader() -> DataLoader:
        dataset: Dataset = ArrayDataset(np.arange(n)) if arrays else [(i,) for i in range(n)]
        return DataLoader(dataset, batch_size, shuffle=True, drop_last=drop_last, seed=5)

    def endless(source: DataLoader) -> Any:
        while len(source):
            for (batch,) in source:
                yield batch.tolist()

    first = loader()
    run, expected = endless(first), endless(loader())
    if not len(first):
        return
    for _ in range(taken):
        assert next(run) == next(expected)
    resumed = loader()
    resumed.load_state_dict(first.state_dict())
    continued = endless(resumed)
    for _ in range(2 * len(first) + 1):
        assert next(continued) == next(expected)


def test_an_epoch_left_early_is_over() -> None:
    loader = DataLoader(ArrayDataset(np.arange(10)), 3, shuffle=True)
    left = next(iter(loader))[0].tolist()
    orders = [np.concatenate([b for (b,) in loader]).tolist() for _ in range(2)]
    assert all(sorted(o) == list(range(10)) for o in orders)
    assert loader.epoch == 3 and orders[0] != orders[1] and orders[0][:3] != left


def test_loaders_of_any_dataset() -> None:
    rows = [{"image": np.full((2, 2), i), "label": i, "name": str(i)} for i in range(5)]
    out = list(DataLoader(rows, 2))
    assert len(out) == 3 and out[0]["image"].shape == (2, 2, 2)
    assert out[1]["label"].tolist() == [2, 3] and out[2]["name"] == ["4"]
    summed = DataLoader(list(range(5)), 2, collate_fn=sum)
    assert list(summed) == [1, 5, 4]


def test_array_dataset_is_a_dataset() -> None:
    assert isinstance(ArrayDataset([1, 2]), Dataset) and isinstance([1], Dataset)
    assert not isinstance(3, Dataset)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"\[batches\] batch_size must be at least 1, but got 0"):
        batches([1, 2], batch_size=0)
    with pytest.raises(ValueError, match=r"start must lie in \[0, 2\].*got 3"):
        batches([1, 2], batch_size=1, start=3)
    with pytest.raises(ValueError, match=r"one length, but got \[2, 3\]"):
        batches([1, 2], [1, 2, 3], batch_size=1)
    with pytest.raises(ValueError, match="at least one array"):
        batches(batch_size=1)
    with pytest.raises(ValueError, match="at least one array, each with a first axis"):
        ArrayDataset(3)
    with pytest.raises(ValueError, match=r"\[DataLoader\] batch_size must be at least 1, but got 0"):
        DataLoader([1], 0)
    with pytest.raises(ValueError, match=r"one shape, but got \[\(2,\), \(3,\)\]"):
        default_collate([np.zeros(3), np.zeros(2)])
    with pytest.raises(ValueError, match=r"one number of fields, but got \[1, 2\]"):
        default_collate([(1,), (1, 2)])
    loader = DataLoader([1, 2, 3], 2)
    with pytest.raises(ValueError, match="epoch, batch and seed"):
        loader.load_state_dict({"epoch": 1})
    with pytest.raises(ValueError, match="within 2 batches"):
        loader.load_state_dict({"epoch": 0, "batch": 3, "seed": 0})
