"""Activation recomputation: memory for time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from groundup import random
from groundup.autograd import enable_grad, is_grad_enabled
from groundup.autograd._tape import tape


def checkpoint(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``fn(*args, **kwargs)``, whose intermediate results are dropped and computed again in backward.

    A model of n equal blocks then keeps n inputs and the activations of one block, at the price of a second
    forward pass. Random numbers are drawn again from where the stream stood, so dropout repeats itself, and
    gradients are those of the plain call.

    ``fn`` returns a tensor, or a tuple or list that may hold tensors. Parameters that it reaches on its own get
    their gradients, too. What it does besides (running statistics, prints) happens twice. It must compute the
    same both times; a change of ``args`` in place is noticed, a change of what it reaches on its own is not.

    Source: Chen, Xu, Zhang, Guestrin, Training Deep Nets with Sublinear Memory Cost, 2016.

    >>> import groundup as gu
    >>> x = gu.tensor([0.0, 1.0], requires_grad=True)
    >>> gu.checkpoint(lambda x: x.exp().exp(), x).sum().backward()
    >>> x.grad
    tensor([ 2.7183, 41.1936])
    """
    if not is_grad_enabled():
        return fn(*args, **kwargs)
    current = tape()
    state = random.get_rng_state()
    first = current.next_sequence()
    # Marks the arguments' versions; the tensors themselves, history and all, stay in args.
    saved = [current.Saved(a) for a in (*args, *kwargs.values()) if isinstance(a, current.Tensor)]
    result = fn(*args, **kwargs)
    outputs = _followed(result, current)
    inputs = current.dependencies(outputs, first)
    if not inputs:
        return result
    rule = _Recompute(fn, args, kwargs, state, saved, inputs)
    made = iter(current.record("checkpoint", inputs, outputs, rule))
    # The graph of this first run dies with its outputs.
    return _map(result, lambda y: next(made) if _is_followed(y, current) else y)


class _Recompute:
    """Runs the function anew with the tape on, and walks the piece of graph that this makes."""

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        state: tuple[int, int],
        saved: list[Any],
        inputs: list[Any],
    ) -> None:
        self.fn, self.args, self.kwargs = fn, args, kwargs
        self.state, self.saved, self.inputs = state, saved, inputs

    def __call__(self, needs: tuple[bool, ...], dys: Sequence[Any]) -> list[Any]:
        current = tape()
        for s in self.saved:
            s.get("checkpoint")
        now = random.get_rng_state()
        first = current.next_sequence()
        random.set_rng_state(self.state)
        try:
            with enable_grad():
                outputs = _followed(self.fn(*self.args, **self.kwargs), current)
        finally:
            random.set_rng_state(now)
        if len(outputs) != len(dys):
            raise ValueError(
                f"[checkpoint] fn must return the same again, but returned {len(outputs)} tensors with a gradient "
                f"after {len(dys)}"
            )
        pairs = [(y, dy) for y, dy in zip(outputs, dys, strict=True) if dy is not None]
        wanted = [t for t, need in zip(self.inputs, needs, strict=True) if need]
        found = iter(
            current.grad([y for y, _ in pairs], wanted, [dy for _, dy in pairs], False, first_sequence=first)
        )
        return [next(found) if need else None for need in needs]


def _is_followed(value: Any, current: Any) -> bool:
    return isinstance(value, current.Tensor) and bool(value.requires_grad)


def _followed(result: Any, current: Any) -> list[Any]:
    """The results that have a gradient, in order."""
    found: list[Any] = []
    _map(result, lambda y: found.append(y) if _is_followed(y, current) else None)
    return found


def _map(result: Any, fn: Callable[[Any], Any]) -> Any:
    return type(result)(map(fn, result)) if type(result) in (tuple, list) else fn(result)
