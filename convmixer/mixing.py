"""Mixup and CutMix: each image of a batch is mixed with another one, and its label with that one's.

As the authors' script mixes, which is timm's train.py: once for a whole batch (mode "batch"), always, by mixup or by
CutMix with equal chances if the recipe has both, each image with its counterpart from the other end of the batch. The
batch is in random order, so pairs are random. timm's script mixes in the loader (FastCollateMixup), that is bytes,
rounded, before they are normalised and erased; so does this.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convmixer.settings import Recipe

SWITCH_PROBABILITY = 0.5  # of CutMix, where a recipe has both; timm's --mixup-switch-prob


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """How one batch is mixed: the share that each image keeps, and the box that CutMix takes from the other one."""

    kept: float  # the paper's lambda; for CutMix what the box leaves of the area
    box: tuple[int, int, int, int] | None  # top, bottom, left, right, the latter of each pair outside; None for mixup


def draw_mixture(recipe: Recipe, image_size: tuple[int, int], generator: torch.Generator) -> Mixture | None:
    """Decide how a batch of images of (height, width) is mixed; ``None`` if ``recipe`` mixes nothing."""
    if not (recipe.mixup_alpha or recipe.cutmix_alpha):
        return None
    # torch draws no beta distribution from a generator of one's own; numpy does, from a seed drawn here.
    numbers = np.random.default_rng(int(torch.randint(1 << 62, (), generator=generator)))
    switched = numbers.random() < SWITCH_PROBABILITY
    cuts = bool(recipe.cutmix_alpha) and (switched or not recipe.mixup_alpha)
    alpha = recipe.cutmix_alpha if cuts else recipe.mixup_alpha
    kept = float(numbers.beta(alpha, alpha))
    return _place_box(kept, image_size, numbers) if cuts else Mixture(kept=kept, box=None)


def _place_box(kept: float, image_size: tuple[int, int], numbers: np.random.Generator) -> Mixture:
    """A box of about 1 - ``kept`` of the area with its middle anywhere, cut off at the edges (timm's rand_bbox)."""
    edges = []
    for size in image_size:
        side, middle = int(size * np.sqrt(1 - kept)), int(numbers.integers(size))
        edges += [max(middle - side // 2, 0), min(middle + (side + 1) // 2, size)]
    top, bottom, left, right = edges
    area = (bottom - top) * (right - left)
    return Mixture(kept=1 - area / (image_size[0] * image_size[1]), box=(top, bottom, left, right))


def mix_images(images: Tensor, mixture: Mixture) -> Tensor:
    """uint8 images (n, c, h, w), each mixed with its counterpart from the other end of the batch."""
    others = images.flip(0)
    if mixture.box is None:
        mixed = images.float() * mixture.kept + others.float() * (1 - mixture.kept)
        return mixed.round_().to(torch.uint8)
    top, bottom, left, right = mixture.box
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return mixed


def mix_labels(labels: Tensor, mixture: Mixture, num_classes: int, label_smoothing: float) -> Tensor:
    """int64 labels (n,) as shares of the classes (n, num_classes) float32, smoothed, then mixed as the images are."""
    shares = F.one_hot(labels, num_classes).float() * (1 - label_smoothing) + label_smoothing / num_classes
    return shares * mixture.kept + shares.flip(0) * (1 - mixture.kept)
