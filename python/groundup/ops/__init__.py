"""Ops: every differentiable function, its public face here and its specification in a file beside this one.

The public functions are built from the registry of the compiled core, so importing them loads no
specification. ``registry()`` lists them; ``spec(name)`` loads what one op promises: formula, shapes, NumPy
reference, samples, cost. Both faces of an op and all of its tests follow from that.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from groundup import _core

if TYPE_CHECKING:
    from groundup.ops._spec import Spec


class Op:
    """A public op. Calling it runs the face that `groundup.backend` selected."""

    __slots__ = ("compiled", "name", "run")

    def __init__(self, name: str, compiled: Any | None) -> None:
        self.name = name
        self.compiled = compiled  # None for a composite op, which runs as its composition
        self.run: Callable[..., Any] = compiled.function if compiled is not None else spec(name).composed

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(*args, **kwargs)

    @property
    def spec(self) -> Spec:
        """What the op promises; loads its file."""
        return spec(self.name)

    @property
    def signature(self) -> str:
        """Name, parameters and defaults, as ``help`` shows them."""
        return str(self.compiled.signature) if self.compiled is not None else self.spec.signature

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        return self.spec.docstring

    def __repr__(self) -> str:
        return f"<op {self.signature}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return get, (self.name,)


#: Second names of ops, as PyTorch has them.
ALIASES = {"broadcast_to": "expand", "cat": "concat", "clip": "clamp", "view": "reshape"}

_OPS: dict[str, Op] = {}
for _name, _compiled in _core.ops.items():
    _OPS[_name] = Op(_name, _compiled)


def get(name: str) -> Op:
    """The op of this name.

    Raises:
        AttributeError: there is none.
    """
    name = ALIASES.get(name, name)
    op = _OPS.get(name)
    if op is None:
        try:
            found = spec(name)
        except KeyError:
            raise AttributeError(f"groundup has no op {name!r}") from None
        op = _OPS[name] = Op(found.name, None)
    return op


def registry() -> dict[str, Op]:
    """Every op by name, compiled and composite. Loads all specifications."""
    for name in specs():
        get(name)
    return dict(sorted(_OPS.items()))


def use_backend(backend: str) -> None:
    """Make every compiled op run its NumPy reference, or its C++ again. Use `groundup.backend`."""
    if backend == "numpy":
        from groundup.reference.tensor import apply

        for op in _OPS.values():
            if op.compiled is not None:
                op.run = functools.partial(apply, op)
    else:
        for op in _OPS.values():
            if op.compiled is not None:
                op.run = op.compiled.function


def _load(module: str) -> dict[str, Spec]:
    return {s.name: s for s in importlib.import_module(f"{__name__}.{module}").SPECS}


@functools.cache
def specs() -> dict[str, Spec]:
    """Every specification by op name, found by looking into this folder."""
    found: dict[str, Spec] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")):
        for name, s in _load(module).items():
            if name in found:
                raise ImportError(f"groundup.ops: {name} is specified twice")
            found[name] = s
    return dict(sorted(found.items()))


@functools.cache
def spec(name: str) -> Spec:
    """The specification of one op; a KeyError if there is none."""
    if name.isidentifier() and not name.startswith("_"):
        try:
            found = _load(name)
        except ModuleNotFoundError:
            found = {}
        if name in found:
            return found[name]
    return specs()[name]


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return get(name)


class _Package(ModuleType):
    """Importing ``groundup.ops.softmax`` must not put that module where the op ``ops.softmax`` is."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
