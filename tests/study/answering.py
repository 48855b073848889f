"""How a page's answers are written down: ``tests/study/answers/day33.py`` marks each with `right` or `wrong`.

@right("encode")
def encode(text, merges): ...

@wrong("encode", says="overlap")      # what the message must match
def overlapping(text, merges): ...

right("newest")("SELECT …")           # SQL is a text
wrong("newest", says="order")("SELECT …")
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ANSWERS = Path(__file__).parent / "answers"
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """One answer; ``says`` is None for a right one, else the pattern that the message must match."""

    exercise: str
    value: Any
    says: str | None
    label: str

    @property
    def source(self) -> str:
        """Its code."""
        return self.value if isinstance(self.value, str) else inspect.getsource(self.value)


_collected: list[Answer] = []


def right(exercise: str) -> Callable[[T], T]:
    """Mark the right answer."""
    return _mark(exercise, None)


def wrong(exercise: str, *, says: str) -> Callable[[T], T]:
    """Mark a planted wrong answer whose failure must match ``says``."""
    if not says.strip():
        raise ValueError(f"a wrong answer to {exercise} must say what its message matches")
    return _mark(exercise, says)


def _mark(exercise: str, says: str | None) -> Callable[[T], T]:
    def mark(value: T) -> T:
        label = getattr(value, "__name__", None) or " ".join(str(value).split())[:40]
        _collected.append(Answer(exercise, value, says, label))
        return value

    return mark


def load(file: Path) -> list[Answer]:
    """The answers that a file marks."""
    sys.modules.setdefault("tests.study.answering", sys.modules[__name__])
    name = f"tests.study.answers.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _collected.clear()
    spec.loader.exec_module(module)
    return list(_collected)


def pages() -> dict[str, list[Answer]]:
    """The answers of every page."""
    return {file.stem: load(file) for file in sorted(ANSWERS.glob("[a-z]*.py"))}


def missing(exercises: Iterable[str], answers: Sequence[Answer], least_wrong: int) -> list[str]:
    """What a page's answers lack, in words: a right one of each exercise, and so many wrong ones."""
    known = list(exercises)
    lacks = [f"{a.exercise}: there is no such exercise" for a in answers if a.exercise not in known]
    for name in known:
        n_right = sum(a.exercise == name and a.says is None for a in answers)
        n_wrong = sum(a.exercise == name and a.says is not None for a in answers)
        if n_right < 1:
            lacks.append(f"{name}: there must be a right answer, but there is none")
        if n_wrong < least_wrong:
            lacks.append(f"{name}: there must be {least_wrong} wrong answers, but there are {n_wrong}")
    return lacks


def leaks(message: str, solution: str) -> str:
    """The first line of the solution's code, of 16 characters or more, that a message holds; empty if there is none."""
    squeezed = "".join(message.split())
    lines = solution.splitlines()
    for line in lines:
        code = "".join(line.split("#")[0].split())
        # The signature is no secret, and is in the task.
        if len(code) >= 16 and not code.startswith(("def", "class", "@", '"""')) and code in squeezed:
            return line.strip()
    return ""
