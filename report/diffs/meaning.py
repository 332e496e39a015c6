"""What a repository says: its verdicts with their numbers, its plan and records, the rules and the text.

It is computed from the files below a root by today's code, whatever code made them, so that two revisions are compared
by one measure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.ledger import Ledger
from experiments.plan import Plan, load_plan
from experiments.spec import Group
from experiments.status import RunStatus, statuses
from experiments.strict_yaml import read_text
from report.cells import CellEvidence
from report.facts import gather
from report.judge.verdict import Verdict, title_prefix
from report.original import Quoted

_JUDGED = frozenset({"claims.yaml", "original.csv"})  # compared by what they say, not line by line


@dataclass(frozen=True)
class Meaning:
    """`prefix` is the title's [Re] or [¬Re], `texts` are the paper's other files.

    `cells` has every cell of the plan once, with the runs of all its groups; `by_group` has it as each group plans it,
    which is how its numbers are printed.
    """

    prefix: str
    verdicts: Mapping[str, Verdict]
    cells: Mapping[str, CellEvidence]
    by_group: Mapping[str, Mapping[str, CellEvidence]]  # cell -> group -> the cell there
    groups: Mapping[str, Group]
    original: Mapping[str, Quoted]
    texts: Mapping[str, str]

    def is_main(self, cell: CellEvidence) -> bool:
        """Whether the verdict on a main claim of the original rests on the runs of CELL, neither more nor fewer of them."""
        runs, whole = {r.run for r in cell.records}, {r.run for r in self.cells[cell.name].records}
        main = [verdict.ours for verdict in self.verdicts.values() if verdict.is_main and verdict.ours is not None]
        return bool(runs) and any(runs == whole.intersection(ours.origin) for ours in main)


def read_meaning(root: Path) -> Meaning:
    """What the repository at ROOT says.

    Raises:
        ConfigurationError: a file of the plan or the paper is wrong, or of a form that today's code does not read.
        RecordFault: a record cannot be trusted.
    """
    plan = load_plan(root / "experiments" / "plan.yaml")
    return make_meaning(root, plan, statuses(plan, Ledger(root / "experiments"), root))


def make_meaning(root: Path, plan: Plan, found: Sequence[RunStatus]) -> Meaning:
    """What the repository at ROOT says, of a plan whose runs stand as FOUND."""
    paper = root / "report" / "paper"
    facts = gather(root, plan, found)
    cells = {cell.name: cell for cell in facts.evidence.cells()}
    by_group: dict[str, dict[str, CellEvidence]] = {name: {} for name in cells}
    for cell in (cell for group in plan.groups for cell in facts.evidence.cells(group)):
        by_group[cell.name][cell.group] = cell
    prefix, texts = title_prefix(facts.verdicts), _read_texts(paper)
    return Meaning(prefix, facts.verdicts, cells, by_group, plan.groups, facts.original, texts)


def _read_texts(paper: Path) -> dict[str, str]:
    """Path below PAPER -> text."""
    files = (path for path in sorted(paper.rglob("*")) if path.is_file() and path.name not in _JUDGED)
    visible = (path for path in files if not path.name.startswith("."))
    return {path.relative_to(paper).as_posix(): read_text(path) for path in visible}
