"""What a change is: a thing, how it was and how it is, and how much that matters to a reader.

A change is of a *conclusion* where a reader of the report would conclude something else or read another main number; of
*evidence* where what the conclusions rest on changed: records, plan, rules, quoted values, other numbers; and else a
*note*: words and prices.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from report.quantities import Quantity

NOTHING = "none"


class Severity(IntEnum):
    """How much a change matters to a reader."""

    NOTE = 0
    EVIDENCE = 1
    CONCLUSION = 2


class Subject(StrEnum):
    """What kind of thing changed."""

    TITLE = "title"
    VERDICT = "verdict"
    NUMBER = "number"
    FIDELITY = "fidelity"
    RULE = "rule"
    QUOTED = "quoted value"
    PLAN = "plan"
    RECORD = "record"
    PRICE = "price"
    TEXT = "text"


@dataclass(frozen=True)
class Change:
    """A thing, how it was and how it is, in words; `numbers` are both values where it is a number that changed."""

    subject: Subject
    name: str
    severity: Severity
    before: str
    after: str
    why: str = ""
    numbers: tuple[Quantity | None, Quantity | None] | None = None


def names_of_both(before: Iterable[str], after: Iterable[str]) -> tuple[str, ...]:
    """The names of AFTER in their order, then those that only BEFORE has."""
    return tuple(dict.fromkeys((*after, *before)))
