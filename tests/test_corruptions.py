"""Moved, noisy, pale and bright test images: what each corruption does to an image, and that it does it again."""

import colorsys
import hashlib

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convmixer.corruptions import CORRUPTIONS, Corruption, brighten, evaluate_corrupted, lower_contrast, translate
from convmixer.data import load

NAMES = [corruption.name for corruption in CORRUPTIONS]


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randint(256, (1200, 3, 6, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def none() -> torch.Generator:
    return torch.Generator()


def test_the_names_are_unique_and_say_kind_and_severity() -> None:
    assert NAMES == [
        *("translation_1", "translation_2", "translation_3", "translation_4"),
        *("noise_1", "noise_3", "noise_5"),
        *("contrast_1", "contrast_3", "contrast_5"),
        *("brightness_1", "brightness_3", "brightness_5"),
    ]


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=NAMES)
def test_each_gives_other_images_of_the_same_form_and_the_same_ones_each_time(
    corruption: Corruption, images: Tensor
) -> None:
    before = images.clone()
    once, again = corruption.apply(images), corruption.apply(images)
    assert (once.shape, once.dtype) == (images.shape, torch.uint8)
    assert torch.equal(once, again) and torch.equal(images, before)
    assert not torch.equal(once, images)


def test_the_order_of_what_is_asked_changes_nothing(images: Tensor) -> None:
    forward = [hashlib.sha256(corruption.apply(images).numpy()).digest() for corruption in CORRUPTIONS]
    torch.manual_seed(123)
    backward = [hashlib.sha256(corruption.apply(images).numpy()).digest() for corruption in CORRUPTIONS[::-1]]
    assert forward == backward[::-1]


@pytest.mark.parametrize("pixels", [1, 2, 4])
def test_a_translation_moves_each_image_one_of_four_ways_and_repeats_the_edge(images: Tensor, pixels: int) -> None:
    moved = translate(images, pixels, torch.Generator().manual_seed(1))
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (pixels, pixels), (pixels, pixels)), mode="edge")
    height, width = images.shape[2:]
    starts = [(0, pixels), (2 * pixels, pixels), (pixels, 0), (pixels, 2 * pixels)]
    ways = [torch.from_numpy(padded[:, :, y : y + height, x : x + width].copy()) for y, x in starts]
    taken = torch.stack([(moved == way).flatten(1).all(1) for way in ways])
    assert taken.sum(0).tolist() == [1] * len(images)
    assert (taken.sum(1) / len(images)).tolist() == pytest.approx([0.25] * 4, abs=0.05)


@pytest.mark.parametrize(("severity", "deviation"), [(1, 0.04), (3, 0.08), (5, 0.10)])
def test_noise_has_the_spread_of_its_severity(severity: int, deviation: float) -> None:
    grey = torch.full((1100, 3, 8, 8), 128, dtype=torch.uint8)
    noise = (Corruption("noise", severity, deviation).apply(grey).double() - 128) / 255
    assert noise.mean().item() == pytest.approx(0, abs=1e-3)
    assert noise.std().item() == pytest.approx(deviation, rel=0.01)
    assert not torch.equal(noise[0], noise[1]) and not torch.equal(noise[0], noise[1000])


def test_less_contrast_draws_each_channel_to_its_mean(images: Tensor) -> None:
    values = images.numpy() / 255
    means = values.mean((2, 3), keepdims=True)
    expected = np.rint(np.clip((values - means) * 0.4 + means, 0, 1) * 255)
    assert np.abs(lower_contrast(images, 0.4, none()).numpy() - expected).max() <= 1  # ties
    assert torch.equal(lower_contrast(images, 1.0, none()), images)


@pytest.mark.parametrize("amount", [0.05, 0.3])
def test_brighter_is_a_larger_v_of_hsv(images: Tensor, amount: float) -> None:
    brighter = brighten(images[:2], amount, none())
    for before, after in zip(list_pixels(images[:2]), list_pixels(brighter), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(before.double() / 255).tolist())
        expected = colorsys.hsv_to_rgb(hue, saturation, min(1.0, value + amount))
        assert after.tolist() == pytest.approx([255 * part for part in expected], abs=0.5 + 1e-6)


def list_pixels(images: Tensor) -> Tensor:
    """Colours (n, 3) of images (n, 3, height, width)."""
    return images.movedim(1, 3).reshape(-1, 3)


def test_black_becomes_grey() -> None:
    assert brighten(torch.zeros(1, 3, 1, 1, dtype=torch.uint8), 0.2, none()).flatten().tolist() == [51, 51, 51]


class Brightest(nn.Module):
    """Says class 1 where the image's mean is above 0.5, else class 0; knows nothing of what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean((1, 2, 3)) * self.weight
        return torch.stack([-mean, mean, *[torch.full_like(mean, -9.0)] * 8], dim=1)


def test_a_network_is_measured_on_each_and_left_as_it_was() -> None:
    data, model = load("digits"), Brightest().train()
    found = evaluate_corrupted(model, data, precision="fp32", path="plain")
    assert list(found) == NAMES
    assert all(0 <= value <= 1 for value in found.values())
    assert model.training
    # A translation of the digits loses ink at the border at most; noise of mean zero hardly moves a mean.
    is_one = data.test_labels == 1
    bright = brighten(data.test_images, 0.3, none()).double().mean((1, 2, 3)) / 255 > data.mean[0]
    expected = (is_one & bright).sum() + ((data.test_labels == 0) & ~bright).sum()
    assert found["brightness_5"] == pytest.approx(expected.item() / len(is_one))
