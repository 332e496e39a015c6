"""From the CPU, where everything random is decided, to the device that holds the images, without waiting for it.

A plain copy from the CPU makes the CPU wait until a GPU has caught up. A copy from pinned memory does not, and neither
does indexing with a list of numbers; indexing with a mask would, since its length is known to the GPU alone.
"""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor


def send(values: Tensor, device: torch.device) -> Tensor:
    """``values`` on ``device``; the copy to a GPU takes its place in the queue, and the CPU goes on at once."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)  # torch frees pinned memory only after the copy
    return values.to(device)


@lru_cache(maxsize=32)
def constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """One value a channel, (1, c, 1, 1) float32 on ``device``, copied there once; not to be written to."""
    with torch.inference_mode(False):  # kept for later, hence usable in training too
        return torch.tensor(values, device=device).view(1, -1, 1, 1)


def change_members(images: Tensor, members: Tensor, change: Callable[[Tensor], Tensor]) -> None:
    """Replace the images (n, c, h, w) with the numbers ``members`` (m,), a list on the CPU, by ``change`` of them."""
    if len(members):
        places = send(members, images.device)
        images.index_copy_(0, places, change(images.index_select(0, places)))


def members_of(chosen: Tensor) -> Tensor:
    """The numbers (m,) of the images of which ``chosen`` (n,), a mask on the CPU, is true."""
    return chosen.nonzero().squeeze(1)
