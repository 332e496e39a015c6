"""What the web page knows beside its text: where each number comes from and how each run learned, as embedded data.

The page is one file that fetches nothing. Its script is allowed by its digest alone, its data cannot end the element
that holds them, and everything in them is set as text.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.spec import ACCURACY, Record
from report.pages.formats import Fragment
from report.pages.origins import Origin, Origins
from report.quantities import MOST_ORIGINS, Quantity, Tier

TO_ROOT = "../../"  # from report/out, where the page lies, to the records
CURVE_POINTS = 50  # at most this many points of a learning curve are drawn
DIGITS = 8  # of a digest: enough to tell records apart
MANY_RUNS, FEW_POINTS = 1000, 12  # of more runs, fewer points: the page has to stay light


class Page:
    """Style, script and data of the HTML report."""

    def __init__(self, templates: Path) -> None:
        self.style = Fragment((templates / "html/report.css").read_text(encoding="utf-8").strip())
        self.script = Fragment((templates / "html/report.js").read_text(encoding="utf-8").strip())

    @cached_property
    def policy(self) -> Fragment:
        """The content security policy: no request at all, and no script but this one."""
        digest = base64.b64encode(hashlib.sha256(self.script.encode()).digest()).decode()
        return Fragment(f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'")


def page_data(
    printed: Iterable[Quantity], origins: Origins, records: Iterable[Record], notebooks: Iterable[str]
) -> Fragment:
    """The embedded JSON: the origin of each of the PRINTED quantities, and the curve and digest of each of RECORDS."""
    listed, kept = tuple(records), set(notebooks)
    points = CURVE_POINTS if len(listed) <= MANY_RUNS else FEW_POINTS
    cells: dict[str, list[Record]] = {}
    for record in listed:
        cell = origins.cell_of(record.run) or ""
        cells.setdefault(cell if record.run.startswith(cell) else "", []).append(record)
    in_order = (record.run for records in cells.values() for record in records)
    numbers = {run: number for number, run in enumerate(in_order)}
    quantities, found = {}, _Shared()
    for quantity in printed:
        if not _is_of_a_row(quantity):
            lines = [list(line) for line in quantity.details if line[0] != "Origin"]
            quantities[quantity.id] = {"lines": lines, "origin": found.number(_told(origins.of(quantity), numbers))}
    content = {
        "root": TO_ROOT,
        "origins": found.things,
        "quantities": quantities,
        "runs": {
            cell: [_run(record, cell, points, record.run in kept, origins.tier_of(record.run)) for record in records]
            for cell, records in cells.items()
        },
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Fragment(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _is_of_a_row(quantity: Quantity) -> bool:
    """Whether it only stands in the table of runs, whose rows tell their origin themselves."""
    return quantity.id.startswith("run/")


class _Shared:
    """Things each of which is kept once, and called by its number: a hundred origins have all the numbers of a page."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.things: list[Any] = []

    def number(self, thing: Any) -> int:
        """The number of THING among those kept, which it joins."""
        key = json.dumps(thing, sort_keys=True)
        if key not in self._numbers:
            self._numbers[key] = len(self.things)
            self.things.append(thing)
        return self._numbers[key]


def _told(origin: Origin, numbers: Mapping[str, int]) -> Mapping[str, Any]:
    """What the pop-up of a number tells of its ORIGIN: kind, first runs and how many there are, anchor and command.

    Recorded runs are told by their places among the page's runs, for names are long: a first one and how many follow
    upon it in turn. Another run is told by its name.
    """
    source = "; ".join(origin.sources) if origin.tier.value == "quoted" or not origin.runs else ""
    told: dict[str, Any] = {"kind": origin.tier.value, "anchor": origin.anchor}
    told |= {"from": source} if source else {}
    if origin.runs:
        told |= {"runs": list(_spans(origin.runs[:MOST_ORIGINS], numbers)), "of": len(origin.runs)}
    return told | ({"command": origin.command} if origin.command else {})


def _spans(runs: Iterable[str], numbers: Mapping[str, int]) -> Iterator[str | list[int]]:
    """RUNS by their NUMBERS, those in turn as [first, count]; by its name what has none."""
    span: list[int] = []
    for run in runs:
        number = numbers.get(run)
        if span and number == sum(span):
            span[1] += 1
            continue
        if span:
            yield span
        span = [] if number is None else [number, 1]
        if number is None:
            yield run
    if span:
        yield span


def _run(record: Record, cell: str, points: int, has_notebook: bool, tier: Tier) -> list[Any]:
    """A run as report.js unpacks it: what its name adds to its CELL's, digest of its record, epochs, curve in
    hundredths of a per cent; 1 where it has a notebook, plus 2 where CI ran it."""
    curve = record.history.get(ACCURACY) or []
    indices = sampled(len(curve), points)
    values = [None if curve[index] is None else round(10_000 * curve[index]) for index in indices]
    name = record.run.removeprefix(cell)
    facts = has_notebook + 2 * (tier is Tier.RUN_BY_CI)
    return [name, record.digest[:DIGITS], len(curve), values, *([facts] if facts else [])]


def sampled(length: int, points: int) -> list[int]:
    """At most POINTS indices of LENGTH, evenly spread, with the first and the last; report.js reckons the same."""
    if length <= points:
        return list(range(length))
    return [index * (length - 1) // (points - 1) for index in range(points)]
