"""Tables as data: columns and typed cells; templates print them, pandas holds the raw values and writes them as CSV.

Which tables a report has stands in paper/tables.yaml; table_kinds.py says what builds the rows of each kind.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from experiments.spec import ReproductionError
from report.judge.trials import Outcome
from report.listings.spreadsheet import as_text
from report.quantities import Quantity
from report.sentences import quantities_of

Cell = str | Quantity | Outcome
Align = Literal["left", "right", "center"]


@dataclass(frozen=True)
class Column:
    """One column: `key` names it in the CSV, `header` and `unit` on a page.

    An OPTIONAL one is left out of a table in which it says nothing.
    """

    key: str
    header: str
    unit: str = ""
    align: Align = "left"
    optional: bool = False


@dataclass(frozen=True)
class Table:
    """A table ready for a template: `title` is the caption with its finding, `note` what is shown and from where.

    `condensed` stands in its place on paper, where it is too long to be read there; the CSV is of the whole. `claims` are
    those on which it tells the verdict.
    """

    name: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    condensed: "Table | None" = None
    claims: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        keys = [column.key for column in self.columns]
        if len(set(keys)) < len(keys):
            raise ReproductionError(f"table {self.name!r} has two columns with one key: {', '.join(keys)}")
        for number, row in enumerate(self.rows, 1):
            if len(row) != len(keys):
                raise ReproductionError(
                    f"table {self.name!r}, row {number}: {len(row)} cells; expected {len(keys)}: {', '.join(keys)}"
                )
            for key, cell in zip(keys, row, strict=True):
                if not isinstance(cell, Cell):
                    raise ReproductionError(
                        f"table {self.name!r}, row {number}, column {key!r}: found {cell!r}; expected text, a quantity "
                        "or an outcome (a number reaches a page only as a quantity)"
                    )

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Every quantity in the caption and the cells, row by row, then those of the condensed table."""
        cells = (self.title, self.note, *(cell for row in self.rows for cell in row))
        found = (one for cell in cells for one in ((cell,) if isinstance(cell, Quantity) else quantities_of(cell)))
        return (*found, *(self.condensed.quantities if self.condensed else ()))

    @cached_property
    def counts_runs(self) -> bool:
        """Whether a column says how many runs there are, so that the cells need not."""
        return any(column.key == "n" for column in self.columns)

    @cached_property
    def values(self) -> dict[str, list[Any]]:
        """The raw values by column, fractions as fractions; beside a quantity's column its state, n, interval and sd.

        Floats are rounded to ten digits, where machines still agree.
        """
        found: dict[str, list[Any]] = {}
        for index, column in enumerate(self.columns):
            cells = [row[index] for row in self.rows]
            found[column.key] = [_raw(cell) for cell in cells]
            if any(isinstance(cell, Quantity) for cell in cells):
                found.update(_beside(column.key, cells))
        return found

    @property
    def frame(self) -> pd.DataFrame:
        """The raw values as a DataFrame; whole numbers stay whole where others are missing."""
        return pd.DataFrame(self.values, dtype=object)

    @property
    def csv(self) -> str:
        """The raw values as CSV."""
        return as_csv(self.frame)


def as_csv(frame: pd.DataFrame) -> str:
    """FRAME as CSV without its index; a spreadsheet finds no formula in it."""
    safe = {
        as_text(name): pd.Series(map(as_text, column.to_numpy(object)), dtype=object) for name, column in frame.items()
    }
    return pd.DataFrame(safe).to_csv(index=False, lineterminator="\n")


def _raw(cell: Cell) -> str | float | int | None:
    return _rounded(cell.value) if isinstance(cell, Quantity) else str(cell)


def _beside(key: str, cells: list[Cell]) -> dict[str, list[Any]]:
    """The columns that explain a column of quantities; those in which nothing stands are left out."""
    found = [cell if isinstance(cell, Quantity) else None for cell in cells]
    spreads = [None if quantity is None else quantity.spread for quantity in found]
    columns: dict[str, list[Any]] = {
        f"{key}_state": [None if quantity is None else quantity.state.value for quantity in found],
        f"{key}_n": [None if quantity is None else quantity.n for quantity in found],
        f"{key}_low": [None if spread is None else _rounded(spread.low) for spread in spreads],
        f"{key}_high": [None if spread is None else _rounded(spread.high) for spread in spreads],
        f"{key}_sd": [None if spread is None else _rounded(spread.sd) for spread in spreads],
    }
    return {name: column for name, column in columns.items() if any(value is not None for value in column)}


def _rounded(value: float | None) -> float | int | None:
    """Ten significant digits; whole numbers without a point."""
    if value is None:
        return None
    rounded = float(f"{value:.10g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) > 1 else rounded
