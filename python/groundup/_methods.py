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


def to(self: Any, dtype: Any) -> Any:
    """This tensor in another dtype; itself where it has it already. Gradients flow between floats."""
    return self if self.dtype == dtype else ops.get("cast")(self, dtype)


def where(self: Any, condition: Any, other: Any) -> Any:
    """This tensor where ``condition`` is true, ``other`` elsewhere."""
    return ops.get("where")(condition, self, other)


def clip(self: Any, min: Any = None, max: Any = None) -> Any:
    """NumPy's name of ``clamp``."""
    return ops.get("clamp")(self, min, max)


def _conversion(name: str) -> Any:
    def convert(self: Any) -> Any:
        return to(self, name)

    convert.__doc__ = f"This tensor as {name}."
    return convert


def install(cls: Any) -> None:
    """Give the tensor class of a backend these methods."""
    cls.__getattr__ = _composite
    cls.to, cls.where, cls.clip = to, where, clip
    for method, dtype in (
        ("bool", "bool"),
        ("long", "int64"),
        ("bfloat16", "bfloat16"),
        ("float", "float32"),
        ("double", "float64"),
    ):
        setattr(cls, method, _conversion(dtype))
