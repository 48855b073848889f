"""gu.explain as a page in a notebook, ideas that are no ops, and the parts of long C++ files that it shows."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

import pytest

import groundup as gu
from groundup import ops
from groundup._cpp_source import cpp_source, symbols_source
from groundup._ideas import IDEAS
from groundup.study import data

ROOT = Path(__file__).parents[2]
pytest.importorskip("latex2mathml")
pytest.importorskip("yaml")


@pytest.mark.parametrize("name", [*ops.registry(), *IDEAS])
def test_every_page_is_whole(name: str) -> None:
    """Typeset formula, both sources with every character of theirs, nothing that runs or is fetched."""
    shown = gu.explain(name, measure=False)
    page = shown._repr_html_()
    assert "<script" not in page and "http" not in page.replace("http://www.w3.org/1998/Math/MathML", "")
    if shown.formula:
        mathematics = re.sub("<[^>]+>", "", page[page.index("<math") : page.index("</math>")])
        assert mathematics and "\\" not in mathematics
    text = html.unescape(re.sub("<[^>]+>", "", page))
    assert shown.numpy.strip() in text and shown.cpp.strip() in text


@pytest.mark.parametrize("name", IDEAS)
def test_ideas_show_real_sources(name: str) -> None:
    shown = gu.explain(name, measure=False)
    idea = IDEAS[name]
    for dotted in idea.reference:
        assert f"def {dotted.rsplit('.', 1)[-1].rsplit(':', 1)[-1]}(" in shown.numpy
    for _, symbols in idea.cpp:
        for symbol in symbols:
            assert f"{symbol.rsplit('::', 1)[-1]}(" in shown.cpp
    for line in shown.cpp.splitlines():
        if line.startswith("// ") and line.endswith((".cpp", ".hpp")):
            whole = cpp_source(line[3:])
    assert all(block in whole for block in shown.cpp.split("\n\n// text/")[-1].split("\n", 1)[1:])


def test_the_loop_of_attention_is_shown_and_not_its_wrapper() -> None:
    shown = gu.explain("fused_attention", measure=False).cpp
    assert "row_sum[r] = exp_row(score, n, max)" in shown and "vexp<T>(" in shown
    assert "GU_OP" not in shown and "ops/attention.cpp checks the arguments" in shown
    assert shown.splitlines()[3] in cpp_source("kernels/attention.cpp")


def test_a_long_file_is_cut_to_what_an_op_needs() -> None:
    shown = gu.explain("gelu", measure=False).cpp
    assert "GU_OP(gelu" in shown and "Tensor from_kernel(" in shown and "left out" in shown
    assert "GU_OP(elu" not in shown and len(shown) < len(cpp_source("ops/elementwise.cpp")) / 3


def test_speed_of_an_idea_is_measured() -> None:
    assert re.search(r"µs a word against .* times as fast", str(gu.explain("bpe").speed))


def test_symbols_that_are_not_there() -> None:
    for name, says in (("no_such_function", "no file of it defines it"), ("merge_short", "define it")):
        with pytest.raises(
            LookupError, match=rf"^\[explain\] one file of cpp/text must define {name}, but .*{says}"
        ):
            symbols_source("text", (name,))
    with pytest.raises(FileNotFoundError, match=r"^\[explain\] this installation carries no C\+\+ sources"):
        symbols_source("nowhere", ("x",))


def test_pages_that_teach_exist() -> None:
    """The page of every data file is there, and every name it teaches can be explained and names the page."""
    for day in data.days():
        page = data.page(day)
        assert (ROOT / "notebooks" / "source" / f"{page.path}.py").is_file()
        for name in page.teaches:
            assert page.path in gu.explain(name, measure=False).pages


def test_without_the_extras_it_still_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (
        "latex2mathml",
        "latex2mathml.converter",
        "pygments",
        "pygments.formatters",
        "pygments.lexers",
    ):
        monkeypatch.setitem(sys.modules, module, None)
    page = gu.explain("softmax", measure=False)._repr_html_()
    assert "$$y_i = \\frac{e^{x_i}}{\\sum_j e^{x_j}}$$" in page and 'with_float(x.dtype(), "softmax"' in page
