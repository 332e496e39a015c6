"""What stands beside a deciding test: it is shown, and decides nothing."""

from dataclasses import replace

from report.judge.trials import Outcome
from tests.judging import DIRECTION, TREND, bits, judged, sweep
from tests.made_up import make_cell, make_evidence

IMAGES = 400


def answers(accuracy: float, shift: int) -> list[bool]:
    """As many of the images right as ACCURACY says, from the one numbered SHIFT on."""
    right = round(accuracy * IMAGES)
    return [(index - shift) % IMAGES < right for index in range(IMAGES)]


def with_bits(accuracies: tuple[float, ...], kernel_size: int, shift: int) -> list:
    return [
        replace(status, record=replace(status.record, correct=bits(answers(accuracy, shift))))
        for status, accuracy in zip(make_cell(accuracies, kernel_size=kernel_size), accuracies, strict=True)
    ]


def test_mcnemar_stands_beside_a_direction_and_decides_nothing() -> None:
    low, high = (0.600, 0.610, 0.620), (0.605, 0.617, 0.628)
    verdict = judged(make_evidence(*with_bits(low, 3, 0), *with_bits(high, 5, 0)), DIRECTION)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.support == (
        (
            "beside it, on the same test images: the claimed network is right more often in 3 of 3 seeds; McNemar's exact "
            "one-sided test of these networks, combined as twice the mean p of the seeds, has p = 0.333"
        ),
    )


def test_without_bits_nothing_is_said_of_images() -> None:
    assert judged(sweep((0.60, 0.61, 0.62), (0.65, 0.66, 0.67)), DIRECTION).support == ()


def test_kendall_and_page_stand_beside_a_trend() -> None:
    verdict = judged(sweep((0.600, 0.602, 0.601), (0.650, 0.652, 0.648), (0.700, 0.703, 0.698)), TREND)
    assert verdict.support == (
        (
            "beside it: Kendall's τ of level and accuracy is 0.87; Page's exact test, with the seeds as blocks, has "
            "p = 0.005 and, for the opposite order, p = 1.000"
        ),
    )


def test_page_needs_the_same_seeds_at_every_level() -> None:
    verdict = judged(sweep((0.600, 0.602, 0.601), (0.650, 0.652, 0.648), (0.70, 0.703, 0.698, 0.699)), TREND)
    assert verdict.support == ("beside it: Kendall's τ of level and accuracy is 0.86",)
