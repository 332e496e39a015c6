"""The model: exact sizes, timm's numbers, refusals."""

import pytest
import timm
import torch
from timm.models.convmixer import ConvMixer as TimmConvMixer
from torch import nn

from convmixer import ConvMixerError
from convmixer.model import (
    ACTIVATIONS,
    NORMS,
    RESIDUALS,
    ChannelNorm,
    ConvMixer,
    count_parameters,
    count_parameters_by_formula,
    multiply_accumulates,
    refuse_cut_images,
)

# ConvMixer-256/8 on CIFAR-10 by (patch_size, kernel_size): trained values, and multiply-accumulates in millions.
CIFAR10_SIZES = {
    (1, 3): (559_114, 556.5),
    (1, 5): (591_882, 590.1),
    (1, 7): (641_034, 640.4),
    (1, 9): (706_570, 707.5),
    (2, 3): (561_418, 139.7),
    (2, 5): (594_186, 148.1),
    (2, 7): (643_338, 160.7),
    (2, 9): (708_874, 177.5),
    (4, 3): (570_634, 35.5),
    (4, 5): (603_402, 37.6),
    (4, 7): (652_554, 40.8),
    (4, 9): (718_090, 45.0),
}
IMAGENET_SIZES = [
    ({"width": 1536, "depth": 20, "patch_size": 7, "kernel_size": 9}, "gelu", 51_625_960, "convmixer_1536_20"),
    ({"width": 768, "depth": 32, "patch_size": 7, "kernel_size": 7}, "relu", 21_110_248, "convmixer_768_32"),
    ({"width": 1024, "depth": 20, "patch_size": 14, "kernel_size": 9}, "gelu", 24_383_464, "convmixer_1024_20_ks9_p14"),
]
# torch tells, once, that an even kernel may need a padded copy of its input.
EVEN_KERNEL_WARNING = "ignore:Using padding='same' with even kernel lengths:UserWarning"
TINY = {"width": 8, "depth": 2, "patch_size": 2, "kernel_size": 3, "num_classes": 5}


@pytest.mark.parametrize(("patch_size", "kernel_size"), CIFAR10_SIZES)
def test_cifar10_models_have_the_exact_number_of_parameters(patch_size: int, kernel_size: int) -> None:
    sizes = {"width": 256, "depth": 8, "patch_size": patch_size, "kernel_size": kernel_size, "num_classes": 10}
    expected, millions = CIFAR10_SIZES[patch_size, kernel_size]
    assert count_parameters(ConvMixer(**sizes)) == expected
    assert count_parameters_by_formula(**sizes) == expected
    assert round(multiply_accumulates(**sizes, image_size=32) / 1e6, 1) == millions


@pytest.mark.parametrize(("sizes", "activation", "expected", "timm_name"), IMAGENET_SIZES)
def test_imagenet_models_are_as_large_as_published_and_shaped_as_in_timm(
    sizes: dict[str, int], activation: str, expected: int, timm_name: str
) -> None:
    with torch.device("meta"):
        ours = ConvMixer(**sizes, num_classes=1000, activation=activation)
        theirs = timm.create_model(timm_name)
    assert count_parameters(ours) == count_parameters_by_formula(**sizes, num_classes=1000) == expected
    assert [(name, value.shape) for name, value in ours.state_dict().items()] == [
        (name, value.shape) for name, value in theirs.state_dict().items()
    ]
    assert {type(m) for m in ours.modules()} & {nn.GELU, nn.ReLU} == {type(theirs.stem[1])}


@pytest.mark.filterwarnings(EVEN_KERNEL_WARNING)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("kernel_size", "activation"), [(3, "gelu"), (4, "gelu"), (9, "relu")])
def test_logits_equal_timms_with_its_weights(kernel_size: int, activation: str, training: bool) -> None:
    torch.manual_seed(0)
    act = {"gelu": nn.GELU, "relu": nn.ReLU}[activation]
    theirs = TimmConvMixer(16, 3, kernel_size, 2, num_classes=7, act_layer=act).train(training)
    ours = ConvMixer(
        width=16, depth=3, patch_size=2, kernel_size=kernel_size, num_classes=7, activation=activation
    ).train(training)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(4, 3, 12, 12)
    assert torch.equal(ours(images), theirs(images))


def test_every_parameter_gets_a_gradient() -> None:
    model = ConvMixer(**TINY)
    model(torch.randn(4, 3, 8, 8)).square().sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


@pytest.mark.parametrize("residual", RESIDUALS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_ablation_has_as_many_parameters_and_trains_them_all(activation: str, norm: str, residual: str) -> None:
    torch.manual_seed(0)
    model = ConvMixer(**TINY, activation=activation, norm=norm, residual=residual)
    assert (model.activation, model.norm, model.residual) == (activation, norm, residual)
    assert count_parameters(model) == count_parameters_by_formula(**TINY)
    model(torch.randn(4, 3, 8, 8)).square().sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


@pytest.mark.parametrize("residual", RESIDUALS)
def test_the_residuals_go_around_what_they_say(residual: str) -> None:
    x, block = torch.randn(2, 8, 4, 4), ConvMixer(**TINY, residual=residual).blocks[0].eval()
    depthwise, pointwise = (layer for layer in block.modules() if isinstance(layer, nn.Conv2d))
    first_norm, second_norm = (layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d))
    places = first_norm(nn.functional.gelu(depthwise(x))) + (0 if residual == "none" else x)
    expected = second_norm(nn.functional.gelu(pointwise(places))) + (places if residual == "both" else 0)
    torch.testing.assert_close(block(x), expected)


def test_layer_norm_is_over_the_channels_of_each_place() -> None:
    x, norm = torch.randn(2, 8, 3, 5), ChannelNorm(8)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    mean, variance = x.mean(1, keepdim=True), x.var(1, correction=0, keepdim=True)
    expected = (x - mean) / (variance + norm.eps).sqrt() * norm.weight.view(1, 8, 1, 1) + norm.bias.view(1, 8, 1, 1)
    torch.testing.assert_close(norm(x), expected)


@pytest.mark.parametrize("norm", NORMS)
def test_a_layer_norm_has_the_names_of_a_batch_norm_less_its_statistics(norm: str) -> None:
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    named = [name for name in ConvMixer(**TINY).state_dict() if not (norm == "layer" and name.endswith(statistics))]
    assert list(ConvMixer(**TINY, norm=norm).state_dict()) == named


def test_images_that_patches_do_not_tile_are_refused() -> None:
    model = ConvMixer(**{**TINY, "patch_size": 5})
    refuse_cut_images(model, (10, 25))
    refuse_cut_images(nn.Linear(2, 2), (7, 7))
    for size in ((32, 32), (4, 4), (10, 12)):
        with pytest.raises(ConvMixerError) as caught:
            refuse_cut_images(model, size)
        assert str(caught.value) == (
            f"ConvMixer: patch_size is 5, which does not divide images of {size[0]}x{size[1]} pixels, so that some "
            "would never be seen; expected a divisor of both"
        )


def test_images_of_one_channel_are_taken() -> None:
    assert ConvMixer(**TINY, in_channels=1)(torch.randn(4, 1, 8, 8)).shape == (4, 5)


def test_multiply_accumulates_agree_with_a_count_of_the_layers() -> None:
    model, counted = ConvMixer(**TINY), []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(
                lambda layer, _, output: counted.append(layer.weight[0].numel() * output[0].numel())
            )
    model(torch.randn(2, 3, 8, 8))
    assert multiply_accumulates(**TINY, image_size=8) == sum(counted)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "8", None])
@pytest.mark.parametrize("name", [*TINY, "in_channels"])
def test_sizes_that_are_no_positive_integers_are_refused(name: str, value: object) -> None:
    with pytest.raises(ConvMixerError) as caught:
        ConvMixer(**{**TINY, name: value})
    assert str(caught.value) == f"ConvMixer: {name} is {value!r}; expected an integer of 1 or more"


@pytest.mark.parametrize(("kind", "known"), [("norm", "batch, layer"), ("residual", "depthwise, both, none")])
def test_unknown_switches_are_refused(kind: str, known: str) -> None:
    with pytest.raises(ConvMixerError) as caught:
        ConvMixer(**TINY, **{kind: "group"})
    assert str(caught.value) == f"ConvMixer: unknown {kind} 'group'; known are {known}"


def test_unknown_activations_are_refused() -> None:
    with pytest.raises(ConvMixerError) as caught:
        ConvMixer(**TINY, activation="swish")
    assert str(caught.value) == "ConvMixer: unknown activation 'swish'; known are gelu, relu"
