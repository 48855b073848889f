"""Make the pages, or check that those that are there are what they should be.

python -m tools.press                  press what changed
python -m tools.press --all            press every page anew
python -m tools.press day33            press one page
python -m tools.press --check          run every page; fail where a notebook is not what its source gives
python -m tools.press --break          plant bugs in every page and see its assertions fail
python -m tools.press --html DIR       write pages as HTML that needs no script and no network
python -m tools.press --shots DIR      write pictures of pages, as HTML and in JupyterLab, light and dark
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.press import breaks, compare, index, notebook, rules
from tools.press.execute import execute
from tools.press.page import Page, PageError, choose, read

ROOT = Path(__file__).parents[2]
LARGEST = 1_500_000  # bytes of a notebook


def press(page: Page) -> list[str]:
    """Execute a page and write its notebook; the old one stays if a cell fails."""
    text = notebook.dumps(execute(page))
    if len(text.encode()) > LARGEST:
        return [
            f"{page.where(1)}: the notebook would have {len(text.encode()):,} bytes, more than {LARGEST:,}"
        ]
    notebook.write(page.notebook, text)
    return []


def check(page: Page) -> list[str]:
    """Execute a page and name what differs from the notebook that is committed."""
    committed = notebook.load(page.notebook)
    if committed is None or not notebook.is_current(page):
        return [f"{page.where(1)}: the notebook was not made from this source; run: make pages"]
    wrong = list(compare.cells_differ(page, committed))
    return wrong or list(compare.outputs_differ(page, committed, execute(page)))


def lint(page: Page) -> list[str]:
    """What the rules find in a page and its notebook."""
    made = notebook.load(page.notebook)
    if made is not None and any(compare.cells_differ(page, made)):
        made = None  # outputs of another source tell nothing
    return rules.lint(rules.Subject.load(page, made))


def run(pages: list[Page], work: Callable[[Page], list[str]], workers: int) -> int:
    """``work`` on every page, with a line on each; the number of complaints."""

    def timed(page: Page) -> tuple[list[str], float]:
        start = time.perf_counter()
        try:
            return work(page), time.perf_counter() - start
        except PageError as error:
            return [str(error)], time.perf_counter() - start

    complaints = 0
    with ThreadPoolExecutor(workers) as pool:
        for page, (wrong, seconds) in zip(pages, pool.map(timed, pages), strict=True):
            complaints += len(wrong)
            print(f"{page.name:<24} {'FAILED' if wrong else 'good'} in {seconds:.1f} s", flush=True)
            for line in wrong:
                print(line, file=sys.stderr, flush=True)
    return complaints


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    top = argparse.ArgumentParser(
        prog="python -m tools.press",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(
        "pages", nargs="*", metavar="PAGE", help="day33, sprint/day33 or a path; all if none is given"
    )
    top.add_argument("--all", action="store_true", help="press pages whose source did not change, too")
    top.add_argument("--lint", action="store_true", help="check the rules of pages, on what is there")
    top.add_argument(
        "--check", action="store_true", help="write nothing; fail where a notebook is not current"
    )
    top.add_argument(
        "--break", action="store_true", dest="breaks", help="fail where a planted bug passes unnoticed"
    )
    top.add_argument(
        "--html", type=Path, metavar="DIR", help="export the pages there, for light and dark screens"
    )
    top.add_argument("--shots", type=Path, metavar="DIR", help="write pictures of the pages' screens there")
    top.add_argument("--workers", type=int, default=1, metavar="N", help="pages at once")
    top.add_argument(
        "--root", type=Path, default=ROOT, metavar="DIR", help="the tree that the pages stand in"
    )
    return top


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code."""
    try:
        return command(parser().parse_args(argv))
    except PageError as error:
        print(error, file=sys.stderr)
        return 1


def command(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    pages = [read(args.root, name) for name in choose(args.root, args.pages)]
    if args.lint:
        return int(run(pages, lint, args.workers) > 0)
    if args.check:
        stale = index.stale(args.root)
        print("".join(f"{line}\n" for line in stale), end="", file=sys.stderr)
        return int(run(pages, check, args.workers) + len(stale) > 0)
    if args.breaks:
        return int(run(pages, breaks.check, args.workers) > 0)
    if args.html:
        from tools.press.export import export

        return int(run(pages, lambda page: export(page, args.html), args.workers) > 0)
    if args.shots:
        from tools.press.shots import take

        return int(run(pages, lambda page: take(page, args.shots), args.workers) > 0)
    changed = [page for page in pages if args.all or args.pages or not notebook.is_current(page)]
    if not changed:
        print(f"all {len(pages)} pages are current")
    complaints = run(changed, press, args.workers)
    for path in index.write(args.root):
        print(f"{path.relative_to(args.root)} written")
    return int(complaints > 0)


if __name__ == "__main__":
    sys.exit(main())
