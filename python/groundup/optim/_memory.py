"""The parameters of one group and what is remembered of them, in either backend.

Both classes do the same: the compiled one runs ``cpp/optim`` over flat buffers, the other the functions of
`groundup.reference.optim`, a parameter at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from groundup import _core

#: What is remembered of a parameter: tensors by name, and "step" for the rules that count.
State = dict[str, Any]


class Memory(Protocol):
    """One parameter group."""

    def step(self, rule: str, options: dict[str, Any]) -> None:
        """Run a rule on every parameter that has a gradient."""

    def zero_grad(self, set_to_none: bool) -> None:
        """Forget the gradients, or fill them with zeros."""

    def state(self, i: int) -> State:
        """The state of parameter ``i``: live tensors; empty before its first step."""

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Replace all state by a copy of ``states``, which must fit."""


class CompiledMemory:
    """State in the flat buffers of the compiled core."""

    def __init__(self, params: Sequence[Any], names: Sequence[str], counts: bool) -> None:
        self._group = _core.ParameterGroup(list(params))
        self._n, self._names, self._counts = len(params), names, counts

    def step(self, rule: str, options: dict[str, Any]) -> None:
        getattr(self._group, rule)(**options)

    def zero_grad(self, set_to_none: bool) -> None:
        self._group.zero_grad(set_to_none)

    def state(self, i: int) -> State:
        state: State = {}
        for which, name in enumerate(self._names):
            tensor = self._group.state(i, which)
            if tensor is not None:
                state[name] = tensor
        if state and self._counts:
            state = {"step": _core.Tensor(self._group.steps(i)), **state}
        return state

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        self._group.forget()
        for i, state in enumerate(states):
            if self._counts and state:
                self._group.set_steps(i, int(state["step"]))
            for which, name in enumerate(self._names):
                if name in state:
                    self._group.make_state(i, which).copy_(state[name])


class ReferenceMemory:
    """State as a dictionary of arrays for each parameter."""

    def __init__(self, params: Sequence[Any], names: Sequence[str], counts: bool) -> None:
        self._params, self._names, self._counts = list(params), names, counts
        self._states: list[State] = [{} for _ in params]

    def step(self, rule: str, options: dict[str, Any]) -> None:
        from groundup.reference import optim

        update = getattr(optim, rule)
        with np.errstate(all="ignore"):  # the compiled face does not speak of infinities either
            for p, state in zip(self._params, self._states, strict=True):
                if p.grad is not None:
                    update(p.numpy(), p.grad.numpy(), state, **options)

    def zero_grad(self, set_to_none: bool) -> None:
        for p in self._params:
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad.numpy()[...] = 0

    def state(self, i: int) -> State:
        from groundup.reference.tensor import wrap

        state = {name: wrap(self._states[i][name]) for name in self._names if name in self._states[i]}
        if state and self._counts:
            state = {"step": wrap(np.int64(self._states[i]["step"])), **state}
        return state

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        for p, mine, state in zip(self._params, self._states, states, strict=True):
            mine.clear()
            if self._counts and state:
                mine["step"] = int(state["step"])
            for name in self._names:
                if name in state:
                    mine[name] = np.array(state[name], dtype=p.numpy().dtype)
