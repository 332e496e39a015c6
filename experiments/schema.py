"""The record's file: how it is written, and what is refused when it is read.

A record is JSON that a person can read and `git diff` shows well: a field a line, a list of values on one line.
Its line `"digest"` has the SHA-256 of all the other lines, so that any changed digit is noticed, and quickly.
"""

import hashlib
import json
import sys
from array import array
from collections.abc import Mapping
from typing import Any, NoReturn

import orjson

from experiments.reading import REMEDY, find_deceiving, name_character
from experiments.record_fields import CHECKS, MAY_LACK, RecordFault, check_fields, refuse
from experiments.spec import ACCURACY, SCHEMA, Correct, Packed, Record

ACCURACY_TOLERANCE = 1e-9  # A mean of booleans in floating point against the exact fraction; one image is 1e-4.
LARGEST_INT = 2**63 - 1  # what is larger is no measurement, and more than other readers of JSON hold
# What a record holds otherwise than JSON.
_MADE = frozenset({"correct", "breakdown", "provenance", "accepted", "arrays"})
_LONG_INT = 19  # digits that such a number may have
_EVERY_DIGIT_0 = bytes.maketrans(b"123456789", b"000000000")
_DIGEST_MARK = b'\n "digest": "'


def digest_of(text: str) -> str:
    """SHA-256 of a record's text without the line of its digest."""
    return _split_digest(text.encode())[1]


def format_record(record: Record) -> str:
    """The text of the record's file, with the digest computed anew."""
    body: dict[str, Any] = {"schema": SCHEMA}
    for name in CHECKS:
        value = getattr(record, name)
        if value or name not in MAY_LACK:
            body[name] = _thaw(value)
    digest = digest_of(format_json(body | {"digest": ""}) + "\n")
    return format_json(body | {"digest": digest}) + "\n"


def format_json(value: Any, indent: str = "") -> str:
    """JSON, sorted; a mapping has a line for each name, lists and the innermost mappings of names to text one line."""
    if not isinstance(value, Mapping) or not value or (len(indent) > 1 and all(type(v) is str for v in value.values())):
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    deeper = indent + " "
    parts = (f"{deeper}{json.dumps(name, ensure_ascii=False)}: {format_json(value[name], deeper)}" for name in value)
    return "{\n" + ",\n".join(sorted(parts)) + f"\n{indent}}}"


def parse_record(text: str, place: str, known: dict[tuple[str, bytes], Any] | None = None) -> Record:
    """The record in a file's text; `place` is the file's name, `known` what other records had, as in `check_fields`.

    Raises:
        RecordFault: the text is no JSON; a field is missing, unknown, there twice, of the wrong type or not finite;
            the schema is another version; the metrics disagree with the bits or the history; or the digest does not
            fit. What names the changed field is looked for first, the digest last.
    """
    encoded = text.encode()
    found, expected = _split_digest(encoded)
    content = _read_json(text, encoded, place, thorough=found != expected)
    known = {} if known is None else known
    check_fields(content, place, known)
    record = make_record(content, known)
    _compare_results(record, place)
    if found != expected:
        message = (
            f"found {found!r}, which is not the digest of the file's other lines: it was changed after the run; "
            f"restore it, or run it again by `python build.py run {record.run} --force`"
        )  # Without the right digest, which would be all that a changed file lacks.
        raise RecordFault(place, "digest", message, expected="the digest of the other lines", found=str(found))
    return record


def make_record(content: Mapping[str, Any], known: dict[tuple[str, bytes], Any]) -> Record:
    """The record of a content whose fields are checked; it shares what KNOWN has already, or will have from then on."""

    def once(value: Any) -> Any:
        if type(value) is str:
            return sys.intern(value)
        return known.setdefault(("", orjson.dumps(value)), value) if type(value) in (list, dict) else value

    correct, breakdown = content["correct"], content["breakdown"]
    if breakdown is not None:  # the classes and their numbers of images are those of other records
        breakdown = {name: column if name.endswith("accuracy") else once(column) for name, column in breakdown.items()}
    return Record(
        **{name: content[name] for name in CHECKS if name not in _MADE},
        provenance={name: once(value) for name, value in content["provenance"].items()},
        breakdown=breakdown,
        correct=None if correct is None else Correct(**correct),
        arrays={name: Packed.from_json(item) for name, item in content.get("arrays", {}).items()},
        accepted=tuple(content["accepted"]),
        digest=str(content.get("digest", "")),
    )


def _split_digest(encoded: bytes) -> tuple[str | None, str]:
    """(the digest that a record's text holds, the one that its other lines have)."""
    before, mark, after = encoded.partition(_DIGEST_MARK)
    found, _, after = after.partition(b'",\n')
    digest = hashlib.sha256(before)
    digest.update(b"\n" + after)
    return found.decode() if mark else None, digest.hexdigest()


def _read_json(text: str, encoded: bytes, place: str, thorough: bool) -> dict[str, Any]:
    """The text as a mapping; NaN and infinities are refused, and if `thorough` also a field that stands twice."""
    content = None if thorough else _read_quickly(encoded)
    if content is None:
        hook = _refuse_twice if thorough else None  # Slow, and needless for a text that is as we wrote it.
        try:
            content = json.loads(text, parse_constant=_refuse_constant, parse_int=_read_int, object_pairs_hook=hook)
        except (ValueError, RecursionError) as error:
            raise RecordFault(
                place, "file", f"no record can be read: {error}", expected="JSON", found=str(error)
            ) from error
    if not isinstance(content, dict):
        refuse(place, "file", content, "a JSON object")
    if ("\\" in text and "\\u" in text) or not text.isascii():  # one character is found in a tenth of the time of two
        _refuse_deceiving(content, place, "")
    return content


def _read_quickly(encoded: bytes) -> Any:
    """What `json` would read, in a fifth of its time; None where there may be something that it refuses in our words."""
    if b"0" * _LONG_INT in encoded.translate(_EVERY_DIGIT_0):
        return None
    try:
        return orjson.loads(encoded)
    except orjson.JSONDecodeError:
        return None


def _refuse_deceiving(value: Any, place: str, field: str) -> None:
    """Raises a RecordFault at the first character that deceives, in names as in values."""
    if isinstance(value, str):
        found = find_deceiving(value)
        if found is not None:
            raise RecordFault(place, field or "file", f"found {name_character(found[0])}; {REMEDY}")
    elif isinstance(value, dict):
        for name, item in value.items():
            _refuse_deceiving(name, place, field)
            _refuse_deceiving(item, place, f"{field}.{name}" if field else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_deceiving(item, place, f"{field}[{index}]")


def _compare_results(record: Record, place: str) -> None:
    """The test accuracy stands in a record up to three times: as a metric, in the bits and at the curve's end."""
    accuracy = record.metrics.get(ACCURACY)
    if accuracy is None:
        return
    sources = {}
    if record.correct is not None and record.correct.split == "test":
        sources[f"the {record.correct.count:,} bits of `correct`"] = record.correct.ones() / record.correct.count
    if record.history.get(ACCURACY):
        sources["the last epoch of history.test_accuracy"] = record.history[ACCURACY][-1]
    for source, value in sources.items():
        if value is None or abs(value - accuracy) > ACCURACY_TOLERANCE:
            message = (
                f"found {accuracy!r}, but {source} would give {value!r}; either the notebook hands over two different "
                "accuracies, or the record was changed after the run"
            )
            raise RecordFault(place, "metrics.test_accuracy", message, expected=repr(value), found=repr(accuracy))


def _thaw(value: Any) -> Any:
    """Plain dicts and lists, as JSON has them."""
    if isinstance(value, Correct | Packed):
        return value.to_json()
    if isinstance(value, Mapping):
        return {name: _thaw(item) for name, item in value.items()}
    return [_thaw(item) for item in value] if isinstance(value, (list, tuple, array)) else value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _read_int(digits: str) -> int:
    if len(digits) > _LONG_INT + 1 or abs(int(digits)) > LARGEST_INT:
        raise ValueError(f"the whole number {digits[:_LONG_INT]}... is out of range; the largest is {LARGEST_INT}")
    return int(digits)


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the field {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return content
