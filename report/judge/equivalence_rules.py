"""The rule of claims that two cells give the same accuracy: two one-sided tests on their difference."""

from experiments.spec import ConfigurationError
from report.cells import CellEvidence
from report.comparisons import are_pairs, compare, compared_means, difference
from report.judge.claims import Claim
from report.judge.power import Design, chance_equivalent, chance_greater, foresee, repeat, smallest_margin, with_runs
from report.judge.trials import (
    EQUAL_PAIRS,
    Details,
    Judgement,
    Outcome,
    Sources,
    Tails,
    Trial,
    alpha_of,
    find_shortage,
    margin_text,
    numbers_of,
    p_text,
    percent_text,
    seeds_of,
)
from report.sentences import Sentence
from report.statistics import Comparison


def equivalence(claim: Claim, sources: Sources) -> Trial:
    """The cell gives the accuracy of the cell `reference`, within the margin.

    Every way of computing is a claim of its own, each with its own error rate: nothing is gained by asking of more.
    """
    group = str(claim.group)
    cell, reference = (sources.evidence.cell(group, which) for which in (claim.cell, claim.reference))
    if cell.name == reference.name:
        raise ConfigurationError(f"claims.yaml: claims.{claim.id}: cell and reference are the same one, {cell.name!r}")
    rule = Sentence(
        "REPRODUCED if two one-sided tests at ",
        alpha_of(claim),
        " place the difference of the means within ",
        margin_text(claim),
        f"; NOT REPRODUCED if its {percent_text(1 - claim.alpha)} interval lies wholly outside; the runs are paired by seed "
        "where both cells have the same seeds and differ only in how they are computed, and compared by Welch's method "
        "where not; at least ",
        seeds_of(claim),
        " runs a cell",
    )
    cells = (cell, reference)

    def details() -> Details:
        design = None if shortage or comparison is None else _design(claim, cell, reference, comparison)
        return Details(ours=difference(cell, reference), design=design)

    comparison, shortage = compare(cell, reference), find_shortage(claim, cells)
    if comparison is None and not shortage:
        shortage = EQUAL_PAIRS
    if comparison is None or shortage:
        return Trial(cells, rule, details, shortage=shortage)

    def judge(_: Tails | None, margin: float | None) -> Judgement:
        return _judge(claim, cells, comparison, margin or 0.0)

    return Trial(cells, rule, details, judge=judge)


def _judge(claim: Claim, cells: tuple[CellEvidence, CellEvidence], comparison: Comparison, margin: float) -> Judgement:
    p, bounds = comparison.p_equivalent(margin), comparison.interval(1 - claim.alpha)
    how = "paired by seed" if are_pairs(*cells) else "by Welch's method"
    equal = numbers_of(claim, cells).probability("p-equal", p, "larger p of the two one-sided tests of equality")
    told = Sentence("(", p_text(equal), f", {how})")
    if p < claim.alpha:
        apart = ", though it is not zero" if bounds.low > 0 or bounds.high < 0 else ""
        return Outcome.REPRODUCED, (Sentence("the difference lies within ", margin_text(claim), " ", told, apart),)
    if bounds.low > margin or bounds.high < -margin:
        wholly = f"the {percent_text(1 - claim.alpha)} interval of the difference lies wholly outside "
        return Outcome.NOT_REPRODUCED, (Sentence(wholly, margin_text(claim), f" ({how})"),)
    return Outcome.INCONCLUSIVE, (Sentence("the runs do not settle it ", told),)


def _design(claim: Claim, cell: CellEvidence, reference: CellEvidence, compared: Comparison) -> Design:
    margin, cells = claim.margin or 0.0, compared_means(cell, reference)

    def chance(n: int) -> float:
        again = repeat(*(with_runs(each, n) for each in cells))
        outside = chance_greater(abs(compared.difference) - margin, again, claim.alpha / 2)
        return outside + chance_equivalent(compared.difference, margin, again, claim.alpha)

    what = "margin within which these runs would have shown two equal cells to be equal"
    return Design(smallest_margin(foresee(*cells), claim.alpha), what, chance)
