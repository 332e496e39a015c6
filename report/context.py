"""Everything that a template may name, in one place: metadata, tables, verdicts, the words of prose, and the facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.ledger import Ledger
from experiments.plan import load_plan
from experiments.status import RunStatus, statuses
from report.evidence import Evidence
from report.facts import Facts, gather
from report.fields import line, refuse
from report.judge.claims import Claim
from report.judge.verdict import Verdict
from report.listings.table_kinds import build_table, read_tables
from report.pages.metadata import read_metadata
from report.pages.vocabulary import Vocabulary
from report.quantities import Quantity, Registry
from report.tables import Table

SMOKE_FOLDER = ".smoke"


@dataclass(frozen=True)
class Context:
    """What pages are made from.

    `metadata` is metadata.yaml with the title's prefix; `words` are the functions of prose; `registry` is filled while
    pages are rendered and then says which quantities reached them, and `told` of which claims they tell the verdict.
    """

    metadata: Mapping[str, Any]
    facts: Facts
    tables: Mapping[str, Table]
    ledger: Ledger
    statuses: tuple[RunStatus, ...]
    words: Mapping[str, Any]
    smoke: bool = False
    registry: Registry = field(default_factory=Registry)
    told: set[str] = field(default_factory=set)

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
    def columns(self) -> dict[str, Sequence[Any]]:
        """The ledger as a table, one row a record; see Ledger.columns."""
        return self.ledger.columns(self.statuses)


def build_context(root: Path, *, smoke: bool = False, cache: Path | None = None) -> Context:
    """Read the plan, the ledger and the authors' files below ROOT, and make everything that pages name.

    With SMOKE it is the rehearsal's plan and ledger; CACHE as in `statuses`. Raises a ReproductionError for anything wrong in any of the files.
    """
    plan = load_plan(root / "experiments" / "plan.yaml", smoke=smoke)
    ledger = Ledger(root / SMOKE_FOLDER if smoke else root / "experiments")
    stated = statuses(plan, ledger, root, cache=cache)
    facts = gather(root, plan, stated)
    vocabulary, known = Vocabulary(facts), {name for run in plan.runs.values() for name in run.parameters}
    return Context(
        metadata=_read_metadata(root / "report" / "paper" / "metadata.yaml", vocabulary.prefix()),
        facts=facts,
        tables={name: build_table(declared, facts) for name, declared in read_tables(root, known).items()},
        ledger=ledger,
        statuses=stated,
        words=vocabulary.words,
        smoke=smoke,
    )


def _read_metadata(path: Path, prefix: str) -> dict[str, Any]:
    metadata = read_metadata(path)
    title = line(metadata.get("title"), f"{path.name}: title")
    if title.startswith(("[Re]", "[¬Re]")):
        refuse(f"{path.name}: title", title, "a title without prefix, which the verdicts decide")
    return {**metadata, "title": f"{prefix} {title}".strip()}
