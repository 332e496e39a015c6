"""Cells set beside one of theirs: how much each differs from it, and what others report of the same change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from report.cells import CellEvidence
from report.comparisons import compare, difference, quoted_difference
from report.evidence import Evidence
from report.original import Quoted, find_quoted
from report.quantities import Quantity
from report.statistics import Interval


@dataclass(frozen=True)
class Contrast:
    """A cell and the base that it is set beside: what was changed, our difference, and the one quoted of the same."""

    cell: CellEvidence
    base: CellEvidence
    label: str
    ours: Quantity
    reported: Quantity | None

    def interval(self, confidence: float) -> Interval | None:
        """The difference's interval; None where the cells do not compare, or too few runs tell."""
        comparison = compare(self.cell, self.base) if self.ours.is_measured else None
        return None if comparison is None else comparison.interval(confidence)


def find_contrasts(
    evidence: Evidence, original: Mapping[str, Quoted], groups: Sequence[str], base: Mapping[str, Any], who: str
) -> tuple[Contrast, ...]:
    """Every cell of GROUPS, each once, beside the one of the first of them that has the parameters BASE.

    Raises UnknownName where BASE is not exactly one cell, or original.csv has rows and none of WHO.
    """
    start = evidence.cell(groups[0], base)
    there = find_quoted(original, who, start.parameters)
    return tuple(
        Contrast(cell, start, _change(cell, start), difference(cell, start), _reported(original, who, cell, there))
        for cell in evidence.cells_of(groups)
        if cell.name != start.name
    )


def _change(cell: CellEvidence, base: CellEvidence) -> str:
    """What CELL has otherwise: `without randaugment`, `residual both`."""
    return cell.words(name for name, value in cell.parameters.items() if value != base.parameters.get(name, value))


def _reported(original: Mapping[str, Quoted], who: str, cell: CellEvidence, there: Quoted | None) -> Quantity | None:
    here = find_quoted(original, who, cell.parameters)
    return quoted_difference(here, there) if here is not None and there is not None else None
