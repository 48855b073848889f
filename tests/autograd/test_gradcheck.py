"""gu.autograd.gradcheck finds what is wrong and says where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import groundup as gu

pytestmark = pytest.mark.usefixtures("backend")


def doubles(*values: float) -> Any:
    return gu.tensor(list(values), dtype="float64", requires_grad=True)


class WrongAtOne(gu.autograd.Function):
    """x², with a gradient that is three times too large at element 1."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        (x,) = ctx.saved_tensors
        return dy * x * 2.0 * gu.tensor([1.0, 3.0, 1.0], dtype="float64")


def test_right_gradients_pass() -> None:
    x, w = doubles(0.3, -0.7), doubles(1.5, 0.2)
    assert gu.autograd.gradcheck(lambda x, w: (x * w).exp() + w, [x, w])
    assert gu.autograd.gradcheck(lambda x, w: ((x * w).sum(), x.tanh()), [x, w], directions=5)


def test_it_says_which_input_which_element_and_what_differs() -> None:
    x = doubles(0.5, -0.25, 2.0)
    with pytest.raises(gu.autograd.GradcheckError) as caught:
        gu.autograd.gradcheck(lambda c, x: WrongAtOne.apply(x) * c, [gu.tensor([2.0, 2.0, 2.0]), x])
    text = str(caught.value)
    assert text.startswith(
        "[gradcheck] the gradient of input 1 of shape (3,) is wrong: at element (1,) differences give "
    )
    assert "(3 times as much)" in text and text.endswith("; 1 of 3 elements are")
    with pytest.raises(gu.autograd.GradcheckError, match=r"at direction 0 of 4 .*; 4 of 4 directions are"):
        gu.autograd.gradcheck(WrongAtOne.apply, x, directions=4)
    assert not gu.autograd.gradcheck(WrongAtOne.apply, x, raise_exception=False)


def test_it_is_tight() -> None:
    class Slightly(gu.autograd.Function):
        forward = staticmethod(lambda ctx, x: x * 1.0)
        backward = staticmethod(lambda ctx, dy: dy * 1.0001)

    with pytest.raises(gu.autograd.GradcheckError):
        gu.autograd.gradcheck(Slightly.apply, doubles(1.0))


def test_a_gradient_of_nan_and_a_missing_one_are_wrong() -> None:
    class Nan(gu.autograd.Function):
        forward = staticmethod(lambda ctx, x: x * 1.0)
        backward = staticmethod(lambda ctx, dy: dy * float("nan"))

    class Nothing(gu.autograd.Function):
        forward = staticmethod(lambda ctx, x: x * 1.0)
        backward = staticmethod(lambda ctx, dy: None)

    for op in (Nan, Nothing):
        with pytest.raises(gu.autograd.GradcheckError):
            gu.autograd.gradcheck(op.apply, doubles(1.0))


def test_inputs_are_as_before_afterwards() -> None:
    x = doubles(0.1, 0.2)
    gu.autograd.gradcheck(gu.exp, x)
    assert np.array(x).tolist() == [0.1, 0.2] and x.grad is None

    def broken(x: Any) -> Any:
        if not gu.is_grad_enabled() and x.numpy()[1] != 0.2:
            raise RuntimeError("mine")
        return x * 1.0

    with pytest.raises(RuntimeError, match="mine"):
        gu.autograd.gradcheck(broken, x)
    assert np.array(x).tolist() == [0.1, 0.2]


def test_what_fn_reaches_on_its_own_is_checked_too() -> None:
    w, x = doubles(2.0), gu.tensor([3.0], dtype="float64")
    assert gu.autograd.gradcheck(lambda w_again: w * x, w)


def test_random_numbers_are_drawn_alike() -> None:
    gu.manual_seed(3)
    assert gu.autograd.gradcheck(lambda x: gu.dropout(x, 0.5, True), doubles(*np.linspace(1, 2, 16).tolist()))


def test_refuses_float32_inputs() -> None:
    with pytest.raises(gu.DTypeError) as caught:
        gu.autograd.gradcheck(gu.exp, gu.tensor([1.0], requires_grad=True))
    assert str(caught.value) == (
        "[gradcheck] inputs must be float64, as differences in less precision drown in rounding, "
        "but input 0 is float32"
    )


def test_refuses_float32_results() -> None:
    with pytest.raises(gu.DTypeError, match="results must be float64, but result 0 is float32"):
        gu.autograd.gradcheck(lambda x: x.float(), doubles(1.0))


def test_refuses_what_is_no_function_of_its_inputs() -> None:
    calls = [0]

    def drifting(x: Any) -> Any:
        calls[0] += 1
        return x * float(calls[0])

    with pytest.raises(
        ValueError, match="fn must give equal results for equal inputs, but result 0 differs by 1"
    ):
        gu.autograd.gradcheck(drifting, doubles(1.0))


def test_refuses_other_bad_calls() -> None:
    with pytest.raises(ValueError, match="at least one input must require a gradient"):
        gu.autograd.gradcheck(gu.exp, gu.tensor([1.0], dtype="float64"))
    with pytest.raises(ValueError, match="no result of fn depends on an input"):
        gu.autograd.gradcheck(lambda x: x.detach(), doubles(1.0))
    with pytest.raises(ValueError, match="directions must be None or at least 1, but got 0"):
        gu.autograd.gradcheck(gu.exp, doubles(1.0), directions=0)
    with pytest.raises(TypeError, match="fn must return tensors, but got float"):
        gu.autograd.gradcheck(lambda x: 1.0, doubles(1.0))
