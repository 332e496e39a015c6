"""Differences as quantities: between two cells of ours, and between a cell and a quoted value."""

import math
from dataclasses import replace

from experiments.spec import ACCURACY, State
from report.cells import COMPUTING, CellEvidence, differing_settings, spread
from report.original import Quoted
from report.quantities import Kind, Quantity, Spread, Tier
from report.statistics import Comparison, Summary, against, are_equal_shares, paired, summarise, welch


def are_pairs(a: CellEvidence, b: CellEvidence) -> bool:
    """Whether the runs of A and B belong together seed by seed: the same seeds, and nothing but the computing differs.

    Only then do a seed's two runs start from the same weights and see the same images in the same order. In networks
    of different shape the same seed is no pair. No run is dropped to make pairs of the rest.
    """
    return a.seeds == b.seeds and differ_in_computing_alone(a, b)


def differ_in_computing_alone(a: CellEvidence, b: CellEvidence) -> bool:
    """Whether A and B are the same training, but for how it is computed."""
    names = {*a.parameters, *b.parameters} - set(COMPUTING)
    return all(a.parameters.get(name) == b.parameters.get(name) for name in names)


def compare(a: CellEvidence, b: CellEvidence) -> Comparison | None:
    """Accuracy of A minus that of B: paired where `are_pairs` says so, else by Welch.

    Differences that are exactly equal have the error of one test image, as equal runs have the binomial error. None
    below two runs on either side, and where equal runs, or differences, tell nothing of their spread.
    """
    if min(a.n, b.n) < 2:
        return None
    if not are_pairs(a, b):
        return None if a.has_unknown_spread or b.has_unknown_spread else welch(a.summary(), b.summary())
    first, second = a.values(), b.values()
    differences = [x - y for x, y in zip(first, second, strict=True)]
    if not are_equal_shares(differences):
        return paired(first, second)
    if a.test_images is None:
        return None
    one_image = 1 / a.test_images
    return against(Summary(a.n, summarise(differences).mean, one_image, one_image / math.sqrt(a.n)), 0.0)


def compared_means(a: CellEvidence, b: CellEvidence) -> tuple[Summary, ...]:
    """What `compare` sets against each other: the differences of the pairs, as one summary, or the two cells."""
    if not are_pairs(a, b):
        return a.summary(), b.summary()
    compared = compare(a, b)
    assert compared is not None
    return (Summary(a.n, compared.difference, compared.error * math.sqrt(a.n), compared.error),)


def difference(a: CellEvidence, b: CellEvidence) -> Quantity:
    """Accuracy of cell A minus that of cell B in pp, with its 95 % interval from two runs each on.

    Runs of different cells are independent even where their seeds are the same number, unless they differ in nothing
    but how they were computed. The cells must agree in data set, epochs, recipe and training images, else the difference
    is not comparable; where they differ in precision it says so. The id names both groups where they are two: each may
    plan the same cell with other seeds.
    """
    first, second = a.quantity(), b.quantity()
    other = b.name if b.group == a.group else f"{b.group}/{b.name}"
    id = f"{a.group}/{a.name}-minus-{other}/{ACCURACY}"
    aggregate = f"difference of the means, {a.name} minus {b.name}"
    unknown = _unknown(id, aggregate, first, second) or _unlike(id, aggregate, a, b)
    if unknown:
        return unknown
    assert first.value is not None and second.value is not None
    comparison = compare(a, b)
    how = "paired by seed" if are_pairs(a, b) else "Welch"
    precisions = differing_settings((a, b)).get("precision")
    return Quantity(
        id,
        Kind.DIFFERENCE,
        first.value - second.value,
        spread=_spread(comparison, f"95 % interval of the difference ({how})"),
        n=min(a.n, b.n),
        planned=min(a.planned, b.planned),
        fidelity=replace(first.fidelity, precision=None) if precisions and first.fidelity else first.fidelity,
        origin=(*first.origin, *second.origin),
        aggregate=aggregate if a.n == b.n else f"{aggregate}, {a.n} against {b.n} runs",
        tier=Tier.RUN_HERE,
        why=f"precision {' and '.join(precisions)}" if precisions else "",
    )


def gap(cell: CellEvidence, row: Quoted) -> Quantity:
    """Our mean accuracy minus that of a quoted ROW in pp, with the interval of our mean; the quoted value has no spread.

    Values on other data, or after other numbers of epochs, are not comparable, and from a bound there is no distance.
    """
    ours, quoted = cell.quantity(), row.accuracy
    id = f"{cell.group}/{cell.name}-minus-{quoted.id}/{ACCURACY}"
    aggregate = f"our mean minus the quoted {quoted.quoted}"
    if unknown := _unknown(id, aggregate, ours, quoted):
        return unknown
    if bound := _bound(id, aggregate, row):
        return bound
    assert ours.value is not None and quoted.value is not None
    if why := unlike(cell, row):
        return Quantity(id, Kind.DIFFERENCE, None, State.NOT_COMPARABLE, aggregate=aggregate, why=why)
    comparison = against(cell.summary(), quoted.value) if cell.n >= 2 and not cell.has_unknown_spread else None
    return replace(
        ours,
        id=id,
        kind=Kind.DIFFERENCE,
        value=ours.value - quoted.value,
        spread=_spread(comparison, "95 % t interval of our mean, the quoted value taken as it stands"),
        origin=(*ours.origin, *quoted.origin),
        aggregate=aggregate,
    )


def unlike(cell: CellEvidence, row: Quoted) -> str:
    """Why no accuracy of CELL compares with the quoted ROW, whatever else they share; empty where none is known."""
    ours = cell.fidelity
    if ours.dataset is not None and not row.is_on(ours.dataset):
        return f"ours on {ours.dataset}, the quoted value on {row.dataset}"
    if None not in (row.epochs, ours.epochs) and row.epochs != ours.epochs:  # what is not known is no difference
        return f"ours after {ours.epochs} epochs, the quoted value after {row.epochs}"
    return ""


def quoted_difference(first: Quoted, second: Quoted) -> Quantity:
    """The difference of two quoted accuracies, computed by us and marked so; there is none where one is a bound."""
    a, b = first.accuracy, second.accuracy
    id, aggregate = f"{a.id}-minus-{b.id}", f"difference of two quoted values, {a.quoted} minus {b.quoted}"
    if bound := _bound(id, aggregate, first, second):
        return bound
    assert a.value is not None and b.value is not None
    return Quantity(
        id,
        Kind.DIFFERENCE,
        a.value - b.value,
        fidelity=a.fidelity,
        origin=tuple(dict.fromkeys((*a.origin, *b.origin))),
        aggregate=aggregate,
        tier=Tier.COMPUTED,
    )


def _bound(id: str, aggregate: str, *rows: Quoted) -> Quantity | None:
    """The difference as a quantity without a value where an operand is quoted as a bound."""
    for row in rows:
        if row.is_bound:
            why = f"{row.accuracy.quoted!r} is a bound and no value"
            return Quantity(id, Kind.DIFFERENCE, None, State.NOT_COMPARABLE, aggregate=aggregate, why=why)
    return None


def _spread(comparison: Comparison | None, kind: str) -> Spread | None:
    return None if comparison is None else spread(comparison.interval(), None, kind)


def _unknown(id: str, aggregate: str, *operands: Quantity) -> Quantity | None:
    """The difference as a quantity without a value where an operand has none."""
    for operand in operands:
        if not operand.is_measured:
            return Quantity(id, Kind.DIFFERENCE, None, operand.state, aggregate=aggregate, why=operand.why)
    return None


def _unlike(id: str, aggregate: str, a: CellEvidence, b: CellEvidence) -> Quantity | None:
    """The difference as not comparable where the cells were run under different settings, precision excepted."""
    found = {name: values for name, values in differing_settings((a, b)).items() if name != "precision"}
    if not found:
        return None
    why = "the cells differ in " + ", ".join(f"{name} {' and '.join(values)}" for name, values in found.items())
    return Quantity(id, Kind.DIFFERENCE, None, State.NOT_COMPARABLE, aggregate=aggregate, why=why)
