"""Stopping when the validation loss no longer improves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from groundup.optim import _check


class EarlyStopping:
    """Tells when a metric has stopped improving.

    Args:
        patience: so many steps in a row without improvement stop the run.
        min_delta: a smaller change is no improvement.
        mode: ``"min"`` for a loss, ``"max"`` for an accuracy.

    Attributes:
        best: the best value so far.
        best_step: the number of the step that gave it, from 1; 0 before any.
        improved: whether the last step was the best so far: the moment to keep a checkpoint.
        stopped: whether patience is at its end.

    A NaN never counts as improvement.

    >>> stopping = EarlyStopping(patience=2)
    >>> [stopping.step(loss) for loss in (1.0, 0.8, 0.9, 0.85)]
    [False, False, False, True]
    >>> stopping.best, stopping.best_step
    (0.8, 2)
    """

    _saved = ("best", "best_step", "bad_steps", "steps", "improved")

    def __init__(self, patience: int = 10, min_delta: float = 0.0, mode: str = "min") -> None:
        name = type(self).__name__
        self.patience = _check.integer(name, "patience", patience, 1)
        self.min_delta = _check.at_least_zero(name, "min_delta", min_delta)
        self.mode = _check.one_of(name, "mode", mode, ("min", "max"))
        self.best = math.inf if mode == "min" else -math.inf
        self.best_step = 0
        self.bad_steps = 0
        self.steps = 0
        self.improved = False

    @property
    def stopped(self) -> bool:
        """Whether patience is at its end."""
        return self.bad_steps >= self.patience

    def step(self, metric: Any) -> bool:
        """Take the metric's new value; returns whether to stop."""
        value = _check.number(type(self).__name__, "metric", metric)
        self.steps += 1
        gain = self.best - value if self.mode == "min" else value - self.best
        self.improved = gain > self.min_delta
        if self.improved:
            self.best, self.best_step, self.bad_steps = value, self.steps, 0
        else:
            self.bad_steps += 1
        return self.stopped

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to continue: plain numbers."""
        return {key: getattr(self, key) for key in self._saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`.

        Raises:
            KeyError: a part is missing.
        """
        values = _check.saved(type(self).__name__, state_dict, self._saved)
        for key, value in values.items():
            setattr(self, key, value)
