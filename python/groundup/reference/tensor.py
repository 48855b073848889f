"""The NumPy backend: a tensor around an ndarray, and a tape that records which op made it.

This is the whole of reverse-mode differentiation. An op's specification says how to compute its result and how
to turn the gradient of the result into gradients of its inputs. The tape remembers who made whom, and
`backward` walks it from the newest result to the oldest, adding up gradients where a tensor was used twice.
"""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from groundup import _core, ops
from groundup.ops._spec import Array

_sequence = itertools.count()


class Node:
    """One recorded op: its inputs, and the function from the result's gradients to theirs."""

    __slots__ = ("backward", "inputs", "name", "outputs", "sequence")

    def __init__(
        self, name: str, inputs: list[Tensor | None], backward: Callable[..., Sequence[Any]]
    ) -> None:
        self.name = name
        self.inputs = inputs
        self.backward: Callable[..., Sequence[Any]] | None = backward
        self.outputs: list[weakref.ref[Tensor]] = []
        self.sequence = next(_sequence)


class Tensor:
    """An ndarray with an optional gradient. Has the methods of `groundup.Tensor`; runs the references."""

    __array_priority__ = 1000

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False) -> None:
        # The compiled core reads Python values, so that both backends accept and refuse the same.
        made = _core.Tensor(data.data if isinstance(data, Tensor) else data, dtype)
        self._init(made.numpy())
        self.requires_grad = requires_grad

    def _init(self, data: Array, node: Node | None = None) -> None:
        self.data = data
        self.grad: Tensor | None = None
        self.grad_fn = node  # who made it; None for a leaf
        self._requires_grad = node is not None
        self._hooks: dict[int, Callable[[Tensor], Tensor | None]] = {}
        self._retains_grad = False

    def _reference_array(self) -> Array:
        return np.ascontiguousarray(self.data) if self.data.ndim else self.data

    @property
    def requires_grad(self) -> bool:
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        if on and self.data.dtype.kind != "f":
            raise _core.DTypeError(
                f"[requires_grad] only float tensors have gradients, but got {self.dtype.name}"
            )
        if self.grad_fn is not None and not on:
            raise ValueError("[requires_grad] only a leaf can stop requiring a gradient; use detach()")
        self._requires_grad = on

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def dtype(self) -> Any:
        return _core.dtype(self.data.dtype)

    def detach(self) -> Tensor:
        return wrap(self.data)

    def numpy(self) -> Array:
        return self.data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if dtype is None or dtype == self.data.dtype:
            return self.data.copy() if copy else self.data
        return self.data.astype(dtype)

    def item(self) -> Any:
        if self.data.size != 1:
            raise _core.ShapeError(f"[item] the tensor must hold one element, but got shape {self.shape}")
        return self.data.item()

    def backward(
        self, gradient: Tensor | None = None, retain_graph: bool = False, create_graph: bool = False
    ) -> None:
        if create_graph:
            raise ValueError(
                "[backward] gradients of gradients are not supported; create_graph must be False"
            )
        backward([self], [gradient], retain_graph)

    def __repr__(self) -> str:
        return repr(_core.from_numpy(self._reference_array()))


for _name, _method, _reflected in _core.operators:
    # x + y is add(x, y); y.__radd__(x) is it, too.
    def _operator(self: Tensor, *others: Any, op: str = _name, reflected: bool = _reflected) -> Any:
        return ops.get(op)(*others, self) if reflected else ops.get(op)(self, *others)

    setattr(Tensor, _method, _operator)
Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]


def wrap(data: Any, node: Node | None = None) -> Tensor:
    """A tensor over ``data`` itself."""
    tensor = Tensor.__new__(Tensor)
    tensor._init(np.asarray(data), node)
    return tensor


@contextlib.contextmanager
def _rewound(state: tuple[int, int] | None) -> Iterator[None]:
    """Where a state is given, let the random stream stand there: an op draws again what its forward drew."""
    now = _core.get_rng_state()
    if state is not None:
        _core.set_rng_state(*state)
    try:
        yield
    finally:
        _core.set_rng_state(*now)


def apply(op: ops.Op, *args: Any, **kwargs: Any) -> Any:
    """Run the reference of ``op`` and record it on the tape."""
    spec = op.spec
    given, values = op.compiled.bind(*args, **kwargs)
    stream = _core.get_rng_state()
    with np.errstate(all="ignore"):  # as in C++: 1 / 0 is inf without a warning
        if spec.check is not None:
            spec.check(*values)
        result = spec.forward(*values)
    inputs: list[Tensor | None] = []
    for argument, kind in zip(given, op.compiled.kinds, strict=True):
        if kind in ("tensor", "tensors"):
            for t in argument if kind == "tensors" else [argument]:
                inputs.append(t if isinstance(t, Tensor) and t.requires_grad else None)
    node = None
    if spec.backward is not None and _core.is_grad_enabled() and any(t is not None for t in inputs):
        rule = spec.backward

        def backward(*dys: Array) -> Sequence[Any]:
            with np.errstate(all="ignore"), _rewound(stream if spec.random else None):
                grads = rule(dys if isinstance(result, tuple) else dys[0], result, *values)
            flat: list[Any] = []
            for grad in grads:  # an op over a list of tensors returns a list of gradients
                flat.extend(grad if isinstance(grad, list) else [grad])
            return flat

        node = Node(spec.name, inputs, backward)
    tensors = record(node, result)
    for (name, *_), value in zip(op.compiled.params, values, strict=True):
        if name == "requires_grad":  # an op that makes a tensor from nothing
            tensors.requires_grad = value
    return tensors


def record(node: Node | None, result: Any) -> Any:
    """The results of an op as tensors that know who made them."""
    results = result if isinstance(result, tuple) else (result,)
    tensors = [wrap(y, node if np.asarray(y).dtype.kind == "f" else None) for y in results]
    if node is not None:
        node.outputs = [weakref.ref(t) for t in tensors]
    return tuple(tensors) if isinstance(result, tuple) else tensors[0]


def walk(roots: list[Tensor], grads: Sequence[Tensor | None], retain_graph: bool) -> dict[Tensor, Array]:
    """The gradient of ``roots`` for every leaf under them, and for the results nobody computed with."""
    total: dict[Tensor, Array] = {}
    for root, grad in zip(roots, grads, strict=True):
        total[root] = total.get(root, 0) + _root_gradient(root, grad)
    nodes = {root.grad_fn for root in roots if root.grad_fn is not None}
    stack = list(nodes)
    while stack:
        for t in stack.pop().inputs:
            if t is not None and t.grad_fn is not None and t.grad_fn not in nodes:
                nodes.add(t.grad_fn)
                stack.append(t.grad_fn)
    # An op is always newer than the ops that made its inputs, so this order is topological.
    for node in sorted(nodes, key=lambda n: -n.sequence):
        results = [ref() for ref in node.outputs]
        dys = [None if y is None or y not in total else _finish(y, total.pop(y)) for y in results]
        if all(dy is None for dy in dys):
            continue
        if node.backward is None:
            raise ValueError(
                f"[{node.name}] the graph was freed by an earlier backward; pass retain_graph=True to the first "
                "one to keep it"
            )
        for t, dx in zip(node.inputs, node.backward(*dys), strict=True):
            if t is not None and dx is not None:
                total[t] = total[t] + dx if t in total else dx
        if not retain_graph:
            node.backward = None
    return {t: _finish(t, grad) for t, grad in total.items()}


def _root_gradient(root: Tensor, grad: Tensor | None) -> Array:
    if not root.requires_grad:
        raise ValueError("[backward] the tensor must require a gradient, but it depends on none that does")
    if grad is None:
        if root.data.size != 1:
            raise _core.ShapeError(
                f"[backward] only a scalar has an implied gradient; pass one of shape {root.shape}"
            )
        return np.ones_like(root.data)
    return grad.data


def _finish(t: Tensor, grad: Array) -> Array:
    """A gradient that is complete: hooks see it and may replace it."""
    for hook in list(t._hooks.values()):
        replaced = hook(wrap(grad))
        grad = grad if replaced is None else replaced.data
    if t._retains_grad and t.grad_fn is not None:
        t.grad = wrap(grad.copy() if t.grad is None else t.grad.data + grad)
    return grad


def backward(roots: list[Tensor], grads: Sequence[Tensor | None], retain_graph: bool = False) -> None:
    """Add the gradient of ``roots`` to ``.grad`` of every leaf under them."""
    for leaf, grad in walk(roots, grads, retain_graph).items():
        if leaf.grad_fn is None:
            leaf.grad = wrap(grad.copy() if leaf.grad is None else leaf.grad.data + grad)
