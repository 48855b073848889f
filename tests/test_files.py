"""Files stay whole: real folders, real kills, real full disks."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup import files


def run(code: str, *args: object, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """Run Python code in a child that can be killed or limited without hurting the tests."""
    command = [sys.executable, "-c", code, *map(str, args)]
    process: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **kwargs
    )
    return process


# The child may write 100 kB a file; beyond that a write fails, with EFBIG where a full disk gives ENOSPC.
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from groundup import files
"""


def test_atomic_write_replaces_and_keeps_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    files.write_bytes(path, b"old")
    path.chmod(0o640)
    files.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["a.bin"]


def test_atomic_write_keeps_old_file_on_error(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), files.atomic_write(path) as f:
        f.write(b"part")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_atomic_write_follows_links(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    files.write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_atomic_write_names_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as info:
        files.write_text(tmp_path / "none" / "a.txt", "x")
    assert str(tmp_path / "none" / "a.txt") in str(info.value)
    assert "older file is unchanged" in str(info.value)


def test_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"elsewhere\.txt"), files.atomic_write(tmp_path / "a.txt"):
        (tmp_path / "elsewhere.txt").read_bytes()
    assert os.listdir(tmp_path) == []


def test_file_too_large_keeps_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    child = run(
        LIMITED
        + """
try:
    files.write_bytes(sys.argv[1], bytes(1_000_000))
except OSError as error:
    print(error.errno, error)
""",
        path,
    )
    assert child.stdout.startswith(str(errno.EFBIG)), child.stderr
    assert f"'{path}'" in child.stdout and "unchanged" in child.stdout
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.fixture
def small_disk(tmp_path: Path) -> object:
    """A file system of 256 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs; EFBIG by RLIMIT_FSIZE covers the same path")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_full_disk_keeps_old_file(small_disk: Path) -> None:
    path = small_disk / "a.bin"
    files.write_bytes(path, b"old" * 1000)
    with pytest.raises(OSError, match="No space left") as info:
        files.write_bytes(path, bytes(1_000_000))
    assert info.value.errno == errno.ENOSPC and str(path) in str(info.value)
    assert path.read_bytes() == b"old" * 1000
    assert os.listdir(small_disk) == ["a.bin"]


def test_full_disk_keeps_old_folder(small_disk: Path) -> None:
    target = small_disk / "checkpoint"
    with files.atomic_folder(target) as folder:
        (folder / "a.bin").write_bytes(b"old")
    with pytest.raises(OSError, match="No space left"), files.atomic_folder(target) as folder:
        files.write_bytes(folder / "a.bin", bytes(1_000_000))
    assert (target / "a.bin").read_bytes() == b"old"
    assert os.listdir(small_disk) == ["checkpoint"]


def test_full_disk_keeps_log_whole(small_disk: Path) -> None:
    path = small_disk / "log.jsonl"
    written = 0
    with files.JsonlWriter(path) as log, pytest.raises(OSError, match="the record was not written") as info:
        for written in range(100_000):
            log.write({"step": written, "text": "x" * 100})
    assert info.value.errno == errno.ENOSPC and str(path) in str(info.value)
    assert path.read_bytes().endswith(b"\n")
    assert [r["step"] for r in files.read_jsonl(path)] == list(range(written))


def test_folder_is_whole_or_absent(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    with pytest.raises(ZeroDivisionError), files.atomic_folder(target) as folder:
        (folder / "a.txt").write_text("part")
        _ = 1 / 0
    assert os.listdir(tmp_path) == []
    with files.atomic_folder(target) as folder:
        (folder / "a.txt").write_text("1")
        assert not target.exists()
    with files.atomic_folder(target) as folder:
        (folder / "b.txt").write_text("2")
    assert os.listdir(tmp_path) == ["checkpoint"]
    assert os.listdir(target) == ["b.txt"]


def test_folder_error_names_the_target(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    with pytest.raises(FileNotFoundError) as info, files.atomic_folder(target) as folder:
        (folder / "none" / "a.txt").write_text("x")
    assert info.value.filename == str(target / "none" / "a.txt")


KILLED_BETWEEN_RENAMES = """
import os, signal, sys
from groundup import files
rename = os.rename
def kill_after_first(source, target):
    rename(source, target)
    os.kill(os.getpid(), signal.SIGKILL)
with files.atomic_folder(sys.argv[1]) as folder:
    (folder / "a.txt").write_text("new")
    os.rename = kill_after_first
"""


def test_folder_recovers_from_a_kill_between_renames(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    with files.atomic_folder(target) as folder:
        (folder / "a.txt").write_text("old")
    assert run(KILLED_BETWEEN_RENAMES, target).returncode == -signal.SIGKILL
    assert not target.exists()
    files.recover_folder(target)
    assert (target / "a.txt").read_text() == "old"
    files.remove_partials(tmp_path)
    assert os.listdir(tmp_path) == ["checkpoint"]


REWRITES_FOREVER = """
import sys
from pathlib import Path
from groundup import files
folder = Path(sys.argv[1])
log = files.JsonlWriter(folder / "log.jsonl")
for step in range(10**9):
    files.write_bytes(folder / "a.bin", bytes([step % 256]) * 200_000)
    log.write({"step": step, "text": "é" * 50})
    print(step, flush=True)
"""


def test_kill_at_any_moment(tmp_path: Path) -> None:
    next_step = 0
    for delay in (0.0, 0.003, 0.01, 0.02):
        child = subprocess.Popen(
            [sys.executable, "-c", REWRITES_FOREVER, str(tmp_path)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(delay)
        child.kill()
        child.communicate()
        content = (tmp_path / "a.bin").read_bytes()
        assert len(content) == 200_000 and content == content[:1] * 200_000
        records = files.read_jsonl(tmp_path / "log.jsonl")
        assert len(records) > next_step  # a line or more from each child, none lost from earlier ones
        next_step = len(records)
    files.remove_partials(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["a.bin", "log.jsonl"]


def test_log_resumes_after_truncation(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with files.JsonlWriter(path) as log:
        for step in range(10):
            log.write({"step": step, "loss": np.float32(0.5), "n": np.int64(3)})
    with files.JsonlWriter(path) as log:
        log.truncate_after(3)
        log.write({"step": 4, "loss": float("nan"), "list": [1, (2.0, float("inf"))]})
        log.sync()
    records = files.read_jsonl(path)
    assert [r["step"] for r in records] == [0, 1, 2, 3, 4]
    assert records[0] == {"step": 0, "loss": 0.5, "n": 3}
    assert records[4] == {"step": 4, "loss": None, "list": [1, [2.0, None]]}


@given(cut=st.integers(0, 200))
def test_log_torn_anywhere(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    lines = [
        json.dumps({"step": step, "text": "ü{}"}, ensure_ascii=False).encode() + b"\n" for step in range(6)
    ]
    whole = b"".join(lines)
    path.write_bytes(whole[:cut])
    # A line counts once its closing brace is there, newline or not.
    kept = sum(len(b"".join(lines[: i + 1])) - 1 <= cut for i in range(6))
    assert [r["step"] for r in files.read_jsonl(path)] == list(range(kept))
    with files.JsonlWriter(path) as log:
        log.write({"step": kept})
    assert [r["step"] for r in files.read_jsonl(path)] == list(range(kept + 1))
    assert path.read_bytes().count(b"\n") == kept + 1


def test_log_damaged_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 0}\n{"st\n{"step": 2}\n')
    with pytest.raises(ValueError, match=r"log\.jsonl line 2: must be JSON"):
        files.read_jsonl(path)
    path.write_bytes(b'{"step": 0}\n[1]\n')
    with pytest.raises(ValueError, match="line 2: must be an object, but got list"):
        files.JsonlWriter(path)
    assert path.read_bytes() == b'{"step": 0}\n[1]\n'


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_log_on_a_full_device() -> None:
    with files.JsonlWriter("/dev/full") as log, pytest.raises(OSError, match="/dev/full") as info:
        log.write({"step": 0})
    assert info.value.errno == errno.ENOSPC


def test_log_over_a_limit_is_cut_back(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    child = run(
        LIMITED
        + """
log = files.JsonlWriter(sys.argv[1])
log.write({"step": 0, "text": "x" * 60_000})
try:
    log.write({"step": 1, "text": "x" * 60_000})
except OSError as error:
    print(error)
""",
        path,
    )
    assert "the record was not written" in child.stdout, child.stderr
    assert [r["step"] for r in files.read_jsonl(path)] == [0]
    assert path.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "may nest 32 levels deep"),
        ("[" + "1," * 600_000 + "1]", "may hold 500000 values"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "keys must be unique, but got 'c' twice"),
        ('{"a": NaN}', "numbers must be finite, but got NaN"),
        ('{"a": -Infinity}', "numbers must be finite"),
        ('{"a": 1e999}', "numbers must be finite, but got 1e999"),
        ("1" * 5000, "integers may have 100 digits, but got 5000"),
        ("{", "must be JSON, but got Expecting property name .* line 1 column 2"),
        (b'"\xff"', "must be UTF-8, but got byte 0xff at offset 1"),
        ('"abc', "must be JSON"),
        ("", "must be JSON"),
    ],
)
def test_parse_json_refuses(text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=rf"\[json\] x\.json: {message}"):
        files.parse_json(text, where="x.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_parse_json_equals_json(value: object) -> None:
    assert files.parse_json(json.dumps(value), where="x") == value
    assert files.parse_json(json.dumps(value, ensure_ascii=False, indent=1), where="x") == value


def test_parse_json_memory_is_bounded() -> None:
    """Ten million brackets and commas must not become ten million lists."""
    child = run("""
import resource
from groundup import files
text = "[" + "[]," * 3_300_000 + "[]]"
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    files.parse_json(text, where="x")
except ValueError:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
""")
    assert int(child.stdout) < 50, child.stderr
