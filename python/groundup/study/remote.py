"""Checks a file's answers in processes of their own, so that an endless loop or a crash is one clear message."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import sys
from pathlib import Path

from groundup.study import checking, child, learner


def check_file(
    day: str, path: Path, names: list[str] | None = None, seconds: float | None = None
) -> list[checking.Report]:
    """A report for each exercise of a page, on the answers in ``path``.

    Args:
        names: exercises; all by default.
        seconds: that one may take; by default what the exercise itself says.

    Raises:
        ValueError: the page has no such exercise, or the file is no Python and no notebook.
        OSError: the file cannot be read.
    """
    known = checking.exercises(day)
    for name in names or ():
        if name not in known:
            raise ValueError(f"[check] {day} has no exercise {name!r}; it has {', '.join(known)}")
    chosen = [known[name] for name in names] if names else list(known.values())
    sources = learner.read(path)
    if not any(source.code.strip() for source in sources):
        raise ValueError(f"[check] {path} holds no code")
    for exercise in chosen:
        learner.take(sources, exercise.name)  # a file that cannot be parsed is an error of the file
    return [_one(day, exercise, path, seconds) for exercise in chosen]


def _one(day: str, exercise: checking.Exercise, path: Path, seconds: float | None) -> checking.Report:
    limit = exercise.seconds if seconds is None else seconds

    unchecked = functools.partial(checking.Report.unchecked, exercise)
    request = json.dumps({"file": str(path.resolve()), "exercise": f"{day}.{exercise.name}"})
    command = [sys.executable, "-m", "groundup.study.child"]
    # The child stops an answer itself and can say in which call; this is for loops that it cannot interrupt.
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        out, err = process.communicate(request + "\n", timeout=limit + 5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return unchecked(checking.too_long(exercise))
    except BaseException:
        process.kill()
        raise
    if process.returncode != 0 or not out:
        if process.returncode < 0:
            return unchecked(f"the answer ended its process: {signal.Signals(-process.returncode).name}")
        last = (err.strip().splitlines() or ["no message"])[-1]
        return unchecked(f"the answer ended its process with code {process.returncode}: {last}")
    return child.from_json(json.loads(out))
