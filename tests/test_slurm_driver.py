"""The driver's half of Slurm where Slurm does not answer, with commands that are made up."""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.running import slurm, slurm_queue
from experiments.running.slurm import SlurmExecutor, _SlurmWorkers, _Watched
from experiments.running.workspace import Workspace
from experiments.spec import RunFailed, RunInterrupted
from experiments.status import RunStatus, statuses
from tests.small_repository import make_repository, open_repository

JOB = "7"


@pytest.fixture
def task(tmp_path: Path) -> RunStatus:
    """A run of the small repository that an earlier driver has submitted as a job."""
    root = make_repository(tmp_path / "root")
    task = statuses(*open_repository(root), root)[0]
    (root / ".cache/slurm").mkdir(parents=True)
    (root / f".cache/slurm/{task.run.name}.json").write_text(json.dumps({"key": task.key, "job": JOB}))
    return task


@pytest.fixture
def workers(task: RunStatus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _SlurmWorkers:
    """Workers that submit nothing and never wait long."""
    pytest.importorskip("submitit", reason="submitit is not installed: Slurm is not tried")
    monkeypatch.setattr(slurm, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(slurm, "_LATE_SECONDS", 0.1)
    root = tmp_path / "root"
    workers = _SlurmWorkers(SlurmExecutor(root, open_repository(root)[1], root / ".cache"))
    monkeypatch.setattr(workers, "_submit", lambda tasks: pytest.fail("it was submitted twice"))
    return workers


def answer(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> None:
    """`squeue` gives these, the last for ever: the jobs in the queue, None for no answer, or an error."""
    left = list(answers)

    def run(command: tuple[str, ...], **_: Any) -> Any:
        told = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(told, Exception):
            raise told
        lines = (job if "|" in job else f"{job}|RUNNING|None" for job in told or ())
        return subprocess.CompletedProcess(command, told is None, "\n".join(lines), "no answer")

    monkeypatch.setattr(slurm_queue.subprocess, "run", run)


@pytest.fixture
def watching(workers: _SlurmWorkers) -> Iterator[threading.Thread]:
    """The thread that looks after the jobs."""
    thread = threading.Thread(target=workers.look_after, daemon=True)
    thread.start()
    yield thread
    workers.over.set()
    thread.join(timeout=30)
    assert not thread.is_alive()


def note(tmp_path: Path, task: RunStatus) -> Path:
    return tmp_path / f"root/.cache/slurm/{task.run.name}.json"


def test_a_queue_that_answers_at_last_has_the_job(
    workers: _SlurmWorkers, task: RunStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, None, None, {JOB})
    (future,) = workers.begin([task])
    assert list(workers._watched) == [JOB] and not future.done()


def test_a_job_of_which_slurm_tells_nothing_is_neither_submitted_again_nor_forgotten(
    workers: _SlurmWorkers, task: RunStatus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, None)
    (future,) = workers.begin([task])
    with pytest.raises(RunFailed) as caught:
        future.result(timeout=0)
    assert str(caught.value) == (
        "tiny-z2-s0: Slurm does not tell whether job 7, which has it, is still there; try `squeue`, and run it again"
    )
    assert note(tmp_path, task).is_file()
    with Workspace(tmp_path / "root/.cache", task.run.name, task.key).lock():
        pass


@pytest.mark.parametrize("answers", [(OSError(12, "Cannot allocate memory"),), (None,)])
def test_a_moment_without_memory_or_slurm_ends_no_watch(
    workers: _SlurmWorkers,
    task: RunStatus,
    watching: threading.Thread,
    monkeypatch: pytest.MonkeyPatch,
    answers: tuple[Any, ...],
) -> None:
    answer(monkeypatch, {JOB}, *answers)
    (future,) = workers.begin([task])
    watching.join(timeout=0.2)
    assert watching.is_alive() and not future.done()


def test_whatever_goes_wrong_while_jobs_are_watched_ends_their_futures_and_not_the_thread(
    workers: _SlurmWorkers,
    task: RunStatus,
    watching: threading.Thread,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(monkeypatch, {JOB})
    monkeypatch.setattr(workers, "_look_at", lambda watched: watched and 1 / 0)
    (future,) = workers.begin([task])
    with pytest.raises(RunFailed, match="Slurm job 7 was lost sight of: ZeroDivisionError: "):
        future.result(timeout=30)
    assert watching.is_alive() and note(tmp_path, task).is_file()


@pytest.mark.parametrize(("answers", "noted"), [(({JOB}, set()), None), ((None,), "its key"), (({JOB},), "no key")])
def test_a_stopped_driver_forgets_only_jobs_that_are_known_to_be_gone(
    workers: _SlurmWorkers,
    task: RunStatus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: tuple[Any, ...],
    noted: str | None,
) -> None:
    future: Future[Any] = Future()
    workers._watch(task, JOB, future, SimpleNamespace(close=lambda: None))
    answer(monkeypatch, set(), set(), *answers)  # the first two are what scancel says
    workers.stop()
    with pytest.raises(RunInterrupted, match="^tiny-z2-s0: interrupted; the next run goes on from its checkpoint$"):
        future.result(timeout=0)
    assert note(tmp_path, task).is_file() is (noted is not None)
    if noted is not None:
        key = task.key if noted == "its key" else ""
        assert json.loads(note(tmp_path, task).read_text()) == {"key": key, "job": JOB}


def test_a_driver_that_is_ended_while_it_cancels_leaves_no_job_that_the_next_one_would_wait_for(
    workers: _SlurmWorkers, task: RunStatus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(jobs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(slurm, "cancel", interrupt)
    workers._watch(task, JOB, Future(), contextlib.ExitStack())
    with pytest.raises(KeyboardInterrupt):
        workers.stop()
    assert json.loads(note(tmp_path, task).read_text()) == {"key": "", "job": JOB}


def test_a_cancelled_job_that_is_still_ending_is_not_waited_for(
    workers: _SlurmWorkers, task: RunStatus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(tmp_path, task).write_text(json.dumps({"key": "", "job": JOB}))
    answer(monkeypatch, {JOB})
    monkeypatch.setattr(workers, "_submit", lambda tasks: ["8" for _ in tasks])
    (future,) = workers.begin([task])
    assert list(workers._watched) == ["8"] and not future.done()
    assert json.loads(note(tmp_path, task).read_text()) == {"key": task.key, "job": "8"}


def test_ctrl_c_while_jobs_are_noted_finds_them_all(
    workers: _SlurmWorkers, task: RunStatus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    note(tmp_path, task).unlink()
    monkeypatch.setattr(workers, "_submit", lambda tasks: ["8_0", "8_1"])
    monkeypatch.setattr(slurm, "write_atomically", interrupt)
    tasks = statuses(*open_repository(tmp_path / "root"), tmp_path / "root")[:2]
    with pytest.raises(KeyboardInterrupt):
        workers.begin(tasks)
    assert list(workers._watched) == ["8_0", "8_1"]


def test_a_job_that_waits_says_why(
    workers: _SlurmWorkers, task: RunStatus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "root/.cache", task.run.name, task.key)
    workspace.keep(b'{"text": "step 3/9", "fraction": 0.25}', b"")
    item = _Watched(task, JOB, Future(), contextlib.ExitStack())
    answer(monkeypatch, {JOB})
    workers._look_at([item])
    assert workspace.read_progress() == ("step 3/9", 0.25)
    answer(monkeypatch, {f"{JOB}|PENDING|launch failed requeued held"})
    workers._asked = 0.0
    workers._look_at([item])
    assert workspace.read_progress() == ("waits in Slurm's queue: launch failed requeued held", 0.25)


def test_slurm_is_asked_the_more_seldom_the_longer_nothing_happens(
    workers: _SlurmWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_asked(seconds: float, quiet_seconds: float) -> bool:
        workers._asked, workers._changed = time.monotonic() - seconds, time.monotonic() - quiet_seconds
        return workers._ask_queue() is not None

    answer(monkeypatch, {JOB})
    assert [is_asked(seconds, 100) for seconds in (1, 4, 6)] == [False, False, True]
    assert [is_asked(seconds, 3600) for seconds in (1, 29, 31)] == [False, False, True]
    workers._gone[JOB] = time.monotonic()
    assert is_asked(1, 3600)


def test_an_answer_on_a_file_server_that_stumbles_is_read_when_it_is_there(
    workers: _SlurmWorkers, task: RunStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(path: Path) -> bytes:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(Path, "read_bytes", stumble)
    item = _Watched(task, JOB, Future(), contextlib.ExitStack())
    assert workers._read_answer(item, {JOB}) is None
