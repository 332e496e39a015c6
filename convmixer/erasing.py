"""Random erasing: one rectangle in some of the images, filled with zeros (torchvision) or with noise (timm)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from convmixer.transfer import send

ATTEMPTS = 10  # to find a rectangle that fits, in both libraries

# By filling: share of the area and aspect ratio, the defaults of torchvision.transforms.RandomErasing and of
# timm.data.random_erasing.RandomErasing, whose mode "pixel" fills with noise.
_SHARES = {"zero": (0.02, 0.33), "noise": (0.02, 1 / 3)}
_RATIOS = {"zero": (0.3, 3.3), "noise": (0.3, 1 / 0.3)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Noise:
    """What fills the rectangles: for each value of the batch that is erased its place in memory, and the new value."""

    places: Tensor  # (m,) int64, in (n, c, h, w) laid out in this order
    values: Tensor  # (m,) float32, standard normal


def erase(images: Tensor, rectangles: Tensor) -> Tensor:
    """Set the ``rectangles`` (n, 4: top, bottom, left, right) of normalised images to 0, torchvision's default."""
    return images.masked_fill(_find_inside(send(rectangles, images.device), images.shape[2], images.shape[3]), 0)


def fill_with_noise(images: Tensor, noise: Noise) -> Tensor:
    """Normalised images (n, c, h, w) with ``noise`` in its places."""
    places, values = (send(part, images.device) for part in (noise.places, noise.values))
    return images.flatten().index_copy(0, places, values).view_as(images)


def draw_rectangles(
    probability: float, fill: str, count: int, image_size: tuple[int, int], generator: torch.Generator
) -> Tensor:
    """The first of ten random rectangles that is smaller than the image, (count, 4) int64; all 0 for none."""
    height, width = image_size
    shape = (count, ATTEMPTS)
    least, most = _SHARES[fill]
    area = height * width * (least + (most - least) * _uniform(generator, *shape))
    low, high = (math.log(ratio) for ratio in _RATIOS[fill])
    ratio = (low + (high - low) * _uniform(generator, *shape)).exp()
    tall, wide = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (tall < height) & (wide < width)
    first = fits.int().argmax(1, keepdim=True)
    tall, wide = tall.gather(1, first)[:, 0], wide.gather(1, first)[:, 0]
    top, left = ((_uniform(generator, count) * (room + 1)).long() for room in (height - tall, width - wide))
    happens = (_uniform(generator, count) < probability) & fits.any(1)
    return torch.stack([top, top + tall, left, left + wide], 1) * happens[:, None]


def draw_noise(rectangles: Tensor, channels: int, image_size: tuple[int, int], generator: torch.Generator) -> Noise:
    """Standard normal noise for each value inside ``rectangles`` (n, 4), drawn on the CPU: devices then agree."""
    inside = _find_inside(rectangles, *image_size).expand(-1, channels, -1, -1)
    places = inside.reshape(-1).nonzero().squeeze(1)
    return Noise(places=places, values=torch.randn(len(places), generator=generator))


def _find_inside(rectangles: Tensor, height: int, width: int) -> Tensor:
    """(n, 1, height, width) bool: what the rectangles cover."""
    rows = torch.arange(height, device=rectangles.device)
    columns = torch.arange(width, device=rectangles.device)
    top, bottom, left, right = (edge[:, None] for edge in rectangles.unbind(1))
    inside_rows = (rows >= top) & (rows < bottom)  # (n, height)
    inside_columns = (columns >= left) & (columns < right)  # (n, width)
    return (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64)
