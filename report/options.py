"""What the options of a table or a figure may be, so that one of another type is refused with its place."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from report.fields import check_names, line, lines, mapping, refuse

Check = Callable[[Any, str], object]  # of a value and its place; raises ConfigurationError
_ROLES = ("image", "layer", "norm", "sum", "plain")
_SCALARS = (str, int, float, bool)


def check_item(item: Any, kinds: Mapping[str, Mapping[str, Check]], place: str) -> str:
    """The kind of ITEM, a declaration at PLACE, whose fields are those that KINDS has for it, `title` and `note`."""
    kind = mapping(item, place).get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        refuse(f"{place}.kind", kind, " | ".join(kinds))
    checks: dict[str, Check] = {"title": line, "note": _note, **kinds[kind]}
    check_names(item, {"kind", *checks}, checks, place)
    for name, check in checks.items():
        check(item[name], f"{place}.{name}")
    return kind


def _note(value: Any, place: str) -> None:
    if not isinstance(value, str):
        refuse(place, value, "text, which may be empty")


def share(value: Any, place: str) -> None:
    """A number between 0 and 1, both excluded."""
    if type(value) not in (int, float) or not 0 < value < 1:
        refuse(place, value, "a number between 0 and 1")


def share_or_none(value: Any, place: str) -> None:
    """As `share`, or null for none."""
    if value is not None:
        share(value, place)


def parameters(value: Any, place: str) -> None:
    """Some of a cell's parameters with their values."""
    for name, one in mapping(value, place).items():
        line(name, f"{place}: the name")
        if not isinstance(one, _SCALARS):
            refuse(f"{place}.{name}", one, "a number, text, true or false")


def some(value: Any, place: str) -> None:
    """A list of texts that is not empty."""
    lines(_list(value, place), place)


def by_name(of_each: Check) -> Check:
    """A mapping of names to what OF_EACH takes."""

    def check(value: Any, place: str) -> None:
        for name, item in mapping(value, place).items():
            line(name, f"{place}: the name")
            of_each(item, f"{place}.{name}")

    return check


def items(needed: Mapping[str, Check], others: Mapping[str, Check] | None = None) -> Check:
    """A list of mappings that have the NEEDED fields and may have the OTHERS."""
    checks = {**needed, **(others or {})}

    def check(value: Any, place: str) -> None:
        for index, item in enumerate(_list(value, place)):
            check_names(mapping(item, f"{place}[{index}]"), checks, needed, f"{place}[{index}]")
            for name, one in item.items():
                checks[name](one, f"{place}[{index}].{name}")

    return check


def blocks(value: Any, place: str) -> None:
    """The boxes of a diagram, and frames with boxes that are repeated."""
    for index, block in enumerate(_list(value, place)):
        where = f"{place}[{index}]"
        if "repeat" in mapping(block, where):
            check_names(block, {"repeat", "blocks"}, {"repeat", "blocks"}, where)
            line(block["repeat"], f"{where}.repeat")
            blocks(block["blocks"], f"{where}.blocks")
            continue
        check_names(block, {"role", "text", "detail", "residual"}, {"role", "text"}, where)
        one_of(_ROLES)(block["role"], f"{where}.role")
        for name in ("text", "detail"):
            line(block.get(name, "none"), f"{where}.{name}")
        one_of(("start", "end"))(block.get("residual", "start"), f"{where}.residual")


def one_of(choices: Iterable[str]) -> Check:
    """One of some words."""

    def check(value: Any, place: str) -> None:
        if value not in choices:
            refuse(place, value, " | ".join(choices))

    return check


def _list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        refuse(place, value, "a list that is not empty")
    return value


TEXT: Check = line
TEXTS: Check = some
MAYBE_TEXTS: Check = lines
NAMED_TEXTS: Check = by_name(line)
SWEEPS: Check = items({"group": line, "along": line}, {"where": parameters})
EFFECT_PANELS: Check = items({"group": line, "parameter": line}, {"where": parameters})
SCATTER_PANELS: Check = items({"metric": line, "text": line})
