"""Does a verdict depend on one run, or on the margin? The rule is applied again, each time with something else."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from report.comparisons import are_pairs
from report.judge.claims import Claim, ClaimKind
from report.judge.trials import Outcome, Sources, Tails, Trial
from report.sentences import Numbers, Sentence

MOST_RUNS = 60  # of more runs a single one weighs little, and trying each takes longer than the rest of a report
_SHOWN = 3
_SENSITIVITY = ((0.5, "half the margin"), (2.0, "twice the margin"))

Rule = Callable[[Claim, Sources], Trial]
Adjustment = Callable[[Tails | None], Tails | None]  # after Holm, the other claims of the family as they are


@dataclass(frozen=True)
class Change:
    """The other outcome without these runs: without one, or without the pair of a seed."""

    runs: frozenset[str]
    seed: int
    outcome: Outcome


@dataclass(frozen=True)
class Robustness:
    """`tried` runs (or pairs) were left out one at a time; `changes` lists those without which the outcome is other.

    `untried` are those without which the rule has not enough evidence. Where it asks for as many runs a cell as there are,
    `asked` is this number, and nothing less can be expected to show the same. `by_seed` names what is left out by its seed
    alone.
    """

    tried: int = 0
    changes: tuple[Change, ...] = ()
    pairs: bool = False
    by_seed: bool = False
    asked: int = 0
    untried: int = 0

    def told(self, say: Callable[[Outcome], str], numbers: Numbers) -> str:
        """`the same whichever of the 9 runs is left out`, outcomes as SAY has them; empty where nothing was tried."""
        if not self.tried:
            return ""
        kind = "pairs" if self.pairs else "runs"
        things = f"{kind} that can be left out" if self.untried else kind
        tried = numbers.count("left-out", self.tried, f"{kind} that were left out, one at a time")
        if not self.changes:
            return Sentence("the same whichever of the ", tried, f" {things} is left out")
        shown = ", ".join(f"{say(change.outcome)} without {self._name(change)}" for change in self.changes[:_SHOWN])
        more = spare = ""
        if (unnamed := len(self.changes) - _SHOWN) > 0:
            more = Sentence(
                " and ", numbers.count("decisive-unnamed", unnamed, f"further {things} of this sort"), " more"
            )
        if self.asked:
            asked = numbers.count("asked", self.asked, "runs a cell that the rule asks for")
            spare = Sentence(" (none to spare: the rule asks for ", asked, " a cell)")
        depends = numbers.count("decisive", len(self.changes), f"{things} without which the verdict is another")
        return Sentence("it depends on ", depends, " of ", tried, f" {things}", spare, f": {shown}", more)

    def _name(self, change: Change) -> str:
        """What is left out, for a reader: `seed 3`, a run's name."""
        return f"seed {change.seed}" if self.by_seed else ", ".join(change.runs)


def other_margins(claim: Claim, trial: Trial, tails: Tails | None) -> tuple[tuple[str, Outcome], ...]:
    """What the outcome would have been under half and twice the margin; empty for a claim without one."""
    if claim.margin is None or trial.judge is None:
        return ()
    return tuple((words, trial.judge(tails, factor * claim.margin)[0]) for factor, words in _SENSITIVITY)


def leave_out(
    claim: Claim, trial: Trial, outcome: Outcome, rule: Rule, sources: Sources, adjust: Adjustment
) -> Robustness:
    """The OUTCOME of CLAIM against those without each single run, or each pair of runs where these are paired.

    The least number of runs is not asked for again, as it was fixed for all of them; where one run a cell would be left,
    the rule cannot be applied and nothing is tried.
    """
    parts, pairs = _parts(claim, trial)
    if not 0 < len(parts) <= MOST_RUNS:
        return Robustness()
    relaxed, changes, tried = replace(claim, min_seeds=2), [], 0
    for seed, runs in parts:
        fewer = replace(sources, evidence=sources.evidence.without(str(claim.group), runs))
        again = rule(relaxed, fewer)
        if again.judge is None or again.shortage:
            continue
        tried += 1
        found, _ = again.judge(adjust(again.tails), claim.margin)
        if found is not outcome:
            changes.append(Change(runs, seed, found))
    if not tried:
        return Robustness(pairs=pairs)
    asked = claim.min_seeds if any(cell.n <= claim.min_seeds for cell in trial.cells) else 0
    return Robustness(tried, tuple(changes), pairs, pairs or len(trial.cells) == 1, asked, len(parts) - tried)


def _parts(claim: Claim, trial: Trial) -> tuple[list[tuple[int, frozenset[str]]], bool]:
    """(seed, runs) of what is left out at a time, and whether that is pairs."""
    if claim.kind is ClaimKind.COUNT:
        return [], False
    runs = [(int(record.parameters["seed"]), record.run) for record in trial.records]
    if claim.kind in (ClaimKind.EQUIVALENCE, ClaimKind.DIRECTION) and are_pairs(*trial.cells):
        by_seed: dict[int, list[str]] = {}
        for seed, run in runs:
            by_seed.setdefault(seed, []).append(run)
        return [(seed, frozenset(pair)) for seed, pair in by_seed.items()], True
    return [(seed, frozenset((run,))) for seed, run in dict.fromkeys(runs)], False
