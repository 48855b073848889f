"""Optimizers, schedules, clipping and averages against PyTorch; the warm-up against transformers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup import optim

torch = pytest.importorskip("torch")

SHAPES: tuple[tuple[int, ...], ...] = ((72, 73), (5,), (), (0, 3), (129,))
STEPS = 50

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.01, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.9, "momentum": 0.7, "weight_decay": 0.02, "maximize": True}),
    ("RMSprop", {"alpha": 0.9, "eps": 1e-2, "centered": True}),
    ("RMSprop", {"alpha": 0.9, "eps": 1e-2, "centered": True, "momentum": 0.5}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.02, "weight_decay": 0.05, "initial_accumulator_value": 0.3}),
    ("Adagrad", {"maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {"lr": 0.02, "betas": (0.6, 0.9), "amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.3, "maximize": True}),
    ("AdamW", {"lr": 0.02, "betas": (0.6, 0.9), "amsgrad": True}),
]  # fmt: skip


class Pair:
    """The same parameters on both sides."""

    def __init__(self, dtype: str) -> None:
        draw = np.random.default_rng(0)
        self.dtype = dtype
        arrays = [draw.standard_normal(shape).astype(dtype) for shape in SHAPES]
        self.ours = [gu.tensor(a, requires_grad=True) for a in arrays]
        self.theirs = [torch.tensor(a, requires_grad=True) for a in arrays]

    def give_gradients(self, step: int) -> None:
        draw = np.random.default_rng(100 + step)
        for i, (mine, other) in enumerate(zip(self.ours, self.theirs, strict=True)):
            grad = draw.standard_normal(tuple(mine.shape)).astype(self.dtype)
            skipped = i == 1 and step % 3 == 0
            mine.grad = None if skipped else gu.tensor(grad)
            other.grad = None if skipped else torch.tensor(grad)


def assert_close(mine: Any, other: Any, dtype: str) -> None:
    # Steps round differently (fused multiply-add), and an error stays in a parameter: some ulps of the largest.
    tolerance = 1e-12 if dtype == "float64" else 2e-6
    mine, other = np.asarray(mine), other.detach().numpy()
    scale = max(1.0, float(np.abs(other).max(initial=0.0)))
    np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("backend", ["cpp", "numpy"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_steps(name: str, options: dict[str, Any], dtype: str, backend: str) -> None:
    with gu.backend(backend):
        pair = Pair(dtype)
        ours = getattr(optim, name)(pair.ours, **options)
        theirs = getattr(torch.optim, name)(pair.theirs, **options)
        for step in range(STEPS):
            pair.give_gradients(step)
            ours.step()
            theirs.step()
        for p, q in zip(pair.ours, pair.theirs, strict=True):
            assert_close(p, q, dtype)
        mine, other = ours.state_dict()["state"], theirs.state_dict()["state"]
        for i, state in other.items():
            kept = {key: value for key, value in state.items() if value is not None}
            assert (mine[i].keys() if kept else set()) == kept.keys()
            for key, value in kept.items():
                assert_close(mine[i][key], value, dtype)


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_defaults(name: str, options: dict[str, Any]) -> None:
    ours = getattr(optim, name)([gu.tensor([1.0], requires_grad=True)], **options)
    theirs = getattr(torch.optim, name)([torch.tensor([1.0], requires_grad=True)], **options)
    for key, value in ours.defaults.items():
        assert theirs.defaults[key] == value, key


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_state_moves_both_ways(name: str, options: dict[str, Any]) -> None:
    """torch for 5 steps, ours for 5 from torch's state, torch again for 5 from ours: as 15 of torch's."""
    whole, pair = Pair("float64"), Pair("float64")
    straight = getattr(torch.optim, name)(whole.theirs, **options)
    for step in range(15):
        whole.give_gradients(step)
        straight.step()

    theirs = getattr(torch.optim, name)(pair.theirs, **options)
    ours = getattr(optim, name)(pair.ours, **options)
    for step in range(5):
        pair.give_gradients(step)
        theirs.step()
    for p, q in zip(pair.ours, pair.theirs, strict=True):
        p.numpy()[...] = q.detach().numpy()
    ours.load_state_dict(theirs.state_dict())
    for step in range(5, 10):
        pair.give_gradients(step)
        ours.step()
    saved = ours.state_dict()
    saved["state"] = {
        i: {k: torch.tensor(np.array(v)) for k, v in state.items()} for i, state in saved["state"].items()
    }
    full = theirs.state_dict()["param_groups"][0]
    theirs.load_state_dict({"state": saved["state"], "param_groups": [{**full, **saved["param_groups"][0]}]})
    with torch.no_grad():
        for p, q in zip(pair.ours, pair.theirs, strict=True):
            q.copy_(torch.tensor(p.numpy()))
    for step in range(10, 15):
        pair.give_gradients(step)
        theirs.step()
    for p, q in zip(pair.theirs, whole.theirs, strict=True):
        assert_close(p.detach().numpy(), q, "float64")


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 7, "gamma": 0.7}),
    ("MultiStepLR", {"milestones": [3, 20, 20, 61], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.97}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 30}),
    ("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 9, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4, "T_mult": 2}),
    ("LambdaLR", {"lr_lambda": lambda n: 1 / math.sqrt(n + 1)}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 100}),
    ("OneCycleLR", {"max_lr": [0.5, 0.2], "total_steps": 100, "anneal_strategy": "linear", "pct_start": 0.41}),
    ("OneCycleLR", {"max_lr": 0.5, "epochs": 10, "steps_per_epoch": 10, "three_phase": True, "cycle_momentum": False}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 100, "div_factor": 3.0, "final_div_factor": 7.0}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 100, "three_phase": True, "anneal_strategy": "linear"}),
]  # fmt: skip


def both_optimizers(name: str = "SGD") -> tuple[Any, Any]:
    options: dict[str, Any] = {"momentum": 0.9} if name == "SGD" else {}
    ours = [{"params": gu.tensor([0.0], requires_grad=True), "lr": lr} for lr in (0.4, 0.03)]
    theirs = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.4, 0.03)]
    return getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)


def assert_same_rates(ours: Any, theirs: Any) -> None:
    for mine, other in zip(ours.param_groups, theirs.param_groups, strict=True):
        for key in ("lr", "momentum", "betas"):
            if key in mine:
                assert mine[key] == pytest.approx(other[key], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_schedules(name: str, options: dict[str, Any], optimizer: str) -> None:
    ours, theirs = both_optimizers(optimizer)
    mine = getattr(optim.lr_scheduler, name)(ours, **options)
    other = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    for _ in range(99):
        assert_same_rates(ours, theirs)
        assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), rel=1e-12, abs=1e-15)
        assert mine.last_epoch == other.last_epoch
        ours.step()
        theirs.step()
        mine.step()
        other.step()
    assert_same_rates(ours, theirs)


def test_sequence() -> None:
    ours, theirs = both_optimizers()
    schedulers = []
    for module, optimizer in ((optim.lr_scheduler, ours), (torch.optim.lr_scheduler, theirs)):
        parts = [
            module.LinearLR(optimizer, 0.1, total_iters=10),
            module.CosineAnnealingLR(optimizer, T_max=40, eta_min=0.01),
            module.ExponentialLR(optimizer, 0.9),
        ]
        schedulers.append(module.SequentialLR(optimizer, parts, milestones=[10, 50]))
    for _ in range(100):
        assert_same_rates(ours, theirs)
        for part in (ours, theirs, *schedulers):
            part.step()


def test_fractions_of_an_epoch() -> None:
    ours, theirs = both_optimizers()
    for multiple in (1, 2):
        mine = optim.lr_scheduler.CosineAnnealingWarmRestarts(ours, 4, multiple)
        other = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(theirs, 4, multiple)
        for i in range(100):
            mine.step(i * 0.3)
            other.step(i * 0.3)
            assert_same_rates(ours, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 1, "factor": 0.5, "cooldown": 2, "min_lr": [0.05, 0.001]},
        {"mode": "max", "patience": 1, "threshold": 0.02},
        {"mode": "max", "patience": 3, "threshold": 0.02, "threshold_mode": "abs", "eps": 1e-3},
        {"patience": 0, "threshold": 0.05, "threshold_mode": "abs", "factor": 0.9},
    ],
)
def test_plateau(options: dict[str, Any]) -> None:
    ours, theirs = both_optimizers()
    mine = optim.lr_scheduler.ReduceLROnPlateau(ours, **options)
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    draw = np.random.default_rng(0)
    for i in range(100):
        metric = float(2 * math.exp(-i / 20) + 0.3 * draw.standard_normal())
        mine.step(metric)
        other.step(metric)
        assert_same_rates(ours, theirs)
        for key in ("best", "num_bad_epochs", "cooldown_counter", "last_epoch"):
            assert getattr(mine, key) == getattr(other, key)


def test_warm_up_against_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    ours, theirs = both_optimizers()
    mine = optim.lr_scheduler.WarmupCosineLR(ours, 10, 90, min_factor=0.1)
    other = transformers.optimization.get_cosine_with_min_lr_schedule_with_warmup(
        theirs, 10, 90, min_lr_rate=0.1
    )
    for _ in range(90):
        assert_same_rates(ours, theirs)
        for part in (ours, theirs, mine, other):
            part.step()


@pytest.mark.parametrize("backend", ["cpp", "numpy"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1e9])
def test_clipping(norm_type: float, max_norm: float, dtype: str, backend: str) -> None:
    with gu.backend(backend):
        pair = Pair(dtype)
        pair.give_gradients(0)
        if math.isinf(norm_type):  # torch refuses an empty gradient then
            pair.ours[3].grad = pair.theirs[3].grad = None
        mine = optim.clip_grad_norm_(pair.ours, max_norm, norm_type)
        other = torch.nn.utils.clip_grad_norm_(pair.theirs, max_norm, norm_type)
        assert float(mine.item()) == pytest.approx(float(other), rel=1e-12 if dtype == "float64" else 2e-6)
        optim.clip_grad_value_(pair.ours, 0.3)
        torch.nn.utils.clip_grad_value_(pair.theirs, 0.3)
        for p, q in zip(pair.ours, pair.theirs, strict=True):
            if q.grad is not None:
                assert_close(p.grad, q.grad, dtype)


@pytest.mark.parametrize("decay", [None, 0.9])
def test_averages(decay: float | None) -> None:
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    theirs = torch.nn.Linear(30, 7).double()
    ours = [gu.tensor(p.detach().numpy(), requires_grad=True) for p in theirs.parameters()]
    mine = optim.WeightAverage(ours, decay)
    rule: Callable[..., Any] | None = None if decay is None else get_ema_multi_avg_fn(decay)
    other = AveragedModel(theirs, multi_avg_fn=rule)
    draw = np.random.default_rng(0)
    for _ in range(STEPS):
        with torch.no_grad():
            for p, q in zip(ours, theirs.parameters(), strict=True):
                value = draw.standard_normal(tuple(p.shape))
                p.numpy()[...] = value
                q.copy_(torch.tensor(value))
        mine.update()
        other.update_parameters(theirs)
    for a, b in zip(mine.values, other.module.parameters(), strict=True):
        assert_close(a, b, "float64")
