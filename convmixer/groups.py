"""Images of one batch that are changed in different ways: sorted into groups on the CPU, changed group by group.

Each image is touched once on its way out, once on its way back, and by nothing that is not meant for it. Which image
belongs to which group is known on the CPU, so nothing waits for a GPU.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from convmixer.transfer import send

# The numbers (m,) of some images of a batch, a list on the CPU, and what becomes of these images, (m, c, h, w).
Group = tuple[Tensor, Callable[[Tensor], Tensor]]


def group_members(kinds: Tensor, count: int) -> tuple[Tensor, ...]:
    """For each kind from 0 to ``count - 1`` the numbers of the images that ``kinds`` (n,), on the CPU, says are of it."""
    sizes = kinds.bincount(minlength=count).tolist()
    return kinds.argsort(stable=True).split(sizes)


def change_groups(images: Tensor, groups: Sequence[Group]) -> Tensor:
    """``images`` (n, c, h, w) with those of each group changed, the others as they are. No image is in two groups."""
    groups = [(members, change) for members, change in groups if len(members)]
    if not groups:
        return images
    chosen = torch.cat([members for members, _ in groups])
    is_left = torch.ones(len(images), dtype=torch.bool)
    is_left[chosen] = False
    order = torch.cat([chosen, is_left.nonzero().squeeze(1)])
    sizes = [len(members) for members, _ in groups] + [len(images) - len(chosen)]
    # Sorted, changed and sorted back as a whole: writing into chosen images costs ten times as much on a CPU.
    *parts, others = images.index_select(0, send(order, images.device)).split(sizes)
    changed = [change(part) for part, (_, change) in zip(parts, groups, strict=True)]
    return torch.cat([*changed, others]).index_select(0, send(order.argsort(), images.device))
