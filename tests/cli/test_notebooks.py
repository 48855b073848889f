"""``groundup notebooks`` and ``groundup learn``: what is copied, and what is started."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import socket
from pathlib import Path
from typing import Any

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


def start(monkeypatch: pytest.MonkeyPatch, folder: Path | None = None, port: int | None = None) -> Any:
    """The words and the environment of the JupyterLab that the command would become."""
    became: list[Any] = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(learn, "sign", lambda source: None)
    monkeypatch.setattr(os, "execve", lambda path, *rest: became.extend(rest))
    learn.run(argparse.Namespace(folder=folder, port=port, no_browser=True))
    return became


def test_a_checkout_opens_its_own_pages_unless_a_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words, _ = start(monkeypatch)
    assert f"--ServerApp.root_dir={notebooks.pages()}" in words
    words, _ = start(monkeypatch, tmp_path / "new" / "mine")
    assert f"--ServerApp.root_dir={tmp_path / 'new' / 'mine'}" in words
    assert (tmp_path / "new" / "mine" / "sprint" / "day33.ipynb").exists()


def test_an_installed_package_copies_its_pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = tmp_path / "package"
    source.mkdir()
    (source / "README.md").write_text("the index")
    monkeypatch.setattr(learn, "pages", lambda: source)
    monkeypatch.chdir(tmp_path)
    words, _ = start(monkeypatch)
    assert f"--ServerApp.root_dir={tmp_path / 'groundup-notebooks'}" in words
    assert (tmp_path / "groundup-notebooks" / "README.md").read_text() == "the index"


def test_the_index_opens_as_a_reader_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """JupyterLab's own reading of its folders finds our defaults, after those of the user."""
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/of/the/user")
    _, environment = start(monkeypatch)
    theirs, ours = environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert theirs == "/of/the/user"
    defaults = json.loads(Path(ours, "labconfig", "default_setting_overrides.json").read_text())
    viewers = defaults["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"]
    assert viewers == {"markdown": "Markdown Preview"}
    monkeypatch.delenv("JUPYTER_CONFIG_PATH")
    assert start(monkeypatch)[1]["JUPYTER_CONFIG_PATH"] == ours


def test_pages_are_trusted_as_they_come(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    from nbformat.sign import NotebookNotary

    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    source = tmp_path / "pages" / "sprint" / "page.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(page, source)
    learn.sign(tmp_path / "pages")
    notary = NotebookNotary()
    assert notary.check_signature(nbformat.read(source, as_version=4))
    page.cells[0].source = "2"
    assert not notary.check_signature(page)


def test_a_port_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("localhost", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(OSError, match=rf"^\[learn\] port {port} cannot be used: .* without --port"):
            start(monkeypatch, port=port)
    with pytest.raises(OSError, match=r"^\[learn\] port 70000 cannot be used"):
        start(monkeypatch, port=70000)


def test_missing_jupyterlab_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "groundup\[notebooks\]"'):
        learn.run(argparse.Namespace(folder=tmp_path, port=None, no_browser=True))
