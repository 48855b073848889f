"""The form of a page: its opening, its sections, the length and mixture of its cells."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import groupby, pairwise

from tools.press.rules.base import DAYS, DISPLAY, FENCE, HEADING, ORDER, Finding, Subject, line_of, rule

LINES = 15
IN_A_ROW = 3
EQUATIONS = 6
EQUAL = re.compile(r"==|allclose\(|isclose\(|array_equal\(")
LETTER = re.compile(r"(?<![A-Za-z\\'’])[A-Za-z](?![A-Za-z'’])")
#: Words in an equation, its commands among them.
WORDS = re.compile(r"\\(?:text|mathrm|operatorname)\{[^}]*\}|\\[A-Za-z]+|_\{[A-Za-z]{2,}\}")


@rule("1 opening")
def opening(subject: Subject) -> Iterator[Finding]:
    """A result that is neither a version nor a shape, within five cells."""
    for cell in subject.cells[:5]:
        telling = not re.search(r"__version__|\.shape\b|gu\.config\(", cell.text)
        if subject.outputs(cell) and telling:
            return
    yield Finding(
        1, "no result (a number, a picture, a text; not a version or a shape) within five cells: show one"
    )


@rule("2 motto")
def motto(subject: Subject) -> Iterator[Finding]:
    """One H1, at the top, and under it the motto that the data file holds as a block quote."""
    heads = [
        (cell.number, line_of(cell.text, match.start()))
        for cell in subject.markdown
        for match in HEADING.finditer(FENCE.sub(lambda m: "\n" * m[0].count("\n"), cell.text))
        if match[1] == "#"
    ]
    if heads[:1] != [(1, 1)]:
        yield Finding(1, "the first line must be the page's title: # …")
        return
    for number, line in heads[1:]:
        yield Finding(number, "a second title (# …): a page has one; begin a section by ##", line)
    under = "\n".join(subject.cells[0].text.splitlines()[1:]).lstrip("\n")
    quote = re.match(r"(?:>.*\n?)+", under)
    if quote is None:
        yield Finding(1, "no motto: a block quote (> …) right under the title")
        return
    words = " ".join(quote[0].replace(">", " ").split()).strip("*_ ")
    known = " ".join(str(subject.data.get("motto") or "").split())
    if known and words != known:
        yield Finding(1, f"the motto is {words!r}, but in the page's data {known!r}: make them one")


@rule("3 predict")
def predict(subject: Subject) -> Iterator[Finding]:
    """A guess is a number, and a later cell sets it against the answer."""
    starts = [number for tag, number in subject.sections if tag == "predict"]
    later = [cell for cell in subject.code if starts and cell.number >= starts[0]]
    given = next((cell for cell in later if re.search(r"^\w*guess\w*\s*=", cell.text, re.M)), None)
    if starts and given is None:
        yield Finding(starts[0], "no guess: let the reader set a number, guess = …")
    elif given and not any(c.number > given.number and "guess" in c.text and "/" in c.text for c in later):
        yield Finding(given.number, "no later cell prints guess, answer and their ratio")


@rule("5 length")
def length(subject: Subject) -> Iterator[Finding]:
    """Cells of code are short."""
    for cell in subject.code:
        lines = cell.text.count("\n") + 1
        if lines > LINES:
            yield Finding(cell.number, f"{lines} lines of code, at most {LINES}: split the cell", LINES + 1)


@rule("5 in a row")
def in_a_row(subject: Subject) -> Iterator[Finding]:
    """Prose is broken by code."""
    for kind, group in groupby(subject.cells, lambda cell: cell.kind):
        cells = list(group)
        if kind == "markdown" and len(cells) > IN_A_ROW:
            yield Finding(
                cells[IN_A_ROW].number,
                f"{len(cells)} cells of prose in a row, at most {IN_A_ROW}: run something",
            )


@rule("7 equations")
def equations(subject: Subject) -> Iterator[Finding]:
    """At most six displayed equations, each followed by its code before the next one comes."""
    count, waiting = 0, False
    for cell in subject.cells:
        if cell.kind == "code":
            waiting = False
            continue
        for match in DISPLAY.finditer(FENCE.sub("", cell.text)):
            count += 1
            line = line_of(cell.text, cell.text.find(match[0]))
            if count == EQUATIONS + 1:
                yield Finding(
                    cell.number,
                    f"more than {EQUATIONS} displayed equations: leave the least needed out",
                    line,
                )
            if waiting:
                yield Finding(
                    cell.number, "an equation before the code of the last one: show that first", line
                )
            waiting = True
    if waiting:
        yield Finding(len(subject.cells), "the last displayed equation is followed by no code")


def asserts(subject: Subject, *sections: str) -> list[ast.Assert]:
    """The assertions of some sections."""
    inside = [cell for cell in subject.code if subject.section_of(cell) in sections]
    return [n for cell in inside for n in ast.walk(subject.trees[cell.number]) if isinstance(n, ast.Assert)]


@rule("6 steps")
def steps(subject: Subject) -> Iterator[Finding]:
    """Loop, NumPy and our own code are asserted equal."""
    for sections, what in ((("numpy",), "NumPy and a loop"), (("cpp", "check"), "our code and NumPy")):
        start = next((number for tag, number in subject.sections if tag in sections), None)
        if start and not any(EQUAL.search(ast.unparse(found.test)) for found in asserts(subject, *sections)):
            yield Finding(start, f"nothing asserts that {what} give the same")


@rule("8 symbols")
def symbols(subject: Subject) -> Iterator[Finding]:
    """What an equation is made of is spoken of, at the latest in the prose that follows; but for a sum's index."""
    for cell in subject.markdown:
        spoken = " ".join(DISPLAY.sub(" ", c.text) for c in subject.markdown if c.number <= cell.number + 2)
        known = set(LETTER.findall(spoken))
        for match in DISPLAY.finditer(FENCE.sub("", cell.text)):
            indices = set(re.findall(r"_\{\s*([A-Za-z])\s*=", match[1]))
            right = WORDS.sub(" ", match[1]).partition("=")[2]
            for letter in sorted(set(re.findall(r"[A-Za-z]", right)) - indices - known):
                where = line_of(cell.text, cell.text.find(match[0]))
                yield Finding(
                    cell.number, f"{letter!r} of the equation is not in the prose: say what it is", where
                )


@rule("12 break")
def breaks(subject: Subject) -> Iterator[Finding]:
    """What is broken on purpose is run; a check misses it, and another catches it."""
    start = next((number for tag, number in subject.sections if tag == "break"), None)
    if start and len(asserts(subject, "break")) < 2:
        yield Finding(
            start, "run what is wrong, and assert the check that misses it and the one that does not"
        )


@rule("19 exercises")
def exercises(subject: Subject) -> Iterator[Finding]:
    """Minutes and difficulty; a stub that raises; one check."""
    stubs = [cell for cell in subject.code if "stub" in cell.tags]
    starts = [number for tag, number in subject.sections if tag == "exercise"]
    if starts and not stubs:
        yield Finding(starts[0], "an exercise without a cell tagged stub")
    for i, stub in enumerate(stubs):
        end = stubs[i + 1].number if i + 1 < len(stubs) else len(subject.cells) + 1
        above = " ".join(c.text for c in subject.cells[max(0, stub.number - 3) : stub.number - 1])
        if not re.search(r"\d+ ?(?:min\b|minutes)", above) or "ifficulty" not in above:
            yield Finding(stub.number, "say above the stub how many minutes and what difficulty")
        if not any(isinstance(node, ast.Raise) for node in ast.walk(subject.trees[stub.number])):
            yield Finding(stub.number, 'the stub must raise: raise NotImplementedError("…")')
        checks = sum(
            c.text.count("gu.check(") for c in subject.cells[stub.number - 1 : end - 1] if c.kind == "code"
        )
        if checks != 1:
            yield Finding(stub.number, f"{checks} checks after the stub: one exercise, one gu.check(…)")


@rule("form sections")
def sections(subject: Subject) -> Iterator[Finding]:
    """Every section is there, and they begin in their order."""
    first: dict[str, int] = {}
    for tag, number in subject.sections:
        first.setdefault(tag, number)
    wanted = [*ORDER, *DAYS] if subject.page.name.startswith("sprint/") else ORDER
    for tag in wanted:
        if tag not in first:
            yield Finding(1, f"no section {tag}: give its first cell that tag")
    there = [tag for tag in ORDER if tag in first]
    for before, after in pairwise(there):
        if first[before] > first[after]:
            yield Finding(
                first[after], f"section {after} begins before {before}; the order is: {' '.join(ORDER)}"
            )
    for tag in DAYS:
        if tag in first and not first.get("break", 0) < first[tag] < first.get(
            "next", len(subject.cells) + 1
        ):
            yield Finding(first[tag], f"section {tag} must stand between break and next")


@rule("form check")
def asserted(subject: Subject) -> Iterator[Finding]:
    """What a page says holds is asserted: at least in its section check."""
    start = next((number for tag, number in subject.sections if tag == "check"), None)
    if start and not asserts(subject, "check"):
        yield Finding(start, "section check asserts nothing")
