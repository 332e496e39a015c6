"""The tables of results: parameter counts, rows beside the originals', effects, verdicts and their reasons."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.spec import FrozenMapping
from report.claims import ClaimKind
from report.comparisons import difference, gap
from report.evidence import CellEvidence, UnknownName, in_words
from report.facts import Facts
from report.original import Quoted
from report.quantities import Kind, Quantity, spell
from report.tables import Cell, Column, Table
from report.trials import Outcome
from report.verdicts import Verdict

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
        """The finished table: the declared title followed by what the records say."""
        return Table(self.name, f"{self.title} {finding}".strip(), self.note, columns, tuple(rows), condensed)

    def label(self, parameter: str) -> str:
        """The header of a cell's parameter."""
        return self.labels.get(parameter, parameter.replace("_", " ").capitalize())

    def sizes(self, cell: CellEvidence) -> tuple[Any, ...]:
        """The declared cell parameters of CELL; UnknownName for one that it lacks."""
        for name in self.options["columns"]:
            if name not in cell.parameters:
                valid = ", ".join(cell.parameters)
                raise UnknownName(f"tables.yaml: tables.{self.name}.columns: no parameter {name!r}; cells have {valid}")
        return tuple(cell.parameters[name] for name in self.options["columns"])

    def parameter_columns(self) -> tuple[Column, ...]:
        """The columns of the declared cell parameters."""
        return tuple(Column(name, self.label(name), align="right") for name in self.options["columns"])


Builder = Callable[[Declaration, Facts], Table]


def parameter_counts(declared: Declaration, facts: Facts) -> Table:
    """Each model of the plan once: the quoted count, the formula's, and the recorded network's."""
    names = tuple(declared.options["columns"])
    models = {declared.sizes(cell): cell.parameters["dataset"] for cell in facts.evidence.cells()}
    counts = {FrozenMapping(row.cell): row for row in facts.original.values() if row.parameters_thousands}
    rows: list[tuple[Cell, ...]] = []
    agreeing = differing = 0
    for sizes in sorted(models):
        cell = dict(zip(names, sizes, strict=True))
        where = {**cell, "dataset": models[sizes]}
        quoted = counts.get(FrozenMapping(cell))
        formula, counted = facts.count_by_formula(where), facts.count_in_records(where)
        if counted is not None:
            agrees = _agree(quoted, formula, counted)
            agreeing, differing = agreeing + agrees, differing + (not agrees)
        rows.append((*map(str, sizes), quoted.parameters if quoted else DASH, formula, counted or "not recorded"))
    columns = (
        *declared.parameter_columns(),
        Column("quoted", "Quoted", align="right"),
        Column("formula", "Formula", align="right"),
        Column("counted", "Counted in the recorded model", align="right"),
    )
    finding = f"{agreeing} of {len(rows)} are counted in recorded models and agree."
    if differing:
        finding = f"{differing} of {len(rows)} recorded models differ from the formula or from the quoted count."
    return declared.table(finding, columns, rows)


def _agree(quoted: Quoted | None, formula: Quantity, counted: Quantity) -> bool:
    """Whether the recorded count is the formula's and, to the thousand, the quoted one."""
    thousands = round((counted.value or 0) / 1000)
    return counted.value == formula.value and (quoted is None or thousands == round(float(quoted.parameters_thousands)))


def comparison(declared: Declaration, facts: Facts) -> Table:
    """One line a cell of a group: original, earlier report, ours, and the difference of the last two."""
    cells = facts.evidence.cells(declared.options["group"])
    original, earlier = declared.options["original"], declared.options["earlier"]
    originals = [facts.quoted_for(original, cell.parameters) for cell in cells]
    earliers = [facts.quoted_for(earlier, cell.parameters, cell.parameters["epochs"]) for cell in cells]
    rows: list[tuple[Cell, ...]] = []
    gaps = []
    for cell, quoted, previous in zip(cells, originals, earliers, strict=True):
        delta = gap(cell, previous.accuracy) if previous else None
        gaps.append(delta)
        sizes = dict(zip(declared.options["columns"], declared.sizes(cell), strict=True))
        rows.append(
            (
                *map(str, sizes.values()),
                facts.parameters({**sizes, "dataset": cell.parameters["dataset"]}),
                quoted.accuracy if quoted else DASH,
                previous.accuracy if previous else DASH,
                cell.quantity(),
                delta or DASH,
            )
        )
    columns = (
        *declared.parameter_columns(),
        Column("parameters", "Parameters", align="right"),
        Column("original", f"Original{_epochs_of(originals)}", "%", "right"),
        Column("earlier", f"Earlier report{_epochs_of(earliers)}", "%", "right"),
        Column("ours", f"Ours{_in_epochs({cell.parameters['epochs'] for cell in cells})}", "%", "right"),
        Column("difference", "Ours − earlier report", "pp", "right"),
    )
    return declared.table(_comparison_finding(gaps), columns, rows)


def _epochs_of(rows: list[Quoted | None]) -> str:
    return _in_epochs({row.epochs for row in rows if row is not None})


def _in_epochs(epochs: set[int | None]) -> str:
    listed = sorted(str(value) for value in epochs if value is not None)
    return f" ({' or '.join(listed)} epochs)" if listed else ""


def _comparison_finding(gaps: list[Quantity | None]) -> str:
    values = [delta.value for delta in gaps if delta is not None and delta.value is not None]
    if not values:
        return "None of these rows is recorded yet."
    low, high = spell(Kind.DIFFERENCE, min(values)), spell(Kind.DIFFERENCE, max(values))
    where = f"{low} from" if len(values) == 1 else f"between {low} and {high} from"
    several = f"{len(values)} of {len(gaps)} rows are" if len(values) > 1 else f"1 of {len(gaps)} rows is"
    mean = "means lie" if len(values) > 1 else "mean lies"
    return f"{several} recorded; our {mean} {where} the earlier report's."


def effects(declared: Declaration, facts: Facts) -> Table:
    """One line a level of each sweep: its accuracy and the step from the level before."""
    sweeps = [(sweep["along"], _sweep(sweep, facts)) for sweep in declared.options["sweeps"]]
    cells = [cell for _, levels in sweeps for cell in levels]
    varied = {along for along, _ in sweeps}
    rows: list[tuple[Cell, ...]] = []
    quoted_rows: list[Quoted | None] = []
    for along, levels in sweeps:
        fixed = ", ".join(f"{in_words(name)} {levels[0].parameters[name]}" for name in sorted(varied - {along}))
        for index, cell in enumerate(levels):
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
        Column("original", f"Original{_epochs_of(quoted_rows)}", "%", "right"),
        Column("ours", f"Ours{_in_epochs({cell.parameters['epochs'] for cell in cells})}", "%", "right"),
        Column("step", "Step", "pp", "right"),
    )
    return declared.table(f"{sum(cell.n > 0 for cell in cells)} of {len(rows)} levels are recorded.", columns, rows)


def _sweep(sweep: Mapping[str, str], facts: Facts) -> list[CellEvidence]:
    """The cells of one sweep, by the parameter that it varies."""
    return sorted(facts.evidence.cells(sweep["group"]), key=lambda cell: cell.parameters[sweep["along"]])


def verdicts(declared: Declaration, facts: Facts) -> Table:
    """One line a claim: what was reported, what we found, the verdict in words."""
    rows: list[tuple[Cell, ...]] = [
        (
            verdict.claim.id,
            verdict.claim.sentence,
            verdict.reported or DASH,
            verdict.ours or DASH,
            verdict.difference or DASH,
            verdict.printed,
        )
        for verdict in facts.verdicts.values()
    ]
    columns = (
        Column("id", "Id"),
        Column("claim", "Claim"),
        Column("reported", "Reported", align="right"),
        Column("ours", "Ours", align="right"),
        Column("difference", "Difference", align="right"),
        Column("verdict", "Verdict"),
    )
    return declared.table(verdict_finding(facts.verdicts), columns, rows)


def verdict_finding(verdicts: Mapping[str, Verdict]) -> str:
    """`1 REPRODUCED, 14 NOT TESTED; beyond the paper 1 shown.` in the order of the outcomes."""
    listed = [verdict.outcome for verdict in verdicts.values() if not verdict.claim.is_beyond]
    finding = ", ".join(f"{listed.count(outcome)} {outcome.value}" for outcome in Outcome if outcome in listed)
    beyond = Counter(verdict.shown for verdict in verdicts.values() if verdict.claim.is_beyond)
    words = ", ".join(f"{number} {shown}" for shown, number in beyond.items())
    return f"{finding}; beyond the paper {words}." if words else f"{finding}."


def reasons(declared: Declaration, facts: Facts) -> Table:
    """One line a claim: why, with which deviations, and what other margins would give."""
    rows: list[tuple[Cell, ...]] = []
    for verdict in facts.verdicts.values():
        why = (*verdict.reasons, *verdict.claim.deviations, *_sensitivity(verdict))
        rows.append((verdict.claim.id, verdict.printed, "; ".join(text.rstrip(".") for text in why)))
    columns = (
        Column("id", "Id"),
        Column("verdict", "Verdict"),
        Column("reasons", "Reasons and deviations"),
    )
    decided = sum(verdict.is_decided for verdict in facts.verdicts.values())
    are = "is" if decided == 1 else "are"
    return declared.table(f"{decided} of {len(rows)} {are} decided.", columns, rows)


def _sensitivity(verdict: Verdict) -> tuple[str, ...]:
    """What other margins would give, in words; nothing where the rule was not reached or has no margin."""
    if not verdict.sensitivity:
        return ()
    if all(outcome is verdict.outcome for _, outcome in verdict.sensitivity):
        return (f"the same with {' or '.join(words for words, _ in verdict.sensitivity)}",)
    return tuple(f"with {words}: {outcome.value}" for words, outcome in verdict.sensitivity)


def rules(declared: Declaration, facts: Facts) -> Table:
    """One line a rule, by the kind of claim, with the claims that it judges."""
    judged: dict[tuple[ClaimKind, str], list[str]] = {}
    for verdict in sorted(facts.verdicts.values(), key=lambda verdict: list(ClaimKind).index(verdict.claim.kind)):
        if verdict.rule:
            judged.setdefault((verdict.claim.kind, verdict.rule), []).append(verdict.claim.id)
    rows: list[tuple[Cell, ...]] = [(kind.value, ", ".join(ids), rule) for (kind, rule), ids in judged.items()]
    columns = (Column("kind", "Kind"), Column("claims", "Claims"), Column("rule", "Rule"))
    several = f"{len(rows)} rules" if len(rows) != 1 else "1 rule"
    return declared.table(f"{several} for {sum(map(len, judged.values()))} claims.", columns, rows)
