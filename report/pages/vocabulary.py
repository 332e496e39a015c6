"""What prose may call: each word gives a quantity, a verdict or text, and refuses names that do not exist."""

from collections.abc import Callable, Mapping
from typing import Any

from experiments.spec import Record, State
from report.cells import NOT_MEASURED, CellEvidence, Parameters, setting_of
from report.checklist import FILE as CHECKLIST
from report.checklist import Item, Known, answer_all
from report.comparisons import difference, gap
from report.facts import Facts, total
from report.judge.claims import Claim
from report.judge.gates import NOT_RECORDED, setting_text, settings_text
from report.judge.trials import Outcome, margin_of
from report.judge.verdict import Verdict, title_prefix
from report.listings import run_list, run_tables
from report.original import EARLIER
from report.quantities import Kind, Quantity, Tier, count
from report.sentences import price_text
from report.unknown import UnknownName
from report.words import ascending, parameters_text


class Vocabulary:
    """The functions of prose over one set of facts: every public method is a word, and `words` is all of them.

    Before the parameters of a cell others go by their place (/): a cell may have one that is called `group` or `metric`.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._evidence = facts.evidence
        self._counted: dict[str | None, dict[str, int]] = {}  # of a group, or of all: every page asks many times

    @property
    def words(self) -> Mapping[str, Any]:
        """Every name that prose may use, less those that place tables, figures and references."""
        names = [name for name in vars(Vocabulary) if not name.startswith("_") and name != "words"]
        return {"smoke": self._evidence.is_rehearsal, **{name: getattr(self, name) for name in names}}

    def accuracy(self, group: str, /, **cell: Any) -> Quantity:
        """The mean of the last epoch's test accuracy of the one cell of GROUP with these parameters."""
        return self._cell(group, cell).quantity()

    def measure(self, group: str, metric: str, /, **cell: Any) -> Quantity:
        """Another metric or cost of the same cell."""
        if not isinstance(metric, str):
            raise UnknownName(f"measure({group!r}, {metric!r}): a metric is called by its name, as in 'train_accuracy'")
        return self._cell(group, cell).quantity(metric)

    def difference(self, group: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Quantity:
        """Accuracy of cell A minus that of cell B of GROUP."""
        return difference(self._cell(group, a), self._cell(group, b))

    def gap(self, group: str, id: str, /, **cell: Any) -> Quantity:
        """Our accuracy minus the quoted one called ID."""
        return gap(self._cell(group, cell), self._facts.quoted(id))

    def _cell(self, group: str, parameters: Mapping[str, Any]) -> CellEvidence:
        """The cell that a word names; one without runs where a rehearsal, a part of the plan, lacks it."""
        try:
            return self._evidence.cell(group, parameters)
        except UnknownName:
            if not self._evidence.is_rehearsal:
                raise
            return CellEvidence(group, f"left-out/{parameters_text(parameters)}", Parameters(parameters), (), ())

    def original(self, id: str) -> Quantity:
        """The quoted accuracy called ID."""
        return self._facts.quoted(id).accuracy

    def earlier(self, id: str) -> Quantity:
        """The same, of the earlier report only."""
        quoted = self._facts.quoted(id)
        if quoted.who != EARLIER:
            theirs = ", ".join(row.id for row in self._facts.original.values() if row.who == EARLIER)
            raise UnknownName(f"earlier({id!r}): this row is of {quoted.who!r}; the earlier report's are {theirs}")
        return quoted.accuracy

    def parameters(self, **cell: Any) -> Quantity:
        """The exact parameter count of a model."""
        return self._facts.parameters(cell)

    def verdict(self, claim: str) -> Verdict:
        """The verdict on a claim."""
        return self._facts.verdict(claim)

    def claim(self, claim: str) -> Claim:
        """The claim itself."""
        return self._facts.verdict(claim).claim

    def margin(self, claim: str) -> Quantity:
        """The margin within which the claim's rule calls values equal, or an effect absent."""
        if self.claim(claim).margin is None:
            having = ", ".join(id for id, verdict in self._facts.verdicts.items() if verdict.claim.margin is not None)
            raise UnknownName(f"claim {claim!r} has no margin; those that have one are {having}")
        return margin_of(self.claim(claim))

    def alpha(self) -> Quantity:
        """The error rate of the rules."""
        return Quantity("rules/alpha", Kind.NUMBER, self._facts.claims.alpha, aggregate="error rate of the rules")

    def prefix(self) -> str:
        """ReScience's prefix of the title, by the verdicts; never one on a rehearsal."""
        return "" if self._evidence.is_rehearsal else title_prefix(self._facts.verdicts)

    def count(self, what: str, group: str | None = None) -> Quantity:
        """How many runs, seeds, cells, groups or claims there are; an unknown WHAT is refused with the known ones."""
        if group not in self._counted:
            self._counted[group] = {**self._run_counts(group), **self._claim_counts(group)}
        counts = self._counted[group]
        if what not in counts:
            raise UnknownName(f"count({what!r}): there is no such count; there are {', '.join(counts)}")
        where = f"{group}/" if group else ""
        return count(f"count/{where}{what.replace(' ', '-')}", counts[what], what + (f" of {group}" if group else ""))

    def _run_counts(self, group: str | None) -> dict[str, int]:
        states = [status.state for status in self._evidence.runs(group)]
        return {
            "runs": len(states),
            "runs recorded": states.count(State.MEASURED),
            "runs to come": len(states) - states.count(State.MEASURED),
            "runs accepted": sum(status.acceptance is not None for status in self._evidence.runs(group)),
            **{f"runs {state.value}": states.count(state) for state in (State.PENDING, State.GATED, State.STALE)},
            "seeds": len({status.run.seed for status in self._evidence.runs(group)}),
            "cells": len(self._evidence.cells(group)),
            "groups": 1 if group else len(self._evidence.groups),
            "groups waiting": sum(not self.any_run(name) for name in ([group] if group else self._evidence.groups)),
        }

    def _claim_counts(self, group: str | None) -> dict[str, int]:
        """Of the originals' claims, those on GROUP or all; those beyond the paper are counted apart."""
        verdicts = self._facts.verdicts.values()
        every = [verdict for verdict in verdicts if group is None or verdict.claim.group == group]
        verdicts = [verdict for verdict in every if not verdict.claim.is_beyond]
        beyond = [verdict for verdict in every if verdict.claim.is_beyond]
        outcomes = [verdict.outcome for verdict in verdicts]
        return {
            "claims": len(outcomes),
            "claims tested": sum(verdict.is_tested for verdict in verdicts),
            "claims decided": sum(verdict.is_decided for verdict in verdicts),
            **{f"claims {outcome.value.lower()}": outcomes.count(outcome) for outcome in Outcome},
            "claims beyond the paper": len(beyond),
            "claims beyond the paper tested": sum(verdict.is_tested for verdict in beyond),
            "claims beyond the paper shown": sum(verdict.outcome is Outcome.REPRODUCED for verdict in beyond),
        }

    def cost(self, what: str, group: str | None = None) -> Quantity:
        """What the recorded runs cost: hours, train hours, work (0 without runs), seconds per run, memory, energy."""
        records, name = self._evidence.recorded(group), group or self._evidence.whole
        sums = {
            "hours": (Kind.HOURS, "seconds", "wall-clock time of the recorded runs", 1 / 3600),
            "train hours": (Kind.HOURS, "train_seconds", "time of training alone in the recorded runs", 1 / 3600),
            "work": (Kind.NUMBER, "work", "planned work of the recorded runs in TFLOP", 1e-3),
        }
        others: Mapping[str, Callable[[str, tuple[Record, ...]], Quantity | None]] = {
            "seconds per run": run_tables.seconds_a_run,
            "memory": run_tables.peak_memory,
            "energy": run_tables.energy,
        }
        if what in sums:
            kind, field, aggregate, factor = sums[what]
            return total(f"cost/{name}/{what.replace(' ', '-')}", kind, records, field, aggregate, factor)
        if what not in others:
            raise UnknownName(f"cost({what!r}): there is no such cost; there are {', '.join((*sums, *others))}")
        quantity = others[what](name, records) if records else None
        if quantity is not None:
            return quantity
        state, why = (
            (State.GATED, NOT_MEASURED)
            if records
            else (State.PENDING, price_text(self._evidence.runs(group), f"price/{name}"))
        )
        return Quantity(f"cost/{name}/{what.replace(' ', '-')}", Kind.NUMBER, None, state, why=why)

    def price(self, group: str | None = None) -> Quantity:
        """The hours that the runs not measured yet would take."""
        return run_tables.price(f"price/{group}" if group else "price", self._evidence.runs(group))

    def setting(self, recipe: str, name: str) -> Quantity | str:
        """A setting as the recorded runs of RECIPE resolved it; a quantity where it is a number.

        Pending without such runs. Raises UnknownName for a setting that no record has, or that differs between runs.
        """
        records = [r for r in self._evidence.recorded() if setting_of(r, "recipe") == recipe]
        id = f"setting/{recipe}/{name}"
        if not records:
            self._check_recipe(recipe)
            return Quantity(id, Kind.NUMBER, None, State.PENDING, why=f"no run of recipe {recipe} is recorded")
        values = [setting_of(record, name, NOT_RECORDED) for record in records]  # one may be a list, so no set
        if NOT_RECORDED in values:
            valid = ", ".join(sorted(records[0].settings))
            raise UnknownName(f"setting({recipe!r}, {name!r}): no such setting is recorded; the records have {valid}")
        value = values[0]
        if any(other != value for other in values):
            found = settings_text(records, name)
            raise UnknownName(f"setting({recipe!r}, {name!r}): it differs between the records: {found}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            return setting_text(value)
        origin = tuple(record.run for record in records)
        aggregate = f"{name.replace('_', ' ')} of recipe {recipe}"
        return Quantity(id, Kind.NUMBER, float(value), origin=origin, aggregate=aggregate, tier=Tier.RUN_HERE)

    def resolved(self, group: str, name: str, /, **parameters: Any) -> str:
        """A setting as the recorded runs of one cell of GROUP resolved it, in words: `fp32`; empty without runs."""
        return settings_text(self._cell(group, parameters).records, name)

    def _check_recipe(self, recipe: str) -> None:
        """Refuses a RECIPE that no cell has.

        Where it is no parameter of the plan, only the records know it: then once every cell has one.
        """
        cells = self._evidence.cells()
        planned = {str(cell.parameters["recipe"]) for cell in cells if "recipe" in cell.parameters}
        named = (setting_of(record, "recipe") for record in self._evidence.recorded())
        recorded = {str(recipe) for recipe in named if recipe is not None}
        is_known = bool(planned) or all(cell.records for cell in cells)
        if is_known and recipe not in planned | recorded and not self._evidence.is_rehearsal:
            where = "in the plan; it has" if planned else "among the records; they have"
            names = ", ".join(sorted(planned or recorded)) or "none: give `recipe` to record() among the settings"
            raise UnknownName(f"there is no recipe {recipe!r} {where} {names}")

    def epochs(self, group: str) -> Quantity:
        """The number of epochs that all cells of GROUP have."""
        found = {cell.parameters["epochs"] for cell in self._evidence.cells(group)}
        if len(found) > 1:
            raise UnknownName(f"epochs({group!r}): its cells have {', '.join(map(str, sorted(found)))} epochs")
        return count(f"epochs/{group}", found.pop(), f"epochs of every run of {group}")

    def seeds(self, group: str) -> str:
        """The planned seeds of GROUP: `0, 1, 2`."""
        return ", ".join(str(seed) for seed in sorted({status.run.seed for status in self._evidence.runs(group)}))

    def state(self, group: str) -> str:
        """`complete` where every run of GROUP is measured, `partial` where some are, else `pending`."""
        states = [status.state is State.MEASURED for status in self._evidence.runs(group)]
        return "complete" if all(states) else "partial" if any(states) else "pending"

    def any_run(self, *groups: str, **parameters: Any) -> bool:
        """Whether any run of GROUPS counts, or of the whole plan where none is named; with PARAMETERS one that has these."""
        cells = [cell for group in groups or (None,) for cell in self._evidence.cells(group)]
        for name, value in parameters.items():
            values = ascending(str(cell.parameters[name]) for cell in cells if name in cell.parameters)
            if str(value) not in values and not self._evidence.is_rehearsal:
                having = f"they have {', '.join(values)}" if values else f"they have {', '.join(cells[0].parameters)}"
                raise UnknownName(f"any_run: no planned cell has {parameters_text({name: value})}; {having}")
        return any(cell.n and parameters.items() <= dict(cell.parameters).items() for cell in cells)

    def title(self, group: str) -> str:
        """The title of GROUP in the plan."""
        return self._evidence.group(group).title

    def question(self, group: str) -> str:
        """The question that GROUP answers."""
        return self._evidence.group(group).question

    def device(self, group: str | None = None) -> str:
        """The devices of the recorded runs in words."""
        return run_list.devices_of(self._evidence.recorded(group)) or "no device yet"

    def checklist(self) -> tuple[Item, ...]:
        """The questions of the reproducibility checklist, for a loop: each has `part`, `question`, `answer` and `note`,
        `where` for ref(…), `begins` at the first of a part, and `is_computed` where the program answers.
        """
        if self._facts.answers is None:
            raise UnknownName(f"checklist(): there is no report/paper/{CHECKLIST}, which holds the authors' answers")
        cells = self._evidence.cells()
        known = Known(
            len(self._evidence.runs()),
            self._evidence.recorded(),
            tuple(cell.n for cell in cells if cell.n),
            self._facts.verdicts,
        )
        return answer_all(self._facts.answers, known)

    def environment(self, name: str) -> str:
        """The version of a package, or another fact of provenance, in the recorded runs that have it; else `none`.

        Raises UnknownName for a name that no record has.
        """
        records = self._evidence.recorded()
        if not records:
            return "pending"
        facts = [_environment_of(record) for record in records]
        known = sorted({known for fact in facts for known in fact})
        if name not in known:
            raise UnknownName(f"environment({name!r}): the records have no such fact; they have {', '.join(known)}")
        return ", ".join(ascending(str(value) for fact in facts if (value := fact.get(name)) is not None)) or "none"


def _environment_of(record: Record) -> dict[str, Any]:
    """Versions and machine of a run, by name."""
    machine = {name: record.provenance[name] for name in run_tables.PROVENANCE}
    return {**record.provenance["versions"], **machine}
