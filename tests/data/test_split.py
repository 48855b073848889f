"""Splits: nothing lost, nothing shared, and the promised proportions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from groundup.data import train_val_split

FRACTION = st.floats(0.01, 0.99)
SEED = st.integers(0, 2**64 - 1)


@given(st.integers(2, 60), FRACTION, SEED, st.booleans())
def test_parts_make_the_whole(n: int, fraction: float, seed: int, shuffle: bool) -> None:
    rows = np.arange(n)
    train, val = train_val_split(rows, fraction=fraction, seed=seed, shuffle=shuffle)
    assert len(train) >= 1 and len(val) >= 1
    assert sorted([*train.tolist(), *val.tolist()]) == rows.tolist()
    if 1 <= fraction * n <= n - 1:
        assert abs(len(val) - fraction * n) <= 0.5
    if not shuffle:
        assert [*train.tolist(), *val.tolist()] == rows.tolist()
        assert np.shares_memory(train, rows) and np.shares_memory(val, rows)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=60), FRACTION, SEED)
def test_groups_never_part(groups: list[int], fraction: float, seed: int) -> None:
    assume(len(set(groups)) > 1)
    rows, labels = list(range(len(groups))), [f"patient {g}" for g in groups]
    train, val = train_val_split(rows, fraction=fraction, seed=seed, groups=labels)
    assert train and val and sorted(train + val) == rows
    assert not {labels[i] for i in train} & {labels[i] for i in val}
    largest = max(Counter(groups).values())
    assert abs(len(val) - fraction * len(rows)) <= largest + 1


def test_groups_meet_the_fraction_where_they_can() -> None:
    groups = np.repeat(np.arange(100), 3)
    sizes = {len(train_val_split(groups, fraction=0.2, seed=s, groups=groups)[1]) for s in range(20)}
    assert sizes == {60}


@given(st.lists(st.integers(0, 3), min_size=8, max_size=80), FRACTION, SEED)
def test_classes_keep_their_proportion(classes: list[int], fraction: float, seed: int) -> None:
    sizes = Counter(classes)
    n_val = min(max(round(fraction * len(classes)), 1), len(classes) - 1)
    assume(min(sizes.values()) >= 2 and len(sizes) <= n_val <= len(classes) - len(sizes))
    train, val = train_val_split(np.array(classes), fraction=fraction, seed=seed, stratify=classes)
    assert len(val) == n_val and len(train) + len(val) == len(classes)
    for c, size in sizes.items():
        assert abs(np.sum(val == c) - size * n_val / len(classes)) < 1


def test_equal_seeds_equal_splits() -> None:
    rows = np.arange(1000)
    first, again, other = (train_val_split(rows, seed=s)[1].tolist() for s in (7, 7, 8))
    assert first == again != other
    # The drawing does not depend on NumPy's version, so these rows are known.
    assert train_val_split(np.arange(10), fraction=0.3, seed=1)[1].tolist() == [0, 2, 7]


def test_every_row_is_drawn_equally_often() -> None:
    counts = sum(np.bincount(train_val_split(np.arange(10), fraction=0.3, seed=s)[1], minlength=10)
                 for s in range(2000))  # fmt: skip
    # Each is drawn with probability 0.3: 600 times, standard deviation 20.5.
    np.testing.assert_allclose(counts, 600, atol=5 * 20.5)


def test_several_arrays_are_split_alike_and_keep_their_kind() -> None:
    x, y, names = np.arange(20).reshape(10, 2), list(range(10)), tuple("abcdefghij")
    x_train, x_val, y_train, y_val, n_train, n_val = train_val_split(x, y, names, fraction=0.4, seed=3)
    assert isinstance(y_val, list) and isinstance(n_val, tuple) and x_val.shape == (4, 2)
    assert x_val[:, 0].tolist() == [2 * i for i in y_val] and x_train[:, 0].tolist() == [
        2 * i for i in y_train
    ]
    assert n_val == tuple("abcdefghij"[i] for i in y_val) and len(n_train) == 6


def test_text_is_cut() -> None:
    assert train_val_split("abcdefghij", fraction=0.2, shuffle=False) == ("abcdefgh", "ij")
    with pytest.raises(ValueError, match="shuffle=False"):
        train_val_split("abcdefghij")


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ((), {}, "at least one array"),
        (([1],), {}, "at least 2 rows, but got 1"),
        (([1, 2], [1, 2, 3]), {}, "one length, but got [2, 3]"),
        (([1, 2],), {"fraction": 0.0}, "(0, 1), but got 0.0"),
        (([1, 2],), {"fraction": float("nan")}, "(0, 1), but got nan"),
        (([1, 2],), {"seed": -1}, "seed must lie in"),
        (([1, 2],), {"groups": [1, 1]}, "at least 2 groups"),
        (([1, 2],), {"groups": [1]}, "2 labels, one a row, but got 1"),
        (([1, 2],), {"groups": [1, 2], "stratify": [1, 2]}, "exclude each other"),
        (([1, 2],), {"groups": [1, 2], "shuffle": False}, "shuffle=True"),
        (([1, 2, 3, 4],), {"stratify": [1, 1, 1, 2]}, "class of row 3 has one"),
        (([1, 2, 3, 4, 5, 6],), {"stratify": [1, 1, 2, 2, 3, 3]}, "3 classes for 5 + 1 rows"),
    ],
)
def test_bad_input(arrays: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        train_val_split(*arrays, **options)
    assert message in str(caught.value) and "[" in str(caught.value)
