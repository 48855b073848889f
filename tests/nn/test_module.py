"""Module: what it registers, saves, loads, counts and prints; and initial values against their distributions."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup import nn


@pytest.fixture(params=["cpp", "numpy"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    with gu.backend(request.param):
        gu.manual_seed(0)
        yield


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 4)
        self.out = nn.Linear(4, 4, bias=False)
        self.scale = nn.Parameter([2.0])
        self.note = "no tensor"
        self.register_buffer("seen", gu.tensor([7.0]))

    def forward(self, x: Any) -> Any:
        return self.out(self.fc(x)) * self.scale


def arrays(module: nn.Module) -> dict[str, Any]:
    return {name: np.array(t) for name, t in module.state_dict().items()}


def test_registration() -> None:
    net = Net()
    assert [name for name, _ in net.named_parameters()] == ["scale", "fc.weight", "fc.bias", "out.weight"]
    assert [name for name, _ in net.named_buffers()] == ["seen"]
    assert [name for name, _ in net.named_modules()] == ["", "fc", "out"]
    assert net.num_parameters() == 1 + 12 + 4 + 16
    assert net.get_submodule("fc") is net.fc
    net.seen = gu.tensor([8.0])
    assert net.state_dict()["seen"].item() == 8.0
    net.scale = None
    assert net.scale is None and net.num_parameters() == 32
    del net.out
    assert [name for name, _ in net.named_modules()] == ["", "fc"]
    with pytest.raises(AttributeError, match="no attribute 'out'"):
        net.out  # noqa: B018 - reading it is the test
    with pytest.raises(AttributeError, match=r"no submodule 'fc\.deeper'"):
        net.get_submodule("fc.deeper")


def test_set_up_in_the_wrong_order() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.fc = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) before"):
        Early()
    with pytest.raises(TypeError, match="must define forward"):
        nn.Module()(1)


def test_state_dict_round_trip() -> None:
    net, other = Net(), Net()
    assert not np.array_equal(arrays(net)["fc.weight"], arrays(other)["fc.weight"])
    result = other.load_state_dict(net.state_dict())
    assert result == ([], [])
    for name, array in arrays(net).items():
        np.testing.assert_array_equal(arrays(other)[name], array)
    assert all(p.requires_grad and p.is_leaf for p in other.parameters())
    net.fc.weight.detach().zero_()
    assert np.any(arrays(other)["fc.weight"])  # copied, not shared
    assert not np.any(np.asarray(net.state_dict()["fc.weight"]))  # shared, not copied


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda s: s.pop("fc.bias"), KeyError, r"missing \['fc.bias'\]"),
        (lambda s: s.update(extra=np.zeros(1)), KeyError, r"unexpected \['extra'\]"),
        (
            lambda s: s.update({"out.weight": np.zeros((4, 5))}),
            ValueError,
            r"out.weight must have shape \(4, 4\)",
        ),
        (lambda s: s.update({"seen": np.array(["x"])}), TypeError, "seen must hold numbers"),
    ],
)
def test_nothing_changes_when_a_state_does_not_fit(damage: Any, error: type[Exception], message: str) -> None:
    net = Net()
    before = arrays(net)
    state: dict[str, Any] = {name: array + 1 for name, array in before.items()}
    damage(state)
    with pytest.raises(error, match=message):
        net.load_state_dict(state)
    for name, array in arrays(net).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("value", [np.array(1.5), np.array(1.5, np.float16)])
def test_nothing_changes_when_a_dtype_does_not_fit(value: Any) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))  # counts its batches in an int
    before = arrays(net)
    state = {name: array + 1 for name, array in before.items()}
    with pytest.raises(TypeError, match="num_batches_tracked must hold int64, but got float"):
        net.load_state_dict({**state, "1.num_batches_tracked": value})
    for name, array in arrays(net).items():
        np.testing.assert_array_equal(array, before[name])


def test_not_strict() -> None:
    net = Net()
    result = net.load_state_dict({"scale": np.array([5.0]), "other": np.zeros(1)}, strict=False)
    assert net.scale.item() == 5.0
    assert result.unexpected_keys == ["other"] and "fc.weight" in result.missing_keys


def test_state_from_the_other_backend() -> None:
    net = Net()
    with gu.backend("numpy" if type(net.scale).__module__ == "groundup._core" else "cpp"):
        other = Net()
        other.load_state_dict(net.state_dict())
    for name, array in arrays(net).items():
        np.testing.assert_array_equal(arrays(other)[name], array)


def test_tied_weights_are_one() -> None:
    net = Net()
    net.out.weight = net.other = net.scale
    assert net.num_parameters() == 1 + 16
    assert len(list(net.parameters())) == 3
    assert {"scale", "out.weight", "other"} <= set(net.state_dict())
    assert "out: Linear(4, 4, bias=False)  # shared parameters" in repr(net)


def test_modes_freezing_and_gradients() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Dropout(0.5)))
    assert net.eval() is net and not any(m.training for m in net.modules())
    x = gu.ones(2, 3)
    np.testing.assert_array_equal(np.asarray(net(x).detach()), np.asarray(net(x).detach()))
    net.train()
    assert all(m.training for m in net.modules())
    net(x).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(x).requires_grad
    assert len(list(net.parameters())) == 2


def test_hooks() -> None:
    net, calls = nn.Identity(), []
    before = net.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    after = net.register_forward_hook(lambda m, args, result: calls.append((args, result)))
    double = net.register_forward_hook(lambda m, args, result: 2 * result)
    assert net(1) == 4 and calls == [((2,), 2)]
    before.remove()
    assert net(1) == 2
    after.remove()
    double.remove()
    again = net.register_forward_hook(lambda m, args, result: -result)
    double.remove()  # a second time: the newer hook stays
    after.remove()
    assert net(1) == -1
    again.remove()
    assert net(1) == 1 and len(calls) == 2


def test_apply_goes_inside_out() -> None:
    order: list[str] = []
    nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh())).apply(lambda m: order.append(type(m).__name__))
    assert order == ["ReLU", "Tanh", "Sequential", "Sequential"]


def test_deep_copy_keeps_ties_and_shares_nothing() -> None:
    net = Net()
    net.again = net.scale
    twin = copy.deepcopy(net)
    assert twin.again is twin.scale and twin.scale is not net.scale
    twin.scale.detach().zero_()
    assert net.scale.item() == 2.0


def test_repr_counts() -> None:
    lines = repr(nn.Sequential(nn.Linear(2, 500), nn.ReLU(), nn.Linear(500, 1, bias=False))).splitlines()
    assert lines == [
        "Sequential()  # 2,000 parameters",
        "  0: Linear(2, 500, bias=True)  # 1,500 parameters",
        "  1: ReLU()",
        "  2: Linear(500, 1, bias=False)  # 500 parameters",
    ]
    tied = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    tied[1].weight = tied[0].weight
    assert repr(tied).splitlines()[0] == "Sequential()  # 16 parameters"
    assert repr(tied).splitlines()[2] == "  1: Linear(4, 4, bias=False)  # shared parameters"


# ------------------------------------------------------------------------------------------- initial values

OUT, IN = 200, 300
N = OUT * IN


@pytest.mark.parametrize(
    ("fill", "mean", "std", "bound"),
    [
        (lambda t: nn.init.normal_(t, 1.0, 2.0), 1.0, 2.0, None),
        (lambda t: nn.init.uniform_(t, -1.0, 3.0), 1.0, 4 / math.sqrt(12), (-1.0, 3.0)),
        # N(0, 1) cut to ±1 has variance 1 − 2φ(1)/(2Φ(1) − 1).
        (lambda t: nn.init.trunc_normal_(t, a=-1.0, b=1.0), 0.0, 0.5396, (-1.0, 1.0)),
        (nn.init.xavier_uniform_, 0.0, math.sqrt(2 / (IN + OUT)), (-math.sqrt(6 / 500), math.sqrt(6 / 500))),
        (lambda t: nn.init.xavier_normal_(t, 3.0), 0.0, 3 * math.sqrt(2 / (IN + OUT)), None),
        (nn.init.kaiming_uniform_, 0.0, math.sqrt(2 / IN), (-math.sqrt(6 / IN), math.sqrt(6 / IN))),
        (lambda t: nn.init.kaiming_normal_(t, a=1.0), 0.0, math.sqrt(1 / IN), None),
        (lambda t: nn.init.kaiming_uniform_(t, nonlinearity="relu"), 0.0, math.sqrt(2 / IN), None),
        (
            lambda t: nn.init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"),
            0.0,
            math.sqrt(2 / OUT),
            None,
        ),
    ],
)
def test_initial_distributions(fill: Any, mean: float, std: float, bound: tuple[float, float] | None) -> None:
    values = np.asarray(fill(gu.zeros(OUT, IN)), np.float64)
    # Five standard errors of a mean and, for a density no heavier than the normal, of a standard deviation.
    assert abs(values.mean() - mean) < 5 * std / math.sqrt(N)
    assert abs(values.std() / std - 1) < 5 / math.sqrt(2 * N) + 1e-4
    if bound is not None:
        assert bound[0] <= values.min() and values.max() <= bound[1]


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (4, 3, 2)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    q = np.asarray(nn.init.orthogonal_(gu.zeros(*shape), gain=2.0), np.float64).reshape(shape[0], -1)
    gram = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)


def test_initial_values_follow_the_seed_and_keep_the_leaf() -> None:
    p = nn.Parameter(gu.zeros(3, 3))
    gu.manual_seed(5)
    first = np.array(nn.init.normal_(p).detach())
    gu.manual_seed(5)
    np.testing.assert_array_equal(np.asarray(nn.init.normal_(p).detach()), first)
    assert p.requires_grad and p.is_leaf
    nn.init.constant_(p, 3.0)
    assert np.all(np.asarray(p.detach()) == 3.0)


def test_initializers_refuse() -> None:
    with pytest.raises(ValueError, match="need two dimensions"):
        nn.init.xavier_normal_(gu.zeros(3))
    with pytest.raises(ValueError, match="mode must be"):
        nn.init.kaiming_normal_(gu.zeros(3, 3), mode="fan")
    with pytest.raises(ValueError, match="nonlinearity must be one of"):
        nn.init.kaiming_normal_(gu.zeros(3, 3), nonlinearity="cos")
