"""Both backends' tensors have the same attributes, and these do the same."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup import _core
from groundup.reference.tensor import Tensor as ReferenceTensor

# What every class has, or what only compiled classes do.
OBJECT = set(dir(object)) | {
    "__annotations__",
    "__dict__",
    "__module__",
    "__weakref__",
    "_pybind11_conduit_v1_",
}


def public(cls: type) -> set[str]:
    """Names that users reach: no single underscore in front; double ones are the language's."""
    return {n for n in dir(cls) if (n.startswith("__") or not n.startswith("_")) and n not in OBJECT}


def test_same_attributes() -> None:
    with gu.backend("numpy"):
        reference = gu.tensor([[1.0]])
        missing = {n for n in public(_core.Tensor) if not hasattr(reference, n)}
    assert missing == set()
    compiled = gu.tensor([[1.0]])
    extra = {n for n in public(ReferenceTensor) if not hasattr(compiled, n)}
    assert extra <= {"data", "version"}  # how the NumPy tensor holds its memory


def _retained(x: Any) -> Any:
    y = x.requires_grad_() * 2
    y.retain_grad()
    (y * y).sum().backward()
    return y.grad.tolist()


def _hooked(x: Any) -> Any:
    handle = x.requires_grad_().register_hook(lambda g: g * 10)
    x.sum().backward()
    handle.remove()
    x.sum().backward()
    return x.grad.tolist()


# One call of everything that is no op (ops have tests of their own): what it returns, as plain Python.
CALLS: dict[str, Callable[[Any], Any]] = {
    "shape": lambda x: x.shape,
    "size": lambda x: (x.size(), x.size(0), x.size(-1)),
    "ndim": lambda x: x.ndim,
    "dim": lambda x: x.dim(),
    "numel": lambda x: x.numel(),
    "nbytes": lambda x: x.nbytes,
    "dtype": lambda x: x.dtype,
    "data_ptr": lambda x: x.data_ptr() == x.numpy().ctypes.data,
    "item": lambda x: x[0, 1].item(),
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy().tolist(),
    "T": lambda x: x.T.tolist(),
    "mT": lambda x: x[None].mT.tolist(),
    "view": lambda x: (x.view(3, 2).tolist(), x.view(-1).tolist(), x.view((1, 6)).tolist()),
    "to": lambda x: x.to("int64").tolist(),
    "bool": lambda x: x.bool().tolist(),
    "long": lambda x: x.long().tolist(),
    "float": lambda x: x.double().float().dtype,
    "double": lambda x: x.double().dtype,
    "where": lambda x: x.where(x > 2, 0.0).tolist(),
    "clip": lambda x: x.clip(2, 4).tolist(),
    "copy_": lambda x: x.copy_([7.0, 8.0, 9.0]).tolist(),
    "fill_": lambda x: x.fill_(3).tolist(),
    "zero_": lambda x: x.zero_().tolist(),
    "add_": lambda x: x.add_(1).tolist(),
    "sub_": lambda x: x.sub_(1).tolist(),
    "mul_": lambda x: x.mul_(2).tolist(),
    "div_": lambda x: x.div_(2).tolist(),
    "requires_grad": lambda x: x.requires_grad,
    "requires_grad_": lambda x: x.requires_grad_().requires_grad,
    "is_leaf": lambda x: (x.is_leaf, (x.requires_grad_() * 2).is_leaf),
    "grad": lambda x: x.grad,
    "grad_fn": lambda x: (x.grad_fn, (x.requires_grad_() * 2).grad_fn is not None),
    "detach": lambda x: (x.requires_grad_() * 2).detach().requires_grad,
    "backward": lambda x: ((x.requires_grad_() ** 2).sum().backward(), x.grad.tolist())[1],
    "retain_grad": _retained,
    "register_hook": _hooked,
    "__getitem__": lambda x: x[1, ::2].tolist(),
    "__setitem__": lambda x: (x.__setitem__((0, [0, 2]), 9.0), x.tolist())[1],
    "__iter__": lambda x: [row.tolist() for row in x],
    "__contains__": lambda x: (2.0 in x, 9 in x),
    "__len__": len,
    "__bool__": lambda x: bool(x[0, 0]),
    "__float__": lambda x: float(x[1, 1]),
    "__int__": lambda x: int(x[1, 1]),
    "__index__": lambda x: [10, 20, 30][x.long()[0, 0]],
    "__repr__": repr,
    "__hash__": lambda x: hash(x) == hash(x),
    "__array__": lambda x: np.asarray(x, np.float64).tolist(),
    "__array_priority__": lambda x: x.__array_priority__,
    "__dlpack__": lambda x: np.from_dlpack(x).tolist(),
    "__dlpack_device__": lambda x: x.__dlpack_device__(),
    "__copy__": lambda x: copy.copy(x).tolist(),
    "__deepcopy__": lambda x: copy.deepcopy(x).tolist(),
    "__reduce__": lambda x: pickle.loads(pickle.dumps(x)).tolist(),
    "__add__": lambda x: (x + 1).tolist(),
    "__radd__": lambda x: (1 + x).tolist(),
    "__sub__": lambda x: (x - 1).tolist(),
    "__rsub__": lambda x: (1 - x).tolist(),
    "__mul__": lambda x: (x * 2).tolist(),
    "__rmul__": lambda x: (2 * x).tolist(),
    "__truediv__": lambda x: (x / 2).tolist(),
    "__rtruediv__": lambda x: (2 / x).tolist(),
    "__floordiv__": lambda x: (x // 2).tolist(),
    "__rfloordiv__": lambda x: (7 // x).tolist(),
    "__mod__": lambda x: (x % 2).tolist(),
    "__rmod__": lambda x: (7 % x).tolist(),
    "__pow__": lambda x: (x**2).tolist(),
    "__rpow__": lambda x: (2**x).tolist(),
    "__matmul__": lambda x: (x @ x.T).tolist(),
    "__rmatmul__": lambda x: (np.ones((2, 2), np.float32) @ x).tolist(),
    "__and__": lambda x: ((x > 1) & (x < 4)).tolist(),
    "__rand__": lambda x: (True & (x > 1)).tolist(),
    "__or__": lambda x: ((x > 4) | (x < 2)).tolist(),
    "__ror__": lambda x: (False | (x > 1)).tolist(),
    "__invert__": lambda x: (~(x > 2)).tolist(),
    "__neg__": lambda x: (-x).tolist(),
    "__abs__": lambda x: abs(-x).tolist(),
    "__eq__": lambda x: (x == 2).tolist(),
    "__ne__": lambda x: (x != 2).tolist(),
    "__lt__": lambda x: (x < 2).tolist(),
    "__le__": lambda x: (x <= 2).tolist(),
    "__gt__": lambda x: (x > 2).tolist(),
    "__ge__": lambda x: (x >= 2).tolist(),
}


def test_every_attribute_is_called() -> None:
    ops = set(gu.ops.registry())
    special = {"__init__", "__getattr__", "bfloat16"}  # bfloat16: NumPy has none, see below
    assert public(_core.Tensor) - ops - special - set(CALLS) == set()


@pytest.mark.parametrize("name", CALLS)
def test_attributes_do_the_same(name: str) -> None:
    data = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    found = []
    for backend in ("cpp", "numpy"):
        with gu.backend(backend):
            assert hasattr(gu.tensor(data), name)
            found.append(CALLS[name](gu.tensor(data)))
    assert found[0] == found[1]


@pytest.mark.parametrize("backend", ["cpp", "numpy"])
def test_refusals(backend: str) -> None:
    with gu.backend(backend):
        with pytest.raises(TypeError, match=r"^\[iter\] a 0-d tensor cannot be iterated over$"):
            iter(gu.tensor(1.0))
        with pytest.raises(TypeError, match=r"^\[len\] a 0-d tensor has no length$"):
            len(gu.tensor(1.0))
        with pytest.raises(
            gu.ShapeError, match=r"^\[mT\] x must have at least 2 axes, but got shape \(3,\)$"
        ):
            _ = gu.zeros(3).mT
        with pytest.raises(AttributeError, match=r"^'Tensor' object has no attribute 'nothing'$"):
            getattr(gu.zeros(3), "nothing")  # noqa: B009 - no attribute, so mypy would not have it


@pytest.mark.parametrize("backend", ["cpp", "numpy"])
def test_loose_sizes(backend: str) -> None:
    """Sizes may be given one by one, where PyTorch allows it."""
    with gu.backend(backend):
        x = gu.zeros(2, 3)
        assert x.reshape(3, 2).shape == x.reshape((3, 2)).shape == gu.reshape(x, (3, 2)).shape == (3, 2)
        assert x.view(6).shape == (6,)
        assert x.permute(1, 0).shape == (3, 2)
        assert x.expand(4, 2, 3).shape == x.broadcast_to((4, 2, 3)).shape == (4, 2, 3)
        assert x.repeat(2, 2).shape == (4, 6)
        assert [p.shape for p in x.split(2, 1)] == [(2, 2), (2, 1)]
        assert gu.cat([x, x], 1).shape == (2, 6)
