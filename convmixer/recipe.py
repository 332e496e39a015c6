"""The recipes: how a model is trained, with the source of each value beside it.

``keras``    the Keras example by Sayak Paul (keras-team/keras-io, examples/vision/convmixer.py), which the earlier
             report followed. Its RandomCrop(32, 32) of a 32x32 image does nothing and is left out.
``authors``  the README commands of locuslab/convmixer-cifar10 at 2d3d9b7, one for 25 epochs and one for 100.
``smoke``    ours, for the embedded digits: it shows in seconds that everything works and measures nothing.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from convmixer import ConvMixerError

Schedule = Literal["constant", "triangular"]

# The fields in which the authors' two commands differ; for any other number of epochs a person has to decide them.
DECIDED_BY_EPOCHS = ("color_jitter", "erasing_probability")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Optimiser (AdamW), schedule, augmentation and split of one training; every value is checked on creation.

    Weight decay acts on every parameter, biases and norms included, and is multiplied by the learning rate as in
    PyTorch. ``validation_size`` images are taken from the front of the training array.
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
    randaugment_magnitude: int = 0  # of torchvision's 31 bins, 0..30
    color_jitter: float = 0.0  # brightness, contrast and saturation alike
    erasing_probability: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            _refuse_bad_value(self.name, field.name, getattr(self, field.name))


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
}


def _refuse_bad_value(recipe: str, field: str, value: object) -> None:
    place = f"recipe {recipe!r}: {field} is {value!r}; expected"
    if field == "name" or (field == "clip_norm" and value is None):
        return
    if field == "schedule":
        if value not in ("constant", "triangular"):
            raise ConvMixerError(f"{place} 'constant' or 'triangular'")
        return
    least, greatest, whole = _RANGES[field]
    is_number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not (is_number and least <= value <= greatest):
        kind = "an integer" if whole else "a number"
        raise ConvMixerError(f"{place} {kind} from {least:g} to {greatest:g}")


# keras: the example's script; eps is the default of Keras and of TensorFlow Addons, whose AdamW the example used.
# TensorFlow Addons did not multiply the decay by the learning rate, today's Keras and PyTorch do: a deviation.
_KERAS = Recipe(
    name="keras",
    epochs=10,
    batch_size=128,
    learning_rate=1e-3,
    schedule="constant",
    weight_decay=1e-4,
    validation_size=5000,
    eps=1e-7,
)

# authors: README, "25 epochs": --lr-max=0.05 --ra-n=2 --ra-m=12 --wd=0.005 --scale=1.0 --jitter=0 --reprob=0
_AUTHORS_25 = Recipe(
    name="authors",
    epochs=25,
    batch_size=512,  # train.py's default
    learning_rate=0.05,
    schedule="triangular",
    weight_decay=0.005,
    validation_size=0,  # train.py uses all 50,000 images
    crop_scale=1.0,
    randaugment_ops=2,
    randaugment_magnitude=12,
    color_jitter=0.0,
    erasing_probability=0.0,
)

# authors: README, "100 epochs": the same with --jitter=0.2 --reprob=0.2
_AUTHORS_100 = replace(_AUTHORS_25, epochs=100, color_jitter=0.2, erasing_probability=0.2)

# smoke: digits are 8x8 and not symmetric, so nothing is flipped; the rest is what trains them in seconds.
_SMOKE = Recipe(
    name="smoke",
    epochs=5,
    batch_size=64,
    learning_rate=0.01,
    schedule="triangular",
    weight_decay=0.005,
    validation_size=160,
    flip_probability=0.0,
)

RECIPES: dict[str, tuple[Recipe, ...]] = {
    "keras": (_KERAS,),
    "authors": (_AUTHORS_25, _AUTHORS_100),
    "smoke": (_SMOKE,),
}


def choose_recipe(name: str, epochs: int | None = None, **overrides: object) -> Recipe:
    """The recipe ``name`` for ``epochs`` (its own number if ``None``), with ``overrides`` put in place of its values.

    ``authors`` has one command for 25 epochs and one for 100. Another number is refused unless the overrides name the
    fields in which the two differ. Raises ``ConvMixerError`` for unknown names and fields, listing the valid ones.
    """
    if name not in RECIPES:
        raise ConvMixerError(f"choose_recipe: unknown recipe {name!r}; known are {', '.join(RECIPES)}")
    valid = [field.name for field in fields(Recipe) if field.name not in ("name", "epochs")]
    for field in overrides:
        if field not in valid:
            raise ConvMixerError(f"recipe {name!r}: unknown field {field!r}; valid are {', '.join(valid)}")
    variants = RECIPES[name]
    recipe = next((variant for variant in variants if variant.epochs == epochs), variants[0])
    if epochs is None or epochs == recipe.epochs:
        return replace(recipe, **overrides)
    undecided = [field for field in DECIDED_BY_EPOCHS if field not in overrides]
    if len(variants) > 1 and undecided:
        raise ConvMixerError(
            f"recipe {name!r}: epochs is {epochs!r}, but its source gives commands for "
            f"{' and '.join(str(variant.epochs) for variant in variants)} epochs only, which differ in "
            f"{' and '.join(DECIDED_BY_EPOCHS)}; take one of these, or also give {' and '.join(undecided)}"
        )
    return replace(recipe, epochs=epochs, **overrides)


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The rate used by the optimiser's step number ``step``, counted from 0 over all epochs.

    "triangular" is the authors' schedule, linear between 0, ``learning_rate``, a twentieth of it and 0 at 0, 2/5, 4/5
    and all of the epochs (train.py of convmixer-cifar10; knots rounded down), read at the end of the step.
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    epochs, peak = recipe.epochs, recipe.learning_rate
    knots = [0, epochs * 2 // 5, epochs * 4 // 5, epochs]
    return float(np.interp((step + 1) / steps_per_epoch, knots, [0, peak, peak / 20, 0]))
