"""What every rule of judgement shares: outcomes, a claim on trial, how much evidence a rule asks for, and its words.

A rule never turns "not significant" into "not reproduced": a claim fails only where the opposite or the absence of an
effect is shown, and stays inconclusive otherwise.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from experiments.spec import ConfigurationError, FrozenMapping, Record, State
from report.cells import CellEvidence, runs_of, varying_parameters
from report.evidence import Evidence
from report.judge.claims import Claim, ClaimKind, Formula
from report.judge.power import Design
from report.original import Quoted
from report.quantities import Kind, Quantity, spell
from report.sentences import Numbers, Sentence, counted, joined
from report.statistics import Comparison
from report.words import in_words

RULES_FROM = ("report/paper/claims.yaml",)


class Outcome(StrEnum):
    """What became of a claim."""

    REPRODUCED = "REPRODUCED"
    PARTIAL = "PARTIAL"
    NOT_REPRODUCED = "NOT REPRODUCED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_COMPARABLE = "NOT COMPARABLE"
    NOT_TESTED = "NOT TESTED"


Judgement = tuple[Outcome, tuple[str, ...]]
EQUAL_PAIRS = "the differences of the pairs are exactly equal, so that nothing is known of their spread"


@dataclass(frozen=True)
class Details:
    """What stands in a verdict beside its outcome.

    `design` says what the runs could have shown, `support` what else they say that decides nothing; `prediction` is
    where one more run would fall.
    """

    reported: Quantity | None = None
    ours: Quantity | None = None
    difference: Quantity | None = None
    design: Design | None = None
    support: tuple[str, ...] = ()
    prediction: Quantity | None = None


@dataclass(frozen=True)
class Tails:
    """The one-sided p of a claimed effect, and that of its opposite: each shares an error rate with its family's."""

    claimed: float
    opposite: float


@dataclass(frozen=True)
class Trial:
    """What the records say on one claim before claims are taken together.

    `tails` are an effect's before Holm. `judge` takes them after Holm, and the margin, and gives outcome and reasons; it
    is None where the rule has not enough evidence, and `shortage` then says what is missing. `unlike` says why the cells do
    not compare with what is quoted, whatever the protocol asks.
    `details` is worked out once for the verdict, and not each time that the rule is tried without a run. `span` says
    between which levels an effect is printed, where these are fewer than the rule looks at; `unjudged` names recorded runs
    that it leaves aside.
    """

    cells: tuple[CellEvidence, ...]
    rule: str
    details: Callable[[], Details] = Details
    tails: Tails | None = None
    judge: Callable[[Tails | None, float | None], Judgement] | None = None
    shortage: str = ""
    span: str = ""
    unlike: str = ""
    unjudged: str = ""

    @property
    def records(self) -> tuple[Record, ...]:
        """The measured records of its cells."""
        return tuple(record for cell in self.cells for record in cell.records)


@dataclass(frozen=True)
class Sources:
    """All that a rule may look at; `families` is how many claims share an error rate by Holm's method."""

    evidence: Evidence
    original: Mapping[str, Quoted]
    formulas: Mapping[str, Formula]
    families: Mapping[str, int] = FrozenMapping()

    def strictest(self, claim: Claim) -> float:
        """The level at which CLAIM is tested at worst: Holm's first step over its family."""
        return claim.alpha / self.families.get(claim.family, 1)

    def family_text(self, claim: Claim) -> Sentence:
        """`the family 'directions' of 7 claims`: a family that loses one is a milder judge of the others."""
        size = rule_numbers(claim).count("family", self.families.get(claim.family, 1), "claims of the family")
        return Sentence(f"the family {claim.family!r} of ", counted(size, "claim"))

    def quoted(self, claim: Claim, amount: int) -> tuple[Quoted, ...]:
        """The AMOUNT rows of original.csv that CLAIM names; ConfigurationError where they are others or not there."""
        place = f"claims.yaml: claims.{claim.id}.quoted"
        for id in claim.quoted:
            if id not in self.original:
                valid = ", ".join(self.original)
                raise ConfigurationError(f"{place}: {id!r} is not in original.csv, which has {valid}")
        if len(claim.quoted) != amount:
            raise ConfigurationError(f"{place}: found {list(claim.quoted)!r}; expected {amount} of its ids")
        return tuple(self.original[id] for id in claim.quoted)


def refuse_other_network(claim: Claim, row: Quoted, parameters: Mapping[str, Any]) -> None:
    """Raises ConfigurationError where the quoted ROW is of another network than the claim's cell of these PARAMETERS.

    Only what both name is compared; what is usual and the row does not name, it has as usual.
    """
    known = {**row.usual, **row.cell}
    for name, value in parameters.items():
        if name in known and known[name] != value and str(known[name]).lower() != str(value).lower():
            raise ConfigurationError(
                f"claims.yaml: claims.{claim.id}.quoted: {row.id!r} is for {in_words(name)} {known[name]}, the claim's "
                f"cell has {value}: quote the row of that cell, or correct `cell` in original.csv"
            )


def refuse_bounds(claim: Claim, *rows: Quoted) -> None:
    """Raises ConfigurationError where the claim needs values and one of the quoted ROWS is a bound."""
    for row in rows:
        if row.is_bound:
            remedy = "quote two values, or none" if claim.family else "quote a value, or let `kind` be threshold"
            raise ConfigurationError(
                f"claims.yaml: claims.{claim.id}.quoted: {row.id!r} is a bound, {row.accuracy.quoted!r}, where a claim of "
                f"kind {claim.kind} needs a value: {remedy}"
            )


def numbers_of(claim: Claim, cells: Iterable[CellEvidence]) -> Numbers:
    """The numbers of what is said of CLAIM, from the runs of CELLS."""
    return Numbers(f"claim/{claim.id}", runs_of(cells) or RULES_FROM)


def rule_numbers(claim: Claim) -> Numbers:
    """The numbers of the rule of CLAIM."""
    return Numbers(f"rule/{claim.id}", RULES_FROM)


def alpha_of(claim: Claim) -> Quantity:
    """The level at which CLAIM is tested."""
    return rule_numbers(claim).spelled("alpha", claim.alpha, f"{claim.alpha:g}", "level of the rule")


def seeds_of(claim: Claim) -> Quantity:
    """The least number of runs that the rule of CLAIM asks for."""
    return rule_numbers(claim).count("min-seeds", claim.min_seeds, "runs that the rule asks for")


def find_shortage(claim: Claim, cells: tuple[CellEvidence, ...]) -> str:
    """What the claim's rule still lacks, in words; empty where every cell has its runs."""
    short = [cell for cell in cells if cell.state is not State.MEASURED or cell.n < claim.min_seeds]
    names = cell_names(cells)
    if copied := [f"seeds {_listed(cell.copies)} of {names[cell.name]}" for cell in cells if cell.copies]:
        return f"the runs of {' and '.join(copied)} are the same image by image: a copied record is no second run"
    if not short:
        unknown = [names[cell.name] for cell in cells if cell.has_unknown_spread]
        equal = f"the runs of {', '.join(unknown)} are exactly equal, so that nothing is known of their spread"
        return equal if unknown else ""
    listed = []
    for cell in short:
        special = cell.why if cell.state not in (State.MEASURED, State.PENDING) else ""
        there = numbers_of(claim, [cell]).count(f"{cell.name}/runs", cell.n, f"recorded runs of {cell.name}")
        after = " runs" + (f" ({special})" if special else "")
        listed.append(Sentence(f"{names[cell.name]} has ", there, " of ", seeds_of(claim), after))
    single = "; a single run shows no more than its own accuracy" if any(cell.n == 1 for cell in short) else ""
    return Sentence("too few runs: ", joined(", ", listed), single)


def _listed(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))


def missing_text(claim: Claim, cells: tuple[CellEvidence, ...]) -> str:
    """The planned runs that a judgement goes without, so that nobody can leave out those that do not please."""
    names = cell_names(cells)
    lacking = [(names[cell.name], cell.missing_seeds) for cell in cells if cell.missing_seeds]
    missing = [f"{name} lacks seed{'s' if len(seeds) > 1 else ''} {_listed(seeds)}" for name, seeds in lacking]
    if not missing:
        return ""
    numbers = numbers_of(claim, cells)
    there = numbers.count("runs", sum(cell.n for cell in cells), "recorded runs of the claim's cells")
    planned = numbers.count("planned-runs", sum(cell.planned for cell in cells), "planned runs of the claim's cells")
    return Sentence("provisional, on ", there, " of ", planned, f" planned runs: {'; '.join(missing)}")


def unjudged_text(claim: Claim, cells: tuple[CellEvidence, ...], evidence: Evidence) -> str:
    """The recorded runs of other groups that the rule might have looked at: more seeds of CELLS, more levels of a trend.

    Which runs a claim looks at stands in the plan, of which no digest tells that one was taken from its group.
    """
    if claim.kind is ClaimKind.COUNT or not cells:
        return ""
    names, judged = cell_names(cells), set(runs_of(cells))
    found = list[str]()
    for cell in evidence.cells():
        if cell.name not in names and not _is_level(claim, cell, cells[0]):
            continue
        if others := tuple(int(record.parameters["seed"]) for record in cell.records if record.run not in judged):
            name = names.get(cell.name) or cell.words([claim.along])
            found.append(f"seed{'s' if len(others) > 1 else ''} {_listed(others)} of {name}")
    return f"recorded as well, and not judged: {'; '.join(found)}" if found else ""


def _is_level(claim: Claim, cell: CellEvidence, judged: CellEvidence) -> bool:
    """Whether CELL would be another level of the trend in which JUDGED is one."""
    if claim.kind is not ClaimKind.TREND or claim.along not in cell.parameters:
        return False
    here, there = ({**one.parameters, claim.along: None} for one in (cell, judged))
    return here == there


def cell_names(cells: tuple[CellEvidence, ...]) -> dict[str, str]:
    """What a reader calls each of CELLS, by its name: the parameters in which they differ.

    Where a word tells them apart, as an architecture does, that word alone: the sizes follow from it.
    """
    varying = varying_parameters(cells)
    for name in varying:
        values = {cell.parameters.get(name) for cell in cells}
        if len(values) == len(cells) and all(isinstance(value, str) for value in values):
            varying = (name,)
            break
    return {cell.name: cell.words(n for n in varying if n in cell.parameters) or cell.name for cell in cells}


def p_text(p: Quantity) -> Sentence:
    """`p = 0.012`, `p < 0.001`."""
    return Sentence("p " if p.parts.value.startswith("<") else "p = ", p)


def adjusted_text(numbers: Numbers, tail: str, raw: float, adjusted: float | None) -> Sentence:
    """`p = 0.139, after Holm 0.693` of the TAIL that is told; the p alone where Holm's method leaves it as it is."""
    told = p_text(numbers.probability(f"p-{tail}", raw, f"one-sided p of the {tail} effect"))
    if adjusted is None or spell(Kind.PROBABILITY, raw) == spell(Kind.PROBABILITY, adjusted):
        return told
    after = numbers.probability(f"p-{tail}-holm", adjusted, f"one-sided p of the {tail} effect after Holm's method")
    return Sentence(told, ", after Holm ", after)


def crossing(comparison: Comparison, what: str) -> tuple[str, ...]:
    """That the printed interval reaches WHAT a one-sided test has told it from: it is two-sided, and asks for more."""
    return (f"the 95 % interval, which is two-sided, reaches {what}",) if 0.0 in comparison.interval() else ()


def percent_text(share: float) -> str:
    """`95 %`."""
    return f"{100 * share:.3g} %"


def margin_of(claim: Claim) -> Quantity:
    """The margin of the rule of CLAIM; without a sign, for it has no direction."""
    margin = claim.margin or 0.0
    numbers = Numbers(f"claim/{claim.id}", RULES_FROM)
    return numbers.spelled("margin", margin, f"{100 * margin:.2f}", "margin of the rule", Kind.DIFFERENCE)


def margin_text(claim: Claim) -> Sentence:
    """`± 0.50 pp`."""
    return Sentence("± ", margin_of(claim))
