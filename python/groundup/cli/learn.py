"""``groundup learn``: open the pages in JupyterLab.

In a checkout the pages are opened where they stand. Those of an installed package are copied first, so that you can
write in them; pages that are in the folder already are left as they are.

JupyterLab shows Markdown as a reader wants it, and asks nothing about news, by defaults that stand in ``jupyter/``
beside this module. Only the server that is started here reads them, and the user's own settings go before them. Pages
are signed as they come with the package: of what nobody trusts, JupyterLab strips the formulas.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from groundup.cli.notebooks import copy, in_checkout, pages

#: The index. The server adds its token by a "?", so the address can hold no query of ours.
INDEX = "/lab/tree/README.md"
#: A folder of Jupyter's configuration.
DEFAULTS = Path(__file__).parent / "jupyter"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``groundup learn``."""
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        type=Path,
        help="copy the pages there; without it, a checkout opens its own, and a package copies to groundup-notebooks",
    )
    parser.add_argument("--no-browser", action="store_true", help="start the server and open nothing")
    parser.add_argument(
        "--port", type=int, metavar="N", help="the server's port; by default the first free one"
    )


def command(folder: Path, port: int | None, no_browser: bool) -> list[str]:
    """The command that opens the index of ``folder``."""
    words = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url={INDEX}",
        "--ServerApp.answer_yes=True",  # one Ctrl-C stops it
    ]
    if port is not None:
        words += [f"--port={port}", "--ServerApp.port_retries=0"]
    if no_browser:
        words.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        words.append("--allow-root")  # whoever types this as root means it: containers have no one else
    return words


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """The server's environment: the user's ``own``, with our defaults, and this Python's kernel before any other."""
    theirs = own.get("JUPYTER_CONFIG_PATH")
    config = f"{theirs}{os.pathsep}{DEFAULTS}" if theirs else str(DEFAULTS)
    return {"JUPYTER_PREFER_ENV_PATH": "1", **own, "JUPYTER_CONFIG_PATH": config}


def check_free(port: int) -> None:
    """Raise an OSError unless a server can listen at ``port``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("localhost", port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OSError(
                f"[learn] port {port} cannot be used: {reason}; without --port a free one is found"
            ) from None


def sign(source: Path) -> None:
    """Let Jupyter trust the pages as they stand in ``source``, wherever a copy is opened."""
    import nbformat
    from nbformat.sign import NotebookNotary

    notary = NotebookNotary()
    for page in source.rglob("*.ipynb"):
        notary.sign(nbformat.read(page, as_version=4))


def run(args: argparse.Namespace) -> int:
    """Become JupyterLab."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise ImportError('[learn] needs JupyterLab: pip install "groundup[notebooks]"')
    source = pages()
    if source is None:
        raise FileNotFoundError("[learn] this version of groundup carries no pages yet")
    if args.port is not None:
        check_free(args.port)
    folder = args.folder
    if folder is None:
        folder = source if in_checkout(source) else Path("groundup-notebooks")
    if folder != source:
        print(f"{copy(source, folder)} new files in {folder}", flush=True)
    sign(source)
    words = command(folder.resolve(), args.port, args.no_browser)
    os.execve(words[0], words, environment(os.environ))
