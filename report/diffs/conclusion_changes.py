"""Changes of what a reader concludes: the title, the verdicts, the numbers and the settings behind them."""

from collections.abc import Iterator
from dataclasses import replace

from report.diffs.changes import NOTHING, Change, Severity, Subject, names_of_both
from report.diffs.meaning import Meaning
from report.judge.verdict import Verdict
from report.quantities import Kind, Quantity


def compare_conclusions(before: Meaning, after: Meaning) -> Iterator[Change]:
    """What changed from BEFORE to AFTER in what the report says; numbers are compared as printed."""
    yield from _titles(before, after)
    yield from _verdicts(before, after)
    yield from _effects(before, after)
    yield from _cells(before, after)


def _titles(before: Meaning, after: Meaning) -> Iterator[Change]:
    if before.prefix != after.prefix:
        was, now = before.prefix or NOTHING, after.prefix or NOTHING
        yield Change(Subject.TITLE, "prefix", Severity.CONCLUSION, was, now, "it follows the verdicts on main claims")


def _verdicts(before: Meaning, after: Meaning) -> Iterator[Change]:
    for id in names_of_both(before.verdicts, after.verdicts):
        was, now = before.verdicts.get(id), after.verdicts.get(id)
        if was and now and (was.outcome, was.reservation) == (now.outcome, now.reservation):
            continue
        if was is None and now is not None and not now.is_tested:
            continue  # a claim that waits for its runs is part of the rules
        lost = was is not None and (now is not None or was.is_tested)
        severity = Severity.CONCLUSION if lost else Severity.EVIDENCE
        why = "; ".join(now.reasons) if now else "the claim was taken away"
        yield Change(Subject.VERDICT, id, severity, _outcome(was), _outcome(now), why)


def _outcome(verdict: Verdict | None) -> str:
    if verdict is None:
        return "no such claim"
    return (
        f"{verdict.printed} (beyond the paper)"
        if verdict.claim.is_beyond
        else f"{verdict.printed}{verdict.reservation}"
    )


def _effects(before: Meaning, after: Meaning) -> Iterator[Change]:
    """The numbers of claims that are no cell's mean: differences, and what was counted."""
    for id in names_of_both(before.verdicts, after.verdicts):
        was, now = before.verdicts.get(id), after.verdicts.get(id)
        numbers = tuple(v.ours if v and v.ours and v.ours.kind is not Kind.ACCURACY else None for v in (was, now))
        main = any(verdict is not None and verdict.is_main for verdict in (was, now))
        yield from _number(id, *numbers, Severity.CONCLUSION if main else Severity.EVIDENCE)


def _cells(before: Meaning, after: Meaning) -> Iterator[Change]:
    """The means of cells, and the settings they were reached with.

    A cell of several groups is named with its group where these print other numbers of it: each may plan other seeds.
    """
    for name in names_of_both(before.cells, after.cells):
        old, new = (meaning.by_group.get(name, {}) for meaning in (before, after))
        groups = names_of_both(old, new)
        changes = {group: {c.subject: c for c in _cell(name, before, after, group)} for group in groups}
        for subject in (Subject.NUMBER, Subject.FIDELITY):
            found = {group: there[subject] for group, there in changes.items() if subject in there}
            if len(found) == len(groups) and len({(c.before, c.after) for c in found.values()}) == 1:
                yield max(found.values(), key=lambda change: change.severity)
            else:
                yield from (replace(change, name=f"{name}, group {group}") for group, change in found.items())


def _cell(name: str, before: Meaning, after: Meaning, group: str) -> Iterator[Change]:
    """What changed in the cell NAME as GROUP has it."""
    was, now = (meaning.by_group.get(name, {}).get(group) for meaning in (before, after))
    is_main = any(cell is not None and meaning.is_main(cell) for meaning, cell in ((before, was), (after, now)))
    severity = Severity.CONCLUSION if is_main else Severity.EVIDENCE
    yield from _number(name, was.quantity() if was else None, now.quantity() if now else None, severity)
    if was and now and was.records and now.records and was.fidelity != now.fidelity:
        yield Change(Subject.FIDELITY, name, severity, was.fidelity.words, now.fidelity.words)


def _number(name: str, was: Quantity | None, now: Quantity | None, severity: Severity) -> Iterator[Change]:
    """The change of a printed number; none where neither side has one."""
    if _printed(was) != _printed(now):
        texts = (q.parts.text if q is not None and q.is_measured else NOTHING for q in (was, now))
        why = now.why if now is not None and not now.is_measured else ""
        yield Change(Subject.NUMBER, name, severity, *texts, why, numbers=(was, now))


def _printed(quantity: Quantity | None) -> tuple[str, str, int | None] | None:
    """A number as a reader sees it, less how many runs are planned."""
    if quantity is None or not quantity.is_measured:
        return None
    return quantity.parts.value, quantity.parts.spread, quantity.n
