"""Where each value of each recipe comes from, and how certain it is: ``find_sources(recipe)``."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from convmixer.recipe import RECIPES
from convmixer.settings import Recipe

Certainty = Literal[
    "seen in primary source",  # the authors' repositories, or the maker's own for what it is about
    "seen in secondary source",
    "library default",  # the source says nothing, and its library does this
    "inferred",  # from something else that the source does
    "ours",
]
PRIMARY, SECONDARY, DEFAULT, INFERRED, OURS = Certainty.__args__


@dataclass(frozen=True)
class Source:
    """Where a value comes from, in words for a reader, and how certain it is."""

    text: str
    certainty: Certainty


# Recipe -> source -> the fields it decides, apart by blanks.
_TABLES: Mapping[str, Mapping[Source, str]] = {
    "keras": {
        Source("keras-team/keras-io, examples/vision/convmixer.py", PRIMARY): (
            "epochs batch_size learning_rate schedule weight_decay validation_size flip_probability"
        ),
        Source("Keras and TensorFlow Addons, whose AdamW the example uses", DEFAULT): "beta1 beta2 eps decay_vectors",
        Source("tf.data keeps the last, smaller batch", DEFAULT): "drop_last_batch",
        Source("the example's RandomCrop(32, 32) changes nothing in a 32x32 image", INFERRED): (
            "crop_scale crop_ratio crop_interpolation"
        ),
        Source("the example has no such step", PRIMARY): (
            "clip_norm label_smoothing color_jitter erasing_probability erasing_fill mixup_alpha cutmix_alpha "
            "randaugment_ops randaugment_magnitude randaugment_kind randaugment_probability randaugment_deviation"
        ),
    },
    "authors": {
        Source("locuslab/convmixer-cifar10 2d3d9b7, README command for this number of epochs", PRIMARY): (
            "epochs learning_rate weight_decay crop_scale randaugment_ops randaugment_magnitude color_jitter "
            "erasing_probability clip_norm"
        ),
        Source("locuslab/convmixer-cifar10 2d3d9b7, train.py", PRIMARY): (
            "batch_size schedule validation_size label_smoothing flip_probability decay_vectors drop_last_batch "
            "crop_ratio randaugment_kind mixup_alpha cutmix_alpha"
        ),
        Source("PyTorch's AdamW", DEFAULT): "beta1 beta2 eps",
        Source("torchvision's transforms", DEFAULT): (
            "crop_interpolation randaugment_probability randaugment_deviation erasing_fill"
        ),
    },
    "paper": {
        Source(
            "locuslab/convmixer, issue 15, and K-H-Ismail/convmixer 72fbc8e, README: an outsiders' command that aims "
            "at the paper's accuracies; the authors have not confirmed it",
            SECONDARY,
        ): (
            "epochs learning_rate weight_decay eps clip_norm crop_scale erasing_probability erasing_fill mixup_alpha "
            "cutmix_alpha randaugment_kind randaugment_magnitude randaugment_deviation"
        ),
        Source("the same, which name 64 or 128; the run that issue 15 reports with 95.89 % took 64", SECONDARY): (
            "batch_size"
        ),
        Source("locuslab/convmixer 4704811, its ImageNet recipe; taken to hold for CIFAR-10 too", INFERRED): (
            "schedule label_smoothing"
        ),
        Source("timm, which the authors forked at 0.5.0; the command does not set it", DEFAULT): (
            "flip_probability crop_ratio crop_interpolation randaugment_ops randaugment_probability color_jitter "
            "decay_vectors drop_last_batch"
        ),
        Source("PyTorch's AdamW", DEFAULT): "beta1 beta2",
        Source("the authors' CIFAR-10 script trains on all images; taken to hold here too", INFERRED): (
            "validation_size"
        ),
    },
    "short": {
        Source("chosen so that a training is short and its end quiet", OURS): " ".join(
            field.name for field in fields(Recipe) if field.name != "name"
        ),
    },
    "smoke": {
        Source("chosen to train the digits in seconds", OURS): " ".join(
            field.name for field in fields(Recipe) if field.name != "name"
        ),
    },
}


def find_sources(recipe: Recipe) -> dict[str, Source]:
    """The source of every field of ``recipe`` but its name, in the order of the fields.

    A value that is not the named recipe's own (overridden, ablated, for another number of epochs) is ours.
    """
    variants = RECIPES.get(recipe.name, ())
    original = next((v for v in variants if v.epochs == recipe.epochs), variants[0] if variants else None)
    listed = {field: source for source, text in _TABLES.get(recipe.name, {}).items() for field in text.split()}
    own = Source("set for this run", OURS)
    names = [field.name for field in fields(Recipe) if field.name != "name"]
    return {
        name: listed[name] if original and getattr(recipe, name) == getattr(original, name) else own for name in names
    }
