"""The example is a paper like any other: its method is right, and its report is what its records make."""

import ast
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from experiments.ledger import Ledger
from experiments.plan import load_plan
from experiments.spec import State
from experiments.status import statuses
from report.original import read_original
from tests.example_repository import EXAMPLE, REPOSITORY, make_example, run
from tests.processes import CAN_MOUNT, UNSHARE, finish, start_build

PAPER = REPOSITORY / EXAMPLE


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example's package."""
    monkeypatch.syspath_prepend(PAPER)
    import dropout.data
    import dropout.network
    import dropout.train

    return dropout


def test_a_dropped_unit_is_zero_and_the_others_make_up_for_it(method: ModuleType) -> None:
    mask = method.network._draw_mask((200, 500), 0.25, np.random.default_rng(0))
    assert set(np.unique(mask)) == {np.float32(0), np.float32(4 / 3)}
    assert mask.mean() == pytest.approx(1, abs=0.01)
    assert (method.network._draw_mask((3, 4), 0.0, np.random.default_rng(0)) == 1).all()


def test_gradients_are_those_of_the_loss_with_the_same_units_dropped(method: ModuleType) -> None:
    network = method.network.Network((6, 5, 4, 3), np.random.default_rng(0))
    for layer in network.layers:  # In 64 bits a difference quotient is exact enough.
        layer.weights, layer.bias = layer.weights.astype(float), layer.bias.astype(float) + 0.05
    images, labels = np.random.default_rng(1).normal(size=(8, 6)), np.arange(8) % 3

    def loss() -> float:
        return network.gradients(images, labels, 0.5, np.random.default_rng(2))[0]

    _, found = network.gradients(images, labels, 0.5, np.random.default_rng(2))
    for layer, gradients in zip(network.layers, found, strict=True):
        for values, gradient in zip((layer.weights, layer.bias), gradients, strict=True):
            for place in np.ndindex(values.shape):
                here = values[place]
                values[place] = here + 1e-6
                above = loss()
                values[place] = here - 1e-6
                slope = (above - loss()) / 2e-6
                values[place] = here
                assert gradient[place] == pytest.approx(slope, abs=1e-6)


def test_a_seed_gives_the_same_network_and_another_one_another(method: ModuleType) -> None:
    data = method.data.load(40)
    settings = method.train.Settings(dropout=0.5, epochs=2)
    first, again, other = (method.train.train(data, settings, seed) for seed in (3, 3, 4))
    assert first.history == again.history
    assert first.history != other.history
    assert first.history["test_accuracy"][-1] == first.correct.mean()


def test_the_test_images_are_the_same_however_many_train(method: ModuleType) -> None:
    few, all_of_them = method.data.load(200), method.data.load()
    assert (len(few.train_labels), len(all_of_them.train_labels), len(few.test_labels)) == (200, 898, 899)
    assert (few.test_images == all_of_them.test_images).all()
    assert (all_of_them.train_images.min(), all_of_them.train_images.max()) == (0, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda method: method.data.load(899), "train_images is 899; expected 1 to 898"),
        (
            lambda method: method.train.Settings(dropout=1.0, epochs=1),
            "dropout is 1.0; expected a probability from 0 up to, but not, 1",
        ),
        (lambda method: method.train.Settings(dropout=0.5, epochs=0), "epochs is 0; expected 1 or more"),
    ],
)
def test_what_cannot_be_trained_is_refused(method: ModuleType, make: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        make(method)
    assert str(caught.value) == message


def test_the_method_knows_nothing_of_the_machinery() -> None:
    imported = set()
    for path in (PAPER / "dropout").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
            elif isinstance(node, ast.Import):
                imported.update(alias.name.split(".")[0] for alias in node.names)
    assert imported == {"collections", "dataclasses", "dropout", "hashlib", "itertools", "numpy", "sklearn"}


def test_every_planned_run_is_recorded_by_todays_code() -> None:
    plan, ledger = load_plan(PAPER / "experiments/plan.yaml"), Ledger(PAPER / "experiments")
    records, faults = ledger.inspect(plan)
    assert faults == []
    found = statuses(plan, ledger, PAPER, records=records)
    assert [(one.run.name, one.why) for one in found if one.state is not State.MEASURED] == []


def test_what_is_tracked_is_what_a_rebuild_gives() -> None:
    done = run(PAPER, "python", "build.py", "check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_quoted_value_fits_a_cell_by_what_the_plan_names_its_runs_after() -> None:
    naming = load_plan(PAPER / "experiments/plan.yaml").naming
    row = read_original(PAPER / "report/paper/original.csv", naming)["mocha-mnist"]
    assert (row.cell, row.sizes) == ({"dropout": 0.5}, {"dropout"})
    digits = replace(row, dataset="digits")
    assert digits.fits({"dataset": "digits", "dropout": 0.5, "train_images": 898})
    assert not digits.fits({"dataset": "digits", "dropout": 0.25, "train_images": 898})
    assert not row.fits({"dataset": "digits", "dropout": 0.5, "train_images": 898})


@pytest.mark.skipif(not CAN_MOUNT, reason="no private mounts here: a read-only file system is not tried")
def test_it_builds_elsewhere_from_a_checkout_that_is_read_only(tmp_path: Path) -> None:
    paper, out = make_example(tmp_path / "clone"), tmp_path / "out"
    script = f'mount --bind {paper} {paper} && mount -o remount,ro,bind {paper} && exec "$@"'
    mount = [*UNSHARE, "sh", "-c", script, "sh"]
    code, told, errors = finish(start_build(paper, "report", "--format", "html", "--out", str(out), prefix=mount))
    assert (code, errors) == (0, ""), told
    assert (out / "report.html").is_file()
    assert not (paper / ".cache").exists()


def test_its_command_line_works_from_any_folder(tmp_path: Path) -> None:
    done = run(tmp_path, "python", str(PAPER / "build.py"), "status", "--json")
    assert done.returncode == 0, done.stderr
    assert "digits-n898-d0.5-e120-s0" in done.stdout


def test_a_run_repeats_its_record_and_a_changed_method_makes_it_stale(tmp_path: Path) -> None:
    """By the whole way: a kernel that finds the method here and the machinery there, then the ledger."""
    paper = make_example(tmp_path)
    name = "digits-n200-d0.5-e120-s0"
    path = paper / f"experiments/records/{name}.json"
    before = json.loads(path.read_text())
    done = run(paper, "python", "build.py", "run", "--force", name)
    assert done.returncode == 0, done.stdout + done.stderr
    after = json.loads(path.read_text())
    assert after["key"] == before["key"]
    assert after["metrics"]["test_accuracy"] == pytest.approx(before["metrics"]["test_accuracy"], abs=0.02)

    training = paper / "dropout/train.py"
    training.write_text(training.read_text().replace("momentum: float = 0.9", "momentum: float = 0.8"))
    done = run(paper, "python", "build.py", "status", "--explain", name)
    assert "dropout.train: Settings() changed" in done.stdout


def test_a_run_in_ci_is_told_as_run_by_ci_in_its_record_and_in_the_report(tmp_path: Path) -> None:
    paper = make_example(tmp_path)
    name, other = "digits-n200-d0.5-e120-s0", "digits-n200-d0.5-e120-s1"
    done = run(paper, "python", "build.py", "run", "--force", name, CI="true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((paper / f"experiments/records/{name}.json").read_text())["provenance"]["executor"] == "ci"
    done = run(paper, "python", "build.py", "--format", "markdown", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    printed = json.loads((tmp_path / "out/provenance.json").read_text())["quantities"]
    tiers = {entry["runs"][0]: entry["tier"] for entry in printed.values() if len(entry["runs"]) == 1}
    assert (tiers[name], tiers[other]) == ("run by CI", "run here")


def test_a_build_notices_what_changes_in_the_paper(tmp_path: Path) -> None:
    paper = make_example(tmp_path)
    assert run(paper, "python", "build.py").returncode == 0
    assert run(paper, "python", "build.py").stdout.startswith("the report is up to date")
    plan = paper / "experiments/plan.yaml"
    plan.write_text(plan.read_text().replace("title: Dropout\n", "title: Dropping out\n"))
    assert run(paper, "python", "build.py").stdout.startswith("report/out: ")
