"""Automatic differentiation: grad mode, anomaly mode."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from groundup import _core


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
