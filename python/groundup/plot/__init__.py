"""Pictures in one style: colours that every reader tells apart, dashes and markers, opaque white, at least 10 pt.

The colours are Okabe and Ito's; a line also has its own dash and marker, a bar its own hatch where there are two kinds.
Titles state what the picture shows. matplotlib is imported where a picture is made.

>>> from groundup import plot
>>> plot.COLOURS["blue"]
'#0072B2'
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.text.view import readable

__all__ = [
    "COLOURS",
    "bars",
    "figure",
    "histogram",
    "lines",
    "loss_curve",
    "roofline",
    "style",
    "token_heatmap",
    "use",
]

#: Okabe and Ito's palette, without black and with yellow last, as it is faint on white.
COLOURS = {
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "orange": "#E69F00",
    "black": "#000000",
}
_DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    "-",
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")

#: Inches of a picture on a page: 7 by 3.6 at 100 dots is some 30 KB.
SIZE = (7.0, 3.6)


def _need() -> None:
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise ModuleNotFoundError('[plot] pictures need matplotlib: pip install "groundup[plot]"') from None


@functools.cache
def _parameters() -> dict[str, Any]:
    from cycler import cycler

    cycle = cycler(color=list(COLOURS.values())) + cycler(linestyle=_DASHES) + cycler(marker=_MARKERS)
    return {
        "axes.prop_cycle": cycle,
        "axes.facecolor": "white",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.edgecolor": "#444444",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.labelsize": 11,
        "axes.formatter.use_mathtext": True,
        "figure.facecolor": "white",
        "figure.edgecolor": "white",
        "figure.figsize": SIZE,
        "figure.dpi": 100,
        "figure.constrained_layout.use": True,
        "font.size": 10.5,
        "grid.color": "#bbbbbb",
        "grid.alpha": 0.45,
        "grid.linewidth": 0.7,
        "hatch.linewidth": 0.7,
        "image.cmap": "cividis",
        "legend.fontsize": 10,
        "legend.handlelength": 2.6,  # a dash on either side of the marker
        "legend.frameon": True,
        "legend.framealpha": 0.9,
        "legend.edgecolor": "#cccccc",
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "savefig.dpi": 100,
        "savefig.facecolor": "white",
        "text.color": "black",
        "xtick.labelsize": 10,
        "ytick.labelsize": 10,
    }


def use() -> None:
    """Make the style that of every picture from here on, plain matplotlib's too.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    _need()
    import matplotlib

    matplotlib.rcParams.update(_parameters())


def style() -> Any:
    """The style inside a ``with`` block.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    _need()
    return _styled()


@contextlib.contextmanager
def _styled() -> Iterator[None]:
    import matplotlib

    ours = _parameters()
    # Only these are put back. A notebook's backend, loaded by the first figure, sets others that must stay as they
    # are then: `rc_context` would undo that, and no picture but the first would show.
    before = {name: matplotlib.rcParams[name] for name in ours}
    matplotlib.rcParams.update(ours)
    try:
        yield
    finally:
        matplotlib.rcParams.update(before)


def figure(columns: int = 1, size: tuple[float, float] = SIZE) -> tuple[Any, Any]:
    """A figure to save, not to display, with one axes or a row of them: ``figure, axes``."""
    with style():
        from matplotlib.figure import Figure

        made = Figure(figsize=size)
        return made, made.subplots(1, columns)


def _axes(ax: Any, size: tuple[float, float] = SIZE) -> Any:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size)[1]


def _finish(ax: Any, title: str, xlabel: str, ylabel: str) -> Any:
    if title:
        ax.set_title(title)
    if xlabel:
        ax.set_xlabel(xlabel)
    if ylabel:
        ax.set_ylabel(ylabel)
    return ax


def _numbers(name: str, values: Any, length: int | None = None) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if length is not None and len(array) != length:
        raise ValueError(f"[plot] {name} must hold {length} numbers, but has {len(array)}")
    if not len(array):
        raise ValueError(f"[plot] {name} must hold at least one number, but is empty")
    return array


def _series(kind: int, n: int) -> dict[str, Any]:
    """Colour, dash and marker of the k-th line; markers about eight to a line, or on every point of a short one."""
    k = kind % len(_MARKERS)
    return {
        "color": list(COLOURS.values())[k],
        "linestyle": _DASHES[k],
        "marker": _MARKERS[k],
        "markevery": 1 if n <= 16 else max(1, n // 8),
    }


def lines(
    x: npt.ArrayLike,
    ys: Mapping[str, npt.ArrayLike],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    bands: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]] | None = None,
    logx: bool = False,
    logy: bool = False,
    ax: Any = None,
) -> Any:
    """Lines by name over one x, each with its own colour, dash and marker.

    Args:
        x: where.
        ys: values by name, as many as there are x.
        bands: low and high by name, drawn as a band around its line.
        logx, logy: logarithmic axes.
        ax: where to draw; a new picture by default.

    Returns:
        The axes.
    """
    with style():
        ax = _axes(ax)
        where = _numbers("x", x)
        for kind, (name, values) in enumerate(ys.items()):
            y = _numbers(f"ys[{name!r}]", values, len(where))
            ax.plot(where, y, label=name, **_series(kind, len(where)))
            if bands and name in bands:
                low, high = (_numbers(f"bands[{name!r}]", edge, len(where)) for edge in bands[name])
                ax.fill_between(
                    where,
                    low,
                    high,
                    color=list(COLOURS.values())[kind % len(COLOURS)],
                    alpha=0.2,
                    linewidth=0,
                )
        if logx:
            ax.set_xscale("log")
            if len(where) <= 12:  # the very points, and no powers of ten between them
                ax.set_xticks(where, [f"{at:,g}" for at in where])
                ax.minorticks_off()
        if logy:
            ax.set_yscale("log")
        if len(ys) > 3:  # many lines leave no room among them
            ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        elif len(ys) > 1:
            ax.legend()
        return _finish(ax, title, xlabel, ylabel)


def loss_curve(
    steps: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    losses: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    *,
    title: str = "",
    xlabel: str = "step",
    ylabel: str = "loss, nats a token",
    baselines: Mapping[str, float] | None = None,
    ax: Any = None,
) -> Any:
    """Losses over training steps; a long noisy one is drawn pale, with its running mean on top.

    Args:
        steps: of the losses; by name, if the losses were taken at different steps.
        losses: one series, or several by name: ``{"training": …, "validation": …}``.
        baselines: losses that need no training, such as that of letter frequencies, drawn as level lines.
        ax: where to draw; a new picture by default.

    Returns:
        The axes.
    """
    named = losses if isinstance(losses, Mapping) else {"loss": losses}
    with style():
        ax = _axes(ax)
        ax.xaxis.get_major_locator().set_params(integer=True)
        for kind, (name, values) in enumerate(named.items()):
            at = _numbers(f"steps of {name!r}", steps[name] if isinstance(steps, Mapping) else steps)
            y = _numbers(f"losses[{name!r}]", values, len(at))
            looks = _series(kind, len(at))
            width = max(1, len(y) // 50)
            if len(y) > 100:
                ax.plot(at, y, color=looks["color"], alpha=0.25, linewidth=0.8, marker="", linestyle="-")
                y, at = np.convolve(y, np.ones(width) / width, mode="valid"), at[width - 1 :]
                name = f"{name}, mean of {width} steps" if width > 1 else name
                looks |= {"marker": "", "linestyle": "-"}
            ax.plot(at, y, label=name, **looks)
        for name, value in (baselines or {}).items():
            ax.axhline(value, color="#444444", linestyle=(0, (2, 2)), linewidth=1.2)
            ax.annotate(
                f"{name} {value:.2f}", (1, value), xycoords=("axes fraction", "data"), xytext=(-4, 3),
                textcoords="offset points", ha="right", va="bottom",
            )  # fmt: skip
        if len(named) > 1 or "mean of" in (ax.get_lines()[-1].get_label() or ""):
            ax.legend()
        return _finish(ax, title, xlabel, ylabel)


def token_label(token: str | bytes, most: int = 12) -> str:
    """A token as a tick label: spaces shown, and what the picture's font lacks written as its code point.

    >>> token_label(b" the")
    '␣the'
    """
    text = readable(token if isinstance(token, bytes) else token.encode("utf-8", "surrogatepass"), "␣")
    known = _glyphs()
    shown = "".join(c if ord(c) in known else f"U+{ord(c):04X}" for c in text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


@functools.cache
def _glyphs() -> frozenset[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap())


def token_heatmap(
    weights: npt.ArrayLike,
    tokens: Sequence[str | bytes],
    *,
    keys: Sequence[str | bytes] | None = None,
    title: str = "",
    xlabel: str = "looks at",
    ylabel: str = "token",
    numbers: bool | None = None,
    vmin: float | None = 0.0,
    vmax: float | None = None,
    ax: Any = None,
) -> Any:
    """A table of weights over tokens, such as attention: a row a query, a column a key, dark where much goes.

    Args:
        weights: numbers; NaN is left white.             # queries,keys
        tokens: of the rows, and of the columns unless ``keys`` are given.
        numbers: write each weight into its cell; by default where there are at most 10 columns.
        ax: where to draw; a new picture by default.

    Returns:
        The axes.
    """
    w = np.asarray(weights, dtype=np.float64)
    across = tokens if keys is None else keys
    if w.ndim != 2 or w.shape != (len(tokens), len(across)):
        raise ValueError(
            f"[plot] weights must be ({len(tokens)}, {len(across)}), a row and a column a token, but got {w.shape}"
        )
    if not w.size:
        raise ValueError("[plot] weights must hold at least one number, but is empty")
    with style():
        from matplotlib.colors import LinearSegmentedColormap

        width = max(5.4, min(7.6, 2.6 + 0.38 * len(across)))
        ax = _axes(ax, (width, max(2.6, min(7.0, 1.3 + 0.3 * len(tokens)))))
        colours = LinearSegmentedColormap.from_list("groundup", ["#FFFFFF", "#9CCBEC", "#0072B2", "#002B49"])
        image = ax.imshow(w, cmap=colours, vmin=vmin, vmax=vmax, aspect="auto")
        ax.grid(False)
        labels = [token_label(t) for t in across]
        lying = (
            max(map(len, labels)) * len(labels) * 0.1 < width - 1.6
        )  # inches: letters are about a tenth wide
        turned = {} if lying else {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(range(len(across)), labels, parse_math=False, **turned)
        ax.set_yticks(range(len(tokens)), [token_label(t) for t in tokens], parse_math=False)
        if numbers if numbers is not None else len(across) <= 10:
            middle = sum(image.get_clim()) / 2
            for i, j in np.argwhere(np.isfinite(w)):
                ax.text(
                    j,
                    i,
                    f"{w[i, j]:.2f}",
                    ha="center",
                    va="center",
                    color="white" if w[i, j] > middle else "black",
                )
        ax.figure.colorbar(image, ax=ax, fraction=0.04, pad=0.02, aspect=30)
        return _finish(ax, title, xlabel, ylabel)


def bars(
    labels: Sequence[str],
    values: npt.ArrayLike,
    intervals: npt.ArrayLike | None = None,
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    baseline: tuple[str, float] | None = None,
    highlight: Sequence[str] = (),
    form: str = "{:.3g}",
    horizontal: bool | None = None,
    ax: Any = None,
) -> Any:
    """Bars with their values, and with intervals where something was repeated.

    Args:
        labels, values: one a bar.
        intervals: low and high of each, as values and not as distances.     # bars,2
        xlabel, ylabel: what the values are goes with their axis.
        baseline: name and value of a level line.
        highlight: labels whose bars stand out, in colour and by a hatch.
        form: of the numbers at the bars.
        horizontal: lying bars; by default where labels are long or many.
        ax: where to draw; a new picture by default.

    Returns:
        The axes.
    """
    names = [str(label) for label in labels]
    numbers = _numbers("values", values, len(names))
    if horizontal is None:
        horizontal = max(map(len, names)) > 9 or len(names) > 9
    errors = None
    if intervals is not None:
        edges = np.asarray(intervals, dtype=np.float64)
        if edges.shape != (len(names), 2):
            raise ValueError(
                f"[plot] intervals must be ({len(names)}, 2), low and high a bar, but got {edges.shape}"
            )
        if (edges[:, 0] > numbers).any() or (edges[:, 1] < numbers).any():
            raise ValueError("[plot] intervals must hold their values: low <= value <= high")
        errors = np.stack([numbers - edges[:, 0], edges[:, 1] - numbers])
    with style():
        size = (SIZE[0], max(2.2, 1.2 + 0.36 * len(names))) if horizontal else SIZE
        ax = _axes(ax, size)
        marked = [name in highlight for name in names]
        colours = [COLOURS["vermilion"] if m else COLOURS["sky"] for m in marked]
        looks: dict[str, Any] = {"color": colours, "edgecolor": "black", "linewidth": 0.8}
        at = np.arange(len(names))
        ends = numbers if errors is None else np.where(numbers >= 0, numbers + errors[1], numbers - errors[0])
        caps = {"ecolor": "black", "capsize": 4, "error_kw": {"elinewidth": 1.2}}
        # Lying bars are standing ones with x and y exchanged.
        if horizontal:
            draw, ticks, line, (along, across) = ax.barh, ax.set_yticks, ax.axvline, "xy"
            thick, gap, turn, beyond = 0.68, 5, -1, {1: "left", -1: "right"}
            ax.invert_yaxis()
        else:
            draw, ticks, line, (along, across) = ax.bar, ax.set_xticks, ax.axhline, "yx"
            thick, gap, turn, beyond = 0.62, 4, 1, {1: "bottom", -1: "top"}
        drawn = draw(at, numbers, thick, **{f"{along}err": errors}, **looks, **caps)
        ticks(at, names, parse_math=False)
        ax.grid(False, axis=across)
        for patch, m in zip(drawn.patches, marked, strict=True):
            patch.set_hatch("//" if m else "")
        for k, (number, end) in enumerate(zip(numbers, ends, strict=True)):
            sign = 1 if number >= 0 else -1
            ax.annotate(
                form.format(number),
                (k, end)[::turn],
                xytext=(0, gap * sign)[::turn],
                textcoords="offset points",
                **dict(zip(("ha", "va")[::turn], ("center", beyond[sign]), strict=True)),
            )
        ax.margins(**{along: 0.16})
        if baseline is not None:
            name, level = baseline
            line(
                level,
                color="#444444",
                linestyle=(0, (4, 2)),
                linewidth=1.3,
                label=f"{name}: {form.format(level)}",
            )
            ax.legend()
        return _finish(ax, title, xlabel, ylabel)


def histogram(
    values: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    *,
    bins: Any = 30,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "count",
    ax: Any = None,
) -> Any:
    """How values are spread, by one outline a name over common bins.

    Returns:
        The axes.
    """
    named = values if isinstance(values, Mapping) else {"": values}
    arrays = {name: _numbers(f"values[{name!r}]", v) for name, v in named.items()}
    with style():
        ax = _axes(ax)
        edges = np.histogram_bin_edges(np.concatenate(list(arrays.values())), bins)
        for kind, (name, array) in enumerate(arrays.items()):
            looks = _series(kind, 2)
            counts, _ = np.histogram(array, edges)
            ax.stairs(counts, edges, fill=True, alpha=0.2, color=looks["color"])
            ax.stairs(
                counts,
                edges,
                color=looks["color"],
                linestyle=looks["linestyle"],
                linewidth=1.8,
                label=name or None,
            )
        if len(arrays) > 1:
            ax.legend()
        return _finish(ax, title, xlabel, ylabel)


def roofline(
    points: Mapping[str, tuple[float, float]],
    flops_per_second: float,
    bytes_per_second: float,
    *,
    title: str = "",
    xlabel: str = "operations a byte",
    ylabel: str = "GF/s",
    ax: Any = None,
) -> Any:
    """What programs reach, under the roof that memory and arithmetic put over them.

    Args:
        points: for each name, operations a byte and operations a second.
        flops_per_second, bytes_per_second: the machine's limits, as `groundup.bench.limits.measure` finds them.
        ax: where to draw; a new picture by default.

    Returns:
        The axes.
    """
    for name, (intensity, rate) in points.items():
        if not (intensity > 0 and rate > 0):
            raise ValueError(f"[plot] points must be positive, but {name!r} is ({intensity}, {rate})")
    if not (flops_per_second > 0 and bytes_per_second > 0):
        raise ValueError("[plot] flops_per_second and bytes_per_second must be positive")
    with style():
        ax = _axes(ax)
        ridge = flops_per_second / bytes_per_second
        xs = [x for x, _ in points.values()]
        x = np.geomspace(min([ridge / 8, *xs]) / 2, max([ridge * 8, *xs]) * 2, 200)
        roof = np.minimum(x * bytes_per_second, flops_per_second) / 1e9
        ax.plot(x, roof, color="black", linestyle="-", marker="", linewidth=2)
        ax.fill_between(x, roof, roof.max() * 3, color="#000000", alpha=0.06, linewidth=0)
        for kind, (name, (intensity, rate)) in enumerate(points.items()):
            looks = _series(kind, 1) | {"linestyle": "", "markersize": 8, "markeredgecolor": "black"}
            ax.plot([intensity], [rate / 1e9], label=name, **looks)
        ax.set_xscale("log")
        ax.set_yscale("log")
        lowest = min([roof.min() * 2, *(rate / 1e9 for _, rate in points.values())])
        ax.set_ylim(lowest / 2, roof.max() * 3)
        below = int(np.searchsorted(x, ridge / 4))
        ax.annotate(
            f"memory: {bytes_per_second / 1e9:.0f} GB/s", (x[below], roof[below]), xytext=(-6, 2),
            textcoords="offset points", ha="right", va="bottom",
        )  # fmt: skip
        ax.annotate(
            f"arithmetic: {flops_per_second / 1e9:.0f} GF/s",
            (x[-1], roof[-1]),
            xytext=(-4, 5),
            textcoords="offset points",
            ha="right",
        )
        if points:
            ax.legend(loc="lower right")
        return _finish(ax, title, xlabel, ylabel)
