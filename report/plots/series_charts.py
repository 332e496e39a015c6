"""The chart of series: a panel each with lines of means along something that is counted, drawn from a figure's rows."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from report.plots.charts import add_legend_below, distinct, mark, set_panel_title
from report.plots.drawing import LINES, WIDTH
from report.plots.figure import Row, in_order, place_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

CROWDED = 0.12  # of the axis: as much a number takes
SIDE_BY_SIDE = 0.36  # of the smallest step: the marks of all lines at one word


def draw_series(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """A panel a value of `panel`, a line a value of `line`; `x` is a number, or a word with the marks side by side."""
    panels, lines = distinct(rows, "panel"), distinct(rows, "line")
    canvas.set_size_inches(WIDTH, 2.7)
    grid = canvas.subplots(1, len(panels), sharey=True, sharex=options["log"], squeeze=False).flatten().tolist()
    for axes, panel in zip(grid, panels, strict=True):
        here = [row for row in rows if row["panel"] == panel]
        places = {x: x for x in distinct(here, "x")}
        aside = 0.0
        if isinstance(here[0]["x"], str):
            places = word_places(list(places))
            aside = SIDE_BY_SIDE * min((b - a for a, b in pairwise(sorted(places.values()))), default=1.0) / len(lines)
            axes.set_xticks(list(places.values()), list(places))
        for line in distinct(here, "line"):
            marks = in_order([row for row in here if row["line"] == line])
            beside = aside * (lines.index(line) - (len(lines) - 1) / 2)
            _draw_line(axes, [places[row["x"]] + beside for row in marks], marks, _style(lines.index(line)))
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
        labels.append("" if is_near else place_text(tick))
        last = last if is_near else tick
    return labels[::-1]


def _style(index: int) -> dict[str, Any]:
    return {**mark(index), "markersize": 4.0}


def word_places(words: list[str]) -> dict[str, float]:
    """Where WORDS stand on an axis: at their values where all are numbers, as severities are, else at even steps."""
    try:
        return {word: float(word) for word in words}
    except ValueError:
        return {word: float(index) for index, word in enumerate(words)}


def _draw_line(axes: "Axes", places: list[float], rows: list[Row], style: Mapping[str, Any]) -> None:
    """The means of ROWS at PLACES, joined, each with its interval."""
    means = [100 * float(row["test_accuracy"] or 0) for row in rows]
    ends = [
        [0.0 if row["low"] is None else mean - 100 * float(row["low"]) for row, mean in zip(rows, means, strict=True)],
        [
            0.0 if row["high"] is None else 100 * float(row["high"]) - mean
            for row, mean in zip(rows, means, strict=True)
        ],
    ]
    axes.errorbar(places, means, yerr=ends, linestyle=LINES[0], linewidth=0.9, capsize=2, **style)
