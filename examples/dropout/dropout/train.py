"""Training by stochastic gradient descent with momentum, and what is measured after each epoch."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dropout.data import Digits
from dropout.network import Network, softmax

CLASSES = 10


@dataclass(frozen=True)
class Settings:
    """How a network is trained. `dropout` is the probability with which a hidden unit is dropped."""

    dropout: float
    epochs: int
    hidden: int = 256
    hidden_layers: int = 2
    batch_size: int = 32
    learning_rate: float = 0.05
    momentum: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout!r}; expected a probability from 0 up to, but not, 1")
        if self.epochs < 1:
            raise ValueError(f"epochs is {self.epochs!r}; expected 1 or more")


@dataclass(frozen=True)
class Trained:
    """A trained network, the curves by epoch, and which test images it gets right after the last one (n,)."""

    network: Network
    history: dict[str, list[float]]
    correct: np.ndarray


def train(data: Digits, settings: Settings, seed: int, tell: Callable[[int], None] = lambda epoch: None) -> Trained:
    """Trains a network from SEED; TELL is given the number of each finished epoch.

    Weights, order and masks have a stream of random numbers each: networks of one seed start alike and see the images
    in the same order, whatever their dropout. The test images train nothing and choose nothing: the last epoch counts.
    """
    weights, order, masks = (np.random.default_rng([seed, stream]) for stream in range(3))
    sizes = (data.train_images.shape[1], *[settings.hidden] * settings.hidden_layers, CLASSES)
    network = Network(sizes, weights)
    history: dict[str, list[float]] = {
        f"{split}_{what}": [] for split in ("train", "test") for what in ("loss", "accuracy")
    }
    for epoch in range(1, settings.epochs + 1):
        shuffled = order.permutation(len(data.train_labels))
        for batch in np.split(shuffled, range(settings.batch_size, len(shuffled), settings.batch_size)):
            step(network, data.train_images[batch], data.train_labels[batch], settings, masks)
        for name, images, labels in (
            ("train", data.train_images, data.train_labels),
            ("test", data.test_images, data.test_labels),
        ):
            loss, correct = evaluate(network, images, labels)
            history[f"{name}_loss"].append(loss)
            history[f"{name}_accuracy"].append(float(correct.mean()))
        tell(epoch)
    return Trained(network, history, correct)


def step(
    network: Network, images: np.ndarray, labels: np.ndarray, settings: Settings, random: np.random.Generator
) -> None:
    """One update of the weights by one batch."""
    _, gradients = network.gradients(images, labels, settings.dropout, random)
    for layer, found in zip(network.layers, gradients, strict=True):
        for value, velocity, gradient in zip((layer.weights, layer.bias), layer.velocities, found, strict=True):
            velocity *= settings.momentum
            velocity -= settings.learning_rate * gradient
            value += velocity


def evaluate(network: Network, images: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean cross-entropy, and for each image whether its likeliest class is the right one (n,)."""
    logits = network.predict(images)
    shares = softmax(logits)[np.arange(len(labels)), labels]
    return -float(np.log(np.maximum(shares, 1e-30)).mean()), logits.argmax(axis=1) == labels
