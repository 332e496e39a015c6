"""What the figures show: declared in figures.yaml, filled from the records, told in words for the blind.

A figure is first a table of plain rows, the one in its CSV; `report.plots.drawing` draws exactly these rows, in a process of
its own. So what is drawn can be checked without looking, and nothing here imports matplotlib.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from experiments.spec import ACCURACY, Record
from experiments.strict_yaml import read_yaml
from report import options
from report.cells import CellEvidence, by_level, kind_of, varying_parameters
from report.evidence import LEFT_OUT, Evidence
from report.fields import check_names, file_names, refuse
from report.judge.claims import Claim
from report.original import EARLIER, PAPER, Quoted
from report.plots import contrast_figures, cost_figures, learned_figures, series_figures
from report.plots.figure import Figure, Row
from report.plots.figure_rows import (
    absent,
    cell_label,
    dots_words,
    epochs_words,
    numbers_of,
    sample_words,
    undrawn,
)
from report.quantities import Kind, spell
from report.sentences import PLANNED, Numbers, Sentence, counted, goes_with, joined
from report.unknown import UnknownName
from report.words import amount, cell_text, in_words

CROWDED = 6  # more lines than this in one panel cannot be told apart


def read_figures(path: Path) -> dict[str, dict[str, Any]]:
    """The declarations of PATH by name. Raises ConfigurationError, naming the field, for what is unknown or missing."""
    content = read_yaml(path)
    check_names(content, {"version", "figures"}, {"version", "figures"}, path.name)
    if content["version"] != 1:
        refuse(f"{path.name}: version", content["version"], "1")
    declared = file_names(content["figures"], f"{path.name}: figures")
    for name, item in declared.items():
        options.check_item(item, {kind: checks for kind, (_, checks) in KINDS.items()}, f"{path.name}: figures.{name}")
    return dict(declared)


def build_figures(path: Path, evidence: Evidence, original: Mapping[str, Quoted]) -> dict[str, Figure]:
    """Every figure that PATH declares, with its data; what a rehearsal, a part of the plan, lacks is left out."""
    figures = {}
    for name, item in read_figures(path).items():
        try:
            figures[name] = KINDS[item["kind"]][0](name, item, evidence, original)
        except UnknownName as error:
            if not evidence.is_rehearsal:
                raise UnknownName(f"{path.name}: figures.{name}: {error}") from error
            message = f"Nothing to draw: {LEFT_OUT}."
            figures[name] = Figure(name, item["kind"], item["title"], item["note"], message, message=message)
    return figures


def refuse_bands_of_no_rule(path: Path, claims: Iterable[Claim]) -> None:
    """A forest's band and intervals show what a rule decides: raises ConfigurationError where no claim on its groups has them."""
    listed = list(claims)
    for name, item in read_figures(path).items():
        if item["kind"] != "forest":
            continue
        place, rules = f"{path.name}: figures.{name}", [claim for claim in listed if claim.group in item["groups"]]
        margins = sorted({claim.margin for claim in rules if claim.margin})
        if item["margin"] is not None and item["margin"] not in margins:
            wanted = ", ".join(["null", *(f"{margin:g}" for margin in margins)])
            refuse(f"{place}.margin", item["margin"], f"a margin of the claims on its groups: {wanted}")
        levels = sorted({0.95, *(1 - share * claim.alpha for claim in rules for share in (1, 2))})
        if not any(math.isclose(item["confidence"], level) for level in levels):
            wanted = ", ".join(f"{level:g}" for level in levels)
            refuse(
                f"{place}.confidence",
                item["confidence"],
                f"one of {wanted}, by which the claims on its groups are judged or means printed",
            )


def _blocks(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """A diagram of boxes and arrows, drawn as declared: it shows no result."""
    rows = tuple(_block_rows(item["blocks"]))
    alt = f"Block diagram, from left to right: {'; '.join(_block_words(rows))}."
    return Figure(name, "blocks", item["title"], item["note"], alt, rows, {"blocks": item["blocks"]})


def _block_rows(blocks: Iterable[Mapping[str, Any]], repeated: str = "") -> Iterator[Row]:
    """One row a box in the order of the diagram: what it says, its role, its size, the repeated part and the connection."""
    for block in blocks:
        if "repeat" in block:
            yield from _block_rows(block["blocks"], block["repeat"])
            continue
        # The lines of a narrow box are different things; those of a wide one are broken for want of room.
        between = " and " if block["role"] == "norm" else " "
        yield {
            "block": between.join(block["text"].split("\n")),
            "role": block["role"],
            "size": " ".join(block.get("detail", "").split()),
            "repeated": repeated,
            "residual": block.get("residual", ""),
        }


def _block_words(rows: Iterable[Row]) -> Iterator[str]:
    """The boxes in words, those of a repeated part together."""
    for repeated, part in groupby(rows, key=lambda row: row["repeated"]):
        words = []
        for row in part:
            size = f" ({row['size']})" if row["size"] else ""
            residual = f", where the residual connection {row['residual']}s" if row["residual"] else ""
            words.append(f"{row['block']}{size}{residual}")
        yield from [f"repeated {repeated}: {', then '.join(words)}"] if repeated else words


def _known(groups: Iterable[str], evidence: Evidence) -> list[str]:
    return [group for group in groups if group in evidence.groups or not evidence.is_rehearsal]


def _classes(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """One line a class of the test images: its number of images, and the accuracy on it of each run and in the mean."""
    cell = evidence.cell(item["group"], item["cell"]) if not evidence.is_rehearsal else evidence.cells(item["group"])[0]
    rows = [row for record in cell.records for row in _class_rows(record)]
    if not rows:
        return absent(name, item, [cell], "accuracy by class")
    runs = len({row["seed"] for row in rows})
    means = _means(rows, "class")
    ordered = sorted(means, key=means.__getitem__)
    setting = cell_label(cell, sorted(item["cell"]))
    dots = Sentence(
        f"Dots are single runs ({setting}, {cell.fidelity.words}; ",
        counted(numbers_of(name, [cell]).count("runs", runs, "runs with an accuracy by class"), "run"),
        "), diamonds their means; classes stand in the order of the means.",
    )
    note = joined(" ", (item["note"], dots))
    alt = (
        f"Dot plot of test accuracy for {len(means)} classes, from {ordered[0]} with "
        f"{spell(Kind.ACCURACY, means[ordered[0]])} to {ordered[-1]} with {spell(Kind.ACCURACY, means[ordered[-1]])} "
        "in the mean, with the number of images of each class beside it."
    )
    return Figure(name, "classes", item["title"], note, alt, tuple(rows), {"order": ordered})


def _class_rows(record: Record) -> Iterator[Row]:
    """One row a class whose accuracy RECORD has, with its images."""
    columns = record.breakdown or {}
    if "class" not in columns or ACCURACY not in columns:
        return
    for index, (label, accuracy) in enumerate(zip(columns["class"], columns[ACCURACY], strict=True)):
        if label is not None and accuracy is not None:
            counts = {f"{split}_images": columns[f"{split}_images"][index] for split in _splits(columns)}
            yield {"class": str(label), **counts, "seed": record.parameters["seed"], ACCURACY: accuracy}


def _splits(columns: Mapping[str, Any]) -> list[str]:
    """The splits whose images are counted, in the order of their use; others come last."""
    found = [key.removesuffix("_images") for key in columns if key.endswith("_images")]
    used = ("train", "validation", "test")
    return sorted(found, key=lambda split: used.index(split) if split in used else len(used))


def _means(rows: Iterable[Row], key: str) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(str(row[key]), []).append(float(row[ACCURACY]))
    return {name: sum(found) / len(found) for name, found in values.items()}


def _curves(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """A line a cell, the mean of a column of the histories by epoch; panels where one would hold too many lines."""
    groups, column = _known(item["groups"], evidence), item["column"]
    cells = evidence.cells_of(groups)
    drawn = [cell for cell in cells if _curves_of(cell, column)]
    if not drawn:
        _refuse_unknown_column(column, cells)
        return absent(name, item, cells, in_words(column))
    names = [key for key in varying_parameters(drawn) if key != "epochs"]
    common = [key for key in names if all(key in cell.parameters for cell in drawn)]
    facet = _choose_facet(drawn, common)
    inside = [key for key in names if key != facet]
    among = [key for key in reversed(common) if key != facet]
    for key in (*among, *([facet] if facet else [])):  # by panel, and in it by the first parameter
        drawn = by_level(drawn, key)
    rows: list[Row] = []
    for cell in drawn:
        panel = ", ".join(filter(None, [epochs_words(cell), *([cell_label(cell, [facet])] if facet else [])]))
        rows += _curve_rows(cell, column, {"panel": panel, "setting": cell_label(cell, inside) if names else cell.name})
    missing = sum(not cell.n for cell in cells)
    unmeasured = len(cells) - len(drawn) - missing
    sample = sample_words(name, drawn)
    bands = ", bands reach from the lowest to the highest seed" if any(cell.n > 1 for cell in drawn) else ""
    lines = Sentence(f"Lines are means over seeds{bands}; ", sample)
    left = (undrawn(name, missing, cells), undrawn(name, unmeasured, cells, "no measurement of it"))
    note = joined(" ", (item["note"], lines, *left))
    ends = [f"{cell_label(cell, names) or cell.name}: {_last(_curves_of(cell, column), column)}" for cell in drawn]
    alt = f"Learning curves of {in_words(column)} against epochs. Mean at the last epoch, " + "; ".join(ends) + "."
    is_share = kind_of(column) is Kind.ACCURACY
    label = in_words(column) + (" (%)" if is_share else "")
    look = {"column": column, "factor": 100 if is_share else 1, "label": label}
    return Figure(name, "curves", item["title"], note, alt, tuple(rows), look)


def _curves_of(cell: CellEvidence, column: str) -> list[Record]:
    """The runs of CELL that measured COLUMN in any epoch."""
    return [record for record in cell.records if set(record.history.get(column, ())) - {None}]


def _curve_rows(cell: CellEvidence, column: str, shared: Row) -> Iterator[Row]:
    """A row a run of CELL and epoch, each with what is SHARED."""
    for record in _curves_of(cell, column):
        for epoch, value in enumerate(record.history[column], 1):
            if value is not None:
                yield {**shared, "epoch": epoch, "seed": record.parameters["seed"], column: value}


def _refuse_unknown_column(column: str, cells: Iterable[CellEvidence]) -> None:
    """A misspelt COLUMN is not one that waits for its runs."""
    histories = [record.history for cell in cells for record in cell.records]
    if histories and not any(column in history for history in histories):
        known = sorted({name for history in histories for name in history})
        raise UnknownName(f"column: the histories have no column {column!r}; they have {', '.join(known) or 'none'}")


def _choose_facet(cells: list[CellEvidence], names: Iterable[str]) -> str | None:
    """The parameter with a panel for each of its values, where one panel would hold too many lines to tell apart.

    Of NAMES it is the one that leaves the most lines together which can be told apart; else the one with the fewest.
    """
    if max(Counter(cell.parameters.get("epochs") for cell in cells).values()) <= CROWDED:
        return None
    fullest = {
        name: max(Counter((cell.parameters.get("epochs"), cell.parameters[name]) for cell in cells).values())
        for name in names
    }
    clear = {name: lines for name, lines in fullest.items() if lines <= CROWDED}
    return max(clear, key=clear.__getitem__) if clear else min(fullest, key=fullest.__getitem__, default=None)


def _last(records: Iterable[Record], column: str) -> str:
    """The mean at the last epoch, of the runs that measured it there: `51.00 % (3 runs)`."""
    values = [value for record in records if (value := record.history[column][-1]) is not None]
    if not values:
        return "not measured"
    kind, mean = kind_of(column), sum(values) / len(values)
    shown = spell(kind, mean if kind is Kind.ACCURACY else float(f"{mean:.4g}"))
    return f"{shown} ({amount(len(values), 'run')})"


def _quoted(cell: CellEvidence, original: Mapping[str, Quoted]) -> list[Quoted]:
    """The paper's values for CELL, after any number of epochs, and the earlier report's after as many as ours.

    Nobody else's: a third party's run is neither an original nor the attempt that this report takes up.
    """
    return [
        quoted
        for quoted in original.values()
        if not quoted.is_bound
        and quoted.fits(cell.parameters)
        and (quoted.who == PAPER or (quoted.who == EARLIER and quoted.epochs == cell.parameters.get("epochs")))
    ]


def _who(quoted: Quoted) -> str:
    return "original" if quoted.who == PAPER else EARLIER


def _quoted_rows(cell: CellEvidence, original: Mapping[str, Quoted]) -> list[Row]:
    return [
        {"who": _who(quoted), "epochs": quoted.epochs, ACCURACY: float(quoted.accuracy_pct) / 100}
        for quoted in _quoted(cell, original)
    ]


def _measured_rows(cell: CellEvidence) -> list[Row]:
    """Every run of CELL, then the mean with its interval."""
    epochs = cell.parameters.get("epochs")
    runs = zip(cell.seeds, cell.values(), strict=True)
    rows: list[Row] = [{"who": "run", "epochs": epochs, "seed": seed, ACCURACY: value} for seed, value in runs]
    quantity = cell.quantity()
    if quantity.is_measured:
        low, high = (quantity.spread.low, quantity.spread.high) if quantity.spread else (None, None)
        rows.append({"who": "mean", "epochs": epochs, "n": cell.n, ACCURACY: quantity.value, "low": low, "high": high})
    else:
        rows.append({"who": quantity.state.value, "epochs": epochs, ACCURACY: None})
    return rows


def _accuracy_words(label: str, cell: CellEvidence, original: Mapping[str, Quoted]) -> str:
    """`kernel size 9, 5 epochs: 74.42 % (3 runs), earlier report 70.62 %, original after 200 epochs 92.61 %`."""
    quantity = cell.quantity()
    words = [quantity.state.value]
    if quantity.is_measured:
        words = [f"{spell(Kind.ACCURACY, quantity.value)} ({amount(cell.n, 'run')})"]
    for quoted in _quoted(cell, original):
        after = f" after {quoted.epochs} epochs" if quoted.epochs not in (None, cell.parameters.get("epochs")) else ""
        words.append(f"{_who(quoted)}{after} {quoted.accuracy_pct} %")
    return f"{label}: {', '.join(words)}"


def _effect(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """A panel a sweep: accuracy by the levels of one parameter, runs and their means beside what others report."""
    rows, words, panels, hidden = [], [], [], 0
    sweeps = [evidence.sweep(panel["group"], panel["parameter"], panel.get("where", {})) for panel in item["panels"]]
    cells = {cell.name: cell for sweep in sweeps for cell in sweep}
    varied = varying_parameters(cells.values())
    for panel, sweep in zip(item["panels"], sweeps, strict=True):
        parameter = panel["parameter"]
        if any(cell.n for cell in cells.values()) and not any(cell.n for cell in sweep):
            hidden += 1
            continue
        fixed = [key for key in varied if key != parameter]
        differing = varying_parameters(sweep)
        title = cell_label(sweep[0], [key for key in fixed if key not in differing]) or epochs_words(sweep[0])
        key = _panel_key(panel)
        panels.append({"panel": key, "parameter": sweep[0].word(parameter), "title": title})
        for cell in sweep:
            shared = {"panel": key, "level": cell.parameters[parameter]}
            rows += [{**shared, **row} for row in (*_measured_rows(cell), *_quoted_rows(cell, original))]
            words.append(_accuracy_words(cell_label(cell, [*fixed, parameter]), cell, original))
    if not any(cell.n for cell in cells.values()):
        return absent(name, item, cells.values())
    quoted = [row for row in rows if row["who"] in ("original", EARLIER)]
    after = ", after the number of epochs that the legend names" if any(row["epochs"] for row in quoted) else ""
    beyond = "in digits above the broken line where they lie beyond the scale"
    others = f"; hollow marks are others' results{after}, {beyond}" if quoted else ""
    alt = "Dot plots of test accuracy. " + "; ".join(words) + "."
    dots = Sentence(dots_words(name, cells.values()), f"{others}.")
    left = ""
    if hidden:
        numbers = Numbers(f"figure/{name}", PLANNED)
        without = numbers.count("sweeps-undrawn", hidden, "sweeps without a recorded run")
        every = numbers.count("sweeps", len(item["panels"]), "declared sweeps")
        told = goes_with(without, "has no recorded run yet and is", "have no recorded run yet and are")
        left = Sentence(without, " of ", every, f" sweeps {told} not drawn.")
    note = joined(" ", (item["note"], dots, left))
    return Figure(name, "effect", item["title"], note, alt, tuple(rows), {"panels": panels})


def _panel_key(panel: Mapping[str, Any]) -> str:
    """What tells one panel from the others in the figure's CSV: `kernel-size-25, patch size 4`."""
    return ", ".join([panel["group"], *([cell_text(panel["where"])] if panel.get("where") else [])])


def _rows(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """One line a cell of the groups: accuracy, runs and their mean beside what others report."""
    cells = evidence.cells_of(_known(item["groups"], evidence))
    names = [key for key in varying_parameters(cells) if key != "epochs"]
    rows: list[Row] = []
    for cell in cells:
        label = cell_label(cell, [*names, "epochs"])
        rows += [{"row": label, **row} for row in (*_measured_rows(cell), *_quoted_rows(cell, original))]
    if not any(row[ACCURACY] is not None for row in rows):
        return absent(name, item, cells)
    ours = dots_words(name, cells) if any(cell.n for cell in cells) else "No run of ours counts yet"
    note = joined(" ", (Sentence(ours, "; hollow marks are others' results."), item["note"]))
    words = [_accuracy_words(cell_label(cell, [*names, "epochs"]), cell, original) for cell in cells]
    alt = "One line for each setting with our accuracy beside what others report. Ours, " + "; ".join(words) + "."
    return Figure(name, "rows", item["title"], note, alt, tuple(rows))


# Each kind of figure: what builds it, and the fields that its declaration has beside kind, title and note.
KINDS: Mapping[str, tuple[Callable[..., Figure], Mapping[str, options.Check]]] = {
    "blocks": (_blocks, {"blocks": options.blocks}),
    "classes": (_classes, {"group": options.TEXT, "cell": options.parameters}),
    "curves": (_curves, {"groups": options.TEXTS, "column": options.TEXT}),
    "effect": (_effect, {"panels": options.EFFECT_PANELS}),
    "rows": (_rows, {"groups": options.TEXTS}),
    "forest": (
        contrast_figures.forest,
        {
            "groups": options.TEXTS,
            "base": options.parameters,
            "original": options.TEXT,
            "margin": options.share_or_none,
            "confidence": options.share,
        },
    ),
    "scatter": (
        contrast_figures.scatter,
        {"groups": options.TEXTS, "label": options.TEXT, "panels": options.SCATTER_PANELS},
    ),
    "hours": (cost_figures.hours, {}),
    "budget": (series_figures.budget, {"group": options.TEXT, "panels": options.TEXTS}),
    "conditions": (
        series_figures.conditions,
        {"group": options.TEXT, "label": options.TEXTS, "panels": options.by_name(options.NAMED_TEXTS)},
    ),
    "filters": (
        learned_figures.filters,
        {"group": options.TEXT, "cell": options.parameters, "arrays": options.NAMED_TEXTS},
    ),
    "confusion": (
        learned_figures.confusion,
        {"group": options.TEXT, "cell": options.parameters, "truth": options.TEXT, "predicted": options.TEXT},
    ),
    "hardness": (learned_figures.hardness, {"groups": options.TEXTS, "truth": options.TEXT, "predicted": options.TEXT}),
}
