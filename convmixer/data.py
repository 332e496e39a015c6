"""The data sets: CIFAR-10 from its files, and scikit-learn's embedded digits, which need no file and no network.

CIFAR-10's files are compared with their published md5 before they are read, and the arrays of both sets with the
sha256 pinned here, so that a result belongs to known bytes.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convmixer import ConvMixerError

# Where the data sets are looked for when no root is given, unless this environment variable names another folder.
ROOT_VARIABLE = "REPRODUCTION_DATA"
DEFAULT_ROOT = Path(__file__).resolve().parent.parent / "data"


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """What is known of a data set before it is loaded. Sizes in images, ``image_shape`` is (channels, height, width).

    ``mean`` and ``std`` are those of its training images, by channel, of values in 0..1.
    """

    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    train_size: int
    test_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    checksum: str  # sha256, see checksum_arrays
    files: tuple[tuple[str, str], ...]  # (path below the root, md5)
    source: str
    licence: str


DATASETS: dict[str, DatasetFacts] = {
    "cifar10": DatasetFacts(
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        image_shape=(3, 32, 32),
        train_size=50_000,
        test_size=10_000,
        mean=(0.4914, 0.4822, 0.4465),  # train.py of locuslab/convmixer-cifar10, as is the next line
        std=(0.2471, 0.2435, 0.2616),
        checksum="bfabe0458f218e5fe35e76cdcdead468d77535826a500fcd181690511acb0ed7",
        files=(  # torchvision.datasets.CIFAR10.train_list, test_list and meta
            ("cifar-10-batches-py/data_batch_1", "c99cafc152244af753f735de768cd75f"),
            ("cifar-10-batches-py/data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
            ("cifar-10-batches-py/data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
            ("cifar-10-batches-py/data_batch_4", "634d18415352ddfa80567beed471001a"),
            ("cifar-10-batches-py/data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
            ("cifar-10-batches-py/test_batch", "40351d587109b95175f43aff81a1287e"),
            ("cifar-10-batches-py/batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
        ),
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        licence="none stated; cite Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images",
    ),
    "digits": DatasetFacts(
        classes=tuple("0123456789"),
        image_shape=(1, 8, 8),
        train_size=1_442,
        test_size=355,
        mean=(0.3052,),
        std=(0.3760,),
        checksum="f98bb2d5ebd60a70bf8ce092ef6cecbade8aab9694d62d02f5e072c2f41f1e2f",
        files=(),
        source="https://archive.ics.uci.edu/dataset/80 (its test part, as embedded in scikit-learn)",
        licence="CC BY 4.0",
    ),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A data set in memory: images uint8 (n, channels, height, width), labels int64 (n,); validation may be empty."""

    name: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train_images: Tensor
    train_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    checksum: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


def load(name: str, root: str | Path | None = None, *, download: bool = True, validation: int | None = None) -> Dataset:
    """Load the data set ``name`` and set the first ``validation`` training images apart (``None``: none of them).

    The files of CIFAR-10 are looked for below ``root``, else below ``$REPRODUCTION_DATA``, else below ``data/`` of
    this repository; where they are missing they are downloaded if ``download``. The validation images are the front
    of the training array, as in the Keras example. Raises ``ConvMixerError`` for an unknown name, a missing or damaged
    file, and a validation size that leaves nothing to train on.
    """
    if name not in DATASETS:
        raise ConvMixerError(f"load: unknown data set {name!r}; known are {', '.join(DATASETS)}")
    facts, held_out = DATASETS[name], validation or 0
    if not 0 <= held_out < facts.train_size:
        raise ConvMixerError(
            f"load: validation is {validation!r}; expected 0 to {facts.train_size - 1}, {name!r} has "
            f"{facts.train_size} training images"
        )
    arrays = _read_digits() if name == "digits" else _read_cifar10(_choose_root(root), download)
    found = checksum_arrays(arrays)
    if found != facts.checksum:
        raise ConvMixerError(
            f"load: the arrays of {name!r} have sha256 {found!r}; expected {facts.checksum!r}. The installed library "
            "reads other data than this repository was written for: install the versions of its lock file"
        )
    train_images, train_labels, test_images, test_labels = (torch.from_numpy(array) for array in arrays)
    return Dataset(
        name=name,
        classes=facts.classes,
        mean=facts.mean,
        std=facts.std,
        train_images=train_images[held_out:],
        train_labels=train_labels[held_out:],
        validation_images=train_images[:held_out],
        validation_labels=train_labels[:held_out],
        test_images=test_images,
        test_labels=test_labels,
        checksum=found,
    )


Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def checksum_arrays(arrays: Arrays) -> str:
    """sha256 over the shape, type and bytes of each array in turn; how many images validate plays no part."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype.str}\n".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _choose_root(root: str | Path | None) -> Path:
    return Path(root if root is not None else os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)


def _read_cifar10(root: Path, download: bool) -> Arrays:
    from torchvision.datasets import CIFAR10  # costs a second, which the digits need not pay

    files = DATASETS["cifar10"].files
    if download and not all((root / path).exists() for path, _ in files):
        with _one_at_a_time(root):  # Files that are not there may be on their way by another process.
            if not any((root / path).exists() for path, _ in files):
                _download_cifar10(root)
    for path, md5 in files:
        _refuse_damaged(root / path, md5, root)
    parts = [CIFAR10(root, train=is_train) for is_train in (True, False)]
    train, test = ((part.data.transpose(0, 3, 1, 2), np.array(part.targets, np.int64)) for part in parts)
    return np.ascontiguousarray(train[0]), train[1], np.ascontiguousarray(test[0]), test[1]


@contextlib.contextmanager
def _one_at_a_time(root: Path) -> Iterator[None]:
    """Makes a second process wait: two downloads into one folder would write one archive."""
    try:
        import fcntl

        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".download.lock").open("a")
    except (ImportError, OSError):  # Windows, or a folder that nobody can download into either
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download_cifar10(root: Path) -> None:
    from torchvision.datasets import CIFAR10

    try:
        CIFAR10(root, download=True)
    except (OSError, RuntimeError) as error:  # no network, no room, or a torn archive
        raise ConvMixerError(
            f"load: CIFAR-10 is not below {str(root)!r} and its download failed ({error}). Unpack "
            f"{CIFAR10.url} there, or name the folder that holds 'cifar-10-batches-py' in ${ROOT_VARIABLE}"
        ) from error


def _refuse_damaged(path: Path, expected: str, root: Path) -> None:
    remedy = (
        "Delete the folder 'cifar-10-batches-py' and load again to download it, or unpack cifar-10-python.tar.gz again"
    )
    if not path.is_file():
        raise ConvMixerError(
            f"load: {str(path)!r} is missing; expected all files of CIFAR-10 below {str(root)!r}. {remedy}, or name "
            f"the folder that holds 'cifar-10-batches-py' in ${ROOT_VARIABLE}"
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != expected:
        raise ConvMixerError(f"load: {str(path)!r} has md5 {found!r}; expected {expected!r}. {remedy}")


def _read_digits() -> Arrays:
    """Digits, 0..16 stretched to 0..255, with every fifth image of each class for the test.

    Neighbouring images come from one writer. So the training images are put in an order in which every ninth image of
    each class comes first, class by class in turn: its front, the validation part, is stratified and mixes writers.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[:, None]  # (n, 1, 8, 8)
    labels = digits.target.astype(np.int64)
    rank = np.empty(len(labels), int)  # the how-manieth of its class
    for label in range(10):
        rank[labels == label] = np.arange((labels == label).sum())
    test = np.flatnonzero(rank % 5 == 4)
    train = np.flatnonzero(rank % 5 != 4)
    train = train[np.lexsort((labels[train], rank[train] // 9, rank[train] % 9))]
    return images[train], labels[train], images[test], labels[test]
