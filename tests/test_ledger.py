"""Records on disk: written whole or not at all, and refused by file and field when they cannot be trusted."""

import errno
import json
import os
import re
import stat
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from experiments import schema
from experiments.files import write_atomically
from experiments.ledger import Ledger
from experiments.plan import Plan
from experiments.schema import RecordFault
from experiments.spec import ConfigurationError
from experiments.status import statuses
from tests.small_git import git
from tests.small_repository import edit, make_record, make_repository, open_repository

NAME = "tiny-z2-s0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "root")


@pytest.fixture
def plan(root: Path) -> Plan:
    return open_repository(root)[0]


@pytest.fixture
def ledger(root: Path) -> Ledger:
    """A ledger with one record."""
    ledger = Ledger(root / "experiments")
    ledger.save(make_record(root, NAME))
    return ledger


def refuse(ledger: Ledger, plan: Plan) -> RecordFault:
    with pytest.raises(RecordFault) as caught:
        ledger.load(plan)
    return caught.value


def test_a_saved_record_is_loaded(root: Path, ledger: Ledger, plan: Plan) -> None:
    assert ledger.load(plan) == [make_record(root, NAME)]


def test_records_of_one_ledger_hold_once_what_they_have_in_common(root: Path, ledger: Ledger, plan: Plan) -> None:
    ledger.save(make_record(root, "tiny-z2-s1"))
    one, other = ledger.load(plan)
    assert one.settings is other.settings
    assert one.fingerprint is other.fingerprint
    assert one.provenance["versions"] is other.provenance["versions"]


def test_an_empty_ledger_has_no_records(root: Path, plan: Plan) -> None:
    assert Ledger(root / "experiments").load(plan) == []


def test_a_record_is_not_overwritten_unless_forced(root: Path, ledger: Ledger, plan: Plan) -> None:
    other = make_record(root, NAME, settings={})
    with pytest.raises(ConfigurationError) as caught:
        ledger.save(other)
    assert str(caught.value) == (
        "experiments/records/tiny-z2-s0.json: run 'tiny-z2-s0' is recorded; use --force to replace it"
    )
    ledger.save(other, force=True)
    assert ledger.load(plan) == [other]


def test_a_crash_while_writing_leaves_the_old_file_and_no_other(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ledger.record_path(NAME)
    before = path.read_text()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "half")
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_told_with_the_file(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError) as caught:
        write_atomically(ledger.record_path(NAME), "whole")
    assert caught.value.filename == str(ledger.record_path(NAME))


def test_a_file_system_that_cannot_sync_folders_keeps_the_file(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sync = ledger.record_path(NAME), os.fsync

    def refuse_folders(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_atomically(path, "whole")
    assert path.read_text() == "whole"


def test_a_written_file_can_be_read_by_others(ledger: Ledger) -> None:
    assert ledger.record_path(NAME).stat().st_mode & 0o777 == 0o644


def test_one_changed_digit_is_found_without_git(ledger: Ledger, plan: Plan) -> None:
    edit(ledger.record_path(NAME), '"test_accuracy": 0.75\n', '"test_accuracy": 0.85\n')
    fault = refuse(ledger, plan)
    assert (fault.place, fault.field) == ("experiments/records/tiny-z2-s0.json", "metrics.test_accuracy")
    assert (fault.expected, fault.found) == ("0.75", "0.85")


@pytest.mark.parametrize("committed", [False, True])
def test_one_changed_digit_is_named_by_what_git_holds(root: Path, ledger: Ledger, plan: Plan, committed: bool) -> None:
    git(root, "init", "--quiet")
    git(root, "add", "experiments/records")
    git(root, "commit", "--quiet", "-m", "a record")
    edit(ledger.record_path(NAME), '"seconds": 4.0', '"seconds": 5.0')
    if committed:
        git(root, "commit", "--quiet", "-a", "-m", "a changed record")
    fault = refuse(ledger, plan)
    assert (fault.field, fault.expected, fault.found) == ("cost.seconds", "4.0", "5.0")
    assert str(fault) == (
        "experiments/records/tiny-z2-s0.json: cost.seconds: found 5.0, but git holds 4.0: "
        "the record was changed after the run; restore it by `git checkout -- experiments/records/tiny-z2-s0.json`"
    )


def test_a_field_that_stands_twice_is_found(ledger: Ledger, plan: Plan) -> None:
    edit(ledger.record_path(NAME), '"seconds": 4.0', '"seconds": 4.0, "seconds": 4.0')
    assert str(refuse(ledger, plan)) == (
        "experiments/records/tiny-z2-s0.json: file: no record can be read: the field 'seconds' stands twice"
    )


def test_a_copied_record_is_refused(ledger: Ledger, plan: Plan) -> None:
    ledger.record_path("tiny-z2-s1").write_text(ledger.record_path(NAME).read_text())
    assert str(refuse(ledger, plan)) == (
        "experiments/records/tiny-z2-s1.json: run: found 'tiny-z2-s0', but the file is named 'tiny-z2-s1.json'; "
        "a record was copied or renamed"
    )


def test_a_record_of_no_planned_run_is_refused(root: Path, ledger: Ledger, plan: Plan) -> None:
    ledger.save(make_record(root, NAME, run="tiny-z9-s0"))
    assert str(refuse(ledger, plan)) == (
        "experiments/records/tiny-z9-s0.json: run: 'tiny-z9-s0' is not a run in plan.yaml; remove the file, or plan the run"
    )


def test_parameters_that_belong_to_another_run_are_refused(root: Path, ledger: Ledger, plan: Plan) -> None:
    record = make_record(root, NAME)
    ledger.save(replace(record, parameters={**record.parameters, "size": 3}), force=True)
    fault = refuse(ledger, plan)
    assert str(fault) == (
        "experiments/records/tiny-z2-s0.json: parameters.size: found 3; expected 2: "
        "the parameters are those of run 'tiny-z3-s0'"
    )
    assert (fault.expected, fault.found) == ("2", "3")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {"size": 3}}, "settings.size: found 3; expected 2, as in parameters.size"),
        (
            {"metrics": {"train_accuracy": 1.5}, "history": {}, "correct": None},
            "metrics.train_accuracy: found 1.5; expected an accuracy between 0 and 1",
        ),
        (
            {"history": {"train_accuracy": [0.5, -0.1]}},
            "history.train_accuracy[1]: found -0.1; expected an accuracy between 0 and 1",
        ),
        (
            {"breakdown": {"class": ["a"], "test_accuracy": [71.0]}},
            "breakdown.test_accuracy[0]: found 71.0; expected an accuracy between 0 and 1, or null",
        ),
    ],
)
def test_a_record_that_contradicts_itself_or_what_is_possible_is_refused(
    root: Path, ledger: Ledger, plan: Plan, changes: dict[str, object], message: str
) -> None:
    ledger.record_path(NAME).write_text(make_record(root, NAME, **changes).to_text())
    assert str(refuse(ledger, plan)) == f"experiments/records/tiny-z2-s0.json: {message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file: no record can be read: Expecting value: line 1 column 1 (char 0)"),
        (b"[]", "file: found []; expected a JSON object"),
        (b"{}", "schema: found None; expected 1, the version that this code reads"),
        (b"\xff", "file: the record cannot be read: found the byte 0xFF; expected UTF-8: save the file so"),
    ],
)
def test_a_file_that_is_no_record_is_refused(ledger: Ledger, plan: Plan, content: bytes, message: str) -> None:
    ledger.record_path(NAME).write_bytes(content)
    assert str(refuse(ledger, plan)).startswith(f"experiments/records/tiny-z2-s0.json: {message}")


def test_all_faults_are_listed_and_sound_records_kept(root: Path, ledger: Ledger, plan: Plan) -> None:
    for name in ("tiny-z3-s0", "tiny-z3-s1"):
        ledger.record_path(name).write_text("{}")
    records, faults = ledger.inspect(plan)
    assert [record.run for record in records] == [NAME]
    assert [fault.place for fault in faults] == [f"experiments/records/tiny-z3-s{seed}.json" for seed in (0, 1)]
    assert str(refuse(ledger, plan)).splitlines() == [str(fault) for fault in faults]


def test_an_accepted_record_keeps_the_reason(root: Path, ledger: Ledger, plan: Plan) -> None:
    accepted = ledger.accept(make_record(root, NAME), "f" * 64, " only a name changed ")
    assert ledger.load(plan) == [accepted]
    (entry,) = accepted.accepted
    assert (entry["key"], entry["why"]) == ("f" * 64, "only a name changed")
    assert date.fromisoformat(entry["on"])
    with pytest.raises(ConfigurationError, match="--why is empty"):
        ledger.accept(accepted, "f" * 64, " ")


@pytest.mark.parametrize(
    ("character", "name"),
    [("\u2028", "U+2028 LINE SEPARATOR"), ("\udce9", "U+DCE9"), ("\u202e", "U+202E RIGHT-TO-LEFT")],
)
def test_a_reason_that_would_make_the_record_unreadable_is_refused(
    root: Path, ledger: Ledger, plan: Plan, character: str, name: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"^accept {NAME}: --why: found {re.escape(name)}"):
        ledger.accept(make_record(root, NAME), "f" * 64, f"same numbers{character}checked")
    assert ledger.load(plan) == [make_record(root, NAME)]


def test_the_last_failure_of_a_run_counts_and_a_cut_line_is_passed_over(ledger: Ledger) -> None:
    ledger.log_failure(NAME, "a" * 64, "ValueError: one", "one.ipynb")
    ledger.log_failure(NAME, "a" * 64, "ValueError: two", "two.ipynb")
    with ledger.failures_path.open("a") as file:
        file.write('{"run": "tiny-z3"}\n{"run": "tiny-z4')
    with ledger.failures_path.open("ab") as binary:
        binary.write(b"\xc3")
    assert {name: entry["error"] for name, entry in ledger.failures().items()} == {NAME: "ValueError: two"}
    assert [
        json.loads(line)["notebook"] for line in ledger.failures_path.read_text(errors="replace").splitlines()[:2]
    ] == [
        "one.ipynb",
        "two.ipynb",
    ]


def test_the_frame_has_a_row_for_each_record(root: Path, ledger: Ledger, plan: Plan) -> None:
    frame = ledger.frame(statuses(plan, ledger, root))
    assert frame.to_dict("records") == [
        {
            "run": NAME,
            "cell": "tiny-z2",
            "groups": ("sizes",),
            "notebook": "fine.ipynb",
            "state": "measured",
            "why": "",
            "name": "tiny",
            "rate": 0.5,
            "seed": 0,
            "size": 2,
            "test_accuracy": 0.75,
            "seconds": 4.0,
            "train_seconds": None,
            "work": 20,
            "attempts": 1,
            "peak_memory_mib": 100.0,
            "device": "a CPU",
            "device_class": "cpu",
        }
    ]


def test_a_parameter_or_metric_with_the_name_of_a_column_of_the_frame_has_one_of_its_own(
    root: Path, ledger: Ledger, plan: Plan
) -> None:
    (status,) = (status for status in statuses(plan, ledger, root) if status.record is not None)
    given = {**status.record.parameters, "state": "wet", "device": 3}
    record = replace(status.record, parameters=given, metrics={"test_accuracy": 0.75, "size": 7.0})
    (row,) = ledger.frame([replace(status, record=record)]).to_dict("records")
    assert (row["state"], row["parameter_state"]) == ("measured", "wet")
    assert (row["device"], row["parameter_device"]) == ("a CPU", 3)
    assert (row["size"], row["metric_size"]) == (2, 7.0)


def test_the_frame_of_an_empty_ledger_has_the_fixed_columns(root: Path, plan: Plan) -> None:
    frame = Ledger(root / "experiments").frame(statuses(plan, Ledger(root / "experiments"), root))
    assert len(frame) == 0
    assert {"run", "cell", "state", "seconds", "device_class"} <= set(frame.columns)


def test_a_metric_with_the_name_of_a_column_has_one_of_its_own(root: Path, ledger: Ledger, plan: Plan) -> None:
    ledger.save(make_record(root, NAME, metrics={"seconds": 1.0}, history={}), force=True)
    (row,) = ledger.frame(statuses(plan, ledger, root)).to_dict("records")
    assert (row["metric_seconds"], row["seconds"]) == (1.0, 4.0)


def test_the_digest_does_not_depend_on_itself(root: Path) -> None:
    text = make_record(root, NAME).to_text()
    digest = json.loads(text)["digest"]
    assert schema.digest_of(text) == schema.digest_of(text.replace(digest, "")) == digest
