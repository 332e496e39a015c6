"""Checks of what the authors' files hold, which name file and field."""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from experiments.spec import ConfigurationError


def refuse(place: str, value: Any, expected: str) -> NoReturn:
    """Raise a ConfigurationError that says what stands at PLACE and what should."""
    raise ConfigurationError(f"{place}: found {value!r}; expected {expected}")


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
