"""The tables of procedure: settings beside the originals', what is missing, machines, cost."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from experiments.prices import Price, by_device, reservation, rough_hours
from experiments.spec import Record, State
from experiments.status import RunStatus
from report.facts import Facts, total
from report.judge.gates import setting_text, settings_text
from report.listings.result_tables import DASH, Declaration
from report.listings.run_list import devices_of, state_counts
from report.quantities import Kind, Quantity, Tier, count
from report.sentences import PLANNED, PRICED, Numbers, Sentence, counted, goes_with, joined
from report.tables import Cell, Column, Table
from report.unknown import UnknownName
from report.words import amount, ascending, in_words

_BASES = {
    "recorded": "recorded runs of the same cell",
    "extrapolated": "recorded runs of other cells, extrapolated by arithmetic",
    "guess": "an assumed speed, a guess",
}
_DIFFERS = " (differs)"
PROVENANCE = ("cpu", "gpu", "driver", "device_class", "threads", "platform", "python")


def settings(declared: Declaration, facts: Facts) -> Table:
    """One line a setting: each original's value and, beside it, what our runs of the groups named for it resolved."""
    protocols = {name: facts.protocol(name) for name in declared.options["protocols"]}
    planned: dict[str, list[str]] = declared.options["groups"]
    if unknown := planned.keys() - protocols.keys():
        raise UnknownName(f"groups: {min(unknown)!r} is none of the table's protocols: {', '.join(protocols)}")
    recorded = {group: facts.evidence.recorded(group) for groups in planned.values() for group in groups}
    names = dict.fromkeys(name for protocol in protocols.values() for name in protocol.settings)
    values = {group: [settings_text(records, name) for name in names] for group, records in recorded.items() if records}
    beside = {id: _alike([group for group in planned.get(id, ()) if group in values], values) for id in protocols}
    columns = [Column("setting", "Setting")]
    texts = [[in_words(name) for name in names]]  # column by column
    for id, protocol in protocols.items():
        wanted = [setting_text(protocol.settings[name]) if name in protocol.settings else DASH for name in names]
        columns.append(Column(id.replace("-", "_"), protocol.title[:1].upper() + protocol.title[1:]))
        texts.append(wanted)
        for groups in beside[id]:
            columns.append(Column(f"ours_{groups[0].replace('-', '_')}", f"Ours, {' and '.join(groups)}"))
            texts.append(_beside(wanted, values[groups[0]]))
    rows: list[tuple[Cell, ...]] = list(zip(*texts, strict=True))
    have = [group for id in protocols for groups in beside[id] for group in groups]
    return declared.table(_settings_finding(declared, rows, have), tuple(columns), rows)


def _beside(wanted: Iterable[str], ours: Iterable[str]) -> list[str]:
    """OURS, marked where the original WANTED something else."""
    return [f"{own}{_DIFFERS}" if their not in (DASH, own) else own for their, own in zip(wanted, ours, strict=True)]


def _settings_finding(declared: Declaration, rows: list[tuple[Cell, ...]], groups: list[str]) -> str:
    """In how many ROWS any of our GROUPS differs from an original."""
    if not groups:
        return "No run of the groups that belong beside them counts yet, so that only the originals' are shown."
    differing = sum(any(str(cell).endswith(_DIFFERS) for cell in row) for row in rows)
    numbers = declared.numbers()
    those = numbers.count("differing", differing, "settings in which runs are not the original's")
    every = numbers.count("settings", len(rows), "settings of the protocols")
    several = Sentence(those, " of ", every, f" settings {goes_with(those, 'differs', 'differ')} somewhere")
    found = several if differing else "no setting differs"
    return Sentence(f"Beside them, of the groups with runs: {', '.join(groups)}; ", found, " from the original's.")


def _alike(groups: Iterable[str], values: Mapping[str, list[str]]) -> list[list[str]]:
    """GROUPS by their settings: those that have all alike share a column."""
    found: dict[tuple[str, ...], list[str]] = {}
    for group in groups:
        found.setdefault(tuple(values[group]), []).append(group)
    return list(found.values())


def missing(declared: Declaration, facts: Facts) -> Table:
    """One line a group that is not complete: the question it would answer, what it waits for, and the price."""
    rows: list[tuple[Cell, ...]] = []
    everything = [status for status in facts.evidence.runs() if status.state is not State.MEASURED]
    devices = tuple(by_device(status.every_price for status in everything))
    for name, group in facts.evidence.groups.items():
        waiting = [status for status in facts.evidence.runs(name) if status.state is not State.MEASURED]
        if waiting:
            prices = (price(f"price/{name}", waiting, device) for device in devices)
            states = state_counts(waiting, Numbers(f"table/{declared.name}/{name}", PLANNED))
            rows.append((name, group.question, states, *prices))
    columns = (
        Column("group", "Group"),
        Column("question", "Question it would answer"),
        Column("runs", "Runs"),
        *(Column(f"hours_{device}", f"Price on {device_words(device)}", "h", "right") for device in devices),
    )
    if not everything:
        return declared.table("Nothing: every planned run is recorded.", columns, rows)
    numbers = Numbers(f"table/{declared.name}", PRICED)
    runs = counted(numbers.count("runs", len(everything), "runs to come"), "run")
    totals = joined(
        " or ",
        (
            Sentence(
                numbers.rough_time(device, math.fsum(item.seconds for item in prices), f"their price on {device}"),
                f" on {device_words(device)}{reservation(prices)}",
            )
            for device, prices in by_device(status.every_price for status in everything).items()
        ),
    )
    return declared.table(Sentence(runs, ", about ", totals, " in all."), columns, rows)


def device_words(device_class: str) -> str:
    """How a reader calls DEVICE_CLASS, which is what a program asks for."""
    return {"cpu": "a CPU", "cuda": "a GPU"}.get(device_class, device_class)


def price_basis(prices: Iterable[Price]) -> str:
    """What PRICES rest on, in words; several bases are all named."""
    found = {price.basis for price in prices}
    return "; ".join(words for basis, words in _BASES.items() if basis in found)


def price(id: str, waiting: Iterable[RunStatus], device: str = "") -> Quantity:
    """The hours that runs not measured yet would take on DEVICE, or on the usual one: an estimate, printed so."""
    statuses = [status for status in waiting if status.state is not State.MEASURED]
    listed = [status.price for status in statuses]
    if device:
        id, listed = f"{id}/{device}", list(by_device(status.every_price for status in statuses).get(device, ()))
    basis = price_basis(listed) or "nothing"
    devices = ", ".join(sorted({item.device_class for item in listed}))
    aggregate = f"price of {amount(len(listed), 'run')}, from {basis}" + (f" ({devices})" if devices else "")
    seconds = math.fsum(item.seconds for item in listed)
    printed = rough_hours(seconds)
    return Quantity(id, Kind.HOURS, seconds / 3600, aggregate=aggregate, tier=Tier.COMPUTED, quoted=printed)


def environment(declared: Declaration, facts: Facts) -> Table:
    """One line a fact of the machines and versions, with the number of runs it holds for."""
    records = facts.evidence.recorded()
    rows: list[tuple[Cell, ...]] = []
    for name in PROVENANCE:
        rows.extend(_environment_rows(name, [record.provenance.get(name) for record in records]))
    for package in sorted({package for record in records for package in record.provenance["versions"]}):
        versions = [record.provenance["versions"].get(package) for record in records]
        rows.extend(_environment_rows(package, versions))
    columns = (Column("name", "What"), Column("value", "Value"), Column("runs", "Runs", align="right"))
    every = count(f"table/{declared.name}/runs", len(records), "recorded runs", origin=(r.run for r in records))
    where = f" on: {devices_of(records)}."
    finding = Sentence(counted(every, "run"), where) if records else "No run is recorded yet."
    return declared.table(finding, columns, rows)


def _environment_rows(name: str, values: list[Any]) -> list[tuple[Cell, ...]]:
    listed = [str(value) for value in values if value is not None]
    tally = Counter(listed)
    return [
        (
            name.replace("_", " "),
            value,
            count(f"environment/{name}/{value}", tally[value], f"recorded runs with {name} {value}"),
        )
        for value in ascending(listed)
    ]


def cost(declared: Declaration, facts: Facts) -> Table:
    """One line a group with records, and the total: runs, attempts, hours, time a run, memory, energy."""
    rows: list[tuple[Cell, ...]] = []
    for name in facts.evidence.groups:
        if records := facts.evidence.recorded(name):
            rows.append((name, *cost_quantities(name, records)))
    everything = facts.evidence.recorded()
    if everything:
        rows.append(("all, each run once", *cost_quantities(facts.evidence.whole, everything)))
    columns = (
        Column("group", "Group"),
        Column("runs", "Runs", align="right"),
        Column("attempts", "Attempts", align="right"),
        Column("hours", "Time", "h", "right"),
        Column("seconds", "A run", "s", "right"),
        Column("memory", "Peak memory", "MiB", "right"),
        Column("energy", "Energy", "kWh", "right"),
    )
    if all(row[-1] == DASH for row in rows):  # read nowhere: a column of dashes says no more than its absence
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    finding = "No run is recorded yet."
    if everything:
        runs, _, hours, *_ = cost_quantities(facts.evidence.whole, everything)
        finding = Sentence(counted(runs, "run"), ", ", hours, " in all.")
    return declared.table(finding, columns, rows)


def cost_quantities(name: str, records: tuple[Record, ...]) -> tuple[Cell, ...]:
    """Runs, attempts, hours, mean seconds a run, largest peak memory, energy of RECORDS (at least one)."""
    time = "wall-clock time of the recorded runs"
    return (
        count(f"cost/{name}/runs", len(records), "recorded runs", origin=(record.run for record in records)),
        total(f"cost/{name}/attempts", Kind.COUNT, records, "attempts", "attempts of the recorded runs"),
        total(f"cost/{name}/hours", Kind.HOURS, records, "seconds", time, 1 / 3600),
        seconds_a_run(name, records),
        peak_memory(name, records) or DASH,
        energy(name, records) or DASH,
    )


def seconds_a_run(name: str, records: tuple[Record, ...]) -> Quantity:
    """The mean wall-clock time of RECORDS."""
    value = math.fsum(float(record.cost["seconds"] or 0.0) for record in records) / len(records)
    return _measured(f"cost/{name}/seconds-a-run", Kind.SECONDS, value, records, "mean wall-clock time of a run")


def peak_memory(name: str, records: tuple[Record, ...]) -> Quantity | None:
    """The largest peak memory of RECORDS in MiB; None where none was read."""
    peaks = [float(value) for record in records if (value := record.cost.get("peak_memory_mib")) is not None]
    if not peaks:
        return None
    return _measured(f"cost/{name}/memory", Kind.MEMORY, max(peaks), records, "largest peak memory of a run")


def energy(name: str, records: tuple[Record, ...]) -> Quantity | None:
    """The energy of RECORDS in kWh; None unless it was read in every run."""
    joules = [record.cost.get("energy_joules") for record in records]
    if not joules or None in joules:
        return None
    value = math.fsum(float(value or 0.0) for value in joules) / 3.6e6
    return _measured(f"cost/{name}/energy", Kind.NUMBER, value, records, "energy of the device, in kWh")


def _measured(id: str, kind: Kind, value: float, records: tuple[Record, ...], aggregate: str) -> Quantity:
    origin = tuple(record.run for record in records)
    return Quantity(id, kind, value, origin=origin, aggregate=aggregate, tier=Tier.RUN_HERE)
