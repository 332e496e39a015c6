"""The operations of RandAugment and of colour jitter that move nothing, each image with its own strength.

All but two map each value of a channel by itself. For these a table of 256 values is made for each image, and one
look-up serves all of them, whichever they are. Results are, bit for bit, those of PIL and hence of torchvision and
timm: the tables hold what the same formula, in the same precision, gives for each value.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from convmixer.groups import Group
from convmixer.transfer import send

VALUES = 256


def group_colours(members: Mapping[str, Tensor], amounts: Tensor) -> list[Group]:
    """Groups for ``change_groups``: the operations by name, the numbers of their images, and ``amounts`` (n,) of all.

    ``amounts`` are float64 on the CPU: the factor of Brightness, Color, Contrast and Sharpness, the bits that Posterize
    keeps, the threshold of Solarize, what SolarizeAdd adds. The others ignore them.
    """
    by_table = {name: some for name, some in members.items() if name in _TABLES and len(some)}
    groups: list[Group] = [
        (some, partial(apply_colour, name, amounts=amounts[some])) for name, some in members.items() if name in _FILTERS
    ]
    if by_table:
        some = torch.cat(list(by_table.values()))
        sizes = [len(part) for part in by_table.values()]
        groups.append((some, partial(_look_up_all, names=list(by_table), sizes=sizes, amounts=amounts[some])))
    return groups


def apply_colour(name: str, images: Tensor, amounts: Tensor) -> Tensor:
    """The operation ``name`` on uint8 images (n, c, h, w), c 1 or 3, with ``amounts`` (n,); ``KeyError`` if unknown."""
    amounts = send(amounts, images.device)
    if name in _FILTERS:
        return _FILTERS[name](images, amounts)
    return _look_up(images, _TABLES[name](images, amounts))


def _look_up_all(images: Tensor, names: Sequence[str], sizes: Sequence[int], amounts: Tensor) -> Tensor:
    """Operation ``names[i]`` on the next ``sizes[i]`` images, with ``amounts`` (n,)."""
    parts = zip(names, images.split(sizes), send(amounts, images.device).split(sizes), strict=True)
    shape = (-1, images.shape[1], VALUES)
    return _look_up(images, torch.cat([_TABLES[name](some, theirs).expand(shape) for name, some, theirs in parts]))


def _look_up(images: Tensor, tables: Tensor) -> Tensor:
    """Each value replaced by that of its image's table (n, c or 1, 256)."""
    values = images.flatten(2).long()
    return tables.expand(-1, images.shape[1], -1).gather(2, values).view_as(images)


def _all_values(images: Tensor, dtype: torch.dtype = torch.uint8) -> Tensor:
    return torch.arange(VALUES, dtype=dtype, device=images.device).view(1, 1, -1)


def _blend(values: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    """``others + factors * (values - others)`` as float32, cut to 0..255 and to whole numbers; all broadcast."""
    base = others.float()
    return (values.float() - base).mul_(factors.float()).add_(base).clamp_(0, VALUES - 1).to(torch.uint8)


def _tabulate_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with black."""
    values = _all_values(images)
    return _blend(values.expand(len(images), 1, -1), torch.zeros_like(values), factors.view(-1, 1, 1))


def _tabulate_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with the mean of the grey image, rounded."""
    mean = _to_grey(images).double().mean((2, 3))
    values = _all_values(images).expand(len(images), 1, -1)
    return _blend(values, (mean + 0.5).floor()[:, :, None], factors.view(-1, 1, 1))


def _tabulate_posterize(images: Tensor, bits: Tensor) -> Tensor:
    return _all_values(images) & (VALUES - 2 ** (8 - bits.int())).to(torch.uint8).view(-1, 1, 1)


def _tabulate_solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    values = _all_values(images)
    return torch.where(values >= thresholds.view(-1, 1, 1), 255 - values, values)


def _tabulate_solarize_add(images: Tensor, added: Tensor) -> Tensor:
    values = _all_values(images)
    brighter = (values + added.int().view(-1, 1, 1)).clamp(max=VALUES - 1).to(torch.uint8)
    return torch.where(values < 128, brighter, values)


def _tabulate_inverse(images: Tensor, _: Tensor) -> Tensor:
    return (255 - _all_values(images)).expand(len(images), -1, -1)


def _tabulate_stretched_contrast(images: Tensor, _: Tensor) -> Tensor:
    """AutoContrast: each channel from its least and greatest value to 0 and 255; a flat channel stays as it is."""
    low, high = (edge.double()[:, :, None] for edge in (images.amin((2, 3)), images.amax((2, 3))))
    scale = torch.full_like(high, 255) / (high - low)  # number / tensor would round twice
    stretched = (_all_values(images, torch.float64) * scale - low * scale).clamp(0, VALUES - 1).to(torch.uint8)
    return torch.where(high > low, stretched, _all_values(images))


def _tabulate_equalized(images: Tensor, _: Tensor) -> Tensor:
    """Equalize as PIL's ImageOps does it: each channel by the number of darker pixels, in steps of whole numbers."""
    values = images.flatten(2).long()  # (n, c, pixels)
    counts = torch.zeros((*values.shape[:2], VALUES), dtype=torch.int32, device=images.device)
    counts.scatter_add_(2, values, torch.ones((), dtype=torch.int32, device=images.device).expand_as(values))
    brightest = counts.gather(2, values.amax(2, keepdim=True))
    step = (values.shape[2] - brightest) // (VALUES - 1)  # (n, c, 1); 0 for a channel that stays as it is
    darker = counts.cumsum(2, dtype=torch.int32).sub_(counts)
    equalized = ((darker + step // 2) // step.clamp(min=1)).clamp_(max=VALUES - 1).to(torch.uint8)
    return torch.where(step > 0, equalized, _all_values(images))


def _adjust_color(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with the grey image; a grey image stays as it is. torchvision calls it saturation."""
    return images if images.shape[1] == 1 else _blend(images, _to_grey(images), factors.view(-1, 1, 1, 1))


def _adjust_sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with the image smoothed by PIL's 3x3 filter (5 in the middle, 1 around, over 13); the border stays."""
    values = images.to(torch.int16)
    in_rows = values[..., :-2] + values[..., 1:-1] + values[..., 2:]
    sums = in_rows[:, :, :-2] + in_rows[:, :, 1:-1] + in_rows[:, :, 2:] + 4 * values[:, :, 1:-1, 1:-1]
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = (sums.float() / 13 + 0.5).to(torch.uint8)
    return _blend(images, smooth, factors.view(-1, 1, 1, 1))


def _to_grey(images: Tensor) -> Tensor:
    """(n, 1, h, w) uint8, by PIL's weights in 1/65536."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).to(torch.uint8)[:, None]


_TABLES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Brightness": _tabulate_brightness,
    "Contrast": _tabulate_contrast,
    "Posterize": _tabulate_posterize,
    "Solarize": _tabulate_solarize,
    "SolarizeAdd": _tabulate_solarize_add,
    "Invert": _tabulate_inverse,
    "AutoContrast": _tabulate_stretched_contrast,
    "Equalize": _tabulate_equalized,
}
_FILTERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"Color": _adjust_color, "Sharpness": _adjust_sharpness}
COLOUR_OPERATIONS = frozenset((*_TABLES, *_FILTERS))
