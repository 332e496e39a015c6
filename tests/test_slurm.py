"""Runs as jobs of a real Slurm of one node, which the tests start: see `start_slurm.py`."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from experiments.execute import execute
from tests.digits_repository import make_digits_repository, numbers_of
from tests.processes import REPOSITORY, find_kernels, finish, kill, start_build, wait_for
from tests.small_repository import PLAN, edit, make_repository, open_repository
from tests.start_slurm import list_missing_programs, start_slurm
from tests.test_drills import RUNS, check_ledger, find_workspace, repeated, run_again

NAME = RUNS[0]
MISSING = list_missing_programs()
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}: Slurm is not tried (install slurm-wlm, munge)"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a cluster of one node with two processors."""
    pytest.importorskip("submitit", reason="submitit is not installed: Slurm is not tried")
    with start_slurm(tmp_path_factory.mktemp("slurm")) as variables:
        yield {**os.environ, **variables, "PYTHONPATH": ""}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_repository(tmp_path / "root", PLAN.replace("fine.ipynb", "counts-slowly.ipynb"))
    edit(root / "experiments/counts-slowly.ipynb", "time.sleep(0.1)", "time.sleep(0.5)")  # Slurm takes its time.
    return root


def start(root: Path, slurm: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return start_build(root, "run", "--executor", "slurm", "-j", "2", *arguments, variables=slurm)


def lives(process: int) -> bool:
    """Whether it goes on; what only waits for its parent to look at its end does not."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ask(slurm: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=slurm, capture_output=True, text=True, check=True).stdout


def list_jobs(slurm: dict[str, str]) -> list[str]:
    return ask(slurm, "squeue", "--me", "-h", "-r", "-o", "%i").split()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_daemons_and_jobs_end_with_the_process_that_has_started_the_cluster(
    tmp_path: Path, how: signal.Signals
) -> None:
    program = (
        f"import pathlib, signal, sys; sys.path.insert(0, {str(REPOSITORY)!r}); from tests.start_slurm import start_slurm\n"
        f"with start_slurm(pathlib.Path({str(tmp_path)!r})) as variables: print(*variables.values(), flush=True); signal.pause()"
    )
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    cluster = {**os.environ, "SLURM_CONF": starter.stdout.readline().strip()}
    ask(cluster, "sbatch", "--chdir", str(tmp_path), "--wrap", "echo $$ > job.pid; exec sleep 600")
    files = [tmp_path / name for name in ("munge.pid", "slurmctld.pid", "slurmd.pid", "job.pid")]
    wait_for(lambda: all(path.is_file() and path.read_text().strip() for path in files))
    processes = [int(path.read_text()) for path in files]
    assert all(map(lives, processes))
    kill(starter.pid, how)
    starter.communicate()
    assert starter.returncode == -how
    wait_for(lambda: not any(map(lives, processes)))


def test_digits_give_the_numbers_of_this_machine_and_only_the_driver_writes_the_ledger(
    tmp_path: Path, slurm: dict[str, str]
) -> None:
    resources = "{partition: main, hours: 0.5, memory_gib: 1.5, cpus: 1}"
    root = make_digits_repository(tmp_path / "digits", resources=resources)
    process = start_build(root, "run", "--executor", "slurm", "-j", "2", "*-s0", code=root, variables=slurm)
    wait_for(lambda: list((root / ".cache/slurm/jobs").glob("*_submission.sh")))
    script = next((root / ".cache/slurm/jobs").glob("*_submission.sh")).read_text()
    assert {"#SBATCH --array=0-1%2", "#SBATCH --partition=main", "#SBATCH --mem=1536M", "#SBATCH --time=30"} <= set(
        script.splitlines()
    )
    code, output, errors = finish(process)
    assert (code, output.splitlines()[-1]) == (0, "2 recorded, 0 failed, 0 not begun"), errors
    plan, ledger = open_repository(root)
    records = {record.run: record for record in ledger.load(plan)}
    assert list(records) == ["digits-w16-s0", "digits-w8-s0"]
    record = records["digits-w8-s0"]
    assert (record.provenance["executor"], record.provenance["threads"], record.cost["attempts"]) == ("slurm", 1, 1)
    assert ledger.executed_path("digits-w8-s0").is_file()
    assert list((root / ".cache/slurm").glob("*.json")) == []
    here = execute(plan.run("digits-w8-s0"), root, ledger, threads=1, force=True)
    assert numbers_of(record) == numbers_of(here)


def test_a_job_that_is_preempted_goes_on_from_its_checkpoint(root: Path, slurm: dict[str, str]) -> None:
    edit(root / "experiments/plan.yaml", "defaults: {", "defaults: {resources: {partition: main, cpus: 2}, ")
    process = start(root, slurm, NAME)
    wait_for(find_workspace(root).checkpoint.is_file)
    ask(slurm, "sbatch", "--partition=urgent", "--cpus-per-task=2", "--output=/dev/null", "--wrap=sleep 1")
    code, _, errors = finish(process)
    assert code == 0, errors
    check_ledger(root, (NAME,))
    plan, ledger = open_repository(root)
    assert ledger.load(plan)[0].cost["attempts"] == 2


def test_a_job_at_its_time_limit_goes_back_into_the_queue_and_on_from_its_checkpoint(
    root: Path, slurm: dict[str, str]
) -> None:
    process = start(root, slurm, NAME)
    wait_for(find_workspace(root).checkpoint.is_file)
    (job,) = list_jobs(slurm)
    ask(slurm, "scancel", "--signal=USR2", job)  # What Slurm sends before the limit, to all of the job's processes.
    code, _, errors = finish(process)
    assert code == 0, errors
    check_ledger(root, (NAME,))
    plan, ledger = open_repository(root)
    assert ledger.load(plan)[0].cost["attempts"] == 2


@repeated
def test_a_job_that_is_killed_fails_and_the_next_run_goes_on(root: Path, slurm: dict[str, str], seed: int) -> None:
    process = start(root, slurm, "-k", *RUNS)
    wait_for(find_workspace(root).checkpoint.is_file)
    time.sleep(random.Random(seed).uniform(0, 8))  # The run takes 15 s.
    note = json.loads((root / ".cache/slurm" / f"{NAME}.json").read_text())
    ask(slurm, "scancel", "--full", "--signal=KILL", note["job"])
    code, output, errors = finish(process)
    assert code == 1
    assert f"{NAME}: Slurm job {note['job']} ended without an answer: " in errors
    assert output.splitlines()[-1] == "1 recorded, 1 failed, 0 not begun", errors
    check_ledger(root)
    run_again(root, *RUNS)


def test_ctrl_c_ends_the_jobs_at_once_and_keeps_the_checkpoint(
    root: Path, slurm: dict[str, str], tmp_path: Path
) -> None:
    with start_slurm(tmp_path / "patient", kill_wait_seconds=60) as variables:
        patient = {**slurm, **variables}
        process = start(root, patient, *RUNS)
        wait_for(find_workspace(root).checkpoint.is_file)
        kill(process.pid, signal.SIGINT)
        code, _, errors = finish(process)
        assert (code, errors.splitlines()[-1]) == (130, "interrupted")
        assert list_jobs(patient) == []
        assert list((root / ".cache/slurm").glob("*.json")) == []
    wait_for(lambda: not find_kernels(root))
    assert find_workspace(root).checkpoint.is_file()
    run_again(root, *RUNS)


def test_the_jobs_of_a_driver_that_was_killed_go_on_and_the_next_one_takes_their_answers(
    root: Path, slurm: dict[str, str]
) -> None:
    process = start(root, slurm, *RUNS)
    wait_for(lambda: len(list((root / ".cache/slurm").glob("*.json"))) == 2)
    jobs = set(list_jobs(slurm))
    kill(process.pid)
    finish(process)
    assert set(list_jobs(slurm)) == jobs
    code, output, errors = finish(start(root, slurm, *RUNS))
    assert (code, output.splitlines()[-1]) == (0, "2 recorded, 0 failed, 0 not begun"), errors
    check_ledger(root, RUNS)
    assert len(list((root / ".cache/slurm/jobs").glob("*_submission.sh"))) == 1
    assert list((root / ".cache/slurm/jobs").glob("*.pkl")) == []
    plan, ledger = open_repository(root)
    assert [record.cost["attempts"] for record in ledger.load(plan)] == [1, 1]


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ("partition: none", "error: tiny-z2-s0: Slurm refuses the job: "),
        ("gpus: 0.5", "error: tiny-z2-s0: gpus is 0.5; Slurm gives whole ones: write a whole number into the plan"),
    ],
)
def test_what_slurm_cannot_give_ends_with_2(root: Path, slurm: dict[str, str], resources: str, message: str) -> None:
    edit(root / "experiments/plan.yaml", "defaults: {", f"defaults: {{resources: {{{resources}}}, ")
    code, _, errors = finish(start(root, slurm, NAME))
    assert code == 2
    assert errors.splitlines()[-1].startswith(message)


def test_a_driver_that_is_a_job_itself_does_not_hand_its_memory_and_its_place_in_an_array_on(
    root: Path, slurm: dict[str, str]
) -> None:
    edit(root / "experiments/plan.yaml", "defaults: {", "defaults: {resources: {memory_gib: 1}, ")
    edit(root / "experiments/counts-slowly.ipynb", "time.sleep(0.5)", "time.sleep(0)")
    of_the_driver = {"SLURM_JOB_ID": "77", "SLURM_ARRAY_JOB_ID": "76", "SLURM_ARRAY_TASK_ID": "3"}
    code, _, errors = finish(start(root, {**slurm, **of_the_driver, "SLURM_MEM_PER_CPU": "200"}, NAME))
    assert code == 0, errors


def test_what_slurm_refuses_later_fails_alone_and_the_jobs_before_it_go_on(root: Path, slurm: dict[str, str]) -> None:
    edit(root / "experiments/plan.yaml", "title: A larger one", "title: A larger one\n    resources: {partition: none}")
    code, output, errors = finish(start(root, slurm, "-k", NAME, "tiny-z4-s0"))
    assert code == 1
    assert "FAILED tiny-z4-s0: Slurm refuses the job: sbatch: error: " in errors
    assert output.splitlines()[-1] == "1 recorded, 1 failed, 0 not begun", errors
    check_ledger(root, (NAME,))


def test_a_controller_that_does_not_answer_ends_with_5(root: Path, slurm: dict[str, str], tmp_path: Path) -> None:
    configuration = Path(slurm["SLURM_CONF"]).read_text()
    port = next(line for line in configuration.splitlines() if line.startswith("SlurmctldPort="))
    (tmp_path / "slurm.conf").write_text(configuration.replace(port, "SlurmctldPort=1"))
    code, _, errors = finish(start(root, {**slurm, "SLURM_CONF": str(tmp_path / "slurm.conf")}, NAME))
    assert code == 5
    assert errors.splitlines()[-1].startswith("error: Slurm's controller does not answer: ")
