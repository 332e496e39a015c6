"""Figures of accuracy along something that is counted: images seen in training, severities of a corruption."""

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.spec import ACCURACY
from report.cells import CellEvidence
from report.evidence import Evidence
from report.listings.budget_tables import images_seen, percent_of_images
from report.original import Quoted
from report.plots.figure import Figure, Row, in_order, place_text
from report.plots.figure_rows import absent, interval_words, sample_words, undrawn
from report.quantities import Kind, spell
from report.sentences import Sentence, joined


def budget(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """A panel a network, a line a share of the images, accuracy against the thousands of images seen in training."""
    cells = evidence.cells(item["group"])
    drawn = [cell for cell in cells if cell.quantity().is_measured and images_seen(cell)]
    if not drawn:
        return absent(name, item, cells, "how many images it has seen")
    drawn = sorted(drawn, key=lambda cell: float(cell.parameters["fraction"]), reverse=True)
    rows = [_budget_row(cell, item["panels"]) for cell in drawn]
    along = "images seen in training (thousands)"
    return _series(name, "budget", item, rows, along, cells, drawn, {"x": along, "log": True})


def _budget_row(cell: CellEvidence, names: Iterable[str]) -> Row:
    seen = images_seen(cell)
    assert seen is not None and seen.value is not None
    panel = cell.words(names)
    return {"panel": panel, "line": f"{percent_of_images(cell)} % of the images", "x": seen.value / 1000, **_mean(cell)}


def conditions(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """A panel a kind of corruption, a line a network, accuracy against the severity; the images as stored come first."""
    cells = evidence.cells(item["group"])
    drawn = [cell for cell in cells if cell.quantity().is_measured]
    rows = [
        {"panel": panel, "line": _network(cell, item["label"]), "x": text, **_mean(cell, metric)}
        for panel, metrics in item["panels"].items()
        for cell in drawn
        for metric, text in metrics.items()
        if all(metric in record.metrics for record in cell.records)
    ]
    if not rows:
        return absent(name, item, cells, "accuracy under these conditions")
    return _series(name, "conditions", item, rows, "severity of corruptions", cells, drawn, {"x": "", "log": False})


def _network(cell: CellEvidence, names: Iterable[str]) -> str:
    """`vit, patch size 4`; a size of 0 is one that the architecture has not."""
    texts = {name: cell.parameters[name] for name in names}
    words = [value for value in texts.values() if isinstance(value, str)]
    sizes = {name: value for name, value in texts.items() if not isinstance(value, str) and value}
    return ", ".join([*words, *([cell.words(sizes)] if sizes else [])])


def _mean(cell: CellEvidence, metric: str = ACCURACY) -> Row:
    quantity = cell.quantity(metric)
    low, high = (quantity.spread.low, quantity.spread.high) if quantity.spread else (None, None)
    return {ACCURACY: quantity.value, "low": low, "high": high, "n": cell.n}


def _panel_words(panel: str, rows: list[Row]) -> str:
    """Each line of PANEL from its first to its last mark: what an eye sees; the single values are in the CSV."""
    lines: dict[Any, list[Row]] = {}
    for row in rows:
        if row["panel"] == panel:
            lines.setdefault(row["line"], []).append(row)
    return f"{panel}: {'; '.join(f'{line} {_line_words(marks)}' for line, marks in lines.items())}."


def _line_words(marks: list[Row]) -> str:
    """`from 63.83 % at 225 to 66.96 % at 1,800`."""
    marks = in_order(marks)
    first, last = (
        f"{spell(Kind.ACCURACY, float(row[ACCURACY] or 0))} at {place_text(row['x'])}" for row in (marks[0], marks[-1])
    )
    return f"from {first} to {last}" if len(marks) > 1 else first


def _series(
    name: str,
    kind: str,
    item: Mapping[str, Any],
    rows: list[Row],
    along: str,
    cells: tuple[CellEvidence, ...],
    drawn: list[CellEvidence],
    options: Mapping[str, Any],
) -> Figure:
    alt = f"Line charts of mean test accuracy against {along}, {sample_words(name, drawn)} "
    alt += " ".join(_panel_words(panel, rows) for panel in dict.fromkeys(str(row["panel"]) for row in rows))
    aside = ", side by side" if kind == "conditions" else ""
    marks = Sentence(f"Marks are means{interval_words(drawn)}{aside}, ", sample_words(name, drawn))
    note = joined(" ", (item["note"], marks, undrawn(name, len(cells) - len(drawn), cells)))
    return Figure(name, kind, item["title"], note, alt, tuple(rows), options)
