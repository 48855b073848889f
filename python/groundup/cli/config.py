"""``groundup config``: what runs here."""

from __future__ import annotations

import argparse
import json

import groundup as gu


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``groundup config``."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print `groundup.config`."""
    facts = gu.config()
    if args.json:
        print(json.dumps(facts, indent=2))
        return 0
    for name, value in facts.items():
        print(f"{name:14} {', '.join(value) if isinstance(value, list) else value}")
    return 0
