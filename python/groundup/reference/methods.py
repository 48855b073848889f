"""What a tensor of the NumPy backend offers besides the tape: metadata, hooks, grad, and everything that only looks
at its numbers or writes to them. That last part is done by a compiled tensor over the same memory, so that both
backends accept, return and refuse the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from groundup import _copying, _core, _methods, ops
from groundup.ops._spec import Array

if TYPE_CHECKING:
    from groundup.reference.tensor import Node, Tensor


class Version:
    """How often memory was written to in place, so that the tape notices when something it saved was changed."""

    __slots__ = ("writes",)

    def __init__(self) -> None:
        self.writes = 0


_keys = itertools.count()  # of hooks: never used again, as a handle may outlive its hook


class HookHandle:
    """Returned by ``register_hook``."""

    def __init__(self, hooks: dict[int, Any], key: int) -> None:
        self._hooks, self._key = hooks, key

    def remove(self) -> None:
        """Take the hook off; may be repeated."""
        self._hooks.pop(self._key, None)


class Methods:
    """The methods of `groundup.reference.tensor.Tensor` that are not about the tape."""

    __array_priority__ = 1000

    data: Array
    version: Version
    grad_fn: Node | None
    _requires_grad: bool
    _retains_grad: bool
    _grad: Tensor | None
    _hooks: dict[int, Callable[[Tensor], Any]]

    def _reference_array(self) -> Array:
        return self.data

    def _compiled(self) -> Any:
        """A compiled tensor over the same memory."""
        return _core.from_numpy(self.data)

    @property
    def _meta(self) -> Any:
        return self

    @property
    def _version(self) -> int:
        return self.version.writes

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def dtype(self) -> Any:
        return _core.dtype(self.data.dtype)

    @property
    def nbytes(self) -> int:
        return self.data.nbytes

    def numpy(self) -> Array:
        """The same memory as an ndarray."""
        return self.data

    @property
    def requires_grad(self) -> bool:
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        if on and self.data.dtype.kind != "f":
            raise _core.DTypeError(
                f"[requires_grad] only float tensors have gradients, but got {self.dtype.name}"
            )
        if self.grad_fn is not None:
            if on:
                return
            raise ValueError("[requires_grad] only a leaf can stop requiring a gradient; use detach()")
        self._requires_grad = on

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    @property
    def grad(self) -> Tensor | None:
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        from groundup.reference.tensor import _check_grad, _check_tensor, wrap

        _check_tensor("[grad] gradient", value)
        if value is not None:
            _check_grad("[grad] gradient", value.data, self)  # type: ignore[arg-type]
            value = wrap(value.data, value.version)
        self._grad = value

    def retain_grad(self) -> None:
        """Keep .grad of this tensor, although it is not a leaf."""
        if not self.requires_grad:
            raise ValueError("[retain_grad] the tensor must require a gradient")
        self._retains_grad = True

    def register_hook(self, hook: Callable[[Tensor], Any]) -> HookHandle:
        """Call hook(gradient) in backward; a tensor that it returns replaces the gradient."""
        if not self.requires_grad:
            raise ValueError("[register_hook] the tensor must require a gradient")
        key = next(_keys)
        self._hooks[key] = hook
        return HookHandle(self._hooks, key)

    def detach(self) -> Any:
        """The same memory without its history."""
        from groundup.reference.tensor import wrap

        return wrap(self.data, self.version)

    def __repr__(self) -> str:
        text = repr(self._compiled())
        if self.grad_fn is not None:
            return f"{text[:-1]}, grad_fn=<{self.grad_fn.name}>)"
        return f"{text[:-1]}, requires_grad=True)" if self.requires_grad else text

    __hash__ = object.__hash__


def _reading(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._compiled(), name)(*args, **kwargs)

    return method


def _writing(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        compiled = self._compiled().requires_grad_(self.requires_grad)  # refuses what the tape follows
        try:
            getattr(compiled, name)(*args, **kwargs)
        finally:
            self.version.writes += compiled._version
        return self

    return method


def _dlpack(self: Any, **kwargs: Any) -> Any:
    return self._compiled().requires_grad_(self.requires_grad).__dlpack__(**kwargs)


def _operator(op: str, reflected: bool) -> Any:
    def method(self: Any, *others: Any) -> Any:
        # x + y is add(x, y); y.__radd__(x) is it, too.
        return ops.get(op)(*others, self) if reflected else ops.get(op)(self, *others)

    return method


for _name in (
    *("size", "dim", "numel", "data_ptr", "item", "tolist"),
    *("__len__", "__float__", "__int__", "__index__", "__bool__", "__array__", "__dlpack_device__"),
):
    setattr(Methods, _name, _reading(_name))
for _name in ("copy_", "fill_", "zero_", "add_", "sub_", "mul_", "div_", "__setitem__"):
    setattr(Methods, _name, _writing(_name))
for _op, _name, _reflected in _core.operators:
    setattr(Methods, _name, _operator(_op, _reflected))
setattr(Methods, "__dlpack__", _dlpack)  # noqa: B010 - as the others
_methods.install(Methods)
_copying.install(Methods)
