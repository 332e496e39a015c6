"""What would settle a claim on which the runs decide nothing: how many more of them, and at what price."""

from collections.abc import Iterable
from dataclasses import replace

from experiments.prices import Price, reservation
from experiments.spec import State
from report.cells import CellEvidence
from report.judge.claims import Claim
from report.judge.power import MOST_RUNS, POWER, Design
from report.judge.trials import Trial, numbers_of, percent_text
from report.sentences import PRICED, Sentence, counted

SECOND_LOOK = "judged again at the same level, it errs up to about twice as often as stated"


def settle(claim: Claim, trial: Trial, design: Design | None) -> str:
    """What would settle CLAIM, which its TRIAL by DESIGN leaves open; empty where more runs are not what is lacking."""
    if trial.shortage:
        short = any(cell.n < claim.min_seeds for cell in trial.cells)
        return _price(claim, trial, claim.min_seeds, "before its rule can judge") if short else ""
    if design is None:
        return ""
    needed = design.runs_needed(min(cell.n for cell in trial.cells))
    seen = "if difference and spread are those seen"
    if needed is None:
        most = numbers_of(claim, trial.cells).count("most-runs", MOST_RUNS, "runs a cell up to which was looked")
        return Sentence("what would settle it: more than ", most, f" runs a cell, {seen}")
    return _price(claim, trial, needed, f"with a chance of {percent_text(POWER)}, {seen}; {SECOND_LOOK}")


def _price(claim: Claim, trial: Trial, needed: int, condition: str) -> Sentence:
    prices = [price for cell in trial.cells for price in _prices(cell, needed - cell.n)]
    numbers = numbers_of(claim, trial.cells)
    cost = f"price{reservation(prices)} of the runs that would settle the claim"
    seconds = sum(price.seconds for price in prices)
    return Sentence(
        "what would settle it: ",
        counted(numbers.count("more-runs", len(prices), "more runs that would settle the claim"), "more run"),
        " (",
        numbers.count("more-runs-a-cell", needed, "runs a cell that would settle the claim"),
        " a cell), about ",
        replace(numbers, origin=PRICED).rough_time("more-time", seconds, cost),
        f"{reservation(prices)}, {condition}",
    )


def _prices(cell: CellEvidence, more: int) -> Iterable[Price]:
    """The prices of MORE runs of CELL: those planned first, then as its last planned one."""
    waiting = [status.price for status in cell.statuses if status.state is not State.MEASURED]
    return [*waiting, *([cell.statuses[-1].price] * more)][: max(more, 0)]
