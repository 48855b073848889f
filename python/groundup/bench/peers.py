"""Whole jobs against other libraries: equal answers first, then time, each side in a process of its own.

A job is a function in `groundup.bench.jobs` that returns its sides by name. Each side runs in a worker process that
sets up once and then runs one repetition each time it is asked; the parent asks A, B, B, A and so on, so that a
noisy machine disturbs both alike. Every side uses the same threads, float32 and its own best documented setting.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

import numpy as np

import groundup as gu
from groundup.bench import limits, timing


@dataclass(frozen=True)
class Target:
    """One row of the table of what groundup must reach."""

    job: str  # a function in jobs.py, or "module.function" of another file beside it
    ours: str  # its sides
    theirs: str
    title: str
    floor: float
    goal: float
    flops: float = 0.0  # of one repetition, where a share of the machine's peak is asked for
    group: str = "spine"  # `groundup bench --peers GROUP` measures a group
    most_pairs: int = 1000  # fewer where the other side takes a minute
    threads: int = 0  # of both sides; 0: as many as asked for

    @property
    def needs_data(self) -> bool:
        """Whether its texts are those of the test data, which no installation brings."""
        return self.job.startswith("encode_jobs.")


@dataclass(frozen=True)
class Result:
    """A target and what was measured."""

    title: str
    floor: float
    goal: float
    ratio: float
    low: float
    high: float
    ours_ms: float
    theirs_ms: float
    pairs: int
    peak_share: float | None
    ours_mb: float
    theirs_mb: float

    @property
    def verdict(self) -> str:
        """Goal, floor or missed: by the median ratio."""
        return "goal" if self.ratio >= self.goal else "floor" if self.ratio >= self.floor else "missed"


#: Seconds between two repetitions. OpenMP's threads spin on for milliseconds after a step, on the cores that the
#: other side needs: without the pause AdamW over 10 M parameters measured 0.86-0.91, with it 1.05-1.08.
_REST = 0.05


class Worker:
    """One side of a job in a process of its own."""

    def __init__(self, job: str, side: str, folder: str, threads: int) -> None:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "GROUNDUP_NUM_THREADS": str(threads),
            "RAYON_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "true",
            "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
        }
        self.side = side
        self.process = subprocess.Popen(
            [sys.executable, "-m", "groundup.bench.worker", job, side, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.answer = self._read()["answer"]

    def _read(self) -> dict[str, Any]:
        line = cast(IO[str], self.process.stdout).readline()
        if not line:
            raise RuntimeError(f"[bench] the worker for {self.side} ended with code {self.process.wait()}")
        return cast(dict[str, Any], json.loads(line))

    def ask(self, command: str) -> dict[str, Any]:
        """Send one command; returns the worker's reply."""
        stdin = cast(IO[str], self.process.stdin)
        stdin.write(command + "\n")
        stdin.flush()
        return self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        cast(IO[str], self.process.stdin).close()
        self.process.wait(timeout=60)
        cast(IO[str], self.process.stdout).close()


def run(target: Target, pairs: int = 15, threads: int = 2, machine: limits.Limits | None = None) -> Result:
    """Measure one target.

    Raises:
        ValueError: the sides' answers differ.
        RuntimeError: a side could not run.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        Worker(target.job, target.ours, folder, target.threads or threads) as ours,
        Worker(target.job, target.theirs, folder, target.threads or threads) as theirs,
    ):
        a, b = np.asarray(ours.answer, float), np.asarray(theirs.answer, float)
        if a.shape != b.shape or not np.allclose(a, b, rtol=1e-3, atol=1e-4):
            raise ValueError(f"[bench] {target.title}: the answers must agree, but got {a} and {b}")
        times: dict[Worker, list[float]] = {ours: [], theirs: []}
        for pair in range(min(pairs, target.most_pairs)):
            for worker in (ours, theirs) if pair % 2 == 0 else (theirs, ours):
                time.sleep(_REST)
                times[worker].append(worker.ask("run")["seconds"])
        memory = [worker.ask("memory")["peak_mb"] for worker in (ours, theirs)]
    c = timing.compare(times[ours], times[theirs])
    share = None
    if target.flops:
        machine = machine or limits.measure()
        share = target.flops / c.ours / machine.flops_per_second
    return Result(
        target.title, target.floor, target.goal, c.ratio, c.low, c.high, c.ours * 1e3, c.theirs * 1e3, c.pairs, share,
        *memory,
    )  # fmt: skip


def gpt_flops(layers: int, channels: int, context: int, batch: int, vocabulary: int) -> float:
    """Matrix products of one training step: forward once, backward twice; causal attention counts half."""
    tokens = batch * context
    weights = layers * 12 * channels**2 + vocabulary * channels
    attention = layers * 2 * context * channels / 2  # QKᵀ and PV, of which the mask leaves half
    return 3 * 2 * tokens * (weights + attention)


SMALL = gpt_flops(4, 128, 64, 12, 65)
LARGE = gpt_flops(6, 384, 256, 16, 65)

TARGETS = [
    Target("gpt_small", "groundup", "torch_eager", "training step 4/4/128/64/12, against torch eager", 1.5, 2.1, SMALL),
    Target("gpt_small", "groundup", "torch_compile", "the same against torch.compile", 1.4, 1.9, SMALL),
    Target(
        "gpt_large", "groundup", "torch_compile", "training step 6/6/384/256/16, against compiled", 1.15, 1.4, LARGE
    ),
    Target("gpt_small", "groundup", "groundup_numpy", "GPT step, C++ against our NumPy backend", 4, 10),
    Target("adamw_large", "groundup", "torch_fused", "AdamW, 10 M parameters, against torch's fused", 1, 1.2),
    Target("adamw_many", "groundup", "torch_default", "AdamW, 1,000 small tensors, against torch's default", 3, 10),
    Target("scalar_mlp", "groundup", "micrograd", "scalar engine against micrograd: MLP forward and backward", 10, 50),
    Target(
        "text_jobs.train_like_tokenizers", "groundup", "tokenizers", "train 32 k merges on 20 MB against tokenizers",
        2, 5, group="tokenizers", most_pairs=5,
    ),
    Target(
        "text_jobs.train_like_rustbpe", "groundup", "rustbpe", "the same training against rustbpe", 2, 5,
        group="tokenizers",
    ),
    Target(
        "text_jobs.train_like_minbpe", "groundup", "minbpe", "train 512 merges on 200 kB against minbpe's algorithm",
        200, 1000, group="tokenizers", most_pairs=3,
    ),
    *(
        Target(f"encode_jobs.{job}", ours, theirs, title, floor, goal, group="tokenizers", threads=threads)
        for job, ours, theirs, title, floor, goal, threads in [
            ("english", "groundup", "tiktoken", "encode 1 MB of English against tiktoken", 8, 30, 1),
            ("english", "groundup_cold", "tiktoken", "encode the same English, cold cache, against tiktoken", 8, 30, 1),
            ("english", "groundup", "tokenizers", "encode 1 MB of English against tokenizers", 15, 50, 1),
            ("english", "groundup_cold", "tokenizers", "encode the same English, cold, against tokenizers", 15, 50, 1),
            ("chinese", "groundup", "tiktoken", "encode Chinese against tiktoken", 3, 10, 1),
            ("chinese", "groundup_cold", "tiktoken", "encode Chinese, cold cache, against tiktoken", 3, 10, 1),
            ("chinese", "groundup", "tokenizers", "encode Chinese against tokenizers", 5, 20, 1),
            ("code", "groundup", "tiktoken", "encode source code against tiktoken", 3, 10, 1),
            ("code", "groundup_cold", "tiktoken", "encode source code, cold cache, against tiktoken", 3, 10, 1),
            ("code", "groundup", "tokenizers", "encode source code against tokenizers", 5, 20, 1),
            ("short_strings", "groundup", "tiktoken", "encode 100-byte strings, a call each; tiktoken", 3, 10, 1),
            ("short_strings", "groundup", "tokenizers", "encode 100-byte strings, a call each; tokenizers", 5, 20, 1),
            ("english", "groundup_list", "tiktoken_list", "encode English to a list against tiktoken", 4, 10, 1),
            ("english_first", "groundup", "gigatoken", "encode English against gigatoken, first call", 2, 5, 1),
            ("english_first_numpy", "groundup", "gigatoken", "encode English, first call, NumPy there", 2, 5, 1),
            ("english", "groundup", "gigatoken", "encode English against gigatoken, repeated", 0.3, 1, 1),
            ("batch", "groundup_two", "groundup_one", "encode a batch, 2 threads against 1", 1.7, 1.95, 2),
        ]
    ),
]  # fmt: skip


def machine_facts() -> dict[str, Any]:
    """What a result depends on."""
    facts = gu.config()
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = lines[0].split(":", 1)[1].strip() if lines else ""
    return {
        **{k: facts[k] for k in ("groundup", "isa", "blas", "compiler", "numpy", "python")},
        "processor": model,
    }


def records(results: list[Result]) -> list[dict[str, Any]]:
    """Results as plain dicts, for JSON."""
    return [{**asdict(r), "verdict": r.verdict} for r in results]


def table(rows: list[dict[str, Any]]) -> str:
    """Records as a Markdown table."""
    lines = [
        "| job | floor | goal | measured (95 %) | ours | theirs | of the matmul peak | memory, ours / theirs |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        share = "" if r["peak_share"] is None else f"{r['peak_share']:.0%}"
        lines.append(
            f"| {r['title']} | {r['floor']:g}× | {r['goal']:g}× | "
            f"**{r['ratio']:.2f}×** ({r['low']:.2f}–{r['high']:.2f}) | "
            f"{_time(r['ours_ms'])} | {_time(r['theirs_ms'])} | {share} | "
            f"{r['ours_mb']:.0f} / {r['theirs_mb']:.0f} MB |"
        )
    return "\n".join(lines)


def _time(ms: float) -> str:
    if ms >= 10_000:
        return f"{ms / 1e3:.1f} s"
    return f"{ms:.1f} ms" if ms >= 1 else f"{ms * 1e3:.1f} µs"
