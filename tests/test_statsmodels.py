"""The arithmetic of verdicts against statsmodels, another library's authors' reading of the same papers, on random runs."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower, TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_ind, ttost_paired

from report import statistics
from report.judge import power
from report.judge.mcnemar import Discordance
from report.statistics import Summary

accuracy = st.integers(5000, 9500).map(lambda images: images / 10_000)
runs = st.lists(accuracy, min_size=2, max_size=8).filter(lambda values: max(values) - min(values) > 5e-4)
margins = st.floats(0.001, 0.05)
many = settings(max_examples=50, deadline=None)


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-8, abs=1e-12)


@many
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_adjustment_is_theirs(p_values: list[float]) -> None:
    assert statistics.holm(p_values) == close(tuple(multipletests(p_values, method="holm")[1]))


@many
@given(runs, runs)
def test_welchs_interval_and_tails_are_theirs(a: list[float], b: list[float]) -> None:
    means = CompareMeans(DescrStatsW(a), DescrStatsW(b))
    comparison = statistics.welch(a, b)
    assert (comparison.interval().low, comparison.interval().high) == close(means.tconfint_diff(usevar="unequal"))
    assert comparison.p_greater() == close(means.ttest_ind(alternative="larger", usevar="unequal")[1])
    assert comparison.p_less() == close(means.ttest_ind(alternative="smaller", usevar="unequal")[1])
    assert comparison.degrees == close(means.ttest_ind(usevar="unequal")[2])


@many
@given(runs, runs, margins)
def test_two_one_sided_tests_are_theirs(a: list[float], b: list[float], margin: float) -> None:
    theirs = ttost_ind(np.array(a), np.array(b), -margin, margin, usevar="unequal")[0]
    assert statistics.welch(a, b).p_equivalent(margin) == close(theirs)


@many
@given(st.lists(st.tuples(accuracy, accuracy), min_size=2, max_size=8), margins)
def test_two_one_sided_tests_of_pairs_are_theirs(pairs: list[tuple[float, float]], margin: float) -> None:
    a, b = (np.array(values) for values in zip(*pairs, strict=True))
    assume(np.ptp(a - b) > 5e-4)
    assert statistics.paired(a.tolist(), b.tolist()).p_equivalent(margin) == close(
        ttost_paired(a, b, -margin, margin)[0]
    )


@many
@given(runs, accuracy)
def test_the_interval_of_a_mean_and_its_test_against_a_value_are_theirs(values: list[float], target: float) -> None:
    theirs, ours = DescrStatsW(values), statistics.summarise(values)
    assert (ours.interval().low, ours.interval().high) == close(theirs.tconfint_mean())
    assert statistics.against(values, target).p_greater() == close(theirs.ttest_mean(target, alternative="larger")[1])


@many
@given(st.integers(0, 80), st.integers(0, 80))
def test_mcnemars_exact_p_is_theirs(first: int, second: int) -> None:
    """Theirs has two sides: twice the smaller one-sided p, where the counts differ."""
    assume(first > second)
    theirs = mcnemar([[0, first], [second, 0]], exact=True).pvalue
    assert Discordance(first, second).p_first == close(theirs / 2)


@many
@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wilsons_interval_is_theirs(trials: int, share: float) -> None:
    successes = round(share * trials)
    interval = statistics.wilson(successes, trials)
    assert (interval.low, interval.high) == pytest.approx(
        proportion_confint(successes, trials, method="wilson"), abs=1e-9
    )


def of_spread(n: int, sd: float = 1.0) -> Summary:
    return Summary(n, 0.0, sd, sd / math.sqrt(n))


@pytest.mark.parametrize("n", [3, 5, 10, 30])
@pytest.mark.parametrize("gap", [0.5, 1.0, 2.0])
def test_the_power_of_one_cell_is_theirs(n: int, gap: float) -> None:
    theirs = TTestPower().power(effect_size=gap, nobs=n, alpha=0.05, alternative="larger")
    assert power.chance_greater(gap, power.repeat(of_spread(n)), 0.05) == pytest.approx(theirs, abs=0.005)


@pytest.mark.parametrize("n", [3, 5, 10, 30])
@pytest.mark.parametrize("gap", [0.5, 1.0, 2.0])
def test_the_power_of_welchs_test_is_at_most_that_of_the_test_that_knows_the_degrees(n: int, gap: float) -> None:
    """Theirs is Student's, with 2 n - 2 degrees; Welch's estimates fewer, which costs less the more runs there are."""
    theirs = TTestIndPower().power(effect_size=gap, nobs1=n, alpha=0.05, ratio=1, alternative="larger")
    ours = power.chance_greater(gap, power.repeat(of_spread(n), of_spread(n)), 0.05)
    assert theirs - 0.25 / n <= ours <= theirs + 0.003
