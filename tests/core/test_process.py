"""What belongs to a whole process: environment variables, the level that runs, forks, threads, import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup import _cpu, _levels

REPORT = "import groundup as gu; print(gu.config()['isa'], gu.config()['backend'], gu.num_threads())"


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, its output for tests to look at."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GROUNDUP_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def last_line(result: subprocess.CompletedProcess[str]) -> str:
    return result.stderr.strip().splitlines()[-1]


# ---------------------------------------------------------------------------------------------------- the level


def test_the_best_level_that_was_built_runs() -> None:
    available = _levels.available()
    assert available, "no compiled core"
    assert run(REPORT).stdout.split()[0] == available[-1]
    forced = os.environ.get("GROUNDUP_ISA")
    assert gu.config()["isa"] == (forced or available[-1])
    assert _cpu.level() in _levels.LEVELS
    assert all(_levels.LEVELS.index(level) <= _levels.LEVELS.index(_cpu.level()) for level in available)


@pytest.mark.parametrize("level", _levels.available())
def test_every_level_that_was_built_can_be_forced(level: str) -> None:
    result = run(REPORT + "; print(gu.tensor([2.0]).exp().sum().item())", GROUNDUP_ISA=level)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[0] == level
    assert float(result.stdout.split()[-1]) == pytest.approx(np.exp(2.0), rel=1e-6)


def test_an_unknown_level_is_an_error() -> None:
    for level in ("v9", "avx2", "V3", " v3"):
        result = run(REPORT, GROUNDUP_ISA=level)
        assert result.returncode == 1
        assert last_line(result) == (
            f"ImportError: groundup: GROUNDUP_ISA must be one of base, v2, v3, v4, but got {level!r}"
        )


def test_a_level_that_is_not_there_is_an_error_and_never_another_one() -> None:
    missing = [level for level in _levels.LEVELS if level not in _levels.available()]
    if not missing:
        pytest.fail(
            "every level is there, so nothing can be missing: x86-64 has no base, other machines no v2"
        )
    for level in missing:
        result = run(REPORT, GROUNDUP_ISA=level)
        assert result.returncode == 1
        assert last_line(result) == (
            f"ImportError: groundup: GROUNDUP_ISA={level}, but this build and processor offer "
            f"{', '.join(_levels.available())}"
        )


# ------------------------------------------------------------------------------------------ the other variables


def test_backend_from_the_environment() -> None:
    assert run(REPORT, GROUNDUP_BACKEND="numpy").stdout.split()[1] == "numpy"
    assert run(REPORT, GROUNDUP_BACKEND="cpp").stdout.split()[1] == "cpp"
    result = run(REPORT, GROUNDUP_BACKEND="jax")
    assert result.returncode == 1
    assert (
        last_line(result) == "ImportError: groundup: GROUNDUP_BACKEND must be 'cpp' or 'numpy', but got 'jax'"
    )


def test_threads_from_the_environment() -> None:
    assert run(REPORT, GROUNDUP_NUM_THREADS="1").stdout.split()[2] == "1"
    assert run(REPORT, GROUNDUP_NUM_THREADS="256").stdout.split()[2] == "256"
    assert run(REPORT, GROUNDUP_NUM_THREADS="").stdout.split()[2] == str(len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("value", ["0", "-1", "257", "1.5", "two", "1 ", "99999999999999999999"])
def test_a_bad_number_of_threads_is_an_error(value: str) -> None:
    result = run(REPORT, GROUNDUP_NUM_THREADS=value)
    assert result.returncode == 1
    assert last_line(result) == (
        f"ValueError: [num_threads] GROUNDUP_NUM_THREADS must be an integer from 1 to 256, but got '{value}'"
    )


@pytest.mark.parametrize("n", [0, -1, 257])
def test_set_num_threads_refuses(n: int) -> None:
    before = gu.num_threads()
    with pytest.raises(ValueError, match="256"):
        gu.set_num_threads(n)
    assert gu.num_threads() == before


# ------------------------------------------------------------------------------------------------ threads, forks


def step(threads: int) -> list[Any]:
    """Large enough that every op is split over the threads."""
    before = gu.num_threads()
    gu.set_num_threads(threads)
    try:
        rng = np.random.default_rng(0)
        x = gu.tensor(rng.standard_normal((300, 1000)).astype(np.float32), requires_grad=True)
        y = (x.exp() * x + x.tanh()).softmax(-1)
        (y * y).sum(-1).sum().backward()
        return [np.array(y), np.array(x.grad)]
    finally:
        gu.set_num_threads(before)


def test_results_are_equal_for_any_number_of_threads_and_from_run_to_run() -> None:
    first = step(1)
    for threads in (1, 2, 2, 3, 5):
        for a, b in zip(first, step(threads), strict=True):
            assert np.array_equal(a, b), threads


def test_a_forked_child_computes() -> None:
    expected = step(2)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            same = all(np.array_equal(a, b) for a, b in zip(expected, step(2), strict=True))
            code = 0 if same else 2
        finally:
            os._exit(code)
    try:
        for _ in range(1200):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            signal.sigtimedwait([], 0.05)
        else:
            pytest.fail("the child hangs")
    finally:
        if not done:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert all(np.array_equal(a, b) for a, b in zip(expected, step(2), strict=True))  # the parent, too


def test_the_interpreter_ends_cleanly_with_graphs_and_hooks_alive() -> None:
    for backend in ("cpp", "numpy"):
        code = (
            "import groundup as gu, threading\n"
            "x = gu.ones(100000).requires_grad_(); y = x.exp() * x; x.register_hook(print)\n"
            "class F(gu.autograd.Function):\n"
            "    forward = staticmethod(lambda ctx, x: x * 1.0)\n"
            "    backward = staticmethod(lambda ctx, dy: dy)\n"
            "z = F.apply(y); kept = gu.checkpoint(gu.exp, z); a = kept.detach().numpy()\n"
            "print('end')"
        )
        result = run(code, GROUNDUP_BACKEND=backend)
        assert (result.returncode, result.stdout, result.stderr) == (0, "end\n", "")


# ---------------------------------------------------------------------------------------------------------- import


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, numpy; before = set(sys.modules); import groundup\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = run(code).stdout.split()
    assert "groundup._backend" in loaded
    heavy = (
        "torch",
        "matplotlib",
        "pandas",
        "scipy",
        "transformers",
        "tokenizers",
        "tqdm",
        "sklearn",
        "asyncio",
    )
    assert not [m for m in loaded if m.split(".")[0] in heavy]
    lazy = (
        "groundup.ops.",
        "groundup.reference.",
        "groundup.nn",
        "groundup.lm",
        "groundup.autograd._gradcheck",
    )
    assert not [m for m in loaded if m.startswith(lazy)]
