"""x[key]: NumPy's indexing, once for both backends, over ops that have gradients.

Slices and ints become one `slice`, index arrays and masks one `index_select` along their axes taken as one.
Everything copies, except that x[None] alone shares memory. Not here: a single bool as an index.
"""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from groundup import _core, ops

Ints = npt.NDArray[np.int64]
IndexArray = npt.NDArray[Any]


class Axis(NamedTuple):
    """What the key says of one axis of x, or that it makes a new one, or that it has a ... there."""

    kind: str  # "slice", "int", "array"; "new" or "..." without a value
    value: Any = None  # a range, an int, or one int64 array


_WHOLE = slice(None)


def getitem(self: Any, key: Any) -> Any:
    """The part of this tensor that ``key`` names.

    Raises:
        IndexError: an index is out of range, or there are more than axes.
        TypeError: something that is no index.
    """
    if type(key) is int and self.ndim and -len(self) <= key < len(self):  # the commonest, without detours
        return ops.select(self, 0, key)
    items = _expanded(_parsed(key), self.ndim)
    axes = _axes(items, self.shape)
    own = [a for a in axes if a.value is not None]  # one an axis of self
    arrays = any(a.kind == "array" for a in own)
    if arrays:
        return _select(_cut(self, own, keep_ints=True), axes)
    whole = all(a.value == range(n) for a, n in zip(own, self.shape, strict=True))
    y = self if whole and any(a.kind == "new" for a in axes) else _cut(self, own, keep_ints=False)
    shape = [1 if a.kind == "new" else len(a.value) for a in axes if a.kind in ("new", "slice")]
    return y if y.shape == tuple(shape) else ops.reshape(y, tuple(shape))


def _parsed(key: Any) -> list[Any]:
    """The items of a key: ints, slices, None, Ellipsis, and arrays as NumPy has them."""
    items: list[Any] = []
    for item in key if isinstance(key, tuple) else (key,):
        if item is None or item is Ellipsis or isinstance(item, slice):
            items.append(item)
            continue
        if type(item) is int:
            items.append(item)
            continue
        array = np.asarray(item)
        if array.size == 0 and isinstance(item, list):
            array = array.astype(np.int64)  # NumPy reads [] as floats
        if array.dtype.kind not in "iub":
            raise TypeError(
                "[index] an index must be ints, slices, None, ..., or int64 or bool arrays, but got "
                f"{type(item).__name__ if array.dtype.kind == 'O' or array.ndim == 0 else array.dtype}"
            )
        if array.ndim > 0:
            items.append(array)
        elif array.dtype.kind == "b":
            raise IndexError("[index] a single bool is no index; use None, or a mask with axes")
        else:
            items.append(int(array))
    return items


def _expanded(items: list[Any], ndim: int) -> list[Any]:
    """The items with as many whole slices in place of the Ellipsis, or at the end, as axes are left."""
    at = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(at) > 1:
        raise IndexError(f"[index] an index must have one ... at most, but got {len(at)}")
    used = sum(
        item.ndim if isinstance(item, np.ndarray) and item.dtype.kind == "b" else 1
        for item in items
        if item is not None and item is not Ellipsis
    )
    if used > ndim:
        raise IndexError(f"[index] at most {ndim} axes can be indexed, but got {used}")
    place = at[0] if at else len(items)
    # The Ellipsis stays: even in place of no axis it parts the index arrays beside it.
    return [*items[: place + len(at)], *[_WHOLE] * (ndim - used), *items[place + len(at) :]]


def _axes(items: list[Any], shape: tuple[int, ...]) -> list[Axis]:
    axes: list[Axis] = []
    d = 0  # the next axis of x
    for item in items:
        if item is None or item is Ellipsis:
            axes.append(Axis("new" if item is None else "..."))
            continue
        n = shape[d]
        if isinstance(item, slice):
            if item.step is not None and operator.index(item.step) == 0:
                raise ValueError("[index] the step of a slice must not be 0")
            axes.append(Axis("slice", range(*item.indices(n))))
        elif isinstance(item, int):
            if not -n <= item < n:
                raise IndexError(f"[index] dim {d} must be indexed by {-n} to {n - 1}, but got {item}")
            axes.append(Axis("int", item % n))
        elif item.dtype.kind == "b":
            if item.shape != shape[d : d + item.ndim]:
                raise IndexError(
                    f"[index] a mask must have the shape {shape[d : d + item.ndim]} of its axes, "
                    f"but got {item.shape}"
                )
            axes += [Axis("array", places) for places in np.nonzero(item)]
            d += item.ndim - 1
        else:
            axes.append(Axis("array", _wrapped(item, n, d)))
        d += 1
    return axes


def _wrapped(index: IndexArray, n: int, d: int) -> Ints:
    """Indices that count from the beginning."""
    wrong = (index < -n) | (index >= n)
    if wrong.any():
        raise IndexError(
            f"[index] dim {d} must be indexed by {-n} to {n - 1}, but got {index[wrong].flat[0]}"
        )
    index = index.astype(np.int64)
    return np.where(index < 0, index + n, index)


def _cut(x: Any, axes: list[Axis], keep_ints: bool) -> Any:
    """The ranges of slices; ints as ranges of one, unless they are to go with index arrays."""
    ends = []
    for a, n in zip(axes, x.shape, strict=True):
        r = a.value if a.kind == "slice" else range(n)
        if a.kind == "int" and not keep_ints:
            r = range(a.value, a.value + 1)
        # A step that is never taken may be of any size.
        ends.append((r.start, r.stop, r.step) if len(r) > 1 else (r[0], r[0] + 1, 1) if r else (0, 0, 1))
    if keep_ints and all(e == (0, n, 1) for e, n in zip(ends, x.shape, strict=True)):
        return x
    starts, stops, steps = zip(*ends, strict=True) if ends else ((), (), ())
    return ops.slice(x, starts, stops, steps)


def _select(x: Any, axes: list[Axis]) -> Any:
    """x at index arrays that broadcast together, with ints among them.

    The axes of the result that stand for them are where they were if they stood side by side, else first.
    """
    chosen = [i for i, a in enumerate(axes) if a.kind in ("array", "int")]  # places in the key
    together = chosen == list(range(chosen[0], chosen[-1] + 1))
    own = [a for a in axes if a.value is not None]
    dims = [d for d, a in enumerate(own) if a.kind in ("array", "int")]  # axes of x
    others = [d for d in range(x.ndim) if d not in dims]
    try:
        index = np.broadcast_arrays(*(own[d].value for d in dims))
    except ValueError:
        shapes = " and ".join(str(own[d].value.shape) for d in dims if own[d].kind == "array")
        raise IndexError(f"[index] index arrays must broadcast, but got {shapes}") from None

    first = dims[0] if together else 0
    if not together and dims != list(range(len(dims))):
        x = ops.permute(x, (*dims, *others))
        dims = list(range(len(dims)))
    sizes = x.shape[first : first + len(dims)]
    before, after = x.shape[:first], x.shape[first + len(dims) :]
    flat = np.zeros(index[0].shape, np.int64)  # the indices along these axes taken as one
    for places, n in zip(index, sizes, strict=True):
        flat = flat * n + places
    rows = ops.reshape(x, (*before, math.prod(sizes), *after))
    y = ops.index_select(rows, first, _core.from_numpy(flat.reshape(-1)))

    left = iter((*before, *after))
    shape = [1 if a.kind == "new" else next(left) for a in axes if a.kind in ("new", "slice")]
    at = sum(a.kind in ("new", "slice") for a in axes[: chosen[0]]) if together else 0
    shape[at:at] = index[0].shape
    return ops.reshape(y, tuple(shape))
