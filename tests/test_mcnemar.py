"""McNemar's test of two networks on the same images, and several seeds' p values taken together."""

import base64
import random
import re

import pytest
from scipy import stats

from experiments.spec import Correct, ReproductionError
from report.judge.mcnemar import Discordance, combine, discord


def bits(text: str, split: str = "test") -> Correct:
    """`1` where the image was right."""
    packed = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
    return Correct(split, len(text), base64.b64encode(packed).decode())


def test_only_images_on_which_the_two_differ_count() -> None:
    assert discord(bits("1111000011"), bits("1100001011")) == Discordance(first=2, second=1)


@pytest.mark.parametrize("seed", range(30))
def test_p_is_the_exact_binomial_tests(seed: int) -> None:
    noise = random.Random(seed)
    found = Discordance(noise.randrange(60), noise.randrange(1, 60))
    expected = stats.binomtest(found.first, found.first + found.second, alternative="greater").pvalue
    assert found.p_first == pytest.approx(expected)


def test_networks_that_never_differ_show_nothing() -> None:
    assert Discordance(0, 0).p_first == 1.0


def test_other_images_are_refused() -> None:
    message = "McNemar's test needs the same images, found 4 of 'test' and 5 of 'test'"
    with pytest.raises(ReproductionError, match=f"^{re.escape(message)}$"):
        discord(bits("1010"), bits("10101"))


def test_combined_is_twice_the_mean_and_at_most_one() -> None:
    assert combine([0.01, 0.02, 0.03]) == pytest.approx(0.04)
    assert combine([0.9, 0.8]) == 1.0
    with pytest.raises(ReproductionError, match="there is no p value to combine"):
        combine([])


def test_combining_fully_dependent_seeds_keeps_the_level() -> None:
    """The same p five times over: taken as independent, by Fisher's method, it would seem to show far more."""
    noise = random.Random(3)
    draws = [noise.random() for _ in range(4000)]
    assert sum(combine([p] * 5) < 0.05 for p in draws) / len(draws) < 0.05
    assert sum(stats.combine_pvalues([p] * 5).pvalue < 0.05 for p in draws[:400]) / 400 > 0.1
