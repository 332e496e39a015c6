"""Everything that a template may name, in one place: metadata, tables, verdicts, the words of prose, and the facts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.ledger import Ledger
from experiments.plan import load_plan
from experiments.status import RunStatus, statuses
from experiments.strict_yaml import read_yaml
from report import budget_tables, claim_tables, contrast_tables, options, result_tables, run_list, run_tables
from report.claims import Claim
from report.evidence import Evidence, UnknownName
from report.facts import Facts, gather
from report.fields import check_names, file_names, line, mapping, refuse
from report.metadata import read_metadata
from report.quantities import Quantity, Registry
from report.result_tables import Declaration
from report.tables import Table
from report.verdicts import Verdict
from report.vocabulary import Vocabulary

SMOKE_FOLDER = ".smoke"

_NONE: Mapping[str, options.Check] = {}
# Each kind of table: what builds it, and the fields that its declaration has beside kind, title and note.
_KINDS: Mapping[str, tuple[result_tables.Builder, Mapping[str, options.Check]]] = {
    "parameters": (result_tables.parameter_counts, {"columns": options.TEXTS, "where": options.parameters}),
    "comparison": (
        result_tables.comparison,
        {"group": options.TEXT, "columns": options.TEXTS, "beside": options.MAYBE_TEXTS, "against": options.TEXT},
    ),
    "effects": (result_tables.effects, {"sweeps": options.SWEEPS, "original": options.TEXT}),
    "contrasts": (
        contrast_tables.contrasts,
        {"groups": options.TEXTS, "base": options.parameters, "base_text": options.TEXT, "original": options.TEXT},
    ),
    "models": (contrast_tables.models, {"groups": options.TEXTS, "columns": options.TEXTS}),
    "budget": (budget_tables.budget, {"group": options.TEXT, "columns": options.TEXTS}),
    "conditions": (
        budget_tables.conditions,
        {"group": options.TEXT, "columns": options.TEXTS, "conditions": options.texts},
    ),
    "recipes": (contrast_tables.recipes, {"recipes": options.TEXTS}),
    "settings": (run_tables.settings, {"protocols": options.TEXTS, "groups": options.texts_by_name}),
    "claims": (claim_tables.claims, _NONE),
    "verdicts": (claim_tables.verdicts, _NONE),
    "untested": (claim_tables.untested, _NONE),
    "reasons": (claim_tables.reasons, _NONE),
    "rules": (claim_tables.rules, _NONE),
    "runs": (run_list.runs, _NONE),
    "accepted": (run_list.accepted, _NONE),
    "missing": (run_tables.missing, _NONE),
    "environment": (run_tables.environment, _NONE),
    "cost": (run_tables.cost, _NONE),
}


@dataclass(frozen=True)
class Context:
    """What pages are made from.

    `metadata` is metadata.yaml with the title's prefix; `words` are the functions of prose; `registry` is filled while
    pages are rendered and then says which quantities reached them.
    """

    metadata: Mapping[str, Any]
    facts: Facts
    tables: Mapping[str, Table]
    ledger: Ledger
    statuses: tuple[RunStatus, ...]
    words: Mapping[str, Any]
    smoke: bool = False
    registry: Registry = field(default_factory=Registry)

    @property
    def evidence(self) -> Evidence:
        """The runs by group and cell."""
        return self.facts.evidence

    @property
    def claims(self) -> Mapping[str, Claim]:
        """The claims by id."""
        return self.facts.claims.claims

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """The verdicts by the claim's id."""
        return self.facts.verdicts

    @property
    def original(self) -> Mapping[str, Quantity]:
        """The quoted accuracies by id."""
        return {id: row.accuracy for id, row in self.facts.original.items() if row.accuracy_pct}

    @property
    def frame(self) -> pd.DataFrame:
        """The ledger as a DataFrame, one row a record; see Ledger.frame."""
        return self.ledger.frame(self.statuses)


def build_context(root: Path, *, smoke: bool = False, cache: Path | None = None) -> Context:
    """Read the plan, the ledger and the authors' files below ROOT, and make everything that pages name.

    With SMOKE it is the rehearsal's plan and ledger; CACHE as in `statuses`. Raises a ReproductionError for anything wrong in any of the files.
    """
    plan = load_plan(root / "experiments" / "plan.yaml", smoke=smoke)
    ledger = Ledger(root / SMOKE_FOLDER if smoke else root / "experiments")
    stated = statuses(plan, ledger, root, cache=cache)
    facts = gather(root, plan.groups.values(), stated, naming=plan.naming, smoke=smoke)
    vocabulary = Vocabulary(facts)
    return Context(
        metadata=_read_metadata(root / "report" / "paper" / "metadata.yaml", vocabulary.prefix()),
        facts=facts,
        tables={name: build_table(declared, facts) for name, declared in read_tables(root).items()},
        ledger=ledger,
        statuses=stated,
        words=vocabulary.words,
        smoke=smoke,
    )


def read_tables(root: Path) -> dict[str, Declaration]:
    """The tables that paper/tables.yaml declares, by name. Raises ConfigurationError, naming table and field."""
    path = root / "report" / "paper" / "tables.yaml"
    content = read_yaml(path)
    check_names(content, {"version", "labels", "tables"}, {"version", "labels", "tables"}, path.name)
    if content["version"] != 1:
        refuse(f"{path.name}: version", content["version"], "1")
    labels = mapping(content["labels"], f"{path.name}: labels")
    for parameter, label in labels.items():
        line(label, f"{path.name}: labels.{parameter}")
    declared = file_names(content["tables"], f"{path.name}: tables")
    return {name: _declare(name, item, labels, f"{path.name}: tables.{name}") for name, item in declared.items()}


def _declare(name: str, item: Any, labels: Mapping[str, str], place: str) -> Declaration:
    kind = options.check_item(item, {kind: checks for kind, (_, checks) in _KINDS.items()}, place)
    title, note = line(item["title"], f"{place}.title"), " ".join(item["note"].split())
    return Declaration(name, kind, title, note, {option: item[option] for option in _KINDS[kind][1]}, labels)


def build_table(declared: Declaration, facts: Facts) -> Table:
    """The table that DECLARED describes, from FACTS."""
    try:
        return _KINDS[declared.kind][0](declared, facts)
    except UnknownName as error:
        raise UnknownName(f"tables.yaml: tables.{declared.name}: {error}") from error


def _read_metadata(path: Path, prefix: str) -> dict[str, Any]:
    metadata = read_metadata(path)
    title = line(metadata.get("title"), f"{path.name}: title")
    if title.startswith(("[Re]", "[¬Re]")):
        refuse(f"{path.name}: title", title, "a title without prefix, which the verdicts decide")
    return {**metadata, "title": f"{prefix} {title}".strip()}
