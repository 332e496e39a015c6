"""Claims and records -> verdicts: the gates of protocol and evidence, then the rule of the claim's kind.

Gate of evidence: without a measured run a claim is NOT TESTED, and with fewer runs than its rule asks for it is
INCONCLUSIVE. Gate of protocol: where the records' settings are not the original's, a claim on a value is
NOT COMPARABLE, but for another precision of the arithmetic, which is told; a claim on a direction goes on, says so,
and stops only at a setting it calls essential.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from experiments.spec import Record, State
from report import effect_rules, statistics, value_rules
from report.claims import Claim, ClaimKind, Claims
from report.evidence import Evidence, differing_settings, in_words, price_text, setting_of
from report.original import Quoted
from report.quantities import Kind, Quantity, Tier
from report.trials import Judgement, Outcome, Sources, Trial, cell_names

__all__ = ["Deviation", "Outcome", "Verdict", "judge", "title_prefix"]

NOT_RECORDED = "not recorded"
_LISTED = 4
DECIDED = (Outcome.REPRODUCED, Outcome.PARTIAL, Outcome.NOT_REPRODUCED)
_EFFECTS = (ClaimKind.DIRECTION, ClaimKind.TREND)
_TOLD = ("precision",)  # settings in which runs may differ from the original's and still be compared with its values
_RULES: Mapping[ClaimKind, Callable[[Claim, Sources], Trial]] = {
    ClaimKind.DIRECTION: effect_rules.direction,
    ClaimKind.TREND: effect_rules.trend,
    ClaimKind.EQUALITY: value_rules.equality,
    ClaimKind.THRESHOLD: value_rules.threshold,
    ClaimKind.COUNT: value_rules.counts,
}
_BEYOND = {
    Outcome.REPRODUCED: "shown",
    Outcome.PARTIAL: "shown in part",
    Outcome.NOT_REPRODUCED: "shown not to hold",
}
_SENSITIVITY = ((0.5, "half the margin"), (2.0, "twice the margin"))


@dataclass(frozen=True)
class Deviation:
    """A setting in which our runs differ from the original's, as text."""

    setting: str
    original: str
    ours: str

    @property
    def text(self) -> str:
        """`epochs 5 (original 200)`."""
        return f"{in_words(self.setting)} {self.ours} (original {self.original})"


@dataclass(frozen=True)
class Verdict:
    """A claim's outcome with the reasons, the rule that led to it, and the numbers it rests on.

    For a direction or a trend `ours` and `reported` are differences; for values `difference` is ours minus reported.
    `probability` is the one-sided p after Holm. `sensitivity` says what the outcome had been under other margins.
    """

    claim: Claim
    outcome: Outcome
    reasons: tuple[str, ...]
    rule: str
    reported: Quantity | None = None
    ours: Quantity | None = None
    difference: Quantity | None = None
    probability: Quantity | None = None
    deviations: tuple[Deviation, ...] = ()
    sensitivity: tuple[tuple[str, Outcome], ...] = ()

    @property
    def shown(self) -> str:
        """The outcome of a claim beyond the paper in words: `shown`, `inconclusive`; nothing of it is reproduced."""
        return _BEYOND.get(self.outcome, self.outcome.value.lower())

    @property
    def printed(self) -> Outcome | str:
        """What a table prints: the outcome, or `shown` in its place where the claim goes beyond the paper."""
        return self.shown if self.claim.is_beyond else self.outcome

    @property
    def is_tested(self) -> bool:
        """Whether any run speaks to the claim."""
        return self.outcome is not Outcome.NOT_TESTED

    @property
    def is_decided(self) -> bool:
        """Whether the claim was reproduced, in part or not at all."""
        return self.outcome in DECIDED

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The numbers that the verdict rests on."""
        return tuple(q for q in (self.reported, self.ours, self.difference, self.probability) if q is not None)


def judge(claims: Claims, evidence: Evidence, original: Mapping[str, Quoted]) -> dict[str, Verdict]:
    """A verdict on every claim, in the order of claims.yaml.

    Claims of one family share their error rate by Holm's method. A claim that cannot be tested yet counts with p = 1,
    so that a verdict never gets weaker because another claim of the family is tested later.
    """
    sources = Sources(evidence, original, claims.formulas)
    trials = {id: _examine(claim, sources) for id, claim in claims.claims.items()}
    deviations = {id: deviations_from(claim, _records(trials[id])) for id, claim in claims.claims.items()}
    gated = {id: _gate(claim, trials[id], deviations[id]) for id, claim in claims.claims.items()}
    adjusted = _adjust(claims.claims, {id: None if gated[id] else trials[id].p for id in trials})
    return {
        id: _verdict(claim, trials[id], deviations[id], gated[id], adjusted[id]) for id, claim in claims.claims.items()
    }


def title_prefix(verdicts: Mapping[str, Verdict]) -> str:
    """ReScience's prefix: [¬Re] where more main claims failed than held in full or part, [Re] where not.

    Empty while no main claim is decided.
    """
    main = [verdict for verdict in verdicts.values() if verdict.claim.main and not verdict.claim.is_beyond]
    decided = [verdict.outcome for verdict in main if verdict.is_decided]
    if not decided:
        return ""
    failed = decided.count(Outcome.NOT_REPRODUCED)
    return "[¬Re]" if failed > len(decided) - failed else "[Re]"


def deviations_from(claim: Claim, records: tuple[Record, ...]) -> tuple[Deviation, ...]:
    """The settings of the claim's protocol that the records do not share."""
    if claim.protocol is None or not records:
        return ()
    found = []
    for name, wanted in claim.protocol.settings.items():
        values = {setting_of(record, name, NOT_RECORDED) for record in records}
        if values != {wanted}:
            found.append(Deviation(name, setting_text(wanted), ", ".join(sorted(map(setting_text, values)))))
    return tuple(found)


def _records(trial: Trial) -> tuple[Record, ...]:
    return tuple(record for cell in trial.cells for record in cell.records)


def setting_text(value: Any) -> str:
    """A setting for a reader: `0.001`, `none`, `keras`."""
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _examine(claim: Claim, sources: Sources) -> Trial:
    """The claim on trial by the rule of its kind."""
    return Trial((), "", shortage=claim.untested) if claim.untested else _RULES[claim.kind](claim, sources)


def _gate(claim: Claim, trial: Trial, deviations: tuple[Deviation, ...]) -> Judgement | None:
    """The outcome that the gates of evidence and protocol give; None where the claim's own rule decides."""
    if not any(cell.records for cell in trial.cells):
        return Outcome.NOT_TESTED, (_explain_waiting(trial),)
    mixed = tuple(f"{cell.name}: {cell.why}" for cell in trial.cells if cell.state is State.NOT_COMPARABLE)
    if mixed:
        return Outcome.NOT_COMPARABLE, mixed
    if claim.kind in _EFFECTS:
        unlike = {name: values for name, values in differing_settings(trial.cells).items() if name != "precision"}
        if unlike:
            found = "; ".join(f"{name} {', '.join(values)}" for name, values in unlike.items())
            return Outcome.NOT_COMPARABLE, (f"the cells that the rule compares differ in {found}",)
    fatal = [item for item in deviations if _is_fatal(claim, item)]
    if fatal:
        return Outcome.NOT_COMPARABLE, (f"our runs differ from the original's in {_list(deviations)}",)
    if trial.judge is None or trial.shortage:
        return Outcome.INCONCLUSIVE, (trial.shortage, *_reservations(claim, trial, deviations))
    return None


def _is_fatal(claim: Claim, deviation: Deviation) -> bool:
    """Whether a claim cannot be judged for DEVIATION; another arithmetic alone is told and no more."""
    if claim.kind in _EFFECTS:
        return deviation.setting in claim.essential
    return deviation.setting not in _TOLD


def _explain_waiting(trial: Trial) -> str:
    """Why nothing is measured: what is stale, failed or gated before what merely waits."""
    special = [cell for cell in trial.cells if cell.state is not State.PENDING]
    waiting = price_text(status for cell in trial.cells for status in cell.statuses)
    return "; ".join(f"{cell.name}: {cell.why}" for cell in special) or (waiting if trial.cells else trial.shortage)


def _reservations(claim: Claim, trial: Trial, deviations: tuple[Deviation, ...]) -> tuple[str, ...]:
    """What a reader must know of an effect that was judged under other settings than the original's."""
    equal = _equal_runs(claim, trial)
    if claim.kind not in _EFFECTS:
        return (*((f"in another arithmetic: {_list(deviations)}",) if deviations else ()), *equal)
    precision = differing_settings(trial.cells).get("precision")
    return (
        *((f"under a reduced protocol: {_list(deviations)}",) if deviations else ()),
        *((f"the cells differ in precision: {', '.join(precision)}",) if precision else ()),
        *equal,
    )


def _equal_runs(claim: Claim, trial: Trial) -> tuple[str, ...]:
    """That a spread was not seen but taken from the number of test images."""
    if claim.kind is ClaimKind.COUNT:
        return ()
    names = cell_names(trial.cells)
    found = [names[cell.name] for cell in trial.cells if cell.is_without_spread and cell.test_images]
    if not found:
        return ()
    equal = f"the runs of {', '.join(found)} are exactly equal: check that their seeds differ"
    return (f"{equal}; the binomial error of the test images stands for their spread",)


def _list(deviations: tuple[Deviation, ...]) -> str:
    """The first deviations in full and how many more there are; all of them stand in the table of settings."""
    few = deviations if len(deviations) <= _LISTED else deviations[: _LISTED - 1]
    more = len(deviations) - len(few)
    return ", ".join(item.text for item in few) + (f" and {more} more settings" if more else "")


def _adjust(claims: Mapping[str, Claim], p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """P_VALUES after Holm within each family; None stands for a claim that is not tested and counts as 1."""
    adjusted = dict(p_values)
    for family in dict.fromkeys(claim.family for claim in claims.values() if claim.family):
        members = [id for id, claim in claims.items() if claim.family == family]
        raw = [p_values[id] for id in members]
        after = statistics.holm([1.0 if p is None else p for p in raw])
        adjusted.update({id: None if p is None else q for id, p, q in zip(members, raw, after, strict=True)})
    return adjusted


def _verdict(
    claim: Claim, trial: Trial, deviations: tuple[Deviation, ...], gated: Judgement | None, p: float | None
) -> Verdict:
    verdict = Verdict(
        claim, Outcome.NOT_TESTED, (), trial.rule, trial.reported, trial.ours, trial.difference, deviations=deviations
    )
    if gated is not None:
        return replace(verdict, outcome=gated[0], reasons=gated[1])
    assert trial.judge is not None
    outcome, reasons = trial.judge(p, claim.margin)
    margins = () if claim.margin is None else tuple((words, factor * claim.margin) for factor, words in _SENSITIVITY)
    return replace(
        verdict,
        outcome=outcome,
        reasons=(*reasons, *_reservations(claim, trial, deviations)),
        probability=None if p is None else _probability(claim, trial, p),
        sensitivity=tuple((words, trial.judge(p, margin)[0]) for words, margin in margins),
    )


def _probability(claim: Claim, trial: Trial, p: float) -> Quantity:
    return Quantity(
        f"claim/{claim.id}/p",
        Kind.PROBABILITY,
        p,
        origin=tuple(record.run for record in _records(trial)),
        aggregate=f"one-sided p, after Holm over the family {claim.family!r}",
        tier=Tier.COMPUTED,
    )
