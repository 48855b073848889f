"""gu.explain shows the real sources of every op."""

from __future__ import annotations

import pytest

import groundup as gu
from groundup import ops


@pytest.mark.parametrize("name", sorted(ops.registry()))
def test_every_op_is_explained(name: str) -> None:
    shown = gu.explain(name, measure=False)
    text = str(shown)
    assert shown.signature in text and shown.formula in text and shown.numpy.strip()
    found = ops.get(name)
    if found.compiled is None:
        assert "A composition of ops" in text
    elif found.spec.kernels:
        assert all(f" {kernel}(" in shown.cpp for kernel in found.spec.kernels)
        assert f"// {found.compiled.file} checks" in shown.cpp
    else:
        assert "GU_OP" in shown.cpp and name in shown.cpp
    assert "<pre" in shown._repr_html_()


def test_speed_is_measured() -> None:
    assert "times NumPy" in str(gu.explain(gu.softmax))


def test_unknown_op() -> None:
    with pytest.raises(
        ValueError,
        match=r"^\[explain\] op must be an op or the name of one \(or of bpe, .*\), but got 'nonsense'$",
    ):
        gu.explain("nonsense")
