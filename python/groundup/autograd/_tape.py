"""The tape of the backend that is selected. Both offer the same few functions."""

from __future__ import annotations

from typing import Any

from groundup import _backend, _core


def tape() -> Any:
    """The compiled core, or the module that explains it."""
    if _backend.current() == "numpy":
        from groundup.reference import tensor

        return tensor
    return _core
