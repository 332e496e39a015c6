"""A figure as data: its words and the rows that are drawn. All that the drawing processes need to know of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from report.listings.spreadsheet import as_csv

Row = dict[str, str | int | float | None]


def in_order(rows: Sequence[Row]) -> list[Row]:
    """The ROWS of a line in the order of their `x`; words that are no numbers have that of the declaration."""
    try:
        return sorted(rows, key=lambda row: float(row["x"] or 0))
    except ValueError:
        return list(rows)


def place_text(x: str | float | None) -> str:
    """An `x` as a reader sees it: `1,800`, `0.5`, `as stored`."""
    if not isinstance(x, int | float):
        return str(x)
    return f"{round(x):,}" if x >= 10 else f"{x:g}"


@dataclass(frozen=True)
class Figure:
    """One figure: caption, alternative text, and the rows that are drawn; `message` instead where there are none."""

    name: str
    kind: str
    title: str
    note: str
    alt: str
    rows: tuple[Row, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""

    @property
    def csv(self) -> str:
        """The rows as CSV, raw: accuracies are fractions; a spreadsheet finds no formula in them."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        return as_csv({name: [row.get(name) for row in self.rows] for name in names})
