"""Tensors from Python values and arrays, in the backend that is selected."""

from __future__ import annotations

from typing import Any

from groundup import _backend, _core


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """A tensor that holds a copy of ``data``: a number, nested lists, an array or a tensor.

    Python floats become float32, ints int64; arrays keep float32, float64, int64 and bool.

    Raises:
        TypeError: ``data`` is none of these, or its lists have unequal lengths.
        DTypeError: its elements are no numbers, or ``dtype`` is none of ours.

    >>> tensor([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if _backend.current() == "numpy":
        from groundup.reference.tensor import Tensor

        return Tensor(data, dtype, requires_grad)
    return _core.Tensor(data, dtype, requires_grad)


def from_numpy(array: Any) -> Any:
    """A tensor over the memory of ``array``: a write to one shows in the other.

    Raises:
        ValueError: the array is not C-contiguous and aligned, or its dtype is none of ours.
    """
    shared = _core.from_numpy(array)
    if _backend.current() == "numpy":
        from groundup.reference.tensor import wrap

        return wrap(array)
    return shared


def from_dlpack(source: Any) -> Any:
    """A tensor over the memory of any array that speaks DLPack, such as PyTorch's or JAX's on the CPU.

    Raises:
        TypeError: ``source`` has no ``__dlpack__``, or a dtype that is none of ours.
        ValueError: its memory is not contiguous or not aligned.
        BufferError: its memory is not the CPU's, or either side cannot say what the other needs.

    >>> import numpy as np
    >>> a = np.zeros(2, dtype=np.float32)
    >>> t = from_dlpack(a)
    >>> a[0] = 5
    >>> t
    tensor([5., 0.])
    """
    shared = _core.from_dlpack(source)
    if _backend.current() == "numpy":
        from groundup.reference.tensor import wrap

        return wrap(shared.numpy())
    return shared


def as_tensor(data: Any, dtype: Any = None) -> Any:
    """``data`` as a tensor, without a copy where it already is one or a suitable array."""
    if not isinstance(data, type(tensor(0))):
        try:
            data = from_numpy(data)
        except ValueError:
            data = tensor(data)
    return data if dtype is None else data.to(dtype)
