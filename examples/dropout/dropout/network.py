"""A network of fully connected layers whose hidden units are dropped at random while it trains."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass
class Layer:
    """`weights` (inputs, outputs) and `bias` (outputs,), each with the velocity that its momentum keeps."""

    weights: np.ndarray
    bias: np.ndarray

    def __post_init__(self) -> None:
        self.velocities = np.zeros_like(self.weights), np.zeros_like(self.bias)


class Network:
    """Layers of rectified linear units and a softmax. Everything is float32."""

    def __init__(self, sizes: tuple[int, ...], random: np.random.Generator) -> None:
        """SIZES from the inputs to the classes; weights normal with variance 2 / inputs (He et al. 2015)."""
        self.layers = [
            Layer(
                random.normal(0, np.sqrt(2 / inputs), (inputs, outputs)).astype(np.float32),
                np.zeros(outputs, np.float32),
            )
            for inputs, outputs in pairwise(sizes)
        ]

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The logits (n, classes) of IMAGES (n, inputs), with every unit in place."""
        for layer in self.layers[:-1]:
            images = np.maximum(images @ layer.weights + layer.bias, 0)
        return images @ self.layers[-1].weights + self.layers[-1].bias

    def gradients(
        self, images: np.ndarray, labels: np.ndarray, dropout: float, random: np.random.Generator
    ) -> tuple[float, list[tuple[np.ndarray, np.ndarray]]]:
        """The mean cross-entropy of a batch, and by layer the gradients of weights and bias.

        Each hidden unit is dropped for each image with the probability DROPOUT. Those that stay are scaled by
        1 / (1 - DROPOUT), so that the weights need no scaling afterwards: equal in expectation to the paper's way.
        """
        inputs, masks = [images], []
        for layer in self.layers[:-1]:
            hidden = np.maximum(inputs[-1] @ layer.weights + layer.bias, 0)
            mask = _draw_mask(hidden.shape, dropout, random)
            inputs.append(hidden * mask)
            masks.append((hidden > 0) * mask)
        shares = softmax(inputs[-1] @ self.layers[-1].weights + self.layers[-1].bias)
        rows = np.arange(len(labels))
        loss = -float(np.log(np.maximum(shares[rows, labels], 1e-30)).mean())
        error = shares
        error[rows, labels] -= 1
        error /= len(labels)
        found = []
        for index in reversed(range(len(self.layers))):
            found.append((inputs[index].T @ error, error.sum(axis=0)))
            if index:
                error = (error @ self.layers[index].weights.T) * masks[index - 1]
        return loss, found[::-1]

    def count_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(layer.weights.size + layer.bias.size for layer in self.layers)


def softmax(logits: np.ndarray) -> np.ndarray:
    """The probabilities (n, classes) that LOGITS (n, classes) stand for."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _draw_mask(shape: tuple[int, ...], dropout: float, random: np.random.Generator) -> np.ndarray:
    """0 for a dropped unit, 1 / (1 - DROPOUT) for one that stays."""
    stays = random.random(shape, dtype=np.float32) >= dropout
    return stays.astype(np.float32) / np.float32(1 - dropout)
