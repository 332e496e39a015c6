"""Runs as tasks of a real Ray cluster of two nodes, which the tests start: see `start_ray.py`."""

import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray", reason="ray is not installed: Ray is not tried")

from ray import exceptions

from experiments.execute import execute
from experiments.running.orders import Answer
from experiments.running.ray_cluster import RayExecutor, _RayWorkers
from experiments.running.ray_worker import _follow
from experiments.running.workspace import Workspace
from experiments.status import statuses
from tests.digits_repository import make_digits_repository, numbers_of
from tests.processes import finish, kill, start_build, wait_for
from tests.small_repository import PLAN, edit, make_repository, open_repository
from tests.start_ray import list_processes, start_ray
from tests.test_drills import RUNS, check_ledger, find_workspace, repeated, run_again

NAME = RUNS[0]
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def ray() -> Iterator[dict[str, str]]:
    """The environment of a cluster of two nodes that share nothing with the driver but this machine."""
    with start_ray() as variables:
        yield {**os.environ, **variables, "PYTHONPATH": ""}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "root", PLAN.replace("fine.ipynb", "counts-slowly.ipynb"))


def start(root: Path, ray: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return start_build(root, "run", "--executor", "ray", "-j", "2", *arguments, variables=ray)


def test_digits_give_the_numbers_of_this_machine_although_no_file_is_shared(
    tmp_path: Path, ray: dict[str, str]
) -> None:
    root = make_digits_repository(tmp_path / "digits")
    process = start_build(root, "run", "--executor", "ray", "-j", "2", "*-s0", code=root, variables=ray)
    code, output, errors = finish(process, 600)
    assert (code, output.splitlines()[-1]) == (0, "2 recorded, 0 failed, 0 not begun"), errors
    plan, ledger = open_repository(root)
    records = {record.run: record for record in ledger.load(plan)}
    assert list(records) == ["digits-w16-s0", "digits-w8-s0"]
    record = records["digits-w8-s0"]
    assert (record.provenance["executor"], record.provenance["threads"], record.cost["attempts"]) == ("ray", 1, 1)
    assert ledger.executed_path("digits-w8-s0").is_file()
    here = execute(plan.run("digits-w8-s0"), root, ledger, threads=1, force=True)
    assert numbers_of(record) == numbers_of(here)


@repeated
def test_the_run_of_a_worker_that_is_killed_goes_on_with_another(root: Path, ray: dict[str, str], seed: int) -> None:
    process = start(root, ray, *RUNS)
    wait_for(find_workspace(root).checkpoint.is_file)
    workers = list_processes(ray["HOME"], "ray::work")
    kill(random.Random(seed).choice(workers).pid)
    code, _, errors = finish(process)
    assert code == 0, errors
    check_ledger(root, RUNS)
    plan, ledger = open_repository(root)
    assert sorted(record.cost["attempts"] for record in ledger.load(plan)) == [1, 2]
    wait_for(lambda: not list_processes(ray["HOME"], "ipykernel_launcher"))


@pytest.mark.parametrize(
    ("gets_further", "ended"),
    [([True] * 5, "answered"), ([True, False, False], "3 workers died without getting further; the last: ")],
)
def test_workers_may_die_as_often_as_the_run_gets_further_between(
    root: Path, monkeypatch: pytest.MonkeyPatch, gets_further: list[bool], ended: str
) -> None:
    plan, ledger = open_repository(root)
    task = statuses(plan, ledger, root)[0]
    workers = _RayWorkers(RayExecutor(root, ledger, root / ".cache"), SimpleNamespace(exceptions=exceptions), None)
    left = list(enumerate(gets_further, start=1))

    def listen(stream: Any, workspace: Workspace) -> Answer:
        if not left:
            return Answer("answered")
        number, is_further = left.pop(0)
        if is_further:
            workspace.keep_checkpoint(b"a checkpoint")
            os.utime(workspace.checkpoint, (number, number))
        raise exceptions.WorkerCrashedError

    monkeypatch.setattr(workers, "_submit", lambda *_: None)
    monkeypatch.setattr(workers, "_listen", listen)
    answer = workers._compute(task, Workspace(root / ".cache", NAME, task.key))
    assert ended in (answer.record or str(answer.error))


def test_a_checkpoint_that_was_taken_away_is_not_sent(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, NAME, "0" * 64)
    workspace.keep_checkpoint(b"a checkpoint")
    thread = SimpleNamespace(is_alive=iter([True, False]).__next__, join=lambda _: workspace.checkpoint.unlink())
    assert list(_follow(workspace, thread)) == []


def test_a_kernel_that_is_killed_fails_and_the_next_run_goes_on_here(root: Path, ray: dict[str, str]) -> None:
    process = start(root, ray, NAME)
    wait_for(find_workspace(root).checkpoint.is_file)
    (kernel,) = list_processes(ray["HOME"], "ipykernel_launcher")
    kernel.kill()
    code, _, errors = finish(process)
    assert code == 1
    assert f"FAILED {NAME}: the kernel died" in errors
    assert (root / ".cache" / "failed" / f"{NAME}.ipynb").is_file()
    run_again(root, NAME)
    plan, ledger = open_repository(root)
    assert ledger.load(plan)[0].cost["attempts"] == 2


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_driver_that_ends_takes_its_workers_along_and_keeps_the_checkpoint(
    root: Path, ray: dict[str, str], how: signal.Signals, code: int
) -> None:
    process = start(root, ray, *RUNS)
    wait_for(find_workspace(root).checkpoint.is_file)
    kill(process.pid, how)
    ended, _, errors = finish(process)
    assert ended == code, errors
    wait_for(lambda: not list_processes(ray["HOME"], "ipykernel_launcher"))
    assert find_workspace(root).checkpoint.is_file()
    check_ledger(root)
    run_again(root, *RUNS)


def test_what_no_node_has_ends_with_2(root: Path, ray: dict[str, str]) -> None:
    edit(root / "experiments/plan.yaml", "defaults: {", "defaults: {resources: {gpus: 0.5}, ")
    code, _, errors = finish(start(root, ray, NAME))
    assert (code, errors.splitlines()[-1]) == (
        2,
        (
            "error: tiny-z2-s0: no node of the Ray cluster has CPU 1, GPU 0.5; change the group's resources in the "
            "plan, or add such a node"
        ),
    )


@pytest.mark.parametrize(
    ("address", "code", "message"),
    [
        (
            "127.0.0.1:1",
            5,
            "Ray's cluster at $RAY_ADDRESS='127.0.0.1:1' does not answer: Connection refused; try `ray status`",
        ),
        (
            "ray://127.0.0.1:10001",
            2,
            (
                "$RAY_ADDRESS is 'ray://127.0.0.1:10001'; expected HOST:PORT of the cluster's head, as "
                "`ray start --head` says it: the protocol ray:// cannot stream checkpoints"
            ),
        ),
    ],
)
def test_an_address_where_no_cluster_is_is_refused_at_once(root: Path, address: str, code: int, message: str) -> None:
    ended, _, errors = finish(start(root, {**os.environ, "RAY_ADDRESS": address}, NAME))
    assert (ended, errors.splitlines()[-1]) == (code, f"error: {message}")


BLOCKER = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


@pytest.mark.parametrize(("executor", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_an_executor_whose_package_is_missing_ends_with_5(
    root: Path, tmp_path: Path, executor: str, package: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKER.format(names=[package]))
    process = start_build(
        root, "run", "--executor", executor, NAME, variables={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    code, _, errors = finish(process)
    assert (code, errors.splitlines()[-1]) == (
        5,
        f"error: {package} is not installed, and --executor {executor} needs it; install it by: pip install {package}",
    )
