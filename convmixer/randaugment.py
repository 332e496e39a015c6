"""RandAugment's operations on a batch of which every image has its own sign or factor.

Names, order and strengths are those of torchvision.transforms.RandAugment (autoaugment.py), nearest neighbour, black
outside. Each operation gives, bit for bit, what torchvision gives for a PIL image, which is what the authors' script
augments; all that PIL computes in integers is computed in integers here, so devices agree.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from convmixer import ConvMixerError
from convmixer.transfer import change_members, members_of, send

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
    result = images.clone()
    for number, operation in enumerate(OPERATIONS):
        members = members_of(operations == number)
        if operation == "Identity":
            continue
        amounts = strength(operation, bin_, (images.shape[2], images.shape[3])) * torch.ones(len(members)).double()
        if operation in SIGNED:
            amounts = amounts * signs[members]
        change_members(result, members, lambda some, o=operation, a=amounts: apply_operation(o, some, a))
    return result


def apply_operation(operation: str, images: Tensor, amounts: Tensor) -> Tensor:
    """``operation`` on uint8 images (n, c, h, w) with the signed strength ``amounts`` (n,) float64, one an image."""
    if operation in _INVERSE_MATRICES:
        return _transform(images, _INVERSE_MATRICES[operation](amounts, *images.shape[2:]))
    amounts = send(amounts, images.device)
    if operation in ENHANCEMENTS:
        return ENHANCEMENTS[operation](images, 1 + amounts)
    if operation == "Posterize":
        return images & (256 - 2 ** (8 - amounts.int())).to(torch.uint8).view(-1, 1, 1, 1)
    if operation == "Solarize":
        return torch.where(images >= amounts.view(-1, 1, 1, 1), 255 - images, images)
    if operation == "AutoContrast":
        return _stretch_contrast(images)
    if operation != "Equalize":
        return images
    from torchvision.transforms.v2.functional import equalize  # costs seconds to import; few recipes need it

    return equalize(images)


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


def blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    """``others + factors * (images - others)``, cut to 0..255 and to whole numbers; ``factors`` is (n,) float64."""
    base = others.float()
    return (base + factors.float().view(-1, 1, 1, 1) * (images.float() - base)).clamp_(0, 255).to(torch.uint8)


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with black."""
    return blend(images, torch.zeros_like(images), factors)


def adjust_color(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with the grey image; a grey image stays as it is. torchvision calls it saturation."""
    return images if images.shape[1] == 1 else blend(images, _to_grey(images), factors)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with the mean of the grey image, rounded."""
    mean = _to_grey(images).double().mean((1, 2, 3), keepdim=True)
    return blend(images, (mean + 0.5).floor(), factors)


def adjust_sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with the image smoothed by PIL's 3x3 filter (5 in the middle, 1 around, over 13); the border stays."""
    kernel = torch.ones(images.shape[1], 1, 3, 3, device=images.device)
    kernel[:, :, 1, 1] = 5
    sums = F.conv2d(images.float(), kernel, groups=images.shape[1])  # whole numbers below 2**24: exact
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = (sums / 13 + 0.5).to(torch.uint8)
    return blend(images, smooth, factors)


ENHANCEMENTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Brightness": adjust_brightness,
    "Color": adjust_color,
    "Contrast": adjust_contrast,
    "Sharpness": adjust_sharpness,
}


def _stretch_contrast(images: Tensor) -> Tensor:
    """AutoContrast: each channel from its least and greatest value to 0 and 255; a flat channel stays as it is."""
    values = images.double()
    low, high = values.amin((2, 3), keepdim=True), values.amax((2, 3), keepdim=True)
    scale = torch.full_like(high, 255) / (high - low)  # number / tensor would round twice
    stretched = (values * scale - low * scale).clamp(0, 255).to(torch.uint8)
    return torch.where(high > low, stretched, images)


def _to_grey(images: Tensor) -> Tensor:
    """(n, 1, h, w) uint8, by PIL's weights in 1/65536."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).to(torch.uint8)[:, None]
