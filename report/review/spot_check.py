"""Which recorded runs to run again: the most information for the time, chosen greedily and always alike."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from experiments.prices import reservation
from experiments.running.progress import format_seconds
from experiments.running.reruns import Rerun
from report.review.leverage import Leverage


@dataclass(frozen=True)
class Candidate:
    """A recorded run that this machine can run again, and how much rests on it."""

    rerun: Rerun
    leverage: Leverage

    @property
    def name(self) -> str:
        """The run's name."""
        return self.rerun.run.name

    @property
    def cell(self) -> str:
        """The cell that it is a run of."""
        return self.rerun.run.cell

    @property
    def seconds(self) -> float:
        """Its price."""
        return self.rerun.status.price.seconds


@dataclass(frozen=True)
class Pick:
    """A chosen run with the information that it adds to those chosen before it."""

    candidate: Candidate
    information: float
    earlier: int  # runs of the same cell that were chosen before

    def __str__(self) -> str:
        price = self.candidate.rerun.status.price
        cost = f"about {format_seconds(price.seconds)} on {price.device_class}{reservation([price])}"
        before = f"; the cell's pick number {self.earlier + 1}" if self.earlier else ""
        reasons = "; ".join(self.candidate.leverage.reasons)
        return f"{self.candidate.name}: information {self.information:.2f}, {cost}: {reasons}{before}"


def choose(candidates: Sequence[Candidate], budget_seconds: float) -> tuple[Pick, ...]:
    """The runs to run again within the budget, in the order in which they are picked; empty where none fits.

    Each time the run of most information a second is taken among those that still fit. The k-th run of a cell adds only
    a k-th of its points: what is wrong with a cell shows in its first run. Where one run alone tells more than all that
    are taken so, it is taken first.
    """
    affordable = [candidate for candidate in candidates if candidate.seconds <= budget_seconds]
    if not affordable:
        return ()
    best = max(affordable, key=lambda candidate: candidate.leverage.points)
    ways = (
        _fill((), affordable, budget_seconds),
        _fill((Pick(best, best.leverage.points, 0),), affordable, budget_seconds),
    )
    return max(ways, key=lambda picks: sum(pick.information for pick in picks))


def _fill(picks: tuple[Pick, ...], candidates: Sequence[Candidate], budget_seconds: float) -> tuple[Pick, ...]:
    """PICKS and what else fits; of equal ones the first in the plan.

    What a run adds only falls, when another of its cell is picked: so an offer is made anew when its turn comes.
    """
    made, taken = list(picks), {pick.candidate.name for pick in picks}
    chosen = Counter(pick.candidate.cell for pick in picks)
    spent = sum(pick.candidate.seconds for pick in picks)

    def offer(number: int) -> tuple[float, int, Pick]:
        candidate = candidates[number]
        earlier = chosen[candidate.cell]
        pick = Pick(candidate, candidate.leverage.points / (earlier + 1), earlier)
        return -pick.information / max(candidate.seconds, 1e-9), number, pick

    offers = [offer(number) for number, candidate in enumerate(candidates) if candidate.name not in taken]
    heapify(offers)
    while offers:
        _, number, pick = heappop(offers)
        candidate = pick.candidate
        if candidate.seconds > budget_seconds - spent:
            continue
        if pick.earlier != chosen[candidate.cell]:
            heappush(offers, offer(number))
            continue
        made.append(pick)
        chosen[candidate.cell] += 1
        spent += candidate.seconds
    return tuple(made)
