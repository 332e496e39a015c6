"""Batched augmentation on the device that holds the images; each image is changed in its own random way.

The order is that of the authors' train.py: resized crop, flip, RandAugment, colour jitter, normalise, erase; mixing, as
in timm's train.py, comes between bytes and numbers, before normalising. Drawing and applying are apart: ``draw``
decides on the CPU, from a generator and nothing else, so that a seed gives the same augmentation on every device;
``apply`` is a pure function of images and decisions, and never makes the CPU wait for a GPU.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from convmixer import timm_randaugment
from convmixer.colour_operations import group_colours
from convmixer.erasing import Noise, draw_noise, draw_rectangles, erase, fill_with_noise
from convmixer.groups import change_groups, group_members
from convmixer.mixing import Mixture, mix_images
from convmixer.randaugment import OPERATIONS, rand_augment
from convmixer.resample import resize_crops
from convmixer.settings import Recipe
from convmixer.transfer import constant

CROP_ATTEMPTS = 10  # to find a crop that fits, in torchvision and in timm

_JITTERS = ("Brightness", "Contrast", "Color")


@dataclass(frozen=True, kw_only=True, eq=False)
class Choices:
    """What happens to each of n images; ``None`` where a recipe has no such step. All tensors lie on the CPU."""

    crops: Tensor | None  # (n, 4) int64: top, left, height, width
    cubic_crops: Tensor | None  # (n,) bool: bicubic instead of bilinear
    flips: Tensor | None  # (n,) bool
    operations: tuple[tuple[Tensor, Tensor], ...]  # a pair for each RandAugment step: operations (n,), signs (n,)
    magnitude_bin: int
    timm_steps: tuple[timm_randaugment.Step, ...]  # timm's RandAugment in place of torchvision's
    jitter_order: Tensor | None  # (n, 3): which of brightness, contrast, colour comes first, second, third
    jitter_factors: Tensor | None  # (n, 3) float64: the factors of brightness, contrast, colour
    erased: Tensor | None  # (n, 4) int64: top, bottom, left, right, the latter of each pair outside; all 0 for none
    noise: Noise | None  # what fills the erased rectangles; zeros if None


def augment(
    images: Tensor,
    recipe: Recipe,
    generator: torch.Generator,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    mixture: Mixture | None = None,
) -> Tensor:
    """Augment, mix and normalise a uint8 batch (n, c, h, w); returns float32 on the same device."""
    count, channels, height, width = images.shape
    return apply(images, draw(recipe, count, (height, width), generator, channels), mean, std, mixture)


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 (n, c, h, w) -> float32 as torchvision's ToTensor and Normalize give it."""
    mean_, std_ = constant(tuple(mean), images.device), constant(tuple(std), images.device)
    return images.float().div_(255).sub_(mean_).div_(std_)


def apply(
    images: Tensor,
    choices: Choices,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    mixture: Mixture | None = None,
) -> Tensor:
    """Carry ``choices`` out on uint8 images (n, c, h, w), mix and normalise them; float32 on the same device."""
    if choices.crops is not None:
        images = _crop(images, choices.crops, choices.cubic_crops)
    if choices.flips is not None:
        images = change_groups(images, [(choices.flips.nonzero().squeeze(1), lambda some: some.flip(3))])
    for operations, signs in choices.operations:
        images = rand_augment(images, operations, signs, choices.magnitude_bin)
    fill = tuple(float(min(255, round(255 * value))) for value in mean)  # timm's choice for what comes in from outside
    for step in choices.timm_steps:
        images = timm_randaugment.rand_augment(images, step, fill)
    if choices.jitter_order is not None and choices.jitter_factors is not None:
        images = jitter_colors(images, choices.jitter_order, choices.jitter_factors)
    result = normalise(images if mixture is None else mix_images(images, mixture), mean, std)
    if choices.noise is not None:
        return fill_with_noise(result, choices.noise)
    return result if choices.erased is None else erase(result, choices.erased)


def draw(
    recipe: Recipe, count: int, image_size: tuple[int, int], generator: torch.Generator, channels: int = 3
) -> Choices:
    """Decide for ``count`` images of (height, width), with the distributions of the recipe's libraries, on the CPU."""
    jitter, steps, by_timm = recipe.color_jitter, range(recipe.randaugment_ops), recipe.randaugment_kind == "timm"
    crops, cubic_crops = _draw_crops(recipe, count, image_size, generator)
    flips = _uniform(generator, count) < recipe.flip_probability if recipe.flip_probability else None
    operations = () if by_timm else tuple(_draw_operations(count, generator) for _ in steps)
    timm_steps = tuple(_draw_timm_step(recipe, count, generator) for _ in steps) if by_timm else ()
    order = _uniform(generator, count, 3).argsort(1) if jitter else None
    factors = 1 - jitter + 2 * jitter * _uniform(generator, count, 3) if jitter else None
    erased, noise = _draw_erased(recipe, count, image_size, channels, generator)
    return Choices(
        crops=crops,
        cubic_crops=cubic_crops,
        flips=flips,
        operations=operations,
        magnitude_bin=0 if by_timm else int(recipe.randaugment_magnitude),
        timm_steps=timm_steps,
        jitter_order=order,
        jitter_factors=factors,
        erased=erased,
        noise=noise,
    )


def _crop(images: Tensor, crops: Tensor, cubic: Tensor | None) -> Tensor:
    """Each crop stretched to the full size, bicubic where ``cubic`` (n,) is true."""
    if cubic is None:
        return resize_crops(images, crops)
    members = group_members(cubic.long(), 2)
    groups = [
        (some, partial(resize_crops, crops=crops[some], cubic=is_cubic))
        for some, is_cubic in zip(members, (False, True), strict=True)
    ]
    return change_groups(images, groups)


def jitter_colors(images: Tensor, order: Tensor, factors: Tensor) -> Tensor:
    """Change brightness, contrast and colour of uint8 images in the ``order`` (n, 3) and by the ``factors`` (n, 3)."""
    for turn in order.unbind(1):
        members = dict(zip(_JITTERS, group_members(turn, len(_JITTERS)), strict=True))
        images = change_groups(images, group_colours(members, factors.gather(1, turn[:, None])[:, 0]))
    return images


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def _draw_start(room: Tensor, generator: torch.Generator) -> Tensor:
    """A whole number from 0 to ``room`` (n,), both included, for each."""
    return (_uniform(generator, len(room)) * (room + 1)).long()


def _draw_crops(
    recipe: Recipe, count: int, image_size: tuple[int, int], generator: torch.Generator
) -> tuple[Tensor | None, Tensor | None]:
    """Crops (count, 4), and which are bicubic (count,) where the recipe lets chance decide."""
    if recipe.crop_scale == 1:
        return None, None
    squares = recipe.crop_ratio == 1
    height, width = (_draw_squares if squares else _draw_rectangles)(recipe, count, image_size, generator)
    top, left = (_draw_start(size - part, generator) for size, part in zip(image_size, (height, width), strict=True))
    cubic = _uniform(generator, count) < 0.5 if recipe.crop_interpolation == "random" else None
    return torch.stack([top, left, height, width], 1), cubic


def _draw_squares(
    recipe: Recipe, count: int, image_size: tuple[int, int], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Height and width as RandomResizedCrop.get_params draws them for ratio 1: the area is uniform."""
    height, width = image_size
    share = recipe.crop_scale + (1 - recipe.crop_scale) * _uniform(generator, count)
    side = (height * width * share).sqrt().round().long().clamp(1, min(height, width))
    return side, side


def _draw_rectangles(
    recipe: Recipe, count: int, image_size: tuple[int, int], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Height and width of the first of ten random rectangles that fits, else of the whole image.

    As get_params of RandomResizedCrop and of timm's RandomResizedCropAndInterpolation, for square images.
    """
    height, width = image_size
    shape = (count, CROP_ATTEMPTS)
    area = height * width * (recipe.crop_scale + (1 - recipe.crop_scale) * _uniform(generator, *shape))
    ratio = (math.log(recipe.crop_ratio) * (2 * _uniform(generator, *shape) - 1)).exp()
    wide, tall = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (tall <= height) & (wide <= width) & (tall > 0) & (wide > 0)
    first = fits.int().argmax(1, keepdim=True)
    found = fits.any(1)
    return (
        torch.where(found, tall.gather(1, first)[:, 0], height),
        torch.where(found, wide.gather(1, first)[:, 0], width),
    )


def _draw_operations(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    operations = torch.randint(len(OPERATIONS), (count,), generator=generator)
    signs = 1 - 2 * torch.randint(2, (count,), generator=generator)
    return operations, signs


def _draw_timm_step(recipe: Recipe, count: int, generator: torch.Generator) -> timm_randaugment.Step:
    return timm_randaugment.draw_step(
        count,
        recipe.randaugment_probability,
        recipe.randaugment_magnitude,
        recipe.randaugment_deviation,
        generator,
    )


def _draw_erased(
    recipe: Recipe, count: int, image_size: tuple[int, int], channels: int, generator: torch.Generator
) -> tuple[Tensor | None, Noise | None]:
    if not recipe.erasing_probability:
        return None, None
    rectangles = draw_rectangles(recipe.erasing_probability, recipe.erasing_fill, count, image_size, generator)
    with_noise = recipe.erasing_fill == "noise"
    return rectangles, draw_noise(rectangles, channels, image_size, generator) if with_noise else None
