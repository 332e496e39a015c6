"""experiments/inside.ipynb: the network that it looks into is the one that train.ipynb trains, and it keeps what it shows."""

import json
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from convmixer.data import load
from experiments import executed
from experiments.execute import execute
from experiments.ledger import Ledger
from experiments.notebooks import notebook_parameters
from experiments.spec import Record, Run, RunFailed

SIZES = {"epochs": 2, "width": 16, "depth": 2, "patch_size": 2, "kernel_size": 3, "seed": 1}
SHOWN = 5
CLOCKS = ("seconds",)


def run_notebook(root: Path, folder: Path, name: str, **given: Any) -> tuple[Record, str]:
    """The record of a run of NAME with its defaults and GIVEN, and its kept notebook."""
    notebook = root / "experiments" / name
    parameters = {key: parameter.default for key, parameter in notebook_parameters(notebook).items()} | given
    run = Run(name=f"{notebook.stem}-s1", notebook=name, parameters=parameters, groups=("test",), cell="c", smoke=True)
    ledger = Ledger(folder / notebook.stem)
    execute(run, root, ledger, cache=folder / "cache", threads=1)
    path = ledger.record_path(run.name)
    kept = ledger.executed_path(run.name).read_text(encoding="utf-8")
    return Record.from_text(path.read_text(encoding="utf-8"), path.name), kept


@pytest.fixture(scope="module")
def inside(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, str]:
    return run_notebook(root, tmp_path_factory.mktemp("inside"), "inside.ipynb", **SIZES, shown=SHOWN)


def test_is_valid_and_stored_without_outputs_and_needs_no_download(root: Path) -> None:
    stored = json.loads((root / "experiments/inside.ipynb").read_text(encoding="utf-8"))
    nbformat.validate(stored)
    assert [cell["id"] for cell in stored["cells"] if cell.get("outputs") or cell.get("execution_count")] == []
    assert notebook_parameters(root / "experiments/inside.ipynb")["dataset"].default == "digits"


def test_it_trains_the_network_of_the_other_notebook(root: Path, inside: tuple[Record, str], tmp_path: Path) -> None:
    record, _ = inside
    other, _ = run_notebook(root, tmp_path, "train.ipynb", **SIZES)
    assert record.correct == other.correct
    assert record.breakdown == other.breakdown
    assert {name: record.metrics[name] for name in other.metrics} == other.metrics
    assert {name: list(record.history[name]) for name in record.history if name not in CLOCKS} == {
        name: list(other.history[name]) for name in other.history if name not in CLOCKS
    }
    assert {name: other.settings[name] for name in record.settings} == record.settings


def test_its_arrays_are_the_filters_of_the_first_channels_and_what_each_image_was_taken_for(
    inside: tuple[Record, str],
) -> None:
    record, _ = inside
    shapes = {name: array.shape for name, array in record.arrays.items()}
    count = len(load("digits", validation=record.settings["validation_size"]).test_labels)
    assert shapes == {
        "patch_embedding": (SHOWN, 1, 2, 2),
        "depthwise_1": (SHOWN, 3, 3),
        "depthwise_2": (SHOWN, 3, 3),
        "test_labels": (count,),
        "test_predictions": (count,),
    }
    labels, predictions = (np.array(record.arrays[f"test_{what}"].steps()) for what in ("labels", "predictions"))
    assert record.correct is not None
    assert (labels == predictions).tolist() == record.correct.unpack()
    assert np.bincount(labels).tolist() == record.breakdown["test_images"]
    assert 0 < record.metrics["middle_share_1"] < 1


def test_the_kept_copy_shows_filters_and_confusions(inside: tuple[Record, str]) -> None:
    _, kept = inside
    with_figures = [
        cell["id"]
        for cell in json.loads(kept)["cells"]
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))
    ]
    assert with_figures == ["patch-embedding", "depthwise-kernels", "confusion-matrix"]
    assert len(kept.encode()) < executed.MAX_BYTES


def test_a_network_without_such_filters_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="architecture is 'vit'; expected 'convmixer'"):
        run_notebook(root, tmp_path, "inside.ipynb", **SIZES, architecture="vit")
