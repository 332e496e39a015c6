"""The rules of claims on a value: equal to a quoted one within a margin, above a quoted one, or counted exactly."""

from collections.abc import Callable
from dataclasses import replace

from experiments.spec import ConfigurationError
from report import statistics
from report.cells import CellEvidence, runs_of, spread
from report.comparisons import gap, unlike
from report.judge.claims import Claim, ClaimKind
from report.judge.power import (
    Design,
    chance_equivalent,
    chance_greater,
    chance_unlike,
    foresee,
    repeat,
    smallest_gap,
    smallest_margin,
    with_runs,
)
from report.judge.trials import (
    Details,
    Judgement,
    Outcome,
    Sources,
    Tails,
    Trial,
    alpha_of,
    crossing,
    find_shortage,
    margin_text,
    numbers_of,
    p_text,
    percent_text,
    refuse_bounds,
    refuse_other_network,
    seeds_of,
)
from report.original import Quoted
from report.quantities import Kind, Quantity, count
from report.sentences import Numbers, Sentence, goes_with
from report.statistics import Comparison
from report.unknown import UnknownName
from report.words import parameters_text


def equality(claim: Claim, sources: Sources) -> Trial:
    """Our mean equals the quoted value within the margin: two one-sided tests."""
    rule = Sentence(
        "REPRODUCED if two one-sided tests at ",
        alpha_of(claim),
        " place our mean within ",
        margin_text(claim),
        f" of the quoted value; NOT REPRODUCED if the {percent_text(1 - claim.alpha)} interval lies wholly outside and the "
        f"quoted value, taken for a single run, lies outside the {percent_text(1 - claim.alpha)} prediction interval for "
        "one more run; at least ",
        seeds_of(claim),
        " runs",
    )
    cell, row, target = _against_quoted(claim, sources)

    def details() -> Details:
        return _details(claim, cell, row, target, None if shortage else _equality_design)

    if shortage := find_shortage(claim, (cell,)):
        return Trial((cell,), rule, details, shortage=shortage, unlike=unlike(cell, row))
    comparison = statistics.against(cell.summary(), target)

    def judge(_: Tails | None, margin: float | None) -> Judgement:
        outcome, reasons = _judge_equality(claim, cell, comparison, target, margin or 0.0)
        return outcome, (*reasons, *_rounding(claim, row, margin or 0.0))

    return Trial((cell,), rule, details, judge=judge, unlike=unlike(cell, row))


def _equality_design(claim: Claim, cell: CellEvidence, target: float) -> Design:
    """What the runs could have shown; a value that one run may give is not refuted by any number of them."""
    seen, margin = cell.summary(), claim.margin or 0.0

    def chance(n: int) -> float:
        more, gap = with_runs(seen, n), abs(seen.mean - target)
        within = chance_equivalent(gap, margin, repeat(more), claim.alpha)
        return within + chance_unlike(gap, margin, repeat(more), claim.alpha, more.n)

    what = "margin within which these runs would have shown a mean that is equal to be equal"
    return Design(smallest_margin(foresee(seen), claim.alpha), what, chance)


def _prediction(claim: Claim, cell: CellEvidence) -> Quantity:
    """Our mean with the interval in which one more run of ours would fall."""
    interval = statistics.prediction_interval(cell.summary(), 1 - claim.alpha)
    kind = f"{percent_text(1 - claim.alpha)} prediction interval for one more run"
    around = spread(interval, cell.summary().sd, kind)
    return replace(cell.quantity(), id=f"claim/{claim.id}/prediction", spread=around)


def _judge_equality(
    claim: Claim, cell: CellEvidence, comparison: Comparison, target: float, margin: float
) -> Judgement:
    """The quoted value is one run of unknown spread: what one more run of ours might give is not refuted by it."""
    p, bounds = comparison.p_equivalent(margin), comparison.interval(1 - claim.alpha)
    inside, compatible = _prediction_text(claim, cell, target)
    equal = numbers_of(claim, [cell]).probability("p-equal", p, "larger p of the two one-sided tests of equality")
    if p < claim.alpha:
        told = Sentence("our mean is within ", margin_text(claim), " (", p_text(equal), f"); {compatible}")
        return Outcome.REPRODUCED, (told,)
    if bounds.low > margin or bounds.high < -margin:
        wholly = Sentence("the interval of the difference lies wholly outside ", margin_text(claim))
        if inside:
            return Outcome.INCONCLUSIVE, (Sentence(wholly, f", but {compatible}"),)
        return Outcome.NOT_REPRODUCED, (Sentence(wholly, f", and {compatible}"),)
    return Outcome.INCONCLUSIVE, (Sentence("the runs do not settle it (", p_text(equal), f"); {compatible}"),)


def _rounding(claim: Claim, row: Quoted, margin: float) -> tuple[str, ...]:
    """That the quoted value may have been another, where this is more than a tenth of the MARGIN."""
    if row.rounding <= margin / 10:
        return ()
    text = f"{100 * row.rounding:.2f}"
    half = "half of the last digit of the quoted accuracy"
    by = Numbers(f"claim/{claim.id}", row.accuracy.origin).spelled(
        "rounding", row.rounding, text, half, Kind.DIFFERENCE
    )
    return (
        Sentence("the quoted value, ", row.accuracy, ", may have been rounded by ", by, ", which no interval covers"),
    )


def _prediction_text(claim: Claim, cell: CellEvidence, target: float) -> tuple[bool, str]:
    """Whether one more run of ours might give TARGET, and that in words."""
    inside = target in statistics.prediction_interval(cell.summary(), 1 - claim.alpha)
    where = "inside" if inside else "outside"
    return (
        inside,
        f"the quoted value lies {where} the {percent_text(1 - claim.alpha)} prediction interval for one more run",
    )


def threshold(claim: Claim, sources: Sources) -> Trial:
    """Our mean is above the quoted value: a one-sided t test; where it is below, the quoted value may be one lucky run's."""
    rule = Sentence(
        "REPRODUCED if the one-sided t test of our mean above the quoted value has p below ",
        alpha_of(claim),
        "; NOT REPRODUCED if that of below has, and the quoted value, taken for a single run, lies outside the "
        f"{percent_text(1 - claim.alpha)} prediction interval for one more run; at least ",
        seeds_of(claim),
        " runs",
    )
    cell, row, target = _against_quoted(claim, sources)

    def details() -> Details:
        return _details(claim, cell, row, target, None if shortage else _threshold_design)

    if shortage := find_shortage(claim, (cell,)):
        return Trial((cell,), rule, details, shortage=shortage, unlike=unlike(cell, row))
    comparison = statistics.against(cell.summary(), target)
    across = crossing(comparison, "the quoted value")

    def judge(_: Tails | None, __: float | None) -> Judgement:
        above, below = comparison.p_greater(), comparison.p_less()
        numbers = numbers_of(claim, [cell])
        told = p_text(numbers.probability("p-above", above, "one-sided p of a mean above the quoted value"))
        if above < claim.alpha:
            return Outcome.REPRODUCED, (Sentence("our mean is above the quoted value (", told, ")"), *across)
        if below < claim.alpha:
            inside, compatible = _prediction_text(claim, cell, target)
            less = p_text(numbers.probability("p-below", below, "one-sided p of a mean below the quoted value"))
            lies = Sentence("our mean is below the quoted value (", less, ")")
            if inside:
                return Outcome.INCONCLUSIVE, (Sentence(lies, f", but {compatible}"),)
            return Outcome.NOT_REPRODUCED, (Sentence(lies, f", and {compatible}"),)
        return Outcome.INCONCLUSIVE, (Sentence("our mean may lie on either side of the quoted value (", told, ")"),)

    return Trial((cell,), rule, details, judge=judge, unlike=unlike(cell, row))


def _threshold_design(claim: Claim, cell: CellEvidence, target: float) -> Design:
    seen = cell.summary()

    def chance(n: int) -> float:
        more = with_runs(seen, n)
        if seen.mean < target:
            return chance_unlike(target - seen.mean, 0.0, repeat(more), claim.alpha, more.n)
        return chance_greater(seen.mean - target, repeat(more), claim.alpha)

    what = "true distance above the quoted value that these runs would have shown"
    return Design(smallest_gap(foresee(seen), claim.alpha), what, chance)


def _details(
    claim: Claim,
    cell: CellEvidence,
    row: Quoted,
    target: float,
    design: Callable[[Claim, CellEvidence, float], Design] | None,
) -> Details:
    """What is told beside the outcome; DESIGN is None where there are too few runs for one."""
    ours = cell.quantity()
    told = Details(row.accuracy, ours, None if ours.is_measured and row.is_bound else gap(cell, row))
    if design is None:
        return told
    return replace(told, design=design(claim, cell, target), prediction=_prediction(claim, cell))


def _against_quoted(claim: Claim, sources: Sources) -> tuple[CellEvidence, Quoted, float]:
    """The claim's one cell, the row that it is compared with, and the accuracy there."""
    (row,) = sources.quoted(claim, 1)
    cell = sources.evidence.cell(str(claim.group), claim.cell)
    refuse_other_network(claim, row, claim.cell)
    if claim.kind is ClaimKind.EQUALITY:
        refuse_bounds(claim, row)
    dataset = cell.parameters.get("dataset")
    if dataset is not None and not row.is_on(dataset) and not sources.evidence.is_rehearsal:
        raise ConfigurationError(
            f"claims.yaml: claims.{claim.id}.quoted: {row.id!r} is a result on {row.dataset}, the claim's cell is on "
            f"{dataset}: quote one on the same data, or correct `dataset` in original.csv"
        )
    value = row.accuracy.value
    assert value is not None
    return cell, row, value


def counts(claim: Claim, sources: Sources) -> Trial:
    """Each quoted parameter count, in thousands, is that of the recorded models of the same sizes."""
    rows = sources.quoted(claim, len(claim.quoted))
    agreeing: int = 0
    differing: list[Sentence] = []
    cells: list[CellEvidence] = []
    for row in rows:
        planned = [
            cell
            for cell in sources.evidence.matching(row.cell)
            if row.cell and row.is_on(cell.parameters.get("dataset"))
        ]
        if not planned:
            remedy = "plan it, or leave the row out"
            if not any("dataset" in cell.parameters for cell in sources.evidence.cells()):
                remedy = "the notebook needs a parameter 'dataset', which tells whether a row is about it"
            raise UnknownName(
                f"claims.yaml: claims.{claim.id}.quoted: no cell of the plan is the model of {row.id!r}: "
                f"{parameters_text({'dataset': row.dataset, **row.cell})}; {remedy}"
            )
        found = [cell for cell in planned if cell.records]
        cells.extend(found)
        counted = {value for cell in found for value in cell.values("parameters")}
        wrong = sorted(value for value in counted if not row.counts(value))
        for value in wrong:
            name = f"claim/{claim.id}/{row.id}/{value:.0f}"
            counted_one = replace(count(name, round(value), "counted in the recorded model"), origin=runs_of(found))
            differing.append(Sentence(f"{found[0].words(row.cell)}: ", counted_one, ", quoted ", row.parameters))
        agreeing += bool(counted) and not wrong

    def judge(_: Tails | None, __: float | None) -> Judgement:
        if differing:
            return Outcome.NOT_REPRODUCED, tuple(differing)
        if agreeing < len(rows):
            told = goes_with(ours, "is recorded, and agrees", "are recorded, and agree")
            return Outcome.INCONCLUSIVE, (Sentence(ours, " of ", reported, f" models {told}"),)
        if len(rows) == 1:
            return Outcome.REPRODUCED, ("the model is recorded and agrees",)
        return Outcome.REPRODUCED, (Sentence("all ", reported, " models are recorded and agree"),)

    reported = count(f"claim/{claim.id}/quoted", len(rows), "models whose parameter count is quoted")
    ours = count(f"claim/{claim.id}/agreeing", agreeing, "of these, models recorded here with the quoted count")

    def details() -> Details:
        return Details(reported, ours)

    return Trial(
        tuple(cells),
        "REPRODUCED if every model is recorded and has the quoted number of parameters, to its last digit; "
        "NOT REPRODUCED if one differs; INCONCLUSIVE while models are not recorded",
        details,
        judge=judge,
        shortage="" if cells else "none of these models is recorded yet",
    )
