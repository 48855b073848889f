"""Every rule of the linter finds the page that breaks just it, and none complains about the good page."""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from PIL import Image
from tools.press import notebook
from tools.press.page import read
from tools.press.rules import RULES, Subject, lint

MOTTO = "A mean is a guess."
SECTIONS = "predict derive numpy cpp check measure break tell".split()


def cells() -> list[tuple[str, list[str], str]]:
    """The cells of a page that keeps every rule: kind, tags, text."""
    made = [
        ("markdown", ["motto"], f"# A page\n\n> {MOTTO}"),
        ("code", [], "rows = [1, 2]\nprint(sum(rows))"),
    ]
    for tag in SECTIONS:
        made.append(
            ("markdown", [tag], f"## About {tag}\n\nWhat does this small section show us, and why does it?")
        )
        made.append(("code", [], f"print(len({tag!r}))"))
    made[3] = ("code", [], "guess = 4\nprint(guess)")
    made[5] = ("code", [], "print(guess, guess / 2)")
    made[7] = ("code", [], "assert sum(rows) == 1 + 2\nprint(sum(rows))")
    made[9] = ("code", [], "assert sum(rows) == 3\nprint(sum(rows))")
    made[11] = ("code", [], "assert sum(rows) > 2\nprint(sum(rows))")
    made[13] = ("code", [], 'draw(title=f"{sum(rows)} it is")')
    made[15] = ("code", [], "wrong = max(rows)\nassert wrong > 0\nassert wrong != sum(rows)\nprint(wrong)")
    made += [
        ("markdown", ["exercise"], "## Yours\n\nAbout 20 minutes, difficulty 2."),
        ("code", ["stub"], "def mean(values):\n    raise NotImplementedError"),
        ("code", [], 'gu.check("day99.mean", mean)'),
    ]
    for tag in ("design", "drill", "quiz", "cards"):
        made += [("markdown", [tag], f"## The {tag}"), ("code", [], f"print({tag!r})")]
    return [*made, ("markdown", ["next"], "## Next\n\nDay 98 gave us a number, day 100 gets one.")]


def data() -> dict[str, Any]:
    """Study data that keep every rule."""
    card = {"ask": "What follows?", "answer": "This.", "link": "#Yours"}
    choices = [{"text": "a", "right": True, "why": "yes"}, {"text": "b", "why": "no"}]
    return {
        "page": "sprint/day99",
        "title": {"en": "A page", "zh": "一页"},
        "motto": MOTTO,
        "analogy": {"idea": "mean", "like": "balance", "breaks": "outliers"},
        "uses": {"from": "sprint/day98", "what": "a number"},
        "promises": {"to": "sprint/day100", "what": "another"},
        "cards": [
            {"id": f"c{i}", **card, **({"compute": {"call": "x"}} if i < 4 else {})} for i in range(12)
        ],
        "quiz": [{"ask": "Which?", "choices": choices} for _ in range(8)],
    }


def picture(alpha: int = 255, size: int = 8) -> str:
    """A PNG of noise, as a notebook holds it."""
    pixels = random.Random(0).randbytes(size * size * 3)
    image = Image.frombytes("RGB", (size, size), pixels)
    image.putalpha(alpha)
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


class Draft:
    """A page to be spoiled: its cells, its data, and what its cells put out."""

    def __init__(self) -> None:
        self.cells, self.data = cells(), data()
        self.png = picture()
        self.outputs: dict[int, Any] = {}
        self.silent: set[int] = set()

    def text(self, number: int, text: str) -> None:
        kind, tags, _ = self.cells[number - 1]
        self.cells[number - 1] = (kind, tags, text)

    def html(self, text: str) -> None:
        self.outputs[2] = nbformat.v4.new_output("display_data", {"text/html": text, "text/plain": "x"})

    def subject(self, root: Path) -> Subject:
        lines = []
        for kind, tags, text in self.cells:
            words = "".join(f'"{tag}"' for tag in tags)
            lines.append(
                "# %%" + (" [markdown]" if kind == "markdown" else "") + (f" tags=[{words}]" if tags else "")
            )
            lines += [f"# {line}".rstrip() if kind == "markdown" else line for line in text.splitlines()]
            lines.append("")
        path = root / "notebooks" / "source" / "sprint" / "day99.py"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(lines), encoding="utf-8")
        page = read(root, "sprint/day99")
        made = notebook.build(page)
        for cell in page.cells:
            if cell.kind == "code" and "stub" not in cell.tags and cell.number not in self.silent:
                output = nbformat.v4.new_output("stream", name="stdout", text="1 2 3 4\n")
                if "draw(" in cell.text:
                    output = nbformat.v4.new_output("display_data", {"image/png": self.png})
                made.cells[cell.number - 1].outputs = [self.outputs.get(cell.number, output)]
        return Subject(page, made, self.data)


def found(root: Path, spoil: Callable[[Draft], Any]) -> list[str]:
    draft = Draft()
    spoil(draft)
    return lint(draft.subject(root))


def test_good_page_is_good(tmp_path: Path) -> None:
    assert found(tmp_path, lambda draft: None) == []


def remove(key: str) -> Callable[[Draft], Any]:
    return lambda draft: draft.data.pop(key)


def stream(text: str, name: str = "stdout") -> Any:
    return nbformat.v4.new_output("stream", name=name, text=text)


def link_beyond_ascii(draft: Draft) -> None:
    """A heading of the page, and a card that links to it."""
    draft.text(5, "## Why √?")
    draft.data["cards"][3]["link"] = "#Why-√?"


FORMULA = "$$x = 1$$"
SPOILT: list[tuple[str, Callable[[Draft], Any]]] = [
    ("1 opening", lambda d: d.silent.update((2, 4))),
    ("2 motto", lambda d: d.text(1, "# A page\n\n> Another.")),
    ("2 motto", lambda d: d.text(5, "# Again\n\nWhat does this show?")),
    ("3 predict", lambda d: d.text(6, "print(4 + 4)")),
    ("4 folds", lambda d: d.text(5, "## A\n\n<details><summary>s</summary>\ntext</details>")),
    ("4 folds", lambda d: d.text(5, "## A\n\n<details><summary>s</summary>\n\n$x$</details>")),
    ("5 length", lambda d: d.text(18, "\n".join(["print(len(rows))"] * 16))),
    ("5 in a row", lambda d: d.cells.extend([("markdown", [], "More.")] * 3)),
    ("6 steps", lambda d: d.text(8, "print(sum(rows))")),
    ("6 steps", lambda d: d.text(10, "assert sum(rows) > 2\nprint(sum(rows))")),
    ("7 equations", lambda d: d.text(5, f"## A\n\n{FORMULA}\n\n{FORMULA}")),
    ("8 symbols", lambda d: d.text(5, "## A\n\n$$y = q + 1$$")),
    ("9 names", lambda d: d.text(18, "tmp = 3\nprint(tmp)")),
    ("9 names", lambda d: d.text(18, "loss_2 = 3\nprint(loss_2)")),
    ("9 letters", lambda d: d.text(18, "q = 3\nprint(q)")),
    ("11 numbers", lambda d: d.text(5, "## A\n\nIt takes 37.5 % of all.")),
    ("12 break", lambda d: d.cells.__setitem__(slice(14, 16), [("markdown", ["break"], "## B\n\nIt would fail.")])),
    ("12 break", lambda d: d.text(16, "assert sum(rows) > 2\nprint(sum(rows))")),
    ("14 plots", lambda d: d.text(14, "draw()")),
    ("14 plots", lambda d: d.text(14, 'draw(title="It is so")')),
    ("15 constants", lambda d: d.text(18, 'print("ours is faster")')),
    ("16 surprise", lambda d: d.text(5, "## A\n\n**" + "word " * 20 + "ends.**")),
    ("17 words", lambda d: d.text(5, "word " * 121)),
    ("17 voice", lambda d: d.text(5, "It is simply so.")),
    ("17 voice", lambda d: d.text(5, "Good \U0001f600")),
    ("18 analogy", lambda d: d.data["analogy"].pop("breaks")),
    ("19 exercises", lambda d: d.text(19, "## Yours\n\nDifficulty 2.")),
    ("19 exercises", lambda d: d.text(20, "def mean(values):\n    pass")),
    ("19 exercises", lambda d: d.text(21, "print(mean)")),
    ("22 cards", lambda d: d.data["cards"].pop()),
    ("22 cards", lambda d: d.data["cards"][3].pop("compute")),
    ("22 cards", lambda d: d.data["cards"][3].update(link="#nowhere")),
    ("22 cards", link_beyond_ascii),
    ("22 cards", lambda d: d.data["cards"][3].update(ask="Who wrote it?")),
    ("22 cards", lambda d: d.data["cards"][3].update(id="c1")),
    ("23 quiz", lambda d: d.data["quiz"].pop()),
    ("23 quiz", lambda d: d.data["quiz"][0].update(choices=d.data["quiz"][0]["choices"] * 3)),
    ("23 quiz", lambda d: d.data["quiz"][0]["choices"][1].pop("why")),
    ("24 ties", remove("promises")),
    ("24 ties", lambda d: d.data["uses"].update({"from": "sprint/day97"})),
    ("25 figures", lambda d: d.text(13, "## Why?")),
    ("25 pictures", lambda d: setattr(d, "png", picture(alpha=128))),
    ("25 pictures", lambda d: setattr(d, "png", picture(size=220))),
    ("25 static", lambda d: d.html("<script>1</script>")),
    ("25 static", lambda d: d.html('<img src="https://example.org/a.png">')),
    ("form outputs", lambda d: d.outputs.update({2: stream("a warning", "stderr")})),
    ("form outputs", lambda d: d.outputs.update({2: stream("<Axes at 0x7f00aa11bb22>")})),
    ("form outputs", lambda d: d.outputs.update({2: stream("in /home/someone/file")})),
    ("form sections", lambda d: d.cells.__setitem__(16, ("markdown", [], "## About tell"))),
    ("form check", lambda d: d.text(12, "print(sum(rows))")),
    ("form imports", lambda d: d.text(18, "import torch\nprint(torch)")),
    ("form imports", lambda d: d.text(18, "import urllib.request\nprint(urllib)")),
    ("form data", lambda d: d.data["title"].pop("zh")),
    ("form syntax", lambda d: d.text(18, "print(")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "spoil"), SPOILT)
def test_spoilt_page_breaks_just_that_rule(tmp_path: Path, rule: str, spoil: Callable[[Draft], Any]) -> None:
    lines = found(tmp_path, spoil)
    assert lines and {line.partition("[")[2].partition("]")[0] for line in lines} == {rule}, lines
    assert all(line.startswith("notebooks/source/sprint/day99.py:") for line in lines)


def test_every_rule_is_tested() -> None:
    assert set(RULES) == {rule for rule, _ in SPOILT} - {"form syntax"}
