"""Ops of a learner's own: gu.autograd.Function."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import groundup as gu

pytestmark = pytest.mark.usefixtures("backend")


class Square(gu.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        (x,) = ctx.saved_tensors
        return dy * x * 2


def leaf(*values: float) -> Any:
    return gu.tensor(list(values), requires_grad=True)


def note(seen: list[Any], *values: Any) -> Any:
    """Keep values; returns None, so that a lambda can go on with ``or``."""
    seen.extend(values)


def made(
    forward: Any = lambda ctx, x: x * 1.0, backward: Any = lambda ctx, dy: dy, name: str = "Mine"
) -> type[gu.autograd.Function]:
    return type(
        name,
        (gu.autograd.Function,),
        {"forward": staticmethod(forward), "backward": staticmethod(backward)},
    )


def test_forward_and_backward() -> None:
    x = leaf(3.0, -1.0)
    y = Square.apply(x)
    assert y.grad_fn.name == "Square" and not y.is_leaf
    y.sum().backward()
    assert np.array(x.grad).tolist() == [6.0, -2.0]


def test_passes_gradcheck_where_right_and_not_where_wrong() -> None:
    x = gu.tensor([3.0, -1.0], dtype="float64", requires_grad=True)
    assert gu.autograd.gradcheck(Square.apply, x)
    wrong = made(lambda ctx, x: x * x, lambda ctx, dy: dy)
    with pytest.raises(gu.autograd.GradcheckError):
        gu.autograd.gradcheck(wrong.apply, x)


def test_forward_is_not_recorded_and_backward_neither() -> None:
    modes: list[bool] = []
    op = made(
        lambda ctx, x: note(modes, gu.is_grad_enabled()) or x * 1.0,
        lambda ctx, dy: note(modes, gu.is_grad_enabled()) or dy,
    )
    op.apply(leaf(1.0)).sum().backward()
    assert modes == [False, False]


def test_arguments_that_are_no_tensors_and_needs_input_grad() -> None:
    needs: list[Any] = []

    def backward(ctx: Any, dy: Any) -> Any:
        needs.append(ctx.needs_input_grad)
        return dy * ctx.factor, None, None

    def forward(ctx: Any, x: Any, factor: float, c: Any) -> Any:
        needs.append(ctx.needs_input_grad)
        ctx.factor = factor
        return x * factor + c

    x = leaf(1.0)
    made(forward, backward).apply(x, 5.0, gu.tensor([1.0])).sum().backward()
    assert needs == [(True, False, False)] * 2
    assert np.array(x.grad).tolist() == [5.0]
    made(forward).apply(x.detach(), 5.0, gu.tensor([1.0]))
    assert needs[-1] == (False, False, False)


def test_nothing_is_recorded_without_need() -> None:
    assert not Square.apply(gu.tensor([1.0])).requires_grad
    with gu.no_grad():
        assert not Square.apply(leaf(1.0)).requires_grad


def two(ctx: Any, x: Any) -> Any:
    return x * 2.0, x * 3.0


def test_several_results() -> None:
    op = made(two, lambda ctx, da, db: da * 2.0 + db * 3.0)
    x = leaf(1.0)
    a, b = op.apply(x)
    (a + b * 10.0).sum().backward()
    assert np.array(x.grad).tolist() == [32.0]


def test_a_result_without_a_gradient_arrives_as_zeros_or_none() -> None:
    got: list[Any] = []
    op = made(two, lambda ctx, da, db: note(got, db) or da)
    x = leaf(1.0, 2.0)
    op.apply(x)[0].sum().backward()
    assert np.array(got[0]).tolist() == [0.0, 0.0]
    lazy = made(
        lambda ctx, x: ctx.set_materialize_grads(False) or two(ctx, x),
        lambda ctx, da, db: note(got, db) or da,
    )
    lazy.apply(x)[0].sum().backward()
    assert got[1] is None


def test_results_that_are_not_differentiable() -> None:
    def forward(ctx: Any, x: Any) -> Any:
        order, copy = gu.argmax(x), x * 1.0
        ctx.mark_non_differentiable(copy)
        return x * 2.0, order, copy

    got: list[Any] = []
    op = made(forward, lambda ctx, dy, dorder, dcopy: note(got, dorder, dcopy) or dy * 2.0)
    x = leaf(1.0, 5.0)
    y, order, copy = op.apply(x)
    assert order.item() == 1 and not order.requires_grad and not copy.requires_grad and y.requires_grad
    y.sum().backward()
    assert np.array(x.grad).tolist() == [2.0, 2.0]
    assert np.array(got[0]).tolist() == 0 and np.array(got[1]).tolist() == [0.0, 0.0]


def test_an_identity_leaves_its_input_alone() -> None:
    x = leaf(1.0)
    y = made(lambda ctx, x: x, lambda ctx, dy: dy * 7.0).apply(x)
    assert x.is_leaf and y is not x
    y.sum().backward()
    assert np.array(x.grad).tolist() == [7.0]


def test_a_write_to_what_was_saved_is_noticed() -> None:
    x = leaf(1.0, 2.0)
    y = Square.apply(x).sum()
    with gu.no_grad():
        x.zero_()
    with pytest.raises(ValueError) as caught:
        y.backward()
    assert str(caught.value) == (
        "[Square] a tensor of shape (2,) that backward needs was changed in place after it was saved"
    )


def test_none_may_be_saved() -> None:
    seen: list[Any] = []
    op = made(
        lambda ctx, x: ctx.save_for_backward(x, None) or x * 1.0,
        lambda ctx, dy: note(seen, ctx.saved_tensors) or dy,
    )
    op.apply(leaf(1.0)).sum().backward()
    assert seen[0][1] is None and not seen[0][0].requires_grad


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (
            made(backward=lambda ctx, dy: (dy, dy)),
            ValueError,
            "[Mine] backward must return one gradient an argument (1), but got 2",
        ),
        (
            made(backward=lambda ctx, dy: ()),
            ValueError,
            "[Mine] backward must return one gradient an argument (1), but got 0",
        ),
        (
            made(backward=lambda ctx, dy: 3.0),
            TypeError,
            "[Mine] gradient 0 that backward returns must be a tensor or None, but got float",
        ),
        (
            made(backward=lambda ctx, dy: gu.tensor([1.0])),
            gu.ShapeError,
            "[Mine] gradient 0 must have the shape (2,) of its tensor, but got (1,)",
        ),
        (
            made(backward=lambda ctx, dy: gu.tensor([1.0, 2.0], dtype="float64")),
            gu.DTypeError,
            "[Mine] gradient 0 must be float32 like its tensor, but got float64",
        ),
        (
            made(forward=lambda ctx, x: 3.0),
            TypeError,
            "[Mine] forward must return a tensor or a tuple of them, but got float",
        ),
        (
            made(forward=lambda ctx, x: ctx.save_for_backward(3.0)),
            TypeError,
            "[Mine] save_for_backward takes tensors or None, but got float; set other values as attributes of ctx",
        ),
    ],
)
def test_errors(op: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        op.apply(leaf(1.0, 2.0)).sum().backward()
    assert str(caught.value) == message and caught.type is error


def test_a_subclass_must_define_both() -> None:
    class Empty(gu.autograd.Function):
        pass

    class Half(gu.autograd.Function):
        forward = staticmethod(lambda ctx, x: x * 1.0)

    with pytest.raises(TypeError, match="must define forward"):
        Empty.apply(leaf(1.0))
    with pytest.raises(TypeError, match="must define backward"):
        Half.apply(leaf(1.0)).sum().backward()


def test_loose_nones_at_the_end_are_forgiven_and_one_none_means_no_gradient() -> None:
    x = leaf(1.0)
    made(backward=lambda ctx, dy: (dy, None, None)).apply(x).sum().backward()
    assert np.array(x.grad).tolist() == [1.0]
    w = leaf(1.0)
    made(backward=lambda ctx, dy: None).apply(w).sum().backward()
    assert w.grad is None


def test_what_backward_raises_comes_out_and_the_tape_goes_on() -> None:
    def broken(ctx: Any, dy: Any) -> Any:
        raise ZeroDivisionError("mine")

    x = leaf(2.0)
    with pytest.raises(ZeroDivisionError, match="mine"):
        made(backward=broken).apply(x * 2.0).sum().backward()
    assert x.grad is None and gu.is_grad_enabled()
    Square.apply(x).sum().backward()
    assert np.array(x.grad).tolist() == [4.0]


def test_backward_inside_backward() -> None:
    w = leaf(3.0)

    def backward(ctx: Any, dy: Any) -> Any:
        with gu.enable_grad():
            Square.apply(w).sum().backward()
        return dy

    x = leaf(1.0)
    made(backward=backward).apply(x).sum().backward()
    assert np.array(x.grad).tolist() == [1.0] and np.array(w.grad).tolist() == [6.0]


def test_a_walk_of_the_same_graph_from_inside_it_harms_nothing() -> None:
    x = leaf(1.0)
    state: dict[str, Any] = {"depth": 0}

    def backward(ctx: Any, dy: Any) -> Any:
        state["depth"] += 1
        if state["depth"] == 1:
            with pytest.raises(ValueError, match="freed"):
                state["y"].backward()
        return dy * 2.0

    state["y"] = made(backward=backward).apply(x).sum()
    state["y"].backward()
    assert np.array(x.grad).tolist() == [2.0]
    x.grad, state["depth"] = None, 0

    def again(ctx: Any, dy: Any) -> Any:
        state["depth"] += 1
        if state["depth"] == 1:
            state["y"].backward()  # frees the graph under the walk that runs
        return dy * 2.0

    state["y"] = made(backward=again).apply(x).sum()
    with pytest.raises(ValueError, match="freed"):
        state["y"].backward(retain_graph=True)
        state["y"].backward()


def test_saved_results_and_captured_inputs_make_no_cycle() -> None:
    def forward(ctx: Any, x: Any) -> Any:
        y = x * 1.0
        ctx.save_for_backward(x, y)
        ctx.marker = Marker()
        alive.append(weakref.ref(ctx.marker))
        ctx.x = x
        return y

    class Marker:
        pass

    alive: list[Any] = []
    op = made(forward)
    gc.disable()
    try:
        y = op.apply(leaf(1.0) * 2.0)
        assert alive[0]() is not None
        del y
        if gu.autograd._tape.tape() is gu._core:
            assert alive[0]() is None  # without the garbage collector
    finally:
        gc.enable()
    gc.collect()
    assert alive[0]() is None


def test_a_long_chain_of_functions_dies_without_deep_recursion() -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.x = x
        return x * 1.0

    op = made(forward)
    y = leaf(1.0)
    x = y
    for _ in range(10_000):
        y = op.apply(y)
    y.backward(gu.tensor([1.0]))
    assert np.array(x.grad).tolist() == [1.0]
    y = x
    for _ in range(10_000):
        y = op.apply(y)
    del y


def test_grad_skips_what_is_not_wanted() -> None:
    needs: list[Any] = []
    op = made(lambda ctx, a, b: a * b, lambda ctx, dy: note(needs, ctx.needs_input_grad) or (dy, dy))
    a, b = leaf(1.0), leaf(2.0)
    gu.autograd.grad(op.apply(a, b).sum(), b)
    assert needs == [(False, True)]


def test_anomaly_names_a_function() -> None:
    op = made(backward=lambda ctx, dy: dy / 0.0, name="Broken")
    y = op.apply(leaf(1.0)).sum()
    with gu.anomaly(), pytest.raises(ValueError, match=r"^\[div\] result must be finite"):
        y.backward()
    op = made(backward=lambda ctx, dy: gu.tensor([float("nan")]), name="Broken")
    y = op.apply(leaf(1.0)).sum()
    with gu.anomaly(), pytest.raises(ValueError) as caught:
        y.backward()
    assert str(caught.value) == "[Broken] gradient must be finite, but got nan at element 0 of (1,)"
