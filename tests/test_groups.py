"""Images are changed group by group, each in its place, and only those that are named."""

import pytest
import torch

from convmixer.groups import change_groups, group_members


def make_batch(count: int) -> torch.Tensor:
    """Image i is all i."""
    return torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()


def test_members_are_listed_by_kind_in_their_order() -> None:
    members = group_members(torch.tensor([2, 0, 2, 2, 0]), 4)
    assert [some.tolist() for some in members] == [[1, 4], [], [0, 2, 3], []]


def test_each_group_is_changed_in_its_places_and_the_others_stay() -> None:
    images = make_batch(6)
    groups = [(torch.tensor([4, 1]), lambda some: some + 10), (torch.tensor([3]), lambda some: some * 20)]
    assert change_groups(images, groups).flatten(1).tolist() == [[i] * 4 for i in (0, 11, 2, 60, 14, 5)]
    assert torch.equal(images, make_batch(6))


def test_a_group_sees_its_images_in_the_order_in_which_it_lists_them() -> None:
    seen = []
    change_groups(
        make_batch(5), [(torch.tensor([3, 0, 4]), lambda some: seen.extend(some[:, 0, 0, 0].tolist()) or some)]
    )
    assert seen == [3, 0, 4]


def test_all_images_may_be_in_groups() -> None:
    changed = change_groups(make_batch(3), [(torch.tensor([2, 0, 1]), lambda some: some + 1)])
    assert changed[:, 0, 0, 0].tolist() == [1, 2, 3]


def test_nothing_is_called_for_no_members() -> None:
    images, nobody = make_batch(2), torch.tensor([], dtype=torch.int64)
    assert change_groups(images, [(nobody, lambda _: pytest.fail("called"))]) is images
