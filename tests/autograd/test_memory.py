"""Memory of the compiled tape: what backward no longer needs is freed, and nothing leaks."""

from __future__ import annotations

import gc
import sys
import threading
from typing import Any

import numpy as np
import pytest

import groundup as gu


@pytest.fixture(autouse=True)
def compiled() -> Any:
    """gu.memory_stats counts the compiled core's memory only."""
    with gu.backend("cpp"):
        gc.collect()
        yield


def live() -> int:
    return int(gu.memory_stats()["live"])


def test_live_memory_returns_to_the_start() -> None:
    before = live()
    x = gu.rand(1000).requires_grad_()
    y = x.exp().tanh().sum()
    y.backward()
    assert live() > before
    del x, y
    assert live() == before


def test_backward_frees_what_ops_saved_although_the_result_lives_on() -> None:
    n = 4 << 16
    x = gu.ones(1 << 16).requires_grad_()
    before = live()
    y = x.exp().exp().exp().sum()
    assert live() - before >= 3 * n
    y.backward()
    assert live() - before <= n + 1024  # x.grad, and the scalar


def test_backward_frees_as_it_goes() -> None:
    """A gradient at a time: the peak of backward is that of forward and a few results more, not double."""
    n, depth = 4 << 16, 32
    x = gu.ones(1 << 16).requires_grad_()
    y = x
    before = live()
    for _ in range(depth):
        y = y.tanh()
    y = y.sum()
    forward = live() - before
    gu.reset_peak_memory()
    y.backward()
    peak = gu.memory_stats()["peak"] - before
    assert depth * n <= forward <= (depth + 1) * n + 4096
    assert peak <= forward + 3 * n


def test_retained_graphs_are_freed_with_their_result() -> None:
    before = live()
    x = gu.rand(100).requires_grad_()
    y = x.exp().sum()
    y.backward(retain_graph=True)
    del y, x
    assert live() == before


def test_a_failed_walk_leaks_nothing() -> None:
    before = live()
    x = gu.rand(100).requires_grad_()
    for _ in range(5):
        h = x.exp()
        h.register_hook(lambda g: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            h.sum().backward()
        del h
    del x
    gc.collect()
    assert live() == before


def test_ten_thousand_steps_leak_neither_memory_nor_objects() -> None:
    class Double(gu.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x * 2.0
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            x, y = ctx.saved_tensors
            return dy * y / x

    w = gu.ones(8).requires_grad_()
    hooks = [0]

    def hook(g: Any) -> Any:
        hooks[0] += 1
        return g

    def step() -> None:
        h = w.tanh() * w
        handle = h.register_hook(hook)
        gu.checkpoint(lambda a: Double.apply(a.exp()), h).sum().backward()
        gu.autograd.grad((w * w).sum(), w)
        handle.remove()
        w.grad = None

    def counts() -> tuple[int, int, int]:
        gc.collect()
        return live(), len(gc.get_objects()), sys.getrefcount(hook)

    for _ in range(100):
        step()
    gc.disable()  # everything must go by itself
    try:
        before = counts()
        for _ in range(10_000):
            step()
        memory, objects, references = live(), len(gc.get_objects()), sys.getrefcount(hook)
    finally:
        gc.enable()
    assert memory == before[0] and references == before[2]
    assert abs(objects - before[1]) < 20
    assert hooks[0] == 10_100


def test_hooks_and_arrays_are_released() -> None:
    class Marker:
        pass

    marker = Marker()
    references = sys.getrefcount(marker)
    x = gu.ones(3).requires_grad_()
    x.register_hook(lambda g, m=marker: None)
    array = np.ones(3, np.float32)
    held = sys.getrefcount(array)
    y = gu.from_numpy(array) * x
    assert sys.getrefcount(array) > held
    y.sum().backward()
    del x, y
    assert sys.getrefcount(marker) == references and sys.getrefcount(array) == held


def test_checkpoint_lowers_the_peak() -> None:
    n, depth = 1 << 16, 8

    def layer(x: Any) -> Any:
        for _ in range(4):
            x = x.tanh()
        return x

    def peak(wrapped: bool) -> int:
        x = gu.ones(n).requires_grad_()
        before = live()
        gu.reset_peak_memory()
        h = x
        for _ in range(depth):
            h = gu.checkpoint(layer, h) if wrapped else layer(h)
        h.sum().backward()
        return int(gu.memory_stats()["peak"]) - before

    plain, recomputed = peak(False), peak(True)
    # Plain: 4 results a layer. Recomputed: one a layer, and the 4 of the layer at work with their gradients.
    assert plain >= 4 * depth * 4 * n
    assert recomputed <= (depth + 8) * 4 * n


def test_two_threads_on_tensors_of_their_own() -> None:
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            data = np.random.default_rng(seed).standard_normal(40_000).astype(np.float32)
            expected = None
            for _ in range(60):
                x = gu.tensor(data, requires_grad=True)
                with gu.no_grad():
                    assert not (x * 2).requires_grad
                ((x * x).tanh().exp() * x).sum().backward()
                g = np.array(x.grad)
                expected = g if expected is None else expected
                assert np.array_equal(g, expected)
        except BaseException as error:  # a thread's own would be lost
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures


def test_threads_may_share_a_leaf() -> None:
    w = gu.zeros(1000).requires_grad_()
    steps = 200

    def work() -> None:
        for _ in range(steps):
            (w * 1.0).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert (np.array(w.grad) == 2 * steps).all()


def test_a_graph_may_die_on_another_thread() -> None:
    box: list[Any] = [gu.ones(10).requires_grad_()]
    for _ in range(50_000):
        box[0] = box[0] + 1
    box[0].register_hook(lambda g: None)
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    assert not box
