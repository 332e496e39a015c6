"""Which device, precision and memory format are chosen, and the streams of random numbers."""

from pathlib import Path

import pytest
import torch

from convmixer import ConvMixerError, device
from convmixer.device import choose_device, choose_memory_format, choose_precision, raise_allocator_thresholds
from convmixer.model import ConvMixer
from convmixer.streams import derive_seed, seed_everything, stream

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_the_gpu_is_chosen_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device() == GPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == CPU


def test_unknown_and_absent_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConvMixerError) as caught:
        choose_device("gpu")
    assert str(caught.value) == "choose_device: unknown device 'gpu'; expected 'cpu', 'cuda' or 'cuda:N'"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConvMixerError) as caught:
        choose_device("cuda:1")
    assert str(caught.value) == (
        "choose_device: device is 'cuda:1', but torch sees 0 GPUs; take another or leave it out"
    )


@pytest.mark.parametrize(
    ("precision", "where", "flags", "has_bf16", "expected"),
    [
        ("auto", CPU, "avx2", False, "fp32"),
        ("auto", CPU, "avx2 avx512_bf16", False, "bf16"),
        ("auto", CPU, "amx_bf16", False, "bf16"),
        ("auto", GPU, "", True, "bf16"),
        ("auto", GPU, "", False, "fp16"),
        ("fp32", GPU, "", True, "fp32"),
        ("bf16", CPU, "", False, "bf16"),
        ("fp16", GPU, "", True, "fp16"),
    ],
)
def test_the_fastest_precision_in_hardware_is_chosen(
    precision: str, where: torch.device, flags: str, has_bf16: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda path: f"processor : 0\nflags\t\t: fpu {flags}\n")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert choose_precision(precision, where) == expected


def test_impossible_precisions_are_refused() -> None:
    with pytest.raises(ConvMixerError) as caught:
        choose_precision("fp16", CPU)
    assert str(caught.value) == ("choose_precision: precision is 'fp16' on a CPU; expected 'fp32', 'bf16' or 'auto'")
    with pytest.raises(ConvMixerError) as caught:
        choose_precision("fp8", GPU)
    assert str(caught.value) == ("choose_precision: unknown precision 'fp8'; expected 'auto', 'fp32', 'bf16' or 'fp16'")


@pytest.mark.parametrize(
    ("where", "kernel_size", "expected"),
    [
        (CPU, 9, torch.channels_last),
        (GPU, 7, torch.channels_last),
        (GPU, 9, torch.contiguous_format),
    ],
)
def test_channels_last_is_chosen_where_it_is_faster(
    where: torch.device, kernel_size: int, expected: torch.memory_format
) -> None:
    model = ConvMixer(width=4, depth=1, patch_size=1, kernel_size=kernel_size, num_classes=2)
    assert choose_memory_format(model, where) == expected


def test_other_c_libraries_than_glibc_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.platform, "libc_ver", lambda: ("", ""))
    assert raise_allocator_thresholds() is False


def test_streams_depend_on_each_part_of_their_place() -> None:
    places = [
        (0, "order", 0),
        (1, "order", 0),
        (0, "augment", 0),
        (0, "order", 1),
        (0, "order", 0, 0),
        (0, "order", 10),
    ]
    assert len({derive_seed(*place) for place in places}) == len(places)
    assert all(0 <= derive_seed(*place) < 2**63 for place in places)


def test_streams_are_the_same_on_every_machine() -> None:
    assert derive_seed(0, "order", 0) == 3955691223199900983
    assert torch.randperm(8, generator=stream(0, "order", 0)).tolist() == [7, 5, 6, 0, 3, 4, 1, 2]


def test_models_made_after_the_same_seed_are_equal() -> None:
    weights = []
    for seed in (0, 0, 1):
        seed_everything(seed)
        weights.append(ConvMixer(width=4, depth=1, patch_size=1, kernel_size=3, num_classes=2).head.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
