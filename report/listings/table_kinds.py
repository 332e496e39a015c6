"""Which tables there can be, by kind: what builds each, and what its declaration in paper/tables.yaml has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.strict_yaml import read_yaml
from report import options
from report.evidence import LEFT_OUT
from report.facts import Facts
from report.fields import check_names, file_names, line, refuse
from report.labels import FILE, check_labels
from report.listings import budget_tables, claim_tables, contrast_tables, result_tables, run_list, run_tables
from report.listings.result_tables import Declaration
from report.tables import Column, Table
from report.unknown import UnknownName

_NONE: Mapping[str, options.Check] = {}
# Each kind of table: what builds it, and the fields that its declaration has beside kind, title and note.
KINDS: Mapping[str, tuple[result_tables.Builder, Mapping[str, options.Check]]] = {
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
        {"group": options.TEXT, "columns": options.TEXTS, "conditions": options.NAMED_TEXTS},
    ),
    "recipes": (contrast_tables.recipes, {"recipes": options.TEXTS}),
    "settings": (run_tables.settings, {"protocols": options.TEXTS, "groups": options.by_name(options.TEXTS)}),
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


def read_tables(root: Path) -> dict[str, Declaration]:
    """The tables that paper/tables.yaml declares, by name. Raises ConfigurationError, naming table and field."""
    content = read_yaml(root / "report" / "paper" / FILE)
    check_names(content, {"version", "labels", "tables"}, {"version", "labels", "tables"}, FILE)
    if content["version"] != 1:
        refuse(f"{FILE}: version", content["version"], "1")
    labels = check_labels(content["labels"])
    declared = file_names(content["tables"], f"{FILE}: tables")
    return {name: _declare(name, item, labels, f"{FILE}: tables.{name}") for name, item in declared.items()}


def _declare(name: str, item: Any, labels: Mapping[str, str], place: str) -> Declaration:
    kind = options.check_item(item, {kind: checks for kind, (_, checks) in KINDS.items()}, place)
    title, note = line(item["title"], f"{place}.title"), " ".join(item["note"].split())
    return Declaration(name, kind, title, note, {option: item[option] for option in KINDS[kind][1]}, labels)


def build_table(declared: Declaration, facts: Facts) -> Table:
    """The table that DECLARED describes, from FACTS; empty where a rehearsal, a part of the plan, lacks its cells."""
    try:
        return KINDS[declared.kind][0](declared, facts)
    except UnknownName as error:
        if facts.evidence.is_rehearsal:
            return declared.table(f"{LEFT_OUT.capitalize()}.", (Column("left_out", "Left out"),), [])
        raise UnknownName(f"tables.yaml: tables.{declared.name}: {error}") from error
