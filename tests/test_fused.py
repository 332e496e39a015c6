"""The whole model through our kernels computes what the plain path computes, on the same parameters."""

import copy

import pytest
import torch
from torch import Tensor, nn

from convmixer import ConvMixerError
from convmixer.model import ConvMixer
from tests.interpreted import DEVICE, import_kernels, poison_allocations, relative_error

forward_fused = import_kernels("convmixer.fused").forward_fused

# torch tells, once, that an even kernel may need a padded copy of its input.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


@pytest.fixture(autouse=True)
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    poison_allocations(monkeypatch)


def make_model(patch_size: int = 2, kernel_size: int = 3, activation: str = "gelu") -> ConvMixer:
    torch.manual_seed(0)
    model = ConvMixer(
        width=3,
        depth=2,
        patch_size=patch_size,
        kernel_size=kernel_size,
        num_classes=4,
        in_channels=2,
        activation=activation,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))  # norms that start at 1 and 0 would hide a mistake
    return model.to(DEVICE)


def make_images(batch: int, size: int) -> Tensor:
    return torch.randn(batch, 2, size, size, generator=torch.Generator().manual_seed(batch)).to(DEVICE)


def weigh(logits: Tensor) -> Tensor:
    return (logits * torch.arange(4, device=logits.device)).square().sum()


@pytest.mark.parametrize(
    ("patch_size", "kernel_size", "image_size", "batch", "activation"),
    [(2, 5, 8, 3, "gelu"), (1, 4, 5, 2, "relu"), (4, 9, 32, 3, "gelu"), (1, 3, 1, 5, "gelu")],
)
def test_logits_gradients_and_running_statistics_are_those_of_the_plain_path(
    patch_size: int, kernel_size: int, image_size: int, batch: int, activation: str
) -> None:
    model, images = make_model(patch_size, kernel_size, activation), make_images(batch, image_size)
    plain = copy.deepcopy(model).double().cpu()
    for _ in range(2):
        logits, expected = forward_fused(model, images), plain(images.double().cpu())
        weigh(logits).backward()
        weigh(expected).backward()
    assert relative_error(logits, expected.detach()) < 1e-5
    largest = max(parameter.grad.norm() for parameter in plain.parameters())
    for (name, one), other in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert (one.grad.cpu().double() - other.grad).norm() < 1e-4 * other.grad.norm() + 1e-6 * largest, name
    for (name, one), other in zip(model.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one.cpu().double(), other.double(), rtol=1e-5, atol=1e-6, msg=name)
    counters = [layer.num_batches_tracked.item() for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert counters == [2] * 5


def test_evaluation_uses_the_running_statistics_and_leaves_them() -> None:
    model, images = make_model(), make_images(3, 8)
    forward_fused(model, make_images(5, 8))
    before = copy.deepcopy(model.eval().state_dict())
    with torch.inference_mode():
        logits = forward_fused(model, images)
    assert relative_error(logits, copy.deepcopy(model).double().cpu()(images.double().cpu()).detach()) < 1e-5
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_autocast_decides_the_type_of_the_activations(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bfloat16 logits and gradients stray from float64 about as far as the plain path's do under autocast."""
    model, images = make_model(), make_images(5, 8)
    models = {"fused": copy.deepcopy(model), "plain": copy.deepcopy(model)}
    exact = copy.deepcopy(model).double().cpu()
    weigh(exact(images.double().cpu())).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in exact.parameters()])
    errors = {}
    for name, forward in (("fused", lambda x: forward_fused(models["fused"], x)), ("plain", models["plain"])):
        with torch.autocast(DEVICE, dtype=torch.bfloat16):
            logits = forward(images)
        assert logits.dtype == torch.bfloat16
        weigh(logits.float()).backward()
        assert all(parameter.grad.dtype == torch.float32 for parameter in models[name].parameters())
        found = torch.cat([parameter.grad.flatten() for parameter in models[name].parameters()])
        errors[name] = relative_error(found, expected)
    assert errors["fused"] < 2 * errors["plain"] < 0.2  # the interpreter rounds by cutting off, which is twice as rough


def test_images_get_the_same_gradient() -> None:
    model, images = make_model(), make_images(3, 8)
    plain = copy.deepcopy(model).double().cpu()
    ours, theirs = images.clone().requires_grad_(), images.double().cpu().requires_grad_()
    weigh(forward_fused(model, ours)).backward()
    weigh(plain(theirs)).backward()
    assert relative_error(ours.grad, theirs.grad) < 1e-5


def test_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(ConvMixerError) as caught:
        forward_fused(make_model(), torch.zeros(1, 2, 8, 4))
    assert str(caught.value) == "forward_fused: images of shape (1, 2, 8, 4); expected square ones"


def test_a_single_value_of_a_channel_is_refused_in_training() -> None:
    model = make_model()
    with pytest.raises(ConvMixerError) as caught:
        forward_fused(model, make_images(1, 2))
    assert str(caught.value) == (
        "forward_fused: one image of one patch; batch normalisation needs two values to train on"
    )
    assert forward_fused(model.eval(), make_images(1, 2)).shape == (1, 4)
