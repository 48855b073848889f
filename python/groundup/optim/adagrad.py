"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from groundup.optim import _check
from groundup.optim._memory import Memory
from groundup.optim.optimizer import Optimizer


class Adagrad(Optimizer):
    r"""A step that shrinks with all squared gradients so far: rare features keep a large one.

    .. math:: s \leftarrow s + g^2, \qquad
        p \leftarrow p - \frac{\eta}{1 + (t - 1)\,\text{lr\_decay}} \cdot \frac{g}{\sqrt s + \epsilon}

    Args:
        params: leaf tensors, or dictionaries of groups.
        lr: learning rate η.
        lr_decay: how fast it shrinks with the number of steps t.
        weight_decay: λ; adds λ p to the gradient.
        initial_accumulator_value: s before the first step.
        eps: ε, keeps the division finite.
        maximize: climb instead.

    Source: Duchi, Hazan, Singer, Adaptive subgradient methods, 2011.

    >>> import groundup as gu
    >>> p = gu.tensor([1.0], requires_grad=True)
    >>> p.grad = gu.tensor([3.0])
    >>> gu.optim.Adagrad([p], lr=0.5, initial_accumulator_value=16.0).step()  # 1 − 0.5 · 3 / √(16 + 9)
    >>> round(p.item(), 6)
    0.7
    """

    _rule = "adagrad"
    _states = ("sum",)
    _required = ("sum",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        name = type(self).__name__
        start = group["initial_accumulator_value"]
        _check.at_least_zero(name, "initial_accumulator_value", start)
        return {
            "lr": _check.at_least_zero(name, "lr", group["lr"]),
            "lr_decay": _check.at_least_zero(name, "lr_decay", group["lr_decay"]),
            "weight_decay": _check.at_least_zero(name, "weight_decay", group["weight_decay"]),
            "eps": _check.at_least_zero(name, "eps", group["eps"]),
            "maximize": _check.flag(name, "maximize", group["maximize"]),
        }

    def _prepare(self, memory: Memory, group: dict[str, Any]) -> None:
        # The sum is there before the first step, as it need not begin at zero.
        value = float(group["initial_accumulator_value"])
        memory.load([{"step": 0, "sum": np.full(tuple(p.shape), value)} for p in group["params"]])
