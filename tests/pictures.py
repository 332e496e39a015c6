"""Pictures on which batched operations are compared with PIL's, and the way of one operation through PIL."""

import platform
from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional


def make_images(count: int = 40, channels: int = 3, size: int = 32) -> Tensor:
    """Smooth gradients with noise, pure noise, and flat images in turn: what histograms and edges are sensitive to."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(count, channels, size, size, generator=generator)
    corners = torch.rand(count, channels, 2, 2, generator=generator)
    smooth = torch.nn.functional.interpolate(corners, size, mode="bilinear", align_corners=True)
    images = torch.where(torch.arange(count).view(-1, 1, 1, 1) % 4 == 0, noise, 0.9 * smooth + 0.1 * noise)
    images[-3:] = torch.tensor([0, 0.5, 1]).view(3, 1, 1, 1)
    return (images * 255).round().byte()


def by_pil(images: Tensor, change: Callable[[Image.Image, int], Image.Image]) -> Tensor:
    """``change`` of each image and its index."""
    return torch.stack(
        [functional.pil_to_tensor(change(functional.to_pil_image(image), i)) for i, image in enumerate(images)]
    )


def assert_as_pil(ours: Tensor, theirs: Tensor) -> None:
    """Equal bit for bit on x86-64; elsewhere PIL may be compiled with fused multiply-add, which can move a value by 1.

    Interpolation cuts fractions off, so that the last bit of a product can decide between two whole numbers.
    """
    tolerance = 0 if platform.machine() in ("x86_64", "AMD64") else 1
    torch.testing.assert_close(ours.int(), theirs.int(), rtol=0, atol=tolerance)
