"""A part of the training images: which are kept, and what is refused."""

import pytest
import torch

from convmixer import ConvMixerError
from convmixer.data import Dataset, load
from convmixer.subset import choose_images, keep_fraction


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", validation=160)


def test_the_whole_is_the_data_set_itself(digits: Dataset) -> None:
    assert keep_fraction(digits, 1.0, seed=0) is digits
    assert keep_fraction(digits, 1, seed=0) is digits


def test_every_class_keeps_its_share(digits: Dataset) -> None:
    counts, kept = (data.train_labels.bincount() for data in (digits, keep_fraction(digits, 0.25, seed=3)))
    assert kept.tolist() == [round(0.25 * count) for count in counts.tolist()]


def test_images_keep_their_labels_and_their_order(digits: Dataset) -> None:
    part, kept = keep_fraction(digits, 0.5, seed=3), choose_images(digits.train_labels, 0.5, seed=3)
    assert torch.equal(part.train_images, digits.train_images[kept])
    assert torch.equal(part.train_labels, digits.train_labels[kept])
    assert kept.tolist() == sorted(set(kept.tolist()))


def test_what_validates_and_tests_stays(digits: Dataset) -> None:
    part = keep_fraction(digits, 0.1, seed=0)
    for name in ("validation_images", "validation_labels", "test_images", "test_labels", "checksum", "mean", "std"):
        assert getattr(part, name) is getattr(digits, name), name


@pytest.mark.parametrize("seed", [0, 1])
def test_the_smaller_part_lies_inside_the_larger(digits: Dataset, seed: int) -> None:
    parts = [set(choose_images(digits.train_labels, share, seed=seed).tolist()) for share in (0.1, 0.25, 0.5, 1.0)]
    assert parts[0] < parts[1] < parts[2] < parts[3] == set(range(len(digits.train_labels)))


def test_another_seed_takes_other_images_and_the_same_seed_the_same(digits: Dataset) -> None:
    first, again, other = (choose_images(digits.train_labels, 0.1, seed=seed).tolist() for seed in (0, 0, 1))
    assert first == again
    assert len(first) == len(other) and first != other


def test_the_choice_is_pinned_since_records_hang_on_it() -> None:
    assert choose_images(torch.arange(40) % 2, 0.2, seed=0).tolist() == [0, 1, 8, 15, 20, 24, 29, 33]


def test_no_class_is_left_without_an_image() -> None:
    labels = torch.tensor([0] * 50 + [1] * 3)
    assert labels[choose_images(labels, 0.01, seed=0)].tolist() == [0, 1]


@pytest.mark.parametrize("fraction", [0, 0.0, -0.1, 1.0001, float("nan"), float("inf"), True, "0.5"])
def test_a_share_that_is_none_is_refused(digits: Dataset, fraction: object) -> None:
    with pytest.raises(ConvMixerError) as caught:
        keep_fraction(digits, fraction, seed=0)  # type: ignore[arg-type]
    assert str(caught.value) == (f"keep_fraction: fraction is {fraction!r}; expected a number above 0 and at most 1")
