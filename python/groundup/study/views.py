"""Flashcards, quizzes and folded answers: text in a terminal, folds in a notebook."""

from __future__ import annotations

import html
import textwrap
import zlib
from dataclasses import dataclass
from typing import Any

from groundup.study import data
from groundup.study.markup import BAD, GOOD, NOTE, box, details, inline, paragraphs, plain, show


@dataclass(frozen=True)
class Fold:
    """Something folded away under a line that says what it is.

    Attributes:
        summary: the line.
        body: text, or anything that shows in a notebook.
    """

    summary: str
    body: Any

    def __str__(self) -> str:
        parts = self.body if isinstance(self.body, (list, tuple)) else [self.body]
        text = "\n".join(plain(part) if isinstance(part, str) else str(part) for part in parts)
        return f"{plain(self.summary)}\n{textwrap.indent(text.strip(), '    ')}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return box(details(f"<strong>{inline(self.summary)}</strong>", show(self.body), NOTE))


def fold(summary: str, body: Any) -> Fold:
    """A folded answer, as the output of a cell: a click shows it.

    Args:
        summary: what stands on the fold.
        body: text, which is escaped and may hold `code`, **strong** and *emphasis*; or whatever shows in a notebook:
            an explanation, tokens, a figure, a list of those.

    >>> fold("The answer", "It is `b'lo'`.")
    The answer
        It is b'lo'.
    """
    return Fold(summary, body)


@dataclass(frozen=True)
class Cards:
    """The flashcards of a page."""

    page: data.Page

    def __len__(self) -> int:
        return len(self.page.cards)

    def __str__(self) -> str:
        parts = []
        for i, card in enumerate(self.page.cards, 1):
            answer = textwrap.fill(
                plain(" ".join(card.answer.split())), 100, initial_indent="    ", subsequent_indent="    "
            )
            parts.append(f"{i}. {plain(card.ask)}\n{answer}\n    ({_source(card)})")
        return "\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = []
        for i, card in enumerate(self.page.cards, 1):
            computed = f"computed by <code>{html.escape(card.compute.call)}</code> · " if card.compute else ""
            link = f'<a href="{html.escape(card.link)}">where this page shows it</a>'
            note = f'<p style="margin:.3em 0"><small>{computed}{link}</small></p>'
            summary = f"<strong>{i}.</strong> {inline(card.ask)}"
            parts.append(details(summary, paragraphs(card.answer) + note, NOTE))
        return box("\n".join(parts))


def _source(card: data.Card) -> str:
    return f"computed by {card.compute.call}; {card.link}" if card.compute else card.link


def cards(name: str) -> Cards:
    """The flashcards of a page, each a question with its answer folded.

    Raises:
        ValueError: there is no such page, or its data is wrong.
    """
    return Cards(data.page(name))


@dataclass(frozen=True)
class Quiz:
    """The quiz of a page: every choice is a fold with its feedback."""

    page: data.Page

    def __len__(self) -> int:
        return len(self.page.quiz)

    @property
    def questions(self) -> list[data.Question]:
        """The questions with their numbers put in and their choices in the order in which they are shown."""
        return [_shuffled(question.filled) for question in self.page.quiz]

    def __str__(self) -> str:
        parts = []
        for i, question in enumerate(self.questions, 1):
            parts.append(f"{i}. {plain(question.ask)}")
            parts += [f"   {letter}. {plain(c.text)}" for letter, c in zip("ABCD", question.choices)]  # noqa: B905
        parts.append("Answers")
        for i, question in enumerate(self.questions, 1):
            for letter, choice in zip("ABCD", question.choices):  # noqa: B905
                verdict = "right" if choice.right else "no"
                text = f"{i}{letter}, {verdict}: {plain(' '.join(choice.why.split()))}"
                parts.append(textwrap.fill(text, 100, initial_indent="   ", subsequent_indent="      "))
        return "\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = []
        for i, question in enumerate(self.questions, 1):
            parts.append(
                f'<p style="margin:1.1em 0 .3em"><strong>Question {i}.</strong> {inline(question.ask)}</p>'
            )
            for letter, choice in zip("ABCD", question.choices):  # noqa: B905
                verdict = "Right." if choice.right else "Not this one."
                sign = "✓" if choice.right else "✗"
                colour = GOOD if choice.right else BAD
                # The edge inside the fold, or it would tell before anybody has guessed.
                body = (
                    f'<div style="border-left:4px solid {colour};padding-left:.7em"><strong>{sign} {verdict}</strong> '
                    f"{inline(' '.join(choice.why.split()))}</div>"
                )
                parts.append(details(f"<strong>{letter}.</strong> {inline(choice.text)}", body))
        return box("\n".join(parts))


def _shuffled(question: data.Question) -> data.Question:
    """Choices in an order that their texts decide: the same on every run, and the right one anywhere."""
    choices = sorted(question.choices, key=lambda c: zlib.crc32((question.ask + c.text).encode()))
    return data.Question(question.ask, tuple(choices), None)


def quiz(name: str) -> Quiz:
    """The quiz of a page; a click on a choice says whether it is right, and why.

    Raises:
        ValueError: there is no such page, or its data is wrong.
    """
    return Quiz(data.page(name))
