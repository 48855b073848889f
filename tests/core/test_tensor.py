"""The tensor itself: construction from anything, sharing with NumPy, scalars, in-place writes, strange sizes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import groundup as gu

pytestmark = pytest.mark.usefixtures("backend")
DTYPES = ("float32", "float64", "int64", "bool")
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def arrays() -> st.SearchStrategy[Any]:
    return st.sampled_from(DTYPES).flatmap(lambda d: hnp.arrays(d, shapes))


def any_arrays() -> st.SearchStrategy[Any]:
    """Of any layout: transposed, every second element, byte-swapped."""

    def change(a: Any, how: str) -> Any:
        if how == "T":
            return a.T
        if how == "step" and a.ndim:
            return a[::2]
        if how == "swapped":
            return a.astype(a.dtype.newbyteorder(">"))
        return a

    return st.builds(change, arrays(), st.sampled_from(["", "T", "step", "swapped"]))


# ------------------------------------------------------------------------------------------------- construction


@given(any_arrays())
def test_an_array_survives_the_way_there_and_back(a: Any) -> None:
    for backend in ("cpp", "numpy"):
        with gu.backend(backend):
            t = gu.tensor(a)
            back = np.asarray(t)
            assert t.shape == a.shape and back.dtype == a.dtype.newbyteorder("=")
            assert np.array_equal(back, a, equal_nan=a.dtype.kind == "f")
            assert not np.may_share_memory(back, a)
            if a.size:
                assert t.data_ptr() % 64 == 0


@given(arrays())
def test_from_numpy_shares(a: Any) -> None:
    for backend in ("cpp", "numpy"):
        with gu.backend(backend):
            t = gu.from_numpy(a)
            assert np.array_equal(np.asarray(t), a, equal_nan=a.dtype.kind == "f")
            assert a.size == 0 or (t.data_ptr() == a.ctypes.data and np.shares_memory(t.numpy(), a))
            if a.size:
                a.reshape(-1)[0] = 1
                assert np.asarray(t).reshape(-1)[0] == 1


@given(
    st.recursive(st.floats(width=32, allow_nan=False), lambda inner: st.lists(inner, min_size=1, max_size=3))
)
def test_nested_lists_read_as_numpy_reads_them(data: Any) -> None:
    try:
        expected = np.asarray(data, np.float32)
    except ValueError:
        with pytest.raises(TypeError, match="nested lists of equal length"):
            gu.tensor(data)
        return
    t = gu.tensor(data)
    assert t.dtype == gu.float32 and np.array_equal(np.array(t), expected)


def test_the_dtype_of_python_values_and_of_arrays() -> None:
    for data, dtype in (
        (1.5, gu.float32),
        ([1, 2], gu.int64),
        ([1, 2.5], gu.float32),
        (True, gu.bool_),
        ([True, False], gu.bool_),
        ([], gu.float32),
        (range(3), gu.int64),
        ((1, 2), gu.int64),
        (np.float64(1.0), gu.float64),
        (np.float32(1.0), gu.float32),
        (np.arange(3, dtype=np.int8), gu.int64),
        (np.arange(3, dtype=np.uint32), gu.int64),
        (np.ones(2, np.float16), gu.float32),
    ):
        assert gu.tensor(data).dtype == dtype, data


class Broken:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("mine")


circle: list[Any] = []
circle.append(circle)

BAD: list[tuple[str, Any, type[Exception], str]] = [
    (
        "ragged",
        [[1.0], [1.0, 2.0]],
        TypeError,
        "[tensor] data must be a number, nested lists of equal length or an",
    ),
    (
        "deeper ragged",
        [1.0, [2.0]],
        TypeError,
        "[tensor] data must be a number, nested lists of equal length or an",
    ),
    ("string", "text", gu.DTypeError, "[tensor] data must be floats, integers or bools, but got dtype <U4"),
    (
        "strings",
        ["a", "b"],
        gu.DTypeError,
        "[tensor] data must be floats, integers or bools, but got dtype <U1",
    ),
    ("bytes", b"ab", gu.DTypeError, "[tensor] data must be floats, integers or bools, but got dtype |S2"),
    ("None", None, gu.DTypeError, "[tensor] data must be floats, integers or bools, but got dtype object"),
    (
        "Nones",
        [1.0, None],
        gu.DTypeError,
        "[tensor] data must be floats, integers or bools, but got dtype object",
    ),
    ("set", {1, 2}, gu.DTypeError, "[tensor] data must be floats, integers or bools, but got dtype object"),
    ("dict", {1: 2}, gu.DTypeError, "[tensor] data must be floats, integers or bools, but got dtype object"),
    (
        "object",
        object(),
        gu.DTypeError,
        "[tensor] data must be floats, integers or bools, but got dtype object",
    ),
    (
        "generator",
        (i for i in range(3)),
        gu.DTypeError,
        "[tensor] data must be floats, integers or bools, but got",
    ),
    (
        "complex",
        [1j],
        gu.DTypeError,
        "[tensor] data must be floats, integers or bools, but got dtype complex128",
    ),
    (
        "uint64",
        np.ones(2, np.uint64),
        gu.DTypeError,
        "[tensor] data must be floats, integers or bools, but got dtype",
    ),
    (
        "beyond int64",
        [2**63],
        gu.DTypeError,
        "[tensor] data must be floats, integers or bools, but got dtype uint64",
    ),
    (
        "beyond uint64",
        [2**70],
        gu.DTypeError,
        "[tensor] data must be floats, integers or bools, but got dtype object",
    ),
    (
        "long double",
        np.ones(2, np.longdouble),
        gu.DTypeError,
        "[tensor] data must be floats, integers or bools, but",
    ),
    (
        "dates",
        np.array(["2020-01-01"], "M8[D]"),
        gu.DTypeError,
        "[tensor] data must be floats, integers or bools, but",
    ),
    (
        "records",
        np.zeros(2, "f4,i4"),
        gu.DTypeError,
        "[tensor] data must be floats, integers or bools, but got dtype",
    ),
    ("its own member", circle, TypeError, "[tensor] data must be "),
    ("an error of its own", Broken(), RuntimeError, "mine"),
]


@pytest.mark.parametrize(("data", "error", "message"), [pytest.param(*b[1:], id=b[0]) for b in BAD])
def test_refuses(data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match="^" + re.escape(message)):
        gu.tensor(data)
    with pytest.raises(error, match="^" + re.escape(message)):
        gu.tensor(data, dtype="float64")


@pytest.mark.parametrize("dtype", ["float16", "complex64", "int32", "nonsense", np.int8, 3, [], object()])
def test_refuses_a_dtype_that_is_none_of_ours(dtype: Any) -> None:
    with pytest.raises(
        gu.DTypeError, match=r"^\[tensor\] dtype must be bool, int64, bfloat16, float32 or float64, but got"
    ):
        gu.tensor([1.0], dtype=dtype)


def test_integers_cannot_require_a_gradient() -> None:
    with pytest.raises(gu.DTypeError, match="only float tensors have gradients, but got int64"):
        gu.tensor([1, 2], requires_grad=True)


@pytest.mark.parametrize(
    "array",
    [
        np.ones((2, 3), np.float32).T,
        np.ones(4, np.float32)[::2],
        np.ones(4, np.int32),
        np.ones(4, ">f4"),
        np.frombuffer(bytes(17), np.uint8)[1:].view(np.float32),
        [1.0, 2.0],
        3.0,
    ],
    ids=["transposed", "steps", "int32", "byte order", "unaligned", "list", "number"],
)
def test_from_numpy_refuses_what_cannot_be_shared(array: Any) -> None:
    with pytest.raises(ValueError) as caught:
        gu.from_numpy(array)
    assert str(caught.value) == (
        "[from_numpy] only an aligned C-contiguous ndarray of a supported dtype can be shared; use gu.tensor to copy"
    )


@pytest.mark.parametrize("shape", [(2**40, 2**40), (2**62,), (2**31, 2**31, 2), (2**50,)])
def test_huge_sizes_are_refused_without_allocating(shape: tuple[int, ...]) -> None:
    gu.reset_peak_memory()
    before = gu.memory_stats()["peak"]
    for make in (gu.zeros, gu.empty, gu.rand):
        with pytest.raises((ValueError, MemoryError)):
            make(shape)
    assert gu.memory_stats()["peak"] == before


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError):
        gu.zeros((2, -1))


# ------------------------------------------------------------------------------------------------------- NumPy


def test_asarray_does_not_copy() -> None:
    t = gu.tensor([[1.0, 2.0], [3.0, 4.0]])
    a = np.asarray(t)
    a[0, 0] = 9.0
    assert t.numpy()[0, 0] == 9.0 and np.shares_memory(a, t.numpy())
    assert not np.shares_memory(np.array(t), t.numpy())


def test_an_array_outlives_its_tensor() -> None:
    a = np.asarray(gu.tensor(np.arange(1000.0)))
    assert a.sum() == 499_500.0


def test_array_arguments() -> None:
    t = gu.tensor([1.0, 2.0])
    assert np.asarray(t, np.float64).dtype == np.float64
    assert t.__array__(np.float32).ctypes.data == t.data_ptr()
    assert t.__array__(copy=True).ctypes.data != t.data_ptr()
    assert t.__array__(np.float32, copy=False).ctypes.data == t.data_ptr()
    with pytest.raises(ValueError, match="another dtype needs a copy"):
        t.__array__(np.float64, copy=False)


def test_read_only_memory_stays_read_only() -> None:
    a = np.ones(3, np.float32)
    a.flags.writeable = False
    t = gu.from_numpy(a)
    assert not np.asarray(t).flags.writeable
    for write in (t.zero_, lambda: t.add_(1.0), lambda: t.__setitem__(0, 2.0)):
        with pytest.raises(ValueError, match="the tensor's memory is read-only"):
            write()
    assert a.tolist() == [1, 1, 1]
    assert (t + 1).numpy().tolist() == [2, 2, 2]
    x = gu.from_numpy(a).requires_grad_()
    (x * x).sum().backward()
    assert np.array(x.grad).tolist() == [2, 2, 2]


# -------------------------------------------------------------------------------------------------------- scalars


def test_item_and_conversions() -> None:
    assert gu.tensor(2.5).item() == 2.5 and isinstance(gu.tensor(2.5).item(), float)
    assert gu.tensor([[7]]).item() == 7 and isinstance(gu.tensor(7).item(), int)
    assert gu.tensor(True).item() is True
    assert float(gu.tensor([1.5])) == 1.5 and int(gu.tensor(2.9)) == 2 and int(gu.tensor([3])) == 3
    assert [10, 20, 30][gu.tensor(1)] == 20
    assert bool(gu.tensor(1.0)) and not bool(gu.tensor([[0]]))
    assert gu.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]] and gu.tensor(5).tolist() == 5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: t.item(), gu.ShapeError, "[item] the tensor must hold one element, but got shape (2,)"),
        (float, gu.ShapeError, "[item] the tensor must hold one element, but got shape (2,)"),
        (bool, ValueError, "[bool] only one element has a truth value, but got shape (2,)"),
        (lambda t: [1][t], TypeError, "[index] only an int64 tensor can be an index, but got float32"),
        (lambda t: len(gu.tensor(1.0)), TypeError, "[len] a 0-d tensor has no length"),
        (lambda t: t.size(1), IndexError, "[size] dim must be in -1 to 0, but got 1"),
        (lambda t: gu.tensor(1.0).size(0), IndexError, "[size] a 0-d tensor has no axes"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call(gu.tensor([1.0, 2.0]))
    assert str(caught.value) == message


def test_metadata() -> None:
    t = gu.tensor(np.zeros((2, 3), np.float64))
    assert t.shape == (2, 3) and t.ndim == t.dim() == 2 and t.numel() == 6 and t.nbytes == 48 and len(t) == 2
    assert t.size() == (2, 3) and t.size(0) == 2 and t.size(-1) == 3
    assert t.dtype == gu.float64 == np.float64 and t.dtype.itemsize == 8 and t.dtype.is_floating_point
    assert len({t: 1, gu.tensor(1.0): 2}) == 2


def test_repr() -> None:
    assert repr(gu.tensor([1.0, 2.5])) == "tensor([1. , 2.5])"
    assert repr(gu.tensor([1, 2])) == "tensor([1, 2])"
    assert repr(gu.tensor([True])) == "tensor([ True])"
    assert repr(gu.tensor(1.0, dtype="float64")) == "tensor(1., dtype=groundup.float64)"
    assert repr(gu.tensor(1.0, requires_grad=True)) == "tensor(1., requires_grad=True)"
    assert repr(gu.tensor(1.0, requires_grad=True).exp()) == "tensor(2.7183, grad_fn=<exp>)"
    assert "shape=(0, 3)" in repr(gu.tensor(np.zeros((0, 3), np.float32)))


# ---------------------------------------------------------------------------------------------------- in place


def test_writes_in_place() -> None:
    t = gu.tensor([1.0, 2.0, 3.0])
    assert t.add_(1.0) is t and t.tolist() == [2, 3, 4]
    assert t.sub_(gu.tensor([1.0, 1.0, 1.0])).tolist() == [1, 2, 3]
    assert t.mul_(2.0).tolist() == [2, 4, 6] and t.div_(2.0).tolist() == [1, 2, 3]
    assert t.copy_([7.0, 8.0, 9.0]).tolist() == [7, 8, 9] and t.fill_(5.0).tolist() == [5, 5, 5]
    t[1:] = gu.tensor([0.0, 1.0])
    assert t.tolist() == [5, 0, 1] and t.zero_().tolist() == [0, 0, 0]


def test_a_bool_takes_the_truth_of_anything() -> None:
    t = gu.tensor([True, False])
    assert t.zero_().tolist() == [False, False] and t.fill_(1).tolist() == [True, True]
    assert t.copy_([0.0, 2.5]).tolist() == [False, True]


def test_a_write_keeps_the_dtype_and_refuses_what_does_not_fit() -> None:
    t = gu.tensor([1, 2])
    with pytest.raises(TypeError):
        t.add_(1.5)
    with pytest.raises(ValueError):
        t.copy_([1, 2, 3])
    with pytest.raises(IndexError):
        t[5] = 1
    assert t.tolist() == [1, 2] and t.dtype == gu.int64
