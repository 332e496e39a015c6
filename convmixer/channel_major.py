"""The same ConvMixer computed channel-major, which is up to 3.7 times faster on a CPU with a small grid of patches.

A whole batch is laid out as one tall image (1, width, batch, positions). Then a pointwise convolution is a single
matrix product, batch normalisation reads memory in order, and the depthwise convolution, whose kernel covers most of a
small grid anyway, is for each channel a product with its Toeplitz matrix (positions, positions). No weight is copied
and no approximation made: the modules of the model are called on another layout of the same numbers.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convmixer import ConvMixerError
from convmixer.model import ConvMixer

ForwardPath = Literal["plain", "channel-major"]

# Multiplications of the product over those of the direct convolution, grid**2 / kernel**2, up to which the product is
# taken: it runs at many times the speed. Training ConvMixer-256/8 in fp32 on two cores of an AMD EPYC (Zen 3), images
# a second by product / directly: patch 4 kernel 9 (0.8) 294 / 79, kernel 7 (1.3) 313 / 235, kernel 5 (2.6) 331 / 262;
# patch 2 kernel 9 (3.2) 31 / 47. The machine was shared: best of a few steps, and still a quarter up or down.
LARGEST_RATIO_OF_WORK = 3.0


def choose_path(model: nn.Module, image_size: int, device: torch.device | str) -> ForwardPath:
    """Which forward pass is the faster: "channel-major" for a ConvMixer on a CPU with few patches, else "plain".

    The product costs ``grid**2`` multiplications a position where the direct convolution costs ``kernel_size**2``.
    """
    if not isinstance(model, ConvMixer) or torch.device(device).type != "cpu":
        return "plain"
    grid = image_size // model.patch_size
    return "channel-major" if grid**2 <= LARGEST_RATIO_OF_WORK * model.kernel_size**2 else "plain"


def choose_forward(model: nn.Module, image_size: int, device: torch.device | str) -> Callable[[Tensor], Tensor]:
    """The forward pass that ``choose_path`` names, as a function of normalised images alone."""
    if isinstance(model, ConvMixer) and choose_path(model, image_size, device) == "channel-major":
        return partial(forward_channel_major, model)
    return model


def forward_channel_major(model: ConvMixer, images: Tensor) -> Tensor:
    """``model(images)`` by way of the channel-major layout: logits (batch, num_classes), running statistics updated.

    ``images`` are square, (batch, in_channels, size, size); ``ConvMixerError`` otherwise.
    """
    if images.shape[2] != images.shape[3]:
        raise ConvMixerError(f"forward_channel_major: images of shape {tuple(images.shape)}; expected square ones")
    grid = images.shape[2] // model.patch_size
    patchify, activate, normalise = model.stem
    x = normalise(activate(_embed_patches(patchify, images)))  # (1, width, batch, grid * grid)
    for residual, pointwise, activate, normalise in model.blocks:
        depthwise, activate_spatial, normalise_spatial = residual.fn
        x = x + normalise_spatial(activate_spatial(_convolve_by_product(depthwise, x, grid)))
        x = normalise(activate(pointwise(x)))
    return model.head(x[0].mean(2).T)


def _embed_patches(patchify: nn.Conv2d, images: Tensor) -> Tensor:
    """The stem's strided convolution: (batch, c, size, size) -> (1, width, batch, positions)."""
    patches = F.unfold(images, patchify.kernel_size, stride=patchify.stride)  # (batch, c * p * p, positions)
    weight = patchify.weight.flatten(1)[:, :, None, None]  # (width, c * p * p, 1, 1)
    return F.conv2d(patches.transpose(0, 1)[None], weight, patchify.bias)


def _convolve_by_product(depthwise: nn.Conv2d, x: Tensor, grid: int) -> Tensor:
    """The depthwise convolution of (1, width, batch, positions) as one product with a matrix for each channel."""
    width, kernel_size = depthwise.out_channels, depthwise.kernel_size[0]
    taps = F.pad(depthwise.weight.flatten(1), (0, 1))  # (width, k * k + 1), the last tap is zero
    matrix = taps.index_select(1, _taps_of_pairs(grid, kernel_size)).view(width, grid**2, grid**2)
    return torch.baddbmm(depthwise.bias.view(width, 1, 1), x[0], matrix)[None]


@lru_cache(maxsize=16)
def _taps_of_pairs(grid: int, kernel_size: int) -> Tensor:
    """For each pair (input position, output position) the tap that joins them, ``kernel_size**2`` where none does.

    Returns (grid**4,) int64. "same" padding puts tap 0 at ``(kernel_size - 1) // 2`` before the output position.
    """
    positions = torch.arange(grid)
    tap = positions[:, None] - positions[None, :] + (kernel_size - 1) // 2  # (input, output) along one axis
    reached = (tap >= 0) & (tap < kernel_size)
    rows, columns = tap[:, None, :, None], tap[None, :, None, :]
    both = reached[:, None, :, None] & reached[None, :, None, :]
    return torch.where(both, rows * kernel_size + columns, kernel_size**2).flatten()
