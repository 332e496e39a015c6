"""Simulated papers whose truth is known: no rule errs more often than it says, intervals cover, power is as stated.

Accuracies are drawn from normal distributions with seeds that are fixed here. A rate is compared with what is allowed
plus three standard errors of the simulation.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from report import statistics
from report.evidence import Evidence
from report.judge import effect_rules, equivalence_rules, power, value_rules
from report.judge.claims import Claim
from report.judge.mcnemar import Discordance, combine
from report.judge.trials import Outcome, Sources, Tails, Trial
from report.statistics import Interval, Summary
from tests.judging import DIRECTION, EQUALITY, EQUIVALENCE, ORIGINAL, THRESHOLD, TREND, judged, sweep, ways

PAPERS = 800
ALPHA = 0.05
Rule = Callable[[Claim, Sources], Trial]


def allowed(rate: float, papers: int = PAPERS) -> float:
    """RATE and three standard errors of a simulation of so many PAPERS."""
    return rate + 3 * math.sqrt(rate * (1 - rate) / papers)


def outcomes(rule: Rule, claim: Claim, papers: Sequence[Evidence]) -> Counter[Outcome]:
    """How often each outcome came of RULE on CLAIM, alone in its family."""
    found: Counter[Outcome] = Counter()
    for evidence in papers:
        trial = rule(claim, Sources(evidence, ORIGINAL, {}))
        assert trial.judge is not None
        found[trial.judge(trial.tails, claim.margin)[0]] += 1
    return found


def sweeps(seed: int, *cells: tuple[float, float, int], papers: int = PAPERS) -> list[Evidence]:
    """Papers with cells of (true mean, standard deviation, runs)."""
    noise = np.random.default_rng(seed)
    return [sweep(*(noise.normal(mean, sd, n).tolist() for mean, sd, n in cells)) for _ in range(papers)]


def both_ways(seed: int, gap: float, *, n: int = 5, papers: int = PAPERS) -> list[Evidence]:
    """Papers with two ways of computing whose seeds have half of their variance in common."""
    noise = np.random.default_rng(seed)
    drawn = []
    for _ in range(papers):
        common = noise.normal(0.7, 0.002, n)
        plain, native = (common + noise.normal(mean, 0.002, n) for mean in (0.0, gap))
        drawn.append(ways(plain.tolist(), native.tolist()))
    return drawn


def test_a_direction_that_is_not_there_is_found_no_oftener_than_alpha() -> None:
    found = outcomes(effect_rules.direction, DIRECTION, sweeps(1, (0.7, 0.002, 3), (0.7, 0.004, 5)))
    assert found[Outcome.REPRODUCED] <= allowed(ALPHA) * PAPERS


def test_a_direction_that_is_there_is_refuted_no_oftener_than_half_of_alpha() -> None:
    found = outcomes(effect_rules.direction, DIRECTION, sweeps(2, (0.7, 0.004, 3), (0.7051, 0.004, 3)))
    assert found[Outcome.NOT_REPRODUCED] <= allowed(ALPHA) * PAPERS


def test_a_trend_that_is_not_there_is_found_no_oftener_than_alpha() -> None:
    cells = [(0.7, 0.003, 3)] * 4
    assert outcomes(effect_rules.trend, TREND, sweeps(3, *cells))[Outcome.REPRODUCED] <= allowed(ALPHA) * PAPERS


@pytest.mark.parametrize("spreads", [(0.003,) * 4, (0.002, 0.002, 0.002, 0.006), (0.006, 0.002, 0.002, 0.006)])
def test_an_order_that_is_not_there_is_turned_round_no_oftener_than_alpha(spreads: tuple[float, ...]) -> None:
    """Also where the levels have unequal spreads, with which the ordering test alone errs up to twice as often."""
    papers = sweeps(11, *((0.7, sd, 5) for sd in spreads))
    refuted = Counter(
        trial_of(TREND, evidence).judge(None, None)[0] for evidence in papers
    )  # no margin: absence is none
    assert refuted[Outcome.NOT_REPRODUCED] <= allowed(ALPHA) * PAPERS


def test_a_family_of_trends_without_any_effect_is_refuted_no_oftener_than_alpha() -> None:
    """By their opposite, which shares the error rate of the family as the claimed effect does."""
    noise = np.random.default_rng(12)
    wrong, papers = 0, PAPERS // 4
    for _ in range(papers):
        trials = [trial_of(TREND, sweep(*noise.normal(0.7, 0.003, (4, 3)).tolist())) for _ in range(7)]
        opposite = statistics.holm([trial.tails.opposite for trial in trials])
        judged = [t.judge(Tails(1.0, p), None)[0] for t, p in zip(trials, opposite, strict=True)]
        wrong += Outcome.NOT_REPRODUCED in judged
    assert wrong <= allowed(ALPHA, papers) * papers


def trial_of(claim: Claim, evidence: Evidence) -> Trial:
    return effect_rules.trend(claim, Sources(evidence, ORIGINAL, {}))


@pytest.mark.parametrize("side", [-1, 1])
def test_a_mean_at_the_margin_is_called_equal_no_oftener_than_alpha(side: int) -> None:
    found = outcomes(value_rules.equality, EQUALITY, sweeps(4, (0.71 + side * 0.01, 0.004, 3)))
    assert found[Outcome.REPRODUCED] <= allowed(ALPHA) * PAPERS


def test_a_quoted_run_of_the_same_kind_is_refuted_no_oftener_than_alpha() -> None:
    """The quoted value is itself one draw: 71.00 %, from a truth that lies anywhere as one run may."""
    noise = np.random.default_rng(5)
    papers = [sweep(noise.normal(mean, 0.006, 3).tolist()) for mean in 0.71 - noise.normal(0, 0.006, PAPERS)]
    assert outcomes(value_rules.equality, EQUALITY, papers)[Outcome.NOT_REPRODUCED] <= allowed(ALPHA) * PAPERS


@pytest.mark.parametrize("wrong", [Outcome.REPRODUCED, Outcome.NOT_REPRODUCED])
def test_a_mean_at_the_threshold_is_put_on_either_side_no_oftener_than_alpha(wrong: Outcome) -> None:
    found = outcomes(value_rules.threshold, THRESHOLD, sweeps(6, (0.71, 0.004, 4)))
    assert found[wrong] <= allowed(ALPHA) * PAPERS


@pytest.mark.parametrize("n", [3, 5])
def test_ways_of_computing_at_the_margin_are_called_equal_no_oftener_than_alpha(n: int) -> None:
    found = outcomes(equivalence_rules.equivalence, EQUIVALENCE, both_ways(7, 0.005, n=n))
    assert found[Outcome.REPRODUCED] <= allowed(ALPHA) * PAPERS


def test_equal_ways_of_computing_are_refuted_hardly_ever() -> None:
    found = outcomes(equivalence_rules.equivalence, EQUIVALENCE, both_ways(8, 0.0))
    assert found[Outcome.NOT_REPRODUCED] <= allowed(ALPHA / 2) * PAPERS


def test_a_family_of_five_without_any_effect_errs_no_oftener_than_alpha() -> None:
    noise = np.random.default_rng(9)
    wrong = 0
    for _ in range(PAPERS):
        cells = noise.normal(0.7, 0.002, (5, 2, 3)).tolist()
        wrong += min(statistics.holm([statistics.welch(a, b).p_greater() for a, b in cells])) < ALPHA
    assert wrong <= allowed(ALPHA) * PAPERS


def test_equal_networks_are_told_apart_by_their_images_no_oftener_than_alpha() -> None:
    noise = np.random.default_rng(10)
    draws = noise.binomial(300, 0.5, (PAPERS, 3)).tolist()
    wrong = sum(combine([Discordance(won, 300 - won).p_first for won in seeds]) < ALPHA for seeds in draws)
    assert wrong <= allowed(ALPHA) * PAPERS


def covered(intervals: Sequence[Interval], truths: Sequence[float]) -> float:
    return sum(truth in interval for interval, truth in zip(intervals, truths, strict=True)) / len(truths)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_intervals_cover_as_often_as_they_say(n: int) -> None:
    noise = np.random.default_rng(11)
    runs = noise.normal(0.7, 0.003, (PAPERS, n)).tolist()
    others = noise.normal(0.69, 0.001, (PAPERS, n)).tolist()
    one_more, least = noise.normal(0.7, 0.003, PAPERS).tolist(), 2 * 0.95 - allowed(0.95)
    assert covered([statistics.summarise(r).interval() for r in runs], [0.7] * PAPERS) >= least
    assert covered([statistics.prediction_interval(r) for r in runs], one_more) >= least
    for compare in (statistics.welch, statistics.paired):
        intervals = [compare(a, b).interval() for a, b in zip(runs, others, strict=True)]
        assert covered(intervals, [0.01] * PAPERS) >= least


def of_known_spread(n: int, sd: float) -> power.Repeats:
    """The comparison of two cells of N runs whose standard deviation is known to be SD."""
    one = Summary(n, 0.7, sd, sd / math.sqrt(n))
    return power.repeat(one, one)


@pytest.mark.parametrize("n", [3, 5])
def test_the_smallest_gap_of_a_direction_is_shown_in_four_papers_of_five(n: int) -> None:
    gap = power.smallest_gap(of_known_spread(n, 0.003), ALPHA)
    found = outcomes(effect_rules.direction, DIRECTION, sweeps(12, (0.7, 0.003, n), (0.7 + gap, 0.003, n)))
    assert found[Outcome.REPRODUCED] / PAPERS == pytest.approx(power.POWER, abs=0.04)


def test_the_smallest_end_to_end_gap_of_a_trend_in_even_steps_is_shown_in_four_papers_of_five() -> None:
    gap = power.smallest_gap(of_known_spread(3, 0.003), ALPHA / 2)
    cells = [(0.7 + gap * level / 3, 0.003, 3) for level in range(4)]
    found = outcomes(effect_rules.trend, TREND, sweeps(13, *cells))
    shown = found[Outcome.REPRODUCED] + found[Outcome.PARTIAL]
    assert shown / PAPERS == pytest.approx(power.POWER, abs=0.05)


def test_the_smallest_margin_is_shown_in_four_papers_of_five_that_are_equal() -> None:
    n, sd = 5, 0.002 * math.sqrt(2)
    margin = power.smallest_margin(power.repeat(Summary(n, 0.0, sd, sd / math.sqrt(n))), ALPHA)
    claim = Claim(**{**vars(EQUIVALENCE), "margin": margin})
    found = outcomes(equivalence_rules.equivalence, claim, both_ways(14, 0.0, n=n))
    assert found[Outcome.REPRODUCED] / PAPERS == pytest.approx(power.POWER, abs=0.04)


ABOUT_70 = (0.700, 0.710, 0.690, 0.705)  # mean 0.70125


@pytest.mark.parametrize(
    ("rule", "claim", "seen"),
    [
        (effect_rules.direction, DIRECTION, [(0.600, 0.610, 0.620), (0.610, 0.622, 0.633)]),
        (effect_rules.direction, DIRECTION, [(0.610, 0.622, 0.633), (0.600, 0.610, 0.620)]),
        (effect_rules.direction, DIRECTION, [(0.600, 0.606, 0.612), (0.600, 0.605, 0.612)]),
        (effect_rules.direction, DIRECTION, [(0.697, 0.700, 0.703), (0.6995, 0.7025, 0.7055)]),  # there, or slight
        (effect_rules.trend, TREND, [(0.600, 0.610, 0.620), (0.606, 0.615, 0.624), (0.610, 0.622, 0.633)]),
        (value_rules.threshold, THRESHOLD, [(0.706, 0.716, 0.726)]),
        (value_rules.threshold, THRESHOLD, [(0.690, 0.695, 0.700)]),
        (value_rules.equality, EQUALITY, [(0.705, 0.712, 0.720)]),
        (value_rules.equality, EQUALITY, [(0.699, 0.707, 0.714)]),
        (value_rules.equality, EQUALITY, [(0.7205, 0.7215, 0.7265)]),
        (value_rules.equality, EQUALITY, [(0.6935, 0.6985, 0.6995)]),
        (equivalence_rules.equivalence, EQUIVALENCE, [ABOUT_70, (0.690, 0.720, 0.695, 0.700)]),
        (equivalence_rules.equivalence, EQUIVALENCE, [ABOUT_70, (0.7075, 0.716, 0.701, 0.7085)]),
        (equivalence_rules.equivalence, EQUIVALENCE, [ABOUT_70, (0.694, 0.6985, 0.684, 0.694)]),
    ],
)
def test_the_runs_that_would_settle_a_claim_decide_it_in_four_papers_of_five_and_half_of_them_do_not(
    rule: Rule, claim: Claim, seen: list[tuple[float, ...]]
) -> None:
    """If means and spreads are those seen: of ways of computing, those of the differences between the pairs."""
    is_paired = rule is equivalence_rules.equivalence
    settling = judged((ways if is_paired else sweep)(*seen), claim).settling
    needed = int(settling.partition(" a cell)")[0].rpartition("(")[2])
    noise, papers_each = np.random.default_rng(15), 300

    def decided(n: int) -> float:
        if is_paired:
            cells = np.array([seen[0], np.subtract(seen[1], seen[0])])
            plain, apart = (noise.normal(one.mean(), one.std(ddof=1), (papers_each, n)) for one in cells)
            papers = [ways(*pair) for pair in zip(plain.tolist(), (plain + apart).tolist(), strict=True)]
        else:
            drawn = [noise.normal(np.mean(one), np.std(one, ddof=1), (papers_each, n)).tolist() for one in seen]
            papers = [sweep(*cells) for cells in zip(*drawn, strict=True)]
        return 1 - outcomes(rule, claim, papers)[Outcome.INCONCLUSIVE] / papers_each

    assert power.POWER - 0.07 < decided(needed) < power.POWER + 0.1
    assert decided(needed // 2) < power.POWER - 0.07
