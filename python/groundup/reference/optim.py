"""Optimizers over NumPy arrays: the update rules as formulas.

Every rule has the same form: ``rule(param, grad, state, …)`` changes ``param`` and ``state`` in place.
``state`` is what is remembered of this one parameter, an empty dictionary at first. The compiled twins are in
``cpp/optim``. Symbols in the docstrings: p parameter, g gradient, t the number of this step, from 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
State = dict[str, Any]


def sgd(
    param: Array,
    grad: Array,
    state: State,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """Stochastic gradient descent: go downhill; with momentum, as a heavy ball does.

    b ← μ b + (1 − dampening) g (b = g at first);  p ← p − lr b, or with Nesterov p ← p − lr (g + μ b).
    """
    g = _direction(param, grad, weight_decay, maximize)
    if momentum != 0:
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = g.copy()
        else:
            state["momentum_buffer"] *= momentum
            state["momentum_buffer"] += (1 - dampening) * g
        b = state["momentum_buffer"]
        g = g + momentum * b if nesterov else b
    param -= lr * g


def rmsprop(
    param: Array,
    grad: Array,
    state: State,
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
    maximize: bool,
) -> None:
    """RMSprop: the gradient over a running root mean square of itself.

    v ← α v + (1 − α) g²;  p ← p − lr g / (√v + ε). Centered: v minus the square of the running mean of g.
    """
    g = _direction(param, grad, weight_decay, maximize)
    _begin(param, state, "square_avg")
    state["step"] += 1
    v = state["square_avg"]
    v *= alpha
    v += (1 - alpha) * g * g
    spread = v
    if centered:
        m = state.setdefault("grad_avg", np.zeros_like(param))
        m += (1 - alpha) * (g - m)
        spread = v - m * m
    d = g / (np.sqrt(spread) + eps)
    if momentum > 0:
        b = state.setdefault("momentum_buffer", np.zeros_like(param))
        b *= momentum
        b += d
        d = b
    param -= lr * d


def adagrad(
    param: Array,
    grad: Array,
    state: State,
    *,
    lr: float,
    lr_decay: float,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """Adagrad: a step that shrinks with all squared gradients so far.

    s ← s + g²;  p ← p − lr / (1 + (t − 1) lr_decay) · g / (√s + ε).
    """
    g = _direction(param, grad, weight_decay, maximize)
    _begin(param, state, "sum")
    state["step"] += 1
    s = state["sum"]
    s += g * g
    param -= lr / (1 + (state["step"] - 1) * lr_decay) * g / (np.sqrt(s) + eps)


def adam(
    param: Array,
    grad: Array,
    state: State,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
    decoupled: bool,
) -> None:
    """Adam, and AdamW where the decay is decoupled: momentum over a running root mean square.

    m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²
    p ← p − lr · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)

    m and v begin at zero; dividing by 1 − βᵗ makes them unbiased. Adam adds the decay to the gradient, so the
    division by √v undoes part of it; AdamW shrinks the parameter itself. AMSGrad uses the largest v so far.
    """
    beta1, beta2 = betas
    if decoupled:
        param *= 1 - lr * weight_decay
        weight_decay = 0.0
    g = _direction(param, grad, weight_decay, maximize)
    _begin(param, state, "exp_avg", "exp_avg_sq")
    state["step"] += 1
    t, m, v = state["step"], state["exp_avg"], state["exp_avg_sq"]
    m += (1 - beta1) * (g - m)
    v *= beta2
    v += (1 - beta2) * g * g
    if amsgrad:
        largest = state.setdefault("max_exp_avg_sq", np.zeros_like(param))
        np.maximum(largest, v, out=largest)
        v = largest
    rms = np.sqrt(v) / math.sqrt(1 - beta2**t)
    param -= lr / (1 - beta1**t) * m / (rms + eps)


def _direction(param: Array, grad: Array, weight_decay: float, maximize: bool) -> Array:
    """The gradient of the loss plus weight_decay / 2 · ‖p‖²; negative to climb."""
    g = -grad if maximize else grad
    return g + weight_decay * param if weight_decay else g


def _begin(param: Array, state: State, *names: str) -> None:
    """Zeros for what a first step needs."""
    state.setdefault("step", 0)
    for name in names:
        if name not in state:
            state[name] = np.zeros_like(param)


def total_norm(grads: Sequence[Array], norm_type: float) -> float:
    """(Σ |g|ᵖ)^(1/p) over all elements of all gradients; the largest |g| for p = ∞."""
    if not grads:
        return 0.0
    flat = np.concatenate([g.ravel() for g in grads]).astype(np.float64)
    largest = float(np.max(np.abs(flat), initial=0.0))
    if math.isinf(norm_type) or largest == 0 or not math.isfinite(largest):
        return largest
    exponent = math.frexp(largest)[1]  # in units of 2^exponent no power overflows, nor do all of them vanish
    powers = np.abs(np.ldexp(flat, -exponent)) ** norm_type
    return float(np.ldexp(np.sum(powers) ** (1 / norm_type), exponent))


def clip_norm(grads: Sequence[Array], max_norm: float, norm: float) -> None:
    """Scale all gradients by one factor, so that their norm, now ``norm``, is at most ``max_norm``."""
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # a NaN too
        for g in grads:
            g *= factor


def average(averages: Sequence[Array], values: Sequence[Array], weight: float) -> None:
    """a ← a + weight · (x − a): with weight 1 − decay an exponential, with 1 / n the plain average."""
    for a, x in zip(averages, values, strict=True):
        a += weight * (x - a)
