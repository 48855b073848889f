"""Measures against the machine: what counts as reached, and that the figures are of this machine."""

import pytest

from groundup.bench import alone, limits, timing


@pytest.mark.parametrize(
    ("unit", "value", "verdict"),
    [
        ("%", 76.0, "goal"), ("%", 75.0, "goal"), ("%", 41.0, "floor"), ("%", 39.0, "missed"),
        ("ms", 14.0, "goal"), ("ms", 20.0, "floor"), ("ms", 31.0, "missed"),
    ],
)  # fmt: skip
def test_more_percent_and_fewer_milliseconds_are_better(unit: str, value: float, verdict: str) -> None:
    floor, goal = (40, 75) if unit == "%" else (30, 15)
    assert alone.Measure("x", unit, floor, goal, value, value, value).verdict == verdict


def test_the_interval_holds_the_median_and_not_the_extremes() -> None:
    low, high = timing.interval([*range(100), 1e9])
    assert 30 < low < 50 < high < 70


def test_shares_and_the_import_are_measured() -> None:
    machine = limits.Limits(bytes_per_second=1e10, flops_per_second=1e11)
    measures = [alone.row_op_share("softmax", machine, runs=3), alone.import_time(pairs=1)]
    assert measures[0].value > 0
    assert alone.table(alone.records(measures)).count("\n") == 1 + len(measures)
