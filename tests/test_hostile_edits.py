"""Who edits records or rules to get another verdict is refused, or shown by the id of the rule that he breaks.

The edits are made on a copy of this repository's own ledger, with all the care of a forger: the digest of a changed
record is made anew.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.fingerprint import Fingerprinter
from experiments.ledger import Ledger
from experiments.plan import Plan, load_plan
from experiments.rules import read_rules
from experiments.schema import digest_of
from experiments.spec import ReproductionError
from report.checks import inspect_ledger, inspect_states
from report.context import build_context
from tests.small_repository import edit

CELL = "cifar10-keras-e5-w256-d8-p4-k9"
CLAIM = "earlier-p4-k9"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """The repository's plan, records and rules; its records count today and know the rules that judge them."""
    folder = tmp_path_factory.mktemp("clean")
    ignored = shutil.ignore_patterns("__pycache__", "out", ".*", "executed")
    for name in ("convmixer", "experiments", "report/paper"):
        shutil.copytree(root / name, folder / name, ignore=ignored)
    plan, ledger, today = (
        load_plan(folder / "experiments/plan.yaml"),
        Ledger(folder / "experiments"),
        Fingerprinter(folder),
    )
    for record in ledger.load(plan):
        run = plan.runs[record.run]
        known = {**record.provenance, "rules": read_rules(run, folder)}
        ledger.save(replace(record, key=today.of(run).key, provenance=known), force=True)
    return folder


@pytest.fixture
def forged(clean: Path, tmp_path: Path) -> Path:
    """A copy to be edited."""
    return Path(shutil.copytree(clean, tmp_path / "forged"))


def find(root: Path) -> dict[str, list[str]]:
    """Rule -> the places where a check finds it broken; what only waits to be run is passed over."""
    found = list(inspect_ledger(root))
    if not found:
        found += inspect_states(build_context(root))
    places: dict[str, list[str]] = {}
    for finding in found:
        if finding.rule not in ("value-pending", "claim-untested", "title-prefix"):
            places.setdefault(finding.rule, []).append(finding.place)
    return places


def forge(root: Path, run: str, change: Callable[[dict[str, Any]], None], to: str = "") -> None:
    """Change the record of RUN, and save it as the record of TO if that is named, with a digest that fits."""
    path = root / f"experiments/records/{run}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    lines = {name: json.dumps(value) for name, value in sorted(content.items())}
    text = "{\n" + ",\n".join(f' "{name}": {value}' for name, value in lines.items()) + "\n}\n"
    text = text.replace(content["digest"], digest_of(text))
    path.with_name(f"{to or run}.json").write_text(text, encoding="utf-8")


def test_the_ledger_that_nobody_edited_breaks_no_rule(clean: Path) -> None:
    assert find(clean) == {}


def test_a_forger_who_changes_nothing_is_not_found(forged: Path) -> None:
    forge(forged, f"{CELL}-s0", lambda content: None)
    assert find(forged) == {}


def test_a_claim_without_runs_is_untested_whatever_it_says(forged: Path) -> None:
    path = forged / "report/paper/claims.yaml"
    with path.open("a", encoding="utf-8") as file:
        file.write(
            "  invented:\n    sentence: It is best.\n    source: nowhere\n    certainty: carried over by us\n    kind: equality\n"
            "    main: true\n    protocol: null\n    group: earlier-40\n    cell: {patch_size: 2, kernel_size: 9}\n"
            "    quoted: [paper-p2-k9]\n    margin: 0.5\n    reason: none\n"
        )
    found = [(f.rule, f.place) for f in inspect_states(build_context(forged)) if "invented" in f.place]
    assert found == [("claim-untested", "report/paper/claims.yaml: invented")]


def test_a_claim_on_cells_that_nobody_plans_is_refused(forged: Path) -> None:
    edit(forged / "report/paper/claims.yaml", "group: authors-100\n", "group: authors-1000\n")
    with pytest.raises(ReproductionError, match="there is no group 'authors-1000'; the plan has earlier-5, "):
        build_context(forged)


def test_an_accuracy_that_is_no_number_is_a_fault(forged: Path) -> None:
    forge(forged, f"{CELL}-s0", lambda content: content["metrics"].update(test_accuracy=float("nan")))
    assert find(forged) == {"ledger-fault": [f"experiments/records/{CELL}-s0.json: file"]}


def test_a_better_accuracy_disagrees_with_the_images(forged: Path) -> None:
    forge(forged, f"{CELL}-s0", lambda content: content["metrics"].update(test_accuracy=0.99))
    assert find(forged) == {"ledger-fault": [f"experiments/records/{CELL}-s0.json: metrics.test_accuracy"]}


def test_a_run_of_more_epochs_in_the_cell_is_a_fault(forged: Path) -> None:
    def train_longer(content: dict[str, Any]) -> None:
        content["settings"]["epochs"] = 40

    forge(forged, f"{CELL}-s0", train_longer)
    assert find(forged) == {"ledger-fault": [f"experiments/records/{CELL}-s0.json: settings.epochs"]}
    forge(forged, f"{CELL}-s0", lambda content: content["parameters"].update(epochs=40))
    assert find(forged) == {"ledger-fault": [f"experiments/records/{CELL}-s0.json: parameters.epochs"]}


def test_a_run_on_more_images_in_the_cell_takes_its_number_away(forged: Path) -> None:
    forge(forged, f"{CELL}-s0", lambda content: content["settings"].update(train_images=50_000))
    assert find(forged) == {"mixed-fidelity": [f"experiments/plan.yaml: {CELL}"]}


def test_a_margin_that_is_widened_after_the_runs_is_told(forged: Path) -> None:
    path = forged / "report/paper/claims.yaml"
    before, mark, after = path.read_text(encoding="utf-8").partition(f"  {CLAIM}:\n")
    assert mark
    path.write_text(before + mark + "    margin: 0.04\n" + drop_margin(after), encoding="utf-8")
    assert find(forged) == {"rule-changed": [f"report/paper/claims.yaml: {CLAIM}"]}
    assert build_context(forged).verdicts[CLAIM].reasons[-1] == "its rule was changed after 3 of 3 runs"


def test_a_level_that_is_taken_out_of_the_plan_of_a_trend_is_told(forged: Path) -> None:
    """A level that does not please goes into another group: no record is missing, and no rule is another."""
    edit(
        forged / "experiments/plan.yaml",
        "    grid: {patch_size: [1, 2, 4, 8], kernel_size: [9]}\n    seeds: [0, 1, 2]\n",
        "    grid: {patch_size: [1, 2, 4], kernel_size: [9]}\n    seeds: [0, 1, 2]\n\n"
        "  coarse:\n    title: Coarse patches\n    question: What do they cost?\n"
        "    parameters: {recipe: keras, epochs: 5}\n    grid: {patch_size: [8], kernel_size: [9]}\n    seeds: [0, 1, 2]\n",
    )
    context = build_context(forged)
    assert "recorded as well, and not judged: seeds 0, 1, 2 of patch size 8" in context.verdicts["patch-size"].reasons
    found = [(finding.place, finding.message) for finding in inspect_states(context) if finding.rule == "rule-changed"]
    message = "its group 'patch-size-k9' has lost 3 runs that it was to judge"
    assert found == [("report/paper/claims.yaml: patch-size", message)]


def drop_margin(text: str) -> str:
    """TEXT without the first line of a margin, if the first claim in it has one of its own."""
    claim, blank, rest = text.partition("\n  earlier")
    lines = [line for line in claim.splitlines(keepends=True) if not line.startswith("    margin:")]
    return "".join(lines) + blank + rest


def test_a_record_under_another_seeds_name_is_a_fault(forged: Path) -> None:
    forge(forged, f"{CELL}-s0", lambda content: None, to=f"{CELL}-s1")
    assert find(forged) == {"ledger-fault": [f"experiments/records/{CELL}-s1.json: run"]}


def test_a_record_made_out_to_be_another_seeds_is_found_by_its_images(forged: Path, clean: Path) -> None:
    plan: Plan = load_plan(clean / "experiments/plan.yaml")
    key = Fingerprinter(clean).of(plan.run(f"{CELL}-s1")).key

    def pass_off(content: dict[str, Any]) -> None:
        content.update(run=f"{CELL}-s1", key=key)
        content["parameters"]["seed"] = 1

    forge(forged, f"{CELL}-s0", pass_off, to=f"{CELL}-s1")
    assert find(forged) == {"record-copied": [f"experiments/records/{CELL}"]}
    verdict = build_context(forged).verdicts[CLAIM]
    assert verdict.reasons[0].endswith("are the same image by image: a copied record is no second run")
