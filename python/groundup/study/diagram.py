"""Diagrams of systems: boxes and arrows, drawn by code as a picture on white.

Boxes stand on a grid of columns and rows; an arrow goes from box to box, with a word on it if it has one. Edges, not
colour alone, tell the kinds apart: work is drawn with a full line, what is stored with a dashed one.

Not handled: layout. The author places the boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import groundup.plot as plot

_KINDS = {"work": ("#cfe8f7", "-"), "store": ("#fbe5c0", "--"), "outside": ("#f2f2f2", ":")}


def diagram(
    boxes: Mapping[str, tuple[float, float, str]],
    arrows: Iterable[tuple[str, ...]],
    *,
    title: str = "",
    kinds: Mapping[str, str] | None = None,
    size: tuple[float, float] = (9.0, 3.8),
) -> Any:
    """Draw boxes and arrows; returns the Axes.

    Args:
        boxes: by name: column, row (0 is on top), and the text inside.
        arrows: (from, to) or (from, to, label).
        kinds: ``"store"`` or ``"outside"`` for boxes that are not work.

    Raises:
        ValueError: an arrow or a kind names no box.
        ModuleNotFoundError: matplotlib is not installed.

    >>> ax = diagram({"a": (0, 0, "text"), "b": (1, 0, "index")}, [("a", "b", "tokens")], kinds={"b": "store"})
    >>> len(ax.patches), [text.get_text() for text in ax.texts if text.get_text()]
    (2, ['text', 'index', 'tokens'])
    """
    arrows = [tuple(arrow) for arrow in arrows]
    kinds = dict(kinds or {})
    for name in [*kinds, *(end for arrow in arrows for end in arrow[:2])]:
        if name not in boxes:
            raise ValueError(f"[diagram] arrows and kinds must name boxes, but got {name!r}")
    plot.use()
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    ax = plt.subplots(figsize=size)[1]
    width, height = 0.74, 0.56
    for name, (column, row, text) in boxes.items():
        colour, line = _KINDS[kinds.get(name, "work")]
        corner = (column - width / 2, -row - height / 2)
        ax.add_patch(
            FancyBboxPatch(
                corner,
                width,
                height,
                boxstyle="round,pad=0.02",
                facecolor=colour,
                edgecolor="#333333",
                linestyle=line,
            )
        )
        ax.text(column, -row, text, ha="center", va="center", fontsize=10)
    for begin, end, *label in arrows:
        (x0, y0), (x1, y1) = ((boxes[name][0], -boxes[name][1]) for name in (begin, end))
        (a0, b0), (a1, b1) = _edge(x0, y0, x1, y1, width, height), _edge(x1, y1, x0, y0, width, height)
        ax.annotate("", (a1, b1), (a0, b0), arrowprops={"arrowstyle": "-|>", "color": "#333333", "lw": 1.4})
        if label:
            beside = {"ha": "left", "va": "center"} if x0 == x1 else {"ha": "center", "va": "bottom"}
            ax.text(
                (a0 + a1) / 2 + (0.04 if x0 == x1 else 0),
                (b0 + b1) / 2 + 0.03,
                label[0],
                fontsize=10,
                **beside,
            )
    columns, rows = [box[0] for box in boxes.values()], [-box[1] for box in boxes.values()]
    ax.set(xlim=(min(columns) - 0.5, max(columns) + 0.5), ylim=(min(rows) - 0.45, max(rows) + 0.45))
    ax.axis("off")
    ax.set_title(title)
    return ax


def _edge(x: float, y: float, to_x: float, to_y: float, width: float, height: float) -> tuple[float, float]:
    """Where the line from the middle of a box to another point leaves the box."""
    dx, dy = to_x - x, to_y - y
    scale = min(
        (width / 2 + 0.03) / abs(dx) if dx else float("inf"),
        (height / 2 + 0.04) / abs(dy) if dy else float("inf"),
    )
    return x + scale * dx, y + scale * dy
