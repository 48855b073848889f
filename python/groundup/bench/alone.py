"""What is measured against the machine and not against a peer: row ops near its limits, and the time of an import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import groundup as gu
from groundup.bench import limits, ops, timing

ROW_OPS = ("softmax", "layer_norm", "gelu", "cross_entropy")


@dataclass(frozen=True)
class Measure:
    """A median with its bootstrap 95 % interval, and what it should be."""

    title: str
    unit: str  # "%", where more is better, or "ms", where less is
    floor: float
    goal: float
    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Goal, floor or missed: by the median."""
        sign = -1 if self.unit == "ms" else 1
        reached = [sign * self.value >= sign * bar for bar in (self.goal, self.floor)]
        return "goal" if reached[0] else "floor" if reached[1] else "missed"


def _measure(title: str, unit: str, floor: float, goal: float, values: Sequence[float]) -> Measure:
    low, high = timing.interval(values)
    return Measure(title, unit, floor, goal, float(np.median(values)), low, high)


def row_op_share(name: str, machine: limits.Limits, runs: int = 15) -> Measure:
    """How near an op comes to the memory's or the arithmetic's limit, whichever is nearer, on its bench sample.

    More than 100 % means that part of the sample stayed in the cache from one run to the next.
    """
    spec = gu.ops.spec(name)
    cpp, _, work = ops.prepare(spec, ops.bench_sample(spec))
    with gu.no_grad():
        repeats = timing.repeats(cpp, 0.02)
        times = [timing.seconds(lambda: [cpp() for _ in range(repeats)]) / repeats for _ in range(runs)]
    least = machine.least_seconds(work.flops, work.bytes)
    return _measure(f"`{name}`, of this machine's limit", "%", 40, 75, [100 * least / t for t in times])


def import_time(pairs: int = 15) -> Measure:
    """Milliseconds that ``import groundup`` takes over ``import numpy``, each in a new interpreter, alternating."""

    def run(code: str) -> float:
        return 1e3 * timing.seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True))

    codes = ("import numpy", "import numpy, groundup")
    for code in codes:
        run(code)  # the files are in the system's cache from here on
    differences = []
    for pair in range(pairs):
        took = {code: run(code) for code in (codes if pair % 2 == 0 else codes[::-1])}
        differences.append(took[codes[1]] - took[codes[0]])
    return _measure("`import groundup` over `import numpy`", "ms", 30, 15, differences)


def run(machine: limits.Limits, runs: int = 15) -> list[Measure]:
    """All of them."""
    return [*(row_op_share(name, machine, runs) for name in ROW_OPS), import_time(runs)]


def records(measures: list[Measure]) -> list[dict[str, Any]]:
    """Measures as plain dicts, for JSON."""
    return [{**asdict(m), "verdict": m.verdict} for m in measures]


def table(rows: list[dict[str, Any]]) -> str:
    """Records as a Markdown table."""
    lines = ["| measure | floor | goal | measured (95 %) |", "| --- | --- | --- | --- |"]
    for r in rows:
        unit = r["unit"]
        lines.append(
            f"| {r['title']} | {r['floor']:g} {unit} | {r['goal']:g} {unit} | "
            f"**{r['value']:.0f} {unit}** ({r['low']:.0f}–{r['high']:.0f}) |"
        )
    return "\n".join(lines)
