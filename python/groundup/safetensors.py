"""Read and write safetensors files: named arrays in one flat file that can be memory-mapped.

Layout: 8 bytes little-endian header length N; N bytes of JSON that gives each name its ``dtype``, ``shape``
and ``data_offsets``; then the raw arrays, one after another without a gap. Nothing in it is ever executed,
which is the point: it replaces pickled checkpoints.

A file is validated whole before any array is made from it, so a damaged or hostile file gives a
`SafetensorsError` that names file and field. Reading copies nothing: the arrays are read-only views of the
mapped file. NumPy has no bfloat16: such arrays come as their raw 16 bits with the tagged dtype `bfloat16`,
and `bfloat16_to_float32` widens them.

Not handled: floats of 8 bits and less, complex numbers, sharded models, and another program that truncates
the file while it is mapped (no writer that renames does).
"""

from __future__ import annotations

import json
import math
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.files import atomic_write, parse_json

#: Storage of bfloat16: a uint16 dtype that carries a tag. Slices and reshapes keep it, arithmetic loses it.
bfloat16: np.dtype[np.uint16] = np.dtype(np.uint16, metadata={"safetensors": "BF16"})

# In the order in which the format's own writer sorts arrays, last first, so that wide types stay aligned.
_DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "I16": np.dtype("<i2"),
    "U16": np.dtype("<u2"),
    "F16": np.dtype("<f2"),
    "BF16": bfloat16,
    "I32": np.dtype("<i4"),
    "U32": np.dtype("<u4"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
    "U64": np.dtype("<u8"),
}
_TAGS: dict[np.dtype[Any], str] = {dtype: tag for tag, dtype in _DTYPES.items() if tag != "BF16"}
_RANK = {tag: rank for rank, tag in enumerate(_DTYPES)}

_MAX_HEADER = 10_000_000  # about 100,000 arrays; parsing it takes less than 50 MB
_MAX_DIMS = 32  # NumPy 1's limit


class SafetensorsError(ValueError):
    """The bytes are not a valid safetensors file, or the arrays cannot be written as one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the header says of one array: dtype tag, shape, and its bytes ``[begin, end)`` in the data."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """A validated header: arrays in the order of their bytes, the metadata, and where the data begins."""

    entries: dict[str, Entry]
    metadata: dict[str, str]
    data_start: int


def is_bfloat16(array: npt.NDArray[Any]) -> bool:
    """Whether ``array`` holds raw bfloat16 bits, by the tag on its dtype."""
    metadata: Mapping[str, Any] = array.dtype.metadata or {}
    return bool(array.dtype == np.uint16 and metadata.get("safetensors") == "BF16")


def bfloat16_to_float32(array: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Widen raw bfloat16 bits to float32, exactly: bfloat16 is the upper half of a float32.

    >>> bfloat16_to_float32(float32_to_bfloat16(np.array([1.0, -2.5], np.float32)))
    array([ 1. , -2.5], dtype=float32)
    """
    return (array.astype(np.uint32) << 16).view(np.float32)


def float32_to_bfloat16(array: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Round float32 to raw bfloat16 bits, to nearest and ties to even; NaN stays NaN."""
    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16  # wraps only for NaN, which the next line handles
    quiet_nan = (bits >> 16) | 0x40
    return np.where(np.isnan(array), quiet_nan, rounded).astype(np.uint16).view(bfloat16)


# ------------------------------------------------------------------------------------------------------- read


def _parse_entry(where: str, name: str, raw: Any) -> Entry:
    def fail(field: str, holds: str, got: object) -> SafetensorsError:
        return SafetensorsError(
            f"[safetensors] {where}: {field} of {name!r} {holds}, but got {repr(got)[:99]}"
        )

    if not isinstance(raw, dict):
        raise fail("entry", "must be an object", raw)
    if set(raw) != {"dtype", "shape", "data_offsets"}:
        raise fail("entry", "must have the fields dtype, shape and data_offsets", sorted(raw))
    tag, shape, offsets = raw["dtype"], raw["shape"], raw["data_offsets"]
    if not isinstance(tag, str) or tag not in _DTYPES:
        raise fail("dtype", f"must be one of {', '.join(_DTYPES)}", tag)
    # bool is an int to isinstance, and a float such as 2.0 is not a size
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise fail("shape", "must be a list of sizes", shape)
    if len(shape) > _MAX_DIMS:
        raise fail("shape", f"may have {_MAX_DIMS} dimensions", len(shape))
    if (
        not isinstance(offsets, list)
        or len(offsets) != 2
        or not all(type(n) is int and n >= 0 for n in offsets)
    ):
        raise fail("data_offsets", "must be two byte positions", offsets)
    # Python integers do not overflow; the product without zeros must fit too, or NumPy refuses the shape.
    size = _DTYPES[tag].itemsize
    if math.prod(n for n in shape if n) * size >= 2**63:
        raise fail("shape", "must address less than 2^63 bytes", shape)
    begin, end = offsets
    if end - begin != math.prod(shape) * size:
        raise fail(
            "data_offsets", f"must span {math.prod(shape) * size} bytes for {tag} {tuple(shape)}", offsets
        )
    return Entry(tag, tuple(shape), begin, end)


def _parse_header(data: memoryview | mmap.mmap | bytes, where: str) -> Header:
    def fail(message: str) -> SafetensorsError:
        return SafetensorsError(f"[safetensors] {where}: {message}")

    size = len(data)
    if size < 8:
        raise fail(f"file must hold at least 8 bytes, but got {size}")
    length = int.from_bytes(data[:8], "little")
    if length > size - 8:
        raise fail(f"header length must be at most {size - 8} in a file of {size} bytes, but got {length}")
    if length > _MAX_HEADER:
        raise fail(f"header length must be at most {_MAX_HEADER}, but got {length}")
    if bytes(data[8:9]) != b"{" or length == 0:
        raise fail(f"header must begin with {{, but got {bytes(data[8:9][:length])!r}")
    raw = parse_json(bytes(data[8 : 8 + length]), where=where, error=SafetensorsError, max_depth=3)

    metadata = raw.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise fail("__metadata__ must map strings to strings, but got another value")
    entries: dict[str, Entry] = {}
    for name, fields in raw.items():
        if not name.isprintable() and not _encodable(name):
            raise fail(f"names must be valid Unicode, but got {name!r}")
        entries[name] = _parse_entry(where, name, fields)
    entries = dict(sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)))
    position = 0
    for name, entry in entries.items():
        if entry.begin != position:
            raise fail(
                f"data_offsets of {name!r} must begin at {position}, where the array before ends, "
                f"but got {entry.begin}"
            )
        position = entry.end
    if position != size - 8 - length:
        raise fail(f"the arrays must cover the {size - 8 - length} bytes of data, but got {position}")
    return Header(entries, metadata, 8 + length)


def _encodable(name: str) -> bool:
    """False for a lone surrogate, which JSON escapes can spell and UTF-8 cannot."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _arrays(data: mmap.mmap | bytes, where: str) -> dict[str, npt.NDArray[Any]]:
    header = _parse_header(data, where)
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, entry in header.entries.items():
        dtype = _DTYPES[entry.dtype]
        count = math.prod(entry.shape)
        if count == 0:
            arrays[name] = np.empty(entry.shape, dtype)
            continue
        start = header.data_start + entry.begin
        if entry.dtype == "BOOL":  # other bytes would be neither True nor False to NumPy
            raw = np.frombuffer(data, np.uint8, count, start)
            if raw.max() > 1:
                raise SafetensorsError(
                    f"[safetensors] {where}: values of {name!r} must be bytes 0 or 1, but got {raw.max()}"
                )
        array = np.frombuffer(data, dtype, count, start).reshape(entry.shape)
        # A foreign writer may not align its header; C++ must not read unaligned arrays, so copy those.
        arrays[name] = array if array.flags.aligned else array.copy()
    return arrays


def _map(path: Path) -> mmap.mmap | bytes:
    with open(path, "rb") as f:
        if os.fstat(f.fileno()).st_size == 0:  # mmap refuses an empty file
            return b""
        return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)


def load_file(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a safetensors file by name, as read-only views of the memory-mapped file.

    The mapping lives as long as one of the arrays does.

    Raises:
        SafetensorsError: the file is damaged, is not safetensors, or holds an unsupported dtype.
        OSError: the file cannot be opened.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> save_file({"weight": np.arange(6, dtype=np.float32).reshape(2, 3)}, path, metadata={"format": "np"})
    >>> load_file(path)["weight"]
    array([[0., 1., 2.],
           [3., 4., 5.]], dtype=float32)
    """
    path = Path(path)
    return _arrays(_map(path), str(path))


def load(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a safetensors file held in memory, as read-only views of ``data``; see `load_file`."""
    return _arrays(data, "bytes")


def read_header(path: str | os.PathLike[str]) -> Header:
    """Names, dtypes, shapes and metadata of a safetensors file, validated, without its arrays."""
    path = Path(path)
    return _parse_header(_map(path), str(path))


# ------------------------------------------------------------------------------------------------------ write


def _prepare(
    tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str] | None
) -> tuple[bytes, list[npt.NDArray[Any]]]:
    """The length and header as bytes, and the arrays in the order of the file."""
    tagged: list[tuple[str, str, npt.NDArray[Any]]] = []
    for name, value in tensors.items():
        if not isinstance(name, str) or name == "__metadata__" or not _encodable(name):
            raise SafetensorsError(
                f"[safetensors] names must be strings other than '__metadata__', but got {name!r}"
            )
        array = np.asarray(value)
        tag = "BF16" if is_bfloat16(array) else _TAGS.get(array.dtype.newbyteorder("<"))
        if tag is None:
            raise SafetensorsError(
                f"[safetensors] dtype of {name!r} must be one of {', '.join(_DTYPES)}, but got {array.dtype}"
            )
        tagged.append((tag, name, array))
    tagged.sort(key=lambda item: (-_RANK[item[0]], item[1]))

    header: dict[str, Any] = {}
    if metadata is not None:
        for key, text in metadata.items():
            if not isinstance(key, str) or not isinstance(text, str):
                raise SafetensorsError(
                    f"[safetensors] metadata must map str to str, but got {key!r}: {text!r}"
                )
        header["__metadata__"] = dict(metadata)
    position = 0
    for tag, name, array in tagged:
        end = position + array.nbytes
        header[name] = {"dtype": tag, "shape": list(array.shape), "data_offsets": [position, end]}
        position = end
    head = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    head += b" " * (-len(head) % 8)  # so that the data begins aligned
    if len(head) > _MAX_HEADER:
        raise SafetensorsError(
            f"[safetensors] header must be at most {_MAX_HEADER} bytes, but got {len(head)}"
        )
    return len(head).to_bytes(8, "little") + head, [array for _, _, array in tagged]


def _raw(array: npt.NDArray[Any]) -> memoryview:
    """The bytes of ``array``, row-major and little-endian; no copy when it already is both."""
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and not np.little_endian):
        array = array.astype(array.dtype.newbyteorder("<"))
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def save_file(
    tensors: Mapping[str, npt.NDArray[Any]],
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write named arrays to ``path``, atomically. transformers expects ``metadata={"format": "pt"}``.

    Raises:
        SafetensorsError: a name, dtype or metadata value that the format has no place for.
        OSError: the write failed; an older file is unchanged.
    """
    header, arrays = _prepare(tensors, metadata)
    with atomic_write(path) as f:
        f.write(header)
        for array in arrays:
            f.write(_raw(array))


def save(tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str] | None = None) -> bytes:
    """Named arrays as the bytes of a safetensors file; see `save_file`.

    >>> data = save({"b": np.zeros(2, np.int64), "a": np.ones((), bool)})
    >>> {name: array.shape for name, array in load(data).items()}
    {'b': (2,), 'a': ()}
    """
    header, arrays = _prepare(tensors, metadata)
    return b"".join([header, *(_raw(array) for array in arrays)])
