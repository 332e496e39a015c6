"""From a table's typed cells to what a template prints: cells set, headers broken into lines, columns that may wrap.

Widths are estimated in characters. That is enough to choose between "as wide as it needs" and "takes a share and
wraps", between the text's width and the width with the margin, and to tell which few cells of a column may be its
widest: the typesetter measures these and not all, which takes a tenth less memory.
"""

import math
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from heapq import nlargest

from report.judge.trials import Outcome
from report.pages.formats import Finalize, Format, Fragment
from report.quantities import Quantity
from report.sentences import Sentence
from report.tables import Cell, Column, Table

HEADER_WIDTH = 13  # characters of a header's line, where the cells leave it free
WRAPPING = 32  # a column with a longer cell wraps
CAPITALS = 1.15  # how much wider bold capitals are than text
COMFORTABLE = 42  # a wrapping column wants at least this many characters a line
PARAGRAPH = 120  # a column of such cells, on average, holds paragraphs
LONG = 24  # more lines than this and the table may break over pages
MEASURED = 4  # so many of a column's cells are measured for its width
# How wide a character of the typesetter's font is, about, in letters like "n".
_NARROW, _BROAD = frozenset("fijlrt.,:;'|!()[]/- "), frozenset("mwMW%±—")
_TIED = "\N{NO-BREAK SPACE}"
_DIGITS = str.maketrans("123456789", "000000000")


@dataclass(frozen=True)
class _Room:
    """How many characters a line of a table has, in which type, and whether it hangs into the left margin."""

    characters: int
    wide: bool
    dense: bool


_ROOMS = (_Room(82, False, False), _Room(95, False, True), _Room(103, True, False), _Room(120, True, True))


@dataclass(frozen=True)
class SetColumn:
    """One column as a template needs it; `weight` and `share` are its part of the free and of the whole width.

    `widest` are the rows in which its widest cell may be; a column that wraps has none.
    """

    header: str
    unit: str
    lines: tuple[str, ...]
    align: str
    letter: Fragment
    wraps: bool
    weight: Fragment
    share: Fragment
    widest: tuple[int, ...]


@dataclass(frozen=True)
class SetRow:
    """The cells of one row; `anchors` are what links to it may name, `record` the file of the run that it is of."""

    cells: tuple[Fragment, ...]
    anchors: tuple[Fragment, ...] = ()
    record: str = ""


@dataclass(frozen=True)
class SetTable:
    """A table whose cells are set in one format.

    On paper the `leading` columns stand in a line above the others, which hold paragraphs and need the breadth.
    """

    name: str
    number: str
    title: str
    note: str
    columns: tuple[SetColumn, ...]
    rows: tuple[SetRow, ...]
    wide: bool
    dense: bool
    lines: int
    leading: int

    @property
    def long(self) -> bool:
        """Whether it may break over pages."""
        return self.lines > LONG

    @property
    def width(self) -> Fragment:
        """The number of columns on paper."""
        return Fragment(len(self.columns) - self.leading)

    @property
    def lists_runs(self) -> bool:
        """Whether each row is a run, which a page lets its reader sort, filter and draw."""
        return any(row.record for row in self.rows)

    @property
    def ruled(self) -> bool:
        """Whether thin rules part the rows: where cells wrap, white space alone does not."""
        return any(column.wraps for column in self.columns)


def plain(cell: Cell, *, unit: bool = False, n: bool = False) -> str:
    """CELL as a reader sees it in a table, without markup; a quantity with its UNIT and N where they are printed."""
    if isinstance(cell, Quantity):
        words = cell.parts
        shown = (words.value, words.spread, words.unit if unit else "", f"({words.n})" if n and words.n else "")
        return " ".join(word for word in shown if word)
    return f"x {cell}" if isinstance(cell, Outcome) else cell  # with its symbol


def _cells(table: Table, index: int) -> list[str]:
    unit, n = not table.columns[index].unit, not table.counts_runs
    return [plain(row[index], unit=unit, n=n) for row in table.rows]


def _header_lines(column: Column, longest: int) -> tuple[str, ...]:
    """The header over cells of at most LONGEST characters, in lines; what stands in parentheses stays together where it has room."""
    room = max(HEADER_WIDTH, min(longest, WRAPPING))
    whole = re.sub(rf"\([^()]{{,{room - 2}}}\)", lambda found: found[0].replace(" ", _TIED), column.header)
    lines = textwrap.wrap(whole, room, break_long_words=False)
    return tuple(line.replace(_TIED, " ") for line in lines) or ("",)


@dataclass(frozen=True)
class _Measure:
    """A column's header lines, its width in characters, whether it wraps, and the rows of its widest cells if not."""

    lines: tuple[str, ...]
    width: int
    wraps: bool
    widest: tuple[int, ...]


def _measure(table: Table, index: int) -> _Measure:
    column, cells = table.columns[index], _cells(table, index)
    longest = max(map(len, cells), default=0)
    lines = _header_lines(column, longest)
    if any(isinstance(row[index], Outcome) for row in table.rows):
        longest = math.ceil(CAPITALS * longest)
    breakable = any(" " in cell for cell in cells if len(cell) > WRAPPING)
    wraps = column.align == "left" and longest > WRAPPING and breakable
    head = max(len(line) for line in (*lines, f"({column.unit})" if column.unit else ""))
    return _Measure(lines, max(longest, head) + 2, wraps, () if wraps else _widest(cells))


def _widest(cells: list[str]) -> tuple[int, ...]:
    """The rows of those CELLS that may be the widest; of cells that differ in digits alone, which are equally wide, one."""
    alike = {cell.translate(_DIGITS): row for row, cell in enumerate(cells)}
    return tuple(alike[shape] for shape in nlargest(MEASURED, alike, key=_breadth))


def _breadth(text: str) -> float:
    """About how wide TEXT is, in letters."""
    return sum(
        0.6 if letter in _NARROW else 1.6 if letter in _BROAD else 1.3 if letter.isupper() else 1.0 for letter in text
    )


def _leading(table: Table, measures: list[_Measure]) -> int:
    """How many columns stand before those that hold paragraphs, where two or more do and no other follows."""
    wraps = [measure.wraps for measure in measures]
    leading = wraps.index(True) if True in wraps else 0
    if not table.rows or len(wraps) - leading < 2:
        return 0
    letters = [sum(map(len, _cells(table, index))) / len(table.rows) for index in range(leading, len(wraps))]
    return leading if all(wraps[leading:]) and min(letters) > PARAGRAPH else 0


def _columns(table: Table, measures: list[_Measure], room: int, leading: int) -> tuple[SetColumn, ...]:
    fixed = 0 if leading else sum(measure.width for measure in measures if not measure.wraps)
    need = [math.sqrt(measure.width) if measure.wraps else 0.0 for measure in measures]
    free, count = max(0.95 * room - fixed, 20) / room, sum(measure.wraps for measure in measures)
    columns = []
    for column, measure, weight in zip(table.columns, measures, need, strict=True):
        part = weight / sum(need) if measure.wraps else 0.0
        columns.append(
            SetColumn(
                column.header,
                column.unit,
                measure.lines,
                column.align,
                Fragment(column.align[0]),
                measure.wraps,
                Fragment(f"{part * count:.3f}"),
                Fragment(f"{part * free:.3f}"),
                measure.widest,
            )
        )
    return tuple(columns)


@dataclass(frozen=True)
class Layout:
    """What is the same in every format: the room, the columns, and the free room after single values."""

    table: Table
    room: _Room
    columns: tuple[SetColumn, ...]
    pads: tuple[str, ...]
    lines: int
    leading: int


def lay_out(table: Table) -> Layout:
    """The layout of TABLE."""
    measures = [_measure(table, index) for index in range(len(table.columns))]
    leading = _leading(table, measures)
    room = _ROOMS[-1] if leading else _room(measures)
    columns = _columns(table, measures, room.characters, leading)
    pads = tuple(_longest_spread(table, index) for index in range(len(table.columns)))
    lines = _lines(table, columns, room.characters) + (len(table.rows) if leading else 0)
    return Layout(table, room, columns, pads, lines, leading)


@dataclass(frozen=True)
class Places:
    """Where links to the rows of a table go: the anchors of each row, and the file of the record that it is of."""

    anchors: tuple[tuple[str, ...], ...]
    records: tuple[str, ...]


def set_table(
    layout: Layout, number: str, format: Format, finalize: Finalize, places: Places | None = None
) -> SetTable:
    """The table of LAYOUT under NUMBER, its cells set by FORMAT's templates; PLACES where its rows have anchors."""
    table, room = layout.table, layout.room
    escape = cache(format.escape)  # a list of runs has the same few states, devices and commits in every row
    rows = tuple(_set_row(layout, index, escape, finalize, places) for index in range(len(table.rows)))
    return SetTable(
        table.name,
        number,
        table.title,
        table.note,
        layout.columns,
        rows,
        room.wide,
        room.dense,
        layout.lines,
        layout.leading,
    )


def _set_row(
    layout: Layout, index: int, escape: Callable[[str], str], finalize: Finalize, places: Places | None
) -> SetRow:
    """One row; numbers in a row with an anchor of its own are no links, for this is where links lead."""
    table, anchors = layout.table, places.anchors[index] if places else ()
    cells = tuple(
        _set_cell(cell, column, pad, table.counts_runs, escape, finalize, link=not anchors)
        for cell, column, pad in zip(table.rows[index], table.columns, layout.pads, strict=True)
    )
    return SetRow(cells, tuple(map(Fragment, anchors)), places.records[index] if places else "")


def _room(measures: list[_Measure]) -> _Room:
    """The smallest room in which the columns fit, the wrapping ones with a comfortable line."""
    need = sum(min(measure.width, COMFORTABLE) if measure.wraps else measure.width for measure in measures)
    return next((room for room in _ROOMS if need <= room.characters), _ROOMS[-1])


def _lines(table: Table, columns: tuple[SetColumn, ...], room: int) -> int:
    """About how many lines the rows take."""
    widths = [(i, max(int(float(column.share) * room), 1)) for i, column in enumerate(columns) if column.wraps]
    return sum(max([1, *(math.ceil(len(plain(row[i])) / width) for i, width in widths)]) for row in table.rows)


def _longest_spread(table: Table, index: int) -> str:
    """The longest `± …` of a right-aligned column: cells without one leave its room free, so that points align."""
    if table.columns[index].align != "right" or not (table.columns[index].unit and table.counts_runs):
        return ""  # where units and n follow the spread, points do not align anyway
    cells = [row[index] for row in table.rows]
    spreads = [cell.parts.spread for cell in cells if isinstance(cell, Quantity)]
    return max(spreads, key=len, default="")


def _set_cell(
    cell: Cell,
    column: Column,
    pad: str,
    counts_runs: bool,
    escape: Callable[[str], str],
    finalize: Finalize,
    *,
    link: bool,
) -> Fragment:
    if isinstance(cell, Quantity):
        bare = cell.is_measured and not cell.parts.spread
        return finalize.quantity(cell, unit=not column.unit, n=not counts_runs, pad=pad if bare else "", link=link)
    if isinstance(cell, Outcome):
        return finalize.outcome(cell)
    if isinstance(cell, Sentence):
        return finalize.sentence(cell, link=link)
    return Fragment(escape(cell))
