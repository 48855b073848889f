"""Averages of a model's weights over the course of training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from groundup import _core
from groundup.autograd import no_grad
from groundup.optim import _check


class WeightAverage:
    r"""An average of the weights that training passes through; it often generalizes better than the last.

    With ``decay`` an exponential moving average (EMA): :math:`a \leftarrow d\,a + (1 - d)\,p`. Without, the
    plain mean of all updates (SWA, stochastic weight averaging): :math:`a \leftarrow a + (p - a) / n`. The
    first update is a copy either way.

    Args:
        model: a module, or its parameters. Buffers, such as the running statistics of batch norm, are not
            averaged: after `swap`, pass some training data through the model in training mode to renew them.
        decay: d in [0, 1); None for the plain mean.

    Attributes:
        values: the average of each parameter.
        n_averaged: how many updates went into it.

    Source: Polyak, Juditsky, Acceleration of stochastic approximation by averaging, 1992; Izmailov et al.,
    Averaging weights leads to wider optima and better generalization, 2018.

    >>> import groundup as gu
    >>> p = gu.tensor([0.0], requires_grad=True)
    >>> average = WeightAverage([p])
    >>> for value in (1.0, 2.0, 6.0):
    ...     with gu.no_grad():
    ...         p[...] = value
    ...     average.update()
    >>> with average.applied():
    ...     p.item()
    3.0
    >>> p.item()
    6.0
    """

    def __init__(self, model: Any, decay: float | None = None) -> None:
        name = type(self).__name__
        self.decay = None if decay is None else _check.below_one(name, "decay", decay)
        given: Iterable[Any] = model.parameters() if hasattr(model, "parameters") else model
        self._params = list(given)
        if not self._params:
            raise ValueError(f"[{name}] model must have at least one parameter, but got none")
        for p in self._params:
            if not isinstance(p, _core.Tensor) and not hasattr(p, "_reference_array"):
                raise TypeError(f"[{name}] model must be a module or tensors, but got {type(p).__name__}")
        self.values = [type(p)(p) for p in self._params]
        self.n_averaged = 0
        self._swapped = False

    def update(self) -> None:
        """Take the weights of now into the average."""
        self._refuse_swapped("update")
        self.n_averaged += 1
        weight = 1.0 / self.n_averaged if self.decay is None else 1.0 - self.decay
        if self.n_averaged == 1:
            for a, p in zip(self.values, self._params, strict=True):
                _write(a, np.asarray(p))
        elif isinstance(self._params[0], _core.Tensor):
            _core.average(self.values, self._params, weight)
        else:
            from groundup.reference import optim

            optim.average([a.numpy() for a in self.values], [p.numpy() for p in self._params], weight)

    def swap(self) -> None:
        """Put the average into the model and keep the model's own weights until `restore`.

        Raises:
            ValueError: the average is already there, or there is none yet.
        """
        self._refuse_swapped("swap")
        if self.n_averaged == 0:
            raise ValueError(f"[{type(self).__name__}] swap needs an average, but update was never called")
        self._exchange()
        self._swapped = True

    def restore(self) -> None:
        """Undo `swap`.

        Raises:
            ValueError: the model has its own weights.
        """
        if not self._swapped:
            raise ValueError(f"[{type(self).__name__}] restore needs a swap before it")
        self._exchange()
        self._swapped = False

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """A block in which the model has the average as its weights."""
        self.swap()
        try:
            yield
        finally:
            self.restore()

    def _exchange(self) -> None:
        for a, p in zip(self.values, self._params, strict=True):
            own = np.array(p)
            _write(p, np.asarray(a))
            _write(a, own)

    def _refuse_swapped(self, what: str) -> None:
        if self._swapped:
            raise ValueError(
                f"[{type(self).__name__}] {what} needs the model's own weights; call restore first"
            )

    def state_dict(self) -> dict[str, Any]:
        """The averages (sharing memory) and their count."""
        self._refuse_swapped("state_dict")
        return {"values": list(self.values), "n_averaged": self.n_averaged}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`; nothing changes when anything does not fit.

        Raises:
            KeyError: a part is missing.
            ValueError: another number of tensors, or a count below 0.
            ShapeError: a tensor of another shape.
        """
        name = type(self).__name__
        self._refuse_swapped("load_state_dict")
        state = _check.saved(name, state_dict, ("values", "n_averaged"))
        count = _check.integer(name, "n_averaged", state["n_averaged"], 0)
        arrays = [np.asarray(value) for value in state["values"]]
        if len(arrays) != len(self.values):
            raise ValueError(f"[{name}] values must be {len(self.values)} tensors, but got {len(arrays)}")
        for i, (a, array) in enumerate(zip(self.values, arrays, strict=True)):
            if array.shape != tuple(a.shape):
                raise _core.ShapeError(
                    f"[{name}] value {i} must have shape {tuple(a.shape)}, but got {array.shape}"
                )
            if array.dtype.kind != "f":
                raise _core.DTypeError(f"[{name}] value {i} must hold floats, but got {array.dtype}")
        for a, array in zip(self.values, arrays, strict=True):
            _write(a, array)
        self.n_averaged = count


def _write(tensor: Any, array: Any) -> None:
    with no_grad():
        if isinstance(tensor, _core.Tensor):
            tensor.copy_(array)
        else:
            np.copyto(tensor.numpy(), array, casting="same_kind")
