"""The data of a page: cards, quiz, and how it is tied to other pages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.press.rules.base import HEADING, Finding, Subject, data_path, rule

CARDS, COMPUTED, QUESTIONS, CHOICES = 12, 4, 8, 4
RECALL = re.compile(r"^(?:who\b|when (?:was|did|were)\b)|\bstands? for\b|\bacronym\b", re.I)


def anchor(heading: str) -> str:
    """The address of a heading inside its page, as JupyterLab and the exported page make it."""
    return "#" + re.sub("[`*]", "", heading.strip()).replace(" ", "-")


@rule("form data")
def data(subject: Subject) -> Iterator[Finding]:
    """The data file is there and names the page, its title in two languages, and its motto."""
    path = data_path(subject.page.root, subject.page.name).relative_to(subject.page.root)
    if not subject.data:
        yield Finding(1, f"the page has no {path}")
        return
    if subject.data.get("page") != subject.page.name:
        yield Finding(1, f"{path}: page must be {subject.page.name}, but got {subject.data.get('page')}")
    for language in ("en", "zh"):
        if not (subject.data.get("title") or {}).get(language):
            yield Finding(1, f"{path}: title has no {language}")
    if not subject.data.get("motto"):
        yield Finding(1, f"{path}: no motto")


@rule("18 analogy")
def analogy(subject: Subject) -> Iterator[Finding]:
    """One analogy, which names where it breaks."""
    for key in ("idea", "like", "breaks"):
        if not (subject.data.get("analogy") or {}).get(key):
            yield Finding(1, f"the page's data: analogy has no {key}")


@rule("22 cards")
def cards(subject: Subject) -> Iterator[Finding]:
    """Twelve cards, four of them computed, each of a fact that is used and a heading that teaches it."""
    found = subject.data.get("cards") or []
    computed = [card for card in found if "compute" in card]
    if len(found) < CARDS or len(computed) < COMPUTED:
        yield Finding(
            1, f"{len(found)} cards, {len(computed)} computed; at least {CARDS}, of which {COMPUTED} computed"
        )
    anchors = {anchor(m[2]) for cell in subject.markdown for m in HEADING.finditer(cell.text)}
    seen = set()
    for card in found:
        name = card.get("id", "(a card without an id)")
        if not card.get("id") or name in seen:
            yield Finding(1, f"card {name}: ids are there, and each once")
        seen.add(name)
        if not card.get("ask") or not card.get("answer"):
            yield Finding(1, f"card {name}: ask and answer must be there")
        elif RECALL.search(card["ask"]):
            yield Finding(
                1, f"card {name} asks who, when or for an acronym: ask what follows, what is wrong, how much"
            )
        if card.get("link") not in anchors:
            yield Finding(
                1, f"card {name}: link {card.get('link')!r} is no heading of the page, such as #Who-pays?"
            )
        elif not card["link"].isascii():
            yield Finding(
                1,
                f"card {name}: JupyterLab follows no link but of ASCII, not {card['link']!r}: rename the heading",
            )


@rule("23 quiz")
def quiz(subject: Subject) -> Iterator[Finding]:
    """Eight questions, two to four choices, one right, feedback on each."""
    found = subject.data.get("quiz") or []
    if len(found) < QUESTIONS:
        yield Finding(1, f"{len(found)} quiz questions, at least {QUESTIONS}")
    for i, question in enumerate(found, 1):
        choices = question.get("choices") or []
        if not 2 <= len(choices) <= CHOICES:
            yield Finding(1, f"quiz question {i} has {len(choices)} choices, 2 to {CHOICES} are wanted")
        if sum(bool(choice.get("right")) for choice in choices) != 1:
            yield Finding(1, f"quiz question {i}: exactly one choice must be right")
        if not all(choice.get("why") for choice in choices):
            yield Finding(1, f"quiz question {i}: every choice needs its feedback (why)")


@rule("24 ties")
def ties(subject: Subject) -> Iterator[Finding]:
    """A number from an earlier page, and one promised to a later."""
    prose = " ".join(cell.text for cell in subject.markdown)
    for key, end in (("uses", "from"), ("promises", "to")):
        tie = subject.data.get(key) or {}
        if not (tie.get(end) and tie.get("what")):
            yield Finding(1, f"the page's data: {key} must say {end} and what")
        elif (day := re.search(r"day(\d+)$", tie[end])) and not re.search(rf"\b[Dd]ay {day[1]}\b", prose):
            yield Finding(1, f"the page {key} something of day {day[1]}, but its text does not say so")
