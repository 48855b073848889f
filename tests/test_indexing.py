"""x[key] against NumPy: values, shapes and refusals under both backends, and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import groundup as gu

BACKENDS = ("cpp", "numpy")
X = np.arange(2 * 3 * 4 * 5, dtype=np.float64).reshape(2, 3, 4, 5)

KEYS: list[Any] = [
    0,
    -1,
    (1, 2),
    (1, 2, 3, 4),
    (),
    ...,
    None,
    slice(None),
    slice(1, None),
    slice(None, None, -1),
    slice(5, 0, -2),
    slice(0, 0),
    slice(None, None, 10**30),
    (slice(None), -1),
    (..., 0),
    (..., None),
    (None, ..., None, 0),
    (slice(None), None, slice(0, 3, 2), ..., slice(-2, None)),
    (0, ..., slice(None, None, 2)),
    [0, 1, 1],
    [],
    np.array([[0, -1], [1, 0]]),
    (slice(None), [2, 0, 0]),
    (slice(None), [2, 0, 0], slice(1, 3)),
    ([0, 1], [2, 0]),
    ([[0], [1]], [2, 0]),
    ([0, 1], slice(None), [2, 0]),
    ([0, 1], None, [2, 0]),
    (None, [0, 1], [2, 0]),
    (slice(None), None, [0, 1], [2, 0]),
    (slice(None), [0, 1], ..., [2, 0]),
    (slice(None), [0, 1], ..., [2, 0], [1, 4]),  # an Ellipsis of no axis
    (slice(None), 1, ..., [2, 0], [1, 4]),
    (0, slice(None), [1, 2]),
    (slice(None), 1, [1, 2]),
    (..., [1, 2]),
    (..., [1, 2], 0),
    X > 50,
    (X[0, :, 0, 0] > 4)[None] & np.ones((2, 3), bool),
    (slice(None), np.array([True, False, True])),
    (np.array([True, False]), [0, 2]),
    (slice(None), np.array([True, False, True]), slice(None), [1, 4]),
    (slice(None), np.zeros(3, bool)),
    np.array([1, 0], np.uint8),
    (np.int32(1), np.array(2)),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_matches_numpy(key: Any, backend: str) -> None:
    with gu.backend(backend):
        check(X, key)


def as_tensors(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(map(as_tensors, key))
    return gu.tensor(key) if isinstance(key, np.ndarray) and key.dtype in (np.int64, np.bool_) else key


def check(array: Any, key: Any) -> None:
    expected = array[key]
    for k in (key, as_tensors(key)):
        x = gu.tensor(array, requires_grad=True)
        y = x[k]
        assert y.shape == expected.shape
        np.testing.assert_array_equal(y, expected)
        dy = np.cos(np.arange(expected.size, dtype=np.float64)).reshape(expected.shape)
        dx = np.zeros_like(array)
        np.add.at(dx, key, dy)
        y.backward(gu.tensor(dy))
        np.testing.assert_allclose(x.grad, dx, rtol=1e-14, atol=1e-14)


@st.composite
def shapes_and_keys(draw: st.DrawFn) -> tuple[tuple[int, ...], Any]:
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    broadcast = draw(st.sampled_from([(), (1,), (3,), (2, 3), (2, 1), (0,)]))
    items: list[Any] = []
    d = 0
    while d < len(shape) and draw(st.integers(0, 5)):
        n = shape[d]
        kind = draw(st.sampled_from(["int", "slice", "slice", "new", "array", "mask", "ellipsis"]))
        if kind == "int" and n:
            items.append(draw(st.integers(-n, n - 1)))
        elif kind == "new":
            items.append(None)
            continue
        elif kind == "array" and (n or 0 in broadcast):
            count = int(np.prod(broadcast))
            values = draw(st.lists(st.integers(-n, max(n - 1, 0)), min_size=count, max_size=count))
            items.append(np.array(values, np.int64).reshape(broadcast))
        elif kind == "mask":
            deep = draw(st.integers(1, len(shape) - d))
            count = int(np.prod(shape[d : d + deep]))
            values = draw(st.lists(st.booleans(), min_size=count, max_size=count))
            items.append(np.array(values, bool).reshape(shape[d : d + deep]))
            d += deep - 1
        elif kind == "ellipsis" and Ellipsis not in [i for i in items if not isinstance(i, np.ndarray)]:
            items.append(...)
            d += draw(st.integers(-1, len(shape) - d - 1))
        else:
            ends = st.none() | st.integers(-n - 2, n + 2)
            step = draw(st.none() | st.integers(-3, 3).filter(bool))
            items.append(slice(draw(ends), draw(ends), step))
        d += 1
    return shape, tuple(items)


def key_fits(array: Any, key: Any) -> bool:
    try:
        array[key]
    except IndexError:
        return False
    return True


@pytest.mark.parametrize("backend", BACKENDS)
@given(shapes_and_keys())
def test_any_key_matches_numpy(backend: str, case: tuple[tuple[int, ...], Any]) -> None:
    shape, key = case
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    with gu.backend(backend):
        try:
            array[key]
            gu.tensor(array)[key]
        except IndexError:
            # Both refuse; but NumPy does not compare every mask with its axes where nothing is taken.
            if key_fits(array, key):
                assert array[key].size == 0
            with pytest.raises(IndexError):
                gu.tensor(array)[key]
        else:
            check(array, key)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (2, IndexError, "[index] dim 0 must be indexed by -2 to 1, but got 2"),
        ((0, -4), IndexError, "[index] dim 1 must be indexed by -3 to 2, but got -4"),
        ([[0, 5]], IndexError, "[index] dim 0 must be indexed by -2 to 1, but got 5"),
        ((0, 0, 0), IndexError, "[index] at most 2 axes can be indexed, but got 3"),
        ((..., ...), IndexError, "[index] an index must have one ... at most, but got 2"),
        (True, IndexError, "[index] a single bool is no index; use None, or a mask with axes"),
        (
            np.ones(3, bool),
            IndexError,
            "[index] a mask must have the shape (2,) of its axes, but got (3,)",
        ),
        (
            ([0, 1], [0, 1, 2]),
            IndexError,
            "[index] index arrays must broadcast, but got (2,) and (3,)",
        ),
        (slice(None, None, 0), ValueError, "[index] the step of a slice must not be 0"),
        (
            "a",
            TypeError,
            "[index] an index must be ints, slices, None, ..., or int64 or bool arrays, but got str",
        ),
        (
            1.0,
            TypeError,
            "[index] an index must be ints, slices, None, ..., or int64 or bool arrays, but got float",
        ),
        (
            np.zeros(2),
            TypeError,
            "[index] an index must be ints, slices, None, ..., or int64 or bool arrays, but got float64",
        ),
    ],
    ids=str,
)
def test_refusals(key: Any, error: type[Exception], message: str, backend: str) -> None:
    with gu.backend(backend), pytest.raises(error) as caught:
        gu.zeros(2, 3)[key]
    assert str(caught.value) == message


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_a_new_axis_shares_memory(backend: str) -> None:
    with gu.backend(backend):
        x = gu.zeros(2, 3)
        assert np.shares_memory(np.asarray(x[None]), np.asarray(x))
        for key in (..., 0, slice(None), (None, 0)):
            assert not np.shares_memory(np.asarray(x[key]), np.asarray(x))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_assignment_matches_numpy(key: Any, backend: str) -> None:
    expected = X.copy()
    value = np.cos(np.arange(expected[key].size, dtype=np.float64)).reshape(expected[key].shape)
    expected[key] = value
    with gu.backend(backend):
        for k in (key, as_tensors(key)):
            for v in (value, gu.tensor(value)):
                x = gu.tensor(X)
                before = x._version
                x[k] = v
                np.testing.assert_array_equal(x, expected)
                assert x._version == before + 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_assignment_that_the_tape_notices(backend: str) -> None:
    with gu.backend(backend):
        x = gu.ones(3, requires_grad=True)
        with pytest.raises(ValueError, match="cannot be written in place"):
            x[0] = 2.0
        w = gu.tensor([1.0, 2.0, 3.0])
        y = (x * w).sum()
        w[0] = 5.0
        with pytest.raises(ValueError, match="changed in place"):
            y.backward()
