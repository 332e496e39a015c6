"""What would settle a claim on which the runs decide nothing: how many more of them, and at what price."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from experiments.prices import Price, reservation
from experiments.spec import State
from report.cells import CellEvidence
from report.judge.claims import Claim
from report.judge.power import MOST_RUNS, POWER, Design
from report.judge.trials import Trial, numbers_of, percent_text
from report.quantities import Quantity
from report.sentences import Sentence
from report.words import PRICED


@dataclass(frozen=True)
class Settling:
    """`more` runs in all cells together, about `time`; both None where no reasonable number of runs would do."""

    text: Sentence
    more: Quantity | None = None
    time: Quantity | None = None


def settle(claim: Claim, trial: Trial, design: Design | None) -> Settling | None:
    """What would settle CLAIM, which its TRIAL by DESIGN leaves open; None where more runs are not what is lacking."""
    if trial.shortage:
        short = any(cell.n < claim.min_seeds for cell in trial.cells)
        return _price(claim, trial, claim.min_seeds, "before its rule can judge") if short else None
    if design is None:
        return None
    needed = design.runs_needed(min(cell.n for cell in trial.cells))
    seen = "if difference and spread are those seen"
    if needed is None:
        most = numbers_of(claim, trial.cells).count("most-runs", MOST_RUNS, "runs a cell up to which was looked")
        return Settling(Sentence("what would settle it: more than ", most, f" runs a cell, {seen}"))
    return _price(claim, trial, needed, f"with a chance of {percent_text(POWER)}, {seen}")


def _price(claim: Claim, trial: Trial, needed: int, condition: str) -> Settling:
    prices = [price for cell in trial.cells for price in _prices(cell, needed - cell.n)]
    seconds = sum(price.seconds for price in prices)
    numbers, named = (
        numbers_of(claim, trial.cells),
        f"price{reservation(prices)} of the runs that would settle the claim",
    )
    more = numbers.count("more-runs", len(prices), "more runs that would settle the claim")
    each = numbers.count("more-runs-a-cell", needed, "runs a cell that would settle the claim")
    time = replace(numbers, origin=PRICED).rough_time("more-time", seconds, named)
    text = Sentence(
        "what would settle it: ",
        more,
        f" more run{'s' if len(prices) != 1 else ''} (",
        each,
        " a cell), about ",
        time,
        f"{reservation(prices)}, {condition}",
    )
    return Settling(text, more, time)


def _prices(cell: CellEvidence, more: int) -> Iterable[Price]:
    """The prices of MORE runs of CELL: those planned first, then as its last planned one."""
    waiting = [status.price for status in cell.statuses if status.state is not State.MEASURED]
    return [*waiting, *([cell.statuses[-1].price] * more)][: max(more, 0)]
