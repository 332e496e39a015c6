"""The models that a ConvMixer is compared with, at its size, and one factory for all of them: ``build_model``.

ConvMixer-256/8 has 0.56 to 0.72 million parameters on CIFAR-10. The baselines are timm's modules made as small, each
in the shape that its own paper gives it; all train by any recipe. For images of 3 x 32 x 32 and 10 classes:

| architecture | width | depth | patch_size | parameters | MACs    | shape                                            |
|--------------|-------|-------|------------|------------|---------|--------------------------------------------------|
| convmixer    | 256   | 8     | 2          | 594,186    | 148.1 M | kernel_size 5, the authors' for CIFAR-10         |
| convmixer    | 256   | 8     | 4          | 718,090    | 45.0 M  | kernel_size 9                                    |
| vit          | 96    | 6     | 4          | 683,242    | 48.3 M  | 3 heads of 32, MLP of 4 times the width          |
| mlp-mixer    | 96    | 8     | 4          | 652,650    | 42.8 M  | MLPs of 0.5 (tokens) and 4 (channels) times it   |
| resnet       | 16    | 44    | none       | 661,338    | 97.4 M  | ResNet-44 for CIFAR: 7 + 7 + 7 blocks of 2       |

MACs are multiply-accumulates of one image.

- *vit* (Dosovitskiy et al., arXiv 2010.11929): class token, learned positions, pre-norm. Patches of 4 are those of
  ViT-Lite-7/4 (Hassani et al., arXiv 2104.05704), the usual small ViT for CIFAR-10. No dropout, as in DeiT.
- *mlp-mixer* (Tolstikhin et al., arXiv 2105.01601): the ratios of all its sizes, the depth of Mixer-S.
- *resnet* (He et al., arXiv 1512.03385, section 4.2): three stages of ``width``, 2 and 4 times ``width`` channels on
  grids of 32, 16 and 8, ``depth = 6 n + 2``. Built from timm's ``ResNet`` with the stem of a CIFAR ResNet, one 3 x 3
  convolution and no pooling, and no fourth stage. Where a stage begins the shortcut is a 1 x 1 convolution (option B
  of that paper, 2,752 parameters more than its option A), and the last norm of each block begins at zero: both are
  timm's, and neither is what the paper did on CIFAR-10.
"""

import copy
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convmixer import ConvMixerError
from convmixer.model import ConvMixer, refuse_cut_images

# timm is imported where a baseline is built: it takes as long as the rest of a smoke run, and ConvMixer needs none.


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """How an architecture is built, and its sizes where the caller names none; ``None``: it has no such size."""

    build: Callable[..., nn.Module]  # (width, depth, patch_size, image_size, in_channels, num_classes)
    width: int
    depth: int
    patch_size: int | None


def build_model(
    architecture: str,
    *,
    image_size: int,
    in_channels: int,
    num_classes: int,
    width: int | None = None,
    depth: int | None = None,
    patch_size: int | None = None,
    kernel_size: int | None = None,
    **switches: str,
) -> nn.Module:
    """A model of images (batch, in_channels, image_size, image_size), with logits (batch, num_classes).

    "convmixer" needs all four sizes and takes ``ConvMixer``'s ``switches``, such as ``activation="relu"``. Of a
    baseline a size that is ``None`` or 0 is the one in the table above; a size that it does not have must be left so.
    Raises ``ConvMixerError`` for unknown names and for sizes that do not fit.
    """
    if architecture not in architectures():
        raise ConvMixerError(
            f"build_model: unknown architecture {architecture!r}; known are {', '.join(architectures())}"
        )
    _refuse_unknown_switches(architecture, switches)
    given = {"width": width, "depth": depth, "patch_size": patch_size, "kernel_size": kernel_size}
    if architecture == "convmixer":
        model = ConvMixer(**given, in_channels=in_channels, num_classes=num_classes, **switches)
        refuse_cut_images(model, (image_size, image_size))
        return model
    baseline = BASELINES[architecture]
    sizes = {
        **_complete_sizes(architecture, baseline, given),
        "image_size": image_size,
        "in_channels": in_channels,
        "num_classes": num_classes,
    }
    _refuse_bad_sizes(architecture, sizes)
    return baseline.build(**sizes)


def architectures() -> tuple[str, ...]:
    """The names that ``build_model`` takes."""
    return ("convmixer", *BASELINES)


def multiply_accumulates_of(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates of one forward pass over one image (channels, height, width), counted layer by layer.

    Convolutions, matrix products and attention are counted, as in ``model.multiply_accumulates``. Nothing is computed,
    and ``model`` is left as it is.
    """
    shapes_only = copy.deepcopy(model).to("meta").eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        shapes_only(torch.empty(1, *image_shape, device="meta"))
    return counter.get_total_flops() // 2  # torch counts the multiplication and the addition


def _build_vit(
    *, width: int, depth: int, patch_size: int, image_size: int, in_channels: int, num_classes: int
) -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    if width % _HEAD_WIDTH:
        raise ConvMixerError(f"build_model: 'vit' has width {width!r}; expected a multiple of {_HEAD_WIDTH}, one head")
    return VisionTransformer(
        img_size=image_size,
        patch_size=patch_size,
        in_chans=in_channels,
        num_classes=num_classes,
        embed_dim=width,
        depth=depth,
        num_heads=width // _HEAD_WIDTH,
    )


def _build_mlp_mixer(
    *, width: int, depth: int, patch_size: int, image_size: int, in_channels: int, num_classes: int
) -> nn.Module:
    from timm.models.mlp_mixer import MlpMixer

    return MlpMixer(
        img_size=image_size,
        patch_size=patch_size,
        in_chans=in_channels,
        num_classes=num_classes,
        embed_dim=width,
        num_blocks=depth,
        mlp_ratio=(0.5, 4.0),
    )


def _build_resnet(*, width: int, depth: int, image_size: int, in_channels: int, num_classes: int) -> nn.Module:
    from timm.models.resnet import BasicBlock, ResNet

    if depth < 8 or depth % 6 != 2:
        raise ConvMixerError(f"build_model: 'resnet' has depth {depth!r}; expected 6 n + 2, such as 20, 32, 44 or 56")
    if width < _LEAST_RESNET_WIDTH or width % 2:
        raise ConvMixerError(
            f"build_model: 'resnet' has width {width!r}; expected an even number of {_LEAST_RESNET_WIDTH} or more"
        )
    model = ResNet(
        BasicBlock,
        (depth // 6,) * 3,
        in_chans=in_channels,
        num_classes=num_classes,
        channels=(width, 2 * width, 4 * width),
        stem_type="deep",  # timm lets the first stage begin with other than 64 channels only with this stem
        stem_width=width // 2,
    )
    model.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")  # as timm begins the others
    model.maxpool, model.layer4 = nn.Identity(), nn.Identity()
    return model


# On a CPU the gradient of a strided 1 x 1 convolution in channels_last writes beyond its memory, or is wrong, where the
# input has fewer channels than a vector has places: 8 with AVX2, 16 with AVX-512 (uxlfoundation/oneDNN issue 6035).
_LEAST_RESNET_WIDTH = 16

_HEAD_WIDTH = 32  # of the head widths in use, the one that gives a ViT of this size some heads; DeiT-Ti has 3 of 64

BASELINES = {
    "vit": Baseline(build=_build_vit, width=96, depth=6, patch_size=4),
    "mlp-mixer": Baseline(build=_build_mlp_mixer, width=96, depth=8, patch_size=4),
    "resnet": Baseline(build=_build_resnet, width=16, depth=44, patch_size=None),
}


def _complete_sizes(architecture: str, baseline: Baseline, given: dict[str, int | None]) -> dict[str, int]:
    """The sizes to build with; those that the architecture does not have are left out."""
    usual = {"width": baseline.width, "depth": baseline.depth, "patch_size": baseline.patch_size}
    for name, value in given.items():
        if usual.get(name) is None and value not in (None, 0):
            raise ConvMixerError(f"build_model: {name} is {value!r}, but {architecture!r} has none; leave it out")
    return {name: given[name] or value for name, value in usual.items() if value is not None}


def _refuse_bad_sizes(architecture: str, sizes: dict[str, int]) -> None:
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConvMixerError(
                f"build_model: {name} of {architecture!r} is {value!r}; expected an integer of 1 or more"
            )
    if sizes["image_size"] % sizes.get("patch_size", 1):
        raise ConvMixerError(
            f"build_model: patch_size {sizes['patch_size']!r} does not divide image_size {sizes['image_size']!r}; "
            f"pixels would be dropped. Take a divisor, such as {math.gcd(sizes['patch_size'], sizes['image_size'])}"
        )


def _refuse_unknown_switches(architecture: str, switches: dict[str, str]) -> None:
    sizes = {"width", "depth", "patch_size", "kernel_size", "num_classes", "in_channels"}
    known = [name for name in inspect.signature(ConvMixer).parameters if name not in sizes]
    for name in switches:
        if architecture != "convmixer" or name not in known:
            raise ConvMixerError(
                f"build_model: {architecture!r} has no switch {name!r}; "
                + (f"known are {', '.join(known)}" if architecture == "convmixer" else "leave it out")
            )
