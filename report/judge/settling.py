"""What would settle a claim on which the runs decide nothing: how many more of them, and at what price."""

from collections.abc import Iterable

from experiments.prices import Price, reservation, rough_time
from experiments.spec import State
from report.cells import CellEvidence
from report.judge.claims import Claim
from report.judge.power import MOST_RUNS, POWER, Design
from report.judge.trials import Trial, percent_text
from report.words import amount

SECOND_LOOK = "judged again at the same level, it errs up to about twice as often as stated"


def settle(claim: Claim, trial: Trial, design: Design | None) -> str:
    """What would settle CLAIM, which its TRIAL by DESIGN leaves open, in words; empty where more runs are not what is lacking."""
    if trial.shortage:
        short = any(cell.n < claim.min_seeds for cell in trial.cells)
        return _price(trial, claim.min_seeds, "before its rule can judge") if short else ""
    if design is None:
        return ""
    needed = design.runs_needed(min(cell.n for cell in trial.cells))
    seen = "if difference and spread are those seen"
    if needed is None:
        return f"what would settle it: more than {MOST_RUNS} runs a cell, {seen}"
    return _price(trial, needed, f"with a chance of {percent_text(POWER)}, {seen}; {SECOND_LOOK}")


def _price(trial: Trial, needed: int, condition: str) -> str:
    prices = [price for cell in trial.cells for price in _prices(cell, needed - cell.n)]
    time = rough_time(sum(price.seconds for price in prices))
    return f"what would settle it: {amount(len(prices), 'more run')} ({needed} a cell), about {time}{reservation(prices)}, {condition}"


def _prices(cell: CellEvidence, more: int) -> Iterable[Price]:
    """The prices of MORE runs of CELL: those planned first, then as its last planned one."""
    waiting = [status.price for status in cell.statuses if status.state is not State.MEASURED]
    return [*waiting, *([cell.statuses[-1].price] * more)][: max(more, 0)]
