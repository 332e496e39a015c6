"""Many runs, on this machine: several at once, in a budget, going on after failures or not."""

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from experiments.fingerprint import find_packages
from experiments.ledger import Ledger
from experiments.progress import Monitor
from experiments.spec import AlreadyRecorded, ConfigurationError, Record, ReproductionError, Run, RunFailed
from experiments.status import RunStatus
from experiments.warm_kernels import warm_start
from experiments.workspace import Workspace

if TYPE_CHECKING:
    from experiments.kernels import Kernels

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Outcome:
    """What became of the runs that were asked for; `skipped` were not begun."""

    recorded: tuple[Record, ...]
    failed: tuple[tuple[Run, RunFailed], ...]
    skipped: tuple[Run, ...]


class Executor(Protocol):
    """Runs runs; each that succeeds is in the ledger before the next is looked at."""

    def run(self, tasks: Sequence[RunStatus], monitor: Monitor) -> Outcome:
        """Runs the tasks, telling the monitor of each."""


@dataclass(frozen=True)
class LocalExecutor:
    """Runs on this machine, one kernel process a run, `jobs` at once, the cores shared out among them.

    `budget_seconds`: no run is begun whose price does not fit into what is left. `keep_going`: a failure does not
    keep other runs from being begun. `warm`: kernels are forked from one that has imported already. `force`: a run
    begins anew, and its record is replaced, sound or not. `execute` is `experiments.execute.execute`, unless a test gives another.
    """

    root: Path
    ledger: Ledger
    cache: Path
    jobs: int = 1
    keep_going: bool = False
    warm: bool = False
    budget_seconds: float | None = None
    force: bool = False
    execute: Callable[..., Record] | None = None

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ConfigurationError(f"--jobs is {self.jobs!r}; expected at least 1")

    def run(self, tasks: Sequence[RunStatus], monitor: Monitor) -> Outcome:
        """Runs the tasks in their order.

        Raises:
            KeyboardInterrupt: after the kernels were stopped; their checkpoints are kept.
            ReproductionError: other than RunFailed, such as a missing tool: it would hit every run.
        """
        from experiments.kernels import Kernels

        with contextlib.ExitStack() as stack:
            command = stack.enter_context(warm_start(self.root, self._list_packages(tasks))) if self.warm else None
            kernels = Kernels(command) if command else Kernels()
            pool = stack.enter_context(ThreadPoolExecutor(self.jobs, thread_name_prefix="run"))
            try:
                return self._run(tasks, monitor, kernels, pool)
            except BaseException:
                kernels.stop()
                raise

    def _list_packages(self, tasks: Sequence[RunStatus]) -> list[str]:
        """What the tasks' notebooks import from outside the repository."""
        notebooks = {self.root / "experiments" / task.run.notebook for task in tasks}
        return sorted({name for notebook in notebooks for name in find_packages(notebook, self.root)})

    def _run(
        self, tasks: Sequence[RunStatus], monitor: Monitor, kernels: "Kernels", pool: ThreadPoolExecutor
    ) -> Outcome:
        waiting, begun = deque(tasks), time.monotonic()
        running: dict[Future[Record], RunStatus] = {}
        recorded: list[Record] = []
        failed: list[tuple[Run, RunFailed]] = []
        skipped: list[Run] = []
        while waiting or running:
            while waiting and len(running) < self.jobs:
                task = waiting.popleft()
                if (failed and not self.keep_going) or not self._affords(task, time.monotonic() - begun):
                    skipped.append(task.run)
                    continue
                monitor.start(task.run, task.price.seconds)
                running[pool.submit(self._execute_one, task, kernels)] = task
            done, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                task = running.pop(future)
                try:
                    recorded.append(future.result())
                    monitor.finish(task.run, recorded[-1])
                except AlreadyRecorded:  # By another process, since the tasks were listed.
                    skipped.append(task.run)
                except RunFailed as error:
                    failed.append((task.run, error))
                    monitor.fail(task.run, error)
            for task in running.values():
                if told := Workspace(self.cache, task.run.name, task.key).read_progress():
                    monitor.advance(task.run, *told)
        return Outcome(tuple(recorded), tuple(failed), tuple(skipped))

    def _affords(self, task: RunStatus, spent_seconds: float) -> bool:
        return self.budget_seconds is None or spent_seconds + task.price.seconds <= self.budget_seconds

    def _execute_one(self, task: RunStatus, kernels: "Kernels") -> Record:
        if self.execute is not None:
            execute = self.execute
        else:
            from experiments.execute import execute
        try:
            return execute(
                task.run,
                self.root,
                self.ledger,
                cache=self.cache,
                # One job alone computes as when a person runs the notebook: with the libraries' own number of threads.
                threads=None if self.jobs == 1 else max(1, count_cores() // self.jobs),
                force=self.force or task.record is not None,
                anew=self.force,
                shares_device=self.jobs > 1,
                kernels=kernels,
            )
        except ReproductionError:
            raise
        except Exception as error:
            raise RunFailed(f"{task.run.name}: {type(error).__name__}: {error}") from error


def count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
