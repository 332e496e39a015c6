"""Words that several pages and messages put alike."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.prices import reservation
from experiments.spec import State
from experiments.status import RunStatus
from report.sentences import Numbers, Sentence

PLANNED = ("experiments/plan.yaml and the ledger, counted",)
PRICED = ("experiments/plan.yaml and the speed of the recorded runs",)


def first_few(texts: Sequence[str], most: int) -> str:
    """At most MOST of TEXTS, and how many more there are: `a, b, c and 4 more`."""
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def listed(texts: Sequence[str]) -> str:
    """All of TEXTS as a sentence lists them: `a, b and c`."""
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def parameters_text(parameters: Mapping[str, Any]) -> str:
    """`patch_size=4, norm='batch'`: the text '16' is another value than the number."""
    return ", ".join(f"{name}={value!r}" for name, value in parameters.items())


def in_words(name: str) -> str:
    """A parameter's or setting's name for a reader: `kernel size`."""
    return name.replace("_", " ")


def cell_text(parameters: Mapping[str, Any]) -> str:
    """A cell for a reader: `patch size 4, kernel size 9`."""
    return ", ".join(f"{in_words(name)} {value}" for name, value in parameters.items())


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
        numbers.count("runs", len(prices), "runs to come"),
        f" run{'s' if len(prices) != 1 else ''} to come",
        again,
        ", about ",
        numbers.rough_time("time", math.fsum(price.seconds for price in prices), "their price"),
        reservation(prices),
    )
