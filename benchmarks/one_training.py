"""One whole training in a process of its own, for the benchmarks that repeat trainings: what became of it.

    python benchmarks/one_training.py '{"path": "native", ...}'

takes a ``Training`` and prints, as one line of JSON, what ``answer`` returns.
"""

import hashlib
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from training_work import describe_machine

from convmixer import ConvMixerError
from convmixer.data import Dataset, load
from convmixer.determinism import prepare_determinism
from convmixer.device import choose_device, choose_precision
from convmixer.model import ConvMixer
from convmixer.recipe import Recipe, choose_recipe
from convmixer.subset import keep_fraction
from convmixer.train import seed_everything, train


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is trained: the arguments of the project's own functions, as the notebook gives them."""

    device: str
    path: str
    precision: str
    deterministic: bool
    seed: int
    recipe: str
    epochs: int
    patch_size: int
    kernel_size: int
    width: int = 256
    depth: int = 8
    dataset: str = "cifar10"
    fraction: float = 1.0  # of the training images
    test_images: int | None = None  # so many of them, None for all


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What it came to; ``weights`` is a digest of all tensors of the trained network, ``epochs`` its learning curve."""

    weights: str
    epochs: list[dict[str, Any]]
    path: str
    precision: str
    train_images: int
    threads: int
    machine: str


def train_once(wanted: Training) -> Outcome:
    """Train as the notebook does, without validation; ``ConvMixerError`` where it cannot be done on this machine."""
    device = choose_device(wanted.device)
    if wanted.deterministic:
        prepare_determinism(device)  # before the next line lets CUDA start
    if wanted.precision == "bf16" and choose_precision("auto", device) != "bf16":
        raise ConvMixerError(f"{str(device)!r} only emulates bf16")
    recipe = choose_recipe(wanted.recipe, epochs=wanted.epochs)
    data = prepare_data(wanted, recipe)
    seed_everything(wanted.seed)
    sizes = {name: getattr(wanted, name) for name in ("width", "depth", "patch_size", "kernel_size")}
    model = ConvMixer(**sizes, in_channels=data.image_shape[0], num_classes=len(data.classes))
    way = {name: getattr(wanted, name) for name in ("path", "precision", "deterministic")}
    history = train(model, data, recipe, seed=wanted.seed, device=device, **way)
    return Outcome(
        weights=digest_weights(model),
        epochs=[asdict(epoch) for epoch in history.epochs],
        path=history.path,
        precision=history.precision,
        train_images=len(data.train_labels),
        threads=torch.get_num_threads(),
        machine=describe_machine(device),
    )


def prepare_data(wanted: Training, recipe: Recipe) -> Dataset:
    data = keep_fraction(load(wanted.dataset, validation=recipe.validation_size), wanted.fraction, seed=wanted.seed)
    tested = {name: getattr(data, name)[: wanted.test_images] for name in ("test_images", "test_labels")}
    nothing = {name: getattr(data, name)[:0] for name in ("validation_images", "validation_labels")}
    return replace(data, **tested, **nothing)


def digest_weights(model: nn.Module) -> str:
    """sha256 over the name and the bytes of every tensor, running statistics too."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def answer(content: dict[str, Any]) -> dict[str, Any]:
    """The ``Outcome`` of the ``Training`` that ``content`` is, or {"obstacle": why there is none here}."""
    try:
        return asdict(train_once(Training(**content)))
    except ConvMixerError as error:
        return {"obstacle": str(error)}


if __name__ == "__main__":
    print(json.dumps(answer(json.loads(sys.argv[1]))))
