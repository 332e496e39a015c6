"""A spot check with real runs: true records are confirmed bit by bit, a changed one is caught, the ledger is untouched."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import build
from experiments import doctor
from experiments.executors import LocalExecutor
from experiments.ledger import Ledger
from experiments.running.progress import open_monitor
from experiments.running.reruns import Repetition, Rerun
from experiments.running.workspace import Workspace
from experiments.spec import ConfigurationError, Correct, MissingTool, Record
from experiments.status import statuses
from report.original import CSV_COLUMNS
from report.review import verification
from report.review.agreement import LEVEL, Agreement, expect_second
from report.review.certificate import Overall
from report.review.verification import carry_out, empty, plan_verification
from tests.digits_repository import REPOSITORY, make_digits_repository
from tests.schemas import faults_of
from tests.small_claims import make_claims
from tests.small_repository import PLAN, PROVENANCE, edit, make_record, open_repository

CLAIMS = """version: 1
alpha: 0.05
min_seeds: 2
protocols: {}
claims: {}
"""
Command = Callable[..., tuple[int, str, str]]


def run_command(root: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = build.main(list(arguments), root)
    return code, *capsys.readouterr()


def digest_of(folder: Path) -> dict[str, str]:
    """Path -> digest of every file of the ledger."""
    files = (path for name in ("records", "executed") for path in sorted((folder / name).rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# Real trainings on the embedded digits.


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Two seeds of a small ConvMixer, trained with one thread each, and three that nobody ran, for the spread."""
    root = make_digits_repository(tmp_path / "root")
    edit(root / "experiments/plan.yaml", "width: [8, 16]", "width: [8]")
    edit(root / "experiments/plan.yaml", "seeds: [0, 1]", "seeds: [0, 1, 2, 3, 4]")
    paper = root / "report/paper"
    paper.mkdir(parents=True)
    (paper / "claims.yaml").write_text(CLAIMS)
    (paper / "original.csv").write_text(",".join(CSV_COLUMNS) + "\n")
    (paper / "metadata.yaml").write_text("title: Digits\n")
    plan, ledger = open_repository(root)
    tasks = statuses(plan, ledger, root)
    with pytest.MonkeyPatch.context() as patch, open_monitor(2) as monitor:
        patch.setenv("OMP_NUM_THREADS", "1")
        outcome = LocalExecutor(root, ledger, root / ".cache").run(tasks[:2], monitor)
    first = outcome.recorded[0]
    for task, shift in zip(tasks[2:], (-0.01, 0.0, 0.01), strict=True):
        another = replace(first, run=task.run.name, parameters=task.run.parameters, key=task.key)
        ledger.save(forge(another, first.metrics["test_accuracy"] + shift))
    return root


def forge(record: Record, accuracy: float) -> Record:
    """The record as a forger would write it: another accuracy wherever it stands."""
    assert record.correct is not None
    count = record.correct.count
    right = round(accuracy * count)
    bits = ("1" * right).ljust(-(-count // 8) * 8, "0")
    packed = base64.b64encode(int(bits, 2).to_bytes(len(bits) // 8, "big")).decode()
    curve = [*record.history["test_accuracy"][:-1], right / count]
    return replace(
        record,
        metrics={**record.metrics, "test_accuracy": right / count},
        correct=Correct("test", count, packed),
        history={**record.history, "test_accuracy": curve},
    )


def test_a_true_record_comes_out_bit_by_bit_and_a_changed_one_is_caught(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, ledger = open_repository(digits)
    true = next(record for record in ledger.load(plan) if record.run == "digits-w8-s1")
    ledger.save(forge(true, true.metrics["test_accuracy"] + 0.3), force=True)
    before = digest_of(digits / "experiments")
    names = ("digits-w8-s0", "digits-w8-s1")
    code, out, _ = run_command(digits, capsys, "verify", *names, "--budget", "1h", "--out", str(tmp_path / "out"))
    assert code == 3
    assert out.splitlines()[-1].endswith(
        "certificate.md: not confirmed: 2 runs picked: agrees 1, disagrees 1; same bits 1, "
        "other bits though the same were due 1"
    )
    assert digest_of(digits / "experiments") == before
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "certificate.json",
        "certificate.md",
        "executed",
        "records",
    }
    certificate = json.loads((tmp_path / "out/certificate.json").read_text())
    assert faults_of("certificate", certificate) == []
    first, second = (verified["judged"] for verified in certificate["runs"])
    assert (first["same_bits"], first["differing"]) == (True, [])
    assert (first["spread"]["basis"], first["spread"]["degrees"]) == ("other seeds of its cell", 3)
    assert (second["same_bits"], second["same_bits_due"]) == (False, True)
    assert certificate["runs"][1]["again"]["accuracy"] == true.metrics["test_accuracy"]
    assert certificate["runs"][1]["why"].startswith("outside the interval for a second run; the same bits were due, ")


# Notebooks that take no time.


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small repository: each run gives 0.75, as its records say; one size 3 record says that all are right."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    root = make_claims(tmp_path / "root")
    for run, accuracy, bits in (("z2-s0", 0.75, "0A=="), ("z2-s1", 0.75, "0A=="), ("z3-s0", 1.0, "8A==")):
        save(root, f"tiny-{run}", accuracy, bits)
    return root


def save(root: Path, run: str, accuracy: float, bits: str, **changes: object) -> None:
    results = {"metrics": {"test_accuracy": accuracy}, "history": {"test_accuracy": [0.5, accuracy]}}
    made = {"correct": Correct("test", 4, bits), "settings": {}, **results, **changes}
    Ledger(root / "experiments").save(make_record(root, run, **made), force=True)


def test_a_dry_run_says_what_would_be_run_again_and_why(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, errors = run_command(root, capsys, "verify", "-n", "--budget", "9s")
    main, other = "main claim larger-is-better, INCONCLUSIVE", "claim three-reaches-half, INCONCLUSIVE"
    assert (code, errors) == (0, "")
    assert out.splitlines() == [
        f"tiny-z3-s0: information 3.00, about 4 s on cpu: 1 of 1 runs of its cell; {main}; {other}",
        f"tiny-z2-s0: information 1.00, about 4 s on cpu: 1 of 2 runs of its cell; {main}",
        "2 of 3 recorded runs, about 8 s of 9 s",
    ]
    assert not (root / ".verify").exists()


def test_what_cannot_be_judged_is_not_confirmed_and_ends_with_4(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_command(root, capsys, "verify", "tiny-z3-s0")
    assert code == 4
    assert out.splitlines()[-1].endswith("could not be judged: 1 run picked: not judged 1; same bits 0")


def test_a_stale_record_is_run_by_todays_code_and_the_certificate_says_so(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(root / "method/model.py", "2 * value", "3 * value")
    assert run_command(root, capsys, "verify", "tiny-z2-s0")[0] == 0
    (verified,) = json.loads((root / ".verify/certificate.json").read_text())["runs"]
    assert (verified["code"], verified["changes"]) == ("stale", ["method.model: double() changed"])
    assert verified["record"]["key"] != verified["again"]["key"]
    assert not verified["judged"]["same_bits_due"]
    assert "Its record is stale" in (root / ".verify/certificate.md").read_text()


def test_a_failed_run_ends_with_1_and_its_notebook_is_kept(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    root = make_claims(tmp_path / "root", PLAN.replace("fine.ipynb", "raises.ipynb"))
    save(root, "tiny-z2-s0", 0.75, "0A==")
    code, out, errors = run_command(root, capsys, "verify")
    assert code == 1
    assert "could not be judged: 1 run picked: failed 1; same bits 0" in out
    assert "The notebook, as far as it came: .verify/cache/failed/tiny-z2-s0.ipynb" in errors
    assert (root / ".verify/cache/failed/tiny-z2-s0.ipynb").is_file()
    assert not (root / "experiments/failures.jsonl").exists()


def test_nothing_that_fits_names_the_cheapest_and_its_price(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = (
        "error: verify: nothing fits into --budget 3 s: the cheapest of 3 recorded runs, 'tiny-z2-s0', takes about 4 s; "
        "--budget 1m is enough for it\n"
    )
    assert run_command(root, capsys, "verify", "--budget", "3s") == (2, "", message)


def test_metadata_that_cannot_be_read_is_told_before_anything_is_run(root: Path) -> None:
    (root / "report/paper/metadata.yaml").write_text("title: [a list]\n")
    with pytest.raises(ConfigurationError, match=r"^metadata.yaml: title: found \['a list'\]; expected text"):
        plan_verification(root, budget_seconds=60)


def test_there_must_be_a_record(root: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan_verification(root, ["tiny-z4*"], budget_seconds=60)
    assert str(caught.value) == "verify: none of the 1 chosen runs is recorded; run them first"


def test_a_device_that_is_not_here_ends_with_5(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_devices", lambda: ("cpu",))
    with pytest.raises(MissingTool) as caught:
        plan_verification(root, budget_seconds=60, device_class="cuda")
    assert caught.value.exit_code == 5
    assert str(caught.value) == (
        "verify: none of the 3 recorded runs can be run again: they need cuda, and this machine has cpu; "
        "see `build.py doctor`, or name another --device"
    )


def test_a_run_is_computed_where_it_was_recorded_unless_a_device_is_named(root: Path, monkeypatch) -> None:
    provenance = PROVENANCE | {"device_class": "cuda", "gpu": "a GPU", "device": "a GPU"}
    save(root, "tiny-z2-s0", 0.75, "0A==", provenance=provenance)
    monkeypatch.setattr(doctor, "find_devices", lambda: ("cpu",))
    check = plan_verification(root, budget_seconds=60)
    assert {pick.candidate.name for pick in check.picks} == {"tiny-z2-s1", "tiny-z3-s0"}
    assert str(check).endswith("; 1 need a device that is not here or not asked for")
    everywhere = plan_verification(root, budget_seconds=60, device_class="cpu")
    assert {pick.candidate.rerun.device_class for pick in everywhere.picks} == {"cpu"}
    assert len(everywhere.picks) == 3
    assert everywhere.picks[0].candidate.rerun.options == {"threads": 2, "variables": {"CUDA_VISIBLE_DEVICES": "-1"}}


def test_runs_that_no_longer_fit_are_not_begun(root: Path) -> None:
    check = replace(plan_verification(root, ["tiny-z2*"], budget_seconds=60), budget_seconds=4.5)
    with open_monitor(2) as monitor:
        certificate = carry_out(check, root / ".verify", monitor)
    assert [verified.agreement for verified in certificate.runs] == [Agreement.AGREES, Agreement.NOT_BEGUN]
    assert (certificate.overall, certificate.exit_code) == (Overall.IN_PART, 0)
    assert json.loads((root / ".verify/certificate.json").read_text())["overall"] == "confirmed in part"
    page = (root / ".verify/certificate.md").read_text()
    assert "**Confirmed in part: agreement in 1 of 2 picked runs.**" in page


@pytest.mark.parametrize("others", [("tiny-z2-s0",), ("tiny-z2-s0", "tiny-z2-s1")])
def test_the_level_is_shared_by_the_runs_that_ended_with_other_bits(
    root: Path, monkeypatch: pytest.MonkeyPatch, others: tuple[str, ...]
) -> None:
    save(root, "tiny-z3-s1", 0.75, "0A==")  # so that seeds differ in some cell
    check = plan_verification(root, budget_seconds=60)

    def run_again(reruns: list[Rerun], *_: object, **__: object) -> Repetition:
        found = {rerun.run.name: rerun.record for rerun in reruns}
        changed = {name: replace(found[name], metrics={"test_accuracy": 0.5}) for name in others}
        return Repetition(found | changed, {})

    monkeypatch.setattr(verification, "run_again", run_again)
    with open_monitor(4) as monitor:
        certificate = carry_out(check, root / ".verify", monitor)
    judged = {verified.recorded.run: verified.judged for verified in certificate.runs}
    assert len(judged) == 4 and certificate.same_bits == 4 - len(others)
    first = judged["tiny-z2-s0"]
    assert first is not None and first.yardstick is not None
    assert first.interval == expect_second(0.75, first.yardstick, 1 - LEVEL / len(others))


def test_an_accepted_record_is_told_from_one_whose_code_is_todays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(root / "method/model.py", "2 * value", "value * 2")
    plan, ledger = open_repository(root)
    for status in statuses(plan, ledger, root):
        if status.run.name == "tiny-z2-s0":
            ledger.accept(status.record, status.key, "the same product")
    check = plan_verification(root, ["tiny-z2*"], budget_seconds=60)
    same = Repetition({pick.candidate.name: pick.candidate.rerun.record for pick in check.picks}, {})
    monkeypatch.setattr(verification, "run_again", lambda *_, **__: same)
    with open_monitor(2) as monitor:
        runs = {verified.recorded.run: verified for verified in carry_out(check, root / ".verify", monitor).runs}
    told = {name: (verified.code, verified.accepted) for name, verified in runs.items()}
    assert told == {"tiny-z2-s0": ("accepted", "the same product"), "tiny-z2-s1": ("stale", "")}
    assert all(verified.judged.differing[0] == "the code" for verified in runs.values())


def test_runs_are_judged_by_each_record_once_and_by_none_without_an_accuracy(root: Path) -> None:
    save(root, "tiny-z3-s1", 1.0, "8A==", metrics={"loss": 0.5}, correct=None, history={})
    check = plan_verification(root, budget_seconds=60)
    assert {cell: [record.run for record in records] for cell, records in check.cells.items()} == {
        "tiny-z2": ["tiny-z2-s0", "tiny-z2-s1"],
        "tiny-z3": ["tiny-z3-s0"],
    }


def test_a_run_that_needs_another_device_than_the_one_named_is_not_begun(root: Path) -> None:
    edit(root / "experiments/plan.yaml", "    seeds: [0, 1]", "    seeds: [0, 1]\n    needs: cuda")
    assert {pick.candidate.name for pick in plan_verification(root, budget_seconds=60).picks} == {"tiny-z3-s0"}


def test_a_folder_with_other_files_is_refused_and_an_earlier_verification_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("x")
    with pytest.raises(ConfigurationError) as caught:
        empty(tmp_path / "notes")
    assert str(caught.value) == (
        "verify: --out: the folder 'notes' holds other files, such as 'mine.txt'; name a new or an empty folder"
    )
    (tmp_path / "earlier" / "records").mkdir(parents=True)
    (tmp_path / "earlier" / "certificate.json").write_text("{}")
    empty(tmp_path / "earlier")
    assert not (tmp_path / "earlier").exists()
    empty(tmp_path / "earlier")


def test_a_verification_that_is_running_is_not_disturbed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "out" / "cache", "tiny-z2-s0", "0" * 64)
    with workspace.lock(), pytest.raises(ConfigurationError) as caught:
        empty(tmp_path / "out")
    assert str(caught.value) == "verify: tiny-z2-s0 is being verified there; wait for it or stop it"
    assert (tmp_path / "out" / "cache").is_dir()


def test_a_record_that_does_not_fit_its_digest_needs_no_second_run(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(root / "experiments/records/tiny-z2-s0.json", '"threads": 2', '"threads": 3')
    code, out, errors = run_command(root, capsys, "verify")
    assert (code, out) == (3, "")
    assert errors.startswith("error: experiments/records/tiny-z2-s0.json: digest: found ")


def test_an_interrupted_verification_leaves_no_certificate_and_no_kernel(tmp_path: Path) -> None:
    root = make_claims(tmp_path / "root", PLAN.replace("fine.ipynb", "waits.ipynb"))
    save(root, "tiny-z2-s0", 0.75, "0A==")
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); import build; "
        f"sys.exit(build.main(['verify'], {str(root)!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not (root / ".verify/cache/running/tiny-z2-s0.ipynb").is_file():
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)  # ends only when no kernel holds the pipe
    assert (process.returncode, errors.splitlines()[-1]) == (build.INTERRUPTED, "interrupted")
    assert not (root / ".verify/certificate.json").exists()
    assert not (root / "experiments/failures.jsonl").exists()
