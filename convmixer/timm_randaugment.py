"""timm's RandAugment with increasing strength, as in ``rand-m9-mstd0.5-inc1``, in whole batches.

It differs from torchvision's (``randaugment``) in its 15 operations, in a strength of 0..10 with normal noise, in that
an operation happens only with some probability, in smooth interpolation and in what it fills with. Names, strengths
and results are those of timm/data/auto_augment.py (1.0.31) for a PIL image, bit for bit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from convmixer import ConvMixerError
from convmixer.colour_operations import group_colours
from convmixer.groups import change_groups, group_members
from convmixer.resample import warp

STRONGEST = 10.0  # timm's _LEVEL_DENOM: levels are cut to 0..10, and strengths are linear in level / 10
LEFT_ALONE = -1  # in place of an operation

_GEOMETRIC = ("Rotate", "ShearX", "ShearY", "TranslateXRel", "TranslateYRel")
# In timm's order (_RAND_INCREASING_TRANSFORMS).
OPERATIONS = (
    "AutoContrast",
    "Equalize",
    "Invert",
    "Rotate",
    "PosterizeIncreasing",
    "SolarizeIncreasing",
    "SolarizeAdd",
    "ColorIncreasing",
    "ContrastIncreasing",
    "BrightnessIncreasing",
    "SharpnessIncreasing",
    "ShearX",
    "ShearY",
    "TranslateXRel",
    "TranslateYRel",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """One RandAugment step for each of n images. All tensors lie on the CPU."""

    operations: Tensor  # (n,) int64: places in OPERATIONS, or LEFT_ALONE
    amounts: Tensor  # (n,) float64: as ``amount`` gives them
    cubic: Tensor  # (n,) bool: bicubic instead of bilinear, where the operation interpolates


def draw_step(count: int, probability: float, level: float, deviation: float, generator: torch.Generator) -> Step:
    """Decide for ``count`` images: any operation alike, applied with ``probability``, at normally spread levels."""
    operations = torch.randint(len(OPERATIONS), (count,), generator=generator)
    happens = torch.rand(count, generator=generator, dtype=torch.float64) < probability
    levels = level + deviation * torch.randn(count, generator=generator, dtype=torch.float64)
    signs = 1 - 2 * torch.randint(2, (count,), generator=generator)
    members = group_members(operations, len(OPERATIONS))
    order, sizes = torch.cat(members), [len(some) for some in members]
    by_operation = zip(
        OPERATIONS, levels[order].clamp(0, STRONGEST).split(sizes), signs[order].split(sizes), strict=True
    )
    amounts = torch.cat([amount(*arguments) for arguments in by_operation])[order.argsort()]
    return Step(
        operations=torch.where(happens, operations, LEFT_ALONE),
        amounts=amounts,
        cubic=torch.rand(count, generator=generator, dtype=torch.float64) < 0.5,
    )


def amount(operation: str, levels: Tensor, signs: Tensor) -> Tensor:
    """What ``operation`` is given at ``levels`` (n,) float64 of 0..10 with ``signs`` (n,) of +1 or -1: (n,) float64.

    Degrees, tangents, parts of a side (all signed), the factor of an enhancement (signed around 1), bits kept, a
    threshold, or a number to add; 0 where there is nothing to set.
    """
    if operation not in OPERATIONS:
        raise ConvMixerError(f"RandAugment: unknown operation {operation!r}; known are {', '.join(OPERATIONS)}")
    share = levels / STRONGEST
    if operation in _STRONGEST_SIGNED:
        return share * _STRONGEST_SIGNED[operation] * signs
    if operation in _ENHANCEMENTS:
        return (1.0 + share * 0.9 * signs).clamp(min=0.1)
    if operation == "PosterizeIncreasing":
        return 4 - (share * 4).floor()
    if operation == "SolarizeIncreasing":
        return 256 - (share * 256).floor().clamp(max=256)
    if operation == "SolarizeAdd":
        return (share * 110).floor().clamp(max=128)
    return torch.zeros_like(levels)


_STRONGEST_SIGNED = {"Rotate": 30.0, "ShearX": 0.3, "ShearY": 0.3, "TranslateXRel": 0.45, "TranslateYRel": 0.45}
_ENHANCEMENTS = frozenset(("ColorIncreasing", "ContrastIncreasing", "BrightnessIncreasing", "SharpnessIncreasing"))
_COLOURS = {name: name.removesuffix("Increasing") for name in OPERATIONS if name not in _GEOMETRIC}  # their own names


def rand_augment(images: Tensor, step: Step, fill: tuple[float, ...]) -> Tensor:
    """Apply one ``step`` to uint8 images (n, c, h, w), c 1 or 3; ``fill`` (c values) is what comes in from outside."""
    size = (images.shape[2], images.shape[3])
    # LEFT_ALONE, counted from 1 on, is a kind of its own, to which nothing happens.
    _, *members = group_members(step.operations - LEFT_ALONE, 1 + len(OPERATIONS))
    by_name = dict(zip(OPERATIONS, members, strict=True))
    moved = torch.cat([by_name[name] for name in _GEOMETRIC])  # all five at once: they differ in their matrices alone
    names = [name for name in _GEOMETRIC for _ in by_name[name]]
    matrices = find_matrices(names, step.amounts[moved], size)
    groups = group_colours({_COLOURS[name]: by_name[name] for name in _COLOURS}, step.amounts)
    for is_cubic in (False, True):
        chosen = (step.cubic[moved] == is_cubic).nonzero().squeeze(1)
        groups.append((moved[chosen], partial(warp, matrices=matrices[chosen], fill=fill, cubic=is_cubic)))
    return change_groups(images, groups)


def find_matrices(operations: list[str], amounts: Tensor, image_size: tuple[int, int]) -> Tensor:
    """For each of n operations that move an image, the matrix from output to input: (n, 2, 3) float64 on the CPU.

    Computed one by one with Python's numbers, as PIL does: its sine and cosine are those of the C library.
    """
    entries = [_MATRICES[name](value, *image_size) for name, value in zip(operations, amounts.tolist(), strict=True)]
    return torch.tensor(entries, dtype=torch.float64).view(-1, 2, 3)


def _rotation(degrees: float, height: int, width: int) -> tuple[float, ...]:
    """Image.rotate about the middle: the angle taken modulo 360, entries rounded to 15 decimals, the shift last."""
    angle = -math.radians(degrees % 360.0)
    cosine, sine, negative = (round(value, 15) for value in (math.cos(angle), math.sin(angle), -math.sin(angle)))
    x, y = width / 2, height / 2
    return (cosine, sine, cosine * -x + sine * -y + x, negative, cosine, negative * -x + cosine * -y + y)


_MATRICES: dict[str, Callable[[float, int, int], tuple[float, ...]]] = {
    "Rotate": _rotation,
    "ShearX": lambda tangent, height, width: (1, tangent, 0, 0, 1, 0),
    "ShearY": lambda tangent, height, width: (1, 0, 0, tangent, 1, 0),
    "TranslateXRel": lambda part, height, width: (1, 0, part * width, 0, 1, 0),
    "TranslateYRel": lambda part, height, width: (1, 0, 0, 0, 1, part * height),
}
