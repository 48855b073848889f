"""The process that runs a learner's answer: ``python -m groundup.study.child``, told by `groundup.study.remote`.

Reads one line of JSON (file, exercise) from standard input and writes the report as JSON. What the learner's code
prints goes nowhere; memory is bounded where the system can do that.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from pathlib import Path
from typing import Any

from groundup.study import checking, learner

#: Bytes that an answer may take beyond what the interpreter has.
MEMORY = 4 << 30


def main() -> None:
    """Check one exercise."""
    request = json.loads(sys.stdin.readline())
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    path = Path(request["file"])
    sys.path.insert(0, str(path.parent))
    exercise = checking.find(request["exercise"])
    out.write(json.dumps(to_json(report(exercise, path))))
    out.flush()


def report(exercise: checking.Exercise, path: Path) -> checking.Report:
    """The report on one exercise of a file."""

    unchecked = functools.partial(checking.Report.unchecked, exercise)
    name = exercise.name
    answer = learner.take(learner.read(path), name)
    if not answer.found:
        if name in answer.unmet:
            return unchecked(
                f"{path.name} makes {name} by running code ({answer.unmet[name]}); it must be a definition"
            )
        return unchecked(f"{path.name} does not define {name}")
    try:
        value = learner.build(answer, path.name)
    except (Exception, SystemExit) as error:
        return unchecked(f"the definitions in {path.name} raised {type(error).__name__}: {error}")
    found = checking.run(exercise, value)
    missing = [one for one in answer.unmet if f"name '{one}' is not defined" in found.message]
    if missing:
        one = missing[0]
        return unchecked(
            f"{name} uses {one}, which the page makes by running code ({answer.unmet[one]}); "
            "the checker runs definitions only, so pass it as an argument or define it as a constant"
        )
    return found


def to_json(found: checking.Report) -> dict[str, Any]:
    """A report as plain data."""
    results = [[r.title, r.passed, r.message, r.where] for r in found.results]
    return {"name": found.name, "results": results, "n_checks": found.n_checks, "note": found.note}


def from_json(data: dict[str, Any]) -> checking.Report:
    """The report back."""
    results = tuple(checking.Result(*row) for row in data["results"])
    return checking.Report(data["name"], results, data["n_checks"], data["note"])


if __name__ == "__main__":
    main()
