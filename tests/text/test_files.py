"""Text files: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.text import read_text


def test_reads_exactly(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("é\r\n日\tend".encode())
    assert read_text(path) == "é\r\n日\tend"


def test_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfhello")
    assert read_text(path) == "hello"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"abc\xff", "byte 0xff at offset 3"),
        (b"\xc3", "byte 0xc3 at offset 0"),
        ("a".encode("utf-16"), "byte 0xff at offset 0"),
        (b"\xed\xa0\x80", "byte 0xed at offset 0"),  # a surrogate
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
    ],
)
def test_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        read_text(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none.txt")


@given(st.binary(min_size=1, max_size=40))
def test_offset_is_the_first_wrong_byte(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.txt"
    path.write_bytes(data)
    try:
        assert read_text(path).encode() == data.removeprefix(b"\xef\xbb\xbf")
    except ValueError as error:
        if "is empty" not in str(error):
            offset = int(str(error).rpartition(" ")[2])
            data[:offset].decode()  # what is before it is whole
            with pytest.raises(UnicodeDecodeError):
                data.decode()
