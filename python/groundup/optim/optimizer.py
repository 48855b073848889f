"""The base of every optimizer: parameter groups, gradients, and state that can be saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from groundup import _core
from groundup.autograd import enable_grad
from groundup.optim import _check
from groundup.optim._memory import CompiledMemory, Memory, ReferenceMemory, State


class Optimizer:
    """Holds parameters in groups, each with its own hyperparameters, and steps them along their gradients.

    A subclass names its rule, what it remembers of a parameter, and checks its hyperparameters.

    Args:
        params: tensors that are leaves, such as ``model.parameters()``; or dictionaries, one a group, with
            the tensors under "params" and hyperparameters that differ from the defaults.
        defaults: hyperparameters of groups that do not name them.

    Attributes:
        param_groups: a dictionary a group: "params" (a tuple) and hyperparameters, read anew at every step.
    """

    _rule: ClassVar[str]  # the function in groundup.reference.optim, and the method of the compiled group
    _states: ClassVar[tuple[str, ...]]  # what may be remembered of a parameter
    _required: ClassVar[tuple[str, ...]]  # of these, what every step makes
    _counts: ClassVar[bool] = True  # whether the rule depends on the number of the step

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        name = type(self).__name__
        if _is_tensor(params) or isinstance(params, (Mapping, str)):
            raise TypeError(
                f"[{name}] params must be an iterable of tensors or of dictionaries, but got "
                f"{type(params).__name__}"
            )
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._memories: list[Memory] = []
        self._seen: dict[Any, int] = {}  # number of each parameter, by what identifies its tensor
        self._backend: type[Any] | None = None
        self._step_count = 0
        self._options(defaults)  # an error in them is told even when every group overrides them
        given = list(params)
        if not given:
            raise ValueError(f"[{name}] params must hold at least one tensor, but got none")
        groups = given if isinstance(given[0], Mapping) else [{"params": given}]
        for group in groups:
            self.add_param_group(group)

    def _options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the rule, from a group's hyperparameters; raises where they do not hold."""
        raise NotImplementedError

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with their own hyperparameters; those not named get the defaults.

        Raises:
            TypeError: it is no dictionary, or holds something that is no tensor.
            ValueError: no parameters, one that is already there, is not a leaf or cannot be written, or a
                hyperparameter out of range.
            DTypeError: parameters that are not float32 or float64, or not all alike.
        """
        name = type(self).__name__
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f'[{name}] a group must be a dictionary with "params", but got {_told(group)}')
        params = group["params"]
        if isinstance(params, (set, frozenset)):
            raise TypeError(f"[{name}] params must be in a fixed order, but got {type(params).__name__}")
        params = (params,) if _is_tensor(params) else tuple(params)
        if not params:
            raise ValueError(f"[{name}] params must hold at least one tensor, but got none")
        for key in group:
            if key not in self.defaults and key not in _OTHER_KEYS:
                raise ValueError(f"[{name}] a group may have {', '.join(self.defaults)}, but got {key!r}")
        backend = self._backend
        seen = dict(self._seen)
        for p in params:
            backend = self._check_parameter(p, len(seen), backend, seen)
            if p.dtype != params[0].dtype:
                raise _core.DTypeError(
                    f"[{name}] parameters of a group must have one dtype, but got {params[0].dtype.name} and "
                    f"{p.dtype.name}"
                )
            seen[hash(p)] = len(seen)
        full = {"params": params, **self.defaults, **{k: v for k, v in group.items() if k != "params"}}
        self._options(full)
        memory_type = CompiledMemory if backend is _core.Tensor else ReferenceMemory
        memory: Memory = memory_type(params, self._states, self._counts)
        self._prepare(memory, full)
        self._backend, self._seen = backend, seen
        self.param_groups.append(full)
        self._memories.append(memory)

    def _check_parameter(
        self, p: Any, number: int, backend: type[Any] | None, seen: dict[Any, int]
    ) -> type[Any]:
        name = type(self).__name__
        if not _is_tensor(p):
            raise TypeError(f"[{name}] params must hold tensors, but got {type(p).__name__}")
        if backend is not None and type(p) is not backend:
            raise TypeError(f"[{name}] parameters must all belong to one backend, but got both")
        if not p.is_leaf:
            made_by = getattr(p.grad_fn, "name", "an op")
            raise ValueError(
                f"[{name}] parameters must be leaves, but parameter {number} was made by {made_by}; optimize "
                "what it was made from, or use detach().requires_grad_()"
            )
        if p.dtype.name not in ("float32", "float64"):
            raise _core.DTypeError(f"[{name}] parameters must be float32 or float64, but got {p.dtype.name}")
        if not np.asarray(p).flags.writeable:
            raise ValueError(f"[{name}] parameters must be writable, but parameter {number} is read-only")
        if hash(p) in seen:
            raise ValueError(
                f"[{name}] a parameter must appear once, but number {number} is parameter {seen[hash(p)]} again"
            )
        return type(p)

    def _prepare(self, memory: Memory, group: dict[str, Any]) -> None:
        """Give a new group the state that its first step expects, where that is not zero."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, in place.

        Args:
            closure: computes the loss and its gradients anew; called first.

        Returns:
            What ``closure`` returned, or None.

        Raises:
            ValueError: a hyperparameter in ``param_groups`` is out of range.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        # All are checked before the first parameter changes.
        options = [self._options(group) for group in self.param_groups]
        for memory, chosen in zip(self._memories, options, strict=True):
            memory.step(self._rule, chosen)
        self._step_count += 1
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, so that the next backward begins anew.

        Args:
            set_to_none: make them None, which is faster than filling them with zeros.
        """
        for memory in self._memories:
            memory.zero_grad(set_to_none)

    # ----------------------------------------------------------------------------------------------- state

    @property
    def state(self) -> dict[Any, State]:
        """What is remembered, by parameter: live tensors under PyTorch's names."""
        return {
            p: state
            for group, memory in zip(self.param_groups, self._memories, strict=True)
            for i, p in enumerate(group["params"])
            if (state := memory.state(i))
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue, in PyTorch's layout.

        Returns:
            ``state``: for each parameter's number, its ``step`` and its tensors, which share memory with the
            optimizer. ``param_groups``: hyperparameters, with parameters replaced by their numbers.
        """
        state: dict[int, State] = {}
        groups: list[dict[str, Any]] = []
        start = 0
        for group, memory in zip(self.param_groups, self._memories, strict=True):
            n = len(group["params"])
            for i in range(n):
                if remembered := memory.state(i):
                    state[start + i] = remembered
            groups.append({**group, "params": list(range(start, start + n))})
            start += n
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`, ours or PyTorch's. Nothing changes when anything does not fit.

        Values may be tensors or arrays; they are copied. Hyperparameters come from ``state_dict`` too.

        Raises:
            KeyError: a part is missing.
            ValueError: other groups, other parameters, or a hyperparameter out of range.
            ShapeError: a tensor of another shape.
        """
        name = type(self).__name__
        for key in ("state", "param_groups"):
            if key not in state_dict:
                raise KeyError(f"[{name}] the state must have {key!r}")
        saved_groups, saved = state_dict["param_groups"], state_dict["state"]
        if len(saved_groups) != len(self.param_groups):
            raise ValueError(
                f"[{name}] the state must have {len(self.param_groups)} groups, but got {len(saved_groups)}"
            )
        groups: list[dict[str, Any]] = []
        loads: list[list[dict[str, Any]]] = []
        for number, (group, other) in enumerate(zip(self.param_groups, saved_groups, strict=True)):
            ids = other["params"]
            if len(ids) != len(group["params"]):
                raise ValueError(
                    f"[{name}] group {number} must have {len(group['params'])} parameters, but got {len(ids)}"
                )
            known = {k: v for k, v in other.items() if k in self.defaults or k in _OTHER_KEYS}
            merged = {**group, **known, "params": group["params"]}
            self._options(merged)
            groups.append(merged)
            loads.append(
                [self._checked(saved.get(k, {}), p, k) for k, p in zip(ids, group["params"], strict=True)]
            )
        unknown = set(saved) - {k for other in saved_groups for k in other["params"]}
        if unknown:
            first = min(unknown, key=str)
            raise ValueError(f"[{name}] the state must name parameters of its groups, but got {first!r}")
        for group, merged in zip(self.param_groups, groups, strict=True):
            group.clear()
            group.update(merged)
        for memory, states in zip(self._memories, loads, strict=True):
            memory.load(states)

    def _checked(self, state: Mapping[str, Any], p: Any, number: Any) -> dict[str, Any]:
        """A parameter's saved state as arrays that fit it."""
        name = type(self).__name__
        given = {key: value for key, value in state.items() if value is not None}
        if not given:
            return {}
        checked: dict[str, Any] = {}
        required = ("step", *self._required) if self._counts else self._required
        for key in required:
            if key not in given:
                raise KeyError(f"[{name}] the state of parameter {number} must have {key!r}")
        if self._counts:
            checked["step"] = _count(name, given["step"], number)
        for key in self._states:
            if key not in given:
                continue
            value = np.asarray(given[key])
            if value.shape != tuple(p.shape):
                raise _core.ShapeError(
                    f"[{name}] {key} of parameter {number} must have shape {tuple(p.shape)}, but got "
                    f"{value.shape}"
                )
            if value.dtype.kind != "f":
                raise _core.DTypeError(
                    f"[{name}] {key} of parameter {number} must hold floats, but got {value.dtype}"
                )
            checked[key] = value
        unknown = [key for key in given if key not in checked and key != "step"]
        if unknown:
            raise ValueError(
                f"[{name}] the state of parameter {number} may have {', '.join(self._states)}, but got "
                f"{unknown[0]!r}"
            )
        return checked

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            count = sum(int(np.prod(p.shape)) for p in group["params"])
            lines.append(f"  group {number}: {len(group['params'])} tensors, {count:,} parameters")
            lines += [f"    {key}: {value}" for key, value in group.items() if key != "params"]
        return "\n".join([*lines, ")"])


#: Keys of a group that no rule reads: its tensors, a name to tell it by, and what schedules leave there.
_OTHER_KEYS = ("params", "name", "initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum")


def _is_tensor(value: Any) -> bool:
    return isinstance(value, _core.Tensor) or hasattr(value, "_reference_array")


def _told(value: Any) -> str:
    return f"the keys {sorted(map(str, value))}" if isinstance(value, Mapping) else type(value).__name__


def _count(name: str, value: Any, number: Any) -> int:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "fiu" or not 0 <= array.item() < 2**53:
        raise ValueError(f"[{name}] step of parameter {number} must be a count, but got {value!r}")
    if array.item() != int(array.item()):
        raise ValueError(f"[{name}] step of parameter {number} must be a count, but got {array.item()}")
    return int(array.item())


def _betas(name: str, group: Mapping[str, Any]) -> tuple[float, float]:
    """Two decay rates, each in [0, 1)."""
    betas = group["betas"]
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise TypeError(f"[{name}] betas must be two numbers, but got {betas!r}")
    return (
        _check.below_one(name, "betas[0]", betas[0]),
        _check.below_one(name, "betas[1]", betas[1]),
    )
