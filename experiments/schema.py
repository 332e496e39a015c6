"""The record's file, field by field: what is written, and what is refused when it is read.

A record is JSON that a person can read and `git diff` shows well: a field a line, a list of values on one line.
Its last line but one, `"digest"`, is the SHA-256 of all the other lines, so that any changed digit is noticed, and
noticed quickly.
"""

import binascii
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from experiments.spec import SCHEMA, Correct, Disagreement, Record

ACCURACY_TOLERANCE = 1e-9  # A mean of booleans in floating point against the exact fraction; one image is 1e-4.
_SHA256 = re.compile("[0-9a-f]{64}")
_DIGEST_MARK = '\n "digest": "'


class RecordFault(Disagreement):
    """A record that cannot be trusted: `place` is its file, `field` the path of the field, with both values."""

    def __init__(self, place: str, field: str, message: str, *, expected: str = "", found: str = "") -> None:
        super().__init__(f"{place}: {field}: {message}")
        self.place, self.field, self.message = place, field, message
        self.expected, self.found = expected, found


def digest_of(text: str) -> str:
    """SHA-256 of a record's text without the line of its digest."""
    return _split_digest(text)[1]


def format_record(record: Record) -> str:
    """The text of the record's file, with the digest computed anew."""
    body: dict[str, Any] = {"schema": SCHEMA}
    for name in CHECKS:
        value = getattr(record, name)
        body[name] = value.to_json() if isinstance(value, Correct) else _thaw(value)
    digest = digest_of(format_json(body | {"digest": ""}) + "\n")
    return format_json(body | {"digest": digest}) + "\n"


def format_json(value: Any, indent: str = "") -> str:
    """JSON, sorted; a mapping has a line for each name, lists and the innermost mappings of names to text one line."""
    if not isinstance(value, Mapping) or not value or (len(indent) > 1 and all(type(v) is str for v in value.values())):
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    deeper = indent + " "
    parts = (f"{deeper}{json.dumps(name, ensure_ascii=False)}: {format_json(value[name], deeper)}" for name in value)
    return "{\n" + ",\n".join(sorted(parts)) + f"\n{indent}}}"


def parse_record(text: str, place: str) -> Record:
    """The record in a file's text; `place` is the file's name.

    Raises:
        RecordFault: the text is no JSON; a field is missing, unknown, there twice, of the wrong type or not finite;
            the schema is another version; the metrics disagree with the bits or the history; or the digest does not
            fit. What names the changed field is looked for first, the digest last.
    """
    found, expected = _split_digest(text)
    content = _read_json(text, place, thorough=found != expected)
    check_fields(content, place)
    record = make_record(content)
    _compare_results(record, place)
    if found != expected:
        message = (
            f"found {found!r}, but the file's is {expected!r}: it was changed after the run; "
            f"restore it, or run it again by `python build.py run {record.run} --force`"
        )
        raise RecordFault(place, "digest", message, expected=expected, found=str(found))
    return record


def check_fields(content: Mapping[str, Any], place: str) -> None:
    """Raises a RecordFault that names the first field that is not as the schema has it."""
    if content.get("schema") != SCHEMA:
        _fault(place, "schema", content.get("schema"), f"{SCHEMA}, the version that this code reads")
    if unknown := sorted(content.keys() - CHECKS.keys() - {"schema", "digest"}):
        raise RecordFault(place, unknown[0], f"unknown field; the fields are {', '.join(CHECKS)}", found=unknown[0])
    for name, check in CHECKS.items():
        if name not in content:
            raise RecordFault(place, name, "the field is missing", expected=name, found="nothing")
        check(content[name], place, name)


def make_record(content: Mapping[str, Any]) -> Record:
    """The record of a content whose fields are checked."""
    correct = content["correct"]
    return Record(
        **{name: content[name] for name in CHECKS if name not in ("correct", "accepted")},
        correct=None if correct is None else Correct(**correct),
        accepted=tuple(content["accepted"]),
        digest=str(content.get("digest", "")),
    )


def _split_digest(text: str) -> tuple[str | None, str]:
    """(the digest that a record's text holds, the one that its other lines have)."""
    before, mark, after = text.partition(_DIGEST_MARK)
    found, _, after = after.partition('",\n')
    return found if mark else None, hashlib.sha256(f"{before}\n{after}".encode()).hexdigest()


def _read_json(text: str, place: str, thorough: bool) -> dict[str, Any]:
    """The text as a mapping; NaN and infinities are refused, and if `thorough` also a field that stands twice."""
    hook = _refuse_twice if thorough else None  # Slow, and needless for a text that is as we wrote it.
    try:
        content = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=hook)
    except ValueError as error:
        raise RecordFault(
            place, "file", f"no record can be read: {error}", expected="JSON", found=str(error)
        ) from error
    if not isinstance(content, dict):
        _fault(place, "file", content, "a JSON object")
    return content


def _compare_results(record: Record, place: str) -> None:
    """The test accuracy stands in a record up to three times: as a metric, in the bits and at the curve's end."""
    accuracy = record.metrics.get("test_accuracy")
    if accuracy is None:
        return
    sources = {}
    if record.correct is not None and record.correct.split == "test":
        sources[f"the {record.correct.count:,} bits of `correct`"] = record.correct.ones() / record.correct.count
    if record.history.get("test_accuracy"):
        sources["the last epoch of history.test_accuracy"] = record.history["test_accuracy"][-1]
    for source, value in sources.items():
        if value is None or abs(value - accuracy) > ACCURACY_TOLERANCE:
            message = f"found {accuracy!r}, but {source} says {value!r}; one of them was changed after the run"
            raise RecordFault(place, "metrics.test_accuracy", message, expected=repr(value), found=repr(accuracy))


def _thaw(value: Any) -> Any:
    """Plain dicts and lists, as JSON has them."""
    if isinstance(value, Mapping):
        return {name: _thaw(item) for name, item in value.items()}
    return [_thaw(item) for item in value] if isinstance(value, (list, tuple)) else value


# The checks. Each takes a value, the file and the field's path, and raises a RecordFault that names both.


def _fault(place: str, field: str, value: Any, expected: str) -> NoReturn:
    raise RecordFault(place, field, f"found {value!r}; expected {expected}", expected=expected, found=repr(value))


def _is_number(value: Any) -> bool:
    kind = type(value)
    return kind is int or (kind is float and math.isfinite(value))


def _text(value: Any, place: str, field: str) -> None:
    if type(value) is not str or not value:
        _fault(place, field, value, "text that is not empty")


def _key(value: Any, place: str, field: str) -> None:
    if type(value) is not str or not _SHA256.fullmatch(value):
        _fault(place, field, value, "64 hexadecimal digits")


def _mapping(value: Any, place: str, field: str) -> None:
    if type(value) is not dict:
        _fault(place, field, value, "a mapping")


def _scalars(value: Any, place: str, field: str) -> None:
    _mapping(value, place, field)
    for name, item in value.items():
        if type(item) not in (str, bool) and not _is_number(item):
            _fault(place, f"{field}.{name}", item, "text, a boolean or a finite number")


def _numbers(value: Any, place: str, field: str) -> None:
    _mapping(value, place, field)
    for name, item in value.items():
        if not _is_number(item):
            _fault(place, f"{field}.{name}", item, "a finite number")


def _columns(value: Any, place: str, field: str) -> None:
    _mapping(value, place, field)
    lengths = {name: len(column) if type(column) is list else -1 for name, column in value.items()}
    for name, length in lengths.items():
        if length < 0:
            _fault(place, f"{field}.{name}", value[name], "a list")
    if len(set(lengths.values())) > 1:
        _fault(place, field, lengths, "columns of equal length")


def _history(value: Any, place: str, field: str) -> None:
    _columns(value, place, field)
    for name, column in value.items():
        if set(map(type, column)) <= {int, float} and math.isfinite(sum(column)):
            continue  # Quick, for a ledger has millions of these numbers.
        for index, item in enumerate(column):
            if item is not None and not _is_number(item):
                _fault(place, f"{field}.{name}[{index}]", item, "a finite number or null")


def _breakdown(value: Any, place: str, field: str) -> None:
    if value is not None:
        _columns(value, place, field)


def _correct(value: Any, place: str, field: str) -> None:
    if value is None:
        return
    _members(value, place, field, {"split": str, "count": int, "bits": str})
    if value["count"] < 1:
        _fault(place, f"{field}.count", value["count"], "at least 1")
    try:
        size = len(Correct(**value).packed())
    except (binascii.Error, ValueError):
        _fault(place, f"{field}.bits", value["bits"][:20] + "...", "base64")
    if size != -(-value["count"] // 8):
        _fault(place, f"{field}.bits", f"{size} bytes", f"{-(-value['count'] // 8)} bytes for {value['count']} bits")


def _members(value: Any, place: str, field: str, members: Mapping[str, type | tuple[type, ...]]) -> None:
    """A mapping with exactly these members, each of its type."""
    _mapping(value, place, field)
    for name in sorted(members.keys() ^ value.keys()):
        _fault(place, f"{field}.{name}", value.get(name), "no such field" if name in value else "this field")
    for name, kind in members.items():
        item = value[name]
        if not isinstance(item, kind) or (type(item) is bool and kind is int):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            _fault(
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
_COST = ("seconds", "work", "peak_memory_mib", "energy_joules", "attempts")


def _provenance(value: Any, place: str, field: str) -> None:
    _members(value, place, field, _PROVENANCE)
    if value["device_class"] not in ("cpu", "cuda"):
        _fault(place, f"{field}.device_class", value["device_class"], "'cpu' or 'cuda'")


def _cost(value: Any, place: str, field: str) -> None:
    """The five costs that the machinery knows, and what more the notebook has told; numbers or null."""
    _mapping(value, place, field)
    for name in _COST:
        if name not in value:
            _fault(place, f"{field}.{name}", None, "this field")
    for name, item in value.items():
        if item is not None and (not _is_number(item) or item < 0):
            _fault(place, f"{field}.{name}", item, "a number that is not negative, or null")
    if value["seconds"] is None:
        _fault(place, f"{field}.seconds", None, "a number of seconds")


def _fingerprint(value: Any, place: str, field: str) -> None:
    _members(value, place, field, {"notebook": dict, "modules": dict})
    for part, texts in value.items():
        for name, text in texts.items():
            if type(text) is not str:
                _fault(place, f"{field}.{part}.{name}", text, "text")


def _accepted(value: Any, place: str, field: str) -> None:
    if type(value) is not list:
        _fault(place, field, value, "a list")
    for index, item in enumerate(value):
        _members(item, place, f"{field}[{index}]", {"key": str, "why": str, "on": str})


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
    "settings": _mapping,
    "provenance": _provenance,
    "cost": _cost,
    "accepted": _accepted,
}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the field {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return content
