"""A training's state on disk: written whole or not at all, and read back only into the training that wrote it."""

import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

from convmixer import ConvMixerError

# What a training is; a checkpoint of another identity is refused.
Identity = Mapping[str, str | int | float | bool | None]


def save_checkpoint(path: Path, identity: Identity, state: dict[str, object]) -> None:
    """Write ``state`` (tensors and plain values) to ``path``; whoever kills this leaves the previous file in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        torch.save({"identity": dict(identity), "state": state}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load_checkpoint(path: Path, identity: Identity, device: torch.device) -> dict[str, object] | None:
    """The state at ``path`` on ``device``; ``None`` where there is no file, and with a warning where it is broken.

    Raises ``ConvMixerError`` if another training wrote the file: it may hold hours of work, so it is not overwritten.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        found, state = content["identity"], content["state"]
    except (RuntimeError, EOFError, pickle.UnpicklingError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        warnings.warn(f"checkpoint {str(path)!r} is broken ({reason}); training starts again", stacklevel=2)
        return None
    _refuse_other_identity(path, found, identity)
    return state


def _refuse_other_identity(path: Path, found: Identity, expected: Identity) -> None:
    for field in [*expected, *(field for field in found if field not in expected)]:
        if found.get(field) != expected.get(field):
            raise ConvMixerError(
                f"checkpoint {str(path)!r} belongs to another training: {field} is {found.get(field)!r} there and "
                f"{expected.get(field)!r} here; delete the file to start again, or name another"
            )
