"""Two networks on the same test images: McNemar's test, seed by seed, from the bits that the records keep.

It speaks of the networks that were trained, not of training: another seed is another pair. So it stands beside a claim
on a direction, which is about training, and never decides it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import bdtrc

from experiments.spec import Correct, ReproductionError


@dataclass(frozen=True)
class Discordance:
    """The images on which two networks differ: right in the first alone, and in the second alone."""

    first: int
    second: int

    @property
    def p_first(self) -> float:
        """Exact one-sided p (McNemar 1947): how often chance alone would let the first win at least as often."""
        return 1.0 if self.first == 0 else float(bdtrc(self.first - 1, self.first + self.second, 0.5))


def discord(a: Correct, b: Correct) -> Discordance:
    """On how many images A and B differ. Raises ReproductionError where these are not the same images."""
    if (a.split, a.count) != (b.split, b.count):
        raise ReproductionError(
            f"McNemar's test needs the same images, found {a.count} of {a.split!r} and {b.count} of {b.split!r}"
        )
    first, second = int.from_bytes(a.packed(), "big"), int.from_bytes(b.packed(), "big")
    return Discordance((first & ~second).bit_count(), (second & ~first).bit_count())


def combine(p_values: Sequence[float]) -> float:
    """One p of several that may depend on each other in any way: twice their mean (Rueschendorf 1982).

    The seeds share the test images, so their p values are not independent and may not be multiplied.
    """
    if not p_values:
        raise ReproductionError("there is no p value to combine")
    return min(1.0, 2 * math.fsum(p_values) / len(p_values))
