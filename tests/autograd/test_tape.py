"""The tape: backward, grad, hooks, modes, in-place writes, errors. Both backends behave alike."""

from __future__ import annotations

import gc
import re
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import groundup as gu

pytestmark = pytest.mark.usefixtures("backend")


def leaf(*values: float, dtype: Any = None) -> Any:
    return gu.tensor(list(values), dtype=dtype, requires_grad=True)


def values(t: Any) -> list[float]:
    return np.array(t).tolist()  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------ shapes of graphs


def test_a_tensor_used_twice_gets_both_gradients() -> None:
    x = leaf(2.0, 3.0)
    (x * x + x).sum().backward()
    assert values(x.grad) == [5.0, 7.0]


def test_a_tensor_as_both_arguments() -> None:
    x = leaf(3.0)
    gu.sub(x, x).sum().backward()
    assert values(x.grad) == [0.0]
    x.grad = None
    gu.div(x, x).sum().backward()
    assert values(x.grad) == pytest.approx([0.0], abs=1e-7)


def test_a_diamond_adds_up_before_it_goes_on() -> None:
    x = leaf(0.5)
    h = x * 2
    calls: list[list[float]] = []
    h.register_hook(lambda g: calls.append(values(g)))
    (h * 3 + h * h).sum().backward()
    assert calls == [[5.0]]  # once, with 3 + 2h
    assert values(x.grad) == [10.0]


def test_gradients_accumulate_over_calls() -> None:
    x = leaf(1.0)
    for _ in range(3):
        (x * 2).sum().backward()
    assert values(x.grad) == [6.0]


def test_accumulation_is_in_place_as_in_pytorch() -> None:
    x = leaf(1.0)
    (x * 2).sum().backward()
    held = x.grad
    (x * 2).sum().backward()
    assert values(held) == [4.0]


def test_a_given_grad_is_added_to_in_its_own_memory() -> None:
    x = leaf(1.0, 1.0)
    flat = np.zeros(4, np.float32)
    x.grad = gu.from_numpy(flat[2:])
    (x * 3).sum().backward()
    assert flat.tolist() == [0, 0, 3, 3]


def test_a_read_only_grad_is_replaced() -> None:
    x = leaf(1.0)
    fixed = np.ones(1, np.float32)
    fixed.flags.writeable = False
    x.grad = gu.from_numpy(fixed)
    (x * 3).sum().backward()
    assert values(x.grad) == [4.0] and fixed[0] == 1


def test_the_gradient_shares_no_memory_with_what_was_passed_in() -> None:
    x = leaf(1.0)
    seed = gu.tensor([5.0])
    x.backward(seed)
    seed.zero_()
    assert values(x.grad) == [5.0]


def test_two_leaves_of_one_addition_have_gradients_of_their_own() -> None:
    a, b = leaf(1.0), leaf(2.0)
    (a + b).sum().backward()
    a.grad.zero_()
    assert values(b.grad) == [1.0]


def test_several_roots_and_the_same_root_twice() -> None:
    x = leaf(1.0)
    y = x * 2
    gu.autograd.backward([y.sum(), (y * y).sum(), x], [None, None, gu.tensor([0.5])])
    assert values(x.grad) == [2 + 8 + 0.5]
    z = x * 3
    x.grad = None
    gu.autograd.backward([z, z], [gu.tensor([1.0]), gu.tensor([10.0])])
    assert values(x.grad) == [33.0]


def test_a_result_without_a_gradient_stays_out_of_the_graph() -> None:
    x = leaf(1.0, 3.0, 2.0)
    best = gu.argmax(x)
    assert best.is_leaf and not best.requires_grad and best.grad_fn is None
    mask = x > 1
    assert mask.dtype == gu.bool_ and not mask.requires_grad


def test_an_input_without_a_gradient_gets_none() -> None:
    x, c = leaf(1.0), gu.tensor([2.0])
    (x * c).sum().backward()
    assert c.grad is None and values(x.grad) == [2.0]


def test_mixed_dtypes_give_each_leaf_its_own() -> None:
    x, y = leaf(2.0), leaf(3.0, dtype="float64")
    (x * y).sum().backward()
    assert x.grad.dtype == gu.float32 and y.grad.dtype == gu.float64
    assert values(x.grad) == [3.0] and values(y.grad) == [2.0]


def test_zero_size_and_zero_dimensions() -> None:
    empty = gu.tensor(np.zeros((0, 3), np.float32), requires_grad=True)
    (empty * 2).sum().backward()
    assert empty.grad.shape == (0, 3)
    point = gu.tensor(2.0, requires_grad=True)
    (point * point).backward()
    assert point.grad.shape == () and point.grad.item() == 4.0


def chain(x: Any, n: int) -> Any:
    y = x
    for _ in range(n):
        y = y + 1
    return y


def test_a_long_chain_runs_and_dies_without_deep_recursion(backend: str) -> None:
    n = 200_000 if backend == "cpp" else 10_000
    x = leaf(1.0)
    y = chain(x, n)
    y.backward(gu.tensor([2.0]))
    assert values(x.grad) == [2.0]
    del y
    y = chain(x, n)  # never walked: dies with all that it saved
    del y


# -------------------------------------------------------------------------------------------- freeing the graph


def test_a_second_walk_needs_retain_graph() -> None:
    x = leaf(1.0)
    y = x.exp().sum()
    y.backward()
    with pytest.raises(ValueError) as caught:
        y.backward()
    assert str(caught.value) == (
        "[sum] the graph was freed by an earlier backward; pass retain_graph=True to the first one to keep it"
    )


def test_retain_graph_keeps_it_as_often_as_wanted() -> None:
    x = leaf(0.0)
    y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert values(x.grad) == [3.0]
    with pytest.raises(ValueError, match="freed"):
        y.backward()


def test_a_shared_part_that_was_freed_is_noticed() -> None:
    x = leaf(1.0)
    h = x.exp()
    a, b = (h * 2).sum(), (h * 3).sum()
    a.backward()
    with pytest.raises(ValueError, match=r"^\[exp\] the graph was freed"):
        b.backward()
    assert values(x.grad) == pytest.approx([2 * np.e])  # a failed walk adds nothing


def test_a_failed_walk_leaves_every_gradient_alone() -> None:
    x, w = leaf(1.0), leaf(2.0)
    x.grad = gu.tensor([7.0])
    y = (x.exp() * w).sum()

    def broken(g: Any) -> None:
        raise RuntimeError("no")

    (x * 1).register_hook(broken)  # of another graph
    w.register_hook(lambda g: g)
    h = x.exp()
    h.register_hook(broken)
    with pytest.raises(RuntimeError, match="no"):
        (h * w).sum().backward()
    assert values(x.grad) == [7.0] and w.grad is None
    y.backward()
    assert values(x.grad) == pytest.approx([7 + 2 * np.e])


# ------------------------------------------------------------------------------------------------------ grad()


def test_grad_returns_and_leaves_grad_alone() -> None:
    x, w = leaf(1.0), leaf(3.0)
    dx, dw = gu.autograd.grad((x * w).sum(), [x, w])
    assert values(dx) == [3.0] and values(dw) == [1.0]
    assert x.grad is None and w.grad is None


def test_grad_of_a_result_in_between() -> None:
    x = leaf(2.0)
    h = x * x
    (dh,) = gu.autograd.grad((h * h).sum(), h)
    assert values(dh) == [8.0]


def test_grad_of_a_root_is_what_was_given() -> None:
    y = leaf(1.0) * 2
    (dy,) = gu.autograd.grad(y, y, gu.tensor([4.0]))
    assert values(dy) == [4.0]


def test_grad_of_both_ends_of_a_chain_and_of_one_tensor_twice() -> None:
    x = leaf(2.0)
    h = x * 3
    dh, dx, again = gu.autograd.grad((h * h).sum(), [h, x, x])
    assert values(dh) == [12.0] and values(dx) == [36.0] and values(again) == [36.0]
    dx.zero_()
    assert values(again) == [36.0]


def test_grad_runs_only_what_lies_between() -> None:
    x, w = leaf(1.0), leaf(2.0)
    seen: list[str] = []
    a, b = x.exp(), w.exp()
    a.register_hook(lambda g: seen.append("a"))
    b.register_hook(lambda g: seen.append("b"))
    y = (a * b).sum()
    gu.autograd.grad(y, x, retain_graph=True)
    assert seen == ["a"]
    y.backward()
    assert sorted(seen) == ["a", "a", "b"]


def test_grad_of_what_does_not_matter() -> None:
    x, w = leaf(1.0), leaf(2.0)
    y = (x * 2).sum()
    with pytest.raises(ValueError) as caught:
        gu.autograd.grad(y, [x, w], retain_graph=True)
    assert str(caught.value) == (
        "[grad] input 1 does not matter for the outputs; pass allow_unused=True to get None for it"
    )
    dx, dw = gu.autograd.grad(y, [x, w], allow_unused=True)
    assert values(dx) == [2.0] and dw is None


def test_grad_runs_the_hooks_of_a_leaf_once() -> None:
    x = leaf(1.0)
    calls: list[int] = []
    x.register_hook(lambda g: calls.append(1))
    gu.autograd.grad((x * 2).sum(), [x, x])
    assert calls == [1]


# ------------------------------------------------------------------------------------------------------- errors

ERRORS: list[tuple[str, Any, type[Exception], str]] = [
    (
        "no gradient",
        lambda: gu.tensor([1.0]).sum().backward(),
        ValueError,
        "[backward] the tensor must require a gradient, but it depends on none that does",
    ),
    (
        "no scalar",
        lambda: leaf(1.0, 2.0).exp().backward(),
        gu.ShapeError,
        "[backward] only a scalar has an implied gradient; pass one of shape (2,)",
    ),
    (
        "shape",
        lambda: leaf(1.0, 2.0).exp().backward(gu.tensor([1.0])),
        gu.ShapeError,
        "[backward] gradient must have the shape (2,) of its tensor, but got (1,)",
    ),
    (
        "dtype",
        lambda: leaf(1.0).exp().backward(gu.tensor([1.0], dtype="float64")),
        gu.DTypeError,
        "[backward] gradient must be float32 like its tensor, but got float64",
    ),
    (
        "no tensor",
        lambda: leaf(1.0).exp().backward([1.0]),
        TypeError,
        "[backward] gradient must be a tensor or None, but got list",
    ),
    (
        "create_graph",
        lambda: leaf(1.0).exp().backward(create_graph=True),
        ValueError,
        "[backward] gradients of gradients are not supported; create_graph must be False",
    ),
    (
        "create_graph of grad",
        lambda: gu.autograd.grad(leaf(1.0), leaf(1.0), create_graph=True),
        ValueError,
        "[grad] gradients of gradients are not supported; create_graph must be False",
    ),
    (
        "None as a root",
        lambda: gu.autograd.backward([None]),
        TypeError,
        "[backward] needs tensors, but got NoneType",
    ),
    (
        "a number as roots",
        lambda: gu.autograd.backward(3),
        TypeError,
        "[backward] needs a tensor or a sequence of tensors, but got int",
    ),
    (
        "number of gradients",
        lambda: gu.autograd.backward([leaf(1.0), leaf(1.0)], [None]),
        ValueError,
        "[backward] one gradient per tensor must be given, but got 1 for 2",
    ),
    (
        "None as an input",
        lambda: gu.autograd.grad(leaf(1.0).sum(), [None]),
        (TypeError, ValueError),  # type: ignore[list-item]
        "",
    ),
    (
        "an input without a gradient",
        lambda: gu.autograd.grad(leaf(1.0).sum(), gu.tensor([1.0])),
        ValueError,
        "[grad] every input must require a gradient",
    ),
    (
        "a number as inputs",
        lambda: gu.autograd.grad(leaf(1.0).sum(), 3),
        TypeError,
        "[grad] inputs must be a tensor or a sequence of tensors, but got int",
    ),
    (
        "integers",
        lambda: gu.tensor([1, 2], requires_grad=True),
        gu.DTypeError,
        "[requires_grad] only float tensors have gradients, but got int64",
    ),
    (
        "stop requiring",
        lambda: leaf(1.0).exp().requires_grad_(False),
        ValueError,
        "[requires_grad] only a leaf can stop requiring a gradient; use detach()",
    ),
    (
        "retain_grad",
        lambda: gu.tensor([1.0]).retain_grad(),
        ValueError,
        "[retain_grad] the tensor must require a gradient",
    ),
    (
        "register_hook",
        lambda: gu.tensor([1.0]).register_hook(print),
        ValueError,
        "[register_hook] the tensor must require a gradient",
    ),
    (
        "grad of another shape",
        lambda: setattr(leaf(1.0), "grad", gu.tensor([1.0, 2.0])),
        gu.ShapeError,
        "[grad] gradient must have the shape (1,) of its tensor, but got (2,)",
    ),
    (
        "grad of another dtype",
        lambda: setattr(leaf(1.0), "grad", gu.tensor([1])),
        gu.DTypeError,
        "[grad] gradient must be float32 like its tensor, but got int64",
    ),
    (
        "grad that is no tensor",
        lambda: setattr(leaf(1.0), "grad", 3.0),
        TypeError,
        "[grad] gradient must be a tensor or None, but got float",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), [pytest.param(*e[1:], id=e[0]) for e in ERRORS])
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match="^" + re.escape(message)) as caught:
        call()
    assert not message or str(caught.value) == message


# --------------------------------------------------------------------------------------------------------- hooks


def test_a_hook_may_replace_the_gradient() -> None:
    x = leaf(1.0)
    h = x * 2
    h.register_hook(lambda g: g * 10)
    h.sum().backward()
    assert values(x.grad) == [20.0]


def test_hooks_run_in_order_and_may_be_removed() -> None:
    x = leaf(1.0)
    h = x * 2
    first = h.register_hook(lambda g: g + 1)
    h.register_hook(lambda g: g * 10)
    y = h.sum()
    y.backward(retain_graph=True)
    assert values(x.grad) == [40.0]
    first.remove()
    first.remove()
    x.grad = None
    y.backward()
    assert values(x.grad) == [20.0]


def test_a_hook_may_remove_itself() -> None:
    x = leaf(1.0)
    calls: list[int] = []

    def once(g: Any) -> None:
        calls.append(1)
        handle.remove()

    handle = x.register_hook(once)
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    assert calls == [1]


def test_a_handle_never_removes_another_hook() -> None:
    x = leaf(1.0)
    first = x.register_hook(lambda g: g * 2.0)
    first.remove()
    x.register_hook(lambda g: g * 3.0)
    first.remove()
    (x * 1.0).sum().backward()
    assert values(x.grad) == [3.0]


def test_a_handle_outlives_its_tensor() -> None:
    x = leaf(1.0)
    handle = x.register_hook(lambda g: g)
    del x
    handle.remove()


def test_what_a_hook_raises_comes_out_and_the_tape_goes_on() -> None:
    x = leaf(1.0)
    h = x * 2

    def broken(g: Any) -> None:
        raise KeyError("mine")

    h.register_hook(broken)
    with pytest.raises(KeyError, match="mine"):
        h.sum().backward()
    assert gu.is_grad_enabled()
    (x * 2).sum().backward()
    assert values(x.grad) == [2.0]


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (lambda: 3, TypeError, "[register_hook] what a hook returns must be a tensor or None, but got int"),
        (
            lambda: gu.tensor([1.0, 2.0]),
            gu.ShapeError,
            "[register_hook] gradient must have the shape (1,) of its tensor, but got (2,)",
        ),
        (
            lambda: gu.tensor([1]),
            gu.DTypeError,
            "[register_hook] gradient must be float32 like its tensor, but got int64",
        ),
    ],
)
def test_a_hook_that_returns_something_else(made: Any, error: type[Exception], message: str) -> None:
    x = leaf(1.0)
    x.register_hook(lambda g: made())
    with pytest.raises(error) as caught:
        (x * 2).sum().backward()
    assert str(caught.value) == message


def test_a_gradient_kept_by_a_hook_stays_as_it_was() -> None:
    x = leaf(1.0, 2.0)
    kept: list[Any] = []
    h = x.exp()
    h.register_hook(kept.append)
    (h * 2 + h * 3).sum().backward()
    assert values(kept[0]) == [5.0, 5.0]


def test_backward_inside_a_hook() -> None:
    x, w = leaf(1.0), leaf(2.0)
    h = x * 2

    def other(g: Any) -> None:
        with gu.enable_grad():
            (w * w).sum().backward()

    h.register_hook(other)
    h.sum().backward()
    assert values(x.grad) == [2.0] and values(w.grad) == [4.0]


def test_hooks_see_no_grad_mode() -> None:
    x = leaf(1.0)
    modes: list[bool] = []
    x.register_hook(lambda g: modes.append(gu.is_grad_enabled()))
    (x * 2).sum().backward()
    assert modes == [False] and gu.is_grad_enabled()


def test_retain_grad() -> None:
    x = leaf(2.0)
    h = x * x
    h.retain_grad()
    x.retain_grad()  # a leaf keeps it anyway
    y = (h * 3).sum()
    assert h.grad is None
    y.backward(retain_graph=True)
    assert values(h.grad) == [3.0]
    y.backward()
    assert values(h.grad) == [6.0] and values(x.grad) == [24.0]


# --------------------------------------------------------------------------------------------------- in-place writes


def test_a_write_to_a_saved_input_is_noticed() -> None:
    x, c = leaf(1.0, 2.0), gu.tensor([3.0, 4.0])
    y = (x * c).sum()
    c[0] = 0.0
    with pytest.raises(ValueError) as caught:
        y.backward()
    assert str(caught.value) == (
        "[mul] a tensor of shape (2,) that backward needs was changed in place after it was saved"
    )


def test_a_write_to_a_saved_result_is_noticed() -> None:
    x = leaf(1.0)
    y = x.exp()
    z = y.sum()
    with gu.no_grad():
        y.zero_()
    with pytest.raises(
        ValueError, match=r"^\[exp\] a tensor of shape \(1,\) that backward needs was changed"
    ):
        z.backward()


@pytest.mark.parametrize(
    "write",
    [
        lambda t: t.fill_(0.0),
        lambda t: t.zero_(),
        lambda t: t.copy_(gu.tensor([5.0, 6.0])),
        lambda t: t.add_(1.0),
        lambda t: t.sub_(1.0),
        lambda t: t.mul_(2.0),
        lambda t: t.div_(2.0),
        lambda t: t.__setitem__(0, 1.0),
        lambda t: t.detach().zero_(),
    ],
)
def test_every_way_to_write_counts(write: Any) -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    with gu.no_grad():
        write(x)
    with pytest.raises(ValueError, match="changed in place"):
        y.backward()


def test_a_write_to_what_backward_does_not_read_is_fine() -> None:
    x, c = leaf(1.0), gu.tensor([2.0])
    y = (x + c).sum()
    c.zero_()
    with gu.no_grad():
        x.zero_()
    y.backward()
    assert values(x.grad) == [1.0]


def test_a_write_before_the_op_is_fine() -> None:
    c = gu.tensor([2.0])
    c.mul_(3.0)
    x = leaf(1.0)
    (x * c).sum().backward()
    assert values(x.grad) == [6.0]


def test_a_tensor_that_the_tape_follows_cannot_be_written() -> None:
    x = leaf(1.0)
    for t in (x, x * 2):
        with pytest.raises(ValueError) as caught:
            t.mul_(2.0)
        assert str(caught.value) == (
            "[mul_] the tape follows this tensor, so it cannot be written in place; "
            "use gu.no_grad() or make a new tensor"
        )
        with pytest.raises(ValueError, match=r"^\[setitem\] the tape follows"):
            t[0] = 1.0
    with gu.no_grad():
        x.mul_(3.0)
    assert values(x) == [3.0] and x.requires_grad and x.is_leaf


def test_detach_shares_memory_and_its_count_of_writes() -> None:
    x = leaf(1.0)
    d = x.detach()
    assert not d.requires_grad and d.is_leaf and d.grad_fn is None
    before = x._version
    d.fill_(9.0)
    assert values(x) == [9.0] and x._version == d._version == before + 1


# ----------------------------------------------------------------------------------------------------- grad mode


def test_no_grad_records_nothing() -> None:
    x = leaf(1.0)
    with gu.no_grad():
        y = x * 2
        assert not gu.is_grad_enabled() and not y.requires_grad and y.is_leaf
        with gu.enable_grad():
            assert (x * 2).requires_grad
        assert not gu.is_grad_enabled()
    assert gu.is_grad_enabled()


def test_modes_as_decorators() -> None:
    x = leaf(1.0)

    @gu.no_grad()
    def plain(a: int, *, b: int) -> tuple[int, bool]:
        """Documented."""
        return a + b, gu.is_grad_enabled()

    @gu.no_grad()
    def steps() -> Any:
        got = yield gu.is_grad_enabled()
        yield (got, (x * 2).requires_grad)
        return "end"

    assert plain(1, b=2) == (3, False) and plain.__name__ == "plain" and plain.__doc__ == "Documented."
    assert plain(1, b=2) == (3, False)
    running = steps()
    assert next(running) is False
    assert gu.is_grad_enabled()  # the consumer is not inside
    assert running.send("x") == ("x", False)
    with pytest.raises(StopIteration) as end:
        next(running)
    assert end.value.value == "end"


def test_a_decorated_generator_is_closed_and_thrown_into() -> None:
    log: list[Any] = []

    @gu.no_grad()
    def steps() -> Any:
        try:
            yield 1
        except KeyError:
            log.append(("caught", gu.is_grad_enabled()))
            yield 2
        finally:
            log.append(("closed", gu.is_grad_enabled()))

    running = steps()
    next(running)
    assert running.throw(KeyError("k")) == 2
    running.close()
    assert log == [("caught", False), ("closed", False)] and gu.is_grad_enabled()


def test_a_mode_ends_with_an_exception() -> None:
    with pytest.raises(RuntimeError), gu.no_grad():
        raise RuntimeError
    assert gu.is_grad_enabled()


def test_the_mode_belongs_to_its_thread() -> None:
    seen: list[bool] = []
    with gu.no_grad():
        thread = threading.Thread(target=lambda: seen.append(gu.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_gradients_have_no_history() -> None:
    x = leaf(1.0)
    h = x * 2

    def with_history(g: Any) -> Any:
        with gu.enable_grad():
            return g * x

    h.register_hook(with_history)
    h.sum().backward()
    assert not x.grad.requires_grad and x.grad.is_leaf


# ------------------------------------------------------------------------------------------------------- anomaly


def test_anomaly_names_the_op_of_a_result() -> None:
    x = leaf(1.0, -1.0)
    with gu.anomaly(), pytest.raises(ValueError) as caught:
        x.log()
    assert str(caught.value) == "[log] result must be finite, but got nan at element 1 of (2,)"
    with gu.anomaly(), pytest.raises(ValueError) as caught:
        -(gu.tensor([1.0]) / 0.0)
    assert str(caught.value) == "[div] result must be finite, but got inf at element 0 of (1,)"
    assert values(gu.tensor([1.0]) / 0.0) == [np.inf]


def test_anomaly_names_the_op_of_a_gradient() -> None:
    x = leaf(0.0, 4.0)
    y = x.sqrt().sum()
    with gu.anomaly(), pytest.raises(ValueError) as caught:
        y.backward()
    assert str(caught.value) == "[sqrt] gradient must be finite, but got inf at element 0 of (2,)"


# ---------------------------------------------------------------------------------------------------------- leaks


def test_a_graph_dies_with_its_result() -> None:
    x = leaf(1.0)
    marker = gu.tensor([2.0])
    alive = weakref.ref(marker)
    h = x * 2
    h.register_hook(lambda g, keep=marker: None)
    y = (h * h).sum()
    del marker, h
    gc.collect()
    assert alive() is not None
    y.backward()
    del y
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("make", [lambda: leaf(1.0), lambda: leaf(1.0) * 2])
def test_a_hook_that_knows_its_tensor_is_collected(make: Any) -> None:
    class Model:
        def keep(self, g: Any) -> None:
            self.gradient = g

    model: Any = Model()
    model.h = make()
    model.h.register_hook(model.keep)
    model.h.model = model
    model.h.sum().backward()
    alive = weakref.ref(model)
    gc.collect()
    assert values(model.gradient) == [1.0]
    del model
    gc.collect()
    assert alive() is None


def test_grad_fn_tells_the_graph() -> None:
    x = leaf(1.0)
    assert x.grad_fn is None and x.is_leaf
    y = x.exp() * x
    node = y.grad_fn
    assert node.name == "mul" and repr(node) == "<mul>" and not y.is_leaf
    first, second = node.inputs
    assert first.grad_fn.name == "exp" and first.shape == (1,) and first.dtype == gu.float32
    assert second == x._meta and second.grad_fn is None
    assert node == y.grad_fn and hash(node) == hash(y.grad_fn)
    assert "grad_fn=<mul>" in repr(y) and "requires_grad=True" in repr(x)
