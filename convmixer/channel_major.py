"""The same ConvMixer laid out so that nearly everything is a matrix product: the fastest way on a CPU in pure torch.

A whole batch is (width, batch, positions). Then a pointwise convolution is a single product, batch normalisation reads
memory in order, and the depthwise convolution is, for each channel, a product with a band of its Toeplitz matrix: more
multiplications than the direct way, at many times the speed, because its kernel covers much of a small grid anyway. No
approximation is made: the modules of the model are called on another layout of the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from convmixer import ConvMixerError
from convmixer.model import ConvMixer

# A product has the outputs of so many places of the grid, in whole rows of it: few enough to multiply by few zeros, enough
# for the matrix library to reach its speed.
OUTPUTS_AT_A_TIME = 64


@dataclass(frozen=True)
class _Band:
    """Which positions go in and come out, and which rows and columns of the matrix join them."""

    inputs: slice
    outputs: slice
    rows: slice
    columns: slice


def forward_channel_major(model: ConvMixer, images: Tensor) -> Tensor:
    """``model(images)`` by way of the channel-major layout: logits (batch, num_classes), running statistics updated.

    ``images`` are square, (batch, in_channels, size, size); ``ConvMixerError`` otherwise.
    """
    if images.shape[2] != images.shape[3]:
        raise ConvMixerError(f"forward_channel_major: images of shape {tuple(images.shape)}; expected square ones")
    grid = images.shape[2] // model.patch_size
    patchify, activate, normalise = model.stem
    patches = F.unfold(images, patchify.kernel_size, stride=patchify.stride)  # (batch, c * p * p, positions)
    x = _normalise(normalise, activate(_mix_channels(patchify, patches.transpose(0, 1))))  # (width, batch, positions)
    for residual, pointwise, activate, normalise in model.blocks:
        depthwise, activate_places, normalise_places = residual.fn
        x = x + _normalise(normalise_places, activate_places(_convolve_by_product(depthwise, x, grid)))
        x = _normalise(normalise, activate(_mix_channels(pointwise, x)))
    return model.head(x.mean(2).T)


def _mix_channels(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """(inner, batch, positions) -> (width, batch, positions): one matrix product."""
    product = convolution.weight.flatten(1) @ x.flatten(1)
    return (product + convolution.bias[:, None]).view(-1, *x.shape[1:])


def _normalise(layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
    return layer(x[None])[0]


def _convolve_by_product(depthwise: nn.Conv2d, x: Tensor, grid: int) -> Tensor:
    """The depthwise convolution of (width, batch, positions) as products with matrices of taps."""
    kernel_size = depthwise.kernel_size[0]
    rows = min(grid, -(-OUTPUTS_AT_A_TIME // grid))
    taps = F.pad(depthwise.weight.flatten(1), (0, 1))  # (width, k * k + 1), the last tap is zero
    matrix = taps.index_select(1, _taps_of_pairs(grid, kernel_size, rows)).view(len(taps), -1, rows * grid)
    return _BandedProduct.apply(x, matrix, depthwise.bias, _bands(grid, kernel_size, rows))


class _BandedProduct(Function):
    """For each channel, some rows of the grid at a time: the rows that the kernel reaches, times a matrix.

    All share the matrix (width, inputs, outputs), of which less is used at the borders. Written out because autograd
    would fill a whole gradient with zeros for each slice.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor, bias: Tensor, bands: Sequence[_Band]) -> Tensor:
        ctx.save_for_backward(x, matrix)
        ctx.bands = bands
        parts = [
            torch.baddbmm(bias[:, None, None], x[:, :, band.inputs], matrix[:, band.rows, band.columns])
            for band in bands
        ]
        return torch.cat(parts, dim=2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, matrix = ctx.saved_tensors
        dx, matrix_gradient = torch.zeros_like(x), torch.zeros_like(matrix)
        for band in ctx.bands:
            some, used = dy[:, :, band.outputs], (slice(None), band.rows, band.columns)
            dx[:, :, band.inputs].baddbmm_(some, matrix[used].mT)
            matrix_gradient[used].baddbmm_(x[:, :, band.inputs].mT, some)
        return dx, matrix_gradient, dy.sum((1, 2)), None


@lru_cache(maxsize=16)
def _bands(grid: int, kernel_size: int, rows: int) -> tuple[_Band, ...]:
    """The parts of a product: ``rows`` rows of the grid each, the last perhaps fewer."""
    before, bands = (kernel_size - 1) // 2, []
    for top in range(0, grid, rows):
        bottom, begin = min(top + rows, grid), top - before  # begin: the row of the grid that the matrix begins with
        first, last = max(begin, 0), min(bottom + kernel_size - 1 - before, grid)
        bands.append(
            _Band(
                inputs=slice(first * grid, last * grid),
                outputs=slice(top * grid, bottom * grid),
                rows=slice((first - begin) * grid, (last - begin) * grid),
                columns=slice(0, (bottom - top) * grid),
            )
        )
    return tuple(bands)


@lru_cache(maxsize=16)
def _taps_of_pairs(grid: int, kernel_size: int, rows: int) -> Tensor:
    """For each pair (input, output) the tap that joins them, ``kernel_size**2`` where none does.

    The outputs are ``rows`` rows of the grid, the inputs the ``rows + kernel_size - 1`` that they reach. "same" padding
    puts tap 0 at ``(kernel_size - 1) // 2`` before the output position. Returns int64, (inputs * outputs,).
    """
    row = torch.arange(rows + kernel_size - 1)[:, None] - torch.arange(rows)[None, :]  # (input, output)
    column = torch.arange(grid)[:, None] - torch.arange(grid)[None, :] + (kernel_size - 1) // 2
    reached = [(tap >= 0) & (tap < kernel_size) for tap in (row, column)]
    both = reached[0][:, None, :, None] & reached[1][None, :, None, :]
    return torch.where(both, row[:, None, :, None] * kernel_size + column[None, :, None, :], kernel_size**2).flatten()
