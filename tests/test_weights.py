"""Weights: timm's and the authors' give their very logits in our model; ours come back; what does not fit is refused.

The three released ImageNet files cannot be had without a network: random weights in their names and shapes stand for
them.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import timm
import torch
from timm.models.convmixer import ConvMixer as TimmConvMixer
from torch import Tensor, nn

from convmixer import ConvMixerError
from convmixer.baselines import build_model
from convmixer.model import ConvMixer
from convmixer.weights import describe_weights, load_weights, save_weights

TINY = {"width": 8, "depth": 2, "patch_size": 2, "kernel_size": 3, "num_classes": 5}
TINY_TEXT = (
    "ConvMixer(width=8, depth=2, patch_size=2, kernel_size=3, num_classes=5, in_channels=3, norm='batch', "
    "residual='depthwise')"
)
# By timm's name: our arguments, and the side of the test's images in pixels, few patches for a cheap test.
IMAGENET = {
    "convmixer_1536_20": ({"width": 1536, "depth": 20, "patch_size": 7, "kernel_size": 9}, "gelu", 28),
    "convmixer_768_32": ({"width": 768, "depth": 32, "patch_size": 7, "kernel_size": 7}, "relu", 56),
    "convmixer_1024_20_ks9_p14": ({"width": 1024, "depth": 20, "patch_size": 14, "kernel_size": 9}, "gelu", 56),
}


class Skip(nn.Sequential):
    """Its layers, and its input added."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x


class NamedSkip(nn.Module):
    """The same with its layers under ``fn``, as the authors name them."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(x) + x


def as_authors(*, width: int, depth: int, patch_size: int, kernel_size: int, num_classes: int) -> nn.Sequential:
    """The module tree of convmixer.py in the authors' repositories."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, patch_size, stride=patch_size), nn.GELU(), nn.BatchNorm2d(width)]
    for _ in range(depth):
        depthwise = nn.Conv2d(width, width, kernel_size, groups=width, padding="same")
        spatial = NamedSkip(nn.Sequential(depthwise, nn.GELU(), nn.BatchNorm2d(width)))
        layers.append(nn.Sequential(spatial, nn.Conv2d(width, width, 1), nn.GELU(), nn.BatchNorm2d(width)))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(width, num_classes))


def as_readme(*, width: int, depth: int, patch_size: int, kernel_size: int, num_classes: int) -> nn.Sequential:
    """The module tree of the short model in the authors' README: every convolution nested with what follows it."""

    def follow(convolution: nn.Module) -> nn.Sequential:
        return nn.Sequential(convolution, nn.GELU(), nn.BatchNorm2d(width))

    blocks = []
    for _ in range(depth):
        depthwise = nn.Conv2d(width, width, kernel_size, groups=width, padding=kernel_size // 2)
        blocks.append(nn.Sequential(Skip(follow(depthwise)), follow(nn.Conv2d(width, width, 1))))
    stem = follow(nn.Conv2d(3, width, patch_size, patch_size))
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))


def as_timm(*, width: int, depth: int, patch_size: int, kernel_size: int, num_classes: int) -> nn.Module:
    return TimmConvMixer(width, depth, kernel_size, patch_size, num_classes=num_classes)


LAYOUTS: dict[str, Callable[..., nn.Module]] = {"timm": as_timm, "authors": as_authors, "README": as_readme}


@torch.no_grad()
def perturb(model: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights that keep activations of about one, random norms and running statistics; evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            value.fill_(7)
        elif value.dim() > 1:
            value.uniform_(-1, 1, generator=generator).mul_(math.sqrt(3 / value[0].numel()))
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        else:
            center = 0.5 if name.endswith("weight") else 0.0
            value.uniform_(center - 0.2, center + 0.2, generator=generator)
    return model.eval()


def assert_same_logits(ours: nn.Module, theirs: nn.Module, size: int, batch: int = 2) -> None:
    images = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found, expected = ours.eval()(images), theirs(images)
    assert 0.05 < expected.std() < 50  # neither nothing nor near the end of single precision
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("timm_name", IMAGENET)
def test_logits_equal_timms_for_the_imagenet_models(timm_name: str, tmp_path: Path) -> None:
    sizes, activation, image_size = IMAGENET[timm_name]
    with torch.device("meta"):  # timm's and our initial values take longer than all the rest
        theirs, ours = timm.create_model(timm_name), ConvMixer(**sizes, num_classes=1000, activation=activation)
    theirs = perturb(theirs.to_empty(device="cpu"))
    ours.to_empty(device="cpu")
    path = tmp_path / f"{timm_name}.pth.tar"
    torch.save({"state_dict": theirs.state_dict()}, path)
    described = describe_weights(path)
    load_weights(ours, path)
    path.unlink()  # up to 200 MB
    norms = {"in_channels": 3, "norm": "batch", "residual": "depthwise"}
    assert described.arguments == {**sizes, "num_classes": 1000, **norms}
    assert_same_logits(ours, theirs, image_size, batch=1)


@pytest.mark.parametrize(("patch_size", "kernel_size"), [(1, 9), (2, 5), (4, 7)])
def test_logits_equal_timms_for_the_cifar10_models(patch_size: int, kernel_size: int, tmp_path: Path) -> None:
    sizes = {"width": 256, "depth": 8, "patch_size": patch_size, "kernel_size": kernel_size, "num_classes": 10}
    theirs, ours = perturb(as_timm(**sizes)), ConvMixer(**sizes)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    load_weights(ours, tmp_path / "weights.pth")
    assert_same_logits(ours, theirs, 32)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "state_dict_ema"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_its_models_logits(layout: str, prefix: str, wrapper: str | None, tmp_path: Path) -> None:
    theirs = perturb(LAYOUTS[layout](**TINY))
    tensors = {prefix + name: value for name, value in theirs.state_dict().items()}
    path = tmp_path / "weights.pth.tar"
    torch.save(tensors if wrapper is None else {"epoch": 3, wrapper: tensors}, path)
    ours = ConvMixer(**TINY)
    load_weights(ours, path)
    assert_same_logits(ours, theirs, 8)
    assert str(describe_weights(path)) == TINY_TEXT
    assert (describe_weights(path).layout, describe_weights(path).activation) == (layout, None)


@pytest.mark.parametrize("ending", [".pth", ".pt", ".bin", ".pth.tar", ".safetensors"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_ending_is_read(layout: str, ending: str, tmp_path: Path) -> None:
    theirs = perturb(LAYOUTS[layout](**TINY))
    path = tmp_path / f"weights{ending}"
    save = safetensors.torch.save_file if ending == ".safetensors" else torch.save
    save(dict(theirs.state_dict()), path)
    ours = ConvMixer(**TINY)
    load_weights(ours, path)
    assert_same_logits(ours, theirs, 8)


def test_the_weights_come_before_their_average(tmp_path: Path) -> None:
    trained, average = perturb(as_timm(**TINY), 1).state_dict(), perturb(as_timm(**TINY), 2).state_dict()
    torch.save({"state_dict_ema": average, "state_dict": trained}, tmp_path / "both.pth.tar")
    ours = ConvMixer(**TINY)
    load_weights(ours, tmp_path / "both.pth.tar")
    assert torch.equal(ours.head.weight, trained["head.weight"])


def test_half_precision_is_loaded_into_single_and_a_missing_counter_is_zero(tmp_path: Path) -> None:
    tensors = perturb(as_timm(**TINY)).half().state_dict()
    kept = {name: value for name, value in tensors.items() if "num_batches" not in name}
    torch.save(kept, tmp_path / "half.pth")
    ours = ConvMixer(**TINY)
    load_weights(ours, tmp_path / "half.pth")
    assert ours.head.weight.dtype == torch.float32
    assert torch.equal(ours.head.weight, tensors["head.weight"].float())
    assert ours.stem[2].num_batches_tracked == 0


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"activation": "relu"},
        {"norm": "layer"},
        {"residual": "none", "in_channels": 1},
        {"residual": "both", "norm": "layer", "activation": "relu"},
    ],
)
def test_saved_weights_come_back_with_the_arguments_of_their_model(switches: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "ours.safetensors"
    model = perturb(ConvMixer(**TINY, **switches)).to(memory_format=torch.channels_last)
    save_weights(model, path)
    described = describe_weights(path)
    again = ConvMixer(**described.arguments, activation=described.activation)
    load_weights(again, path)
    for name in ("width", "patch_size", "in_channels", "activation", "norm", "residual"):
        assert getattr(again, name) == getattr(model, name)
    assert list(again.state_dict()) == list(model.state_dict())
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    assert [entry.name for entry in tmp_path.iterdir()] == ["ours.safetensors"]


def test_saved_weights_tell_their_sizes_to_any_reader(tmp_path: Path) -> None:
    save_weights(ConvMixer(**TINY), tmp_path / "ours.safetensors")
    with safetensors.safe_open(tmp_path / "ours.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert metadata == {
        "format": "pt",
        "architecture": "ConvMixer",
        **{name: str(value) for name, value in TINY.items()},
        "in_channels": "3",
        "activation": "gelu",
        "norm": "batch",
        "residual": "depthwise",
    }


@pytest.mark.parametrize("architecture", ["vit", "mlp-mixer", "resnet"])
def test_baselines_are_saved_and_loaded_by_their_own_names(architecture: str, tmp_path: Path) -> None:
    sizes = {"image_size": 8, "in_channels": 1, "num_classes": 10, "depth": 8 if architecture == "resnet" else 1}
    model, again = (build_model(architecture, **sizes) for _ in range(2))
    path = tmp_path / "baseline.safetensors"
    save_weights(perturb(model), path)
    load_weights(again, path)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    with pytest.raises(ConvMixerError, match="expected those of a ConvMixer$"):
        describe_weights(path)


def change(tensors: dict[str, Tensor], name: str, value: Tensor | None) -> dict[str, Tensor]:
    """``tensors`` with another value under ``name``, or none."""
    changed = {**tensors, name: value}
    return {key: tensor for key, tensor in changed.items() if tensor is not None}


@pytest.mark.parametrize(
    ("layout", "name", "value", "fault"),
    [
        (
            "timm",
            "head.weight",
            torch.zeros(7, 8),
            "'head.weight' is of shape (7, 8), expected (5, 8); the file holds the weights of "
            + TINY_TEXT.replace("num_classes=5", "num_classes=7"),
        ),
        (
            "authors",
            "0.weight",
            torch.zeros(8, 3, 4, 4),
            "'stem.0.weight' is of shape (8, 3, 4, 4), expected (8, 3, 2, 2); the file holds the weights of "
            + TINY_TEXT.replace("patch_size=2", "patch_size=4"),
        ),
        (
            "README",
            "2.1.0.bias",
            None,
            "'blocks.1.1.bias' of shape (8,) is missing; the file holds the weights of " + TINY_TEXT,
        ),
        (
            "timm",
            "extra.weight",
            torch.zeros(2),
            "'extra.weight' of shape (2,) is in the file and not in the model; the file holds the weights of "
            + TINY_TEXT,
        ),
        (  # 7 is the classifier's place with two blocks; another cannot take the same
            "authors",
            "8.weight",
            torch.zeros(5, 8),
            "'8.weight' of shape (5, 8) is in the file and not in the model; the file holds the weights of "
            + TINY_TEXT,
        ),
        (
            "timm",
            "head.bias",
            torch.zeros(5, dtype=torch.int64),
            "'head.bias' is of integers, expected of fractions; the file holds the weights of " + TINY_TEXT,
        ),
        (
            "timm",
            "head.bias",
            torch.zeros(5, device="meta"),
            "'head.bias' is a meta tensor in torch.strided, expected of fractions; the file holds the weights of "
            + TINY_TEXT,
        ),
        (
            "timm",
            "head.weight",
            None,
            "'head.weight' of shape (5, 8) is missing; the file holds 36 tensors from 'stem.0.weight' on",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named_and_nothing_is_loaded(
    layout: str, name: str, value: Tensor | None, fault: str, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(change(LAYOUTS[layout](**TINY).state_dict(), name, value), path)
    model = ConvMixer(**TINY)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(ConvMixerError) as caught:
        load_weights(model, path)
    assert str(caught.value) == f"load_weights: {str(path)!r} does not fit the model: {fault}"
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_another_depth_is_refused_and_told(tmp_path: Path) -> None:
    torch.save(as_authors(**{**TINY, "depth": 3}).state_dict(), tmp_path / "deep.pth")
    with pytest.raises(ConvMixerError) as caught:
        load_weights(ConvMixer(**TINY), tmp_path / "deep.pth")
    assert str(caught.value) == (
        f"load_weights: {str(tmp_path / 'deep.pth')!r} does not fit the model: 'blocks.2.0.fn.0.weight' of shape "
        "(8, 1, 3, 3) is in the file and not in the model; the file holds the weights of "
        + TINY_TEXT.replace("depth=2", "depth=3")
    )
