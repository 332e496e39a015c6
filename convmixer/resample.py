"""PIL's smooth resampling in whole batches: a crop stretched to full size, and an image seen through a matrix.

Every image has its own crop or matrix. All of it is computed as PIL computes it: resizing in fixed-point integers
(Resample.c), transforming in float64 in the same order of operations (Geometry.c), hence with the same bits.
"""

import torch
from torch import Tensor

from convmixer.transfer import constant, send

_WEIGHT_BITS = 22  # of the fixed-point weights in PIL's Resample.c: 32 less 8 for the pixel and 2 to spare

# A tap of a filter: for each image and output place the input place (n, size) and its fixed-point weight (n, size).
_Tap = tuple[Tensor, Tensor]


def resize_crops(images: Tensor, crops: Tensor, *, cubic: bool = False) -> Tensor:
    """Cut ``crops`` (n, 4: top, left, height, width) out of uint8 images and stretch each to the full size.

    Bilinear or bicubic. As PIL does it: first along rows, then along columns, each time rounded to whole numbers.
    """
    top, left, height, width = send(crops, images.device).unbind(1)
    find_taps = _cubic_taps if cubic else _linear_taps
    rows_done = _stretch(images, 3, left, find_taps(images.shape[3], width))
    return _stretch(rows_done, 2, top, find_taps(images.shape[2], height))


def _stretch(images: Tensor, axis: int, start: Tensor, taps: list[_Tap]) -> Tensor:
    """Weighted sums along ``axis``; the places that ``taps`` name are counted from ``start`` (n,)."""
    size = images.shape[axis]
    shape = (-1, 1, size, 1) if axis == 2 else (-1, 1, 1, size)
    result = torch.full_like(images, 1 << (_WEIGHT_BITS - 1), dtype=torch.int32)  # a half, to round
    for index, weight in taps:
        taken = images.gather(axis, (start[:, None] + index).view(shape).expand_as(images))
        result += taken * weight.view(shape)
    return (result >> _WEIGHT_BITS).clamp_(0, 255).to(torch.uint8)


def _linear_taps(size: int, length: Tensor) -> list[_Tap]:
    """The two neighbours of each of ``size`` places in a part ``length`` (n,) long, whose ends are repeated."""
    place = (torch.arange(size, device=length.device).double() + 0.5) * (length[:, None].double() / size) - 0.5
    place = place.clamp(min=0)  # (n, size), counted from the start of the part
    before = place.long()
    after = torch.minimum(before + 1, length[:, None] - 1)
    weights = (1 - (place - before), place - before)
    return [(i, (w * (1 << _WEIGHT_BITS) + 0.5).int()) for i, w in zip((before, after), weights, strict=True)]


def _cubic_taps(size: int, length: Tensor) -> list[_Tap]:
    """The up to five places within 2 of each of ``size`` places; weights share what lies outside (n, ``length``)."""
    centre = (torch.arange(size, device=length.device).double() + 0.5) * (length[:, None].double() / size)
    first = (centre - 1.5).clamp(min=0).long()
    end = torch.minimum((centre + 2.5).long(), length[:, None])
    places = [first + number for number in range(5)]
    weights = [_cubic_weight(place - centre + 0.5) * (place < end) for place in places]
    total = sum(weights)
    fixed = ((weight / total * (1 << _WEIGHT_BITS)) for weight in weights)
    inside = length[:, None] - 1
    return [(torch.minimum(p, inside), (f + 0.5 * f.sign()).int()) for p, f in zip(places, fixed, strict=True)]


def _cubic_weight(distance: Tensor) -> Tensor:
    """PIL's bicubic filter, a = -0.5 (Keys)."""
    x = distance.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def warp(images: Tensor, matrices: Tensor, fill: tuple[float, ...], *, cubic: bool) -> Tensor:
    """uint8 images (n, c, h, w) seen through ``matrices`` (n, 2, 3) float64, bilinear or bicubic.

    A matrix leads from the middle of a pixel of the output to a place in the input; where that lies outside, the pixel
    gets ``fill`` (c values). Neighbours outside are the nearest ones inside. Fractions are cut off, not rounded.
    """
    count, channels, height, width = images.shape
    a, b, c, d, e, f = (entry.view(-1, 1, 1) for entry in send(matrices, images.device).flatten(1).unbind(1))
    xs, ys = (torch.arange(size, device=images.device).double() + 0.5 for size in (width, height))
    x, y = a * xs + b * ys[:, None] + c, d * xs + e * ys[:, None] + f  # (n, height, width)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = x - 0.5, y - 0.5
    left, top = x.floor(), y.floor()
    combine, offsets = (_combine_four, (-1, 0, 1, 2)) if cubic else (_combine_two, (0, 1))
    flat = images.flatten(2)

    def take(row: int, column: int) -> Tensor:
        """The neighbours of all places in one direction, (n, c, height, width) float64."""
        index = (top + row).clamp(0, height - 1) * width + (left + column).clamp(0, width - 1)
        index = torch.where(inside, index, 0).long().view(count, 1, -1).expand(-1, channels, -1)
        return flat.gather(2, index).view_as(images).double()

    along_rows = ([take(row, column) for column in offsets] for row in offsets)
    values = combine([combine(row, (x - left)[:, None]) for row in along_rows], (y - top)[:, None])
    return torch.where(inside[:, None], values.clamp(0, 255), constant(fill, images.device)).to(torch.uint8)


def _combine_two(v: list[Tensor], at: Tensor) -> Tensor:
    """Linear between ``v[0]`` and ``v[1]``."""
    return v[0] + (v[1] - v[0]) * at


def _combine_four(v: list[Tensor], at: Tensor) -> Tensor:
    """Cubic between ``v[1]`` and ``v[2]``, a = -1: another cubic than that of resizing, in PIL too."""
    linear = v[2] - v[0]
    square = 2 * (v[0] - v[1]) + v[2] - v[3]
    cube = v[1] - v[0] - v[2] + v[3]
    return v[1] + at * (linear + at * (square + at * cube))
