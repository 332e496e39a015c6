"""The tables of results: parameter counts, rows beside the originals', and effects."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.spec import State
from report.cells import COMPUTING, CellEvidence, runs_of, varying_parameters
from report.comparisons import difference, gap
from report.facts import Facts
from report.original import EARLIER, PAPER, Quoted
from report.quantities import Quantity
from report.sentences import Numbers, Sentence, goes_with, joined
from report.tables import Cell, Column, Table
from report.unknown import UnknownName

DASH = "–"


@dataclass(frozen=True)
class Declaration:
    """One table as tables.yaml declares it; `options` are the fields that only its kind has."""

    name: str
    kind: str
    title: str
    note: str
    options: Mapping[str, Any]
    labels: Mapping[str, str]

    def table(
        self, finding: str, columns: tuple[Column, ...], rows: list[tuple[Cell, ...]], condensed: Table | None = None
    ) -> Table:
        """The finished table: the declared title followed by what the records say, the note by what its ± is."""
        columns, rows = _without_empty(columns, rows)
        note = joined(" ", (self.note, _spread_note(rows)))
        return Table(self.name, joined(" ", (self.title, finding)), note, columns, tuple(rows), condensed)

    def numbers(self, cells: Iterable[CellEvidence] = ()) -> Numbers:
        """The numbers of the caption, from the runs of CELLS; without any, from the rows."""
        return Numbers(f"table/{self.name}", runs_of(cells) or (f"tables/{self.name}.csv, counted",))

    def label(self, parameter: str) -> str:
        """The header of a cell's parameter."""
        return self.labels.get(parameter, parameter.replace("_", " ").capitalize())

    def sizes(self, cell: CellEvidence) -> tuple[Any, ...]:
        """The declared cell parameters of CELL; UnknownName for one that it lacks."""
        for name in self.options["columns"]:
            if name not in cell.parameters:
                valid = ", ".join(cell.parameters)
                raise UnknownName(f"columns: no parameter {name!r}; cells have {valid}")
        return tuple(cell.parameters[name] for name in self.options["columns"])

    def parameter_columns(self) -> tuple[Column, ...]:
        """The columns of the declared cell parameters."""
        return tuple(Column(name, self.label(name), align="right") for name in self.options["columns"])


def _without_empty(
    columns: tuple[Column, ...], rows: list[tuple[Cell, ...]]
) -> tuple[tuple[Column, ...], list[tuple[Cell, ...]]]:
    """COLUMNS and ROWS less the optional columns that have nothing but dashes."""
    kept = [
        index
        for index, column in enumerate(columns)
        if not (column.optional and rows and all(row[index] == DASH for row in rows))
    ]
    return tuple(columns[index] for index in kept), [tuple(row[index] for index in kept) for row in rows]


def _spread_note(rows: Iterable[tuple[Cell, ...]]) -> str:
    """`± is the 95 % t interval of the mean.`: every kind of spread in ROWS; empty where none has one."""
    cells = (cell for row in rows for cell in row)
    kinds = dict.fromkeys(cell.spread.kind for cell in cells if isinstance(cell, Quantity) and cell.spread)
    return f"± is the {', or the '.join(kinds)}." if kinds else ""


Builder = Callable[[Declaration, Facts], Table]


def parameter_counts(declared: Declaration, facts: Facts) -> Table:
    """Each model of the plan once: the quoted count, the formula's, and the recorded network's."""
    names = tuple(declared.options["columns"])
    cells = facts.evidence.having(declared.options["where"])
    models = _models(declared, cells)
    rows: list[tuple[Cell, ...]] = []
    agreeing = differing = 0
    foretold: list[bool] = []
    for sizes in sorted(models, key=lambda sizes: [(isinstance(size, str), size) for size in sizes]):
        named = {**models[sizes], **dict(zip(names, sizes, strict=True))}
        quoted = _quoted_counts(facts.original.values(), named, cells)
        formula, counted = facts.count_by_formula(named), facts.count_in_records(named)
        if counted is not None:
            agrees = _agree(quoted, formula, counted)
            agreeing, differing = agreeing + agrees, differing + (not agrees)
        if quoted and formula is not None:
            foretold.append(_is_as_quoted(quoted, formula))
        spelled = dict.fromkeys(row.parameters.quoted for row in quoted)
        there = ", ".join(spelled) if len(spelled) > 1 else quoted[0].parameters if quoted else DASH
        rows.append((*map(str, sizes), there, formula or DASH, counted or "not recorded"))
    columns = (
        *declared.parameter_columns(),
        Column("quoted", "Quoted", align="right", optional=True),
        Column("formula", "Formula", align="right", optional=True),
        Column("counted", "Counted in the recorded model", align="right"),
    )
    numbers = declared.numbers()
    every = numbers.count("models", len(rows), "models of the table")
    agree = numbers.count("agreeing", agreeing, "models whose recorded count agrees with the others")
    told = goes_with(agree, "is counted in a recorded model and agrees", "are counted in recorded models and agree")
    finding = Sentence(agree, " of ", every, f" {told}.")
    if differing:
        differ = numbers.count("differing", differing, "models whose recorded count is another one")
        there = numbers.count("counted", agreeing + differing, "models of which a record has the count")
        told = goes_with(differ, "differs", "differ")
        finding = Sentence(differ, " of ", there, f" recorded models {told} from the formula or from the quoted count.")
    if foretold:
        given = numbers.count("foretold", sum(foretold), "quoted counts that the formula gives to the last digit")
        quoted_ones = numbers.count("quoted", len(foretold), "quoted counts beside the formula's")
        finding = Sentence(
            finding, " The formula gives ", given, " of the ", quoted_ones, " quoted counts to the last digit."
        )
    return declared.table(finding, columns, rows)


def _models(declared: Declaration, cells: Iterable[CellEvidence]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The declared sizes of each model -> its data set, where the plan names one.

    Raises UnknownName where one line would stand for models on several data sets.
    """
    models: dict[tuple[Any, ...], dict[str, Any]] = {}
    for cell in cells:
        on = {name: cell.parameters[name] for name in ("dataset",) if name in cell.parameters}
        sizes = declared.sizes(cell)
        if models.setdefault(sizes, on) != on:
            raise UnknownName(
                f"columns: the same sizes are planned on {models[sizes]['dataset']} and {on['dataset']}; add 'dataset', or "
                "name one of them in `where`"
            )
    return models


def _quoted_counts(original: Iterable[Quoted], named: Mapping[str, Any], cells: Iterable[CellEvidence]) -> list[Quoted]:
    """The rows that quote the count of the model NAMED, the paper's before others'.

    What a row names beyond these sizes is that of one of the CELLS.
    """
    sizes = {name: value for name, value in named.items() if name != "dataset"}
    models = [cell.parameters for cell in cells if all(cell.parameters[name] == sizes[name] for name in sizes)]
    fitting = [
        row
        for row in original
        if row.parameters_thousands
        and row.is_on(named.get("dataset"))
        and sizes.keys() <= row.cell.keys()
        and any(all(model.get(name) == value for name, value in row.cell.items()) for model in models)
    ]
    return sorted(fitting, key=lambda row: row.who != PAPER)


def _agree(quoted: list[Quoted], formula: Quantity | None, counted: Quantity) -> bool:
    """Whether the recorded count is the formula's and, to its last digit, the quoted one, as far as there are these."""
    return _is_as_quoted(quoted, counted) and (formula is None or counted.value == formula.value)


def _is_as_quoted(quoted: list[Quoted], number: Quantity) -> bool:
    """Whether everybody who is QUOTED has this NUMBER."""
    return all(row.counts(number.value or 0) for row in quoted)


def comparison(declared: Declaration, facts: Facts) -> Table:
    """One line a cell of a group: what others report, ours, and the difference from the one of them named `against`."""
    cells = facts.evidence.cells(declared.options["group"])
    against: str = declared.options["against"]
    if against not in declared.options["beside"]:
        raise UnknownName(f"against: {against!r} is not among those beside: {', '.join(declared.options['beside'])}")
    others = {who: [_of_others(who, cell, against, facts) for cell in cells] for who in declared.options["beside"]}
    counts = [facts.parameters(cell.parameters) for cell in cells]
    is_counted = any(count.state is not State.GATED for count in counts)  # a method may have nothing to count
    rows: list[tuple[Cell, ...]] = []
    gaps = []
    for index, cell in enumerate(cells):
        quoted = others[against][index]
        delta = gap(cell, quoted) if quoted else None
        gaps.append(delta)
        beside = (listed[index] for listed in others.values())
        rows.append(
            (
                *map(str, declared.sizes(cell)),
                counts[index] if is_counted else DASH,
                *(row.accuracy if row else DASH for row in beside),
                cell.quantity(),
                delta or DASH,
            )
        )
    columns = (
        *declared.parameter_columns(),
        Column("parameters", "Parameters", align="right", optional=True),
        *(_column_of(who, found) for who, found in others.items()),
        Column("ours", f"Ours{_in_epochs({cell.parameters.get('epochs') for cell in cells})}", "%", "right"),
        Column("difference", f"Ours − {_name(against)}", "pp", "right"),
    )
    recorded = sum(cell.n > 0 for cell in cells)
    return declared.table(_comparison_finding(declared.numbers(cells), recorded, gaps, against), columns, rows)


def _of_others(who: str, cell: CellEvidence, against: str, facts: Facts) -> Quoted | None:
    """What WHO reports for the network of CELL, after as many epochs where we compare with it."""
    return facts.quoted_for(who, cell.parameters, cell.parameters.get("epochs") if who == against != PAPER else None)


def _column_of(who: str, rows: list[Quoted | None]) -> Column:
    name = _name(who)
    return Column(name.replace(" ", "_"), f"{name[0].upper()}{name[1:]}{_epochs_of(rows)}", "%", "right")


def _name(who: str) -> str:
    """What a page calls WHO: the paper is the original."""
    return "original" if who == PAPER else who


def _epochs_of(rows: list[Quoted | None]) -> str:
    return _in_epochs({row.epochs for row in rows if row is not None})


def _in_epochs(epochs: set[int | None]) -> str:
    listed = sorted(value for value in epochs if value is not None)
    return f" ({' or '.join(map(str, listed))} epoch{'s' if listed != [1] else ''})" if listed else ""


def _comparison_finding(numbers: Numbers, recorded: int, gaps: list[Quantity | None], against: str) -> str:
    """How many rows have a run, and how far our means lie from the others', of those that compare."""
    if not recorded:
        return "None of these rows is recorded yet."
    there = numbers.count("recorded", recorded, "rows of which a run is recorded")
    every = numbers.count("rows", len(gaps), "rows of the table")
    finding = Sentence(there, " of ", every, f" rows {goes_with(there, 'is', 'are')} recorded")
    values = [delta.value for delta in gaps if delta is not None and delta.value is not None]
    theirs = f"{'the ' if against in (PAPER, EARLIER) else ''}{_name(against)}'s"
    if not values:
        return Sentence(finding, f"; none of them compares with {theirs}.")
    low = numbers.difference("lowest", min(values), f"lowest of our means minus {theirs}")
    high = numbers.difference("highest", max(values), f"highest of our means minus {theirs}")
    where = (
        Sentence("lies ", low, " from") if len(values) == 1 else Sentence("lie between ", low, " and ", high, " from")
    )
    comparing = numbers.count("compared", len(values), f"means that compare with {theirs}")
    ours = (
        "our mean"
        if recorded == 1
        else "our means"
        if len(values) == recorded
        else Sentence(comparing, " of our means")
    )
    return Sentence(finding, "; ", ours, " ", where, f" {theirs}.")


def effects(declared: Declaration, facts: Facts) -> Table:
    """One line a level of each sweep: its accuracy and the step from the level before."""
    asked = [(sweep["group"], sweep["along"], sweep.get("where", {})) for sweep in declared.options["sweeps"]]
    listed = [(along, facts.evidence.sweep(group, along, where)) for group, along, where in asked]
    sweeps = [item for item in listed if any(cell.n for cell in item[1])] or listed
    cells = [cell for _, levels in sweeps for cell in levels]
    told = set(varying_parameters(cells)) - set(COMPUTING)
    rows: list[tuple[Cell, ...]] = []
    quoted_rows: list[Quoted | None] = []
    for along, levels in sweeps:
        for index, cell in enumerate(levels):
            fixed = cell.words(sorted((told & cell.parameters.keys()) - {along}))
            quoted = facts.quoted_for(declared.options["original"], cell.parameters)
            quoted_rows.append(quoted)
            rows.append(
                (
                    declared.label(along) + (f", {fixed}" if fixed else ""),
                    str(cell.parameters[along]),
                    quoted.accuracy if quoted else DASH,
                    cell.quantity(),
                    difference(cell, levels[index - 1]) if index else DASH,
                )
            )
    columns = (
        Column("varied", "Varied"),
        Column("level", "Level", align="right"),
        Column("original", f"Original{_epochs_of(quoted_rows)}", "%", "right", optional=True),
        Column("ours", f"Ours{_in_epochs({cell.parameters.get('epochs') for cell in cells})}", "%", "right"),
        Column("step", "Step", "pp", "right"),
    )
    numbers = declared.numbers(cells)
    there = numbers.count("recorded", sum(cell.n > 0 for cell in cells), "levels of which a run is recorded")
    levels = numbers.count("levels", len(rows), "levels of the sweeps")
    finding = Sentence(there, " of ", levels, f" levels {goes_with(there, 'is', 'are')} recorded.")
    if hidden := len(listed) - len(sweeps):
        left = declared.numbers().count("sweeps-left-out", hidden, "sweeps without a run")
        every = declared.numbers().count("sweeps", len(listed), "declared sweeps")
        told = goes_with(left, "has no run yet and is", "have no run yet and are")
        finding = Sentence(finding, " ", left, " of ", every, f" sweeps {told} left out.")
    return declared.table(finding, columns, rows)
