"""Training: it learns, repeats itself, survives being killed, and refuses what it cannot go on with."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from convmixer import ConvMixerError, checkpoint
from convmixer import train as training
from convmixer.data import Dataset, load
from convmixer.model import ConvMixer
from convmixer.recipe import Recipe, choose_recipe
from convmixer.train import History, Progress, evaluate, seed_everything, train

# Every kind of random choice, a last batch smaller than the others, and a clipped gradient.
BUSY = {
    "batch_size": 32,
    "flip_probability": 0.5,
    "crop_scale": 0.75,
    "randaugment_ops": 1,
    "randaugment_magnitude": 8,
    "color_jitter": 0.1,
    "erasing_probability": 0.25,
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums are then added in one order, here and in the processes that are killed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def digits() -> Dataset:
    return make_digits()


def make_digits() -> Dataset:
    """The embedded digits cut down: 150 images to train on, hence five steps of 32, the last of 22."""
    whole = load("digits", validation=60)
    return replace(
        whole,
        train_images=whole.train_images[:150],
        train_labels=whole.train_labels[:150],
        test_images=whole.test_images[:70],
        test_labels=whole.test_labels[:70],
    )


def make_recipe(epochs: int = 3, **overrides: object) -> Recipe:
    return choose_recipe("smoke", epochs, **{**BUSY, **overrides})


def make_model(seed: int = 0, patch_size: int = 2) -> nn.Module:
    seed_everything(seed)
    return ConvMixer(width=8, depth=1, patch_size=patch_size, kernel_size=3, num_classes=10, in_channels=1)


def numbers(history: History) -> dict[str, list]:
    """All columns but the seconds."""
    return {name: column for name, column in history.as_columns().items() if name != "seconds"}


def test_smoke_training_learns_the_digits() -> None:
    recipe = choose_recipe("smoke")
    data = load("digits", validation=recipe.validation_size)
    seed_everything(0)
    model = ConvMixer(width=32, depth=2, patch_size=1, kernel_size=3, num_classes=10, in_channels=1)
    last = train(model, data, recipe, seed=0).epochs[-1]
    assert last.test_accuracy > 0.9
    assert last.validation_accuracy > 0.9


def test_history_has_a_row_for_each_epoch(digits: Dataset) -> None:
    history = train(make_model(), digits, make_recipe(), seed=0, device="cpu", precision="fp32")
    columns = history.as_columns()
    assert list(columns) == [
        "epoch",
        "learning_rate",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "test_loss",
        "test_accuracy",
        "seconds",
    ]
    assert columns["epoch"] == [1, 2, 3]
    assert columns["learning_rate"] == pytest.approx([0.01, 0.0005, 0])  # knots after 1, 2 and 3 of 3 epochs
    assert (history.device, history.precision, history.path) == ("cpu", "fp32", "channel-major")


def test_without_validation_images_their_columns_are_empty(digits: Dataset) -> None:
    data = replace(digits, validation_images=digits.test_images[:0], validation_labels=digits.test_labels[:0])
    (epoch,) = train(make_model(), data, make_recipe(1), seed=0).epochs
    assert (epoch.validation_loss, epoch.validation_accuracy) == (None, None)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(digits: Dataset) -> None:
    first, again, other = (numbers(train(make_model(), digits, make_recipe(1), seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_the_callers_random_state_is_left_alone(digits: Dataset) -> None:
    model = make_model()
    before = torch.get_rng_state()
    train(model, digits, make_recipe(1), seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_image_is_trained_on_once_an_epoch(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(training, "augment", lambda images, *_: seen.append(images) or images.float())
    train(make_model(), digits, make_recipe(1), seed=0)
    assert [len(images) for images in seen] == [32, 32, 32, 32, 22]
    assert sorted(torch.cat(seen).flatten(1).tolist()) == sorted(digits.train_images.flatten(1).tolist())


def test_progress_is_told_in_the_middle_and_at_the_end(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "PROGRESS_SECONDS", 0)
    told: list[Progress] = []
    history = train(make_model(), digits, make_recipe(2), seed=0, progress=told.append)
    assert [(p.epoch, p.step) for p in told] == [(e, s) for e in (1, 2) for s in (1, 2, 3, 4, 5, 5)]
    assert [p.finished for p in told if p.finished] == list(history.epochs)
    assert {(p.epochs, p.steps_per_epoch) for p in told} == {(2, 5)}


def test_both_paths_learn_the_same(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    major = train(make_model(), digits, make_recipe(1), seed=0)
    monkeypatch.setattr("convmixer.channel_major.LARGEST_RATIO_OF_WORK", 0)
    plain = train(make_model(), digits, make_recipe(1), seed=0)
    assert (major.path, plain.path) == ("channel-major", "plain")
    assert major.epochs[0].train_loss == pytest.approx(plain.epochs[0].train_loss, rel=1e-3)


def test_bf16_trains_on_a_cpu_too(digits: Dataset) -> None:
    half = train(make_model(), digits, make_recipe(1), seed=0, device="cpu", precision="bf16")
    full = train(make_model(), digits, make_recipe(1), seed=0, device="cpu", precision="fp32")
    assert half.precision == "bf16"
    assert half.epochs[0].train_loss == pytest.approx(full.epochs[0].train_loss, rel=0.05)


def test_a_diverged_training_says_where(digits: Dataset, tmp_path: Path) -> None:
    model = make_model()
    nn.init.constant_(model.head.weight, float("inf"))
    with pytest.raises(ConvMixerError) as caught:
        train(model, digits, make_recipe(2), seed=0, precision="fp32", checkpoint=tmp_path / "c")
    assert str(caught.value) == (
        "training diverged: the loss of epoch 1, step 1 of 5 is nan; try a lower learning_rate than 0.01, a clip_norm, "
        "or precision 'fp32'"
    )
    assert not (tmp_path / "c").exists()


# Run in a process of its own, which the parent kills: saves after every step, and says so.
KILLED = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[2])
import test_train as here
from convmixer import train as training
training.CHECKPOINT_SECONDS = training.PROGRESS_SECONDS = 0
report = lambda p: print(p.epoch, p.step, flush=True)
here.train(here.make_model(), here.make_digits(), here.make_recipe(), seed=0, device="cpu", precision="fp32",
           checkpoint=Path(sys.argv[1]), progress=report)
"""


def train_until_killed(path: Path, at: tuple[int, int]) -> None:
    """Start the training above and kill it with SIGKILL when it has begun the step after ``at`` (epoch, step)."""
    command = [sys.executable, "-c", KILLED, str(path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as process:
        for line in process.stdout:
            if tuple(map(int, line.split())) >= at:
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL


def test_a_killed_training_ends_with_the_numbers_of_one_that_was_not(digits: Dataset, tmp_path: Path) -> None:
    path, told = tmp_path / "checkpoint.pt", []
    train_until_killed(path, (1, 4))
    train_until_killed(path, (2, 3))
    resumed_model, model = make_model(seed=1), make_model()  # the checkpoint brings the weights
    options = {"seed": 0, "device": "cpu", "precision": "fp32"}
    resumed = train(resumed_model, digits, make_recipe(), **options, checkpoint=path, progress=told.append)
    unbroken = train(model, digits, make_recipe(), **options)
    assert [p.epoch for p in told if p.finished] == [2, 3]
    assert numbers(resumed) == numbers(unbroken)
    torch.testing.assert_close(resumed_model.state_dict(), model.state_dict(), rtol=0, atol=0)


class Dropping(nn.Module):
    """A model that drops at random, from torch's global generator."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


class Interrupted(Exception):
    """Raised by a progress function to stop a training."""


def test_a_model_that_drops_at_random_resumes_exactly(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(training, "PROGRESS_SECONDS", 0)

    def interrupt(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (2, 2):
            raise Interrupted

    seed_everything(0)
    unbroken = train(Dropping(), digits, make_recipe(2), seed=0)
    seed_everything(0)
    with pytest.raises(Interrupted):
        train(Dropping(), digits, make_recipe(2), seed=0, checkpoint=tmp_path / "c", progress=interrupt)
    torch.rand(7)  # whatever else the process drew
    assert numbers(train(Dropping(), digits, make_recipe(2), seed=0, checkpoint=tmp_path / "c")) == numbers(unbroken)


def test_a_finished_training_is_not_repeated(digits: Dataset, tmp_path: Path) -> None:
    first = train(make_model(), digits, make_recipe(1), seed=0, checkpoint=tmp_path / "c")
    told: list[Progress] = []
    again = train(make_model(), digits, make_recipe(1), seed=0, checkpoint=tmp_path / "c", progress=told.append)
    assert (again, told) == (first, [])


def flip_a_bit(content: bytes) -> bytes:
    return content[:-500] + bytes([content[-500] ^ 1]) + content[-499:]


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"no checkpoint", lambda whole: whole[:-100], flip_a_bit])
def test_a_broken_checkpoint_is_said_and_training_starts_again(
    digits: Dataset, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "c"
    whole = train(make_model(), digits, make_recipe(1), seed=0, checkpoint=path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning) as warned:
        again = train(make_model(), digits, make_recipe(1), seed=0, checkpoint=path)
    assert [str(w.message) for w in warned] == [f"checkpoint {str(path)!r} is broken; training starts again"]
    assert numbers(again) == numbers(whole)


def test_a_checkpoint_of_another_training_is_refused(digits: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "c"
    train(make_model(), digits, make_recipe(1), seed=0, checkpoint=path)
    with pytest.raises(ConvMixerError) as caught:
        train(make_model(), digits, make_recipe(1), seed=1, checkpoint=path)
    assert str(caught.value) == (
        f"checkpoint {str(path)!r} belongs to another training: seed is 0 there and 1 here; delete the file to start "
        "again, or name another"
    )
    with pytest.raises(ConvMixerError, match=r"recipe\.learning_rate is 0\.01 there and 0\.1 here"):
        train(make_model(), digits, make_recipe(1, learning_rate=0.1), seed=0, checkpoint=path)
    with pytest.raises(ConvMixerError, match="model is 'ConvMixer, .*' there and 'Dropping, .*' here"):
        train(Dropping(), digits, make_recipe(1), seed=0, checkpoint=path)


def test_a_save_that_fails_leaves_the_former_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder" / "c"
    checkpoint.save_checkpoint(path, {"seed": 0}, {"step": 1})

    def fail(file: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        checkpoint.save_checkpoint(path, {"seed": 0}, {"step": 2})
    assert checkpoint.load_checkpoint(path, {"seed": 0}, torch.device("cpu")) == {"step": 1}


def test_evaluation_counts_each_image_once_whatever_the_batch_size(digits: Dataset) -> None:
    model = make_model().train()
    images, labels, facts = digits.test_images, digits.test_labels, {"mean": digits.mean, "std": digits.std}
    found = evaluate(model, images, labels, **facts, batch_size=32)
    with torch.no_grad():
        logits = model.eval()((images / 255 - digits.mean[0]) / digits.std[0])
    assert found.predictions.tolist() == logits.argmax(1).tolist()
    assert found.correct.tolist() == (logits.argmax(1) == labels).tolist()
    assert found.accuracy == found.correct.mean()
    assert found.loss == pytest.approx(nn.functional.cross_entropy(logits, labels).item(), rel=1e-5)


def test_evaluation_leaves_the_model_as_it_was(digits: Dataset) -> None:
    model = make_model().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, digits.test_images, digits.test_labels, mean=digits.mean, std=digits.std)
    assert model.training
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
