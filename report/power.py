"""What a design can show: the power of its tests, and the smallest effect that it would have shown.

The spread seen in the runs is taken for the true one, which few runs know badly: such figures are planning values. What
follows from it is exact: the means of normal values do not depend on the spreads that will be seen beside them, so a
test's power is its normal probability for given spreads, averaged over all that may be seen.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy
from scipy.special import gammaincinv, ndtr, stdtrit

from report.statistics import Summary

POWER = 0.8  # the chance that a design is asked to give, by convention (Cohen 1988)
MOST_RUNS = 100  # a cell; whoever needs more has another question
_CHANCES = (numpy.arange(16) + 0.5) / 16  # of the equally likely spreads over which a cell is averaged

Array = Any  # numpy.ndarray of floats


@dataclass(frozen=True)
class Repeats:
    """What a design would show again and again: the true standard error, and the estimated ones with their degrees."""

    error: float
    seen: Array
    degrees: Array

    def half_widths(self, level: float) -> Array:
        """How far from zero each estimate must lie to be told from it by a one-sided t test at LEVEL."""
        return stdtrit(self.degrees, 1 - level) * self.seen


def repeat(cell: Summary, other: Summary | None = None) -> Repeats:
    """The repeats of one cell's mean, or of Welch's difference of two, with the degrees that he would estimate."""
    squares = _squared_errors(cell)
    if other is None:
        return Repeats(_error(cell), numpy.sqrt(squares), numpy.full_like(squares, cell.n - 1.0))
    first, second = squares[:, None], _squared_errors(other)[None, :]
    total = first + second
    parts = first**2 / (cell.n - 1) + second**2 / (other.n - 1)
    degrees = numpy.divide(total**2, parts, out=numpy.full_like(total, cell.n + other.n - 2.0), where=parts > 0)
    return Repeats(math.hypot(_error(cell), _error(other)), numpy.sqrt(total), degrees)


def _error(cell: Summary) -> float:
    assert cell.error is not None
    return cell.error


def _squared_errors(cell: Summary) -> Array:
    """The squared standard errors that a cell may show, equally likely: chi-squared about the true one."""
    half = (cell.n - 1) / 2
    return _error(cell) ** 2 * gammaincinv(half, _CHANCES) / half


def chance_greater(gap: float, repeats: Repeats, level: float) -> float:
    """The power of a one-sided t test at LEVEL where the true difference is GAP."""
    if repeats.error == 0:
        return 1.0 if gap > 0 else 0.0
    return _greater(gap, repeats.half_widths(level), repeats.error)


def _greater(gap: float, half_widths: Array, error: float) -> float:
    return float(ndtr((gap - half_widths) / error).mean())


def chance_equivalent(gap: float, margin: float, repeats: Repeats, level: float) -> float:
    """The power of two one-sided tests at LEVEL within +-MARGIN where the true difference is GAP."""
    if repeats.error == 0:
        return 1.0 if abs(gap) < margin else 0.0
    return _equivalent(gap, margin, repeats.half_widths(level), repeats.error)


def _equivalent(gap: float, margin: float, half_widths: Array, error: float) -> float:
    high, low = (margin - gap - half_widths) / error, (half_widths - margin - gap) / error
    return float(numpy.maximum(ndtr(high) - ndtr(low), 0.0).mean())


def smallest_gap(repeats: Repeats, level: float) -> float:
    """The smallest true difference that a one-sided test at LEVEL shows with a chance of POWER."""
    half_widths, error = repeats.half_widths(level), repeats.error
    return _first_reaching(lambda gap: _greater(gap, half_widths, error), error) if error else 0.0


def smallest_margin(repeats: Repeats, level: float) -> float:
    """The smallest margin within which what does not differ is shown to be equal with a chance of POWER."""
    half_widths, error = repeats.half_widths(level), repeats.error
    return _first_reaching(lambda margin: _equivalent(0.0, margin, half_widths, error), error) if error else 0.0


def _first_reaching(chance: Callable[[float], float], unit: float) -> float:
    """Where CHANCE, which rises, reaches POWER, to a thousandth of UNIT; by halving an interval."""
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
