"""Exercises and their checker: runs a learner's function against checks, and says in words what is wrong.

An exercise is data beside a few checks. A check is a function of the learner's function; it calls `expect` with a
condition and the sentence to say where it does not hold. Checks run in order and stop at the first failure. What the
learner's function raises is reported with the call that made it raise, and the line. `check` itself never raises for
a wrong answer.

>>> def hand_example(double):
...     "Two numbers."
...     expect(double(3) == 6, f"double(3) must be twice 3, but is {double(3)}")
>>> exercise = Exercise(name="double", minutes=1, difficulty=1, signature="double(x)", task="…", checks=(hand_example,))
>>> print(run(exercise, lambda x: x * x))
double: not yet
  no   Two numbers.
       double(3) must be twice 3, but is 9
"""

from __future__ import annotations

import contextlib
import functools
import html
import importlib
import inspect
import linecache
import pkgutil
import reprlib
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from groundup.study.markup import BAD, GOOD, NOTE, box, table
from groundup.study.sql import Query, SQLError

Check = Callable[[Any], None]
Status = Literal["passed", "failed", "not written yet"]

#: Seconds that an exercise's checks may take.
SECONDS = 20.0


class WrongAnswerError(Exception):
    """What `expect` raises; its text is the sentence for the learner."""


class _TooLong(BaseException):
    """Past every ``except Exception`` of a learner's loop."""


def expect(condition: object, message: str) -> None:
    """Say ``message`` unless ``condition`` holds. Arrays are compared by ``np.array_equal`` or ``np.allclose`` first.

    Raises:
        WrongAnswerError: it does not hold.
    """
    if not condition:
        raise WrongAnswerError(message)


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise.

    Attributes:
        name: of the function (or class, or SQL text) that the learner writes.
        minutes, difficulty: how long it takes, and how hard it is, 1 to 5.
        signature: ``encode(text, merges)``.
        task: what to write, in a sentence or two.
        checks: functions of the learner's function, whose docstrings name them; easy ones first.
        kind: ``"python"``, or ``"sql"``: the answer is a text, and checks get a `Query`.
        seconds: that all checks together may take.
    """

    name: str
    minutes: int
    difficulty: int
    signature: str
    task: str
    checks: tuple[Check, ...]
    kind: Literal["python", "sql"] = "python"
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        wrong = None
        if not self.name.isidentifier():
            wrong = f"name must be an identifier, but got {self.name!r}"
        elif not 1 <= self.difficulty <= 5:
            wrong = f"difficulty must be in 1 to 5, but got {self.difficulty}"
        elif self.minutes < 1:
            wrong = f"minutes must be at least 1, but got {self.minutes}"
        elif not self.checks:
            wrong = "checks must hold at least one"
        elif any(not (check.__doc__ or "").strip() for check in self.checks):
            wrong = "every check needs a docstring, which is what the learner reads"
        if wrong:
            raise ValueError(f"[study] exercise {self.name!r}: {wrong}")


@dataclass(frozen=True)
class Result:
    """What came of one check: its title, whether it passed, what to say, and where the learner's code stopped."""

    title: str
    passed: bool
    message: str = ""
    where: str = ""


@dataclass(frozen=True)
class Report:
    """What the checks found; true only if all passed. Prints as text, shows as HTML in a notebook."""

    name: str
    results: tuple[Result, ...]
    n_checks: int
    note: str = ""  # why no check ran

    @classmethod
    def unchecked(cls, exercise: Exercise, note: str) -> Report:
        """The report on an answer that no check could run on, and why."""
        return cls(exercise.name, (), len(exercise.checks), note)

    @property
    def status(self) -> Status:
        """Whether it passed, failed, or is not written yet."""
        if self.note == "not written yet":
            return "not written yet"
        return "passed" if bool(self) else "failed"

    def __bool__(self) -> bool:
        return not self.note and len(self.results) == self.n_checks and all(r.passed for r in self.results)

    @property
    def message(self) -> str:
        """What is wrong; empty if nothing is."""
        return self.note or next((result.message for result in self.results if not result.passed), "")

    @property
    def headline(self) -> str:
        """The outcome in a few words."""
        if self:
            return (
                f"{self.name}: all {self.n_checks} checks pass"
                if self.n_checks > 1
                else f"{self.name}: passes"
            )
        return f"{self.name}: {'not written yet' if self.status == 'not written yet' else 'not yet'}"

    def __str__(self) -> str:
        lines = [self.headline]
        if self.note and self.note != "not written yet":
            lines.append(f"       {self.note}")
        for result in self.results:
            lines.append(f"  {'ok ' if result.passed else 'no '}  {result.title}")
            lines += [f"       {line}" for line in (*result.message.splitlines(), *result.where.splitlines())]
        left = self.n_checks - len(self.results)
        if self.results and left:
            lines.append(f"  {left} more check{'s' * (left > 1)} after that")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        colour = GOOD if self else NOTE if self.status == "not written yet" else BAD
        rows = []
        if self.note and self.note != "not written yet":
            rows.append(("✗", html.escape(self.note)))
        for result in self.results:
            body = html.escape(result.title)
            if result.message:
                body += f"<br><strong>{html.escape(result.message).replace(chr(10), '<br>')}</strong>"
            if result.where:
                body += f"<br><code>{html.escape(result.where)}</code>"
            rows.append(("✓" if result.passed else "✗", body))
        left = self.n_checks - len(self.results)
        if self.results and left:
            rows.append(("", f"<small>{left} more check{'s' * (left > 1)} after that</small>"))
        body = f"<strong>{html.escape(self.headline)}</strong>{table(rows)}"
        return box(f'<div style="border-left:4px solid {colour};padding-left:.8em">{body}</div>')


# ------------------------------------------------------------------------------------------------------ finding


def days() -> list[str]:
    """Pages that have exercises."""
    import groundup.study.exercises as package

    return sorted(info.name for info in pkgutil.iter_modules(package.__path__))


def exercises(day: str) -> dict[str, Exercise]:
    """The exercises of a page by name.

    Raises:
        ValueError: the page has none.
    """
    if day not in days():
        raise ValueError(
            f"[check] there are no exercises of {day!r}; there are those of {', '.join(days()) or 'no page yet'}"
        )
    module = importlib.import_module(f"groundup.study.exercises.{day}")
    return {exercise.name: exercise for exercise in module.EXERCISES}


def find(name: str) -> Exercise:
    """The exercise ``day33.encode``.

    Raises:
        ValueError: there is none of that name.
    """
    day, _, exercise = str(name).partition(".")
    found = exercises(day)
    if exercise not in found:
        raise ValueError(f"[check] {day} has no exercise {exercise!r}; it has {', '.join(found)}")
    return found[exercise]


def check(name: str, answer: Any) -> Report:
    """Check an answer to an exercise of a page.

    Args:
        name: page and exercise, ``"day33.encode"``.
        answer: the learner's function or class; for an exercise in SQL its text.

    Returns:
        A report that is true only if every check passes. A wrong answer never raises.

    Raises:
        ValueError: there is no such exercise.
    """
    return run(find(name), answer)


# ------------------------------------------------------------------------------------------------------ running


class _Watched:
    """The learner's function, which remembers its last call."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        functools.update_wrapper(self, function)
        self.name = name
        self.function = function
        self.call = ""
        self.result: Any = None
        self.running = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.running:  # the function calls itself: the first call is what tells
            return self.function(*args, **kwargs)
        self.call, self.result, self.running = _call_text(self.name, args, kwargs), None, True
        self.result = self.function(*args, **kwargs)
        self.running = False
        return self.result


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 80
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 12
        self.maxlevel = 4

    def repr_ndarray(self, value: Any, level: int) -> str:  # noqa: ARG002
        return f"array{value.shape}" if value.size > 12 else " ".join(repr(value).split())


def short(value: Any) -> str:
    """A value in at most a line or so, for a message.

    >>> short(list(range(100)))
    '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...]'
    """
    text = _Short().repr(value)
    return text if len(text) <= 240 else text[:237] + "..."


def _call_text(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    return f"{name}({', '.join([*map(short, args), *(f'{k}={short(v)}' for k, v in kwargs.items())])})"


def run(exercise: Exercise, answer: Any) -> Report:
    """Run an exercise's checks on an answer."""

    unchecked = functools.partial(Report.unchecked, exercise)
    kind = type(answer).__name__
    watched: Any
    if answer is None or answer is ...:
        return unchecked("not written yet")
    if exercise.kind == "sql":
        if not isinstance(answer, str):
            return unchecked(f"{exercise.name} must be a text of SQL, but is a {kind}")
        if not _sql_without_comments(answer):
            return unchecked("not written yet")
        watched = _Watched(Query(answer), exercise.name)
    else:
        if not callable(answer):
            return unchecked(f"{exercise.name} must be a function, but is a {kind}")
        watched = answer if inspect.isclass(answer) else _Watched(answer, exercise.name)
    results: list[Result] = []
    try:
        with _time_limit(exercise.seconds):
            for one in exercise.checks:
                title = " ".join((one.__doc__ or one.__name__).split())
                try:
                    one(watched)
                except WrongAnswerError as wrong:
                    results.append(Result(title, False, str(wrong)))
                except NotImplementedError:
                    return unchecked("not written yet")
                except (Exception, SystemExit) as error:
                    results.append(_raised(one, title, error, watched, answer))
                else:
                    results.append(Result(title, True))
                    continue
                break
    except _TooLong:
        title = " ".join((exercise.checks[len(results)].__doc__ or "").split())
        results.append(Result(title, False, too_long(exercise, getattr(watched, "call", ""))))
    return Report(exercise.name, tuple(results), len(exercise.checks))


def too_long(exercise: Exercise, call: str = "") -> str:
    """What to say of an answer that was stopped."""
    where = f"{call} " if call else f"{exercise.name} "
    return f"{where}was stopped after {exercise.seconds:g} s: is there a loop that never ends?"


def _sql_without_comments(text: str) -> str:
    lines = (line.split("--", 1)[0] for line in text.splitlines())
    return "".join(lines).strip(" \t;")


def _raised(one: Check, title: str, error: BaseException, watched: Any, answer: Any) -> Result:
    """The result of a check in which something was raised: by the learner's code, or by the check for what it gave."""
    name = type(error).__name__
    text = str(error) or "no message"
    call = getattr(watched, "call", "")
    if isinstance(error, SQLError):
        return Result(title, False, f"{text}")
    running = isinstance(watched, _Watched) and watched.running
    files = _files_of(answer)
    if not running:  # the check's own lines are none of the learner's
        files -= _files_of(one)
    where = _line(error, files)
    if isinstance(error, RecursionError):
        return Result(title, False, f"{call or title} calls itself without end: RecursionError", where)
    inside = running or bool(where)
    if inside:
        return Result(title, False, f"{call or title} raised {name}: {text}", where)
    if not call:
        return Result(title, False, f"{name}: {text}")
    came = short(getattr(watched, "result", None))
    return Result(title, False, f"{call} gave {came}, with which the check cannot go on: {name}: {text}")


def _line(error: BaseException, files: set[str]) -> str:
    """The last line of the learner's own file or cell through which an error came, as ``line 7: pair = …``."""
    frames = [f for f in traceback.extract_tb(_tail(error.__traceback__)) if f.filename in files]
    if not frames:
        return ""
    last = frames[-1]
    source = (last.line or linecache.getline(last.filename, last.lineno or 0)).strip()
    return f"line {last.lineno}: {source}" if source else f"line {last.lineno}"


def _tail(tb: TracebackType | None, most: int = 200) -> TracebackType | None:
    """The last frames of a traceback: a recursion has a thousand."""
    length, walk = 0, tb
    while walk is not None:
        length, walk = length + 1, walk.tb_next
    for _ in range(max(0, length - most)):
        tb = tb.tb_next if tb is not None else None
    return tb


def _files_of(answer: Any) -> set[str]:
    functions = [answer]
    if inspect.isclass(answer):
        functions = [f for f in vars(answer).values() if callable(f)]
    codes = (getattr(inspect.unwrap(f), "__code__", None) for f in functions)
    return {code.co_filename for code in codes if code is not None}


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Stop the block after ``seconds`` where the system can interrupt: the main thread of a Unix process."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, stop)
    # Again after a while, should a bare except have swallowed it.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
