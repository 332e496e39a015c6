"""The fields of a record, each with its check: what is there, of which type, within which bounds.

A check takes a value, the file's name and the field's path, and raises a RecordFault that names both.
"""

import binascii
import functools
import marshal
import math
import re
from array import array
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from experiments.spec import SCHEMA, Correct, Disagreement

AUTO = "auto"
MAX_LISTS = 4  # lists within each other in a setting
MAX_AXES = 8  # of an array
_NUMBERS = frozenset({int, float})
RULES = "rules"  # of provenance: claim -> digest of its rule; records made before it was kept have none
MAX_SECONDS = 10**11  # of a run: as far as a clock can jump and a date still be written
_SHA256 = re.compile("[0-9a-f]{64}")
_TIME = re.compile(r"[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # a clock may be wrong by centuries
_DEFINITIONS = re.compile(r"(?:[^ ,]+ [0-9a-f]+(?:, [^ ,]+ [0-9a-f]+)*)?")


class RecordFault(Disagreement):
    """A record that cannot be trusted: `place` is its file, `field` the path of the field, with both values.

    `remedy` says what to do where that is neither to restore the record nor to run it again.
    """

    def __init__(
        self, place: str, field: str, message: str, *, expected: str = "", found: str = "", remedy: str = ""
    ) -> None:
        super().__init__(f"{place}: {field}: {message}")
        self.place, self.field, self.message = place, field, message
        self.expected, self.found, self.remedy = expected, found, remedy


def check_fields(content: dict[str, Any], place: str, known: dict[tuple[str, bytes], Any]) -> None:
    """Raises a RecordFault that names the first field that is not as the schema has it.

    KNOWN are the fields of other records that passed: one of ALIKE that is among them is not checked again, and CONTENT
    has theirs in its place from then on.
    """
    if content.get("schema") != SCHEMA:
        refuse(place, "schema", content.get("schema"), f"{SCHEMA}, the version that this code reads")
    if unknown := sorted(content.keys() - CHECKS.keys() - {"schema", "digest"}):
        raise RecordFault(place, unknown[0], f"unknown field; the fields are {', '.join(CHECKS)}", found=unknown[0])
    for name, check in CHECKS.items():
        if name not in content:
            if name not in MAY_LACK:
                raise RecordFault(place, name, "the field is missing", expected=name, found="nothing")
            continue
        if name not in ALIKE:
            check(content[name], place, name)
            continue
        spelt = name, marshal.dumps(content[name], 2)  # unlike JSON it tells an infinity, which is refused, from null
        if spelt not in known:
            check(content[name], place, name)
        content[name] = known.setdefault(spelt, content[name])
    _check_settings(content["settings"], content["parameters"], place)


def _check_settings(settings: Mapping[str, Any], parameters: Mapping[str, Any], place: str) -> None:
    """What a run was told and what it resolved must agree; only `auto` leaves the choice to the run."""
    for name in sorted(settings.keys() & parameters.keys()):
        told = parameters[name]
        if told != AUTO and settings[name] != told:
            refuse(place, f"settings.{name}", settings[name], f"{told!r}, as in parameters.{name}")


def refuse(place: str, field: str, value: Any, expected: str) -> NoReturn:
    """Raises the fault of a field with a wrong value."""
    found = f"{value!r:.200}"  # a damaged file may hold anything, a megabyte of text too
    raise RecordFault(place, field, f"found {found}; expected {expected}", expected=expected, found=found)


def _is_number(value: Any) -> bool:
    kind = type(value)
    return kind is int or (kind is float and math.isfinite(value))


def _text(value: Any, place: str, field: str) -> None:
    if type(value) is not str or not value:
        refuse(place, field, value, "text that is not empty")


def _key(value: Any, place: str, field: str) -> None:
    if type(value) is not str or not _SHA256.fullmatch(value):
        refuse(place, field, value, "64 hexadecimal digits")


def _mapping(value: Any, place: str, field: str) -> None:
    if type(value) is not dict:
        refuse(place, field, value, "a mapping")


def _scalars(value: Any, place: str, field: str) -> None:
    _mapping(value, place, field)
    for name, item in value.items():
        if type(item) not in (str, bool) and not _is_number(item):
            refuse(place, f"{field}.{name}", item, "text, a boolean or a finite number")


def _numbers(value: Any, place: str, field: str) -> None:
    _mapping(value, place, field)
    for name, item in value.items():
        if not _is_number(item):
            refuse(place, f"{field}.{name}", item, "a finite number")
        _share(name, item, place, f"{field}.{name}")


def _share(name: str, value: float, place: str, field: str) -> None:
    """An accuracy is a share of images."""
    if name.endswith("accuracy") and not 0 <= value <= 1:
        refuse(place, field, value, "an accuracy between 0 and 1")


def _columns(value: Any, place: str, field: str) -> None:
    _mapping(value, place, field)
    lengths = {name: len(column) if type(column) is list else -1 for name, column in value.items()}
    for name, length in lengths.items():
        if length < 0:
            refuse(place, f"{field}.{name}", value[name], "a list")
    if len(set(lengths.values())) > 1:
        refuse(place, field, lengths, "columns of equal length")


def _history(value: Any, place: str, field: str) -> None:
    """Finite numbers or null; a column of floats alone is packed, as a record holds it, while their types are known."""
    _columns(value, place, field)
    for name, column in value.items():
        kinds = set(map(type, column))
        if kinds <= _NUMBERS and (_are_within_shares if name.endswith("accuracy") else _is_sum_finite)(column):
            if kinds == {float}:
                value[name] = array("d", column)
            continue
        for index, item in enumerate(column):
            if item is None:
                continue
            if not _is_number(item):
                refuse(place, f"{field}.{name}[{index}]", item, "a finite number or null")
            _share(name, item, place, f"{field}.{name}[{index}]")


def _is_sum_finite(column: list[Any]) -> bool:
    """Whether all these numbers are finite, told at once: a ledger has millions of them."""
    return math.isfinite(sum(column))


def _are_within_shares(column: list[Any]) -> bool:
    return _is_sum_finite(column) and 0 <= min(column, default=0) and max(column, default=1) <= 1


def _breakdown(value: Any, place: str, field: str) -> None:
    if value is None:
        return
    _columns(value, place, field)
    for name, column in value.items():
        is_share = name.endswith("accuracy")
        kinds = set(map(type, column))
        if kinds <= _NUMBERS and _are_within_shares(column) if is_share else kinds <= {str, int}:
            continue
        for index, item in enumerate(column):
            if is_share and item is not None and not (_is_number(item) and 0 <= item <= 1):
                refuse(place, f"{field}.{name}[{index}]", item, "an accuracy between 0 and 1, or null")
            if not is_share and not _is_scalar(item):
                refuse(place, f"{field}.{name}[{index}]", item, "text, a boolean, a finite number or null")


def _settings(value: Any, place: str, field: str) -> None:
    """What `recording.record` lets through: plain values, and lists of them."""
    _mapping(value, place, field)
    for name, item in value.items():
        _plain(item, place, f"{field}.{name}")


def _plain(value: Any, place: str, field: str, depth: int = 0) -> None:
    if type(value) is list and depth < MAX_LISTS:
        for index, item in enumerate(value):
            _plain(item, place, f"{field}[{index}]", depth + 1)
    elif not _is_scalar(value):
        refuse(place, field, value, "text, a boolean, a finite number, null, or a list of these")


def _is_scalar(value: Any) -> bool:
    kind = type(value)
    return kind is str or kind is bool or value is None or _is_number(value)


def _correct(value: Any, place: str, field: str) -> None:
    if value is None:
        return
    _members(value, place, field, {"split": str, "count": int, "bits": str})
    if value["count"] < 1:
        refuse(place, f"{field}.count", value["count"], "at least 1")
    try:
        size = len(Correct(**value).packed())
    except (binascii.Error, ValueError):
        refuse(place, f"{field}.bits", value["bits"][:20] + "...", "base64")
    if size != -(-value["count"] // 8):
        refuse(place, f"{field}.bits", f"{size} bytes", f"{-(-value['count'] // 8)} bytes for {value['count']} bits")


def _members(value: Any, place: str, field: str, members: Mapping[str, type | tuple[type, ...]]) -> None:
    """A mapping with exactly these members, each of its type."""
    _mapping(value, place, field)
    for name in sorted(members.keys() ^ value.keys()):
        refuse(place, f"{field}.{name}", value.get(name), "no such field" if name in value else "this field")
    for name, kind in members.items():
        item = value[name]
        if not isinstance(item, kind) or (type(item) is bool and kind is int):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            refuse(
                place, f"{field}.{name}", item, " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
            )


_NULL = type(None)
_PROVENANCE = {
    "commit": (str, _NULL),
    "dirty": (bool, _NULL),
    "python": str,
    "versions": dict,
    "platform": str,
    "cpu": str,
    "device": str,
    "device_class": str,
    "gpu": (str, _NULL),
    "driver": (str, _NULL),
    "threads": int,
    "started": str,
    "executor": str,
}
# What records of earlier versions lack.
_PROVENANCE_ADDED = {"processor": (str, _NULL)}
_COST = ("seconds", "work", "peak_memory_mib", "energy_joules", "attempts")


def _provenance(value: Any, place: str, field: str) -> None:
    _mapping(value, place, field)
    added = {name: kind for name, kind in _PROVENANCE_ADDED.items() if name in value}
    _members({name: item for name, item in value.items() if name != RULES}, place, field, _PROVENANCE | added)
    _texts(value["versions"], place, f"{field}.versions")
    _texts(value.get(RULES, {}), place, f"{field}.{RULES}")
    if not _is_time(value["started"]):
        refuse(place, f"{field}.started", value["started"], "a time in UTC such as '2026-01-31T12:00:00Z'")
    if value["device_class"] not in ("cpu", "cuda"):
        refuse(place, f"{field}.device_class", value["device_class"], "'cpu' or 'cuda'")


def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _cost(value: Any, place: str, field: str) -> None:
    """The five costs that the machinery knows, and what more the notebook has told; numbers or null."""
    _mapping(value, place, field)
    for name in _COST:
        if name not in value:
            refuse(place, f"{field}.{name}", None, "this field")
    for name, item in value.items():
        if item is not None and (not _is_number(item) or item < 0):
            refuse(place, f"{field}.{name}", item, "a number that is not negative, or null")
    if value["seconds"] is None or value["seconds"] > MAX_SECONDS:
        refuse(place, f"{field}.seconds", value["seconds"], f"a number of seconds up to {MAX_SECONDS:,}")


def _fingerprint(value: Any, place: str, field: str) -> None:
    _members(value, place, field, {"notebook": dict, "modules": dict})
    for part, texts in value.items():
        _texts(texts, place, f"{field}.{part}")
    for module, text in value["modules"].items():
        if not _are_definitions(text):
            refuse(place, f"{field}.modules.{module}", text, "each definition with its digest, such as 'load fdf44e45'")


@functools.lru_cache(maxsize=1024)
def _are_definitions(text: str) -> bool:
    """Remembered: the records of a ledger share most of their modules."""
    return _DEFINITIONS.fullmatch(text) is not None


def _texts(value: Any, place: str, field: str) -> None:
    """A mapping of names to text."""
    _mapping(value, place, field)
    for name, text in value.items():
        if type(text) is not str:
            refuse(place, f"{field}.{name}", text, "text")


def _accepted(value: Any, place: str, field: str) -> None:
    if type(value) is not list:
        refuse(place, field, value, "a list")
    for index, item in enumerate(value):
        _members(item, place, f"{field}[{index}]", {"key": str, "why": str, "on": str})


def _arrays(value: Any, place: str, field: str) -> None:
    _mapping(value, place, field)
    if not value:
        refuse(place, field, value, "at least one array, or no such field")
    for name, item in value.items():
        here = f"{field}.{name}"
        _members(item, place, here, {"shape": list, "scale": (int, float), "values": str})
        shape, scale = item["shape"], item["scale"]
        if not 1 <= len(shape) <= MAX_AXES or not all(type(size) is int and size > 0 for size in shape):
            refuse(place, f"{here}.shape", shape, f"1 to {MAX_AXES} whole numbers above 0")
        if not (_is_number(scale) and scale > 0):
            refuse(place, f"{here}.scale", scale, "a finite number above 0")
        try:
            count = len(binascii.a2b_base64(item["values"], strict_mode=True))
        except (binascii.Error, ValueError):
            refuse(place, f"{here}.values", item["values"][:20] + "...", "base64")
        if count != math.prod(shape):
            refuse(place, f"{here}.values", f"{count} bytes", f"{math.prod(shape)} bytes for the shape {shape}")


ALIKE = frozenset({"fingerprint", "settings"})  # half of a record, and the same in most records of a ledger
MAY_LACK = frozenset({"arrays"})  # a record without any has no such field
CHECKS: Mapping[str, Callable[[Any, str, str], None]] = {
    "run": _text,
    "notebook": _text,
    "parameters": _scalars,
    "key": _key,
    "fingerprint": _fingerprint,
    "metrics": _numbers,
    "history": _history,
    "correct": _correct,
    "breakdown": _breakdown,
    "settings": _settings,
    "provenance": _provenance,
    "cost": _cost,
    "accepted": _accepted,
    "arrays": _arrays,
}
