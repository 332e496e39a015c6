"""Loss and accuracy of a model on images that are only normalised."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convmixer.augment import normalise
from convmixer.device import autocast
from convmixer.paths import choose_forward

# Images at a time by type of device: enough to keep it busy, little enough for ConvMixer-256/8 with patches of 1,
# whose activation of one image is 1 MiB in fp32.
BATCH_SIZES = {"cpu": 256, "cuda": 1000}


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """How good a model is: ``loss`` is the mean cross-entropy in nats, ``accuracy`` a fraction."""

    loss: float
    accuracy: float
    correct: np.ndarray  # (n,) bool
    predictions: np.ndarray  # (n,) int64


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    precision: str = "auto",
    path: str = "auto",
    batch_size: int | None = None,
) -> Evaluation:
    """Evaluate ``model``, where its parameters are, on uint8 images (n, c, h, w) and int64 labels (n,); n is 1 or more.

    The model is put into evaluation mode and left as it was found. ``precision`` and ``path`` are as in
    ``paths.choose_forward``.
    """
    device = next(model.parameters()).device
    forward = choose_forward(model, images.shape[2], device, path=path, precision=precision)
    size = batch_size or BATCH_SIZES.get(device.type, 1000)
    losses, predictions = [], []
    was_training = model.training
    model.eval()
    for some_images, some_labels in zip(images.split(size), labels.split(size), strict=True):
        with autocast(device, forward.precision):
            logits = forward.compute(normalise(some_images.to(device), mean, std)).float()
        losses.append(F.cross_entropy(logits, some_labels.to(device), reduction="sum").double())
        predictions.append(logits.argmax(1))
    model.train(was_training)
    predicted = torch.cat(predictions).cpu().numpy()
    correct = predicted == labels.cpu().numpy()
    loss = torch.stack(losses).sum().item() / len(labels)
    return Evaluation(loss=loss, accuracy=float(correct.mean()), correct=correct, predictions=predicted)
