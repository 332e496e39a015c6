"""A folder of photographs: timm's preparation of each, explicit class numbers, and one clear error for each fault."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import Tensor, nn

from convmixer import ConvMixerError
from convmixer.image_folder import FolderAccuracy, FolderImages, evaluate_images, find_images, make_transform

COLOURS = {"cat": (250, 0, 0), "dog": (0, 250, 0), "ant": (0, 0, 250)}
CPU = torch.device("cpu")


class Brightest(nn.Module):
    """Logits (batch, classes): the mean of each channel, then ever less; so red is 0, green 1, blue 2."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.below = nn.Parameter(-100.0 - torch.arange(classes - 3))

    def forward(self, images: Tensor) -> Tensor:
        means = images.mean((2, 3))  # (batch, 3)
        return torch.cat([means, self.below.expand(len(means), -1)], 1)


def save_image(path: Path, colour: tuple[int, int, int] = (0, 0, 0), size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images of each of three colours, and files that are none."""
    for name, colour in COLOURS.items():
        save_image(tmp_path / "val" / name / "b.JPEG", colour)
        save_image(tmp_path / "val" / name / "a.png", colour)
        (tmp_path / "val" / name / "notes.txt").write_text("no image")
    (tmp_path / "val" / "labels.csv").write_text("")
    return tmp_path


def refusal(root: Path, num_classes: int = 3, names: list[str] | None = None, **options: bool) -> str:
    with pytest.raises(ConvMixerError) as caught:
        find_images(root, num_classes, names, **options)
    return str(caught.value)


@pytest.mark.parametrize("name", ["convmixer_1536_20", "convmixer_768_32", "convmixer_1024_20_ks9_p14"])
@pytest.mark.parametrize("size", [(500, 375), (333, 500), (224, 224), (50, 60)])
def test_images_are_prepared_as_timm_prepares_them(name: str, size: tuple[int, int]) -> None:
    config = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    assert torch.equal(make_transform()(image), create_transform(**config)(image))


def test_classes_are_numbered_as_they_are_named(folder: Path) -> None:
    images = find_images(folder, 3, ["dog", "cat", "ant"])
    assert images.labels == (2, 2, 1, 1, 0, 0)
    assert [path.relative_to(folder / "val").as_posix() for path in images.paths] == [
        *("ant/a.png", "ant/b.JPEG", "cat/a.png", "cat/b.JPEG", "dog/a.png", "dog/b.JPEG")
    ]
    assert find_images(folder / "val", 3, ["dog", "cat", "ant"]) == images


def test_a_thousand_wordnet_ids_are_numbered_in_their_order(tmp_path: Path) -> None:
    names = [f"n{10_000_000 + 7 * number}" for number in range(1000)]
    for name in reversed(names):
        (tmp_path / "val" / name).mkdir(parents=True)
        (tmp_path / "val" / name / "x.JPEG").touch()
    images = find_images(tmp_path, 1000)
    assert images.labels == tuple(range(1000))
    assert [path.parent.name for path in images.paths] == names


@pytest.mark.parametrize("workers", [0, 2])
def test_accuracies_are_counted(folder: Path, workers: int) -> None:
    told: list[tuple[int, int]] = []
    images = find_images(folder, 7, ["cat", "ant", "dog", "e", "f", "g", "h"], allow_missing=True)
    model = Brightest(7).train()
    accuracy = evaluate_images(
        model,
        images,
        device=CPU,
        image_size=16,
        batch_size=4,
        workers=workers,
        progress=lambda done, total: told.append((done, total)),
    )
    # ant is 1 and blue 2, dog is 2 and green 1: both wrong, but among five; cat is right.
    assert accuracy == FolderAccuracy(top1=2 / 6, top5=1.0, n=6)
    assert told == [(4, 6), (6, 6)]
    assert not model.training


def test_the_sixth_likeliest_class_does_not_count(folder: Path) -> None:
    images = FolderImages(paths=(folder / "val/cat/a.png",) * 3, labels=(0, 4, 5))
    accuracy = evaluate_images(Brightest(7), images, device=CPU, image_size=16, batch_size=1)
    assert accuracy == FolderAccuracy(top1=1 / 3, top5=2 / 3, n=3)


def test_grey_and_transparent_images_are_taken(tmp_path: Path) -> None:
    Image.new("L", (20, 20), 9).save(tmp_path / "grey.png")
    Image.new("RGBA", (20, 20)).save(tmp_path / "clear.png")
    images = FolderImages(paths=(tmp_path / "grey.png", tmp_path / "clear.png"), labels=(0, 0))
    assert evaluate_images(Brightest(), images, device=CPU, image_size=16).n == 2


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("content", [b"", b"no image", "truncated"])
def test_a_damaged_image_is_named(folder: Path, content: bytes | str, workers: int) -> None:
    path = folder / "val" / "cat" / "b.JPEG"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    images = find_images(folder, 3, ["cat", "dog", "ant"])
    with pytest.raises(ConvMixerError) as caught:
        evaluate_images(Brightest(), images, device=CPU, image_size=16, workers=workers)
    assert str(caught.value).startswith(f"evaluate_images: {str(path)!r} is no image that can be read (")
    assert str(caught.value).endswith("); fetch it again")


def test_folders_that_are_not_imagenets_need_names(folder: Path, tmp_path: Path) -> None:
    hint = "For others name the classes in the order of the model's outputs"
    expected = f"expected the 1000 of ImageNet-1k, n01440764 and so on. {hint}"
    assert refusal(folder) == (
        f"find_images: the class folders in {str(folder / 'val')!r} are 3, among them 'ant'; {expected}"
    )
    (tmp_path / "few" / "n01440764").mkdir(parents=True)
    assert refusal(tmp_path / "few", 1000) == (
        f"find_images: the class folders in {str(tmp_path / 'few')!r} are 1; {expected}"
    )


def test_faults_of_the_folder_are_named(folder: Path) -> None:
    place = str(folder / "val")
    assert refusal(folder / "none") == f"find_images: no folder {str(folder / 'none')!r}"
    assert refusal(folder, 2, ["cat", "dog"]) == (
        f"find_images: class folder 'ant' in {place!r} is none of the named classes"
    )
    assert refusal(folder, 5, ["cat", "dog", "ant", "bee", "asp"]) == (
        f"find_images: {place!r} lacks class folder 'asp' and 1 more; add what is missing, or say that some may be"
    )
    assert refusal(folder, 10, ["cat", "dog", "ant"]) == (
        "find_images: 3 classes are named, but the model tells 10 apart; name as many"
    )
    assert refusal(folder, 3, ["cat", "dog", "cat"]) == ("find_images: class 'cat' is named twice; expected each once")
    for image in (folder / "val" / "cat").glob("*.*"):
        image.unlink()
    assert refusal(folder, 3, ["cat", "dog", "ant"]).startswith(
        f"find_images: no image in class folder {str(folder / 'val' / 'cat')!r}; expected files that end in .jpg, "
    )


def test_a_folder_without_classes_is_refused_even_where_some_may_be_missing(tmp_path: Path) -> None:
    assert refusal(tmp_path, 1, ["cat"], allow_missing=True) == (
        f"find_images: {str(tmp_path)!r} lacks class folder 'cat'; add what is missing, or say that some may be"
    )


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), None])
def test_too_large_a_batch_is_one_clear_error(folder: Path, error: Exception | None) -> None:
    class Full(Brightest):
        def forward(self, images: Tensor) -> Tensor:
            if error is not None:
                raise error
            return torch.empty(1 << 50)  # a petabyte: this is how torch says on a CPU that it has none

    images = find_images(folder, 3, ["cat", "dog", "ant"])
    with pytest.raises(ConvMixerError) as caught:
        evaluate_images(Full(), images, device=CPU, image_size=16)
    assert str(caught.value) == (
        "evaluate_images: a batch of 6 images does not fit into the memory of 'cpu'; take a smaller batch_size"
    )


@pytest.mark.parametrize(("batch_size", "workers"), [(0, 0), (1, -1)])
def test_impossible_batches_and_workers_are_refused(batch_size: int, workers: int) -> None:
    with pytest.raises(ConvMixerError) as caught:
        evaluate_images(
            Brightest(), FolderImages(paths=(), labels=()), device=CPU, batch_size=batch_size, workers=workers
        )
    assert str(caught.value) == (
        f"evaluate_images: batch_size is {batch_size} and workers {workers}; expected 1 or more, and 0 or more"
    )
