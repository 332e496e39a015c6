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
    def files(self) -> tuple[str, ...]:
        """The names of its CSV files, first that of what is drawn; none where nothing is drawn."""
        return (f"{self.name}.csv", *(f"{self.name}.{about}.csv" for about in self.more)) if self.rows else ()

    @property
    def data(self) -> dict[str, str]:
        """The content of each of its CSV files."""
        return {file: _as_csv(rows) for file, rows in zip(self.files, (self.rows, *self.more.values()), strict=False)}


def _as_csv(rows: Sequence[Row]) -> str:
    """The ROWS as CSV, raw: accuracies are fractions; a spreadsheet finds no formula in them."""
    buffer = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([as_text(row.get(name)) for name in columns] for row in rows)
    return buffer.getvalue()
