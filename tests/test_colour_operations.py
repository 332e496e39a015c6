"""Operations that move nothing, on values that can be counted by hand; elsewhere they are compared with PIL's."""

import pytest
import torch

from convmixer.colour_operations import COLOUR_OPERATIONS, apply_colour, group_colours
from convmixer.groups import change_groups, group_members
from convmixer.streams import stream
from tests.pictures import make_images

ROW = torch.tensor([0, 10, 100, 200], dtype=torch.uint8).view(1, 1, 1, 4)


@pytest.mark.parametrize(
    ("name", "amount", "expected"),
    [
        ("Brightness", 1.5, [0, 15, 150, 255]),
        ("Contrast", 0.5, [39, 44, 89, 139]),  # the mean is 77.5, rounded 78
        ("Posterize", 2.0, [0, 0, 64, 192]),
        ("Solarize", 100.0, [0, 10, 155, 55]),
        ("SolarizeAdd", 110.0, [110, 120, 210, 200]),
        ("Invert", 0.0, [255, 245, 155, 55]),
        ("AutoContrast", 0.0, [0, 12, 127, 254]),  # in float64 200 * (255 / 200) is less than 255, in PIL too
        ("Equalize", 0.0, [0, 10, 100, 200]),  # fewer than 255 pixels: no step
        ("Color", 0.3, [0, 10, 100, 200]),  # grey already
    ],
)
def test_values_are_those_of_the_formula(name: str, amount: float, expected: list[int]) -> None:
    assert apply_colour(name, ROW, torch.tensor([amount], dtype=torch.float64)).flatten().tolist() == expected


def test_equalize_spreads_values_by_the_number_of_darker_pixels() -> None:
    images = torch.tensor([7, 8, 9, 250], dtype=torch.uint8).repeat_interleave(255).view(1, 1, 30, 34)
    none = torch.zeros(1, dtype=torch.float64)
    # A step is (1020 - 255) // 255 = 3 pixels, and half a step, 1, is added: (1 + 255 * rank) // 3.
    assert apply_colour("Equalize", images, none).unique().tolist() == [0, 85, 170, 255]


def test_a_batch_of_all_operations_gives_what_each_gives_alone() -> None:
    names = sorted(COLOUR_OPERATIONS)
    images = make_images(40)
    kinds = torch.randint(len(names), (40,), generator=stream(0))
    amounts = torch.rand(40, generator=stream(1), dtype=torch.float64) * 4
    members = dict(zip(names, group_members(kinds, len(names)), strict=True))
    together = change_groups(images, group_colours(members, amounts))
    for i, kind in enumerate(kinds.tolist()):
        alone = apply_colour(names[kind], images[i : i + 1], amounts[i : i + 1])
        assert torch.equal(together[i : i + 1], alone), names[kind]


def test_an_unknown_operation_is_an_error() -> None:
    with pytest.raises(KeyError, match="Rotate"):
        apply_colour("Rotate", ROW, torch.ones(1))
