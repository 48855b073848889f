"""Gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup import _core, random
from groundup.autograd import enable_grad, grad, no_grad
from groundup.autograd._tape import tape

Array = npt.NDArray[Any]


class GradcheckError(RuntimeError):
    """A gradient differs from the finite difference; the message says where and by how much."""


def gradcheck(
    fn: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    directions: int | None = None,
    seed: int = 0,
    raise_exception: bool = True,
) -> bool:
    r"""Compare the gradients that backward gives with central differences, in float64.

    The results of ``fn`` are contracted with fixed random weights u to one number, and for each direction v of
    each input

    .. math:: \frac{u \cdot f(x + \varepsilon v) - u \cdot f(x - \varepsilon v)}{2 \varepsilon}
           = \nabla_x (u \cdot f) \cdot v

    must hold within ``atol + rtol * |left side|``. Keep away from kinks: differences across one are nobody's gradient.

    Args:
        fn: takes ``inputs``, returns a tensor or a tuple of them.
        inputs: a tensor or a sequence; those that require a gradient are checked. They are changed in place while
            this runs, so ``fn`` may also reach them on its own, as a module does its parameters.
        directions: None takes every element of every input; a number takes so many random directions each.
        seed: of the random weights and directions.
        raise_exception: False returns False instead of raising `GradcheckError`.

    Raises:
        GradcheckError: a gradient is wrong.
        DTypeError: an input or a result is not float64.
        ValueError: nothing requires a gradient, or ``fn`` is not a function of its inputs alone.

    >>> import groundup as gu
    >>> x = gu.tensor([0.5, -1.0], dtype=gu.float64, requires_grad=True)
    >>> gu.autograd.gradcheck(gu.exp, x)
    True
    """
    current = tape()
    args = (inputs,) if isinstance(inputs, current.Tensor) else tuple(inputs)
    checked = [(i, t) for i, t in enumerate(args) if isinstance(t, current.Tensor) and t.requires_grad]
    if not checked:
        raise ValueError("[gradcheck] at least one input must require a gradient")
    for i, t in checked:
        if t.dtype != _core.float64:
            raise _core.DTypeError(
                f"[gradcheck] inputs must be float64, as differences in less precision drown in rounding, but "
                f"input {i} is {t.dtype.name}"
            )
    if directions is not None and directions < 1:
        raise ValueError(f"[gradcheck] directions must be None or at least 1, but got {directions}")

    state = random.get_rng_state()
    rng = np.random.default_rng(seed)
    with enable_grad():
        results = _results(fn, args, state)
    places = [i for i, y in enumerate(results) if y.requires_grad]
    ys = [results[i] for i in places]
    if not ys:
        raise ValueError("[gradcheck] no result of fn depends on an input that requires a gradient")
    for i, y in enumerate(ys):
        if y.dtype != _core.float64:
            raise _core.DTypeError(f"[gradcheck] results must be float64, but result {i} is {y.dtype.name}")
    weights = [rng.standard_normal(y.shape) for y in ys]
    found = grad(
        ys,
        [t for _, t in checked],
        [current.Tensor(u) for u in weights],
        allow_unused=True,
    )
    gradients = [
        np.zeros(t.shape) if g is None else np.array(g) for (_, t), g in zip(checked, found, strict=True)
    ]

    def values() -> list[Array]:
        with no_grad():
            ys = _results(fn, args, state)
        return [np.array(ys[k]) for k in places]

    before, again = values(), values()
    for i, (a, b) in enumerate(zip(before, again, strict=True)):
        if not np.array_equal(a, b, equal_nan=True):
            raise ValueError(
                f"[gradcheck] fn must give equal results for equal inputs, but result {i} differs by "
                f"{np.nanmax(np.abs(a - b)):.3g}"
            )

    for (i, t), gradient in zip(checked, gradients, strict=True):
        x = np.array(t)
        wrong: list[str] = []
        total = 0
        for where, v in _directions(x.shape, directions, rng):
            total += 1
            try:
                _move(t, x + eps * v)
                plus = values()
                _move(t, x - eps * v)
                minus = values()
            finally:
                _move(t, x)
            # The difference first: sums of results would cancel with less left.
            numeric = sum(
                float(np.sum(u * (p - m))) for u, p, m in zip(weights, plus, minus, strict=True)
            ) / (2 * eps)
            analytic = float(np.sum(gradient * v))
            if not abs(analytic - numeric) <= atol + rtol * abs(numeric):
                ratio = f" ({analytic / numeric:.4g} times as much)" if numeric else ""
                wrong.append(
                    f"at {where} differences give {numeric:.10g}, backward gives {analytic:.10g}{ratio}"
                )
        if wrong:
            if not raise_exception:
                return False
            raise GradcheckError(
                f"[gradcheck] the gradient of input {i} of shape {tuple(x.shape)} is wrong: {wrong[0]}; "
                f"{len(wrong)} of {total} {'elements' if directions is None else 'directions'} are"
            )
    return True


def _results(fn: Callable[..., Any], args: tuple[Any, ...], state: tuple[int, int]) -> list[Any]:
    random.set_rng_state(state)  # dropout drops the same every time
    result = fn(*args)
    results = list(result) if isinstance(result, (tuple, list)) else [result]
    for y in results:
        if not isinstance(y, tape().Tensor):
            raise TypeError(f"[gradcheck] fn must return tensors, but got {type(y).__name__}")
    return results


def _directions(
    shape: tuple[int, ...], directions: int | None, rng: np.random.Generator
) -> Iterator[tuple[str, Array]]:
    if directions is None:
        for place in np.ndindex(*shape):
            v = np.zeros(shape)
            v[place] = 1.0
            yield f"element {place}", v
    else:
        for k in range(directions):
            yield f"direction {k} of {directions}", rng.standard_normal(shape)


def _move(t: Any, x: Array) -> None:
    with no_grad():
        t.copy_(x)
