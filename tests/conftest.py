"""Set-up of every test: hypothesis without deadlines, as no test may depend on how fast the machine is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("groundup", deadline=None, print_blob=True)
settings.load_profile("groundup")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real vocabularies and texts: $GROUNDUP_TEST_DATA, or shared/data beside the project."""
    beside = Path(__file__).parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("GROUNDUP_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip("needs real vocabularies and texts: set GROUNDUP_TEST_DATA")
    return folder
