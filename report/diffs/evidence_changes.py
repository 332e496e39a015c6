"""Changes of what conclusions rest on: rules, quoted values, plan and records; and of prices and text."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from experiments.rules import EXPLAINING
from experiments.status import RunStatus
from report.cells import CellEvidence
from report.diffs.changes import NOTHING, Change, Severity, Subject, names_of_both
from report.diffs.meaning import Meaning
from report.judge.claims import Claim
from report.judge.gates import setting_text
from report.original import Quoted
from report.sentences import price_text
from report.words import amount, cell_text, in_words

_BESIDE = ("who", "dataset", "cell", "train_images", "source", "certainty", "note")  # fields told where they differ
_WORDS = ("title", "question", "budget", "source")  # of a group
_NO_RULE = EXPLAINING | {"digest", "protocol"}


def compare_evidence(before: Meaning, after: Meaning) -> Iterator[Change]:
    """What changed from BEFORE to AFTER in what the report is made from."""
    yield from _rules(before, after)
    yield from _new_claims(before, after)
    yield from _quoted(before, after)
    yield from _plans(before, after)
    yield from _records(before, after)
    yield from _prices(before, after)
    yield from _texts(before, after)


def _rules(before: Meaning, after: Meaning) -> Iterator[Change]:
    """Claims that are judged by another rule, or told in other words."""
    for id in names_of_both(before.verdicts, after.verdicts):
        was, now = before.verdicts.get(id), after.verdicts.get(id)
        if was is None or now is None or was.claim == now.claim:
            continue
        is_same_rule = was.claim.digest == now.claim.digest and _role(was.claim) == _role(now.claim)
        if was.claim.sentence != now.claim.sentence:  # a verdict is read as one on the sentence
            why = "other words" + (", the same rule" if is_same_rule else "")
            yield Change(Subject.RULE, id, Severity.NOTE, was.claim.sentence, now.claim.sentence, why)
        elif is_same_rule:
            yield Change(Subject.RULE, id, Severity.NOTE, "", "other words, the same rule")
        if is_same_rule:
            continue
        there = was.history.records
        why = f"{there} of the runs that it judges were there before" if there else "before its first run"
        yield Change(Subject.RULE, id, Severity.EVIDENCE, *_rule_texts(was.claim, now.claim), why)


def _role(claim: Claim) -> tuple[bool, bool]:
    """What no digest covers and yet decides: whether CLAIM is ours, and whether no run is to test it."""
    return claim.is_beyond, bool(claim.untested)


def _rule_texts(was: Claim, now: Claim) -> tuple[str, str]:
    """What decides, as far as it differs: `margin 0.005`, `margin 0.01`."""
    old, new = _rule_of(was), _rule_of(now)
    if was.is_beyond != now.is_beyond:
        old, new = {**old, "certainty": was.certainty}, {**new, "certainty": now.certainty}
    if bool(was.untested) != bool(now.untested):
        old, new = ({**rule, "untested": one.untested or "no"} for rule, one in ((old, was), (new, now)))
    differing = [name for name in names_of_both(old, new) if old.get(name) != new.get(name)]
    if not differing:
        return "", "other quoted values that it looks at"
    before, after = (
        [f"{name} {setting_text(rule[name])}" for name in differing if name in rule] for rule in (old, new)
    )
    return "; ".join(before), "; ".join(after)


def _rule_of(claim: Claim) -> Mapping[str, Any]:
    """What decides, by name, as far as the claim says it; the settings of the protocol one by one."""
    plain = {field.name: getattr(claim, field.name) for field in fields(Claim) if field.name not in _NO_RULE}
    settings = claim.protocol.settings if claim.protocol else {}
    texts = {name: ", ".join(value) for name, value in plain.items() if isinstance(value, tuple)}
    told = {name: value for name, value in {**plain, **texts}.items() if value or value is False}
    return {**told, **{f"protocol.{name}": value for name, value in settings.items()}}


def _new_claims(before: Meaning, after: Meaning) -> Iterator[Change]:
    """Claims that wait for their runs, by their group."""
    groups: dict[str, list[str]] = {}
    for id, verdict in after.verdicts.items():
        if id not in before.verdicts and not verdict.is_tested:
            groups.setdefault(verdict.claim.group or NOTHING, []).append(id)
    for group, ids in groups.items():
        yield Change(Subject.RULE, group, Severity.EVIDENCE, "", f"new, not tested yet: {', '.join(ids)}")


def _quoted(before: Meaning, after: Meaning) -> Iterator[Change]:
    for id in names_of_both(before.original, after.original):
        rows = before.original.get(id), after.original.get(id)
        differing = [name for name in _BESIDE if None not in rows and getattr(rows[0], name) != getattr(rows[1], name)]
        was, now = (_row_text(row, differing) for row in rows)
        if was != now:
            yield Change(Subject.QUOTED, id, Severity.EVIDENCE, was, now)


def _row_text(row: Quoted | None, more: Iterable[str]) -> str:
    """What ROW reports, and MORE of its fields."""
    if row is None:
        return NOTHING
    others = [f"{in_words(name)} {_field_text(getattr(row, name))}" for name in more]
    accuracy = f"{row.prefix} {row.accuracy_pct} %".strip() if row.accuracy_pct else ""
    count = f"{row.parameters_thousands} k parameters" if row.parameters_thousands else ""
    epochs = f"{row.epochs} epochs" if row.epochs is not None else ""
    return ", ".join(text for text in (accuracy, count, epochs, row.recipe, *others) if text) or NOTHING


def _field_text(value: Any) -> str:
    return (cell_text(value) if isinstance(value, Mapping) else str(value or "")) or NOTHING


def _plans(before: Meaning, after: Meaning) -> Iterator[Change]:
    """Cells that came and went, by their group; other seeds of a cell one by one."""
    for here, there, words in ((after, before, "added"), (before, after, "removed")):
        by_group: dict[str, list[CellEvidence]] = {}
        for name, cell in here.cells.items():
            if name not in there.cells:
                by_group.setdefault(cell.statuses[0].run.groups[0], []).append(cell)
        for group, cells in by_group.items():
            text = f"{amount(len(cells), 'cell')}, {amount(sum(cell.planned for cell in cells), 'run')} {words}"
            yield Change(Subject.PLAN, group, Severity.EVIDENCE, "", text)
    for name in (name for name in after.groups if name in before.groups):
        groups = before.groups[name], after.groups[name]
        if differing := [word for word in _WORDS if getattr(groups[0], word) != getattr(groups[1], word)]:
            was, now = (
                "; ".join(f"{word} {getattr(group, word) or NOTHING}" for word in differing) for group in groups
            )
            yield Change(Subject.PLAN, name, Severity.NOTE, was, now, "other words")
    for name in (name for name in after.cells if name in before.cells):
        old, new = (sorted(s.run.seed for s in meaning.cells[name].statuses) for meaning in (before, after))
        if old != new:
            yield Change(Subject.PLAN, name, Severity.EVIDENCE, f"seeds {_listed(old)}", f"seeds {_listed(new)}")


def _records(before: Meaning, after: Meaning) -> Iterator[Change]:
    """Records that came, went, were replaced, or changed their standing: a line for what the seeds of a cell share."""
    for name in names_of_both(before.cells, after.cells):
        old, new = (_by_seed(meaning.cells.get(name)) for meaning in (before, after))
        seeds: dict[tuple[str, str, str], list[int]] = {}
        for seed in sorted(old.keys() | new.keys()):
            was, now = old.get(seed), new.get(seed)
            standing, later = _standing(was), _standing(now)
            if standing == later:
                later = "another run" if _is_replaced(was, now) else _again(was, now)
            if standing == later:
                continue
            why = now.why if now is not None and now.record is not None else ""
            seeds.setdefault((standing, later, why), []).append(seed)
        for (standing, later, why), listed in seeds.items():
            told = f"{name}, {'seeds' if len(listed) > 1 else 'seed'} {_listed(listed)}"
            yield Change(Subject.RECORD, told, Severity.EVIDENCE, standing, later, why)


def _by_seed(cell: CellEvidence | None) -> dict[int, RunStatus]:
    return {} if cell is None else {status.run.seed: status for status in cell.statuses}


def _standing(status: RunStatus | None) -> str:
    """How a run's record stands: `measured`, `accepted` for a reason, `stale`."""
    if status is None or status.record is None:
        return "no record"
    return "accepted" if status.acceptance is not None else status.state.value


def _is_replaced(was: RunStatus | None, now: RunStatus | None) -> bool:
    """Whether both have a record, and these are not of one run."""
    results = [
        (record.metrics, record.history, record.correct, record.breakdown, record.arrays)
        for record in (status.record for status in (was, now) if status is not None)
        if record is not None
    ]
    return len(results) == 2 and results[0] != results[1]


def _again(was: RunStatus | None, now: RunStatus | None) -> str:
    """How a record stands that stands as before: accepted once more where it has another reason to count."""
    standing = _standing(now)
    if standing != "accepted" or was is None or now is None or was.acceptance == now.acceptance:
        return standing
    return "accepted once more"


def _prices(before: Meaning, after: Meaning) -> Iterator[Change]:
    was, now = (price_text(s for cell in m.cells.values() for s in cell.statuses) for m in (before, after))
    if was != now:
        yield Change(Subject.PRICE, "the whole plan", Severity.NOTE, was, now)


def _texts(before: Meaning, after: Meaning) -> Iterator[Change]:
    for path in names_of_both(before.texts, after.texts):
        was, now = before.texts.get(path), after.texts.get(path)
        if was == now:
            continue
        words = "changed" if was is not None and now is not None else "removed" if now is None else "added"
        yield Change(Subject.TEXT, f"report/paper/{path}", Severity.NOTE, "", f"{words}, {_line_text(was, now)}")


def _line_text(was: str | None, now: str | None) -> str:
    """`+12 -3 lines`."""
    a, b = (was or "").splitlines(), (now or "").splitlines()
    codes = difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    changed = [code for code in codes if code[0] != "equal"]
    return f"+{sum(j2 - j1 for _, _, _, j1, j2 in changed)} -{sum(i2 - i1 for _, i1, i2, _, _ in changed)} lines"


def _listed(seeds: list[int]) -> str:
    return ", ".join(map(str, seeds))
