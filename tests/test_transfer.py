"""What is decided on the CPU reaches the images, and only those that it names."""

import pytest
import torch

from convmixer.transfer import change_members, constant, members_of, send

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


def test_only_members_change() -> None:
    images = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    change_members(images, members_of(torch.tensor([True, False, True, False])), lambda some: some + 7)
    assert images.flatten(1).amax(1).tolist() == [7, 0, 7, 0]


def test_nothing_is_called_for_no_members() -> None:
    change_members(torch.zeros(2, 1, 2, 2), torch.tensor([], dtype=torch.int64), lambda _: pytest.fail("called"))
