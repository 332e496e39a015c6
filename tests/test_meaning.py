"""What a repository says, as it is compared and weighed: whole cells, main ones, and the paper's other files."""

from pathlib import Path

import pytest

from experiments.ledger import Ledger
from experiments.spec import ConfigurationError
from report.diffs.meaning import Meaning, read_meaning
from tests.small_claims import make_claims
from tests.small_repository import edit, make_record


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Records of each cell; the last seed of size 3 is planned in its first group only."""
    root = make_claims(tmp_path / "root")
    for run in ("z2-s0", "z2-s1", "z3-s0", "z3-s1", "z4-s0"):
        Ledger(root / "experiments").save(make_record(root, f"tiny-{run}"))
    return root


@pytest.fixture
def meaning(root: Path) -> Meaning:
    return read_meaning(root)


def test_a_cell_has_all_its_seeds_whichever_groups_plan_them(meaning: Meaning) -> None:
    assert {name: cell.seeds for name, cell in meaning.cells.items()} == {
        "tiny-z2": (0, 1),
        "tiny-z3": (0, 1),
        "tiny-z4": (0,),
    }


def main_cells(meaning: Meaning) -> set[tuple[str, str]]:
    cells = [cell for groups in meaning.by_group.values() for cell in groups.values()]
    return {(cell.group, cell.name) for cell in cells if meaning.is_main(cell)}


def test_main_cells_are_those_behind_the_main_claims_of_the_original(root: Path, meaning: Meaning) -> None:
    assert main_cells(meaning) == {("sizes", "tiny-z2"), ("sizes", "tiny-z3")}
    edit(root / "report/paper/claims.yaml", "main: true", "main: false")
    assert main_cells(read_meaning(root)) == set()


def test_texts_are_the_papers_files_but_for_claims_and_quoted_values(root: Path, meaning: Meaning) -> None:
    (root / "report/paper/.hidden").write_text("x")
    assert meaning.texts == {
        "metadata.yaml": "title: A tiny reproduction\n",
        "sections/10-text.md": "# Text\n\nOf two sizes.\n",
    }
    assert read_meaning(root).texts == meaning.texts


def test_verdicts_and_title_are_those_of_the_report(meaning: Meaning) -> None:
    assert {id: str(verdict.outcome) for id, verdict in meaning.verdicts.items()} == {
        "larger-is-better": "INCONCLUSIVE",
        "three-reaches-half": "INCONCLUSIVE",
    }
    assert meaning.prefix == ""


def test_reasons_have_the_words_of_the_report_which_calls_parameters_by_their_labels(root: Path) -> None:
    tables = root / "report/paper/tables.yaml"
    tables.write_text('version: 1\nlabels: {size: "Edge  length e"}\ntables: {}\n')
    reasons = read_meaning(root).verdicts["larger-is-better"].reasons
    assert reasons[0].startswith("the runs of seeds 0, 1 of edge length 3 and seeds 0, 1 of edge length 2 are the same")
    tables.write_text("version: 1\nlabels: {size: 3}\ntables: {}\n")
    with pytest.raises(ConfigurationError, match=r"^tables.yaml: labels.size: found 3; expected text"):
        read_meaning(root)
