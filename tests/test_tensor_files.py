"""Files of tensors: no code of theirs is run, nothing damaged is taken, and none is left half written."""

import argparse
import io
import json
import os
import pickle
import struct
import tarfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from convmixer import ConvMixerError, tensor_files
from convmixer.tensor_files import PICKLED_ENDINGS, SAFE_ENDING, read_tensors, write_tensors

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.count": torch.tensor(3)}
ADVICE = ". Fetch it again or, where it can be trusted, save its state_dict as safetensors"


class Bomb:
    """Unpickling it freely makes a file at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def write_tar(path: Path) -> None:
    """A file as torch wrote them before 2017, as far as a reader looks before it unpickles."""
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            archive.addfile(entry, io.BytesIO(b"abc"))


def refusal(path: Path) -> str:
    with pytest.raises(ConvMixerError) as caught:
        read_tensors(path)
    return str(caught.value)


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("ending", PICKLED_ENDINGS)
def test_a_pickle_bomb_does_not_go_off(ending: str, is_zip: bool, tmp_path: Path) -> None:
    path, harm = tmp_path / f"bomb{ending}", tmp_path / "harm"
    torch.save({"state_dict": TENSORS, "x": Bomb(harm)}, path, _use_new_zipfile_serialization=is_zip)
    assert refusal(path) == (
        f"weights: {str(path)!r} is damaged, or cannot be read without running code from it: "
        f"it asks for posix.mkdir, which makes no tensor{ADVICE}"
    )
    assert not harm.exists()
    torch.load(path, weights_only=False)
    assert harm.exists()  # so the test can fail


def test_a_plain_pickle_bomb_does_not_go_off_under_any_ending(tmp_path: Path) -> None:
    for ending in (SAFE_ENDING, *PICKLED_ENDINGS):
        (tmp_path / f"bomb{ending}").write_bytes(pickle.dumps(Bomb(tmp_path / "harm"), protocol=2))
        refusal(tmp_path / f"bomb{ending}")
    assert not (tmp_path / "harm").exists()


def test_what_timms_training_script_saves_is_read(tmp_path: Path) -> None:
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))]).state_dict()
    saved = {"epoch": 3, "arch": "m", "state_dict": OrderedDict(TENSORS), "optimizer": optimiser, "metric": 0.5}
    torch.save({**saved, "args": argparse.Namespace(lr=0.01)}, tmp_path / "last.pth.tar")
    tensors, metadata = read_tensors(tmp_path / "last.pth.tar")
    assert list(tensors) == list(TENSORS)
    assert metadata == {}


def test_written_tensors_come_back_with_their_metadata(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    turned = {**TENSORS, "turned": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)}
    write_tensors(path, turned, {"who": "we"})
    tensors, metadata = read_tensors(path)
    assert metadata == {"who": "we"}
    assert {name: value.tolist() for name, value in tensors.items()} == {
        name: value.tolist() for name, value in turned.items()
    }


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.safetensors"
    write_tensors(path, TENSORS, {})
    before = path.read_bytes()

    def kill(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tensor_files.os, "fsync", kill)
    with pytest.raises(KeyboardInterrupt):
        write_tensors(path, {"b": torch.zeros(99)}, {})
    assert path.read_bytes() == before


def test_only_safetensors_are_written_and_only_into_folders(tmp_path: Path) -> None:
    with pytest.raises(ConvMixerError) as caught:
        write_tensors(tmp_path / "t.pth", TENSORS, {})
    assert str(caught.value) == f"weights: {str(tmp_path / 't.pth')!r} ends in '.pth'; expected '.safetensors'"
    with pytest.raises(ConvMixerError) as caught:
        write_tensors(tmp_path / "none" / "t.safetensors", TENSORS, {})
    assert str(caught.value) == f"weights: no folder {str(tmp_path / 'none')!r}; make it first"


def test_missing_files_folders_and_unknown_endings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.npz").write_bytes(b"")
    (tmp_path / "folder.pth").mkdir()
    assert refusal(tmp_path / "t.pth") == f"weights: no file {str(tmp_path / 't.pth')!r}"
    assert refusal(tmp_path / "folder.pth") == f"weights: no file {str(tmp_path / 'folder.pth')!r}"
    assert refusal(tmp_path / "t.npz") == (
        f"weights: {str(tmp_path / 't.npz')!r} has an unknown ending; known are .safetensors, .pth.tar, .pth, .pt, .bin"
    )


@pytest.mark.parametrize(
    ("saved", "what"),
    [
        ([1, 2], "holds the list [1, 2]"),
        ({}, "holds the dict {}"),
        ({"state_dict": {}}, "holds the dict {}"),
        ({"epoch": 3}, "has the int 3 under 'epoch'"),
        ({"a": "x" * 100}, "has the str 'xxxxxxxxxxxx...xxxxxxxxxxxxx' under 'a'"),
        ({1: torch.zeros(1)}, "has the Tensor tensor([0.]) under 1"),
    ],
)
def test_files_without_named_tensors_are_refused(saved: object, what: str, tmp_path: Path) -> None:
    path = tmp_path / "t.pth"
    torch.save(saved, path)
    expected = "expected tensors by name, bare or under one of state_dict, model, state_dict_ema"
    assert refusal(path) == f"weights: {str(path)!r} {what}; {expected}"


def header(content: object, length: int | None = None) -> bytes:
    """The beginning of a safetensors file, whose header may lie."""
    text = json.dumps(content).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


LIES = {
    "length": header({}, 1 << 60),
    "beyond the end": header({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}),
    "shape": header({"a": {"dtype": "F32", "shape": [9, 9], "data_offsets": [0, 4]}}) + bytes(4),
    "negative": header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}) + bytes(4),
    "overlap": header({n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "ab"}) + bytes(4),
    "type": header({"a": {"dtype": "object", "shape": [1], "data_offsets": [0, 4]}}) + bytes(4),
    "no header": header([1, 2]),
    "overflow": header({"a": {"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 4]}}) + bytes(4),
}


@pytest.mark.parametrize("lie", LIES)
def test_lying_headers_are_refused(lie: str, tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(LIES[lie])
    assert refusal(path).startswith(
        f"weights: {str(path)!r} is damaged, or cannot be read without running code from it: SafetensorError "
    )


def test_a_tar_of_old_is_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "old.pth.tar")
    assert "it is in the tar format that torch wrote before 2017" in refusal(tmp_path / "old.pth.tar")


@pytest.mark.parametrize("ending", [SAFE_ENDING, *PICKLED_ENDINGS])
@pytest.mark.parametrize("content", [b"", b"\0", b"<!DOCTYPE html><title>Not Found</title>\n" * 9, bytes(range(256))])
def test_empty_files_and_texts_are_refused(content: bytes, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{ending}"
    path.write_bytes(content)
    assert refusal(path).endswith(ADVICE)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "old"])
def test_damaged_files_are_refused_or_read_but_never_fail_otherwise(kind: str, tmp_path: Path) -> None:
    whole = tmp_path / ("whole.safetensors" if kind == "safetensors" else "whole.pth")
    if kind == "safetensors":
        write_tensors(whole, TENSORS, {"who": "we"})
    else:
        torch.save(TENSORS, whole, _use_new_zipfile_serialization=kind == "zip")
    content, damaged = whole.read_bytes(), whole.with_name("damaged" + whole.suffix)
    for length in range(0, len(content), max(1, len(content) // 40)):
        damaged.write_bytes(content[:length])
        refusal(damaged)
    random = np.random.default_rng(0)
    for _ in range(150):
        bent = bytearray(content)
        for _ in range(random.integers(1, 5)):
            bent[random.integers(len(bent))] = random.integers(256)
        damaged.write_bytes(bent)
        try:
            read_tensors(damaged)
        except ConvMixerError:
            continue
