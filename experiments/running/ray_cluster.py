"""Runs as Ray tasks: on a cluster that is up, or on one that Ray starts on this machine.

Nodes and driver share no files. The code and the plan travel as the tasks' working folder; a task streams back how far
it is, each new checkpoint, and at last its answer. The driver keeps the checkpoint in the run's own workspace: when a
worker dies, the next one begins with it, and so does the next `run` after the driver was killed, by any executor.
"""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.executors import Executor
from experiments.files import read_change
from experiments.fingerprint import find_code, fingerprint
from experiments.git import read_commit
from experiments.recording import DATA_VARIABLE
from experiments.running.orders import Answer, Order, interrupted, settle
from experiments.running.ray_worker import Begun, Checkpoint, Told, work
from experiments.running.workspace import Workspace
from experiments.spec import (
    ConfigurationError,
    MissingTool,
    Record,
    ReproductionError,
    Resources,
    RunFailed,
    RunInterrupted,
)
from experiments.status import RunStatus

_ADDRESS_VARIABLE = "RAY_ADDRESS"
# What git ignores does not travel either, where there is a .gitignore.
_STAYS = ["/.git", "/.venv", "/.cache", "/.smoke", "/data", "/report/out"]
_STAYS += ["/experiments/records", "/experiments/executed", "__pycache__"]
_MOST_DEATHS = 3  # of a run's workers without a new checkpoint between: some runs use up the memory of each
_PROBE_SECONDS = 10
_MIB = 2**20


@dataclass(frozen=True)
class RayExecutor(Executor):
    """Runs as Ray tasks, `jobs` at once, with the resources that the plan gives a group; GPUs may be fractions."""

    @contextlib.contextmanager
    def open(self, tasks: Sequence[RunStatus]) -> Iterator["_RayWorkers"]:
        """A thread for each run at once, which listens to its task.

        Raises:
            MissingTool: Ray is not installed, or the cluster of $RAY_ADDRESS does not answer.
            ConfigurationError: no node of the cluster has what the plan gives a run.
        """
        with _connect(self.root) as ray:
            for task in tasks:
                _refuse_impossible(ray, task)
            with ThreadPoolExecutor(self.jobs, thread_name_prefix="run") as pool:
                yield _RayWorkers(self, ray, pool)


class _RayWorkers:
    """The tasks of a `RayExecutor`, each with a thread that listens to it."""

    def __init__(self, executor: RayExecutor, ray: Any, pool: ThreadPoolExecutor) -> None:
        self._executor, self._ray, self._pool = executor, ray, pool
        self._streams: set[Any] = set()
        self._guard = threading.Lock()
        self._stopped = False

    def begin(self, tasks: Sequence[RunStatus]) -> list[Future[Record]]:
        """Begins each task in a thread of its own."""
        return [self._pool.submit(self._execute, task) for task in tasks]

    def stop(self) -> None:
        """Kills the workers; their threads end with them."""
        with self._guard:
            self._stopped = True
            streams = list(self._streams)
        for stream in streams:
            self._ray.cancel(stream, force=True)

    def _execute(self, task: RunStatus) -> Record:
        executor, run = self._executor, task.run
        workspace, force = Workspace(executor.cache, run.name, task.key), executor.replaces(task)
        try:
            with workspace.lock(), workspace.lock("workers"):
                if not force:
                    executor.ledger.refuse_recorded(run.name)
                if executor.force:
                    workspace.discard()
                return settle(self._compute(task, workspace), run, executor.ledger, workspace, executor.root, force)
        except ReproductionError:
            raise
        except Exception as error:
            raise RunFailed(f"{run.name}: {type(error).__name__}: {error}") from error

    def _compute(self, task: RunStatus, workspace: Workspace) -> Answer:
        """The answer of the first worker that lives long enough to give one."""
        name, deaths, kept = task.run.name, 0, read_change(workspace.checkpoint)
        root = self._executor.root
        code = find_code(task.run.notebook, fingerprint(task.run, root, root / ".cache"), root)
        source = read_commit(root, code)
        while deaths < _MOST_DEATHS:
            attempt, seconds = workspace.begin()
            order = Order(
                task.run,
                "ray",
                task.run.resources.cpus or 1,
                shares_device=True,
                attempts=attempt - 1,
                seconds=seconds,
                source=source,
            )
            try:
                return self._listen(self._submit(order, task, workspace), workspace)
            except self._ray.exceptions.RayTaskError as error:  # Not a death: another worker would do the same.
                words = str(error).strip().splitlines()[-1]
                return Answer(error=RunFailed(f"{name}: the worker could not begin: {words}"))
            except self._ray.exceptions.RayError as error:
                death = error
            if self._stopped:
                raise interrupted(name) from None
            now = read_change(workspace.checkpoint)
            deaths, kept = (deaths + 1 if now == kept else 1), now
        words = str(death).strip().splitlines()[0]
        return Answer(
            error=RunFailed(f"{name}: {_MOST_DEATHS} workers died without getting further; the last: {words}")
        )

    def _submit(self, order: Order, task: RunStatus, workspace: Workspace) -> Any:
        """The stream of what a new worker tells."""
        checkpoint = workspace.checkpoint.read_bytes() if workspace.checkpoint.is_file() else None
        data = os.path.expanduser(os.environ.get(DATA_VARIABLE) or self._executor.root / "data")
        wanted = _list_wanted(task)
        options = {"num_cpus": wanted["CPU"], "num_gpus": wanted["GPU"], "memory": wanted["memory"] or None}
        function = self._ray.remote(num_returns="streaming", max_retries=0, scheduling_strategy="SPREAD", **options)(
            work
        )
        with self._guard:
            if self._stopped:
                raise RunInterrupted(f"{order.run.name}: interrupted before it began")
            stream = function.remote(order, task.key, checkpoint, data)
            self._streams.add(stream)
        return stream

    def _listen(self, stream: Any, workspace: Workspace) -> Answer:
        """Keeps what the worker tells, until it gives its answer."""
        try:
            for reference in stream:
                told = self._ray.get(reference)
                if isinstance(told, Answer):
                    return told
                if isinstance(told, Begun):
                    workspace.begin_late()
                elif isinstance(told, Checkpoint):
                    workspace.keep_checkpoint(told.content)
                elif isinstance(told, Told):
                    workspace.keep(told.progress, told.notebook)
        finally:
            with self._guard:
                self._streams.discard(stream)
        return Answer(error=RunFailed(f"{workspace.run}: its worker ended without an answer"))


@contextlib.contextmanager
def _connect(root: Path) -> Iterator[Any]:
    """Ray, connected; signals are handled as before, and nobody is told of the use."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingTool(
            "ray is not installed, and --executor ray needs it; install it by: pip install ray"
        ) from error
    address = os.environ.get(_ADDRESS_VARIABLE)
    _probe(address)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(
            runtime_env=_pack(root),
            log_to_driver=False,
            logging_level="ERROR",
        )
    except Exception as error:
        where = f"the cluster at {address!r}" if address else "a cluster on this machine"
        words = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MissingTool(f"Ray has not reached {where}: {words}; try `ray status`") from error
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    try:
        yield ray
    finally:
        ray.shutdown()


def _pack(root: Path) -> dict[str, Any]:
    """What travels: the repository, and this package, where the paper lies elsewhere."""
    if (root / "experiments" / "__init__.py").is_file():
        return {"working_dir": str(root), "excludes": _STAYS}
    package = str(Path(__file__).resolve().parents[1])
    return {"working_dir": str(root), "py_modules": [package], "excludes": [*_STAYS, "/records", "/executed"]}


def _probe(address: str | None) -> None:
    """Raises MissingTool where nobody listens: Ray itself would try for five minutes.

    Raises:
        ConfigurationError: the address is that of Ray's client protocol, which cannot stream.
    """
    if address and address.startswith("ray://"):
        raise ConfigurationError(
            f"${_ADDRESS_VARIABLE} is {address!r}; expected HOST:PORT of the cluster's head, as `ray start --head` "
            "says it: the protocol ray:// cannot stream checkpoints"
        )
    host, _, port = (address or "").rpartition(":")
    if not (host and port.isdecimal()):  # None, `auto`, `local`: Ray looks for itself.
        return
    try:
        socket.create_connection((host, int(port)), timeout=_PROBE_SECONDS).close()
    except OSError as error:
        raise MissingTool(
            f"Ray's cluster at ${_ADDRESS_VARIABLE}={address!r} does not answer: {error.strerror or error}; try `ray status`"
        ) from error


def _list_wanted(task: RunStatus) -> dict[str, float]:
    """What a run is given, in Ray's words; memory in bytes."""
    resources: Resources = task.run.resources
    return {
        "CPU": resources.cpus or 1,
        "GPU": task.run.wanted_gpus,
        "memory": (resources.memory_gib or 0) * 1024 * _MIB,
    }


def _refuse_impossible(ray: Any, task: RunStatus) -> None:
    """Ray would wait for ever for a node that can take such a task."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = _list_wanted(task)
    if not any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in nodes):
        asked = ", ".join(f"{name} {amount:g}" for name, amount in wanted.items() if amount)
        raise ConfigurationError(
            f"{task.run.name}: no node of the Ray cluster has {asked}; change the group's resources in the plan, "
            "or add such a node"
        )
