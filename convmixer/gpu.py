"""What lets a GPU run a ConvMixer at its own speed: may our kernels be used here, and a training step without a host.

The kernels themselves are in ``triton_depthwise`` and ``triton_normalise``, the forward pass through them is
``fused.forward_fused``; this module can be imported where Triton cannot.
"""

import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor, nn

from convmixer import ConvMixerError
from convmixer.computable import find_difference

LEAST_CAPABILITY = (8, 0)  # bfloat16 on tensor cores
GREATEST_GRID = 64  # a group of rows has at least one row, and its band must stay small; 224 / 7 is 32
WARM_UP_STEPS = 3  # torch's documentation of CUDA graphs takes as many


def find_obstacle(model: nn.Module, image_size: int, device: torch.device | str) -> str | None:
    """Why ``fused.forward_fused`` cannot serve here, as the end of a sentence about that path; ``None`` if it can."""
    device = torch.device(device)
    return find_obstacle_of_model(model, image_size) or find_obstacle_of_device(device)


def find_obstacle_of_device(device: torch.device) -> str | None:
    """Why Triton's kernels cannot run on ``device``; ``None`` if they can."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return "it needs an NVIDIA GPU"
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    capability = torch.cuda.get_device_capability(device)
    if capability < LEAST_CAPABILITY:
        return f"it needs a GPU of compute capability 8.0 or newer, and this is {capability[0]}.{capability[1]}"
    return None


def find_obstacle_of_model(model: nn.Module, image_size: int) -> str | None:
    """Why the kernels do not compute ``model``; ``None`` if they do."""
    if (difference := find_difference(model)) is not None:
        return difference
    if image_size % model.patch_size:
        return f"it needs images that patches tile, and {image_size} is no multiple of {model.patch_size}"
    if image_size // model.patch_size > GREATEST_GRID:
        return f"it computes up to {GREATEST_GRID} patches a side, and these are {image_size // model.patch_size}"
    return None


class GraphedStep:
    """A training step captured as a CUDA graph: one launch by the host for its several hundred kernels.

    ``step(*inputs)`` does everything, from ``zero_grad(set_to_none=True)`` to the optimiser's step, and returns
    tensors. It may neither wait for the GPU nor draw random numbers. The optimiser is an Adam with ``capturable=True``
    whose learning rates are tensors on the GPU, which the caller fills between two calls. Building it leaves model and
    optimiser as they were. A call with inputs of other shapes, as an epoch's last batch has, does the same step
    without the graph. Raises ``ConvMixerError`` if the inputs are not on a GPU; what torch raises when a step cannot be
    captured is passed on.
    """

    def __init__(
        self,
        step: Callable[..., tuple[Tensor, ...]],
        inputs: tuple[Tensor, ...],
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
    ) -> None:
        _refuse_other_devices(inputs)
        self._step = step
        self._inputs = tuple(tensor.clone() for tensor in inputs)
        before = _copy_state(model, optimiser)
        self._warm_up()
        _restore_state(model, optimiser, before)
        self._graph, self._outputs = self._capture()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The step's outputs for ``inputs``; those of the graph are overwritten by the next call."""
        if any(given.shape != own.shape for given, own in zip(inputs, self._inputs, strict=True)):
            return self._step(*inputs)
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._graph.replay()
        return self._outputs

    def _capture(self) -> tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...]]:
        """The step's kernels, recorded and not run, and the memory that they will write their results to."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self._step(*self._inputs)
        return graph, outputs

    def _warm_up(self) -> None:
        """Compile the kernels and let the libraries choose theirs, in a stream of its own as torch asks for."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                self._step(*self._inputs)
        torch.cuda.current_stream().wait_stream(stream)


def _refuse_other_devices(inputs: tuple[Tensor, ...]) -> None:
    if any(not tensor.is_cuda for tensor in inputs):
        devices = ", ".join(str(tensor.device) for tensor in inputs)
        raise ConvMixerError(f"GraphedStep: the inputs are on {devices}; expected all on one GPU")


def _state(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[object, Tensor]:
    """Every tensor that a training step changes, but the gradients, under a name of its own."""
    named: dict[object, Tensor] = dict(model.state_dict(keep_vars=True))
    for parameter, state in optimiser.state.items():
        named |= {(id(parameter), name): value for name, value in state.items() if isinstance(value, Tensor)}
    return named


def _copy_state(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[object, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in _state(model, optimiser).items()}


@torch.no_grad()
def _restore_state(model: nn.Module, optimiser: torch.optim.Optimizer, before: dict[object, Tensor]) -> None:
    """Put the values ``before`` back into the same memory; what Adam has made since then begins at 0."""
    for name, tensor in _state(model, optimiser).items():
        tensor.copy_(before[name]) if name in before else tensor.zero_()
