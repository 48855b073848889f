"""The graph under a tensor, as a picture.

Boxes stand in layers, inputs above results; an arrow that crosses layers gets a place of its own in each, so it
passes between the boxes. The order within a layer comes from a few sweeps to the mean place of the neighbours
(Sugiyama, Tagawa, Toda, Methods for Visual Understanding of Hierarchical System Structures, 1981).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from groundup.autograd._tape import tape

# Sizes in pixels.
_HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 40, 22, 34, 14
_CHARACTER = 7.3  # the width of one, at 12 pixels in a monospaced font
_LANE = 10  # the width that an arrow takes where it passes a layer


class Drawing:
    """A picture that notebooks show; ``str`` gives its SVG text."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg

    def __str__(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Drawing of {len(self.svg)} characters>"


class _Box:
    """A leaf, an op, or (with no lines) the place where an arrow passes a layer."""

    def __init__(self, lines: list[str], kind: str) -> None:
        self.lines, self.kind = lines, kind
        self.width = max((_CHARACTER * len(line) for line in lines), default=0.0) + 16 if lines else _LANE
        self.layer = 0
        self.x = self.y = 0.0  # its middle, its upper edge
        self.above: list[_Box] = []
        self.below: list[_Box] = []


def draw(tensor: Any, names: Mapping[str, Any] | None = None, max_nodes: int = 400) -> Drawing:
    """Draw the graph that ``tensor`` was computed by.

    Inputs stand above results. A box shows the op, or the name of a leaf, and the shape of what it made. Tensors
    without a gradient are not part of the graph.

    Args:
        tensor: a tensor that requires a gradient.
        names: name -> tensor, shown where the tensor appears; ``dict(model.named_parameters())`` fits.
        max_nodes: a graph with more boxes than this is refused.

    Raises:
        TypeError: ``tensor`` is not one of the current backend.
        ValueError: it requires no gradient, or its graph has more than ``max_nodes`` boxes.

    >>> import groundup as gu
    >>> w = gu.tensor([[1.0, 2.0]], requires_grad=True)
    >>> svg = str(gu.autograd.draw(w.exp().sum(), names={"w": w}))
    >>> svg.startswith("<svg"), svg.count("<rect"), ">exp<" in svg, ">w<" in svg
    (True, 3, True, True)
    """
    if not isinstance(tensor, tape().Tensor):
        raise TypeError(f"[draw] tensor must be a tensor, but got {type(tensor).__name__}")
    if not tensor.requires_grad:
        raise ValueError("[draw] the tensor must require a gradient, or there is no graph")
    known = {t._meta: name for name, t in (names or {}).items() if t._meta is not None}
    boxes = _boxes(tensor, known, max_nodes)
    layers = _layers(boxes)
    _place(layers)
    return Drawing(_svg(layers, len(boxes)))


def _boxes(tensor: Any, known: dict[Any, str], max_nodes: int) -> list[_Box]:
    """A box for every op and leaf, inputs before results."""
    made: dict[Any, _Box] = {}
    # Every op under the tensor by its number: an op is newer than what it was computed from.
    nodes = {}
    stack = [tensor.grad_fn] if tensor.grad_fn is not None else []
    while stack:
        node = stack.pop()
        if node in nodes:
            continue
        nodes[node] = node.sequence
        if len(nodes) > max_nodes:
            raise ValueError(f"[draw] at most {max_nodes} boxes can be drawn, but the graph has more")
        stack.extend(t.grad_fn for t in node.inputs if t is not None and t.grad_fn is not None)

    def leaf(t: Any) -> _Box:
        if t not in made:
            made[t] = _Box([known.get(t, "leaf"), _size(t)], "leaf")
        return made[t]

    if not nodes:
        leaf(tensor._meta)
    for node in sorted(nodes, key=lambda n: nodes[n]):
        outputs = [t for t in node.outputs if t is not None]
        named = [known[t] for t in outputs if t in known]
        sizes = ", ".join(_size(t) for t in outputs) if len(outputs) < 3 else f"{len(outputs)} results"
        box = _Box([" ".join([*named, "=", node.name]) if named else node.name, sizes], "op")
        for t in node.inputs:
            if t is not None:
                source = made[t.grad_fn] if t.grad_fn is not None else leaf(t)
                box.above.append(source)
                source.below.append(box)
        made[node] = box  # after its leaves, so that inputs come first
    if len(made) > max_nodes:
        raise ValueError(f"[draw] at most {max_nodes} boxes can be drawn, but the graph has {len(made)}")
    list(made.values())[-1].kind = "result" if nodes else "leaf"
    return list(made.values())


def _size(t: Any) -> str:
    dtype = t.dtype.name
    return str(tuple(t.shape)).replace(" ", "") + ("" if dtype == "float32" else " " + dtype)


def _layers(boxes: list[_Box]) -> list[list[_Box]]:
    """Boxes by their distance from the leaves, with a place for every arrow in the layers that it crosses."""
    for box in boxes:
        box.layer = max((above.layer + 1 for above in box.above), default=0)
    for box in boxes:
        if not box.above and box.below:
            box.layer = min(below.layer for below in box.below) - 1  # a leaf stands beside its first use
    layers: list[list[_Box]] = [[] for _ in range(max(box.layer for box in boxes) + 1)]
    for box in boxes:
        layers[box.layer].append(box)
    for box in boxes:
        for place, above in enumerate(box.above):
            for depth in range(above.layer + 1, box.layer):
                lane = _Box([], "lane")
                lane.layer, lane.above = depth, [above]
                layers[depth].append(lane)
                above = lane
            box.above[place] = above
    for box in boxes:
        box.below = []
    for layer in layers:
        for box in layer:
            for above in box.above:
                above.below.append(box)
    return layers


def _place(layers: list[list[_Box]]) -> None:
    for layer in layers:
        _spread(layer, [float(i) for i in range(len(layer))])
    for sweep in range(8):  # down, up, down ...
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wanted = []
            for box in layer:
                neighbours = box.above if down else box.below
                wanted.append(sum(b.x for b in neighbours) / len(neighbours) if neighbours else box.x)
            order = sorted(range(len(layer)), key=lambda i: wanted[i])
            layer[:] = [layer[i] for i in order]
            _spread(layer, [wanted[i] for i in order])
    left = min(box.x - box.width / 2 for layer in layers for box in layer)
    for depth, layer in enumerate(layers):
        for box in layer:
            box.x += _MARGIN - left
            box.y = _MARGIN + depth * (_HEIGHT + _GAP_Y)


def _spread(layer: list[_Box], wanted: list[float]) -> None:
    """Put boxes as near to the wanted places as their widths allow, in their order.

    Boxes that would overlap form a group that stands at the mean of what its members want.
    """
    groups: list[list[Any]] = []  # [sum of wanted starts, members, width]
    for box, x in zip(layer, wanted, strict=True):
        # `start` is where the group would begin for this box to stand where it wants.
        group: list[Any] = [x - box.width / 2, [box], box.width]
        while groups and groups[-1][0] / len(groups[-1][1]) + groups[-1][2] + _GAP_X > group[0] / len(
            group[1]
        ):
            before = groups.pop()
            shift = before[2] + _GAP_X
            group = [
                before[0] + group[0] - shift * len(group[1]),
                before[1] + group[1],
                shift + group[2],
            ]
        groups.append(group)
    for start, members, _ in groups:
        x = start / len(members)
        for box in members:
            box.x = x + box.width / 2
            x += box.width + _GAP_X


_FILLS = {"leaf": "#f5f1e3", "op": "#e4eefa", "result": "#e3f3e3"}  # sand, blue, green


def _svg(layers: list[list[_Box]], count: int) -> str:
    boxes = [box for layer in layers for box in layer]
    width = round(max(box.x + box.width / 2 for box in boxes) + _MARGIN)
    height = 2 * _MARGIN + len(layers) * _HEIGHT + (len(layers) - 1) * _GAP_Y
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="graph of {count} tensors and ops" font-family="monospace" font-size="12" '
        'fill="#222"><defs><marker id="gu-tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><polygon points="0,0 8,4 0,8" fill="#678"/></marker></defs>'
    )
    parts = [head]
    for box in boxes:
        if box.kind != "lane":
            for place, _ in enumerate(box.above):
                parts.append(_arrow(box, place))
    for box in boxes:
        if box.kind != "lane":
            left = box.x - box.width / 2
            parts.append(
                f'<rect x="{left:.1f}" y="{box.y}" width="{box.width:.1f}" height="{_HEIGHT}" rx="5" '
                f'fill="{_FILLS[box.kind]}" stroke="#678"/>'
            )
            for line, text in enumerate(box.lines):
                style = ' font-weight="bold"' if line == 0 else ' fill="#456" font-size="11"'
                parts.append(
                    f'<text x="{box.x:.1f}" y="{box.y + 17 + 15 * line}" text-anchor="middle"{style}>'
                    f"{_shown(text)}</text>"
                )
    return "".join(parts) + "</svg>"


def _arrow(box: _Box, place: int) -> str:
    """From the source of an input through its lanes to its own place on the upper edge of the box."""
    end = box.x + box.width * ((place + 1) / (len(box.above) + 1) - 0.5)
    route = [(end, float(box.y))]
    at = box.above[place]
    while at.kind == "lane":
        route += [(at.x, at.y + _HEIGHT), (at.x, at.y)]
        at = at.above[0]
    route.append((at.x, at.y + _HEIGHT))
    route.reverse()
    path = f"M{route[0][0]:.1f},{route[0][1]:g}"
    for (x0, y0), (x1, y1) in itertools.pairwise(route):
        middle = (y0 + y1) / 2
        path += f" C{x0:.1f},{middle:g} {x1:.1f},{middle:g} {x1:.1f},{y1:g}"
    return f'<path d="{path}" fill="none" stroke="#678" marker-end="url(#gu-tip)"/>'


def _shown(text: str) -> str:
    """What XML forbids (control characters, half surrogates) replaced, the rest escaped."""
    return escape(re.sub("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text))
