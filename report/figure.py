"""A figure as data: its words and the rows that are drawn. All that the drawing processes need to know of the report."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from report.spreadsheet import as_text

Row = dict[str, str | int | float | None]


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
        buffer = io.StringIO()
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        writer = csv.DictWriter(buffer, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: as_text(value) for name, value in row.items()} for row in self.rows)
        return buffer.getvalue()
