"""The recipes' values with their sources, as paper/recipes.csv lists them.

The method holds them beside its recipes; the report may not import it, so they are kept in a file, which a test
compares with the method and writes anew (`pytest tests/test_recipes.py --refresh`).
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from experiments.reading import read_text
from experiments.spec import ConfigurationError
from report.fields import is_whole, refuse

COLUMNS = ("recipe", "epochs", "name", "value", "source", "certainty")


@dataclass(frozen=True)
class Setting:
    """One value of a recipe in its variant for so many epochs: as text, with its source and how certain that is."""

    recipe: str
    epochs: int
    name: str
    value: str
    source: str
    certainty: str


def read_recipes(path: Path) -> tuple[Setting, ...]:
    """The rows of PATH. Raises ConfigurationError with file and row for other columns or epochs that are no number."""
    try:
        rows = csv.DictReader(io.StringIO(read_text(path)))
        if tuple(rows.fieldnames or ()) != COLUMNS:
            refuse(f"{path.name}: columns", list(rows.fieldnames or ()), f"exactly {', '.join(COLUMNS)}")
        return tuple(_setting(row, f"{path.name}: row {number}") for number, row in enumerate(rows, 1))
    except csv.Error as error:
        raise ConfigurationError(f"{path.name}: this is no CSV: {error}") from error


def _setting(row: dict[str, str], place: str) -> Setting:
    if None in row or None in row.values():
        refuse(place, row, f"{len(COLUMNS)} fields")
    if not is_whole(row["epochs"]):
        refuse(f"{place}: epochs", row["epochs"], "a whole number")
    return Setting(**{**row, "epochs": int(row["epochs"])})
