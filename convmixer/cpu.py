"""A ConvMixer's forward and backward pass by the kernels of ``native.cpp``: the fastest way on a CPU.

The depthwise convolution, activation, batch normalisation and shortcut of half a block are one pass over a channel that
stays in the cache; what it saves for the way back is the convolution's result and two numbers a channel. The weights are
the model's own, and the arithmetic is that of the plain path up to rounding: in fp32, or with activations and their
gradients kept in bf16.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from convmixer import ConvMixerError
from convmixer.model import ConvMixer
from convmixer.native import Kernels, Norm


def forward_native(model: ConvMixer, kernels: Kernels, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """``model(images)``: logits (batch, num_classes) of square float32 images; running statistics are updated.

    ``dtype`` is that of the activations between two kernels: float32, or bfloat16 where ``kernels`` compute it.
    """
    if images.shape[2] != images.shape[3]:
        raise ConvMixerError(f"forward_native: images of shape {tuple(images.shape)}; expected square ones")
    count, grid = len(images), images.shape[2] // model.patch_size
    patchify, _, normalise = model.stem
    x = _MixChannels.apply(
        cut_patches(images.to(dtype), model.patch_size, kernels.lanes),
        *_weights(patchify, normalise),
        model,
        kernels,
        normalise,
    )
    for residual, pointwise, _, normalise in model.blocks:
        depthwise, _, normalise_places = residual.fn
        x = _MixPlaces.apply(x, *_weights(depthwise, normalise_places), model, kernels, normalise_places, grid)
        x = _MixChannels.apply(x, *_weights(pointwise, normalise), model, kernels, normalise)
    return model.head(average_places(x, count, grid**2, kernels.lanes))


def cut_patches(images: Tensor, patch_size: int, lanes: int) -> Tensor:
    """The patches of (batch, c, size, size) as columns of the blocked layout: (c * p * p, batch * positions).

    The order within a patch is that of a convolution's weight. Pixels beyond the last whole patch are left out, as a
    convolution with this stride does.
    """
    grid, channels = images.shape[2] // patch_size, images.shape[1]
    whole = len(images) // lanes * lanes
    parts = []
    for part in (images[:whole], images[whole:]):
        inner = min(lanes, len(part)) or 1
        cut = part[:, :, : grid * patch_size, : grid * patch_size]
        cut = cut.reshape(len(part) // inner, inner, channels, grid, patch_size, grid, patch_size)
        parts.append(cut.permute(2, 4, 6, 0, 3, 5, 1).reshape(channels * patch_size**2, -1))
    return torch.cat(parts, dim=1)


def average_places(x: Tensor, count: int, places: int, lanes: int) -> Tensor:
    """The mean over all places of (channels, count * places) in the blocked layout: (count, channels), float32."""
    whole = count // lanes * lanes
    blocks, rest = x.split([whole * places, (count - whole) * places], dim=1)
    means = [blocks.view(len(x), -1, places, lanes).mean(2, dtype=torch.float32).flatten(1)] if whole else []
    if count > whole:
        means.append(rest.reshape(len(x), places, count - whole).mean(1, dtype=torch.float32))
    return torch.cat(means, dim=1).T


def _weights(convolution: nn.Conv2d, normalise: nn.BatchNorm2d) -> tuple[Tensor, ...]:
    return convolution.weight, convolution.bias, normalise.weight, normalise.bias


def _norm_of(model: ConvMixer, layer: nn.BatchNorm2d, bias: Tensor, weight: Tensor, shift: Tensor) -> Norm:
    if layer.training:
        layer.num_batches_tracked.add_(1)
    return Norm(
        bias=bias.detach(),
        weight=weight.detach(),
        shift=shift.detach(),
        running_mean=layer.running_mean,
        running_variance=layer.running_var,
        mean=torch.empty_like(bias),
        inverse_deviation=torch.empty_like(bias),
        momentum=layer.momentum,
        epsilon=layer.eps,
        training=layer.training,
        activation=model.activation,
    )


class _MixChannels(Function):
    """A product with a matrix over the channels, then activation and batch normalisation."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        norm_weight: Tensor,
        norm_shift: Tensor,
        model: ConvMixer,
        kernels: Kernels,
        layer: nn.BatchNorm2d,
    ) -> Tensor:
        norm = _norm_of(model, layer, bias, norm_weight, norm_shift)
        y = kernels.multiply(weight.detach().flatten(1), x)
        ctx.save_for_backward(x, y, weight)
        ctx.norm, ctx.kernels = norm, kernels
        return kernels.normalise(norm, y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor) -> tuple[Tensor | None, ...]:
        x, y, weight = ctx.saved_tensors
        dy, gradients = ctx.kernels.normalise_backward(ctx.norm, y, dz.contiguous())
        dx = ctx.kernels.multiply(weight.flatten(1), dy, transposed=True) if ctx.needs_input_grad[0] else None
        weight_gradient = ctx.kernels.multiply_transposed(dy, x).view_as(weight)
        return dx, weight_gradient, gradients.bias, gradients.weight, gradients.shift, None, None, None


class _MixPlaces(Function):
    """Depthwise convolution, activation and batch normalisation, and the shortcut around them."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        norm_weight: Tensor,
        norm_shift: Tensor,
        model: ConvMixer,
        kernels: Kernels,
        layer: nn.BatchNorm2d,
        grid: int,
    ) -> Tensor:
        norm = _norm_of(model, layer, bias, norm_weight, norm_shift)
        y, z = kernels.mix_places(norm, weight.detach(), x, grid)
        ctx.save_for_backward(x, y, weight)
        ctx.norm, ctx.kernels, ctx.grid = norm, kernels, grid
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor) -> tuple[Tensor | None, ...]:
        x, y, weight = ctx.saved_tensors
        dx, weight_gradient, gradients = ctx.kernels.mix_places_backward(
            ctx.norm, weight.detach(), x, y, dz.contiguous(), ctx.grid
        )
        return dx, weight_gradient, gradients.bias, gradients.weight, gradients.shift, None, None, None, None
