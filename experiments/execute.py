"""One run through papermill -> one record. What fails leaves its traceback, and nothing in the ledger."""

import importlib.util
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import executed, machine, provenance, recording, schema
from experiments.fingerprint import Fingerprint, find_code, fingerprint
from experiments.git import read_commit
from experiments.ledger import Ledger
from experiments.notebooks import notebook_parameters, refuse_broken_cells, resolve_parameters
from experiments.rules import read_rules
from experiments.running.confirmation import CODE_VARIABLE, describe_code
from experiments.running.notebook_runs import run_notebook
from experiments.running.orders import Answer, Order, settle
from experiments.running.threads import limit_threads, limit_waiting, refuse_surplus_threads
from experiments.running.workspace import Workspace
from experiments.spec import (
    ACCURACY,
    MIME,
    SCHEMA,
    ConfigurationError,
    Correct,
    MissingTool,
    Packed,
    Record,
    Run,
    RunFailed,
    Scalar,
)

if TYPE_CHECKING:
    from experiments.running.kernels import Kernels

# A job before this one may still be ending, or its node has died: a network file system keeps the locks of such a one for
# some 90 seconds.
_PATIENCE_SECONDS = 180.0
# Python 3.11 counts the depth of all threads' syntax trees in one place: two at once can end in a SystemError.
_PARSING = threading.Lock()


@dataclass(frozen=True)
class Prepared:
    """What is known of a run before a kernel starts: every parameter, the code's fingerprint, commit and rules."""

    parameters: Mapping[str, Scalar]
    today: Fingerprint
    source: tuple[str | None, bool | None]
    rules: Mapping[str, str]


def execute(
    run: Run,
    root: Path,
    ledger: Ledger,
    *,
    cache: Path | None = None,
    threads: int | None = None,
    executor: str = "local",
    force: bool = False,
    anew: bool = False,
    shares_device: bool = False,
    variables: Mapping[str, str] | None = None,
    kernels: "Kernels | None" = None,
) -> Record:
    """Runs a run on this machine and saves its record: driver and worker in one.

    Args:
        root: the repository; the kernel works there.
        ledger: where the record goes.
        cache: the folder for unfinished work, `.cache` below the root by default.
        threads: how many the kernel may compute with; None leaves that to the libraries, as when a person runs it.
        force: replace the record that there is.
        anew: begin at the beginning, whatever checkpoint there is, such as another device's.
        shares_device: other runs compute beside this one, so that the device's energy cannot be told apart.
        variables: environment variables of the kernel beside the usual ones, such as the GPU that it may see.
        kernels: by which a caller in another thread can stop the run.

    Raises:
        ConfigurationError: a parameter, $REPRODUCTION_DATA or the number of threads is wrong (before a kernel starts).
        AlreadyRecorded: the run is recorded, and not forced.
        RunFailed: a cell raised, the kernel died or hung, or the notebook did not end with exactly one record.
        RunBusy: another process is running the run.
        RunInterrupted: `kernels` was stopped.
        MissingTool: papermill or ipykernel is not installed.
    """
    prepared = prepare(run, root)
    workspace = Workspace(cache or root / ".cache", run.name, prepared.today.key)
    order = Order(run, executor, threads, shares_device, tuple((variables or {}).items()))
    with workspace.lock():
        if not force:  # Inside the lock: another process may have recorded it a moment ago.
            ledger.refuse_recorded(run.name)
        if anew:
            workspace.discard()
        try:
            answer = compute(order, prepared, root, workspace, kernels)
        except RunFailed as error:
            answer = Answer(error=error)
        return settle(answer, run, ledger, workspace, root, force)


def prepare(run: Run, root: Path) -> Prepared:
    """Looks at everything that a run rests on, before a kernel starts.

    Raises:
        ConfigurationError: a parameter is wrong, or a file cannot be read.
        MissingTool: papermill or ipykernel is not installed.
    """
    _require_tools()
    notebook = root / "experiments" / run.notebook
    with _PARSING:
        refuse_broken_cells(notebook)
        parameters = resolve_parameters(notebook_parameters(notebook), run.parameters, run.notebook, run.name)
        # The kernel imports the modules at its start, and looks then whether the key of now is still theirs. So it is
        # the run's, even if a file is edited while it trains.
        today = fingerprint(run, root, root / ".cache")
    source = read_commit(root, find_code(run.notebook, today, root))
    return Prepared(parameters, today, source, read_rules(run, root))


def compute_ordered(order: Order, root: Path, workspace: Workspace) -> Answer:
    """The worker's half where the driver is another process: computes only if the code is still that of the run's key.

    Raises:
        RunFailed: it is not, or as for `execute`.
    """
    prepared = prepare(order.run, root)
    if prepared.today.key != workspace.key:
        raise RunFailed(f"{order.run.name}: its code was changed after it was asked for; run it again")
    return compute(order, prepared, root, workspace, patience_seconds=_PATIENCE_SECONDS)


def compute(
    order: Order,
    prepared: Prepared,
    root: Path,
    workspace: Workspace,
    kernels: "Kernels | None" = None,
    patience_seconds: float = 0.0,
) -> Answer:
    """The worker's half: runs the notebook in the workspace, and gives the record. Touches no ledger.

    Raises:
        ConfigurationError: $REPRODUCTION_DATA or the number of threads is wrong (before a kernel starts).
        RunFailed: as for `execute`.
    """
    run = order.run
    environment = _list_variables(workspace, order)
    environment[CODE_VARIABLE] = describe_code(root, run.notebook, prepared.today)
    folders = executed.list_folders(root, Path(sys.prefix), _find_home())
    with workspace.lock("workers", patience_seconds):
        attempt, earlier_seconds = workspace.begin()
        earlier_seconds += order.seconds
        started, joules = time.monotonic(), machine.read_energy_joules()
        output = run_notebook(order, root, prepared.parameters, workspace, environment, kernels)
        payload = take_payload(output, run.name)
    commit, dirty = order.source or prepared.source
    payload["provenance"] |= {"commit": commit, "dirty": dirty, "rules": prepared.rules}
    # The meter counts the whole device, and what an earlier attempt has used is not known any more.
    is_part = payload["provenance"]["device_class"] != "cuda" or order.shares_device or earlier_seconds > 0
    payload["cost"] |= {
        "seconds": round(earlier_seconds + time.monotonic() - started, 3),
        "work": run.work,
        "energy_joules": None if is_part else _spent_joules(joules),
        "attempts": order.attempts + attempt,
    }
    record = make_record(run, prepared.parameters, prepared.today, payload)
    if not run.first:
        return Answer(record.to_text())
    return Answer(record.to_text(), executed.shrink(output, folders))


def take_payload(notebook: Mapping[str, Any], run: str) -> dict[str, Any]:
    """The one record among the outputs of an executed notebook.

    Raises:
        RunFailed: there is none, or more than one.
    """
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    payloads = [output["data"][MIME] for output in outputs if MIME in output.get("data", {})]
    if len(payloads) != 1:
        raise RunFailed(
            f"{run}: the notebook emitted {len(payloads) or 'no'} records; "
            "expected one call of `record(...)`, in its last cell"
        )
    return json.loads(json.dumps(payloads[0]))


def make_record(run: Run, parameters: Mapping[str, Any], today: Fingerprint, payload: Mapping[str, Any]) -> Record:
    """The record of a run, as sound as one that is read from the ledger.

    Raises:
        RunFailed: the notebook's payload is of another schema or breaks a rule of it, or has no accuracy.
    """
    if payload.get("schema") != SCHEMA:
        raise RunFailed(f"{run.name}: the record's schema is {payload.get('schema')!r}; expected {SCHEMA}")
    if ACCURACY not in payload["metrics"]:  # no claim, table or figure could be made from it
        raise RunFailed(
            f"{run.name}: record(): metrics has no {ACCURACY!r}; it has {', '.join(payload['metrics'])}. The report is "
            "about accuracies: expected the share of the test images that are right"
        )
    correct = payload["correct"]
    record = Record(
        run=run.name,
        notebook=run.notebook,
        parameters=parameters,
        key=today.key,
        fingerprint=today.to_json(),
        correct=None if correct is None else Correct(**correct),
        arrays={name: Packed.from_json(array) for name, array in payload.get("arrays", {}).items()},
        **{name: payload[name] for name in ("metrics", "history", "breakdown", "settings", "provenance", "cost")},
    )
    try:
        return Record.from_text(record.to_text(), "the record")
    except (schema.RecordFault, ValueError) as error:
        raise RunFailed(f"{run.name}: {error}") from error


def _require_tools() -> None:
    for module in ("papermill", "ipykernel"):
        if importlib.util.find_spec(module) is None:
            raise MissingTool(
                f"{module} is not installed, and runs need it; install it by: pip install -r requirements.lock"
            )


def _list_variables(workspace: Workspace, order: Order) -> dict[str, str]:
    """The environment variables by which a notebook knows that it is run by us."""
    variables = {
        recording.CHECKPOINT_VARIABLE: str(workspace.checkpoint),
        recording.PROGRESS_VARIABLE: str(workspace.progress),
        provenance.STARTED_VARIABLE: provenance.utc_now(),
        provenance.EXECUTOR_VARIABLE: order.executor,
        **dict(order.variables),
    }
    if (data := find_data()) is not None:
        variables[recording.DATA_VARIABLE] = str(data)
    if order.threads is None:
        refuse_surplus_threads(os.environ, machine.count_cores())
    return limit_waiting(os.environ) | variables | limit_threads(order.threads)


def find_data() -> Path | None:
    """The folder that $REPRODUCTION_DATA names, if it is set.

    Raises:
        ConfigurationError: it is no folder.
    """
    named = os.environ.get(recording.DATA_VARIABLE)
    if not named:
        return None
    folder = Path(os.path.expanduser(named)).absolute()
    if not folder.is_dir():
        raise ConfigurationError(
            f"${recording.DATA_VARIABLE} is {named!r}, which is no folder; name the folder of the data sets, or make it "
            "if they are to be downloaded there"
        )
    return folder


def _find_home() -> Path | None:
    """The user's home; None where there is none, as in a container with a made-up user."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _spent_joules(before: float | None) -> float | None:
    """What the device has used since its counter stood at `before`."""
    now = machine.read_energy_joules()
    return None if now is None or before is None else round(now - before, 1)
