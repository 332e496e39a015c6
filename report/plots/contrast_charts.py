"""The charts of differences and of costs; as in charts.py, each draws exactly a figure's rows."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from report.plots.charts import add_legend_below, distinct, hollow, mark
from report.plots.drawing import ORIGINAL, OURS, PAPER, QUIET, RULE, WIDTH
from report.plots.figure import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


def draw_forest(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """One line a contrast, the difference in percentage points to the right, zero and the margin behind."""
    labels = distinct(rows, "row")
    canvas.set_size_inches(WIDTH, 0.8 + 0.26 * len(labels))
    axes = canvas.subplots()
    margin = 100 * options["margin"]
    if margin:
        axes.axvspan(-margin, margin, color=RULE, alpha=0.6, linewidth=0, zorder=0)
    axes.axvline(0.0, color=QUIET, linewidth=0.8, zorder=1)
    ticks = []
    for y, label in enumerate(labels):
        here = [row for row in rows if row["row"] == label]
        for row in here:
            _draw_difference(axes, y, row)
        words = next((str(row["who"]) for row in here if row["difference"] is None), "")
        ticks.append(label + (f" (ours {words})" if words else ""))
    axes.set_yticks(range(len(labels)), ticks)
    axes.set(ylim=(len(labels) - 0.5, -0.5), xlabel="difference in test accuracy (pp)")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    if any(row["who"] == "original" for row in rows):  # ours alone needs no telling apart
        ours = ("ours", {"color": OURS, "marker": "D", "markersize": 4.5})
        add_legend_below(canvas, [ours, ("original", hollow(ORIGINAL, "o"))])


def _draw_difference(axes: "Axes", y: int, row: Row) -> None:
    """Ours as a diamond with its interval, the original's as a hollow circle; nothing where it is missing."""
    if row["difference"] is None:
        return
    x = 100 * float(row["difference"])
    if row["who"] == "original":
        axes.plot(x, y, linestyle="none", zorder=3, **hollow(ORIGINAL, "o"))
        return
    if row.get("low") is not None:
        ends = [[x - 100 * float(row["low"])], [100 * float(row["high"]) - x]]
        axes.errorbar((x,), (y,), xerr=ends, color=OURS, capsize=2.5, linewidth=1, zorder=3)
    axes.plot(x, y, "D", color=OURS, markersize=4.5, markeredgecolor=PAPER, markeredgewidth=0.5, zorder=4)


def draw_scatter(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """A panel a metric; a colour and a mark for each label, filled or hollow by the setting."""
    panels: Mapping[str, str] = options["panels"]
    labels, settings = distinct(rows, "label"), distinct(rows, "setting")
    canvas.set_size_inches(WIDTH, 2.9)
    grid = canvas.subplots(1, len(panels), sharey=True, squeeze=False).flatten().tolist()
    for axes, (metric, text) in zip(grid, panels.items(), strict=True):
        for row in rows:
            if row["panel"] == metric:
                _draw_point(axes, row, _style(labels.index(row["label"]), settings.index(row["setting"])))
        axes.set(xlabel=text)
        axes.margins(x=0.12)
        axes.xaxis.get_major_locator().set_params(nbins=5)
        axes.xaxis.set_major_formatter("{x:,.10g}")  # 0.9 and 1,000,000: all digits of a tick, and none of its rounding
    grid[0].set_ylabel("test accuracy (%)")
    pairs: Iterable[tuple[Any, Any]] = dict.fromkeys((row["label"], row["setting"]) for row in rows)
    entries = [
        (f"{label}, {at}" if at else str(label), _style(labels.index(label), settings.index(at))) for label, at in pairs
    ]
    add_legend_below(canvas, entries)


def _style(label: int, setting: int) -> dict[str, Any]:
    """The look of a mark: the first setting is filled, others are hollow."""
    look = {**mark(label), "markersize": 5.0}
    return look if setting == 0 else {**look, "markerfacecolor": "none"}


def _draw_point(axes: "Axes", row: Row, style: Mapping[str, Any]) -> None:
    x, y = float(row["x"]), 100 * float(row["test_accuracy"])
    if row["low"] is not None:
        ends = [[y - 100 * float(row["low"])], [100 * float(row["high"]) - y]]
        axes.errorbar((x,), (y,), yerr=ends, color=style["color"], capsize=2.5, linewidth=1, zorder=3)
    axes.plot(x, y, linestyle="none", zorder=4, **style)


def draw_hours(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """One line a group, hours to the right on a logarithmic scale: those taken filled, those to come hollow."""
    groups = distinct(rows, "group")
    canvas.set_size_inches(WIDTH, 0.9 + 0.19 * len(groups))
    axes = canvas.subplots()
    looks = {"took": {"color": OURS, "marker": "D", "markersize": 4.5}, "to come": hollow(OURS, "o")}
    for row in rows:
        axes.plot(
            float(row["hours"]), groups.index(row["group"]), linestyle="none", zorder=3, **looks[str(row["what"])]
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.10g}")
    axes.set_yticks(range(len(groups)), groups)
    axes.set(ylim=(len(groups) - 0.5, -0.5), xlabel="hours")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    texts = {"took": "the recorded runs took", "to come": "the others would take, by estimate"}
    add_legend_below(canvas, [(text, looks[what]) for what, text in texts.items() if what in distinct(rows, "what")])
