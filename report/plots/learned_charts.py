"""The charts of what networks have learned and get wrong; as in charts.py, each draws exactly a figure's rows."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from report.plots.charts import add_legend_below, distinct
from report.plots.drawing import OURS, QUIET, WIDTH
from report.plots.figure import Row

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

CLEAR = (255, 255, 255, 0)  # white below, for readers that mix colours apart from how clear they are
MANY = 150  # bars
FINE = 9  # pixels along a side of a picture, about
NEGATIVE, ZERO, POSITIVE = (0.90, 0.38, 0.0), (0.97, 0.97, 0.97), (0.33, 0.15, 0.53)  # told apart by any colour vision


def draw_filters(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """A row of pictures a layer, on one scale a row: three colours as they are, one as orange, white and purple."""
    layers = distinct(rows, "row")
    across = max(sum(row["row"] == layer for row in rows) for layer in layers)
    size = (WIDTH - 0.75) / across  # of a picture with its gap, in inches
    canvas.set_size_inches(WIDTH, size * len(layers) + 0.1)
    axes = canvas.subplots()
    for y, layer in enumerate(layers):
        pictures = [_picture(row) for row in rows if row["row"] == layer]
        strip = _strip_of(pictures)
        gap = len(pictures) / (strip.shape[1] + 1)  # a pixel
        axes.imshow(strip, extent=(0, len(pictures) - gap, y + 1 - gap, y), interpolation="none", aspect="auto")
    axes.set(xlim=(0, across), ylim=(len(layers), 0), xticks=[])
    axes.set_yticks([y + 0.45 for y in range(len(layers))], [str(layer) for layer in layers])
    axes.set_aspect("equal")
    _strip_axes(axes)


def _strip_of(pictures: list["np.ndarray[Any, Any]"]) -> "np.ndarray[Any, Any]":
    """One picture of PICTURES side by side with a clear pixel between two, RGBA in bytes."""
    import numpy as np

    largest = max(float(abs(picture).max()) for picture in pictures) or 1.0
    fine = max(1, round(FINE / pictures[0].shape[-1]))  # small ones are drawn with more pixels, for gaps alike
    tiles = []
    for picture in pictures:
        shown = picture.transpose(1, 2, 0) / largest / 2 + 0.5 if len(picture) == 3 else _colour(picture[0] / largest)
        tile = np.rint(255 * shown.repeat(fine, 0).repeat(fine, 1)).astype(np.uint8)
        opaque = np.dstack([tile, np.full(tile.shape[:2], 255, np.uint8)])
        tiles += [opaque, np.full((len(tile), 1, 4), CLEAR, np.uint8)]
    return np.hstack(tiles[:-1])


def _picture(row: Row) -> "np.ndarray[Any, Any]":
    """(colours, height, width), in the steps of its row, whose scale no picture shows."""
    import numpy as np

    shape = json.loads(str(row["shape"]))
    return np.array(json.loads(str(row["values"])), dtype=float).reshape(-1, *shape[-2:])


def _colour(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """From -1 to 1: orange, white, purple."""
    import numpy as np

    share, zero = np.abs(values)[..., None], np.array(ZERO)
    return zero + share * (np.where(values[..., None] < 0, NEGATIVE, POSITIVE) - zero)


def draw_confusion(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """A row a class, a column what it is taken for; the darker, the more often; what is right stands in a frame."""
    from matplotlib.patches import Rectangle

    classes, taken = distinct(rows, "class"), distinct(rows, "taken for")
    canvas.set_size_inches(WIDTH, 1.1 + 0.27 * len(classes))
    axes = canvas.subplots()
    worst = max((float(row["share"] or 0) for row in rows if row["class"] != row["taken for"]), default=0) or 1.0
    for row in rows:
        x, y, share = taken.index(row["taken for"]), classes.index(row["class"]), float(row["share"] or 0)
        is_right = row["class"] == row["taken for"]
        look = {"fill": False, "edgecolor": QUIET} if is_right else {"facecolor": OURS, "alpha": 0.6 * share / worst}
        axes.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, linewidth=0.6 if is_right else 0, **look))
        if text := _share_text(share):
            axes.text(x, y, text, ha="center", va="center")
    axes.set(xlim=(-0.5, len(taken) - 0.5), ylim=(len(classes) - 0.5, -0.5), xlabel="taken for", ylabel="class")
    axes.set_xticks(range(len(taken)), taken, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    _strip_axes(axes)


def _share_text(share: float) -> str:
    """`8.3`; nothing where it would read 0.0."""
    text = f"{100 * share:.1f}"
    return "" if text == "0.0" else text


def _strip_axes(axes: "Axes") -> None:
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)


def draw_hardness(canvas: "Canvas", rows: tuple[Row, ...], options: Mapping[str, Any]) -> None:
    """Bars of test images by the share of networks that recognise them, and a line for independent errors."""
    canvas.set_size_inches(WIDTH, 2.5)
    axes = canvas.subplots()
    places = [int(row["recognised by"] or 0) for row in rows]
    images = [float(row["images"] or 0) for row in rows]
    if len(places) <= MANY:
        axes.bar(places, images, width=0.85, color=OURS, linewidth=0)
    else:  # one shape, where bars would be thinner than a line
        axes.stairs(images, [place - 0.5 for place in [*places, len(places)]], fill=True, color=OURS, linewidth=0)
    axes.plot(places, [float(row["if independent"] or 0) for row in rows], color=QUIET, linewidth=1, linestyle="--")
    axes.set(xlabel=f"networks, of {options['networks']}, that recognise an image", ylabel="test images")
    axes.set_xlim(-0.6, options["networks"] + 0.6)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.set_major_formatter("{x:,.10g}")
    axes.grid(visible=False, axis="x")
    add_legend_below(
        canvas,
        [
            ("counted", {"color": OURS, "marker": "s", "markersize": 5}),
            ("if the networks erred independently", {"color": QUIET, "marker": "_", "markersize": 9}),
        ],
    )
