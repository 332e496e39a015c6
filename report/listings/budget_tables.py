"""The tables beyond the paper: accuracy by epochs and images, and on test images that are unlike the training's."""

from report.cells import CellEvidence
from report.facts import Facts
from report.listings.contrast_tables import cost_or_dash, measured_of
from report.listings.result_tables import DASH, Declaration
from report.quantities import Kind, Quantity, Tier
from report.tables import Cell, Column, Table
from report.unknown import UnknownName


def budget(declared: Declaration, facts: Facts) -> Table:
    """One line a cell: epochs, share of the training images, images seen in all, accuracy, speed and memory."""
    cells = facts.evidence.cells(declared.options["group"])
    rows: list[tuple[Cell, ...]] = [
        (
            *map(str, declared.sizes(cell)),
            str(cell.parameters["epochs"]),
            percent_of_images(cell),
            images_seen(cell) or DASH,
            cell.n_of_planned,
            quantity_or_dash(cell, "train_accuracy"),
            cell.quantity(),
            cost_or_dash(cell, "images_per_second"),
            cost_or_dash(cell, "peak_memory_mib"),
        )
        for cell in cells
    ]
    columns = (
        *declared.parameter_columns(),
        Column("epochs", "Epochs", align="right"),
        Column("fraction", "Images kept", "%", "right"),
        Column("seen", "Images seen", align="right"),
        Column("n", "Runs", align="right"),
        Column("train_accuracy", "On training images", "%", "right"),
        Column("accuracy", "Accuracy", "%", "right"),
        Column("images_per_second", "Images per second", align="right"),
        Column("memory", "Peak memory", "MiB", "right"),
    )
    return declared.table(measured_of(declared, cells), columns, rows)


def quantity_or_dash(cell: CellEvidence, metric: str) -> Cell:
    """METRIC of CELL, or what its runs wait for; a dash where a run was recorded without it."""
    return cell.quantity(metric) if all(metric in record.metrics for record in cell.records) else DASH


def percent_of_images(cell: CellEvidence) -> str:
    """The share of the training images that a cell keeps, in per cent: `25`."""
    return f"{100 * float(cell.parameters['fraction']):g}"


def images_seen(cell: CellEvidence) -> Quantity | None:
    """Epochs times training images; None where no run says how many it had, or they differ."""
    if not cell.records or cell.mixed or not cell.fidelity.train_images:
        return None
    seen = cell.parameters["epochs"] * cell.fidelity.train_images
    origin = tuple(record.run for record in cell.records)
    id, how = f"{cell.group}/{cell.name}/images-seen", "epochs times training images of a run"
    return Quantity(id, Kind.COUNT, float(seen), origin=origin, aggregate=how, tier=Tier.RUN_HERE)


def conditions(declared: Declaration, facts: Facts) -> Table:
    """One line a condition of the test images, a column a cell of the group."""
    cells = facts.evidence.cells(declared.options["group"])
    conditions: dict[str, str] = declared.options["conditions"]
    known = {metric for cell in cells for record in cell.records for metric in record.metrics}
    for metric in conditions:
        if known and metric not in known:
            raise UnknownName(f"conditions: no record has a metric {metric!r}; they have {', '.join(sorted(known))}")
    rows: list[tuple[Cell, ...]] = [
        (text, *(quantity_or_dash(cell, metric) for cell in cells)) for metric, text in conditions.items()
    ]
    columns = (Column("condition", "Test images"), *(_column(cell, declared) for cell in cells))
    return declared.table(measured_of(declared, cells, " networks"), columns, rows)


def _column(cell: CellEvidence, declared: Declaration) -> Column:
    """A network by the declared parameters, less those that it has not."""
    has = {name: cell.parameters[name] for name in declared.options["columns"] if cell.parameters[name]}
    words = ", ".join(
        str(value) if isinstance(value, str) else f"{cell.symbol(name)} {value}" for name, value in has.items()
    )
    return Column(cell.name, words, "%", "right")
