"""Automatic differentiation: backward passes, grad mode, anomaly mode, ops of your own, and tools to look inside.

Ops record themselves on a tape while one of their inputs requires a gradient. ``backward`` walks the tape from
the newest op to the oldest. It adds to ``.grad`` of the leaves; `grad` returns gradients instead. The tape frees
what ops saved for it as it is walked, so a second walk needs ``retain_graph=True`` in the first.

Not handled: gradients of gradients (``create_graph`` must be False), and writes in place to a tensor that the
tape follows (refused), or through a NumPy array over its memory (not seen).
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from groundup import _core
from groundup.autograd._tape import tape

if TYPE_CHECKING:
    from groundup.autograd._checkpoint import checkpoint
    from groundup.autograd._draw import Drawing, draw
    from groundup.autograd._function import Function, FunctionContext
    from groundup.autograd._gradcheck import GradcheckError, gradcheck

__all__ = [
    "Drawing",
    "Function",
    "FunctionContext",
    "GradcheckError",
    "anomaly",
    "backward",
    "checkpoint",
    "draw",
    "enable_grad",
    "grad",
    "gradcheck",
    "is_grad_enabled",
    "no_grad",
]

P = ParamSpec("P")
T = TypeVar("T")


def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool = False, create_graph: bool = False
) -> None:
    """Add the gradient of ``tensors`` to ``.grad`` of every leaf under them.

    Args:
        tensors: a tensor, or a sequence of them.
        grad_tensors: a gradient for each tensor; scalars may have None, which means one.
        retain_graph: keep what ops saved, so that the graph can be walked again.
        create_graph: must be False.

    Raises:
        ValueError: a tensor depends on nothing that requires a gradient; the graph was freed; a tensor that an
            op had saved was written to since.
        ShapeError: a gradient has another shape than its tensor, or is missing where the tensor is no scalar.

    >>> import groundup as gu
    >>> x = gu.tensor([1.0, 2.0], requires_grad=True)
    >>> gu.autograd.backward([x.exp()], [gu.tensor([0.0, 1.0])])
    >>> x.grad
    tensor([0.    , 7.3891])
    """
    _refuse_create_graph("backward", create_graph)
    tape().backward(tensors, grad_tensors, retain_graph)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool = False,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, leaves or not, as a tuple. Leaves ``.grad`` alone.

    Only the ops between the two run.

    Args:
        outputs: a tensor, or a sequence of them, whose gradients add up.
        inputs: a tensor, or a sequence of them.
        grad_outputs: a gradient for each output; scalars may have None, which means one.
        retain_graph: keep what ops saved, so that the graph can be walked again.
        create_graph: must be False.
        allow_unused: give None for an input that does not matter, where otherwise that is an error.

    >>> import groundup as gu
    >>> x = gu.tensor([0.0, 1.0], requires_grad=True)
    >>> gu.autograd.grad(x.exp().sum(), x)
    (tensor([1.    , 2.7183]),)
    """
    _refuse_create_graph("grad", create_graph)
    current = tape()
    wanted = [inputs] if isinstance(inputs, current.Tensor) else inputs
    if not isinstance(wanted, Sequence):
        raise TypeError(
            f"[grad] inputs must be a tensor or a sequence of tensors, but got {type(inputs).__name__}"
        )
    found = current.grad(outputs, list(wanted), grad_outputs, retain_graph)
    for i, g in enumerate(found):
        if g is None and not allow_unused:
            raise ValueError(
                f"[grad] input {i} does not matter for the outputs; pass allow_unused=True to get None for it"
            )
    return tuple(found)


def _refuse_create_graph(op: str, create_graph: bool) -> None:
    if create_graph:
        raise ValueError(f"[{op}] gradients of gradients are not supported; create_graph must be False")


def is_grad_enabled() -> bool:
    """Whether ops record themselves on this thread."""
    return bool(_core.is_grad_enabled())


class _Mode:
    """A switch that is set for a ``with`` block, or for the calls of a function that it decorates."""

    _get: Callable[[], bool]
    _set: Callable[[bool], None]
    _on: bool

    def __init__(self) -> None:
        self._before: list[bool] = []  # a stack, as one object may be entered again

    def __enter__(self) -> None:
        self._before.append(type(self)._get())
        type(self)._set(self._on)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        type(self)._set(self._before.pop())

    def __call__(self, fn: Callable[P, T]) -> Callable[P, T]:
        if inspect.isgeneratorfunction(fn):
            return self._around_generator(fn)

        @functools.wraps(fn)
        def inside(*args: P.args, **kwargs: P.kwargs) -> T:
            with type(self)():
                return fn(*args, **kwargs)

        return inside

    def _around_generator(self, fn: Callable[P, Generator[Any, Any, Any]]) -> Callable[P, Any]:
        """The mode holds while the generator runs, not while its consumer does."""

        @functools.wraps(fn)
        def inside(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, Any]:
            running = fn(*args, **kwargs)
            step: Callable[[], Any] = functools.partial(next, running)
            while True:
                try:
                    with type(self)():
                        made = step()
                except StopIteration as end:
                    return end.value
                try:
                    step = functools.partial(running.send, (yield made))
                except GeneratorExit:
                    with type(self)():
                        running.close()
                    raise
                except BaseException as error:
                    step = functools.partial(running.throw, error)

        return inside


class no_grad(_Mode):  # noqa: N801 - PyTorch's name
    """Record nothing: ``with no_grad():``, or ``@no_grad()`` before a function. For this thread only.

    >>> import groundup as gu
    >>> x = gu.tensor([1.0], requires_grad=True)
    >>> with gu.no_grad():
    ...     x.exp().requires_grad
    False
    """

    _get, _set, _on = staticmethod(_core.is_grad_enabled), staticmethod(_core.set_grad_enabled), False


class enable_grad(_Mode):  # noqa: N801 - PyTorch's name
    """Record again inside a `no_grad` block; also a decorator. For this thread only."""

    _get, _set, _on = staticmethod(_core.is_grad_enabled), staticmethod(_core.set_grad_enabled), True


class anomaly(_Mode):  # noqa: N801 - read as a function: with gu.anomaly()
    """Check every result and gradient: the first NaN or infinity raises a ValueError that names its op.

    Holds for the whole process, costs a pass over each result, and is a decorator, too.

    >>> import groundup as gu
    >>> with gu.anomaly():
    ...     gu.exp(gu.tensor([1.0, 1000.0]))
    Traceback (most recent call last):
    ValueError: [exp] result must be finite, but got inf at element 1 of (2,)
    """

    _get, _set, _on = staticmethod(_core.is_anomaly_enabled), staticmethod(_core.set_anomaly_enabled), True


# Loaded when first asked for, so that importing groundup stays cheap.
_LAZY = {
    "Drawing": "_draw",
    "Function": "_function",
    "FunctionContext": "_function",
    "GradcheckError": "_gradcheck",
    "checkpoint": "_checkpoint",
    "draw": "_draw",
    "gradcheck": "_gradcheck",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
