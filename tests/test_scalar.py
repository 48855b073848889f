"""The scalar engine: both faces against closed forms, finite differences and each other, bit by bit."""

from __future__ import annotations

import copy
import gc
import math
import operator
import pickle
import random
import sys
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import groundup as gu
from groundup import _core, scalar
from groundup.reference.scalar import Value as ReferenceValue

ScalarValue = _core.ScalarValue
FACES = [pytest.param(ScalarValue, id="cpp"), pytest.param(ReferenceValue, id="reference")]
each_face = pytest.mark.parametrize("Value", FACES)

# name: (op on a Value, its derivative, points away from kinks and poles)
UNARY: dict[str, tuple[Callable[[Any], Any], Callable[[float], float], list[float]]] = {
    "neg": (lambda x: -x, lambda _: -1.0, [-1.5, 0.0, 2.0]),
    "exp": (lambda x: x.exp(), math.exp, [-30.0, 0.0, 1.3]),
    "log": (lambda x: x.log(), lambda x: 1 / x, [1e-3, 1.0, 40.0]),
    "tanh": (lambda x: x.tanh(), lambda x: 1 / math.cosh(x) ** 2, [-2.0, 0.0, 0.4]),
    "relu": (lambda x: x.relu(), lambda x: float(x > 0), [-1.5, 0.5]),
    "sigmoid": (lambda x: x.sigmoid(), lambda x: 1 / (2 + 2 * math.cosh(x)), [-3.0, 0.0, 2.5]),
    "square": (lambda x: x**2, lambda x: 2 * x, [-1.5, 0.0, 3.0]),
    "cube": (lambda x: x**3, lambda x: 3 * x * x, [-1.5, 0.0, 3.0]),
    "root": (lambda x: x**0.5, lambda x: 0.5 / math.sqrt(x), [0.25, 2.0]),
    "reciprocal": (lambda x: x**-1, lambda x: -1 / (x * x), [-0.5, 4.0]),
    "constant power": (lambda x: x**0, lambda _: 0.0, [-0.5, 0.0, 4.0]),
    "add a number": (lambda x: x + 2, lambda _: 1.0, [3.0]),
    "add to a number": (lambda x: 2 + x, lambda _: 1.0, [3.0]),
    "subtract a number": (lambda x: x - 2, lambda _: 1.0, [3.0]),
    "subtract from a number": (lambda x: 2 - x, lambda _: -1.0, [3.0]),
    "multiply by a number": (lambda x: x * 2, lambda _: 2.0, [3.0]),
    "multiply a number": (lambda x: 2 * x, lambda _: 2.0, [3.0]),
    "divide by a number": (lambda x: x / 2, lambda _: 0.5, [3.0]),
    "divide a number": (lambda x: 2 / x, lambda x: -2 / (x * x), [3.0]),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


# --------------------------------------------------------------------------------------- values and gradients


@each_face
@pytest.mark.parametrize("name", UNARY)
def test_unary_derivative(Value: Any, name: str) -> None:
    op, derivative, points = UNARY[name]
    for point in points:
        x = Value(point)
        op(x).backward()
        assert x.grad == pytest.approx(derivative(point), rel=1e-14, abs=1e-15)


@each_face
def test_unary_values(Value: Any) -> None:
    assert Value(0.3).exp().data == math.exp(0.3)
    assert Value(0.3).log().data == math.log(0.3)
    assert Value(0.3).tanh().data == math.tanh(0.3)
    assert Value(0.3).sigmoid().data == pytest.approx(1 / (1 + math.exp(-0.3)), rel=1e-15)
    assert (Value(0.3).relu().data, Value(-0.3).relu().data) == (0.3, 0.0)
    assert (Value(0.3) ** 2.5).data == 0.3**2.5
    assert (-Value(0.3)).data == -0.3


@each_face
@pytest.mark.parametrize("op", BINARY)
def test_binary_derivative_by_finite_differences(Value: Any, op: str) -> None:
    apply = BINARY[op]
    for a0, b0 in [(1.5, -0.7), (-2.0, 3.0), (0.25, 0.5)]:
        a, b = Value(a0), Value(b0)
        out = apply(a, b)
        assert out.data == apply(a0, b0)
        out.backward()
        h = 1e-6
        assert a.grad == pytest.approx((apply(a0 + h, b0) - apply(a0 - h, b0)) / (2 * h), rel=1e-8)
        assert b.grad == pytest.approx((apply(a0, b0 + h) - apply(a0, b0 - h)) / (2 * h), rel=1e-8)


@each_face
def test_worked_example(Value: Any) -> None:
    """By hand: d = a·b + c = 2·(-3) + 10 = 4, L = d·f = -8; dL/da = f·b = 6, dL/db = f·a = -4, dL/dc = f."""
    a, b, c, f = Value(2.0), Value(-3.0), Value(10.0), Value(-2.0)
    d = a * b + c
    loss = d * f
    loss.backward()
    assert loss.data == -8.0
    assert (a.grad, b.grad, c.grad, d.grad, f.grad, loss.grad) == (6.0, -4.0, -2.0, -2.0, 4.0, 1.0)


@each_face
def test_a_value_used_twice_gets_both_gradients(Value: Any) -> None:
    a = Value(3.0)
    (a + a).backward()
    assert a.grad == 2.0
    x = Value(3.0)
    y = x * x  # a diamond: y reaches the end on two ways
    (y * x + y).backward()  # x³ + x²
    assert x.grad == 3 * 9 + 2 * 3


@each_face
def test_repeated_backward_accumulates_in_leaves_only(Value: Any) -> None:
    x = Value(3.0)
    square = x * x
    out = square * 2
    out.backward()
    assert (x.grad, square.grad, out.grad) == (12.0, 2.0, 1.0)
    out.backward()
    assert (x.grad, square.grad, out.grad) == (24.0, 2.0, 1.0)
    (square * 3).backward()  # another result over the same leaf
    assert (x.grad, square.grad) == (24.0 + 18.0, 3.0)
    out.zero_grad()
    assert (x.grad, square.grad, out.grad) == (0.0, 0.0, 0.0)


@each_face
def test_backward_on_a_leaf(Value: Any) -> None:
    x = Value(3.0)
    x.backward()
    x.backward()
    assert x.grad == 2.0
    x.zero_grad()
    assert x.grad == 0.0


@each_face
def test_gradients_belong_to_the_forward_pass(Value: Any) -> None:
    """Assigning to data afterwards, as an optimizer does, does not change what backward says."""
    x = Value(3.0)
    y = x * x
    x.data = 100.0
    y.backward()
    assert (y.data, x.grad) == (9.0, 6.0)


@each_face
def test_extremes(Value: Any) -> None:
    for point, expected in [(800.0, 1.0), (-800.0, 0.0), (math.inf, 1.0), (-math.inf, 0.0)]:
        x = Value(point)
        s = x.sigmoid()
        s.backward()
        assert (s.data, x.grad) == (expected, 0.0)
    kink = Value(0.0)
    kink.relu().backward()
    assert kink.grad == 0.0
    root = Value(0.0)
    (root**0.5).backward()
    assert root.grad == math.inf
    assert (Value(1e200) * Value(1e200)).data == math.inf  # products overflow as Python's floats do
    for op in ("exp", "log", "tanh", "relu", "sigmoid"):
        assert math.isnan(getattr(Value(math.nan), op)().data)


@each_face
def test_sum_of_a_list(Value: Any) -> None:
    values = [Value(i) for i in range(5)]
    total = sum(values)
    assert isinstance(total, Value)
    total.backward()
    assert total.data == 10.0 and [v.grad for v in values] == [1.0] * 5


# -------------------------------------------------------------------------------------------- surface, inputs


@each_face
def test_graph_is_remembered(Value: Any) -> None:
    a, b = Value(2.0, label="a"), Value(3.0, "b")
    ops = [a + b, a - b, a * b, a / b, a**2, a**-0.5, -a, a.exp(), a.log(), a.tanh(), a.relu(), a.sigmoid()]
    names = ["+", "-", "*", "/", "**2", "**-0.5", "neg", "exp", "log", "tanh", "relu", "sigmoid"]
    assert [v.op for v in ops] == names
    assert [len(v._prev) for v in ops] == [2] * 4 + [1] * 8
    assert all(v._prev[0] is a for v in ops) and ops[1]._prev[1] is b
    assert ops[2]._local_grads == (3.0, 2.0) and ops[6]._local_grads == (-1.0,)
    assert (a.label, a.op, a._prev, a._local_grads) == ("a", "", (), ())
    three = (1 - a)._prev[0]
    assert (three.data, three.op) == (1.0, "")
    product = a * b
    product.label = "p"
    assert product.label == "p"


@each_face
def test_repr_and_identity(Value: Any) -> None:
    x = Value(2)
    assert repr(x) == "Value(data=2.0, grad=0.0)"
    x.grad = 1e-20
    assert repr(x) == "Value(data=2.0, grad=1e-20)"
    assert Value.__name__ == "Value"
    assert x != Value(2) and len({x, x, Value(2)}) == 2  # compared by identity, as nodes are


@each_face
@pytest.mark.parametrize("number", [2, True, np.float32(2.5), np.float64(2.5), np.int64(2), Fraction(1, 2)])
def test_real_numbers_are_taken(Value: Any, number: Any) -> None:
    x = Value(number)
    assert type(x.data) is float and x.data == float(number)
    x.data = x.grad = number
    assert type(x.data) is type(x.grad) is float
    for y in (x * number, number * x):
        assert isinstance(y, Value) and y.data == float(number) ** 2
    assert (Value(3.0) ** number).data == 3.0 ** float(number)


NOT_NUMBERS = ["2", b"2", 1j, None, [1.0], Decimal(2), np.complex128(1j), object()]


@pytest.mark.parametrize("bad", NOT_NUMBERS, ids=lambda bad: type(bad).__name__)
def test_what_is_not_a_number_is_refused_with_one_text(bad: Any) -> None:
    attempts: dict[str, Callable[[Any], Any]] = {
        "[Value] data must": lambda V: V(bad),
        "[Value] data must be": lambda V: setattr(V(1), "data", bad),
        "[Value] grad must": lambda V: setattr(V(1), "grad", bad),
        "[add] an operand": lambda V: V(1) + bad,
        "[sub] an operand": lambda V: V(1) - bad,
        "[mul] an operand": lambda V: V(1) * bad,
        "[div] an operand": lambda V: V(1) / bad,
        "[pow] the exponent": lambda V: V(1) ** bad,
    }
    if not isinstance(bad, np.generic):  # NumPy's own scalars try first
        attempts |= {
            "[add] an operand ": lambda V: bad + V(1),
            "[sub] an operand ": lambda V: bad - V(1),
            "[mul] an operand ": lambda V: bad * V(1),
            "[div] an operand ": lambda V: bad / V(1),
        }
    for beginning, attempt in attempts.items():
        message = same_error(TypeError, attempt)
        assert message.startswith(beginning.strip())
        assert message.endswith(f"must be a real number, but got {type(bad).__name__}")


def same_error(kind: type[Exception], attempt: Callable[[Any], Any]) -> str:
    """Both faces raise exactly this exception, with the same text."""
    messages = []
    for face in (ScalarValue, ReferenceValue):
        with pytest.raises(kind) as caught:
            attempt(face)
        assert caught.type is kind
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    return messages[0]


@pytest.mark.parametrize(
    ("kind", "attempt", "message"),
    [
        (TypeError, lambda V: V(1) ** V(2), "[pow] the exponent must be a real number, but got Value"),
        (TypeError, lambda V: 2 ** V(2), "[pow] the exponent must be a real number, but got Value"),
        (TypeError, lambda V: V(V(2)), "[Value] data must be a real number, but got Value"),
        (TypeError, lambda V: V(1, 2), "[Value] label must be a str, but got int"),
        (TypeError, lambda V: V(1, label=None), "[Value] label must be a str, but got NoneType"),
        (TypeError, lambda V: setattr(V(1), "label", 2), "[Value] label must be a str, but got int"),
        (ZeroDivisionError, lambda V: V(1) / V(0), "[div] the divisor must not be zero, but got 1 / 0"),
        (ZeroDivisionError, lambda V: V(1) / 0, "[div] the divisor must not be zero, but got 1 / 0"),
        (ZeroDivisionError, lambda V: 1.5 / V(-0.0), "[div] the divisor must not be zero, but got 1.5 / -0"),
        (
            ZeroDivisionError,
            lambda V: V(math.inf - math.inf) / 0,
            "[div] the divisor must not be zero, but got nan / 0",
        ),
        (
            ZeroDivisionError,
            lambda V: V(0) ** -1,
            "[pow] zero needs an exponent of at least zero, but got 0 ** -1",
        ),
        (
            ValueError,
            lambda V: V(-2) ** 0.5,
            "[pow] a negative base needs a whole exponent, but got -2 ** 0.5",
        ),
        (ValueError, lambda V: V(0).log(), "[log] the argument must be positive, but got 0"),
        (
            ValueError,
            lambda V: V(-1234567.0).log(),
            "[log] the argument must be positive, but got -1.23457e+06",
        ),
        (OverflowError, lambda V: V(1000).exp(), "[exp] the result is too large: exp(1000)"),
        (
            OverflowError,
            lambda V: V(1e200) ** 2,
            "[pow] the result or its gradient is too large: 1e+200 ** 2",
        ),
        (
            OverflowError,
            lambda V: V(1e-200) ** -1,
            "[pow] the result or its gradient is too large: 1e-200 ** -1",
        ),
        (OverflowError, lambda V: V(10**400), "int too large to convert to float"),
        (
            TypeError,
            lambda V: copy.copy(V(1)),
            "[Value] a node of a graph cannot be copied or pickled; keep its data and label instead",
        ),
        (
            TypeError,
            lambda V: pickle.dumps(V(1)),
            "[Value] a node of a graph cannot be copied or pickled; keep its data and label instead",
        ),
    ],
)
def test_bad_input(kind: type[Exception], attempt: Callable[[Any], Any], message: str) -> None:
    assert same_error(kind, attempt) == message


@each_face
def test_wrong_calls(Value: Any) -> None:
    for attempt in (
        Value,
        lambda: Value(1, "a", "b"),
        lambda: Value(1, name="a"),
        lambda: Value(1, "a", label="b"),
        lambda: Value(1).exp(2),
        lambda: pow(Value(2), 2, 5),
        lambda: Value(1) < Value(2),
    ):
        with pytest.raises(TypeError):
            attempt()
    with pytest.raises(AttributeError):
        Value(1).colour = "red"
    assert Value(data=2, label="a").label == Value(2, label="a").label == "a"


@each_face
def test_an_error_leaves_the_graph_as_it_was(Value: Any) -> None:
    x = Value(2.0)
    y = x * 3
    for bad in (lambda: y / 0, (y - 6).log, lambda: y + "1", lambda: y ** Value(2)):
        with pytest.raises((ArithmeticError, ValueError, TypeError)):
            bad()
    for field in ("data", "grad"):
        with pytest.raises(OverflowError):
            setattr(x, field, 10**400)
    y.backward()
    assert (x.data, x.grad) == (2.0, 3.0)


# ----------------------------------------------------------------------------------------------------- memory


@each_face
def test_long_chain(Value: Any) -> None:
    """Neither backward nor destruction may recurse."""
    length = 1_000_000 if Value is ScalarValue else 200_000  # the reference takes 10 µs a value
    x, step = Value(1.0), Value(1e-6)
    y = x
    for _ in range(length):
        y = y + step
    y.backward()
    assert (x.grad, step.grad) == (1.0, length)
    y.zero_grad()
    assert (x.grad, step.grad) == (0.0, 0.0)
    del y
    gc.collect()
    assert x.data == 1.0


@each_face
def test_leaves_outlive_their_names(Value: Any) -> None:
    def build() -> Any:
        a, b = Value(2.0, label="a"), Value(3.0, label="b")
        return (a * b + a).tanh()

    out = build()
    gc.collect()
    junk = [Value(i) for i in range(100)]  # would reuse freed nodes
    total = out._prev[0]
    assert [v.label for v in total._prev[0]._prev] == ["a", "b"] and total.data == 8.0
    assert len(junk) == 100


def test_compiled_values_are_freed_and_reused() -> None:
    """The same graph a hundred times over needs the memory of one."""

    def graph() -> None:
        x = ScalarValue(0.5, label="x")
        y = x
        for _ in range(30_000):
            y = y * 0.5 + x
        y.backward()

    graph()
    tracemalloc.start()
    graph()
    first = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        graph()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - first < 100_000
    assert peak < 30_000 * 3 * 200  # bytes a node, with room


def test_compiled_references_are_counted() -> None:
    a, b = ScalarValue(2.0), ScalarValue(3.0)
    label = "a label of its own, not interned"
    before = (sys.getrefcount(a), sys.getrefcount(b), sys.getrefcount(label), sys.getrefcount(ScalarValue))
    for _ in range(100):
        results = [a + b, a * a, a / b, -a, a**2, a + 1.0, 1.0 - b, a.exp(), b.log()]
        (results[0] * results[1]).backward()
        a.label = label
        assert a._prev == () and a.label == label and results[0]._prev == (a, b)
        calls: list[Any] = [lambda: a / 0, (-a).log, lambda: a + "x", lambda: ScalarValue(1, 2)]  # type: ignore[operator,arg-type]
        for bad in calls:
            with pytest.raises((TypeError, ValueError, ZeroDivisionError)):
                bad()
        a.label = ""
    del results, bad, calls
    gc.collect()
    after = (sys.getrefcount(a), sys.getrefcount(b), sys.getrefcount(label), sys.getrefcount(ScalarValue))
    assert after == before


# -------------------------------------------------------------------------------------------- the faces agree

LEAF = st.floats(-4, 4).map(lambda x: round(x, 3))
# A program: starting from three leaves, each step makes a value from two earlier ones.
STEPS = st.lists(
    st.tuples(st.sampled_from([*BINARY, *UNARY]), st.integers(0, 30), st.integers(0, 30)),
    min_size=1,
    max_size=30,
)


def run_program(Value: Any, leaves: list[float], steps: list[tuple[str, int, int]]) -> list[Any]:
    """Everything that can be seen of it, errors included."""
    values = [Value(x) for x in leaves]
    seen: list[Any] = []
    for op, i, j in steps:
        a, b = values[i % len(values)], values[j % len(values)]
        try:
            values.append(BINARY[op](a, b) if op in BINARY else UNARY[op][0](a))
        except (ArithmeticError, ValueError) as error:
            seen.append((type(error), str(error)))
    for root in (values[-1], values[len(values) // 2], values[-1]):
        root.backward()
        seen += [(v.data, v.grad, v.op, v._local_grads) for v in values]
    # A NaN equals nothing, its text does; repr tells floats apart to the last bit.
    return [repr(item) for item in seen]


@given(st.lists(LEAF, min_size=3, max_size=3), STEPS)
def test_faces_agree_to_the_last_bit(leaves: list[float], steps: list[tuple[str, int, int]]) -> None:
    assert run_program(ScalarValue, leaves, steps) == run_program(ReferenceValue, leaves, steps)


def _with_right(op: Callable[[Any, Any], Any], right: float, left: Any) -> Any:
    return op(left, right)


@given(st.floats(), st.one_of(st.floats(), st.integers(-5, 5)))
def test_faces_agree_on_any_float(x: float, y: float) -> None:
    def outcomes(Value: Any) -> list[str]:
        out = []
        ops: list[Callable[[Any], Any]] = [op for op, _, _ in UNARY.values()]
        ops += [partial(_with_right, op, y) for op in [*BINARY.values(), operator.pow]]
        for op in ops:
            a = Value(x)
            try:
                result = op(a)
                result.backward()
                out.append(repr((result.data, a.grad, result.op)))
            except (ArithmeticError, ValueError) as error:
                out.append(repr(error))
        return out

    assert outcomes(ScalarValue) == outcomes(ReferenceValue)


def train_xor(Value: Any, steps: int) -> list[float]:
    """Losses of a network of 2, 4 and 1 units with tanh, by gradient descent on the squared error."""
    draw = random.Random(7)
    weights = [Value(draw.uniform(-1, 1)) for _ in range(4 * 3 + 5)]
    losses = []
    for _ in range(steps):
        loss = Value(0.0)
        for x0, x1, target in [(0, 0, -1), (0, 1, 1), (1, 0, 1), (1, 1, -1)]:
            out = weights[12]
            for unit in range(4):
                w0, w1, bias = weights[3 * unit : 3 * unit + 3]
                out = out + weights[13 + unit] * (w0 * x0 + w1 * x1 + bias).tanh()
            loss = loss + (out.tanh() - target) ** 2
        for w in weights:
            w.zero_grad()
        loss.backward()
        for w in weights:
            w.data -= 0.1 * w.grad
        losses.append(loss.data)
    return losses


def test_xor_is_learned_alike() -> None:
    compiled, reference = train_xor(ScalarValue, 300), train_xor(ReferenceValue, 300)
    assert compiled == pytest.approx(reference, rel=1e-12, abs=0)
    assert compiled[0] > 3.0 and compiled[-1] < 0.05


# ------------------------------------------------------------------------------------------- backend, drawing


def test_value_follows_the_backend() -> None:
    with gu.backend("cpp"):
        assert scalar.Value is ScalarValue
        with gu.backend("numpy"):
            assert scalar.Value is ReferenceValue
        assert scalar.Value is ScalarValue
    with pytest.raises(AttributeError, match="no attribute 'Valu'"):
        scalar.Valu  # noqa: B018


def test_faces_do_not_mix() -> None:
    with pytest.raises(TypeError, match=r"\[add\] an operand that is not a Value"):
        ScalarValue(1) + ReferenceValue(1)
    with pytest.raises(TypeError, match=r"\[mul\] an operand that is not a Value"):
        ReferenceValue(1) * ScalarValue(1)


SVG = "{http://www.w3.org/2000/svg}"


def picture_of(Value: Any) -> str:
    w, x = Value(0.5, label="w<&>"), Value(2.0, label="a label that is much too long\x00")
    out = (w * x + x).tanh() ** 2
    out.backward()
    return scalar.draw(out)


def test_drawing() -> None:
    text = picture_of(ScalarValue)
    assert text == picture_of(ReferenceValue)
    root = ElementTree.fromstring(text)  # well-formed, whatever the labels hold
    boxes = root.findall(f"{SVG}rect")
    assert len(boxes) == 6
    assert len(root.findall(f"{SVG}path")) == 6
    words = [t.text for t in root.iter(f"{SVG}text")]
    assert {"w<&>", "a label that …", "*", "+", "tanh", "**2", "data 0.5", "grad 1"} <= set(words)
    corners = {(float(b.attrib["x"]), float(b.attrib["y"])) for b in boxes}
    assert len(corners) == len(boxes)
    for x, y in corners:  # boxes overlap neither each other nor the edge
        assert 0 <= x <= float(root.attrib["width"]) - 132 and 0 <= y <= float(root.attrib["height"]) - 58
        assert not any(abs(x - u) < 132 and abs(y - v) < 58 for u, v in corners if (u, v) != (x, y))


@each_face
def test_drawing_of_one_value_twice_used_and_alone(Value: Any) -> None:
    x = Value(math.nan, label="\ud800")
    assert scalar.draw(x).count("<rect") == 1
    ElementTree.fromstring(scalar.draw(x).encode())
    arrows = ElementTree.fromstring(scalar.draw(x + x)).findall(f"{SVG}path")
    assert len({arrow.attrib["d"] for arrow in arrows}) == 2  # both are seen


@each_face
def test_drawing_refuses(Value: Any) -> None:
    with pytest.raises(TypeError, match=r"\[draw\] value must be a Value, but got float"):
        scalar.draw(2.0)  # type: ignore[arg-type]
    total = sum(Value(i) for i in range(151))
    with pytest.raises(ValueError, match=r"\[draw\] at most 300 values can be drawn, but the graph has 303"):
        scalar.draw(total)
    assert scalar.draw(total, max_values=303).count("<rect") == 303
