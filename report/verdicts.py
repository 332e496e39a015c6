"""Claims and records -> verdicts: the gates of protocol and evidence, then the rule of the claim's kind.

Gate of evidence: without a measured run a claim is NOT TESTED, and with fewer runs than its rule asks for it is
INCONCLUSIVE. Gate of protocol: where the records' settings are not the original's, a claim on a value is
NOT COMPARABLE, but for another precision of the arithmetic, which is told; a claim on a direction goes on, says so,
and stops only at a setting it calls essential. Each verdict says what its runs could have shown, whether it depends on
one of them, and where it is inconclusive what would settle it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from experiments.spec import ConfigurationError, ReproductionError
from report import statistics
from report.cells import runs_of
from report.evidence import LEFT_OUT, Evidence
from report.judge import effect_rules, value_rules
from report.judge.claims import Claim, ClaimKind, Claims
from report.judge.compound import RULE, judge_compound
from report.judge.equivalence_rules import equivalence
from report.judge.gates import (
    Deviation,
    deviations_from,
    gate,
    refuse_unlike_plans,
    reservations,
    too_few_seeds,
)
from report.judge.power import POWER, Design
from report.judge.robustness import leave_out, other_margins
from report.judge.rule_history import RuleHistory, named_otherwise, rule_history
from report.judge.settling import settle
from report.judge.trials import Judgement, Outcome, Sources, Tails, Trial, percent_text, unjudged_text
from report.judge.verdict import Verdict
from report.original import Quoted
from report.quantities import Kind, Quantity, Tier
from report.unknown import UnknownName

_RULES: Mapping[ClaimKind, Callable[[Claim, Sources], Trial]] = {
    ClaimKind.DIRECTION: effect_rules.direction,
    ClaimKind.TREND: effect_rules.trend,
    ClaimKind.EQUALITY: value_rules.equality,
    ClaimKind.EQUIVALENCE: equivalence,
    ClaimKind.THRESHOLD: value_rules.threshold,
    ClaimKind.COUNT: value_rules.counts,
}


def judge(claims: Claims, evidence: Evidence, original: Mapping[str, Quoted]) -> dict[str, Verdict]:
    """A verdict on every claim, in the order of claims.yaml.

    Claims of one family share their error rate by Holm's method. A claim that cannot be tested yet counts with p = 1,
    so that a verdict never gets weaker because another claim of the family is tested later.
    """
    simple = {id: claim for id, claim in claims.claims.items() if claim.kind is not ClaimKind.COMPOUND}
    sources = Sources(evidence, original, claims.formulas, _family_sizes(simple))
    trials = {id: _examine(claim, sources) for id, claim in simple.items()}
    verdicts = _judge_simple(simple, trials, sources)
    for id, claim in claims.claims.items():
        if claim.kind is ClaimKind.COMPOUND:
            outcome, reasons = judge_compound(claim, verdicts)
            theirs = dict.fromkeys(item for part in claim.parts for item in verdicts[part].deviations)
            history = rule_history(claim, (record for part in claim.parts for record in trials[part].records))
            told = (*reasons, *history.warnings)
            verdicts[id] = Verdict(claim, outcome, told, RULE, deviations=tuple(theirs), history=history)
    return {id: verdicts[id] for id in claims.claims}


def _judge_simple(listed: Mapping[str, Claim], trials: Mapping[str, Trial], sources: Sources) -> dict[str, Verdict]:
    """The verdicts on claims that are judged on runs."""
    deviations = {id: deviations_from(claim, trials[id].records) for id, claim in listed.items()}
    gated = {id: gate(claim, trials[id], deviations[id]) for id, claim in listed.items()}
    tails = {id: None if gated[id] else trials[id].tails for id in trials}
    adjusted = _adjust(listed, tails)
    verdicts = {}
    for id, claim in listed.items():
        history = _history(claim, trials[id], sources)
        verdict = _verdict(claim, trials[id], deviations[id], gated[id], adjusted[id], history)
        if gated[id] is None:
            family = {other: one for other, one in listed.items() if one.family == claim.family}

            def adjust(own: Tails | None, id: str = id, family: Mapping[str, Claim] = family) -> Tails | None:
                return _adjust(family, {**{other: tails[other] for other in family}, id: own})[id]

            tried = leave_out(claim, trials[id], verdict.outcome, _RULES[claim.kind], sources, adjust)
            verdict = replace(verdict, robustness=tried)
        verdicts[id] = verdict
    return verdicts


def check(claims: Claims, evidence: Evidence, original: Mapping[str, Quoted]) -> list[str]:
    """What the plan leaves undecided, a line a claim.

    Raises ConfigurationError, a line a claim, where a claim names a group, cell or quoted value that is not there, or
    compares cells that are planned under unlike settings.
    """
    faults, warnings = list[str](), list[str]()
    for claim in claims.claims.values():
        if claim.kind is ClaimKind.COMPOUND:
            continue
        try:
            trial = _examine(claim, Sources(evidence, original, claims.formulas))
            trial.details()
            refuse_unlike_plans(claim, trial.cells)
            warnings.append(too_few_seeds(claim, trial.cells))
        except ReproductionError as error:
            faults.append(str(error))
    if faults:
        raise ConfigurationError("\n".join(faults))
    return [line for line in warnings if line]


def _examine(claim: Claim, sources: Sources) -> Trial:
    """The claim on trial by the rule of its kind; a rehearsal, a part of the plan, need not reach every claim.

    Raises UnknownName or ConfigurationError, naming the claim, where it names what is not there.
    """
    trial = _examine_untested(claim, sources) if claim.untested else _examine_tested(claim, sources)
    return replace(trial, unjudged=unjudged_text(claim, trial.cells, sources.evidence))


def _examine_tested(claim: Claim, sources: Sources) -> Trial:
    try:
        return _RULES[claim.kind](claim, sources)
    except ReproductionError as error:
        if sources.evidence.is_rehearsal:
            return Trial((), "", shortage=LEFT_OUT)
        if str(error).startswith(f"claims.yaml: claims.{claim.id}"):
            raise
        kind = UnknownName if isinstance(error, UnknownName) else ConfigurationError
        is_group = kind is UnknownName and claim.group not in sources.evidence.groups
        raise kind(f"claims.yaml: claims.{claim.id}{'.group' if is_group else ''}: {error}") from error


def _examine_untested(claim: Claim, sources: Sources) -> Trial:
    """Nothing to judge, unless the runs that the claim names are recorded: `untested` must not hide what they say."""
    untried = Trial((), "", shortage=claim.untested)
    try:
        trial = _RULES[claim.kind](claim, sources)
    except ReproductionError:  # such a claim need not name cells, or names some that nobody plans
        return untried
    return trial if trial.records else untried


def _history(claim: Claim, trial: Trial, sources: Sources) -> RuleHistory:
    """How the claim's rule stands to its runs; of one without, to those that were to be judged by another rule."""
    if trial.records or not claim.untested:
        return rule_history(claim, trial.records)
    return rule_history(claim, named_otherwise(claim, sources.evidence.recorded()))


def _family_sizes(claims: Mapping[str, Claim]) -> dict[str, int]:
    return {family: len(members) for family, members in _families(claims).items()}


def _families(claims: Mapping[str, Claim]) -> dict[str, list[str]]:
    """Family -> its claims, in the order of claims.yaml."""
    families: dict[str, list[str]] = {}
    for id, claim in claims.items():
        if claim.family:
            families.setdefault(claim.family, []).append(id)
    return families


def _adjust(claims: Mapping[str, Claim], tails: Mapping[str, Tails | None]) -> dict[str, Tails | None]:
    """TAILS after Holm within each family, each tail apart; None stands for a claim that is not tested and counts as 1."""
    adjusted = dict(tails)
    for members in _families(claims).values():
        listed = [tails[id] for id in members]
        claimed = statistics.holm([1.0 if one is None else one.claimed for one in listed])
        opposite = statistics.holm([1.0 if one is None else one.opposite for one in listed])
        for id, one, *after in zip(members, listed, claimed, opposite, strict=True):
            adjusted[id] = None if one is None else Tails(*after)
    return adjusted


def _verdict(
    claim: Claim,
    trial: Trial,
    deviations: tuple[Deviation, ...],
    gated: Judgement | None,
    tails: Tails | None,
    history: RuleHistory,
) -> Verdict:
    details = trial.details()
    if gated is not None:
        outcome, reasons = gated
    else:
        assert trial.judge is not None
        outcome, reasons = trial.judge(tails, claim.margin)
        reasons = (*reasons, *reservations(claim, trial, deviations))
    judged = (f"judged though it is called untested ({claim.untested})",) if claim.untested and trial.records else ()
    verdict = Verdict(
        claim,
        outcome,
        (*reasons, *judged, *history.warnings),
        trial.rule,
        details.reported,
        details.ours,
        details.difference,
        deviations=deviations,
        settling=settle(claim, trial, details.design) if outcome is Outcome.INCONCLUSIVE else "",
        history=history,
        span=trial.span,
        runs=runs_of(trial.cells),
    )
    if gated is not None:
        return verdict
    return replace(
        verdict,
        probability=None if tails is None else _probability(claim, trial, tails.claimed),
        sensitivity=other_margins(claim, trial, tails),
        prediction=details.prediction,
        detectable=_detectable(claim, trial, details.design),
        support=details.support,
    )


def _probability(claim: Claim, trial: Trial, p: float) -> Quantity:
    return Quantity(
        f"claim/{claim.id}/p",
        Kind.PROBABILITY,
        p,
        origin=tuple(record.run for record in trial.records),
        aggregate=f"one-sided p, after Holm over the family {claim.family!r}",
        tier=Tier.COMPUTED,
    )


def _detectable(claim: Claim, trial: Trial, design: Design | None) -> Quantity | None:
    """The smallest effect, or margin, that the runs would have shown; None where the claim is on a count."""
    if design is None:
        return None
    return Quantity(
        f"claim/{claim.id}/detectable",
        Kind.DIFFERENCE,
        design.smallest,
        origin=tuple(record.run for record in trial.records),
        aggregate=f"smallest {design.what} with a chance of {percent_text(POWER)}",
        tier=Tier.COMPUTED,
        quoted=f"{100 * design.smallest:.2f}",
    )
