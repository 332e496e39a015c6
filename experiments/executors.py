"""Many runs: the one loop that every executor shares, and the executor of this machine.

An executor opens workers, begins runs with them as the loop says, and stops them. How many go on at once, what fits
into a budget, what a failure keeps from being begun and what Ctrl-C does is decided here, alike for all.
"""

import contextlib
import os
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from experiments.files import probe_writing
from experiments.fingerprint import find_packages
from experiments.ledger import Ledger
from experiments.machine import count_cores
from experiments.notebooks import refuse_broken_cells
from experiments.provenance import local_executor
from experiments.running.gpu_slots import GpuSlots, list_gpus
from experiments.running.progress import LEFT, Monitor, describe_price, format_seconds
from experiments.running.threads import refuse_surplus_threads
from experiments.running.warm_kernels import warm_start
from experiments.running.workspace import Workspace
from experiments.spec import AlreadyRecorded, ConfigurationError, Record, ReproductionError, Run, RunBusy, RunFailed
from experiments.status import RunStatus

if TYPE_CHECKING:
    from experiments.running.kernels import Kernels

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class RunsOutcome:
    """What became of the runs that were asked for; `skipped` were not begun, each with the reason."""

    recorded: tuple[Record, ...]
    failed: tuple[tuple[Run, RunFailed], ...]
    skipped: tuple[tuple[Run, str], ...]


class Workers(Protocol):
    """Where runs compute while an executor is open."""

    def begin(self, tasks: Sequence[RunStatus]) -> Sequence[Future[Record]]:
        """Begins the tasks; each future ends when the run is in the ledger, or with the reason why it is not."""

    def stop(self) -> None:
        """Ends at once whatever computes. Checkpoints are kept."""


@dataclass(frozen=True)
class Executor(ABC):
    """Runs runs, at most `jobs` at once; each that succeeds is in the ledger before another takes its place.

    `cache` is the folder of unfinished work. `budget_seconds`: no run is begun whose price does not fit into what is
    left. `keep_going`: a failure does not keep other runs from being begun. `force`: a run begins anew, and its record
    is replaced, sound or not.
    """

    root: Path
    ledger: Ledger
    cache: Path
    jobs: int = 1
    keep_going: bool = False
    budget_seconds: float | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ConfigurationError(f"--jobs is {self.jobs!r}; expected at least 1")

    def run(self, tasks: Sequence[RunStatus], monitor: Monitor) -> RunsOutcome:
        """Runs the tasks in their order, telling the monitor of each.

        Raises:
            KeyboardInterrupt: after the workers were stopped; their checkpoints are kept.
            ConfigurationError: before anything is begun: a notebook is broken, or the ledger cannot be written. Later it
                is that run's failure.
            ReproductionError: any other but RunFailed, such as a missing tool: it would hit every run.
        """
        self._probe_ledger()
        for notebook in dict.fromkeys(task.run.notebook for task in tasks):
            refuse_broken_cells(self.root / "experiments" / notebook)
        with self.open(tasks) as workers:
            try:
                return self._run(tasks, monitor, workers)
            except BaseException:
                workers.stop()
                raise

    @abstractmethod
    def open(self, tasks: Sequence[RunStatus]) -> contextlib.AbstractContextManager[Workers]:
        """Workers for the tasks; leaving the block waits for what they still do."""

    def replaces(self, task: RunStatus) -> bool:
        """Whether the run's record, if it has one, is to be replaced: it is stale, or the runs are forced."""
        return self.force or task.record is not None

    def _probe_ledger(self) -> None:
        folders = (self.ledger.records_folder, self.ledger.executed_folder)
        for folder in folders:
            try:
                probe_writing(folder)
            except OSError as error:
                place = folder.relative_to(self.ledger.folder.parent).as_posix()
                raise ConfigurationError(
                    f"{place}: cannot be written: {error.strerror or error}; no run was started, because its record could not be saved"
                ) from error

    def _run(self, tasks: Sequence[RunStatus], monitor: Monitor, workers: Workers) -> RunsOutcome:
        waiting, begun = deque(tasks), time.monotonic()
        running: dict[Future[Record], RunStatus] = {}
        recorded: list[Record] = []
        failed: list[tuple[Run, RunFailed]] = []
        skipped: list[tuple[Run, str]] = []
        while waiting or running:
            batch: list[RunStatus] = []
            while waiting and len(running) + len(batch) < self.jobs:
                task = waiting.popleft()
                if failed and not self.keep_going:
                    skipped.append((task.run, "another run failed; --keep-going begins the others all the same"))
                elif over := self._exceeds_budget(task, time.monotonic() - begun):
                    skipped.append((task.run, over))
                else:
                    batch.append(task)
            running |= self._begin(batch, monitor, workers)
            done, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                task = running.pop(future)
                try:
                    recorded.append(future.result())
                    monitor.finish(task.run, recorded[-1])
                except (AlreadyRecorded, RunBusy):  # Another process sees to it, since the tasks were listed.
                    skipped.append((task.run, LEFT))
                    monitor.leave(task.run)
                except (RunFailed, ConfigurationError) as error:  # A file may have been edited since.
                    failed.append((task.run, error if isinstance(error, RunFailed) else RunFailed(str(error))))
                    monitor.fail(*failed[-1])
            for task in running.values():
                if told := Workspace(self.cache, task.run.name, task.key).read_progress():
                    monitor.advance(task.run, *told)
        return RunsOutcome(tuple(recorded), tuple(failed), tuple(skipped))

    def _begin(self, batch: Sequence[RunStatus], monitor: Monitor, workers: Workers) -> dict[Future[Record], RunStatus]:
        if not batch:
            return {}
        for task in batch:
            monitor.start(task.run, task.price.seconds)
        return dict(zip(workers.begin(batch), batch, strict=True))

    def _exceeds_budget(self, task: RunStatus, spent_seconds: float) -> str:
        """Why the task does not fit into what is left of the budget; empty where it does."""
        if self.budget_seconds is None or spent_seconds + task.price.seconds <= self.budget_seconds:
            return ""
        left = format_seconds(max(0.0, self.budget_seconds - spent_seconds))
        return f"{describe_price(task.price)}, and {left} of the budget are left"


@dataclass(frozen=True)
class LocalExecutor(Executor):
    """Runs on this machine, one kernel process a run, the cores and the GPUs shared out among them.

    `warm`: kernels are forked from one that has imported already. `execute` is `experiments.execute.execute`, unless a
    caller gives another.
    """

    warm: bool = False
    execute: Callable[..., Record] | None = None

    @contextlib.contextmanager
    def open(self, tasks: Sequence[RunStatus]) -> Iterator["_LocalWorkers"]:
        """A thread for each run at once, which drives a kernel.

        Raises:
            ConfigurationError: $REPRODUCTION_DATA is no folder, or $OMP_NUM_THREADS more than there are cores.
        """
        from experiments.execute import find_data
        from experiments.running.kernels import Kernels

        find_data()
        if self.jobs == 1 and self.execute is None:
            refuse_surplus_threads(os.environ, count_cores())
        with contextlib.ExitStack() as stack:
            command = stack.enter_context(warm_start(self.root, self._list_packages(tasks))) if self.warm else None
            pool = stack.enter_context(ThreadPoolExecutor(self.jobs, thread_name_prefix="run"))
            yield _LocalWorkers(self, Kernels(command) if command else Kernels(), pool, GpuSlots(list_gpus()))

    def _list_packages(self, tasks: Sequence[RunStatus]) -> list[str]:
        """What the tasks' notebooks import from outside the repository."""
        notebooks = {self.root / "experiments" / task.run.notebook for task in tasks}
        return sorted({name for notebook in notebooks for name in find_packages(notebook, self.root)})


@dataclass(frozen=True)
class _LocalWorkers:
    """The threads and kernels of a `LocalExecutor`."""

    executor: LocalExecutor
    kernels: "Kernels"
    pool: ThreadPoolExecutor
    gpus: GpuSlots

    def begin(self, tasks: Sequence[RunStatus]) -> list[Future[Record]]:
        """Begins each task in a thread of its own."""
        return [self.pool.submit(self._execute, task) for task in tasks]

    def stop(self) -> None:
        """Kills the kernels, whose threads end with them."""
        self.kernels.stop()

    def _execute(self, task: RunStatus) -> Record:
        if self.executor.execute is not None:
            execute = self.executor.execute
        else:
            from experiments.execute import execute
        jobs = self.executor.jobs
        try:
            with self.gpus.lease() as variables:
                return execute(
                    task.run,
                    self.executor.root,
                    self.executor.ledger,
                    cache=self.executor.cache,
                    executor=local_executor(),
                    # One job alone computes as when a person runs it: with the libraries' own number of threads.
                    threads=None if jobs == 1 else max(1, count_cores() // jobs),
                    force=self.executor.replaces(task),
                    anew=self.executor.force,
                    shares_device=jobs > 1,
                    variables=variables if jobs > 1 else {},
                    kernels=self.kernels,
                )
        except ReproductionError:
            raise
        except Exception as error:
            raise RunFailed(f"{task.run.name}: {type(error).__name__}: {error}") from error
