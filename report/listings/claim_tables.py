"""The tables of claims: their sentences, verdicts and why, what waits for its first run, and the rules that judge."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from experiments.spec import State
from report.facts import Facts
from report.judge.claims import Claim, ClaimKind
from report.judge.trials import Outcome, alpha_of, margin_text, rule_numbers, seeds_of
from report.judge.verdict import Verdict
from report.listings.result_tables import DASH, Declaration
from report.quantities import Quantity
from report.sentences import Numbers, Sentence, counted, goes_with, joined, price_text, without_stop
from report.tables import Cell, Column, Table

_NO_GROUP = "several groups"
_ON_EFFECTS = (ClaimKind.DIRECTION, ClaimKind.TREND)
_SIGNS = "An effect is positive where it goes the claimed way, up or down."


def claims(declared: Declaration, facts: Facts) -> Table:
    """One line a claim: its sentence, where the original says so, and how sure that is."""
    rows: list[tuple[Cell, ...]] = [
        (claim.id, claim.sentence, claim.source, claim.certainty) for claim in facts.claims.claims.values()
    ]
    columns = (
        Column("id", "Claim"),
        Column("sentence", "Sentence"),
        Column("source", "Source"),
        Column("certainty", "Certainty"),
    )
    beyond = sum(claim.is_beyond for claim in facts.claims.claims.values())
    numbers = declared.numbers()
    theirs = numbers.count("originals", len(rows) - beyond, "claims of the originals")
    ours = Sentence(", ", numbers.count("own", beyond, "claims beyond the paper"), " of our own.") if beyond else "."
    finding = Sentence(theirs, " of the originals", ours)
    return declared.table(finding, columns, rows)


def verdicts(declared: Declaration, facts: Facts) -> Table:
    """One line a claim that any run speaks to: what was reported, what we found, the verdict in words."""
    rows: list[tuple[Cell, ...]] = [
        (
            verdict.claim.id,
            _with_unit(verdict, verdict.reported) or DASH,
            _with_unit(verdict, verdict.ours) or DASH,
            verdict.difference or DASH,
            verdict.printed,
            _protocol(verdict),
        )
        for verdict in facts.verdicts.values()
        if verdict.is_tested
    ]
    columns = (
        Column("id", "Claim"),
        Column("reported", "Reported", align="right"),
        Column("ours", "Ours", align="right"),
        Column("difference", "Difference", align="right"),
        Column("verdict", "Verdict"),
        Column("protocol", "Protocol"),
    )
    if any(
        verdict.claim.kind in _ON_EFFECTS and verdict.ours for verdict in facts.verdicts.values() if verdict.is_tested
    ):
        declared = replace(declared, note=f"{declared.note} {_SIGNS}".strip())
    return replace(
        declared.table(verdict_finding(facts.verdicts, declared.numbers()), columns, rows), claims=_told(rows)
    )


def _told(rows: list[tuple[Cell, ...]]) -> tuple[str, ...]:
    """The claims of ROWS that begin with one."""
    return tuple(str(row[0]) for row in rows)


def _with_unit(verdict: Verdict, quantity: Quantity | None) -> Quantity | None:
    """QUANTITY; what a claim on counts has counted as `5 models`, for no column's head says what it is."""
    if verdict.claim.kind is not ClaimKind.COUNT or quantity is None or quantity.value is None:
        return quantity
    models = f"{quantity.value:,.0f} model{'s' if quantity.value != 1 else ''}"
    return replace(quantity, id=f"{quantity.id}/models", quoted=models)


def _protocol(verdict: Verdict) -> str:
    """Whether the runs keep to the protocol of the claim, or of its parts: a verdict holds for the one it was reached by."""
    if verdict.is_on_another_protocol and not verdict.claim.is_beyond:
        return "reduced"
    if verdict.claim.is_beyond or verdict.claim.protocol is None:
        return DASH
    return "with deviations" if verdict.deviations or verdict.claim.deviations else "kept"


def verdict_finding(verdicts: Mapping[str, Verdict], numbers: Numbers) -> Sentence:
    """`1 REPRODUCED, 14 NOT TESTED; beyond the paper 1 shown.` in the order of the outcomes."""
    listed = [verdict.outcome for verdict in verdicts.values() if not verdict.claim.is_beyond]
    finding = joined(
        ", ",
        (
            Sentence(
                numbers.count(outcome.value, listed.count(outcome), f"claims {outcome.value}"), f" {outcome.value}"
            )
            for outcome in Outcome
            if outcome in listed
        ),
    )
    beyond = Counter(verdict.printed for verdict in verdicts.values() if verdict.claim.is_beyond)
    words = joined(
        ", ",
        (
            Sentence(numbers.count(f"beyond-{shown}", number, f"claims beyond the paper {shown}"), f" {shown}")
            for shown, number in beyond.items()
        ),
    )
    if words and not listed:  # A paper may begin with claims of its own.
        return Sentence("Beyond the paper ", words, ".")
    return Sentence(finding, "; beyond the paper ", words, ".") if words else Sentence(finding, ".")


def untested(declared: Declaration, facts: Facts) -> Table:
    """One line a group that claims wait for: these, and the price of the runs that they need first; then those left out."""
    # One that is called untested and has runs is judged on them.
    lacking = [verdict for verdict in facts.verdicts.values() if not verdict.is_tested]
    waiting: dict[str, list[Verdict]] = {}
    left_out: dict[str, list[str]] = {}
    for verdict in lacking:
        if verdict.claim.untested:
            left_out.setdefault(verdict.claim.untested, []).append(verdict.claim.id)
        else:
            waiting.setdefault(_group_of(verdict.claim, facts), []).append(verdict)
    rows: list[tuple[Cell, ...]] = [
        (group, ", ".join(verdict.claim.id for verdict in listed), _what_is_lacking(declared, group, listed, facts))
        for group, listed in waiting.items()
    ]
    rows += [(DASH, ", ".join(ids), reason) for reason, ids in left_out.items()]
    columns = (
        Column("group", "Group"),
        Column("claims", "Claims that wait for it"),
        Column("lacking", "What is lacking"),
    )
    never = sum(map(len, left_out.values()))
    finding = _untested_finding(declared, len(lacking) - never, never)
    made = declared.table(finding, columns, rows)
    return replace(made, claims=tuple(verdict.claim.id for verdict in lacking))


def _what_is_lacking(declared: Declaration, group: str, listed: list[Verdict], facts: Facts) -> Sentence:
    """The price of the runs of GROUP that are not measured; where there are none, why the verdicts LISTED wait."""
    runs = facts.evidence.runs(group) if group in facts.evidence.groups else ()
    if lacking := [status for status in runs if status.state is not State.MEASURED]:
        return price_text(lacking, f"table/{declared.name}/{group}")
    return joined("; ", dict.fromkeys(text for verdict in listed for text in verdict.reasons))


def _untested_finding(declared: Declaration, waiting: int, never: int) -> Sentence:
    """`2 claims wait for a first run; 1 claim is left untested.`"""
    waits = declared.numbers().count("waiting", waiting, "claims without a run")
    left = declared.numbers().count("left-out", never, "claims for which no run is planned")
    found = (
        Sentence(counted(waits, "claim"), f" {goes_with(waits, 'waits', 'wait')} for a first run") if waiting else "",
        Sentence(counted(left, "claim"), f" {goes_with(left, 'is', 'are')} left untested") if never else "",
    )
    return Sentence(joined("; ", found) or "Every claim is tested", ".")


def _group_of(claim: Claim, facts: Facts) -> str:
    """The group that CLAIM waits for; that of its parts, where they share one."""
    groups = {claim.group} if claim.group else {facts.claims.claims[part].group for part in claim.parts}
    return groups.pop() or _NO_GROUP if len(groups) == 1 else _NO_GROUP


def reasons(declared: Declaration, facts: Facts) -> Table:
    """One line a tested claim: why, with which deviations, and how far the verdict can be trusted."""
    rows: list[tuple[Cell, ...]] = []
    for verdict in facts.verdicts.values():
        if verdict.is_tested:
            first = Sentence(f"{verdict.reservation.strip()}: " if verdict.is_reduced else "", verdict.why)
            why = (first, *verdict.besides, *verdict.claim.deviations)
            trust = joined("; ", map(without_stop, verdict.notes))
            rows.append((verdict.claim.id, verdict.printed, joined("; ", map(without_stop, why)), trust or DASH))
    columns = (
        Column("id", "Claim"),
        Column("verdict", "Verdict"),
        Column("reasons", "Reasons and deviations"),
        Column("trust", "How far it can be trusted"),
    )
    numbers, verdicts = declared.numbers(), facts.verdicts.values()
    decided = numbers.count("decided", sum(verdict.is_decided for verdict in verdicts), "claims that are decided")
    every = numbers.count("claims", len(verdicts), "claims")
    finding = Sentence(decided, " of ", every, f" claims {goes_with(decided, 'is', 'are')} decided.")
    return replace(declared.table(finding, columns, rows), claims=_told(rows))


def rules(declared: Declaration, facts: Facts) -> Table:
    """One line a rule, by the kind of claim, with the claims that it judges; the first of a kind is told in full."""
    judged: dict[tuple[ClaimKind, str, str], list[Claim]] = {}
    for verdict in sorted(facts.verdicts.values(), key=lambda verdict: list(ClaimKind).index(verdict.claim.kind)):
        if verdict.rule:
            judged.setdefault((verdict.claim.kind, verdict.rule, verdict.span), []).append(verdict.claim)
    first: dict[ClaimKind, Claim] = {}
    rows: list[tuple[Cell, ...]] = []
    for (kind, rule, span), claims in judged.items():
        told = _as_for(first[kind], claims[0], facts) if kind in first else rule
        first.setdefault(kind, claims[0])
        rows.append((kind.value, ", ".join(claim.id for claim in claims), Sentence(told, f"; {span}" if span else "")))
    columns = (Column("kind", "Kind"), Column("claims", "Claims"), Column("rule", "Rule"))
    numbers = declared.numbers()
    several = counted(numbers.count("rules", len(rows), "rules"), "rule")
    claims = counted(numbers.count("claims", sum(map(len, judged.values())), "claims that have a rule"), "claim")
    return declared.table(Sentence(several, " for ", claims, "."), columns, rows)


def _as_for(base: Claim, claim: Claim, facts: Facts) -> Sentence:
    """The rule of CLAIM by what it has otherwise than that of BASE, which is of the same kind."""
    along = facts.evidence.cells(claim.group)[0].word(claim.along) if claim.along else ""
    simple = (one for one in facts.claims.claims.values() if one.kind is not ClaimKind.COMPOUND)
    members = sum(one.family == claim.family for one in simple)
    size = rule_numbers(claim).count("family", members, "claims of the family")
    differing = {
        Sentence(f"over {along} ({claim.order})"): (claim.along, claim.order) != (base.along, base.order),
        Sentence(f"in the family {claim.family!r} of ", counted(size, "claim")): claim.family != base.family,
        Sentence("at the level ", alpha_of(claim)): claim.alpha != base.alpha,
        Sentence("with a margin of ", margin_text(claim)): claim.margin != base.margin,
        Sentence("with at least ", seeds_of(claim), " runs"): claim.min_seeds != base.min_seeds,
    }
    words = [text for text, differs in differing.items() if differs]
    return Sentence(f"as for {base.id}", ", but " if words else "", joined(", ", words))
