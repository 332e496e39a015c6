"""What would settle a claim on which the runs decide nothing: how many more of them, and at what price."""

from collections.abc import Iterable
from dataclasses import dataclass

from experiments.prices import Price, reservation, rough_time
from experiments.spec import State
from report.cells import CellEvidence
from report.judge.claims import Claim
from report.judge.power import MOST_RUNS, POWER, Design
from report.judge.trials import Trial, percent_text
from report.quantities import Kind, Quantity, Tier, count

SECOND_LOOK = "judged again at the same level, it errs up to about twice as often as stated"


@dataclass(frozen=True)
class Settling:
    """`more` runs in all cells together, about `hours`; both None where no reasonable number of runs would do."""

    text: str
    more: Quantity | None = None
    hours: Quantity | None = None


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
        return Settling(f"what would settle it: more than {MOST_RUNS} runs a cell, {seen}")
    return _price(claim, trial, needed, f"with a chance of {percent_text(POWER)}, {seen}; {SECOND_LOOK}")


def _price(claim: Claim, trial: Trial, needed: int, condition: str) -> Settling:
    prices = [price for cell in trial.cells for price in _prices(cell, needed - cell.n)]
    seconds = sum(price.seconds for price in prices)
    more = count(f"claim/{claim.id}/more-runs", len(prices), "more runs that would settle the claim")
    hours = Quantity(
        f"claim/{claim.id}/more-hours",
        Kind.HOURS,
        seconds / 3600,
        aggregate=f"their price{reservation(prices)}",
        tier=Tier.COMPUTED,
    )
    runs = f"{len(prices)} more run{'s' if len(prices) != 1 else ''}"
    text = f"{runs} ({needed} a cell), about {rough_time(seconds)}{reservation(prices)}"
    return Settling(f"what would settle it: {text}, {condition}", more, hours)


def _prices(cell: CellEvidence, more: int) -> Iterable[Price]:
    """The prices of MORE runs of CELL: those planned first, then as its last planned one."""
    waiting = [status.price for status in cell.statuses if status.state is not State.MEASURED]
    return [*waiting, *([cell.statuses[-1].price] * more)][: max(more, 0)]
