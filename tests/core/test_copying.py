"""Pickling, copy and deepcopy of tensors, under both backends and between them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import groundup as gu

pytestmark = pytest.mark.usefixtures("backend")
arrays = st.sampled_from(("float32", "float64", "int64", "bool")).flatmap(
    lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)


@given(arrays, st.booleans(), st.integers(2, pickle.HIGHEST_PROTOCOL))
def test_pickling_keeps_values_dtype_and_requires_grad(a: Any, grad: bool, protocol: int) -> None:
    t = gu.tensor(a, requires_grad=grad and a.dtype.kind == "f")
    back = pickle.loads(pickle.dumps(t, protocol))
    assert type(back) is type(t) and back.dtype == t.dtype and back.shape == t.shape
    assert back.requires_grad == t.requires_grad and back.is_leaf
    assert np.array_equal(np.array(back), a, equal_nan=a.dtype.kind == "f")


def test_a_pickle_crosses_from_one_backend_to_the_other(backend: str) -> None:
    data = pickle.dumps(gu.tensor([1.0, 2.0], dtype="float64", requires_grad=True))
    with gu.backend("numpy" if backend == "cpp" else "cpp"):
        back = pickle.loads(data)
        assert isinstance(back, gu.Tensor) and back.requires_grad and back.dtype == gu.float64
        assert (back * 2).detach().numpy().tolist() == [2.0, 4.0]


def test_a_read_only_tensor_comes_back_writable() -> None:
    a = np.ones(2, np.float32)
    a.flags.writeable = False
    assert pickle.loads(pickle.dumps(gu.from_numpy(a))).zero_().tolist() == [0.0, 0.0]


def test_copy_shares_memory_and_deepcopy_does_not() -> None:
    t = gu.tensor([1.0, 2.0], requires_grad=True)
    t.grad = gu.tensor([3.0, 4.0])
    shallow, deep = copy.copy(t), copy.deepcopy(t)
    with gu.no_grad():
        t.fill_(9.0)
    t.grad.zero_()
    assert shallow.tolist() == [9.0, 9.0] and shallow.requires_grad and shallow.is_leaf
    assert deep.tolist() == [1.0, 2.0] and deep.requires_grad
    assert deep.grad.tolist() == [3.0, 4.0]


def test_deepcopy_keeps_what_is_shared_shared() -> None:
    t = gu.tensor([1.0])
    first, second = copy.deepcopy([t, t])
    assert first is second and first is not t


def test_a_result_is_refused() -> None:
    y = gu.tensor([1.0], requires_grad=True).exp()
    for call, what in ((pickle.dumps, "pickle"), (copy.copy, "copy"), (copy.deepcopy, "deepcopy")):
        with pytest.raises(ValueError) as caught:
            call(y)
        assert str(caught.value) == (
            f"[{what}] only a leaf can be copied, as a result would lose its history; use x.detach() first"
        )
        call(y.detach())


def test_dtypes_and_ops_pickle() -> None:
    assert pickle.loads(pickle.dumps(gu.float64)) == gu.float64
    assert pickle.loads(pickle.dumps(gu.exp)) is gu.exp
