"""Layers against the formulas they stand for, under both backends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup import nn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 4)).astype(np.float32)


@pytest.fixture(params=["cpp", "numpy"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    with gu.backend(request.param):
        gu.manual_seed(0)
        yield


def value(t: Any) -> Any:
    return np.array(t.detach())


def close(got: Any, expected: Any) -> None:
    np.testing.assert_allclose(value(got), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ["none", "relu", "silu"])
def test_linear(activation: str) -> None:
    layer = nn.Linear(4, 3, activation=activation)
    W, b = value(layer.weight), value(layer.bias)
    assert np.abs(W).max() <= 0.5 and np.abs(b).max() <= 0.5  # 1/√in
    y = X @ W.T + b
    close(
        layer(gu.tensor(X)), {"none": y, "relu": np.maximum(y, 0), "silu": y / (1 + np.exp(-y))}[activation]
    )
    assert nn.Linear(4, 3, bias=False).bias is None


def test_embedding() -> None:
    layer = nn.Embedding(6, 3)
    ids = np.array([[0, 5], [5, 2]])
    np.testing.assert_array_equal(value(layer(gu.tensor(ids))), value(layer.weight)[ids])
    layer(gu.tensor(ids)).sum().backward()
    np.testing.assert_array_equal(value(layer.weight.grad)[:, 0], [1, 0, 1, 0, 0, 2])
    with pytest.raises(IndexError):
        layer(gu.tensor([6]))


def test_norms() -> None:
    norm = nn.LayerNorm(4, eps=0.1)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    hat = (X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, keepdims=True) + 0.1)
    close(norm(gu.tensor(X)), hat * value(norm.weight) + value(norm.bias))
    close(nn.RMSNorm(4, eps=0.1)(gu.tensor(X)), X / np.sqrt((X**2).mean(-1, keepdims=True) + 0.1))
    assert nn.LayerNorm(4, elementwise_affine=False).num_parameters() == 0
    assert nn.LayerNorm(4, bias=False).num_parameters() == 4


def test_batch_norm_learns_and_uses_its_statistics() -> None:
    norm = nn.BatchNorm1d(4)
    close(norm(gu.tensor(X)), (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5))
    close(norm.running_mean, 0.1 * X.mean(0))
    close(norm.running_var, 0.9 + 0.1 * X.var(0, ddof=1))
    assert norm.num_batches_tracked.item() == 1
    norm.eval()
    close(norm(gu.tensor(X)), (X - value(norm.running_mean)) / np.sqrt(value(norm.running_var) + 1e-5))
    assert norm.num_batches_tracked.item() == 1
    twin = nn.BatchNorm1d(4)
    twin.load_state_dict(norm.state_dict())
    assert twin.num_batches_tracked.item() == 1
    with pytest.raises(ValueError, match=r"\[BatchNorm2d\] x must be 4-d"):
        nn.BatchNorm2d(4)(gu.tensor(X))


def test_dropout() -> None:
    layer, x = nn.Dropout(0.25), gu.ones(400, 400)
    y = value(layer(x))
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(y.mean() - 1) < 5 * math.sqrt(0.25 / 0.75 / y.size)
    assert layer.eval()(x) is x


@pytest.mark.parametrize(
    ("layer", "formula"),
    [
        (nn.ReLU(), lambda x: np.maximum(x, 0)),
        (nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
        (nn.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
        (nn.GELU(), lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))),
        (nn.GELU("tanh"), lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
        (nn.SiLU(), lambda x: x / (1 + np.exp(-x))),
        (nn.Tanh(), np.tanh),
        (nn.Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
        (nn.Softplus(2.0), lambda x: np.log1p(np.exp(2 * x)) / 2),
        (nn.Softmax(0), lambda x: np.exp(x) / np.exp(x).sum(0)),
        (nn.Flatten(0), lambda x: x.reshape(-1)),
        (nn.Identity(), lambda x: x),
    ],
    ids=lambda case: repr(case) if isinstance(case, nn.Module) else "formula",
)
def test_activations(layer: nn.Module, formula: Any) -> None:
    close(layer(gu.tensor(X)), formula(X.astype(np.float64)))


def test_lists() -> None:
    layers = nn.ModuleList([nn.Linear(2, 2), nn.ReLU()])
    layers.append(nn.Linear(2, 1))
    assert len(layers) == 3 and layers[-1] is list(layers)[2] and len(layers[:2]) == 2
    assert [name for name, _ in layers.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert isinstance(nn.Sequential(nn.ReLU(), nn.Tanh())[1:], nn.Sequential)
    close(nn.Sequential([nn.ReLU(), nn.Tanh()])(gu.tensor(X)), np.tanh(np.maximum(X, 0)))
    with pytest.raises(TypeError, match="elements must be modules, but got int"):
        layers.append(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(0, 1), "in_features must be a positive int, but got 0"),
        (lambda: nn.Linear(1, 2.0), "out_features must be a positive int, but got 2.0"),  # type: ignore[arg-type]
        (lambda: nn.Linear(1, 1, activation="cos"), "activation must be one of none, relu.* got 'cos'"),
        (lambda: nn.Embedding(3, -1), "embedding_dim must be a positive int"),
        (lambda: nn.BatchNorm1d(True), "num_features must be a positive int"),
        (lambda: nn.Dropout(1.0), r"p must be in \[0, 1\), but got 1.0"),
        (lambda: nn.Dropout(math.nan), r"p must be in \[0, 1\)"),
        (lambda: nn.LearnedPositions(0, 4), "n_positions must be a positive int"),
        (lambda: nn.Linear(4, 1)(gu.zeros(2, 3)), r"\[linear\]"),
    ],
)
def test_bad_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
