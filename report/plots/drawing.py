"""Figures drawn with matplotlib: 13.5 cm wide, 7.5 pt sans, Okabe-Ito colours with markers, the same bytes every time.

Runs in processes of its own (`Studio`), so that importing matplotlib and drawing go on beside everything else. Glyphs
are drawn as paths: a figure looks the same wherever it is shown. `INK` and `PAPER` occur nowhere else, so that the HTML
report can put its own colours in their place.
"""

import gc
import io
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Self

from report.plots.figure import Figure
from report.plots.pictures import store_pictures

WIDTH = 13.5 / 2.54  # inches
INK, QUIET, RULE, PAPER = "#1b1b1a", "#6b6b6a", "#d4d0c9", "#fffffe"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
OURS, ORIGINAL, EARLIER = "#0072B2", "#D55E00", "#009E73"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "legend.fontsize": 7,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.fonttype": "path",
}
HANDS = 2  # processes that draw: with more, most would wait for the longest figure
# An id that matplotlib makes of what it names: a clip path's, a marker's, a collection's, a hatch's.
_DIGEST_ID = re.compile(r'(?:(?<= id=")|(?<=#))([pmCh])([0-9a-f]{10})(?=[")_])')
_LIBRARY = ["matplotlib.figure", "matplotlib.backends.backend_svg", "matplotlib.layout_engine"]


class Studio:
    """Two processes that draw while this one goes on; use as a context manager.

    Both are forked from a server that imports matplotlib once for them. It starts at once and nobody waits for it: when
    there is something to draw, it is ready.
    """

    def __enter__(self) -> Self:
        has_server = "forkserver" in multiprocessing.get_all_start_methods()  # Windows has not
        context = multiprocessing.get_context("forkserver" if has_server else "spawn")
        self._pool = ProcessPoolExecutor(HANDS, mp_context=context, initializer=_live_with_parent)
        if has_server:
            from multiprocessing import forkserver

            context.set_forkserver_preload(_LIBRARY)
            forkserver.ensure_running()
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def draw(self, figure: Figure, folder: Path) -> Future[None]:
        """FOLDER/<name>.svg of FIGURE, once the result is asked for."""
        return self._pool.submit(draw, figure, folder)


def _live_with_parent() -> None:
    """Let the drawing process print nothing, leave Ctrl-C to its parent, and end when its parent has ended, however.

    It ends after a few figures: to look for garbage in them would take a fifth of its time, and gain a few MiB.
    """
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def draw(figure: Figure, folder: Path) -> None:
    """FOLDER/<name>.svg of FIGURE. The same rows give the same bytes."""
    import matplotlib

    from report.plots import charts, contrast_charts, diagram, learned_charts, series_charts
    from report.plots.canvas import Canvas

    drawers = {
        "blocks": diagram.draw_blocks,
        "classes": charts.draw_classes,
        "curves": charts.draw_curves,
        "effect": charts.draw_effect,
        "rows": charts.draw_rows,
        "forest": contrast_charts.draw_forest,
        "scatter": contrast_charts.draw_scatter,
        "hours": contrast_charts.draw_hours,
        "budget": series_charts.draw_series,
        "conditions": series_charts.draw_series,
        "filters": learned_charts.draw_filters,
        "confusion": learned_charts.draw_confusion,
        "hardness": learned_charts.draw_hardness,
    }

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a matplotlibrc of this machine would draw another figure
        matplotlib.rcParams.update({**STYLE, "svg.hashsalt": figure.name})
        canvas = Canvas(layout="constrained")
        drawers[figure.kind](canvas, _printable(figure.rows), _printable(figure.options))
        drawn = io.StringIO()
        canvas.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    svg = store_pictures(_number_ids(drawn.getvalue()))
    (folder / f"{figure.name}.svg").write_text(svg, encoding="utf-8", newline="\n")


def _number_ids(svg: str) -> str:
    """SVG with matplotlib's ids numbered as they come.

    They are digests of coordinates to the last bit, which another processor rounds otherwise; what is drawn keeps six
    decimals, and is the same.
    """
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        kind, digest = match.groups()
        return numbers.setdefault(kind + digest, f"{kind}{len(numbers) + 1}")

    return _DIGEST_ID.sub(number, svg)


def _printable(value: Any) -> Any:
    """VALUE with every character that the font lacks as its number, `U+4E2D`, in all texts however deep."""
    if isinstance(value, str):
        return _printable_text(value)
    if isinstance(value, Mapping):
        return {key: _printable(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_printable(item) for item in value)
    return value


@cache  # the rows of a figure have the same few texts thousands of times
def _printable_text(text: str) -> str:
    return "".join(character if _has_glyph(character) else f"U+{ord(character):04X}" for character in text)


@cache
def _has_glyph(character: str) -> bool:
    from matplotlib.font_manager import findfont, get_font

    return character == "\n" or get_font(findfont(STYLE["font.family"])).get_char_index(ord(character)) != 0
