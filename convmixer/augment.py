"""Batched augmentation on the device that holds the images; each image is changed in its own random way.

The order is that of the authors' train.py: resized crop, flip, RandAugment, colour jitter, normalise, erase. Drawing
and applying are apart: ``draw`` decides on the CPU, from a generator and nothing else, so that a seed gives the same
augmentation on every device; ``apply`` is a pure function of images and decisions.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from convmixer.randaugment import (
    OPERATIONS,
    adjust_brightness,
    adjust_color,
    adjust_contrast,
    rand_augment,
)
from convmixer.recipe import Recipe

# Defaults of torchvision.transforms.RandomErasing: share of the area, aspect ratio, and attempts to find a rectangle.
ERASED_SHARE = (0.02, 0.33)
ERASED_RATIO = (0.3, 3.3)
ERASING_ATTEMPTS = 10

_WEIGHT_BITS = 22  # of the fixed-point weights in PIL's Resample.c: 32 less 8 for the pixel and 2 to spare

_JITTERS = (adjust_brightness, adjust_contrast, adjust_color)


@dataclass(frozen=True, kw_only=True, eq=False)
class Choices:
    """What happens to each of n images; ``None`` where a recipe has no such step. All tensors lie on the CPU."""

    crops: Tensor | None  # (n, 3) int64: top, left, side
    flips: Tensor | None  # (n,) bool
    operations: tuple[tuple[Tensor, Tensor], ...]  # a pair for each RandAugment step: operations (n,), signs (n,)
    magnitude_bin: int
    jitter_order: Tensor | None  # (n, 3): which of brightness, contrast, colour comes first, second, third
    jitter_factors: Tensor | None  # (n, 3) float64: the factors of brightness, contrast, colour
    erased: Tensor | None  # (n, 4) int64: top, bottom, left, right, the latter of each pair outside; all 0 for none


def augment(
    images: Tensor, recipe: Recipe, generator: torch.Generator, mean: tuple[float, ...], std: tuple[float, ...]
) -> Tensor:
    """Augment and normalise a uint8 batch (n, c, h, w); returns float32 on the same device."""
    return apply(images, draw(recipe, len(images), (images.shape[2], images.shape[3]), generator), mean, std)


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 (n, c, h, w) -> float32 as torchvision's ToTensor and Normalize give it."""
    mean_, std_ = (torch.tensor(values, device=images.device).view(1, -1, 1, 1) for values in (mean, std))
    return images.float().div_(255).sub_(mean_).div_(std_)


def apply(images: Tensor, choices: Choices, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Carry ``choices`` out on uint8 images (n, c, h, w) and normalise them; returns float32 on the same device."""
    device = images.device
    if choices.crops is not None:
        images = resize_crops(images, choices.crops.to(device))
    if choices.flips is not None:
        images = torch.where(choices.flips.to(device).view(-1, 1, 1, 1), images.flip(3), images)
    for operations, signs in choices.operations:
        images = rand_augment(images, operations, signs, choices.magnitude_bin)
    if choices.jitter_order is not None and choices.jitter_factors is not None:
        images = jitter_colors(images, choices.jitter_order, choices.jitter_factors)
    result = normalise(images, mean, std)
    return result if choices.erased is None else erase(result, choices.erased.to(device))


def draw(recipe: Recipe, count: int, image_size: tuple[int, int], generator: torch.Generator) -> Choices:
    """Decide for ``count`` images of (height, width), with torchvision's distributions, from a generator on the CPU."""
    jitter = recipe.color_jitter
    return Choices(
        crops=_draw_crops(recipe.crop_scale, count, image_size, generator) if recipe.crop_scale < 1 else None,
        flips=_uniform(generator, count) < recipe.flip_probability if recipe.flip_probability else None,
        operations=tuple(_draw_operations(count, generator) for _ in range(recipe.randaugment_ops)),
        magnitude_bin=recipe.randaugment_magnitude,
        jitter_order=_uniform(generator, count, 3).argsort(1) if jitter else None,
        jitter_factors=1 - jitter + 2 * jitter * _uniform(generator, count, 3) if jitter else None,
        erased=_draw_erased(recipe.erasing_probability, count, image_size, generator)
        if recipe.erasing_probability
        else None,
    )


def resize_crops(images: Tensor, crops: Tensor) -> Tensor:
    """Cut the square ``crops`` (n, 3: top, left, side) out of uint8 images and stretch each to the full size, bilinear.

    As PIL does it (Resample.c): first along rows, then along columns, each time rounded to whole numbers.
    """
    top, left, side = crops.unbind(1)
    return _stretch(_stretch(images, 3, left, side), 2, top, side)


def _stretch(images: Tensor, axis: int, start: Tensor, length: Tensor) -> Tensor:
    """Linear interpolation along ``axis`` of the part that begins at ``start`` (n,) and is ``length`` (n,) long."""
    size = images.shape[axis]
    place = (torch.arange(size, device=images.device).double() + 0.5) * (length[:, None] / size) - 0.5
    place = place.clamp(min=0)  # (n, size), counted from the start of the part
    before = place.long()
    after = torch.minimum(before + 1, length[:, None] - 1)
    shape = (-1, 1, size, 1) if axis == 2 else (-1, 1, 1, size)
    result = torch.full_like(images, 1 << (_WEIGHT_BITS - 1), dtype=torch.int32)  # a half, to round
    for index, weight in ((before, 1 - (place - before)), (after, place - before)):
        taken = images.gather(axis, (start[:, None] + index).view(shape).expand_as(images))
        result += taken * (weight * (1 << _WEIGHT_BITS) + 0.5).int().view(shape)
    return (result >> _WEIGHT_BITS).to(torch.uint8)


def jitter_colors(images: Tensor, order: Tensor, factors: Tensor) -> Tensor:
    """Change brightness, contrast and colour of uint8 images in the ``order`` (n, 3) and by the ``factors`` (n, 3)."""
    for turn in order.unbind(1):
        result = images.clone()
        for number, adjust in enumerate(_JITTERS):
            members = (turn == number).nonzero().squeeze(1)
            theirs = factors[members, number].to(images.device)
            members = members.to(images.device)
            result[members] = adjust(images[members], theirs)
        images = result
    return images


def erase(images: Tensor, rectangles: Tensor) -> Tensor:
    """Set the ``rectangles`` (n, 4: top, bottom, left, right) of normalised images to 0, torchvision's default."""
    rows = torch.arange(images.shape[2], device=images.device)
    columns = torch.arange(images.shape[3], device=images.device)
    top, bottom, left, right = (edge[:, None] for edge in rectangles.unbind(1))
    inside_rows = (rows >= top) & (rows < bottom)  # (n, height)
    inside_columns = (columns >= left) & (columns < right)  # (n, width)
    return images.masked_fill((inside_rows[:, :, None] & inside_columns[:, None, :])[:, None], 0)


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def _draw_start(room: Tensor, generator: torch.Generator) -> Tensor:
    """A whole number from 0 to ``room`` (n,), both included, for each."""
    return (_uniform(generator, len(room)) * (room + 1)).long()


def _draw_crops(least: float, count: int, image_size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """torchvision's RandomResizedCrop.get_params for ratio 1: the area is uniform, the place too. (count, 3)."""
    height, width = image_size
    share = least + (1 - least) * _uniform(generator, count)
    side = (height * width * share).sqrt().round().long().clamp(1, min(height, width))
    return torch.stack([_draw_start(height - side, generator), _draw_start(width - side, generator), side], 1)


def _draw_operations(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    operations = torch.randint(len(OPERATIONS), (count,), generator=generator)
    signs = 1 - 2 * torch.randint(2, (count,), generator=generator)
    return operations, signs


def _draw_erased(probability: float, count: int, image_size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """torchvision's RandomErasing.get_params: the first of ten random rectangles that is smaller than the image."""
    height, width = image_size
    shape = (count, ERASING_ATTEMPTS)
    area = height * width * (ERASED_SHARE[0] + (ERASED_SHARE[1] - ERASED_SHARE[0]) * _uniform(generator, *shape))
    low, high = (math.log(ratio) for ratio in ERASED_RATIO)
    ratio = (low + (high - low) * _uniform(generator, *shape)).exp()
    tall, wide = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (tall < height) & (wide < width)
    first = fits.int().argmax(1, keepdim=True)
    tall, wide = tall.gather(1, first)[:, 0], wide.gather(1, first)[:, 0]
    top, left = _draw_start(height - tall, generator), _draw_start(width - wide, generator)
    happens = (_uniform(generator, count) < probability) & fits.any(1)
    return torch.stack([top, top + tall, left, left + wide], 1) * happens[:, None]
