"""Records, notebooks and plans of strangers: what they hold is refused by file and field, or stays mere text."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments import arithmetic, naming
from experiments.ledger import Ledger
from experiments.notebooks import notebook_parameters
from experiments.plan import load_plan
from experiments.reading import FILE_NAME_RULE, REMEDY
from experiments.schema import RecordFault
from experiments.spec import ConfigurationError, Record
from tests.small_repository import PLAN, make_record, make_repository, open_repository

NAME = "tiny-z2-s0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one record."""
    root = make_repository(tmp_path / "root")
    Ledger(root / "experiments").save(make_record(root, NAME))
    return root


def fault(root: Path, **changes: Any) -> str:
    """Why the record is refused once its fields are changed."""
    content = json.loads(make_record(root, NAME).to_text()) | changes
    with pytest.raises(RecordFault) as caught:
        Record.from_text(json.dumps(content), "r.json")
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"settings": {"x": {"y": 1}}},
            "settings.x: found {'y': 1}; expected text, a boolean, a finite number, null, or",
        ),
        ({"settings": {"x": [[[[[1]]]]]}}, "settings.x[0][0][0][0]: found [1]; expected text, a boolean,"),
        ({"settings": {"a\u202eb": 1}}, f"settings: found U+202E RIGHT-TO-LEFT OVERRIDE; {REMEDY}"),
        ({"settings": {"x": ["a\0"]}}, f"settings.x[0]: found U+0000; {REMEDY}"),
        ({"notebook": "\ud800"}, f"notebook: found U+D800; {REMEDY}"),
        (
            {"breakdown": {"class": [{"a": 1}]}},
            "breakdown.class[0]: found {'a': 1}; expected text, a boolean, a finite",
        ),
        ({"key": "x" * 10_000}, f"key: found '{'x' * 199}; expected 64 hexadecimal digits"),
    ],
)
def test_a_field_with_what_no_run_writes_is_named(root: Path, changes: dict[str, Any], message: str) -> None:
    assert fault(root, **changes).startswith(f"r.json: {message}")


def test_versions_are_texts(root: Path) -> None:
    provenance = dict(make_record(root, NAME).provenance, versions={"torch": [1]})
    assert fault(root, provenance=provenance) == "r.json: provenance.versions.torch: found [1]; expected text"


def test_a_processor_is_text_and_records_from_before_it_was_kept_name_none(root: Path) -> None:
    older = make_record(root, NAME)
    assert "processor" not in Record.from_text(older.to_text(), "r.json").provenance
    for value in ("family 25", None):
        newer = replace(older, provenance={**older.provenance, "processor": value})
        assert Record.from_text(newer.to_text(), "r.json").provenance["processor"] == value
    message = "r.json: provenance.processor: found 25; expected str or null"
    assert fault(root, provenance={**older.provenance, "processor": 25}) == message


@pytest.mark.parametrize(
    ("field", "changes", "message"),
    [
        (
            "provenance",
            {"started": "yesterday"},
            "started: found 'yesterday'; expected a time in UTC such as '2026-01-",
        ),
        ("provenance", {"started": "2026-13-01T00:00:00Z"}, "started: found '2026-13-01T00:00:00Z'; expected a time"),
        ("provenance", {"started": "9999-12-31T23:59:59Z"}, "started: found '9999-12-31T23:59:59Z'; expected a time"),
        ("cost", {"seconds": 1e300}, "seconds: found 1e+300; expected a number of seconds up to 100,000,000,000"),
        ("fingerprint", {"modules": {"m": "abc"}}, "modules.m: found 'abc'; expected each definition with its digest"),
        ("fingerprint", {"modules": {"m": "a 0f, b"}}, "modules.m: found 'a 0f, b'; expected each definition with its"),
    ],
)
def test_what_a_reader_would_stumble_over_is_named(
    root: Path, field: str, changes: dict[str, Any], message: str
) -> None:
    content = {**json.loads(make_record(root, NAME).to_text())[field], **changes}
    assert fault(root, **{field: content}).startswith(f"r.json: {field}.{message}")


@pytest.mark.parametrize("number", [2**63, -(2**63), 2**64, 10**19])
def test_whole_numbers_of_more_than_64_bits_are_refused_and_others_read(root: Path, number: int) -> None:
    expected = (
        f"r.json: file: no record can be read: the whole number {str(number)[:19]}... is out of range; the largest is "
    )
    assert fault(root, settings={"x": number}) == f"{expected}{2**63 - 1}"
    for edge in (2**63 - 1, 1 - 2**63):
        record = make_record(root, NAME, settings={"x": edge})
        assert Record.from_text(record.to_text(), "r.json") == record


@pytest.mark.parametrize(
    "text", ['{"settings": {"x": 1e400}', '{"a":' * 100_000, "[" * 100_000, '{"a": ' + "9" * 5000 + "}"]
)
def test_numbers_without_an_end_and_deep_nesting_are_refused(text: str) -> None:
    with pytest.raises(RecordFault, match="^r.json: file: no record can be read: "):
        Record.from_text(text, "r.json")


def test_an_infinite_setting_is_refused_also_where_a_record_before_it_has_null(root: Path) -> None:
    sound = make_record(root, NAME).to_text()
    text, known = sound.replace('"clip_norm": null', '"clip_norm": 1e400'), {}
    Record.from_text(sound, "r.json", known)
    for others in ({}, known):
        with pytest.raises(RecordFault, match=r"^r.json: settings.clip_norm: found inf; expected text, a boolean"):
            Record.from_text(text, "r.json", others)


def test_a_wrong_field_is_refused_in_every_record_that_has_it(root: Path) -> None:
    text, known = make_record(root, NAME).to_text().replace('"clip_norm": null', '"clip_norm": {}'), {}
    for _ in range(2):
        with pytest.raises(RecordFault, match=r"^r.json: settings.clip_norm: found {}; expected text, a boolean"):
            Record.from_text(text, "r.json", known)


def test_a_record_that_is_a_link_or_a_pipe_is_refused_before_it_is_opened(root: Path, tmp_path: Path) -> None:
    plan, ledger = open_repository(root)
    (tmp_path / "secret.json").write_text('["secret"]')
    for name, make in (("tiny-z2-s1", "link"), ("tiny-z3-s0", "pipe"), ("tiny-z3-s1", "large")):
        path = ledger.record_path(name)
        if make == "link":
            path.symlink_to(tmp_path / "secret.json")
        elif make == "pipe":
            os.mkfifo(path)
        else:
            path.write_bytes(b" " * 2_000_000)
    records, faults = ledger.inspect(plan)
    assert [record.run for record in records] == [NAME]
    assert [fault.message for fault in faults] == [
        "the record cannot be read: it is a link; expected the file itself",
        "the record cannot be read: it is no plain file; expected one",
        "the record cannot be read: it has more than 1,048,576 bytes, the most that is read of such a file",
    ]


@pytest.mark.parametrize("name", ["records", "executed", "fine-too.ipynb"])
def test_a_link_beside_the_plan_is_refused(root: Path, tmp_path: Path, name: str) -> None:
    place = root / "experiments" / name
    if place.exists():
        place.rename(tmp_path / name)
    place.symlink_to(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        load_plan(root / "experiments/plan.yaml")
    assert str(caught.value) == f"experiments/{name}: it is a link; expected the file or folder itself"


DATA = "the folder of this data set below the data root, such as 'a' or 'a/b'"
BESIDE = "the name of a file beside the plan that ends in .ipynb"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fine.ipynb", "../../evil.ipynb", f"defaults: notebook: found '../../evil.ipynb'; expected {BESIDE}"),
        ("fine.ipynb", "/tmp/evil.ipynb", f"defaults: notebook: found '/tmp/evil.ipynb'; expected {BESIDE}"),
        ("fine.ipynb", "plan.yaml", f"defaults: notebook: found 'plan.yaml'; expected {BESIDE}"),
        ("groups:", "data: {a: ../..}\ngroups:", f"data: a: found '../..'; expected {DATA}"),
        ("groups:", "data: {a: /etc}\ngroups:", f"data: a: found '/etc'; expected {DATA}"),
        ("name: tiny", "name: ../x", f"groups: sizes: name: '../x-z2-s0'; expected {FILE_NAME_RULE}"),
        ("name: tiny", f"name: {'x' * 200}", f"groups: sizes: name: '{'x' * 199}; expected {FILE_NAME_RULE}"),
        ("size: [3, 4]", f"size: {list(range(400))}, rate: {[n / 7 for n in range(400)]}", "groups: larger: grid: 160,000 cells; expected at most 20,000"),
        ("cells: [{size: 2}, {size: 3}]", "cells: [{1: 2}]", "groups: sizes: cells: 0: found {1: 2}; expected a mapping of parameters"),
    ],
)  # fmt: skip
def test_a_plan_leads_nowhere_else_and_to_no_endless_list(tmp_path: Path, old: str, new: str, message: str) -> None:
    root = make_repository(tmp_path / "root", PLAN.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        load_plan(root / "experiments/plan.yaml")
    assert str(caught.value) == f"plan.yaml: {message}"


@pytest.mark.parametrize("field", ["size.__class__", "size:>1000000000", "size!r", "size[0]", "", "0", "size:{seed}"])
def test_a_name_is_filled_with_values_and_nothing_of_python(field: str) -> None:
    template = f"z{{{field}}}-s{{seed}}"
    with pytest.raises(ConfigurationError) as caught:
        naming.Naming(template, {}, "plan.yaml")
    expected = "fields such as {seed} or {share:percent} only"
    assert str(caught.value) == f"plan.yaml: name: found {template!r}; expected {expected}"


def test_runs_that_one_file_system_would_mix_up_are_refused(tmp_path: Path) -> None:
    text = PLAN.replace("cells: [{size: 2}, {size: 3}]", "cells: [{size: 2, name: a}, {size: 2, name: A}]")
    text = text.replace("parameters: {name: tiny}", "parameters: {}").replace(
        "smoke: {parameters: {name: smoke}", "smoke: {parameters: {}"
    )
    root = make_repository(tmp_path / "root", text)
    with pytest.raises(ConfigurationError) as caught:
        load_plan(root / "experiments/plan.yaml")
    assert str(caught.value) == (
        "plan.yaml: groups: sizes: run 'A-z2-s0' differs from 'a-z2-s0' in capitals only, which some file systems do "
        "not tell apart"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9 ** 64 ** 2", "p: exponent 4096; expected at most 64, of a positive base"),
        ("((((9**64)**64)**64)**64)**64", "p: a step gives more than 1e300; expected a smaller number"),
        ("(" * 150 + "1" + ")" * 150 + "*" * 3, "is no arithmetic expression"),
        ("-" * 500 + "1", "is nested more than 100 deep; expected a simpler one"),
        ("1+" * 600 + "1", "p: 1,201 characters; expected at most 1,000"),
        ("1\0", "is no arithmetic expression"),
        ("9" * 900, "p: a step"),
        ("__import__('os').system('id')", "is not allowed in arithmetic"),
        ("[1 for a in b]", "is not allowed in arithmetic"),
        ("(lambda: 1)()", "is not allowed in arithmetic"),
        ("size.real", "is not allowed in arithmetic"),
        ("f'{size}'", "is not allowed in arithmetic"),
    ],
)
def test_arithmetic_computes_little_and_calls_nothing(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        arithmetic.evaluate(arithmetic.parse(text if "9" * 900 != text else f"{text} * 1", "p"), {"size": 2}, "p")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "__import__('os')\n",
        "a = __import__('os').getcwd()",
        "a = b'x'",
        "a = " + "(" * 500 + ")" * 500,
        "a = 1\0",
        "import os",
    ],
)
def test_a_notebooks_parameters_are_read_and_not_run(tmp_path: Path, source: str) -> None:
    cell = {"cell_type": "code", "source": source, "metadata": {"tags": ["parameters"]}}
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [cell]}))
    with pytest.raises(ConfigurationError, match="a.ipynb: "):
        notebook_parameters(path)
