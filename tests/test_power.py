"""What a design can show: against closed forms, limits and repeated draws."""

import math
import random
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from report import statistics
from report.judge import ordering, power
from report.statistics import Summary


def cell(n: int, sd: float = 1.0) -> Summary:
    return Summary(n, 0.0, sd, sd / math.sqrt(n))


def test_the_smallest_gap_of_one_cell_is_that_of_the_noncentral_t() -> None:
    gap = power.smallest_gap(power.repeat(cell(5)), 0.05)
    assert stats.nct.sf(stats.t.ppf(0.95, 4), 4, gap * math.sqrt(5)) == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize(("n", "planned"), [(5, 2.02), (10, 1.32), (30, 0.736)])
def test_the_smallest_gap_of_two_cells_is_about_the_planning_value_that_knows_the_degrees(
    n: int, planned: float
) -> None:
    """Known for degrees of 2 n - 2; Welch estimates them, which costs some power where runs are few."""
    found = power.smallest_gap(power.repeat(cell(n), cell(n)), 0.025)
    assert planned - 0.005 < found < 1.05 * planned


def test_the_power_at_the_smallest_gap_is_80_percent_and_at_none_is_the_level() -> None:
    repeats = power.repeat(cell(5), cell(5))
    assert power.chance_greater(power.smallest_gap(repeats, 0.05), repeats, 0.05) == pytest.approx(0.8, abs=0.001)
    assert power.chance_greater(0.0, repeats, 0.05) == pytest.approx(0.05, abs=0.004)


@pytest.mark.parametrize(("ns", "sds"), [((3, 3), (1.0, 1.0)), ((3, 6), (1.0, 0.3)), ((4, 4), (0.5, 2.0))])
def test_the_power_of_welchs_test_agrees_with_repeated_draws(ns: tuple[int, int], sds: tuple[float, float]) -> None:
    noise, gap = np.random.default_rng(8), 2.0
    first, second = (noise.normal(mean, sd, (4000, n)) for mean, sd, n in zip((gap, 0.0), sds, ns, strict=True))
    found = (stats.ttest_ind(first, second, axis=1, equal_var=False, alternative="greater").pvalue < 0.05).mean()
    repeats = power.repeat(cell(ns[0], sds[0]), cell(ns[1], sds[1]))
    assert power.chance_greater(gap, repeats, 0.05) == pytest.approx(found, abs=0.025)


@pytest.mark.parametrize(
    ("n", "means", "sds"),
    [
        (5, (0.0, 0.5, 1.5), (1.0, 1.0, 1.0)),
        (12, (0.0, -0.1, 0.9), (0.2, 1.0, 1.2)),
        (8, (0.0, 0.0, 0.0, 1.0), (1.0,) * 4),
    ],
)
def test_the_power_of_the_ordering_test_agrees_with_repeated_draws_also_where_levels_do_not_follow(
    n: int, means: tuple[float, ...], sds: tuple[float, ...]
) -> None:
    noise = np.random.default_rng(9)
    papers = [[noise.normal(mean, sd, n).tolist() for mean, sd in zip(means, sds, strict=True)] for _ in range(2000)]
    found = np.mean([ordering.trend(levels).p_increasing < 0.01 for levels in papers])
    levels = [Summary(n, mean, sd, sd / math.sqrt(n)) for mean, sd in zip(means, sds, strict=True)]
    assert power.chance_rising(levels, 0.01) == pytest.approx(found, abs=0.05)
    assert power.chance_rising(levels[::-1], 0.01) < 0.01


def test_levels_without_any_spread_are_ordered_or_not() -> None:
    levels = [Summary(3, mean, 0.0, 0.0) for mean in (0.1, 0.2, 0.3)]
    assert (power.chance_rising(levels, 0.01), power.chance_rising(levels[::-1], 0.01)) == (1.0, 0.0)


def show_as_often(n: int, ratio: float, first_papers: int = 400, second_papers: int = 50) -> float:
    """How many second papers show the gap that a first one prints; the other cell's deviation is RATIO times as large."""
    noise = np.random.default_rng(n)
    shares = []
    for _ in range(first_papers):
        one, two = (cell(n, noise.normal(0, sd, n).std(ddof=1)) for sd in (1.0, ratio))
        gap = power.smallest_gap(power.foresee(one, two), 0.05)
        ours, theirs = noise.normal(gap, 1.0, (second_papers, n)), noise.normal(0, ratio, (second_papers, n))
        test = stats.ttest_ind(ours, theirs, axis=1, equal_var=False, alternative="greater")
        shares.append((test.pvalue < 0.05).mean())
    return float(np.mean(shares))


@pytest.mark.parametrize(("n", "ratio"), [(3, 1.0), (3, 3.0), (5, 1.0), (5, 3.0), (10, 1.0)])
def test_four_of_five_second_papers_show_the_gap_that_a_first_one_prints(n: int, ratio: float) -> None:
    """Whatever the first one's few runs make of the spread; Welch's degrees are estimated, which errs on the safe side."""
    assert 0.76 < show_as_often(n, ratio) < 0.87


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_of_one_cell_the_chance_is_exact_for_gap_and_margin(n: int) -> None:
    noise = np.random.default_rng(n)
    spreads, runs = noise.normal(0, 1, (20_000, n)).std(axis=1, ddof=1), noise.normal(0, 1, (20_000, n))
    repeats = power.foresee(cell(n))
    gaps, margins = power.smallest_gap(repeats, 0.05) * spreads, power.smallest_margin(repeats, 0.05) * spreads
    reach = stats.t.ppf(0.95, n - 1) * runs.std(axis=1, ddof=1) / math.sqrt(n)
    assert (runs.mean(axis=1) + gaps > reach).mean() == pytest.approx(0.8, abs=0.012)
    assert (abs(runs.mean(axis=1)) + reach < margins).mean() == pytest.approx(0.8, abs=0.012)


def test_a_spread_known_from_many_runs_is_taken_as_it_is() -> None:
    many = Summary(10**5, 0.0, 1.0, 1 / math.sqrt(10**5))
    for known, foreseen in (
        (power.repeat(many), power.foresee(many)),
        (power.repeat(many, many), power.foresee(many, many)),
    ):
        assert power.smallest_gap(foreseen, 0.05) == pytest.approx(power.smallest_gap(known, 0.05), rel=0.005)


def test_without_any_spread_every_effect_is_certain() -> None:
    exact = power.repeat(cell(3, 0.0), cell(3, 0.0))
    assert (power.chance_greater(0.1, exact, 0.05), power.chance_greater(0.0, exact, 0.05)) == (1.0, 0.0)
    assert power.smallest_gap(power.foresee(cell(3, 0.0), cell(3, 0.0)), 0.05) == 0.0
    assert [power.chance_beyond(gap, 0.2, exact, 0.05, 0.05) for gap in (0.3, 0.2, 0.1, -0.3)] == [1, 1, 0, 0]
    assert (power.chance_equivalent(0.1, 0.2, exact, 0.05), power.chance_equivalent(0.3, 0.2, exact, 0.05)) == (1, 0)


@pytest.mark.parametrize(("n", "sd", "known"), [(3, 0.2, 0.75), (5, 0.2, 0.99), (3, 0.3, 0.41), (5, 0.3, 0.84)])
def test_the_power_of_equivalence_within_half_a_point_is_as_known(n: int, sd: float, known: float) -> None:
    """One sample against a value, margin 0.5 pp."""
    assert power.chance_equivalent(0.0, 0.5, power.repeat(cell(n, sd)), 0.05) == pytest.approx(known, abs=0.015)


def test_the_power_of_equivalence_agrees_with_repeated_draws() -> None:
    noise, n, margin, gap = random.Random(7), 4, 0.5, 0.2
    draws = [[noise.gauss(gap, 0.25) for _ in range(n)] for _ in range(3000)]
    found = sum(statistics.against(draw, 0.0).p_equivalent(margin) < 0.05 for draw in draws) / len(draws)
    assert power.chance_equivalent(gap, margin, power.repeat(cell(n, 0.25)), 0.05) == pytest.approx(found, abs=0.03)


@pytest.mark.parametrize(("gap", "n"), [(0.0, 12), (0.6, 8), (0.6, 25), (1.4, 10)])
def test_the_chance_of_a_decision_agrees_with_repeated_draws_also_where_it_may_be_either(gap: float, n: int) -> None:
    noise, margin, level = np.random.default_rng(10), 1.2, 0.01
    first, second = noise.normal(gap, 1.0, (4000, n)), noise.normal(0.0, 0.5, (4000, n))
    test = stats.ttest_ind(first, second, axis=1, equal_var=False)
    low, high = test.confidence_interval(0.9)
    one_sided = np.minimum(test.pvalue, 2 * level) / 2
    found = ((one_sided < level) | ((low > -margin) & (high < margin))).mean()
    repeats = power.repeat(cell(n), cell(n, 0.5))
    told = sum(power.chance_beyond(sign * gap, margin, repeats, level, 0.05) for sign in (1, -1))
    assert told + power.chance_equivalent(gap, margin, repeats, 0.05) == pytest.approx(found, abs=0.025)


def test_with_many_degrees_of_freedom_the_smallest_margin_is_the_normal_distributions() -> None:
    normal = NormalDist()
    known = normal.inv_cdf(0.95) + normal.inv_cdf(0.9)  # 1 - beta / 2, as both sides may fail
    assert power.smallest_margin(power.repeat(Summary(10**6, 0.0, 1e3, 1.0)), 0.05) == pytest.approx(known, abs=0.01)


def test_runs_needed_is_the_first_number_with_80_percent_and_none_where_a_hundred_do_not_do() -> None:
    design = power.Design(0.01, "difference", lambda n: n / 10)
    assert design.runs_needed(3) == 8
    assert design.runs_needed(9) == 10
    assert power.Design(0.01, "difference", lambda n: 0.5).runs_needed(3) is None


def test_more_runs_that_agree_with_those_seen_keep_mean_and_deviation() -> None:
    seen = statistics.summarise([0.70, 0.72])
    more = power.with_runs(seen, 8)
    assert (more.n, more.mean, more.sd) == (8, seen.mean, seen.sd)
    assert more.error == pytest.approx((seen.error or 0) / 2)
    assert power.with_runs(seen, 1) == seen
