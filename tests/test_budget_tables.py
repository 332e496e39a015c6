"""The tables beyond the paper, and the figures of the same cells."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from convmixer.corruptions import CORRUPTIONS
from experiments.status import RunStatus
from report.evidence import Evidence
from report.figures import build_figures, read_figures
from report.listings import budget_tables
from report.listings.result_tables import Declaration
from report.listings.table_kinds import read_tables
from report.quantities import Quantity
from report.tables import Table
from report.unknown import UnknownName
from tests.made_up import make_cell, make_evidence, make_run, measured, waiting


def text(table: Table) -> list[list[str]]:
    return [[cell.parts.text if isinstance(cell, Quantity) else str(cell) for cell in row] for row in table.rows]


def declared(kind: str, **options: Any) -> Declaration:
    return Declaration("demo", kind, "A title.", "", {"group": "sweep", "columns": ["patch_size"], **options}, {})


def with_metrics(statuses: list[RunStatus], **metrics: float) -> list[RunStatus]:
    """STATUSES whose records have these METRICS too."""
    changed = []
    for status in statuses:
        assert status.record is not None
        changed.append(replace(status, record=replace(status.record, metrics={**status.record.metrics, **metrics})))
    return changed


def cell(accuracy: float, *, epochs: int, fraction: float, seed: int = 0) -> RunStatus:
    run = make_run(seed, epochs=epochs, fraction=fraction)
    run = replace(run, name=f"e{epochs}-f{fraction}-s{seed}", cell=f"e{epochs}-f{fraction}")
    return measured(run, accuracy, epochs=epochs, train_images=round(45_000 * fraction))


@pytest.fixture
def budgets() -> Evidence:
    """All images for 5 epochs, two runs; a quarter for 20, one run; half for 10, planned."""
    whole = with_metrics([cell(0.6 + 0.02 * seed, epochs=5, fraction=1.0, seed=seed) for seed in (0, 1)])
    run = make_run(0, epochs=10, fraction=0.5)
    planned = waiting(replace(run, name="e10-f0.5-s0", cell="e10-f0.5"))
    return make_evidence(
        *with_metrics(whole, train_accuracy=0.7), *with_metrics([cell(0.5, epochs=20, fraction=0.25)]), planned
    )


def test_a_line_has_epochs_share_and_the_images_seen(budgets: Evidence) -> None:
    table = budget_tables.budget(declared("budget"), SimpleNamespace(evidence=budgets))
    assert table.title == "A title. 2 of 3 are measured."
    assert [row[:7] for row in text(table)] == [
        ["8", "5", "100", "225,000", "2", "70.00 % (n = 2)", "61.00 ± 12.71 % (n = 2)"],
        ["8", "20", "25", "225,000", "1", "–", "50.00 % (n = 1)"],
        ["8", "10", "50", "–", "0 of 1", "pending", "pending"],
    ]
    assert table.values["seen"] == [225_000, 225_000, "–"]


def test_runs_of_a_cell_on_different_numbers_of_images_have_seen_no_number() -> None:
    one, two = (cell(0.6, epochs=5, fraction=1.0, seed=seed) for seed in (0, 1))
    assert two.record is not None
    two = replace(two, record=replace(two.record, settings={**two.record.settings, "train_images": 40_000}))
    (mixed,) = make_evidence(one, two).cells("sweep")
    assert budget_tables.images_seen(mixed) is None


def test_a_line_is_a_condition_and_a_column_a_network() -> None:
    strong, weak = make_cell([0.8, 0.82], architecture="vit"), make_cell([0.7], architecture="resnet", patch_size=0)
    renamed = [replace(status, run=replace(status.run, name=f"weak-{status.run.name}", cell="weak")) for status in weak]
    evidence = make_evidence(*with_metrics(strong, noise_1_accuracy=0.5), *renamed)
    conditions = {"test_accuracy": "as stored", "noise_1_accuracy": "a little noise"}
    options = declared("conditions", columns=["architecture", "patch_size"], conditions=conditions)
    table = budget_tables.conditions(options, SimpleNamespace(evidence=evidence))
    assert [column.header for column in table.columns] == ["Test images", "vit, patch size 8", "resnet"]
    labelled = Evidence(evidence.groups.values(), evidence.statuses.values(), {"patch_size": "Patch size p"})
    table_with_symbols = budget_tables.conditions(options, SimpleNamespace(evidence=labelled))
    assert [column.header for column in table_with_symbols.columns] == ["Test images", "vit, p 8", "resnet"]
    assert text(table) == [
        ["as stored", "81.00 ± 12.71 % (n = 2)", "70.00 % (n = 1)"],
        ["a little noise", "50.00 % (n = 2)", "–"],
    ]


def test_a_condition_that_no_record_has_is_refused_and_one_that_nothing_says_yet_waits() -> None:
    options = declared("conditions", columns=["kernel_size"], conditions={"nois_accuracy": "a little noise"})
    evidence = make_evidence(*make_cell([0.8]))
    with pytest.raises(UnknownName) as caught:
        budget_tables.conditions(options, SimpleNamespace(evidence=evidence))
    assert str(caught.value) == (
        "conditions: no record has a metric 'nois_accuracy'; they have parameters, test_accuracy"
    )
    planned = make_evidence(waiting(make_run(0)))
    assert text(budget_tables.conditions(options, SimpleNamespace(evidence=planned))) == [["a little noise", "pending"]]


def test_every_corruption_that_a_run_records_is_in_table_and_figure(root: Path) -> None:
    metrics = ["test_accuracy", *(f"{corruption.name}_accuracy" for corruption in CORRUPTIONS)]
    table = read_tables(root)["robustness"].options["conditions"]
    assert list(table) == metrics
    panels = read_figures(root / "report/paper/figures.yaml")["robustness"]["panels"].values()
    assert {metric for panel in panels for metric in panel} == set(metrics)
    for corruption in CORRUPTIONS[4:]:
        words = table[f"{corruption.name}_accuracy"]
        assert f"severity {corruption.severity} (" in words and f"{corruption.amount:g}" in words.replace("0.10", "0.1")


def test_the_figure_has_a_panel_a_network_and_a_line_a_share(tmp_path: Path, budgets: Evidence) -> None:
    item = {"kind": "budget", "title": "A title.", "note": "", "group": "sweep", "panels": ["patch_size"]}
    path = tmp_path / "figures.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "figures": {"demo": item}}), encoding="utf-8")
    made = build_figures(path, budgets, {})["demo"]
    assert [(row["panel"], row["line"], row["x"], row["test_accuracy"], row["n"]) for row in made.rows] == [
        ("patch size 8", "100 % of the images", 225.0, 0.61, 2),
        ("patch size 8", "25 % of the images", 225.0, 0.5, 1),
    ]
    assert made.note.endswith("1 of 3 settings has no recorded run yet and is not drawn.")
    assert made.alt == (
        "Line charts of mean test accuracy against images seen in training (thousands), 1 to 2 runs a setting (cifar10, "
        "keras, fp32). patch size 8: 100 % of the images 61.00 % at 225; 25 % of the images 50.00 % at 225."
    )


def test_a_figure_of_conditions_is_told_line_by_line_from_its_first_to_its_last_mark(tmp_path: Path) -> None:
    shaken = with_metrics(make_cell([0.8, 0.82], architecture="vit"), noise_1_accuracy=0.6, noise_5_accuracy=0.5)
    panels = {"noise": {"test_accuracy": "0", "noise_1_accuracy": "1", "noise_5_accuracy": "5"}}
    item = {"kind": "conditions", "title": "A title.", "note": "", "group": "sweep", "label": ["architecture"]}
    path = tmp_path / "figures.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "figures": {"demo": {**item, "panels": panels}}}), encoding="utf-8")
    made = build_figures(path, make_evidence(*shaken), {})["demo"]
    assert made.alt.endswith("2 runs a setting (cifar10, keras, fp32). noise: vit from 81.00 % at 0 to 50.00 % at 5.")
    assert made.note.startswith("Marks are means with a 95 % t interval, side by side, 2 runs")
