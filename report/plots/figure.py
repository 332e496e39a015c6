"""A figure as data: its words and the rows that are drawn. All that the drawing processes need to know of the report."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from report.listings.spreadsheet import as_text

Row = dict[str, str | int | float | None]


def in_order(rows: Sequence[Row]) -> list[Row]:
    """The ROWS of a line in the order of their `x`; words that are no numbers have that of the declaration."""
    try:
        return sorted(rows, key=lambda row: float(row["x"] or 0))
    except ValueError:
        return list(rows)


def place_text(x: str | float | None) -> str:
    """An `x` as a reader sees it, to three digits and whole from 100 on: `1,800`, `22.5`, `as stored`."""
    if not isinstance(x, int | float):
        return str(x)
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


@dataclass(frozen=True)
class Figure:
    """One figure: caption, alternative text, and the rows that are drawn; `message` instead where there are none.

    `more` are rows that are not drawn, by what they are about: each has a CSV of its own beside that of the figure.
    """

    name: str
    kind: str
    title: str
    note: str
    alt: str
    rows: tuple[Row, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    more: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, str]:
        """The names of its CSV files, each with its content; none where nothing is drawn."""
        if not self.rows:
            return {}
        others = {f"{self.name}.{about}.csv": _as_csv(rows) for about, rows in self.more.items()}
        return {f"{self.name}.csv": _as_csv(self.rows), **others}


def _as_csv(rows: Sequence[Row]) -> str:
    """The ROWS as CSV, raw: accuracies are fractions; a spreadsheet finds no formula in them."""
    buffer = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: as_text(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue()
