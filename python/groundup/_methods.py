"""Tensor methods that are not ops themselves, written once over ops for both backends."""

from __future__ import annotations

from typing import Any

from groundup import ops


def _composite(self: Any, name: str) -> Any:
    """``x.mse_loss(y)``: an op without a compiled face is found when its method is first asked for."""
    if name.startswith("_"):
        raise AttributeError(f"'Tensor' object has no attribute {name!r}")
    try:
        op = ops.get(name)
    except AttributeError:
        raise AttributeError(f"'Tensor' object has no attribute {name!r}") from None
    return lambda *args, **kwargs: op(self, *args, **kwargs)


def install(cls: Any) -> None:
    """Give the tensor class of a backend these methods."""
    cls.__getattr__ = _composite
