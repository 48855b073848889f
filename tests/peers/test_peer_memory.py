"""A training step needs less memory than torch's, each in a process of its own."""

from pathlib import Path

import pytest

from groundup.bench.peers import Worker

pytest.importorskip("torch")


def test_a_training_step_stays_under_torch(tmp_path: Path) -> None:
    peaks = {}
    for side in ("groundup", "torch_eager"):
        with Worker("gpt_small", side, str(tmp_path), threads=2) as worker:
            worker.ask("run")
            peaks[side] = worker.ask("memory")["peak_mb"]
    assert 0 < peaks["groundup"] < peaks["torch_eager"], peaks
