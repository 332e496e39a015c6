"""Recorded runs, run again from scratch in a folder of their own: the ledger and its checkpoints are not touched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.executors import LocalExecutor
from experiments.ledger import Ledger
from experiments.running.gpu_slots import VISIBLE_VARIABLE
from experiments.running.progress import Monitor
from experiments.spec import Record, Run
from experiments.status import RunStatus


@dataclass(frozen=True)
class Rerun:
    """A recorded run that is to be run again on a device class; `status` has its price there."""

    status: RunStatus
    record: Record
    device_class: str

    @property
    def run(self) -> Run:
        """The run; every one keeps its executed notebook, as a proof."""
        return replace(self.status.run, first=True)

    @property
    def options(self) -> dict[str, Any]:
        """How it is executed: with the threads of its record, as others sum in another order; on a CPU without a GPU."""
        hidden = {VISIBLE_VARIABLE: "-1"} if self.device_class == "cpu" else {}
        return {"threads": self.record.provenance["threads"], "variables": hidden}


@dataclass(frozen=True)
class Repetition:
    """What became of the runs, by name: the new records, the errors; what is in neither was not begun."""

    records: Mapping[str, Record]
    failures: Mapping[str, str]


def run_again(
    reruns: Sequence[Rerun], root: Path, folder: Path, *, budget_seconds: float, monitor: Monitor
) -> Repetition:
    """Runs each of RERUNS from the beginning, one at a time, in their order.

    Args:
        folder: gets `records/`, `executed/`, a log of failures and `cache/`.
        budget_seconds: no run is begun whose price does not fit into what is left.

    Raises:
        KeyboardInterrupt: after the kernel was stopped; what is recorded in FOLDER by then stays there.
        ReproductionError: other than RunFailed, such as a missing tool.
    """
    options = {rerun.run.name: rerun.options for rerun in reruns}

    def execute_as_recorded(run: Run, *arguments: Any, **given: Any) -> Record:
        from experiments.execute import execute

        return execute(run, *arguments, **{**given, **options[run.name]})

    executor = LocalExecutor(
        root,
        Ledger(folder),
        folder / "cache",
        keep_going=True,
        budget_seconds=budget_seconds,
        force=True,  # from the beginning, whatever there is
        execute=execute_as_recorded,
    )
    outcome = executor.run([replace(rerun.status, run=rerun.run) for rerun in reruns], monitor)
    records = {record.run: record for record in outcome.recorded}
    return Repetition(records, {run.name: str(error) for run, error in outcome.failed})
