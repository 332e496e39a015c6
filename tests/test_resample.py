"""Smooth resampling equals PIL's, bit for bit."""

import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, functional

from convmixer.resample import resize_crops, warp
from tests.pictures import assert_as_pil, by_pil, make_images

RESIZING = {False: InterpolationMode.BILINEAR, True: InterpolationMode.BICUBIC}
TRANSFORMING = {False: Image.Resampling.BILINEAR, True: Image.Resampling.BICUBIC}
FILL = (125.0, 123.0, 114.0)


@pytest.mark.parametrize("cubic", [False, True])
@pytest.mark.parametrize("size", [32, 7])
def test_crops_of_any_shape_equal_pils(size: int, cubic: bool) -> None:
    images = make_images(size=size)
    edges = torch.rand(len(images), 4, generator=torch.Generator().manual_seed(1))
    height, width = ((edges[:, i] * size).long() + 1 for i in (0, 1))
    height[0], width[0] = size, size
    top, left = ((edges[:, 2 + i] * (size + 1 - part)).long() for i, part in ((0, height), (1, width)))
    crops = torch.stack([top, left, height, width], 1)
    theirs = by_pil(
        images, lambda image, i: functional.resized_crop(image, *crops[i].tolist(), [size, size], RESIZING[cubic])
    )
    assert_as_pil(resize_crops(images, crops, cubic=cubic), theirs)


@pytest.mark.parametrize("cubic", [False, True])
def test_any_affine_map_equals_pils(cubic: bool) -> None:
    """Turned, sheared, shrunk, stretched and shifted at once, with parts inside, at the edge and outside."""
    images = make_images()
    noise = torch.randn(len(images), 2, 3, generator=torch.Generator().manual_seed(1)).double()
    matrices = torch.eye(2, 3, dtype=torch.float64) + noise * torch.tensor([0.5, 0.5, 9])
    theirs = by_pil(
        images,
        lambda image, i: image.transform(
            image.size,
            Image.Transform.AFFINE,
            matrices[i].flatten().tolist(),
            resample=TRANSFORMING[cubic],
            fillcolor=(125, 123, 114),
        ),
    )
    assert_as_pil(warp(images, matrices, FILL, cubic=cubic), theirs)


@pytest.mark.parametrize("cubic", [False, True])
def test_the_identity_changes_nothing(cubic: bool) -> None:
    images = make_images(4, channels=1, size=9)
    same = torch.eye(2, 3, dtype=torch.float64).expand(4, 2, 3)
    assert torch.equal(warp(images, same, (7.0,), cubic=cubic), images)
    assert torch.equal(resize_crops(images, torch.tensor([[0, 0, 9, 9]] * 4), cubic=cubic), images)
