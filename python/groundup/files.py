"""Files that stay whole: atomic writes, a JSON-lines log that survives a kill, and careful JSON parsing.

Every write goes to a temporary name beside the target, is synced, and is renamed over it. So at any
moment, also after ``kill -9`` or with a full disk, the target holds the old content or the new, never a part.

Not handled: two processes that write the same target at once (each leaves a whole file; the later one stays),
and file systems on which a rename is not atomic.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

_PARTIAL = ".partial"
_serial = itertools.count()


def _partial_name(path: Path) -> Path:
    """The hidden temporary beside ``path``, unique to this process and call."""
    return path.with_name(f".{path.name}.{os.getpid()}-{next(_serial)}{_PARTIAL}")


def _sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` durable (POSIX; Windows cannot open folders and needs no such call)."""
    if os.name != "posix":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _named(error: OSError, path: Path, note: str) -> OSError:
    """The same error with the path a user knows: a failing ``write`` names none, or the temporary."""
    return OSError(error.errno, f"{error.strerror or error} ({note})", str(path))


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open ``path`` for writing bytes; it appears, whole, when the ``with`` block ends without an error.

    On any failure the old file stays as it was and the temporary is removed. A symbolic link is followed.

    Raises:
        OSError: the write failed (``ENOSPC``, ``EACCES``, …); the error names ``path``.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with atomic_write(path) as f:
    ...     _ = f.write(b"whole")
    >>> path.read_bytes()
    b'whole'
    """
    target = Path(os.path.realpath(path))
    partial = _partial_name(target)
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            with os.fdopen(fd, "wb") as f:
                yield f
                f.flush()
                os.fsync(f.fileno())
            if target.exists():
                shutil.copymode(target, partial)
            os.replace(partial, target)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
        _sync_folder(target.parent)
    except OSError as error:
        # Errors about another file (the block may read one) already name it.
        if error.filename is None or str(error.filename) == str(partial):
            raise _named(error, Path(path), "not written; an older file is unchanged") from error
        raise


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path`` atomically; see `atomic_write`."""
    with atomic_write(path) as f:
        f.write(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8 with ``\\n`` line ends; see `atomic_write`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` to ``path`` atomically as indented JSON; see `atomic_write`.

    Raises:
        ValueError: a number is NaN or infinite, which JSON has no name for.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Fill a temporary folder; it becomes ``path``, whole, when the ``with`` block ends without an error.

    A folder that is already there is replaced. No portable call swaps two folders, so the old one is first
    renamed aside: after a kill between the two renames `recover_folder` puts it back. On a failure the old
    folder stays and the temporary is removed.

    Raises:
        OSError: something could not be written; the error names the file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "checkpoint"
    >>> with atomic_folder(path) as folder:
    ...     write_text(folder / "step.txt", "7")
    >>> (path / "step.txt").read_text()
    '7'
    """
    target = Path(os.path.realpath(path))
    recover_folder(target)
    partial, old = _partial_name(target), _old_name(target)
    try:
        partial.mkdir()
        yield partial
        _sync_folder(partial)
        if target.exists():
            os.rename(target, old)
        try:
            os.rename(partial, target)
        except OSError:
            recover_folder(target)
            raise
        _sync_folder(target.parent)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError):
            where = str(error.filename or target).replace(str(partial), str(target))
            raise _named(error, Path(where), "not written; an older folder is unchanged") from error
        raise


def _old_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def recover_folder(path: str | os.PathLike[str]) -> None:
    """Undo an `atomic_folder` that was killed between its two renames; otherwise do nothing.

    Call it before reading a folder that a killed run may have been replacing.
    """
    target = Path(os.path.realpath(path))
    old = _old_name(target)
    if old.exists():
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(old, target)


def remove_partials(folder: str | os.PathLike[str]) -> None:
    """Remove the temporaries that killed runs left in ``folder``. No other writer may be at work there."""
    for partial in Path(folder).glob(f".*{_PARTIAL}"):
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


# ------------------------------------------------------------------------------------------------------- JSON

# A whole string, or one character that opens, closes or separates. Possessive: no memory for backtracking.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]|,', re.DOTALL)


def parse_json(
    data: bytes | str,
    *,
    where: str,
    error: type[ValueError] = ValueError,
    max_depth: int = 32,
    max_values: int = 500_000,
) -> Any:
    """Parse JSON from outside: strict, and bounded in depth and memory *before* anything is built.

    Refused besides bad syntax: bytes that are not UTF-8, a key given twice in an object (readers disagree on
    which one counts), NaN and infinities, more than ``max_depth`` levels or ``max_values`` values.

    Args:
        where: what is parsed, for the message (a file name).
        error: the exception class to raise.

    >>> parse_json('{"a": [1, 2]}', where="config.json")
    {'a': [1, 2]}
    >>> parse_json('{"a": 1, "a": 2}', where="config.json")
    Traceback (most recent call last):
    ValueError: [json] config.json: keys must be unique, but got 'a' twice
    """

    def fail(message: str) -> ValueError:
        return error(f"[json] {where}: {message}")

    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8")
        except UnicodeDecodeError as e:
            raise fail(f"must be UTF-8, but got byte 0x{e.object[e.start]:02x} at offset {e.start}") from None

    depth = values = 0
    for match in _TOKEN.finditer(data):
        token = match[0]
        if token in "[{":
            depth += 1
            values += 1
            if depth > max_depth:
                raise fail(f"may nest {max_depth} levels deep, but got more at character {match.start()}")
        elif token in "]}":
            depth -= 1
        elif token == ",":
            values += 1
        if values > max_values:
            raise fail(f"may hold {max_values} values, but got more at character {match.start()}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs:
            if key in result:
                raise fail(f"keys must be unique, but got {key!r} twice")
            result[key] = value
        return result

    def finite(text: str) -> float:
        number = float(text)
        if not math.isfinite(number):
            raise fail(f"numbers must be finite, but got {text[:40]}")
        return number

    def integer(text: str) -> int:
        if len(text) > 100:
            raise fail(f"integers may have 100 digits, but got {len(text)}")
        return int(text)

    try:
        return json.loads(
            data, object_pairs_hook=unique, parse_constant=finite, parse_float=finite, parse_int=integer
        )
    except json.JSONDecodeError as e:
        raise fail(f"must be JSON, but got {e.msg} at line {e.lineno} column {e.colno}") from None


def read_json(
    path: str | os.PathLike[str], *, error: type[ValueError] = ValueError, max_values: int = 500_000
) -> Any:
    """Read and parse a JSON file; see `parse_json`."""
    path = Path(path)
    return parse_json(path.read_bytes(), where=str(path), error=error, max_values=max_values)


# ------------------------------------------------------------------------------------------------- JSON lines


def _plain(value: Any) -> Any:
    """NumPy scalars as Python ones; a number that is not finite as ``None``: JSON has no name for it."""
    if hasattr(value, "item") and not isinstance(value, (dict, list, tuple)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def read_jsonl(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read a JSON-lines file, one object a line. A torn last line (its writer was killed) is left out.

    Raises:
        ValueError: a line before the last is not a JSON object; names file and line.
    """
    return _read_jsonl(Path(path))[0]


def _read_jsonl(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records, and the length in bytes of the lines that hold them."""
    records: list[dict[str, Any]] = []
    whole = 0
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            record = parse_json(line, where=f"{path} line {number}")
            if not isinstance(record, dict):
                raise ValueError(
                    f"[json] {path} line {number}: must be an object, but got {type(record).__name__}"
                )
        except ValueError:
            if number == len(lines) and not line.endswith(b"\n"):
                break
            raise
        records.append(record)
        whole += len(line)
    return records, whole


class JsonlWriter:
    """Append JSON objects to ``path``, one a line, so that a kill at any moment loses at most the last line.

    Each record is one unbuffered ``write``: the kernel has it even if the process is killed right after. (A
    power cut may still lose the last seconds; `sync` before something that relies on the log.) Opening a file
    whose last line is torn cuts that line off. NumPy scalars are accepted; NaN and infinities become null.

    Raises:
        OSError: a record could not be written whole (full disk); the file is cut back to its whole lines.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
    >>> with JsonlWriter(path) as log:
    ...     for step in range(5):
    ...         log.write({"step": step, "loss": 1 / (step + 1)})
    ...     log.truncate_after(1)
    >>> read_jsonl(path)
    [{'step': 0, 'loss': 1.0}, {'step': 1, 'loss': 0.5}]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._fd = -1
        self._open()

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._fd = os.open(self.path, flags, 0o666)
        try:
            if not os.path.isfile(self.path):  # a device or a pipe has no lines to repair
                return
            _, whole = _read_jsonl(self.path)
            os.ftruncate(self._fd, whole)
            # A record can be complete without its newline.
            if whole and self.path.read_bytes()[whole - 1 : whole] != b"\n":
                self._append(b"\n")
        except BaseException:
            self.close()
            raise

    def _append(self, line: bytes) -> None:
        size = os.fstat(self._fd).st_size
        try:
            done = 0
            while done < len(line):  # a nearly full disk takes a part and then fails
                done += os.write(self._fd, line[done:])
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, size)
            raise _named(error, self.path, "the record was not written") from error

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record."""
        self._append((json.dumps(_plain(record), ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8"))

    def truncate_after(self, step: int) -> None:
        """Keep the records whose ``"step"`` is at most ``step``: what a resumed run will write again goes."""
        kept = [record for record in read_jsonl(self.path) if record.get("step", 0) <= step]
        self.close()
        try:
            lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in kept)
            write_text(self.path, "".join(lines))
        finally:
            self._open()

    def sync(self) -> None:
        """Wait until everything written is on the disk."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file; may be repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
