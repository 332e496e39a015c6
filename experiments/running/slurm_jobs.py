"""One Slurm job: what it calls on its node, and what it asks of Slurm."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.running.orders import Answer, Order, catch
from experiments.running.workspace import Workspace
from experiments.search_path import MACHINERY
from experiments.spec import ConfigurationError
from experiments.status import RunStatus

_HOURS = 4.0  # A job's time where the plan gives none: at its end the job is put back into the queue and goes on.
_IGNORED_SIGNALS = ("USR2", "TERM", "CONT")  # Slurm sends them to every process of a job; the kernel is not meant.


@dataclass(frozen=True)
class Job:
    """What a Slurm job calls: submitit pickles it, and calls it again when the job begins again."""

    order: Order
    key: str
    root: Path
    cache: Path

    def __call__(self) -> Answer:
        """Computes the run."""
        return catch(self._compute, self.order.run.name)

    def checkpoint(self) -> Any:
        """What the job does when it comes back out of the queue: the same; the run has its own checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _compute(self) -> Answer:
        from experiments.execute import compute_ordered

        return compute_ordered(self.order, self.root, Workspace(self.cache, self.order.run.name, self.key))


def make_job(task: RunStatus, root: Path, cache: Path) -> Job:
    """The job that computes a run; Slurm enforces the deadline; a node's energy cannot be attributed to one job."""
    run = replace(task.run, resources=replace(task.run.resources, hours=None))
    threads = task.run.resources.cpus or 1
    return Job(
        Order(run, "slurm", threads, shares_device=True, ignored_signals=_IGNORED_SIGNALS), task.key, root, cache
    )


def list_parameters(tasks: Sequence[RunStatus], root: Path) -> dict[str, Any]:
    """What submitit is to ask of Slurm for tasks that want the same.

    Raises:
        ConfigurationError: the plan gives a fraction of a GPU.
    """
    run, resources = tasks[0].run, tasks[0].run.resources
    gpus = run.wanted_gpus
    if gpus != int(gpus):
        raise ConfigurationError(f"gpus is {gpus!r}; Slurm gives whole ones: write a whole number into the plan")
    wanted = {
        "partition": resources.partition,
        "mem": None if resources.memory_gib is None else f"{math.ceil(resources.memory_gib * 1024)}M",
        "gpus_per_node": int(gpus) or None,
    }
    return {name: value for name, value in wanted.items() if value is not None} | {
        "job_name": run.groups[0],
        "time": math.ceil((resources.hours or _HOURS) * 60),
        "cpus_per_task": resources.cpus or 1,
        "array_parallelism": len(tasks),
        "setup": [f"export PYTHONPATH={shlex.quote(str(MACHINERY))}${{PYTHONPATH:+:$PYTHONPATH}}"],
        "additional_parameters": {"chdir": str(root), "requeue": True},
    }
