"""A ConvMixer's forward and backward pass through our Triton kernels, on the model's own parameters.

The layout is channel-major, (width, batch, positions), as in ``channel_major``: a pointwise convolution is one product
by the vendor's library, and everything else is two kinds of layer, each with a gradient of its own here.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from convmixer import ConvMixerError
from convmixer.model import ConvMixer
from convmixer.triton_depthwise import convolve, convolve_gradient, weight_gradient
from convmixer.triton_normalise import BatchNorm, gather_statistics, normalise, normalise_gradient


def forward_fused(model: ConvMixer, images: Tensor) -> Tensor:
    """``model(images)`` by our kernels: logits (batch, num_classes), running statistics updated in training.

    ``images`` are square, (batch, in_channels, size, size), and ``gpu.find_obstacle`` finds none. Activations have the
    type that autocast gives on this device, or that of ``images`` outside of it.
    """
    batch, _, size, other = images.shape
    grid = size // model.patch_size
    if size != other:
        raise ConvMixerError(f"forward_fused: images of shape {tuple(images.shape)}; expected square ones")
    if model.training and batch * grid**2 == 1:
        raise ConvMixerError("forward_fused: one image of one patch; batch normalisation needs two values to train on")
    kind = images.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else images.dtype
    if model.training:
        counters = [layer.num_batches_tracked for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
        torch._foreach_add_(counters, 1)
    with torch.autocast(kind, enabled=False):
        features = _compute_features(model, images.to(dtype), grid)
    return model.head(features)


def _compute_features(model: ConvMixer, images: Tensor, grid: int) -> Tensor:
    """What the classifier sees: (batch, width) float32."""
    activation = model.activation
    patchify, _, norm = model.stem
    x = _multiply(patchify, _cut_patches(images, grid)).view(model.width, len(images), grid**2)
    x = _normalise_layer(x, patchify, norm, activation)
    for residual, pointwise, _, norm in model.blocks:
        depthwise, _, spatial_norm = residual.fn
        x = _Spatial.apply(
            x, depthwise.weight, depthwise.bias, *_parameters(spatial_norm), _settings(spatial_norm), activation, grid
        )
        x = _normalise_layer(_multiply(pointwise, x.flatten(1)).view_as(x), pointwise, norm, activation)
    return x.mean(2, dtype=torch.float32).T


def _cut_patches(images: Tensor, grid: int) -> Tensor:
    """(batch, c, size, size) -> (c * p * p, batch * grid * grid), in the order of the stem's weights."""
    batch, channels, size, _ = images.shape
    patch = size // grid
    cut = images.view(batch, channels, grid, patch, grid, patch).permute(1, 3, 5, 0, 2, 4)
    return cut.reshape(channels * patch**2, batch * grid**2)


def _multiply(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution without overlap as a product with (inputs, batch * positions); its bias comes with the norm."""
    return convolution.weight.flatten(1).to(x.dtype) @ x


def _parameters(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return norm.weight, norm.bias, norm.running_mean, norm.running_var


def _settings(norm: nn.BatchNorm2d) -> tuple[bool, float, float]:
    return norm.training, norm.momentum, norm.eps


def _normalise_layer(y: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d, activation: str) -> Tensor:
    return _Normalise.apply(y, convolution.bias, *_parameters(norm), _settings(norm), activation)


class _Normalise(torch.autograd.Function):
    """norm(activation(y + bias)) of y (width, batch, positions)."""

    @staticmethod
    def forward(
        ctx: Any,
        y: Tensor,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        mean: Tensor,
        variance: Tensor,
        settings: tuple[bool, float, float],
        activation: str,
    ) -> Tensor:
        norm = BatchNorm(gamma, beta, mean, variance, *settings)
        statistics = gather_statistics(y, bias, activation) if norm.training else None
        result, moments = normalise(y, bias, norm, statistics, activation, None)
        ctx.save_for_backward(y, bias, gamma, moments)
        ctx.activation, ctx.training = activation, norm.training
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        y, bias, gamma, moments = ctx.saved_tensors
        gradients = normalise_gradient(gradient.contiguous(), y, bias, gamma, moments, ctx.activation, ctx.training)
        return *gradients, None, None, None, None


class _Spatial(torch.autograd.Function):
    """x + norm(activation(depthwise(x) + bias)) of x (width, batch, grid * grid)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        mean: Tensor,
        variance: Tensor,
        settings: tuple[bool, float, float],
        activation: str,
        grid: int,
    ) -> Tensor:
        norm = BatchNorm(gamma, beta, mean, variance, *settings)
        y, statistics = convolve(x, weight, grid, bias=bias, activation=activation if norm.training else None)
        result, moments = normalise(y, bias, norm, statistics, activation, x)
        ctx.save_for_backward(x, y, weight, bias, gamma, moments)
        ctx.activation, ctx.training, ctx.grid = activation, norm.training, grid
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, y, weight, bias, gamma, moments = ctx.saved_tensors
        gradient = gradient.contiguous()
        to_y, *to_parameters = normalise_gradient(gradient, y, bias, gamma, moments, ctx.activation, ctx.training)
        to_weight = weight_gradient(x, to_y, weight.shape[-1], ctx.grid)
        to_x = convolve_gradient(to_y, weight, ctx.grid, add=gradient)
        return to_x, to_weight, *to_parameters, None, None, None, None, None
