"""Texts that a spreadsheet opens: none of them may be a formula, which it would run."""

from typing import Any

_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_text(value: Any) -> Any:
    """VALUE for a CSV: a text that a spreadsheet would take for a formula stands behind an apostrophe.

    Numbers stay as they are; so does a lone sign, which computes nothing.
    """
    is_formula = isinstance(value, str) and len(value) > 1 and value.startswith(_BEGINS_FORMULA)
    return f"'{value}" if is_formula else value
