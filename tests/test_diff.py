"""What changed in meaning since a revision, told from real commits: how severe it is, in words, and for programs."""

import json
from pathlib import Path

import pytest

import build
from experiments.ledger import Ledger
from experiments.spec import ConfigurationError, Correct, Packed
from experiments.status import statuses
from report.diffs.changes import Change, Severity, Subject
from report.diffs.diff import Difference, find_difference
from report.diffs.diff_pages import format_difference
from report.diffs.revisions import Revision
from tests.schemas import faults_of
from tests.small_claims import CLAIMS, QUOTED, make_claims
from tests.small_git import commit, git
from tests.small_repository import edit, make_record, open_repository
from tests.test_architecture import run_without_heavy_modules

BITS = {0.0: "AA==", 0.25: "gA==", 0.5: "wA==", 0.75: "4A==", 1.0: "8A=="}  # accuracy -> bits of four test images


def save(root: Path, run: str, accuracy: float, **changes: object) -> None:
    """Records a run with this accuracy, in place of what there is."""
    history = {"test_accuracy": [0.25, accuracy]}
    results = {"metrics": {"test_accuracy": accuracy}, "correct": Correct("test", 4, BITS[accuracy])}
    record = make_record(root, run, history=history, **results, **changes)
    Ledger(root / "experiments").save(record, force=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two cells with two runs each, committed. The larger one is better, in each of its runs."""
    root = make_claims(tmp_path / "root")
    for seed, (smaller, larger) in enumerate([(0.25, 0.75), (0.25, 1.0)]):
        save(root, f"tiny-z2-s{seed}", smaller)
        save(root, f"tiny-z3-s{seed}", larger)
    git(root, "init", "--quiet")
    commit(root, "two cells")
    return root


def told(difference: Difference) -> list[tuple[str, str, str, str]]:
    """Severity, subject, name, and the step in words."""
    return [
        (change.severity.name.lower(), change.subject.value, change.name, f"{change.before} -> {change.after}")
        for change in difference.changes
    ]


def test_nothing_changed_is_0_and_says_so(root: Path) -> None:
    difference = find_difference(root, "HEAD")
    assert (difference.changes, difference.exit_code) == ((), 0)
    assert format_difference(difference, "text").endswith(" of 2026-01-01 (two cells): nothing changed")


def save_cells(root: Path, smaller: float, larger: float) -> None:
    for seed in (0, 1):
        save(root, f"tiny-z2-s{seed}", smaller)
        save(root, f"tiny-z3-s{seed}", larger)


def test_records_that_turn_a_verdict_change_a_conclusion(root: Path) -> None:
    save_cells(root, smaller=0.0, larger=1.0)
    commit(root, "clearly better")
    save_cells(root, smaller=1.0, larger=0.0)
    difference = find_difference(root, "HEAD")
    assert difference.exit_code == 3
    assert told(difference) == [
        ("conclusion", "title", "prefix", "[Re] -> [¬Re]"),
        ("conclusion", "verdict", "larger-is-better", "REPRODUCED -> NOT REPRODUCED"),
        ("conclusion", "number", "larger-is-better", "+100.00 ± 107.57 pp (n = 2) -> −100.00 ± 107.57 pp (n = 2)"),
        ("conclusion", "number", "tiny-z2", "0.00 ± 224.62 % (n = 2) -> 100.00 ± 224.62 % (n = 2)"),
        ("conclusion", "number", "tiny-z3, group sizes", "100.00 ± 224.62 % (n = 2) -> 0.00 ± 224.62 % (n = 2)"),
        ("evidence", "number", "tiny-z3, group larger", "100.00 % (n = 1) -> 0.00 % (n = 1)"),
        ("evidence", "record", "tiny-z2, seeds 0, 1", "measured -> another run"),
        ("evidence", "record", "tiny-z3, seeds 0, 1", "measured -> another run"),
    ]


@pytest.mark.parametrize(
    "changes", [{"arrays": {"filters": Packed((1,), 1.0, "AQ==")}}, {"breakdown": {"class": ["a"]}}], ids=str
)
def test_a_record_in_which_only_what_a_figure_shows_has_changed_is_another_run(
    root: Path, changes: dict[str, object]
) -> None:
    save(root, "tiny-z2-s0", 0.25, **changes)
    assert told(find_difference(root, "HEAD")) == [("evidence", "record", "tiny-z2, seed 0", "measured -> another run")]


def test_a_verdict_that_now_holds_under_a_reduced_protocol_only_is_another_conclusion(root: Path) -> None:
    save_cells(root, smaller=0.0, larger=1.0)
    claims = root / "report/paper/claims.yaml"
    edit(claims, "protocols: {}", "protocols: {theirs: {title: Theirs, source: it, settings: {recipe: tiny}}}")
    edit(claims, "protocol: null\n    group: sizes\n    better", "protocol: theirs\n    group: sizes\n    better")
    commit(root, "under their protocol")
    edit(claims, "settings: {recipe: tiny}", "settings: {recipe: large}")
    assert told(find_difference(root, "HEAD"))[:2] == [
        ("conclusion", "title", "prefix", "[Re] -> none"),
        ("conclusion", "verdict", "larger-is-better", "REPRODUCED -> REPRODUCED under a reduced protocol"),
    ]


def test_a_new_run_of_a_cell_behind_no_main_claim_changes_the_evidence(root: Path) -> None:
    save(root, "tiny-z4-s0", 0.5)
    difference = find_difference(root, "HEAD")
    assert difference.exit_code == 6
    assert told(difference) == [
        ("evidence", "number", "tiny-z4", "none -> 50.00 % (n = 1)"),
        ("evidence", "record", "tiny-z4, seed 0", "no record -> measured"),
        (
            "note",
            "price",
            "the whole plan",
            "1 run to come, about 8 s (extrapolated) -> 0 runs to come, about 0 h",
        ),
    ]


def test_a_seed_that_another_group_adds_changes_no_number_of_the_main_claims(root: Path) -> None:
    edit(
        root / "experiments/plan.yaml",
        "grid: {size: [3, 4]}\n    seeds: [0]",
        "grid: {size: [3, 4]}\n    seeds: [0, 2]",
    )
    commit(root, "another seed")
    save(root, "tiny-z3-s2", 0.25)
    found = [change for change in told(find_difference(root, "HEAD")) if change[1] == "number"]
    assert found == [
        ("evidence", "number", "tiny-z3, group larger", "75.00 % (n = 1 of 2) -> 50.00 ± 317.66 % (n = 2)"),
    ]


def test_a_removed_record_shows_as_such(root: Path) -> None:
    (root / "experiments/records/tiny-z3-s1.json").unlink()
    assert ("evidence", "record", "tiny-z3, seed 1", "measured -> no record") in told(find_difference(root, "HEAD"))


def accept_all(root: Path, why: str) -> None:
    plan, ledger = open_repository(root)
    for status in statuses(plan, ledger, root):
        if status.record is not None:
            ledger.accept(status.record, status.key, why)


def test_changed_code_makes_records_stale_and_accepting_them_says_why(root: Path) -> None:
    edit(root / "method/model.py", "2 * value", "value * 2")
    stale = {step[1:] for step in told(find_difference(root, "HEAD"))}
    assert ("record", "tiny-z2, seeds 0, 1", "measured -> stale") in stale
    assert ("verdict", "larger-is-better", "INCONCLUSIVE -> NOT TESTED") in stale
    accept_all(root, "the same product")
    accepted = find_difference(root, "HEAD")
    assert [(c.name, c.before, c.after, c.why) for c in accepted.changes] == [
        (f"tiny-z{size}, seeds 0, 1", "measured", "accepted", "accepted: the same product") for size in (2, 3)
    ]
    commit(root, "accepted")
    assert find_difference(root, "HEAD").changes == ()
    edit(root / "method/model.py", "value * 2", "value + value")
    accept_all(root, "the same sum")
    again = find_difference(root, "HEAD")
    assert [(c.name, c.before, c.after, c.why) for c in again.changes] == [
        (f"tiny-z{size}, seeds 0, 1", "accepted", "accepted once more", "accepted: the same sum") for size in (2, 3)
    ]


def test_a_changed_rule_says_what_decides_otherwise_and_how_many_runs_were_there(root: Path) -> None:
    edit(root / "report/paper/claims.yaml", "margin: 0.05", "margin: 0.2")
    edit(root / "report/paper/claims.yaml", "Size 3 is right", "Size three is right")
    difference = find_difference(root, "HEAD")
    assert difference.exit_code == 6
    assert told(difference) == [
        ("evidence", "rule", "larger-is-better", "margin 0.05 -> margin 0.2"),
        (
            "note",
            "rule",
            "three-reaches-half",
            "Size 3 is right for more than half of the images. -> Size three is right for more than half of the images.",
        ),
    ]
    assert difference.changes[0].why == "4 of the runs that it judges were there before"


def test_whether_a_claim_is_ours_or_untested_is_a_change_of_its_rule_and_not_of_words(root: Path) -> None:
    path = root / "report/paper/claims.yaml"
    ours = "    certainty: ours\n    kind: direction\n    main: false"
    edit(path, "    certainty: seen in primary source\n    kind: direction\n    main: true", ours)
    edit(path, "    kind: threshold", "    untested: out of scope\n    kind: threshold")
    assert [step for step in told(find_difference(root, "HEAD")) if step[1] == "rule"] == [
        (
            "evidence",
            "rule",
            "larger-is-better",
            "main True; certainty seen in primary source -> main False; certainty ours",
        ),
        ("evidence", "rule", "three-reaches-half", "untested no -> untested out of scope"),
    ]


def test_other_parts_of_a_compound_are_another_rule_with_the_runs_that_were_there(root: Path) -> None:
    path = root / "report/paper/claims.yaml"
    other = CLAIMS[CLAIMS.index("  three-reaches-half") :].replace("three-reaches-half", "three-above-half")
    fields = "sentence: Both., source: the paper, certainty: seen in primary source, kind: compound, main: false"
    parts = "larger-is-better, three-reaches-half"
    path.write_text(f"{CLAIMS}{other}  both: {{{fields}, protocol: null, parts: [{parts}]}}\n")
    commit(root, "a compound")
    edit(path, f"[{parts}]", "[three-above-half, three-reaches-half]")
    (change,) = [change for change in find_difference(root, "HEAD").changes if change.subject.value == "rule"]
    assert (change.before, change.after) == (f"parts {parts}", "parts three-above-half, three-reaches-half")
    assert change.why == "4 of the runs that it judges were there before"


def test_a_quoted_value_is_evidence_and_can_turn_a_verdict(root: Path) -> None:
    edit(root / "report/paper/original.csv", ",50,", ",99,")
    assert told(find_difference(root, "HEAD")) == [
        ("evidence", "rule", "three-reaches-half", " -> other quoted values that it looks at"),
        ("evidence", "quoted value", "half", "more than 50 %, 2 epochs, tiny -> more than 99 %, 2 epochs, tiny"),
    ]


def test_claims_that_come_and_go(root: Path) -> None:
    path = root / "report/paper/claims.yaml"
    text = path.read_text()
    new = text[text.index("  three-reaches-half") :].replace("three-reaches-half", "four-reaches-half")
    path.write_text(text.replace("  larger-is-better", "  is-larger-better") + new.replace("size: 3", "size: 4"))
    edit(path, "sizes\n    cell: {size: 4}\n    quoted: [half]", "larger\n    cell: {size: 4}\n    quoted: [also]")
    with (root / "report/paper/original.csv").open("a") as original:
        original.write(QUOTED.replace("half,", "also,", 1).replace("size=3", "size=4") + "\n")
    found = told(find_difference(root, "HEAD"))
    assert ("conclusion", "verdict", "larger-is-better", "INCONCLUSIVE -> no such claim") in found
    assert ("evidence", "verdict", "is-larger-better", "no such claim -> INCONCLUSIVE") in found
    # what waits for its runs is a rule and no verdict yet; what has some is no rule that waits
    assert [step[2:] for step in found if step[1] == "rule"] == [
        ("larger", " -> new, not tested yet: four-reaches-half")
    ]
    assert {name for _, subject, name, _ in found if subject == "verdict"} == {"larger-is-better", "is-larger-better"}


def test_the_number_of_a_claim_that_is_not_main_is_evidence(root: Path) -> None:
    edit(
        root / "report/paper/claims.yaml", "    kind: direction\n    main: true", "    kind: direction\n    main: false"
    )
    save_cells(root, smaller=0.25, larger=0.75)
    commit(root, "minor")
    save_cells(root, smaller=0.25, larger=1.0)
    difference = find_difference(root, "HEAD")
    assert ("evidence", "number", "larger-is-better", "+50.00 ± 107.57 pp (n = 2) -> +75.00 ± 107.57 pp (n = 2)") in (
        told(difference)
    )


def test_where_a_quoted_value_was_seen_and_how_sure_it_is_are_told_where_they_change(root: Path) -> None:
    edit(root / "report/paper/original.csv", "Table 1,certain,", "Table 1,unsure,read off a plot")
    found = [step for step in told(find_difference(root, "HEAD")) if step[1] == "quoted value"]
    same = "more than 50 %, 2 epochs, tiny"
    change = f"{same}, certainty certain, note none -> {same}, certainty unsure, note read off a plot"
    assert found == [("evidence", "quoted value", "half", change)]


def test_other_words_of_a_group_are_a_note(root: Path) -> None:
    edit(root / "experiments/plan.yaml", "title: Two sizes", "title: Sizes")
    edit(root / "experiments/plan.yaml", "Does size matter?", "Does it?")
    assert told(find_difference(root, "HEAD")) == [
        ("note", "plan", "sizes", "title Two sizes; question Does size matter? -> title Sizes; question Does it?")
    ]


def test_the_plan_is_compared_by_cells_and_seeds(root: Path) -> None:
    edit(root / "experiments/plan.yaml", "seeds: [0, 1]\n", "seeds: [0, 1, 2]\n")
    edit(root / "experiments/plan.yaml", "size: [3, 4]", "size: [3, 5, 6]")
    found = [step for step in told(find_difference(root, "HEAD")) if step[1] == "plan"]
    assert found == [
        ("evidence", "plan", "larger", " -> 2 cells, 2 runs added"),
        ("evidence", "plan", "larger", " -> 1 cell, 1 run removed"),
        ("evidence", "plan", "tiny-z2", "seeds 0, 1 -> seeds 0, 1, 2"),
        ("evidence", "plan", "tiny-z3", "seeds 0, 1 -> seeds 0, 1, 2"),
    ]


def test_runs_under_other_settings_change_the_fidelity(root: Path) -> None:
    for seed in (0, 1):
        save(root, f"tiny-z3-s{seed}", 1.0, settings={"recipe": "tiny", "precision": "bf16"})
    found = told(find_difference(root, "HEAD"))
    assert ("conclusion", "fidelity", "tiny-z3", "recipe tiny -> recipe tiny, bf16") in found


def test_prose_is_a_note(root: Path) -> None:
    edit(root / "report/paper/sections/10-text.md", "Of two sizes.", "Of two sizes,\nin other words.")
    difference = find_difference(root, "HEAD")
    assert difference.exit_code == 0
    assert told(difference) == [("note", "text", "report/paper/sections/10-text.md", " -> changed, +2 -1 lines")]
    commit(root, "other words")
    (root / "report/paper/sections/10-text.md").rename(root / "report/paper/sections/20-text.md")
    assert [step[2:] for step in told(find_difference(root, "HEAD"))] == [
        ("report/paper/sections/20-text.md", " -> added, +4 -0 lines"),
        ("report/paper/sections/10-text.md", " -> removed, +0 -4 lines"),
    ]


def test_files_that_todays_code_cannot_read_are_named_with_the_revision(root: Path) -> None:
    plan = root / "experiments/plan.yaml"
    text = plan.read_text()
    plan.write_text(text.replace("version: 1", "version: 0"))
    commit(root, "another form")
    plan.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        find_difference(root, "HEAD")
    assert str(caught.value).startswith("diff: today's code cannot read the files of revision 'HEAD': plan.yaml: ")
    assert str(caught.value).endswith("; name a later revision")


def test_the_json_is_as_its_schema_has_it_and_has_the_numbers(root: Path) -> None:
    save(root, "tiny-z4-s0", 0.5)
    document = json.loads(format_difference(find_difference(root, "HEAD"), "json"))
    assert faults_of("diff", document) == []
    assert document["since"] == {
        "revision": "HEAD",
        "commit": git(root, "rev-parse", "HEAD").strip(),
        "date": "2026-01-01",
    }
    assert (document["severity"], document["counts"]) == ("evidence", {"conclusion": 0, "evidence": 2, "note": 1})
    assert document["changes"][0]["numbers"] == {
        "before": None,
        "after": {"kind": "accuracy", "value": 0.5, "low": None, "high": None, "n": 1},
    }


def made_up(*changes: Change) -> Difference:
    return Difference(Revision("v1", "c" * 40, "2026-01-01", "first", Path()), changes)


def test_the_page_for_a_pull_request_folds_notes_and_lets_no_markup_through() -> None:
    hostile = Change(Subject.RULE, "a|b", Severity.EVIDENCE, "", "<img src=x>", "![x](y) @all #1\nnext")
    note = Change(Subject.TEXT, "report/paper/x.md", Severity.NOTE, "", "changed, +1 -0 lines")
    assert format_difference(made_up(hostile, note), "markdown") == (
        """### What changed in meaning since `cccccccccc` of 2026-01-01

changed: 0 of the conclusions, 1 of the evidence, plan and rules, 1 notes.

#### Evidence, plan and rules

| what | which | before | after | why |
|---|---|---|---|---|
| rule | a\\|b |  | \\<img src=x\\> | !\\[x\\](y) \\@all \\#1 next |

<details><summary>Prices and text</summary>

| what | which | before | after | why |
|---|---|---|---|---|
| text | report/paper/x.md |  | changed, +1 -0 lines |  |

</details>"""
    )


def test_a_long_page_is_cut_and_says_so() -> None:
    changes = [Change(Subject.PLAN, f"cell-{n}", Severity.EVIDENCE, "", "added") for n in range(41)]
    page = format_difference(made_up(*changes), "markdown")
    assert page.count("| plan | cell-") == 40
    assert page.endswith("and 1 more; `python build.py diff` lists them.")


def test_the_page_for_a_terminal() -> None:
    change = Change(Subject.VERDICT, "a", Severity.CONCLUSION, "NOT TESTED", "REPRODUCED", "p = 0.012")
    assert format_difference(made_up(change), "text") == (
        "since cccccccccc of 2026-01-01 (first): changed: 1 of the conclusions, 0 of the evidence, plan and rules, "
        "0 notes\n\nConclusions\n  verdict: a: NOT TESTED -> REPRODUCED\n    p = 0.012"
    )


@pytest.mark.parametrize(("form", "start"), [("text", "since "), ("markdown", "### What changed"), ("json", "{")])
def test_the_command_prints_the_page_and_ends_by_severity(
    root: Path, capsys: pytest.CaptureFixture[str], form: str, start: str
) -> None:
    assert build.main(["diff", "HEAD", "--format", form], root) == 0
    save(root, "tiny-z4-s0", 0.5)
    capsys.readouterr()
    assert build.main(["diff", "HEAD", "--format", form], root) == 6
    out, errors = capsys.readouterr()
    assert (out.startswith(start), errors) == (True, "")
    assert build.main(["diff", "no-such-revision"], root) == 2


@pytest.mark.parametrize("arguments", [("diff", "HEAD"), ("verify", "-n", "--budget", "100d"), ("status", "--json")])
def test_it_works_without_torch_and_papermill(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    repository = Path(__file__).parent.parent
    done = run_without_heavy_modules(repository, tmp_path, "build.py", *arguments)
    assert (done.returncode in (0, 3, 6), done.stderr) == (True, "")
