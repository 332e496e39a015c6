"""Words that several pages and messages put alike."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.prices import reservation, rough_time
from experiments.spec import State
from experiments.status import RunStatus


def first_few(texts: Sequence[str], most: int) -> str:
    """At most MOST of TEXTS, and how many more there are: `a, b, c and 4 more`."""
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def plural(number: int, what: str) -> str:
    """`1 claim`, `2 claims`."""
    return f"{number} {what}{'s' if number != 1 else ''}"


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


def price_text(statuses: Iterable[RunStatus]) -> str:
    """What runs still to come would take: `3 runs to come, about 0.52 h (a guess)`; `3 runs to come (2 stale), …`."""
    waiting = [status for status in statuses if status.state is not State.MEASURED]
    prices = [status.price for status in waiting]
    stale = sum(status.state is State.STALE for status in waiting)
    again = f" ({stale} stale)" if stale else ""
    time = rough_time(math.fsum(price.seconds for price in prices))
    return f"{len(prices)} run{'s' if len(prices) != 1 else ''} to come{again}, about {time}{reservation(prices)}"
