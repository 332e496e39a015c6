"""The arithmetic of intervals and tests, against scipy's and against counting by hand."""

import itertools
import math
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.spec import ReproductionError
from report import statistics
from report.judge import ordering

ACCURACIES = [0.7062, 0.7131, 0.7098]
OTHERS = [0.6912, 0.7003, 0.6951, 0.6987]
fractions = st.floats(0.0, 1.0)


def test_summary_of_three_values_is_mean_sd_and_t_interval() -> None:
    summary = statistics.summarise(ACCURACIES)
    expected = stats.ttest_1samp(ACCURACIES, 0).confidence_interval(0.95)
    assert (summary.n, summary.mean, summary.sd) == (3, pytest.approx(0.7097), pytest.approx(0.0034511, rel=1e-4))
    assert (summary.interval().low, summary.interval().high) == pytest.approx((expected.low, expected.high))


def test_one_value_has_a_mean_but_no_spread() -> None:
    summary = statistics.summarise([0.5])
    assert summary == statistics.Summary(1, 0.5, None, None)
    with pytest.raises(ReproductionError, match="an interval needs at least two values, found 1: record another seed"):
        summary.interval()


def test_identical_values_have_an_interval_of_no_width() -> None:
    assert statistics.summarise([0.5, 0.5]).interval() == statistics.Interval(0.5, 0.5)


def test_welch_agrees_with_scipy_in_interval_and_both_tails() -> None:
    comparison = statistics.welch(ACCURACIES, OTHERS)
    reference = stats.ttest_ind(ACCURACIES, OTHERS, equal_var=False)
    greater = stats.ttest_ind(ACCURACIES, OTHERS, equal_var=False, alternative="greater")
    interval = reference.confidence_interval(0.95)
    assert comparison.difference == pytest.approx(0.013375)
    assert (comparison.interval().low, comparison.interval().high) == pytest.approx((interval.low, interval.high))
    assert comparison.p_greater() == pytest.approx(greater.pvalue)
    assert comparison.p_less() == pytest.approx(1 - greater.pvalue)


def test_equal_shares_have_the_binomial_error_as_spread_and_at_least_that_of_one_image() -> None:
    equal = statistics.of_equal_shares(statistics.summarise([0.7] * 4), 10_000)
    assert (equal.n, equal.mean, equal.sd) == (4, pytest.approx(0.7), pytest.approx(math.sqrt(0.21) / 100))
    assert equal.error == pytest.approx(equal.sd / 2)
    assert statistics.of_equal_shares(statistics.summarise([1.0] * 4), 10_000).sd == 1e-4
    assert statistics.welch(equal, equal).interval().high > 0.004
    with pytest.raises(ReproductionError, match="at least 2 values are needed, found 1"):
        statistics.against(statistics.summarise([0.7]), 0.7)


def test_welch_of_runs_without_spread_is_certain_unless_they_are_equal() -> None:
    apart, same = statistics.welch([0.6, 0.6], [0.5, 0.5]), statistics.welch([0.5, 0.5], [0.5, 0.5])
    assert (apart.p_greater(), apart.p_less()) == (0.0, 1.0)
    assert (same.p_greater(), same.p_less()) == (1.0, 1.0)


def test_equivalence_is_the_larger_of_two_one_sided_tests() -> None:
    comparison = statistics.against(ACCURACIES, 0.71)
    lower = stats.ttest_1samp(ACCURACIES, 0.71 - 0.02, alternative="greater").pvalue
    upper = stats.ttest_1samp(ACCURACIES, 0.71 + 0.02, alternative="less").pvalue
    assert comparison.p_equivalent(0.02) == pytest.approx(max(lower, upper))


@given(st.lists(st.floats(0.4, 0.6), min_size=3, max_size=6), st.floats(0.001, 0.1))
def test_equivalence_at_5_percent_is_the_90_percent_interval_inside_the_margin(
    values: list[float], margin: float
) -> None:
    comparison = statistics.against(values, 0.5)
    inside = comparison.interval(0.90).is_inside(statistics.Interval(-margin, margin))
    p = comparison.p_equivalent(margin)
    assert inside == (p < 0.05) or math.isclose(p, 0.05, rel_tol=1e-6)


def test_a_margin_of_zero_is_refused() -> None:
    with pytest.raises(ReproductionError, match="a margin is a finite number above 0, found 0.0"):
        statistics.against(ACCURACIES, 0.7).p_equivalent(0.0)


def test_prediction_interval_is_wider_than_the_interval_of_the_mean_by_the_known_factor() -> None:
    interval = statistics.prediction_interval(ACCURACIES)
    assert interval.high - 0.7097 == pytest.approx(4.97 * 0.0034511, rel=2e-3)


def test_bartlett_agrees_with_scipy_and_takes_no_variance_of_0_for_another() -> None:
    samples = [[0.7, 0.71, 0.74], [0.5, 0.58], [0.3, 0.301, 0.302, 0.305]]
    summaries = [statistics.summarise(sample) for sample in samples]
    assert statistics.bartlett(summaries) == pytest.approx(stats.bartlett(*samples).pvalue)
    equal = statistics.summarise([0.5, 0.5])
    assert statistics.bartlett([equal, equal]) == statistics.bartlett(summaries[:1]) == statistics.bartlett([]) == 1.0
    assert statistics.bartlett([*summaries, equal]) == 0.0


def test_wilson_agrees_with_scipy() -> None:
    reference = stats.binomtest(9500, 10_000).proportion_ci(method="wilson")
    interval = statistics.wilson(9500, 10_000)
    assert (interval.low, interval.high) == pytest.approx((reference.low, reference.high))


@pytest.mark.parametrize(("successes", "trials"), [(3, 0), (-1, 10), (11, 10)])
def test_wilson_refuses_what_is_no_proportion(successes: int, trials: int) -> None:
    with pytest.raises(ReproductionError, match=f"{successes} of {trials} is no proportion"):
        statistics.wilson(successes, trials)


def counted_by_hand(sizes: tuple[int, ...]) -> list[int]:
    """How many orders have 0, 1, 2, ... rising pairs, by trying all of them."""
    labels = [level for level, size in enumerate(sizes) for _ in range(size)]
    pairs = sum(a * b for a, b in itertools.combinations(sizes, 2))
    ways = [0] * (pairs + 1)
    for order in set(itertools.permutations(labels)):
        ways[sum(a < b for a, b in itertools.combinations(order, 2))] += 1
    return ways


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 2, 2), (1, 2, 3), (3, 1, 2), (2, 1, 1, 2)])
def test_trend_counts_orders_as_trying_all_of_them_does(sizes: tuple[int, ...]) -> None:
    assert list(ordering._ways_to_order(sizes)) == counted_by_hand(sizes)


def test_perfect_order_of_three_levels_and_three_seeds_has_one_way_in_1680() -> None:
    found = ordering.trend([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])
    assert found == ordering.Trend(27.0, 1 / 1680, 1.0)


def test_trend_of_the_reversed_levels_swaps_the_tails() -> None:
    levels = [[0.1, 0.5], [0.3, 0.4], [0.35, 0.6]]
    forward, backward = ordering.trend(levels), ordering.trend(levels[::-1])
    assert forward.p_increasing == pytest.approx(backward.p_decreasing)


@pytest.mark.parametrize("shift", [-0.02, 0.0, 0.02])
def test_the_trend_of_many_runs_by_the_normal_limit_is_near_the_exact_one(
    shift: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = random.Random(1)
    levels = [[0.7 + shift * level / 3 + noise.gauss(0, 0.02) for _ in range(20)] for level in range(4)]
    exact = ordering.trend(levels)
    monkeypatch.setattr(ordering, "EXACT_PAIRS", 0)
    limit = ordering.trend(levels)
    assert limit.statistic == exact.statistic
    assert limit.p_increasing == pytest.approx(exact.p_increasing, abs=1e-3)
    assert limit.p_decreasing == pytest.approx(exact.p_decreasing, abs=1e-3)


def test_a_trend_of_a_thousand_runs_takes_no_time() -> None:
    levels = [[level + run / 1000 for run in range(250)] for level in range(4)]
    begun = time.monotonic()
    assert ordering.trend(levels).p_increasing < 1e-6
    assert time.monotonic() - begun < 5
    assert not ordering.is_exact([250] * 4) and ordering.is_exact([5] * 4)


def test_ties_never_make_a_trend_more_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    tied, broken = [[0.1, 0.2], [0.2, 0.3], [0.4, 0.5]], [[0.1, 0.2], [0.21, 0.3], [0.4, 0.5]]
    for pairs in (ordering.EXACT_PAIRS, 0):  # counted, and by the normal limit
        monkeypatch.setattr(ordering, "EXACT_PAIRS", pairs)
        one, other = ordering.trend(tied), ordering.trend(broken)
        assert (one.statistic, other.statistic) == (11.5, 12.0)
        assert one.p_increasing > other.p_increasing
        assert one.p_decreasing == other.p_decreasing == ordering.trend(tied[::-1]).p_increasing


def test_a_trend_counts_each_rising_pair_whatever_the_order_of_the_runs() -> None:
    levels = [[0.3, 0.1, 0.5], [0.4, 0.6, 0.2], [0.7, 0.35, 0.55]]
    rising = sum(a < b for low, high in itertools.combinations(levels, 2) for a in low for b in high)
    found = ordering.trend(levels)
    assert found.statistic == rising
    assert found == ordering.trend([sorted(level) for level in levels]) == ordering.trend([x[::-1] for x in levels])


def test_trend_of_two_levels_is_refused() -> None:
    with pytest.raises(ReproductionError, match="a trend needs at least three levels, found 2"):
        ordering.trend([[0.1], [0.2]])


def test_holm_steps_down_and_stays_in_order() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 1.0]) == pytest.approx((0.04, 0.09, 0.09, 1.0))


@given(st.lists(fractions, min_size=1, max_size=6), fractions)
def test_holm_never_gets_stricter_when_an_untested_claim_is_tested(others: list[float], later: float) -> None:
    mine = 0.02
    before, after = statistics.holm([mine, *others, 1.0]), statistics.holm([mine, *others, later])
    assert after[0] <= before[0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    for call in (
        lambda: statistics.summarise([0.5, bad]),
        lambda: statistics.welch([0.5, bad], ACCURACIES),
        lambda: statistics.against(ACCURACIES, bad),
        lambda: ordering.trend([[0.1], [bad], [0.2]]),
        lambda: statistics.holm([bad]),
    ):
        with pytest.raises(ReproductionError, match="statistics of finite numbers only"):
            call()


def test_p_values_beyond_one_are_refused() -> None:
    with pytest.raises(ReproductionError, match=r"p values lie between 0 and 1, found \[0.5, 1.5\]"):
        statistics.holm([0.5, 1.5])


def test_no_values_are_refused() -> None:
    with pytest.raises(ReproductionError, match=r"at least 1 values are needed, found 0: \[\]"):
        statistics.summarise([])


@pytest.mark.parametrize(("n", "factor"), [(2, 8.98), (3, 2.48), (5, 1.24), (10, 0.72)])
def test_the_half_width_of_an_interval_is_the_known_multiple_of_sd(n: int, factor: float) -> None:
    values = [0.5 + 0.01 * (-1) ** index for index in range(n)]
    summary = statistics.summarise(values)
    assert summary.sd is not None
    assert (summary.interval().high - summary.mean) / summary.sd == pytest.approx(factor, abs=0.01)


def test_a_confidence_of_one_is_refused() -> None:
    with pytest.raises(ReproductionError, match="a confidence lies between 0 and 1, found 1.0"):
        statistics.summarise(ACCURACIES).interval(1.0)
