"""The checker itself: what a learner is told, what a file gives, and that its own machinery cannot be fooled."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.study import answering

import groundup as gu
from groundup.cli import main
from groundup.study import checking, learner
from groundup.study.checking import Exercise, Report, expect, run
from groundup.study.sql import Query, SQLError


def hand_example(double: Any) -> None:
    "A number by hand."
    expect(double(2) == 4, "double(2) must be 4")


def ragged(double: Any) -> None:
    "Ragged sizes."
    for x in (3, 7):
        expect(double(x) == 2 * x, f"double({x}) must be twice {x}")


def newest(query: Query) -> None:
    "The newest of three."
    rows = query({"runs": (("name", "day"), [("a", 1), ("c", 3), ("b", 2)])})
    expect(rows == [("c",)], f"the newest run is c, but got {rows}")


EXERCISES = [
    Exercise(
        name="double",
        minutes=2,
        difficulty=1,
        signature="double(x)",
        task="…",
        checks=(hand_example, ragged),
        seconds=1,
    ),
    Exercise(
        name="latest", minutes=2, difficulty=1, signature="SELECT …", task="…", checks=(newest,), kind="sql"
    ),
]
DOUBLE, LATEST = EXERCISES


# ------------------------------------------------------------------------------------------------- what is said


def test_right_answer_passes() -> None:
    report = run(DOUBLE, lambda x: 2 * x)
    assert report and report.status == "passed" and str(report).startswith("double: all 2 checks pass")


def test_checks_stop_at_the_first_failure() -> None:
    report = run(DOUBLE, lambda x: x * x)
    assert not report and [r.passed for r in report.results] == [True, False]
    assert report.message == "double(3) must be twice 3"
    assert "✗" in report._repr_html_() and "double(3) must be twice 3" in report._repr_html_()


def test_an_exception_is_reported_with_call_and_line() -> None:
    def double(x: int) -> int:
        return [4][x - 2]

    report = run(DOUBLE, double)
    assert report.message == "double(3) raised IndexError: list index out of range"
    assert report.results[-1].where.endswith("return [4][x - 2]")


def test_what_a_check_cannot_use_is_named() -> None:
    def length(f: Any) -> None:
        "A length."
        expect(len(f(1)) == 1, "…")

    exercise = Exercise(name="f", minutes=1, difficulty=1, signature="f(x)", task="…", checks=(length,))
    assert (
        "f(1) gave None, with which the check cannot go on: TypeError"
        in run(exercise, lambda x: None).message
    )


@pytest.mark.parametrize("answer", [None, ...])
def test_stub(answer: object) -> None:
    assert run(DOUBLE, answer).status == "not written yet"


def test_stub_that_raises() -> None:
    def double(x: int) -> int:
        raise NotImplementedError

    report = run(DOUBLE, double)
    assert report.status == "not written yet" and not report and str(report) == "double: not written yet"


def test_endless_loop_is_stopped() -> None:
    def double(x: int) -> int:
        while True:
            with contextlib.suppress(Exception):
                x += 1

    assert run(DOUBLE, double).message == "double(2) was stopped after 1 s: is there a loop that never ends?"


def test_recursion_and_exit_do_not_escape() -> None:
    def forever(x: int) -> int:
        return forever(x)

    def leave(x: int) -> int:
        raise SystemExit(3)

    assert "calls itself without end" in run(DOUBLE, forever).message
    assert "raised SystemExit: 3" in run(DOUBLE, leave).message
    assert "must be a function, but is a int" in run(DOUBLE, 3).message


# --------------------------------------------------------------------------------------------------------- SQL


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT name FROM runs ORDER BY day LIMIT 1", "the newest run is c"),
        ("DELETE FROM runs", "may only read"),
        ("ATTACH 'x.db' AS x", "may only read"),
        ("PRAGMA hard_heap_limit", "may only read"),
        ("SELECT name FROM run", "no such table"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", "takes too long"),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n", "more than 10,000 rows"),
        ("SELECT hex(zeroblob(100000000))", "SQLite says"),
    ],
)  # fmt: skip
def test_sql(text: str, says: str) -> None:
    report = run(LATEST, text)
    assert report.status == "failed" and says in report.message
    assert run(LATEST, "SELECT name FROM runs ORDER BY day DESC LIMIT 1")


def test_sql_stub_and_reading_of_files(tmp_path: Path) -> None:
    assert run(LATEST, "-- write it here\n").status == "not written yet"
    assert "must be a text of SQL" in run(LATEST, 3).message
    for text in (
        "SELECT load_extension('x')",
        "SELECT readfile('/etc/passwd')",
        "SELECT writefile('x', 'y')",
    ):
        with pytest.raises(SQLError):
            Query(text)({})


# --------------------------------------------------------------------------------------- the learner's own file


PAGE = """# %% [markdown]
# # A page
# %%
import math
print("runs the page")
slow = sum(range(10)) + open("nowhere").read()
# %%
FACTOR = 2
UNUSED = 1 / 0
def helper(x):
    return FACTOR * x
# %%
%time
def double(x: float) -> float:
    return helper(x) + math.floor(0.5)
"""


def test_only_what_an_answer_needs_is_taken() -> None:
    answer = learner.take([learner.Source(PAGE, "page.py")], "double")
    code = answer.sources[0].code
    assert "def helper" in code and "FACTOR = 2" in code and "import math" in code
    assert "print" not in code and "slow" not in code and "UNUSED" not in code and "%time" not in code
    assert code.splitlines()[14] == "    return helper(x) + math.floor(0.5)"  # lines keep their numbers
    assert learner.build(answer, "page.py")(4) == 8


def test_what_stands_around_a_definition() -> None:
    imports = "from math import *\ntry:\n    import regex_none as re\nexcept ImportError:\n    import re\n"
    code = imports + "def f(x):\n    return floor(x), re\n"
    answer = learner.take([learner.Source(code, "a.py")], "f")
    assert learner.build(answer, "a.py")(2.5)[0] == 2 and not answer.unmet
    code = code.replace("import re\ndef", "print(1)\ndef")  # not an import only: it is not run
    assert learner.take([learner.Source(code, "a.py")], "f").unmet == {"re": "a.py, line 2"}


def notebook(*cells: str) -> str:
    return json.dumps(
        {"cells": [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]}
    )


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A page of exercises that only this test and its child processes know."""
    import groundup.study.exercises as package

    (tmp_path / "day99.py").write_text(
        "from groundup.study.checking import Exercise, expect\n"
        "def hand(double):\n    'By hand.'\n    expect(double(2) == 4, 'double(2) must be 4')\n"
        "more = {'minutes': 2, 'difficulty': 1, 'signature': 'f(x)', 'task': '…', 'checks': (hand,), 'seconds': 1}\n"
        "EXERCISES = [Exercise(name='double', **more), Exercise(name='other', **more)]\n"
    )
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        f"import groundup.study.exercises as package\npackage.__path__.append({str(tmp_path)!r})\n"
    )
    source = str(Path(gu.__file__).parent.parent)
    monkeypatch.setenv("PYTHONPATH", f"{site}:{source}")
    yield "day99"
    sys.modules.pop("groundup.study.exercises.day99", None)


def test_command_line(day: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.ipynb"
    file.write_text(
        notebook("import os\nos._exit(7)", "def double(x):\n    return 2 * x", "def other(x):\n    return x")
    )
    assert main(["check", day, str(file), "--exercise", "double"]) == 0
    assert "1 of 1 exercises pass" in capfd.readouterr().out
    assert main(["check", day, str(file)]) == 1
    out = capfd.readouterr().out
    assert "double(2) must be 4" in out and "1 of 2 exercises pass" in out


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def double(x):\n    while True:\n        pass", "was stopped after 1 s"),
        ("def double(x):\n    import os\n    os._exit(3)", "ended its process with code 3"),
        ("def double(x):\n    import os\n    os.kill(os.getpid(), 11)", "ended its process: SIGSEGV"),
        ("def double(x):\n    print('x' * 100000)\n    return 5", "double(2) must be 4"),
        ("tokenizer = open('x')\ndef double(x):\n    return tokenizer", "which the page makes by running code"),
        ("double = open('x')", "it must be a definition"),
        ("import nowhere_at_all\ndef double(x):\n    return nowhere_at_all", "ModuleNotFoundError"),
        ("x = 1", "does not define double"),
        ("def double(x):\n    raise NotImplementedError", "not written yet"),
    ],
)  # fmt: skip
def test_bad_answers_in_files(
    day: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], code: str, says: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(code + "\n")
    assert main(["check", day, str(file), "--exercise", "double"]) == 1
    assert says in capfd.readouterr().out


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.py", b"def double(:\n", "cannot be read: a.py, line 1"),
        ("a.py", b"\xff\xfe", "must be UTF-8"),
        ("a.py", b"\n", "holds no code"),
        ("a.txt", b"x", "must be a .py file or a .ipynb notebook"),
        ("a.ipynb", b"{", "is no notebook"),
        ("a.ipynb", b"[" * 100_000, "is no notebook"),
        ("a.ipynb", b"[]", "it has no list of cells"),
        ("a.ipynb", b'{"cells": [{"cell_type": "code", "source": 3}]}', "the source of cell 1 is no text"),
    ],
)  # fmt: skip
def test_bad_files(
    day: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, data: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(data)
    assert main(["check", day, str(tmp_path / name)]) == 1
    error = capfd.readouterr().err
    assert says in error and error.count("\n") == 1


def test_unknown_names(
    day: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words, says in (
        (["day00"], "there are no exercises of 'day00'; there are those of"),
        ([day, "missing.py"], "missing.py: No such file"),
    ):
        assert main(["check", *words]) == 1
        assert says in capfd.readouterr().err
    (tmp_path / "day99.py").rename(tmp_path / "mine.py")  # the default file must be there
    with pytest.raises(ValueError, match=r"\[check\] there are no exercises of"):
        checking.check("nothing.encode", None)


# ----------------------------------------------------------------------------------- the machinery of the answers


ANSWERS = '''
from tests.study.answering import right, wrong

@right("double")
def double(x):
    """The right one."""
    return sum([x for _ in range(2)])

@wrong("double", says="twice 3")
def squared(x):
    return x * x
'''


@pytest.fixture
def answers(tmp_path: Path) -> list[answering.Answer]:
    file = tmp_path / "day98.py"
    file.write_text(ANSWERS)
    return answering.load(file)


def test_completeness_sees_what_is_missing(answers: list[answering.Answer]) -> None:
    assert answering.missing(["double"], answers, 1) == []
    assert answering.missing(["double"], answers, 5) == [
        "double: there must be 5 wrong answers, but there are 1"
    ]
    assert len(answering.missing(["double", "new"], answers, 1)) == 2
    assert answering.missing([], answers, 1)[0] == "double: there is no such exercise"


def test_leaks_are_seen(answers: list[answering.Answer]) -> None:
    solution = answers[0].source
    assert answering.leaks("try return sum([x for _ in range(2)]) instead", solution)
    assert not answering.leaks("double(3) must be twice 3", solution)


def _verdict(exercise: Exercise, answer: answering.Answer, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether test_answer of test_answers.py passes for this exercise."""
    from tests.study import test_answers

    module = types.ModuleType("groundup.study.exercises.day98")
    module.EXERCISES = [exercise]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "groundup.study.exercises.day98", module)
    monkeypatch.setattr(checking, "days", lambda: ["day98"])
    monkeypatch.setattr(
        test_answers, "_right", lambda *_: "def double(x):\n    return sum([x for _ in range(2)])\n"
    )
    try:
        test_answers.test_answer("day98", answer)
    except AssertionError:
        return False
    return True


def _like(*checks: checking.Check) -> Exercise:
    return Exercise(name="double", minutes=1, difficulty=1, signature="double(x)", task="…", checks=checks)


def test_mutants_of_a_checker_are_caught(
    answers: list[answering.Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def accepts_all(f: Any) -> None:
        "Everything."

    def refuses_all(f: Any) -> None:
        "Nothing."
        expect(False, "double(3) must be twice 3")

    def mumbles(f: Any) -> None:
        "The right test and a message that says nothing."
        expect(f(3) == 6, "wrong")

    def tells(f: Any) -> None:
        "The right test and the solution in its message."
        expect(f(3) == 6, "twice 3: return sum([x for _ in range(2)])")

    right, wrong = answers
    assert _verdict(DOUBLE, right, monkeypatch) and _verdict(DOUBLE, wrong, monkeypatch)
    assert not _verdict(_like(accepts_all), wrong, monkeypatch)
    assert not _verdict(_like(refuses_all), right, monkeypatch)
    assert not _verdict(_like(mumbles), wrong, monkeypatch)
    assert not _verdict(_like(tells), wrong, monkeypatch)


def test_report_that_ran_no_check_is_not_true() -> None:
    assert not Report("double", (), 0 + 1) and not Report("double", (), 1, "note")


def test_bad_exercises() -> None:
    for wrong in (
        {"name": "a b"},
        {"minutes": 0},
        {"difficulty": 6},
        {"checks": ()},
        {"checks": (lambda f: None,)},
    ):
        fields = {"name": "a", "minutes": 1, "difficulty": 1, "checks": (hand_example,)} | wrong
        with pytest.raises(ValueError, match=r"^\[study\] exercise"):
            Exercise(signature="a(x)", task="…", **fields)  # type: ignore[arg-type]


def test_nothing_heavy_is_loaded() -> None:
    code = "import sys, groundup as gu; gu.check; print(sorted({'yaml', 'matplotlib', 'pygments'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
