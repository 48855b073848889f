"""Initial values of parameters, written in place. Drawn from the one random stream (`groundup.manual_seed`), so
they are the same under both backends.

Fan-in and fan-out of a weight [out, in, …] are ``in`` and ``out``, each times the kernel's size.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import groundup as gu


def _fans(tensor: Any) -> tuple[int, int]:
    if len(tensor.shape) < 2:
        raise gu.ShapeError(
            f"[init] fan in and fan out need two dimensions, but got shape {tuple(tensor.shape)}"
        )
    kernel = int(np.prod(tensor.shape[2:]))
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def _fill(tensor: Any, value: Any) -> Any:
    with gu.no_grad():
        return tensor.copy_(value)


def zeros_(tensor: Any) -> Any:
    """Fill with zeros."""
    return _fill(tensor, 0.0)


def ones_(tensor: Any) -> Any:
    """Fill with ones."""
    return _fill(tensor, 1.0)


def constant_(tensor: Any, value: float) -> Any:
    """Fill with ``value``."""
    return _fill(tensor, value)


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0) -> Any:
    """Fill from N(mean, std²)."""
    return _fill(tensor, gu.randn(*tensor.shape, dtype=tensor.dtype).numpy() * std + mean)


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0) -> Any:
    """Fill uniformly from [a, b)."""
    return _fill(tensor, gu.rand(*tensor.shape, dtype=tensor.dtype).numpy() * (b - a) + a)


def trunc_normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Any:
    """Fill from N(mean, std²) cut to [a, b], by the inverse of the cumulative distribution."""
    from statistics import NormalDist

    unit = NormalDist(mean, std)
    low, high = unit.cdf(a), unit.cdf(b)
    u = gu.rand(*tensor.shape, dtype="float64").numpy()
    quantile = np.vectorize(unit.inv_cdf, otypes=[np.float64])
    eps = np.finfo(np.float64).tiny
    return _fill(
        tensor,
        np.clip(quantile(np.clip(low + u * (high - low), eps, 1 - 1e-16)), a, b).astype(tensor.numpy().dtype),
    )


def gain(nonlinearity: str, slope: float = 0.01) -> float:
    """The factor that keeps the variance of activations through a nonlinearity."""
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2.0),
        "leaky_relu": math.sqrt(2.0 / (1 + slope**2)),
        "selu": 3 / 4,
    }
    if nonlinearity not in gains:
        raise ValueError(f"[init] nonlinearity must be one of {', '.join(gains)}, but got {nonlinearity!r}")
    return gains[nonlinearity]


def xavier_uniform_(tensor: Any, gain: float = 1.0) -> Any:
    """Uniform with variance 2·gain²/(fan_in + fan_out) (Glorot and Bengio, 2010)."""
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Any, gain: float = 1.0) -> Any:
    """Normal with variance 2·gain²/(fan_in + fan_out) (Glorot and Bengio, 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))))


def _kaiming_std(tensor: Any, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"[init] mode must be 'fan_in' or 'fan_out', but got {mode!r}")
    fan_in, fan_out = _fans(tensor)
    return gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def kaiming_uniform_(
    tensor: Any, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Any:
    """Uniform with variance gain²/fan (He et al., 2015)."""
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Any, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Any:
    """Normal with variance gain²/fan (He et al., 2015)."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity))


def orthogonal_(tensor: Any, gain: float = 1.0) -> Any:
    """A random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al., 2014)."""
    _fans(tensor)
    rows = tensor.shape[0]
    flat = gu.randn(rows, int(np.prod(tensor.shape[1:])), dtype="float64").numpy()
    tall = flat if flat.shape[0] >= flat.shape[1] else flat.T
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))  # makes the distribution uniform over orthogonal matrices
    q = q if flat.shape[0] >= flat.shape[1] else q.T
    return _fill(tensor, (gain * q.reshape(tensor.shape)).astype(tensor.numpy().dtype))
