"""``gu.explain(op)``: formula, NumPy source, C++ source, cost and measured speed of an op, in one place.

Ideas that are no ops, such as byte-pair encoding, are explained from the table in `groundup._ideas`. In a notebook
the formula is typeset (as MathML where latex2mathml is installed, else by the notebook itself), and the sources stand
side by side, or one below the other where there is no room, coloured where pygments is installed.
"""

from __future__ import annotations

import contextlib
import functools
import html
import importlib
import inspect
from dataclasses import dataclass
from typing import Any

from groundup import ops
from groundup._cpp_source import cpp_source, op_source, symbols_source
from groundup._ideas import IDEAS, Idea
from groundup.ops._spec import Spec

__all__ = ["Explanation", "cpp_source", "explain", "numpy_source"]


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
class Speed:
    """What was measured of an op, or a line that says it."""

    shapes: str = ""
    cpp_ms: float = 0.0
    numpy_ms: float = 0.0
    speedup: float = 0.0
    gb_per_s: float = 0.0
    gf_per_s: float = 0.0
    share: float = 0.0
    line: str = ""

    def __bool__(self) -> bool:
        return bool(self.line)

    def __str__(self) -> str:
        return self.line


@dataclass(frozen=True)
class Explanation:
    """What is known of an op or an idea; prints as text, shows as HTML in Jupyter."""

    name: str
    signature: str
    summary: str
    formula: str  # LaTeX; empty for an idea without one
    shapes: str
    numpy: str
    cpp: str  # empty for a composite op
    cost: str  # empty if it was not measured
    speed: Speed
    source: str
    pages: tuple[str, ...] = ()
    language: str = "NumPy"  # of the reference: an idea's is plain Python

    def __str__(self) -> str:
        parts = [self.signature, self.summary]
        rows = {"Shapes": self.shapes, "Formula": self.formula, "Cost": self.cost, "Speed": str(self.speed)}
        rows |= {"Source": self.source, "Pages": ", ".join(self.pages)}
        parts += [f"{name:8} {text}" for name, text in rows.items() if text]
        text = "\n".join(parts)
        text += f"\n\n--- {self.language} {'-' * 60}\n\n{self.numpy}\n"
        return text + (
            f"\n--- C++ {'-' * 62}\n\n{self.cpp}"
            if self.cpp
            else "\nA composition of ops: no C++ of its own.\n"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from groundup.study.markup import table

        head = f"<strong><code>{html.escape(self.signature)}</code></strong><br>{html.escape(self.summary)}"
        parts = [f'<p style="margin:.3em 0">{head}</p>']
        if self.formula:
            parts.append(f'<div style="overflow-x:auto;margin:.6em 0">{typeset(self.formula)}</div>')
        rows = {"Shapes": self.shapes, "Cost": self.cost, "Speed": str(self.speed), "Source": self.source}
        rows |= {"Taught in": ", ".join(self.pages)}
        parts.append(table((name, html.escape(text)) for name, text in rows.items() if text))
        columns = [_column(self.language, self.numpy, "python")]
        if self.cpp:
            columns.append(_column("C++", self.cpp, "cpp"))
        else:
            parts.append("<p>A composition of ops: no C++ of its own.</p>")
        # Side by side where both have room; else the second wraps below the first.
        parts.append(
            f'<div style="display:flex;flex-wrap:wrap;gap:.8em;align-items:flex-start">{"".join(columns)}</div>'
        )
        return f'<div style="line-height:1.5">{"".join(parts)}</div>'


#: In the font of a page around it Chromium may draw a root without its sign: only a font made for mathematics has all.
MATH_FONTS = (
    "STIX Two Math,Cambria Math,Latin Modern Math,DejaVu Math TeX Gyre,Noto Sans Math,DejaVu Serif,math,serif"
)


def typeset(formula: str, display: str = "block") -> str:
    """LaTeX as MathML, which needs no script; without latex2mathml in dollars, for the notebook to typeset."""
    try:
        from latex2mathml.converter import convert

        for name in ("max", "min"):  # which it does not know
            formula = formula.replace(rf"\arg\{name}", rf"\operatorname{{arg{name}}}")
        math = str(convert(formula, display=display))
        return math.replace("<math ", f'<math style="font-family:{MATH_FONTS}" ', 1)
    except ModuleNotFoundError:
        return f"$${html.escape(formula, quote=False)}$$"


def _column(title: str, code: str, language: str) -> str:
    # Colours for a light page need a light background, whatever the page around has.
    style = (
        "font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
        "margin:.2em 0;padding:.7em .9em;overflow:auto;max-height:44em;white-space:pre;tab-size:4;font-size:12px;"
        "line-height:1.45;background:#f8f8f8;color:#1a1a1a;border:1px solid #c8c8c8;border-radius:4px"
    )
    return (
        f'<div style="flex:1 1 27em;min-width:0;max-width:100%"><strong>{title}</strong>'
        f'<pre style="{style}">{highlighted(code, language)}</pre></div>'
    )


def highlighted(code: str, language: str) -> str:
    """Code as HTML with its colours in the elements themselves; without pygments escaped and plain."""
    try:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import get_lexer_by_name
    except ModuleNotFoundError:
        return html.escape(code.rstrip(), quote=False)
    formatter = HtmlFormatter(nowrap=True, noclasses=True, style="default")
    return str(highlight(code, get_lexer_by_name(language, stripnl=False), formatter)).rstrip()


def explain(op: Any, measure: bool = True) -> Explanation:
    """Everything about an op: formula, shapes, both sources, cost and speed on this machine.

    Args:
        op: its name, or the op itself; or the name of an idea that is no op, such as ``"bpe"``.
        measure: time it; takes about a second.

    Raises:
        ValueError: there is no such op.

    >>> print(explain("softmax", measure=False).formula)
    y_i = \\frac{e^{x_i}}{\\sum_j e^{x_j}}
    >>> print(explain("bpe", measure=False).summary)
    Byte-pair encoding: of all neighbours that may merge the pair learned first does, until none is left.
    """
    name = op if isinstance(op, str) else getattr(op, "name", None)
    if isinstance(name, str) and name in IDEAS:
        return _idea(name, IDEAS[name], measure)
    try:
        found = ops.get(str(name))
    except AttributeError:
        raise ValueError(
            f"[explain] op must be an op or the name of one (or of {', '.join(IDEAS)}), but got {op!r}"
        ) from None
    spec = found.spec
    cost, speed = _measured(spec) if measure else ("", Speed())
    compiled = ""
    if found.compiled is not None and spec.kernels:
        text, _ = symbols_source("kernels", spec.kernels)
        compiled = f"{text}\n// {found.compiled.file} checks the arguments and records the gradient's rule.\n"
    elif found.compiled is not None:
        compiled = op_source(found.compiled.file, found.name)
    return Explanation(
        found.name, spec.signature, spec.summary, spec.formula, spec.shapes, numpy_source(spec), compiled, cost, speed,
        spec.source, taught(found.name),
    )  # fmt: skip


def _measured(spec: Spec) -> tuple[str, Speed]:
    from groundup.bench import ops as bench_ops

    row = bench_ops.measure(spec, _limits(), pairs=5)
    flops, moved = row.gf_per_s * row.cpp_ms * 1e6, row.gb_per_s * row.cpp_ms * 1e6
    cost = f"{_count(flops)} operations and {_count(moved)} bytes for {row.shapes}"
    if moved:
        cost += f": {flops / moved:.2g} operations a byte"
    line = (
        f"{row.cpp_ms:.3g} ms against {row.numpy_ms:.3g} ms: {row.speedup:.1f} times NumPy "
        f"(95 %: {row.low:.1f} to {row.high:.1f}), {row.gb_per_s:.1f} GB/s, "
        f"{row.gf_per_s:.1f} GF/s, {row.share:.0%} of what this machine can do"
    )
    return cost, Speed(
        row.shapes, row.cpp_ms, row.numpy_ms, row.speedup, row.gb_per_s, row.gf_per_s, row.share, line
    )


@functools.cache
def _limits() -> Any:
    from groundup.bench import limits

    return limits.measure(3)


def _count(number: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def resolve(dotted: str) -> Any:
    """The object of ``"groundup.reference.bpe:BPE.encode"``."""
    module, _, path = dotted.partition(":")
    return functools.reduce(getattr, path.split("."), importlib.import_module(module))


def _idea(name: str, idea: Idea, measure: bool) -> Explanation:
    sources = [inspect.cleandoc("\n" + inspect.getsource(resolve(one)).rstrip()) for one in idea.reference]
    parts = [symbols_source(folder, symbols) for folder, symbols in idea.cpp]
    speed = Speed(line=str(resolve(idea.measure)())) if measure and idea.measure else Speed()
    return Explanation(
        name, name, idea.summary, idea.statement, idea.shapes, "\n\n\n".join(sources),
        "\n".join(text for text, _ in parts), "", speed, idea.source, taught(name), "Python",
    )  # fmt: skip


def taught(name: str) -> tuple[str, ...]:
    """The pages that teach an op or an idea: their data say so, ``teaches: [softmax, bpe]`` in ``cards/day33.yaml``."""
    from groundup.study import data

    with contextlib.suppress(ModuleNotFoundError):  # no PyYAML, no data
        return tuple(page.path for page in map(data.page, data.days()) if name in page.teaches)
    return ()
