"""Words that several pages and messages put alike."""

from collections.abc import Sequence


def first_few(texts: Sequence[str], most: int) -> str:
    """At most MOST of TEXTS, and how many more there are: `a, b, c and 4 more`."""
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
