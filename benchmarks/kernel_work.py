"""What `benchmarks/kernels.py` measures: each kernel of ours beside others that do the same to the same numbers."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from convmixer.triton_depthwise import convolve, convolve_gradient, weight_gradient
from convmixer.triton_normalise import BatchNorm, gather_statistics, normalise, normalise_gradient


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What is run: ConvMixer-``width``/``depth`` on ``batch`` images of ``image_size``; ``rehearsed`` on a CPU."""

    width: int = 256
    depth: int = 8
    image_size: int = 32
    batch: int = 512
    dtype: torch.dtype = torch.bfloat16
    rehearsed: bool = False

    @property
    def device(self) -> str:
        return "cpu" if self.rehearsed else "cuda"

    def draw(self, *shape: int) -> Tensor:
        return torch.randn(*shape, device=self.device, dtype=self.dtype)

    def draw_parameter(self, *shape: int) -> Tensor:
        return torch.randn(*shape, device=self.device)

    def compile(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return torch.compile(function, backend="eager" if self.rehearsed else "inductor")


@dataclass(frozen=True, kw_only=True)
class Work:
    """A kernel of ours, and ``peers`` that compute what it does, the first being the one to agree with.

    ``touches`` counts the activations read or written at least, each of ``activation_bytes``; ``flops`` are those of
    the direct way, what has to be done rather than what we do.
    """

    name: str
    touches: int
    activation_bytes: int
    flops: int
    ours: Callable[[], Tensor]
    peers: dict[str, Callable[[], Tensor]]

    def floor(self, bytes_per_second: float, flops_per_second: float) -> float:
        """The least seconds that it can take."""
        return max(self.touches * self.activation_bytes / bytes_per_second, self.flops / flops_per_second)

    def error(self) -> float:
        """How far our result is from the first peer's, relative in the norm."""
        ours, expected = self.ours().double(), next(iter(self.peers.values()))().double()
        expected = expected if expected.shape == ours.shape else to_major(expected)
        return ((ours - expected).norm() / expected.norm()).item()


def to_major(images: Tensor) -> Tensor:
    """(batch, width, grid, grid) -> (width, batch, positions)."""
    return images.transpose(0, 1).flatten(2)


def describe_depthwise(scale: Scale, grid: int, kernel_size: int) -> list[Work]:
    """The depthwise convolution and its two gradients; cuDNN's in both of its layouts."""
    images, gradients = (scale.draw(scale.batch, scale.width, grid, grid) for _ in range(2))
    x, to_y = to_major(images).contiguous(), to_major(gradients).contiguous()
    weight, bias = scale.draw_parameter(scale.width, 1, kernel_size, kernel_size), scale.draw_parameter(scale.width)
    narrow, zero = weight.to(scale.dtype), torch.zeros_like(x)
    layouts = {"cuDNN": torch.contiguous_format, "cuDNN channels_last": torch.channels_last}

    def peers(wanted: int | None) -> dict[str, Callable[[], Tensor]]:
        """cuDNN's forward, or the gradient to the input (0) or the weight (1)."""
        return {name: prepare(layout, wanted) for name, layout in layouts.items()}

    def prepare(layout: torch.memory_format, wanted: int | None) -> Callable[[], Tensor]:
        own, to_own = (tensor.contiguous(memory_format=layout) for tensor in (images, gradients))
        if wanted is None:
            return lambda: F.conv2d(own, narrow, padding="same", groups=scale.width)
        pad, mask = [kernel_size // 2] * 2, [place == wanted for place in range(3)]
        rest = (None, [1, 1], pad, [1, 1], False, [0, 0], scale.width, mask)
        return lambda: torch.ops.aten.convolution_backward(to_own, own, narrow, *rest)[wanted]

    common = {"activation_bytes": x.nbytes, "flops": 2 * kernel_size**2 * x.numel()}
    forward = Work(
        name="depthwise, statistics of GELU",
        touches=2,
        ours=lambda: convolve(x, weight, grid, bias=bias, activation="gelu")[0],
        peers=peers(None),
        **common,
    )
    to_input = Work(
        name="depthwise input gradient, residual's added",
        touches=3,
        ours=lambda: convolve_gradient(to_y, weight, grid, add=zero),
        peers=peers(0),
        **common,
    )
    to_weight = Work(
        name="depthwise weight gradient",
        touches=2,
        ours=lambda: weight_gradient(x, to_y, kernel_size, grid),
        peers=peers(1),
        **common,
    )
    return [forward, to_input, to_weight]


def describe_norm(scale: Scale, grid: int) -> list[Work]:
    """Bias, GELU, batch norm and residual, forward and backward; torch's own, op by op and compiled."""
    y, residual, gradient = (scale.draw(scale.width, scale.batch, grid**2) for _ in range(3))
    bias, gamma, beta, mean = (scale.draw_parameter(scale.width) for _ in range(4))
    norm = BatchNorm(gamma, beta, mean, torch.ones_like(mean), True, 0.1, 1e-5)
    moments = normalise(y, bias, norm, gather_statistics(y, bias, "gelu"), "gelu", residual)[1]
    leaf = y.flatten(1)[None].clone().requires_grad_()  # (1, width, batch * positions): torch normalises axis 1

    def eager(values: Tensor) -> Tensor:
        activated = F.gelu(values.float() + bias[:, None])
        normalised = F.batch_norm(activated, mean, norm.running_variance, gamma, beta, training=True)
        return (normalised + residual.view_as(values)).to(values.dtype)

    def backward(forward: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
        result, given = forward(leaf), gradient.view_as(leaf)
        return lambda: torch.autograd.grad(result, leaf, given, retain_graph=True)[0].view_as(y)

    ways = {"eager": eager, "compiled": scale.compile(eager)}
    forward = Work(
        name="GELU, norm, residual",
        touches=4,
        activation_bytes=y.nbytes,
        flops=0,
        ours=lambda: normalise(y, bias, norm, gather_statistics(y, bias, "gelu"), "gelu", residual)[0],
        peers={name: lambda way=way: way(leaf).view_as(y) for name, way in ways.items()},
    )
    to_y = Work(
        name="GELU, norm gradient",
        touches=5,
        activation_bytes=y.nbytes,
        flops=0,
        ours=lambda: normalise_gradient(gradient, y, bias, gamma, moments, "gelu", True)[0],
        peers={name: backward(way) for name, way in ways.items()},
    )
    return [forward, to_y]


def describe_pointwise(scale: Scale, grid: int) -> Work:
    """The pointwise convolution, which both leave to the vendor's library."""
    x, matrix = scale.draw(scale.width, scale.batch, grid**2), scale.draw(scale.width, scale.width)
    images = x.unflatten(2, (grid, grid)).transpose(0, 1).contiguous(memory_format=torch.channels_last)
    return Work(
        name="pointwise (cuBLAS)",
        touches=2,
        activation_bytes=x.nbytes,
        flops=2 * scale.width * x.numel(),
        ours=lambda: (matrix @ x.flatten(1)).view_as(x),
        peers={"cuDNN channels_last": lambda: F.conv2d(images, matrix[:, :, None, None])},
    )
