"""What the tests of our C++ kernels share: layers to give them, their layout undone, and memory that shows gaps."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from convmixer import native


@contextmanager
def poison_outputs() -> Iterator[None]:
    """torch fills new memory with NaN here, so that a value that no kernel writes is seen."""
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert torch.empty(3).isnan().all()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def as_images(x: Tensor, grid: int) -> Tensor:
    """(channels, columns) of the blocked layout as (images, channels, grid, grid)."""
    channels, images = len(x), x.shape[1] // grid**2
    whole = images // 16 * 16
    blocks, rest = x.split([whole * grid**2, (images - whole) * grid**2], dim=1)
    parts = []
    for part, lanes in ((blocks, 16), (rest, images - whole)):
        if part.numel():
            parts.append(part.reshape(channels, -1, grid, grid, lanes).permute(1, 4, 0, 2, 3).flatten(0, 1))
    return torch.cat(parts)


def make_norm(channels: int, **values: object) -> native.Norm:
    names = ("bias", "weight", "shift", "running_mean", "running_variance", "mean", "inverse_deviation")
    zeros = ("bias", "shift", "running_mean", "mean")
    vectors = {name: torch.full((channels,), 0.0 if name in zeros else 1.0) for name in names}
    fixed = {"momentum": 0.1, "epsilon": 1e-5, "training": True, "activation": "gelu"}
    return native.Norm(**(vectors | fixed | values))
