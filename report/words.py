"""Words that several pages and messages put alike."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def first_few(texts: Sequence[str], most: int) -> str:
    """At most MOST of TEXTS, and how many more there are: `a, b, c and 4 more`."""
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def amount(count: int, what: str) -> str:
    """`1 run`, `3 runs`, `1,200 runs`."""
    return f"{count:,} {what}{'s' if count != 1 else ''}"


def listed(texts: Sequence[str]) -> str:
    """All of TEXTS as a sentence lists them: `a, b and c`."""
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def ascending(texts: Iterable[str]) -> list[str]:
    """Each of TEXTS once, numbers by size before words, and versions as they follow upon each other: 2.9 before 2.10."""
    return sorted(set(texts), key=lambda text: (_number(text), re.sub(r"\d+", lambda found: found[0].zfill(9), text)))


def _number(text: str) -> float:
    try:
        return float(text) if math.isfinite(float(text)) else math.inf
    except ValueError:
        return math.inf


def parameters_text(parameters: Mapping[str, Any]) -> str:
    """`patch_size=4, norm='batch'`: the text '16' is another value than the number."""
    return ", ".join(f"{name}={value!r}" for name, value in parameters.items())


def in_words(name: str) -> str:
    """A parameter's or setting's name for a reader: `kernel size`."""
    return name.replace("_", " ")


def cell_text(parameters: Mapping[str, Any]) -> str:
    """A cell for a reader: `patch size 4, kernel size 9`."""
    return ", ".join(f"{in_words(name)} {value}" for name, value in parameters.items())
