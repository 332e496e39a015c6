"""Weights on disk: the authors' and timm's checkpoints into our models, and ours into safetensors.

A ConvMixer's tensors are known under three sets of names: ours, which are timm's; those of the authors'
``nn.Sequential``; and those of the model of 280 characters in the authors' README, which nests once more. The tensors
are the same:

| tensors (block i of depth d)  | timm, ours          | authors         | README           |
|-------------------------------|---------------------|-----------------|------------------|
| patches, their norm           | stem.0, stem.2      | 0, 2            | 0.0, 0.2         |
| depthwise convolution         | blocks.{i}.0.fn.0   | {3+i}.0.fn.0    | {1+i}.0.0.0      |
| its norm                      | blocks.{i}.0.fn.2   | {3+i}.0.fn.2    | {1+i}.0.0.2      |
| pointwise convolution         | blocks.{i}.1        | {3+i}.1         | {1+i}.1.0        |
| its norm                      | blocks.{i}.3        | {3+i}.3         | {1+i}.1.2        |
| classifier                    | head                | {5+d}           | {3+d}            |
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from convmixer import ConvMixerError
from convmixer.model import ConvMixer
from convmixer.tensor_files import read_tensors, write_tensors

_LAYOUTS: dict[str, tuple[tuple[str, str], ...]] = {
    "authors": (
        (r"([02])\.(\w+)", r"stem.\1.\2"),
        (r"(\d{1,6})\.((?:0\.fn\.[02]|[13])\.\w+)", r"blocks.{block}.\2"),
        (r"(\d{1,6})\.(weight|bias)", r"head.\2"),
    ),
    "README": (
        (r"0\.([02])\.(\w+)", r"stem.\1.\2"),
        (r"(\d{1,6})\.0\.0\.([02])\.(\w+)", r"blocks.{block}.0.fn.\2.\3"),
        (r"(\d{1,6})\.1\.0\.(\w+)", r"blocks.{block}.1.\2"),
        (r"(\d{1,6})\.1\.2\.(\w+)", r"blocks.{block}.3.\2"),
        (r"(\d{1,6})\.(weight|bias)", r"head.\2"),
    ),
}
_FIRST_BLOCKS = {"authors": 3, "README": 1}


@dataclass(frozen=True, kw_only=True)
class WeightsDescription:
    """What a file of weights holds, by ``ConvMixer``'s arguments; ``layout`` is "timm", "authors" or "README".

    Names and shapes do not tell the ``activation``; only files of ``save_weights`` do, of others it is ``None``.
    """

    width: int
    depth: int
    patch_size: int
    kernel_size: int
    num_classes: int
    in_channels: int
    norm: str
    residual: str
    activation: str | None
    layout: str

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"ConvMixer({arguments})"

    @property
    def arguments(self) -> dict[str, int | str]:
        """Those of ``ConvMixer`` that names and shapes tell: all but ``activation``."""
        return {name: value for name, value in asdict(self).items() if name not in ("activation", "layout")}


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Copy the weights at ``path`` into ``model``, where it is and in its own type; all of them, or none.

    A ConvMixer's may have any of the three sets of names, another model's must have the model's own; a ``module.``
    before all of them is taken off. Raises ``ConvMixerError`` where the file cannot be read or does not fit.
    """
    path = Path(path)
    tensors, layout, _ = _read(path)
    expected = model.state_dict()
    for name, value in expected.items():  # a counter that nothing reads; some converters leave it out
        if name.endswith(".num_batches_tracked"):
            tensors.setdefault(name, torch.zeros_like(value, device="cpu"))
    fault = _find_fault(tensors, expected)
    if fault:
        described = _describe(tensors, layout, None)
        held = f"the weights of {described}" if described else f"{len(tensors)} tensors from {next(iter(tensors))!r} on"
        raise ConvMixerError(f"load_weights: {str(path)!r} does not fit the model: {fault}; the file holds {held}")
    model.load_state_dict(tensors)


def describe_weights(path: str | Path) -> WeightsDescription:
    """The ConvMixer whose weights are at ``path``. ``ConvMixerError`` where they are not a ConvMixer's."""
    path = Path(path)
    tensors, layout, metadata = _read(path)
    described = _describe(tensors, layout, metadata.get("activation"))
    if described is None:
        raise ConvMixerError(
            f"describe_weights: {str(path)!r} holds {len(tensors)} tensors, the first is {next(iter(tensors))!r}; "
            "expected those of a ConvMixer"
        )
    return described


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write the weights of ``model`` as safetensors, and a ConvMixer's sizes beside them: the whole file or none.

    ``path`` ends in ``.safetensors``; ``ConvMixerError`` otherwise.
    """
    tensors = {name: value.detach() for name, value in model.state_dict().items()}
    metadata = {"format": "pt", "architecture": type(model).__name__}
    if isinstance(model, ConvMixer):
        metadata |= {name: str(getattr(model, name)) for name in inspect.signature(ConvMixer).parameters}
    write_tensors(Path(path), tensors, metadata)


def _read(path: Path) -> tuple[dict[str, Tensor], str, Mapping[str, str]]:
    """The tensors at ``path`` by our names, the layout that they had, and the metadata of a safetensors file."""
    tensors, metadata = read_tensors(path)
    layout = _find_layout(tensors)
    return _rename(tensors, layout), layout, metadata


def _find_layout(tensors: Mapping[str, Tensor]) -> str:
    """Whose names these are; all that are not the authors' are taken as they are, like timm's."""
    if "0.weight" in tensors and any(".fn." in name for name in tensors):
        return "authors"
    return "README" if "0.0.weight" in tensors else "timm"


def _rename(tensors: Mapping[str, Tensor], layout: str) -> dict[str, Tensor]:
    """The same tensors by our names; a name that the layout does not have is left as it is."""
    renamed: dict[str, Tensor] = {}
    for name, value in tensors.items():
        for pattern, ours in _LAYOUTS.get(layout, ()):
            match = re.fullmatch(pattern, name)
            if match:
                block = str(int(match[1]) - _FIRST_BLOCKS[layout]) if "{block}" in ours else ""
                new = match.expand(ours.replace("{block}", block))
                break
        else:
            new = name
        renamed[name if new in renamed else new] = value  # two that claim one place: the second fits nowhere
    return renamed


def _find_fault(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    """The first tensor that keeps ``found`` from standing for ``expected``, in words."""
    for name, value in expected.items():
        if name not in found:
            return f"{name!r} of shape {tuple(value.shape)} is missing"
        if found[name].shape != value.shape:
            return f"{name!r} is of shape {tuple(found[name].shape)}, expected {tuple(value.shape)}"
        if _describe_kind(found[name]) != _describe_kind(value):
            return f"{name!r} is {_describe_kind(found[name])}, expected {_describe_kind(value)}"
    surplus = next((name for name in found if name not in expected), None)
    return surplus and f"{surplus!r} of shape {tuple(found[surplus].shape)} is in the file and not in the model"


def _describe_kind(tensor: Tensor) -> str:
    """What copying into another tensor does not mend: integers for fractions, sparse tensors, ones without values."""
    if tensor.is_meta or tensor.layout != torch.strided:
        return f"a {tensor.device.type} tensor in {tensor.layout}"
    return "of fractions" if tensor.is_floating_point() else "of integers"


def _describe(tensors: Mapping[str, Tensor], layout: str, activation: str | None) -> WeightsDescription | None:
    """The sizes of the ConvMixer of these tensors, by our names; ``None`` where they are not one's."""
    residual = "both" if "blocks.0.1.fn.0.weight" in tensors else "depthwise"
    if "blocks.0.0.0.weight" in tensors:
        residual = "none"
    depthwise = "blocks.0.0.0.weight" if residual == "none" else "blocks.0.0.fn.0.weight"
    shapes = [tuple(tensors[name].shape) for name in ("stem.0.weight", depthwise, "head.weight") if name in tensors]
    if [len(shape) for shape in shapes] != [4, 4, 2]:
        return None
    (width, in_channels, patch_size, _), (*_, kernel_size), (num_classes, _) = shapes
    blocks = {int(match[1]) for match in map(re.compile(r"blocks\.(\d{1,6})\.").match, tensors) if match}
    return WeightsDescription(
        width=width,
        depth=len(blocks),
        patch_size=patch_size,
        kernel_size=kernel_size,
        num_classes=num_classes,
        in_channels=in_channels,
        norm="batch" if "stem.2.running_mean" in tensors else "layer",
        residual=residual,
        activation=activation,
        layout=layout,
    )
