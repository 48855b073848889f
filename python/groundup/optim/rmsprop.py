"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from groundup.optim import _check
from groundup.optim.optimizer import Optimizer


class RMSprop(Optimizer):
    r"""The gradient over a running root mean square of itself, so that every parameter moves at a like pace.

    .. math:: v \leftarrow \alpha v + (1 - \alpha) g^2, \qquad
        p \leftarrow p - \eta\, \frac{g}{\sqrt v + \epsilon}

    Args:
        params: leaf tensors, or dictionaries of groups.
        lr: learning rate η.
        alpha: how slowly the mean square forgets.
        eps: ε, keeps the division finite.
        weight_decay: λ; adds λ p to the gradient.
        momentum: of the scaled gradient; 0 for none.
        centered: subtract the squared running mean of g from v, which makes it a variance.
        maximize: climb instead.

    Source: Hinton, Neural networks for machine learning, lecture 6e, 2012; centered: Graves, 2013.

    >>> import groundup as gu
    >>> p = gu.tensor([1.0], requires_grad=True)
    >>> p.grad = gu.tensor([4.0])
    >>> gu.optim.RMSprop([p], lr=0.1, alpha=0.75, eps=0.0).step()  # v = 0.25 · 16 = 4; 1 − 0.1 · 4 / 2
    >>> round(p.item(), 6)
    0.8
    """

    _rule = "rmsprop"
    _states = ("square_avg", "momentum_buffer", "grad_avg")
    _required = ("square_avg",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        name = type(self).__name__
        return {
            "lr": _check.at_least_zero(name, "lr", group["lr"]),
            "alpha": _check.up_to_one(name, "alpha", group["alpha"]),
            "eps": _check.at_least_zero(name, "eps", group["eps"]),
            "weight_decay": _check.at_least_zero(name, "weight_decay", group["weight_decay"]),
            "momentum": _check.at_least_zero(name, "momentum", group["momentum"]),
            "centered": _check.flag(name, "centered", group["centered"]),
            "maximize": _check.flag(name, "maximize", group["maximize"]),
        }
