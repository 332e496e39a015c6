"""Which way a forward pass is computed: ``choose_forward(model, image_size, device) -> Forward``.

All ways compute the same function of the same parameters, up to rounding; what differs is the time.

``native``         a ConvMixer by our C++ kernels (``cpu``, ``native``): a CPU with a C++ compiler
``channel-major``  a ConvMixer in pure torch, laid out so that everything is a matrix product: any CPU
``triton``         a ConvMixer by our Triton kernels (``fused``, ``gpu``): an NVIDIA GPU, when asked for
``plain``          any model, as it is written

``native`` computes in fp32 unless ``precision`` is 'bf16', on processors that multiply bf16 too, where that is 1.4 to 1.6
times as fast: the runs of one cell are computed on several machines, and have to agree in precision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from convmixer import ConvMixerError, native
from convmixer.channel_major import forward_channel_major
from convmixer.computable import find_difference
from convmixer.cpu import forward_native
from convmixer.device import Precision, choose_precision
from convmixer.gpu import find_obstacle as find_obstacle_to_triton
from convmixer.model import ConvMixer

# By the device's type, the fastest first as measured (benchmarks/README.md); "auto" takes the first that can be taken.
# triton is not among them: it has not been measured on a GPU yet.
MEASURED = {"cpu": ("native", "channel-major", "plain")}
_IN_FP32 = ("native", "channel-major")  # unless another precision is asked for
PATHS = ("native", "channel-major", "triton", "plain")


@dataclass(frozen=True, kw_only=True, eq=False)
class Forward:
    """A way that was chosen: ``compute`` maps normalised images (batch, c, size, size) to logits in ``precision``.

    ``note`` says in a sentence why a faster way was not taken, and is empty where none was passed over.
    """

    path: str
    precision: Precision
    compute: Callable[[Tensor], Tensor]
    note: str


def choose_forward(
    model: nn.Module,
    image_size: int,
    device: torch.device | str,
    *,
    path: str = "auto",
    precision: str = "auto",
) -> Forward:
    """The fastest way to compute ``model`` on square images, or the one that ``path`` names.

    Raises ``ConvMixerError`` for an unknown path and for one that cannot be taken, with the reason.
    """
    if path not in ("auto", *PATHS):
        raise ConvMixerError(f"choose_forward: unknown path {path!r}; known are auto, {', '.join(PATHS)}")
    device = torch.device(device)
    if path != "auto":
        obstacle = find_obstacle(path, model, image_size, device, precision)
        if obstacle is not None:
            raise ConvMixerError(
                f"choose_forward: path {path!r} cannot be taken: {obstacle}; 'auto' takes one that can"
            )
        return _prepare(path, model, device, precision, "")
    passed_over = []
    for candidate in MEASURED.get(device.type, ("plain",)) if isinstance(model, ConvMixer) else ("plain",):
        obstacle = find_obstacle(candidate, model, image_size, device, precision)
        if obstacle is None:
            return _prepare(candidate, model, device, precision, "; ".join(passed_over))
        passed_over.append(f"not {candidate!r}: {obstacle}")
    raise AssertionError("the plain path can always be taken")


def find_obstacle(path: str, model: nn.Module, image_size: int, device: torch.device, precision: str) -> str | None:
    """Why ``path`` cannot be taken, as a sentence's end; ``None`` if it can."""
    if path == "plain":
        return None
    if path == "triton":
        return find_obstacle_to_triton(model, image_size, device)
    if device.type != "cpu":
        return f"it is for a CPU, and the device is {str(device)!r}"
    if (difference := find_difference(model)) is not None:
        return difference
    if precision == "fp16" or (precision == "bf16" and path == "channel-major"):
        return f"it computes in fp32, and precision is {precision!r}"
    if path == "channel-major":
        if precision == "auto" and choose_precision("auto", device) != "fp32":
            return "this processor is faster in bf16 than pure torch is in fp32"
        return None
    if (kind := next(model.parameters()).dtype) != torch.float32:
        return f"it computes in fp32, and the model's weights are {kind}"
    if image_size // model.patch_size > native.GREATEST_GRID:
        return f"it computes up to {native.GREATEST_GRID} patches a side"
    kernels = native.load()
    if isinstance(kernels, str):
        return kernels
    if precision == "bf16" and not kernels.has_bf16:
        return "it computes in fp32 on this processor, and precision is 'bf16'"
    return None


def _prepare(path: str, model: nn.Module, device: torch.device, precision: str, note: str) -> Forward:
    compute: Callable[[Tensor], Tensor] = model
    chosen = choose_precision("fp32" if precision == "auto" and path in _IN_FP32 else precision, device)
    if path == "channel-major":
        compute = partial(forward_channel_major, model)
    elif path == "native":
        dtype = torch.bfloat16 if chosen == "bf16" else torch.float32
        compute = partial(forward_native, model, native.load(), dtype=dtype)
    elif path == "triton":
        from convmixer.fused import forward_fused  # imports triton, which is not everywhere

        compute = partial(forward_fused, model)
    return Forward(path=path, precision=chosen, compute=compute, note=note)
