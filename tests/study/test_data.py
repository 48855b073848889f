"""Data of pages: real files hold what they must; wrong and hostile ones give one error that names file and entry."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from groundup.study import data, fold
from groundup.study.views import Cards, Quiz

pytest.importorskip("yaml")

GOOD = """
page: sprint/day97
title: {en: Nothing, zh: 无}
motto: Nothing comes of nothing.
analogy: {idea: nothing, like: air, breaks: air has weight}
teaches: [softmax]
cards:
  - {id: d97-one, ask: "What does `zip` do on <b>ragged</b> lists?", answer: "It **stops**.", link: "#zip"}
  - id: d97-two
    ask: How many tokens?
    compute: {call: groundup.text.statistics.vocabulary_effect, with: {texts: low low, unseen: low, sizes: [256]}}
    answer: "It takes {value[0].n_tokens} tokens, {value[0].bytes_per_token:.2f} bytes each."
    link: "#tokens"
quiz:
  - ask: Which?
    choices:
      - {text: this, right: true, why: because}
      - {text: that, why: because not}
"""


def read(tmp_path: Path, text: str | bytes) -> data.Page:
    file = tmp_path / "day97.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return data.read(file)


class Reader(HTMLParser):
    """What a page holds, and that every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert all(name in ("style", "class", "href", "title") for name, _ in attrs)
        if tag not in ("br", "wbr", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.text += text


def test_a_page_is_read_and_shown(tmp_path: Path) -> None:
    page = read(tmp_path, GOOD)
    assert page.path == "sprint/day97" and page.title["zh"] == "无" and page.teaches == ("softmax",)
    cards = Cards(page)
    assert "It takes 3 tokens, 1.00 bytes each." in str(cards)
    shown = Reader(cards._repr_html_())
    assert "What does zip do on <b>ragged</b> lists?" in shown.text and "b" not in shown.tags
    assert "script" not in shown.tags and cards._repr_html_().count("<details") == 2
    quiz = Quiz(page)
    shown = Reader(quiz._repr_html_())
    assert "✓ Right. because" in shown.text and "✗ Not this one. because not" in shown.text
    assert re.search(r"1[AB], right: because", str(quiz))


def test_folds_escape(tmp_path: Path) -> None:
    shown = Reader(fold("The <answer>", ["a < b & `c`", {"d": 1}])._repr_html_())
    assert "The <answer>" in shown.text and "a < b & c" in shown.text and "{'d': 1}" in shown.text


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("page: sprint/day97", "page: sprint/day96", "page: must be a path that ends in day97"),
        ("motto: Nothing comes of nothing.", "", "motto is missing"),
        ("motto: Nothing comes of nothing.", "motto: 12", "motto: must be text, but got int 12"),
        ("motto: Nothing comes of nothing.", "motto: ''", "motto: must not be empty"),
        ("zh: 无", "fr: rien", "title: zh is missing"),
        ("teaches: [softmax]", "teaches: softmax", "teaches: must be a list, but got text"),
        ("teaches: [softmax]", "speed: 3", "'speed' is not known"),
        ("id: d97-two", "id: d97-one", r"cards\[2\] \(d97-one\): id is that of cards\[1\]"),
        ("id: d97-two", "id: D97 two", r"cards\[2\].*lower-case words"),
        ("ask: How many tokens?", "ask: [1]", r"cards\[2\] \(d97-two\): ask: must be text, but got a list"),
        ("call: groundup.text", "call: os.path", r"cards\[2\].*must be a public name inside groundup"),
        (
            "{value[0].n_tokens} tokens, {value[0].bytes_per_token:.2f}",
            "some",
            "holds {value} if, and only if",
        ),
        ('link: "#zip"', 'link: "javascript:x"', "link must be '#a-heading'"),
        ('link: "#zip"', 'link: "https://example.org/"', "link must be '#a-heading'"),
        ("right: true, ", "", r"quiz\[1\]: one choice must be right, but 0 are"),
        ("right: true", "right: yess", r"quiz\[1\]: choices\[1\]: right: must be true or false"),
        ("text: that", "text: this", r"choices\[2\]: 'this' is there twice"),
        ("- {text: that, why: because not}", "", "must hold 2 to 4 entries, but has 1"),
        ("motto: Nothing", "motto: a\nmotto: Nothing", "line 5: 'motto' is there twice"),
        ("like: air", "like: &a air", "line 5: uses an alias or an anchor"),
        ("like: air", "like: !!python/object/apply:os.system [ls]", "uses a tag"),
        ("like: air", "like: {1: 2}", "keys must be text"),
        ("like: air", "like: 2024-13-45", "day97.yaml"),
        ("like: air", "like: [", "day97.yaml, line"),
        ("like: air", "like: " + "[" * 5000, "is nested more than 12 deep"),
        ("like: air", "like: [" + "1," * 60_000 + "1]", "has more than 50,000 entries"),
        ("like: air", "like: " + "x" * 1_000_001, "must hold at most 1,000,000 bytes"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(ValueError, match=r"^\[study\] day97.yaml") as error:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert re.search(says, str(error.value)) and len(str(error.value)) < 400


@pytest.mark.parametrize(
    "text", [b"", b"3", b"- a", b"\xff\xfe", b"a: \x00", b"? [a]\n: b\n", b"%TAG ! x\n---\n"]
)
def test_what_is_no_page(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(ValueError, match=r"^\[study\] day97.yaml"):
        read(tmp_path, text)


def test_aliases_cost_nothing(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    with pytest.raises(ValueError, match="uses an alias or an anchor"):
        read(tmp_path, bomb)


@pytest.mark.parametrize(
    "call",
    ["os.system", "groundup", "groundup.data.os.system", "groundup._core.Tensor", "groundup.nowhere",
     "groundup.text.files.os.remove", "groundup.study.data.importlib.import_module", "groundup.bfloat16",
     "groundup.__class__"],
)  # fmt: skip
def test_calls_stay_inside(call: str) -> None:
    with pytest.raises(ValueError, match=r"^call "):
        data.resolve(call)


def test_a_text_reaches_no_private_attribute(tmp_path: Path) -> None:
    text = GOOD.replace("{value[0].n_tokens}", "{value[0].__class__}")
    with pytest.raises(ValueError, match=r"cards\[2\].*may use {value} and its parts"):
        str(Cards(read(tmp_path, text)))
    text = GOOD.replace("sizes: [256]", "sizes: [1]")
    with pytest.raises(
        ValueError, match=r"^\[study\] day97.yaml: cards\[2\] \(d97-two\): compute: .*sizes must be"
    ):
        str(Cards(read(tmp_path, text)))


@pytest.mark.parametrize("name", data.days())
def test_real_pages(name: str) -> None:
    """What PAGES asks of every page: cards, computed ones, questions; everything computes and shows."""
    page = data.page(name)
    assert len(page.cards) >= 12 and sum(card.compute is not None for card in page.cards) >= 4
    assert len(page.quiz) >= 8
    for view in (Cards(page), Quiz(page)):
        assert "{value" not in str(view)
        assert Reader(view._repr_html_()).tags <= {
            "div",
            "details",
            "summary",
            "p",
            "strong",
            "em",
            "code",
            "small",
            "a",
        }
    places = [[choice.right for choice in question.choices].index(True) for question in Quiz(page).questions]
    assert len(set(places)) > 1  # the right choice is not always in one place


def test_unknown_page() -> None:
    with pytest.raises(ValueError, match=r"^\[study\] there is no data of a page 'day00'; there is:"):
        data.page("day00")
    for name in ("../day33", "", "a b"):
        if name.rsplit("/", 1)[-1] not in data.days():
            with pytest.raises(ValueError, match=r"^\[study\] there is no data"):
                data.page(name)
