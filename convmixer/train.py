"""Train a model on a data set by a recipe: ``train(model, data, recipe, seed=0) -> History``.

Data and augmentation live on the device. Every random choice comes from a stream named by (seed, purpose, epoch, step),
so nothing random has to be saved, and a run that was killed goes on from its checkpoint and ends, on the same device
with as many threads, with the very numbers of a run that was not.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convmixer import ConvMixerError
from convmixer.augment import augment
from convmixer.channel_major import choose_forward, choose_path
from convmixer.checkpoint import Identity, load_checkpoint, save_checkpoint
from convmixer.data import Dataset
from convmixer.device import (
    autocast,
    choose_device,
    choose_memory_format,
    choose_precision,
    deterministic_convolutions,
    raise_allocator_thresholds,
)
from convmixer.evaluate import Evaluation, evaluate
from convmixer.history import Epoch, History, Progress
from convmixer.model import count_parameters
from convmixer.recipe import Recipe, learning_rate
from convmixer.streams import derive_seed, seed_everything, stream

__all__ = [
    "Epoch",
    "Evaluation",
    "History",
    "Progress",
    "choose_device",
    "choose_precision",
    "evaluate",
    "seed_everything",
    "train",
]

CHECKPOINT_SECONDS = 60.0  # the most that a kill can cost, besides the evaluation after an epoch
PROGRESS_SECONDS = 0.5  # how often progress is told and the loss is looked at, which makes a GPU wait


def train(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    device: str | torch.device | None = None,
    precision: str = "auto",
    checkpoint: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> History:
    """Train ``model`` in place, leave it on the device in evaluation mode, and return its learning curve.

    ``checkpoint`` is written after each epoch and once a minute; if it exists, training goes on from it. Raises
    ``ConvMixerError`` if it belongs to another training, and when the loss is no longer finite.
    """
    training = _Training(model, data, recipe, seed, choose_device(device), precision)
    if checkpoint is not None:
        training.resume(checkpoint)
    if training.device.type == "cpu":
        raise_allocator_thresholds()
    devices = [training.device] if training.device.type == "cuda" else []
    with torch.random.fork_rng(devices), deterministic_convolutions():
        while len(training.epochs) < recipe.epochs:
            training.run_epoch(checkpoint, progress or (lambda _: None))
    model.eval()
    return History(
        epochs=tuple(training.epochs), device=str(training.device), precision=training.precision, path=training.path
    )


class _Training:
    """The state of one training between two steps, all of which a checkpoint holds."""

    def __init__(
        self, model: nn.Module, data: Dataset, recipe: Recipe, seed: int, device: torch.device, precision: str
    ) -> None:
        self.model, self.data, self.recipe, self.seed, self.device = model, data, recipe, seed, device
        self.precision = choose_precision(precision, device)
        image_size = data.train_images.shape[2]
        self.path = choose_path(model, image_size, device)
        model.to(device)
        if self.path == "plain":
            model.to(memory_format=choose_memory_format(model, device))
        self.forward = choose_forward(model, image_size, device)
        self.images, self.labels = data.train_images.to(device), data.train_labels.to(device)
        self.steps_per_epoch = -(-len(self.labels) // recipe.batch_size)  # the last, smaller batch is kept
        self.optimiser = torch.optim.AdamW(
            model.parameters(),
            lr=recipe.learning_rate,
            betas=(recipe.beta1, recipe.beta2),
            eps=recipe.eps,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == "fp16")
        self.epochs: list[Epoch] = []
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.step, self.seconds = 0, 0.0
        self.losses = torch.zeros(self.steps_per_epoch, dtype=torch.float64, device=self.device)  # sums over a batch
        self.correct = torch.zeros(self.steps_per_epoch, dtype=torch.int64, device=self.device)

    def run_epoch(self, checkpoint: Path | None, report: Callable[[Progress], None]) -> None:
        """Do the rest of the current epoch, evaluate, and save."""
        began = time.monotonic() - self.seconds
        told = saved = time.monotonic()
        number = len(self.epochs)
        order = torch.randperm(len(self.labels), generator=stream(self.seed, "order", number))
        batches = order.to(self.device).split(self.recipe.batch_size)
        self.model.train()
        while self.step < self.steps_per_epoch:
            self._train_on(batches[self.step], number)
            self.step += 1
            now = time.monotonic()
            self.seconds = now - began
            if now - told >= PROGRESS_SECONDS:
                report(self._describe_progress(None))
                told = now
            if checkpoint is not None and now - saved >= CHECKPOINT_SECONDS:
                self._mean_loss()  # a diverged training is not worth saving
                self.save(checkpoint)
                saved = now
        finished = self._finish_epoch(number, began)
        report(self._describe_progress(finished))
        self.epochs.append(finished)
        self._begin_epoch()
        if checkpoint is not None:
            self.save(checkpoint)

    def _train_on(self, batch: Tensor, epoch: int) -> None:
        """One step of the optimiser on the images with the indices ``batch``."""
        recipe, place = self.recipe, (epoch, self.step)
        torch.manual_seed(derive_seed(self.seed, "model", *place))  # for models that drop something at random
        self._set_learning_rate(epoch)
        generator = stream(self.seed, "augment", *place)
        images = augment(self.images[batch], recipe, generator, self.data.mean, self.data.std)
        labels = self.labels[batch]
        with autocast(self.device, self.precision):
            logits = self.forward(images)
        logits = logits.float()
        loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if recipe.clip_norm is not None:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.losses[self.step] = loss.detach() * len(batch)
        self.correct[self.step] = (logits.detach().argmax(1) == labels).sum()

    def _set_learning_rate(self, epoch: int) -> None:
        step = epoch * self.steps_per_epoch + self.step
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.recipe, step, self.steps_per_epoch)

    def _mean_loss(self) -> float:
        """The mean training loss of this epoch so far; ``ConvMixerError`` if any step's is not finite."""
        losses = self.losses[: self.step].cpu()
        diverged = (~losses.isfinite()).nonzero()
        if len(diverged):
            raise ConvMixerError(
                f"training diverged: the loss of epoch {len(self.epochs) + 1}, step {int(diverged[0]) + 1} of "
                f"{self.steps_per_epoch} is {float(losses[diverged[0]])!r}; try a lower learning_rate than "
                f"{self.recipe.learning_rate!r}, a clip_norm, or precision 'fp32'"
            )
        return losses.sum().item() / min(self.step * self.recipe.batch_size, len(self.labels))

    def _describe_progress(self, finished: Epoch | None) -> Progress:
        return Progress(
            epoch=len(self.epochs) + 1,
            epochs=self.recipe.epochs,
            step=self.step,
            steps_per_epoch=self.steps_per_epoch,
            train_loss=self._mean_loss(),
            seconds=self.seconds,
            finished=finished,
        )

    def _finish_epoch(self, number: int, began: float) -> Epoch:
        """Evaluate and sum the epoch up."""
        data, train_loss = self.data, self._mean_loss()
        validation = self._evaluate(data.validation_images, data.validation_labels)
        test = self._evaluate(data.test_images, data.test_labels)
        self.seconds = time.monotonic() - began
        last_step = (number + 1) * self.steps_per_epoch - 1
        return Epoch(
            epoch=number + 1,
            learning_rate=learning_rate(self.recipe, last_step, self.steps_per_epoch),
            train_loss=train_loss,
            train_accuracy=self.correct.sum().item() / len(self.labels),
            validation_loss=validation.loss if validation else None,
            validation_accuracy=validation.accuracy if validation else None,
            test_loss=test.loss,
            test_accuracy=test.accuracy,
            seconds=self.seconds,
        )

    def _evaluate(self, images: Tensor, labels: Tensor) -> Evaluation | None:
        if not len(labels):
            return None
        return evaluate(self.model, images, labels, mean=self.data.mean, std=self.data.std, precision=self.precision)

    def identity(self) -> Identity:
        """What has to be equal for a checkpoint to be this training's."""
        structure = hashlib.sha256(str(self.model).encode()).hexdigest()[:16]
        return {
            "model": f"{type(self.model).__name__}, {count_parameters(self.model)} parameters, structure {structure}",
            "data": f"{self.data.name}, sha256 {self.data.checksum}",
            "train images": len(self.labels),
            **{f"recipe.{field}": value for field, value in asdict(self.recipe).items()},
            "seed": self.seed,
            "device": self.device.type,
            "precision": self.precision,
            "path": self.path,
            "torch": str(torch.__version__),
        }

    def save(self, path: Path) -> None:
        """Write everything that the next step depends on."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "step": self.step,
            "seconds": self.seconds,
            "losses": self.losses,
            "correct": self.correct,
        }
        save_checkpoint(path, self.identity(), state)

    def resume(self, path: Path) -> None:
        """Take up the state at ``path``, if there is any."""
        state = load_checkpoint(path, self.identity(), self.device)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.epochs = [Epoch(**epoch) for epoch in state["epochs"]]
        self.step, self.seconds = state["step"], state["seconds"]
        self.losses, self.correct = state["losses"], state["correct"]
