"""What would settle an inconclusive claim, and what it would cost."""

from dataclasses import replace

from report.judge.trials import Outcome
from report.sentences import quantities_of
from tests.judging import DIRECTION, EQUALITY, TREND, judged, sweep
from tests.made_up import make_cell, make_evidence, make_run, waiting


def test_a_claim_short_of_runs_says_how_many_more_its_rule_asks_for() -> None:
    low, high = make_cell((0.60, 0.61, 0.62)), make_cell((0.65,), kernel_size=5)
    planned = [waiting(make_run(seed, kernel_size=5)) for seed in (1, 2)]
    verdict = judged(make_evidence(*low, *high, *planned), DIRECTION)
    assert len(verdict.reasons) == 1  # that runs are missing is said once
    assert verdict.settling == (
        "what would settle it: 2 more runs (3 a cell), about 1 h (a guess), before its rule can judge"
    )
    assert [number.value for number in quantities_of(verdict.settling)] == [2, 3, 1.0]


def test_a_straddling_difference_says_with_how_many_runs_it_would_be_shown() -> None:
    verdict = judged(sweep((0.600, 0.610, 0.620), (0.605, 0.617, 0.628)), DIRECTION)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.settling == (
        "what would settle it: 60 more runs (33 a cell), about 10 h, with a chance of 80 %, if difference and spread "
        "are those seen; judged again at the same level, it errs up to about twice as often as stated"
    )
    assert verdict.notes[-1] == verdict.settling


def test_a_trend_is_settled_by_its_whole_rule_and_not_by_its_ends_alone() -> None:
    """Where the level between is below the first, which the ordering test minds and that of the ends does not."""
    first, last = (0.6380, 0.6382, 0.6400), (0.6446, 0.6366, 0.6495)
    between = judged(sweep(first, (0.6410, 0.6350, 0.6470), last), TREND).settling
    apart = judged(sweep(first, (0.6310, 0.6330, 0.6350), last), TREND).settling
    assert between.startswith("what would settle it: 36 more runs (")
    assert apart.startswith("what would settle it: 177 more runs (")


def test_a_value_that_one_run_may_give_is_refuted_by_no_number_of_runs() -> None:
    verdict = judged(sweep((0.70, 0.73, 0.76)), replace(EQUALITY, margin=0.001))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.settling == (
        "what would settle it: more than 100 runs a cell, if difference and spread are those seen"
    )


def test_a_decided_claim_needs_nothing_more() -> None:
    assert judged(sweep((0.600, 0.602, 0.601), (0.650, 0.652, 0.648)), DIRECTION).settling == ""
