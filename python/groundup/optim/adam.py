"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from groundup.optim import _check
from groundup.optim.optimizer import Optimizer, _betas


class Adam(Optimizer):
    r"""Momentum over a running root mean square, both corrected for their start at zero.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2

    .. math:: p \leftarrow p - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Args:
        params: leaf tensors, or dictionaries of groups.
        lr: learning rate η: about how far a parameter moves in a step.
        betas: β₁ and β₂: how slowly m and v forget.
        eps: ε, keeps the division finite.
        weight_decay: λ; adds λ p to the gradient. `AdamW` treats it better.
        amsgrad: divide by the largest v so far.
        maximize: climb instead.

    Source: Kingma, Ba, Adam: a method for stochastic optimization, 2015; amsgrad: Reddi, Kale, Kumar, 2018.

    >>> import groundup as gu
    >>> p = gu.tensor([1.0], requires_grad=True)
    >>> p.grad = gu.tensor([20.0])
    >>> gu.optim.Adam([p], lr=0.1).step()  # the first step is lr long, whatever the gradient's size
    >>> round(p.item(), 6)
    0.9
    """

    _rule = "adam"
    _states = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    _required = ("exp_avg", "exp_avg_sq")
    _decoupled: ClassVar[bool] = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        name = type(self).__name__
        return {
            "lr": _check.at_least_zero(name, "lr", group["lr"]),
            "betas": _betas(name, group),
            "eps": _check.at_least_zero(name, "eps", group["eps"]),
            "weight_decay": _check.at_least_zero(name, "weight_decay", group["weight_decay"]),
            "amsgrad": _check.flag(name, "amsgrad", group["amsgrad"]),
            "maximize": _check.flag(name, "maximize", group["maximize"]),
            "decoupled": self._decoupled,
        }


class AdamW(Adam):
    r"""`Adam` with weight decay that shrinks the parameter itself, apart from the gradient.

    .. math:: p \leftarrow (1 - \eta \lambda)\, p, \quad \text{then a step of Adam with the plain gradient}

    Added to the gradient, decay would be divided by :math:`\sqrt v` like the rest, and parameters with large
    gradients would hardly decay.

    Args:
        weight_decay: λ.

    The other arguments are those of `Adam`.

    Source: Loshchilov, Hutter, Decoupled weight decay regularization, 2019.

    >>> import groundup as gu
    >>> p = gu.tensor([1.0], requires_grad=True)
    >>> p.grad = gu.tensor([20.0])
    >>> gu.optim.AdamW([p], lr=0.1, weight_decay=0.5).step()  # 1 · (1 − 0.1 · 0.5) − 0.1
    >>> round(p.item(), 6)
    0.85
    """

    _decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
