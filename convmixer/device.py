"""What the training runs on: device, precision, memory format, and the allocator's thresholds on a CPU."""

import ctypes
import platform
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from convmixer import ConvMixerError
from convmixer.model import ConvMixer

Precision = Literal["fp32", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}

# From glibc's malloc.h; the thresholds are larger than any one activation that a CPU trains with in reasonable time.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_THRESHOLD_BYTES = 1 << 30


def choose_device(name: str | torch.device | None = None) -> torch.device:
    """The device ``name``, by default the GPU if there is one. ``ConvMixerError`` if it is unknown or absent."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConvMixerError(f"choose_device: unknown device {name!r}; expected 'cpu', 'cuda' or 'cuda:N'") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConvMixerError(
            f"choose_device: device is {str(name)!r}, but torch sees {torch.cuda.device_count()} GPUs; "
            "take another or leave it out"
        )
    return device


def choose_precision(precision: str, device: torch.device) -> Precision:
    """What to compute in; "auto" is the fastest that ``device`` has in hardware.

    On a GPU that is bf16, or fp16 with a gradient scaler where bf16 is missing; on a CPU bf16 with avx512_bf16 or
    amx_bf16, since it is emulated elsewhere and slower than fp32, else fp32. Paths with kernels of their own for a CPU
    take fp32 for "auto" (``paths``).
    """
    if precision in ("fp32", "bf16"):
        return precision
    if precision == "fp16":
        if device.type == "cpu":
            raise ConvMixerError("choose_precision: precision is 'fp16' on a CPU; expected 'fp32', 'bf16' or 'auto'")
        return precision
    if precision != "auto":
        raise ConvMixerError(
            f"choose_precision: unknown precision {precision!r}; expected 'auto', 'fp32', 'bf16' or 'fp16'"
        )
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if _processor_flags() & {"avx512_bf16", "amx_bf16"} else "fp32"


def choose_memory_format(model: nn.Module, device: torch.device) -> torch.memory_format:
    """channels_last wherever it was seen to be faster for ``model``.

    On a CPU it is up to 1.6 times faster; on a GPU it helps up to a kernel of 7 and hurts from 9 on (timm's benchmark
    tables for ConvMixer-768/32, k 7, and ConvMixer-1536/20, k 9).
    """
    if device.type == "cuda" and isinstance(model, ConvMixer) and model.kernel_size > 7:
        return torch.contiguous_format
    return torch.channels_last


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """torch's autocast for ``precision``; it does nothing for "fp32"."""
    return torch.autocast(device.type, dtype=_DTYPES.get(precision, torch.bfloat16), enabled=precision != "fp32")


def raise_allocator_thresholds() -> bool:
    """Let glibc keep freed memory instead of fetching fresh pages for every large tensor; whether it could be done.

    Activations of more than 32 MiB otherwise cost a page fault for every 4 KiB at every step: 1.4 times the time of a
    training step on a CPU. The process then keeps its peak memory until it ends.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(option, _THRESHOLD_BYTES) == 1 for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))


def _processor_flags() -> set[str]:
    """The features of the first processor as Linux lists them; none are known elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())
