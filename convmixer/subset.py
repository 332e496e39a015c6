"""A part of the training images, for how accuracy grows with their number: ``keep_fraction(data, 0.25, seed=0)``.

An epoch of a training on a part is one pass over that part, as the authors count theirs; it therefore has fewer steps
of the optimiser. Fewer images at as many epochs say what data and steps together are worth. What data alone are worth
is said by runs of as many steps: a quarter of the images for four times the epochs.
"""

from dataclasses import replace

import torch
from torch import Tensor

from convmixer import ConvMixerError
from convmixer.data import Dataset
from convmixer.streams import stream


def keep_fraction(data: Dataset, fraction: float, *, seed: int) -> Dataset:
    """``data`` with this share of its training images; validation and test images stay. 1 gives ``data`` itself.

    Raises ``ConvMixerError`` unless 0 < fraction <= 1; see ``choose_images`` for which are kept.
    """
    is_number = isinstance(fraction, (int, float)) and not isinstance(fraction, bool)
    if not (is_number and 0 < fraction <= 1):
        raise ConvMixerError(f"keep_fraction: fraction is {fraction!r}; expected a number above 0 and at most 1")
    if fraction == 1:
        return data
    kept = choose_images(data.train_labels, fraction, seed=seed)
    return replace(data, train_images=data.train_images[kept], train_labels=data.train_labels[kept])


def choose_images(labels: Tensor, fraction: float, *, seed: int) -> Tensor:
    """The indices (m,), ascending, of a share of the images with these labels (n,): the same share of each class.

    Of a class, the first are kept of an order drawn by the seed: at least one, else the nearest whole number. So the
    parts of one seed are nested, the 10 % inside the 25 %, and another seed takes other images.
    """
    kept = []
    for label in labels.unique().tolist():
        members = (labels == label).nonzero().squeeze(1)
        order = torch.randperm(len(members), generator=stream(seed, "fraction", label))
        kept.append(members[order[: max(1, round(fraction * len(members)))]])
    return torch.cat(kept).sort().values
