"""The command ``python -m convmixer.imagenet``: its results, its words, its exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from convmixer import imagenet
from convmixer.model import ConvMixer
from convmixer.weights import save_weights

SIZES = {"width": 4, "depth": 1, "patch_size": 4, "kernel_size": 3, "num_classes": 3}
CLASSES = ("red", "green", "blue light")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Weights that see colours, ours and as the authors save them; two images of each class, and the class names."""
    model = ConvMixer(**SIZES, activation="relu").eval()
    with torch.no_grad():
        for value in model.parameters():
            value.zero_()
        for norm in (model.stem[2], model.blocks[0][3]):
            norm.weight.fill_(1.0)
        for channel in range(3):
            model.stem[0].weight[channel, channel] = 1 / 16
            model.blocks[0][1].weight[channel, channel] = 1.0
            model.head.weight[channel, channel] = 1.0
    save_weights(model, tmp_path / "ours.safetensors")
    torch.save({"state_dict": model.state_dict()}, tmp_path / "theirs.pth.tar")
    for name, colour in zip(CLASSES, ((255, 0, 0), (0, 255, 0), (0, 0, 255)), strict=True):
        (tmp_path / "data" / "val" / name).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (40, 30), colour).save(tmp_path / "data" / "val" / name / f"{number}.png")
    (tmp_path / "classes.txt").write_text("red\ngreen\n\nblue light\n")
    return tmp_path


def arguments(place: Path, *more: str, weights: str = "ours.safetensors") -> list[str]:
    paths = ["--weights", f"{place / weights}", "--data", f"{place / 'data'}", "--classes", f"{place / 'classes.txt'}"]
    return [*paths, "--image-size", "16", "--workers", "0", "--device", "cpu", *more]


def test_the_accuracy_is_printed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imagenet.main(arguments(place)) == 0
    assert capsys.readouterr() == ("ConvMixer-4/1, 6 images: top-1 100.000%, top-5 100.000%\n", "")


def test_the_result_is_printed_as_json(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imagenet.main(arguments(place, "--json", "--activation", "relu", weights="theirs.pth.tar")) == 0
    assert json.loads(capsys.readouterr().out) == {
        "model": "ConvMixer-4/1",
        **SIZES,
        "in_channels": 3,
        "norm": "batch",
        "residual": "depthwise",
        "activation": "relu",
        "image_size": 16,
        "precision": "fp32",
        "n": 6,
        "top1": 1.0,
        "top5": 1.0,
    }


def test_the_order_of_the_classes_decides(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "classes.txt").write_text("green\nred\nblue light\n")
    assert imagenet.main(arguments(place)) == 0
    assert capsys.readouterr().out == "ConvMixer-4/1, 6 images: top-1 33.333%, top-5 100.000%\n"


def test_an_activation_that_the_file_does_not_tell_has_to_be_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(place / "theirs.pth.tar")
    assert imagenet.main(arguments(place, weights="theirs.pth.tar")) == 2
    assert capsys.readouterr().err == (
        f"error: {path!r} does not tell the activation; name it with --activation: relu for the authors' "
        "ConvMixer-768/32, gelu for their others\n"
    )


def test_an_activation_against_the_file_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imagenet.main(arguments(place, "--activation", "gelu")) == 2
    path = str(place / "ours.safetensors")
    assert capsys.readouterr().err == f"error: --activation is 'gelu', but {path!r} says 'relu'\n"


def test_a_users_mistakes_end_with_two(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more, words in (
        (("--image-size", "18"), "ConvMixer: patch_size is 4, which does not divide images of 18x18 pixels"),
        (("--classes", str(place / "none")), f"--classes: {str(place / 'none')!r} cannot be read"),
        (("--data", str(place / "none")), f"find_images: no folder {str(place / 'none')!r}"),
        (("--weights", str(place / "none.pth")), f"weights: no file {str(place / 'none.pth')!r}"),
        (("--precision", "fp16"), "choose_precision: precision is 'fp16' on a CPU"),
    ):
        assert imagenet.main(arguments(place, *more)) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith(f"error: {words}")
        assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--device", "gpu"), "argument --device: unknown device 'gpu'; expected cpu, cuda or cuda:N"),
        (("--batch-size", "0"), "argument --batch-size: '0'; expected a whole number of 1 or more"),
        (("--workers", "-1"), "argument --workers: '-1'; expected a whole number from 0"),
        (("--batch", "1"), "unrecognized arguments: --batch 1"),
    ],
)
def test_unknown_arguments_end_with_two(
    place: Path, more: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        imagenet.main(arguments(place, *more))
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_a_missing_device_ends_with_five(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert imagenet.main(arguments(place, "--device", "cuda:1")) == 5
    assert capsys.readouterr().err == (
        "error: choose_device: device is 'cuda:1', but torch sees 0 GPUs; take another or leave it out\n"
    )


def test_a_missing_library_ends_with_five(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "convmixer.image_folder", None)
    assert imagenet.main(arguments(place)) == 5
    told = capsys.readouterr().err
    assert told.startswith("error: import of convmixer.image_folder halted")
    assert told.endswith("; install the packages of requirements.lock\n")


def test_an_error_of_the_system_without_a_file_says_what_it_says(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("cannot start a worker")

    monkeypatch.setattr("convmixer.image_folder.evaluate_images", fail)
    assert imagenet.main(arguments(place)) == 2
    assert capsys.readouterr().err == "error: cannot start a worker\n"


def test_an_interruption_ends_with_130(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("convmixer.image_folder.evaluate_images", interrupt)
    assert imagenet.main(arguments(place)) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_progress_off_a_terminal_is_a_line_now_and_then(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagenet, "_LINE_SECONDS", 0.0)
    assert imagenet.main(arguments(place, "--batch-size", "4")) == 0
    assert capsys.readouterr().err == "4 of 6 images\n6 of 6 images\n"


def test_the_module_runs_as_a_command_and_help_needs_no_torch(root: Path) -> None:
    blocked = "import sys; sys.modules['torch'] = None; sys.argv[1:] = ['--help']; import runpy; "
    command = [sys.executable, "-c", blocked + "runpy.run_module('convmixer.imagenet', run_name='__main__')"]
    run = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("usage: python -m convmixer.imagenet")


def test_progress_on_a_terminal_is_a_bar(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert imagenet.main(arguments(place, "--batch-size", "4")) == 0
    assert "6/6" in capsys.readouterr().err
