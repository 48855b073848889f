"""What batch_norm does beside its result: it keeps running statistics, in place."""

from __future__ import annotations

import numpy as np
import pytest

import groundup as gu


@pytest.mark.parametrize("backend", ["cpp", "numpy"])
def test_training_updates_the_running_statistics_in_place(backend: str) -> None:
    with gu.backend(backend):
        x = np.array([[1.0, 10.0], [3.0, 30.0], [5.0, 20.0]])
        mean, var = gu.tensor(np.array([1.0, 0.0])), gu.tensor(np.array([1.0, 2.0]))
        gu.batch_norm(gu.tensor(x), mean, var, training=True, momentum=0.25)
        np.testing.assert_allclose(mean, [0.75 * 1 + 0.25 * 3, 0.25 * 20], rtol=1e-15)
        # Of 1, 3, 5 the unbiased variance is 8/2, of 10, 30, 20 it is 200/2.
        np.testing.assert_allclose(var, [0.75 * 1 + 0.25 * 4, 0.75 * 2 + 0.25 * 100], rtol=1e-15)


@pytest.mark.parametrize("backend", ["cpp", "numpy"])
def test_evaluation_leaves_them_alone(backend: str) -> None:
    with gu.backend(backend):
        mean, var = gu.tensor(np.array([1.0])), gu.tensor(np.array([4.0]))
        y = gu.batch_norm(gu.tensor(np.array([[3.0], [5.0]])), mean, var, eps=0.0)
        np.testing.assert_array_equal(y, [[1.0], [2.0]])
        np.testing.assert_array_equal(mean, [1.0])
        np.testing.assert_array_equal(var, [4.0])


def test_backward_in_evaluation_uses_the_statistics_of_its_forward() -> None:
    x = gu.tensor(np.array([[3.0], [5.0]]), requires_grad=True)
    mean, var = gu.tensor(np.array([1.0])), gu.tensor(np.array([4.0]))
    y = gu.batch_norm(x, mean, var, eps=0.0)
    gu.batch_norm(gu.tensor(np.array([[0.0], [100.0]])), mean, var, training=True)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [[0.5], [0.5]])


def test_an_update_counts_as_a_write() -> None:
    mean, var = gu.zeros(2), gu.ones(2)
    gu.batch_norm(gu.randn(5, 2), mean, var, training=True)
    assert mean._version == 1 and var._version == 1


def test_read_only_statistics_are_refused() -> None:
    frozen = np.zeros(2, np.float32)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="memory is read-only"):
        gu.batch_norm(gu.randn(5, 2), gu.from_numpy(frozen), gu.ones(2), training=True)


@pytest.mark.parametrize("shape", [(513, 3), (7, 3, 1000), (3, 2, 33, 65)])
def test_float32_is_as_good_as_the_rounding_of_its_input(shape: tuple[int, ...]) -> None:
    x = (np.random.default_rng(0).standard_normal(shape) + 100).astype(np.float32)
    y = gu.batch_norm(gu.tensor(x), None, None, training=True)
    exact = gu.batch_norm(gu.tensor(x.astype(np.float64)), None, None, training=True)
    np.testing.assert_allclose(y, exact, rtol=0, atol=3e-5)  # a mean of 100 is known to 1e-5 of a deviation
