"""``groundup notebooks`` and ``groundup learn``: what is copied, and what is started."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import pytest

from groundup.cli import learn, notebooks


def test_copies_pages_and_not_their_sources(tmp_path: Path) -> None:
    source, target = tmp_path / "pages", tmp_path / "mine"
    for name in ("README.md", "sprint/day33.ipynb", "source/sprint/day33.py", ".ipynb_checkpoints/a.ipynb"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    assert notebooks.copy(source, target) == 2
    assert (target / "sprint" / "day33.ipynb").exists() and not (target / "source").exists()
    # What the reader wrote is kept, unless it is to be replaced.
    (target / "README.md").write_text("mine")
    assert notebooks.copy(source, target) == 0
    assert (target / "README.md").read_text() == "mine"
    assert notebooks.copy(source, target, overwrite=True) == 2


def test_command_passes_port_and_browser(tmp_path: Path) -> None:
    words = learn.command(tmp_path, 8899, True)
    assert words[1:3] == ["-m", "jupyterlab"]
    assert {"--port=8899", "--no-browser", f"--ServerApp.root_dir={tmp_path}"} <= set(words)
    assert not {"--no-browser"} & set(learn.command(tmp_path, None, False))


def test_missing_jupyterlab_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "groundup\[notebooks\]"'):
        learn.run(argparse.Namespace(folder=tmp_path, port=None, no_browser=True))
