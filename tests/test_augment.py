"""Batched augmentation equals what torchvision does to one PIL image at a time, and is drawn from the same lots.

Every comparison of pixels is exact: each operation computes in the integers or in the precision that PIL uses.
"""

import hashlib
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import auto_augment
from timm.data.random_erasing import RandomErasing as TimmErasing
from timm.data.transforms import RandomResizedCropAndInterpolation
from timm.data.transforms_factory import transforms_imagenet_train
from torch import Tensor
from torchvision.transforms import (
    ColorJitter,
    InterpolationMode,
    Normalize,
    RandomErasing,
    RandomResizedCrop,
    ToTensor,
    functional,
)
from torchvision.transforms.autoaugment import RandAugment, _apply_op

from convmixer import ConvMixerError, timm_randaugment
from convmixer.augment import apply, augment, draw, erase, jitter_colors, normalise, resize_crops
from convmixer.erasing import draw_noise, draw_rectangles, fill_with_noise
from convmixer.mixing import Mixture, mix_images
from convmixer.randaugment import OPERATIONS, SIGNED, apply_operation, rand_augment, strength
from convmixer.recipe import Recipe, ablate, choose_recipe
from convmixer.streams import stream
from tests.pictures import by_pil, make_images

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
AUTHORS = choose_recipe("authors", 100, crop_scale=0.75)
PAPER = choose_recipe("paper")
# A draw that ought to have a given share, from this many lots, is off by more than 5 standard deviations once in 2e6.
DRAWS = 20_000


def torchvision_strength(operation: str, bin_: int) -> float:
    magnitudes, _ = RandAugment()._augmentation_space(31, (32, 32))[operation]
    return float(magnitudes[bin_]) if magnitudes.ndim else 0.0


@pytest.mark.parametrize("bin_", [0, 8, 12, 20, 30])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_equals_torchvisions_on_a_pil_image(operation: str, bin_: int) -> None:
    images, amount = make_images(), strength(operation, bin_, (32, 32))
    assert amount == pytest.approx(torchvision_strength(operation, bin_), abs=1 if "Translate" in operation else 1e-6)
    for sign in (1, -1) if operation in SIGNED else (1,):
        theirs = by_pil(
            images,
            lambda image, _, sign=sign: _apply_op(
                image, operation, sign * torchvision_strength(operation, bin_), InterpolationMode.NEAREST, None
            ),
        )
        ours = apply_operation(operation, images, torch.full((len(images),), sign * amount, dtype=torch.float64))
        assert torch.equal(ours, theirs)


def test_the_operations_are_torchvisions_in_its_order_and_with_its_signs() -> None:
    space = RandAugment()._augmentation_space(31, (32, 32))
    assert list(OPERATIONS) == list(space)
    assert SIGNED == {name for name, (_, signed) in space.items() if signed}


def test_images_of_one_batch_get_their_own_operation_and_sign() -> None:
    images = make_images(28)
    operations, signs = torch.arange(28) % 14, torch.where(torch.arange(28) < 14, 1, -1)
    ours = rand_augment(images, operations, signs, 12)
    for i in range(28):
        amount = strength(OPERATIONS[i % 14], 12, (32, 32)) * (signs[i].item() if OPERATIONS[i % 14] in SIGNED else 1)
        alone = apply_operation(OPERATIONS[i % 14], images[i : i + 1], torch.tensor([amount], dtype=torch.float64))
        assert torch.equal(ours[i : i + 1], alone)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_grey_images_are_taken(operation: str) -> None:
    images = make_images(4, channels=1, size=8)
    result = apply_operation(operation, images, torch.full((4,), strength(operation, 12, (8, 8))).double())
    assert (result.shape, result.dtype) == (images.shape, torch.uint8)


def test_unknown_operations_are_refused() -> None:
    with pytest.raises(ConvMixerError) as caught:
        strength("Invert", 0, (32, 32))
    assert str(caught.value) == f"RandAugment: unknown operation 'Invert'; known are {', '.join(OPERATIONS)}"


def test_resized_crops_equal_torchvisions_on_pil_images() -> None:
    images = make_images()
    edges = [(i % 5, i % 3, 32 - max(i % 5, i % 3, i % 4)) for i in range(len(images))]
    crops = torch.tensor([(top, left, side, side) for top, left, side in edges])
    theirs = by_pil(images, lambda image, i: functional.resized_crop(image, *crops[i].tolist(), [32, 32]))
    assert torch.equal(resize_crops(images, crops), theirs)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)])
def test_colour_jitter_equals_torchvisions_on_pil_images_in_every_order(order: tuple[int, int, int]) -> None:
    images = make_images()
    factors = 0.8 + 0.4 * torch.rand(len(images), 3, generator=stream(0), dtype=torch.float64)
    adjust = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)

    def by_torchvision(image: Image.Image, i: int) -> Image.Image:
        for number in order:
            image = adjust[number](image, factors[i, number].item())
        return image

    ours = jitter_colors(images, torch.tensor(order).expand(len(images), 3), factors)
    assert torch.equal(ours, by_pil(images, by_torchvision))


def test_normalising_equals_torchvisions() -> None:
    images = make_images()
    theirs = torch.stack(
        [Normalize(MEAN, STD)(ToTensor()(image.permute(1, 2, 0).numpy().astype(np.uint8))) for image in images]
    )
    assert torch.equal(normalise(images, MEAN, STD), theirs)


def test_erasing_sets_each_images_own_rectangle_to_zero() -> None:
    images, rectangles = torch.ones(2, 3, 4, 4), torch.tensor([[1, 3, 0, 2], [0, 0, 0, 0]])
    expected = images.clone()
    expected[0, :, 1:3, 0:2] = 0
    assert torch.equal(erase(images, rectangles), expected)


def test_the_whole_chain_is_the_authors_order() -> None:
    images, choices = make_images(), draw(AUTHORS, 40, (32, 32), stream(1))
    expected = resize_crops(images, choices.crops)
    expected = torch.where(choices.flips.view(-1, 1, 1, 1), expected.flip(3), expected)
    for operations, signs in choices.operations:
        expected = rand_augment(expected, operations, signs, 12)
    expected = jitter_colors(expected, choices.jitter_order, choices.jitter_factors)
    expected = erase(normalise(expected, MEAN, STD), choices.erased)
    assert len(choices.operations) == 2
    assert torch.equal(apply(images, choices, MEAN, STD), expected)


def test_the_whole_chain_of_the_paper_mixes_bytes_before_it_normalises_and_erases() -> None:
    images, choices = make_images(), draw(PAPER, 40, (32, 32), stream(1))
    mixture, expected = Mixture(kept=0.3, box=None), images.clone()
    for i, is_cubic in enumerate(choices.cubic_crops.tolist()):
        expected[i : i + 1] = resize_crops(images[i : i + 1], choices.crops[i : i + 1], cubic=is_cubic)
    expected = torch.where(choices.flips.view(-1, 1, 1, 1), expected.flip(3), expected)
    for step in choices.timm_steps:
        expected = timm_randaugment.rand_augment(expected, step, (125.0, 123.0, 114.0))  # 255 times the mean
    expected = fill_with_noise(normalise(mix_images(expected, mixture), MEAN, STD), choices.noise)
    assert (len(choices.timm_steps), choices.operations, choices.jitter_order) == (2, (), None)
    assert torch.equal(apply(images, choices, MEAN, STD, mixture), expected)


@pytest.mark.parametrize(
    ("recipe", "digest"),
    [
        (AUTHORS, "d0428ff5eb6e99be48a06f42426f3133a8e862ab45cfa0dbd2fb88e67719ffbf"),
        (choose_recipe("authors", 25), "102abc2f630b618ede6faebb0688cef773af3ce1c8a55f3f49f8f871a6a450f7"),
        (choose_recipe("keras"), "315caf471b12cd3d4bcb9d84b39800b51f155da84fb262ed432a6d7cfdc14aca"),
    ],
    ids=["authors-100", "authors-25", "keras"],
)
def test_a_seed_gives_the_bits_that_it_gave_before_there_was_a_paper_recipe(recipe: Recipe, digest: str) -> None:
    result = augment(make_images(), recipe, stream(3), MEAN, STD)
    assert hashlib.sha256(result.numpy().tobytes()).hexdigest() == digest


def test_a_recipe_without_augmentation_only_normalises() -> None:
    images, plain = make_images(), choose_recipe("smoke")
    assert torch.equal(augment(images, plain, stream(0), MEAN, STD), normalise(images, MEAN, STD))


def test_the_images_given_are_left_alone() -> None:
    images = make_images()
    before = images.clone()
    augment(images, AUTHORS, stream(0), MEAN, STD)
    assert torch.equal(images, before)


def test_one_stream_gives_one_augmentation() -> None:
    images = make_images()
    first, again, other = (augment(images, AUTHORS, stream(0, place), MEAN, STD) for place in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_flips_operations_signs_and_orders_are_drawn_evenly() -> None:
    choices = draw(AUTHORS, DRAWS, (32, 32), stream(0))
    assert choices.flips.double().mean().item() == pytest.approx(0.5, abs=0.02)
    for operations, signs in choices.operations:
        assert (operations.bincount(minlength=14) / DRAWS).tolist() == pytest.approx([1 / 14] * 14, abs=0.01)
        assert signs.unique().tolist() == [-1, 1]
        assert signs.double().mean().item() == pytest.approx(0, abs=0.04)
    orders = choices.jitter_order @ torch.tensor([9, 3, 1])
    assert (orders.unique(return_counts=True)[1] / DRAWS).tolist() == pytest.approx([1 / 6] * 6, abs=0.014)
    assert choices.jitter_factors.aminmax() == pytest.approx((0.8, 1.2), abs=1e-3)


def assert_same_distribution(ours: Tensor, theirs: Tensor) -> None:
    """Column by column: a two-sample Kolmogorov-Smirnov statistic below its 1e-5 quantile."""
    from scipy.stats import ks_2samp

    for a, b in zip(ours.double().unbind(1), theirs.double().unbind(1), strict=True):
        assert ks_2samp(a.numpy(), b.numpy(), method="asymp").pvalue > 1e-5


def test_crops_are_distributed_as_torchvisions() -> None:
    torch.manual_seed(0)
    image = torch.empty(3, 32, 32)
    theirs = [RandomResizedCrop.get_params(image, [0.75, 1.0], [1.0, 1.0]) for _ in range(3000)]
    ours = draw(AUTHORS, 3000, (32, 32), stream(0)).crops
    assert_same_distribution(ours, torch.tensor(theirs))
    assert torch.equal(ours[:, 2], ours[:, 3])
    assert ((ours[:, 2:] + ours[:, :2]).max(), ours.min()) == (32, 0)


def test_erased_rectangles_are_distributed_as_torchvisions() -> None:
    torch.manual_seed(0)
    image = torch.empty(3, 32, 32)
    theirs = [RandomErasing.get_params(image, (0.02, 0.33), (0.3, 3.3), [0.0])[:4] for _ in range(3000)]
    always = draw(replace(AUTHORS, erasing_probability=1.0), 3000, (32, 32), stream(0)).erased
    top, bottom, left, right = always.unbind(1)
    assert_same_distribution(torch.stack([top, left, bottom - top, right - left], 1), torch.tensor(theirs))
    some = draw(AUTHORS, DRAWS, (32, 32), stream(0)).erased
    assert some.any(1).double().mean().item() == pytest.approx(0.2, abs=0.015)


def test_jitter_factors_are_distributed_as_torchvisions() -> None:
    torch.manual_seed(0)
    jitter = ColorJitter(0.2, 0.2, 0.2)
    theirs = [jitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, None)[1:4] for _ in range(3000)]
    ours = draw(AUTHORS, 3000, (32, 32), stream(0)).jitter_factors
    assert_same_distribution(ours, torch.tensor(theirs))


def test_the_papers_images_are_distributed_as_those_of_timms_own_transform(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole chain but mixing and erasing, by mean, spread and roughness of each image."""
    posterize = auto_augment.NAME_TO_OP["PosterizeIncreasing"]
    black = Image.new("RGB", (32, 32))  # no bits are kept: today's PIL refuses what that of the paper's time gave
    monkeypatch.setitem(
        auto_augment.NAME_TO_OP,
        "PosterizeIncreasing",
        lambda image, bits, **rest: posterize(image, bits, **rest) if bits else black,
    )
    transform = transforms_imagenet_train(
        32, (0.75, 1.0), auto_augment="rand-m9-mstd0.5-inc1", interpolation="random", mean=MEAN, std=STD
    )
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)
    images = make_images(40).repeat(30, 1, 1, 1)
    theirs = torch.stack([transform(functional.to_pil_image(image)) for image in images])
    ours = augment(images, ablate(PAPER, "erasing"), stream(0), MEAN, STD)

    def describe(batch: Tensor) -> Tensor:
        return torch.stack([batch.mean((1, 2, 3)), batch.std((1, 2, 3)), batch.diff(dim=3).abs().mean((1, 2, 3))], 1)

    assert_same_distribution(describe(ours), describe(theirs))
    assert_same_distribution(ours[:, :, 1, 1], theirs[:, :, 1, 1])  # near a corner, which moving images uncovers


def test_the_papers_crops_are_distributed_as_timms() -> None:
    random.seed(0)
    image, crop = Image.new("RGB", (32, 32)), RandomResizedCropAndInterpolation(32, (0.75, 1.0), interpolation="random")
    theirs = [crop.get_params(image, crop.scale, crop.ratio) for _ in range(3000)]
    choices = draw(PAPER, 3000, (32, 32), stream(0))
    assert_same_distribution(choices.crops, torch.tensor(theirs))
    assert ((choices.crops[:, 2:] + choices.crops[:, :2]).max(), choices.crops.min()) == (32, 0)
    assert choices.cubic_crops.double().mean().item() == pytest.approx(0.5, abs=0.05)


def test_the_papers_erased_rectangles_are_distributed_as_timms() -> None:
    random.seed(0)
    eraser, theirs = TimmErasing(1.0, mode="pixel", device="cpu"), []
    for _ in range(1500):
        erased = eraser(torch.full((1, 32, 32), float("nan"))).isfinite()[0]
        rows, columns = erased.any(1).nonzero(), erased.any(0).nonzero()
        theirs.append([rows[0], columns[0], len(rows), len(columns)])
    top, bottom, left, right = draw_rectangles(1.0, "noise", 3000, (32, 32), stream(0)).unbind(1)
    assert_same_distribution(torch.stack([top, left, bottom - top, right - left], 1), torch.tensor(theirs))


def test_noise_fills_each_images_own_rectangle_and_nothing_else() -> None:
    images, rectangles = torch.zeros(3, 2, 8, 8), torch.tensor([[1, 3, 0, 8], [0, 0, 0, 0], [0, 8, 5, 6]])
    noise = draw_noise(rectangles, 2, (8, 8), stream(0))
    result = fill_with_noise(images, noise)
    assert torch.equal(result != 0, erase(torch.ones_like(images), rectangles) == 0)
    assert torch.equal(result[result != 0], noise.values)
    assert not images.any()


def test_noise_is_standard_normal() -> None:
    from scipy.stats import kstest

    noise = draw_noise(torch.tensor([[0, 32, 0, 32]] * 7), 3, (32, 32), stream(0)).values
    assert len(noise) == 7 * 3 * 32 * 32
    assert kstest(noise.double().numpy(), "norm").pvalue > 1e-5
