"""Diagrams: every box and arrow is drawn, arrows end outside of boxes, and a wrong name is an error."""

import pytest

from groundup.study.diagram import diagram

pytest.importorskip("matplotlib")
BOXES = {"in": (0, 0, "text"), "index": (2, 0, "index"), "query": (0, 1, "query")}


def test_boxes_and_arrows_are_drawn() -> None:
    ax = diagram(
        BOXES, [("in", "index", "tokens"), ("query", "index")], title="Two ways", kinds={"index": "store"}
    )
    assert ax.get_title(loc="left") == "Two ways"
    assert [patch.get_linestyle() for patch in ax.patches] == ["-", "--", "-"]
    assert [text.get_text() for text in ax.texts] == ["text", "index", "query", "", "tokens", ""]
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    for column, row, _ in BOXES.values():
        assert x0 < column < x1 and y0 < -row < y1


def test_arrows_begin_and_end_outside_of_their_boxes() -> None:
    ax = diagram(BOXES, [("in", "index"), ("in", "query")])
    for arrow in (text for text in ax.texts if not text.get_text()):
        for x, y in (arrow.xy, arrow.get_position()):
            assert not any(
                abs(x - column) < 0.37 and abs(y + row) < 0.28 for column, row, _ in BOXES.values()
            )


@pytest.mark.parametrize(("arrows", "kinds"), [([("in", "out")], {}), ([], {"out": "store"})])
def test_a_name_that_is_no_box(arrows: list[tuple[str, str]], kinds: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"^\[diagram\] arrows and kinds must name boxes, but got 'out'"):
        diagram(BOXES, arrows, kinds=kinds)
