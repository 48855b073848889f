"""Tensors from Python values: what is exact, what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import groundup as gu


@pytest.fixture(params=["cpp", "numpy"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    with gu.backend(request.param):
        yield


def test_a_number_asked_for_in_float64_keeps_every_digit() -> None:
    assert gu.tensor(0.1, dtype="float64").item() == 0.1
    assert gu.tensor([[0.1, 1e300]], dtype=gu.float64).numpy().tolist() == [[0.1, 1e300]]
    assert gu.tensor([2**53 + 1], dtype="int64").numpy().tolist() == [2**53 + 1]
    assert gu.tensor([0.1]).item() == float(np.float32(0.1))


def test_another_dtype_than_the_data_has() -> None:
    for data in ([1.5, -2.0], np.array([1.5, -2.0]), gu.tensor([1.5, -2.0])):
        assert gu.tensor(data, dtype="int64").numpy().tolist() == [1, -2]
        assert gu.tensor(data, dtype="bool").numpy().tolist() == [True, True]
        converted = gu.tensor(data, dtype="float64", requires_grad=True)
        assert converted.dtype == gu.float64 and converted.is_leaf and converted.requires_grad


@pytest.mark.parametrize("dtype", [None, "float64"])
def test_refuses(dtype: str | None) -> None:
    with pytest.raises(
        TypeError, match=r"\[tensor\] data must be a number, nested lists of equal length or an array"
    ):
        gu.tensor([[1.0], [1.0, 2.0]], dtype=dtype)
    with pytest.raises(gu.DTypeError, match=r"\[tensor\] data must be floats, integers or bools"):
        gu.tensor("text", dtype=dtype)
