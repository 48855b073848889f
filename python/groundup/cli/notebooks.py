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
    for folder in (package / "_pages" / "notebooks", package.parents[1] / "notebooks"):
        if any(folder.rglob("*.ipynb")):
            return folder
    return None


def in_checkout(folder: Path) -> bool:
    """Do these pages stand in a checkout, with their sources?"""
    return (folder / "source").is_dir()


def files(source: Path) -> list[Path]:
    """Every page and what it needs, relative to ``source``: not the sources, and nothing that is hidden."""
    found = [p.relative_to(source) for p in sorted(source.rglob("*")) if p.is_file()]
    return [p for p in found if p.parts[0] != "source" and not any(part.startswith(".") for part in p.parts)]


def copy(source: Path, target: Path, overwrite: bool = False) -> int:
    """Copy the pages into ``target``, those that are there only if ``overwrite``; how many were copied."""
    count = 0
    for file in files(source):
        to = target / file
        if overwrite or not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, to)
            count += 1
    return count


def run(args: argparse.Namespace) -> int:
    """Copy every page and what it needs."""
    source = pages()
    if source is None:
        raise FileNotFoundError("[notebooks] this version of groundup carries no pages yet")
    taken = [args.folder / p for p in files(source) if (args.folder / p).exists()]
    if taken and not args.overwrite:
        raise FileExistsError(
            f"[notebooks] {taken[0]} exists; pass --overwrite to replace {len(taken)} files"
        )
    count = copy(source, args.folder, args.overwrite)
    print(f"copied {count} files to {args.folder}; open them with: groundup learn {args.folder}")
    return 0
