"""What every kind of figure is made from: cells in words, and the words that captions share."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from experiments.spec import State
from report.cells import CellEvidence, runs_of
from report.plots.figure import Figure
from report.sentences import PLANNED, Numbers, Sentence, counted, goes_with, price_text, without_stop

_ENDS = (("fewest", 0), ("most", -1))


def absent(name: str, item: Mapping[str, Any], cells: Iterable[CellEvidence], drawn: str = "") -> Figure:
    """The figure that says what is missing, instead of empty axes; DRAWN is what recorded runs may not have measured."""
    runs = {status.run.name: status for cell in cells for status in cell.statuses}
    measured = sum(status.state is State.MEASURED for status in runs.values())
    numbers = Numbers(f"figure/{name}", PLANNED)
    every = numbers.count("runs", len(runs), "planned runs of the figure")
    if drawn and measured:
        there = numbers.count("runs-recorded", measured, "recorded runs of the figure")
        begun = f"Nothing to draw: no run has measured {drawn} (runs recorded: "
        message = Sentence(begun, there, " of ", every, ").")
    else:
        price = price_text(runs.values(), f"figure/{name}/price")
        which = " runs that this figure shows is recorded ("
        message = Sentence("Nothing to draw yet: none of the ", every, which, price, ").")
    return Figure(name, item["kind"], item["title"], item["note"], str(message), message=message)


def cell_label(cell: CellEvidence, names: Iterable[str]) -> str:
    """What tells CELL from its neighbours: `patch size 4, kernel size 9, 5 epochs`; those of NAMES that it has, the epochs last."""
    having = [name for name in names if name in cell.parameters]
    words = [cell.words([name]) for name in having if name != "epochs"]
    return ", ".join([*words, epochs_words(cell)] if "epochs" in having else words)


def epochs_words(cell: CellEvidence) -> str:
    """`5 epochs`; empty where the notebook has no such parameter."""
    epochs = cell.parameters.get("epochs")
    return "" if epochs is None else f"{epochs} epoch{'s' if epochs != 1 else ''}"


def numbers_of(name: str, cells: Iterable[CellEvidence]) -> Numbers:
    """The numbers in the caption of the figure NAME, from the runs of CELLS."""
    return Numbers(f"figure/{name}", runs_of(cells) or PLANNED)


def undrawn(name: str, missing: int, cells: Collection[CellEvidence], lacking: str = "no recorded run yet") -> str:
    """That MISSING of the CELLS of the figure NAME are not drawn, and what they have; nothing where there are none."""
    if not missing:
        return ""
    numbers = Numbers(f"figure/{name}", PLANNED)
    left = numbers.count(lacking.replace(" ", "-"), missing, f"settings with {lacking}")
    every = numbers.count("settings", len(cells), "settings of the figure")
    has, are = goes_with(left, "has", "have"), goes_with(left, "is", "are")
    return Sentence(left, " of ", every, f" settings {has} {lacking} and {are} not drawn.")


def interval_words(cells: Iterable[CellEvidence]) -> str:
    """What stands around the means of CELLS: ` with a 95 % t interval`; nothing where each is of a single run."""
    counts = {cell.n for cell in cells} - {0}
    if max(counts, default=0) < 2:
        return ""
    return " with a 95 % t interval" + (" from two runs on" if 1 in counts else "")


def dots_words(name: str, cells: Iterable[CellEvidence]) -> Sentence:
    """What single runs and their means are drawn as, and how many there are: without a stop."""
    cells = list(cells)
    intervals = interval_words(cells)
    return Sentence(f"Dots are single runs, diamonds their means{intervals}, ", without_stop(sample_words(name, cells)))


def sample_words(name: str, cells: Iterable[CellEvidence]) -> Sentence:
    """How many runs stand behind a mean, and how they were run: `2 to 3 runs a setting (cifar10, keras, fp32).`"""
    drawn = [cell for cell in cells if cell.n]
    counts, numbers = sorted({cell.n for cell in drawn}) or [0], numbers_of(name, drawn)
    fewest, most = (numbers.count(f"{which}-runs", counts[end], f"{which} runs of a setting") for which, end in _ENDS)
    runs = counted(fewest, "run") if len(counts) == 1 else Sentence(fewest, " to ", most, " runs")
    shared = []
    for setting in ("dataset", "recipe", "precision"):
        values = {getattr(cell.fidelity, setting) for cell in drawn} - {None}
        shared += [" or ".join(sorted(values))] if values else []
    return Sentence(runs, f" a setting ({', '.join(shared)})." if shared else " a setting.")
