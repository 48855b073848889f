"""What this machine can do: the two lines of the roofline, measured with our own threads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import groundup as gu
from groundup.bench.timing import seconds


@dataclass(frozen=True)
class Limits:
    """Bytes a second between memory and cores, and float32 operations a second of the best matrix product."""

    bytes_per_second: float
    flops_per_second: float

    def least_seconds(self, flops: float, nbytes: float) -> float:
        """The shortest time in which so much work can be done and so much be moved."""
        return max(flops / self.flops_per_second, nbytes / self.bytes_per_second)


def measure(repetitions: int = 7) -> Limits:
    """Copy 64 MB and multiply 1536² matrices; the best of a few runs each."""
    x = gu.zeros(16 * 1024 * 1024)
    a = gu.tensor(np.random.default_rng(0).standard_normal((1536, 1536), dtype=np.float32))
    x.clone(), gu.matmul(a, a)
    copy = min(seconds(x.clone) for _ in range(repetitions))
    product = min(seconds(lambda: gu.matmul(a, a)) for _ in range(repetitions))
    # A copy reads and writes every byte.
    return Limits(2 * x.nbytes / copy, 2 * 1536**3 / product)
