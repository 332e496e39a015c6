"""What passes between the driver, which alone writes the ledger, and a worker, which only computes.

An `Order` goes to the worker, an `Answer` comes back; both can be pickled, so that the worker may be a thread, a Slurm
job or a process on another machine. `settle` is what the driver does with an answer, wherever it comes from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experiments.files import write_atomically
from experiments.ledger import Ledger
from experiments.running.workspace import Workspace
from experiments.spec import Record, ReproductionError, Run, RunBusy, RunFailed, RunInterrupted


@dataclass(frozen=True)
class Order:
    """A run, as a worker is told of it.

    `threads` None leaves their number to the libraries. `variables` are set for the kernel, `ignored_signals` are kept
    from it. `shares_device`: other runs compute beside this one, so that the device's energy cannot be told apart.
    `attempts` and `seconds` are those before this one, where the worker has no folder in which they are counted;
    `source` is the commit of the code and whether it was changed, where the worker's copy has no git.
    """

    run: Run
    executor: str = "local"
    threads: int | None = None
    shares_device: bool = False
    variables: tuple[tuple[str, str], ...] = ()
    ignored_signals: tuple[str, ...] = ()
    attempts: int = 0
    seconds: float = 0.0
    source: tuple[str | None, bool | None] | None = None


@dataclass(frozen=True)
class Answer:
    """A record's text and the executed notebook where that is to be kept; or the error that the run ended with."""

    record: str = ""
    notebook: str | None = None
    error: ReproductionError | None = None


def interrupted(run: str) -> RunInterrupted:
    """What a run ends with that was stopped on purpose after it had begun."""
    return RunInterrupted(f"{run}: interrupted; the next run goes on from its checkpoint")


def catch(compute: Callable[[], Answer | None], run: str) -> Answer | None:
    """What COMPUTE answers, None too; what it raises is an answer as well, and can be pickled."""
    try:
        return compute()
    except ReproductionError as error:
        # Made of its message alone: only such an error can be made again on the other side.
        is_plain = type(error).__init__ in (ReproductionError.__init__, Exception.__init__)
        return Answer(error=type(error)(str(error)) if is_plain else RunFailed(str(error)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the driver is to know
        return Answer(error=RunFailed(f"{run}: {type(error).__name__}: {error}"))


def settle(answer: Answer, run: Run, ledger: Ledger, workspace: Workspace, root: Path, force: bool) -> Record:
    """Writes an answer to the ledger: the executed notebook, then the record; or the failure to its log.

    Raises:
        AlreadyRecorded: another process has recorded the run, and `force` is False.
        RunFailed: the run has failed, or what it gave cannot be written: its checkpoint is kept.
        ReproductionError: the answer is another error.
    """
    if answer.error is not None:
        if isinstance(answer.error, RunFailed) and not isinstance(answer.error, (RunBusy, RunInterrupted)):
            raise _log_failure(run, ledger, workspace, root, str(answer.error)) from answer.error
        raise answer.error
    record = Record.from_text(answer.record, "the record")
    if (record.run, record.key) != (run.name, workspace.key):
        raise RunFailed(f"{run.name}: the answer is that of run {record.run!r}, or of other code; run it again")
    if not force:
        ledger.refuse_recorded(run.name)
    try:
        if answer.notebook is not None:  # Before the record, so that no recorded run lacks its notebook.
            write_atomically(ledger.executed_path(run.name), answer.notebook)
        ledger.save(record, force=force)
    except OSError as error:
        place = ledger.record_path(run.name).relative_to(ledger.folder.parent).as_posix()
        raise RunFailed(
            f"{run.name}: {place}: the record could not be written: {error.strerror or error}; the checkpoint is kept: "
            "free some space or grant write permission, then run it again"
        ) from error
    workspace.finish()
    return record


def _log_failure(run: Run, ledger: Ledger, workspace: Workspace, root: Path, message: str) -> RunFailed:
    """Keeps the traceback and a line in the log; returns the error to raise."""
    try:
        workspace.fail()
        path = workspace.failed_notebook
        place = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
        ledger.log_failure(run.name, workspace.key, message.splitlines()[0].removeprefix(f"{run.name}: "), place)
    except OSError as error:  # Most often what made the run fail: a full disk.
        return RunFailed(f"{message}\nThe failure could not be logged: {error}")
    return RunFailed(f"{message}\nThe notebook, as far as it came: {place}")
