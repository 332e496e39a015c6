"""The chart of series: a panel each with lines of means along something that is counted, drawn from a figure's rows."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from report.charts import add_legend_below, distinct, mark, set_panel_title
from report.drawing import LINES, WIDTH
from report.figure import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

CROWDED = 0.12  # of the axis: as much a number takes


def draw_series(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """A panel a value of `panel`, a line a value of `line`; `x` is a number, or a word at even steps."""
    panels, lines = distinct(rows, "panel"), distinct(rows, "line")
    canvas.set_size_inches(WIDTH, 2.7)
    grid = canvas.subplots(1, len(panels), sharey=True, squeeze=False).flatten().tolist()
    for axes, panel in zip(grid, panels, strict=True):
        here = [row for row in rows if row["panel"] == panel]
        for line in distinct(here, "line"):
            _draw_line(axes, [row for row in here if row["line"] == line], _style(lines.index(line)))
        set_panel_title(axes, str(panel))
        axes.set(xlabel=options["x"])
        if options["log"]:
            axes.set_xscale("log")
            ticks = sorted(distinct(rows, "x"))
            axes.set_xticks(ticks, tick_labels(ticks))
            axes.minorticks_off()
    grid[0].set_ylabel("test accuracy (%)")
    add_legend_below(canvas, [(str(line), _style(index)) for index, line in enumerate(lines)])


def tick_labels(ticks: list[float]) -> list[str]:
    """The numbers at TICKS of a logarithmic axis, from its right end; one without room beside the last has none."""
    labels, last = [], math.inf
    for tick in reversed(ticks):
        is_near = math.log(last / tick) < CROWDED * math.log(ticks[-1] / ticks[0])
        labels.append("" if is_near else f"{round(tick):,}" if tick >= 10 else f"{tick:g}")
        last = last if is_near else tick
    return labels[::-1]


def _style(index: int) -> dict[str, Any]:
    return {**mark(index), "markersize": 4.0}


def _draw_line(axes: "Axes", rows: list[Row], style: Mapping[str, Any]) -> None:
    """Means joined in the order of x, each with its interval."""
    if not isinstance(rows[0]["x"], str):
        rows = sorted(rows, key=lambda row: float(row["x"] or 0))
    places = [row["x"] for row in rows]
    means = [100 * float(row["test_accuracy"] or 0) for row in rows]
    ends = [
        [0.0 if row["low"] is None else mean - 100 * float(row["low"]) for row, mean in zip(rows, means, strict=True)],
        [
            0.0 if row["high"] is None else 100 * float(row["high"]) - mean
            for row, mean in zip(rows, means, strict=True)
        ],
    ]
    axes.errorbar(places, means, yerr=ends, linestyle=LINES[0], linewidth=0.9, capsize=2, **style)
