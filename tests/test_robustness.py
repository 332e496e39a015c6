"""Verdicts that depend on one run, and those that do not."""

from dataclasses import replace

from report.judge.claims import ClaimKind
from report.judge.robustness import MOST_RUNS, Change, Robustness
from report.judge.trials import Outcome
from tests.judging import DIRECTION, EQUIVALENCE, THRESHOLD, claim, judged, sweep, ways

LOW, HIGH = (0.600, 0.602, 0.601), (0.650, 0.652, 0.648)


def test_a_clear_difference_stays_whichever_run_is_left_out() -> None:
    verdict = judged(sweep(LOW, HIGH), DIRECTION)
    assert verdict.robustness == Robustness(tried=6, asked=3)
    assert "the same whichever of the 6 runs is left out" in verdict.notes


def test_a_verdict_that_depends_on_single_runs_names_them() -> None:
    verdict = judged(sweep((0.7101, 0.712, 0.713, 0.7145)), THRESHOLD)
    assert verdict.outcome is Outcome.REPRODUCED
    without = (Change(frozenset({f"e5-p8-k3-s{seed}"}), seed, Outcome.INCONCLUSIVE) for seed in (1, 2, 3))
    assert verdict.robustness == Robustness(4, tuple(without), by_seed=True)
    assert verdict.stability == (
        "it depends on 3 of 4 runs: INCONCLUSIVE without seed 1, INCONCLUSIVE without seed 2, INCONCLUSIVE without seed 3"
    )


def test_a_verdict_on_as_few_runs_as_its_rule_asks_for_says_so() -> None:
    verdict = judged(sweep((0.7125, 0.7135, 0.7145)), THRESHOLD)
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.stability.startswith(
        "it depends on 2 of 3 runs (none to spare: the rule asks for 3 a cell): INCONCLUSIVE "
    )


def test_runs_without_which_nothing_would_be_known_of_the_spread_are_not_called_left_out() -> None:
    verdict = judged(sweep((0.600, 0.600, 0.602), HIGH), DIRECTION)
    assert verdict.robustness == Robustness(tried=5, asked=3, untried=1)
    assert verdict.stability == "the same whichever of the 5 runs that can be left out is left out"


def test_in_a_family_a_claim_is_tried_without_a_run_at_the_level_it_shares() -> None:
    evidence = sweep((0.600, 0.606, 0.612, 0.606), (0.611, 0.616, 0.623, 0.617))
    alone = judged(evidence, DIRECTION)
    others = [claim(ClaimKind.DIRECTION, id=f"untested-{index}", untested="no", family="effects") for index in range(2)]
    shared = judged(evidence, DIRECTION, *others)
    assert alone.outcome is shared.outcome is Outcome.REPRODUCED
    assert (alone.robustness.tried, alone.robustness.changes) == (8, ())
    assert {change.outcome for change in shared.robustness.changes} == {Outcome.INCONCLUSIVE}
    assert shared.stability.startswith("it depends on ") and "INCONCLUSIVE without e5-p8-k5-s1" in shared.stability


def test_pairs_are_left_out_together() -> None:
    verdict = judged(ways((0.700, 0.710, 0.690, 0.705), (0.701, 0.7095, 0.691, 0.7045)), EQUIVALENCE)
    assert verdict.robustness == Robustness(4, (), pairs=True, by_seed=True)
    assert verdict.stability == "the same whichever of the 4 pairs is left out"


def test_two_runs_of_which_one_would_be_left_are_not_tried() -> None:
    verdict = judged(sweep((0.72, 0.7201)), replace(THRESHOLD, min_seeds=2))
    assert verdict.is_decided
    assert (verdict.robustness, verdict.stability) == (Robustness(), "")


def test_of_very_many_runs_none_is_left_out() -> None:
    many = [0.72 + 0.0001 * (index % 7) for index in range(MOST_RUNS + 1)]
    assert judged(sweep(many), THRESHOLD).robustness == Robustness()
