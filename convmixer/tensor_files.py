"""Named tensors on disk, read without ever running code from the file, and written whole or not at all.

Files come from strangers, and none is unpickled freely: torch's restricted reader builds tensors and plain containers,
and besides them only ``argparse.Namespace``, which timm's training script saves beside the weights and which runs
nothing.
"""

import argparse
import os
import re
import reprlib
import warnings
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from convmixer import ConvMixerError

SAFE_ENDING = ".safetensors"
PICKLED_ENDINGS = (".pth.tar", ".pth", ".pt", ".bin")

# Where a training script puts the weights; the first that is there is taken. An average of weights comes last: the
# accuracies that the authors state are of the weights themselves.
WRAPPERS = ("state_dict", "model", "state_dict_ema")


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """The tensors at ``path`` by name, without ``module.`` before them, and the metadata that only safetensors has.

    Raises ``ConvMixerError`` where there is no such file, or none that can be read safely, or no tensors in it.
    """
    if not path.is_file():
        raise ConvMixerError(f"weights: no file {str(path)!r}")
    if not path.name.endswith((SAFE_ENDING, *PICKLED_ENDINGS)):
        known = ", ".join((SAFE_ENDING, *PICKLED_ENDINGS))
        raise ConvMixerError(f"weights: {str(path)!r} has an unknown ending; known are {known}")
    try:
        found, metadata = _read_safetensors(path) if path.suffix == SAFE_ENDING else (_read_pickled(path), {})
    except Exception as error:  # a damaged file makes the readers raise nearly anything
        raise ConvMixerError(
            f"weights: {str(path)!r} is damaged, or cannot be read without running code from it: {_explain(error)}. "
            "Fetch it again or, where it can be trusted, save its state_dict as safetensors"
        ) from error
    return _unwrap(path, found), metadata


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write ``tensors`` and ``metadata`` to ``path`` as safetensors; whoever kills this leaves the old file in place.

    ``path`` ends in ``.safetensors`` and its folder is there; ``ConvMixerError`` otherwise.
    """
    if path.suffix != SAFE_ENDING:
        raise ConvMixerError(f"weights: {str(path)!r} ends in {path.suffix!r}; expected {SAFE_ENDING!r}")
    if not path.parent.is_dir():
        raise ConvMixerError(f"weights: no folder {str(path.parent)!r}; make it first")
    # As they are in memory, channels_last perhaps, safetensors would refuse them.
    content = safetensors.torch.save({name: value.cpu().contiguous() for name, value in tensors.items()}, metadata)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    with safetensors.safe_open(path, framework="pt") as file:
        names = file.keys()
        return {name: file.get_tensor(name) for name in names}, file.metadata() or {}


def _read_pickled(path: Path) -> object:
    with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd formats; those that cannot be read raise as well
        return torch.load(path, map_location="cpu", weights_only=True)


def _explain(error: Exception) -> str:
    """Why a file could not be read, without torch's advice to read it unsafely."""
    text = str(error)
    asked = re.search(r"GLOBAL ([\w.]+)", text)
    if asked:
        return f"it asks for {asked[1]}, which makes no tensor"
    if "legacy .tar" in text:
        return "it is in the tar format that torch wrote before 2017"
    if "TorchScript" in text:
        return "it is a TorchScript program"
    told = re.search(r"WeightsUnpickler error:\s*([^\n]*)", text)
    if told or text.startswith("Weights only"):
        return told[1] if told else "it holds more than tensors"
    return f"{type(error).__name__} {text.partition(chr(10))[0]}".strip()


def _unwrap(path: Path, found: object) -> dict[str, Tensor]:
    """The tensors by name out of what a training script saved."""
    expected = f"expected tensors by name, bare or under one of {', '.join(WRAPPERS)}"
    if isinstance(found, Mapping):
        found = next((found[name] for name in WRAPPERS if isinstance(found.get(name), Mapping)), found)
    if not isinstance(found, Mapping) or not found:
        raise ConvMixerError(f"weights: {str(path)!r} holds {_describe_value(found)}; {expected}")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ConvMixerError(f"weights: {str(path)!r} has {_describe_value(value)} under {name!r}; {expected}")
    is_parallel = all(name.startswith("module.") for name in found)  # as nn.DataParallel saves
    return {name.removeprefix("module.") if is_parallel else name: value for name, value in found.items()}


def _describe_value(value: object) -> str:
    text = reprlib.repr(value)  # a file may hold lists within lists within lists
    return f"the {type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
