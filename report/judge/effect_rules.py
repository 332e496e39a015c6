"""The rules of claims on an effect: one cell better than another, and accuracy along a parameter."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from experiments.spec import ConfigurationError
from report import statistics
from report.cells import CellEvidence, varying_parameters
from report.comparisons import compare, compared_means, differ_in_computing_alone, difference, quoted_difference
from report.judge import ordering
from report.judge.claims import Claim
from report.judge.power import (
    Design,
    chance_beyond,
    chance_equivalent,
    chance_rising,
    foresee,
    repeat,
    smallest_gap,
    with_runs,
)
from report.judge.support import other_orderings, same_images
from report.judge.trials import (
    EQUAL_PAIRS,
    Details,
    Judgement,
    Outcome,
    Sources,
    Tails,
    Trial,
    adjusted_text,
    alpha_of,
    crossing,
    find_shortage,
    margin_text,
    numbers_of,
    percent_text,
    refuse_bounds,
    refuse_other_network,
    seeds_of,
)
from report.original import Quoted
from report.quantities import Quantity
from report.sentences import Sentence
from report.statistics import Comparison, Interval
from report.words import cell_text, in_words


def direction(claim: Claim, sources: Sources) -> Trial:
    """The cell `better` is better than the cell `worse`: Welch's one-sided test, or that of pairs.

    Of cells that differ only in how they are computed the runs are pairs, and the test is that of their differences.
    """
    better, worse = (sources.evidence.cell(str(claim.group), which) for which in (claim.better, claim.worse))
    if better.name == worse.name:
        raise ConfigurationError(f"claims.yaml: claims.{claim.id}: better and worse are the same cell, {better.name!r}")
    _refuse_other_rows(claim, better, worse, sources)
    rule = Sentence(
        "REPRODUCED if Welch's one-sided p, after Holm over ",
        sources.family_text(claim),
        ", is below ",
        alpha_of(claim),
        " (PARTIAL if the difference is slight); ",
        _failing(claim),
        f"; {_pairing(better, worse)}at least ",
        seeds_of(claim),
        " runs a cell",
    )
    cells = (better, worse)
    numbers = numbers_of(claim, cells)

    def details() -> Details:
        found = Details(_reported(claim, sources), difference(better, worse))
        if shortage or comparison is None:
            return found
        design = _design(claim, better, worse, sources.strictest(claim), "difference")
        return replace(found, design=design, support=same_images(better, worse, numbers))

    comparison, shortage = compare(better, worse), find_shortage(claim, cells)
    if comparison is None or shortage:
        return Trial(cells, rule, details, shortage=shortage or EQUAL_PAIRS)
    raw = Tails(comparison.p_greater(), comparison.p_less())
    across = crossing(comparison, "0")

    def judge(after: Tails | None, margin: float | None) -> Judgement:
        after = after or raw
        if after.claimed < claim.alpha:
            told = adjusted_text(numbers, "claimed", raw.claimed, after.claimed)
            sign = Sentence("the difference has the claimed sign (", told, ")")
            if _is_slight(claim, comparison, margin):
                return Outcome.PARTIAL, (Sentence(sign, ", but lies within ", margin_text(claim)), *across)
            return Outcome.REPRODUCED, (sign, *across)
        if after.opposite < claim.alpha:
            told = adjusted_text(numbers, "opposite", raw.opposite, after.opposite)
            return Outcome.NOT_REPRODUCED, (Sentence("the difference has the opposite sign (", told, ")"), *across)
        told = adjusted_text(numbers, "claimed", raw.claimed, after.claimed)
        return _judge_absence(claim, comparison, told, margin, "difference")

    return Trial(cells, rule, details, raw, judge)


def _pairing(better: CellEvidence, worse: CellEvidence) -> str:
    """That runs are paired, where the cells differ in nothing but how they are computed."""
    if not differ_in_computing_alone(better, worse):
        return ""
    return "the runs are paired by seed where both cells have the same seeds, and the p is that of their differences; "


def _refuse_other_rows(claim: Claim, better: CellEvidence, worse: CellEvidence, sources: Sources) -> None:
    """Each quoted row must be a value, and have what its cell has of that in which the claim's two cells differ.

    In other sizes the original's networks may differ from ours, as its settings may.
    """
    if not claim.quoted:
        return
    asked = [name for name in {**claim.better, **claim.worse} if better.parameters[name] != worse.parameters[name]]
    rows = sources.quoted(claim, 2)
    refuse_bounds(claim, *rows)
    for row, cell in zip(rows, (better, worse), strict=True):
        refuse_other_network(claim, row, {name: cell.parameters[name] for name in asked})


def trend(claim: Claim, sources: Sources) -> Trial:
    """Accuracy rises, or falls, along a parameter: an ordering test and the end-to-end difference.

    What is printed as ours spans the levels of the quoted effect, so that the two can be set side by side; the rule
    itself looks at all levels.
    """
    cells = _levels(claim, sources)
    along = cells[0].word(claim.along)
    best, worst = _quoted_ends(claim, cells, sources)
    rule = Sentence(
        f"REPRODUCED if Jonckheere and Terpstra's one-sided p (exact for few runs of one spread) over {along} "
        f"({claim.order}), after Holm over ",
        sources.family_text(claim),
        ", is below ",
        alpha_of(claim),
        f" and the {percent_text(1 - claim.alpha)} interval of the end-to-end difference lies above 0 (PARTIAL if it is "
        "slight, or a step is significantly reversed); ",
        _failing(claim),
        "; at least ",
        seeds_of(claim),
        " runs at every level",
    )
    numbers = numbers_of(claim, cells)
    span = _span_text(claim, cells, (best, worst))

    def details() -> Details:
        told = Details(_reported(claim, sources), difference(best, worst))
        if shortage:
            return told
        return replace(told, design=_trend_design(claim, cells, sources), support=other_orderings(cells, numbers))

    if shortage := find_shortage(claim, cells):
        return Trial(cells, rule, details, shortage=shortage, span=span)
    found = ordering.trend([cell.values() for cell in cells])

    raw = Tails(found.p_increasing, found.p_decreasing)

    def judge(after: Tails | None, margin: float | None) -> Judgement:
        return _judge_trend(claim, cells, raw, after or raw, margin)

    return Trial(cells, rule, details, raw, judge, span=span)


def _design(
    claim: Claim, better: CellEvidence, worse: CellEvidence, level: float, what: str, by: str = "these runs"
) -> Design:
    """What two cells could have shown at LEVEL, the strictest at which the rule may test them, BY the test named."""
    means, margin = compared_means(better, worse), claim.margin or 0.0
    gap = better.summary().mean - worse.summary().mean

    def chance(n: int) -> float:
        new = repeat(*(with_runs(each, n) for each in means))
        shown, opposite = (chance_beyond(sign * gap, margin, new, level, claim.alpha) for sign in (1, -1))
        return shown + opposite + chance_equivalent(gap, margin, new, claim.alpha)

    words = f"true {what} that {by} would have shown"
    return Design(smallest_gap(foresee(*means), level), words, chance)


def _trend_design(claim: Claim, cells: tuple[CellEvidence, ...], sources: Sources) -> Design:
    """The same of a trend: its smallest effect is that of the two ends, its chance that of the whole rule.

    The levels between may lie where the ordering test sees more than that of the ends, or less.
    """
    level = sources.strictest(claim)
    ends = _design(
        claim,
        cells[-1],
        cells[0],
        min(level, claim.alpha / 2),  # the interval of the end-to-end difference is two-sided
        "end-to-end difference",
        "Welch's test of the two ends alone",
    )

    def chance(n: int) -> float:
        seen = [with_runs(cell.summary(), n) for cell in cells]
        high, low, margin = seen[-1], seen[0], claim.margin or 0.0
        new, gap = repeat(high, low), high.mean - low.mean
        shown, opposite = (
            min(chance_rising(order, level), chance_beyond(sign * gap, margin, new, claim.alpha / 2, claim.alpha))
            for sign, order in ((1, seen), (-1, seen[::-1]))
        )
        return shown + opposite + chance_equivalent(gap, margin, new, claim.alpha)

    return replace(ends, chance=chance)


def _levels(claim: Claim, sources: Sources) -> tuple[CellEvidence, ...]:
    """The cells of the claim's group that its `cell` names, in the claimed order, from worst to best."""
    group = sources.evidence.cells(claim.group)
    if unknown := claim.cell.keys() - group[0].parameters.keys():
        valid = ", ".join(group[0].parameters)
        raise ConfigurationError(
            f"claims.yaml: claims.{claim.id}.cell: {min(unknown)!r} is no parameter of group {claim.group!r}, whose "
            f"cells have {valid}"
        )
    cells = [cell for cell in group if all(cell.parameters[name] == value for name, value in claim.cell.items())]
    if not cells:
        raise ConfigurationError(
            f"claims.yaml: claims.{claim.id}.cell: no cell of group {claim.group!r} has {cell_text(claim.cell)}"
        )
    varying = varying_parameters(cells)
    if varying != (claim.along,) or len(cells) < 3:
        named = f" with {cell_text(claim.cell)}" if claim.cell else ""
        raise ConfigurationError(
            f"claims.yaml: claims.{claim.id}: the {len(cells)} cells of group {claim.group!r}{named} differ in "
            f"{', '.join(varying) or 'nothing'}; expected at least three that differ in {claim.along!r} alone"
        )
    levels = [cell.parameters[claim.along] for cell in cells]
    if not all(isinstance(level, int | float) for level in levels):
        raise ConfigurationError(
            f"claims.yaml: claims.{claim.id}.along: the levels of {claim.along!r} are {', '.join(map(str, levels))}; expected "
            "numbers, for words have no order of their own: claim a direction between two of them"
        )
    return tuple(sorted(cells, key=lambda cell: cell.parameters[claim.along], reverse=claim.order == "decreasing"))


def _quoted_ends(claim: Claim, cells: tuple[CellEvidence, ...], sources: Sources) -> tuple[CellEvidence, CellEvidence]:
    """The levels between which the effect is quoted, the claimed better one first; the ends where none is quoted."""
    if not claim.quoted:
        return cells[-1], cells[0]
    levels = {cell.parameters[claim.along]: cell for cell in cells}
    rows = sources.quoted(claim, 2)
    refuse_bounds(claim, *rows)
    first, second = (_level_of(claim, row, levels) for row in rows)
    return first, second


def _level_of(claim: Claim, row: Quoted, levels: Mapping[int, CellEvidence]) -> CellEvidence:
    level = row.cell.get(claim.along)
    if level not in levels:
        raise ConfigurationError(
            f"claims.yaml: claims.{claim.id}.quoted: {row.id!r} is for {in_words(claim.along)} {level!r}, which is no "
            f"level of group {claim.group!r}; its levels are {', '.join(map(str, levels))}: quote an effect between two"
        )
    return levels[level]


def _span_text(claim: Claim, cells: tuple[CellEvidence, ...], ends: tuple[CellEvidence, CellEvidence]) -> str:
    """That the effect is printed over fewer levels than are tested; empty where it is not."""
    best, worst = ends
    if best.name == cells[-1].name and worst.name == cells[0].name:
        return ""
    along, name = best.word(claim.along), claim.along
    return (
        f"reported and ours are the difference between {along} {best.parameters[name]} and {worst.parameters[name]}, "
        f"the end-to-end difference is between {cells[-1].parameters[name]} and {cells[0].parameters[name]}"
    )


def _judge_trend(
    claim: Claim, cells: tuple[CellEvidence, ...], raw: Tails, after: Tails, margin: float | None
) -> Judgement:
    """By the p of both orders AFTER Holm's method, told beside the RAW ones, and the interval between the ends.

    The interval is asked for because the ordering test alone is exact only where all levels have one spread: where those of
    the ends are ten times the others' it errs twice as often at 0.05, and five times at Holm's first step in a family of
    seven; with the interval half as often as 0.05 allows, and twice.
    """
    numbers, along = numbers_of(claim, cells), cells[0].word(str(claim.along))
    told = adjusted_text(numbers, "claimed", raw.claimed, after.claimed)
    end_to_end = statistics.welch(cells[-1].summary(), cells[0].summary())
    ends = end_to_end.interval(1 - claim.alpha)
    if after.claimed < claim.alpha and ends.low > 0:
        if steps := _reversed_steps(claim, cells):
            return Outcome.PARTIAL, (
                Sentence("the trend is there (", told, f"), but reversed from {', '.join(steps)}"),
            )
        if _is_slight(claim, end_to_end, margin):
            slight = Sentence("the end-to-end difference lies within ", margin_text(claim))
            return Outcome.PARTIAL, (Sentence("the trend is there (", told, "), but ", slight),)
        return Outcome.REPRODUCED, (Sentence(f"accuracy follows {along} in the claimed order (", told, ")"),)
    if after.opposite < claim.alpha and ends.high < 0:
        opposite = adjusted_text(numbers, "opposite", raw.opposite, after.opposite)
        return Outcome.NOT_REPRODUCED, (Sentence(f"accuracy follows {along} in the opposite order (", opposite, ")"),)
    return _judge_absence(claim, end_to_end, told, margin, "end-to-end difference")


def _reversed_steps(claim: Claim, cells: tuple[CellEvidence, ...]) -> list[str]:
    """The steps between neighbouring levels that go significantly against the claimed order, after Holm over them."""
    pairs = list(pairwise(cells))
    adjusted = statistics.holm([statistics.welch(high.summary(), low.summary()).p_less() for low, high in pairs])
    return [
        f"{low.parameters[claim.along]} to {high.parameters[claim.along]}"
        for (low, high), p in zip(pairs, adjusted, strict=True)
        if p < claim.alpha
    ]


def _judge_absence(claim: Claim, comparison: Comparison, told: str, margin: float | None, what: str) -> Judgement:
    """What remains where neither the effect, with the p that is TOLD, nor its opposite is shown: WHAT may be slight."""
    if _is_slight(claim, comparison, margin):
        within = Sentence(f"the effect is absent: the {what} lies within ", margin_text(claim))
        return Outcome.NOT_REPRODUCED, (within,)
    return Outcome.INCONCLUSIVE, (Sentence("neither the claimed effect (", told, ") nor its absence is shown"),)


def _is_slight(claim: Claim, comparison: Comparison, margin: float | None) -> bool:
    """Whether the effect, be it there or not, is shown to lie within the margin.

    Such an effect is not REPRODUCED even where its sign is shown: more runs, which show ever smaller effects, would
    otherwise turn an effect that is absent into one that is there.
    """
    return bool(margin) and comparison.interval(1 - 2 * claim.alpha).is_inside(
        Interval(-(margin or 0.0), margin or 0.0)
    )


def _reported(claim: Claim, sources: Sources) -> Quantity | None:
    """The quoted effect: the first quoted value minus the second; None where the claim quotes none."""
    if not claim.quoted:
        return None
    return quoted_difference(*sources.quoted(claim, 2))


def _failing(claim: Claim) -> Sentence:
    return Sentence(
        f"NOT REPRODUCED if the opposite is shown in the same way, or the {percent_text(1 - 2 * claim.alpha)} interval of "
        "the difference lies within ",
        margin_text(claim),
        ", which is slight",
    )
