"""What every kind of figure is made from: cells in words, and the words that captions share."""

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.spec import State
from report.cells import CellEvidence
from report.plots.figure import Figure
from report.words import amount, price_text

INTERVALS = "Dots are single runs, diamonds their means with a 95 % t interval"


def absent(name: str, item: Mapping[str, Any], cells: Iterable[CellEvidence], drawn: str = "") -> Figure:
    """The figure that says what is missing, instead of empty axes; DRAWN is what recorded runs may not have measured."""
    runs = {status.run.name: status for cell in cells for status in cell.statuses}
    measured = sum(status.state is State.MEASURED for status in runs.values())
    if drawn and measured:
        message = f"Nothing to draw: no run has measured {drawn} (runs recorded: {measured} of {len(runs)})."
    else:
        price = price_text(runs.values())
        message = f"Nothing to draw yet: none of the {len(runs)} runs that this figure shows is recorded ({price})."
    return Figure(name, item["kind"], item["title"], item["note"], message, message=message)


def cell_label(cell: CellEvidence, names: Iterable[str]) -> str:
    """What tells CELL from its neighbours: `patch size 4, kernel size 9, 5 epochs`; those of NAMES that it has, the epochs last."""
    having = [name for name in names if name in cell.parameters]
    words = [cell.words([name]) for name in having if name != "epochs"]
    return ", ".join([*words, epochs_words(cell)] if "epochs" in having else words)


def epochs_words(cell: CellEvidence) -> str:
    """`5 epochs`; empty where the notebook has no such parameter."""
    epochs = cell.parameters.get("epochs")
    return "" if epochs is None else f"{epochs} epoch{'s' if epochs != 1 else ''}"


def sample_words(cells: Iterable[CellEvidence]) -> str:
    """How many runs stand behind a mean, and how they were run: `2 to 3 runs a setting (cifar10, keras, fp32).`"""
    drawn = [cell for cell in cells if cell.n]
    counts = sorted({cell.n for cell in drawn})
    runs = amount(counts[0], "run") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} runs"
    shared = []
    for name in ("dataset", "recipe", "precision"):
        values = {getattr(cell.fidelity, name) for cell in drawn} - {None}
        shared += [" or ".join(sorted(values))] if values else []
    return f"{runs} a setting ({', '.join(shared)})." if shared else f"{runs} a setting."
