"""Where every printed number comes from: its cells, runs and sources, how it was made, what makes it again.

Each quantity has an anchor, the place in the report that tells its origin: the row of its cell in the table of runs, or
a row of the table of origins, which the report makes itself for what no single cell stands behind. Every format links
to the same anchors, and provenance.json lists all that was printed.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import orjson

from experiments.spec import State
from report.context import Context
from report.evidence import Evidence
from report.plots.figure import Figure
from report.quantities import Quantity, Tier
from report.tables import Cell, Column, Table
from report.words import amount, first_few

VERSION = 2
ORIGINS_TABLE = "origins"  # the name of the table that the report makes itself
SECTION = f"""# Origin of the numbers {{#sec:origins .appendix}}

Every accuracy, difference, count, cost and price, in the text, in tables and their captions, in the reasons for a verdict
and in the rules, is a link to where it comes from: to its cell in the list of runs or, where no single cell stands behind
it, to a line of << ref("tab:{ORIGINS_TABLE}") >>. The file `provenance.json` beside the report lists each of them with its raw value,
its runs and their digests. Settings, seeds and levels of confidence are no results, and most of them no links; nor is a value
in the words of a claim, of a question or of a source.

<< table("{ORIGINS_TABLE}") >>
"""
_REBUILD = "python build.py"
_LISTED = 3  # at most this many cells of one origin are named
# What a number without runs and sources is made from, by the first word of its id.
_BASES = {
    "claim": "report/paper/claims.yaml, counted",
    "rules": "report/paper/claims.yaml",
    "count": "experiments/plan.yaml, the ledger and claims.yaml, counted",
    "cost": "the ledger, summed",
    "environment": "the provenance of the records, counted",
    "epochs": "experiments/plan.yaml",
    "price": "experiments/plan.yaml and the speed of the recorded runs",
    "setting": "experiments/plan.yaml",
}
_ELSE = "experiments/plan.yaml and the ledger"


@dataclass(frozen=True)
class Origin:
    """Where a quantity comes from; `anchor` is its place in the report, `sources` are texts that were quoted."""

    tier: Tier
    cells: tuple[str, ...]
    runs: tuple[str, ...]
    sources: tuple[str, ...]
    anchor: str
    command: str

    @property
    def words(self) -> str:
        """What stands behind it, for a table: cells, else sources, else the files that were counted."""
        if not self.cells:
            return "; ".join(self.sources)
        runs = amount(len(self.runs), "run") if self.runs else "no run yet"
        return f"{first_few(self.cells, _LISTED)}, {runs}"

    @property
    def is_waiting(self) -> bool:
        """Whether it has cells of which no run is recorded."""
        return bool(self.cells) and not self.runs


class Origins:
    """The origins of the quantities of one report."""

    def __init__(self, evidence: Evidence) -> None:
        self._cell_of = {status.run.name: status.run.cell for status in evidence.runs()}
        self._recorded = tuple(record.run for record in evidence.recorded())
        self._by_ci = {r.run for r in evidence.recorded() if r.provenance.get("executor") == "ci"}
        self._cells = frozenset(self._cell_of.values())
        self._found: dict[str, Origin] = {}  # by the quantity's id, which stands for one number

    def of(self, quantity: Quantity) -> Origin:
        """The origin of QUANTITY; one that waits for its runs has those of its cells."""
        if quantity.id not in self._found:
            self._found[quantity.id] = self._trace(quantity)
        return self._found[quantity.id]

    def cell_of(self, run: str) -> str | None:
        """The cell of RUN; None where the plan has no such run."""
        return self._cell_of.get(run)

    def tier_of(self, run: str) -> Tier:
        """Who ran RUN, which is recorded."""
        return Tier.RUN_BY_CI if run in self._by_ci else Tier.RUN_HERE

    def _trace(self, quantity: Quantity) -> Origin:
        known, named = self._cell_of, dict.fromkeys(quantity.origin)
        runs = tuple([name for name in named if name in known])
        sources = tuple([name for name in named if name not in known])
        cells = tuple(dict.fromkeys([known[run] for run in runs])) or self._cells_named(quantity.id)
        if not runs and quantity.state is State.NOT_COMPARABLE:  # it lacks a value, not its runs
            runs = tuple(run for run in self._recorded if self._cell_of[run] in cells)
        if not cells and not sources:
            sources = (_BASES.get(quantity.id.partition("/")[0], _ELSE),)
        tier = self._tier(quantity, runs)
        return Origin(tier, cells, runs, sources, _anchor(tier, cells, runs, sources), _command(tier, cells))

    def _cells_named(self, id: str) -> tuple[str, ...]:
        """The cells that an id names, as that of a pending difference does."""
        return tuple(dict.fromkeys(part for part in re.split("/|-minus-", id) if part in self._cells))

    def _tier(self, quantity: Quantity, runs: tuple[str, ...]) -> Tier:
        """How far a reader has to trust: one run's value as recorded, one computed from several, a quoted one."""
        if quantity.tier is Tier.QUOTED or not runs:
            return Tier.QUOTED if quantity.tier is Tier.QUOTED else Tier.COMPUTED
        if len(runs) > 1:
            return Tier.RE_AGGREGATED
        return self.tier_of(runs[0])


def _anchor(tier: Tier, cells: tuple[str, ...], runs: tuple[str, ...], sources: tuple[str, ...]) -> str:
    """The row of a single cell, else one that all numbers of the same runs share, in whichever order they name them."""
    if len(cells) == 1:
        return cell_anchor(cells[0])
    key = "\n".join((*sorted(cells), *sorted(runs)) if cells else (tier.value, *sources))
    return "from:" + hashlib.sha256(key.encode()).hexdigest()[:10]


def _command(tier: Tier, cells: tuple[str, ...]) -> str:
    if tier is Tier.QUOTED:
        return ""
    return f"{_REBUILD} run --force {' '.join(cells)}" if 0 < len(cells) <= _LISTED else _REBUILD


@cache  # a cell is asked for once for each of its runs
def cell_anchor(cell: str) -> str:
    """The anchor of CELL in the table of runs."""
    return "cell:" + _plain(cell)


def run_anchor(run: str) -> str:
    """The anchor of RUN in the table of runs."""
    return "run:" + _plain(run)


def _plain(name: str) -> str:
    """NAME as every format can have it in an anchor."""
    return re.sub(r"[^A-Za-z0-9.-]", lambda found: f"_{ord(found[0]):x}_", name)


def row_anchors(table: Table, origins: Origins) -> tuple[tuple[str, ...], ...]:
    """The anchors of each row of TABLE: of runs and cells in a table of runs or cells, in any other none.

    The first row of a cell is the cell's.
    """
    key, seen, found = table.columns[0].key, set[str](), []
    for row in table.rows:
        name, anchors = _name(row[0]), []
        cell = origins.cell_of(name) if key == "run" else name if key == "cell" else None
        if cell is not None and key == "run":
            anchors.append(run_anchor(name))
        if cell is not None and cell not in seen:
            seen.add(cell)
            anchors.append(cell_anchor(cell))
        found.append(tuple(anchors))
    return tuple(found)


def _name(cell: Cell) -> str:
    return cell if isinstance(cell, str) else ""


def origins_table(origins: Iterable[Origin], placed: Iterable[str]) -> tuple[Table, tuple[tuple[str, ...], ...]]:
    """The table of those ORIGINS whose anchor no other table has PLACED, and the anchors of its rows.

    All that waits for runs of which none is recorded shares a row.
    """
    there = set(placed)
    rest = {origin.anchor: origin for origin in origins if origin.anchor not in there}
    waiting = [origin for origin in rest.values() if origin.is_waiting]
    told = [origin for origin in rest.values() if not origin.is_waiting]
    listed = sorted(told, key=lambda origin: (origin.tier, origin.words, origin.anchor))
    columns = (Column("tier", "Kind"), Column("source", "From"))
    rows = [(origin.tier.value, origin.words) for origin in listed]
    anchors = [(origin.anchor,) for origin in listed]
    if waiting:
        cells = sorted({cell for origin in waiting for cell in origin.cells})
        rows.append(("pending", f"{first_few(cells, _LISTED)}, no run yet"))
        anchors.append(tuple(sorted(origin.anchor for origin in waiting)))
    note = (
        "Numbers of a single cell have their origin in the list of runs. Quoted ones are as printed there; "
        f"{_REBUILD} computes the others again from the records, and {_REBUILD} run --force with the names of cells "
        "repeats their runs."
    )
    title = "Where the numbers that stand for no single cell come from."
    return Table(ORIGINS_TABLE, title, note, columns, tuple(rows)), tuple(anchors)


def provenance(
    context: Context, origins: Origins, notebooks: Iterable[str], tables: Iterable[Table], figures: Iterable[Figure]
) -> dict[str, Any]:
    """Everything printed with its raw value and origin, and every record with its digest, as JSON has it.

    NOTEBOOKS are the runs whose executed notebook is kept. Words in TABLES and strokes in FIGURES have their origin as
    a whole: the file of their data.
    """
    kept = set(notebooks)
    records = {
        record.run: {
            "cell": origins.cell_of(record.run),
            "key": record.key,
            "digest": record.digest,
            "record": f"experiments/records/{record.run}.json",
            "notebook": f"experiments/executed/{record.run}.ipynb" if record.run in kept else None,
        }
        for record in context.evidence.recorded()
    }
    printed = {quantity.id: _entry(quantity, origins.of(quantity)) for quantity in context.registry.printed}
    return {
        "version": VERSION,
        "quantities": printed,
        "records": records,
        "tables": {table.name: {"title": table.title, "data": f"tables/{table.name}.csv"} for table in tables},
        "figures": {figure.name: _figure(figure) for figure in figures},
    }


def as_json(value: Mapping[str, Any]) -> Iterator[bytes]:
    """VALUE in lines that a person can read and git can compare, its names in order.

    It comes in pieces, an entry of each part after the other: the text of thousands of runs is never there as a whole.
    """
    yield b"{"
    for number, (name, part) in enumerate(sorted(value.items())):
        yield _entry_of(number, name, 2)
        if isinstance(part, Mapping) and part:
            yield b"{"
            for index, (key, item) in enumerate(sorted(part.items())):
                yield _entry_of(index, key, 4) + _indented(item, 4)
            yield b"\n  }"
        else:
            yield _indented(part, 2)
    yield b"\n}\n"


def _entry_of(number: int, name: str, depth: int) -> bytes:
    return (b"," if number else b"") + b"\n" + b" " * depth + orjson.dumps(name) + b": "


def _indented(value: Any, depth: int) -> bytes:
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    return text.replace(b"\n", b"\n" + b" " * depth)


def _figure(figure: Figure) -> Mapping[str, Any]:
    first, *more = (f"figures/{file}" for file in figure.files) if figure.files else (None,)
    return {"title": figure.title, "data": first, **({"more": more} if more else {})}


def _entry(quantity: Quantity, origin: Origin) -> Mapping[str, Any]:
    return {
        "text": quantity.parts.text,
        "value": quantity.value,
        "unit": quantity.parts.unit,
        "spread": asdict(quantity.spread) if quantity.spread else None,
        "state": quantity.state.value,
        "why": quantity.why,
        "n": quantity.n,
        "planned": quantity.planned,
        "tier": origin.tier.value,
        "aggregate": quantity.aggregate,
        "fidelity": asdict(quantity.fidelity) if quantity.fidelity else None,
        "cells": list(origin.cells),
        "runs": list(origin.runs),
        "sources": list(origin.sources),
        "command": origin.command,
        "anchor": origin.anchor,
    }
