"""The digits that come with scikit-learn: 1,797 pictures of handwritten digits, 8 x 8 pixels, nothing to download."""

import hashlib
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits

TRAIN_IMAGES = 898  # the first half, as in scikit-learn's own example
LEVELS = 16  # grey


@dataclass(frozen=True)
class Digits:
    """Images as rows of 64 numbers in 0..1, float32; labels 0..9, int64. `checksum` is that of the whole data set."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    checksum: str


def load(train_images: int = TRAIN_IMAGES) -> Digits:
    """The digits, the first TRAIN_IMAGES of the training half to train on, and always the same 899 to test on.

    Raises ValueError for a number of images that the training half does not have.
    """
    if not 1 <= train_images <= TRAIN_IMAGES:
        raise ValueError(f"train_images is {train_images!r}; expected 1 to {TRAIN_IMAGES}")
    pixels, labels = load_digits(return_X_y=True)
    checksum = hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest()
    images = (pixels / LEVELS).astype(np.float32)
    train, test = slice(train_images), slice(TRAIN_IMAGES, None)
    return Digits(images[train], labels[train], images[test], labels[test], checksum)
