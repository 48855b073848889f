"""The voice of a page, and the numbers in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.press.rules.base import DISPLAY, FENCE, Finding, Subject, line_of, plain, rule

BETWEEN = 120
RETOLD = 20
FORBIDDEN = re.compile(r"\b(simply|powerful)\b", re.I)
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u26ff\u2705\u2728\u274c\u2753\u2757\u2b50\ufe0f]")
WORD = re.compile(r"\w[\w'’.,-]*|[\u4e00-\u9fff]")
NUMBER = re.compile(r"(?<![\w.#/-])\d+(?:[,\u202f]\d{3})*(?:\.\d+)?(?![\w]*[_/])")
#: What needs no evidence: times to work, pages, years, small counts.
EXEMPT_AFTER = re.compile(r"\s*(?:min\b|minutes|hours?\b|days?\b|seconds of)")
EXEMPT_BEFORE = re.compile(
    r"(?:\b(?:[Dd]ays?|[Pp]ages?|[Ss]ections?|[Bb]locks?|[Cc]hapters?|[Dd]ifficulty|Python|article|NF\w*|GPT|U\+\w*)[\s-]*|\[\^?)$"
)
SMALL = 12


@rule("16 surprise")
def surprise(subject: Subject) -> Iterator[Finding]:
    """What stands out in bold can be told again: at most 20 words a sentence."""
    for cell in subject.markdown:
        text = FENCE.sub(lambda match: "\n" * match[0].count("\n"), cell.text)
        for match in re.finditer(r"\*\*(.+?)\*\*", text, re.S):
            count = max(len(WORD.findall(sentence)) for sentence in re.split(r"(?<=[.?!:])\s+", match[1]))
            if count > RETOLD:
                where = line_of(text, match.start())
                yield Finding(cell.number, f"{count} words in bold, at most {RETOLD}: say it shorter", where)


@rule("4 folds")
def folds(subject: Subject) -> Iterator[Finding]:
    """A fold holds no LaTeX and keeps a blank line after its summary."""
    for cell in subject.markdown:
        for match in re.finditer(r"<details>?.*?(?:</details>|\Z)", cell.text, re.S):
            line = line_of(cell.text, match.start())
            if "$" in match[0]:
                yield Finding(
                    cell.number, "LaTeX in a fold: some viewers show it raw; use words or code", line
                )
            if "</summary>" in match[0] and not re.search(r"</summary>[ \t]*\n[ \t]*\n", match[0]):
                yield Finding(
                    cell.number, "no blank line after </summary>: what follows is not read as Markdown", line
                )


@rule("17 words")
def words(subject: Subject) -> Iterator[Finding]:
    """At most 120 words between two outputs; the design note is a page of its own."""
    count, warned = 0, False
    for cell in subject.cells:
        if cell.kind == "code":
            if subject.outputs(cell) or subject.notebook is None:
                count, warned = 0, False
            continue
        if subject.section_of(cell) == "design":
            continue
        count += len(WORD.findall(plain(cell.text)))
        if count > BETWEEN and not warned:
            warned = True
            yield Finding(
                cell.number, f"{count} words since the last output, at most {BETWEEN}: cut, or show something"
            )


@rule("17 voice")
def voice(subject: Subject) -> Iterator[Finding]:
    """Neither `simply` nor `powerful`, and no emoji."""
    for cell in subject.cells:
        text = plain(cell.text) if cell.kind == "markdown" else cell.text
        for match in [*(FORBIDDEN.finditer(text) if cell.kind == "markdown" else ()), *EMOJI.finditer(text)]:
            yield Finding(cell.number, f"{match[0]!r}: leave it out", line_of(text, match.start()))


def numbers(text: str) -> list[float]:
    """All numbers in a text, 1,024 being one."""
    return [
        float(re.sub(r"[,_\u202f]", "", n))
        for n in re.findall(r"\d+(?:[,_\u202f]\d{3})*(?:\.\d+)?(?:e-?\d+)?", text)
    ]


@rule("11 numbers")
def evidence(subject: Subject) -> Iterator[Finding]:
    """A number in prose stands in code or in an output that does not change from run to run."""
    if subject.notebook is None:
        return
    shown = []
    for cell in subject.code:
        shown += numbers(cell.text)
        if "measured" in cell.tags:
            continue
        for output in subject.outputs(cell):
            data = output.get("data", {})
            parts = [output.get("text", ""), data.get("text/plain", ""), data.get("text/markdown", "")]
            shown += numbers(" ".join([*parts, re.sub(r"<[^>]*>", " ", data.get("text/html", ""))]))
    for cell in subject.markdown:
        shown += [n for formula in DISPLAY.findall(cell.text) for n in numbers(formula)]
    for cell in subject.markdown:
        text = plain(cell.text)
        for match in NUMBER.finditer(text):
            value = float(re.sub(r"[,\u202f]", "", match[0]))
            small = value <= SMALL and value == int(value) and "." not in match[0]
            before, after = text[max(0, match.start() - 20) : match.start()], text[match.end() :]
            year = "," not in match[0] and 1900 <= value <= 2100 and "." not in match[0]
            if small or year or EXEMPT_AFTER.match(after) or EXEMPT_BEFORE.search(before):
                continue
            decimals = len(match[0].partition(".")[2])
            half = 0.5000001 * 10.0**-decimals
            if not any(min(abs(value - n), abs(value - 100 * n)) <= half for n in shown):
                where = line_of(text, match.start())
                yield Finding(cell.number, f"{match[0]} is neither asserted nor printed on this page", where)
