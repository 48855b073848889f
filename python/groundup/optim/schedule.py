"""Schedules of the learning rate, under the names of ``torch.optim.lr_scheduler``.

Each is a function of the step's number alone (except `ReduceLROnPlateau`), so it needs no memory of its past:
after ``load_state_dict``, or ``step(n)``, the learning rate is what it would have been. PyTorch computes most of
them from the previous learning rate instead, which differs only when something else changes it as well.

The order in a loop is ``optimizer.step()``, then ``scheduler.step()``.
"""

from __future__ import annotations

import bisect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from groundup.optim import _check
from groundup.optim.optimizer import Optimizer

__all__ = [
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "WarmupCosineLR",
    "warmup_cosine",
]


def warmup_cosine(step: float, warmup_steps: float, total_steps: float, min_factor: float = 0.0) -> float:
    r"""The factor of a linear warm-up from 0 to 1, then half a cosine down to ``min_factor``.

    .. math:: \frac{t}{w} \text{ for } t < w, \qquad
        m + (1 - m)\, \frac{1 + \cos(\pi\, (t - w) / (T - w))}{2} \text{ up to } T, \text{ then } m

    Args:
        step: t, from 0.
        warmup_steps: w; 0 for none.
        total_steps: T, where the cosine reaches its end.
        min_factor: m.

    >>> [warmup_cosine(t, 2, 6) for t in range(7)] == [0.0, 0.5, 1.0, warmup_cosine(3, 2, 6), 0.5,
    ...                                                warmup_cosine(5, 2, 6), 0.0]
    True
    """
    if step < warmup_steps:
        return step / warmup_steps
    done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return min_factor + (1.0 - min_factor) * 0.5 * (1.0 + math.cos(math.pi * done))


class LRScheduler:
    """The base: subclass it and define ``lr_at``.

    Args:
        optimizer: its groups' ``lr`` is written; what it is now (or ``initial_lr``, if a schedule left that
            there) is the base learning rate.
        last_epoch: continue after this step; -1 begins.

    Attributes:
        last_epoch: the number of the current step, from 0. A step may be an epoch or an optimizer step.
    """

    _saved: ClassVar[tuple[str, ...]] = ("last_epoch", "base_lrs")

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self._attach(optimizer)
        name = type(self).__name__
        last_epoch = _check.integer(name, "last_epoch", last_epoch, -1)
        self.base_lrs: list[float] = []
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch >= 0 and "initial_lr" not in group:
                raise KeyError(f"[{name}] to continue, group {number} must have 'initial_lr'")
            self.base_lrs.append(float(group.setdefault("initial_lr", group["lr"])))
        self.last_epoch: float = last_epoch + 1
        self._write()

    def _attach(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"[{type(self).__name__}] optimizer must be an Optimizer, but got {type(optimizer).__name__}"
            )
        self.optimizer = optimizer

    def lr_at(self, step: float, group: int) -> float:
        """The learning rate of a group, by its number, at a step, from 0."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """The learning rate of each group at the current step."""
        return [self.lr_at(self.last_epoch, i) for i in range(len(self.base_lrs))]

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group as this schedule wrote it last."""
        return list(self._last_lr)

    def step(self, epoch: float | None = None) -> None:
        """Go to the next step, or to step ``epoch``, and write the learning rates of it."""
        if epoch is None:
            if self.last_epoch == 0 and self.optimizer._step_count == 0:
                warnings.warn(
                    f"[{type(self).__name__}] step() came before the optimizer's first step(), so the first "
                    "learning rate is never used",
                    UserWarning,
                    stacklevel=2,
                )
            epoch = self.last_epoch + 1
        elif not epoch >= 0:
            raise ValueError(f"[{type(self).__name__}] epoch must be >= 0, but got {epoch}")
        before, self.last_epoch = self.last_epoch, epoch
        try:
            self._write()
        except ValueError:
            self.last_epoch = before
            raise

    def _write(self) -> None:
        lrs = self.get_lr()
        for group, lr in zip(
            self.optimizer.param_groups, lrs, strict=False
        ):  # groups added later are left alone
            group["lr"] = lr
        self._last_lr = lrs

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to continue: plain numbers and lists."""
        return {key: getattr(self, key) for key in self._saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`, and write the learning rates of that step.

        Raises:
            KeyError: a part is missing.
            ValueError: another number of groups, or values out of range.
        """
        name = type(self).__name__
        values = _check.saved(name, state_dict, self._saved)
        last_epoch = _check.at_least_zero(name, "last_epoch", values["last_epoch"])
        base_lrs = [_check.at_least_zero(name, "base_lrs", lr) for lr in values["base_lrs"]]
        if len(base_lrs) != len(self.base_lrs):
            raise ValueError(
                f"[{name}] base_lrs must be {len(self.base_lrs)} numbers, but got {len(base_lrs)}"
            )
        self.last_epoch = int(last_epoch) if last_epoch == int(last_epoch) else last_epoch
        self.base_lrs = base_lrs
        self._write()


class LambdaLR(LRScheduler):
    """The base learning rate times a function of the step.

    Args:
        lr_lambda: a function of the step's number, from 0, or one a group. It is not part of the state.

    >>> import groundup as gu
    >>> optimizer = gu.optim.SGD([gu.tensor([0.0], requires_grad=True)], lr=0.5)
    >>> LambdaLR(optimizer, lambda step: 1 / (step + 1)).lr_at(3, group=0)
    0.125
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[float], float] | Sequence[Callable[[float], float]],
        last_epoch: int = -1,
    ) -> None:
        self._attach(optimizer)
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(
                f"[LambdaLR] lr_lambda must be {groups} functions, but got {len(self.lr_lambdas)}"
            )
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int) -> float:
        return self.base_lrs[group] * self.lr_lambdas[group](step)


class StepLR(LRScheduler):
    """Times ``gamma`` every ``step_size`` steps."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = _check.integer("StepLR", "step_size", step_size, 1)
        self.gamma = _check.at_least_zero("StepLR", "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int) -> float:
        return float(self.base_lrs[group] * self.gamma ** (step // self.step_size))


class MultiStepLR(LRScheduler):
    """Times ``gamma`` at each of the milestones."""

    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = sorted(_check.integer("MultiStepLR", "milestones", m, 0) for m in milestones)
        self.gamma = _check.at_least_zero("MultiStepLR", "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int) -> float:
        return float(self.base_lrs[group] * self.gamma ** bisect.bisect_right(self.milestones, step))


class ExponentialLR(LRScheduler):
    """Times ``gamma`` every step."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = _check.at_least_zero("ExponentialLR", "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int) -> float:
        return float(self.base_lrs[group] * self.gamma**step)


class LinearLR(LRScheduler):
    """A warm-up: a factor on a line from ``start_factor`` to ``end_factor`` over ``total_iters`` steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = _check.up_to_one("LinearLR", "start_factor", start_factor)
        self.end_factor = _check.up_to_one("LinearLR", "end_factor", end_factor)
        self.total_iters = _check.integer("LinearLR", "total_iters", total_iters, 1)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int) -> float:
        done = min(step, self.total_iters) / self.total_iters
        return self.base_lrs[group] * (self.start_factor + (self.end_factor - self.start_factor) * done)


class CosineAnnealingLR(LRScheduler):
    r"""Half a cosine from the base learning rate to ``eta_min`` in ``T_max`` steps, and up again.

    .. math:: \eta_{min} + (\eta_0 - \eta_{min})\, \frac{1 + \cos(\pi t / T_{max})}{2}

    Source: Loshchilov, Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = _check.integer("CosineAnnealingLR", "T_max", T_max, 1)
        self.eta_min = _check.at_least_zero("CosineAnnealingLR", "eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int) -> float:
        return _cosine(self.base_lrs[group], self.eta_min, step / self.T_max)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the base learning rate to ``eta_min``, again and again, each longer than the last.

    Args:
        T_0: steps of the first.
        T_mult: by how much each is longer.

    ``step(epoch)`` may be given a fraction of an epoch.

    Source: Loshchilov, Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        name = "CosineAnnealingWarmRestarts"
        self.T_0 = _check.integer(name, "T_0", T_0, 1)
        self.T_mult = _check.integer(name, "T_mult", T_mult, 1)
        self.eta_min = _check.at_least_zero(name, "eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int) -> float:
        length = self.T_0
        if self.T_mult == 1:
            step = step % length
        while step >= length:
            step -= length
            length *= self.T_mult
        return _cosine(self.base_lrs[group], self.eta_min, step / length)


class WarmupCosineLR(LRScheduler):
    """A linear warm-up from 0, then half a cosine down: what language models train with. See `warmup_cosine`.

    Args:
        warmup_steps: steps of the warm-up; 0 for none.
        total_steps: where the cosine ends; after it the learning rate stays.
        min_factor: the last learning rate over the base learning rate.

    At step 0 of a warm-up the learning rate is 0, as in Hugging Face's schedules.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_steps: int,
        total_steps: int,
        min_factor: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        name = "WarmupCosineLR"
        self.warmup_steps = _check.integer(name, "warmup_steps", warmup_steps, 0)
        self.total_steps = _check.integer(name, "total_steps", total_steps, 1)
        self.min_factor = _check.up_to_one(name, "min_factor", min_factor)
        if self.warmup_steps > self.total_steps:
            raise ValueError(
                f"[{name}] warmup_steps must be at most total_steps, but got {warmup_steps} and {total_steps}"
            )
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int) -> float:
        factor = warmup_cosine(step, self.warmup_steps, self.total_steps, self.min_factor)
        return self.base_lrs[group] * factor


class OneCycleLR(LRScheduler):
    """Up to ``max_lr`` and down to almost nothing, once; momentum moves the other way.

    Args:
        max_lr: the peak, a number or one a group.
        total_steps: length of the cycle; or give ``epochs`` and ``steps_per_epoch``.
        pct_start: the part of the cycle that goes up.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        cycle_momentum: move ``momentum`` (or the first of ``betas``) from ``max_momentum`` to
            ``base_momentum`` and back.
        div_factor: the first learning rate is max_lr / div_factor.
        final_div_factor: the last is the first / final_div_factor.
        three_phase: come down to the first learning rate in as many steps as it went up, then to the last.

    Steps beyond the cycle are refused.

    Source: Smith, Topin, Super-convergence, 2019.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        name = "OneCycleLR"
        self._attach(optimizer)
        if total_steps is not None:
            self.total_steps = _check.integer(name, "total_steps", total_steps, 1)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = _check.integer(name, "epochs", epochs, 1) * _check.integer(
                name, "steps_per_epoch", steps_per_epoch, 1
            )
        else:
            raise ValueError(f"[{name}] total_steps, or epochs and steps_per_epoch, must be given")
        pct_start = _check.up_to_one(name, "pct_start", pct_start)
        self.anneal_strategy = _check.one_of(name, "anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.max_lrs = self._each("max_lr", max_lr, _check.at_least_zero)
        div = _check.positive(name, "div_factor", div_factor)
        final_div = _check.positive(name, "final_div_factor", final_div_factor)
        self.cycle_momentum = _check.flag(name, "cycle_momentum", cycle_momentum)
        self.base_momentums = self._each("base_momentum", base_momentum, _check.below_one)
        self.max_momentums = self._each("max_momentum", max_momentum, _check.below_one)
        self._use_betas = "betas" in optimizer.defaults
        if self.cycle_momentum and not self._use_betas and "momentum" not in optimizer.defaults:
            raise ValueError(
                f"[{name}] cycle_momentum needs an optimizer with momentum or betas, but "
                f"{type(optimizer).__name__} has neither"
            )
        rise = pct_start * self.total_steps - 1  # the step of the peak
        if _check.flag(name, "three_phase", three_phase):
            self._ends = [rise, 2 * rise, self.total_steps - 1.0]
        else:
            self._ends = [rise, self.total_steps - 1.0]
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, self.max_lrs, strict=True):
                group["initial_lr"] = peak / div
        self._final_div = final_div
        super().__init__(optimizer, last_epoch)

    def _each(self, what: str, value: Any, check: Callable[[str, str, Any], float]) -> list[float]:
        groups = len(self.optimizer.param_groups)
        values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
        if len(values) != groups:
            raise ValueError(f"[OneCycleLR] {what} must be {groups} numbers, but got {len(values)}")
        return [check("OneCycleLR", what, v) for v in values]

    def _between(self, step: float, corners: Sequence[float]) -> float:
        """The value at a step of a curve through ``corners``, one more than there are phases."""
        start = 0.0
        for i, end in enumerate(self._ends):
            if step <= end or i == len(self._ends) - 1:
                break
            start = end
        done = min(1.0, (step - start) / (end - start)) if end > start else 1.0
        if self.anneal_strategy == "cos":
            return _cosine(corners[i], corners[i + 1], done)
        return (corners[i + 1] - corners[i]) * done + corners[i]

    def lr_at(self, step: float, group: int) -> float:
        if step > self.total_steps:
            raise ValueError(f"[OneCycleLR] step must be at most {self.total_steps}, but got {step}")
        first, peak = self.base_lrs[group], self.max_lrs[group]
        middle = [first] if len(self._ends) == 3 else []
        return self._between(step, [first, peak, *middle, first / self._final_div])

    def _write(self) -> None:
        super()._write()
        if not self.cycle_momentum:
            return
        for group, low, high in zip(
            self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=False
        ):
            middle = [high] if len(self._ends) == 3 else []
            momentum = self._between(self.last_epoch, [high, low, *middle, high])
            if self._use_betas:
                group["betas"] = (momentum, group["betas"][1])
            else:
                group["momentum"] = momentum


class SequentialLR(LRScheduler):
    """One schedule after the other.

    Args:
        schedulers: each counts its steps from 0 again.
        milestones: the steps at which the second, third … begin.

    >>> import groundup as gu
    >>> optimizer = gu.optim.SGD([gu.tensor([0.0], requires_grad=True)], lr=1.0)
    >>> warmup = LinearLR(optimizer, start_factor=0.25, total_iters=3)
    >>> schedule = SequentialLR(optimizer, [warmup, ExponentialLR(optimizer, 0.5)], milestones=[3])
    >>> [schedule.lr_at(step, group=0) for step in range(6)]
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        name = "SequentialLR"
        self._attach(optimizer)
        self.schedulers = list(schedulers)
        self.milestones = [_check.integer(name, "milestones", m, 1) for m in milestones]
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"[{name}] milestones must be one fewer than schedulers, but got {len(self.milestones)} and "
                f"{len(self.schedulers)}"
            )
        if self.milestones != sorted(set(self.milestones)):
            raise ValueError(f"[{name}] milestones must increase, but got {self.milestones}")
        for s in self.schedulers:
            if not isinstance(s, LRScheduler) or isinstance(s, ReduceLROnPlateau):
                raise TypeError(
                    f"[{name}] schedulers must be functions of the step, but got {type(s).__name__}"
                )
            if s.optimizer is not optimizer:
                raise ValueError(f"[{name}] schedulers must have the same optimizer")
        super().__init__(optimizer, last_epoch)

    def _current(self, step: float) -> tuple[LRScheduler, float]:
        """Whose turn it is, and which of its steps."""
        i = bisect.bisect_right(self.milestones, step)
        return self.schedulers[i], step - (self.milestones[i - 1] if i else 0)

    def lr_at(self, step: float, group: int) -> float:
        scheduler, local = self._current(step)
        return scheduler.lr_at(local, group)

    def _write(self) -> None:
        scheduler, local = self._current(self.last_epoch)
        scheduler.step(local)  # it may write more than learning rates
        self._last_lr = scheduler.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to continue, with a state for each schedule."""
        return {**super().state_dict(), "schedulers": [s.state_dict() for s in self.schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`, and write the learning rates of that step."""
        states = _check.saved("SequentialLR", state_dict, ("schedulers",))["schedulers"]
        if len(states) != len(self.schedulers):
            raise ValueError(
                f"[SequentialLR] schedulers must be {len(self.schedulers)} states, but got {len(states)}"
            )
        for scheduler, state in zip(self.schedulers, states, strict=True):
            scheduler.load_state_dict(state)
        super().load_state_dict(state_dict)


class ReduceLROnPlateau(LRScheduler):
    """Times ``factor`` when a metric has stopped improving.

    Args:
        mode: ``"min"`` for a loss, ``"max"`` for an accuracy.
        factor: below 1.
        patience: bad steps that are allowed; the next one reduces.
        threshold: how much better counts as better: a share of the best value (``threshold_mode="rel"``) or a
            difference (``"abs"``).
        cooldown: steps after a reduction that do not count.
        min_lr: no lower than this, a number or one a group.
        eps: a smaller change is not made.

    A NaN never counts as improvement. Its state does not hold the learning rates: the optimizer's does.
    """

    _saved = ("last_epoch", "best", "num_bad_epochs", "cooldown_counter", "_last_lr")

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        self._attach(optimizer)
        self.mode = _check.one_of(name, "mode", mode, ("min", "max"))
        self.factor = _check.below_one(name, "factor", factor)
        self.patience = _check.integer(name, "patience", patience, 0)
        self.threshold = _check.at_least_zero(name, "threshold", threshold)
        self.threshold_mode = _check.one_of(name, "threshold_mode", threshold_mode, ("rel", "abs"))
        self.cooldown = _check.integer(name, "cooldown", cooldown, 0)
        groups = len(optimizer.param_groups)
        lows = list(min_lr) if isinstance(min_lr, (list, tuple)) else [min_lr] * groups
        if len(lows) != groups:
            raise ValueError(f"[{name}] min_lr must be {groups} numbers, but got {len(lows)}")
        self.min_lrs = [_check.at_least_zero(name, "min_lr", low) for low in lows]
        self.eps = _check.at_least_zero(name, "eps", eps)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.last_epoch = 0
        self._last_lr = [float(group["lr"]) for group in optimizer.param_groups]

    def get_lr(self) -> list[float]:
        """The learning rate of each group now."""
        return self.get_last_lr()

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Take the metric's new value, and reduce the learning rates if patience is at its end."""
        value = _check.number("ReduceLROnPlateau", "metrics", metrics)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, low in zip(self.optimizer.param_groups, self.min_lrs, strict=False):
                lr = max(group["lr"] * self.factor, low)
                if group["lr"] - lr > self.eps:
                    group["lr"] = lr
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]

    def _is_better(self, value: float) -> bool:
        margin = self.threshold * self.best if self.threshold_mode == "rel" else self.threshold
        if math.isinf(self.best):
            margin = 0.0  # nothing came before
        return value < self.best - margin if self.mode == "min" else value > self.best + margin

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`.

        Raises:
            KeyError: a part is missing.
        """
        name = "ReduceLROnPlateau"
        values = _check.saved(name, state_dict, self._saved)
        counts = {
            key: _check.integer(name, key, values[key], 0)
            for key in ("last_epoch", "num_bad_epochs", "cooldown_counter")
        }
        best = _check.number(name, "best", values["best"])
        lrs = [_check.at_least_zero(name, "_last_lr", lr) for lr in values["_last_lr"]]
        for key, count in counts.items():
            setattr(self, key, count)
        self.best, self._last_lr = best, lrs


def _cosine(start: float, end: float, done: float) -> float:
    """From ``start`` to ``end`` along half a cosine."""
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * done))
