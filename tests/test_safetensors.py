"""Our safetensors files: the bytes the format asks for, and every damaged file refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from groundup import safetensors
from groundup.safetensors import SafetensorsError

DTYPES = [np.float32, np.float64, np.float16, np.int64, np.int32, np.uint8, np.bool_]
arrays = st.sampled_from(DTYPES).flatmap(
    lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
tensors_strategy = st.dictionaries(
    st.text(max_size=8).filter(lambda s: s != "__metadata__"), arrays, max_size=5
)


def same(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> bool:
    """Equal bit for bit, NaN included."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def build(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A file by hand, right or wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_bytes_by_hand() -> None:
    data = safetensors.save({"a": np.array([1, 2], np.int32)})
    header = b'{"a":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}'
    header += b" " * (-len(header) % 8)
    assert data == len(header).to_bytes(8, "little") + header + b"\x01\0\0\0\x02\0\0\0"


@given(tensors_strategy, st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_round_trip(tensors: dict[str, npt.NDArray[np.generic]], metadata: dict[str, str] | None) -> None:
    data = safetensors.save(tensors, metadata)
    loaded = safetensors.load(data)
    assert loaded.keys() == tensors.keys()
    for name, array in tensors.items():
        assert same(loaded[name], array)
        assert loaded[name].flags.aligned


def test_file_is_mapped_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    tensors = {"w": np.arange(12.0).reshape(3, 4), "b": np.zeros(0, np.float32), "flag": np.array(True)}
    safetensors.save_file(tensors, path, metadata={"format": "pt"})
    assert path.read_bytes() == safetensors.save(tensors, metadata={"format": "pt"})
    loaded = safetensors.load_file(path)
    assert all(same(loaded[k], v) for k, v in tensors.items())
    assert not loaded["w"].flags.owndata and not loaded["w"].flags.writeable
    header = safetensors.read_header(path)
    assert header.metadata == {"format": "pt"}
    assert header.entries["w"] == safetensors.Entry("F64", (3, 4), 0, 96)
    # A new file under the same name leaves what was mapped from the old one.
    safetensors.save_file({"w": np.zeros((3, 4))}, path)
    assert same(loaded["w"], tensors["w"])


def test_layouts_and_byte_orders() -> None:
    base = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for array in (
        base.T,
        base[:, ::-1],
        base.astype(">f4"),
        np.asfortranarray(base),
        np.broadcast_to(base[0], (5, 3, 4)),
    ):
        loaded = safetensors.load(safetensors.save({"x": array}))["x"]
        assert loaded.dtype == np.float32
        assert np.array_equal(loaded, array)


def test_unaligned_data_is_copied() -> None:
    header = json.dumps({"x": entry()}).encode()
    header += b" " * ((1 - len(header)) % 8)
    array = safetensors.load(build(header, np.array([1, 2], np.float32).tobytes()))["x"]
    assert array.flags.aligned and array.tolist() == [1.0, 2.0]


def test_bfloat16() -> None:
    values = np.array([0.0, -0.0, 1.0, 1.00390625, 1.01171875, 3.4e38, np.inf, -np.inf, 1e-45], np.float32)
    bits = safetensors.float32_to_bfloat16(values)
    # 1 + 1/256 and 1 + 3/256 lie halfway between neighbours 1/128 apart: to the even one, down and up.
    assert [hex(b) for b in bits] == [
        "0x0",
        "0x8000",
        "0x3f80",
        "0x3f80",
        "0x3f82",
        "0x7f80",
        "0x7f80",
        "0xff80",
        "0x0",
    ]
    nan = safetensors.float32_to_bfloat16(np.array([0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32))
    assert np.isnan(safetensors.bfloat16_to_float32(nan)).all()
    loaded = safetensors.load(safetensors.save({"w": bits.reshape(3, 3), "u": np.ones(2, np.uint16)}))
    assert safetensors.is_bfloat16(loaded["w"]) and not safetensors.is_bfloat16(loaded["u"])
    assert same(loaded["w"], bits.reshape(3, 3))
    assert safetensors.load(safetensors.save({"row": loaded["w"][1]}))["row"].tobytes() == bits[3:6].tobytes()


@given(st.integers(0, 2**16 - 1))
def test_bfloat16_round_trip(bits: int) -> None:
    array = np.array([bits], np.uint16)
    wide = safetensors.bfloat16_to_float32(array)
    if not np.isnan(wide[0]):
        assert safetensors.float32_to_bfloat16(wide)[0] == bits


BAD = [
    (b"", "at least 8 bytes, but got 0"),
    (b"1234567", "at least 8 bytes, but got 7"),
    (bytes(8), "header must begin with {, but got b''"),
    (build({}, length=3), "header length must be at most 2 in a file of 10 bytes, but got 3"),
    (build({}, length=2**64 - 1), "header length must be at most 2"),
    ((10**7 + 1).to_bytes(8, "little") + bytes(10**7 + 9), "header length must be at most 10000000"),
    (build(b" {}"), "header must begin with"),
    (build(b"[]"), "header must begin with"),
    (build(b"{\xff}"), "must be UTF-8, but got byte 0xff at offset 1"),
    (build(b"{" * 5000), "may nest 3 levels deep"),
    (build(b'{"a":' + b"[" * 5000), "may nest 3 levels deep"),
    (build(b'{"a":{},"a":{}}'), "keys must be unique, but got 'a' twice"),
    (build(b'{"a":{"dtype":"F32","dtype":"F64"}}'), "keys must be unique, but got 'dtype' twice"),
    (build({"a": 1}), "entry of 'a' must be an object, but got 1"),
    (build({"a": {"dtype": "F32"}}), r"entry of 'a' must have the fields dtype, shape and data_offsets"),
    (build({"a": {**entry(), "x": 1}}, bytes(8)), "must have the fields"),
    (build({"a": entry("F8_E4M3", [8])}, bytes(8)), "dtype of 'a' must be one of BOOL"),
    (build({"a": entry(["F32"])}, bytes(8)), "dtype of 'a' must be one of"),
    (build({"a": entry(shape=[-2])}, bytes(8)), "shape of 'a' must be a list of sizes"),
    (build({"a": entry(shape=[2.0])}, bytes(8)), "shape of 'a' must be a list of sizes"),
    (build({"a": entry("U8", [True, 8])}, bytes(8)), "shape of 'a' must be a list of sizes"),
    (build({"a": entry(shape="2")}, bytes(8)), "shape of 'a' must be a list of sizes"),
    (build({"a": entry("U8", [1] * 33, [0, 1])}, b"\0"), "shape of 'a' may have 32 dimensions, but got 33"),
    (build({"a": entry(shape=[2**62, 4], offsets=[0, 0])}), "shape of 'a' must address less than 2.63 bytes"),
    (build({"a": entry(shape=[0, 2**62, 8], offsets=[0, 0])}), "shape of 'a' must address less"),
    (build({"a": entry(shape=[2**63], offsets=[0, 0])}), "shape of 'a' must be a list of sizes"),
    (build({"a": entry(offsets=[0])}, bytes(8)), "data_offsets of 'a' must be two byte positions"),
    (build({"a": entry(offsets=[-8, 0])}, bytes(8)), "data_offsets of 'a' must be two byte positions"),
    (build({"a": entry(offsets=[0.0, 8.0])}, bytes(8)), "data_offsets of 'a' must be two byte positions"),
    (build({"a": entry(offsets=[0, 7])}, bytes(7)), "must span 8 bytes for F32"),
    (build({"a": entry(offsets=[8, 0])}, bytes(8)), "must span 8 bytes for F32"),
    (build({"a": entry(offsets=[4, 12])}, bytes(12)), "data_offsets of 'a' must begin at 0"),
    (build({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12)), "data_offsets of 'b' must begin at 8"),
    (build({"a": entry(), "b": entry(offsets=[12, 20])}, bytes(20)), "data_offsets of 'b' must begin at 8"),
    (build({"a": entry()}, bytes(9)), "must cover the 9 bytes of data, but got 8"),
    (build({"a": entry()}, bytes(7)), "must cover the 7 bytes of data, but got 8"),
    (build({}, b"x"), "must cover the 1 bytes"),
    (build({"__metadata__": {"a": 1}}), "__metadata__ must map strings to strings"),
    (build({"__metadata__": []}), "__metadata__ must map strings to strings"),
    (build(b'{"\\ud800":' + json.dumps(entry()).encode() + b"}", bytes(8)), "names must be valid Unicode"),
    (build({"a": entry("BOOL", [2], [0, 2])}, b"\x01\x02"), "values of 'a' must be bytes 0 or 1, but got 2"),
]


@pytest.mark.parametrize(("data", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_damaged_files(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(SafetensorsError, match=message) as info:
        safetensors.load_file(path)
    assert str(path) in str(info.value)
    with pytest.raises(SafetensorsError, match=message):
        safetensors.load(data)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        safetensors.load_file(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"__metadata__": np.zeros(1)}, None, "names must be strings"),
        ({"\ud800": np.zeros(1)}, None, "names must be strings"),
        ({1: np.zeros(1)}, None, "names must be strings"),
        ({"a": np.zeros(1, np.complex64)}, None, "dtype of 'a' must be one of .*, but got complex64"),
        ({"a": np.array(["x"])}, None, "dtype of 'a' must be one of"),
        ({"a": np.array([None])}, None, "dtype of 'a' must be one of"),
        ({}, {"a": 1}, "metadata must map str to str"),
    ],
)
def test_what_cannot_be_written(
    tmp_path: Path, tensors: dict[str, npt.NDArray[np.generic]], metadata: dict[str, str] | None, message: str
) -> None:
    with pytest.raises(SafetensorsError, match=message):
        safetensors.save_file(tensors, tmp_path / "a.safetensors", metadata)
    assert list(tmp_path.iterdir()) == []


VALID = safetensors.save(
    {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "mask": np.array([True, False]),
        "ids": np.arange(3),
        "half": np.ones(2, np.float16),
        "raw": safetensors.float32_to_bfloat16(np.ones(3, np.float32)),
    },
    {"format": "pt"},
)


def check_only_safetensors_error(data: bytes) -> None:
    """A damaged file is refused, or is a valid file of which every array can be read and written again."""
    try:
        loaded = safetensors.load(data)
    except SafetensorsError:
        return
    assert sum(a.nbytes for a in loaded.values()) <= len(data)
    again = safetensors.load(safetensors.save(loaded))
    assert all(same(again[name], array) for name, array in loaded.items())


@settings(max_examples=1500, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutations(data: st.DataObject) -> None:
    content = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["flip", "digit", "truncate", "delete", "insert", "repeat"])):
            case "flip":
                content[at] = data.draw(st.integers(0, 255))
            case "digit":
                content[at : at + 1] = str(data.draw(st.integers(0, 2**70))).encode()
            case "truncate":
                del content[at + 1 :]
            case "delete":
                del content[at : at + data.draw(st.integers(1, 9))]
            case "insert":
                content[at:at] = data.draw(
                    st.sampled_from([b'"', b"{", b"[", b",", b"\\u", b"null", b"1e9", b"-"])
                )
            case "repeat":
                content[at:at] = content[at : at + 20]
        if not content:
            break
    check_only_safetensors_error(bytes(content))


def test_every_truncation_and_every_single_bit() -> None:
    for end in range(len(VALID)):
        with pytest.raises(SafetensorsError):
            safetensors.load(VALID[:end])
    for at in range(len(VALID)):
        for bit in range(8):
            content = bytearray(VALID)
            content[at] ^= 1 << bit
            check_only_safetensors_error(bytes(content))


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    check_only_safetensors_error(data)
    check_only_safetensors_error(len(data).to_bytes(8, "little") + data)
