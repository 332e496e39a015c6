"""What a design can show: the power of its tests, and the smallest effect that it would have shown.

The means of normal values do not depend on the spreads that will be seen beside them, so a test's power is its normal
probability for given spreads, averaged over all that may be seen.

The true spread is not known either, and badly where runs are few. The smallest effect averages over it as well: all
spreads that the runs may have come from, weighted as they tell them (fiducially, by the ratio of true to seen variance,
which has a chi-squared distribution whatever the truth). So in the long run, of second papers as large as the first, four
of five show the effect that the first one prints; with the seen spread in the place of the true one it would be three of
five after 3 runs. How many runs a claim needs is a planning value, and takes the spread that was seen.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from scipy.special import gammaincinv, ndtr, ndtri, stdtrit

from report.judge.ordering import normal_limit
from report.statistics import Summary

POWER = 0.8  # the chance that a design is asked to give, by convention (Cohen 1988)
MOST_RUNS = 100  # a cell; whoever needs more has another question
_CHANCES = (numpy.arange(16) + 0.5) / 16  # of the equally likely spreads over which a cell is averaged
_NORMAL = ndtri((numpy.arange(256) + 0.5) / 256)  # equally likely normal values
_NO_SPREAD = 1e-12  # for the spread of runs that are all equal
# Points that fill the cube of three chances evenly, for three things that vary: a lattice (Korobov), the same every time.
_SIZE, _GENERATOR = 1021, 76
_POINTS = (numpy.array([[i * _GENERATOR**j % _SIZE for i in range(_SIZE)] for j in range(3)]) + 0.5) / _SIZE

Array = Any  # numpy.ndarray of floats


@dataclass(frozen=True)
class Repeats:
    """What a design would show again and again: the true standard error, and the estimated ones with their degrees.

    `error` is one number where it is known, else there is one for each of `seen`; all entries are equally likely.
    """

    error: Any  # float or Array
    seen: Array
    degrees: Array

    def half_widths(self, level: float) -> Array:
        """How far from zero each estimate must lie to be told from it by a one-sided t test at LEVEL."""
        return stdtrit(self.degrees, 1 - level) * self.seen


def repeat(cell: Summary, other: Summary | None = None) -> Repeats:
    """The repeats of one cell's mean, or of Welch's difference of two, if the spreads seen are the true ones."""
    first = _squared_error(cell) * _scatter(cell.n - 1, _CHANCES)
    if other is None:
        return _repeats(_squared_error(cell), first, cell.n)
    second = _squared_error(other) * _scatter(other.n - 1, _CHANCES)
    return _repeats(_squared_error(cell) + _squared_error(other), first[:, None], cell.n, second[None, :], other.n)


def foresee(cell: Summary, other: Summary | None = None) -> Repeats:
    """The same for second runs, as many, if the true spreads may be any that the runs seen may have come from.

    Of two cells it is the sum of the squared errors that these know, with Welch's degrees; its parts stay as seen.
    """
    degrees = cell.n - 1.0
    if other is not None:
        degrees = float(_degrees(numpy.float64(_squared_error(cell)), cell.n, _squared_error(other), other.n))
    unknown, *seen = _POINTS
    growth = 1 / _scatter(degrees, unknown)
    true = _squared_error(cell) * growth
    first = true * _scatter(cell.n - 1, seen[0])
    if other is None:
        return _repeats(true, first, cell.n)
    true_other = _squared_error(other) * growth
    return _repeats(true + true_other, first, cell.n, true_other * _scatter(other.n - 1, seen[1]), other.n)


def _repeats(true: Any, first: Array, n: int, second: Array | None = None, m: int = 0) -> Repeats:
    """Repeats from squared errors: the true one, and those seen of one cell of N runs or of two, the other of M."""
    if second is None:
        return Repeats(numpy.sqrt(true), numpy.sqrt(first), numpy.full_like(first, n - 1.0))
    return Repeats(numpy.sqrt(true), numpy.sqrt(first + second), _degrees(first, n, second, m))


def _degrees(first: Any, n: int, second: Any, m: int) -> Array:
    """Welch's degrees of freedom of the sum of two squared errors, of N and of M runs."""
    total, parts = first + second, first**2 / (n - 1) + second**2 / (m - 1)
    return numpy.divide(total**2, parts, out=numpy.full_like(total, n + m - 2.0), where=parts > 0)


def _squared_error(cell: Summary) -> float:
    assert cell.error is not None
    return cell.error**2


def _scatter(degrees: float, chances: Array) -> Array:
    """The ratios of seen to true variance with these CHANCES of a smaller one: chi-squared over its DEGREES."""
    return gammaincinv(degrees / 2, chances) / (degrees / 2)


def chance_greater(gap: float, repeats: Repeats, level: float) -> float:
    """The power of a one-sided t test at LEVEL where the true difference is GAP."""
    if repeats.error == 0:
        return 1.0 if gap > 0 else 0.0
    return _greater(gap, repeats.half_widths(level), repeats.error)


def chance_rising(levels: Sequence[Summary], level: float) -> float:
    """The power of Jonckheere and Terpstra's test at LEVEL where runs are normal, with the means and spreads of LEVELS.

    By the normal limits of its statistic, where nothing rises and where the levels are these: there the variance is that
    of Hajek's projection, the sum of what each run alone moves.
    """
    sizes = [one.n for one in levels]
    expected = variance = 0.0
    for index, one in enumerate(levels):
        values = one.mean + (one.sd or _NO_SPREAD) * _NORMAL
        rising = numpy.zeros_like(values)  # pairs with the other levels that rise, if a run has this value
        for other_index, other in enumerate(levels):
            below = ndtr((values - other.mean) / (other.sd or _NO_SPREAD))
            if other_index != index:
                rising += other.n * (below if other_index < index else 1 - below)
        expected += one.n * float(rising.mean()) / 2  # each pair is met from both of its ends
        variance += one.n * float(rising.var())
    limit = normal_limit(sizes)
    needed = limit.inv_cdf(1 - level) + 0.5
    return float(ndtr((expected - needed) / math.sqrt(variance))) if variance else float(expected > needed)


def _greater(gap: float, half_widths: Array, error: Any) -> float:
    return float(ndtr((gap - half_widths) / error).mean())


def chance_equivalent(gap: float, margin: float, repeats: Repeats, level: float) -> float:
    """The power of two one-sided tests at LEVEL within +-MARGIN where the true difference is GAP."""
    if repeats.error == 0:
        return 1.0 if abs(gap) < margin else 0.0
    return _equivalent(gap, margin, repeats.half_widths(level), repeats.error)


def _equivalent(gap: float, margin: float, half_widths: Array, error: Any) -> float:
    high, low = (margin - gap - half_widths) / error, (half_widths - margin - gap) / error
    return float(numpy.maximum(ndtr(high) - ndtr(low), 0.0).mean())


def chance_beyond(gap: float, margin: float, repeats: Repeats, level: float, alpha: float) -> float:
    """The power of a one-sided test at LEVEL, less that of the differences which two at ALPHA place within +-MARGIN.

    A difference between zero and the margin may end as either, so that the chance of a decision is the sum of both.
    """
    if repeats.error == 0:
        return 1.0 if gap > 0 and gap >= margin else 0.0
    slight = margin - repeats.half_widths(alpha)
    return _greater(gap, numpy.maximum(repeats.half_widths(level), slight), repeats.error)


def chance_unlike(gap: float, margin: float, repeats: Repeats, level: float, n: int) -> float:
    """The chance that the mean of N runs, GAP from a value, leaves it outside at LEVEL, twice.

    Its interval lies wholly further than MARGIN from the value, and the prediction interval for one more run leaves the
    value out; both follow from the same mean and spread.
    """
    if repeats.error == 0:
        return 1.0 if gap > margin else 0.0
    half_widths = repeats.half_widths(level / 2)
    return _greater(gap, numpy.maximum(margin + half_widths, half_widths * math.sqrt(n + 1)), repeats.error)


def smallest_gap(repeats: Repeats, level: float) -> float:
    """The smallest true difference that a one-sided test at LEVEL shows with a chance of POWER."""
    half_widths = repeats.half_widths(level)
    return _first_reaching(lambda gap: _greater(gap, half_widths, repeats.error), repeats)


def smallest_margin(repeats: Repeats, level: float) -> float:
    """The smallest margin within which what does not differ is shown to be equal with a chance of POWER."""
    half_widths = repeats.half_widths(level)
    return _first_reaching(lambda margin: _equivalent(0.0, margin, half_widths, repeats.error), repeats)


def _first_reaching(chance: Callable[[float], float], repeats: Repeats) -> float:
    """Where CHANCE, which rises, reaches POWER, to a thousandth of a usual error; by halving an interval."""
    unit = float(numpy.median(repeats.error))
    if unit == 0:
        return 0.0
    low, high = 0.0, unit
    while chance(high) < POWER and high < 1e6 * unit:
        low, high = high, 2 * high
    while high - low > unit / 1000:
        middle = (low + high) / 2
        low, high = (low, middle) if chance(middle) >= POWER else (middle, high)
    return high


def with_runs(summary: Summary, n: int) -> Summary:
    """What N runs, or as many as there are if these are more, would say if they agreed with those seen."""
    assert summary.sd is not None
    larger = max(n, summary.n)
    return Summary(larger, summary.mean, summary.sd, summary.sd / math.sqrt(larger))


@dataclass(frozen=True)
class Design:
    """What the runs of a claim could have shown.

    `smallest` is a difference as a fraction, `what` says of what; `chance` gives for a number of runs a cell the
    chance that its rule decides, if difference and spread are those seen.
    """

    smallest: float
    what: str
    chance: Callable[[int], float]

    def runs_needed(self, now: int) -> int | None:
        """The runs a cell with which the rule decides with a chance of POWER; None if MOST_RUNS are too few."""
        few, enough = now, MOST_RUNS  # the chance rises with the runs, so halving finds the first
        if now >= MOST_RUNS or self.chance(enough) < POWER:
            return None
        while enough - few > 1:
            middle = (few + enough) // 2
            few, enough = (few, middle) if self.chance(middle) >= POWER else (middle, enough)
        return enough
