"""The recipes that the report prints are the method's; the file that brings them there is written by this test."""

import csv
import io
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from convmixer.recipe import RECIPES
from convmixer.recipe_sources import find_sources
from experiments.spec import ConfigurationError
from report.recipes import COLUMNS, Setting, read_recipes

HEADER = ",".join(COLUMNS)


def as_text(value: object) -> str:
    """A value as a table prints it, to four digits."""
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def as_csv() -> str:
    """Every value of every variant of every recipe, with its source."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for variants in RECIPES.values():
        for recipe in variants:
            values = asdict(recipe)
            for name, source in find_sources(recipe).items():
                row = (recipe.name, recipe.epochs, name, as_text(values[name]), source.text, source.certainty)
                writer.writerow(row)
    return buffer.getvalue()


def test_the_file_holds_the_methods_own_values_and_sources(root: Path) -> None:
    """REFRESH_GOLDEN=1 writes it anew; look at the difference before you keep it."""
    path = root / "report/paper/recipes.csv"
    if os.environ.get("REFRESH_GOLDEN"):
        path.write_text(as_csv(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == as_csv()


def test_a_value_comes_with_recipe_epochs_source_and_certainty(root: Path) -> None:
    settings = read_recipes(root / "report/paper/recipes.csv")
    found = [s for s in settings if (s.recipe, s.epochs, s.name) == ("authors", 100, "erasing_probability")]
    source = "locuslab/convmixer-cifar10 2d3d9b7, README command for this number of epochs"
    assert found == [Setting("authors", 100, "erasing_probability", "0.2", source, "seen in primary source")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipe,epochs\n", f"recipes.csv: columns: found ['recipe', 'epochs']; expected exactly {', '.join(COLUMNS)}"),
        (f"{HEADER}\na,many,b,1,c,d\n", "recipes.csv: row 1: epochs: found 'many'; expected a whole number"),
    ],
)
def test_an_unclear_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipes.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_recipes(path)
    assert str(caught.value) == message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="recipes.csv: cannot be read: No such file or directory; expected "):
        read_recipes(tmp_path / "recipes.csv")
