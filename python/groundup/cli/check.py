"""``groundup check day33 [FILE]``: check the answers to a page's exercises."""

from __future__ import annotations

import argparse
from pathlib import Path

from groundup.study import checking
from groundup.study.remote import check_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``groundup check``."""
    parser.add_argument("day", metavar="DAY", help="the page, such as day33")
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=Path,
        help="where the answers are: a notebook, or a .py file; by default DAY.ipynb or DAY.py in this folder",
    )  # fmt: skip
    parser.add_argument(
        "--exercise", metavar="NAME", action="append", help="only this exercise; may be repeated"
    )
    parser.add_argument("--timeout", metavar="SECONDS", type=float, help="how long an exercise may take")


def run(args: argparse.Namespace) -> int:
    """Print what came of every exercise; 0 only if all pass."""
    known = checking.exercises(args.day)
    file = args.file
    if file is None:
        places = [Path(f"{args.day}{suffix}") for suffix in (".ipynb", ".py")]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            raise FileNotFoundError(
                f"[check] there is no {places[0]} and no {places[1]} here; name it: groundup check {args.day} FILE"
            )
    reports = check_file(args.day, file, args.exercise, args.timeout)
    width = max(len(report.name) for report in reports)
    for report in reports:
        exercise = known[report.name]
        passed = sum(result.passed for result in report.results)
        checks = f"{passed} of {report.n_checks} checks"
        print(f"{report.name:{width}}  {report.status:15}  {checks}   about {exercise.minutes} min")
    for report in reports:
        if not report and report.status != "not written yet":
            print(f"\n{report}")
    left = sum(not report for report in reports)
    print(f"\n{len(reports) - left} of {len(reports)} exercises pass")
    return 1 if left else 0
