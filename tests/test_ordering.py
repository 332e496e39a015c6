"""Kendall's tau and Page's test against scipy's, on many random samples and where values are equal."""

import random

import pytest
from scipy import stats

from report.judge import ordering


def samples(seed: int, levels: int, size: int, *, ties: bool = False) -> list[list[float]]:
    noise = random.Random(seed)
    draw = (lambda: float(noise.randrange(4))) if ties else noise.random
    return [[draw() + 0.1 * level for _ in range(size)] for level in range(levels)]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("ties", [False, True])
def test_kendalls_tau_is_scipys(seed: int, ties: bool) -> None:
    levels = samples(seed, 4, 3, ties=ties)
    where = [number for number, level in enumerate(levels) for _ in level]
    expected = stats.kendalltau(where, [value for level in levels for value in level]).statistic
    assert ordering.kendall(levels) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("levels", "blocks"), [(3, 2), (3, 5), (4, 3)])
def test_pages_p_is_scipys_exact_one(seed: int, levels: int, blocks: int) -> None:
    data = samples(seed, levels, blocks)
    expected = stats.page_trend_test([list(block) for block in zip(*data, strict=True)], method="exact")
    assert ordering.page(data) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("levels", "blocks", "known"), [(3, 2, 0.028), (3, 3, 0.0046), (4, 2, 0.0017)])
def test_pages_p_of_a_perfect_order_is_the_tables(levels: int, blocks: int, known: float) -> None:
    assert ordering.page([[float(level)] * blocks for level in range(levels)]) == pytest.approx(known, rel=0.05)


def test_page_rounds_ties_against_the_claim() -> None:
    clear, tied = [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], [[1.0, 1.0], [2.0, 3.0], [3.0, 3.0]]
    assert (ordering.page(tied) or 0) > (ordering.page(clear) or 0)


def test_page_needs_blocks_and_levels_and_kendall_something_that_differs() -> None:
    assert ordering.page([[0.1, 0.2], [0.3, 0.4], [0.5]]) is None
    assert ordering.page([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6, 0.7]]) is None
    assert ordering.page([[0.1], [0.3], [0.5]]) is None
    assert ordering.page([[0.1, 0.2], [0.3, 0.4]]) is None
    most = [[float(level)] * 2 for level in range(ordering.PAGE_LEVELS + 1)]
    assert (ordering.page(most), ordering.page(most[1:])) == (None, pytest.approx(1 / 720**2))
    assert ordering.kendall([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]) is None
