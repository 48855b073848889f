"""One side of a job: ``python -m groundup.bench.worker JOB SIDE THREADS``; see `groundup.bench.peers`.

Prints its answer once, then a reply to each line on standard input: ``run`` times one repetition, ``memory`` tells
the most memory that this process has used, ``cpus`` how many processors it may use.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from importlib import import_module
from pathlib import Path


def peak_mb() -> float:
    """The most memory that this process has used, in megabytes."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the process was before it became this program
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 1024)


def keep_to_one_processor() -> None:
    """What a side starts later, threads and processes, keeps to it as well, whatever counts them in the package."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Set the side up, then obey."""
    job, side, threads = sys.argv[1:]
    if threads == "1":
        keep_to_one_processor()
    replies = sys.stdout
    sys.stdout = sys.stderr  # a library that prints must not disturb the protocol
    module, _, function = job.rpartition(".")
    jobs = import_module(f"groundup.bench.{module or 'jobs'}")
    repetition, steps = getattr(jobs, function)(side, int(threads))
    before = getattr(repetition, "before", lambda: None)  # what a repetition needs and is not timed
    start = time.perf_counter()
    answer = repetition()
    if time.perf_counter() - start < 5:
        for _ in range(2):
            repetition()  # caches, compilers and clocks settle
    print(json.dumps({"answer": answer}), file=replies, flush=True)
    last = 0.0
    for line in sys.stdin:
        if line.strip() == "run":
            if last < 0.1:
                repetition()  # wakes the threads, which a short repetition would notice
            before()
            start = time.perf_counter()
            repetition()
            last = time.perf_counter() - start
            print(json.dumps({"seconds": last / steps}), file=replies, flush=True)
        elif line.strip() == "cpus":
            print(json.dumps({"cpus": processors()}), file=replies, flush=True)
        else:
            print(json.dumps({"peak_mb": peak_mb()}), file=replies, flush=True)


if __name__ == "__main__":
    main()
