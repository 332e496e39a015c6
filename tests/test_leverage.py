"""How much of the report rests on a run: shares of means and verdicts, more where a verdict depends on it."""

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.ledger import Ledger
from experiments.spec import Correct
from report.diffs.meaning import Meaning, read_meaning
from report.judge.robustness import Change, Robustness
from report.judge.trials import Outcome
from report.quantities import Kind, Quantity
from report.review.leverage import Leverage, weigh_runs
from tests.small_claims import make_claims
from tests.small_repository import edit, make_record


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two runs of size 2, where no image is right, and two of size 3, where all are; one of size 4 behind no claim."""
    root = make_claims(tmp_path / "root")
    for run, accuracy in {"z2-s0": 0.0, "z2-s1": 0.0, "z3-s0": 1.0, "z3-s1": 1.0, "z4-s0": 0.0}.items():
        results = {"metrics": {"test_accuracy": accuracy}, "history": {"test_accuracy": [0.5, accuracy]}}
        correct = Correct("test", 4, "8A==" if accuracy else "AA==")
        Ledger(root / "experiments").save(make_record(root, f"tiny-{run}", correct=correct, **results))
    return root


def weigh(meaning: Meaning) -> dict[str, Leverage]:
    return weigh_runs(meaning.cells.values(), meaning.verdicts)


def test_a_run_has_its_share_of_its_cells_mean_and_of_each_verdict(root: Path) -> None:
    found = weigh(read_meaning(root))
    main, other = "main claim larger-is-better, REPRODUCED", "claim three-reaches-half, INCONCLUSIVE"
    assert found == {
        "tiny-z2-s0": Leverage(0.5 + 4 / 2, ("1 of 2 runs of its cell", main)),
        "tiny-z2-s1": Leverage(0.5 + 4 / 2, ("1 of 2 runs of its cell", main)),
        "tiny-z3-s0": Leverage(0.5 + 4 / 2 + 1 / 2, ("1 of 2 runs of its cell", main, other)),
        "tiny-z3-s1": Leverage(0.5 + 4 / 2 + 1 / 2, ("1 of 2 runs of its cell", main, other)),
        "tiny-z4-s0": Leverage(1.0, ("1 of 1 runs of its cell",)),
    }


def test_a_planned_run_without_a_record_cannot_be_weighed(root: Path) -> None:
    Ledger(root / "experiments").record_path("tiny-z3-s1").unlink()
    found = weigh(read_meaning(root))
    assert found.keys() == {"tiny-z2-s0", "tiny-z2-s1", "tiny-z3-s0", "tiny-z4-s0"}
    assert found["tiny-z3-s0"].reasons[0] == "1 of 1 runs of its cell"


@pytest.mark.parametrize("left_out", [{"tiny-z3-s0"}, {"tiny-z2-s0", "tiny-z3-s0"}])
def test_a_verdict_that_is_another_without_the_run_counts_whole(root: Path, left_out: set[str]) -> None:
    meaning = read_meaning(root)
    verdict = meaning.verdicts["larger-is-better"]
    changes = (Change(frozenset(left_out), 0, Outcome.INCONCLUSIVE),)
    depending = replace(verdict, robustness=Robustness(4, changes, pairs=len(left_out) > 1))
    found = weigh(replace(meaning, verdicts={"larger-is-better": depending}))
    told = ("1 of 2 runs of its cell", "main claim larger-is-better, REPRODUCED, depends on it")
    assert found["tiny-z3-s0"] == Leverage(0.5 + 4, told)
    assert found["tiny-z3-s1"].points == 0.5 + 2
    assert found["tiny-z2-s0"].points == 0.5 + (4 if "tiny-z2-s0" in left_out else 2)


@pytest.mark.parametrize("printed", ["prediction", "detectable"])
def test_a_run_behind_any_number_of_a_verdict_is_one_that_it_rests_on(root: Path, printed: str) -> None:
    meaning = read_meaning(root)
    number = Quantity("four", Kind.ACCURACY, 0.5, origin=("tiny-z4-s0",))
    verdicts = {"larger-is-better": replace(meaning.verdicts["larger-is-better"], **{printed: number})}
    assert weigh(replace(meaning, verdicts=verdicts))["tiny-z4-s0"].points == 1.0 + 4


def test_a_claim_that_is_no_main_one_counts_half_as_much(root: Path) -> None:
    edit(root / "report/paper/claims.yaml", "main: true", "main: false")
    assert weigh(read_meaning(root))["tiny-z2-s0"].points == 0.5 + 2 / 2


def test_a_stale_record_stands_behind_no_number(root: Path) -> None:
    edit(root / "method/model.py", "2 * value", "3 * value")
    found = weigh(read_meaning(root))
    assert found["tiny-z2-s0"] == Leverage(0.5, ("its record is stale, and stands behind no number",))
    assert found["tiny-z4-s0"].points == 1.0
