"""Intervals and tests as pure functions of numbers: t, Welch, paired, equivalence, prediction, Wilson, Holm.

Inputs are fractions or whatever unit the caller keeps to; outputs have the same unit. NaN and infinities are refused.
Intervals are t intervals throughout: below ten runs a bootstrap covers far less than it says. Student's distribution
is that of scipy.special, which is imported in a fifth of the time that scipy.stats takes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

from scipy.special import chdtrc, stdtr, stdtrit

from experiments.spec import ReproductionError


@dataclass(frozen=True)
class Interval:
    """Two bounds, low <= high."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def is_inside(self, other: "Interval") -> bool:
        """Whether all of it lies strictly between the bounds of OTHER."""
        return other.low < self.low and self.high < other.high


@dataclass(frozen=True)
class Summary:
    """n values: their mean; standard deviation and standard error, both None for a single value."""

    n: int
    mean: float
    sd: float | None
    error: float | None

    def interval(self, confidence: float = 0.95) -> Interval:
        """The t interval of the mean. Raises ReproductionError for a single value."""
        if self.error is None:
            raise ReproductionError("an interval needs at least two values, found 1: record another seed")
        return _around(self.mean, self.error, self.n - 1, confidence)


@dataclass(frozen=True)
class Comparison:
    """An estimated difference with its standard error and degrees of freedom; tests and intervals follow from these."""

    difference: float
    error: float
    degrees: float

    def interval(self, confidence: float = 0.95) -> Interval:
        """The two-sided t interval of the difference."""
        return _around(self.difference, self.error, self.degrees, confidence)

    def p_greater(self, than: float = 0.0) -> float:
        """One-sided p: how often a true difference of THAN would give one at least this large."""
        return _tail(self.difference - than, self.error, self.degrees)

    def p_less(self, than: float = 0.0) -> float:
        """One-sided p: how often a true difference of THAN would give one at most this large."""
        return _tail(than - self.difference, self.error, self.degrees)

    def p_equivalent(self, margin: float) -> float:
        """Two one-sided tests (Schuirmann 1987): small where the difference is shown to lie within +-MARGIN."""
        _check_margin(margin)
        return max(self.p_greater(-margin), self.p_less(margin))


def summarise(values: Sequence[float]) -> Summary:
    """n, mean, sd (n - 1 in the denominator) and standard error of VALUES."""
    numbers = checked(values, at_least=1)
    n = len(numbers)
    mean = math.fsum(numbers) / n
    if n == 1:
        return Summary(1, mean, None, None)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in numbers) / (n - 1))
    return Summary(n, mean, sd, sd / math.sqrt(n))


Sample = Sequence[float] | Summary  # values of runs, or what is known of them


def _summary(sample: Sample) -> Summary:
    """SAMPLE summed up; ReproductionError for fewer than two values."""
    if not isinstance(sample, Summary):
        return summarise(checked(sample, at_least=2))
    if sample.error is None:
        raise ReproductionError(f"at least 2 values are needed, found {sample.n}")
    return sample


def are_equal_shares(values: Sequence[float]) -> bool:
    """Whether VALUES, shares of images or differences of such, are one number but for rounding: half an image of a million."""
    return max(values) - min(values) < 5e-7


def of_equal_shares(summary: Summary, trials: int) -> Summary:
    """SUMMARY of shares of TRIALS images that are all equal, with the binomial error of one share as its sd.

    Equal shares do not show that there is no spread. The binomial error, at least one image, is about what random seeds
    differ by, and never less than what equal counts can hide.
    """
    sd = max(math.sqrt(max(summary.mean * (1 - summary.mean), 0.0) / trials), 1 / trials)
    return Summary(summary.n, summary.mean, sd, sd / math.sqrt(summary.n))


def welch(a: Sample, b: Sample) -> Comparison:
    """mean(A) - mean(B) of independent runs, variances not assumed equal (Welch 1947); two values each at least."""
    first, second = _summary(a), _summary(b)
    assert first.error is not None and second.error is not None
    va, vb = first.error**2, second.error**2
    if va + vb == 0:
        return Comparison(first.mean - second.mean, 0.0, float(first.n + second.n - 2))
    degrees = (va + vb) ** 2 / (va**2 / (first.n - 1) + vb**2 / (second.n - 1))
    return Comparison(first.mean - second.mean, math.sqrt(va + vb), degrees)


def paired(a: Sequence[float], b: Sequence[float]) -> Comparison:
    """mean(A - B) of runs that belong together pair by pair: the t test of the differences; two pairs at least."""
    if len(a) != len(b):
        raise ReproductionError(f"pairs need as many values on both sides, found {len(a)} and {len(b)}")
    pairs = zip(checked(a, at_least=2), checked(b, at_least=2), strict=True)
    return against([first - second for first, second in pairs], 0.0)


def against(values: Sample, target: float) -> Comparison:
    """mean(VALUES) - TARGET, where TARGET is taken as it stands (a quoted number without a spread)."""
    summary = _summary(values)
    (aim,) = checked((target,), at_least=1)
    assert summary.error is not None
    return Comparison(summary.mean - aim, summary.error, float(summary.n - 1))


def bartlett(samples: Sequence[Summary]) -> float:
    """p of Bartlett's (1937) test that SAMPLES, of two values each at least, have one variance; 1 for a single one.

    It is that of normal values. A variance of 0 among others that are not is no equal one.
    """
    variances, degrees = [(sample.sd or 0.0) ** 2 for sample in samples], [sample.n - 1 for sample in samples]
    if len(samples) < 2 or not any(variances):
        return 1.0
    if not all(variances):
        return 0.0
    total = sum(degrees)
    pooled = math.fsum(d * v for d, v in zip(degrees, variances, strict=True)) / total
    statistic = math.fsum(d * math.log(pooled / v) for d, v in zip(degrees, variances, strict=True))
    correction = 1 + (math.fsum(1 / d for d in degrees) - 1 / total) / (3 * (len(samples) - 1))
    return float(chdtrc(len(samples) - 1, statistic / correction))


def prediction_interval(values: Sample, confidence: float = 0.95) -> Interval:
    """Where one more run of the same kind would fall: mean +- t sd sqrt(1 + 1/n)."""
    summary = _summary(values)
    assert summary.sd is not None
    return _around(summary.mean, summary.sd * math.sqrt(1 + 1 / summary.n), summary.n - 1, confidence)


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Wilson's (1927) interval of a proportion, such as the share of test images one set of weights gets right."""
    if trials < 1 or not 0 <= successes <= trials:
        raise ReproductionError(f"{successes!r} of {trials!r} is no proportion: expected 0 <= successes <= trials")
    z = _normal_quantile(0.5 + confidence / 2)
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


@cache  # it is that of 95 % for each of ten thousand runs
def _normal_quantile(share: float) -> float:
    return NormalDist().inv_cdf(share)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's (1979) adjusted p values, in the order given."""
    numbers = checked(p_values, at_least=1)
    if any(not 0 <= p <= 1 for p in numbers):
        raise ReproductionError(f"p values lie between 0 and 1, found {list(p_values)!r}")
    adjusted = [0.0] * len(numbers)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(numbers)), key=numbers.__getitem__)):
        largest = max(largest, min(1.0, (len(numbers) - rank) * numbers[index]))
        adjusted[index] = largest
    return tuple(adjusted)


def checked(values: Sequence[float], *, at_least: int) -> tuple[float, ...]:
    """VALUES as floats; refuses NaN, infinities and too few of them."""
    numbers = tuple(float(value) for value in values)
    if not all(map(math.isfinite, numbers)):
        raise ReproductionError(f"statistics of finite numbers only, found {list(numbers)!r}")
    if len(numbers) < at_least:
        raise ReproductionError(f"at least {at_least} values are needed, found {len(numbers)}: {list(numbers)!r}")
    return numbers


def _check_margin(margin: float) -> None:
    if not (math.isfinite(margin) and margin > 0):
        raise ReproductionError(f"a margin is a finite number above 0, found {margin!r}")


def _around(centre: float, error: float, degrees: float, confidence: float) -> Interval:
    if not 0 < confidence < 1:
        raise ReproductionError(f"a confidence lies between 0 and 1, found {confidence!r}")
    half = float(stdtrit(degrees, 0.5 + confidence / 2)) * error if error else 0.0
    return Interval(centre - half, centre + half)


def _tail(distance: float, error: float, degrees: float) -> float:
    """P(T > distance / error); runs without any spread leave no doubt except at distance 0."""
    if error == 0:
        return 0.0 if distance > 0 else 1.0
    return float(stdtr(degrees, -distance / error))
