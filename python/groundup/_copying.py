"""Pickling and copying of tensors, the same for both backends."""

from __future__ import annotations

import copy
from typing import Any


def rebuild(data: Any, dtype: str, requires_grad: bool) -> Any:
    """What unpickling calls: a leaf of the backend that is selected then."""
    from groundup import _creation

    return _creation.tensor(data, dtype).requires_grad_(requires_grad)


def _check_leaf(t: Any, what: str) -> None:
    if not t.is_leaf:
        raise ValueError(
            f"[{what}] only a leaf can be copied, as a result would lose its history; use x.detach() first"
        )


def _reduce_ex(self: Any, protocol: int) -> tuple[Any, ...]:  # noqa: ARG001 - the same for all of them
    """Values, dtype and requires_grad; not .grad, and not the hooks."""
    _check_leaf(self, "pickle")
    values = self.detach()
    if self.dtype.name == "bfloat16":
        values = values.float()  # NumPy has none; the way there and back is exact
    return rebuild, (values.numpy(), self.dtype.name, self.requires_grad)


def _copy(self: Any) -> Any:
    """A leaf over the same memory."""
    _check_leaf(self, "copy")
    return self.detach().requires_grad_(self.requires_grad)


def _deepcopy(self: Any, memo: dict[int, Any]) -> Any:
    """A leaf over its own memory, with its own .grad; without hooks."""
    if id(self) in memo:
        return memo[id(self)]
    _check_leaf(self, "deepcopy")
    made = type(self)(self.detach(), self.dtype, self.requires_grad)
    memo[id(self)] = made
    if self.grad is not None:
        made.grad = copy.deepcopy(self.grad, memo)
    return made


def install(cls: Any) -> None:
    """Make the tensor class of a backend copyable."""
    cls.__reduce_ex__ = _reduce_ex
    cls.__copy__ = _copy
    cls.__deepcopy__ = _deepcopy
