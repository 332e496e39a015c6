"""What must hold of every verdict, whatever the accuracies."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from report.judge.trials import Outcome
from report.judge.verdict import DECIDED
from tests.judging import DIRECTION, EQUALITY, EQUIVALENCE, ORIGINAL, THRESHOLD, TREND, judged, quoted, sweep, ways

accuracy = st.integers(5000, 9000).map(lambda images: images / 10_000)
cell = st.lists(accuracy, min_size=3, max_size=5)
OPPOSITE = {Outcome.REPRODUCED: Outcome.NOT_REPRODUCED, Outcome.NOT_REPRODUCED: Outcome.REPRODUCED}
SWAPPED = replace(DIRECTION, better=DIRECTION.worse, worse=DIRECTION.better)
few = settings(max_examples=40, deadline=None)


@few
@given(cell, cell)
def test_swapping_the_cells_never_shows_both_directions(low: list[float], high: list[float]) -> None:
    evidence = sweep(low, high)
    one, other = judged(evidence, DIRECTION), judged(evidence, SWAPPED)
    assert not one.outcome is other.outcome is Outcome.REPRODUCED
    if one.outcome is Outcome.REPRODUCED and (one.probability is None or (one.probability.value or 0) < 0.025):
        assert other.outcome is Outcome.NOT_REPRODUCED  # at half of alpha, as the interval has two sides


@few
@given(cell, cell, st.integers(-1000, 1000))
def test_shifting_every_accuracy_shifts_no_comparison(low: list[float], high: list[float], images: int) -> None:
    moved = [[round(value + images / 10_000, 4) for value in values] for values in (low, high)]
    before, after = judged(sweep(low, high), DIRECTION), judged(sweep(*moved), DIRECTION)
    if any(len(set(values)) == 1 for values in (low, high)):
        return  # the error of equal runs is the binomial one, which depends on the level
    p, q = before.probability, after.probability
    assert p is not None and q is not None
    assert abs((p.value or 0) - (q.value or 0)) < 1e-6


@few
@given(st.lists(accuracy, min_size=3, max_size=3), st.lists(accuracy, min_size=3, max_size=3))
def test_runs_in_another_order_give_the_same_verdict_on_cells_that_are_no_pairs(a: list[float], b: list[float]) -> None:
    assert judged(sweep(a, b), DIRECTION).outcome is judged(sweep(a[::-1], b[::-1]), DIRECTION).outcome


@few
@given(accuracy, accuracy, accuracy)
def test_one_run_a_cell_is_never_decided(a: float, b: float, c: float) -> None:
    assert judged(sweep([a], [b]), DIRECTION).outcome is Outcome.INCONCLUSIVE
    assert judged(sweep([a], [b], [c]), TREND).outcome is Outcome.INCONCLUSIVE
    for claim in (EQUALITY, THRESHOLD):
        assert judged(sweep([a]), claim).outcome is Outcome.INCONCLUSIVE
    assert judged(ways([a], [b]), EQUIVALENCE).outcome is Outcome.INCONCLUSIVE


@few
@given(st.lists(accuracy, min_size=3, max_size=4, unique=True))
def test_more_runs_like_those_seen_never_turn_a_verdict_into_its_opposite(values: list[float]) -> None:
    for claim in (THRESHOLD, EQUALITY):
        before = judged(sweep(values), claim).outcome
        after = judged(sweep([*values, *values]), claim).outcome
        assert after is not OPPOSITE.get(before)


def test_an_effect_that_is_there_and_slight_is_reproduced_in_part() -> None:
    low, high = [0.7, 0.701, 0.702], [0.701, 0.702, 0.703]
    few, many = judged(sweep(low, high), DIRECTION), judged(sweep(low * 2, high * 2), DIRECTION)
    assert (few.outcome, few.reasons[0]) == (
        Outcome.NOT_REPRODUCED,
        "the effect is absent: the difference lies within ± 0.50 pp",
    )
    assert (many.outcome, many.reasons[0]) == (
        Outcome.PARTIAL,
        "the difference has the claimed sign (p = 0.041), but lies within ± 0.50 pp",
    )
    trend = judged(sweep(low * 2, high * 2, [0.702, 0.703, 0.704] * 2), TREND)
    assert trend.outcome is Outcome.PARTIAL
    assert trend.reasons[0].endswith("but the end-to-end difference lies within ± 0.50 pp")


near = st.lists(st.integers(6950, 7050).map(lambda images: images / 10_000), min_size=3, max_size=4, unique=True)


@few
@given(near, near, near, st.integers(2, 6))
@example([0.7, 0.701, 0.702], [0.701, 0.702, 0.703], [0.702, 0.703, 0.704], 2)  # absent, or there and slight
def test_more_runs_like_those_seen_never_turn_a_comparison_into_its_opposite(
    low: list[float], middle: list[float], high: list[float], times: int
) -> None:
    for make, judged_claim, levels in (
        (sweep, DIRECTION, (low, high)),
        (sweep, TREND, (low, middle, high)),
        (ways, EQUIVALENCE, (low, high)),
    ):
        before = judged(make(*levels), judged_claim).outcome
        after = judged(make(*(level * times for level in levels)), judged_claim).outcome
        assert after is not OPPOSITE.get(before), (judged_claim.kind, before, after)


@few
@given(near, near, st.integers(-1000, 1000))
def test_shifting_every_accuracy_shifts_no_trend_and_no_equivalence(
    low: list[float], high: list[float], images: int
) -> None:
    shift = images / 10_000
    for make, judged_claim, levels in ((sweep, TREND, (low, high, low)), (ways, EQUIVALENCE, (low, high))):
        moved = [[round(value + shift, 4) for value in level] for level in levels]
        before, after = judged(make(*levels), judged_claim), judged(make(*moved), judged_claim)
        assert before.outcome is after.outcome
        assert before.reasons == after.reasons


@few
@given(st.lists(accuracy, min_size=3, max_size=5, unique=True))
def test_a_wider_margin_never_refutes_what_a_narrower_one_does_not(values: list[float]) -> None:
    narrow, wide = (judged(sweep(values), replace(EQUALITY, margin=margin)).outcome for margin in (0.01, 0.02))
    assert not (narrow is Outcome.REPRODUCED and wide is not Outcome.REPRODUCED)
    assert not (narrow is not Outcome.NOT_REPRODUCED and wide is Outcome.NOT_REPRODUCED)


@few
@given(cell, cell)
def test_every_decided_verdict_and_only_an_inconclusive_one_says_what_it_must(
    a: Sequence[float], b: Sequence[float]
) -> None:
    verdict = judged(sweep(a, b), DIRECTION)
    if verdict.outcome in DECIDED:
        assert not verdict.settling and verdict.detectable is not None and verdict.robustness.tried
        assert verdict.ours is not None and verdict.ours.spread is not None and verdict.ours.n
    if verdict.outcome is Outcome.INCONCLUSIVE:
        assert verdict.settling or "exactly equal" in verdict.reasons[0]


def test_the_quoted_values_of_these_tests_are_those_of_the_claims() -> None:
    assert set(EQUALITY.quoted) <= set(ORIGINAL) and ORIGINAL["a"] == quoted("a", "71.00")
