"""What a recipe may set, and which values make sense."""

from dataclasses import dataclass, fields
from typing import Literal

from convmixer import ConvMixerError

Schedule = Literal["constant", "triangular"]
Interpolation = Literal["bilinear", "random"]  # random: bilinear or bicubic, by chance for each image
Library = Literal["torchvision", "timm"]
Filling = Literal["zero", "noise"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Optimiser (AdamW), schedule, augmentation and split of one training; every value is checked on creation.

    Weight decay is multiplied by the learning rate as in PyTorch. ``validation_size`` images are taken from the front
    of the training array.
    """

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    schedule: Schedule
    weight_decay: float
    validation_size: int
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    clip_norm: float | None = None  # L2 norm of all gradients together
    label_smoothing: float = 0.0
    crop_scale: float = 1.0  # the least area of the random resized crop; 1 is no crop
    flip_probability: float = 0.5
    randaugment_ops: int = 0
    randaugment_magnitude: int = 0  # of torchvision's 31 bins, 0..30; of timm's levels, 0..10
    color_jitter: float = 0.0  # brightness, contrast and saturation alike
    erasing_probability: float = 0.0
    decay_vectors: bool = True  # whether weight decay acts on biases and norms too, and not on weights alone
    drop_last_batch: bool = False  # leave out the images of an epoch that fill no batch
    crop_ratio: float = 1.0  # the greatest aspect ratio of the crop; the least is its inverse
    crop_interpolation: Interpolation = "bilinear"
    randaugment_kind: Library = "torchvision"  # timm: its increasing operations, interpolation by chance
    randaugment_probability: float = 1.0  # that an operation, once chosen, is applied; timm only
    randaugment_deviation: float = 0.0  # standard deviation of the magnitude; timm only
    erasing_fill: Filling = "zero"  # noise: standard normal for each value, timm's mode "pixel"
    mixup_alpha: float = 0.0  # of the beta distribution of the shares; 0 is no mixup
    cutmix_alpha: float = 0.0  # the same of CutMix; with both, chance decides for each batch

    def __post_init__(self) -> None:
        for field in fields(self):
            _refuse_bad_value(self.name, field.name, getattr(self, field.name))
        _refuse_contradiction(self)


# The interval of each number: least, greatest (both allowed), and whether it must be whole.
_RANGES: dict[str, tuple[float, float, bool]] = {
    "epochs": (1, 100_000, True),
    "batch_size": (2, 1_000_000, True),  # batch normalisation needs two values of a channel at a 1x1 grid
    "learning_rate": (0, 100, False),
    "weight_decay": (0, 100, False),
    "validation_size": (0, 1_000_000, True),
    "beta1": (0, 0.999999, False),
    "beta2": (0, 0.999999, False),
    "eps": (0, 1, False),
    "clip_norm": (1e-9, 1e9, False),
    "label_smoothing": (0, 1, False),
    "crop_scale": (1e-3, 1, False),
    "flip_probability": (0, 1, False),
    "randaugment_ops": (0, 14, True),
    "randaugment_magnitude": (0, 30, True),
    "color_jitter": (0, 1, False),
    "erasing_probability": (0, 1, False),
    "crop_ratio": (1, 100, False),
    "randaugment_probability": (0, 1, False),
    "randaugment_deviation": (0, 10, False),
    "mixup_alpha": (0, 100, False),
    "cutmix_alpha": (0, 100, False),
}
_WORDS: dict[str, tuple[object, ...]] = {
    "schedule": ("constant", "triangular"),
    "crop_interpolation": ("bilinear", "random"),
    "randaugment_kind": ("torchvision", "timm"),
    "erasing_fill": ("zero", "noise"),
    "decay_vectors": (True, False),
    "drop_last_batch": (True, False),
}


def _refuse_bad_value(recipe: str, field: str, value: object) -> None:
    place = f"recipe {recipe!r}: {field} is {value!r}; expected"
    if field == "name" or (field == "clip_norm" and value is None):
        return
    if field in _WORDS:
        if not any(value is word or (isinstance(word, str) and value == word) for word in _WORDS[field]):
            raise ConvMixerError(f"{place} {' or '.join(map(repr, _WORDS[field]))}")
        return
    least, greatest, whole = _RANGES[field]
    is_number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not (is_number and least <= value <= greatest):
        kind = "an integer" if whole else "a number"
        raise ConvMixerError(f"{place} {kind} from {least:g} to {greatest:g}")


def _refuse_contradiction(recipe: Recipe) -> None:
    """A value that another one makes meaningless would be recorded as if it had been used."""
    place = f"recipe {recipe.name!r}:"
    if recipe.randaugment_kind == "timm" and recipe.randaugment_magnitude > 10:
        raise ConvMixerError(f"{place} randaugment_magnitude is {recipe.randaugment_magnitude!r}; timm's ends at 10")
    if recipe.randaugment_kind == "torchvision":
        for field, neutral in (("randaugment_probability", 1), ("randaugment_deviation", 0)):
            if getattr(recipe, field) != neutral:
                raise ConvMixerError(
                    f"{place} {field} is {getattr(recipe, field)!r}, which torchvision's RandAugment has not; "
                    f"expected {neutral}, or randaugment_kind 'timm'"
                )
    if recipe.crop_scale == 1 and recipe.crop_ratio != 1:
        raise ConvMixerError(
            f"{place} crop_ratio is {recipe.crop_ratio!r}, but crop_scale 1 means no crop; "
            "expected crop_ratio 1, or a smaller crop_scale"
        )
