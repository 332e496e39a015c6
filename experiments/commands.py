"""What the command line does with runs: show, run, accept, rehearse. Prints; returns exit codes; reads no arguments."""

import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.table import Table
from rich.text import Text

from experiments import doctor
from experiments.executors import Executor, LocalExecutor, RunsOutcome
from experiments.fingerprint import find_all_code
from experiments.git import GitFailed, list_changed, list_untracked, read_head
from experiments.ledger import Ledger
from experiments.machine import count_cores
from experiments.plan import Plan, load_plan, select
from experiments.plan_file import DEVICE_CLASSES
from experiments.prices import Price, by_device, reservation
from experiments.running.progress import Terminal, describe_price, format_seconds, open_monitor
from experiments.running.workspace import LOCKS, Workspace
from experiments.schema import RecordFault
from experiments.spec import ConfigurationError, Group, MissingTool, ReproductionError, State
from experiments.status import RunStatus, statuses
from experiments.status_document import format_status

_STYLES = {State.MEASURED: "green", State.STALE: "yellow", State.FAILED: "red", State.GATED: "magenta"}
_LISTED = 4  # files in a message
# Below .cache: what cannot be made again for nothing.
_UNFINISHED = {
    "checkpoints": "from which unfinished runs go on",
    "slurm": "from which the answers of Slurm's jobs are taken",
}
_BESIDE_NAMES = 80  # columns of a table of runs; one of groups needs half of them
_WIDE = 200  # Columns off a terminal, so that no line is wrapped or cut.


# Of the paper: gives warnings, raises ConfigurationError. The report, which knows its rules, is not imported here.
Check = Callable[[Path, Plan], Sequence[str]]


def show_status(
    root: Path,
    patterns: Sequence[str],
    group: str | None,
    *,
    runs: bool,
    explain: bool,
    as_json: bool,
    check: Check,
) -> int:
    """Prints where groups stand, or with `runs` each run, and what CHECK finds wrong with the paper.

    3 where a record cannot be trusted, 2 where the paper is at fault, 0 otherwise.
    """
    plan, ledger = _open(root)
    chosen = {run.name for run in select(plan, patterns, group)}
    records, faults = ledger.inspect(plan)
    found = statuses(plan, ledger, root, devices=_find_devices(plan), records=records, cache=root / ".cache")
    damaged = {Path(fault.place).stem for fault in faults}
    found = tuple(_as_damaged(status) if status.run.name in damaged else status for status in found)
    shown = [status for status in found if status.run.name in chosen]
    if as_json:
        print(format_status(shown, faults))
    elif runs:
        _print_runs(shown, explain)
        print(summarize(shown))
    else:
        _print_groups([plan.group(group)] if group else list(plan.groups.values()), shown)
        print(summarize(shown))
    _print_faults(faults)
    try:
        _warn(check(root, plan))
    except ConfigurationError as error:
        _print_faults([error])
        return RecordFault.exit_code if faults else error.exit_code
    return RecordFault.exit_code if faults else 0


def _as_damaged(status: RunStatus) -> RunStatus:
    """Not pending: it was run, and what is left of it cannot be trusted."""
    return replace(status, state=State.FAILED, why="its record cannot be trusted; see the error")


def run_runs(
    root: Path,
    patterns: Sequence[str],
    group: str | None,
    *,
    check: Check,
    jobs: int = 1,
    force: bool = False,
    dry: bool = False,
    keep_going: bool = False,
    budget_seconds: float | None = None,
    executor: str = "local",
) -> int:
    """Runs what is missing or stale among the chosen runs (with `force`, all of them); 1 where a run failed.

    Raises:
        ConfigurationError: CHECK finds a fault of the paper, such as a claim on a cell that nobody plans.
        MissingTool: nothing can be run for want of a device, or the executor lacks a package or a daemon.
    """
    plan, ledger = _open(root)
    _warn(check(root, plan))
    chosen = {run.name for run in select(plan, patterns, group)}
    # What a cluster has, it says itself when it is asked for it.
    devices = _find_devices(plan) if executor == "local" else DEVICE_CLASSES
    jobs = _limit_jobs(jobs) if executor == "local" else jobs
    records, faults = ledger.inspect(plan)
    _print_faults(faults)
    broken = {Path(fault.place).stem for fault in faults} & chosen
    if broken and not force:
        raise ConfigurationError(f"run: the record of {min(broken)!r} is broken; restore it, or replace it by --force")
    found = statuses(plan, ledger, root, devices=devices, records=records, cache=root / ".cache")
    wanted = [item for item in found if item.run.name in chosen and (force or item.state is not State.MEASURED)]
    tasks = _leave_out_gated(wanted, devices)
    if not tasks:
        print(f"nothing to run: all {len(chosen)} chosen runs are recorded; --force runs them again")
        return 0
    _warn_of_uncommitted(root, {item.run.notebook for item in tasks})
    if dry:
        _announce_fitting(tasks, budget_seconds, jobs)
        return 0
    _announce(tasks)
    place = (root.absolute(), ledger, root.absolute() / ".cache", jobs)
    options = {"keep_going": keep_going, "budget_seconds": budget_seconds, "force": force}
    return _run(_find_executor(executor)(*place, **options), tasks)


def rehearse(root: Path, jobs: int) -> int:
    """Runs the plan's rehearsal into `.smoke`, which is emptied first; 1 where a run failed."""
    folder = root / ".smoke"
    _refuse_running(folder / "cache", "smoke")
    shutil.rmtree(folder, ignore_errors=True)
    plan, ledger = load_plan(root / "experiments" / "plan.yaml", smoke=True), Ledger(folder)
    tasks = [status for status in statuses(plan, ledger, root) if status.run.name not in plan.unrehearsed]
    return _run(LocalExecutor(root, ledger, folder / "cache", _limit_jobs(jobs), warm=True), tasks)


def accept(root: Path, patterns: Sequence[str], why: str) -> int:
    """Keeps the stale records of the chosen runs, for a reason.

    Raises:
        ConfigurationError: a run that is named itself has no record, or the only one that is chosen is not stale.
    """
    plan, ledger = _open(root)
    chosen = {run.name for run in select(plan, patterns)}
    found = [status for status in statuses(plan, ledger, root) if status.run.name in chosen]
    for status in found:
        if status.record is None and status.run.name in patterns:
            raise ConfigurationError(f"accept: run {status.run.name!r} has no record; run it first")
    recorded = [(status, status.record) for status in found if status.record is not None]
    if not recorded:
        raise ConfigurationError(f"accept: none of the {len(chosen)} chosen runs has a record; run them first")
    stale = [(status, record) for status, record in recorded if status.state is State.STALE]
    if not stale and len(recorded) == 1:
        raise ConfigurationError(
            f"accept: the record of {recorded[0][1].run!r} is not stale; there is nothing to accept"
        )
    for status, record in stale:
        ledger.accept(record, status.key, why)
        print(f"{record.run}: accepted, although {'; '.join(status.changes)}")
    if not stale:
        print(f"none of the {len(recorded)} chosen records is stale")
    return 0


def clean(root: Path, *, checkpoints: bool, dry: bool) -> int:
    """Removes what can be made again: never a record, and what unfinished runs need only if told so."""
    cache = root / ".cache"
    for busy in (cache, root / ".smoke" / "cache"):
        _refuse_running(busy, "clean")
    kept = () if checkpoints else (*_UNFINISHED, *LOCKS)
    entries = sorted(cache.iterdir()) if cache.is_dir() else []
    targets = [root / "report" / "out", root / ".smoke", *(entry for entry in entries if entry.name not in kept)]
    for path in targets:
        if not path.exists() and not path.is_symlink():
            continue
        print(f"{'would remove' if dry else 'removed'} {path.relative_to(root).as_posix()}")
        if not dry:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name, why in _UNFINISHED.items():
        if not checkpoints and (cache / name).is_dir() and any((cache / name).iterdir()):
            print(f"kept .cache/{name}, {why}; --checkpoints removes it too")
    return 0


def diagnose(root: Path) -> int:
    """Prints what this machine has and lacks; 5 where the report cannot be built."""
    plan = load_plan(root / "experiments" / "plan.yaml")
    findings = doctor.examine(root, plan)
    table = Table("", "what", "found", "needed for", "remedy", box=None, pad_edge=False)
    for item in findings:
        mark = Text("ok", "green") if item.good else Text("MISSING" if item.vital else "missing", "red")
        table.add_row(mark, item.name, Text(item.found), item.purpose, Text("" if item.good else item.remedy))
    _console().print(table)
    return MissingTool.exit_code if any(item.vital and not item.good for item in findings) else 0


def summarize(found: Iterable[RunStatus]) -> str:
    """A line: how many runs are in each state, and what those still to be run will cost."""
    found = list(found)
    words = ", ".join(f"{count} {state}" for state, count in count_states(found).items())
    missing = [status for status in found if status.state is not State.MEASURED]
    return f"{len(found)} run{'s' if len(found) != 1 else ''}: {words or 'none'}{'; ' + _price_of(missing) if missing else ''}"


def count_states(found: Sequence[RunStatus]) -> dict[State, int]:
    """How many runs are in each state that any is in."""
    counts = {state: sum(status.state is state for status in found) for state in State}
    return {state: count for state, count in counts.items() if count}


def _refuse_running(cache: Path, verb: str) -> None:
    """What a run works with may not be taken away from it."""
    if running := Workspace.list_running(cache):
        raise ConfigurationError(f"{verb}: {running[0]} is running; wait for it or stop it")


def _open(root: Path) -> tuple[Plan, Ledger]:
    return load_plan(root / "experiments" / "plan.yaml"), Ledger(root / "experiments")


def _limit_jobs(jobs: int) -> int:
    """As many runs of JOBS at once as each has a core: more would only wait for each other, and be timed while they wait."""
    cores = count_cores()
    if jobs > cores:
        told = f"{cores} cores" if cores != 1 else "one core"
        print(f"--jobs {jobs}: this process may use {told}; {cores} at once", file=sys.stderr)
    return min(jobs, cores)


def _find_devices(plan: Plan) -> tuple[str, ...]:
    """This machine's device classes; looked for only where the plan needs one, for that takes a second."""
    needed = {run.needs for run in plan.runs.values()} - {None, "cpu"}
    return doctor.find_devices() if needed else ("cpu",)


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _warn_of_uncommitted(root: Path, notebooks: Iterable[str]) -> None:
    """Says which code of the runs no commit holds: their records could not be checked out, which is found too late."""
    code = [root / "experiments/plan.yaml", *find_all_code(notebooks, root, root / ".cache")]
    try:
        if read_head(root) is None:
            _warn(["git has no commit here; a record names the commit of its code: `git init` and commit first"])
            return
        found = [*list_untracked(root, code), *(list_changed(root) or ())]
    except GitFailed as error:
        _warn([f"{error}; the record will not name the commit of its code"])
        return
    if not found:
        return
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    names = ", ".join(found[:_LISTED]) + more
    _warn([f"not committed: {names}; a record names the commit of its code: commit first"])


def _find_executor(name: str) -> type[Executor]:
    """The class behind a name of `--executor`; imports only what that one needs."""
    if name == "slurm":
        from experiments.running.slurm import SlurmExecutor

        return SlurmExecutor
    if name == "ray":
        from experiments.running.ray_cluster import RayExecutor

        return RayExecutor
    return LocalExecutor


def _run(executor: Executor, tasks: Sequence[RunStatus]) -> int:
    with open_monitor(len(tasks)) as monitor:
        outcome = executor.run(tasks, monitor)
    _print_outcome(outcome)
    return 1 if outcome.failed else 0


def _print_outcome(outcome: RunsOutcome) -> None:
    words = f"{len(outcome.recorded)} recorded, {len(outcome.failed)} failed, {len(outcome.skipped)} not begun"
    print(words + "".join(f"\n  not begun: {run.name}: {why}" for run, why in outcome.skipped))


def _leave_out_gated(wanted: Sequence[RunStatus], devices: Collection[str]) -> list[RunStatus]:
    """Those of the runs that can be computed on these DEVICES; says which cannot. Raises MissingTool where none can."""
    tasks = []
    for item in wanted:
        if item.run.needs in (None, *devices):
            tasks.append(item)
        else:
            print(f"{item.run.name}: not run, {item.why or 'its device is not there'}")
    if wanted and not tasks:
        raise MissingTool(f"all {len(wanted)} runs need a device that this machine lacks; see `build.py doctor`")
    return tasks


def _fitting(tasks: Sequence[RunStatus], budget_seconds: float | None, jobs: int) -> list[RunStatus]:
    """The runs that would be begun within the budget if each took its price, JOBS at a time, in their order."""
    if budget_seconds is None:
        return list(tasks)
    free, found = [0.0] * jobs, list[RunStatus]()
    for task in tasks:
        begun = free.index(min(free))
        if free[begun] + task.price.seconds <= budget_seconds:
            free[begun] += task.price.seconds
            found.append(task)
    return found


def _announce_fitting(tasks: Sequence[RunStatus], budget_seconds: float | None, jobs: int) -> None:
    """What of the tasks would be run within the budget, and how many are left."""
    fitting = _fitting(tasks, budget_seconds, jobs)
    _announce(fitting)
    if more := len(tasks) - len(fitting):
        print(f"{more} more {'do' if more != 1 else 'does'} not fit into {format_seconds(budget_seconds or 0)}")


def _announce(tasks: Sequence[RunStatus]) -> None:
    for task in tasks:
        why = f" ({task.why})" if task.state in (State.STALE, State.FAILED) else ""
        print(f"{task.run.name}: {task.state}{why}, {describe_price(task.price)}")
    print(f"{len(tasks)} run{'s' if len(tasks) != 1 else ''} to do: {_price_of(tasks)}")


def _price_of(found: Sequence[RunStatus]) -> str:
    """What runs will cost together; a guess, or extrapolated, where any of the prices is."""
    seconds = sum(status.price.seconds for status in found)
    devices = sorted({status.price.device_class for status in found})
    return f"about {format_seconds(seconds)} on {' and '.join(devices)}{reservation(s.price for s in found)}"


def _print_groups(groups: Sequence[Group], found: Sequence[RunStatus]) -> None:
    """A line a group: how many of its runs are in each state, and the price of the rest on each device class."""
    devices = tuple(by_device(status.every_price for status in found))
    columns = ("group", "runs", *(f"rest on {device}" for device in devices), "state")
    table = Table(*columns, box=None, pad_edge=False)
    table.columns[0].no_wrap = True  # of a name that is cut nobody knows which it is
    for column in table.columns[1:-1]:
        column.justify = "right"
    for group in groups:
        members = {run.name for run in group.runs}
        listed = [status for status in found if status.run.name in members]
        prices = by_device(status.every_price for status in listed if status.state is not State.MEASURED)
        totals = [_words_of_total(prices.get(device, ())) for device in devices]
        state = Text(", ").join(
            Text(f"{count} {state}", _STYLES.get(state, "")) for state, count in count_states(listed).items()
        )
        table.add_row(group.name, str(len(listed)), *totals, state)
    longest = max((len(group.name) for group in groups), default=0)
    _console(least=longest + _BESIDE_NAMES // 2).print(table)
    print("A run of several groups counts in each. ~ extrapolated from other cells' runs, ? by a speed that is a guess")


def _words_of_total(prices: Sequence[Price]) -> str:
    """What runs cost together, with a mark for what it rests on; empty for none."""
    if not prices:
        return ""
    mark = {" (a guess)": "?", " (extrapolated)": "~"}.get(reservation(prices), "")
    return f"{mark} {format_seconds(sum(price.seconds for price in prices))}".strip()


def _print_runs(found: Sequence[RunStatus], explain: bool) -> None:
    table = Table("run", "state", "result or price", "why", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for status in found:
        record = status.record
        accuracy = record.metrics.get("test_accuracy") if record is not None else None
        result = (
            f"{accuracy:.2%}"
            if accuracy is not None and status.state is State.MEASURED
            else describe_price(status.price)
        )
        why = "\n".join(status.changes) if explain and status.changes else status.why
        table.add_row(status.run.name, Text(status.state, _STYLES.get(status.state, "")), result, Text(why))
    longest = max((len(status.run.name) for status in found), default=0)
    _console(least=longest + _BESIDE_NAMES).print(table)


def _print_faults(faults: Sequence[ReproductionError]) -> None:
    errors = Terminal(stderr=True, soft_wrap=True)
    for fault in faults:
        errors.print(f"error: {fault}", style="red", markup=False, highlight=False)


def _console(least: int = 0) -> Terminal:
    """Of LEAST columns: a narrower terminal breaks the lines itself, where a table would break words into letters."""
    console = Terminal(highlight=False)
    if not console.is_terminal:
        return Terminal(highlight=False, width=_WIDE)
    return console if console.width >= least else Terminal(highlight=False, width=least)
