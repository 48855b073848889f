"""The tape and DLPack against PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import groundup as gu

torch = pytest.importorskip("torch")


@pytest.fixture(params=["cpp", "numpy"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with gu.backend(request.param):
        yield request.param


DTYPES = [
    ("float32", torch.float32),
    ("float64", torch.float64),
    ("int64", torch.int64),
    ("bool", torch.bool),
]


@pytest.mark.parametrize(("ours", "theirs"), DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_memory_is_shared_both_ways(ours: str, theirs: Any, shape: tuple[int, ...]) -> None:
    t = gu.tensor(np.ones(shape), dtype=ours)
    p = torch.from_dlpack(t)
    assert p.dtype == theirs and tuple(p.shape) == shape
    assert p.numel() == 0 or p.data_ptr() == t.data_ptr()
    q = torch.ones(shape, dtype=theirs)
    u = gu.from_dlpack(q)
    assert u.dtype == ours and u.shape == shape
    if q.numel():
        assert u.data_ptr() == q.data_ptr()
        q.zero_()
        assert not np.asarray(u).any()
        u.fill_(1)
        assert bool(q.all())


def test_bfloat16_crosses() -> None:
    if gu.Tensor is gu._core.Tensor:
        p = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
        t = gu.from_dlpack(p)
        assert t.dtype == gu.bfloat16 and t.float().tolist() == [1.5, -2.0]
        assert torch.from_dlpack(t).data_ptr() == p.data_ptr()
    else:
        with pytest.raises(gu.DTypeError, match="NumPy has no bfloat16"):
            gu.from_dlpack(torch.ones(2, dtype=torch.bfloat16))


def test_what_torch_has_and_we_do_not() -> None:
    with pytest.raises(ValueError, match="only contiguous memory can be shared"):
        gu.from_dlpack(torch.ones(2, 3).T)
    for dtype in (torch.int32, torch.float16, torch.uint8, torch.complex64):
        with pytest.raises(gu.DTypeError, match="dtype must be"):
            gu.from_dlpack(torch.ones(2, dtype=dtype))
    with pytest.raises(BufferError):
        gu.from_dlpack(torch.ones(2, requires_grad=True))


def test_memory_outlives_either_side() -> None:
    p = torch.from_dlpack(gu.tensor(np.arange(1000.0)))
    t = gu.from_dlpack(torch.arange(1000, dtype=torch.float64))
    assert float(p.sum()) == float(np.asarray(t).sum()) == 499_500.0


def program(lib: Any, x: Any, w: Any) -> tuple[Any, list[Any]]:
    """Shared tensors, hooks, retained gradients, detours without gradients: the same text for both libraries."""
    seen: list[Any] = []
    h = (x * w).tanh()
    h.retain_grad()
    h.register_hook(lambda g: seen.append(np.array(g.tolist())))
    k = h.exp()
    k.register_hook(lambda g: g * 0.5)
    with lib.no_grad():
        c = h * 3.0
    y = (k * h + h * h + c * x.detach()).sum() + (w * w * w).sum()
    y.backward(retain_graph=True)
    y.backward()
    seen.append(np.array(h.grad.tolist()))
    return y, seen


def test_a_program_gives_equal_gradients_hooks_and_retained_gradients() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((4, 5)), rng.standard_normal(5)
    x, w = (gu.tensor(v, requires_grad=True) for v in (a, b))
    p, q = (torch.tensor(v, requires_grad=True) for v in (a, b))
    y, seen = program(gu, x, w)
    z, expected = program(torch, p, q)
    assert y.item() == pytest.approx(z.item(), rel=1e-12)
    assert len(seen) == len(expected) == 3
    for ours, theirs in zip(
        [*seen, np.array(x.grad), np.array(w.grad)], [*expected, p.grad, q.grad], strict=True
    ):
        np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-12, atol=1e-12)


def test_grad_agrees() -> None:
    a = np.array([0.3, -1.2])
    x, p = gu.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)

    def graph(x: Any) -> tuple[Any, Any]:
        h = x.exp()
        return h, (h * x).tanh()

    (h, y), (k, z) = graph(x), graph(p)
    seed = [2.0, -1.0]
    ours = gu.autograd.grad([y, h], [x, h], [gu.tensor(np.array(seed)), gu.tensor(np.array([1.0, 1.0]))])
    theirs = torch.autograd.grad([z, k], [p, k], [torch.tensor(seed).double(), torch.ones(2).double()])
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.array(a), b.numpy(), rtol=1e-13)
