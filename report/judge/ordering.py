"""Ordering tests of levels: does a metric rise from level to level? Pure functions of numbers.

Jonckheere and Terpstra's test decides claims: it takes runs as independent, which they are, since the same seed in
networks of different shape draws other weights. Kendall's tau is the same count of pairs as an effect size, and Page's
test takes the seeds as blocks all the same; both are shown beside it, decide nothing, and are no further chances.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from statistics import NormalDist

from experiments.spec import ReproductionError
from report.statistics import checked

PAGE_LEVELS = 6  # 720 orders of a block
PAGE_BLOCKS = 20
EXACT_PAIRS = 4_000  # counting all orders of 100 runs takes a fifth of a second, of 1,000 runs days


@dataclass(frozen=True)
class Trend:
    """Jonckheere and Terpstra's statistic of ordered levels, with the one-sided p of both directions."""

    statistic: float
    p_increasing: float
    p_decreasing: float


def trend(levels: Sequence[Sequence[float]]) -> Trend:
    """Whether values rise or fall over LEVELS, given in the claimed order (Jonckheere 1954, Terpstra 1952).

    It counts the pairs of runs from two levels that rise; ties count half. p is exact for independent runs without
    ties, up to EXACT_PAIRS pairs; beyond, where all orders can no longer be counted, it is the normal limit's with a
    correction for continuity. A tie is rounded against the claim. The same ordering test as Kendall's tau of level and
    value.
    """
    if len(levels) < 3:
        raise ReproductionError(f"a trend needs at least three levels, found {len(levels)}")
    groups = [checked(level, at_least=1) for level in levels]
    ordered = [sorted(group) for group in groups]
    statistic = math.fsum(_rising(low, high) for i, low in enumerate(ordered) for high in ordered[i + 1 :])
    sizes = tuple(len(group) for group in groups)
    if not is_exact(sizes):
        return _normal_trend(statistic, sizes)
    ways = _ways_to_order(sizes)
    total = sum(ways)
    rising = sum(ways[math.floor(statistic) :]) / total
    falling = sum(ways[: math.ceil(statistic) + 1]) / total
    return Trend(statistic, rising, falling)


def kendall(levels: Sequence[Sequence[float]]) -> float | None:
    """Kendall's (1945) tau-b of level and value, from -1 to 1; None where all values are equal."""
    groups = [sorted(checked(level, at_least=1)) for level in levels]
    rising = math.fsum(_rising(low, high) for i, low in enumerate(groups) for high in groups[i + 1 :])
    values = [value for group in groups for value in group]
    tied = sum(count * (count - 1) // 2 for count in Counter(values).values())
    across, untied = _pairs([len(group) for group in groups]), len(values) * (len(values) - 1) // 2 - tied
    return (2 * rising - across) / math.sqrt(across * untied) if across and untied else None


def page(levels: Sequence[Sequence[float]]) -> float | None:
    """Page's (1963) exact one-sided p that values rise over LEVELS, the i-th value of each level being of block i.

    A tie is rounded against the claim. None where levels differ in length, or are too few or too many to count.
    """
    groups = [checked(level, at_least=1) for level in levels]
    blocks = {len(group) for group in groups}
    if len(blocks) != 1 or not 3 <= len(groups) <= PAGE_LEVELS or not 2 <= min(blocks) <= PAGE_BLOCKS:
        return None
    statistic = math.fsum(_weighted_ranks(block) for block in zip(*groups, strict=True))
    ways = _ways_of_blocks(len(groups), blocks.pop())
    return sum(count for value, count in ways.items() if value >= math.floor(statistic)) / sum(ways.values())


def _weighted_ranks(block: Sequence[float]) -> float:
    """The sum of level times rank, both from 1; equal values share their mean rank."""
    ordered = sorted(block)
    ranks = ((bisect_left(ordered, value) + bisect_right(ordered, value) + 1) / 2 for value in block)
    return math.fsum(level * rank for level, rank in enumerate(ranks, start=1))


@lru_cache(maxsize=64)
def _ways_of_blocks(levels: int, blocks: int) -> Counter[int]:
    """How many ways of ordering BLOCKS blocks of LEVELS values give each value of Page's statistic."""
    numbers = range(1, levels + 1)
    one = Counter(sum(a * b for a, b in zip(numbers, order, strict=True)) for order in permutations(numbers))
    if blocks == 1:
        return one
    ways: Counter[int] = Counter()
    for before, count in _ways_of_blocks(levels, blocks - 1).items():
        for value, times in one.items():
            ways[before + value] += count * times
    return ways


def is_exact(sizes: Sequence[int]) -> bool:
    """Whether the p of a trend over levels of these SIZES is exact."""
    return _pairs(sizes) <= EXACT_PAIRS


def _pairs(sizes: Sequence[int]) -> int:
    """How many pairs of runs are from two levels."""
    return (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2


def _rising(low: Sequence[float], high: Sequence[float]) -> float:
    """How many pairs rise from LOW to HIGH, both sorted; ties count half."""
    return math.fsum(len(high) - (bisect_left(high, x) + bisect_right(high, x)) / 2 for x in low)


def normal_limit(sizes: Sequence[int]) -> NormalDist:
    """What the statistic tends to where nothing rises (Hollander and Wolfe, Nonparametric Statistical Methods, 6.2)."""
    runs = sum(sizes)
    variance = (runs**2 * (2 * runs + 3) - sum(size**2 * (2 * size + 3) for size in sizes)) / 72
    return NormalDist(_pairs(sizes) / 2, math.sqrt(variance))


def _normal_trend(statistic: float, sizes: tuple[int, ...]) -> Trend:
    """The trend by the normal limit."""
    limit = normal_limit(sizes)
    rising, falling = math.floor(statistic) - 0.5, math.ceil(statistic) + 0.5
    return Trend(statistic, limit.cdf(2 * limit.mean - rising), limit.cdf(falling))


@lru_cache(maxsize=64)
def _ways_to_order(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """How many orders of all runs have 0, 1, 2, ... rising pairs: coefficients of a q-multinomial, exact integers.

    Grown one run at a time by [n+1, i+1] = [n, i] (1 - q^(n+1)) / (1 - q^(i+1)), where [n, i] is a Gaussian binomial.
    """
    ways, before = [1], 0
    for size in sizes:
        for i in range(1, size + 1):
            shift = before + i
            ways = [
                (ways[j] if j < len(ways) else 0) - (ways[j - shift] if j >= shift else 0)
                for j in range(len(ways) + shift)
            ]
            for j in range(i, len(ways)):
                ways[j] += ways[j - i]
            ways = ways[: len(ways) - i]
        before += size
    return tuple(ways)
