"""From the CPU, where everything random is decided, to the device that holds the images, without waiting for it.

A plain copy from the CPU makes the CPU wait until a GPU has caught up. A copy from pinned memory does not, and neither
does indexing with a list of numbers; indexing with a mask would, since its length is known to the GPU alone.
"""

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
