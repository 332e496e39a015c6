"""What is decided on the CPU reaches the device of the images."""

import torch

from convmixer.transfer import constant, send

CPU = torch.device("cpu")


def test_on_a_cpu_nothing_is_copied() -> None:
    values = torch.arange(3)
    assert send(values, CPU) is values


def test_constants_are_made_once_and_serve_in_training_too() -> None:
    with torch.inference_mode():
        first = constant((0.25, 0.5), CPU)
    assert torch.equal(first, torch.tensor([[[[0.25]], [[0.5]]]]))
    assert constant((0.25, 0.5), CPU) is first
    assert not first.is_inference()
