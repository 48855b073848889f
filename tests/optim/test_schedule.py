"""Schedules: values worked by hand, resuming, what they refuse. Against PyTorch: tests/peers/test_peer_optim.py."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import groundup as gu
from groundup import optim
from groundup.optim import schedule as s


def wrong(value: Any) -> Any:
    """A value of a type that the type checker would refuse as well."""
    return value


def sgd(*rates: float, **options: Any) -> optim.SGD:
    groups = [{"params": gu.tensor([0.0], requires_grad=True), "lr": lr} for lr in rates or (1.0,)]
    return optim.SGD(groups, momentum=0.9, **options)


def rates(make: Callable[[optim.Optimizer], s.LRScheduler], steps: int, *base: float) -> list[float]:
    optimizer = sgd(*base)
    scheduler = make(optimizer)
    values = []
    for _ in range(steps):
        assert scheduler.get_last_lr() == scheduler.get_lr() == [g["lr"] for g in optimizer.param_groups]
        values.append(scheduler.get_last_lr()[-1])
        optimizer.step()
        scheduler.step()
    return values


def test_by_hand() -> None:
    half = math.sqrt(0.5)
    expected: list[tuple[Callable[[Any], s.LRScheduler], list[float]]] = [
        (lambda o: s.StepLR(o, 2, gamma=0.5), [1, 1, 0.5, 0.5, 0.25]),
        (lambda o: s.MultiStepLR(o, [3, 1], gamma=0.5), [1, 0.5, 0.5, 0.25, 0.25]),
        (lambda o: s.ExponentialLR(o, 0.5), [1, 0.5, 0.25, 0.125]),
        (lambda o: s.LambdaLR(o, lambda n: 1 / (n + 1)), [1, 1 / 2, 1 / 3]),
        (lambda o: s.LinearLR(o, 0.25, 1.0, total_iters=3), [0.25, 0.5, 0.75, 1, 1]),
        (
            lambda o: s.CosineAnnealingLR(o, 4, eta_min=0.5),
            [1, 0.75 + half / 4, 0.75, 0.75 - half / 4, 0.5, 0.75 - half / 4],
        ),
        (lambda o: s.CosineAnnealingWarmRestarts(o, 1, 2), [1, 1, 0.5, 1, 0.5 + half / 2, 0.5, 0.5 - half / 2, 1]),
        (lambda o: s.WarmupCosineLR(o, 2, 4, min_factor=0.5), [0, 0.5, 1, 0.75, 0.5, 0.5]),
        (
            lambda o: s.OneCycleLR(
                o, 1.0, 5, pct_start=0.6, anneal_strategy="linear", div_factor=5, final_div_factor=2
            ),
            [0.2, 0.6, 1.0, 0.55, 0.1],
        ),
    ]  # fmt: skip
    for make, values in expected:
        assert rates(make, len(values)) == pytest.approx(values, rel=1e-14, abs=1e-15)
        assert rates(make, len(values), 3.0, 1.0) == pytest.approx(values, rel=1e-14, abs=1e-15)


def test_one_cycle_moves_momentum_the_other_way() -> None:
    for optimizer in (sgd(), optim.AdamW([gu.tensor([0.0], requires_grad=True)])):
        scheduler = s.OneCycleLR(optimizer, 1.0, 5, pct_start=0.6, anneal_strategy="linear")
        group, momenta = optimizer.param_groups[0], []
        for _ in range(5):
            momenta.append(group["betas"][0] if "betas" in group else group["momentum"])
            optimizer.step()
            scheduler.step()
        assert momenta == pytest.approx([0.95, 0.9, 0.85, 0.9, 0.95], rel=1e-14)
        assert group["lr"] == pytest.approx(1 / 25 / 1e4)  # the call after the last step
        with pytest.raises(ValueError, match=r"\[OneCycleLR\] step must be at most 5, but got 6"):
            scheduler.step()
        assert scheduler.last_epoch == 5


def test_one_cycle_with_an_empty_rise() -> None:
    for part in (0.0, 0.2):  # the peak at or before step 0
        scheduler = s.OneCycleLR(sgd(), 1.0, 5, pct_start=part, anneal_strategy="linear")
        assert all(math.isfinite(scheduler.lr_at(step, 0)) for step in range(6))
    assert s.OneCycleLR(sgd(), 1.0, epochs=2, steps_per_epoch=3).total_steps == 6


def test_plateau() -> None:
    optimizer = sgd(1.0, 0.2)
    plateau = s.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=1, cooldown=1, min_lr=[0.3, 0.15], threshold=0.1
    )
    seen = []
    for loss in (1.0, 0.95, 0.95, 0.95, 0.95, 0.95, math.nan, math.nan, math.nan):
        plateau.step(loss)
        seen.append(tuple(plateau.get_last_lr()))
    # 0.95 is less than 10 % better; the step after a reduction does not count
    assert [a for a, _ in seen] == [1.0, 1.0, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3]
    assert [b for _, b in seen] == [0.2, 0.2, 0.15, 0.15, 0.15, 0.15, 0.15, 0.15, 0.15]
    other = s.ReduceLROnPlateau(sgd(0.3, 0.15), factor=0.5, patience=1, cooldown=1, threshold=0.1)
    other.load_state_dict(json.loads(json.dumps(plateau.state_dict())))
    assert other.state_dict() == plateau.state_dict()
    with pytest.raises(KeyError):
        other.load_state_dict({"best": 1.0})


FACTORIES: dict[str, Callable[[optim.Optimizer], s.LRScheduler]] = {
    "step": lambda o: s.StepLR(o, 3),
    "multi-step": lambda o: s.MultiStepLR(o, [2, 5, 9]),
    "exponential": lambda o: s.ExponentialLR(o, 0.9),
    "lambda": lambda o: s.LambdaLR(o, [lambda n: 0.9**n, lambda n: 1 / (n + 1)]),
    "linear": lambda o: s.LinearLR(o, total_iters=7),
    "cosine": lambda o: s.CosineAnnealingLR(o, 8, 0.01),
    "restarts": lambda o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "warm-up": lambda o: s.WarmupCosineLR(o, 4, 15, 0.1),
    "one-cycle": lambda o: s.OneCycleLR(o, [1.0, 0.5], 20, three_phase=True),
    "sequence": lambda o: s.SequentialLR(
        o, [s.LinearLR(o, total_iters=4), s.OneCycleLR(o, 1.0, 20), s.ExponentialLR(o, 0.5)], [4, 12]
    ),
}


@pytest.mark.parametrize("name", FACTORIES)
def test_resumes_from_plain_json_or_from_a_step_number(name: str) -> None:
    def values(scheduler: s.LRScheduler, optimizer: optim.Optimizer, steps: int) -> list[Any]:
        seen = []
        for _ in range(steps):
            seen.append([(g["lr"], g["momentum"]) for g in optimizer.param_groups])
            optimizer.step()
            scheduler.step()
        return seen

    optimizer = sgd(1.0, 0.3)
    scheduler = FACTORIES[name](optimizer)
    values(scheduler, optimizer, 6)
    saved = json.loads(json.dumps(scheduler.state_dict()))
    rest = values(scheduler, optimizer, 8)

    other = sgd(1.0, 0.3)
    resumed = FACTORIES[name](other)
    resumed.load_state_dict(saved)
    assert values(resumed, other, 8) == rest

    third = sgd(1.0, 0.3)
    jumped = FACTORIES[name](third)
    jumped.step(6)
    assert values(jumped, third, 8) == rest


def test_last_epoch_continues() -> None:
    optimizer = sgd(0.25)
    with pytest.raises(KeyError, match="group 0 must have 'initial_lr'"):
        s.ExponentialLR(optimizer, 0.5, last_epoch=3)
    optimizer.param_groups[0]["initial_lr"] = 1.0
    scheduler = s.ExponentialLR(optimizer, 0.5, last_epoch=3)
    assert scheduler.last_epoch == 4 and scheduler.get_last_lr() == [0.0625]


def test_a_group_added_later_is_left_alone() -> None:
    optimizer = sgd(1.0)
    scheduler = s.ExponentialLR(optimizer, 0.5)
    optimizer.add_param_group({"params": gu.tensor([0.0], requires_grad=True), "lr": 0.7})
    optimizer.step()
    scheduler.step()
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.7]


def test_warns_when_the_first_rate_is_skipped() -> None:
    optimizer = sgd()
    scheduler = s.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match=r"\[StepLR\] step\(\) came before the optimizer's first step\(\)"):
        scheduler.step()
    other = sgd()
    scheduler = s.StepLR(other, 1)
    other.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()


def test_warmup_cosine() -> None:
    assert s.warmup_cosine(0, 0, 10) == 1.0
    assert s.warmup_cosine(5, 10, 20) == 0.5
    assert (
        s.warmup_cosine(20, 10, 20, 0.1) == s.warmup_cosine(99, 10, 20, 0.1) == pytest.approx(0.1, rel=1e-15)
    )
    assert s.warmup_cosine(10, 10, 10) == 1.0  # a warm-up that fills the run
    falling = [s.warmup_cosine(t, 10, 50) for t in range(10, 51)]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda _: s.StepLR(wrong(None), 1), TypeError, "[StepLR] optimizer must be an Optimizer, but got NoneType"),
        (lambda o: s.StepLR(o, 0), ValueError, "[StepLR] step_size must be >= 1, but got 0"),
        (lambda o: s.StepLR(o, wrong(1.5)), TypeError, "[StepLR] step_size must be an int, but got float"),
        (lambda o: s.StepLR(o, 1, math.nan), ValueError, "[StepLR] gamma must be >= 0, but got nan"),
        (lambda o: s.StepLR(o, 1, last_epoch=-2), ValueError, "[StepLR] last_epoch must be >= -1, but got -2"),
        (lambda o: s.MultiStepLR(o, [-1]), ValueError, "[MultiStepLR] milestones must be >= 0, but got -1"),
        (lambda o: s.ExponentialLR(o, -1), ValueError, "[ExponentialLR] gamma must be >= 0, but got -1"),
        (lambda o: s.LambdaLR(o, [abs, abs]), ValueError, "[LambdaLR] lr_lambda must be 1 functions, but got 2"),
        (lambda o: s.LinearLR(o, 2.0), ValueError, "[LinearLR] start_factor must be in [0, 1], but got 2.0"),
        (lambda o: s.LinearLR(o, total_iters=0), ValueError, "[LinearLR] total_iters must be >= 1, but got 0"),
        (lambda o: s.CosineAnnealingLR(o, 0), ValueError, "[CosineAnnealingLR] T_max must be >= 1, but got 0"),
        (
            lambda o: s.CosineAnnealingWarmRestarts(o, 1, 0),
            ValueError,
            "[CosineAnnealingWarmRestarts] T_mult must be >= 1, but got 0",
        ),
        (
            lambda o: s.WarmupCosineLR(o, 5, 4),
            ValueError,
            "[WarmupCosineLR] warmup_steps must be at most total_steps, but got 5 and 4",
        ),
        (
            lambda o: s.OneCycleLR(o, 1.0),
            ValueError,
            "[OneCycleLR] total_steps, or epochs and steps_per_epoch, must be given",
        ),
        (lambda o: s.OneCycleLR(o, [1, 2], 9), ValueError, "[OneCycleLR] max_lr must be 1 numbers, but got 2"),
        (lambda o: s.OneCycleLR(o, 1, 9, pct_start=2), ValueError, "[OneCycleLR] pct_start must be in [0, 1]"),
        (
            lambda o: s.OneCycleLR(o, 1, 9, anneal_strategy="up"),
            ValueError,
            "[OneCycleLR] anneal_strategy must be 'cos' or 'linear', but got 'up'",
        ),
        (lambda o: s.OneCycleLR(o, 1, 9, div_factor=0), ValueError, "[OneCycleLR] div_factor must be > 0"),
        (lambda o: s.ReduceLROnPlateau(o, factor=1.0), ValueError, "[ReduceLROnPlateau] factor must be in [0, 1)"),
        (lambda o: s.ReduceLROnPlateau(o, "up"), ValueError, "[ReduceLROnPlateau] mode must be 'min' or 'max'"),
        (
            lambda o: s.ReduceLROnPlateau(o, min_lr=[0, 0]),
            ValueError,
            "[ReduceLROnPlateau] min_lr must be 1 numbers, but got 2",
        ),
        (lambda o: s.ReduceLROnPlateau(o).step("x"), TypeError, "[ReduceLROnPlateau] metrics must be a number"),
        (lambda o: s.StepLR(o, 1).step(-1), ValueError, "[StepLR] epoch must be >= 0, but got -1"),
        (
            lambda o: s.SequentialLR(o, [s.StepLR(o, 1)], [1]),
            ValueError,
            "[SequentialLR] milestones must be one fewer than schedulers, but got 1 and 1",
        ),
        (
            lambda o: s.SequentialLR(o, [s.StepLR(o, 1)] * 3, [2, 2]),
            ValueError,
            "[SequentialLR] milestones must increase, but got [2, 2]",
        ),
        (
            lambda o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []),
            TypeError,
            "[SequentialLR] schedulers must be functions of the step, but got ReduceLROnPlateau",
        ),
        (
            lambda o: s.SequentialLR(o, [s.StepLR(sgd(), 1)], []),
            ValueError,
            "[SequentialLR] schedulers must have the same optimizer",
        ),
        (
            lambda o: s.StepLR(o, 1).load_state_dict({"last_epoch": 1, "base_lrs": [1, 1]}),
            ValueError,
            "[StepLR] base_lrs must be 1 numbers, but got 2",
        ),
        (
            lambda o: s.StepLR(o, 1).load_state_dict({"last_epoch": -1, "base_lrs": [1]}),
            ValueError,
            "[StepLR] last_epoch must be >= 0, but got -1",
        ),
        (
            lambda o: s.StepLR(o, 1).load_state_dict({"base_lrs": [1]}),
            KeyError,
            "[StepLR] the state must have 'last_epoch'",
        ),
    ],
)  # fmt: skip
def test_refuses(make: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make(sgd())
    assert caught.value.args[0].startswith(message)


def test_one_cycle_needs_momentum_to_cycle() -> None:
    adagrad = optim.Adagrad([gu.tensor([0.0], requires_grad=True)])
    with pytest.raises(
        ValueError, match="cycle_momentum needs an optimizer with momentum or betas, but Adagrad"
    ):
        s.OneCycleLR(adagrad, 1.0, 5)
    s.OneCycleLR(adagrad, 1.0, 5, cycle_momentum=False)
