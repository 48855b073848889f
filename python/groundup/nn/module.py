"""Module: parameters, buffers and submodules by name, and everything that walks over them."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

import groundup as gu
from groundup import _core


def is_tensor(value: Any) -> bool:
    """Whether ``value`` is a tensor of either backend."""
    return isinstance(value, _core.Tensor) or hasattr(value, "_reference_array")


def Parameter(data: Any, requires_grad: bool = True) -> Any:  # noqa: N802 - PyTorch's name
    """A leaf tensor that a `Module` registers when it is set as an attribute.

    Any leaf that requires a gradient is registered; this only makes ``data`` one.
    """
    tensor = data.detach() if is_tensor(data) else gu.tensor(data)
    return tensor.requires_grad_(requires_grad)


class LoadResult(NamedTuple):
    """What `Module.load_state_dict` found to differ in names."""

    missing_keys: list[str]
    unexpected_keys: list[str]


# One for all modules: a number that came back would let an old handle remove a newer hook.
_hook_keys = itertools.count()


class HookHandle:
    """Returned when a hook is registered; ``remove()`` takes it off again."""

    def __init__(self, hooks: dict[int, Any], key: int) -> None:
        self._hooks, self._key = hooks, key

    def remove(self) -> None:
        """Take the hook off; may be repeated."""
        self._hooks.pop(self._key, None)


class Module:
    """A part of a model: subclass it, make parameters and submodules in ``__init__``, compute in ``forward``.

    >>> import groundup as gu
    >>> class Line(gu.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.slope = gu.nn.Parameter([2.0])
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> line = Line()
    >>> line(gu.tensor([3.0])).item()
    6.0
    >>> [name for name, _ in line.named_parameters()]
    ['slope']
    """

    training: bool

    # Parameters, buffers and submodules are ordinary attributes, as fast to read as any; this remembers, in
    # order, which attribute is which.
    _kinds: dict[str, str]
    _forward_hooks: OrderedDict[int, Callable[..., Any]]
    _forward_pre_hooks: OrderedDict[int, Callable[..., Any]]

    if TYPE_CHECKING:  # members are named at run time: type checkers let any name pass

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self) -> None:
        # Plain attributes: __setattr__ below looks into them.
        object.__setattr__(self, "training", True)
        object.__setattr__(self, "_kinds", {})
        object.__setattr__(self, "_forward_hooks", OrderedDict())
        object.__setattr__(self, "_forward_pre_hooks", OrderedDict())

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - subclasses use them
        """Compute the result. Call the module itself, so that hooks run."""
        raise TypeError(f"[{type(self).__name__}] a module must define forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._forward_pre_hooks:
            for pre_hook in list(self._forward_pre_hooks.values()):
                replaced = pre_hook(self, args)
                if replaced is not None:
                    args = replaced if isinstance(replaced, tuple) else (replaced,)
        result = self.forward(*args, **kwargs)
        if self._forward_hooks:
            for hook in list(self._forward_hooks.values()):
                replaced = hook(self, args, result)
                if replaced is not None:
                    result = replaced
        return result

    # ------------------------------------------------------------------------------------------- attributes

    def __setattr__(self, name: str, value: Any) -> None:
        kinds = self.__dict__.get("_kinds")
        if kinds is None:
            raise AttributeError(f"[{type(self).__name__}] call super().__init__() before setting {name!r}")
        if isinstance(value, Module):
            kind = "module"
        elif is_tensor(value) and kinds.get(name) == "buffer":
            kind = "buffer"
        elif is_tensor(value) and value.requires_grad and value.is_leaf:
            kind = "parameter"
        else:
            kind = ""
        self._keep(name, value, kind)

    def _keep(self, name: str, value: Any, kind: str) -> None:
        object.__setattr__(self, name, value)
        if kind != self._kinds.get(name, ""):
            self._kinds.pop(name, None)
            if kind:
                self._kinds[name] = kind

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._kinds.pop(name, None)

    def _members(self, kind: str) -> dict[str, Any]:
        return {name: self.__dict__[name] for name, of in self._kinds.items() if of == kind}

    def register_buffer(self, name: str, tensor: Any) -> None:
        """Keep a tensor that is saved with the model and is no parameter, such as running statistics."""
        self._keep(name, tensor, "buffer")

    def register_parameter(self, name: str, parameter: Any) -> None:
        """Keep a parameter under a name that is no Python identifier; otherwise set an attribute."""
        self._keep(name, parameter, "parameter")

    def register_forward_hook(self, hook: Callable[[Module, tuple[Any, ...], Any], Any]) -> HookHandle:
        """Call ``hook(module, args, result)`` after `forward`; what it returns, if anything, is the result."""
        return self._register(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook: Callable[[Module, tuple[Any, ...]], Any]) -> HookHandle:
        """Call ``hook(module, args)`` before `forward`; what it returns, if anything, are the arguments."""
        return self._register(self._forward_pre_hooks, hook)

    def _register(self, hooks: OrderedDict[int, Any], hook: Any) -> HookHandle:
        key = next(_hook_keys)
        hooks[key] = hook
        return HookHandle(hooks, key)

    # ------------------------------------------------------------------------------------------------ walks

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names."""
        seen: set[int] = set()

        def walk(module: Module, name: str) -> Iterator[tuple[str, Module]]:
            if id(module) in seen:
                return
            seen.add(id(module))
            yield name, module
            for child_name, child in module._members("module").items():
                yield from walk(child, f"{name}.{child_name}" if name else child_name)

        yield from walk(self, prefix)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def children(self) -> Iterator[Module]:
        """The modules directly below."""
        return iter(self._members("module").values())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, with their names."""
        return iter(self._members("module").items())

    def _named(self, kind: str) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for prefix, module in self.named_modules():
            for name, tensor in module._members(kind).items():
                if tensor is None or id(tensor) in seen:
                    continue
                seen.add(id(tensor))
                yield f"{prefix}.{name}" if prefix else name, tensor

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """Every parameter with its dotted name; a shared (tied) one appears once."""
        return self._named("parameter")

    def parameters(self) -> Iterator[Any]:
        """Every parameter, each once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        """Every buffer with its dotted name."""
        return self._named("buffer")

    def num_parameters(self) -> int:
        """How many numbers the parameters hold, shared ones counted once."""
        return sum(int(np.prod(p.shape)) for p in self.parameters())

    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name; an AttributeError if there is none."""
        module = self
        for part in filter(None, target.split(".")):
            if module._kinds.get(part) != "module":
                raise AttributeError(f"[{type(self).__name__}] has no submodule {target!r}")
            module = module.__dict__[part]
        return module

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Call ``fn`` on every module, the innermost first."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # ----------------------------------------------------------------------------------------------- states

    def train(self, mode: bool = True) -> Self:
        """Training mode (dropout drops, batch norm uses the batch) for this module and all below."""
        for module in self.modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Self:
        """Evaluation mode: the opposite of `train`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (False) or free every parameter."""
        for p in self.parameters():
            p.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for p in self.parameters():
            p.grad = None

    def state_dict(self) -> OrderedDict[str, Any]:
        """Every parameter and buffer by dotted name, sharing memory with the model; tied ones under each name."""
        state: OrderedDict[str, Any] = OrderedDict()
        for prefix, module in self.named_modules():
            for kind in ("parameter", "buffer"):
                for name, tensor in module._members(kind).items():
                    if tensor is not None:
                        state[f"{prefix}.{name}" if prefix else name] = tensor.detach()
        return state

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> LoadResult:
        """Copy values into the parameters and buffers. Nothing is changed when anything does not fit.

        Args:
            state: tensors or arrays by name.
            strict: refuse missing and unexpected names.

        Raises:
            KeyError: names differ and ``strict``.
            ShapeError: a shape differs.
            DTypeError: values that a parameter or buffer cannot hold, such as floats for ints.
        """
        own = self.state_dict()
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        if strict and (missing or unexpected):
            raise KeyError(
                f"[load_state_dict] names must agree, but missing {missing[:5]} and unexpected {unexpected[:5]} "
                f"({len(missing)} and {len(unexpected)} in all)"
            )
        matched = [(name, tensor, np.asarray(state[name])) for name, tensor in own.items() if name in state]
        for name, tensor, value in matched:
            if tuple(tensor.shape) != value.shape:
                raise gu.ShapeError(
                    f"[load_state_dict] {name} must have shape {tuple(tensor.shape)}, but got {value.shape}"
                )
            if value.dtype.kind not in "fiub":
                raise gu.DTypeError(f"[load_state_dict] {name} must hold numbers, but got {value.dtype}")
            dtype = np.asarray(tensor).dtype
            if not np.can_cast(value.dtype, dtype, "same_kind"):
                raise gu.DTypeError(f"[load_state_dict] {name} must hold {dtype}, but got {value.dtype}")
        for _, tensor, value in matched:
            tensor.copy_(value)
        return LoadResult(missing, unexpected)

    # ------------------------------------------------------------------------------------------------- repr

    def extra_repr(self) -> str:
        """What a subclass adds between the brackets of its line."""
        return ""

    def __repr__(self) -> str:
        return "\n".join(self._lines("", set()))

    def _lines(self, label: str, seen: set[int]) -> list[str]:
        first_time = [p for p in self.parameters() if id(p) not in seen]
        count = sum(int(np.prod(p.shape)) for p in first_time)
        lines = [f"{label}{type(self).__name__}({self.extra_repr()})"]
        if count:
            lines[0] += f"  # {count:,} parameters"
        elif any(True for _ in self.parameters()):
            lines[0] += "  # shared parameters"
        seen.update(id(p) for p in self._members("parameter").values())
        for name, child in self._members("module").items():
            lines += ["  " + line for line in child._lines(f"{name}: ", seen)]
        return lines
