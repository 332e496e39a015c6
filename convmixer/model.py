"""ConvMixer as the paper draws it: patches, ``depth`` times a depthwise and a pointwise layer, average, classifier.

The module tree is timm's (``stem.0``, ``stem.2``, ``blocks.{i}.0.fn.0``, ``blocks.{i}.0.fn.2``, ``blocks.{i}.1``,
``blocks.{i}.3``, ``head``), so a ``state_dict`` of timm's ``ConvMixer`` loads as it is. The authors' ``nn.Sequential``
holds the same tensors in the same order under the prefixes ``0``, ``2``, ``{3+i}.0.fn.0``, ``{3+i}.0.fn.2``,
``{3+i}.1``, ``{3+i}.3`` and ``{5+depth}``.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from convmixer import ConvMixerError


class ChannelNorm(nn.LayerNorm):
    """Layer norm of (n, c, h, w) over the c channels of each place, as ViT, MLP-Mixer and ConvNeXt normalise a patch.

    The paper's ablation says "LayerNorm" and the sources do not tell over what. This one is what the isotropic models
    that the paper compares itself with use, and has as many parameters as batch norm; a norm over places too (one group
    of channels, ``nn.GroupNorm(1, c)``) would let every patch see all the others, which is the depthwise layer's task.
    """

    def forward(self, x: Tensor) -> Tensor:
        by_place = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return by_place.permute(0, 3, 1, 2)


ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}
NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm2d, "layer": ChannelNorm}
RESIDUALS = ("depthwise", "both", "none")


class Residual(nn.Module):
    """``fn(x) + x``."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(x) + x


class ConvMixer(nn.Module):
    """ConvMixer-``width``/``depth`` of Trockman and Kolter (arXiv 2201.09792, Figure 2).

    The paper's h, d, p and k are ``width``, ``depth``, ``patch_size`` and ``kernel_size``. Every layer uses
    ``activation``: "gelu", or "relu" as in the paper's ConvMixer-768/32. Even kernels pad one more on the right and
    below, as ``padding="same"`` does. Raises ``ConvMixerError`` for anything but positive integers and known names.

    The paper's ablations: ``norm`` "layer" in place of "batch" everywhere; ``residual`` "both", a second one around the
    pointwise convolution with its activation and norm, or "none" instead of the one around the "depthwise" part. The
    residuals that are not the paper's change the names in the ``state_dict``, since the module tree is another.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        patch_size: int,
        kernel_size: int,
        num_classes: int,
        in_channels: int = 3,
        activation: str = "gelu",
        norm: str = "batch",
        residual: str = "depthwise",
    ) -> None:
        super().__init__()
        _refuse_bad_sizes(
            width=width,
            depth=depth,
            patch_size=patch_size,
            kernel_size=kernel_size,
            num_classes=num_classes,
            in_channels=in_channels,
        )
        _refuse_unknown_names(activation=activation, norm=norm, residual=residual)
        self.width, self.depth, self.patch_size, self.kernel_size = width, depth, patch_size, kernel_size
        self.num_classes, self.in_channels, self.activation = num_classes, in_channels, activation
        self.norm, self.residual = norm, residual

        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, patch_size, stride=patch_size), ACTIVATIONS[activation](), NORMS[norm](width)
        )
        self.blocks = nn.Sequential(*(self._make_block() for _ in range(depth)))
        self.head = nn.Linear(width, num_classes)

    def _make_block(self) -> nn.Sequential:
        """The depthwise part, then the pointwise part, each a convolution, an activation and a norm."""
        act, norm, width = ACTIVATIONS[self.activation], NORMS[self.norm], self.width
        depthwise = nn.Conv2d(width, width, self.kernel_size, groups=width, padding="same")
        spatial = nn.Sequential(depthwise, act(), norm(width))
        pointwise = nn.Conv2d(width, width, 1), act(), norm(width)
        if self.residual == "both":
            return nn.Sequential(Residual(spatial), Residual(nn.Sequential(*pointwise)))
        return nn.Sequential(spatial if self.residual == "none" else Residual(spatial), *pointwise)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of normalised images (batch, in_channels, height, width)."""
        features = self.blocks(self.stem(images))  # (batch, width, height / patch_size, width / patch_size)
        return self.head(features.mean((2, 3)))


def count_parameters(model: nn.Module) -> int:
    """The number of trained values; the running statistics of batch normalisation are not among them."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def count_parameters_by_formula(
    *, width: int, depth: int, patch_size: int, kernel_size: int, num_classes: int, in_channels: int = 3
) -> int:
    """What ``count_parameters`` must find, from the sizes alone: every convolution and norm has a bias.

    Activation, norm and residuals change nothing: a layer norm has a weight and a bias for each channel too.
    """
    stem = width * (in_channels * patch_size**2 + 3)
    block = width * (kernel_size**2 + width + 6)
    return stem + depth * block + num_classes * (width + 1)


def refuse_cut_images(model: nn.Module, image_size: tuple[int, int]) -> None:
    """Raise ``ConvMixerError`` where ``model`` would leave out pixels of images of (height, width).

    timm and the authors' code drop what fills no patch, at the right and below, without a word; with patches larger
    than the image they fail in the midst of the stem. The models that the paper names divide their 224 pixels.
    """
    patch_size = getattr(model, "patch_size", None)
    if isinstance(patch_size, int) and any(size % patch_size for size in image_size):
        height, width = image_size
        raise ConvMixerError(
            f"{type(model).__name__}: patch_size is {patch_size!r}, which does not divide images of {height}x{width} "
            "pixels, so that some would never be seen; expected a divisor of both"
        )


def multiply_accumulates(
    *,
    width: int,
    depth: int,
    patch_size: int,
    kernel_size: int,
    num_classes: int,
    image_size: int,
    in_channels: int = 3,
) -> int:
    """Multiply-accumulates of one forward pass over one square image; biases, norms and activations are not counted."""
    positions = (image_size // patch_size) ** 2
    stem = width * in_channels * patch_size**2
    block = width * (kernel_size**2 + width)
    return positions * (stem + depth * block) + num_classes * width


def _refuse_unknown_names(*, activation: str, norm: str, residual: str) -> None:
    for kind, name, known in (
        ("activation", activation, ACTIVATIONS),
        ("norm", norm, NORMS),
        ("residual", residual, RESIDUALS),
    ):
        if name not in known:
            raise ConvMixerError(f"ConvMixer: unknown {kind} {name!r}; known are {', '.join(known)}")


def _refuse_bad_sizes(**sizes: object) -> None:
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConvMixerError(f"ConvMixer: {name} is {value!r}; expected an integer of 1 or more")
