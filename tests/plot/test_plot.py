"""Pictures: what they draw is what they were given, in the house style, small, and readable by everybody."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from groundup import plot

pytest.importorskip("matplotlib")


@pytest.fixture
def ax() -> Any:
    return plot.figure()[1]


def png(ax: Any) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a glyph that the font lacks
        ax.figure.savefig(buffer, format="png")
    return buffer.getvalue()


RNG = np.random.default_rng(0)
STEPS = np.arange(1, 1001)
WEIGHTS = np.tril(RNG.random((32, 32)))
MAKE: dict[str, Callable[[Any], Any]] = {
    "lines": lambda ax: plot.lines(STEPS, {str(k): STEPS**0.5 * k for k in range(9)}, title="Nine", ax=ax),
    "loss": lambda ax: plot.loss_curve(STEPS, RNG.random(1000), title="Noise", baselines={"chance": 0.5}, ax=ax),
    "heat": lambda ax: plot.token_heatmap(WEIGHTS, [f" word{k}" for k in range(32)], title="32", ax=ax),
    "glyphs": lambda ax: plot.token_heatmap(np.eye(4), ["水", b"\xff", "$x$", "हिन्दी"], title="Any token", ax=ax),
    "bars": lambda ax: plot.bars(["a", "b"], [1, -2], [[0, 2], [-3, -1]], title="Two", highlight=["b"], ax=ax),
    "roof": lambda ax: plot.roofline({"add": (0.1, 1e9)}, 1e11, 1e10, title="Roof", ax=ax),
    "histogram": lambda ax: plot.histogram({"a": RNG.random(99), "b": RNG.random(9)}, title="Spread", ax=ax),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKE)
def test_pictures_are_small_opaque_and_large_enough_to_read(ax: Any, name: str) -> None:
    from matplotlib.image import imread
    from matplotlib.text import Text

    assert MAKE[name](ax) is ax
    data = png(ax)
    assert len(data) <= 100_000
    pixels = imread(io.BytesIO(data))
    assert (pixels[..., 3] == 1).all() and (pixels[0, 0] == 1).all()
    shown = [t for t in ax.figure.findobj(Text) if t.get_text() and t.get_visible()]
    assert shown and min(t.get_fontsize() for t in shown) >= 10


def test_lines_differ_by_more_than_colour(ax: Any) -> None:
    drawn = plot.lines([1, 2], {str(k): [k, k] for k in range(7)}, ax=ax).get_lines()
    assert len({str(line.get_linestyle()) + line.get_marker() for line in drawn}) == 7
    assert len({line.get_color() for line in drawn}) == 7
    assert [line.get_ydata().tolist() for line in drawn] == [[k, k] for k in range(7)]


def test_loss_curve_draws_the_running_mean(ax: Any) -> None:
    noise = RNG.random(1000)
    pale, mean = plot.loss_curve(STEPS, noise, ax=ax).get_lines()
    assert pale.get_ydata().tolist() == noise.tolist()
    assert mean.get_label() == "loss, mean of 20 steps"
    assert mean.get_xdata()[0] == 20 and mean.get_ydata()[0] == pytest.approx(noise[:20].mean())


def test_bars_draw_their_intervals(ax: Any) -> None:
    plot.bars(["a", "b"], [1.0, 3.0], [[0.5, 2.0], [2.0, 3.5]], baseline=("chance", 0.5), ax=ax)
    assert [patch.get_height() for patch in ax.patches] == [1.0, 3.0]
    ends = np.concatenate([segment[:, 1] for segment in ax.collections[0].get_segments()])
    assert ends.tolist() == [0.5, 2.0, 2.0, 3.5]


def test_the_roof_is_the_lesser_limit(ax: Any) -> None:
    roof = plot.roofline({"x": (1.0, 5e9)}, 1e11, 1e10, ax=ax).get_lines()[0]
    x, y = roof.get_data()
    np.testing.assert_allclose(y, np.minimum(x * 10, 100))


def test_labels_of_tokens() -> None:
    assert plot.token_label("水") == "U+6C34" and plot.token_label(b"\xe6\xb0\n") == "\\xe6\\xb0↵"
    assert len(plot.token_label("x" * 99)) == 12


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda ax: plot.lines([1, 2], {"a": [1]}, ax=ax), r"ys\['a'\] must hold 2 numbers, but has 1"),
        (lambda ax: plot.lines([], {"a": []}, ax=ax), "x must hold at least one number"),
        (
            lambda ax: plot.token_heatmap([[1.0]], ["a", "b"], ax=ax),
            r"weights must be \(2, 2\).* got \(1, 1\)",
        ),
        (lambda ax: plot.bars(["a"], [1], [[1.5, 2]], ax=ax), "intervals must hold their values"),
        (lambda ax: plot.bars(["a"], [1], [1, 2], ax=ax), r"intervals must be \(1, 2\)"),
        (lambda ax: plot.roofline({"a": (0, 1)}, 1, 1, ax=ax), "points must be positive"),
    ],
)
def test_bad_input(ax: Any, call: Callable[[Any], Any], says: str) -> None:
    with pytest.raises(ValueError, match=rf"^\[plot\] {says}"):
        call(ax)


def test_without_matplotlib_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from groundup import plot\n"
        "try: plot.use()\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 'pip install "groundup[plot]"' in out


def test_style_puts_back_what_it_set_and_nothing_else() -> None:
    import matplotlib

    with matplotlib.rc_context({"interactive": False, "axes.facecolor": "pink"}):
        with plot.style():
            assert matplotlib.rcParams["axes.facecolor"] == "white"
            # As a notebook's backend does when the first figure loads it; or only the first picture would show.
            matplotlib.rcParams["interactive"] = True
        assert matplotlib.rcParams["interactive"]
        assert matplotlib.rcParams["axes.facecolor"] == "pink"
