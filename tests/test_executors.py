"""Many runs: order, several at once, budgets, failures; with a made-up execute that takes no time."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.executors import LocalExecutor, RunsOutcome
from experiments.ledger import Ledger
from experiments.machine import count_cores
from experiments.running.workspace import Workspace
from experiments.spec import AlreadyRecorded, ConfigurationError, MissingTool, Record, Run, RunFailed
from experiments.status import RunStatus, statuses
from tests.small_repository import make_record, make_repository, open_repository


class Listener:
    """A monitor that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def start(self, run: Run, price_seconds: float) -> None:
        self.told.append(("start", run.name))

    def advance(self, run: Run, words: str, fraction: float) -> None:
        self.told.append(("advance", run.name, words, fraction))

    def finish(self, run: Run, record: Record) -> None:
        self.told.append(("finish", run.name))

    def fail(self, run: Run, error: RunFailed) -> None:
        self.told.append(("fail", run.name, str(error)))

    def leave(self, run: Run) -> None:
        self.told.append(("leave", run.name))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "root")


@pytest.fixture
def tasks(root: Path) -> tuple[RunStatus, ...]:
    plan, ledger = open_repository(root)
    return statuses(plan, ledger, root)


def succeed(run: Run, root: Path, ledger: Ledger, **options: Any) -> Record:
    return make_record(root, run.name)


def go(
    root: Path, tasks: tuple[RunStatus, ...], execute: Callable[..., Record] = succeed, **options: Any
) -> tuple[RunsOutcome, list[tuple[Any, ...]]]:
    listener = Listener()
    executor = LocalExecutor(root, Ledger(root / "experiments"), root / ".cache", execute=execute, **options)
    return executor.run(tasks, listener), listener.told


def names(runs: tuple[Any, ...]) -> list[str]:
    return [item.run if isinstance(item, Record) else item.name for item in runs]


def test_one_at_a_time_runs_are_begun_in_their_order(root: Path, tasks: tuple[RunStatus, ...]) -> None:
    outcome, told = go(root, tasks)
    assert names(outcome.recorded) == [task.run.name for task in tasks]
    assert told == [(what, task.run.name) for task in tasks for what in ("start", "finish")]


def test_several_run_at_once_and_share_the_cores(root: Path, tasks: tuple[RunStatus, ...]) -> None:
    together = threading.Barrier(2, timeout=30)  # Broken where only one run goes on at a time.
    threads: list[int | None] = []

    def execute(run: Run, root: Path, ledger: Ledger, **options: Any) -> Record:
        threads.append(options["threads"])
        together.wait()
        return make_record(root, run.name)

    outcome, _ = go(root, tasks[:4], execute, jobs=2)
    assert sorted(names(outcome.recorded)) == [task.run.name for task in tasks[:4]]
    assert threads == [max(1, count_cores() // 2)] * 4


def test_one_job_alone_leaves_the_threads_to_the_libraries(root: Path, tasks: tuple[RunStatus, ...]) -> None:
    given = []

    def execute(run: Run, root: Path, ledger: Ledger, **options: Any) -> Record:
        given.append((options["threads"], options["force"], options["cache"], options["shares_device"]))
        return make_record(root, run.name)

    go(root, tasks[:1], execute)
    assert given == [(None, False, root / ".cache", False)]


@pytest.mark.parametrize("force", [False, True])
def test_only_a_forced_run_begins_anew(root: Path, tasks: tuple[RunStatus, ...], force: bool) -> None:
    stale = replace(tasks[0], record=make_record(root, tasks[0].run.name))
    given = []

    def execute(run: Run, root: Path, ledger: Ledger, **options: Any) -> Record:
        given.append((options["force"], options["anew"], options["shares_device"]))
        return make_record(root, run.name)

    go(root, [stale], execute, jobs=2, force=force)
    assert given == [(True, force, True)]


def fail_first(run: Run, root: Path, ledger: Ledger, **options: Any) -> Record:
    if run.name == "tiny-z2-s0":
        raise RunFailed("tiny-z2-s0: it went wrong")
    return make_record(root, run.name)


def test_after_a_failure_no_run_is_begun(root: Path, tasks: tuple[RunStatus, ...]) -> None:
    outcome, told = go(root, tasks, fail_first)
    assert outcome.recorded == ()
    assert [(run.name, str(error)) for run, error in outcome.failed] == [("tiny-z2-s0", "tiny-z2-s0: it went wrong")]
    why = "another run failed; --keep-going begins the others all the same"
    assert outcome.skipped == tuple((task.run, why) for task in tasks[1:])
    assert told == [("start", "tiny-z2-s0"), ("fail", "tiny-z2-s0", "tiny-z2-s0: it went wrong")]


def test_keep_going_begins_the_others(root: Path, tasks: tuple[RunStatus, ...]) -> None:
    outcome, _ = go(root, tasks, fail_first, keep_going=True)
    assert (len(outcome.recorded), len(outcome.failed), outcome.skipped) == (4, 1, ())


def test_an_unexpected_error_is_that_runs_failure(root: Path, tasks: tuple[RunStatus, ...]) -> None:
    def execute(run: Run, root: Path, ledger: Ledger, **options: Any) -> Record:
        raise OSError("disk full")

    outcome, _ = go(root, tasks[:1], execute)
    assert str(outcome.failed[0][1]) == "tiny-z2-s0: OSError: disk full"


def test_a_file_that_was_broken_since_the_runs_began_fails_its_own_run_only(
    root: Path, tasks: tuple[RunStatus, ...]
) -> None:
    def execute(run: Run, root: Path, ledger: Ledger, **options: Any) -> Record:
        if run.name == "tiny-z2-s0":
            raise ConfigurationError("fine.ipynb: cell 2, line 1: invalid syntax")
        return make_record(root, run.name)

    outcome, told = go(root, tasks, execute, keep_going=True)
    assert [(run.name, str(error)) for run, error in outcome.failed] == [
        ("tiny-z2-s0", "fine.ipynb: cell 2, line 1: invalid syntax")
    ]
    assert (len(outcome.recorded), outcome.skipped) == (4, ())
    assert told[1] == ("fail", "tiny-z2-s0", "fine.ipynb: cell 2, line 1: invalid syntax")


def test_a_broken_notebook_is_refused_before_any_run_is_begun(root: Path, tasks: tuple[RunStatus, ...]) -> None:
    other = root / "experiments/other.ipynb"
    other.write_text((root / "experiments/fine.ipynb").read_text().replace("from experiments", "from from experiments"))
    last = replace(tasks[-1], run=replace(tasks[-1].run, notebook="other.ipynb"))
    begun = []
    with pytest.raises(ConfigurationError, match="^other.ipynb: cell "):
        go(root, (*tasks[:-1], last), lambda run, *_, **__: begun.append(run), keep_going=True)
    assert begun == []


def test_a_missing_tool_ends_all(root: Path, tasks: tuple[RunStatus, ...]) -> None:
    def execute(run: Run, root: Path, ledger: Ledger, **options: Any) -> Record:
        raise MissingTool("papermill is not installed")

    with pytest.raises(MissingTool):
        go(root, tasks, execute, keep_going=True)


def test_a_budget_begins_only_what_fits(root: Path, tasks: tuple[RunStatus, ...]) -> None:
    """Prices at 5 GFLOP/s: 4, 4, 6, 6 and 8 seconds, none of which is really spent."""
    outcome, _ = go(root, tasks, budget_seconds=5)
    assert names(outcome.recorded) == ["tiny-z2-s0", "tiny-z2-s1"]
    assert [(run.name, why) for run, why in outcome.skipped] == [
        ("tiny-z3-s0", "about 6 s on cpu (a guess), and 5 s of the budget are left"),
        ("tiny-z3-s1", "about 6 s on cpu (a guess), and 5 s of the budget are left"),
        ("tiny-z4-s0", "about 8 s on cpu (a guess), and 5 s of the budget are left"),
    ]


def test_progress_is_passed_on(root: Path, tasks: tuple[RunStatus, ...]) -> None:
    workspace = Workspace(root / ".cache", tasks[0].run.name, tasks[0].key)
    workspace.progress.parent.mkdir(parents=True)

    def execute(run: Run, root: Path, ledger: Ledger, **options: Any) -> Record:
        workspace.progress.write_text('{"text": "epoch 1/2", "fraction": 0.5}')
        time.sleep(0.5)
        return make_record(root, run.name)

    _, told = go(root, tasks[:1], execute)
    assert ("advance", "tiny-z2-s0", "epoch 1/2", 0.5) in told


def test_less_than_one_job_is_refused(root: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        go(root, (), jobs=0)
    assert str(caught.value) == "--jobs is 0; expected at least 1"


def test_a_run_that_another_process_has_recorded_meanwhile_is_left_and_the_others_go_on(
    root: Path, tasks: tuple[RunStatus, ...]
) -> None:
    def execute(run: Run, root: Path, ledger: Ledger, **options: Any) -> Record:
        if run.name == tasks[0].run.name:
            raise AlreadyRecorded(f"{run.name} is recorded")
        return make_record(root, run.name)

    outcome, _ = go(root, tasks, execute, jobs=2)
    assert outcome.skipped == ((tasks[0].run, "left to another process, which is running it or has recorded it"),)
    assert not outcome.failed
    assert len(outcome.recorded) == len(tasks) - 1
