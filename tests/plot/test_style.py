"""The style of a block ends with the block, but for what a notebook's backend turned on in it."""

from collections.abc import Iterator

import pytest

from groundup import plot

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = matplotlib.is_interactive()
    yield
    matplotlib.interactive(before)


def test_a_setting_of_the_style_ends_with_its_block() -> None:
    with matplotlib.rc_context({"axes.grid": False}):
        with plot.style():
            assert matplotlib.rcParams["axes.grid"]
        assert not matplotlib.rcParams["axes.grid"]


def test_what_a_backend_turns_on_with_the_first_figure_stays_on() -> None:
    matplotlib.interactive(False)
    with plot.style():
        matplotlib.interactive(True)  # as the inline backend of notebooks does when it loads
    assert matplotlib.is_interactive()
