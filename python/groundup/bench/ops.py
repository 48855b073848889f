"""Every op in C++ against its own NumPy reference, and against what the machine can do."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import groundup as gu
from groundup.bench import limits, timing
from groundup.ops._spec import Cost, Sample, Spec, nbytes


@dataclass(frozen=True)
class Row:
    """One op at one size: forward in float32."""

    op: str
    shapes: str
    numpy_ms: float
    cpp_ms: float
    speedup: float
    low: float
    high: float
    gb_per_s: float
    gf_per_s: float
    share: float  # of the nearer limit: 1 is as fast as this machine can


def _cast(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(np.float32)
    if isinstance(value, list):
        return [_cast(v) for v in value]
    return value


def _shapes(call: Sample) -> str:
    parts = []
    for value in (*call.args, *call.kwargs.values()):
        arrays = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, np.ndarray)]
        parts += ["×".join(map(str, v.shape)) or "scalar" for v in arrays]
    return ", ".join(parts)


def cost(spec: Spec, call: Sample, result: Any) -> Cost:
    """What the specification says, or one operation an element and each array once."""
    if spec.cost is not None:
        return spec.cost(*call.args, **call.kwargs)
    results = result if isinstance(result, tuple) else (result,)
    arrays = [np.asarray(r) for r in results]
    moved = nbytes(*call.args, *call.kwargs.values())
    return Cost(float(sum(a.size for a in arrays)), moved + sum(a.nbytes for a in arrays))


def bench_sample(spec: Spec) -> Sample:
    """What an op is measured on, in float32: its bench sample, or its first one."""
    rng = np.random.default_rng(0)
    call = spec.bench(rng) if spec.bench is not None else next(iter(spec.samples(rng)))
    return Sample(tuple(map(_cast, call.args)), {k: _cast(v) for k, v in call.kwargs.items()})


def prepare(spec: Spec, call: Sample) -> tuple[Callable[[], Any], Callable[[], Any], Cost]:
    """The compiled op and its reference on a sample as functions to time, and the work they do."""

    def tensors(value: Any) -> Any:
        if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            return [gu.tensor(v) for v in value]
        return gu.tensor(value) if isinstance(value, np.ndarray) else value

    def arrays(value: Any) -> Any:
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], gu.Tensor):
            return [np.asarray(v) for v in value]
        return np.asarray(value) if isinstance(value, gu.Tensor) else value

    op = gu.ops.get(spec.name)
    args, kwargs = [tensors(a) for a in call.args], {k: tensors(v) for k, v in call.kwargs.items()}
    cpp = functools.partial(op, *args, **kwargs)
    if op.compiled is not None:
        _, values = op.compiled.bind(*args, **kwargs)  # every parameter, defaults too
        reference = functools.partial(spec.forward, *map(arrays, values))
    else:
        reference = functools.partial(spec.forward, *call.args, **call.kwargs)
    with gu.no_grad():
        return cpp, reference, cost(spec, call, cpp())


def measure(spec: Spec, machine: limits.Limits, pairs: int = 7, at_least: float = 0.01) -> Row:
    """Time one op on its bench sample, or on its first one."""
    call = bench_sample(spec)
    cpp, reference, work = prepare(spec, call)
    with gu.no_grad(), np.errstate(all="ignore"):
        timed = timing.alternate(cpp, reference, pairs, at_least)
    return Row(
        spec.name,
        _shapes(call),
        timed.theirs * 1e3,
        timed.ours * 1e3,
        timed.ratio,
        timed.low,
        timed.high,
        work.bytes / timed.ours / 1e9,
        work.flops / timed.ours / 1e9,
        machine.least_seconds(work.flops, work.bytes) / timed.ours,
    )


def run(names: Iterable[str] | None = None, pairs: int = 7, at_least: float = 0.01) -> list[Row]:
    """Measure the ops that have a bench sample, or those named.

    Raises:
        KeyError: a name is no op.
    """
    specs = gu.ops.specs()
    if names is None:
        chosen = [s for s in specs.values() if s.bench is not None]
    else:
        unknown = [name for name in names if name not in specs]
        if unknown:
            raise KeyError(f"[bench] no such op: {', '.join(unknown)}")
        chosen = [specs[name] for name in names]
    machine = limits.measure()
    return [measure(s, machine, pairs, at_least) for s in chosen]


def table(rows: list[Row]) -> str:
    """Rows as text, slowest share first."""
    lines = [
        f"{'op':30} {'NumPy':>9} {'C++':>9} {'times':>7}  {'95 %':13} {'GB/s':>6} {'GF/s':>6} {'limit':>6}"
    ]
    for r in sorted(rows, key=lambda r: r.op):
        interval = f"{r.low:.1f}–{r.high:.1f}"
        lines.append(
            f"{r.op:30} {r.numpy_ms:7.2f}ms {r.cpp_ms:7.2f}ms {r.speedup:6.1f}×  {interval:13} "
            f"{r.gb_per_s:6.1f} {r.gf_per_s:6.1f} {r.share:6.0%}"
        )
    return "\n".join(lines)


def records(rows: list[Row]) -> list[dict[str, Any]]:
    """Rows as plain dicts, for JSON."""
    return [asdict(r) for r in rows]
