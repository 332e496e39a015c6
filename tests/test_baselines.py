"""The factory: documented sizes, counted work, refusals; and every architecture trains like any other."""

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from convmixer import ConvMixerError, baselines
from convmixer.baselines import BASELINES, architectures, build_model, multiply_accumulates_of
from convmixer.data import Dataset, load
from convmixer.model import ConvMixer, count_parameters, multiply_accumulates
from convmixer.recipe import choose_recipe
from convmixer.train import seed_everything, train

CIFAR10 = {"image_size": 32, "in_channels": 3, "num_classes": 10}
DIGITS = {"image_size": 8, "in_channels": 1, "num_classes": 10}
SMALL = {
    "convmixer": {"width": 8, "depth": 1, "patch_size": 2, "kernel_size": 3},
    "vit": {"width": 32, "depth": 1, "patch_size": 4},
    "mlp-mixer": {"width": 16, "depth": 1, "patch_size": 2},
    "resnet": {"width": 16, "depth": 8},
}
# Parameters and multiply-accumulates on CIFAR-10, those of ResNet-44 also by hand below.
BASELINE_SIZES = {"vit": (683_242, 48_293_952), "mlp-mixer": (652_650, 42_763_200), "resnet": (661_338, 97_436_288)}


@pytest.mark.parametrize("architecture", BASELINE_SIZES)
def test_baselines_are_as_large_as_convmixer_256_8(architecture: str) -> None:
    model = build_model(architecture, **CIFAR10)
    counted = count_parameters(model), multiply_accumulates_of(model, (3, 32, 32))
    assert counted == BASELINE_SIZES[architecture]
    assert 550_000 <= counted[0] <= 750_000


def test_the_documented_table_is_what_is_built() -> None:
    rows = re.findall(
        r"^\| ([\w-]+) +\| (\d+) +\| (\d+) +\| (\d+|none) +\| ([\d,]+) +\| ([\d.]+) M", baselines.__doc__, re.MULTILINE
    )
    assert {row[0] for row in rows} == set(architectures())
    for architecture, width, depth, patch_size, parameters, millions in rows:
        sizes = {"width": int(width), "depth": int(depth)}
        if architecture == "convmixer":
            sizes |= {"patch_size": int(patch_size), "kernel_size": {"2": 5, "4": 9}[patch_size]}
        else:
            assert patch_size == str(BASELINES[architecture].patch_size).lower()
        model = build_model(architecture, **sizes, **CIFAR10)
        macs = multiply_accumulates_of(model, (3, 32, 32)) / 1e6
        assert (f"{count_parameters(model):,}", f"{macs:.1f}") == (parameters, millions)


def test_the_resnet_is_the_cifar_resnet_44() -> None:
    model = build_model("resnet", **CIFAR10)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    shortcuts = [layer for layer in layers if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)]
    assert len(layers) - len(shortcuts) == 44
    assert len(shortcuts) == 2
    stage = [(16, 16, 14, 32), (16, 32, 1, 16), (32, 32, 13, 16), (32, 64, 1, 8), (64, 64, 13, 8)]
    by_hand = 3 * 16 * 9 * 32**2 + 64 * 10 + sum(9 * a * b * n * grid**2 for a, b, n, grid in stage)
    by_hand += 16 * 32 * 16**2 + 32 * 64 * 8**2  # the shortcuts
    assert multiply_accumulates_of(model, (3, 32, 32)) == by_hand
    grids = []
    for name in ("layer1", "layer2", "layer3"):
        model.get_submodule(name).register_forward_hook(lambda _, __, output: grids.append(tuple(output.shape[1:])))
    model(torch.zeros(2, 3, 32, 32))
    assert grids == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


@pytest.mark.parametrize(("patch_size", "kernel_size"), [(1, 9), (2, 5), (4, 3)])
def test_counted_multiply_accumulates_of_a_convmixer_are_those_of_the_formula(
    patch_size: int, kernel_size: int
) -> None:
    sizes = {"width": 16, "depth": 3, "patch_size": patch_size, "kernel_size": kernel_size, "num_classes": 10}
    model = ConvMixer(**sizes).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert multiply_accumulates_of(model, (3, 32, 32)) == multiply_accumulates(**sizes, image_size=32)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_convmixer_is_built_with_its_switches() -> None:
    model = build_model("convmixer", **SMALL["convmixer"], **DIGITS, activation="relu", norm="layer", residual="none")
    assert isinstance(model, ConvMixer)
    assert (model.width, model.depth, model.patch_size, model.kernel_size) == (8, 1, 2, 3)
    assert (model.in_channels, model.num_classes, model.activation) == (1, 10, "relu")
    assert (model.norm, model.residual) == ("layer", "none")


@pytest.mark.parametrize("architecture", BASELINES)
def test_sizes_left_out_or_zero_are_the_usual_ones(architecture: str) -> None:
    seed_everything(0)
    left_out = build_model(architecture, **DIGITS).state_dict()
    seed_everything(0)
    zero = build_model(architecture, **DIGITS, width=0, depth=0, patch_size=0, kernel_size=0).state_dict()
    assert list(left_out) == list(zero)
    assert all(torch.equal(left_out[name], zero[name]) for name in zero)


@pytest.mark.parametrize("architecture", SMALL)
def test_memory_format_changes_no_logits_and_every_parameter_gets_a_gradient(architecture: str) -> None:
    seed_everything(0)
    model = build_model(architecture, **SMALL[architecture], **DIGITS)
    with torch.no_grad():
        for value in model.parameters():  # timm begins some with zero, which stops every gradient before them
            value += 0.1 * torch.randn_like(value)
    images = torch.randn(4, 1, 8, 8)
    logits = model(images)
    logits.square().sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []
    model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(model(images.contiguous(memory_format=torch.channels_last)), logits)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """The embedded digits, half of them to train on."""
    whole = load("digits")
    return replace(whole, train_images=whole.train_images[:700], train_labels=whole.train_labels[:700])


@pytest.mark.parametrize("architecture", BASELINES)
def test_baselines_learn_the_digits_and_repeat_themselves(architecture: str, digits: Dataset) -> None:
    columns = []
    for _ in range(2):
        seed_everything(0)
        model = build_model(architecture, **SMALL[architecture], **DIGITS)
        history = train(model, digits, choose_recipe("smoke", 4), seed=0, device="cpu", precision="fp32")
        columns.append({name: column for name, column in history.as_columns().items() if name != "seconds"})
        assert history.path == "plain"
    assert columns[0] == columns[1]
    assert columns[0]["test_accuracy"][-1] > 0.3  # a tenth would be chance


@pytest.mark.parametrize(
    ("architecture", "sizes", "message"),
    [
        (
            "resnet50",
            {},
            "build_model: unknown architecture 'resnet50'; known are convmixer, vit, mlp-mixer, resnet",
        ),
        ("vit", {"kernel_size": 5}, "build_model: kernel_size is 5, but 'vit' has none; leave it out"),
        ("resnet", {"patch_size": 2}, "build_model: patch_size is 2, but 'resnet' has none; leave it out"),
        ("vit", {"width": 100}, "build_model: 'vit' has width 100; expected a multiple of 32, one head"),
        (
            "resnet",
            {"depth": 18},
            "build_model: 'resnet' has depth 18; expected 6 n + 2, such as 20, 32, 44 or 56",
        ),
        ("resnet", {"depth": 2}, "build_model: 'resnet' has depth 2; expected 6 n + 2, such as 20, 32, 44 or 56"),
        ("resnet", {"width": 17}, "build_model: 'resnet' has width 17; expected an even number of 16 or more"),
        ("resnet", {"width": 8}, "build_model: 'resnet' has width 8; expected an even number of 16 or more"),
        (
            "mlp-mixer",
            {"patch_size": 6},
            (
                "build_model: patch_size 6 does not divide image_size 32; pixels would be dropped. "
                "Take a divisor, such as 2"
            ),
        ),
        ("mlp-mixer", {"depth": -1}, "build_model: depth of 'mlp-mixer' is -1; expected an integer of 1 or more"),
        ("vit", {"width": 96.0}, "build_model: width of 'vit' is 96.0; expected an integer of 1 or more"),
        ("vit", {"activation": "relu"}, "build_model: 'vit' has no switch 'activation'; leave it out"),
        (
            "convmixer",
            {"width": 8, "depth": 1, "patch_size": 5, "kernel_size": 3},
            (
                "ConvMixer: patch_size is 5, which does not divide images of 32x32 pixels, so that some would never be "
                "seen; expected a divisor of both"
            ),
        ),
        ("convmixer", {"width": 8}, "ConvMixer: depth is None; expected an integer of 1 or more"),
    ],
)
def test_what_cannot_be_built_is_refused(architecture: str, sizes: dict[str, object], message: str) -> None:
    with pytest.raises(ConvMixerError) as caught:
        build_model(architecture, **CIFAR10, **sizes)
    assert str(caught.value) == message


def test_unknown_switches_of_convmixer_are_refused() -> None:
    with pytest.raises(
        ConvMixerError, match=r"^build_model: 'convmixer' has no switch 'colour'; known are activation, norm, residual$"
    ):
        build_model("convmixer", **CIFAR10, **SMALL["convmixer"], colour="red")
