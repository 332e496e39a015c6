"""Bias, activation, batch normalisation and residual as one pass over memory, in Triton, forward and backward.

``normalise(y) = (activation(y + bias) - mean) / sqrt(variance + eps) * gamma + beta (+ residual)`` for channel-major
activations (width, batch, positions), contiguous, any of float32, bfloat16 and float16; statistics and parameters are
float32. Of the intermediate values only y and two numbers a channel are kept for the gradient.

A channel's statistics are gathered part by part, each part's own mean and squared deviations from it, and merged by
Chan's formula: nothing like E[x^2] - E[x]^2, which loses all digits where the mean is large, and no atomics: the same
inputs give the same bits.
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 8192  # elements of a program: 16 KiB of bfloat16 from each tensor on their way keep the memory busy
LAUNCH = {"num_warps": 8, "enable_fp_fusion": True}  # multiply and add in one instruction: said, as defaults differ
TAIL_SLOPE = tl.constexpr(0.3275911 * 2**-0.5)  # of the formula in _upper_tail, whose argument is value / sqrt(2)
EXPONENT = tl.constexpr(-0.7213475204444817)  # -log2(e) / 2: exp(-x**2 / 2) = 2 ** (x**2 * EXPONENT)
NORMAL_PEAK = tl.constexpr(0.3989422804014327)  # 1 / sqrt(2 pi), the standard normal's density at 0


@dataclass(frozen=True, eq=False)
class Statistics:
    """Parts of each channel's statistics: ``parts`` (width, 3, n) float32 are counts, means, squared deviations."""

    parts: Tensor


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """What ``nn.BatchNorm2d`` knows: gamma, beta and the running statistics, all (width,), and its settings."""

    gamma: Tensor
    beta: Tensor
    running_mean: Tensor
    running_variance: Tensor
    training: bool
    momentum: float
    eps: float


def gather_statistics(y: Tensor, bias: Tensor, activation: str) -> Statistics:
    """The statistics of ``activation(y + bias)`` for y (width, batch, positions) and bias (width,)."""
    width, length = y.shape[0], y[0].numel()
    parts = torch.empty(width, 3, triton.cdiv(length, BLOCK), dtype=torch.float32, device=y.device)
    _gather_statistics[(parts.shape[2], width)](
        y, bias, parts, length, ACTIVATION=activation, BLOCK=_block(length), **LAUNCH
    )
    return Statistics(parts)


def normalise(
    y: Tensor, bias: Tensor, norm: BatchNorm, statistics: Statistics | None, activation: str, residual: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Activate and normalise y (width, batch, positions); returns the result and (2, width) mean and 1 / deviation.

    In training ``statistics`` are those of the activated values and the running statistics are moved, as by
    ``nn.BatchNorm2d``; in evaluation the running statistics serve.
    """
    width, length = y.shape[0], y[0].numel()
    result = torch.empty_like(y)
    moments = torch.empty(2, width, dtype=torch.float32, device=y.device)
    parts = None if statistics is None else statistics.parts
    number = 1 if parts is None else parts.shape[2]
    _normalise[(triton.cdiv(length, BLOCK), width)](
        y,
        bias,
        residual,
        norm.gamma,
        norm.beta,
        norm.running_mean,
        norm.running_variance,
        parts,
        moments,
        result,
        length,
        number,
        norm.momentum,
        norm.eps,
        TRAINING=norm.training,
        ACTIVATION=activation,
        PARTS=triton.next_power_of_2(number),
        BLOCK=_block(length),
        **LAUNCH,
    )
    return result, moments


def normalise_gradient(
    gradient: Tensor, y: Tensor, bias: Tensor, gamma: Tensor, moments: Tensor, activation: str, training: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients to y, bias, gamma and beta from that to the result; the residual's is ``gradient`` itself."""
    width, length = y.shape[0], y[0].numel()
    number = triton.cdiv(length, BLOCK)
    sums, bias_parts = (torch.empty(width, n, number, dtype=torch.float32, device=y.device) for n in (2, 1))
    parameters = torch.empty(2, width, dtype=torch.float32, device=y.device)
    result = torch.empty_like(y)
    launch = {"ACTIVATION": activation, "BLOCK": _block(length), **LAUNCH}
    _sum_gradients[(number, width)](gradient, y, bias, moments, sums, length, **launch)
    _normalise_gradient[(number, width)](
        gradient,
        y,
        bias,
        gamma,
        moments,
        sums,
        result,
        bias_parts,
        parameters,
        length,
        TRAINING=training,
        PARTS=triton.next_power_of_2(number),
        **launch,
    )
    return result, bias_parts.sum((1, 2)), parameters[0], parameters[1]


def _block(length: int) -> int:
    return min(BLOCK, triton.next_power_of_2(length))


@triton.jit
def _upper_tail(value):
    """The standard normal's probability beyond abs(value), and its unscaled density exp(-value**2 / 2).

    Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26, for erfc(abs(value) / sqrt(2)) / 2: within
    0.75e-7, a rounding error of 1 + erf in float32, in half the instructions of the device library's erf.
    """
    t = 1.0 / (1.0 + tl.abs(value) * TAIL_SLOPE)
    density = tl.exp2(value * value * EXPONENT)
    # Half of the handbook's coefficients: a division by 2 less.
    polynomial = t * (0.127414796 + t * (-0.142248368 + t * (0.7107068705 + t * (-0.7265760135 + t * 0.5307027145))))
    return polynomial * density, density


@triton.jit
def activate(value, ACTIVATION: tl.constexpr):
    """GELU as ``nn.GELU()``, not its tanh approximation, or ReLU."""
    if ACTIVATION == "gelu":
        tail, _ = _upper_tail(value)
        return tl.maximum(value, 0.0) - tl.abs(value) * tail
    else:
        tl.static_assert(ACTIVATION == "relu")
        return tl.where(value < 0.0, 0.0, value)  # NaN stays NaN, as in PyTorch


@triton.jit
def slope(value, ACTIVATION: tl.constexpr):
    """The derivative of ``activate``; that of ReLU at 0 is 0, as in PyTorch."""
    if ACTIVATION == "gelu":
        tail, density = _upper_tail(value)
        return tl.where(value > 0.0, 1.0 - tail, tail) + value * density * NORMAL_PEAK
    else:
        return tl.where(value <= 0.0, 0.0, 1.0)


@triton.jit
def summarise(value, inside, place, stride):
    """Store number, mean and squared deviations of the values ``inside`` at place, place + stride, place + 2 stride."""
    number = tl.sum(inside.to(tl.float32))
    mean = tl.sum(tl.where(inside, value, 0.0)) / number
    deviation = tl.where(inside, value - mean, 0.0)
    tl.store(place, number)
    tl.store(place + stride, mean)
    tl.store(place + 2 * stride, tl.sum(deviation * deviation))


@triton.jit
def _load_biased(y, bias, channel, length, BLOCK: tl.constexpr):
    """This program's BLOCK elements of a channel: their places, which of them exist, and y + bias in float32."""
    element = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = element < length
    places = channel * length + element
    value = tl.load(y + places, mask=inside, other=0.0).to(tl.float32) + tl.load(bias + channel).to(tl.float32)
    return places, inside, value


@triton.jit
def _gather_statistics(y, bias, parts, length, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr):
    channel = tl.program_id(1).to(tl.int64)
    _, inside, value = _load_biased(y, bias, channel, length, BLOCK)
    number = tl.num_programs(0)
    summarise(activate(value, ACTIVATION), inside, parts + channel * 3 * number + tl.program_id(0), number)


@triton.jit
def _merge_parts(parts, channel, number, PARTS: tl.constexpr):
    """Count, mean and squared deviations of a channel from those of its parts."""
    part = tl.arange(0, PARTS)
    inside = part < number
    place = parts + channel * 3 * number + part
    counts = tl.load(place, mask=inside, other=0.0)
    means = tl.load(place + number, mask=inside, other=0.0)
    count = tl.sum(counts)
    mean = tl.sum(counts * means) / count
    deviations = tl.load(place + 2 * number, mask=inside, other=0.0) + counts * (means - mean) * (means - mean)
    return count, mean, tl.sum(deviations)


@triton.jit
def _normalise(
    y,  # (width, length), as residual and result
    bias,  # (width,), as gamma, beta and the running statistics
    residual,  # or None
    gamma,
    beta,
    running_mean,
    running_variance,
    parts,  # (width, 3, number), if TRAINING
    moments,  # (2, width)
    result,
    length,
    number,
    momentum,
    eps,
    TRAINING: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PARTS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    channel = tl.program_id(1).to(tl.int64)
    places, inside, value = _load_biased(y, bias, channel, length, BLOCK)
    first = tl.program_id(0) == 0  # the one program of a channel that writes what there is once
    if TRAINING:
        count, mean, deviations = _merge_parts(parts, channel, number, PARTS)
        variance = deviations / count
        old_mean, old_variance = tl.load(running_mean + channel), tl.load(running_variance + channel)
        moved = old_variance + momentum * (deviations / (count - 1.0) - old_variance)
        tl.store(running_mean + channel, old_mean + momentum * (mean - old_mean), mask=first)
        tl.store(running_variance + channel, moved, mask=first)
    else:
        mean, variance = tl.load(running_mean + channel), tl.load(running_variance + channel)
    inverse = 1.0 / tl.sqrt(variance + eps)
    tl.store(moments + channel, mean, mask=first)
    tl.store(moments + tl.num_programs(1) + channel, inverse, mask=first)
    scale = tl.load(gamma + channel) * inverse
    output = (activate(value, ACTIVATION) - mean) * scale + tl.load(beta + channel)
    if residual is not None:
        output += tl.load(residual + places, mask=inside, other=0.0).to(tl.float32)
    tl.store(result + places, output.to(result.dtype.element_ty), mask=inside)


@triton.jit
def _sum_gradients(gradient, y, bias, moments, sums, length, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr):
    """A part's sums of the gradient, and of the gradient times the normalised value: sums (width, 2, parts)."""
    channel = tl.program_id(1).to(tl.int64)
    places, inside, value = _load_biased(y, bias, channel, length, BLOCK)
    mean, inverse = tl.load(moments + channel), tl.load(moments + tl.num_programs(1) + channel)
    normalised = (activate(value, ACTIVATION) - mean) * inverse
    given = tl.load(gradient + places, mask=inside, other=0.0).to(tl.float32)
    place = sums + channel * 2 * tl.num_programs(0) + tl.program_id(0)
    tl.store(place, tl.sum(given))
    tl.store(place + tl.num_programs(0), tl.sum(given * normalised))


@triton.jit
def _normalise_gradient(
    gradient,  # (width, length), as y and result
    y,
    bias,  # (width,), as gamma
    gamma,
    moments,  # (2, width)
    sums,  # (width, 2, parts)
    result,
    bias_parts,  # (width, parts)
    parameters,  # (2, width): the gradients to gamma and beta
    length,
    TRAINING: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PARTS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    channel, number = tl.program_id(1).to(tl.int64), tl.num_programs(0)
    places, inside, value = _load_biased(y, bias, channel, length, BLOCK)
    given = tl.load(gradient + places, mask=inside, other=0.0).to(tl.float32)
    part = tl.arange(0, PARTS)
    place = sums + channel * 2 * number + part
    to_beta = tl.sum(tl.load(place, mask=part < number, other=0.0))
    to_gamma = tl.sum(tl.load(place + number, mask=part < number, other=0.0))
    first = tl.program_id(0) == 0
    tl.store(parameters + channel, to_gamma, mask=first)
    tl.store(parameters + tl.num_programs(1) + channel, to_beta, mask=first)
    mean, inverse = tl.load(moments + channel), tl.load(moments + tl.num_programs(1) + channel)
    if TRAINING:
        normalised = (activate(value, ACTIVATION) - mean) * inverse
        given -= (to_beta + normalised * to_gamma) / length
    output = given * (tl.load(gamma + channel) * inverse) * slope(value, ACTIVATION)
    output = tl.where(inside, output, 0.0)
    tl.store(result + places, output.to(result.dtype.element_ty), mask=inside)
    tl.store(bias_parts + channel * number + tl.program_id(0), tl.sum(output))
