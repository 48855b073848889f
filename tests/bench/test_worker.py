"""A side of a job in a process of its own."""

import os

import pytest

from groundup.bench.peers import Worker


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system binds no process to a processor")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_side_of_one_thread_has_one_processor(threads: int, tmp_path: os.PathLike[str]) -> None:
    # What the side starts later inherits it: gigatoken and others count processors, not variables.
    with Worker("scalar_mlp", "groundup", str(tmp_path), threads) as worker:
        assert worker.ask("cpus")["cpus"] == (1 if threads == 1 else len(os.sched_getaffinity(0)))
