"""A difference since a revision as a page: text for a terminal, Markdown for a pull request, JSON for programs."""

import json
from collections.abc import Mapping
from typing import Any

from report.diffs.changes import Change, Severity
from report.diffs.diff import Difference
from report.pages.formats import escape_markdown
from report.quantities import Quantity

SCHEMA_NAME = "reproduction/diff/1"
_HEADINGS = {
    Severity.CONCLUSION: "Conclusions",
    Severity.EVIDENCE: "Evidence, plan and rules",
    Severity.NOTE: "Prices and text",
}
_SHORT = 10  # hexadecimal digits of a commit, as on a page
_LISTED = 40  # at most this many rows of one severity stand in a page; the JSON has them all


def format_difference(difference: Difference, form: str) -> str:
    """The page in the FORM text, markdown or json."""
    return {"text": _as_text, "markdown": _as_markdown, "json": _as_json}[form](difference)


def _title(difference: Difference, commit: str) -> str:
    return f"since {commit} of {difference.revision.date}"


def _summary(difference: Difference) -> str:
    """`2 changes of conclusions, 14 of evidence, 3 notes`."""
    counts = [len(difference.of(severity)) for severity in (Severity.CONCLUSION, Severity.EVIDENCE, Severity.NOTE)]
    if not any(counts):
        return "nothing changed"
    return f"changed: {counts[0]} of the conclusions, {counts[1]} of the evidence, plan and rules, {counts[2]} notes"


def _as_text(difference: Difference) -> str:
    commit = difference.revision.commit[:_SHORT]
    lines = [f"{_title(difference, commit)} ({difference.revision.subject}): {_summary(difference)}"]
    for severity, heading in _HEADINGS.items():
        listed = difference.of(severity)
        lines += [f"\n{heading}"] if listed else []
        for change in listed:
            lines.append(f"  {change.subject}: {change.name}: {_step(change, '->')}")
            lines += [f"    {change.why}"] if change.why else []
    return "\n".join(lines)


def _step(change: Change, arrow: str) -> str:
    return f"{change.before} {arrow} {change.after}" if change.before else change.after


def _as_markdown(difference: Difference) -> str:
    """For a comment on a pull request: a table for each severity, the least one folded away."""
    commit = f"`{difference.revision.commit[:_SHORT]}`"
    lines = [f"### What changed in meaning {_title(difference, commit)}", "", f"{_summary(difference)}."]
    for severity, heading in _HEADINGS.items():
        listed = difference.of(severity)
        if not listed:
            continue
        folded = severity is Severity.NOTE
        lines += ["", f"<details><summary>{heading}</summary>" if folded else f"#### {heading}", ""]
        lines += ["| what | which | before | after | why |", "|---|---|---|---|---|"]
        lines += [_as_row(change) for change in listed[:_LISTED]]
        if len(listed) > _LISTED:
            lines += ["", f"and {len(listed) - _LISTED} more; `python build.py diff` lists them."]
        lines += ["", "</details>"] if folded else []
    return "\n".join(lines)


def _as_row(change: Change) -> str:
    cells = (change.subject.value, change.name, change.before, change.after, change.why)
    return "| " + " | ".join(_escape(cell) for cell in cells) + " |"


def _escape(text: str) -> str:
    """Text as a cell of a table has it: what a revision's files say cannot become markup of the page."""
    return escape_markdown(text).replace("@", "\\@")  # which would call somebody


def _as_json(difference: Difference) -> str:
    revision = difference.revision
    document = {
        "schema": SCHEMA_NAME,
        "since": {"revision": revision.name, "commit": revision.commit, "date": revision.date},
        "severity": difference.severity.name.lower(),
        "counts": {severity.name.lower(): len(difference.of(severity)) for severity in _HEADINGS},
        "changes": [_describe(change) for change in difference.changes],
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def _describe(change: Change) -> dict[str, Any]:
    described: dict[str, Any] = {
        "subject": change.subject.value,
        "name": change.name,
        "severity": change.severity.name.lower(),
        "before": change.before,
        "after": change.after,
        "why": change.why,
    }
    if change.numbers is not None:
        described["numbers"] = dict(zip(("before", "after"), map(_number, change.numbers), strict=True))
    return described


def _number(quantity: Quantity | None) -> Mapping[str, Any] | None:
    """A number in the unit of the code: an accuracy or a difference is a fraction."""
    if quantity is None or quantity.value is None:
        return None
    spread = quantity.spread
    bounds = {"low": spread.low, "high": spread.high} if spread else {"low": None, "high": None}
    return {"kind": quantity.kind.value, "value": quantity.value, **bounds, "n": quantity.n}
