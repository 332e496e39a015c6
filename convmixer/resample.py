"""PIL's smooth resampling in whole batches: a crop stretched to full size, and an image seen through a matrix.

Every image has its own crop or matrix. All of it is computed as PIL computes it: resizing in fixed-point integers
(Resample.c), transforming in float64 in the same order of operations (Geometry.c), hence with the same bits.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from convmixer.transfer import constant, send

_WEIGHT_BITS = 22  # of the fixed-point weights in PIL's Resample.c: 32 less 8 for the pixel and 2 to spare

# A filter by its taps: for each image, tap and output place the input place, and its fixed-point weight; (n, taps, size).
_Taps = tuple[Tensor, Tensor]


def resize_crops(images: Tensor, crops: Tensor, *, cubic: bool = False) -> Tensor:
    """Cut ``crops`` (n, 4: top, left, height, width) out of uint8 images and stretch each to the full size.

    Bilinear or bicubic. As PIL does it: first along rows, then along columns, each time rounded to whole numbers.
    """
    top, left, height, width = send(crops, images.device).unbind(1)
    columns = images.permute(0, 3, 1, 2).int()  # lines lie together in memory, so that a tap copies whole ones
    rows = _stretch(columns, left, width, cubic).permute(0, 3, 2, 1)
    return _stretch(rows, top, height, cubic).permute(0, 2, 1, 3).to(torch.uint8).contiguous()


def _stretch(lines: Tensor, start: Tensor, length: Tensor, cubic: bool) -> Tensor:
    """The ``length`` (n,) of the ``lines`` (n, size, a, b), int32, from ``start`` (n,) on stretched to all ``size``."""
    count, size = lines.shape[:2]
    flat = lines.reshape(count * size, -1)
    first = start + size * torch.arange(count, device=lines.device)
    places, weights = (of_all.index_select(0, length - 1) for of_all in _tabulate_taps(size, cubic, lines.device))
    result = flat.new_full((count, size, flat.shape[1]), 1 << (_WEIGHT_BITS - 1))  # a half, to round
    for index, weight in zip((first[:, None, None] + places).unbind(1), weights.unbind(1), strict=True):
        taken = flat.index_select(0, index.flatten()).view_as(result)
        result.addcmul_(taken, weight[:, :, None])
    return (result >> _WEIGHT_BITS).clamp_(0, 255).view(lines.shape)


@lru_cache(maxsize=16)
def _tabulate_taps(size: int, cubic: bool, device: torch.device) -> _Taps:
    """The taps that stretch a part of length 1, 2, ... ``size`` to ``size``; made once, not to be written to."""
    with torch.inference_mode(False):  # kept for later, hence usable in training too
        places, weights = (_cubic_taps if cubic else _linear_taps)(size, torch.arange(1, size + 1, device=device))
        return torch.stack(places, 1), torch.stack(weights, 1)


def _linear_taps(size: int, length: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The two neighbours of each of ``size`` places in a part ``length`` (n,) long, whose ends are repeated."""
    place = (torch.arange(size, device=length.device).double() + 0.5) * (length[:, None].double() / size) - 0.5
    place = place.clamp(min=0)  # (n, size), counted from the start of the part
    before = place.long()
    after = torch.minimum(before + 1, length[:, None] - 1)
    weights = (1 - (place - before), place - before)
    return [before, after], [(weight * (1 << _WEIGHT_BITS) + 0.5).int() for weight in weights]


def _cubic_taps(size: int, length: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The up to five places within 2 of each of ``size`` places; weights share what lies outside (n, ``length``)."""
    centre = (torch.arange(size, device=length.device).double() + 0.5) * (length[:, None].double() / size)
    first = (centre - 1.5).clamp(min=0).long()
    end = torch.minimum((centre + 2.5).long(), length[:, None])
    places = [first + number for number in range(5)]
    weights = [_cubic_weight(place - centre + 0.5) * (place < end) for place in places]
    total = sum(weights)
    fixed = ((weight / total * (1 << _WEIGHT_BITS)) for weight in weights)
    inside = length[:, None] - 1
    return [torch.minimum(place, inside) for place in places], [(f + 0.5 * f.sign()).int() for f in fixed]


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
    combine, first, last = (_combine_four, -1, 2) if cubic else (_combine_two, 0, 1)
    offsets = torch.arange(first, last + 1, device=images.device).view(-1, 1, 1)
    rows = (top[:, None] + offsets).clamp_(0, height - 1).long() * width  # (n, neighbours, height, width)
    columns = (left[:, None] + offsets).clamp_(0, width - 1).long()
    index = rows[:, :, None] + columns[:, None]  # (n, neighbours by row, by column, height, width)
    flat = images.flatten(2).double()
    taken = flat.gather(2, index.view(count, 1, -1).expand(-1, channels, -1)).view(-1, channels, *index.shape[1:])
    in_rows = combine(taken.unbind(3), (x - left)[:, None, None])
    values = combine(in_rows.unbind(2), (y - top)[:, None])  # (n, c, height, width)
    return torch.where(inside[:, None], values.clamp_(0, 255), constant(fill, images.device)).to(torch.uint8)


def _combine_two(v: Sequence[Tensor], at: Tensor) -> Tensor:
    """Linear between ``v[0]`` and ``v[1]``."""
    return v[0] + (v[1] - v[0]) * at


def _combine_four(v: Sequence[Tensor], at: Tensor) -> Tensor:
    """Cubic between ``v[1]`` and ``v[2]``, a = -1: another cubic than that of resizing, in PIL too."""
    linear = v[2] - v[0]
    square = 2 * (v[0] - v[1]) + v[2] - v[3]
    cube = v[1] - v[0] - v[2] + v[3]
    return v[1] + at * (linear + at * (square + at * cube))
