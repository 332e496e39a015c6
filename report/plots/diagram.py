"""A block diagram from a list of blocks: boxes in a row, a frame around a repeated part, an arc for a residual."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from report.plots.drawing import INK, OURS, PAPER, QUIET, RULE, WIDTH
from report.plots.figure import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

HEIGHT, GAP, PAD = 1.5, 0.12, 0.12  # inches of the figure; between boxes; inside a frame
WIDTHS = {"image": 0.58, "layer": 0.76, "norm": 0.32, "sum": 0.2, "plain": 0.64}  # inches, before scaling to the page
FILLS = {"layer": "#d6e6f2", "norm": "#f0ebe0", "plain": "#ececea"}
MIDDLE, HALF = 0.61, 0.39  # of the boxes: centre and half their height, in inches


def _width(block: Mapping[str, Any]) -> float:
    if "repeat" in block:
        return sum(_width(inner) + GAP for inner in block["blocks"]) - GAP + 2 * PAD
    return WIDTHS[block["role"]]


def draw_blocks(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """The blocks of OPTIONS on CANVAS from left to right, scaled to its width; the rows say the same without the line breaks."""
    blocks = options["blocks"]
    total = sum(_width(block) + GAP for block in blocks) - GAP
    scale = (WIDTH - 0.02) / total
    canvas.set_size_inches(WIDTH, HEIGHT)
    canvas.set_layout_engine("none")
    axes = canvas.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.axis("off")
    x = 0.01
    for index, block in enumerate(blocks):
        if index:
            _arrow(axes, x - GAP * scale, x)
        _block(axes, x, block, scale)
        x += (_width(block) + GAP) * scale


def _arrow(axes: "Axes", start: float, end: float) -> None:
    style = {"arrowstyle": "-|>", "mutation_scale": 5, "linewidth": 0.7, "color": INK, "shrinkA": 0.5, "shrinkB": 0.5}
    axes.annotate("", (end, MIDDLE), (start, MIDDLE), arrowprops=style)


def _block(axes: "Axes", x: float, block: Mapping[str, Any], scale: float) -> None:
    if "repeat" in block:
        _frame(axes, x, block, scale)
    elif block["role"] == "image":
        _image(axes, x, block, _width(block) * scale)
    elif block["role"] == "sum":
        _sum(axes, x, block, _width(block) * scale)
    else:
        _box(axes, x, block, _width(block) * scale)


def _frame(axes: "Axes", x: float, block: Mapping[str, Any], scale: float) -> None:
    """The repeated part: its boxes in a dashed frame with the number of repetitions at its corner."""
    from matplotlib.patches import FancyBboxPatch

    width = _width(block) * scale
    box = FancyBboxPatch(
        (x, 0.1),
        width,
        1.28,
        boxstyle="round,pad=0,rounding_size=0.05",
        fill=False,
        edgecolor=QUIET,
        linewidth=0.8,
        linestyle="--",
    )
    axes.add_patch(box)
    axes.text(x + width - 0.07, 1.35, block["repeat"], ha="right", va="top", fontsize=9, fontweight="bold")
    at, start = x + PAD * scale, 0.0
    for index, inner in enumerate(block["blocks"]):
        if index:
            _arrow(axes, at - GAP * scale, at)
        if inner.get("residual") == "start":
            start = at - GAP * scale / 2
        if inner.get("residual") == "end":
            _arc(axes, start, at + _width(inner) * scale / 2)
        _block(axes, at, inner, scale)
        at += (_width(inner) + GAP) * scale


def _arc(axes: "Axes", start: float, end: float) -> None:
    """The residual connection: up from START, across, down to END."""
    top = MIDDLE + HALF + 0.13
    axes.plot([start, start, end], [MIDDLE, top, top], color=INK, linewidth=0.7, solid_joinstyle="round")
    style = {"arrowstyle": "-|>", "mutation_scale": 5, "linewidth": 0.7, "color": INK, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end, MIDDLE + 0.09), (end, top + 0.005), arrowprops=style)


def _box(axes: "Axes", x: float, block: Mapping[str, Any], width: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    fill = FILLS[block["role"]]
    shape = "round,pad=0,rounding_size=0.04"
    axes.add_patch(
        FancyBboxPatch(
            (x, MIDDLE - HALF), width, 2 * HALF, boxstyle=shape, facecolor=fill, edgecolor=QUIET, linewidth=0.6
        )
    )
    middle, dark = x + width / 2, "#1b1b1b"  # on the light fill also in a dark page
    if block["role"] == "norm":
        axes.text(
            middle,
            MIDDLE,
            block["text"],
            ha="center",
            va="center",
            rotation=90,
            fontsize=6.3,
            linespacing=1.1,
            color=dark,
        )
        return
    up = 0.19 if block.get("detail") else 0
    axes.text(middle, MIDDLE + up, block["text"], ha="center", va="center", fontsize=6.5, fontweight="bold", color=dark)
    axes.text(middle, MIDDLE - 0.17, block.get("detail", ""), ha="center", va="center", fontsize=6.3, color=dark)


def _image(axes: "Axes", x: float, block: Mapping[str, Any], width: float) -> None:
    """A square cut into patches."""
    from matplotlib.patches import Rectangle

    cells, side = 4, width / 4
    bottom = MIDDLE - width / 2
    for row in range(cells):
        for column in range(cells):
            fill = OURS if (row, column) == (3, 0) else RULE
            axes.add_patch(
                Rectangle(
                    (x + column * side, bottom + row * side), side, side, facecolor=fill, edgecolor=PAPER, linewidth=1
                )
            )
    words = f"{block['text']}\n{block.get('detail', '')}".rstrip("\n")
    axes.text(x + width / 2, bottom - 0.05, words, ha="center", va="top", fontsize=6.3)


def _sum(axes: "Axes", x: float, block: Mapping[str, Any], width: float) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle((x + width / 2, MIDDLE), 0.09, fill=False, edgecolor=INK, linewidth=0.8))
    axes.text(x + width / 2, MIDDLE - 0.004, block["text"], ha="center", va="center", fontsize=8)
