"""A check finds one changed digit wherever it is, and says where, what was expected and what to do."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.files import write_atomically
from experiments.ledger import Ledger
from experiments.spec import Correct, Record
from experiments.surveys import Surveys
from experiments.tampering import dropped_after_run, edited_after_run
from report.checking.findings import RULES, Finding
from report.checks import check, compare, inspect_ledger, inspect_tracked
from report.render import build_report
from tests.small_git import commit, git
from tests.small_repository import PROVENANCE, edit, make_record, make_repository, open_repository

TRACKED = ("build.py", "convmixer", "experiments", "report", "templates")


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A copy of this repository with a fresh report."""
    copy = tmp_path_factory.mktemp("copy")
    for name in TRACKED:
        ignored = shutil.ignore_patterns("__pycache__", "out", ".*")
        source = root / name
        shutil.copytree(source, copy / name, ignore=ignored) if source.is_dir() else shutil.copy(source, copy / name)
    build_report(copy)
    return copy


@pytest.fixture
def restored(checked: Path) -> Path:
    """The copy, with report/out put back after the test."""
    kept = checked / "kept"
    shutil.copytree(checked / "report/out", kept)
    yield checked
    shutil.rmtree(checked / "report/out")
    kept.rename(checked / "report/out")


def errors(root: Path) -> list[Finding]:
    return [finding for finding in check(root) if finding.severity == "error"]


def test_a_fresh_report_holds_and_the_check_writes_nothing(checked: Path) -> None:
    shutil.rmtree(checked / ".cache")
    assert errors(checked) == []
    assert not (checked / ".cache").exists()


def test_what_an_earlier_command_kept_of_the_code_is_not_believed(checked: Path) -> None:
    module, kept = checked / "convmixer/model.py", checked / ".cache/code.json"
    before = module.read_text(encoding="utf-8")
    after = f"{before}\nADDED = 1\n"
    for source in (before, after):
        surveys = Surveys(kept)
        surveys.of(source, "model.py")
        surveys.keep()
    known = json.loads(kept.read_text(encoding="utf-8"))
    first, second = known
    kept.write_text(json.dumps({second: known[first]}), encoding="utf-8")  # the new module looks like the old one
    try:
        module.write_text(after, encoding="utf-8")
        assert "stale-record" in {finding.rule for finding in errors(checked)}
    finally:
        module.write_text(before, encoding="utf-8")
        kept.unlink()


def test_what_an_earlier_build_kept_of_the_prose_is_not_believed(restored: Path) -> None:
    build_report(restored)
    (kept,) = (restored / ".cache/prose").glob("*.json")
    before = kept.read_text(encoding="utf-8")
    try:
        kept.write_text(before.replace("a network of", "the best network of"), encoding="utf-8")
        build_report(restored)
        assert "the best network of" in (restored / "report/out/report.md").read_text(encoding="utf-8")
        places = {finding.place.partition(":")[0] for finding in errors(restored)}
        assert {f"report/out/report.{suffix}" for suffix in ("md", "tex", "html", "pdf")} <= places
    finally:
        kept.write_text(before, encoding="utf-8")


def change(path: Path, old: str, new: str) -> int:
    """Change the first OLD in PATH; its line."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text.count("\n", 0, text.index(old)) + 1


def test_one_changed_digit_is_found_in_a_table_and_in_every_format(restored: Path) -> None:
    out = restored / "report/out"
    lines = {
        "tables/parameters.csv": change(out / "tables/parameters.csv", "559114", "559115"),
        "report.md": change(out / "report.md", "559,114", "559,115"),
        "report.tex": change(out / "report.tex", "559,114", "559,115"),
        "report.html": change(out / "report.html", ">559,114", ">559,115"),
    }
    found = errors(restored)
    assert {finding.place for finding in found} == {f"report/out/{name}:{line}" for name, line in lines.items()}
    for finding in found:
        assert finding.rule == "output-differs"
        assert "114" in finding.expected
        assert "115" in finding.found


def test_outputs_that_are_older_than_a_record_are_told_in_one_finding(restored: Path) -> None:
    out = restored / "report/out"
    provenance = json.loads((out / "provenance.json").read_text(encoding="utf-8"))
    run, record = next(iter(provenance["records"].items()))
    change(out / "provenance.json", record["digest"], "0" * 64)
    change(out / "report.md", "559,114", "559,115")
    (finding,) = errors(restored)
    assert (finding.rule, finding.place, finding.message) == (
        "output-differs",
        "report/out",
        f"it was made before these records changed: {run}; 2 of its files differ",
    )


def test_a_changed_or_missing_pdf_is_found(restored: Path) -> None:
    out = restored / "report/out"
    content = bytearray((out / "report.pdf").read_bytes())
    content[1000] ^= 1
    (out / "report.pdf").write_bytes(content)
    (out / "figures/architecture.pdf").unlink()
    assert [(finding.rule, finding.place, finding.message) for finding in errors(restored)] == [
        ("output-differs", "report/out/report.pdf", "byte 1001 differs from a fresh build"),
        ("output-missing", "report/out/figures/architecture.pdf", "a build makes this file"),
    ]


def test_a_pdf_of_another_typesetter_is_not_compared(tmp_path: Path) -> None:
    for name, content in (("a", b"%PDF Typst 0.15.1"), ("b", b"%PDF xelatex")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.pdf").write_bytes(content)
    (finding,) = compare(tmp_path / "b", tmp_path / "a", "out")
    assert (finding.rule, finding.severity, finding.place) == ("pdf-unchecked", "warning", "out/report.pdf")


def test_a_record_of_code_that_was_not_committed_is_a_warning(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "root")
    dirty = make_record(root, "tiny-z2-s0", provenance=PROVENANCE | {"commit": "0123456789" * 4, "dirty": True})
    open_repository(root)[1].save(dirty)
    (finding,) = inspect_ledger(root)
    assert (finding.rule, finding.severity) == ("record-dirty", "warning")
    assert finding.place == "experiments/records/tiny-z2-s0.json"
    assert finding.message == "it was made from files that differed from commit 0123456"


def test_a_record_that_git_holds_otherwise_is_a_warning_with_its_fields(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "root")
    record = make_record(root, "tiny-z2-s0")
    Ledger(root / "experiments").save(record)
    git(root, "init")
    commit(root, "a run")
    assert list(inspect_ledger(root)) == []
    again = {**record.provenance, "started": "2026-01-02T00:00:00Z"}
    changed = replace(record, cost={**record.cost, "seconds": 5.0}, provenance=again)
    (root / "experiments/records/tiny-z2-s0.json").write_text(changed.to_text(), encoding="utf-8")  # digest too
    (finding,) = inspect_ledger(root)
    assert (finding.rule, finding.severity) == ("record-changed", "warning")
    assert finding.place == "experiments/records/tiny-z2-s0.json"
    assert finding.message == "it is not what git's HEAD holds: cost.seconds, provenance.started"
    assert (finding.expected, finding.found) == ("4.0", "5.0")


def test_a_committed_record_that_is_gone_is_told_once(committed: Path) -> None:
    (committed / "experiments/records/tiny-z2-s0.json").unlink()
    (committed / "experiments/executed/tiny-z2-s0.ipynb").unlink()
    (finding,) = inspect_ledger(committed)
    assert (finding.rule, finding.message) == ("record-changed", "git's HEAD holds it, and it is gone")
    git(committed, "commit", "-am", "it is gone")
    (finding,) = inspect_ledger(committed)
    assert finding.rule == "record-dropped"


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A repository under git with the record of one run and its executed notebook."""
    root = make_repository(tmp_path / "root")
    record = make_record(root, "tiny-z2-s0")
    Ledger(root / "experiments").save(record)
    shown = ["Record of this run\n", "  test_accuracy  0.75\n", "  seconds        4"]
    cells = [{"outputs": [{"data": {"text/plain": shown}}]}, {"outputs": [{"text": "epoch 1: 0.5"}]}]
    write_atomically(root / "experiments/executed/tiny-z2-s0.ipynb", json.dumps({"cells": cells}) + "\n")
    git(root, "init")
    commit(root, "a run")
    assert list(inspect_ledger(root)) == []
    return root


def test_what_is_left_of_a_plan_that_was_replaced_is_to_be_deleted(committed: Path) -> None:
    record = committed / "experiments/records/tiny-z2-s0.json"
    edit(committed / "experiments/plan.yaml", "{size: 2}, ", "")
    assert [(finding.rule, finding.fix) for finding in inspect_ledger(committed)] == [
        ("ledger-fault", "remove the file, or plan the run")
    ]
    record.unlink()
    assert [(finding.rule, finding.fix) for finding in inspect_ledger(committed)] == [
        ("record-changed", f"`git checkout -- {record.relative_to(committed)}`, or commit that it is gone"),
        ("notebook-differs", "delete the notebook, or restore the record from git"),
    ]


@pytest.mark.parametrize("is_committed", [False, True])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cost": {"seconds": 5.0}}, "cost.seconds"),
        ({"provenance": {"threads": 8}}, "provenance.threads"),
        ({"history": {"test_accuracy": [0.6, 0.75]}}, "history.test_accuracy[0]"),
        ({"settings": {"recipe": "other"}}, "settings.recipe"),
    ],
)
def test_a_record_that_was_edited_after_its_run_is_found_though_its_digest_is_right(
    committed: Path, change: dict[str, dict[str, Any]], field: str, is_committed: bool
) -> None:
    ledger = Ledger(committed / "experiments")
    record = Record.from_text(ledger.record_path("tiny-z2-s0").read_text(), "it")
    edited = replace(record, **{name: {**getattr(record, name), **part} for name, part in change.items()})
    ledger.save(edited, force=True)
    if is_committed:
        git(committed, "commit", "-am", "nothing of note")
    found = {finding.rule: finding for finding in inspect_ledger(committed)}
    assert found["record-edited"].severity == "error"
    assert found["record-edited"].place == f"experiments/records/tiny-z2-s0.json: {field}"
    assert ("record-changed" in found) is not is_committed
    assert "record-repeated" not in found  # it is the same run


def test_records_and_notebooks_with_other_ends_of_lines_are_as_they_were_committed(committed: Path) -> None:
    for path in (
        committed / "experiments/records/tiny-z2-s0.json",
        committed / "experiments/executed/tiny-z2-s0.ipynb",
    ):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert list(inspect_ledger(committed)) == []


def test_a_run_made_again_and_an_accepted_record_are_not_edited(committed: Path) -> None:
    ledger = Ledger(committed / "experiments")
    record = Record.from_text(ledger.record_path("tiny-z2-s0").read_text(), "it")
    ledger.save(record.accept("0" * 64, "because", "2026-01-03"), force=True)
    git(committed, "commit", "-am", "accepted")
    assert [finding.rule for finding in inspect_ledger(committed)] == []
    again = {**record.provenance, "started": "2026-01-02T00:00:00Z"}
    ledger.save(replace(record, provenance=again, cost={**record.cost, "seconds": 4.2}), force=True)
    notebook = ledger.executed_path("tiny-z2-s0")
    edit(notebook, "seconds        4", "seconds        4.2")
    assert [finding.rule for finding in inspect_ledger(committed)] == ["record-changed"]
    git(committed, "commit", "-am", "made again")
    assert [finding.rule for finding in inspect_ledger(committed)] == []


def test_a_run_that_was_made_again_until_it_pleased_is_told(committed: Path) -> None:
    ledger = Ledger(committed / "experiments")
    record = Record.from_text(ledger.record_path("tiny-z2-s0").read_text(), "it")
    again = {**record.provenance, "started": "2026-01-02T00:00:00Z"}
    history = {**record.history, "test_accuracy": [0.5, 1.0]}
    better = replace(
        record, provenance=again, metrics={"test_accuracy": 1.0}, history=history, correct=Correct("test", 4, "8A==")
    )
    ledger.save(replace(better, key="1" * 64), force=True)  # by other code, so that it had to be made again
    git(committed, "commit", "-am", "made again")
    assert [finding.rule for finding in inspect_ledger(committed) if "record" in finding.rule] == ["stale-record"]
    accepted = replace(better, key="1" * 64).accept(record.key, "comments alone were changed", "2026-01-03")
    for another in (better, accepted):  # a person's word that its code is the same makes it count for the same
        ledger.save(another, force=True)
        git(committed, "commit", "-am", "and again")
        (finding,) = [finding for finding in inspect_ledger(committed) if finding.rule == "record-repeated"]
        assert (finding.severity, finding.expected, finding.found) == ("warning", "0.75", "1.0")
        assert finding.place == "experiments/records/tiny-z2-s0.json: metrics.test_accuracy"


def test_a_run_that_is_left_out_after_it_was_recorded_is_told_and_one_that_got_another_name_is_not(
    committed: Path,
) -> None:
    path, executed = (committed / f"experiments/{name}" for name in ("records/tiny-z2-s0.json", "executed"))
    path.rename(path.with_name("tiny-z4-s0.json"))
    commit(committed, "another name")
    assert dropped_after_run(path.parent) == []
    path.with_name("tiny-z4-s0.json").unlink()
    shutil.rmtree(executed)
    git(committed, "commit", "-am", "nothing of note")
    (finding,) = inspect_ledger(committed)
    assert (finding.rule, finding.severity) == ("record-dropped", "warning")
    assert finding.message == "git's past has records that are here no more: tiny-z2-s0.json, tiny-z4-s0.json"


@pytest.mark.parametrize("shown", ["separate", "off"])
def test_a_record_that_was_edited_in_a_merge_is_found_however_the_user_looks_at_merges(
    committed: Path, shown: str
) -> None:
    git(committed, "config", "log.diffMerges", shown)
    ledger = Ledger(committed / "experiments")
    record = Record.from_text(ledger.record_path("tiny-z2-s0").read_text(), "it")
    for branch in ("side", "main"):
        git(committed, "checkout", "-q", "-B", branch)
        write_atomically(committed / f"{branch}.txt", branch)
        commit(committed, branch)
        git(committed, "checkout", "-q", "HEAD~1" if branch == "side" else branch)
    git(committed, "merge", "--no-commit", "--no-ff", "side")
    ledger.save(replace(record, cost={**record.cost, "seconds": 5.0}), force=True)
    commit(committed, "merged")
    found = [(finding.rule, finding.place) for finding in inspect_ledger(committed)]
    assert ("record-edited", "experiments/records/tiny-z2-s0.json: cost.seconds") in found


def test_what_a_branch_held_is_seen_though_the_merge_took_the_other_s_file(committed: Path) -> None:
    ledger = Ledger(committed / "experiments")
    text = ledger.record_path("tiny-z2-s0").read_text()
    record = Record.from_text(text, "it")
    git(committed, "checkout", "-q", "-B", "main")
    git(committed, "checkout", "-q", "-b", "side")
    ledger.save(replace(record, cost={**record.cost, "seconds": 5.0}), force=True)
    git(committed, "commit", "-am", "edited")
    git(committed, "checkout", "-q", "main")
    assert ledger.record_path("tiny-z2-s0").read_text() == text
    assert [name for name, _ in edited_after_run(ledger.records_folder)] == []
    git(committed, "merge", "-q", "-s", "ours", "-m", "merged", "side")
    assert [name for name, _ in edited_after_run(ledger.records_folder)] == ["tiny-z2-s0.json"]


@pytest.mark.parametrize(
    ("accepted", "field"),
    [
        ([("0", "another reason", "2026-01-03")], "accepted[0].why"),
        ([("0", "because", "2020-01-01")], "accepted[0].on"),
        ([], "accepted[0]"),
        ([("1", "first", "2026-01-02"), ("0", "because", "2026-01-03")], None),  # as after a merge
    ],
)
def test_an_acceptance_once_given_can_neither_change_nor_go(
    committed: Path, accepted: list[tuple[str, str, str]], field: str | None
) -> None:
    ledger = Ledger(committed / "experiments")
    record = Record.from_text(ledger.record_path("tiny-z2-s0").read_text(), "it")
    ledger.save(record.accept("0" * 64, "because", "2026-01-03"), force=True)
    git(committed, "commit", "-am", "accepted")
    for key, why, on in accepted:
        record = record.accept(key * 64, why, on)
    ledger.save(record, force=True)
    git(committed, "commit", "-am", "nothing of note")
    found = [f"experiments/records/tiny-z2-s0.json: {field}"] if field else []
    assert [finding.place for finding in inspect_ledger(committed)] == found


def test_where_git_cannot_tell_a_record_s_past_the_check_fails(
    committed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as in a container that mounts a user's folder
    found = [*inspect_ledger(committed), *inspect_tracked(committed)]
    assert {finding.rule for finding in found} == {"git-unchecked"}
    assert [finding.place for finding in found] == ["experiments/records", "experiments/executed", ".gitignore"]
    assert all("safe.directory" in finding.message and finding.severity == "error" for finding in found)


@pytest.mark.parametrize("is_committed", [False, True])
@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("0.75", "0.76", ": test_accuracy", "it shows test_accuracy 0.76, and its record has 0.75"),
        ("epoch 1: 0.5", "epoch 1: 0.6", "", "it was changed after its run, as git's past shows"),
        ("{", "[", "", "it is no notebook of format 4"),
    ],
)
def test_an_executed_notebook_that_was_edited_is_found(
    committed: Path, old: str, new: str, place: str, message: str, is_committed: bool
) -> None:
    notebook = committed / "experiments/executed/tiny-z2-s0.ipynb"
    notebook.write_text(notebook.read_text().replace(old, new, 1))
    if is_committed:
        git(committed, "commit", "-am", "nothing of note")
    found = [finding for finding in inspect_ledger(committed) if finding.rule == "notebook-differs"]
    assert (f"experiments/executed/tiny-z2-s0.ipynb{place}", message) in [(item.place, item.message) for item in found]


def test_a_pipe_in_the_place_of_a_record_is_told_at_once(committed: Path) -> None:
    path = committed / "experiments/records/tiny-z2-s0.json"
    path.unlink()
    os.mkfifo(path)
    (finding,) = inspect_ledger(committed)
    assert (finding.rule, finding.message) == (
        "ledger-fault",
        "the record cannot be read: it is no plain file; expected one",
    )


def test_causes_stand_before_what_follows_from_them() -> None:
    rules = list(RULES)
    assert rules.index("ledger-fault") < rules.index("stale-record") < rules.index("output-differs")


def test_files_missing_and_too_many_are_found(restored: Path) -> None:
    (restored / "report/out/report.tex").unlink()
    (restored / "report/out/stray.md").write_text("stray", encoding="utf-8")
    assert [(finding.rule, finding.place) for finding in errors(restored)] == [
        ("output-missing", "report/out/report.tex"),
        ("output-unknown", "report/out/stray.md"),
    ]


def test_a_fault_of_the_prose_that_stops_the_build_is_told_once(restored: Path) -> None:
    section = restored / "report/paper/sections/10-introduction.md"
    text = section.read_text(encoding="utf-8")
    section.write_text(text + "\nWe reach 71.23 %.\n", encoding="utf-8")
    try:
        assert [finding.rule for finding in errors(restored)] == ["typed-result"]
    finally:
        section.write_text(text, encoding="utf-8")


def test_a_claim_that_is_named_and_whose_verdict_is_hidden_is_found(restored: Path) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in (restored / "report/paper/sections").glob("*.md")}
    for path, text in texts.items():
        for hidden in ('<< table("verdicts") >>', '<< table("reasons") >>', '<< verdict("kernel-size-p8") >>'):
            text = text.replace(hidden, "")
        path.write_text(text.replace('<< ref("tab:verdicts") >>', "It").replace('<< ref("tab:reasons") >>', "It"))
    try:
        hidden = [finding.message for finding in errors(restored) if finding.rule == "claim-unused"]
        assert "no page prints the verdict on the claim 'kernel-size-p8'" in hidden
        assert "no page prints the verdict on the claim 'kernel-size'" not in hidden  # the prose tells it
    finally:
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")


def test_a_report_that_cannot_be_built_is_a_finding(restored: Path) -> None:
    section = restored / "report/paper/sections/10-introduction.md"
    text = section.read_text(encoding="utf-8")
    section.write_text(text + "\n<< unknown_word >>\n", encoding="utf-8")
    try:
        (finding,) = errors(restored)
    finally:
        section.write_text(text, encoding="utf-8")
    assert finding.rule == "build-fails"
    assert finding.message.startswith(
        f"report/paper/sections/10-introduction.md:{text.count(chr(10)) + 2}: 'unknown_word' is undefined"
    )


def test_a_damaged_record_is_a_finding_and_nothing_is_built_from_it(restored: Path) -> None:
    records = restored / "experiments/records"
    records.mkdir(exist_ok=True)
    broken = records / "cifar10-keras-e5-w256-d8-p4-k9-s99.json"
    broken.write_text('{"schema": 1}', encoding="utf-8")
    try:
        found = errors(restored)
    finally:
        broken.unlink()
    assert {finding.rule for finding in found} == {"ledger-fault"}
    assert all("p4-k9-s99.json" in finding.place for finding in found)


def write(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def test_a_difference_names_file_line_and_column_with_its_surroundings(tmp_path: Path) -> None:
    rebuilt = write(tmp_path / "a", report="one\n" + "x" * 100 + "71.23 %" + "y" * 100 + "\n")
    tracked = write(tmp_path / "b", report="one\n" + "x" * 100 + "71.24 %" + "y" * 100 + "\n")
    (finding,) = compare(tracked, rebuilt, "out")
    assert str(finding) == (
        "error output-differs: out/report.md:2: column 105 differs from a fresh build\n"
        f"  expected: …{'x' * 56}71.23 %{'y' * 57}…\n"
        f"  found:    …{'x' * 56}71.24 %{'y' * 57}…\n"
        "  to do: run `python build.py` and look at the change"
    )


def test_a_line_too_many_does_not_hide_behind_those_after_it(tmp_path: Path) -> None:
    rebuilt = write(tmp_path / "a", report="1\n2\n3\n")
    tracked = write(tmp_path / "b", report="1\nnew\n2\n3\n")
    (finding,) = compare(tracked, rebuilt, "out")
    assert (finding.place, finding.expected, finding.found) == ("out/report.md:2", "", "new")


def test_a_report_that_is_not_there_is_one_finding(tmp_path: Path) -> None:
    rebuilt = write(tmp_path / "a", report="1\n")
    (rebuilt / "figures").mkdir()
    (rebuilt / "figures/a.svg").touch()
    (finding,) = compare(tmp_path / "none", rebuilt, "out")
    assert (finding.rule, finding.place) == ("output-missing", "out")
    assert finding.message == "nothing of it is there; a build makes 2 files"


def test_many_differences_are_summed_up(tmp_path: Path) -> None:
    rebuilt = write(tmp_path / "a", report="\n".join("abcdefg"))
    tracked = write(tmp_path / "b", report="\n".join("ABCDEFG"))
    findings = compare(tracked, rebuilt, "out")
    assert [finding.place for finding in findings] == [
        "out/report.md:1",
        "out/report.md:2",
        "out/report.md:3",
        "out/report.md",
    ]
    assert findings[-1].message == "4 more lines differ"


@pytest.mark.timeout(20)  # It took minutes.
def test_thousands_of_lines_of_which_most_are_alike_are_compared_at_once(tmp_path: Path) -> None:
    def write_values(name: str, sign: str) -> Path:
        text = "".join(f'{{\n"run-{i}": {{\n"value": {sign if i % 3 == 0 else ""}{i}\n}},\n}},\n' for i in range(9000))
        return write(tmp_path / name, report=text)

    findings = compare(write_values("b", "-"), write_values("a", "+"), "out")
    assert [finding.place for finding in findings[:2]] == ["out/report.md:3", "out/report.md:18"]
    assert findings[-1].message == "2997 more lines differ"


def test_an_empty_line_too_many_is_a_difference(tmp_path: Path) -> None:
    rebuilt, tracked = write(tmp_path / "a", report="a\nb\n"), write(tmp_path / "b", report="a\n\nb\n")
    assert [finding.place for finding in compare(tracked, rebuilt, "out")] == ["out/report.md:2"]


def test_windows_line_ends_are_a_difference(tmp_path: Path) -> None:
    rebuilt, tracked = write(tmp_path / "a", report="1\n"), write(tmp_path / "b")
    (tracked / "report.md").write_bytes(b"1\r\n")
    assert [finding.rule for finding in compare(tracked, rebuilt, "out")] == ["output-differs"]
