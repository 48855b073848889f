"""Every check that a specification implies, for every op: adding an op adds its tests.

One test: ``pytest tests/ops -k "softmax and gradient"``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup import _core, ops
from groundup.ops._spec import Sample, Spec

SPECS = ops.specs()
FLOATS = ("float32", "float64")


def rng(name: str) -> np.random.Generator:
    """A generator of its own for each op, the same in every run."""
    return np.random.default_rng(list(name.encode()))


def samples(spec: Spec) -> list[Sample]:
    found = list(spec.samples(rng(spec.name)))
    assert found, f"{spec.name} has no samples"
    return found


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def to_tensors(value: Any, dtype: str, grad: bool) -> Any:
    """Arrays as tensors, float ones in ``dtype`` and with a gradient; everything else as it is."""
    if isinstance(value, list) and value and all(map(is_array, value)):
        return [to_tensors(v, dtype, grad) for v in value]
    if not is_array(value):
        return value
    if value.dtype.kind != "f":
        return gu.tensor(value)
    return gu.tensor(value.astype(dtype), requires_grad=grad)


def leaves(value: Any) -> Iterator[Any]:
    """The tensors with gradients among the arguments, in order."""
    if isinstance(value, (list, tuple)):
        for v in value:
            yield from leaves(v)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()))
    elif hasattr(value, "requires_grad") and value.requires_grad:
        yield value


def results(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


def run(
    name: str, call: Sample, dtype: str, dys: list[Any] | None, fn: Any = None
) -> tuple[list[Any], list[Any]]:
    """Results and, where ``dys`` are given, the gradients of all float tensors, as arrays."""
    args = [to_tensors(a, dtype, dys is not None) for a in call.args]
    kwargs = {k: to_tensors(v, dtype, dys is not None) for k, v in call.kwargs.items()}
    gu.manual_seed(7)
    ys = results((fn or ops.get(name))(*args, **kwargs))
    if dys is None:
        return [np.array(y) for y in ys], []
    with_grad = [(y, dy) for y, dy in zip(ys, dys, strict=True) if y.requires_grad]
    tensors = list(leaves(args)) + list(leaves(kwargs))
    if with_grad:
        gu.autograd.backward([y for y, _ in with_grad], [gu.tensor(dy) for _, dy in with_grad])
    return [np.array(y) for y in ys], [None if t.grad is None else np.array(t.grad) for t in tensors]


def gradients_for(ys: list[Any], generator: np.random.Generator) -> list[Any]:
    return [generator.standard_normal(y.shape).astype(y.dtype) for y in ys]


def differentiable(spec: Spec) -> bool:
    return spec.backward is not None or spec.composition is not None


CASES = [pytest.param(s, id=s.name) for s in SPECS.values()]
DIFFERENTIABLE = [pytest.param(s, id=s.name) for s in SPECS.values() if differentiable(s)]


def test_every_op_has_every_face() -> None:
    compiled, specified = set(_core.ops), set(SPECS)
    composite = {s.name for s in SPECS.values() if s.composition is not None and s.name not in compiled}
    assert compiled - specified == set(), "compiled ops without a specification"
    assert specified - compiled == composite, "specified ops with neither C++ nor a composition"
    root = Path(__file__).parents[2]
    if (root / "cpp").is_dir():
        missing = [op.file for op in _core.ops.values() if not (root / "cpp" / op.file).is_file()]
        assert not missing, "registered from files that do not exist"


def test_files_do_not_hide_the_ops_they_specify() -> None:
    importlib.import_module("groundup.ops.softmax")  # as a part of the package it would be ops.softmax
    assert ops.softmax is gu.softmax


@pytest.mark.parametrize("spec", CASES)
def test_signatures_agree(spec: Spec) -> None:
    parameters = list(inspect.signature(spec.forward).parameters.values())
    if spec.name in _core.ops:
        ours = [(p.name, None if p.default is p.empty else repr(p.default)) for p in parameters]
        theirs = [(name, default) for name, _, _, default in _core.ops[spec.name].params]
        assert [n for n, _ in ours] == [n for n, _ in theirs]
        for (name, a), (_, b) in zip(ours, theirs, strict=True):
            assert (a is None) == (b is None), name
            assert a is None or eval(a) == eval(b), name  # literals of ours: 1e-05 and 0.00001 are the same
    if spec.composition is not None:
        composed = list(inspect.signature(spec.composition).parameters.values())
        assert [(p.name, p.default) for p in composed] == [(p.name, p.default) for p in parameters]
    if spec.backward is not None:
        rule = list(inspect.signature(spec.backward).parameters)
        assert rule[2:] == [p.name for p in parameters]
    assert set(spec.args) <= {p.name for p in parameters}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("spec", CASES)
def test_parity(spec: Spec, dtype: str) -> None:
    """C++ and NumPy give the same results and the same gradients."""

    def close(actual: Any, wanted: Any, message: str) -> None:
        # Integers may give float32 in a float64 test: the tolerance is that of the result's own dtype.
        rtol, atol = spec.tolerance[wanted.dtype.name if wanted.dtype.name in FLOATS else dtype]
        assert actual.dtype == wanted.dtype and actual.shape == wanted.shape, message
        np.testing.assert_allclose(actual, wanted, rtol, atol, err_msg=message)

    for call in samples(spec):
        ys, _ = run(spec.name, call, dtype, None)
        dys = gradients_for(ys, rng(spec.name)) if differentiable(spec) else None
        ys, grads = run(spec.name, call, dtype, dys)
        if spec.name in _core.ops:
            with gu.backend("numpy"):
                expected, expected_grads = run(spec.name, call, dtype, dys)
        else:
            gu.manual_seed(7)

            def cast(value: Any) -> Any:
                return value.astype(dtype) if is_array(value) and value.dtype.kind == "f" else value

            args = map(cast, call.args)
            kwargs = {k: cast(v) for k, v in call.kwargs.items()}
            expected = [np.asarray(y) for y in results(spec.forward(*args, **kwargs))]
            with gu.backend("numpy"):
                _, expected_grads = run(spec.name, call, dtype, dys)
        assert len(ys) == len(expected)
        for y, e in zip(ys, expected, strict=True):
            close(y, e, f"{call}")
        for i, (g, e) in enumerate(zip(grads, expected_grads, strict=True)):
            assert (g is None) == (e is None), f"gradient {i} of {call}"
            if g is not None:
                close(g, e, f"gradient {i} of {call}")


@pytest.mark.parametrize("spec", DIFFERENTIABLE)
def test_gradient_matches_differences(spec: Spec) -> None:
    """In float64, along random directions: (f(x + hv) − f(x − hv)) / 2h is the gradient's product with v."""
    checked = 0
    for call in samples(spec):
        ys, _ = run(spec.name, call, "float64", None)
        generator = rng(spec.name)
        dys = gradients_for(ys, generator)
        if not any(y.dtype == np.float64 for y in ys):
            continue  # differences of float32 results would measure their rounding
        _, grads = run(spec.name, call, "float64", dys)

        def move(value: Any, moves: list[Any], h: float) -> Any:
            if isinstance(value, list) and value and all(map(is_array, value)):
                return [move(v, moves, h) for v in value]
            if is_array(value) and value.dtype.kind == "f":
                return np.asarray(value + h * moves.pop(0))  # 0-d sums are NumPy scalars
            return value

        def shifted(directions: list[Any], h: float, call: Sample = call) -> Sample:
            moves = list(directions)
            args = tuple(move(a, moves, h) for a in call.args)
            return Sample(args, {k: move(v, moves, h) for k, v in call.kwargs.items()})

        def value(at: Sample, dys: Any = dys) -> Any:
            ys, _ = run(spec.name, at, "float64", None)
            return sum(float((y * dy).sum()) for y, dy in zip(ys, dys, strict=True) if y.dtype.kind == "f")

        for i, grad in enumerate(grads):
            if grad is None or grad.size == 0:
                continue
            shapes = [g.shape if g is not None else None for g in grads]
            arrays = list(_float_arrays(call))
            directions: list[Any] = [np.zeros(a.shape) for a in arrays]
            directions[i] = generator.standard_normal(shapes[i])
            directions[i] /= max(1.0, float(np.abs(directions[i]).max()))
            h = 1e-5
            numeric = (value(shifted(directions, h)) - value(shifted(directions, -h))) / (2 * h)
            analytic = float((grad * directions[i]).sum())
            scale = max(1.0, abs(analytic), float(np.sqrt(grad.size)))
            assert abs(numeric - analytic) <= 1e-7 * scale, (
                f"gradient {i} of {call}: {numeric} and {analytic}"
            )
            checked += 1
    assert checked, f"{spec.name}: no sample has a gradient to check"


def _float_arrays(call: Sample) -> Iterator[Any]:
    for value in (*call.args, *call.kwargs.values()):
        if isinstance(value, list) and value and all(map(is_array, value)):
            yield from (v for v in value if v.dtype.kind == "f")
        elif is_array(value) and value.dtype.kind == "f":
            yield value


@pytest.mark.parametrize("backend", ["cpp", "numpy"])
@pytest.mark.parametrize("spec", CASES)
def test_example_by_hand(spec: Spec, backend: str) -> None:
    """Parity alone would let both faces share a mistake."""
    call, result, grads = spec.example
    with gu.backend(backend):
        ys, _ = run(spec.name, call, "float64", None)
        expected = results(result) if isinstance(result, tuple) else [result]
        for y, e in zip(ys, expected, strict=True):
            np.testing.assert_allclose(y, e, rtol=1e-12, atol=1e-12)
            assert y.shape == np.asarray(e).shape
        if grads is not None:
            _, got = run(spec.name, call, "float64", [np.ones_like(y) for y in ys])
            assert len(got) == len(grads)
            for g, e in zip(got, grads, strict=True):
                np.testing.assert_allclose(g, e, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["cpp", "numpy"])
@pytest.mark.parametrize("spec", [pytest.param(s, id=s.name) for s in SPECS.values() if s.bad])
def test_bad_input(spec: Spec, backend: str) -> None:
    """The same exception and text under both backends."""
    with gu.backend(backend):
        for call, error, message in spec.bad:
            args = [to_tensors(a, "float32", False) for a in call.args]
            kwargs = {k: to_tensors(v, "float32", False) for k, v in call.kwargs.items()}
            with pytest.raises(error) as caught:
                ops.get(spec.name)(*args, **kwargs)
            assert caught.type is error
            assert str(caught.value) == message


@pytest.mark.parametrize(
    "spec",
    [pytest.param(s, id=s.name) for s in SPECS.values() if s.composition is not None and s.name in _core.ops],
)
def test_fused_equals_its_composition(spec: Spec) -> None:
    for call in samples(spec):
        ys, _ = run(spec.name, call, "float64", None)
        dys = gradients_for(ys, rng(spec.name))
        ys, grads = run(spec.name, call, "float64", dys)
        expected, expected_grads = run(spec.name, call, "float64", dys, fn=spec.composition)
        for y, e in zip([*ys, *grads], [*expected, *expected_grads], strict=True):
            if e is not None:
                np.testing.assert_allclose(y, e, rtol=1e-11, atol=1e-12, err_msg=f"{call}")


@pytest.mark.parametrize("spec", CASES)
def test_documentation_is_complete(spec: Spec) -> None:
    assert spec.summary.endswith(".") and spec.formula and "->" in spec.shapes
    assert spec.signature in spec.docstring
    assert str(ops.get(spec.name).__doc__) == spec.docstring
