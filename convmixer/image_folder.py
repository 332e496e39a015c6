"""Accuracy of a model on a folder of photographs laid out as ImageNet-1k: ``val/<class folder>/<image>``.

Images are prepared as timm prepares them for its ConvMixers: the shorter side resized to 233 pixels by bicubic
interpolation, the middle 224 x 224 cut out (a share of 0.96), normalised by ImageNet's mean and standard deviation.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.datasets.folder import IMG_EXTENSIONS

from convmixer import ConvMixerError
from convmixer.device import autocast, choose_memory_format, choose_precision
from convmixer.failures import _NO_MEMORY

# timm.data.constants and the pretrained_cfg of its three ConvMixers.
IMAGE_SIZE, CROP_SHARE = 224, 0.96
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# The 1,000 classes of ImageNet-1k are numbered in the order of their WordNet ids.
IMAGENET_CLASSES = 1_000
_WORDNET_ID = re.compile(r"n\d{8}")


@dataclass(frozen=True, kw_only=True)
class FolderImages:
    """The images below a folder and the class of each, as an index into what the model tells apart."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class FolderAccuracy:
    """Fractions of ``n`` images whose class was the likeliest, or among the five likeliest (or all, of fewer)."""

    top1: float
    top5: float
    n: int


def find_images(
    root: str | Path, num_classes: int, class_names: Sequence[str] | None = None, *, allow_missing: bool = False
) -> FolderImages:
    """List the images of ``root/val``, or of ``root`` where that is not there, in the order of their names.

    ``class_names`` are the class folders in the order of the model's outputs. Left out, the folders must be the 1,000
    WordNet ids of ImageNet-1k. Each class needs its folder, unless ``allow_missing``, and each folder a class and an
    image; ``ConvMixerError`` otherwise.
    """
    root = Path(root)
    place = root / "val" if (root / "val").is_dir() else root
    if not place.is_dir():
        raise ConvMixerError(f"find_images: no folder {str(root)!r}")
    folders = sorted(entry.name for entry in place.iterdir() if entry.is_dir())
    names = _check_names(class_names) if class_names is not None else _check_imagenet(place, folders)
    if len(names) != num_classes:
        raise ConvMixerError(
            f"find_images: {len(names)} classes are named, but the model tells {num_classes} apart; name as many"
        )
    _compare_names(place, folders, names, allow_missing)
    paths, labels = [], []
    for name in folders:
        found = sorted(path for path in (place / name).iterdir() if path.suffix.lower() in IMG_EXTENSIONS)
        if not found:
            raise ConvMixerError(
                f"find_images: no image in class folder {str(place / name)!r}; expected files that end in "
                f"{', '.join(IMG_EXTENSIONS)}"
            )
        paths += found
        labels += [names[name]] * len(found)
    return FolderImages(paths=tuple(paths), labels=tuple(labels))


def make_transform(image_size: int = IMAGE_SIZE) -> Callable[[Image.Image], Tensor]:
    """From an RGB image of any size to a normalised tensor (3, image_size, image_size)."""
    return transforms.Compose(
        [
            transforms.Resize(int(image_size / CROP_SHARE), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(image_size),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )


@torch.inference_mode()
def evaluate_images(
    model: nn.Module,
    images: FolderImages,
    *,
    device: torch.device,
    image_size: int = IMAGE_SIZE,
    batch_size: int = 64,
    workers: int = 0,
    precision: str = "fp32",
    progress: Callable[[int, int], None] | None = None,
) -> FolderAccuracy:
    """Move ``model`` to ``device``, put it into evaluation mode and count what it gets right.

    ``progress`` is told (images done, all images) after each batch; ``workers`` are processes that read images, 0 for
    this one. Raises ``ConvMixerError`` at the first image that cannot be read, and when the memory does not suffice.
    """
    if batch_size < 1 or workers < 0:
        raise ConvMixerError(
            f"evaluate_images: batch_size is {batch_size!r} and workers {workers!r}; expected 1 or more, and 0 or more"
        )
    chosen = choose_precision(precision, device)
    memory_format = choose_memory_format(model, device)
    model.to(device, memory_format=memory_format).eval()
    loader = DataLoader(
        _Decoder(images, make_transform(image_size)),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=device.type == "cuda",
    )
    likeliest = torch.zeros((), dtype=torch.int64, device=device)
    among_five, done = torch.zeros_like(likeliest), 0
    for batch in loader:
        if isinstance(batch, str):
            raise ConvMixerError(batch)
        inputs, labels = (part.to(device, non_blocking=True) for part in batch)
        with autocast(device, chosen):
            logits = _run(model, inputs.contiguous(memory_format=memory_format))
        hits = logits.float().topk(min(5, logits.shape[1])).indices == labels[:, None]  # (batch, 5), the best first
        likeliest += hits[:, 0].sum()
        among_five += hits.sum()
        done += len(labels)
        if progress:
            progress(done, len(images.paths))
    return FolderAccuracy(top1=likeliest.item() / done, top5=among_five.item() / done, n=done)


class _Decoder(Dataset[tuple[Tensor, int] | str]):
    """Prepared images with their labels; in the place of one that cannot be read, the message that says so.

    A message and no exception: that of a worker process would reach the user as a traceback in a traceback.
    """

    def __init__(self, images: FolderImages, transform: Callable[[Image.Image], Tensor]) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int] | str:
        try:
            image = _read_image(self.images.paths[index])
        except ConvMixerError as error:
            return str(error)
        return self.transform(image), self.images.labels[index]


def _read_image(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except Exception as error:  # Pillow raises nearly anything at a damaged file
        raise ConvMixerError(
            f"evaluate_images: {str(path)!r} is no image that can be read ({error}); fetch it again"
        ) from error


def _collate(items: list[tuple[Tensor, int] | str]) -> tuple[Tensor, Tensor] | str:
    """A batch (batch, 3, size, size) and its labels (batch,), or the first message."""
    for item in items:
        if isinstance(item, str):
            return item
    return torch.stack([image for image, _ in items]), torch.tensor([label for _, label in items])


def _run(model: nn.Module, inputs: Tensor) -> Tensor:
    try:
        return model(inputs)
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and not any(sign in str(error) for sign in _NO_MEMORY):
            raise
        raise ConvMixerError(
            f"evaluate_images: a batch of {len(inputs)} images does not fit into the memory of {str(inputs.device)!r}; "
            "take a smaller batch_size"
        ) from error


def _check_names(names: Sequence[str]) -> dict[str, int]:
    """The index of each name; the order is the caller's."""
    indices = {name: index for index, name in enumerate(names)}
    if len(indices) != len(names):
        twice = next(name for index, name in enumerate(names) if indices[name] != index)
        raise ConvMixerError(f"find_images: class {twice!r} is named twice; expected each once")
    return indices


def _check_imagenet(place: Path, folders: list[str]) -> dict[str, int]:
    """The index of each WordNet id, if the folders are ImageNet-1k's; sorting others would number them at random."""
    stranger = next((name for name in folders if not _WORDNET_ID.fullmatch(name)), None)
    if stranger is not None or len(folders) != IMAGENET_CLASSES:
        what = f", among them {stranger!r}" if stranger else ""
        raise ConvMixerError(
            f"find_images: the class folders in {str(place)!r} are {len(folders)}{what}; expected the "
            f"{IMAGENET_CLASSES} of ImageNet-1k, n01440764 and so on. For others name the classes in the "
            "order of the model's outputs"
        )
    return {name: index for index, name in enumerate(folders)}


def _compare_names(place: Path, folders: list[str], names: dict[str, int], allow_missing: bool) -> None:
    """Refuse folders that are no class and, unless ``allow_missing``, classes without a folder."""
    strangers = [name for name in folders if name not in names]
    missing = sorted(set(names) - set(folders))
    if strangers:
        raise ConvMixerError(
            f"find_images: class folder {strangers[0]!r} in {str(place)!r} is none of the named classes"
        )
    if not folders or (missing and not allow_missing):
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise ConvMixerError(
            f"find_images: {str(place)!r} lacks class folder {missing[0]!r}{more}; add what is missing, "
            "or say that some may be"
        )
