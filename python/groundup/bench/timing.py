"""How two sides are timed: alternately, so that a noisy machine disturbs both alike; and what the ratio is worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Comparison:
    """Two sides over pairs of runs: their median seconds, the median ratio theirs/ours and its 95 % interval."""

    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    pairs: int


def compare(ours: Sequence[float], theirs: Sequence[float], resamples: int = 2000) -> Comparison:
    """The median of the pairwise ratios, with a bootstrap interval over pairs.

    >>> c = compare([1.0, 1.1, 0.9], [2.0, 2.2, 1.8])
    >>> round(c.ratio, 6), round(c.low, 6), round(c.high, 6)
    (2.0, 2.0, 2.0)
    """
    a, b = np.asarray(ours), np.asarray(theirs)
    if a.shape != b.shape or a.size == 0:
        raise ValueError(f"[bench] both sides need the same number of runs, but got {a.size} and {b.size}")
    ratios = b / a
    low, high = interval(ratios, resamples)
    return Comparison(
        float(np.median(a)), float(np.median(b)), float(np.median(ratios)), low, high, int(ratios.size)
    )


def interval(values: npt.ArrayLike, resamples: int = 2000) -> tuple[float, float]:
    """The bootstrap 95 % interval of a median."""
    x = np.asarray(values, float)
    picks = np.random.default_rng(0).integers(0, x.size, (resamples, x.size))
    low, high = np.percentile(np.median(x[picks], axis=1), [2.5, 97.5])
    return float(low), float(high)


def seconds(run: Callable[[], object]) -> float:
    """The duration of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def repeats(run: Callable[[], object], at_least: float) -> int:
    """How many calls in a row last about ``at_least`` seconds, after a first one to warm up."""
    run()
    once = seconds(run)
    return max(1, round(at_least / max(once, 1e-9)))


def alternate(
    ours: Callable[[], object], theirs: Callable[[], object], pairs: int = 15, at_least: float = 0.02
) -> Comparison:
    """Time two functions in this process as A-B-B-A, each run long enough for the clock."""
    n, m = repeats(ours, at_least), repeats(theirs, at_least)
    sides = ([], [])  # type: tuple[list[float], list[float]]

    def ours_once() -> None:
        sides[0].append(seconds(lambda: [ours() for _ in range(n)]) / n)

    def theirs_once() -> None:
        sides[1].append(seconds(lambda: [theirs() for _ in range(m)]) / m)

    for pair in range(pairs):
        for side in (ours_once, theirs_once) if pair % 2 == 0 else (theirs_once, ours_once):
            side()
    return compare(*sides)
