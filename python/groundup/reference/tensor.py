"""The NumPy backend: a tensor around an ndarray, and a tape that records which op made it.

This is the whole of reverse-mode differentiation. An op's specification says how to compute its result and how
to turn the gradient of the result into gradients of its inputs. The tape remembers who made whom, and
`walk` goes over it from the newest result to the oldest, adding up gradients where a tensor was used twice.

What a tensor offers besides is in `groundup.reference.methods`, what errors say is as in ``cpp/autograd/tape.cpp``.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from groundup import _core, ops
from groundup.autograd import no_grad
from groundup.ops._spec import Array
from groundup.reference import methods
from groundup.reference.watched import watch

_sequence = itertools.count()
# (gradients of the results, which inputs want one) -> gradients of the inputs
Rule = Callable[[Sequence[Any], tuple[bool, ...]], Sequence[Any]]


class Node:
    """One recorded op: its inputs, and the rule from its results' gradients to theirs."""

    __slots__ = ("__weakref__", "inputs", "name", "results", "rule", "sequence")

    def __init__(self, name: str, inputs: list[Tensor | None], rule: Rule) -> None:
        self.name = name
        self.inputs = [t if t is not None and t.requires_grad else None for t in inputs]
        self.rule: Rule | None = rule  # None once it has run and what it saved was freed
        self.results: list[weakref.ref[Tensor]] = []
        self.sequence = next(_sequence)  # later ops have larger numbers

    @property
    def outputs(self) -> list[Tensor | None]:
        """The results that are still there."""
        return [ref() for ref in self.results]

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Tensor(methods.Methods):
    """An ndarray with an optional gradient. Has the methods of `groundup.Tensor`; runs the references."""

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False) -> None:
        # The compiled core reads Python values, so that both backends accept and refuse the same.
        made = _core.Tensor(data.data if isinstance(data, Tensor) else data, dtype)
        self._init(made.numpy(), methods.Version(), None)
        self.requires_grad = requires_grad

    def _init(self, data: Array, version: methods.Version, node: Node | None) -> None:
        self.data = data  # always C-contiguous
        self.version = version  # counts writes; shared by all who see the same memory
        self.grad_fn = node  # who made it; None for a leaf
        self._requires_grad = node is not None
        self._retains_grad = False
        self._grad: Tensor | None = None
        self._hooks: dict[int, Callable[[Tensor], Any]] = {}

    def backward(
        self, gradient: Tensor | None = None, retain_graph: bool = False, create_graph: bool = False
    ) -> None:
        """Add the gradient of this tensor to ``.grad`` of every leaf under it."""
        if create_graph:
            raise ValueError(
                "[backward] gradients of gradients are not supported; create_graph must be False"
            )
        backward(self, [gradient], retain_graph)


def wrap(data: Any, version: methods.Version | None = None, node: Node | None = None) -> Tensor:
    """A tensor over ``data`` itself, or over a copy where its elements do not lie one after another."""
    data = np.asarray(data)
    if not data.flags.c_contiguous:
        data = np.array(data, order="C")
    tensor = Tensor.__new__(Tensor)
    tensor._init(data, version or methods.Version(), node)
    return tensor


class Saved:
    """A tensor kept for backward, without its history. ``get`` refuses it when it was written to since."""

    def __init__(self, tensor: Tensor) -> None:
        self._data, self._version, self._writes = tensor.data, tensor.version, tensor.version.writes

    def get(self, op: str) -> Tensor:
        if self._version.writes != self._writes:
            raise ValueError(
                f"[{op}] a tensor of shape {self._data.shape} that backward needs was changed in place after it "
                "was saved"
            )
        return wrap(self._data, self._version)


# ------------------------------------------------------------------------------------------------ recording


def apply(op: ops.Op, *args: Any, **kwargs: Any) -> Any:
    """Run the reference of ``op`` and record it on the tape."""
    spec, compiled = op.spec, op.compiled
    assert compiled is not None  # a composite op runs as its composition
    given, values = compiled.bind(*args, **kwargs)
    stream = _core.get_rng_state()
    with np.errstate(all="ignore"):  # as in C++: 1 / 0 is inf without a warning
        if spec.check is not None:
            spec.check(*values)
        result = spec.forward(*values)
    several = isinstance(result, tuple)

    inputs: list[Any] = []  # what was given for every tensor parameter
    for argument, kind in zip(given, compiled.kinds, strict=True):
        if kind in ("tensor", "tensors"):
            inputs.extend(argument if kind == "tensors" else [argument])
    tensors = [t if isinstance(t, Tensor) else None for t in inputs]
    results = [_own(y, tensors) for y in (result if several else (result,))]
    for y in results:
        check_finite(spec.name, "result", y.data)

    if spec.backward is not None and _wants_record(tensors):
        backward = spec.backward
        arguments = [_saved(spec.name, t, value) for t, value in zip(given, values, strict=True)]
        ys = [_saved(spec.name, y, y.data) for y in results]

        def rule(dys: Sequence[Array | None], needs: tuple[bool, ...]) -> Sequence[Any]:  # noqa: ARG001
            drawn_again = _rewound(stream) if spec.random else contextlib.nullcontext()
            with np.errstate(all="ignore"), drawn_again:
                dy, y = (tuple(dys), tuple(ys)) if several else (dys[0], ys[0])
                grads = backward(dy, y, *arguments)
            flat: list[Any] = []
            for grad in grads:  # an op over a list of tensors returns a list of gradients
                flat.extend(grad if isinstance(grad, list) else [grad])
            return flat

        _follow(results, Node(spec.name, tensors, rule))
    for (name, *_), value in zip(compiled.params, values, strict=True):
        if name == "requires_grad":  # an op that makes a tensor from nothing
            results[0].requires_grad = value
    return tuple(results) if several else results[0]


def record(
    name: str,
    inputs: Sequence[Tensor | None],
    outputs: Sequence[Tensor],
    backward: Callable[[tuple[bool, ...], tuple[Tensor | None, ...]], Sequence[Tensor | None]],
) -> tuple[Tensor, ...]:
    """Record an op whose ``backward(needs, dys)`` takes and returns tensors; its outputs, made anew."""

    def rule(dys: Sequence[Array | None], needs: tuple[bool, ...]) -> Sequence[Any]:
        grads = backward(needs, tuple(None if dy is None else wrap(dy) for dy in dys))
        return [None if g is None else g.data for g in grads]

    results = [wrap(y.data, y.version) for y in outputs]
    if _wants_record(inputs):
        _follow(results, Node(name, list(inputs), rule))
    return tuple(results)


@contextlib.contextmanager
def _rewound(state: tuple[int, int]) -> Iterator[None]:
    """Let the random stream stand at ``state``: a backward draws again what its forward drew."""
    now = _core.get_rng_state()
    _core.set_rng_state(*state)
    try:
        yield
    finally:
        _core.set_rng_state(*now)


def _wants_record(inputs: Iterable[Tensor | None]) -> bool:
    return _core.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)


def _follow(results: list[Tensor], node: Node) -> None:
    for y in results:
        if y.data.dtype.kind == "f":
            y.grad_fn, y._requires_grad = node, True
    node.results = [weakref.ref(y) for y in results]


def _own(y: Any, inputs: Iterable[Tensor | None]) -> Tensor:
    """A result as a tensor. Reshapes share memory and its count of writes; other views of NumPy's are copied, as
    in C++."""
    y = np.asarray(y)
    sharing = [t for t in inputs if t is not None and np.may_share_memory(y, t.data)]
    if any(t.data.size != y.size for t in sharing):
        return wrap(y.copy())
    return wrap(y, sharing[0].version if sharing and y.flags.c_contiguous else None)


def _saved(op: str, given: Any, value: Any) -> Any:
    """An argument or result as the rule will get it: a tensor's array refuses to be read once it was written to."""
    if isinstance(given, Tensor):
        check = functools.partial(Saved(given).get, op)
        return watch(value, check)
    if isinstance(given, (list, tuple)) and isinstance(value, list):
        return [_saved(op, t, v) for t, v in zip(given, value, strict=True)]
    return value


# ------------------------------------------------------------------------------------------------- backward


def backward(tensors: Any, grad_tensors: Any = None, retain_graph: bool = False) -> None:
    """Add the gradient of ``tensors`` to ``.grad`` of every leaf under them."""
    with no_grad():
        for t, grad in walk("backward", tensors, grad_tensors, retain_graph).items():
            if t.is_leaf:
                _add_to_grad(t, _run_hooks(t, grad))


def grad(
    outputs: Any, inputs: Sequence[Tensor], grad_outputs: Any, retain_graph: bool, first_sequence: int = 0
) -> list[Tensor | None]:
    """The gradients of ``outputs`` for each of ``inputs``, None where an input does not matter.

    Runs only the ops between the two, and none older than ``first_sequence``, whose hooks are left to the caller.
    """
    for t in inputs:
        if not isinstance(t, Tensor):
            raise TypeError(f"[grad] needs tensors, but got {type(t).__name__}")
    for t in inputs:
        if not t.requires_grad:
            raise ValueError("[grad] every input must require a gradient")
    with no_grad():
        found = walk("grad", outputs, grad_outputs, retain_graph, set(inputs), first_sequence)
        for t in set(inputs) & found.keys():
            if t.is_leaf and first_sequence == 0:  # hooks of what another op made have run on the way
                found[t] = _run_hooks(t, found[t])
    return [wrap(np.array(found[t], order="C")) if t in found else None for t in inputs]


def walk(
    caller: str,
    tensors: Any,
    grad_tensors: Any,
    retain_graph: bool,
    wanted: set[Tensor] | None = None,
    first_sequence: int = 0,
) -> dict[Tensor, Array]:
    """The gradient of ``tensors`` for every leaf under them and for ``wanted``."""
    roots = _tensors(caller, tensors)
    total: dict[Tensor, Array] = {}  # what has arrived so far
    for root, grad in zip(roots, _gradients(caller, roots, grad_tensors), strict=True):
        total[root] = total[root] + grad if root in total else grad

    nodes = nodes_under(roots, first_sequence)
    useful = None if wanted is None else _leading_to(wanted, nodes)
    for node in nodes:
        needs = tuple(t is not None and (useful is None or t in useful) for t in node.inputs)
        dys: list[Array | None] = []
        for y in node.outputs:
            keep = wanted is not None and y in wanted
            if y is None or y not in total or not (any(needs) or keep):
                dys.append(None)
                continue
            dy = _run_hooks(y, total.pop(y))  # complete: every op that used y is newer and has run
            if y._retains_grad:
                _add_to_grad(y, dy)
            if keep:
                total[y] = dy
            dys.append(dy)
        if not any(needs) or all(dy is None for dy in dys):
            continue
        for i, (t, dx) in enumerate(zip(node.inputs, _run(node, dys, needs, retain_graph), strict=True)):
            if t is None or not needs[i] or dx is None:
                continue
            dx = np.asarray(dx)
            _check_grad(f"[{node.name}] gradient {i}", dx, t)
            check_finite(node.name, "gradient", dx)
            total[t] = total[t] + dx if t in total else dx
    return total


def nodes_under(tensors: Iterable[Tensor], first_sequence: int) -> list[Node]:
    """Every node from ``first_sequence`` on, the newest first.

    An op is always newer than the ops that made its inputs, so this order is topological.
    """
    nodes: set[Node] = set()
    stack = [t.grad_fn for t in tensors]
    while stack:
        node = stack.pop()
        if node is not None and node.sequence >= first_sequence and node not in nodes:
            nodes.add(node)
            stack.extend(t.grad_fn for t in node.inputs if t is not None)
    return sorted(nodes, key=lambda n: -n.sequence)


def _leading_to(wanted: set[Tensor], nodes: list[Node]) -> set[Tensor]:
    useful = set(wanted)
    for node in reversed(nodes):
        if any(t in useful for t in node.inputs if t is not None):
            useful.update(y for y in node.outputs if y is not None)
    return useful


def _run(
    node: Node, dys: Sequence[Array | None], needs: tuple[bool, ...], retain_graph: bool
) -> Sequence[Any]:
    rule = node.rule
    if rule is None:
        raise ValueError(
            f"[{node.name}] the graph was freed by an earlier backward; pass retain_graph=True to the first one "
            "to keep it"
        )
    if not retain_graph:
        node.rule = None
    return rule(dys, needs)


def _run_hooks(t: Tensor, grad: Array) -> Array:
    """A gradient that is complete: hooks see it and may replace it."""
    for hook in list(t._hooks.values()):
        replaced = hook(wrap(grad))
        if replaced is None:
            continue
        _check_tensor("[register_hook] what a hook returns", replaced)
        _check_grad("[register_hook] gradient", replaced.data, t)
        grad = replaced.data
    return grad


def _add_to_grad(t: Tensor, grad: Array) -> None:
    if t._grad is None:
        t._grad = wrap(np.array(grad, order="C"))
    elif t._grad.data.flags.writeable:
        t._grad.data += grad  # in place: it may be part of a larger buffer
        t._grad.version.writes += 1
    else:
        t._grad = wrap(t._grad.data + grad)


def _tensors(caller: str, value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if not isinstance(value, Sequence):
        raise TypeError(f"[{caller}] needs a tensor or a sequence of tensors, but got {type(value).__name__}")
    for t in value:
        if not isinstance(t, Tensor):
            raise TypeError(f"[{caller}] needs tensors, but got {type(t).__name__}")
    return list(value)


def _gradients(caller: str, roots: list[Tensor], value: Any) -> list[Array]:
    """The gradient that the walk starts from at each root: what was given, or one."""
    given = list(value) if isinstance(value, Sequence) else [value]
    for grad in given:
        _check_tensor(f"[{caller}] gradient", grad)
    if value is None or not given:
        given = [None] * len(roots)
    if len(given) != len(roots):
        raise ValueError(
            f"[{caller}] one gradient per tensor must be given, but got {len(given)} for {len(roots)}"
        )
    grads = []
    for root, grad in zip(roots, given, strict=True):
        if not root.requires_grad:
            raise ValueError(
                f"[{caller}] the tensor must require a gradient, but it depends on none that does"
            )
        if grad is None and root.data.size != 1:
            raise _core.ShapeError(
                f"[{caller}] only a scalar has an implied gradient; pass one of shape {root.shape}"
            )
        grads.append(np.ones_like(root.data) if grad is None else grad.data)
        _check_grad(f"[{caller}] gradient", grads[-1], root)
    return grads


def _check_tensor(what: str, value: Any) -> None:
    if value is not None and not isinstance(value, Tensor):
        raise TypeError(f"{what} must be a tensor or None, but got {type(value).__name__}")


def _check_grad(what: str, grad: Array, t: Tensor) -> None:
    if grad.shape != t.data.shape:
        raise _core.ShapeError(f"{what} must have the shape {t.shape} of its tensor, but got {grad.shape}")
    if grad.dtype != t.data.dtype:
        raise _core.DTypeError(f"{what} must be {t.data.dtype} like its tensor, but got {grad.dtype}")


def check_finite(name: str, what: str, data: Array) -> None:
    """In anomaly mode: refuse a NaN or an infinity."""
    if not _core.is_anomaly_enabled() or data.dtype.kind != "f" or np.isfinite(data).all():
        return
    place = int(np.argmin(np.isfinite(data).reshape(-1)))
    got = data.reshape(-1)[place]
    shown = "nan" if math.isnan(got) else "inf" if got > 0 else "-inf"
    raise ValueError(f"[{name}] {what} must be finite, but got {shown} at element {place} of {data.shape}")


# ------------------------------------------------------------------------- what groundup.autograd builds on


def next_sequence() -> int:
    """The number that the next recorded op gets, or a smaller one that no op has."""
    return next(_sequence)


def dependencies(outputs: Sequence[Tensor], first_sequence: int) -> list[Tensor]:
    """Everything that requires a gradient, is older than ``first_sequence`` and led to ``outputs``."""
    met: list[Tensor | None] = [*outputs]
    for node in nodes_under(outputs, first_sequence):
        met.extend(node.inputs)
    found = {
        t: None
        for t in met
        if t is not None and t.requires_grad and (t.grad_fn is None or t.grad_fn.sequence < first_sequence)
    }
    return list(found)
