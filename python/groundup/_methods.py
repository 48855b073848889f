"""Tensor methods that are not ops themselves, written once over ops for both backends."""

from __future__ import annotations

from typing import Any

from groundup import _core, ops
from groundup._indexing import getitem


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


def view(self: Any, *shape: Any) -> Any:
    """PyTorch's name of ``reshape``."""
    return ops.get("reshape")(self, *shape)


def iterate(self: Any) -> Any:
    """The slices along the first axis, one after the other."""
    if self.ndim == 0:
        raise TypeError("[iter] a 0-d tensor cannot be iterated over")
    return iter(ops.get("unbind")(self))


def contains(self: Any, value: Any) -> bool:
    """Whether any element equals ``value``."""
    return bool(ops.get("any")(ops.get("eq")(self, value)))


def transposed(self: Any) -> Any:
    """The axes in the opposite order, as NumPy's ``T``."""
    return ops.get("permute")(self, tuple(range(self.ndim))[::-1])


def matrices_transposed(self: Any) -> Any:
    """The last two axes exchanged."""
    if self.ndim < 2:
        raise _core.ShapeError(f"[mT] x must have at least 2 axes, but got shape {tuple(self.shape)}")
    return ops.get("transpose")(self, -2, -1)


def _conversion(name: str) -> Any:
    def convert(self: Any) -> Any:
        return to(self, name)

    convert.__doc__ = f"This tensor as {name}."
    return convert


def install(cls: Any) -> None:
    """Give the tensor class of a backend these methods."""
    cls.__getattr__ = _composite
    cls.to, cls.where, cls.view = to, where, view
    cls.T, cls.mT = property(transposed), property(matrices_transposed)
    cls.__getitem__, cls.__iter__, cls.__contains__ = getitem, iterate, contains
    for method, dtype in (
        ("bool", "bool"),
        ("long", "int64"),
        ("bfloat16", "bfloat16"),
        ("float", "float32"),
        ("double", "float64"),
    ):
        setattr(cls, method, _conversion(dtype))
