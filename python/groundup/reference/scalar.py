"""Backpropagation in one small class: a number that remembers how it was computed.

Every operation makes a new `Value` that keeps its operands and, for each operand, the *local gradient*: how
much the result moves when that operand moves a little. `backward` walks that graph from the result to the
leaves and multiplies local gradients along the way, which is the chain rule; where a value was used more
than once, the contributions add up.

Errors are those of Python's floats: dividing by zero raises ``ZeroDivisionError``, the logarithm of a number
that is not positive ``ValueError``, an exponential or a power out of range ``OverflowError``; sums and
products that are too large become ``inf``. Not handled: gradients of gradients, exponents that are values,
sharing between threads.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import NoReturn


def _number(what: str, x: object) -> float:
    if not isinstance(x, Real):
        raise TypeError(f"{what} must be a real number, but got {type(x).__name__}")
    return float(x)


class Value:
    """A scalar in a graph of scalars: its number, and after `backward` its gradient.

    >>> x = Value(3.0, label="x")
    >>> y = x * x + 2 * x
    >>> y.backward()
    >>> x
    Value(data=3.0, grad=8.0)
    """

    __slots__ = ("_local_grads", "_prev", "data", "grad", "label", "op")

    data: float
    grad: float
    label: str
    op: str  # what made this value, "" for a leaf
    _prev: tuple[Value, ...]  # the operands it was made from
    _local_grads: tuple[float, ...]  # d self / d operand, one for each operand

    def __init__(self, data: float, label: str = "") -> None:
        self.data = data
        self.grad = 0.0
        self.label = label
        self.op = ""
        self._prev = ()
        self._local_grads = ()

    def __setattr__(self, name: str, value: object) -> None:
        # Training assigns to data and grad: what is not a number is caught here, not a thousand steps later.
        if name in ("data", "grad"):
            value = _number(f"[Value] {name}", value)
        elif name == "label" and not isinstance(value, str):
            raise TypeError(f"[Value] label must be a str, but got {type(value).__name__}")
        object.__setattr__(self, name, value)

    def _result(self, data: float, op: str, *operands: tuple[Value, float]) -> Value:
        out = Value(data)
        out.op = op
        out._prev = tuple(operand for operand, _ in operands)
        out._local_grads = tuple(local_grad for _, local_grad in operands)
        return out

    @staticmethod
    def _operand(op: str, x: Value | float) -> Value:
        return x if isinstance(x, Value) else Value(_number(f"[{op}] an operand that is not a Value", x))

    # Two operands

    def __add__(self, other: Value | float) -> Value:
        other = self._operand("add", other)
        return self._result(self.data + other.data, "+", (self, 1.0), (other, 1.0))

    def __sub__(self, other: Value | float) -> Value:
        other = self._operand("sub", other)
        return self._result(self.data - other.data, "-", (self, 1.0), (other, -1.0))

    def __mul__(self, other: Value | float) -> Value:
        other = self._operand("mul", other)
        return self._result(self.data * other.data, "*", (self, other.data), (other, self.data))

    def __truediv__(self, other: Value | float) -> Value:
        other = self._operand("div", other)
        if other.data == 0.0:
            raise ZeroDivisionError(
                f"[div] the divisor must not be zero, but got {self.data:g} / {other.data:g}"
            )
        quotient = self.data / other.data
        return self._result(quotient, "/", (self, 1.0 / other.data), (other, -quotient / other.data))

    def __radd__(self, other: float) -> Value:
        return self._operand("add", other) + self

    def __rsub__(self, other: float) -> Value:
        return self._operand("sub", other) - self

    def __rmul__(self, other: float) -> Value:
        return self._operand("mul", other) * self

    def __rtruediv__(self, other: float) -> Value:
        return self._operand("div", other) / self

    def __pow__(self, exponent: float) -> Value:
        x, n = self.data, _number("[pow] the exponent", exponent)
        if x == 0.0 and n < 0.0:
            raise ZeroDivisionError(f"[pow] zero needs an exponent of at least zero, but got {x:g} ** {n:g}")
        if x < 0.0 and not n.is_integer():
            raise ValueError(f"[pow] a negative base needs a whole exponent, but got {x:g} ** {n:g}")
        try:
            if n == 0.0:
                slope = 0.0
            elif x == 0.0 and n < 1.0:
                slope = math.inf  # a root is vertical at zero
            else:
                slope = n * x ** (n - 1.0)
            return self._result(x**n, f"**{n:g}", (self, slope))
        except OverflowError:
            raise OverflowError(f"[pow] the result or its gradient is too large: {x:g} ** {n:g}") from None

    def __rpow__(self, base: object) -> NoReturn:
        raise TypeError(f"[pow] the exponent must be a real number, but got {type(self).__name__}")

    # One operand

    def __neg__(self) -> Value:
        return self._result(-self.data, "neg", (self, -1.0))

    def exp(self) -> Value:
        try:
            e = math.exp(self.data)
        except OverflowError:
            raise OverflowError(f"[exp] the result is too large: exp({self.data:g})") from None
        return self._result(e, "exp", (self, e))

    def log(self) -> Value:
        if self.data <= 0.0:
            raise ValueError(f"[log] the argument must be positive, but got {self.data:g}")
        return self._result(math.log(self.data), "log", (self, 1.0 / self.data))

    def tanh(self) -> Value:
        t = math.tanh(self.data)
        return self._result(t, "tanh", (self, 1.0 - t * t))

    def relu(self) -> Value:
        off = self.data <= 0.0  # the gradient at zero is taken to be zero
        return self._result(0.0 if off else self.data, "relu", (self, 0.0 if off else 1.0))

    def sigmoid(self) -> Value:
        e = math.exp(-abs(self.data))  # the exponent is never positive, so nothing overflows
        s = 1.0 / (1.0 + e) if self.data >= 0.0 else e / (1.0 + e)
        return self._result(s, "sigmoid", (self, s * (1.0 - s)))

    # Gradients

    def backward(self) -> None:
        """Add d self / d leaf to the ``grad`` of every leaf, and set the ``grad`` of the values between.

        A second call, on this value or on another one over the same leaves, adds to the leaves again:
        gradients of a batch accumulate. Call `zero_grad` where that is not wanted.
        """
        order = topological_order(self)
        for node in order:
            if node._prev:
                node.grad = 0.0  # a value in between starts afresh, or old gradients would flow on again
        self.grad += 1.0  # d self / d self
        for node in reversed(order):
            for operand, local_grad in zip(node._prev, node._local_grads, strict=True):
                operand.grad += local_grad * node.grad  # the chain rule

    def zero_grad(self) -> None:
        """Set ``grad`` to zero here and in every value this one was computed from."""
        for node in topological_order(self):
            node.grad = 0.0

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "[Value] a node of a graph cannot be copied or pickled; keep its data and label instead"
        )

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"


def topological_order(root: Value) -> list[Value]:
    """Every value that ``root`` was computed from, operands before results, ``root`` last.

    Depth first with a stack of its own, as Python's recursion ends after a thousand steps.
    """
    order: list[Value] = []
    seen: set[Value] = set()
    stack = [(root, False)]
    while stack:
        node, operands_done = stack.pop()
        if operands_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((operand, False) for operand in node._prev)
    return order
