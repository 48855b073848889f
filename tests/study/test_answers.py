"""Every exercise's checker, proved by its answers: the right ones pass, each planted wrong one fails by its name."""

from __future__ import annotations

import re

import pytest
from tests.study import answering

from groundup.study import checking

PAGES = answering.pages()
CASES = [
    pytest.param(day, answer, id=f"{day}.{answer.exercise}-{answer.label}")
    for day, answers in PAGES.items()
    for answer in answers
]

#: Planted wrong answers that an exercise must have at least.
LEAST_WRONG = 5


@pytest.mark.parametrize(("day", "answer"), CASES)
def test_answer(day: str, answer: answering.Answer) -> None:
    report = checking.check(f"{day}.{answer.exercise}", answer.value)
    if answer.says is None:
        assert report, f"the right answer fails: {report}"
    else:
        assert report.status == "failed", f"this wrong answer is {report.status}"
        said = report.message
        assert re.search(answer.says, said), f"must match {answer.says!r}, but says: {said}"
        assert not (leaked := answering.leaks(said, _right(day, answer.exercise))), (
            f"{leaked!r} is the solution's"
        )


@pytest.mark.parametrize("day", sorted({*PAGES, *checking.days()}))
def test_every_exercise_has_answers(day: str) -> None:
    assert not answering.missing(checking.exercises(day), PAGES.get(day, []), LEAST_WRONG)


def _right(day: str, exercise: str) -> str:
    return "\n".join(a.source for a in PAGES[day] if a.exercise == exercise and a.says is None)
