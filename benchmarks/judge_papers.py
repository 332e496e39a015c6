"""Simulated papers: cells whose true means and spreads are known, and a rule of the report's own judge applied to them."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache

from numpy.random import Generator

from experiments.spec import ACCURACY
from report import statistics
from report.evidence import Evidence
from report.judge import effect_rules, equivalence_rules, value_rules
from report.judge.claims import Claim, ClaimKind
from report.judge.trials import Outcome, Sources, Tails, Trial
from tests.judging import ORIGINAL, sweep, ways

Rule = Callable[[Claim, Sources], Trial]
Truth = tuple[float, float, int]  # of a cell: true mean, standard deviation, runs
RULES: dict[ClaimKind, Rule] = {
    ClaimKind.DIRECTION: effect_rules.direction,
    ClaimKind.TREND: effect_rules.trend,
    ClaimKind.EQUALITY: value_rules.equality,
    ClaimKind.THRESHOLD: value_rules.threshold,
    ClaimKind.EQUIVALENCE: equivalence_rules.equivalence,
}


@dataclass(frozen=True)
class Question:
    """Something asked of many papers: `answer` draws one and says yes or no, in a share that ought to be `stated`.

    `asked` is what counts as yes, `truth` how the papers were drawn, both in words. Where `is_held`, no more may say yes
    (of an error) or no fewer (of power); where not, an assumption of the test is broken on purpose, or the number is
    told alone.
    """

    kind: str
    truth: str
    asked: str
    stated: float
    answer: Callable[[Generator], bool]
    is_held: bool = True


def draw_sweep(noise: Generator, *truths: Truth) -> Evidence:
    """Cells of rising kernel size."""
    return make_sweep(*(noise.normal(mean, sd, n).tolist() for mean, sd, n in truths))


def make_sweep(*levels: Sequence[float]) -> Evidence:
    """Cells of rising kernel size with these accuracies."""
    return _fill(_lay_out(sweep, tuple(map(len, levels))), levels)


def make_ways(plain: Sequence[float], native: Sequence[float]) -> Evidence:
    """The same cell computed in two ways with these accuracies."""
    return _fill(_lay_out(ways, (len(plain), len(native))), (plain, native))


@lru_cache(maxsize=256)
def _lay_out(make: Callable[..., Evidence], sizes: tuple[int, ...]) -> Evidence:
    """Evidence with cells of so many runs, whose accuracies mean nothing; making it takes longer than judging it."""
    return make(*([0.5] * size for size in sizes))


def _fill(empty: Evidence, levels: Sequence[Sequence[float]]) -> Evidence:
    """The same evidence with these accuracies, a list a cell."""
    filled, cells = copy(empty), []
    for cell, values in zip(empty.cells("sweep"), levels, strict=True):
        pairs = zip(cell.records, values, strict=True)
        records = (replace(record, metrics={**record.metrics, ACCURACY: value}) for record, value in pairs)
        cells.append(replace(cell, records=tuple(records)))
    filled._cells = {"sweep": tuple(cells)}
    return filled


def draw_ways(noise: Generator, gap: float, n: int, *, sd: float = 0.002) -> Evidence:
    """Two ways of computing whose pairs have half of their variance in common; the second better by GAP."""
    common = noise.normal(0.7, sd, n)
    plain, native = (common + noise.normal(mean, sd, n) for mean in (0.0, gap))
    return make_ways(plain.tolist(), native.tolist())


def try_claim(claim: Claim, evidence: Evidence) -> Trial:
    """CLAIM on trial by the rule of its kind; in every paper there is enough evidence for it."""
    trial = RULES[claim.kind](claim, Sources(evidence, ORIGINAL, {}))
    assert trial.judge is not None, trial.shortage
    return trial


def decide(claim: Claim, evidence: Evidence) -> Outcome:
    """The outcome of CLAIM, alone in its family."""
    return decide_family((claim,), (evidence,))[0]


def decide_family(claims: Sequence[Claim], papers: Sequence[Evidence]) -> list[Outcome]:
    """The outcomes of CLAIMS that share an error rate by Holm's method, each on evidence of its own."""
    trials = [try_claim(claim, evidence) for claim, evidence in zip(claims, papers, strict=True)]
    claimed, opposite = (
        statistics.holm([1.0 if trial.tails is None else getattr(trial.tails, side) for trial in trials])
        for side in ("claimed", "opposite")
    )
    found = []
    for claim, trial, *after in zip(claims, trials, claimed, opposite, strict=True):
        assert trial.judge is not None
        found.append(trial.judge(None if trial.tails is None else Tails(*after), claim.margin)[0])
    return found
