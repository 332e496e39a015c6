"""Runs as Slurm jobs: submitted by submitit, those that are begun together as one array.

Nodes share the repository and its `.cache` with the driver, as clusters do. A job computes in the run's own workspace,
so it goes on from the checkpoint wherever it begins again: after a preemption, at its time limit (Slurm signals, submitit
puts it back into the queue), or by the next `run` after it was killed. It writes no record: it leaves an answer, which
the driver reads. A driver that was killed finds its jobs again and takes their answers, so no hour is lost.

Slurm is asked by `squeue` and `scontrol`, never by `sacct`: many clusters, and every small one, do no accounting.
"""

import contextlib
import functools
import json
import pickle
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.executors import Executor
from experiments.files import write_atomically
from experiments.running.orders import Answer, catch, interrupted, settle
from experiments.running.slurm_jobs import Job, list_parameters, make_job
from experiments.running.slurm_queue import cancel, describe_end, hide_own_job, read_queue, require_slurm
from experiments.running.workspace import Workspace
from experiments.spec import ConfigurationError, Record, ReproductionError, RunFailed
from experiments.status import RunStatus

_CANCELLED = ""  # in the place of a key: the job has none that anybody waits for
_MOST_TIMEOUTS = 50
_MOST_QUESTIONS = 5  # of a queue that does not answer
_POLL_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 30.0  # between two questions to Slurm's controller, whom all users of a cluster share
_QUESTIONS = 20  # at most, in the time since something happened
_LATE_SECONDS = 10.0  # How long a file may take from a node to the driver after the job has left the queue.


@dataclass(frozen=True)
class SlurmExecutor(Executor):
    """Runs as Slurm jobs, `jobs` of them pending or running at once, with the resources that the plan gives a group."""

    @contextlib.contextmanager
    def open(self, tasks: Sequence[RunStatus]) -> Iterator["_SlurmWorkers"]:
        """One thread that looks after all jobs.

        Raises:
            MissingTool: submitit or Slurm's commands are not installed, or its controller does not answer.
        """
        require_slurm()
        workers = _SlurmWorkers(self)
        thread = threading.Thread(target=workers.look_after, name="slurm", daemon=True)
        thread.start()
        try:
            yield workers
        finally:
            workers.over.set()
            thread.join()


@dataclass(frozen=True)
class _Watched:
    """A job that the driver waits for; `lock` keeps the run until the future has ended."""

    task: RunStatus
    job: str
    future: Future[Record]
    lock: contextlib.ExitStack


class _SlurmWorkers:
    """The jobs of a `SlurmExecutor`."""

    def __init__(self, executor: SlurmExecutor) -> None:
        self.over = threading.Event()
        self._executor = executor
        self._folder = executor.cache / "slurm"
        self._watched: dict[str, _Watched] = {}
        self._gone: dict[str, float] = {}  # job -> since when it is in no queue
        self._changed = time.monotonic()  # when a job was begun or has ended
        self._asked = 0.0  # when Slurm was asked for the queue
        self._guard = threading.Lock()

    def begin(self, tasks: Sequence[RunStatus]) -> list[Future[Record]]:
        """Submits the tasks, an array for each kind of resources; takes up the jobs of a driver that was killed.

        Raises:
            ConfigurationError: Slurm refuses the job, and there is no other that would be given up with it.
        """
        futures: dict[str, Future[Record]] = {task.run.name: Future() for task in tasks}
        queue = self._read_queue(tasks)
        fresh: dict[Any, list[tuple[RunStatus, contextlib.ExitStack]]] = {}
        for task in tasks:
            lock = contextlib.ExitStack()
            try:
                lock.enter_context(self._workspace(task).lock())
                if not self._executor.replaces(task):
                    self._executor.ledger.refuse_recorded(task.run.name)
                job = self._find_earlier(task, queue)
            except ReproductionError as error:
                lock.close()
                futures[task.run.name].set_exception(error)
                continue
            if job is not None:
                self._watch(task, job, futures[task.run.name], lock)
            else:
                fresh.setdefault((task.run.resources, task.run.needs), []).append((task, lock))
        for members in fresh.values():
            self._begin_fresh(members, futures)
        return list(futures.values())

    def _begin_fresh(
        self, members: Sequence[tuple[RunStatus, contextlib.ExitStack]], futures: dict[str, Future[Record]]
    ) -> None:
        """Submits tasks that want the same; where that fails beside jobs that go on, it is the failure of these alone."""
        try:
            jobs = self._submit([task for task, _ in members])
        except (ConfigurationError, OSError) as error:
            for task, lock in members:
                lock.close()
                told = ConfigurationError(f"{task.run.name}: {error}")
                if not self._watched:
                    raise told from error
                futures[task.run.name].set_exception(told)
            return
        for (task, lock), job in zip(members, jobs, strict=True):  # All before the first note: Ctrl-C is to find them.
            self._watch(task, job, futures[task.run.name], lock)
        for (task, _), job in zip(members, jobs, strict=True):
            with self._guard:
                if job in self._watched:
                    self._write_note(task, job, task.key)

    def stop(self) -> None:
        """Cancels every job that is waited for, and waits until none of them is left.

        One of which that is not known in time stays noted: the next driver takes it up, or ends it where Slurm still has
        it, for it will give no answer.
        """
        with self._guard:
            watched, self._watched = list(self._watched.values()), {}
        for item in watched:  # First, for whoever is in a hurry may end this process before it is over.
            self._write_note(item.task, item.job, _CANCELLED)
        jobs = {item.job for item in watched}
        cancel(jobs)
        end, left, queue = time.monotonic() + _LATE_SECONDS, jobs, None
        while left and time.monotonic() < end:
            queue = read_queue()
            left = jobs if queue is None else jobs & queue.keys()
            if left:
                time.sleep(_POLL_SECONDS / 4)
        for item in watched:
            if item.job not in left:
                self._forget(item)
            elif queue is None:  # It may not have heard of it.
                self._write_note(item.task, item.job, item.task.key)
            item.lock.close()
            item.future.set_exception(interrupted(item.task.run.name))

    def look_after(self) -> None:
        """Ends the future of each job that has ended, until `over` is set."""
        while not self.over.wait(_POLL_SECONDS):
            with self._guard:
                watched = list(self._watched.values())
            try:
                self._look_at(watched)
            except Exception as error:  # noqa: BLE001 - the loop would wait for ever for the futures of a dead thread
                self._give_up(error)

    def _ask_queue(self) -> dict[str, str] | None:
        """The queue; None, as where Slurm does not answer, where it was asked shortly before and nothing happens."""
        now = time.monotonic()
        pause = min(_LONGEST_PAUSE_SECONDS, (now - self._changed) / _QUESTIONS)
        if not self._gone and now - self._asked < pause:
            return None
        self._asked = now
        return read_queue()

    def _look_at(self, watched: Sequence[_Watched]) -> None:
        queue = self._ask_queue() if watched else None
        for item in watched:
            if queue and (why := queue.get(item.job)):
                with contextlib.suppress(OSError):
                    self._workspace(item.task).tell(f"waits in Slurm's queue: {why}")
            read = functools.partial(self._read_answer, item, queue)
            if (answer := catch(read, item.task.run.name)) is not None:
                with self._guard:
                    still = self._watched.pop(item.job, None)
                if still is not None:
                    self._settle(item, answer)

    def _give_up(self, error: Exception) -> None:
        """Ends every future; the jobs stay noted, so that the next driver takes their answers."""
        with self._guard:
            watched, self._watched = list(self._watched.values()), {}
        for item in watched:
            item.lock.close()
            told = f"Slurm job {item.job} was lost sight of: {type(error).__name__}: {error}; run it again to go on"
            item.future.set_exception(RunFailed(f"{item.task.run.name}: {told}"))

    def _settle(self, item: _Watched, answer: Answer) -> None:
        executor, run = self._executor, item.task.run
        try:
            workspace, force = self._workspace(item.task), executor.replaces(item.task)
            record = settle(answer, run, executor.ledger, workspace, executor.root, force)
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop waits for the future
            self._forget(item)
            is_ours = isinstance(error, ReproductionError)
            item.future.set_exception(error if is_ours else RunFailed(f"{run.name}: {type(error).__name__}: {error}"))
        else:
            self._forget(item)
            item.future.set_result(record)

    def _read_answer(self, item: _Watched, queue: Collection[str] | None) -> Answer | None:
        """What the job has left; None while it may still leave something."""
        paths, name = self._list_paths(item.job), item.task.run.name
        is_gone = queue is not None and item.job not in queue
        if is_gone:
            with contextlib.suppress(OSError):  # By this, a network file system forgets which files it did not have.
                paths.folder.chmod(paths.folder.stat().st_mode)
        try:
            content = paths.result_pickle.read_bytes()
        except OSError:  # There is none, or the file server does not give it just now.
            content = b""
        if content:
            outcome, result = pickle.loads(content)  # Written by our own job.
            if outcome == "success":
                return result
            return Answer(error=RunFailed(f"{name}: Slurm job {item.job} failed: {result.strip().splitlines()[-1]}"))
        if not is_gone:
            self._gone.pop(item.job, None)
        elif time.monotonic() - self._gone.setdefault(item.job, time.monotonic()) > _LATE_SECONDS:
            return Answer(error=RunFailed(f"{name}: {describe_end(item.job, paths.stderr)}"))
        return None

    def _read_queue(self, tasks: Sequence[RunStatus]) -> Collection[str] | None:
        """The queue, where a job of an earlier driver may be in it; asked for anew where Slurm does not answer."""
        if not any(self._note(task).exists() for task in tasks):
            return ()
        for question in range(_MOST_QUESTIONS):
            if question:
                time.sleep(_POLL_SECONDS)
            if (queue := read_queue()) is not None:
                return queue
        return None

    def _find_earlier(self, task: RunStatus, queue: Collection[str] | None) -> str | None:
        """The job that a driver which was killed has left behind with this very run; a forced run cancels it.

        Raises:
            RunFailed: it cannot be told whether it is still in the QUEUE; to submit it again would run it twice.
        """
        try:
            note = json.loads(self._note(task).read_text(encoding="utf-8"))
            job, key = str(note["job"]), note["key"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        is_wanted = not self._executor.force and key == task.key
        if is_wanted and self._list_paths(job).result_pickle.is_file():
            return job
        if queue is None:
            raise RunFailed(
                f"{task.run.name}: Slurm does not tell whether job {job}, which has it, is still there; try `squeue`, "
                "and run it again"
            )
        if job not in queue:
            return None
        if not is_wanted:
            cancel([job])
            return None
        return job

    def _submit(self, tasks: Sequence[RunStatus]) -> list[str]:
        """Submits the tasks, which want the same, as one array; gives each one's job."""
        import submitit

        executor = submitit.SlurmExecutor(self._folder / "jobs", max_num_timeout=_MOST_TIMEOUTS)
        executor.update_parameters(**list_parameters(tasks, self._executor.root))
        try:
            with hide_own_job(), executor.batch():
                jobs = [executor.submit(self._make_job(task)) for task in tasks]
        except submitit.core.utils.FailedJobError as error:
            raise ConfigurationError(f"Slurm refuses the job: {str(error).strip().splitlines()[-1]}") from error
        return [job.job_id for job in jobs]

    def _make_job(self, task: RunStatus) -> Job:
        if self._executor.force:
            self._workspace(task).discard()
        return make_job(task, self._executor.root, self._executor.cache)

    def _watch(self, task: RunStatus, job: str, future: Future[Record], lock: contextlib.ExitStack) -> None:
        with self._guard:
            self._watched[job] = _Watched(task, job, future, lock)
            self._changed = time.monotonic()

    def _forget(self, item: _Watched) -> None:
        """Leaves the job's logs: a cluster that is set up anew begins to count again, and its job would find the rest."""
        self._gone.pop(item.job, None)
        self._changed = time.monotonic()
        paths = self._list_paths(item.job)
        for path in (self._note(item.task), paths.result_pickle, paths.submitted_pickle):
            with contextlib.suppress(OSError):  # A note that stays makes the next driver ask for its job, and no more.
                path.unlink(missing_ok=True)
        item.lock.close()

    def _workspace(self, task: RunStatus) -> Workspace:
        return Workspace(self._executor.cache, task.run.name, task.key)

    def _note(self, task: RunStatus) -> Path:
        """Where it stands which job has the run."""
        return self._folder / f"{task.run.name}.json"

    def _write_note(self, task: RunStatus, job: str, key: str) -> None:
        with contextlib.suppress(OSError):  # Without it, only a driver that is killed loses sight of the job.
            write_atomically(self._note(task), json.dumps({"key": key, "job": job}) + "\n")

    def _list_paths(self, job: str) -> Any:
        from submitit.core.utils import JobPaths

        return JobPaths(self._folder / "jobs", job)
