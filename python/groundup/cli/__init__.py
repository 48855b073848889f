"""The command line: ``groundup demo | train | generate | tokenize | check | bench | config | notebooks | learn``.

Errors of the user's making are one line on standard error and exit code 1; wrong usage is 2; Ctrl-C is 130.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

#: A module each, with ``add_arguments(parser)`` and ``run(args)``; only the one that is asked for is imported.
COMMANDS = {
    "demo": "train a small GPT on the prose of your own Python, and see what it learned",
    "train": "train a GPT on a text file",
    "generate": "let a trained model write",
    "tokenize": "learn a vocabulary from text, turn text into tokens, look at them",
    "check": "check your answers to the exercises of a page",
    "bench": "measure every op against the NumPy that explains it",
    "config": "show what this installation runs on",
    "notebooks": "copy the pages of this version into a folder",
    "learn": "open the pages in JupyterLab",
}


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser; with ``command``, that command's arguments are there too."""
    top = argparse.ArgumentParser(
        prog="groundup",
        description="Machine learning and language models built from the ground up.",
        epilog="Begin with: groundup demo",
    )
    top.add_argument("--version", action="store_true", help="show the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        if name == command:
            importlib.import_module(f"groundup.cli.{name}").add_arguments(sub)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in words if not word.startswith("-")), None)
    top = parser(command if command in COMMANDS else None)
    args = top.parse_args(words)
    if args.version:
        import groundup

        print(f"groundup {groundup.__version__}")
        return 0
    if args.command is None:
        top.print_help()
        return 0
    try:
        return int(importlib.import_module(f"groundup.cli.{args.command}").run(args) or 0)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as stop:
        print(f"groundup {args.command}: {str(stop) or 'interrupted'}", file=sys.stderr)
        return 130
    except (OSError, ValueError, TypeError, LookupError, ImportError, MemoryError) as error:
        if os.environ.get("GROUNDUP_TRACEBACK"):
            raise
        print(f"groundup {args.command}: {_one_line(error)}", file=sys.stderr)
        return 1


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    # A KeyError's text is the repr of its argument.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return text or type(error).__name__
