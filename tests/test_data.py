"""The data sets: what is loaded, how it is split, and what is refused."""

import threading
import time
from pathlib import Path

import pytest
import torch

from convmixer import ConvMixerError, data
from convmixer.data import DATASETS, Dataset, load

REMEDY = "Delete the folder 'cifar-10-batches-py' and load again to download it, or unpack cifar-10-python.tar.gz again"


def test_digits_need_no_file() -> None:
    digits = load("digits", "/nowhere", download=False)
    assert digits.train_images.shape == (1442, 1, 8, 8)
    assert digits.test_images.shape == (355, 1, 8, 8)
    assert digits.validation_images.shape == (0, 1, 8, 8)
    assert (digits.train_images.dtype, digits.train_labels.dtype) == (torch.uint8, torch.int64)
    assert (digits.train_images.min(), digits.train_images.max()) == (0, 255)
    assert digits.image_shape == DATASETS["digits"].image_shape
    assert digits.classes == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


def test_the_validation_part_of_the_digits_is_stratified() -> None:
    assert load("digits", validation=160).validation_labels.bincount().tolist() == [16] * 10


def test_no_digit_is_lost_or_doubled_by_the_split() -> None:
    from sklearn.datasets import load_digits

    digits = load("digits", validation=160)
    ours = torch.cat([digits.train_images, digits.validation_images, digits.test_images]).flatten(1)
    theirs = torch.from_numpy(load_digits().data * (255 / 16)).round().byte()
    assert sorted(ours.tolist()) == sorted(theirs.tolist())


def assert_facts_fit(loaded: Dataset) -> None:
    facts = DATASETS[loaded.name]
    assert (len(loaded.train_labels), len(loaded.test_labels)) == (facts.train_size, facts.test_size)
    assert (loaded.image_shape, loaded.checksum) == (facts.image_shape, facts.checksum)
    counts = torch.stack([channel.flatten().bincount(minlength=256) for channel in loaded.train_images.unbind(1)])
    levels, share = torch.arange(256) / 255, counts.double() / counts.sum(1, keepdim=True)
    mean = share @ levels.double()
    std = ((levels - mean[:, None]) ** 2 * share).sum(1).sqrt()
    assert mean.tolist() == pytest.approx(facts.mean, abs=5.1e-5)
    assert std.tolist() == pytest.approx(facts.std, abs=1e-4)  # the authors print 0.2471 for 0.24703


def test_the_facts_about_the_digits_fit_them() -> None:
    assert_facts_fit(load("digits"))


def test_the_facts_about_cifar10_fit_it(cifar10_root: Path) -> None:
    assert_facts_fit(load("cifar10", cifar10_root, download=False))


def test_cifar10_holds_its_front_out_for_validation(cifar10_root: Path) -> None:
    whole, split = load("cifar10", cifar10_root), load("cifar10", cifar10_root, validation=5000)
    assert (len(split.train_labels), len(split.validation_labels), len(split.test_labels)) == (45000, 5000, 10000)
    assert torch.equal(split.validation_images, whole.train_images[:5000])
    assert torch.equal(split.train_labels, whole.train_labels[5000:])
    assert whole.train_labels.bincount().tolist() == [5000] * 10
    assert whole.train_labels[:5].tolist() == [6, 9, 9, 4, 1]  # frog, truck, truck, deer, automobile
    assert split.checksum == whole.checksum


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConvMixerError) as caught:
        load("cifar100")
    assert str(caught.value) == "load: unknown data set 'cifar100'; known are cifar10, digits"


@pytest.mark.parametrize("validation", [-1, 1442])
def test_a_validation_part_that_leaves_nothing_is_refused(validation: int) -> None:
    with pytest.raises(ConvMixerError) as caught:
        load("digits", validation=validation)
    assert str(caught.value) == (
        f"load: validation is {validation}; expected 0 to 1441, 'digits' has 1442 training images"
    )


def test_a_missing_folder_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRODUCTION_DATA", str(tmp_path))
    missing = tmp_path / "cifar-10-batches-py" / "data_batch_1"
    with pytest.raises(ConvMixerError) as caught:
        load("cifar10", download=False)
    assert str(caught.value) == (
        f"load: {str(missing)!r} is missing; expected all files of CIFAR-10 below {str(tmp_path)!r}. {REMEDY}, or "
        "name the folder that holds 'cifar-10-batches-py' in $REPRODUCTION_DATA"
    )


def test_a_half_file_is_one_clear_error(tmp_path: Path) -> None:
    half = tmp_path / "cifar-10-batches-py" / "data_batch_1"
    half.parent.mkdir()
    half.write_bytes(b"half")
    with pytest.raises(ConvMixerError) as caught:
        load("cifar10", tmp_path)
    assert str(caught.value) == (
        f"load: {str(half)!r} has md5 '7afe399f1415b137d0962f82662fa9d4'; expected "
        f"'c99cafc152244af753f735de768cd75f'. {REMEDY}"
    )


def test_one_missing_file_among_good_ones_is_named(tmp_path: Path, cifar10_root: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for path, _ in DATASETS["cifar10"].files:
        (tmp_path / path).symlink_to(cifar10_root / path)
    (folder / "test_batch").unlink()
    with pytest.raises(ConvMixerError, match="test_batch' is missing; expected all files of CIFAR-10 below"):
        load("cifar10", tmp_path)


def test_a_second_process_waits_for_the_download_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    begun, files, downloads = threading.Event(), DATASETS["cifar10"].files, []

    def download(self: CIFAR10) -> None:
        downloads.append(threading.current_thread().name)
        begun.set()
        time.sleep(0.2)
        for path, _ in files:
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_bytes(b"half")
        raise RuntimeError("enough")

    def attempt() -> None:
        with pytest.raises(ConvMixerError) as caught:
            load("cifar10", tmp_path)
        messages[threading.current_thread().name] = str(caught.value)

    messages: dict[str, str] = {}
    monkeypatch.setattr(CIFAR10, "download", download)
    first, second = threading.Thread(target=attempt, name="first"), threading.Thread(target=attempt, name="second")
    first.start()
    assert begun.wait(30)
    second.start()
    first.join(30)
    second.join(30)
    assert downloads == ["first"]
    assert "download failed (enough)" in messages["first"] and "has md5" in messages["second"]


def test_a_failed_download_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    def fail(self: CIFAR10) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(CIFAR10, "download", fail)
    with pytest.raises(ConvMixerError) as caught:
        load("cifar10", tmp_path)
    assert str(caught.value) == (
        f"load: CIFAR-10 is not below {str(tmp_path)!r} and its download failed (no route to host). Unpack "
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz there, or name the folder that holds "
        "'cifar-10-batches-py' in $REPRODUCTION_DATA"
    )


def test_other_arrays_than_the_pinned_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "checksum_arrays", lambda arrays: "0" * 64)
    with pytest.raises(ConvMixerError, match=f"the arrays of 'digits' have sha256 '{'0' * 64}'; expected 'f98bb2d5"):
        load("digits")
