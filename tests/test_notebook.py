"""experiments/train.ipynb: how it is stored, and that it gives the same numbers whichever way it is run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from convmixer.corruptions import CORRUPTIONS
from convmixer.data import load
from convmixer.subset import keep_fraction
from experiments import executed
from experiments.execute import execute, take_payload
from experiments.ledger import Ledger
from experiments.notebooks import notebook_parameters
from experiments.spec import MIME, Run

# One thread for each, since they run side by side; the order of a sum depends on the number of threads.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
NAME = "digits-smoke-e5-w64-d2-p2-k3-s0"
TIMINGS = ("seconds", "train_seconds", "images_per_second")
WAYS = ("papermill", "jupyter", "build.py")


@pytest.fixture(scope="module")
def notebook(root: Path) -> Path:
    return root / "experiments" / "train.ipynb"


@pytest.fixture(scope="module")
def stored(notebook: Path) -> dict[str, Any]:
    """The notebook as it is stored."""
    return json.loads(notebook.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(root: Path, notebook: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the notebook executed three ways with its defaults: <way>.ipynb, and the ledger of the third."""
    folder = tmp_path_factory.mktemp("three-ways")
    commands = {
        root: ["papermill", "--no-progress-bar", str(notebook), str(folder / "papermill.ipynb")],
        notebook.parent: ["jupyter-execute", f"--output={folder / 'jupyter.ipynb'}", notebook.name],
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REPRODUCTION_")}
    processes = [
        subprocess.Popen(
            [Path(sys.executable).parent / name, *arguments],
            cwd=cwd,
            env=environment | ONE_THREAD,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for cwd, (name, *arguments) in commands.items()
    ]
    for process in processes:
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
    parameters = {name: parameter.default for name, parameter in notebook_parameters(notebook).items()}
    run = Run(name=NAME, notebook=notebook.name, parameters=parameters, groups=("test",), cell=NAME[:-3], smoke=True)
    ledger = Ledger(folder / "ledger")
    execute(run, root, ledger, cache=folder / "cache", threads=1)
    (folder / "build.py.ipynb").write_text(ledger.executed_path(NAME).read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def read_numbers(folder: Path, way: str) -> dict[str, Any]:
    """What a way of running it recorded, less what a clock says."""
    if way == "build.py":
        content = json.loads(Ledger(folder / "ledger").record_path(NAME).read_text(encoding="utf-8"))
    else:
        content = take_payload(json.loads((folder / f"{way}.ipynb").read_text(encoding="utf-8")), way)
    numbers = {name: content[name] for name in ("metrics", "history", "correct", "breakdown", "settings")}
    numbers["history"] = {name: values for name, values in numbers["history"].items() if name not in TIMINGS}
    return numbers


def test_is_valid_and_stored_without_outputs(stored: dict[str, Any]) -> None:
    nbformat.validate(stored)
    code = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []
    assert stored["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def test_code_cells_have_readable_ids(stored: dict[str, Any]) -> None:
    assert [cell["id"] for cell in stored["cells"] if cell["cell_type"] == "code"] == [
        "root",
        "parameters",
        "tools",
        "data",
        "samples",
        "model",
        "recipe",
        "train",
        "learning-curves",
        "confusion-matrix",
        "wrong-predictions",
        "corruptions",
        "record",
    ]


def test_defaults_need_no_download(notebook: Path) -> None:
    assert {name: parameter.default for name, parameter in notebook_parameters(notebook).items()} == {
        "dataset": "digits",
        "recipe": "smoke",
        "epochs": 5,
        "width": 64,
        "depth": 2,
        "patch_size": 2,
        "kernel_size": 3,
        "seed": 0,
        "precision": "auto",
        "path": "auto",
        "architecture": "convmixer",
        "without": "nothing",
        "activation": "gelu",
        "norm": "batch",
        "residual": "depthwise",
        "fraction": 1.0,
        "corruptions": False,
    }


def test_cells_that_show_the_data_sets_pictures_are_tagged(stored: dict[str, Any]) -> None:
    showing = {cell["id"] for cell in stored["cells"] if "show_pictures(" in "".join(cell["source"])}
    tagged = {cell["id"] for cell in stored["cells"] if "dataset-images" in cell["metadata"].get("tags", ())}
    assert showing == tagged == {"samples", "wrong-predictions", "corruptions"}


def test_outside_the_repository_the_first_cell_says_what_to_do(stored: dict[str, Any], tmp_path: Path) -> None:
    source = next("".join(cell["source"]) for cell in stored["cells"] if cell["id"] == "root")
    done = subprocess.run([sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        f"FileNotFoundError: no convmixer/ in {str(tmp_path)!r} or above it: start the notebook inside the repository"
    )


@pytest.mark.parametrize("way", WAYS[1:])
def test_gives_the_same_numbers_as_by_papermill(folder: Path, way: str) -> None:
    assert read_numbers(folder, way) == read_numbers(folder, "papermill")


def test_records_what_it_measured(folder: Path) -> None:
    numbers = read_numbers(folder, "papermill")
    metrics, history = numbers["metrics"], numbers["history"]
    assert sorted(metrics) == [
        "parameters",
        "test_accuracy",
        "test_loss",
        "train_accuracy",
        "train_loss",
        "validation_accuracy",
        "validation_loss",
    ]
    assert metrics["parameters"] == 64 * (2**2 + 3) + 2 * 64 * (3**2 + 64 + 6) + 10 * (64 + 1)
    assert metrics["test_accuracy"] > 0.9
    assert {name: values[-1] for name, values in history.items() if name in metrics} == {
        name: value for name, value in metrics.items() if name != "parameters"
    }
    by_class = numbers["breakdown"]
    assert sum(by_class["test_images"]) == numbers["settings"]["test_images"] == numbers["correct"]["count"] == 355
    assert sum(
        count * accuracy for count, accuracy in zip(by_class["test_images"], by_class["test_accuracy"], strict=True)
    ) == pytest.approx(355 * metrics["test_accuracy"])


@pytest.mark.parametrize("way", ["papermill", "jupyter"])
def test_runs_without_a_warning_and_records_once_in_its_last_cell(folder: Path, way: str) -> None:
    cells = json.loads((folder / f"{way}.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [(cell["id"], output) for cell in cells for output in cell.get("outputs", ())]
    assert [cell for cell, output in outputs if output.get("name") == "stderr"] == []
    assert [cell for cell, output in outputs if MIME in output.get("data", {})] == ["record"]
    assert cells[-1]["id"] == "record"


def test_the_progress_bar_leaves_one_line(folder: Path) -> None:
    cells = json.loads((folder / "papermill.ipynb").read_text(encoding="utf-8"))["cells"]
    bar = next(cell for cell in cells if cell["id"] == "train")["outputs"][0]["data"]["text/plain"]
    line = "".join(bar)
    assert line.startswith("epoch 5/5, loss 0.") and "105/105" in line and "\n" not in line


def test_the_kept_copy_has_its_figures_but_no_picture_of_the_data_set(folder: Path) -> None:
    text = (folder / "build.py.ipynb").read_text(encoding="utf-8")
    with_figures = [
        cell["id"]
        for cell in json.loads(text)["cells"]
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))
    ]
    assert with_figures == ["learning-curves", "confusion-matrix"]
    assert len(text.encode()) < 56 * 1024 < executed.MAX_BYTES  # a confusion matrix of CIFAR-10 takes 10 KiB more


def test_trains_on_a_part_of_the_images_and_tests_on_corrupted_ones(root: Path, notebook: Path, tmp_path: Path) -> None:
    parameters = {name: parameter.default for name, parameter in notebook_parameters(notebook).items()}
    parameters |= {"epochs": 2, "width": 16, "fraction": 0.25, "corruptions": True}
    run = Run(name=NAME, notebook=notebook.name, parameters=parameters, groups=("test",), cell=NAME[:-3], smoke=True)
    ledger = Ledger(tmp_path / "ledger")
    execute(run, root, ledger, cache=tmp_path / "cache", threads=1)
    record = json.loads(ledger.record_path(NAME).read_text(encoding="utf-8"))
    part = keep_fraction(load("digits", validation=record["settings"]["validation_size"]), 0.25, seed=0)
    assert record["settings"]["train_images"] == len(part.train_labels)
    assert record["breakdown"]["train_images"] == part.train_labels.bincount().tolist()
    assert record["settings"]["test_images"] == 355
    corrupted = {f"{corruption.name}_accuracy" for corruption in CORRUPTIONS}
    assert corrupted <= record["metrics"].keys()
    kept = json.loads(ledger.executed_path(NAME).read_text(encoding="utf-8"))["cells"]
    table = next(cell for cell in kept if cell["id"] == "corruptions")["outputs"][0]["data"]["text/markdown"]
    accuracy = record["metrics"]["noise_3_accuracy"]
    assert f"| noise 3 | {accuracy:.2%} |" in "".join(table).splitlines()
