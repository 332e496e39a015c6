"""Figures of differences and of costs: a forest of contrasts with their margin, accuracies against what they cost."""

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.spec import ACCURACY
from report.cells import CellEvidence, varying_parameters
from report.comparisons import are_pairs
from report.contrasts import Contrast, find_contrasts
from report.evidence import Evidence
from report.original import Quoted
from report.plots.figure import Figure, Row
from report.plots.figure_rows import absent, cell_label, epochs_words, interval_words, sample_words, undrawn
from report.quantities import Kind, spell
from report.sentences import Numbers, Sentence, joined
from report.words import amount, in_words


def forest(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """One line a contrast: our difference with its interval, and the one that the original reports."""
    listed = find_contrasts(evidence, original, item["groups"], item["base"], item["original"])
    cells = evidence.cells_of(item["groups"])
    if not any(contrast.ours.is_measured for contrast in listed):
        return absent(name, item, cells, "a difference")
    rows = [row for contrast in listed for row in _forest_rows(contrast, item["confidence"])]
    share = f"{100 * item['confidence']:g}"
    declared = Numbers(f"figure/{name}", ("report/paper/figures.yaml",))
    level = declared.spelled("confidence", item["confidence"], share, "level of the intervals", Kind.SHARE)
    has_intervals = any(contrast.interval(item["confidence"]) for contrast in listed)
    intervals = Sentence(" with ", level, f" intervals ({_method(listed)})") if has_intervals else ""
    drawn = Sentence("Diamonds are differences of means", intervals, ", ", sample_words(name, cells))
    band = ""
    if margin := item["margin"]:
        width = declared.spelled(
            "margin", margin, f"{100 * margin:.2f}", "margin of the claims on these groups", Kind.DIFFERENCE
        )
        band = Sentence("The band is the margin of ", width, ".")
    words = "; ".join(_forest_words(contrast, item["confidence"]) for contrast in listed)
    alt = f"Forest plot of differences in test accuracy{intervals}. {words}."
    note = joined(" ", (item["note"], drawn, band))
    return Figure(name, "forest", item["title"], note, alt, tuple(rows), {"margin": margin or 0.0})


def _method(listed: Iterable[Contrast]) -> str:
    """How the intervals were made: `Welch`, `paired by seed`, or both."""
    drawn = [contrast for contrast in listed if contrast.ours.is_measured]
    return " or ".join(sorted({"paired by seed" if are_pairs(c.cell, c.base) else "Welch" for c in drawn}))


def _forest_rows(contrast: Contrast, confidence: float) -> list[Row]:
    ours, interval = contrast.ours, contrast.interval(confidence)
    measured: Row = {"row": contrast.label, "who": "mean", "n": ours.n, "difference": ours.value}
    if ours.is_measured:
        measured |= {"low": interval.low, "high": interval.high} if interval else {"low": None, "high": None}
    else:
        measured = {"row": contrast.label, "who": ours.state.value, "difference": None}
    if contrast.reported is None or not contrast.reported.is_measured:
        return [measured]
    return [measured, {"row": contrast.label, "who": "original", "difference": contrast.reported.value}]


def _forest_words(contrast: Contrast, confidence: float) -> str:
    """`path native: +0.04 pp, between −0.32 pp and +0.40 pp, original +0.10 pp`."""
    ours, interval, reported = contrast.ours, contrast.interval(confidence), contrast.reported
    words = [spell(Kind.DIFFERENCE, ours.value) if ours.is_measured else ours.state.value]
    if interval:
        low, high = (spell(Kind.DIFFERENCE, end) for end in (interval.low, interval.high))
        words.append(f"between {low} and {high}")
    if reported is not None and reported.is_measured:
        words.append(f"original {spell(Kind.DIFFERENCE, reported.value)}")
    return f"{contrast.label}: {', '.join(words)}"


def scatter(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """Every cell's mean accuracy against a metric, a panel a metric; only cells with a run are drawn."""
    cells = evidence.cells_of(item["groups"])
    drawn = [cell for cell in cells if cell.quantity().is_measured]
    labels = _scatter_labels(cells, item["label"])  # of those not measured yet, too
    metrics = {panel["metric"]: panel["text"] for panel in item["panels"]}
    rows = [
        _scatter_row(cell, labels[cell.name], metric) for metric in metrics for cell in drawn if cell.values(metric)
    ]
    if not rows:
        return absent(name, item, cells, " and ".join(in_words(metric) for metric in metrics))
    marks = Sentence(f"Marks are means{interval_words(drawn)}, ", sample_words(name, drawn))
    note = joined(" ", (item["note"], marks, undrawn(name, len(cells) - len(drawn), cells)))
    words = "; ".join(_scatter_words(cell, item["label"], labels[cell.name]) for cell in drawn)
    alt = f"Scatter plots of test accuracy against {' and '.join(metrics.values())}. {words}."
    return Figure(name, "scatter", item["title"], note, alt, tuple(rows), {"panels": metrics})


def _scatter_labels(cells: Iterable[CellEvidence], name: str) -> dict[str, str]:
    """The label of each cell, its value of NAME; with what else differs among the cells of one value and one training."""
    alike: dict[tuple[Any, str], list[CellEvidence]] = {}
    for cell in cells:
        alike.setdefault((cell.parameters[name], epochs_words(cell)), []).append(cell)
    labels = {}
    for (value, _), same in alike.items():
        others = varying_parameters(same)
        for cell in same:
            labels[cell.name] = ", ".join([str(value), *([cell_label(cell, others)] if others else [])])
    return labels


def _scatter_row(cell: CellEvidence, label: str, metric: str) -> Row:
    accuracy, x = cell.quantity(), cell.quantity(metric)
    low, high = (accuracy.spread.low, accuracy.spread.high) if accuracy.spread else (None, None)
    shared = {"panel": metric, "label": label, "setting": epochs_words(cell), "x": x.value}
    return {**shared, ACCURACY: accuracy.value, "low": low, "high": high, "n": cell.n}


def _scatter_words(cell: CellEvidence, name: str, label: str) -> str:
    accuracy = spell(Kind.ACCURACY, cell.quantity().value)
    setting = ", ".join(filter(None, (f"{cell.word(name)} {label}", epochs_words(cell))))
    return f"{setting}: {accuracy} ({amount(cell.n, 'run')})"
