"""Checks of what the authors' files hold, which name file and field."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from experiments.reading import FILE_NAME_RULE, is_file_name
from experiments.spec import ConfigurationError


def refuse(place: str, value: Any, expected: str) -> NoReturn:
    """Raise a ConfigurationError that says what stands at PLACE and what should."""
    raise ConfigurationError(f"{place}: found {value!r:.200}; expected {expected}")


def mapping(value: Any, place: str) -> dict[str, Any]:
    """VALUE, if it is a mapping."""
    if not isinstance(value, dict):
        refuse(place, value, "a mapping")
    return value


def check_names(content: Mapping[str, Any], known: Iterable[str], needed: Iterable[str], place: str) -> None:
    """Every name of CONTENT is known and every needed one is there."""
    for name in content:
        if name not in known:
            raise ConfigurationError(f"{place}: unknown field {name!r}; the fields are {', '.join(sorted(known))}")
    for name in sorted(needed):
        if name not in content:
            raise ConfigurationError(f"{place}: the field {name!r} is missing")


def file_names(content: Any, place: str) -> dict[str, Any]:
    """CONTENT, if it is a mapping whose names can be files': the build writes a file of each, and nowhere else."""
    folded: dict[str, str] = {}
    for name in mapping(content, place):
        if not is_file_name(name):
            refuse(f"{place}: the name", name, FILE_NAME_RULE)
        if folded.setdefault(name.casefold(), name) != name:
            refuse(
                f"{place}: the name",
                name,
                f"a name that differs from {folded[name.casefold()]!r} in more than capitals",
            )
    return content


def is_whole(text: str) -> bool:
    """Whether TEXT is a whole number of at most 15 digits of ASCII: `²` is a digit too, and no number."""
    return len(text) <= 15 and text.isascii() and text.isdigit()


def is_number(text: str) -> bool:
    """Whether TEXT is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def line(value: Any, place: str) -> str:
    """Text on one line, with single spaces."""
    if not isinstance(value, str) or not value.strip():
        refuse(place, value, "text that is not empty")
    return " ".join(value.split())


def lines(value: Any, place: str) -> tuple[str, ...]:
    """A list of texts, each on one line."""
    if not isinstance(value, list):
        refuse(place, value, "a list of texts")
    return tuple(line(item, f"{place}[{index}]") for index, item in enumerate(value))
