"""The scalar engine against PyTorch in float64, and against micrograd where that is installed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from groundup import _core
from groundup.reference.scalar import Value as ReferenceValue

ScalarValue = _core.ScalarValue
FACES = [pytest.param(ScalarValue, id="cpp"), pytest.param(ReferenceValue, id="reference")]


def expression(a: Any, b: Any, c: Any) -> Any:
    """Every operation, with values used several times; written alike for all engines."""
    d = (a * b + c) / (b**2 + 1.5)
    e = (d - a).tanh() * (0.5 - c).sigmoid()
    f = (e * e + 1).log() + (-d * 0.1).exp() + 2 / (b * b + 3)
    return (f + d).relu() * (b**4 + 0.25) ** 0.5 + e ** (-2) * 1e-3 - 3 * f


@pytest.mark.parametrize("Value", FACES)
def test_against_torch(Value: Any) -> None:
    torch = pytest.importorskip("torch")
    draw = random.Random(3)
    for _ in range(50):
        numbers = [draw.uniform(-2, 2) for _ in range(3)]
        mine = [Value(x) for x in numbers]
        theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in numbers]
        out, other = expression(*mine), expression(*theirs)
        assert out.data == pytest.approx(other.item(), rel=1e-12)
        for _ in range(2):  # a second backward accumulates on both sides
            out.backward()
            other.backward(retain_graph=True)
            expected = [x.grad.item() for x in theirs]
            assert [x.grad for x in mine] == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("Value", FACES)
def test_edges_against_torch(Value: Any) -> None:
    torch = pytest.importorskip("torch")
    edges: list[tuple[float, Callable[[Any], Any]]] = [
        (0.0, lambda x: x.relu()),
        (0.0, lambda x: x**0.5),
        (0.0, lambda x: x**0),
        (0.0, lambda x: x**1),
        (0.0, lambda x: x**2),
        (-800.0, lambda x: x.sigmoid()),
        (800.0, lambda x: x.sigmoid()),
        (-3.0, lambda x: x**3),
    ]
    for point, op in edges:
        mine = Value(point)
        theirs = torch.tensor(point, dtype=torch.float64, requires_grad=True)
        out, other = op(mine), op(theirs)
        out.backward()
        other.backward()
        assert out.data == other.item()
        assert mine.grad == theirs.grad.item() or math.isclose(mine.grad, theirs.grad.item(), rel_tol=1e-14)


@pytest.mark.parametrize("Value", FACES)
def test_against_micrograd(Value: Any) -> None:
    engine = pytest.importorskip("micrograd.engine")

    def network(cls: Any) -> tuple[Any, list[Any]]:
        draw = random.Random(5)
        weights = [cls(draw.uniform(-1, 1)) for _ in range(3 * 4 + 4)]
        hidden = [
            sum(w * x for w, x in zip(weights[4 * u :], (0.5, -1.0, 2.0, 0.25), strict=False))
            for u in range(3)
        ]
        out = sum(w * h.relu() for w, h in zip(weights[12:], hidden, strict=False)) + weights[15]
        return (1 - out) ** 2 / 3, weights

    loss, weights = network(Value)
    other, their_weights = network(engine.Value)
    loss.backward()
    other.backward()
    assert loss.data == pytest.approx(other.data, rel=1e-13)
    assert [w.grad for w in weights] == pytest.approx([w.grad for w in their_weights], rel=1e-12, abs=1e-15)
