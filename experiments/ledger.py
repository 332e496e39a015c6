"""The records on disk: read with distrust, written atomically, never overwritten by accident."""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import provenance
from experiments.files import write_atomically
from experiments.plan import Plan
from experiments.reading import MAX_RECORD_BYTES, REMEDY, Unreadable, find_deceiving, name_character, read_text
from experiments.schema import RecordFault
from experiments.spec import AlreadyRecorded, ConfigurationError, Record
from experiments.tampering import name_change

if TYPE_CHECKING:
    import pandas

    from experiments.status import RunStatus


_COSTS = ("seconds", "train_seconds", "work", "attempts", "peak_memory_mib")


class Ledger:
    """The records below a folder: `records/`, `executed/`, and the log of failures, which git does not track."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records_folder = folder / "records"
        self.executed_folder = folder / "executed"
        self.failures_path = folder / "failures.jsonl"

    def load(self, plan: Plan) -> list[Record]:
        """Every record, sorted by run.

        Raises:
            RecordFault: the first record at fault; where several are, the message lists them all.
        """
        records, faults = self.inspect(plan)
        if len(faults) > 1:
            first = faults[0]
            rest = "".join(f"\n{fault}" for fault in faults[1:])
            raise RecordFault(
                first.place, first.field, first.message + rest, expected=first.expected, found=first.found
            )
        if faults:
            raise faults[0]
        return records

    def inspect(self, plan: Plan) -> tuple[list[Record], list[RecordFault]]:
        """The sound records, sorted by run, and what is wrong with the others."""
        if self.records_folder.exists() and not self.records_folder.is_dir():
            raise ConfigurationError(
                f"{self._place(self.records_folder)}: it is a file; expected the folder of records"
            )
        records: list[Record] = []
        faults: list[RecordFault] = []
        known: dict[tuple[str, bytes], Any] = {}
        for path in self._record_paths():
            try:
                records.append(self._read(path, plan, known))
            except RecordFault as fault:
                faults.append(name_change(path, self._place(path), fault))
        return records, faults

    def _record_paths(self) -> list[Path]:
        """The records' files by name."""
        names = os.listdir(self.records_folder) if self.records_folder.is_dir() else ()
        return [self.records_folder / name for name in sorted(names) if name.endswith(".json")]

    def record_path(self, run: str) -> Path:
        """Where a run's record stands."""
        return self.records_folder / f"{run}.json"

    def executed_path(self, run: str) -> Path:
        """Where a run's executed notebook stands, if it is kept."""
        return self.executed_folder / f"{run}.ipynb"

    def save(self, record: Record, force: bool = False) -> Path:
        """Writes a record atomically: after a crash there is the whole new file, or what was there before.

        Raises:
            ConfigurationError: the run is recorded already and `force` is False.
        """
        path = self.record_path(record.run)
        if not force:
            self.refuse_recorded(record.run)
        write_atomically(path, record.to_text())
        return path

    def refuse_recorded(self, run: str) -> None:
        """Raises AlreadyRecorded where the run has a record, sound or not."""
        if self.record_path(run).exists():
            place = self._place(self.record_path(run))
            raise AlreadyRecorded(f"{place}: run {run!r} is recorded; use --force to replace it")

    def accept(self, record: Record, key: str, why: str) -> Record:
        """Keeps a stale record under today's key for a reason, which stands in the record from then on.

        Raises:
            ConfigurationError: the reason is empty, or holds a character for which the record would be refused.
        """
        if not why.strip():
            raise ConfigurationError(f"accept {record.run}: --why is empty; say why the record still counts")
        if (found := find_deceiving(why)) is not None:
            raise ConfigurationError(f"accept {record.run}: --why: found {name_character(found[0])}; {REMEDY}")
        accepted = record.accept(key, why.strip(), provenance.utc_now()[:10])
        self.save(accepted, force=True)
        return accepted

    def log_failure(self, run: str, key: str, error: str, notebook: str) -> None:
        """Adds a line to the log of failures: the run, its key, the error's last line, the notebook that shows it."""
        line = {"run": run, "when": provenance.utc_now(), "key": key, "error": error, "notebook": notebook}
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.failures_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def failures(self) -> dict[str, dict[str, str]]:
        """The last failure of each run; a line that was cut off by a crash is passed over."""
        last: dict[str, dict[str, str]] = {}
        if self.failures_path.is_file():
            for line in self.failures_path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    entry = json.loads(line)
                    last[entry["run"]] = {name: str(entry[name]) for name in ("run", "key", "error", "notebook")}
                except (ValueError, KeyError, TypeError):
                    continue
        return last

    def _read(self, path: Path, plan: Plan, known: dict[tuple[str, bytes], Any] | None = None) -> Record:
        """One record, which must be what its file's name and the plan say it is; KNOWN as in `Record.from_text`."""
        # As `_place` has it, which takes longer than to read the file.
        place = f"{self.folder.name}/{self.records_folder.name}/{path.name}"
        try:
            text = read_text(path, MAX_RECORD_BYTES)
        except Unreadable as error:
            raise RecordFault(place, "file", f"the record cannot be read: {error.why}") from error
        record = Record.from_text(text, place, known)
        if record.run != path.stem:
            message = f"found {record.run!r}, but the file is named {path.name!r}; a record was copied or renamed"
            raise RecordFault(place, "run", message, expected=repr(path.stem), found=repr(record.run))
        run = plan.runs.get(record.run)
        if run is None:
            remedy = "remove the file, or plan the run"
            message = f"{record.run!r} is not a run in {plan.path.name}; {remedy}"
            expected = f"a run of {plan.path.name}"
            raise RecordFault(place, "run", message, expected=expected, found=repr(record.run), remedy=remedy)
        if record.notebook != run.notebook:
            message = f"found {record.notebook!r}; the plan has {run.notebook!r}"
            raise RecordFault(place, "notebook", message, expected=repr(run.notebook), found=repr(record.notebook))
        self._check_name(record, plan, place)
        return record

    def _check_name(self, record: Record, plan: Plan, place: str) -> None:
        """The parameters must give the run's name: otherwise they, or the name, were changed."""
        try:
            name = plan.name_of(record.parameters)
        except ConfigurationError as error:
            raise RecordFault(place, "parameters", str(error)) from error
        if name != record.run:
            planned = plan.runs[record.run].parameters
            given = {**plan.naming.usual, **record.parameters}
            wrong = [item for item, value in planned.items() if given.get(item) != value]
            field = f"parameters.{wrong[0]}" if wrong else "parameters"
            message = f"the parameters are those of run {name!r}"
            if wrong:
                expected, found = repr(planned[wrong[0]]), repr(record.parameters.get(wrong[0]))
                raise RecordFault(
                    place, field, f"found {found}; expected {expected}: {message}", expected=expected, found=found
                )
            raise RecordFault(place, field, message, expected=record.run, found=name)

    def _place(self, path: Path) -> str:
        """The file's name as a message has it: from the ledger's folder on."""
        return path.relative_to(self.folder.parent).as_posix()

    def frame(self, statuses: Iterable["RunStatus"]) -> "pandas.DataFrame":
        """One row a record, in the plan's order, for whoever computes with the results.

        Columns: run, cell, groups (a tuple), notebook, state (text), why, seed and every other parameter, every
        metric, seconds, train_seconds, work (GFLOP), attempts, peak_memory_mib, device, device_class. A parameter with the
        name of another column is called parameter_<name>, a metric metric_<name>.
        """
        import pandas

        kept = [(status, status.record) for status in statuses if status.record is not None]
        records = [record for _, record in kept]
        head = {
            "run": [record.run for record in records],
            "cell": [status.run.cell for status, _ in kept],
            "groups": [status.run.groups for status, _ in kept],
            "notebook": [record.notebook for record in records],
            "state": [str(status.state) for status, _ in kept],
            "why": [status.why for status, _ in kept],
        }
        tail = {
            **{name: [record.cost.get(name) for record in records] for name in _COSTS},
            **{name: [record.provenance[name] for record in records] for name in ("device", "device_class")},
        }
        parameters = _set_apart("parameter", _columns([record.parameters for record in records]), head | tail)
        metrics = _set_apart("metric", _columns([record.metrics for record in records]), head | parameters | tail)
        return pandas.DataFrame(head | parameters | metrics | tail)


def _set_apart(kind: str, columns: Mapping[str, Sequence[Any]], others: Collection[str]) -> dict[str, Sequence[Any]]:
    """COLUMNS; one with the name of one of OTHERS has its KIND before its own."""
    return {f"{kind}_{name}" if name in others else name: column for name, column in columns.items()}


def _columns(rows: list[Mapping[str, Any]]) -> dict[str, Sequence[Any]]:
    """A column for each name that any of ROWS has; None where a row lacks it."""
    names = dict.fromkeys(chain.from_iterable(rows))
    columns = zip(*(tuple(map(row.get, names)) for row in rows), strict=True)  # a row at once stays in the cache
    return dict(zip(names, columns, strict=True)) if rows else {}
