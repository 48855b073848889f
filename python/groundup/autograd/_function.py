"""Ops written in Python, with a backward of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from groundup import ops
from groundup.autograd import is_grad_enabled, no_grad
from groundup.autograd._tape import tape


class FunctionContext:
    """What `Function.forward` leaves for `Function.backward`. Attributes may be added freely.

    Attributes:
        needs_input_grad: for each argument of ``apply``, whether its gradient is wanted.
    """

    def __init__(self, name: str) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self._name = name
        self._saved: tuple[Any, ...] = ()
        self._materialize = True
        self._constant: set[int] = set()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors, inputs or results; ``backward`` finds them in `saved_tensors`. None is kept as None.

        Kept this way they hold no graph alive, are freed with it, and a write to them in between is noticed.
        """
        current = tape()
        for t in tensors:
            if t is not None and not isinstance(t, current.Tensor):
                raise TypeError(
                    f"[{self._name}] save_for_backward takes tensors or None, but got {type(t).__name__}; "
                    "set other values as attributes of ctx"
                )
        self._saved = tuple(None if t is None else current.Saved(t) for t in tensors)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept.

        Raises:
            ValueError: one of them was written to since.
        """
        return tuple(None if s is None else s.get(self._name) for s in self._saved)

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros (True, at first) or None for a result that nothing depended on."""
        self._materialize = value

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say that these results of ``forward`` have no gradient."""
        self._constant.update(map(id, tensors))


class Function:
    """An op of your own: subclass it, define ``forward`` and ``backward``, call ``apply``.

    ``forward(ctx, *args)`` computes a tensor or a tuple of tensors; nothing in it is recorded. ``backward(ctx,
    *dys)`` gets one gradient a result and returns one gradient an argument, None for those that have none.

    >>> import groundup as gu
    >>> class Square(gu.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, dy):
    ...         (x,) = ctx.saved_tensors
    ...         return dy * x * 2
    >>> x = gu.tensor(3.0, requires_grad=True)
    >>> Square.apply(x).backward()
    >>> x.grad.item()
    6.0
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:  # noqa: ARG004 - subclasses use them
        """Compute the result."""
        raise TypeError("[Function] a subclass must define forward(ctx, *args) as a staticmethod")

    @staticmethod
    def backward(ctx: Any, *dys: Any) -> Any:  # noqa: ARG004
        """Compute the gradients of the arguments."""
        raise TypeError("[Function] a subclass must define backward(ctx, *dys) as a staticmethod")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run ``forward`` and record it.

        Raises:
            TypeError: ``forward`` returned something else than tensors.
        """
        current = tape()
        ctx = FunctionContext(cls.__name__)
        inputs = [a if isinstance(a, current.Tensor) and a.requires_grad else None for a in args]
        ctx.needs_input_grad = tuple(t is not None and is_grad_enabled() for t in inputs)
        with no_grad():
            result = cls.forward(ctx, *args)
        results = result if isinstance(result, tuple) else (result,)
        for y in results:
            if not isinstance(y, current.Tensor):
                raise TypeError(
                    f"[{cls.__name__}] forward must return a tensor or a tuple of them, but got {type(y).__name__}"
                )
        if not any(ctx.needs_input_grad):
            return result
        followed = [
            i for i, y in enumerate(results) if y.dtype.is_floating_point and id(y) not in ctx._constant
        ]
        rule = _Rule(cls, ctx, [(y.shape, y.dtype) for y in results], followed)
        recorded = list(results)
        made = current.record(cls.__name__, inputs, [results[i] for i in followed], rule)
        for i, y in zip(followed, made, strict=True):
            recorded[i] = y
        return tuple(recorded) if isinstance(result, tuple) else recorded[0]


class _Rule:
    """`Function.backward` as the tape calls it: from gradients of the followed results to those of all arguments."""

    def __init__(
        self,
        cls: type[Function],
        ctx: FunctionContext,
        results: list[tuple[tuple[int, ...], Any]],
        followed: list[int],
    ) -> None:
        self.cls, self.ctx, self.results, self.followed = cls, ctx, results, followed

    def __call__(self, needs: tuple[bool, ...], dys: Sequence[Any]) -> list[Any]:
        name, ctx = self.cls.__name__, self.ctx
        given: list[Any] = [None] * len(self.results)
        for i, dy in zip(self.followed, dys, strict=True):
            given[i] = dy
        if ctx._materialize:
            given = [
                ops.get("zeros")(shape, dtype=dtype) if dy is None else dy
                for dy, (shape, dtype) in zip(given, self.results, strict=True)
            ]
        ctx.needs_input_grad = needs
        found = self.cls.backward(ctx, *given)
        grads = list(found) if isinstance(found, (tuple, list)) else [found]
        while (
            len(grads) > len(needs) and grads[-1] is None
        ):  # as in PyTorch, loose Nones at the end are forgiven
            grads.pop()
        if len(grads) != len(needs):
            raise ValueError(
                f"[{name}] backward must return one gradient an argument ({len(needs)}), but got {len(grads)}"
            )
        for i, g in enumerate(grads):
            if g is not None and not isinstance(g, tape().Tensor):
                raise TypeError(
                    f"[{name}] gradient {i} that backward returns must be a tensor or None, "
                    f"but got {type(g).__name__}"
                )
        return grads
