"""Train a model on a data set by a recipe: ``train(model, data, recipe, seed=0) -> History``.

Data and augmentation live on the device, and between two looks at the loss nothing waits for a GPU. Every random choice
comes from a stream named by (seed, purpose, epoch, step), so nothing random has to be saved, and a run that was killed
goes on from its checkpoint and ends, on the same device with as many threads, with the very numbers of a run that was
not.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convmixer import ConvMixerError
from convmixer.augment import augment
from convmixer.checkpoint import Identity, describe_training, load_checkpoint, refuse_other_content, save_checkpoint
from convmixer.data import Dataset
from convmixer.determinism import prepare_determinism, use_algorithms
from convmixer.device import (
    autocast,
    choose_device,
    choose_memory_format,
    choose_precision,
    raise_allocator_thresholds,
)
from convmixer.evaluate import Evaluation, evaluate
from convmixer.failures import explain_failures
from convmixer.history import Epoch, History, Progress
from convmixer.mixing import draw_mixture, mix_labels
from convmixer.model import ConvMixer, refuse_cut_images
from convmixer.optimiser import make_optimiser
from convmixer.paths import choose_forward
from convmixer.recipe import Recipe, find_batch_sizes, learning_rate
from convmixer.streams import derive_seed, seed_everything, stream
from convmixer.transfer import send

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
    path: str = "auto",
    deterministic: bool = True,
    checkpoint: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> History:
    """Train ``model`` in place, leave it on the device in evaluation mode, and return its learning curve.

    ``path`` is the way in which the model is computed, one of ``paths.PATHS``, by default the fastest.
    ``deterministic`` gives the same bits each time on one device; without it a GPU may be faster, and a CPU does the
    same. ``checkpoint`` is written after each epoch and once a minute; if it exists, training goes on from it. Raises
    ``ConvMixerError`` if it belongs to another training, if the images do not fit the model or a batch the memory, and
    when the loss is no longer finite; the checkpoint stays as it was last written.
    """
    chosen = choose_device(device)
    if deterministic:
        prepare_determinism(chosen)
    devices = [chosen] if chosen.type == "cuda" else []
    with (
        explain_failures(recipe.batch_size, chosen, checkpoint),
        torch.random.fork_rng(devices),
        use_algorithms(chosen, deterministic=deterministic),
    ):
        training = _Training(model, data, recipe, seed, chosen, precision, path, deterministic)
        if checkpoint is not None:
            training.resume(checkpoint)
        if chosen.type == "cpu":
            raise_allocator_thresholds()
        while len(training.epochs) < recipe.epochs:
            training.run_epoch(checkpoint, progress or (lambda _: None))
    model.eval()
    return History(
        epochs=tuple(training.epochs),
        device=str(training.device),
        precision=training.forward.precision,
        path=training.forward.path,
        note=training.forward.note,
        deterministic=deterministic,
    )


class _Training:
    """The state of one training between two steps, all of which a checkpoint holds."""

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        precision: str,
        path: str,
        deterministic: bool,
    ) -> None:
        self.model, self.data, self.recipe, self.seed, self.device = model, data, recipe, seed, device
        self.deterministic = deterministic
        self.batch_sizes = find_batch_sizes(recipe, len(data.train_labels))
        self.steps_per_epoch = len(self.batch_sizes)
        image_size = data.train_images.shape[2]
        refuse_cut_images(model, (image_size, data.train_images.shape[3]))
        _refuse_lone_values(model, self.batch_sizes, image_size)
        self.forward = choose_forward(model, image_size, device, path=path, precision=precision)
        model.to(device)
        if self.forward.path == "plain":
            model.to(memory_format=choose_memory_format(model, device))
        self.images, self.labels = data.train_images.to(device), data.train_labels.to(device)
        self.optimiser = make_optimiser(model, recipe)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.forward.precision == "fp16")
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
        batches = send(order, self.device).split(self.recipe.batch_size)
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
        """One step of the optimiser on the images with the indices ``batch``.

        Where images are mixed, a prediction is right if it is the class that has the greatest share in its image.
        """
        recipe, place = self.recipe, (epoch, self.step)
        torch.manual_seed(derive_seed(self.seed, "model", *place))  # for models that drop something at random
        self._set_learning_rate(epoch)
        images, labels = self.images[batch], self.labels[batch]
        targets = labels
        mixture = draw_mixture(recipe, (images.shape[2], images.shape[3]), stream(self.seed, "mix", *place))
        images = augment(images, recipe, stream(self.seed, "augment", *place), self.data.mean, self.data.std, mixture)
        if mixture is not None:
            targets = mix_labels(labels, mixture, len(self.data.classes), recipe.label_smoothing)
            labels = targets.argmax(1)
        with autocast(self.device, self.forward.precision):
            logits = self.forward.compute(images)
        logits = logits.float()
        smoothing = recipe.label_smoothing if mixture is None else 0.0  # mixed labels are smooth already
        loss = F.cross_entropy(logits, targets, label_smoothing=smoothing)
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
        return losses.sum().item() / sum(self.batch_sizes[: self.step])

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
            train_accuracy=self.correct.sum().item() / sum(self.batch_sizes),
            validation_loss=validation.loss if validation else None,
            validation_accuracy=validation.accuracy if validation else None,
            test_loss=test.loss,
            test_accuracy=test.accuracy,
            seconds=self.seconds,
        )

    def _evaluate(self, images: Tensor, labels: Tensor) -> Evaluation | None:
        if not len(labels):
            return None
        facts = {"mean": self.data.mean, "std": self.data.std}
        way = {"precision": self.forward.precision, "path": self.forward.path}
        return evaluate(self.model, images, labels, **facts, **way)

    def identity(self) -> Identity:
        """What has to be equal for a checkpoint to be this training's."""
        return describe_training(
            self.model,
            self.data,
            self.recipe,
            seed=self.seed,
            device=self.device.type,
            precision=self.forward.precision,
            path=self.forward.path,
            deterministic=self.deterministic,
        )

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
        with refuse_other_content(path):
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.scaler.load_state_dict(state["scaler"])
            self.epochs = [Epoch(**epoch) for epoch in state["epochs"]]
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.losses.copy_(state["losses"])
            self.correct.copy_(state["correct"])


def _refuse_lone_values(model: nn.Module, batch_sizes: Sequence[int], image_size: int) -> None:
    """Batch normalisation learns nothing from one value of a channel: the last image of an epoch, of one patch."""
    if isinstance(model, ConvMixer) and batch_sizes[-1] == 1 and image_size // model.patch_size == 1:
        raise ConvMixerError(
            f"train: with a batch_size of {batch_sizes[0]!r} the last batch of an epoch is one image, which a patch_size "
            f"of {model.patch_size!r} makes one patch; batch normalisation needs two values: take another batch_size"
        )
