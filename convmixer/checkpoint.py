"""A training's state on disk: written whole or not at all, and read back only into the training that wrote it."""

import contextlib
import hashlib
import io
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from convmixer import ConvMixerError
from convmixer.data import Dataset
from convmixer.model import count_parameters
from convmixer.recipe import Recipe

# What a training is; a checkpoint of another identity is refused.
Identity = Mapping[str, str | int | float | bool | None]

_DIGEST_BYTES = hashlib.sha256().digest_size


def describe_training(
    model: nn.Module, data: Dataset, recipe: Recipe, **circumstances: str | float | bool | None
) -> Identity:
    """The identity of a training: its model, its images, every value of its recipe, and ``circumstances`` by name."""
    structure = hashlib.sha256(str(model).encode()).hexdigest()[:16]
    return {
        "model": f"{type(model).__name__}, {count_parameters(model)} parameters, structure {structure}",
        "data": f"{data.name}, sha256 {data.checksum}",
        "train images": len(data.train_labels),
        **{f"recipe.{field}": value for field, value in asdict(recipe).items()},
        **circumstances,
        "torch": str(torch.__version__),
    }


def save_checkpoint(path: Path, identity: Identity, state: dict[str, object]) -> None:
    """Write ``state`` (tensors and plain values) to ``path``; whoever kills this leaves the previous file in place.

    The file is what ``torch.save`` writes, after its sha256.
    """
    buffer = io.BytesIO()
    torch.save({"identity": dict(identity), "state": state}, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(hashlib.sha256(buffer.getbuffer()).digest())
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load_checkpoint(path: Path, identity: Identity, device: torch.device) -> dict[str, object] | None:
    """The state at ``path`` on ``device``; ``None`` where there is no file, and with a warning where it is broken.

    Raises ``ConvMixerError`` if another training wrote the file, or it is whole but no checkpoint: it may hold hours of
    work, so it is not overwritten.
    """
    if not path.exists():
        return None
    content = path.read_bytes()
    digest, saved = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(saved).digest() != digest:
        warnings.warn(f"checkpoint {str(path)!r} is broken; training starts again", stacklevel=2)
        return None
    with refuse_other_content(path):
        loaded = torch.load(io.BytesIO(saved), map_location=device, weights_only=True)
        found, state = dict(loaded["identity"]), dict(loaded["state"])
    _refuse_other_identity(path, found, identity)
    return state


@contextlib.contextmanager
def refuse_other_content(path: Path) -> Iterator[None]:
    """Turns what goes wrong while the content of ``path`` is taken up into a ``ConvMixerError`` that names the file.

    Any error: which one odd content ends in is for pickle, zip and torch to say, and for no caller to know.
    """
    try:
        yield
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        raise ConvMixerError(
            f"checkpoint {str(path)!r} is whole, but holds no state of a training ({type(error).__name__}: {said:.200}); "
            "delete the file to start again"
        ) from error


def _refuse_other_identity(path: Path, found: Identity, expected: Identity) -> None:
    for field in [*expected, *(field for field in found if field not in expected)]:
        if found.get(field) != expected.get(field):
            raise ConvMixerError(
                f"checkpoint {str(path)!r} belongs to another training: {field} is {found.get(field)!r} there and "
                f"{expected.get(field)!r} here; delete the file to start again, or name another"
            )
