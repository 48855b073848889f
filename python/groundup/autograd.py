"""Automatic differentiation: grad mode, anomaly mode."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from groundup import _backend, _core


def backward(
    tensors: Sequence[Any], grad_tensors: Sequence[Any] | None = None, retain_graph: bool = False
) -> None:
    """Add the gradient of ``tensors`` to ``.grad`` of every leaf under them.

    Args:
        grad_tensors: a gradient for each tensor; scalars may have None, which means one.
    """
    if _backend.current() == "numpy":
        from groundup.reference import tensor

        tensor.backward(list(tensors), grad_tensors or [None] * len(tensors), retain_graph)
    else:
        _core.backward(tensors, grad_tensors, retain_graph)


def is_grad_enabled() -> bool:
    """Whether ops record themselves on this thread."""
    return bool(_core.is_grad_enabled())


@contextlib.contextmanager
def _grad_mode(on: bool) -> Iterator[None]:
    before = _core.is_grad_enabled()
    _core.set_grad_enabled(on)
    try:
        yield
    finally:
        _core.set_grad_enabled(before)


def no_grad() -> contextlib.AbstractContextManager[None]:
    """Record nothing in this block; also a decorator."""
    return _grad_mode(False)


def enable_grad() -> contextlib.AbstractContextManager[None]:
    """Record again inside a `no_grad` block; also a decorator."""
    return _grad_mode(True)


@contextlib.contextmanager
def anomaly() -> Iterator[None]:
    """Check every result and gradient: the first NaN or infinity raises a ValueError that names its op."""
    before = _core.is_anomaly_enabled()
    _core.set_anomaly_enabled(True)
    try:
        yield
    finally:
        _core.set_anomaly_enabled(before)
