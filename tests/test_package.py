"""The package's own description, as the build reads it: all but compiling, in under a second."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("scikit_build_core")
ROOT = Path(__file__).parents[1]
#: The hooks that pip calls, without CMake and outside the build folders.
BUILD = """
import sys
from scikit_build_core import build
settings = {"wheel.cmake": "false", "wheel.platlib": "true", "build-dir": ""}
print(getattr(build, sys.argv[1])(sys.argv[2], settings))
"""


def build(hook: str, folder: Path) -> set[str]:
    """The names of the files in what a hook builds."""
    command = [sys.executable, "-c", BUILD, hook, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(folder / done.stdout.splitlines()[-1]) as wheel:
        return set(wheel.namelist())


def files(folder: Path) -> set[str]:
    """Every file that is no product of building or importing."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    left_out = {"__pycache__", ".ipynb_checkpoints"}
    return {path.as_posix() for path in found if path.suffix != ".so" and not left_out & set(path.parts)}


def test_the_wheel_holds_package_pages_and_sources(tmp_path: Path) -> None:
    names = build("build_wheel", tmp_path)
    assert {f"groundup/{file}" for file in files(ROOT / "python" / "groundup")} <= names
    pages = {file for file in files(ROOT / "notebooks") if not file.startswith("source/")}
    assert {name for name in names if "_pages" in name} == {
        f"groundup/_pages/notebooks/{page}" for page in pages
    }
    for folder in ("core", "kernels", "ops", "text"):
        sources = {f"groundup/_cpp/{folder}/{file}" for file in files(ROOT / "cpp" / folder)}
        assert sources and sources <= names
    others = {name for name in names if not name.startswith("groundup/")}
    assert all(name.startswith("groundup-") and ".dist-info/" in name for name in others)


def test_an_editable_install_can_be_made(tmp_path: Path) -> None:
    assert "_editable_skbc_groundup.pth" in build("build_editable", tmp_path)
