"""Reading text files: UTF-8, or an error that says where it is not."""

from __future__ import annotations

import os
from pathlib import Path


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a UTF-8 file, its line ends as they are, without a leading byte order mark.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is empty or not UTF-8; names the file and the offset of the first wrong byte.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "latin.txt")
    >>> _ = path.write_bytes("café".encode("latin-1"))
    >>> read_text(path)
    Traceback (most recent call last):
    ValueError: [read_text] ...latin.txt: must be UTF-8, but got byte 0xe9 at offset 3
    """
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"[read_text] {os.fspath(path)}: must be UTF-8, but got byte 0x{data[error.start]:02x} "
            f"at offset {error.start}"
        ) from None
    text = text.removeprefix("\ufeff")
    if not text:
        raise ValueError(f"[read_text] {os.fspath(path)}: must hold text, but is empty")
    return text
