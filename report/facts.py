"""All that is known when a report is built, gathered once: claims, quoted values, evidence, verdicts."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.plan import Plan
from experiments.prices import Price
from experiments.rules import CLAIMS, FOLDER, ORIGINAL
from experiments.spec import ACCURACY, Record, State
from experiments.status import RunStatus
from report.cells import NOT_MEASURED
from report.checklist import Answered, read_answers
from report.evidence import Evidence
from report.judge.claims import Claims, Protocol, read_claims
from report.judge.verdict import Verdict
from report.labels import read_labels
from report.original import Quoted, find_quoted, read_original
from report.quantities import Kind, Quantity, Tier, count, spell
from report.recipes import Setting, read_recipes
from report.statistics import wilson
from report.unknown import UnknownName
from report.verdicts import check, judge
from report.words import parameters_text


@dataclass(frozen=True)
class Facts:
    """What tables, figures and prose are made from."""

    claims: Claims
    original: Mapping[str, Quoted]
    evidence: Evidence
    verdicts: Mapping[str, Verdict]
    recipes: tuple[Setting, ...] = ()
    answers: Mapping[str, Answered] | None = None  # of the authors, to the checklist

    def quoted(self, id: str) -> Quoted:
        """The row ID of original.csv. Raises UnknownName, listing the rows."""
        if id not in self.original:
            raise UnknownName(f"original.csv has no row {id!r}; it has {', '.join(self.original)}")
        return self.original[id]

    def quoted_for(self, who: str, cell: Mapping[str, Any], epochs: int | None = None) -> Quoted | None:
        """The first accuracy that WHO reports for the model of CELL; see `find_quoted`."""
        return find_quoted(self.original, who, cell, epochs)

    def protocol(self, name: str) -> Protocol:
        """The protocol NAME of claims.yaml. Raises UnknownName, listing them."""
        if name not in self.claims.protocols:
            raise UnknownName(f"claims.yaml has no protocol {name!r}; it has {', '.join(self.claims.protocols)}")
        return self.claims.protocols[name]

    def verdict(self, claim: str) -> Verdict:
        """The verdict on CLAIM. Raises UnknownName, listing the claims."""
        if claim not in self.verdicts:
            raise UnknownName(f"claims.yaml has no claim {claim!r}; it has {', '.join(self.verdicts)}")
        return self.verdicts[claim]

    def parameters(self, cell: Mapping[str, Any]) -> Quantity:
        """The exact parameter count of the model of CELL: as counted in recorded models, else by the formula.

        Without either it waits for a record, or for a record that counts.
        """
        known = self.count_in_records(cell) or self.count_by_formula(cell)
        if known is not None:
            return known
        has_run = any(found.records for found in self.evidence.matching(cell))
        state = State.GATED if has_run else State.PENDING
        lacking = "no recorded model says how many it has" if has_run else "no such model is recorded"
        why = f"{lacking}, and claims.yaml: formulas has no 'parameters'"
        return Quantity(f"parameters/unknown/{_joined(cell)}", Kind.PARAMETERS, None, state, why=why)

    def count_in_records(self, cell: Mapping[str, Any]) -> Quantity | None:
        """The parameter count of the recorded models of CELL; None where none is recorded.

        Raises UnknownName where they differ in their count.
        """
        records = [record for found in self.evidence.matching(cell) for record in found.records]
        counts = {record.metrics["parameters"] for record in records if "parameters" in record.metrics}
        if not counts:
            return None
        if len(counts) > 1:
            listed = ", ".join(f"{value:,.0f}" for value in sorted(counts))
            sizes = parameters_text(cell)
            raise UnknownName(f"the recorded models with {sizes} have {listed} parameters; name more of their sizes")
        origin = tuple(record.run for record in records)
        how = "counted in the recorded model"
        id = f"parameters/recorded/{_joined(cell)}"
        return Quantity(id, Kind.PARAMETERS, counts.pop(), origin=origin, aggregate=how, tier=Tier.RUN_HERE)

    def count_by_formula(self, cell: Mapping[str, Any]) -> Quantity | None:
        """The parameter count of the model of CELL by the formula of claims.yaml; None where that has none."""
        formula = self.claims.formulas.get("parameters")
        if formula is None:
            return None
        value, how = formula.evaluate(cell), "computed by the formula"
        id = f"parameters/formula/{_joined(cell)}"
        return Quantity(id, Kind.PARAMETERS, value, origin=(formula.source,), aggregate=how)


def _joined(cell: Mapping[str, Any]) -> str:
    return "-".join(f"{name}={value}" for name, value in sorted(cell.items()))


def gather(root: Path, plan: Plan, statuses: Iterable[RunStatus]) -> Facts:
    """Read the authors' files below ROOT and judge every claim on the runs of PLAN, which stand as STATUSES say."""
    claims, original, evidence = _read(root, plan, statuses)
    verdicts = judge(claims, evidence, original)
    recipes, answers = root / FOLDER / "recipes.csv", read_answers(root / FOLDER)
    return Facts(claims, original, evidence, verdicts, read_recipes(recipes) if recipes.exists() else (), answers)


def check_claims(root: Path, plan: Plan) -> list[str]:
    """Judges every claim below ROOT as if nothing of PLAN were recorded: so its faults are known before the first run.

    A run keeps the digests of the rules that were to judge it; one that is mended afterwards looks changed. Gives what
    to warn of, and raises ConfigurationError, a line a claim; a paper without claims.yaml has neither.
    """
    if not (root / FOLDER / CLAIMS).is_file():
        return []
    price = Price(0.0, "guess", "cpu")
    waiting = (RunStatus(run, State.PENDING, "planned, not run", price, None, "") for run in plan.runs.values())
    claims, original, evidence = _read(root, plan, waiting)
    return check(claims, evidence, original)


def _read(root: Path, plan: Plan, statuses: Iterable[RunStatus]) -> tuple[Claims, dict[str, Quoted], Evidence]:
    """All that claims are judged by: themselves, the quoted values, the runs under the names that the paper gives."""
    paper = root / FOLDER
    claims, original = read_claims(paper / CLAIMS), read_original(paper / ORIGINAL, plan.naming)
    labels = read_labels(paper, {name for run in plan.runs.values() for name in run.parameters})
    return claims, original, Evidence(plan.groups.values(), statuses, labels)


def run_accuracy(record: Record) -> Quantity:
    """The last epoch's test accuracy of one run, with Wilson's interval of its weights in words where n is known."""
    value = record.metrics[ACCURACY]
    aggregate = "last epoch's test accuracy of this run"
    if record.correct is not None and record.correct.split == "test":
        bounds = wilson(round(value * record.correct.count), record.correct.count)
        low, high = spell(Kind.ACCURACY, bounds.low), spell(Kind.ACCURACY, bounds.high)
        aggregate += f"; 95 % Wilson interval of these weights {low} to {high}"
    return Quantity(
        f"run/{record.run}/{ACCURACY}",
        Kind.ACCURACY,
        value,
        origin=(record.run,),
        aggregate=aggregate,
        tier=Tier.RUN_HERE,
    )


def run_number(record: Record, name: str, kind: Kind) -> Quantity | None:
    """A cost of one run, such as its seconds; None where it was not measured."""
    value = record.cost.get(name)
    if value is None:
        return None
    how = f"{name.replace('_', ' ')} of this run"
    id = f"run/{record.run}/{name}"
    return Quantity(id, kind, float(value), origin=(record.run,), aggregate=how, tier=Tier.RUN_HERE)


def total(id: str, kind: Kind, records: Iterable[Record], name: str, aggregate: str, factor: float = 1.0) -> Quantity:
    """The sum of a cost over RECORDS times FACTOR; no number where one of them was recorded without it."""
    listed = list(records)
    costs = [record.cost.get(name) for record in listed]
    if None in costs:
        return Quantity(id, kind, None, State.GATED, aggregate=aggregate, why=NOT_MEASURED)
    value = factor * math.fsum(costs)
    if kind is Kind.COUNT:
        return count(id, round(value), aggregate, origin=(record.run for record in listed))
    return Quantity(id, kind, value, origin=tuple(r.run for r in listed), aggregate=aggregate, tier=Tier.RUN_HERE)
