"""Stepped views and the playground: what they show is what the tokenizer and the weights say, in any kind of page."""

from __future__ import annotations

import re
import sys
import types
from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup.study import Frame, attention_frames, merge_frames, steps
from groundup.text import BPETokenizer, CharTokenizer, UnigramTokenizer

TOKENIZER = BPETokenizer.train("low lower lowest " * 3, 262)


def bare(html: str) -> str:
    """The page without styles, as a repository shows it."""
    return re.sub(r' (style|class|title)="[^"]*"', "", html)


def test_merges_are_those_of_the_trace() -> None:
    trace = TOKENIZER.trace("slowest low")
    frames = merge_frames(trace)
    assert len(frames) == len(trace) + len(trace.pieces)
    assert [f.tokens for f in frames if f.caption.startswith("merge")] == [s.tokens for s in trace if s.pair]
    for frame in frames:
        if frame.marked:
            assert len({frame.tokens[k] for k in frame.marked}) == 1
    text, html = str(steps(trace, "Merges")), bare(steps(trace, "Merges")._repr_html_())
    assert "merge 0" in text and "[lo]" in text
    assert "<strong><code>lo</code></strong>" in html and "script" not in html


def test_attention_goes_row_by_row() -> None:
    weights = np.array([[1.0, 0.0], [0.25, 0.75]])
    shown = steps(attention_frames(weights, [b"a", b" <b"]))
    assert str(shown).splitlines()[1].endswith("a 25% ␣<b 75%")
    html = bare(shown._repr_html_())
    assert html.count("<tr>") == 2 and "<td><code>␣&lt;b</code><br><small>75%</small></td>" in html
    assert [f.shares for f in attention_frames(weights, ["a", "b"], queries=[1])] == [[0.25, 0.75]]
    with pytest.raises(ValueError, match=r"^\[study\] weights must be \(queries, 3\).*got \(2, 2\)"):
        attention_frames(weights, ["a", "b", "c"])


def test_frames_of_any_kind() -> None:
    view = steps(["words", ("pair", {"d": 1}), ("row", ["a", b"b"]), Frame("`x`", ["c"], {0})], folded=True)
    assert len(view) == 4
    html = view._repr_html_()
    assert html.count("<details") == 4 and "{'d': 1}" in html and "<code>x</code>" in html
    assert "a b" in str(view) and "[c]" in str(view)
    assert str(steps([])) == "" and "<table" in steps([])._repr_html_()


# --------------------------------------------------------------------------------------------------- playground


def test_playground_shows_tokens_ids_and_merges() -> None:
    shown = gu.text.playground(TOKENIZER, "slowest <b> & 🍓")
    html = bare(shown._repr_html_())
    ids = TOKENIZER.encode("slowest <b> & 🍓")
    assert " ".join(map(str, ids)) in html and "<b>" not in html and "slowest: 3 merges" in html
    assert f"{len(ids)} tokens" in html and "\\xf0" in html
    assert str(shown).splitlines()[2] == f"ids {' '.join(map(str, ids))}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no text, no tokens"),
        ("\ud800", "must be Unicode, but got the lone surrogate U\\+D800"),
        ("low " * 100_000, "the first 2,000 of 400,000 characters are shown"),
        ("é" * 3000, "the first 1,000 of 3,000 characters are shown"),
        ("\x00\x1b[2J", "\\\\x1b"),
    ],
)
def test_playground_of_odd_texts(text: str, says: str) -> None:
    shown = gu.text.playground(TOKENIZER, text)
    assert re.search(says, str(shown), re.I) and re.search(says, shown._repr_html_(), re.I)
    assert len(shown._repr_html_()) < 400_000


def test_playground_of_other_tokenizers() -> None:
    shown = gu.text.playground(CharTokenizer.train("abc"), "abba")
    assert "4 tokens" in shown._repr_html_() and "merges" not in shown._repr_html_()
    assert "This text has no tokens" in gu.text.playground(CharTokenizer.train("abc"), "xyz")._repr_html_()
    with pytest.raises(TypeError, match=r"^\[playground\] tokenizer must be one of ours, but got str"):
        gu.text.playground("x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^\[playground\] text must be a str, but got bytes"):
        gu.text.playground(TOKENIZER, b"x")  # type: ignore[arg-type]


def test_a_text_box_where_somebody_can_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a live notebook the box comes first, and what is shown follows it; elsewhere there is no box."""
    displayed: list[Any] = []

    class Handle:
        def update(self, shown: Any) -> None:
            displayed[-1] = shown

    def display(shown: Any, raw: bool = False, display_id: bool = False) -> Handle | None:
        displayed.append(shown)
        return Handle() if display_id else None

    class Area:
        def __init__(self, value: str, layout: Any) -> None:  # noqa: ARG002
            self.value = value

        def _repr_mimebundle_(self) -> dict[str, Any]:
            return {"text/plain": "Textarea()", "application/vnd.jupyter.widget-view+json": {}}

        def observe(self, callback: Any, names: str) -> None:  # noqa: ARG002
            self.callback = callback

    areas: list[Area] = []
    widgets = types.ModuleType("ipywidgets")
    widgets.Textarea = lambda **named: areas.append(Area(**named)) or areas[-1]  # type: ignore[attr-defined, func-returns-value]
    widgets.Layout = lambda **named: named  # type: ignore[attr-defined]
    shell = types.ModuleType("IPython.display")
    shell.HTML, shell.display = str, display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ipywidgets", widgets)
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", shell)
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    for name in ("JPY_SESSION_NAME", "VSCODE_PID", "VSCODE_CWD"):
        monkeypatch.delenv(name, raising=False)
    playground = gu.text.playground(TOKENIZER, "low")
    playground._ipython_display_()
    assert len(displayed) == 1 and "1 token," in displayed[0]
    monkeypatch.setenv("JPY_SESSION_NAME", "page.ipynb")
    displayed.clear()
    playground._ipython_display_()
    assert displayed[0]["text/plain"] == "Run this cell to get a text box."
    areas[0].callback({"new": "slowest low"})
    assert "slowest: 3 merges" in displayed[1]


def test_playground_shows_how_unigram_cuts_a_word() -> None:
    unigram = UnigramTokenizer.train("low lower lowest tide slow slower " * 20, 30)
    for text in ("slowest tide", "x" * 5000):
        shown = gu.text.playground(unigram, text)
        assert "log p" in str(shown) and "log p" in bare(shown._repr_html_())
