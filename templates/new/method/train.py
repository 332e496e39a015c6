"""A network with one hidden layer on the digits of scikit-learn. The method knows nothing of the machinery."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

TRAIN_IMAGES = 898  # the first half, as in scikit-learn's own example; the other 899 test
LEARNING_RATE = 0.003
BATCH_SIZE = 32


@dataclass(frozen=True)
class Trained:
    """The curves by epoch, which test images are right after the last one, and what else a record should hold."""

    history: dict[str, list[float]]
    correct: np.ndarray
    parameters: int
    checksum: str


def train(hidden: int, epochs: int, seed: int, tell: Callable[[int], None] = lambda epoch: None) -> Trained:
    """Trains a network of HIDDEN units; TELL is given the number of each finished epoch."""
    images, labels = load_digits(return_X_y=True)
    checksum = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    train_images, test_images = np.split(images / 16, [TRAIN_IMAGES])
    train_labels, test_labels = np.split(labels, [TRAIN_IMAGES])
    network = MLPClassifier((hidden,), learning_rate_init=LEARNING_RATE, batch_size=BATCH_SIZE, random_state=seed)
    history: dict[str, list[float]] = {"train_loss": [], "train_accuracy": [], "test_accuracy": []}
    for epoch in range(1, epochs + 1):
        network.partial_fit(train_images, train_labels, classes=range(10))
        correct = network.predict(test_images) == test_labels
        history["train_loss"].append(float(network.loss_))
        history["train_accuracy"].append(float(network.score(train_images, train_labels)))
        history["test_accuracy"].append(float(correct.mean()))
        tell(epoch)
    parameters = sum(values.size for values in (*network.coefs_, *network.intercepts_))
    return Trained(history, correct, parameters, checksum)
