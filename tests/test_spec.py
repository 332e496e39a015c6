"""Runs and records: what they hold, how a record is written, and what is refused when it is read."""

import base64
import json
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import schema, spec
from experiments.reading import REMEDY, find_deceiving
from experiments.spec import Correct, FrozenMapping, Record, Run
from tests.small_repository import make_record, make_repository


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    root = make_repository(tmp_path_factory.mktemp("repository") / "root")
    return make_record(root, "tiny-z2-s0")


def break_field(record: Record, change: Callable[[dict[str, Any]], object]) -> str:
    """The message with which a record is refused after a change of its content, its digest computed anew."""
    content = json.loads(record.to_text())
    change(content)
    with pytest.raises(schema.RecordFault) as caught:
        Record.from_text(with_digest(content), "r.json")
    return str(caught.value)


def packed(**changes: Any) -> dict[str, Any]:
    """The field `arrays` with one array of two numbers, changed."""
    return {"a": {"shape": [2], "scale": 1.0, "values": base64.b64encode(b"\x01\xff").decode(), **changes}}


def with_digest(content: dict[str, Any]) -> str:
    text = schema.format_json(content | {"digest": ""}) + "\n"
    return text.replace('"digest": ""', f'"digest": "{schema.digest_of(text)}"')


def test_errors_carry_the_exit_codes() -> None:
    codes = {error.__name__: error.exit_code for error in spec.ReproductionError.__subclasses__()}
    expected = {"ConfigurationError": 2, "RunFailed": 1, "Disagreement": 3, "Incomplete": 4, "MissingTool": 5}
    assert {name: codes[name] for name in expected} == expected


def test_parameters_are_sorted_frozen_hashable_and_picklable() -> None:
    run = Run("a-s1", "train.ipynb", {"seed": 1, "depth": 2}, ("g",), "a")
    assert list(run.parameters) == ["depth", "seed"]
    assert run == pickle.loads(pickle.dumps(run))
    assert hash(run) == hash(replace(run))
    assert run.seed == 1
    with pytest.raises(TypeError):
        run.parameters["seed"] = 2


def test_a_frozen_mapping_equals_a_dict_of_the_same_items() -> None:
    assert FrozenMapping({"b": 1, "a": 2}) == {"a": 2, "b": 1}
    assert FrozenMapping({"a": 1}) != {"a": 2}


def test_bits_unpack_to_the_booleans_in_order() -> None:
    correct = Correct("test", 10, "qoA=")
    assert correct.unpack() == [True, False, True, False, True, False, True, False, True, False]
    assert correct.ones() == 5


def test_a_record_comes_back_from_its_text(record: Record) -> None:
    read = Record.from_text(record.to_text(), "r.json")
    assert read == record
    assert read.to_text() == record.to_text()


def test_a_records_file_has_a_list_on_one_line_and_ends_with_a_newline(record: Record) -> None:
    lines = record.to_text().split("\n")
    assert '  "test_accuracy": [0.5, 0.75]' in lines
    assert '  "notebook": {"compute": ' in record.to_text()
    assert lines[-2:] == ["}", ""]


@settings(max_examples=40, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.text().filter(lambda text: find_deceiving(text) is None))
def test_any_number_and_text_survives(record: Record, number: float, text: str) -> None:
    odd = replace(record, metrics={"loss": number}, correct=None, settings={text: text})
    assert Record.from_text(odd.to_text(), "r.json") == odd


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("cost"), "cost: the field is missing"),
        (lambda c: c.update(schema=2), "schema: found 2; expected 1, the version that this code reads"),
        (
            lambda c: c.update(extra=1),
            (
                "extra: unknown field; the fields are run, notebook, parameters, key, fingerprint, metrics, history, "
                "correct, breakdown, settings, provenance, cost, accepted, arrays"
            ),
        ),
        (lambda c: c.update(key="abc"), "key: found 'abc'; expected 64 hexadecimal digits"),
        (lambda c: c["metrics"].update(loss="low"), "metrics.loss: found 'low'; expected a finite number"),
        (lambda c: c["metrics"].update(loss=True), "metrics.loss: found True; expected a finite number"),
        (
            lambda c: c["history"].update(epoch=[1, "two"]),
            "history.epoch[1]: found 'two'; expected a finite number or null",
        ),
        (
            lambda c: c["history"].update(epoch=[1]),
            "history: found {'epoch': 1, 'test_accuracy': 2}; expected columns of equal length",
        ),
        (
            lambda c: c["correct"].update(count=40),
            "correct.bits: found '1 bytes'; expected 5 bytes for 40 bits",
        ),
        (lambda c: c["correct"].update(bits="?"), "correct.bits: found '?...'; expected base64"),
        (lambda c: c["provenance"].pop("cpu"), "provenance.cpu: found None; expected this field"),
        (
            lambda c: c["provenance"].update(device_class="tpu"),
            "provenance.device_class: found 'tpu'; expected 'cpu' or 'cuda'",
        ),
        (
            lambda c: c["cost"].update(seconds=-1),
            "cost.seconds: found -1; expected a number that is not negative, or null",
        ),
        (lambda c: c.update(accepted=[{}]), "accepted[0].key: found None; expected this field"),
        (
            lambda c: c["metrics"].update(test_accuracy=0.85),
            (
                "metrics.test_accuracy: found 0.85, but the 4 bits of `correct` would give 0.75; "
                "either the notebook hands over two different accuracies, or the record was changed after the run"
            ),
        ),
        (
            lambda c: c["history"].update(test_accuracy=[0.5, None]),
            (
                "metrics.test_accuracy: found 0.75, but the last epoch of history.test_accuracy would give None; "
                "either the notebook hands over two different accuracies, or the record was changed after the run"
            ),
        ),
        (
            lambda c: c["settings"].update(note="a\u202eb"),
            f"settings.note: found U+202E RIGHT-TO-LEFT OVERRIDE; {REMEDY}",
        ),
        (
            lambda c: c.update(correct=None) or c["metrics"].update(test_accuracy=0.85),
            (
                "metrics.test_accuracy: found 0.85, but the last epoch of history.test_accuracy would give 0.75; "
                "either the notebook hands over two different accuracies, or the record was changed after the run"
            ),
        ),
    ],
)
def test_a_broken_field_is_named(record: Record, change: Callable[[dict[str, Any]], object], message: str) -> None:
    assert break_field(record, change) == f"r.json: {message}"


def set_at(content: Any, field: str, value: Any) -> None:
    """Puts VALUE where FIELD is, as a message names it: `history.epoch[1]`."""
    *way, last = (int(name) if name.isdigit() else name for name in re.findall(r"[^.\[\]]+", field))
    for name in way:
        content = content[name]
    content[last] = value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, value) for field in ("run", "notebook", "key") for value in ("", 3, None)),
        *((field, 3) for field in ("parameters", "metrics", "history", "settings", "correct", "breakdown")),
        *((field, []) for field in ("parameters", "metrics", "history", "provenance", "cost", "fingerprint")),
        *((f"parameters.{name}", value) for name, value in (("size", None), ("seed", [1]), ("size", {}))),
        *((f"metrics.{name}_accuracy", value) for name in ("test", "validation") for value in (-0.01, 1.01)),
        *((f"metrics.{name}", None) for name in ("test_accuracy", "loss")),
        *(("history.epoch", value) for value in (3, "12", None)),
        *((f"history.test_accuracy[{index}]", value) for index in (0, 1) for value in (-0.01, 1.01, True)),
        *((f"history.epoch[{index}]", value) for index in (0, 1) for value in (True, [], "1")),
        ("breakdown.label", "cat"),
        *((f"breakdown.label[{index}]", value) for index in (0, 1) for value in ([], {})),
        *((f"breakdown.accuracy[{index}]", value) for index in (0, 1) for value in (-0.01, 1.01, "1", True)),
        *((f"settings.{name}", {}) for name in ("recipe", "other")),
        ("settings.other[0][0][0][0]", [1]),
        *((f"correct.{name}", value) for name, value in (("split", 3), ("count", True), ("count", 0), ("count", 4.0))),
        ("correct.bits", None),
        ("correct.more", 1),
        *(
            (f"provenance.{name}", value)
            for name, value in (("threads", True), ("dirty", 1), ("commit", 1), ("gpu", 0))
        ),
        *(("provenance.started", value) for value in ("today", "2026-02-31T00:00:00Z", "2026-01-01", "")),
        *((f"provenance.{name}", 3) for name in ("rules", "versions", "rules.a", "versions.torch", "more")),
        *((f"cost.{name}", value) for name in ("work", "more") for value in ("much", True, -1)),
        *(("cost.seconds", value) for value in (None, 10**11 + 1)),
        *((f"fingerprint.{name}", 3) for name in ("notebook", "modules", "notebook.a", "modules.a", "more")),
        *(("fingerprint.modules.a", value) for value in ("load", "load xyz", "load 1f,", ", load 1f")),
        *(("accepted", value) for value in ({}, None, "no")),
        *((f"accepted[0]{name}", 3) for name in ("", ".key", ".why", ".on", ".more")),
    ],
)
def test_what_a_field_cannot_be_is_refused_with_its_name(record: Record, field: str, value: Any) -> None:
    def change(content: dict[str, Any]) -> None:
        content["breakdown"] = {"label": ["cat", 1], "accuracy": [0.5, None]}
        content["history"] |= {"epoch": [1, 2], "loss": [None, 0.5], "validation_accuracy": [0, 1.0]}
        content["metrics"] |= {"train_accuracy": 0.0, "validation_accuracy": 1}
        content["settings"]["other"] = [[[[1]]], None, True, "a", 0.5]
        content["provenance"]["rules"] = {"a": "1f"}
        content["accepted"] = [{"key": "a", "why": "b", "on": "c"}]
        assert Record.from_text(with_digest(content), "r.json")  # all of this may be
        set_at(content, field, value)

    message = break_field(record, change)
    assert message.startswith(f"r.json: {field}: found {value!r}; expected "), message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("history", {"test_accuracy": [], "loss": []}),
        ("history", {}),
        ("breakdown", {"accuracy": [], "label": []}),
        ("breakdown", {"accuracy": [1, None, 0.0], "label": ["cat", 2, True]}),
        ("provenance.device_class", "cuda"),
        ("cost.energy_joules", 0),
        ("cost.seconds", 10**11),
        ("fingerprint.modules", {"a": "", "b": "load 1f", "c": "load 1f, <module> 2e"}),
        ("accepted", []),
    ],
)
def test_what_a_field_may_be_is_read(record: Record, field: str, value: Any) -> None:
    content = json.loads(record.to_text())
    set_at(content, field, value)
    assert Record.from_text(with_digest(content), "r.json")


def test_every_mapping_of_a_records_file_is_sorted_with_a_line_a_field_but_for_the_innermost_of_text() -> None:
    inner = {"y": {"n": "1", "m": "2"}, "x": {"n": 1, "m": "two"}, "e": {}}
    content = {"b": {"d": "x", "c": "é"}, "a": inner, "c": [1, {"q": 1, "p": 2}]}
    assert schema.format_json(content).splitlines() == [
        "{",
        ' "a": {',
        '  "e": {},',
        '  "x": {',
        '   "m": "two",',
        '   "n": 1',
        "  },",
        '  "y": {"m": "2", "n": "1"}',
        " },",
        ' "b": {',
        '  "c": "é",',
        '  "d": "x"',
        " },",
        ' "c": [1, {"p": 2, "q": 1}]',
        "}",
    ]
    with pytest.raises(ValueError, match="not JSON compliant"):
        schema.format_json({"a": float("nan")})


def test_a_record_knows_the_digest_of_its_file(record: Record) -> None:
    text = record.to_text()
    assert Record.from_text(text, "r.json").digest == schema.digest_of(text) != ""


def test_the_images_of_another_split_say_nothing_of_the_test_accuracy(record: Record) -> None:
    content = json.loads(record.to_text())
    content["correct"] |= {"split": "validation", "bits": "AA=="}
    assert Record.from_text(with_digest(content), "r.json").correct == Correct("validation", 4, "AA==")


def test_an_infinity_in_a_history_is_refused(record: Record) -> None:
    longer = replace(record, history={**record.history, "loss": [4.5, 2.5]})
    with pytest.raises(schema.RecordFault) as caught:
        Record.from_text(longer.to_text().replace("[4.5, 2.5]", "[1e999, 2.5]"), "r.json")
    assert str(caught.value) == "r.json: history.loss[0]: found inf; expected a finite number or null"


@pytest.mark.parametrize("name", ["seconds", "work", "peak_memory_mib", "energy_joules", "attempts"])
def test_a_cost_that_the_machinery_knows_is_there(record: Record, name: str) -> None:
    assert break_field(record, lambda c: c["cost"].pop(name)) == f"r.json: cost.{name}: found None; expected this field"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 200_000, "maximum recursion depth exceeded"),
        ('{"schema": ' + "9" * 400 + "}", "the whole number 9999999999999999999... is out of range"),
    ],
)
def test_json_that_no_run_writes_is_refused(text: str, why: str) -> None:
    with pytest.raises(schema.RecordFault) as caught:
        Record.from_text(text, "r.json")
    assert str(caught.value).startswith(f"r.json: file: no record can be read: {why}")


def test_a_changed_digit_that_nothing_else_contradicts_is_found_by_the_digest(record: Record) -> None:
    text = record.to_text().replace('"seconds": 4.0', '"seconds": 5.0')
    with pytest.raises(schema.RecordFault) as caught:
        Record.from_text(text, "r.json")
    fault = caught.value
    assert (fault.place, fault.field, fault.expected) == ("r.json", "digest", "the digest of the other lines")
    assert schema.digest_of(text) not in str(fault)  # what would make the change pass
    assert str(fault).startswith("r.json: digest: found '")
    assert str(fault).endswith("restore it, or run it again by `python build.py run tiny-z2-s0 --force`")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"test_accuracy": 0.75', '"test_accuracy": NaN', "file: no record can be read: NaN is not a number"),
        (
            '"test_accuracy": 0.75',
            '"test_accuracy": 0.75, "test_accuracy": 1',
            "file: no record can be read: the field 'test_accuracy' stands twice",
        ),
    ],
)
def test_text_that_is_no_plain_json_is_refused(record: Record, old: str, new: str, message: str) -> None:
    with pytest.raises(schema.RecordFault) as caught:
        Record.from_text(record.to_text().replace(old, new), "r.json")
    assert str(caught.value) == f"r.json: {message}"


def test_an_acceptance_stands_in_the_record_and_in_its_file(record: Record) -> None:
    accepted = record.accept("b" * 64, "a comment in a string", "2026-01-01")
    assert accepted.accepted == ({"key": "b" * 64, "why": "a comment in a string", "on": "2026-01-01"},)
    assert Record.from_text(accepted.to_text(), "r.json") == accepted


def test_a_record_with_arrays_comes_back_and_one_without_has_no_such_field(record: Record) -> None:
    assert '"arrays"' not in record.to_text()
    arrays = {"filters": spec.Packed((2, 1), 0.5, base64.b64encode(b"\x01\xff").decode())}
    kept = Record.from_text(replace(record, arrays=arrays).to_text(), "r.json")
    assert kept.arrays == arrays
    assert list(kept.arrays["filters"].steps()) == [1, -1]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "arrays: found {}; expected at least one array, or no such field"),
        ({"a": {"shape": [2], "scale": 1}}, "arrays.a.values: found None; expected this field"),
        (packed(shape=[]), "arrays.a.shape: found []; expected 1 to 8 whole numbers above 0"),
        (packed(shape=[-1, -2]), "arrays.a.shape: found [-1, -2]; expected 1 to 8 whole numbers above 0"),
        (packed(shape=[3]), "arrays.a.values: found '2 bytes'; expected 3 bytes for the shape [3]"),
        (packed(scale=0), "arrays.a.scale: found 0; expected a finite number above 0"),
        (packed(values="?"), "arrays.a.values: found '?...'; expected base64"),
    ],
)
def test_broken_arrays_are_named(record: Record, arrays: dict[str, Any], message: str) -> None:
    assert break_field(record, lambda content: content.update(arrays=arrays)) == f"r.json: {message}"


def test_every_field_of_a_record_is_checked() -> None:
    fields = set(Record.__dataclass_fields__) - {"digest"}
    assert set(schema.CHECKS) == fields


def test_records_of_the_repository_are_sound(root: Path) -> None:
    for path in (root / "experiments" / "records").glob("*.json"):
        assert Record.from_text(path.read_text(encoding="utf-8"), path.name).run == path.stem
