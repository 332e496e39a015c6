"""How much of what the report says rests on each recorded run: what a reviewer learns by running that one again.

A run's points are a sum over what is printed: for its cell's mean 1, for each verdict that its cell decides on 4 where
the claim is a main one and decided, 2 where another is decided, 1 where nothing is decided yet. Of each it gets its
share, one n-th of a cell of n runs, or the whole where the verdict is another without this run.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from experiments.spec import State
from report.cells import CellEvidence
from report.judge.verdict import Verdict

MAIN, DECIDED, TESTED, MEAN = 4.0, 2.0, 1.0, 1.0


@dataclass(frozen=True)
class Leverage:
    """A run's points, and in words what they are for."""

    points: float
    reasons: tuple[str, ...]


def weigh_runs(cells: Iterable[CellEvidence], verdicts: Mapping[str, Verdict]) -> dict[str, Leverage]:
    """Run -> leverage, of every run with a record; one whose record is stale stands behind nothing that is printed."""
    resting = {id: frozenset(_runs_behind(verdict)) for id, verdict in verdicts.items()}
    found = {}
    for cell in cells:
        for status in cell.statuses:
            if status.record is None:
                continue
            run, n = status.run.name, cell.n
            if status.state is not State.MEASURED:
                there = sum(other.record is not None for other in cell.statuses)
                found[run] = Leverage(MEAN / there, ("its record is stale, and stands behind no number",))
                continue
            touched = [verdict for id, verdict in verdicts.items() if run in resting[id]]
            terms = [_weigh(verdict, run, n) for verdict in touched]
            points = MEAN / n + sum(points for points, _ in terms)
            found[run] = Leverage(points, (f"1 of {n} runs of its cell", *(reason for _, reason in terms)))
    return found


def _runs_behind(verdict: Verdict) -> Iterator[str]:
    """The runs (and sources, which are no run's name) that any number of the verdict comes from."""
    for quantity in (*verdict.quantities, verdict.prediction, verdict.detectable):
        if quantity is not None:
            yield from quantity.origin


def _weigh(verdict: Verdict, run: str, n: int) -> tuple[float, str]:
    """(points, why) that RUN, one of N of its cell, gets for a verdict."""
    weight = (MAIN if verdict.is_main else DECIDED) if verdict.is_decided else TESTED
    depends = any(run in change.runs for change in verdict.robustness.changes)
    words = f"{'main claim' if verdict.is_main else 'claim'} {verdict.claim.id}, {verdict.printed}"
    return (weight, f"{words}, depends on it") if depends else (weight / n, words)
