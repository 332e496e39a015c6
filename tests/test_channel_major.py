"""The channel-major path computes the plain path's numbers, to the last digits that float64 allows."""

import copy

import pytest
import torch
from torch import Tensor

from convmixer import ConvMixerError
from convmixer.channel_major import forward_channel_major
from convmixer.model import ConvMixer

# torch tells, once, that an even kernel may need a padded copy of its input.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

# Both paths add the same products in another order; float64 leaves 16 digits, of which some are lost on the way.
TOLERANCE = {"rtol": 1e-9, "atol": 1e-11}


def make_model(patch_size: int = 2, kernel_size: int = 3, activation: str = "gelu") -> ConvMixer:
    torch.manual_seed(0)
    return ConvMixer(
        width=6,
        depth=2,
        patch_size=patch_size,
        kernel_size=kernel_size,
        num_classes=4,
        in_channels=2,
        activation=activation,
    ).double()


def run(model: ConvMixer, path: str, images: Tensor) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Two steps' last logits, the gradients by name and the buffers by name."""
    model = copy.deepcopy(model)
    for _ in range(2):
        logits = model(images) if path == "plain" else forward_channel_major(model, images)
        (logits * torch.arange(4)).square().sum().backward()
    return logits, {name: p.grad for name, p in model.named_parameters()}, dict(model.named_buffers())


@pytest.mark.parametrize("kernel_size", range(1, 10))
@pytest.mark.parametrize(("patch_size", "image_size"), [(1, 1), (2, 4), (1, 5), (4, 32), (3, 8)])
def test_logits_gradients_and_running_statistics_are_those_of_the_plain_path(
    kernel_size: int, patch_size: int, image_size: int
) -> None:
    model, images = make_model(patch_size, kernel_size), torch.randn(5, 2, image_size, image_size).double()
    plain, major = run(model, "plain", images), run(model, "channel-major", images)
    torch.testing.assert_close(major, plain, **TOLERANCE)
    assert all(value == 2 for name, value in major[2].items() if name.endswith("num_batches_tracked"))


def test_the_image_gets_the_same_gradient() -> None:
    model = make_model()
    images = torch.randn(3, 2, 8, 8).double()
    inputs = [images.clone().requires_grad_() for _ in range(2)]
    model(inputs[0]).square().sum().backward()
    forward_channel_major(model, inputs[1]).square().sum().backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, **TOLERANCE)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_evaluation_uses_the_running_statistics_and_leaves_them(activation: str) -> None:
    model = make_model(activation=activation)
    model(torch.randn(8, 2, 8, 8).double())
    before = copy.deepcopy(model.eval().state_dict())
    images = torch.randn(3, 2, 8, 8).double()
    torch.testing.assert_close(forward_channel_major(model, images), model(images), **TOLERANCE)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(ConvMixerError) as caught:
        forward_channel_major(make_model(), torch.zeros(1, 2, 8, 4).double())
    assert str(caught.value) == "forward_channel_major: images of shape (1, 2, 8, 4); expected square ones"
