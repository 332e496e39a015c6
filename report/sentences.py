"""Text whose numbers know where they come from: a caption, the reason of a verdict, a rule.

A `Sentence` is the str that it reads as, so that it can be compared, kept and written anywhere. A page sets its parts
one by one, and each number among them leads to its origin. What is put together with f-strings loses this.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from experiments.prices import reservation, rough_time
from experiments.spec import State
from experiments.status import RunStatus
from report.quantities import Kind, Quantity, count

PLANNED = ("experiments/plan.yaml and the ledger, counted",)
PRICED = ("experiments/plan.yaml and the speed of the recorded runs",)


class Sentence(str):
    """A text of `parts`: words, and quantities that stand in it as they read."""

    parts: tuple[str | Quantity, ...]

    def __new__(cls, *parts: str | Quantity) -> Self:
        """PARTS one after the other; those of a sentence among them are its own."""
        flat = [piece for part in parts for piece in (part.parts if isinstance(part, Sentence) else (part,))]
        made = super().__new__(cls, "".join(part if isinstance(part, str) else part.parts.text for part in flat))
        made.parts = tuple(flat)
        return made

    def __getnewargs__(self) -> tuple[str | Quantity, ...]:
        return self.parts


def quantities_of(text: str) -> tuple[Quantity, ...]:
    """The quantities in TEXT; none of a text that is no sentence."""
    return tuple(part for part in text.parts if isinstance(part, Quantity)) if isinstance(text, Sentence) else ()


def counted(number: Quantity, what: str) -> Sentence:
    """`1 run`, `3 runs`: `amount`, of a number that leads to its origin."""
    return Sentence(number, f" {what}{'s' if number.value != 1 else ''}")


def goes_with(number: Quantity, one: str, several: str) -> str:
    """The word that goes with NUMBER: ONE in `1 of 4 levels is`, SEVERAL in `2 of 4 levels are`."""
    return one if number.value == 1 else several


def joined(between: str, texts: Iterable[str | Quantity]) -> Sentence:
    """TEXTS with BETWEEN among them, less those that are empty."""
    parts: list[str | Quantity] = []
    for text in filter(None, texts):
        parts += [between, text] if parts else [text]
    return Sentence(*parts)


def without_stop(text: str) -> Sentence:
    """TEXT less the full stop at its end."""
    *parts, last = Sentence(text).parts or ("",)
    return Sentence(*parts, last.rstrip(".") if isinstance(last, str) else last)


@dataclass(frozen=True)
class Numbers:
    """Makes the numbers of one text: `stem` begins their ids, `origin` are the runs, or else the sources, they come from."""

    stem: str
    origin: tuple[str, ...]

    def count(self, name: str, value: int, what: str) -> Quantity:
        """A number that the machine counted: WHAT it counted."""
        return count(f"{self.stem}/{name}", value, what, origin=self.origin)

    def probability(self, name: str, value: float, what: str) -> Quantity:
        """A p."""
        return self._computed(name, Kind.PROBABILITY, value, what)

    def difference(self, name: str, value: float, what: str) -> Quantity:
        """A difference as a fraction, printed with its sign."""
        return self._computed(name, Kind.DIFFERENCE, value, what)

    def spelled(self, name: str, value: float, text: str, what: str, kind: Kind = Kind.NUMBER) -> Quantity:
        """A VALUE that is printed as TEXT."""
        return self._computed(name, kind, value, what, text)

    def rough_time(self, name: str, seconds: float, what: str) -> Quantity:
        """A time that was estimated: `35 s`, `12 min`, `280 h`."""
        text = rough_time(seconds)
        if text.endswith(" h"):
            return self.spelled(name, seconds / 3600, text.removesuffix(" h"), what, Kind.HOURS)
        return self.spelled(name, seconds, text, f"{what}, in seconds")

    def _computed(self, name: str, kind: Kind, value: float, what: str, text: str = "") -> Quantity:
        return Quantity(f"{self.stem}/{name}", kind, value, origin=self.origin, aggregate=what, quoted=text)


def price_text(statuses: Iterable[RunStatus], id: str = "price") -> Sentence:
    """What runs still to come would take: `3 runs to come, about 0.52 h (a guess)`; `3 runs to come (2 stale), …`.

    The ids of its numbers begin with ID: what is printed on a page needs one of its own.
    """
    waiting = [status for status in statuses if status.state is not State.MEASURED]
    prices = [status.price for status in waiting]
    stale = sum(status.state is State.STALE for status in waiting)
    numbers = Numbers(id, PRICED)
    again = Sentence(" (", numbers.count("stale", stale, "stale runs"), " stale)") if stale else ""
    return Sentence(
        counted(numbers.count("runs", len(prices), "runs to come"), "run"),
        " to come",
        again,
        ", about ",
        numbers.rough_time("time", math.fsum(price.seconds for price in prices), "their price"),
        reservation(prices),
    )
