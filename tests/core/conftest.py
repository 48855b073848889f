"""Fixtures of the core tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import groundup as gu


@pytest.fixture(params=["cpp", "numpy"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test under both backends."""
    with gu.backend(request.param):
        yield request.param
