"""Graphs as pictures: valid SVG that names ops, leaves and shapes and keeps boxes apart."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

import groundup as gu

pytestmark = pytest.mark.usefixtures("backend")
SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing: Any) -> tuple[list[str], list[tuple[float, float, float, float]], int]:
    """Texts, boxes as (left, top, right, bottom), number of arrows."""
    root = ET.fromstring(str(drawing))
    assert root.tag == SVG + "svg"
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    texts = [t.text or "" for t in root.iter(SVG + "text")]
    boxes = []
    for r in root.iter(SVG + "rect"):
        x, y, w, h = (float(r.get(k, "nan")) for k in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
        boxes.append((x, y, x + w, y + h))
    return texts, boxes, len(list(root.iter(SVG + "path")))


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def test_ops_leaves_names_and_shapes() -> None:
    w = gu.tensor([[1.0, 2.0]], dtype="float64", requires_grad=True)
    b = gu.tensor([0.5], dtype="float64", requires_grad=True)
    h = w.exp()
    loss = (h * b).sum()
    texts, boxes, arrows = parsed(
        gu.autograd.draw(loss, names={"weight": w, "h": h, "unused": gu.tensor([1.0])})
    )
    for expected in ("weight", "(1,2) float64", "leaf", "(1,) float64", "h = exp", "mul", "sum"):
        assert expected in texts
    assert len(boxes) == len(texts) // 2 == 5 and arrows == 4  # two leaves, three ops
    assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_inputs_stand_above_results() -> None:
    x = gu.tensor([1.0], requires_grad=True)
    texts, boxes, _ = parsed(gu.autograd.draw(x.exp().tanh().sum()))
    top = {text: box[1] for text, box in zip(texts[::2], boxes, strict=True)}
    assert top["leaf"] < top["exp"] < top["tanh"] < top["sum"]


def test_shared_tensors_appear_once_and_both_arrows_are_drawn() -> None:
    x = gu.tensor([1.0], requires_grad=True)
    texts, boxes, arrows = parsed(gu.autograd.draw(x * x))
    assert len(boxes) == 2 and arrows == 2 and texts.count("leaf") == 1


def test_a_residual_network_keeps_boxes_apart() -> None:
    x = gu.tensor([1.0, 2.0], requires_grad=True)
    h = x
    for _ in range(12):
        w = gu.tensor([0.5, 0.5], requires_grad=True)
        h = h + (h * w).tanh() * x  # x is used at every depth
    _, boxes, arrows = parsed(gu.autograd.draw(h.sum()))
    assert len(boxes) == 13 + 12 * 4 + 1 and arrows == 12 * 7 + 1
    assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_leaf_alone_and_a_graph_after_backward() -> None:
    x = gu.tensor([1.0], requires_grad=True)
    assert len(parsed(gu.autograd.draw(x))[1]) == 1
    y = x.exp().sum()
    before = str(gu.autograd.draw(y))
    y.backward()
    assert str(gu.autograd.draw(y)) == before


def test_names_are_escaped() -> None:
    x = gu.tensor([1.0], requires_grad=True)
    texts, _, _ = parsed(gu.autograd.draw(x.exp(), names={"<a & b>\x00": x}))
    assert "<a & b>\N{REPLACEMENT CHARACTER}" in texts


def test_notebooks_show_it() -> None:
    drawing = gu.autograd.draw(gu.tensor([1.0], requires_grad=True).exp())
    assert drawing._repr_svg_() == str(drawing) and "<svg" not in repr(drawing)


def test_errors() -> None:
    with pytest.raises(TypeError, match=r"^\[draw\] tensor must be a tensor, but got int"):
        gu.autograd.draw(3)
    with pytest.raises(ValueError, match=r"^\[draw\] the tensor must require a gradient"):
        gu.autograd.draw(gu.tensor([1.0]))
    x = y = gu.tensor([1.0], requires_grad=True)
    for _ in range(30):
        y = y.exp()
    with pytest.raises(ValueError, match=r"^\[draw\] at most 20 boxes can be drawn"):
        gu.autograd.draw(y, max_nodes=20)
    assert x.is_leaf
