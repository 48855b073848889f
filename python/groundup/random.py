"""Seeding. Every random op draws from one counter-based stream (Philox), the same under both backends and for any
number of threads: draw number n depends on the seed and on n, on nothing else."""

from __future__ import annotations

from groundup import _core


def manual_seed(seed: int) -> None:
    """Start the random stream anew.

    Raises:
        ValueError: ``seed`` is not in 0 to 2^64 − 1.

    >>> import groundup as gu
    >>> gu.manual_seed(0)
    >>> a = gu.rand(3)
    >>> gu.manual_seed(0)
    >>> bool((gu.rand(3) == a).all())
    True
    """
    if not isinstance(seed, int) or not 0 <= seed < 2**64:
        raise ValueError(f"[manual_seed] seed must be in 0 to 2^64 - 1, but got {seed!r}")
    _core.set_rng_state(seed, 0)


def get_rng_state() -> tuple[int, int]:
    """The stream's seed and how many blocks of it were used."""
    seed, counter = _core.get_rng_state()
    return seed, counter


def set_rng_state(state: tuple[int, int]) -> None:
    """Return to a state from `get_rng_state`."""
    _core.set_rng_state(*state)
