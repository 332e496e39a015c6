"""A model that the fast ways would compute wrongly is told from one that they compute."""

from collections.abc import Callable

import pytest
from torch import nn

from convmixer.computable import find_difference
from convmixer.model import ConvMixer


def make_model(**options: str) -> ConvMixer:
    return ConvMixer(width=4, depth=2, patch_size=2, kernel_size=3, num_classes=3, **options)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_a_convmixer_as_it_is_built_differs_in_nothing(activation: str) -> None:
    assert find_difference(make_model(activation=activation)) is None


@pytest.mark.parametrize(
    ("model", "difference"),
    [
        (nn.Flatten(), "it computes a ConvMixer, and this is a Flatten"),
        (
            make_model(norm="layer"),
            "it computes norm 'batch' and residual 'depthwise', and these are 'layer' and 'depthwise'",
        ),
        (
            make_model(residual="none"),
            "it computes norm 'batch' and residual 'depthwise', and these are 'batch' and 'none'",
        ),
    ],
)
def test_another_model_is_named(model: nn.Module, difference: str) -> None:
    assert find_difference(model) == difference


def replace_an_activation(model: ConvMixer) -> None:
    model.blocks[0][0].fn[1] = nn.ReLU()


def forget_the_momentum(model: ConvMixer) -> None:
    model.stem[2].momentum = None


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (replace_an_activation, "a module of the model was replaced"),
        (lambda model: model.head.register_forward_hook(print), "a module of the model has a hook"),
        (lambda model: model.register_forward_pre_hook(print), "a module of the model has a hook"),
        (lambda model: model.stem.register_full_backward_hook(print), "a module of the model has a hook"),
        (lambda model: model.stem.register_full_backward_pre_hook(print), "a module of the model has a hook"),
        (forget_the_momentum, "it needs a number as momentum of batch normalisation, and the model has None"),
    ],
)
def test_what_a_user_changed_is_named(change: Callable[[ConvMixer], object], difference: str) -> None:
    model = make_model()
    change(model)
    assert find_difference(model) == difference
