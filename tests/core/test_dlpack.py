"""DLPack with NumPy as the other side, and with capsules made by hand for what no library gets wrong."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Any

import numpy as np
import pytest

import groundup as gu

pytestmark = pytest.mark.usefixtures("backend")
CPU = (1, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4), (1, 5, 1)])
def test_numpy_shares_our_memory_and_we_its(dtype: str, shape: tuple[int, ...]) -> None:
    t = gu.tensor(np.arange(int(np.prod(shape))).reshape(shape).astype(dtype))
    a = np.from_dlpack(t)
    assert a.shape == shape and a.dtype == dtype and np.array_equal(a, np.asarray(t))
    assert a.size == 0 or a.ctypes.data == t.data_ptr()
    b = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    u = gu.from_dlpack(b)
    assert u.shape == shape and u.dtype == dtype and np.array_equal(np.asarray(u), b)
    assert b.size == 0 or u.data_ptr() == b.ctypes.data


def test_writes_go_through_both_ways() -> None:
    a = np.zeros(3, np.float32)
    t = gu.from_dlpack(a)
    t.fill_(2.0)
    assert a.tolist() == [2, 2, 2]
    b = np.from_dlpack(gu.from_dlpack(a))
    assert b.ctypes.data == a.ctypes.data


def test_memory_lives_as_long_as_anybody_needs_it() -> None:
    a = np.from_dlpack(gu.tensor(np.arange(1000.0)))
    gc.collect()
    assert a.sum() == 499_500.0
    b = np.ones(1000)
    before = sys.getrefcount(b)
    t = gu.from_dlpack(b)
    assert sys.getrefcount(b) > before
    u = t.detach()
    del t
    assert sys.getrefcount(b) > before
    del u
    gc.collect()
    assert sys.getrefcount(b) == before


def test_unused_capsules_free_what_they_hold() -> None:
    b = np.ones(10)
    before = sys.getrefcount(b)
    for version in (None, (1, 0)):
        capsule = gu.from_numpy(b).__dlpack__(max_version=version)
        assert sys.getrefcount(b) > before
        del capsule
        gc.collect()
        assert sys.getrefcount(b) == before


def test_capsules_are_named_by_version() -> None:
    t = gu.tensor([1.0])
    for version, name in ((None, "dltensor"), ((0, 8), "dltensor"), ((1, 0), "dltensor_versioned")):
        assert f'"{name}"' in repr(t.__dlpack__(max_version=version))
    assert t.__dlpack_device__() == CPU


def test_a_capsule_is_consumed_once() -> None:
    capsule = gu.tensor([1.0]).__dlpack__(max_version=(1, 0))

    class Once:
        def __dlpack__(self, **kwargs: Any) -> Any:
            return capsule

        def __dlpack_device__(self) -> tuple[int, int]:
            return CPU

    assert gu.from_dlpack(Once()).tolist() == [1.0]
    assert "used_dltensor_versioned" in repr(capsule)
    with pytest.raises(TypeError, match="__dlpack__ must return an unused DLPack capsule, but got PyCapsule"):
        gu.from_dlpack(Once())


def test_read_only_memory() -> None:
    a = np.ones(2, np.float32)
    a.flags.writeable = False
    t = gu.from_numpy(a)
    with pytest.raises(BufferError, match=r"read-only, which only DLPack 1\.0"):
        t.__dlpack__()
    flags = Managed.from_capsule(t.__dlpack__(max_version=(1, 0))).flags
    assert flags == 1
    assert Managed.from_capsule(gu.tensor([1.0]).__dlpack__(max_version=(1, 0))).flags == 0
    copied = t.__dlpack__(max_version=(1, 0), copy=True)
    assert Managed.from_capsule(copied).flags == 2


def test_copy_makes_one() -> None:
    t = gu.tensor([1.0])
    assert Managed.from_capsule(t.__dlpack__(max_version=(1, 0), copy=True)).tensor.data != t.data_ptr()
    assert Managed.from_capsule(t.__dlpack__(max_version=(1, 0), copy=False)).tensor.data == t.data_ptr()


def test_refused_exports() -> None:
    t = gu.tensor([1.0], requires_grad=True)
    with pytest.raises(BufferError, match=r"requires a gradient cannot be shared; use x\.detach\(\)"):
        np.from_dlpack(t)
    assert np.from_dlpack(t.detach()).tolist() == [1.0]
    with pytest.raises(BufferError, match="stream must be None"):
        t.detach().__dlpack__(stream=1)
    with pytest.raises(BufferError, match=r"dl_device must be \(1, 0\), the CPU, but got \(2, 0\)"):
        t.detach().__dlpack__(dl_device=(2, 0))
    t.detach().__dlpack__(dl_device=CPU)


def test_refused_sources() -> None:
    for source in (3, [1.0], object()):
        with pytest.raises(TypeError, match="source must have __dlpack__ and __dlpack_device__, but got"):
            gu.from_dlpack(source)
    for array in (np.ones((2, 3)).T, np.ones(6)[::2], np.ones(3)[::-1]):
        with pytest.raises(ValueError, match="only contiguous memory can be shared"):
            gu.from_dlpack(array)
    for other, kind in (
        (np.ones(2, np.int32), "int32"),
        (np.ones(2, np.uint8), "uint8"),
        (np.ones(2, np.float16), "float16"),
        (np.ones(2, np.complex64), "complex64"),
    ):
        with pytest.raises(gu.DTypeError, match=f"float32 or float64, but got {kind}$"):
            gu.from_dlpack(other)


# ------------------------------------------------------------------------------------------- capsules by hand


class Raw(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Managed(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("flags", ctypes.c_uint64),
        ("tensor", Raw),
    )

    @staticmethod
    def from_capsule(capsule: Any) -> Managed:
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
        managed = Managed.from_address(get(capsule, b"dltensor_versioned"))
        managed.capsule = capsule  # keeps it alive
        return managed


NAME = b"dltensor_versioned"  # the capsule keeps the pointer, not a copy


class Producer:
    """Six doubles, as a producer that says what it is told to say."""

    def __init__(self, shape: Any = (2, 3), strides: Any = None, **wrong: Any) -> None:
        self.memory = np.arange(8.0)
        self.deleted = 0
        self.managed = Managed(major=wrong.pop("major", 1), flags=wrong.pop("flags", 0))
        raw = self.managed.tensor
        raw.data, raw.device_type, raw.code, raw.bits, raw.lanes = self.memory.ctypes.data, 1, 2, 64, 1
        raw.ndim = len(shape or ())
        self.shape = (ctypes.c_int64 * raw.ndim)(*(shape or ()))
        raw.shape = self.shape if shape is not None else None
        if strides is not None:
            self.strides = (ctypes.c_int64 * raw.ndim)(*strides)
            raw.strides = self.strides
        for name, value in wrong.items():
            setattr(raw, name, value)
        deleter = type(self.managed).deleter
        assert deleter is not None

        def delete(_: Any) -> None:
            self.deleted += 1

        self.managed.deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(delete)

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU

    def __dlpack__(self, **kwargs: Any) -> Any:
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return new(ctypes.addressof(self.managed), NAME, None)


def test_a_good_capsule_by_hand() -> None:
    for strides in (None, (3, 1)):
        producer = Producer(strides=strides)
        t = gu.from_dlpack(producer)
        assert t.tolist() == [[0, 1, 2], [3, 4, 5]] and t.data_ptr() == producer.memory.ctypes.data
        assert producer.deleted == 0
        del t
        gc.collect()
        assert producer.deleted == 1


def test_offsets_read_only_flags_and_strides_that_do_not_matter() -> None:
    assert gu.from_dlpack(Producer(byte_offset=16)).tolist() == [[2, 3, 4], [5, 6, 7]]
    with pytest.raises(ValueError, match="read-only"):
        gu.from_dlpack(Producer(flags=1)).zero_()
    assert gu.from_dlpack(Producer((1, 3), strides=(77, 1))).tolist() == [[0, 1, 2]]
    assert gu.from_dlpack(Producer((0, 3), strides=(5, 7))).shape == (0, 3)
    assert gu.from_dlpack(Producer((0,), data=None)).shape == (0,)
    assert gu.from_dlpack(Producer(())).item() == 0.0


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"device_type": 2}, BufferError, "the memory must be the CPU's, but got device type 2"),
        ({"lanes": 4}, TypeError, "elements must have one lane, but got 4"),
        ({"code": 77}, TypeError, "but got type code 77 with bits 64"),
        ({"bits": 8}, TypeError, "but got float8"),
        ({"ndim": -1}, ValueError, "the number of axes must be in 0 to 64, but got -1"),
        ({"ndim": 65}, ValueError, "the number of axes must be in 0 to 64, but got 65"),
        ({"shape": None, "ndim": 2}, ValueError, "the number of axes must be in 0 to 64, but got 2"),
        ({"shape": (-2, 3)}, ValueError, r"sizes must not be negative, but got \(-2, 3\)"),
        ({"shape": (2**40, 2**40)}, ValueError, r"sizes must multiply to less than 2\^59"),
        ({"data": None}, BufferError, "the memory is missing"),
        ({"byte_offset": 3}, ValueError, "the memory must be aligned to its elements"),
        ({"strides": (1, 2)}, ValueError, "only contiguous memory can be shared"),
        ({"strides": (0, 1)}, ValueError, "only contiguous memory can be shared"),
        ({"major": 2}, BufferError, r"the DLPack version must be 1, but got 2\.0"),
    ],
)
def test_bad_capsules_are_refused_and_stay_their_owners(
    wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    producer = Producer(**wrong)
    with pytest.raises(error, match=message):
        gu.from_dlpack(producer)
    assert producer.deleted == 0


def test_old_producers_and_what_producers_raise() -> None:
    class Old:
        def __dlpack__(self, **kwargs: Any) -> Any:
            if kwargs:
                raise TypeError(f"unexpected keywords {kwargs}")
            return gu.tensor([4.0]).__dlpack__()

        def __dlpack_device__(self) -> tuple[int, int]:
            return CPU

    assert gu.from_dlpack(Old()).tolist() == [4.0]

    class Elsewhere(Old):
        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 0)

    with pytest.raises(BufferError, match="the memory must be the CPU's, but got device type 2"):
        gu.from_dlpack(Elsewhere())

    class Broken(Old):
        def __dlpack__(self, **kwargs: Any) -> Any:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        gu.from_dlpack(Broken())

    class Nothing(Old):
        def __dlpack__(self, **kwargs: Any) -> Any:
            return None

    with pytest.raises(TypeError, match="must return an unused DLPack capsule, but got NoneType"):
        gu.from_dlpack(Nothing())
