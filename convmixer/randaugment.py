"""RandAugment's operations on a batch of which every image has its own sign or factor.

Names, order and strengths are those of torchvision.transforms.RandAugment (autoaugment.py), nearest neighbour, black
outside. Each operation gives, bit for bit, what torchvision gives for a PIL image, which is what the authors' script
augments; all that PIL computes in integers is computed in integers here, so devices agree.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial

import torch
from torch import Tensor

from convmixer import ConvMixerError
from convmixer.colour_operations import apply_colour, group_colours
from convmixer.groups import change_groups, group_members
from convmixer.transfer import send

BINS = 31

# The strength at the last bin. Strengths rise linearly from 0 at bin 0; translations are a part of the image's side.
_STRONGEST: dict[str, float] = {
    "ShearX": 0.3,
    "ShearY": 0.3,
    "TranslateX": 150 / 331,
    "TranslateY": 150 / 331,
    "Rotate": 30.0,
    "Brightness": 0.9,
    "Color": 0.9,
    "Contrast": 0.9,
    "Sharpness": 0.9,
}
OPERATIONS = ("Identity", *_STRONGEST, "Posterize", "Solarize", "AutoContrast", "Equalize")
SIGNED = frozenset(_STRONGEST)
_ENHANCEMENTS = frozenset(("Brightness", "Color", "Contrast", "Sharpness"))


def strength(operation: str, bin_: int, image_size: tuple[int, int]) -> float:
    """The unsigned strength of ``operation`` at magnitude ``bin_`` (0..30) for images of (height, width).

    Tangent for shears, whole pixels for translations, degrees for Rotate, the factor less 1 for the four enhancements,
    bits kept for Posterize, threshold for Solarize, 0 where there is nothing to set.
    """
    if operation not in OPERATIONS:
        raise ConvMixerError(f"RandAugment: unknown operation {operation!r}; known are {', '.join(OPERATIONS)}")
    if operation == "Posterize":
        return 8 - round(4 * bin_ / (BINS - 1))
    if operation == "Solarize":
        return _at_bin(255, 0, bin_)
    if operation.startswith("Translate"):
        side = image_size[1] if operation == "TranslateX" else image_size[0]
        return int(_at_bin(0, _STRONGEST[operation] * side, bin_))  # torchvision drops the fraction of a pixel
    return _at_bin(0, _STRONGEST.get(operation, 0), bin_)


def _at_bin(first: float, last: float, bin_: int) -> float:
    """torchvision reads its strengths off a float32 ``linspace``; where values are cut, the last digit counts."""
    return torch.linspace(first, last, BINS)[bin_].item()


def rand_augment(images: Tensor, operations: Tensor, signs: Tensor, bin_: int) -> Tensor:
    """Apply one operation to each image of a uint8 batch (n, c, h, w); ``c`` is 1 or 3.

    ``operations`` (n,) holds places in ``OPERATIONS`` and ``signs`` (n,) holds +1 or -1, ignored where an operation has
    no sign. Both lie on the CPU, so that grouping the images by operation does not wait for a GPU.
    """
    size = (images.shape[2], images.shape[3])
    plus, minus = _tabulate_amounts(bin_, size)
    amounts = torch.where(signs > 0, plus[operations], minus[operations])
    members = dict(zip(OPERATIONS, group_members(operations, len(OPERATIONS)), strict=True))
    moved = torch.cat([members[name] for name in _INVERSE_MATRICES])
    matrices = torch.cat([find(amounts[members[name]], *size) for name, find in _INVERSE_MATRICES.items()])
    return change_groups(images, [(moved, partial(_transform, matrices=matrices)), *group_colours(members, amounts)])


def apply_operation(operation: str, images: Tensor, amounts: Tensor) -> Tensor:
    """``operation`` on uint8 images (n, c, h, w) with the signed strength ``amounts`` (n,) float64, one an image."""
    if operation in _INVERSE_MATRICES:
        return _transform(images, _INVERSE_MATRICES[operation](amounts, *images.shape[2:]))
    if operation == "Identity":
        return images
    return apply_colour(operation, images, 1 + amounts if operation in _ENHANCEMENTS else amounts)


@lru_cache(maxsize=16)
def _tabulate_amounts(bin_: int, image_size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """What each operation is given with sign +1 and with -1, enhancements their factor; (14,) float64, to be read only."""
    strengths = {name: strength(name, bin_, image_size) for name in OPERATIONS}
    signed = ([(sign if name in SIGNED else 1) * value for name, value in strengths.items()] for sign in (1, -1))
    factor_of_none = torch.tensor([float(name in _ENHANCEMENTS) for name in OPERATIONS], dtype=torch.float64)
    with torch.inference_mode(False):  # kept for later, hence usable in training too
        plus, minus = (factor_of_none + torch.tensor(amounts, dtype=torch.float64) for amounts in signed)
    return plus, minus


# From the place in the output to that in the input, both counted from the upper left corner.
_INVERSE_MATRICES: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "ShearX": lambda a, h, w: _matrices(a, 1, a, 0, 0, 1, 0),
    "ShearY": lambda a, h, w: _matrices(a, 1, 0, 0, a, 1, 0),
    "TranslateX": lambda a, h, w: _matrices(a, 1, 0, -a, 0, 1, 0),
    "TranslateY": lambda a, h, w: _matrices(a, 1, 0, 0, 0, 1, -a),
    "Rotate": lambda a, h, w: _rotations(a * (math.pi / 180), h / 2, w / 2),
}


def _rotations(angles: Tensor, y: float, x: float) -> Tensor:
    """Counter-clockwise about (y, x)."""
    cosine, sine = angles.cos(), angles.sin()
    return _matrices(angles, cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y)


def _matrices(like: Tensor, *entries: Tensor | float) -> Tensor:
    """Six entries by row, each a number or a tensor (n,) as ``like`` is, as matrices (n, 2, 3) float64."""
    columns = [entry if isinstance(entry, Tensor) else torch.full_like(like, entry) for entry in entries]
    return torch.stack(columns, 1).view(-1, 2, 3)


def _transform(images: Tensor, matrices: Tensor) -> Tensor:
    """Each image seen through its matrix (n, 2, 3; on the CPU), nearest neighbour, 0 outside.

    PIL walks through the input in steps of 1/65536 of a pixel (affine_fixed in its Geometry.c), hence the integers.
    """
    count, channels, height, width = images.shape
    fixed = send((matrices * 65536 + 0.5).floor().long(), images.device)
    first = matrices @ torch.tensor([0.5, 0.5, 1], dtype=matrices.dtype)  # the first pixel's middle
    start = send((first * 65536 + 0.5).floor().long(), images.device)
    ys, xs = (torch.arange(size, device=images.device) for size in (height, width))
    x, y = (
        (start[:, i, None, None] + fixed[:, i, 0, None, None] * xs + fixed[:, i, 1, None, None] * ys[:, None]) >> 16
        for i in (0, 1)
    )  # (n, height, width) each
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    source = torch.where(inside, y * width + x, 0).view(count, 1, -1).expand(-1, channels, -1)
    return images.flatten(2).gather(2, source).view_as(images) * inside[:, None]
