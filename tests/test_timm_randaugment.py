"""timm's RandAugment in batches: timm's operations with timm's strengths on PIL images, bit for bit, and its lots.

Bits are equal because every sum is taken in the order in which PIL's C code takes it, in float64 or in integers.
"""

import random
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import kstest
from timm.data import auto_augment

from convmixer import ConvMixerError
from convmixer.streams import stream
from convmixer.timm_randaugment import LEFT_ALONE, OPERATIONS, Step, amount, draw_step, rand_augment
from tests.pictures import assert_as_pil, by_pil, make_images

FILL = (125, 123, 114)
RESAMPLING = {False: Image.Resampling.BILINEAR, True: Image.Resampling.BICUBIC}
LEVELS = (0.0, 0.3, 5.0, 8.37, 9.0, 9.99, 10.0)
DRAWS = 30_000


def timm_arguments(operation: str, level: float, sign: int, monkeypatch: pytest.MonkeyPatch) -> tuple[float, ...]:
    """What timm gives its function for ``operation`` at ``level``, with ``sign`` instead of a toss."""
    monkeypatch.setattr(auto_augment, "_randomly_negate", lambda value: value * sign)
    find = auto_augment.LEVEL_TO_ARG[operation]
    return find(level, {}) if find else ()


def make_step(operation: str, amounts: torch.Tensor, cubic: bool = False) -> Step:
    operations = torch.full((len(amounts),), OPERATIONS.index(operation))
    return Step(operations=operations, amounts=amounts, cubic=torch.full((len(amounts),), cubic))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_equals_timms_on_a_pil_image(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = make_images()
    for level in LEVELS:
        if (operation, level) == ("PosterizeIncreasing", 10.0):
            continue  # no bits are kept: today's PIL refuses that, see below
        for sign in (1, -1):
            arguments = timm_arguments(operation, level, sign, monkeypatch)
            ours = amount(operation, torch.full((40,), level, dtype=torch.float64), torch.full((40,), sign))
            assert ours.tolist() == [float(arguments[0]) if arguments else 0.0] * 40
            for cubic, resampling in RESAMPLING.items():
                change, options = auto_augment.NAME_TO_OP[operation], {"fillcolor": FILL, "resample": resampling}
                theirs = by_pil(images, lambda image, _, c=change, a=arguments, o=options: c(image, *a, **o))
                assert_as_pil(rand_augment(images, make_step(operation, ours, cubic), FILL), theirs)


def test_posterizing_to_no_bits_gives_black() -> None:
    """As with the PIL of the paper's time; today's raises an error, for one such operation in fifty."""
    none = amount("PosterizeIncreasing", torch.full((4,), 10.0).double(), torch.ones(4))
    assert none.tolist() == [0] * 4
    assert not rand_augment(make_images(4), make_step("PosterizeIncreasing", none), FILL).any()


def test_images_of_one_batch_get_their_own_operation_amount_and_interpolation() -> None:
    images, step = make_images(120), draw_step(120, 0.9, 9, 0.5, stream(0))
    assert len(step.operations.unique()) == 1 + len(OPERATIONS)
    together = rand_augment(images, step, FILL)
    for i in range(120):
        part = slice(i, i + 1)
        alone = Step(operations=step.operations[part], amounts=step.amounts[part], cubic=step.cubic[part])
        assert torch.equal(together[part], rand_augment(images[part], alone, FILL))
        assert step.operations[i] != LEFT_ALONE or torch.equal(together[i], images[i])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_grey_images_are_taken(operation: str) -> None:
    images, nine = make_images(4, channels=1, size=8), torch.full((4,), 9.0).double()
    result = rand_augment(images, make_step(operation, amount(operation, nine, torch.ones(4))), FILL[:1])
    assert (result.shape, result.dtype) == (images.shape, torch.uint8)


def test_the_operations_are_timms_in_its_order() -> None:
    made = auto_augment.rand_augment_transform("rand-m9-mstd0.5-inc1", {"img_mean": FILL})
    assert tuple(op.name for op in made.ops) == OPERATIONS
    assert {(op.prob, op.magnitude, op.magnitude_std, op.magnitude_max) for op in made.ops} == {(0.5, 9, 0.5, None)}
    assert made.num_layers == 2


def test_operations_are_chosen_alike_and_half_are_applied() -> None:
    step = draw_step(DRAWS, 0.5, 9, 0.5, stream(0))
    counts = Counter(step.operations.tolist())
    assert counts.pop(LEFT_ALONE) / DRAWS == pytest.approx(0.5, abs=0.015)
    assert [counts[i] / DRAWS for i in range(15)] == pytest.approx([1 / 30] * 15, abs=0.006)
    assert step.cubic.double().mean().item() == pytest.approx(0.5, abs=0.015)


def test_magnitudes_are_normal_around_nine_and_cut_at_ten() -> None:
    step = draw_step(DRAWS, 1.0, 9, 0.5, stream(0))
    degrees = step.amounts[step.operations == OPERATIONS.index("Rotate")].numpy()
    levels, below = np.abs(degrees) / 3, np.abs(degrees) < 30
    assert np.mean(degrees > 0) == pytest.approx(0.5, abs=0.06)
    assert 1 - np.mean(below) == pytest.approx(0.0228, abs=0.018)  # two standard deviations above
    from scipy.stats import truncnorm

    assert kstest(levels[below], truncnorm(-18, 2, loc=9, scale=0.5).cdf).pvalue > 1e-5


def test_amounts_are_distributed_as_timms() -> None:
    from scipy.stats import ks_2samp

    random.seed(0)
    step = draw_step(DRAWS, 1.0, 9, 0.5, stream(0))
    for number, operation in enumerate(OPERATIONS):
        find = auto_augment.LEVEL_TO_ARG[operation]
        if find is None:
            continue
        levels = [max(0.0, min(random.gauss(9, 0.5), 10.0)) for _ in range(2000)]
        theirs = [float(find(level, {})[0]) for level in levels]
        ours = step.amounts[step.operations == number].numpy()
        assert ks_2samp(ours, theirs, method="asymp").pvalue > 1e-5, operation


def test_unknown_operations_are_refused() -> None:
    with pytest.raises(ConvMixerError) as caught:
        amount("Identity", torch.ones(1), torch.ones(1))
    assert str(caught.value) == f"RandAugment: unknown operation 'Identity'; known are {', '.join(OPERATIONS)}"
