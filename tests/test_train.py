"""Training: it learns, repeats itself, survives being killed, and refuses what it cannot go on with."""

import hashlib
import io
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from convmixer import ConvMixerError, checkpoint
from convmixer import train as training
from convmixer.data import Dataset, load
from convmixer.mixing import Mixture, mix_labels
from convmixer.model import ConvMixer
from convmixer.paths import PATHS
from convmixer.recipe import Recipe, ablate, choose_recipe
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
    assert (history.device, history.precision, history.path in PATHS) == ("cpu", "fp32", True)
    assert history.deterministic


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


def test_an_epoch_of_the_paper_leaves_out_the_last_batch(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(training, "augment", lambda images, *_: seen.append(images) or images.float())
    (epoch,) = train(make_model(), digits, make_recipe(1, drop_last_batch=True), seed=0).epochs
    assert [len(images) for images in seen] == [32, 32, 32, 32]
    assert epoch.train_accuracy * 128 == round(epoch.train_accuracy * 128)


def test_the_paper_recipe_trains_and_repeats_itself(digits: Dataset) -> None:
    recipe = choose_recipe("paper", 2, batch_size=32)
    first, again = (numbers(train(make_model(), digits, recipe, seed=0)) for _ in range(2))
    assert first == again
    unmixed = numbers(train(make_model(), digits, ablate(recipe, "mixup-cutmix"), seed=0))
    assert first["train_loss"] != unmixed["train_loss"]


def test_mixed_images_are_trained_on_mixed_labels(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a model that cannot learn, loss and accuracy are those of its one prediction against the mixed labels."""
    mixture, batches = Mixture(kept=0.3, box=None), []
    monkeypatch.setattr(training, "draw_mixture", lambda *_: mixture)
    monkeypatch.setattr(
        training, "mix_labels", lambda labels, *rest: batches.append(labels) or mix_labels(labels, *rest)
    )
    recipe = make_recipe(1, mixup_alpha=0.5, learning_rate=0.0, weight_decay=0.0)
    (epoch,) = train(Constant(), digits, recipe, seed=0, device="cpu", precision="fp32").epochs
    partners = torch.cat([labels.flip(0) for labels in batches])  # they have 0.7 of each image
    assert epoch.train_accuracy == pytest.approx((partners == 3).double().mean().item())
    shares = torch.cat([mix_labels(labels, mixture, 10, 0.1) for labels in batches])
    logits = Constant()(torch.zeros(len(shares), 1, 8, 8))
    assert epoch.train_loss == pytest.approx(nn.functional.cross_entropy(logits, shares).item(), rel=1e-5)


def test_progress_is_told_in_the_middle_and_at_the_end(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "PROGRESS_SECONDS", 0)
    told: list[Progress] = []
    history = train(make_model(), digits, make_recipe(2), seed=0, progress=told.append)
    assert [(p.epoch, p.step) for p in told] == [(e, s) for e in (1, 2) for s in (1, 2, 3, 4, 5, 5)]
    assert [p.finished for p in told if p.finished] == list(history.epochs)
    assert {(p.epochs, p.steps_per_epoch) for p in told} == {(2, 5)}


def test_all_paths_learn_the_same(digits: Dataset) -> None:
    paths = ("auto", "channel-major", "plain")
    auto, major, plain = (
        train(make_model(), digits, make_recipe(1), seed=0, device="cpu", precision="fp32", path=path) for path in paths
    )
    assert (major.path, plain.path) == paths[1:]
    assert major.epochs[0].train_loss == pytest.approx(plain.epochs[0].train_loss, rel=1e-3)
    assert auto.epochs[0].train_loss == pytest.approx(plain.epochs[0].train_loss, rel=1e-3)


@pytest.mark.parametrize("switch", [{"norm": "layer"}, {"residual": "both"}, {"residual": "none"}])
def test_ablated_models_train_by_the_plain_path(digits: Dataset, switch: dict[str, str]) -> None:
    sizes = {"width": 8, "depth": 1, "patch_size": 2, "kernel_size": 3, "num_classes": 10, "in_channels": 1}
    history = train(ConvMixer(**sizes, **switch), digits, make_recipe(1), seed=0, device="cpu", precision="fp32")
    assert (history.path, len(history.epochs)) == ("plain", 1)


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


@pytest.mark.parametrize("error", [None, torch.OutOfMemoryError("CUDA"), MemoryError()])
def test_a_batch_too_large_for_memory_is_named_and_the_checkpoint_kept(
    digits: Dataset, tmp_path: Path, error: Exception | None
) -> None:
    path, recipe = tmp_path / "c", make_recipe(3)
    with pytest.raises(ConvMixerError) as caught:
        train(Greedy(7, error), digits, recipe, seed=0, device="cpu", checkpoint=path)
    assert str(caught.value) == (
        "train: 'cpu' has too little memory for a batch_size of 32; take a smaller one (another recipe than the "
        f"source's, hence to be named as a deviation) or another device; the checkpoint {str(path)!r} is kept"
    )
    assert path.exists()
    with pytest.raises(ConvMixerError) as caught:
        train(Greedy(0, error), digits, recipe, seed=0, device="cpu")
    assert str(caught.value).endswith("or another device")


def test_other_errors_of_torch_pass_as_they_are(digits: Dataset) -> None:
    with pytest.raises(RuntimeError, match="^something else$"):
        train(Greedy(0, RuntimeError("something else")), digits, make_recipe(1), seed=0)


def test_an_operation_that_cannot_repeat_itself_is_named(digits: Dataset) -> None:
    error = RuntimeError("avg_pool3d_backward_cuda does not have a deterministic implementation, but you set ...")
    with pytest.raises(ConvMixerError) as caught:
        train(Greedy(0, error), digits, make_recipe(1), seed=0, device="cpu")
    assert str(caught.value) == (
        "train: deterministic is True, but avg_pool3d_backward_cuda on 'cpu' cannot give the same bits each time; give "
        "deterministic=False"
    )


def test_images_that_patches_do_not_tile_are_refused_before_training(digits: Dataset, tmp_path: Path) -> None:
    for patch_size in (3, 16):
        with pytest.raises(ConvMixerError, match=f"patch_size is {patch_size}, which does not divide images of 8x8"):
            train(make_model(patch_size=patch_size), digits, make_recipe(1), seed=0, checkpoint=tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_missing_device_is_refused_before_training(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConvMixerError, match="device is 'cuda', but torch sees 0 GPUs"):
        train(make_model(), digits, make_recipe(1), seed=0, device="cuda")


def test_on_a_cpu_the_bits_are_the_same_without_being_asked_for(digits: Dataset) -> None:
    asked, free = (train(make_model(), digits, make_recipe(1), seed=0, deterministic=d) for d in (True, False))
    assert (asked.deterministic, free.deterministic) == (True, False)
    assert numbers(asked) == numbers(free)


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


class Constant(nn.Module):
    """A model that always takes an image for a three."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.eye(10)[3])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), 10)


class Greedy(nn.Module):
    """A model that learns for some steps and then asks for more memory than any machine has."""

    def __init__(self, steps: int, error: Exception | None = None) -> None:
        super().__init__()
        self.logits, self.left, self.error = nn.Parameter(torch.zeros(10)), steps, error

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.left -= 1
        if self.left < 0:
            if self.error:
                raise self.error
            torch.empty(1 << 50)
        return self.logits.expand(len(images), 10)


class Dropping(nn.Module):
    """A model that drops at random, from torch's global generator."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


class Interrupted(Exception):
    """Raised by a progress function to stop a training."""


@pytest.mark.parametrize("recipe", [make_recipe(2), choose_recipe("paper", 2, batch_size=32)], ids=["busy", "paper"])
def test_a_model_that_drops_at_random_resumes_exactly(
    recipe: Recipe, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(training, "PROGRESS_SECONDS", 0)

    def interrupt(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (2, 2):
            raise Interrupted

    seed_everything(0)
    unbroken = train(Dropping(), digits, recipe, seed=0)
    seed_everything(0)
    with pytest.raises(Interrupted):
        train(Dropping(), digits, recipe, seed=0, checkpoint=tmp_path / "c", progress=interrupt)
    torch.rand(7)  # whatever else the process drew
    assert numbers(train(Dropping(), digits, recipe, seed=0, checkpoint=tmp_path / "c")) == numbers(unbroken)


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


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("model"),
        lambda state: state["model"].popitem(),
        lambda state: state.update(optimiser=None),
        lambda state: state.update(epochs=[{"loss": 1.0}]),
        lambda state: state.update(step="many"),
        lambda state: state.update(losses=torch.zeros(2)),
    ],
)
def test_a_whole_checkpoint_that_holds_something_else_is_refused_and_kept(
    digits: Dataset, tmp_path: Path, change: Callable[[dict], object]
) -> None:
    path = tmp_path / "c"
    train(make_model(), digits, make_recipe(1), seed=0, checkpoint=path)
    saved = torch.load(io.BytesIO(path.read_bytes()[32:]), weights_only=True)
    change(saved["state"])
    checkpoint.save_checkpoint(path, saved["identity"], saved["state"])
    content = path.read_bytes()
    with pytest.raises(
        ConvMixerError, match="is whole, but holds no state of a training.*delete the file to start again"
    ):
        train(make_model(), digits, make_recipe(1), seed=0, checkpoint=path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("saved", [b"", b"no pickle", pickle.dumps(print), pickle.dumps([1])])
def test_a_file_with_the_right_digest_runs_no_code_and_is_refused(tmp_path: Path, saved: bytes) -> None:
    path = tmp_path / "c"
    path.write_bytes(hashlib.sha256(saved).digest() + saved)
    with pytest.raises(ConvMixerError, match="is whole, but holds no state of a training"):
        checkpoint.load_checkpoint(path, {"seed": 0}, torch.device("cpu"))


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


@pytest.mark.parametrize("recipe", [make_recipe(1), choose_recipe("paper", batch_size=32)], ids=["authors", "paper"])
def test_a_step_looks_at_no_value_on_the_device(
    recipe: Recipe, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the device "meta" there are no values: whatever would make the CPU wait for a GPU raises an error there."""
    monkeypatch.setattr(training, "autocast", lambda *_: nullcontext())  # torch knows none for it, and no fused AdamW
    monkeypatch.setattr(training, "make_optimiser", lambda model, _: torch.optim.SGD(model.parameters(), foreach=False))
    step = training._Training(make_model(), digits, recipe, 0, torch.device("meta"), "fp32", "plain", True)
    step._train_on(torch.arange(32, device="meta"), 0)
    assert (step.forward.path, step.losses.device.type) == ("plain", "meta")
    with pytest.raises((NotImplementedError, RuntimeError)):
        step._mean_loss()


def test_a_last_batch_of_one_image_of_one_patch_is_refused(digits: Dataset) -> None:
    model = ConvMixer(width=4, depth=1, patch_size=8, kernel_size=1, num_classes=10, in_channels=1)
    data = replace(digits, train_images=digits.train_images[:33], train_labels=digits.train_labels[:33])
    with pytest.raises(ConvMixerError) as caught:
        train(model, data, choose_recipe("smoke", batch_size=32), seed=0)
    assert str(caught.value) == (
        "train: with a batch_size of 32 the last batch of an epoch is one image, which a patch_size of 8 makes one patch; "
        "batch normalisation needs two values: take another batch_size"
    )
