"""The choice of runs: most information for the time, within the budget, and always alike."""

import itertools
import random
import time
from dataclasses import replace

import pytest

from experiments.prices import Price
from experiments.running.reruns import Rerun
from report.review.leverage import Leverage
from report.review.spot_check import Candidate, choose
from tests.made_up import make_run, measured


def candidate(points: float, seconds: float, patch_size: int = 8, seed: int = 0) -> Candidate:
    status = measured(make_run(seed, patch_size=patch_size), 0.5)
    status = replace(status, price=Price(seconds, "recorded", "cpu"))
    assert status.record is not None
    return Candidate(Rerun(status, status.record, "cpu"), Leverage(points, ("a reason",)))


def names(candidates: list[Candidate], budget: float) -> list[str]:
    return [pick.candidate.name for pick in choose(candidates, budget)]


def test_most_information_a_second_goes_first_and_what_still_fits_follows() -> None:
    dear, cheap, cheapest = candidate(3.0, 300, 1), candidate(2.0, 100, 2), candidate(0.5, 50, 4)
    assert names([dear, cheap, cheapest], 450) == [cheap.name, dear.name, cheapest.name]
    assert names([dear, cheap, cheapest], 349) == [dear.name]  # 3.0 alone, against 2.5 of both others
    assert names([dear, cheap, cheapest], 299) == [cheap.name, cheapest.name]


def test_a_second_run_of_a_cell_adds_half_and_a_third_a_third() -> None:
    first, second, third = (candidate(3.0, 100, 8, seed) for seed in range(3))
    other = candidate(1.2, 100, 4)
    picks = choose([first, second, third, other], 400)
    assert [(pick.candidate.name, pick.information, pick.earlier) for pick in picks] == [
        (first.name, 3.0, 0),
        (second.name, 1.5, 1),
        (other.name, 1.2, 0),
        (third.name, 1.0, 2),
    ]


def test_one_run_that_tells_more_than_all_cheap_ones_goes_first() -> None:
    cheap, telling = candidate(0.2, 10, 8), candidate(5.0, 500, 4)
    assert names([cheap, telling], 505) == [telling.name]
    assert names([cheap, telling], 510) == [cheap.name, telling.name]


def test_of_equal_runs_the_first_of_the_plan_is_taken() -> None:
    listed = [candidate(1.0, 100, size) for size in (8, 4, 2)]
    assert names(listed, 250) == [listed[0].name, listed[1].name]


def test_nothing_fits() -> None:
    assert choose([candidate(1.0, 100)], 99) == ()


def test_a_run_at_exactly_the_budget_fits_even_for_nothing() -> None:
    assert names([candidate(1.0, 100)], 100) == ["e5-p8-k3-s0"]
    assert names([candidate(1.0, 0)], 0) == ["e5-p8-k3-s0"]


@pytest.mark.parametrize("seed", range(20))
def test_the_choice_keeps_to_the_budget_and_is_worth_half_of_the_best_at_least(seed: int) -> None:
    """Against every subset of seven runs of different cells."""
    draw = random.Random(seed)
    listed = [candidate(draw.uniform(0.1, 5), draw.uniform(10, 300), size) for size in range(1, 8)]
    budget = draw.uniform(100, 600)
    subsets = (chosen for n in range(8) for chosen in itertools.combinations(listed, n))
    fitting = (chosen for chosen in subsets if sum(item.seconds for item in chosen) <= budget)
    best = max(sum(item.leverage.points for item in chosen) for chosen in fitting)
    picks = choose(listed, budget)
    assert sum(pick.candidate.seconds for pick in picks) <= budget
    assert sum(pick.information for pick in picks) >= best / 2


def test_a_pick_explains_itself_in_a_line() -> None:
    first, second = choose([candidate(3.0, 100, 8, 0), candidate(3.0, 400, 8, 1)], 600)
    assert str(first) == "e5-p8-k3-s0: information 3.00, about 2 min on cpu: a reason"
    assert str(second) == ("e5-p8-k3-s1: information 1.50, about 7 min on cpu: a reason; the cell's pick number 2")


def test_thousands_of_runs_are_chosen_from_at_once() -> None:
    listed = [candidate(1.0 + seed % 5, 10.0 + seed % 7, seed % 900, seed) for seed in range(3000)]
    begun = time.monotonic()
    assert len(choose(listed, 1e9)) == 3000
    assert time.monotonic() - begun < 10  # by asking each after each it took hours
