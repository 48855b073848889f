"""``gu.explain(op)``: formula, NumPy source, C++ source, cost and measured speed of an op, in one place."""

from __future__ import annotations

import html
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import groundup as gu
from groundup import ops
from groundup.ops._spec import Spec


def cpp_source(file: str) -> str:
    """The text of a C++ file of the core, ``ops/softmax.cpp``: shipped in a wheel, beside the package in a checkout.

    Raises:
        FileNotFoundError: this installation carries no C++ sources.
    """
    package = Path(gu.__file__).parent
    for root in (package / "_cpp", package.parents[1] / "cpp"):
        if (root / file).is_file():
            return (root / file).read_text(encoding="utf-8")
    raise FileNotFoundError(f"[explain] this installation carries no C++ sources, but {file} was asked for")


def numpy_source(spec: Spec) -> str:
    """The source of an op's NumPy forward and backward."""
    parts = []
    for function in (spec.forward, spec.backward, spec.composition):
        if function is not None:
            try:
                parts.append(inspect.getsource(function).rstrip())
            except (OSError, TypeError):  # a NumPy function itself, such as np.exp
                parts.append(f"{spec.name} = {getattr(function, '__name__', function)}  # NumPy's own")
    return "\n\n\n".join(dict.fromkeys(parts))


@dataclass(frozen=True)
class Explanation:
    """What is known of an op; prints as text, shows as HTML in Jupyter."""

    name: str
    signature: str
    summary: str
    formula: str
    shapes: str
    numpy: str
    cpp: str  # empty for a composite op
    speed: str  # empty if it was not measured
    source: str

    def __str__(self) -> str:
        parts = [self.signature, self.summary, f"Shapes   {self.shapes}", f"Formula  {self.formula}"]
        if self.speed:
            parts.append(f"Speed    {self.speed}")
        if self.source:
            parts.append(f"Source   {self.source}")
        text = "\n".join(parts)
        text += f"\n\n--- NumPy {'-' * 60}\n\n{self.numpy}\n"
        return text + (
            f"\n--- C++ {'-' * 62}\n\n{self.cpp}"
            if self.cpp
            else "\nA composition of ops: no C++ of its own.\n"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def code(title: str, text: str) -> str:
            style = "overflow-x:auto;font-size:85%;border-left:3px solid #0072B2;padding-left:.7em"
            return f"<div><b>{title}</b><pre style='{style}'>{html.escape(text)}</pre></div>"

        lines = [f"<p><code>{html.escape(self.signature)}</code><br>{html.escape(self.summary)}</p>"]
        lines.append(f"<p>$${self.formula}$$</p><p>{html.escape(self.shapes)}</p>")
        if self.speed:
            lines.append(f"<p>{html.escape(self.speed)}</p>")
        lines.append(code("NumPy", self.numpy))
        lines.append(code("C++", self.cpp) if self.cpp else "<p>A composition of ops: no C++ of its own.</p>")
        return "\n".join(lines)


def explain(op: Any, measure: bool = True) -> Explanation:
    """Everything about an op: formula, shapes, both sources, cost and speed on this machine.

    Args:
        op: its name, or the op itself.
        measure: time it; takes about a second.

    Raises:
        ValueError: there is no such op.

    >>> print(explain("softmax", measure=False).formula)
    y_i = \\frac{e^{x_i}}{\\sum_j e^{x_j}}
    """
    name = op if isinstance(op, str) else getattr(op, "name", None)
    try:
        found = ops.get(str(name))
    except AttributeError:
        raise ValueError(f"[explain] op must be an op or the name of one, but got {op!r}") from None
    spec = found.spec
    speed = ""
    if measure:
        from groundup.bench import limits
        from groundup.bench import ops as bench_ops

        row = bench_ops.measure(spec, limits.measure(3), pairs=5)
        speed = (
            f"{row.cpp_ms:.3f} ms for {row.shapes}: {row.speedup:.1f} times NumPy, {row.gb_per_s:.1f} GB/s, "
            f"{row.gf_per_s:.1f} GF/s, {row.share:.0%} of what this machine can do"
        )
    compiled = cpp_source(found.compiled.file) if found.compiled is not None else ""
    return Explanation(
        found.name, spec.signature, spec.summary, spec.formula, spec.shapes, numpy_source(spec), compiled, speed,
        spec.source,
    )  # fmt: skip
