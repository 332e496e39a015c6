"""The charts, kind by kind: each takes an empty canvas and a figure's rows and draws exactly these."""

import math
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from report.plots.drawing import COLOURS, EARLIER, LINES, MARKERS, ORIGINAL, OURS, PAPER, QUIET, WIDTH
from report.plots.figure import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


_LEGEND_ROOM = 80  # characters of the legend's size that a line of the canvas holds
_MARK_ROOM = 6  # of these, what an entry's mark and the space to the next take
_TITLE_ROOM = 84  # characters of a title's size that the panels of a row hold together


def _grid(canvas: "Canvas", panels: int, *, columns: int, row_inches: float, rest_inches: float) -> list["Axes"]:
    """As many axes as PANELS on one scale, in even rows of at most COLUMNS; REST_INCHES are for what is below them."""
    down = math.ceil(panels / columns)
    across = math.ceil(panels / down)
    canvas.set_size_inches(WIDTH, row_inches * down + rest_inches)
    made = canvas.subplots(down, across, sharey=True, squeeze=False).flatten().tolist()
    for axes in made[panels:]:
        axes.remove()
    return made[:panels]


def _label_rows(grid: Iterable["Axes"], text: str) -> None:
    for axes in grid:
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel(text)


def set_panel_title(axes: "Axes", text: str) -> None:
    """TEXT above the left end of AXES, in as many lines as the panel's width needs."""
    across = axes.get_subplotspec().get_gridspec().ncols
    axes.set_title(textwrap.fill(text, max(1, _TITLE_ROOM // across)), loc="left", color=QUIET)


def mark(index: int) -> dict[str, Any]:
    """A colour and a marker; no two of the first 49 have both in common."""
    turn = index // len(COLOURS)
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[(index + turn) % len(MARKERS)]}


def distinct(rows: Iterable[Row], key: str) -> list[Any]:
    """The values of a column, each once, in the order of the rows."""
    return list(dict.fromkeys(row[key] for row in rows))


def _percent(values: Iterable[Any]) -> list[float]:
    return [100 * float(value) for value in values]


def _mean_and_interval(axes: "Axes", x: float, row: Row, *, sideways: bool = False) -> None:
    """A mean as a diamond, its interval as a line with caps."""
    mean = 100 * float(row["test_accuracy"])
    if row.get("low") is not None:
        ends = [[mean - 100 * float(row["low"])], [100 * float(row["high"]) - mean]]
        place = ((mean,), (x,)) if sideways else ((x,), (mean,))
        axes.errorbar(*place, **{"xerr" if sideways else "yerr": ends}, color=OURS, capsize=2.5, linewidth=1, zorder=3)
    place = (mean, x) if sideways else (x, mean)
    axes.plot(*place, "D", color=OURS, markersize=4.5, markeredgecolor=PAPER, markeredgewidth=0.5, zorder=4)


def _marks(
    axes: "Axes", x: float, rows: list[Row], *, sideways: bool = False, within: float = math.inf
) -> list[tuple[float, dict[str, Any]]]:
    """Ours filled (runs as dots, beside their mean), others' hollow, what is missing in words.

    Others' values above WITHIN are not drawn but returned, each with its look.
    """
    beyond = []
    runs = _percent(row["test_accuracy"] for row in rows if row["who"] == "run")
    if runs:
        dots = (runs, [x - 0.16] * len(runs)) if sideways else ([x - 0.16] * len(runs), runs)
        axes.plot(*dots, "o", color=OURS, markersize=2.8, alpha=0.75, markeredgewidth=0, zorder=3)
    for row in rows:
        if row["who"] == "mean":
            _mean_and_interval(axes, x, row, sideways=sideways)
        elif row["who"] != "run" and row["test_accuracy"] is not None:
            y = 100 * float(row["test_accuracy"])
            look = hollow(ORIGINAL, "o") if row["who"] == "original" else hollow(EARLIER, "s")
            if y > within:
                beyond.append((y, look))
            else:
                axes.plot(*((y, x) if sideways else (x, y)), linestyle="none", zorder=3, **look)
    return beyond


def _at_the_edge(axes: "Axes", x: float, beyond: list[tuple[float, dict[str, Any]]]) -> None:
    """Values beyond the upper edge: their marks at it, and below each what it is, in digits."""
    for index, (value, look) in enumerate(beyond):
        place = x + 0.3 * (index - (len(beyond) - 1) / 2)
        edge = axes.get_xaxis_transform()
        axes.plot(place, 0.97, linestyle="none", transform=edge, clip_on=False, zorder=5, **look)
        axes.text(
            place, 0.92, f"{value:.1f} ↑", rotation=90, ha="center", va="top", color=look["color"], transform=edge
        )


def _highest_of_ours(rows: Iterable[Row]) -> float:
    """Where an axis that shows our differences may end: others' values can lie several times as far away."""
    keys = ("test_accuracy", "low", "high")
    ours = [
        100 * float(row[k]) for row in rows if row["who"] in ("run", "mean") for k in keys if row.get(k) is not None
    ]
    return max(ours) + 0.1 * (max(ours) - min(ours)) if ours else math.inf


def _within_possible(limits: tuple[float, float]) -> tuple[float, float]:
    """Limits of an axis of per cent: of few runs an interval can reach beyond what an accuracy can be."""
    return max(limits[0], -2.0), min(limits[1], 102.0)


def _absent_words(rows: list[Row]) -> str:
    return next((str(row["who"]) for row in rows if row["test_accuracy"] is None), "")


def _legend(canvas: "Canvas", rows: Iterable[Row]) -> None:
    """What the marks mean, below the axes, with the epochs of each."""

    def epochs(who: str) -> str:
        found = sorted({int(row["epochs"]) for row in rows if row["who"] == who and row["epochs"] is not None})
        return f", {' and '.join(map(str, found))} epochs" if found else ""

    rows = list(rows)
    entries = [
        ("run", "one run", {"color": OURS, "marker": "o", "markersize": 2.8}),
        ("mean", f"mean{epochs('mean')}", {"color": OURS, "marker": "D", "markersize": 4.5}),
        ("earlier report", f"earlier report{epochs('earlier report')}", hollow(EARLIER, "s")),
        ("original", f"original{epochs('original')}", hollow(ORIGINAL, "o")),
    ]
    present = {row["who"] for row in rows}
    add_legend_below(canvas, [(text, style) for who, text, style in entries if who in present])


def add_legend_below(canvas: "Canvas", entries: list[tuple[str, dict[str, Any]]]) -> None:
    """ENTRIES, each a text and the style of its mark, below the axes in as many lines as they need."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linestyle="none", label=text, **style) for text, style in entries]
    wide = sum(len(text) + _MARK_ROOM for text, _ in entries)
    columns = math.ceil(len(handles) / math.ceil(wide / _LEGEND_ROOM))
    canvas.legend(handles=handles, loc="outside lower center", ncols=columns, columnspacing=1.8, handletextpad=0.3)


def hollow(colour: str, marker: str) -> dict[str, Any]:
    """The style of a mark that is drawn as an outline: a value of others."""
    return {"color": colour, "marker": marker, "markersize": 4.8, "markerfacecolor": "none"}


def draw_effect(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """A panel a parameter: accuracy against its levels."""
    panels, within = options["panels"], _highest_of_ours(rows)
    grid = _grid(canvas, len(panels), columns=4, row_inches=2.35, rest_inches=0.4)
    outlying = []
    for axes, panel in zip(grid, panels, strict=True):
        found = [row for row in rows if row["panel"] == panel["panel"]]
        levels = distinct(found, "level")
        for x, level in enumerate(levels):
            here = [row for row in found if row["level"] == level]
            outlying.append((axes, x, _marks(axes, x, here, within=within)))
            if words := _absent_words(here):
                axes.text(
                    x,
                    0.03,
                    words,
                    rotation=90,
                    ha="center",
                    va="bottom",
                    fontstyle="italic",
                    color=QUIET,
                    transform=axes.get_xaxis_transform(),
                )
        axes.set_xticks(range(len(levels)), [str(level) for level in levels])
        axes.set(xlim=(-0.5, len(levels) - 0.5), xlabel=panel["parameter"])
        set_panel_title(axes, panel["title"])
        axes.grid(visible=False, axis="x")
    low, high = _within_possible(grid[0].get_ylim())
    if not any(beyond for _, _, beyond in outlying):
        grid[0].set_ylim(low, high)
    else:  # above a broken line the scale ends, and what lies beyond stands in digits
        grid[0].set_ylim(low, within + 0.45 * (within - low))
        grid[0].set_yticks([tick for tick in grid[0].get_yticks() if low <= tick <= within])
        for axes in grid:
            axes.axhline(within, color=QUIET, linewidth=0.6, linestyle=(0, (3, 3)), zorder=1)
    for axes, x, beyond in outlying:
        _at_the_edge(axes, x, beyond)
    _label_rows(grid, "test accuracy (%)")
    _legend(canvas, rows)


def draw_rows(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """One line a setting, accuracy to the right."""
    labels = distinct(rows, "row")
    canvas.set_size_inches(WIDTH, 0.75 + 0.3 * len(labels))
    axes = canvas.subplots()
    ticks = []
    for y, label in enumerate(labels):
        here = [row for row in rows if row["row"] == label]
        _marks(axes, y, here, sideways=True)
        words = _absent_words(here)
        ticks.append(textwrap.fill(label, 40) + (f"\n(ours {words})" if words else ""))
    axes.set_yticks(range(len(labels)), ticks)
    axes.set(ylim=(len(labels) - 0.5, -0.5), xlabel="test accuracy (%)")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(_within_possible(axes.get_xlim()))
    _legend(canvas, rows)


def draw_classes(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """A line a class: dots for the seeds, a diamond for their mean, the numbers of images at the right."""
    order = options["order"]
    counts = [key for key in rows[0] if key.endswith("_images")]
    canvas.set_size_inches(WIDTH, 0.75 + 0.22 * len(order))
    axes = canvas.subplots()
    for y, label in enumerate(order):
        here = [row for row in rows if row["class"] == label]
        values = _percent(row["test_accuracy"] for row in here)
        axes.plot(values, [y] * len(values), "o", color=OURS, markersize=3, alpha=0.7, markeredgewidth=0)
        axes.plot(
            sum(values) / len(values), y, "D", color=OURS, markersize=4.5, markeredgecolor=PAPER, markeredgewidth=0.5
        )
        for column, key in enumerate(counts):
            axes.text(
                1.1 + 0.11 * column,
                y,
                _count_text(here[0].get(key)),
                ha="right",
                va="center",
                transform=axes.get_yaxis_transform(),
            )
    for column, key in enumerate(counts):
        axes.text(
            1.1 + 0.11 * column,
            -0.8,
            key.removesuffix("_images").replace("validation", "valid."),
            ha="right",
            va="bottom",
            color=QUIET,
            transform=axes.get_yaxis_transform(),
        )
    axes.text(
        1.05 + 0.055 * len(counts),
        -1.5,
        "images",
        ha="center",
        va="bottom",
        color=QUIET,
        transform=axes.get_yaxis_transform(),
    )
    axes.set_yticks(range(len(order)), [textwrap.fill(label, 24) for label in order])
    axes.set(ylim=(len(order) - 0.5, -0.5), xlabel="test accuracy (%)")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    canvas.get_layout_engine().execute(canvas)  # words placed by the axes' size need a second look at the layout


def _count_text(count: Any) -> str:
    return f"{count:,}" if isinstance(count, int | float) else "\N{EN DASH}" if count is None else str(count)


def draw_curves(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """A panel a number of epochs: mean over seeds as a line, their range as a band."""
    column, panels = options["column"], distinct(rows, "panel")
    settings = distinct(rows, "setting")
    legend_rows = (len(settings) + 1) // 2
    grid = _grid(canvas, len(panels), columns=3, row_inches=2.1, rest_inches=0.4 + 0.16 * legend_rows)
    curves: dict[Any, dict[Any, list[Row]]] = {panel: {} for panel in panels}
    for row in rows:  # A row a run and epoch: there may be very many.
        curves[row["panel"]].setdefault(row["setting"], []).append(row)
    handles: dict[str, Any] = {}
    for axes, panel in zip(grid, panels, strict=True):
        for setting, here in curves[panel].items():
            handles[setting] = _curve(axes, here, column, options["factor"], settings.index(setting))
        axes.set(xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(panels) > 1:
            set_panel_title(axes, panel)
    _label_rows(grid, options["label"])
    canvas.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2, columnspacing=1.6)


def _curve(axes: "Axes", rows: list[Row], column: str, factor: float, index: int) -> Any:
    found: dict[Any, list[float]] = {epoch: [] for epoch in sorted(distinct(rows, "epoch"))}
    for row in rows:
        if row[column] is not None:
            found[row["epoch"]].append(factor * float(row[column]))
    epochs, by_epoch = list(found), list(found.values())
    means = [sum(values) / len(values) for values in by_epoch]
    colour = COLOURS[index % len(COLOURS)]
    axes.fill_between(
        epochs, [min(v) for v in by_epoch], [max(v) for v in by_epoch], color=colour, alpha=0.18, linewidth=0
    )
    (line,) = axes.plot(
        epochs,
        means,
        LINES[index // len(COLOURS) % len(LINES)],
        color=colour,
        marker=MARKERS[index % len(MARKERS)],
        markersize=3,
        linewidth=1.1,
        markevery=max(1, len(epochs) // 8),
    )
    return line
