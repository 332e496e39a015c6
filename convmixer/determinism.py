"""Whether the same seed gives the same bits each time on one device, or whether a GPU may take faster ways.

TF32 is not among these: a product of 32-bit numbers that keeps 10 bits of them is no fp32.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from convmixer import ConvMixerError

_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
_REPEATABLE = (":4096:8", ":16:8")  # the values with which cuBLAS gives the same bits (NVIDIA's cuBLAS guide)


def prepare_determinism(device: torch.device) -> None:
    """Set ``CUBLAS_WORKSPACE_CONFIG`` as repeatable training on a GPU needs it, before CUDA starts.

    Raises ``ConvMixerError`` where it has another value, or where it has none and it is too late to set it.
    """
    found = os.environ.get(_VARIABLE)
    if device.type != "cuda" or found in _REPEATABLE:
        return
    if found is None and not torch.cuda.is_initialized():
        os.environ[_VARIABLE] = _REPEATABLE[0]
        return
    too_late = "" if found is not None else ", and CUDA has started, so that it is too late to set it"
    raise ConvMixerError(
        f"train: deterministic is True, but the environment's {_VARIABLE} is {found!r}{too_late}; expected "
        f"{' or '.join(map(repr, _REPEATABLE))}: set it before Python starts, or give deterministic=False"
    )


@contextmanager
def use_algorithms(device: torch.device, *, deterministic: bool) -> Iterator[None]:
    """Let torch use only operations that give the same bits each time, or let cuDNN search for its fastest.

    On a CPU nothing changes: with one number of threads its operations repeat themselves anyway.
    """
    if device.type != "cuda":
        yield
        return
    cudnn, fill = torch.backends.cudnn, torch.utils.deterministic
    before = (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, fill.fill_uninitialized_memory)
    mode = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = deterministic, not deterministic, False
    fill.fill_uninitialized_memory = False  # it finds reads of memory never written, and costs a pass over each tensor
    torch.use_deterministic_algorithms(deterministic)
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, fill.fill_uninitialized_memory = before
        torch.use_deterministic_algorithms(mode[0], warn_only=mode[1])
