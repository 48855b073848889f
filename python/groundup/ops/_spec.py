"""What an op promises, as data. Everything that checks, documents or measures an op is made from a `Spec`.

Forward and backward are NumPy over plain arrays. ``forward`` has the signature of the public function.
``backward`` gets the gradient of the result, the result, and then what ``forward`` got; it returns one
gradient for each tensor parameter, in order, or None where there is none.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from groundup import _core

Array = npt.NDArray[Any]
ShapeError: type[ValueError] = _core.ShapeError
DTypeError: type[TypeError] = _core.DTypeError


class Sample(NamedTuple):
    """One call. Arrays become tensors; float arrays take the dtype under test and get gradients."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def sample(*args: Any, **kwargs: Any) -> Sample:
    """One call to check: ``sample(x, dim=0)``."""
    return Sample(args, kwargs)


class Bad(NamedTuple):
    """A call that must fail, with the same exception and text under both backends."""

    call: Sample
    error: type[Exception]
    message: str


class Example(NamedTuple):
    """A call worked out by hand. ``grads`` are for a result gradient of ones, one a tensor argument."""

    call: Sample
    result: Any
    grads: tuple[Any, ...] | None = None


class Cost(NamedTuple):
    """Work of one forward call: floating-point operations, and bytes that must move."""

    flops: float
    bytes: float


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The contract of one op; see the module's docstring."""

    name: str
    summary: str  # one sentence, the first line of the docstring
    formula: str  # LaTeX
    shapes: str  # "x [..., C] -> y [..., C]"
    forward: Callable[..., Any]
    backward: Callable[..., tuple[Any, ...]] | None = None  # None: the result has no gradient
    samples: Callable[[np.random.Generator], Iterable[Sample]]
    example: Example
    bad: tuple[Bad, ...] = ()
    check: Callable[..., None] | None = (
        None  # raises what the C++ raises for sizes and values that do not fit
    )
    # The same function written over other ops: what a composite op runs, and what a fused one must equal.
    composition: Callable[..., Any] | None = None
    # (rtol, atol) of C++ against NumPy, for the result and its gradients.
    tolerance: dict[str, tuple[float, float]] = field(
        default_factory=lambda: {"float32": (2e-6, 2e-6), "float64": (1e-13, 1e-13)}
    )
    random: bool = False  # draws from the random stream; the rule of backward draws the same numbers again
    cost: Callable[..., Cost] | None = None  # of the arguments; by default one operation an output element
    bench: Callable[[np.random.Generator], Sample] | None = None  # a call large enough to time
    args: dict[str, str] = field(default_factory=dict)  # parameter -> its line in the docstring
    source: str = ""  # paper or text that defines it
    kernels: tuple[str, ...] = ()  # of cpp/kernels, to show where the op's own file only checks

    @property
    def signature(self) -> str:
        """Name, parameters and defaults."""
        parameters = inspect.signature(self.forward).parameters.values()
        parts = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
        return f"{self.name}({', '.join(parts)})"

    @property
    def composed(self) -> Callable[..., Any]:
        """The composition of a composite op."""
        if self.composition is None:
            raise ImportError(f"groundup.ops: {self.name} has neither a compiled face nor a composition")
        return self.composition

    @property
    def docstring(self) -> str:
        """The docstring of the public function."""
        lines = [f"{self.signature}", "", self.summary, "", f"Shapes: {self.shapes}"]
        if self.args:
            lines += ["", "Args:", *(f"    {name}: {text}" for name, text in self.args.items())]
        lines += ["", f"Formula: {self.formula}"]
        if self.bad:
            lines += ["", "Raises:", *(f"    {b.error.__name__}: {b.message}" for b in self.bad)]
        if self.source:
            lines += ["", f"Source: {self.source}"]
        return "\n".join(lines)


def require(condition: bool | np.bool_, error: type[Exception], message: str) -> None:
    """Raise ``error(message)`` unless ``condition`` holds: the checks of a reference, one a line."""
    if not condition:
        raise error(message)


def unbroadcast(grad: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient over the axes along which its tensor was broadcast from ``shape``."""
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and grad.shape[i] != 1)
    return np.asarray(grad.sum(axis=stretched, keepdims=True))


def check_broadcast(op: str, *arrays: Array) -> None:
    """Raise the error of ``op`` unless these shapes broadcast."""
    try:
        np.broadcast_shapes(*(a.shape for a in arrays))
    except ValueError:
        *first, last = (str(a.shape) for a in arrays)
        raise ShapeError(f"[{op}] shapes must broadcast, but got {', '.join(first)} and {last}") from None


PROMOTION = tuple(np.dtype(t) for t in (np.bool_, np.int64, np.float32, np.float64))


def promoted(*arrays: Array, least: npt.DTypeLike = np.bool_) -> tuple[Array, ...]:
    """The arrays in the latest of their dtypes and ``least``: bool < int64 < float32 < float64."""
    dtype = max((np.dtype(least), *(a.dtype for a in arrays)), key=PROMOTION.index)
    return tuple(a.astype(dtype, copy=False) for a in arrays)


def floats(x: Array) -> Array:
    """Integers and bools as float32; floats as they are."""
    return np.asarray(x, None if x.dtype.kind == "f" else np.float32)


def nbytes(*values: Any) -> float:
    """Bytes of all arrays among ``values``, in lists and tuples, too."""
    flat = itertools.chain.from_iterable(v if isinstance(v, (list, tuple)) else [v] for v in values)
    return float(sum(v.nbytes for v in flat if isinstance(v, np.ndarray)))
