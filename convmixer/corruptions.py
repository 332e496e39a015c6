"""Accuracy on test images that are moved, noisy, pale or bright: ``evaluate_corrupted(model, data) -> {name: share}``.

The idea, and the amounts of noise, contrast and brightness, are those of CIFAR-10-C (D. Hendrycks and T. Dietterich,
Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, ICLR 2019; the amounts stand in
hendrycks/robustness ca36008, ImageNet-C/create_c/make_cifar_c.py). It is not their benchmark: three of their fifteen
kinds are here, at three of five severities, and made anew: other noise is drawn, and values are rounded where theirs
are cut off. Translations are no part of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convmixer.data import Dataset
from convmixer.evaluate import evaluate
from convmixer.streams import stream

SEED = 0  # of what is drawn: every network, whatever its own seed, meets the same images
_CHUNK = 1000  # images at a time, so that the memory a run is said to need is that of its training
_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))  # (down, right)


@dataclass(frozen=True)
class Corruption:
    """One kind at one severity: ``severity`` is that of CIFAR-10-C, 1 to 5, of a translation its pixels."""

    kind: str
    severity: int
    amount: float

    @property
    def name(self) -> str:
        """``noise_3``."""
        return f"{self.kind}_{self.severity}"

    def apply(self, images: Tensor) -> Tensor:
        """The corrupted ``images``, both uint8 (n, channels, height, width); each call gives the same."""
        chunks = images.split(_CHUNK)
        return torch.cat(
            [
                _FUNCTIONS[self.kind](chunk, self.amount, stream(SEED, self.name, index))
                for index, chunk in enumerate(chunks)
            ]
        )


def evaluate_corrupted(
    model: nn.Module, data: Dataset, *, precision: str = "auto", path: str = "auto"
) -> dict[str, float]:
    """The accuracy of ``model`` on the test images under each of ``CORRUPTIONS``, by name; see ``evaluate``."""
    way = {"mean": data.mean, "std": data.std, "precision": precision, "path": path}
    return {
        corruption.name: evaluate(model, corruption.apply(data.test_images), data.test_labels, **way).accuracy
        for corruption in CORRUPTIONS
    }


def translate(images: Tensor, pixels: float, generator: torch.Generator) -> Tensor:
    """Moved by whole pixels up, down, left or right, drawn for each image; what comes in repeats the edge."""
    height, width = images.shape[2:]
    drawn = torch.randint(len(_DIRECTIONS), (len(images),), generator=generator)
    moved = images.clone()
    for index, (down, right) in enumerate(_DIRECTIONS):
        rows = (torch.arange(height) - down * int(pixels)).clamp(0, height - 1)
        columns = (torch.arange(width) - right * int(pixels)).clamp(0, width - 1)
        moved[drawn == index] = images[drawn == index][:, :, rows][:, :, :, columns]
    return moved


def add_noise(images: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """With normal noise of this standard deviation added to each value, of values in 0..1."""
    values = _to_values(images)
    return _to_bytes(values + deviation * torch.randn(values.shape, generator=generator, dtype=values.dtype))


def lower_contrast(images: Tensor, factor: float, generator: torch.Generator) -> Tensor:
    """With each channel's distance from its mean over the image multiplied by the factor; nothing is drawn."""
    values = _to_values(images)
    means = values.mean((2, 3), keepdim=True)
    return _to_bytes((values - means) * factor + means)


def brighten(images: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """With the amount added to the V of HSV, of values in 0..1, at equal hue and saturation; nothing is drawn."""
    values = _to_values(images)
    old = values.amax(1, keepdim=True)
    new = (old + amount).clamp(max=1)
    return _to_bytes(torch.where(old > 0, values * new / old.clamp(min=1e-9), new))


def _to_values(images: Tensor) -> Tensor:
    return images.double() / 255


def _to_bytes(values: Tensor) -> Tensor:
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)


_FUNCTIONS: dict[str, Callable[[Tensor, float, torch.Generator], Tensor]] = {
    "translation": translate,
    "noise": add_noise,
    "contrast": lower_contrast,
    "brightness": brighten,
}

CORRUPTIONS = (
    *(Corruption("translation", pixels, pixels) for pixels in (1, 2, 3, 4)),
    *(Corruption("noise", severity, amount) for severity, amount in ((1, 0.04), (3, 0.08), (5, 0.10))),
    *(Corruption("contrast", severity, amount) for severity, amount in ((1, 0.75), (3, 0.4), (5, 0.15))),
    *(Corruption("brightness", severity, amount) for severity, amount in ((1, 0.05), (3, 0.15), (5, 0.3))),
)
