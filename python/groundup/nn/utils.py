"""Clipping of gradients, under the names of ``torch.nn.utils``. One loop handles all gradients of a call."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup import _core

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Any:
    r"""Scale all gradients by one factor, in place, so that their norm together is at most ``max_norm``.

    .. math:: g \leftarrow g \cdot \min\left(1, \frac{\text{max\_norm}}{\lVert g \rVert + 10^{-6}}\right)

    The direction of the step stays; only its length is limited. The norm is summed in double precision and is
    the same for any number of threads.

    Args:
        parameters: a tensor, or an iterable of them; those without a gradient do not count.
        max_norm: the limit; infinity only measures.
        norm_type: p of the p-norm, greater than 0; infinity for the largest absolute value.
        error_if_nonfinite: refuse a norm that is NaN or infinite, and leave the gradients alone; otherwise a
            NaN reaches every gradient.

    Returns:
        The norm before clipping, a 0-d tensor.

    Raises:
        ValueError: ``max_norm`` is negative or NaN, ``norm_type`` is not positive, or the norm is not finite
            and ``error_if_nonfinite``.

    >>> import groundup as gu
    >>> p = gu.tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = gu.tensor([3.0, 4.0])
    >>> gu.nn.utils.clip_grad_norm_([p], max_norm=1.0).item()
    5.0
    >>> [round(g, 4) for g in p.grad.tolist()]
    [0.6, 0.8]
    """
    name = "clip_grad_norm_"
    params = _tensors(name, parameters)
    limit, p = float(max_norm), float(norm_type)
    if not limit >= 0:
        raise ValueError(f"[{name}] max_norm must be >= 0, but got {max_norm}")
    if not p > 0:
        raise ValueError(f"[{name}] norm_type must be > 0, but got {norm_type}")
    dtype = next((t.grad.dtype for t in params if t.grad is not None), "float32")
    if params and not isinstance(params[0], _core.Tensor):
        from groundup.reference import optim
        from groundup.reference.tensor import wrap

        grads = [t.grad.numpy() for t in params if t.grad is not None]
        with np.errstate(all="ignore"):  # the compiled face does not speak of infinities either
            norm = optim.total_norm(grads, p)
            if error_if_nonfinite and not math.isfinite(norm):
                raise ValueError(f"[{name}] the total norm must be finite, but got {norm}")
            optim.clip_norm(grads, limit, norm)
            return wrap(np.array(norm, getattr(dtype, "name", dtype)))
    return _core.Tensor(_core.clip_grad_norm(params, limit, p, error_if_nonfinite), dtype)


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    r"""Limit every element of every gradient to [−clip_value, clip_value], in place. A NaN stays.

    Args:
        parameters: a tensor, or an iterable of them.

    Raises:
        ValueError: ``clip_value`` is negative or NaN.

    >>> import groundup as gu
    >>> p = gu.tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = gu.tensor([0.5, -4.0])
    >>> gu.nn.utils.clip_grad_value_([p], 2.0)
    >>> p.grad.tolist()
    [0.5, -2.0]
    """
    name = "clip_grad_value_"
    params = _tensors(name, parameters)
    limit = float(clip_value)
    if not limit >= 0:
        raise ValueError(f"[{name}] clip_value must be >= 0, but got {clip_value}")
    if params and not isinstance(params[0], _core.Tensor):
        for t in params:
            if t.grad is not None:
                np.clip(t.grad.numpy(), -limit, limit, out=t.grad.numpy())
    else:
        _core.clip_grad_value(params, limit)


def _tensors(name: str, parameters: Any) -> list[Any]:
    def is_tensor(value: Any) -> bool:
        return isinstance(value, _core.Tensor) or hasattr(value, "_reference_array")

    if is_tensor(parameters):
        return [parameters]
    if not isinstance(parameters, Iterable):
        raise TypeError(f"[{name}] parameters must be tensors, but got {type(parameters).__name__}")
    params = list(parameters)
    for t in params:
        if not is_tensor(t):
            raise TypeError(f"[{name}] parameters must be tensors, but got {type(t).__name__}")
        if type(t) is not type(params[0]):
            raise TypeError(f"[{name}] parameters must all belong to one backend, but got both")
    return params
