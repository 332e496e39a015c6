"""The table of all runs, one a line; on paper one cell a line where there are too many to be read there."""

from collections import Counter
from collections.abc import Iterable
from functools import cache

from experiments.spec import ACCURACY, Record, State
from experiments.status import RunStatus
from report.cells import CellEvidence
from report.facts import Facts, run_accuracy, run_number
from report.listings.result_tables import DASH, Declaration
from report.quantities import Kind, count
from report.sentences import PLANNED, Numbers, Sentence, counted, goes_with, joined
from report.tables import Cell, Column, Table
from report.words import amount, first_few, listed

PAPER_ROWS = 100  # about two pages; a list of more runs is looked up by a machine, not read
_NAMED = 3  # at most this many commits of a cell are named


def runs(declared: Declaration, facts: Facts) -> Table:
    """One line a run of the plan: its state and, where it is measured, accuracy, time and device."""
    listed = facts.evidence.runs()
    columns = (
        Column("run", "Run"),
        Column("state", "State"),
        Column("accuracy", "Accuracy", "%", "right"),
        Column("seconds", "Time", "s", "right"),
        Column("device", "Device"),
        Column("commit", "Commit"),
    )
    rows = [_run_row(status) for status in listed]
    condensed = _condense(declared, facts) if len(rows) > PAPER_ROWS else None
    return declared.table(_finding(declared, facts), columns, rows, condensed)


def accepted(declared: Declaration, facts: Facts) -> Table:
    """One line a reason: the runs that count by a person's word although the code changed after them."""
    kept = [status for status in facts.evidence.runs() if status.acceptance is not None]
    by_reason: dict[str, dict[str, list[int]]] = {}
    for status in kept:
        for reason in dict.fromkeys(item["why"] for item in (status.record.accepted if status.record else ())):
            by_reason.setdefault(reason, {}).setdefault(status.run.cell, []).append(status.run.seed)
    rows: list[tuple[Cell, ...]] = [
        (reason, "; ".join(f"{cell}, {_seeds(seeds)}" for cell, seeds in cells.items()))
        for reason, cells in by_reason.items()
    ]
    runs = tuple(status.run.name for status in kept)
    number = count(f"table/{declared.name}/accepted", len(kept), "records that were accepted", origin=runs)
    finding = Sentence(counted(number, "record"), f" {goes_with(number, 'was', 'were')} accepted.")
    return declared.table(finding, (Column("reason", "Reason"), Column("runs", "Runs")), rows)


def _finding(declared: Declaration, facts: Facts) -> str:
    numbers = Numbers(f"table/{declared.name}", PLANNED)
    found = [state_counts(facts.evidence.runs(), numbers)]
    if dirty := sum(bool(record.provenance["dirty"]) for record in facts.evidence.recorded()):
        changed = numbers.count("changed", dirty, "records of a checkout with changes")
        found.append(Sentence(changed, " recorded from code that was not committed"))
    if kept := sum(status.acceptance is not None for status in facts.evidence.runs()):
        accepted = numbers.count("accepted", kept, "records that were accepted")
        found.append(Sentence(accepted, " accepted though the code changed later"))
    return Sentence(joined("; ", found), ".") if found[0] else ""


def state_counts(statuses: Iterable[RunStatus], numbers: Numbers) -> Sentence:
    """How many runs are in each state: `3 measured, 1 stale`."""
    tally = Counter(status.state for status in statuses)
    return joined(
        ", ",
        (
            Sentence(numbers.count(state.value, tally[state], f"runs {state.value}"), f" {state.value}")
            for state in State
            if tally[state]
        ),
    )


def _run_row(status: RunStatus) -> tuple[Cell, ...]:
    record = status.record
    state = status.state.value
    if status.acceptance is not None:
        state = f"{state}, accepted"
    elif status.why and status.state is not State.PENDING:
        state = f"{state}: {status.why}"
    if status.state is not State.MEASURED or record is None:
        return status.run.name, state, DASH, DASH, DASH, DASH
    accuracy = run_accuracy(record) if ACCURACY in record.metrics else DASH
    seconds = run_number(record, "seconds", Kind.SECONDS) or DASH
    return status.run.name, state, accuracy, seconds, device_of(record), commit_of(record)


def _condense(declared: Declaration, facts: Facts) -> Table:
    """One line a cell, for paper; the caption says where its runs are listed one by one."""
    columns = (
        Column("cell", "Cell"),
        Column("n", "Runs", align="right"),
        Column("seeds", "Seeds"),
        Column("accuracy", "Accuracy", "%", "right"),
        Column("seconds", "Time", "s", "right"),
        Column("device", "Device"),
        Column("commit", "Commit"),
    )
    numbers = Numbers(f"table/{declared.name}", PLANNED)
    where = Sentence(
        "Here the cells, a line each; the ",
        numbers.count("runs", len(facts.evidence.runs()), "planned runs"),
        f" runs, a line each, stand in the Markdown and HTML reports and in tables/{declared.name}.csv. A run's name is its "
        f"cell's with the seed. Accuracy and time are means over the runs with the 95 % t interval. {declared.note}".rstrip(),
    )
    every = facts.evidence.cells()
    begun = [cell for cell in every if any(status.state is not State.PENDING for status in cell.statuses)]
    if left_out := len(every) - len(begun):
        left = numbers.count("cells-left-out", left_out, "cells of which no run has begun")
        cells = numbers.count("cells", len(every), "planned cells")
        are = goes_with(left, "is", "are")
        where = Sentence(where, " ", left, " of ", cells, f" cells, of which no run has begun, {are} left out here.")
    rows = [_cell_row(cell) for cell in begun]
    devices = {row[-2] for row in rows}
    if len(devices) == 1:  # one device is told once
        where = Sentence(where, f" Device: {devices.pop()}.")
        columns, rows = (*columns[:-2], columns[-1]), [(*row[:-2], row[-1]) for row in rows]
    title = joined(" ", (declared.title, _finding(declared, facts)))
    return Table(declared.name, title, where, columns, tuple(rows))


def _cell_row(cell: CellEvidence) -> tuple[Cell, ...]:
    devices = devices_of(cell.records) or DASH
    commits = sorted({commit_of(record) for record in cell.records})
    named = first_few(commits, _NAMED) or DASH
    seconds = cell.quantity("seconds") if cell.records else DASH
    return cell.name, cell.n_of_planned, _ranges(cell.seeds) or DASH, cell.quantity(), seconds, devices, named


def _seeds(numbers: list[int]) -> str:
    """`seed 3`, `seeds 0–2, 5`."""
    return f"seed{'s' if len(numbers) > 1 else ''} {_ranges(sorted(numbers))}"


def _ranges(numbers: Iterable[int]) -> str:
    """Ascending NUMBERS with what follows upon each other joined: `0–24, 30`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in spans)


def commit_of(record: Record) -> str:
    """The commit that the run's code was at: `4764840`, `4764840 (changed)` where the checkout was dirty."""
    commit = record.provenance["commit"]
    if not commit:
        return "unknown"
    return f"{commit[:7]} (changed)" if record.provenance["dirty"] else str(commit[:7])


def devices_of(records: Iterable[Record]) -> str:
    """What runs were computed on, in words: `a CPU (1 and 2 threads); a GPU`."""
    threads: dict[str, set[int]] = {}
    for name, counts in map(_computed_on, records):
        threads.setdefault(name, set()).update(counts)
    return "; ".join(_device(name, tuple(sorted(threads[name]))) for name in sorted(threads))


def device_of(record: Record) -> str:
    """What the run was computed on, in words: the GPU, else the CPU with its threads."""
    return _device(*_computed_on(record))


def _computed_on(record: Record) -> tuple[str, tuple[int, ...]]:
    """The device, and the threads of a CPU."""
    gpu, cpu, threads = map(record.provenance.get, ("gpu", "cpu", "threads"))
    return (gpu, ()) if gpu else (cpu, (threads,))


@cache  # of thousands of runs, which name the same few
def _device(name: str, threads: tuple[int, ...]) -> str:
    counts = [f"{count:,}" for count in threads[:-1]] + [amount(count, "thread") for count in threads[-1:]]
    return f"{name} ({listed(counts)})" if counts else name
