"""``groundup notebooks``: copy the pages out of the installed package."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import groundup


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``groundup notebooks``."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="where to put them")
    parser.add_argument("--overwrite", action="store_true", help="replace pages that are already there")


def pages() -> Path | None:
    """The folder of pages: in a wheel beside the package, in a checkout at its top."""
    package = Path(groundup.__file__).parent
    for folder in (package / "_notebooks", package.parents[1] / "notebooks"):
        if any(folder.rglob("*.ipynb")):
            return folder
    return None


def run(args: argparse.Namespace) -> int:
    """Copy every page and what it needs."""
    source = pages()
    if source is None:
        raise FileNotFoundError("[notebooks] this version of groundup carries no pages yet")
    files = [p for p in sorted(source.rglob("*")) if p.is_file()]
    targets = [args.folder / p.relative_to(source) for p in files]
    taken = [t for t in targets if t.exists()]
    if taken and not args.overwrite:
        raise FileExistsError(
            f"[notebooks] {taken[0]} exists; pass --overwrite to replace {len(taken)} files"
        )
    for file, target in zip(files, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    print(f"copied {len(files)} files to {args.folder}; open them with: jupyter lab {args.folder}")
    return 0
