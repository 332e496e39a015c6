"""ConvMixer as the paper draws it: patches, ``depth`` times a depthwise and a pointwise layer, average, classifier.

The module tree is timm's (``stem.0``, ``stem.2``, ``blocks.{i}.0.fn.0``, ``blocks.{i}.0.fn.2``, ``blocks.{i}.1``,
``blocks.{i}.3``, ``head``), so a ``state_dict`` of timm's ``ConvMixer`` loads as it is. The authors' ``nn.Sequential``
holds the same tensors in the same order under the prefixes ``0``, ``2``, ``{3+i}.0.fn.0``, ``{3+i}.0.fn.2``,
``{3+i}.1``, ``{3+i}.3`` and ``{5+depth}``.
"""

from torch import Tensor, nn

from convmixer import ConvMixerError

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


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
        if activation not in ACTIVATIONS:
            raise ConvMixerError(f"ConvMixer: unknown activation {activation!r}; known are {', '.join(ACTIVATIONS)}")
        self.width, self.depth, self.patch_size, self.kernel_size = width, depth, patch_size, kernel_size
        self.num_classes, self.in_channels, self.activation = num_classes, in_channels, activation
        act = ACTIVATIONS[activation]

        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, patch_size, stride=patch_size), act(), nn.BatchNorm2d(width)
        )
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    Residual(
                        nn.Sequential(
                            nn.Conv2d(width, width, kernel_size, groups=width, padding="same"),
                            act(),
                            nn.BatchNorm2d(width),
                        )
                    ),
                    nn.Conv2d(width, width, 1),
                    act(),
                    nn.BatchNorm2d(width),
                )
                for _ in range(depth)
            )
        )
        self.head = nn.Linear(width, num_classes)

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
    """What ``count_parameters`` must find, from the sizes alone: every convolution and norm has a bias."""
    stem = width * (in_channels * patch_size**2 + 3)
    block = width * (kernel_size**2 + width + 6)
    return stem + depth * block + num_classes * (width + 1)


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


def _refuse_bad_sizes(**sizes: object) -> None:
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConvMixerError(f"ConvMixer: {name} is {value!r}; expected an integer of 1 or more")
