"""The tables that set things beside each other: changes beside what they change, models beside their cost, recipes."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from experiments.spec import State
from report.cells import NOT_MEASURED, CellEvidence, setting_of
from report.contrasts import Contrast, find_contrasts
from report.facts import Facts
from report.listings.result_tables import DASH, Declaration
from report.quantities import Kind, Quantity, Tier
from report.recipes import Setting
from report.sentences import Sentence, goes_with
from report.tables import Cell, Column, Table
from report.unknown import UnknownName
from report.words import in_words

_SEEN = ("seen in primary source", "seen in secondary source")


def contrasts(declared: Declaration, facts: Facts) -> Table:
    """The base in the first line, then one line a change: accuracy and difference, as quoted and as ours."""
    groups, base, who = (declared.options[name] for name in ("groups", "base", "original"))
    listed = find_contrasts(facts.evidence, facts.original, groups, base, who)
    start = facts.evidence.cell(groups[0], base)
    quoted = facts.quoted_for(who, start.parameters)
    first = (declared.options["base_text"], quoted.accuracy if quoted else DASH, DASH, start.quantity(), DASH)
    rows: list[tuple[Cell, ...]] = [first, *(_contrast_row(contrast, who, facts) for contrast in listed)]
    columns = (
        Column("change", "Change"),
        Column("original", "Original", "%", "right", optional=True),
        Column("reported", "Difference there", "pp", "right", optional=True),
        Column("ours", "Ours", "%", "right"),
        Column("difference", "Difference here", "pp", "right"),
    )
    numbers = declared.numbers([start, *(contrast.cell for contrast in listed)])
    known = sum(contrast.ours.is_measured for contrast in listed)
    measured = numbers.count("measured", known, "changes whose difference is measured")
    every = numbers.count("changes", len(listed), "changes of the table")
    finding = Sentence(measured, " of ", every, f" changes {goes_with(measured, 'is', 'are')} measured.")
    return declared.table(finding, columns, rows)


def _contrast_row(contrast: Contrast, who: str, facts: Facts) -> tuple[Cell, ...]:
    quoted = facts.quoted_for(who, contrast.cell.parameters)
    there: tuple[Cell, Cell] = (quoted.accuracy if quoted else DASH, contrast.reported or DASH)
    return contrast.label, *there, contrast.cell.quantity(), contrast.ours


def models(declared: Declaration, facts: Facts) -> Table:
    """One line a model of the groups: its size, its arithmetic, its accuracy and what training it took."""
    rows: list[tuple[Cell, ...]] = []
    cells = facts.evidence.cells_of(declared.options["groups"])
    for cell in cells:
        rows.append(
            (
                *map(str, declared.sizes(cell)),
                str(cell.parameters.get("epochs", DASH)),
                cell.quantity("parameters") if cell.records else DASH,
                _work_of(cell) or DASH,
                cell.n_of_planned,
                cell.quantity(),
                cost_or_dash(cell, "images_per_second"),
                cost_or_dash(cell, "peak_memory_mib"),
            )
        )
    columns = (
        *declared.parameter_columns(),
        Column("epochs", "Epochs", align="right", optional=True),
        Column("parameters", "Parameters", align="right"),
        Column("work", "Multiply-accumulates", "M", "right", optional=True),
        Column("n", "Runs", align="right"),
        Column("accuracy", "Accuracy", "%", "right"),
        Column("images_per_second", "Images per second", align="right", optional=True),
        Column("memory", "Peak memory", "MiB", "right", optional=True),
    )
    return declared.table(measured_of(declared, cells), columns, rows)


def measured_of(declared: Declaration, cells: Collection[CellEvidence], called: str = "") -> Sentence:
    """How many of CELLS have a run."""
    numbers = declared.numbers(cells)
    measured = numbers.count("measured", sum(cell.n > 0 for cell in cells), "cells of which a run is recorded")
    every = numbers.count("cells", len(cells), "cells of the table")
    return Sentence(measured, " of ", every, f"{called} {goes_with(measured, 'is', 'are')} measured.")


def cost_or_dash(cell: CellEvidence, metric: str) -> Cell:
    """The mean cost of CELL; a dash where it has no record, or none that measured it.

    Without an interval: what else the machine did is no sample of anything.
    """
    if not cell.records or any(metric not in record.cost for record in cell.records):
        return DASH
    quantity = cell.quantity(metric)
    if quantity.state is State.GATED and quantity.why == NOT_MEASURED:
        return DASH
    return replace(quantity, id=f"{quantity.id}/mean", spread=None)


def _work_of(cell: CellEvidence) -> Quantity | None:
    """The multiply-accumulates of an image in millions, as the records say; None where they do not."""
    found = [setting_of(record, "multiply_accumulates") for record in cell.records]
    if not found or not all(type(value) in (int, float) and value == found[0] for value in found):
        return None
    origin = tuple(record.run for record in cell.records)
    value, how = float(found[0]) / 1e6, "millions of multiply-accumulates of one image, counted in the model"
    id = f"{cell.group}/{cell.name}/multiply-accumulates"
    return Quantity(id, Kind.NUMBER, value, origin=origin, aggregate=how, tier=Tier.RUN_HERE)


def recipes(declared: Declaration, facts: Facts) -> Table:
    """One line a source of a recipe: the settings that it decides, with their values, and how certain that is."""
    rows: list[tuple[Cell, ...]] = []
    wanted: list[str] = declared.options["recipes"]
    for recipe in wanted:
        settings = [setting for setting in facts.recipes if setting.recipe == recipe]
        if not settings:
            known = ", ".join(dict.fromkeys(setting.recipe for setting in facts.recipes))
            raise UnknownName(f"recipes: no recipe {recipe!r}; there are {known or 'none'}")
        sources = dict.fromkeys((setting.source, setting.certainty) for setting in settings)
        for source, certainty in sources:
            decided = [s for s in settings if (s.source, s.certainty) == (source, certainty)]
            rows.append((recipe, _settings_text(decided), source, certainty))
    columns = (
        Column("recipe", "Recipe"),
        Column("settings", "Settings"),
        Column("source", "Source"),
        Column("certainty", "Certainty"),
    )
    unsure = sum(s.certainty not in _SEEN for s in facts.recipes if s.recipe in wanted)
    listed = sum(s.recipe in wanted for s in facts.recipes)
    numbers = declared.numbers()
    seen = numbers.count("seen", listed - unsure, "values of recipes.csv that were seen in a source")
    every = numbers.count("values", listed, "values of the recipes in recipes.csv")
    were = goes_with(seen, "was", "were")
    return declared.table(Sentence(seen, " of ", every, f" values {were} seen in a source."), columns, rows)


def _settings_text(settings: Iterable[Setting]) -> str:
    """`epochs 25 or 100, learning rate 0.05`: what the variants of a recipe have, each value once."""
    values: dict[str, dict[str, None]] = {}
    for setting in settings:
        values.setdefault(setting.name, {})[setting.value] = None
    return ", ".join(f"{in_words(name)} {' or '.join(found)}" for name, found in values.items())
