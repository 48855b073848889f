"""gu.checkpoint: the same gradients to the last bit, from less memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import groundup as gu

pytestmark = pytest.mark.usefixtures("backend")


def random(*shape: int, seed: int = 0) -> Any:
    data = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return gu.tensor(data, requires_grad=True)


def block(x: Any, w: Any) -> Any:
    return gu.dropout((x * w).tanh(), 0.25, True) + x


def gradients(wrapped: bool) -> list[Any]:
    gu.manual_seed(11)
    x, weights = random(8, 5), [random(5, seed=i) for i in range(3)]
    h = x
    for w in weights:
        h = gu.checkpoint(block, h, w) if wrapped else block(h, w)
    # What is drawn after the checkpoint must not depend on the recomputation either.
    (gu.dropout(h, 0.5, True) * h).sum().backward()
    after = gu.rand(3)
    return [np.array(h), np.array(after), *(np.array(t.grad) for t in [x, *weights])]


def test_equal_to_the_last_bit() -> None:
    for plain, recomputed in zip(gradients(False), gradients(True), strict=True):
        assert np.array_equal(plain, recomputed)


def test_parameters_that_fn_reaches_on_its_own() -> None:
    x, w = random(4), random(4, seed=1)
    gu.checkpoint(lambda x: (x * w).exp() * w, x).sum().backward()
    dx, dw = np.array(x.grad), np.array(w.grad)
    x.grad = w.grad = None
    ((x * w).exp() * w).sum().backward()
    assert np.array_equal(dx, np.array(x.grad)) and np.array_equal(dw, np.array(w.grad))


def test_no_argument_needs_a_gradient() -> None:
    w = random(3)
    gu.checkpoint(lambda x: x * w, gu.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert np.array(w.grad).tolist() == [1.0, 2.0, 3.0]


def test_a_result_that_fn_reaches_gets_its_gradient_once() -> None:
    x = random(3)
    h = x * 2.0
    calls: list[int] = []
    h.register_hook(lambda g: calls.append(1))
    x.register_hook(lambda g: calls.append(2))
    y = gu.checkpoint(lambda: h * x)
    y.sum().backward()
    assert calls == [1, 2]
    np.testing.assert_allclose(np.array(x.grad), 4 * np.array(x), rtol=1e-6)


def test_grad_through_a_checkpoint() -> None:
    x, w = random(3), random(3, seed=1)
    (dw,) = gu.autograd.grad(gu.checkpoint(lambda a, b: a * b, x, w).sum(), w)
    assert np.array_equal(np.array(dw), np.array(x)) and x.grad is None


def test_nested() -> None:
    x = random(3)

    def inner(a: Any) -> Any:
        return a.tanh().exp()

    def outer(a: Any) -> Any:
        return gu.checkpoint(inner, a * 2.0) * a

    gu.checkpoint(outer, x).sum().backward()
    nested = np.array(x.grad)
    x.grad = None
    (inner(x * 2.0) * x).sum().backward()
    assert np.array_equal(nested, np.array(x.grad))


def test_several_results_keywords_and_values_that_are_no_tensors() -> None:
    x = random(3)

    def fn(a: Any, *, scale: float) -> Any:
        return a * scale, gu.argmax(a), "text", a.exp()

    y, best, text, unused = gu.checkpoint(fn, x, scale=3.0)
    assert text == "text" and best.item() == int(np.array(x).argmax()) and unused.requires_grad
    y.sum().backward()
    assert np.array(x.grad).tolist() == [3.0] * 3


def test_an_argument_returned_as_it_is() -> None:
    x = random(3)
    gu.checkpoint(lambda a: a, x).sum().backward()
    assert np.array(x.grad).tolist() == [1.0] * 3


def test_twice_with_retain_graph_and_not_without() -> None:
    x = random(3)
    y = gu.checkpoint(gu.exp, x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(np.array(x.grad), 2 * np.exp(np.array(x)), rtol=1e-6)
    with pytest.raises(ValueError, match="freed"):
        y.backward()


def test_without_grad_mode_it_is_a_plain_call() -> None:
    with gu.no_grad():
        assert not gu.checkpoint(gu.exp, random(3)).requires_grad
    assert not gu.checkpoint(gu.exp, gu.tensor([1.0])).requires_grad


def test_a_write_to_an_argument_is_noticed() -> None:
    x = random(3)
    y = gu.checkpoint(gu.exp, x).sum()
    with gu.no_grad():
        x.zero_()
    with pytest.raises(ValueError, match=r"^\[checkpoint\] a tensor of shape \(3,\) .* changed in place"):
        y.backward()


def test_a_function_that_returns_something_else_the_second_time() -> None:
    x, calls = random(3), [0]

    def fickle(a: Any) -> Any:
        calls[0] += 1
        return a * 1.0 if calls[0] == 1 else (a * 1.0, a * 2.0)

    y = gu.checkpoint(fickle, x).sum()
    with pytest.raises(ValueError, match=r"fn must return the same again, but returned 2 tensors .* after 1"):
        y.backward()


def test_what_fn_raises_comes_out_and_the_stream_stays() -> None:
    calls = [0]

    def broken(a: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise KeyError("mine")
        return gu.dropout(a, 0.5, True)

    y = gu.checkpoint(broken, random(3)).sum()
    state = gu.get_rng_state()
    with pytest.raises(KeyError, match="mine"):
        y.backward()
    assert gu.get_rng_state() == state and gu.is_grad_enabled()
