"""The scalar autograd engine: ``gu.scalar.Value`` and a drawing of what it computes.

``Value`` is the compiled class under the backend ``"cpp"`` and `groundup.reference.scalar.Value` under
``"numpy"``; both give equal numbers, gradients and errors, to the last bit. Values of the two do not mix in
one expression. ``from groundup.scalar import Value`` takes the class of that moment; ``gu.scalar.Value``
follows a later switch.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from groundup import _backend

if TYPE_CHECKING:
    from groundup.reference.scalar import Value

__all__ = ["Value", "draw"]


def __getattr__(name: str) -> Any:
    if name == "Value":
        return _class(_backend.current())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _class(backend: str) -> type[Value]:
    if backend == "numpy":
        from groundup.reference.scalar import Value

        return Value
    from groundup import _core

    return _core.ScalarValue  # the same surface


# Sizes of the drawing, in pixels.
_BOX_WIDTH, _BOX_HEIGHT = 132, 58
_COLUMN, _ROW = 208, 78
_MARGIN = 12


def draw(value: Value, max_values: int = 300) -> str:
    """The graph that ``value`` was computed by, as the text of an SVG picture.

    Operands stand left of results. A box shows the operation (with the label, if there is one), the data and
    the gradient; the number on an arrow is the local gradient. So a value's gradient is the sum, over the
    arrows that leave it, of the number on the arrow times the gradient in the box where it ends.

    Args:
        value: a Value of either backend.
        max_values: a graph with more values than this is refused.

    Raises:
        TypeError: ``value`` is not a Value.
        ValueError: the graph has more than ``max_values`` values.

    >>> import groundup as gu
    >>> x = gu.scalar.Value(2.0, label="x")
    >>> picture = gu.scalar.draw((x * x).tanh())
    >>> picture.startswith("<svg"), picture.count("<rect"), picture.count("<path")
    (True, 3, 3)
    """
    from groundup.reference.scalar import topological_order

    if not isinstance(value, (_class("cpp"), _class("numpy"))):
        raise TypeError(f"[draw] value must be a Value, but got {type(value).__name__}")
    order = topological_order(value)
    if len(order) > max_values:
        raise ValueError(f"[draw] at most {max_values} values can be drawn, but the graph has {len(order)}")

    columns = _columns(order)
    height = max(map(len, columns)) * _ROW
    corner: dict[Value, tuple[float, float]] = {  # upper left corner of each box; columns are centred
        node: (
            _MARGIN + _COLUMN * c,
            _MARGIN + (height - _ROW * len(column)) / 2 + _ROW * r + (_ROW - _BOX_HEIGHT) / 2,
        )
        for c, column in enumerate(columns)
        for r, node in enumerate(column)
    }
    shapes = [_arrow(corner, node, i) for node in order for i in range(len(node._prev))]
    shapes += [_box(node, *corner[node]) for node in order]
    w = 2 * _MARGIN + _COLUMN * (len(columns) - 1) + _BOX_WIDTH
    h = 2 * _MARGIN + height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img" '
        f'aria-label="graph of {len(order)} values" font-family="monospace" font-size="12" fill="#222">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><polygon points="0,0 8,4 0,8" fill="#678"/></marker></defs>'
        + "".join(shapes)
        + "</svg>"
    )


def _columns(order: list[Value]) -> list[list[Value]]:
    """Values by their distance from the leaves, each column sorted so that few arrows cross."""
    column: dict[Value, int] = {}
    for node in order:
        column[node] = max((column[operand] + 1 for operand in node._prev), default=0)
    users: dict[Value, list[Value]] = {node: [] for node in order}
    for node in order:
        for operand in node._prev:
            users[operand].append(node)
    for node in order:
        if not node._prev and users[node]:
            column[node] = min(column[user] for user in users[node]) - 1  # a leaf stands beside its first use
    columns: list[list[Value]] = [[] for _ in range(max(column.values()) + 1)]
    for node in order:
        columns[column[node]].append(node)
    # From the right: a value goes to the mean height of the values that use it.
    height: dict[Value, float] = {}
    for nodes in reversed(columns):
        nodes.sort(key=lambda node: sum(height[u] for u in users[node]) / max(1, len(users[node])))
        for row, node in enumerate(nodes):
            height[node] = row - (len(nodes) - 1) / 2
    return columns


def _box(node: Value, x: float, y: float) -> str:
    title = " ".join(filter(None, (_shown(node.label), _shown(node.op)))) or "value"
    fill = "#e4eefa" if node._prev else "#f5f1e3"  # results blue, leaves sand
    rows = (
        (title, ' font-weight="bold"', 17),
        (f"data {node.data:.4g}", "", 34),
        (f"grad {node.grad:.4g}", ' fill="#a33"', 50),
    )
    size = f'width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}"'
    middle = x + _BOX_WIDTH / 2
    return f'<rect x="{x}" y="{y}" {size} rx="5" fill="{fill}" stroke="#678"/>' + "".join(
        f'<text x="{middle}" y="{y + down}" text-anchor="middle"{style}>{text}</text>'
        for text, style, down in rows
    )


def _arrow(corner: dict[Value, tuple[float, float]], node: Value, i: int) -> str:
    """From operand ``i`` to its own place on the left side of ``node``, with the local gradient on it."""
    x0, y0 = corner[node._prev[i]]
    x1, y1 = corner[node]
    x0, y0 = x0 + _BOX_WIDTH, y0 + _BOX_HEIGHT / 2
    y1 += _BOX_HEIGHT * (i + 1) / (len(node._prev) + 1)
    middle = (x0 + x1) / 2
    return (
        f'<path d="M{x0},{y0:g} C{middle},{y0:g} {middle},{y1:g} {x1},{y1:g}" fill="none" stroke="#678" '
        f'marker-end="url(#tip)"/><text x="{x1 - 9}" y="{y1 - 5:g}" font-size="10" fill="#456" '
        f'text-anchor="end">{node._local_grads[i]:.3g}</text>'
    )


def _shown(text: str) -> str:
    """At most 14 characters of ``text``; what XML forbids (control characters, half surrogates) replaced."""
    text = re.sub("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)
    return escape(text if len(text) <= 14 else text[:13] + "…")
