"""``groundup learn``: open the pages in JupyterLab.

In a checkout the pages are opened where they stand. Those of an installed package are copied first, so that you can
write in them; pages that are in the folder already are left as they are.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from groundup.cli.notebooks import copy, in_checkout, pages

#: The index. The server adds its token by a "?", so the address can hold no query of ours.
INDEX = "/lab/tree/README.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``groundup learn``."""
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        type=Path,
        default=Path("groundup-notebooks"),
        help="where an installed package puts its pages; a checkout opens its own",
    )
    parser.add_argument("--no-browser", action="store_true", help="start the server and open nothing")
    parser.add_argument("--port", type=int, metavar="N", help="the server's port")


def command(folder: Path, port: int | None, no_browser: bool) -> list[str]:
    """The command that opens the index of ``folder``."""
    words = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url={INDEX}",
    ]
    if port is not None:
        words.append(f"--port={port}")
    if no_browser:
        words.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        words.append("--allow-root")  # whoever types this as root means it: containers have no one else
    return words


def run(args: argparse.Namespace) -> int:
    """Start JupyterLab and wait for it."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise ImportError('[learn] needs JupyterLab: pip install "groundup[notebooks]"')
    source = pages()
    if source is None:
        raise FileNotFoundError("[learn] this version of groundup carries no pages yet")
    folder = source
    if not in_checkout(source):
        folder = args.folder
        print(f"{copy(source, folder)} new files in {folder}", flush=True)
    words = command(folder.resolve(), args.port, args.no_browser)
    server = subprocess.Popen(words)
    try:
        return server.wait()
    except KeyboardInterrupt:  # the server got it, too, and asks its own question
        return server.wait()
