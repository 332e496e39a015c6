"""The recipes: how a model is trained. Where each value comes from, and how certain it is, tells ``recipe_sources``.

``keras``    the Keras example by Sayak Paul (keras-team/keras-io, examples/vision/convmixer.py), which the earlier
             report followed. Its RandomCrop(32, 32) of a 32x32 image does nothing and is left out.
``authors``  the README commands of locuslab/convmixer-cifar10 at 2d3d9b7, one for 25 epochs and one for 100.
``paper``    what is known of the training behind the paper's CIFAR-10 accuracies: the authors' ImageNet recipe in their
             fork of timm, with the settings of a command that outsiders use to reach those accuracies.
``short``    ours, to compare ways of computing on CIFAR-10: few epochs, and a learning rate that ends at zero, so that
             seeds differ little.
``smoke``    ours, for the embedded digits: it shows in seconds that everything works and measures nothing.
"""

from collections.abc import Iterable
from dataclasses import fields, replace
from difflib import get_close_matches

import numpy as np

from convmixer import ConvMixerError
from convmixer.settings import Recipe

__all__ = [
    "ABLATIONS",
    "DECIDED_BY_EPOCHS",
    "RECIPES",
    "Recipe",
    "ablate",
    "choose_recipe",
    "find_batch_sizes",
    "learning_rate",
    "suggest",
]

# The fields in which the authors' two commands differ; for any other number of epochs a person has to decide them.
DECIDED_BY_EPOCHS = ("color_jitter", "erasing_probability")

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

# paper: the command in issue 15 of locuslab/convmixer, the rest from timm 0.5.0, which the authors forked. Not known:
# whether the authors trained their CIFAR-10 models so, and on how many images at a time.
_PAPER = Recipe(
    name="paper",
    epochs=200,
    batch_size=64,
    learning_rate=0.01,
    schedule="triangular",
    weight_decay=0.01,
    validation_size=0,
    eps=1e-3,
    clip_norm=1.0,
    label_smoothing=0.1,
    crop_scale=0.75,
    flip_probability=0.5,
    randaugment_ops=2,
    randaugment_magnitude=9,
    erasing_probability=0.25,
    decay_vectors=False,
    drop_last_batch=True,
    crop_ratio=4 / 3,
    crop_interpolation="random",
    randaugment_kind="timm",
    randaugment_probability=0.5,
    randaugment_deviation=0.5,
    erasing_fill="noise",
    mixup_alpha=0.5,
    cutmix_alpha=0.5,
)

# short: the optimiser is smoke's; the keras recipe's batch, split and flip.
_SHORT = Recipe(
    name="short",
    epochs=4,
    batch_size=128,
    learning_rate=0.01,
    schedule="triangular",
    weight_decay=0.005,
    validation_size=5000,
)

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
    "paper": (_PAPER,),
    "short": (_SHORT,),
    "smoke": (_SMOKE,),
}

# What the paper's ablations take away, as the values that a recipe has without it. The sources do not tell what the
# paper's "random scaling" was replaced by; here it is nothing, as in the authors' own 25-epoch command.
ABLATIONS: dict[str, dict[str, object]] = {
    "randaugment": {"randaugment_ops": 0},
    "scaling": {"crop_scale": 1.0, "crop_ratio": 1.0},
    "mixup": {"mixup_alpha": 0.0},
    "cutmix": {"cutmix_alpha": 0.0},
    "mixup-cutmix": {"mixup_alpha": 0.0, "cutmix_alpha": 0.0},
    "erasing": {"erasing_probability": 0.0},
    "clipping": {"clip_norm": None},
}


def choose_recipe(name: str, epochs: int | None = None, **overrides: object) -> Recipe:
    """The recipe ``name`` for ``epochs`` (its own number if ``None``), with ``overrides`` put in place of its values.

    ``authors`` has one command for 25 epochs and one for 100. Another number is refused unless the overrides name the
    fields in which the two differ. Raises ``ConvMixerError`` for unknown names and fields, listing the valid ones.
    """
    if name not in RECIPES:
        raise ConvMixerError(
            f"choose_recipe: unknown recipe {name!r}; known are {', '.join(RECIPES)}{suggest(name, RECIPES)}"
        )
    valid = [field.name for field in fields(Recipe) if field.name not in ("name", "epochs")]
    for field in overrides:
        if field not in valid:
            raise ConvMixerError(
                f"recipe {name!r}: unknown field {field!r}; valid are {', '.join(valid)}{suggest(field, valid)}"
            )
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


def ablate(recipe: Recipe, what: str) -> Recipe:
    """``recipe`` without one of ``ABLATIONS``, under the same name; ``ConvMixerError`` if it has no such thing."""
    if what not in ABLATIONS:
        raise ConvMixerError(
            f"ablate: unknown ablation {what!r}; known are {', '.join(ABLATIONS)}{suggest(what, ABLATIONS)}"
        )
    without = ABLATIONS[what]
    if all(getattr(recipe, field) == value for field, value in without.items()):
        already = " and ".join(f"{field} is {value!r}" for field, value in without.items())
        raise ConvMixerError(
            f"ablate: recipe {recipe.name!r} with {recipe.epochs} epochs has no {what} to take away: {already} already"
        )
    return replace(recipe, **without)


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of an error message that names what ``name`` may be a slip of; empty if nothing is near."""
    nearest = get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


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


def find_batch_sizes(recipe: Recipe, count: int) -> list[int]:
    """The sizes of an epoch's batches of ``count`` images; ``ConvMixerError`` if there are none."""
    whole, rest = divmod(count, recipe.batch_size)
    sizes = [recipe.batch_size] * whole + ([rest] if rest and not recipe.drop_last_batch else [])
    if not sizes:
        raise ConvMixerError(
            f"recipe {recipe.name!r}: {count} training images fill no batch of {recipe.batch_size!r}, and it leaves "
            f"out what fills none; expected {recipe.batch_size} images or more, or a smaller batch_size"
        )
    return sizes
