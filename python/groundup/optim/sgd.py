"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from groundup.optim import _check
from groundup.optim.optimizer import Optimizer


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum and Nesterov's variant.

    .. math:: b \leftarrow \mu b + (1 - d)\, g, \qquad p \leftarrow p - \eta\, b

    The first :math:`b` is :math:`g`. With ``nesterov`` the step is :math:`g + \mu b` instead of :math:`b`.

    Args:
        params: leaf tensors, or dictionaries of groups.
        lr: learning rate η.
        momentum: μ; 0 is plain descent.
        dampening: d.
        weight_decay: λ; adds λ p to the gradient.
        nesterov: look ahead; needs momentum, and no dampening.
        maximize: climb instead.

    Source: Sutskever et al., On the importance of initialization and momentum in deep learning, 2013.

    >>> import groundup as gu
    >>> p = gu.tensor([1.0], requires_grad=True)
    >>> p.grad = gu.tensor([0.5])
    >>> gu.optim.SGD([p], lr=0.5).step()
    >>> p.item()
    0.75
    """

    _rule = "sgd"
    _states = ("momentum_buffer",)
    _required = ()
    _counts = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        name = type(self).__name__
        options = {
            "lr": _check.at_least_zero(name, "lr", group["lr"]),
            "momentum": _check.at_least_zero(name, "momentum", group["momentum"]),
            "dampening": _check.number(name, "dampening", group["dampening"]),
            "weight_decay": _check.at_least_zero(name, "weight_decay", group["weight_decay"]),
            "nesterov": _check.flag(name, "nesterov", group["nesterov"]),
            "maximize": _check.flag(name, "maximize", group["maximize"]),
        }
        if not abs(options["dampening"]) < float("inf"):
            raise ValueError(f"[{name}] dampening must be finite, but got {group['dampening']}")
        if options["nesterov"] and (options["momentum"] == 0 or options["dampening"] != 0):
            raise ValueError(
                f"[{name}] nesterov needs momentum > 0 and dampening 0, but got {group['momentum']} and "
                f"{group['dampening']}"
            )
        return options
