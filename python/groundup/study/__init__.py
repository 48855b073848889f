"""What a page teaches with: flashcards, quizzes, folded answers, stepped views, and exercises with a checker.

Cards and quizzes are data, ``study/cards/day33.yaml``; the checks of exercises are code, ``study/exercises/day33.py``.
Everything shows as HTML that needs neither a script nor the network, and as text. Its structure survives where styles
are taken away, as on a repository's page.
"""

from groundup.study.checking import Exercise, Report, check, expect
from groundup.study.data import Page, days, page
from groundup.study.sql import Query
from groundup.study.steps import Frame, Steps, attention_frames, merge_frames, steps
from groundup.study.views import Cards, Fold, Quiz, cards, fold, quiz

__all__ = [
    "Cards",
    "Exercise",
    "Fold",
    "Frame",
    "Page",
    "Query",
    "Quiz",
    "Report",
    "Steps",
    "attention_frames",
    "cards",
    "check",
    "days",
    "expect",
    "fold",
    "merge_frames",
    "page",
    "quiz",
    "steps",
]
