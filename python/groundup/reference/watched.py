"""Arrays that notice when their numbers are read.

A compiled op saves for backward what it will read, and nothing else. A reference rule is handed every argument
of its op. So that a write in place is an error under both backends exactly where it matters, the arguments are
watched: looking at shape or dtype is free, reading the numbers first runs a check.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from groundup.ops._spec import Array

# NumPy functions that look at shape and dtype alone.
_METADATA = {
    np.zeros_like,
    np.ones_like,
    np.empty_like,
    np.full_like,
    np.shape,
    np.ndim,
    np.size,
    np.result_type,
}


class Watched(np.ndarray[Any, Any]):
    """A view that calls ``check`` before NumPy reads it. What is computed from it are plain arrays."""

    check: Callable[[], Any] | None = None

    def __array_finalize__(self, source: Any) -> None:
        # A view of a watched array is being made: x.T, x[1:], x.reshape(...).
        _plain(source, read=isinstance(source, Watched))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        kwargs = {name: _plain(value) for name, value in kwargs.items()}
        return getattr(ufunc, method)(*_plain(inputs), **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        read = func not in _METADATA
        return func(*_plain(args, read), **{name: _plain(value, read) for name, value in kwargs.items()})


def watch(array: Array, check: Callable[[], Any]) -> Array:
    """The same memory, watched."""
    view = array.view(Watched)
    view.check = check
    return view


def _plain(value: Any, read: bool = True) -> Any:
    if isinstance(value, Watched):
        if read and value.check is not None:
            value.check()
        return value.view(np.ndarray)
    if isinstance(value, (list, tuple)):
        return type(value)([_plain(v, read) for v in value])
    return value
