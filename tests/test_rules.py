"""The digests of rules: what changes them, what does not, and which of them a run keeps."""

from pathlib import Path

import pytest

from experiments.plan import load_plan
from experiments.record_fields import RecordFault
from experiments.rules import digest_rules, read_rules
from experiments.spec import ConfigurationError, Record, Run
from experiments.strict_yaml import read_yaml
from tests.small_repository import PROVENANCE, make_record, make_repository

CLAIMS = """
version: 1
alpha: 0.05
min_seeds: 3
protocols:
  paper: {title: the paper, source: Table 1, settings: {epochs: 200}}
claims:
  kernel:
    sentence: Larger kernels help.
    source: Table 1
    kind: trend
    protocol: paper
    group: sweep
    margin: 0.005  # half a point
    reason: half a point
    quoted: [a]
  counts:
    kind: count
    quoted: [a]
  other:
    kind: trend
    group: elsewhere
"""
ORIGINAL = """# quoted
id,who,prefix,accuracy_pct,parameters_thousands,dataset,cell
a,paper,,93.61,559,cifar10,width=256
"""


def paper(root: Path, claims: str = CLAIMS, original: str = ORIGINAL) -> Path:
    """A repository with these claims and quoted values."""
    folder = root / "report/paper"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "claims.yaml").write_text(claims)
    (folder / "original.csv").write_text(original)
    return folder


def digest(root: Path, claims: str = CLAIMS, original: str = ORIGINAL) -> str:
    folder = paper(root, claims, original)
    return digest_rules(read_yaml(folder / "claims.yaml"), folder / "original.csv")["kernel"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("margin: 0.005", "margin: 0.006"),
        ("alpha: 0.05", "alpha: 0.1"),
        ("min_seeds: 3", "min_seeds: 2"),
        ("epochs: 200", "epochs: 100"),
        ("group: sweep", "group: wide"),
        ("kind: trend", "kind: direction"),
    ],
)
def test_what_decides_changes_the_digest(tmp_path: Path, old: str, new: str) -> None:
    assert digest(tmp_path, CLAIMS.replace(old, new, 1)) != digest(tmp_path)


def test_a_quoted_value_that_a_rule_looks_at_changes_it_too(tmp_path: Path) -> None:
    assert digest(tmp_path, original=ORIGINAL.replace("93.61", "93.51")) != digest(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # half a point", ""),
        ("sentence: Larger kernels help.", "sentence: A larger kernel helps."),
        ("reason: half a point", "reason: two standard deviations"),
        ("title: the paper", "title: The paper"),
    ],
)
def test_comments_and_words_for_the_reader_do_not(tmp_path: Path, old: str, new: str) -> None:
    assert digest(tmp_path, CLAIMS.replace(old, new, 1)) == digest(tmp_path)


def test_a_run_keeps_the_rules_on_its_groups_and_those_on_none(tmp_path: Path) -> None:
    paper(tmp_path)
    run = Run("r-s0", "train.ipynb", {"seed": 0}, ("sweep",), "r")
    rules = read_rules(run, tmp_path)
    assert list(rules) == ["counts", "kernel"] and rules["kernel"] == digest(tmp_path)
    assert all(len(text) == 12 for text in rules.values())


def test_a_repository_without_claims_has_no_rules(tmp_path: Path) -> None:
    assert read_rules(Run("r-s0", "train.ipynb", {"seed": 0}, ("sweep",), "r"), tmp_path) == {}


def test_claims_that_cannot_be_read_stop_a_run_before_it_begins(tmp_path: Path) -> None:
    paper(tmp_path, "claims: [")
    with pytest.raises(ConfigurationError, match="claims.yaml: this is no YAML"):
        read_rules(Run("r-s0", "train.ipynb", {"seed": 0}, ("sweep",), "r"), tmp_path)


def test_every_planned_run_of_this_repository_has_a_rule(root: Path) -> None:
    plan = load_plan(root / "experiments/plan.yaml")
    cells = {run.cell: run for run in plan.runs.values()}
    unjudged = [run.name for run in cells.values() if len(read_rules(run, root)) < 2]  # one is on no group
    assert unjudged == []


def test_a_record_holds_its_rules_and_refuses_what_is_none(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "root")
    kept = make_record(root, "tiny-z2-s0", provenance=PROVENANCE | {"rules": {"kernel": "0123456789ab"}})
    assert Record.from_text(kept.to_text(), "r.json").provenance["rules"] == {"kernel": "0123456789ab"}
    broken = make_record(root, "tiny-z2-s0", provenance=PROVENANCE | {"rules": {"kernel": 5}})
    with pytest.raises(RecordFault, match=r"^r.json: provenance.rules.kernel: found 5; expected text$"):
        Record.from_text(broken.to_text(), "r.json")
