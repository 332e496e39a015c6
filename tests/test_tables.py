"""Tables hold text, quantities and outcomes only; each works with no record, one record and all of them."""

import csv
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from experiments.spec import Record, ReproductionError, State
from experiments.status import RunStatus
from report.evidence import Evidence
from report.judge.claims import ClaimKind
from report.judge.trials import Outcome, margin_text
from report.judge.verdict import DECIDED, Verdict
from report.listings import claim_tables, contrast_tables, run_list
from report.listings.result_tables import DASH, Declaration
from report.listings.table_kinds import build_table, read_tables
from report.original import Quoted
from report.pages.vocabulary import Vocabulary
from report.quantities import Kind, Quantity, Registry
from report.tables import Column, Table
from report.unknown import UnknownName
from tests.made_up import make_cell, make_evidence, make_facts, make_run, measured, waiting, without_epochs

PENDING = Quantity("p", Kind.ACCURACY, None, State.PENDING, why="to come")
MEASURED = Quantity("m", Kind.ACCURACY, 1 / 3, n=1)


def text(cell: object) -> str:
    return cell.parts.text if isinstance(cell, Quantity) else str(cell)


def lines(table: Table) -> list[list[str]]:
    return [[text(cell) for cell in row] for row in table.rows]


LEDGERS = {"no record": {"runs": 0}, "one record": {"runs": 1}, "all records": {}, "rehearsal": {"smoke": True}}


@pytest.fixture(scope="module", params=LEDGERS.values(), ids=LEDGERS.keys())
def tables(request: pytest.FixtureRequest) -> dict[str, Table]:
    root = Path(__file__).resolve().parent.parent
    facts = make_facts(root, **request.param)
    return {name: build_table(declared, facts) for name, declared in read_tables(root).items()}


@pytest.fixture(scope="module")
def complete() -> dict[str, Table]:
    root = Path(__file__).resolve().parent.parent
    facts = make_facts(root)
    return {name: build_table(declared, facts) for name, declared in read_tables(root).items()}


def test_every_table_is_made_with_no_record_one_all_and_in_rehearsal(tables: dict[str, Table]) -> None:
    assert {"parameters", "earlier-5", "earlier-40", "effects", "hyperparameters", "verdicts"} <= tables.keys()
    assert {"reasons", "runs", "missing", "environment", "cost"} <= tables.keys()
    for name, table in tables.items():
        assert table.title.endswith("."), name
        header, *rows = csv.reader(io.StringIO(table.csv))
        assert header == list(table.values), name
        assert len(rows) == len(table.rows), name
        assert table.frame.to_csv(index=False, lineterminator="\n") == table.csv, name


def test_every_quantity_of_a_table_has_its_own_id(tables: dict[str, Table]) -> None:
    for name, table in tables.items():
        by_id: dict[str, Quantity] = {}
        for quantity in table.quantities:
            assert by_id.setdefault(quantity.id, quantity) == quantity, (name, quantity.id)


def test_the_csv_holds_raw_values_beside_state_and_n() -> None:
    columns = (Column("who", "Who"), Column("accuracy", "Accuracy", "%"), Column("verdict", "Verdict"))
    rows = (("we, ours", MEASURED, Outcome.PARTIAL), ("they", PENDING, Outcome.NOT_TESTED))
    table = Table("t", "Title.", "", columns, rows)
    assert table.csv == (
        "who,accuracy,accuracy_state,accuracy_n,verdict\n"
        '"we, ours",0.3333333333,measured,1,PARTIAL\n'
        "they,,pending,,NOT TESTED\n"
    )
    assert table.frame.to_csv(index=False) == table.csv
    assert isinstance(table.frame, pd.DataFrame)


@pytest.mark.parametrize("cell", [0.7, 3, None, True])
def test_a_raw_number_in_a_cell_is_refused(cell: object) -> None:
    with pytest.raises(ReproductionError) as caught:
        Table("t", "Title.", "", (Column("a", "A"),), ((cell,),))  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"table 't', row 1, column 'a': found {cell!r}; expected text, a quantity or an outcome "
        "(a number reaches a page only as a quantity)"
    )


def test_a_row_of_another_length_and_a_key_given_twice_are_refused() -> None:
    with pytest.raises(ReproductionError, match="table 't', row 2: 2 cells; expected 1: a"):
        Table("t", "Title.", "", (Column("a", "A"),), (("x",), ("x", "y")))
    with pytest.raises(ReproductionError, match="table 't' has two columns with one key: a, a"):
        Table("t", "Title.", "", (Column("a", "A"), Column("a", "B")), ())


def test_the_comparison_sets_original_earlier_report_and_ours_side_by_side(complete: dict[str, Table]) -> None:
    table = complete["earlier-5"]
    assert [column.header for column in table.columns[4:]] == [
        "Parameters",
        "Original (200 epochs)",
        "Earlier report (5 epochs)",
        "Ours (5 epochs)",
        "Ours − earlier report",
    ]
    assert lines(table)[2] == [
        "256",
        "8",
        "4",
        "9",
        "718,090",
        "92.61 %",
        "70.62 %",
        "74.35 ± 0.25 % (n = 3)",
        "+3.73 ± 0.25 pp (n = 3)",
    ]
    assert table.title == (
        "The earlier report's rows after 5 epochs. 3 of 3 rows are recorded; our means lie between "
        "\N{MINUS SIGN}13.13 pp and +3.73 pp from the earlier report's."
    )


def test_the_comparison_without_records_is_pending_and_says_so() -> None:
    root = Path(__file__).resolve().parent.parent
    table = build_table(read_tables(root)["earlier-5"], make_facts(root, runs=0))
    assert table.title == "The earlier report's rows after 5 epochs. None of these rows is recorded yet."
    assert lines(table)[0] == ["256", "8", "1", "5", "591,882", "95.19 %", "82.48 %", "pending", "pending"]


def quoted(who: str, accuracy: str, kernel: int, thousands: str = "") -> Quoted:
    cell = {"patch_size": 8, "kernel_size": kernel}
    id = f"{who}-{kernel}"
    return Quoted(id, who, "", accuracy, thousands, "cifar10", cell, 5, "", None, "Table 1", "seen", "")


def build(kind: str, evidence: Evidence, root: Path, *rows: Quoted, **options: Any) -> Table:
    """The table of this KIND, without formulas; ROWS are what others report."""
    facts = make_facts(root, runs=0)
    claims = replace(facts.claims, formulas={})
    facts = replace(facts, evidence=evidence, claims=claims, original={row.id: row for row in rows})
    return build_table(Declaration("t", kind, "Title.", "", options, {}), facts)


def test_a_comparison_counts_the_rows_that_are_recorded_and_those_that_compare(root: Path) -> None:
    options = {"group": "sweep", "columns": ["kernel_size"], "beside": ["paper"], "against": "paper"}
    evidence = make_evidence(*make_cell([0.7]), *make_cell([0.8], kernel_size=5), waiting(make_run(0, kernel_size=7)))
    both = [quoted("paper", "71", 3), quoted("paper", "75", 5)]
    expected = [
        "none of them compares with the original's.",
        "1 of our means lies \N{MINUS SIGN}1.00 pp from the original's.",
        "our means lie between \N{MINUS SIGN}1.00 pp and +5.00 pp from the original's.",
    ]
    for number, words in enumerate(expected):
        table = build("comparison", evidence, root, *both[:number], **options)
        assert table.title == f"Title. 2 of 3 rows are recorded; {words}"


def test_a_comparison_counts_the_parameters_of_each_cell_whatever_its_columns_name(root: Path) -> None:
    options = {"group": "sweep", "columns": ["patch_size"], "beside": ["paper"], "against": "paper"}
    small, large = make_cell([0.7], settings={"parameters": 1_000}), make_cell([0.8], kernel_size=5)
    table = build("comparison", make_evidence(*small, *large), root, **options)
    assert [row[:2] for row in lines(table)] == [["8", "1,000"], ["8", "600,458"]]


def test_a_comparison_of_models_that_nobody_counts_has_no_column_for_it(root: Path) -> None:
    options = {"group": "sweep", "columns": ["kernel_size"], "beside": ["paper"], "against": "paper"}
    (status,) = make_cell([0.7])
    metrics = {name: value for name, value in status.record.metrics.items() if name != "parameters"}
    uncounted = replace(status, record=replace(status.record, metrics=metrics))
    table = build("comparison", make_evidence(uncounted), root, **options)
    assert [column.key for column in table.columns] == ["kernel_size", "original", "ours", "difference"]
    both = make_evidence(uncounted, *make_cell([0.8], kernel_size=5))
    assert [row[1] for row in lines(build("comparison", both, root, **options))] == ["gated", "600,458"]


def test_names_of_others_stand_as_they_are_written_and_may_begin_alike(root: Path) -> None:
    rows = [quoted("DeVries and McCoy", "71", 3), quoted("DeVries et al.", "72", 3)]
    beside = [row.who for row in rows]
    options = {"group": "sweep", "columns": ["kernel_size"], "beside": beside, "against": beside[0]}
    table = build("comparison", make_evidence(*make_cell([0.7])), root, *rows, **options)
    heads = ["DeVries and McCoy (5 epochs)", "DeVries et al. (5 epochs)"]
    assert [column.header for column in table.columns[2:4]] == heads
    assert table.title.endswith("our mean lies \N{MINUS SIGN}1.00 pp from DeVries and McCoy's.")


def test_a_quoted_count_agrees_to_its_last_digit(root: Path) -> None:
    evidence = make_evidence(*make_cell([0.7], settings={"parameters": 600_458}))
    options = {"columns": ["patch_size", "kernel_size"], "where": {}}
    for text, finding in (("600.5", "1 of 1 is counted"), ("600.4", "1 of 1 recorded models differs")):
        table = build("parameters", evidence, root, quoted("paper", "", 3, text), **options)
        assert table.title.startswith(f"Title. {finding}")


def test_quoted_counts_are_set_beside_the_model_on_their_own_data_set_the_papers_first(root: Path) -> None:
    rows = make_cell([0.7]) + make_cell([0.8], dataset="MNIST", settings={"parameters": 500_000})
    named = [replace(rows[1].run, name="other-s0", cell="other")]
    evidence = make_evidence(rows[0], replace(rows[1], run=named[0]))
    theirs = (quoted("others", "", 3, "599"), quoted("paper", "", 3, "600"))
    options = {"columns": ["dataset", "patch_size", "kernel_size"], "where": {}}
    table = build("parameters", evidence, root, *theirs, **options)
    assert lines(table) == [["MNIST", "8", "3", DASH, "500,000"], ["cifar10", "8", "3", "600 k, 599 k", "600,458"]]
    with pytest.raises(UnknownName, match="columns: the same sizes are planned on cifar10 and MNIST; add 'dataset'"):
        build("parameters", evidence, root, *theirs, columns=["patch_size"], where={})


def test_a_quoted_count_may_name_more_than_the_columns_as_its_accuracy_has_to(root: Path) -> None:
    row = quoted("paper", "71.00", 3, "600")
    evidence, options = make_evidence(*make_cell([0.7])), {"columns": ["kernel_size"], "where": {}}
    assert lines(build("parameters", evidence, root, row, **options)) == [["3", "600 k", "600,458"]]
    other = replace(row, cell={"patch_size": 4, "kernel_size": 3})
    assert lines(build("parameters", evidence, root, other, **options)) == [["3", "600,458"]]


def test_parameter_counts_need_no_data_set_among_the_parameters(root: Path) -> None:
    (status,) = make_cell([0.7])
    parameters = {name: value for name, value in status.run.parameters.items() if name != "dataset"}
    evidence = make_evidence(replace(status, run=replace(status.run, parameters=parameters)))
    table = build("parameters", evidence, root, columns=["kernel_size"], where={})
    assert lines(table) == [["3", "600,458"]]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"modl": "mlp"}, "no parameter 'modl'; the cells of group 'sweep' have dataset, depth, "),
        ({"patch_size": 16}, "no cell of group 'sweep' has patch_size=16"),
        ({}, "cells of group 'sweep' with kernel_size=3 differ in patch_size; name a value, as in {patch_size: 8}"),
    ],
)
def test_a_sweep_of_the_effects_that_is_no_sweep_is_refused(root: Path, where: dict[str, Any], message: str) -> None:
    evidence = make_evidence(*make_cell([0.7]), *make_cell([0.8], patch_size=4))
    sweeps = [{"group": "sweep", "along": "kernel_size", "where": where}]
    with pytest.raises(UnknownName) as caught:
        build("effects", evidence, root, sweeps=sweeps, original="paper")
    assert str(caught.value).startswith(f"tables.yaml: tables.t: where: {message}")


def test_each_row_of_the_effects_tells_its_own_cell(root: Path) -> None:
    evidence = make_evidence(*make_cell([0.7]), *make_cell([0.8], kernel_size=5, patch_size=4))
    table = build("effects", evidence, root, sweeps=[{"group": "sweep", "along": "kernel_size"}], original="paper")
    assert [row[:2] for row in lines(table)] == [["Kernel size, patch size 8", "3"], ["Kernel size, patch size 4", "5"]]


def test_a_rehearsal_that_lacks_a_tables_cells_leaves_the_table_out(root: Path) -> None:
    facts = make_facts(root, smoke=True)
    options = {"groups": ["ablations"], "base": {"epochs": 200}, "base_text": "nothing", "original": "paper"}
    table = build_table(Declaration("t", "contrasts", "Ablations.", "", options, {}), facts)
    assert table.title == "Ablations. This rehearsal leaves its cells out."
    assert not table.rows
    with pytest.raises(UnknownName, match="tables.yaml: tables.t: there is no group 'ablation'"):
        other = {**options, "groups": ["ablation"]}
        build_table(Declaration("t", "contrasts", "Ablations.", "", other, {}), make_facts(root, runs=0))


def test_the_parameter_counts_are_checked_against_formula_and_quotation(complete: dict[str, Table]) -> None:
    table = complete["parameters"]
    assert ["256", "8", "1", "3", "559 k", "559,114", "559,114"] in lines(table)
    n = len(table.rows)
    recorded = f"Parameter counts of the models. {n} of {n} are counted in recorded models and agree."
    assert table.title == f"{recorded} The formula gives 5 of the 5 quoted counts to the last digit."


def test_a_quoted_count_that_is_not_the_formula_s_shows_before_any_model_is_recorded(root: Path) -> None:
    facts = make_facts(root, runs=0)
    other = replace(facts.original["paper-p1-k3"], parameters_thousands="612")
    table = build_table(
        read_tables(root)["parameters"], replace(facts, original={**facts.original, "paper-p1-k3": other})
    )
    assert table.title.endswith("The formula gives 4 of the 5 quoted counts to the last digit.")
    assert lines(table)[0][4] == "612 k, 559 k"  # the paper's row and the earlier report's


@pytest.mark.parametrize(("runs", "count"), [(0, "pending"), (None, "718,090")])
def test_parameter_counts_need_no_formula(root: Path, runs: int | None, count: str) -> None:
    facts = make_facts(root, runs=runs)
    facts = replace(facts, claims=replace(facts.claims, formulas={}))
    made = {name: build_table(read_tables(root)[name], facts) for name in ("earlier-5", "parameters")}
    (row,) = (row for row in lines(made["earlier-5"]) if row[2:4] == ["4", "9"])
    assert row[4] == count
    if runs is None:
        assert made["parameters"].title.endswith("are counted in recorded models and agree.")
    waiting = Vocabulary(facts).parameters(width=256, depth=8, patch_size=4, kernel_size=9)
    assert runs is None or waiting.why == ("no such model is recorded, and claims.yaml: formulas has no 'parameters'")


def test_an_effect_is_the_step_from_the_level_before(complete: dict[str, Table]) -> None:
    rows = [row for row in lines(complete["effects"]) if row[0] == "Patch size p, kernel size 9"]
    assert [row[1] for row in rows] == ["1", "2", "4", "8"]
    assert [row[2] for row in rows] == ["95.88 %", "95 %", "92.61 %", DASH]
    assert rows[0][4] == DASH
    assert rows[1][4] == "\N{MINUS SIGN}1.00 ± 0.23 pp (n = 3)"


def test_settings_that_differ_from_the_original_are_marked(complete: dict[str, Table]) -> None:
    rows = {row[0]: row for row in lines(complete["hyperparameters"])}
    assert rows["epochs"] == ["epochs", "200", "200", "5 (differs)", "5", "5", "25", "25", "100", "100"]
    assert rows["train images"][6:8] == ["50,000", "45,000 (differs)"]
    assert rows["learning rate"][4:6] == ["0.001", "not recorded (differs)"]
    marked = sum(any(cell.endswith("(differs)") for cell in row) for row in rows.values())
    assert (
        f"; {marked} of {len(rows)} settings differ somewhere from the original's." in complete["hyperparameters"].title
    )


def test_groups_of_the_same_settings_share_a_column(complete: dict[str, Table]) -> None:
    headers = {column.key: column.header for column in complete["hyperparameters"].columns}
    assert headers["ours_kernel_size"] == "Ours, kernel-size and patch-size-k9"
    assert "ours_patch_size_k9" not in headers


def test_verdicts_are_words_and_counted_in_the_title(complete: dict[str, Table]) -> None:
    table = complete["verdicts"]
    kernel = next(row for row in table.rows if row[0] == "kernel-size")
    assert kernel[4:] == (Outcome.REPRODUCED, "reduced")
    assert {row[5] for row in table.rows if row[0].startswith("equivalence")} == {DASH}
    assert table.title.startswith("Claims and verdicts. ")
    assert " REPRODUCED, " in table.title and "; beyond the paper " in table.title


def test_a_verdict_of_a_reduced_protocol_says_so_in_the_table_of_reasons_too(complete: dict[str, Table]) -> None:
    reduced = {row[0] for row in complete["verdicts"].rows if row[4] in DECIDED and row[5] == "reduced"}
    reasons = {row[0]: text(row[2]) for row in complete["reasons"].rows}
    assert {id for id, why in reasons.items() if why.startswith("under a reduced protocol: ")} == reduced
    assert "outperforms-baselines" in reduced  # as its parts are
    assert reasons["kernel-size"].startswith("under a reduced protocol: accuracy follows kernel size in the ")


def test_a_table_says_what_its_spread_is(complete: dict[str, Table]) -> None:
    spreads = "± is the 95 % t interval of the mean, or the 95 % interval of the difference (Welch)."
    assert complete["effects"].note.endswith(spreads)
    assert (
        "An effect is positive where it goes the claimed way, up or down. ± is the 95 % " in complete["verdicts"].note
    )
    assert "±" not in complete["rules"].note


def test_verdicts_name_the_unit_of_a_count_and_whose_protocol_was_kept(complete: dict[str, Table]) -> None:
    (row,) = (row for row in complete["verdicts"].rows if row[0] == "parameter-counts")
    assert [text(cell) for cell in row[1:3]] == ["5 models", "5 models"]
    assert {row[5] for row in complete["verdicts"].rows} <= {DASH, "reduced", "with deviations", "kept"}


def test_claims_without_a_run_are_listed_apart_with_the_price_of_what_they_wait_for(root: Path) -> None:
    facts = make_facts(root, runs=9)
    made = {name: build_table(read_tables(root)[name], facts) for name in ("verdicts", "untested", "reasons")}
    tested = {str(row[0]) for row in made["verdicts"].rows}
    assert "earlier-p4-k9" in tested and "authors-25" not in tested
    assert {str(row[0]) for row in made["reasons"].rows} == tested
    rows = {row[0]: row for row in lines(made["untested"])}
    assert rows["authors-25"] == ["authors-25", "authors-25", "5 runs to come, about 2.5 h (a guess)"]
    waiting = {claim for row in rows.values() for claim in row[1].split(", ")}
    assert waiting | tested == set(facts.verdicts) and not waiting & tested


def test_claims_that_are_left_untested_wait_for_no_run(root: Path) -> None:
    facts = make_facts(root, runs=9)
    waiting = facts.verdicts["authors-25"]
    never = replace(waiting, claim=replace(waiting.claim, id="on-mnist", group=None, untested="MNIST needs a download"))
    declared = read_tables(root)["untested"]
    made = build_table(declared, replace(facts, verdicts={"authors-25": waiting, "on-mnist": never}))
    assert lines(made)[1] == [DASH, "on-mnist", "MNIST needs a download"]
    assert made.title.endswith(" 1 claim waits for a first run; 1 claim is left untested.")
    alone = build_table(declared, replace(facts, verdicts={"on-mnist": never}))
    assert alone.title.endswith(" 1 claim is left untested.")


def test_a_rule_names_the_parameter_by_its_label(root: Path) -> None:
    facts = make_facts(root)
    evidence = Evidence(facts.evidence.groups.values(), facts.evidence.statuses.values(), {"patch_size": "Edge e"})
    table = build_table(read_tables(root)["rules"], replace(facts, evidence=evidence))
    assert any("over edge (decreasing)" in str(row[2]) for row in table.rows)


def test_a_method_without_epochs_has_tables_without_them(root: Path) -> None:
    cells = without_epochs([*make_cell([0.7], kernel_size=3), *make_cell([0.8], kernel_size=5)])
    evidence, sized = make_evidence(*cells), {"columns": ["kernel_size"]}
    assert "epochs" not in build("models", evidence, root, groups=["sweep"], **sized).values
    effects = build("effects", evidence, root, sweeps=[{"group": "sweep", "along": "kernel_size"}], original="paper")
    compared = build("comparison", evidence, root, group="sweep", beside=["paper"], against="paper", **sized)
    assert [column.header for table in (effects, compared) for column in table.columns if column.key == "ours"] == [
        "Ours"
    ] * 2


def test_a_size_of_nothing_is_printed_as_such(root: Path) -> None:
    evidence = make_evidence(*make_cell([0.7], kernel_size=0), *make_cell([0.8], kernel_size=5))
    assert [row[0] for row in lines(build("models", evidence, root, groups=["sweep"], columns=["kernel_size"]))] == [
        "0",
        "5",
    ]


def test_ablations_stand_beside_what_they_change_as_quoted_and_as_ours(complete: dict[str, Table]) -> None:
    first, *changes = lines(complete["ablations"])
    assert first[:3] == ["nothing changed", "95.88 %", DASH]
    rows = {row[0]: row for row in changes}
    assert len(rows) == 9
    assert rows["without scaling"][1:3] == ["86.24 %", "\N{MINUS SIGN}9.64 pp"]
    assert rows["activation relu"][4] == "\N{MINUS SIGN}0.50 ± 0.23 pp (n = 3)"
    assert rows["without erasing"][1:3] == [DASH, DASH]
    assert complete["ablations"].title == "The paper's ablations. 9 of 9 changes are measured."


def test_contrasts_without_quoted_values_have_no_columns_for_them(complete: dict[str, Table]) -> None:
    assert [column.key for column in complete["equivalence"].columns] == ["change", "ours", "difference"]
    ways = ["path plain", "path channel-major", "path native", "path native, precision bf16", "precision bf16"]
    assert [row[0] for row in complete["equivalence"].rows] == ways


def test_models_stand_with_their_size_accuracy_and_cost(complete: dict[str, Table]) -> None:
    rows = lines(complete["architectures"])
    assert [row[0] for row in rows] == 2 * ["convmixer", "vit", "mlp-mixer", "resnet"]
    assert [column.key for column in complete["architectures"].columns] == [
        "architecture", "epochs", "parameters", "n", "accuracy", "memory"
    ]  # fmt: skip
    assert rows[3][1] == "25"
    assert rows[0][3] == "5"


def test_a_column_that_says_nothing_is_left_out_if_it_is_optional_and_so_is_a_cell_shown_before(root: Path) -> None:
    shared, other = make_cell([0.7]), make_cell([0.8], kernel_size=5)
    cells = [replace(status, record=with_cost(status, images_per_second=100.0)) for status in (*shared, *other)]
    evidence = make_evidence(*cells, more=cells[:1])
    facts = replace(make_facts(root, runs=0), evidence=evidence, original={})
    options = {"groups": ["sweep", "more"], "columns": ["kernel_size"]}
    models = build_table(Declaration("t", "models", "Models.", "", options, {}), facts)
    assert [column.key for column in models.columns if column.optional] == ["epochs", "images_per_second", "memory"]
    assert [row[0] for row in models.rows] == ["3", "5"]
    sweeps = {"sweeps": [{"group": "sweep", "along": "kernel_size"}], "original": "paper"}
    effects = build_table(Declaration("t", "effects", "Effects.", "", sweeps, {}), facts)
    assert [column.key for column in effects.columns] == ["varied", "level", "ours", "step"]


@pytest.mark.parametrize(
    ("counts", "shown"),
    [((2_000_000, 2e6), 2.0), ((2_000_000, 3_000_000), None), (("2 M", "2 M"), None), (([2], [2]), None)],
)
def test_the_arithmetic_of_a_model_is_told_where_every_record_has_the_same_number(
    counts: tuple[object, object], shown: float | None
) -> None:
    runs = [measured(make_run(seed), 0.7, multiply_accumulates=count) for seed, count in enumerate(counts)]
    (cell,) = make_evidence(*runs).cells("sweep")
    work = contrast_tables._work_of(cell)
    assert (work and work.value) == shown


def test_a_claim_that_is_called_untested_and_judged_is_not_listed_as_left_untested(root: Path) -> None:
    facts = make_facts(root)
    one = facts.verdicts["kernel-size"]
    assert one.is_tested
    called = replace(one, claim=replace(one.claim, untested="out of scope"))
    table = build_table(read_tables(root)["untested"], replace(facts, verdicts={"kernel-size": called}))
    assert (table.rows, table.claims) == ((), ())


def test_a_cost_is_a_mean_without_an_interval_as_loads_of_a_machine_are_no_sample(root: Path) -> None:
    cells = [
        replace(status, record=with_cost(status, images_per_second=speed))
        for status, speed in zip(make_cell([0.7, 0.8]), (100.0, 300.0), strict=True)
    ]
    facts = replace(make_facts(root, runs=0), evidence=make_evidence(*cells), original={})
    options = {"groups": ["sweep"], "columns": ["kernel_size"]}
    models = build_table(Declaration("t", "models", "Models.", "", options, {}), facts)
    speed = models.rows[0][[column.key for column in models.columns].index("images_per_second")]
    assert (speed.value, speed.spread, speed.n) == (200.0, None, 2)


def with_cost(status: RunStatus, **cost: float) -> Record:
    assert status.record is not None
    return replace(status.record, cost={**status.record.cost, **cost})


def test_a_recipe_is_listed_by_its_sources(complete: dict[str, Table]) -> None:
    rows = [row for row in lines(complete["recipes"]) if row[0] == "authors"]
    assert "epochs 25 or 100, " in rows[0][1]
    assert rows[0][2:] == [
        "locuslab/convmixer-cifar10 2d3d9b7, README command for this number of epochs",
        "seen in primary source",
    ]


def test_a_group_without_a_run_has_no_column_of_settings(root: Path) -> None:
    table = build_table(read_tables(root)["hyperparameters"], make_facts(root, runs=9))
    ours = [column.key for column in table.columns if column.key.startswith("ours")]
    assert ours == ["ours_kernel_size", "ours_earlier_5"]


def test_a_sweep_without_a_run_is_left_out_of_the_effects(root: Path) -> None:
    table = build_table(read_tables(root)["effects"], make_facts(root, runs=9))
    assert {str(row[0]) for row in table.rows} == {"Kernel size k, patch size 4", "Patch size p, kernel size 9"}
    assert table.title.endswith(" 1 of 3 sweeps has no run yet and is left out.")


def test_a_claim_beyond_the_paper_is_told_and_counted_in_other_words(complete: dict[str, Table]) -> None:
    ours = next(row for row in complete["verdicts"].rows if row[0] == "kernel-size-p8")
    assert ours[4] == "shown"
    reasons = next(row for row in complete["reasons"].rows if row[0] == "kernel-size-p8")
    assert "reduced protocol" not in str(reasons[2])


def test_the_reasons_are_sentences_joined_once_with_what_other_margins_give_beside(complete: dict[str, Table]) -> None:
    assert [column.key for column in complete["reasons"].columns] == ["id", "verdict", "reasons", "trust"]
    assert not any(".;" in str(row[2]) for row in complete["reasons"].rows)
    kernel = next(str(row[3]) for row in complete["reasons"].rows if row[0] == "kernel-size")
    assert "the same with half the margin or twice the margin" in kernel


def test_each_rule_is_printed_once_with_the_claims_it_judges(complete: dict[str, Table]) -> None:
    table = complete["rules"]
    listed = [str(row[2]) for row in table.rows]
    assert len(set(listed)) == len(listed)
    in_full = [str(row[0]) for row in table.rows if not str(row[2]).startswith("as for ")]
    assert in_full == list(dict.fromkeys(str(row[0]) for row in table.rows))
    claims = {str(row[2]): row[1] for row in table.rows if row[0] == "equality"}
    assert "earlier-p1-k3, earlier-p2-k9, earlier-p1-k5, earlier-p1-k9, earlier-p4-k9" in claims.values()


def test_a_rule_that_is_told_by_its_differences_has_no_others(root: Path) -> None:
    """With what is told to differ put into the rule that was told in full, it is the rule itself."""
    facts = make_facts(root)
    verdicts = facts.verdicts
    first: dict[ClaimKind, Verdict] = {}
    sizes = Counter(verdict.claim.family for verdict in verdicts.values())
    told = 0
    for verdict in verdicts.values():
        if not verdict.rule:
            continue
        base = first.setdefault(verdict.claim.kind, verdict)
        one, other = base.claim, verdict.claim
        words = claim_tables._as_for(one, other, facts)
        rule = base.rule
        swaps = {
            f"over {one.along.replace('_', ' ')} ({one.order})": f"over {other.along.replace('_', ' ')} ({other.order})",
            f"the family {one.family!r} of {sizes[one.family]} claims": (
                f"the family {other.family!r} of {sizes[other.family]} claims"
            ),
            margin_text(one): margin_text(other),
            f"at least {one.min_seeds} runs": f"at least {other.min_seeds} runs",
        }
        for old, new in swaps.items():
            if old != new:
                assert new in words
                rule = rule.replace(old, new)
        if one.alpha == other.alpha:
            assert rule == verdict.rule, other.id
            told += base is not verdict
        else:
            assert f"the level {other.alpha:g}" in words
    assert told > 20


def test_the_runs_name_their_commit_and_whether_the_code_was_committed() -> None:
    root = Path(__file__).resolve().parent.parent
    facts = make_facts(root, runs=2)
    (first, second) = facts.evidence.recorded()[:2]
    first.__dict__["provenance"] = {**first.provenance, "commit": "47648" + "0" * 35, "dirty": True}
    second.__dict__["provenance"] = {**second.provenance, "commit": None, "dirty": None}
    table = build_table(read_tables(root)["runs"], facts)
    assert [row[5] for row in table.rows[:3]] == ["4764800 (changed)", "unknown", DASH]
    assert table.title == (
        f"Every planned run. 2 measured, {len(table.rows) - 2} pending; 1 recorded from code that was not committed."
    )


def test_the_missing_are_listed_with_their_price() -> None:
    root = Path(__file__).resolve().parent.parent
    table = build_table(read_tables(root)["missing"], make_facts(root, runs=9))
    rows = {row[0]: row for row in lines(table)}
    assert "earlier-5" not in rows
    assert rows["authors-25"][2:] == ["5 pending", "2.5 h"]
    assert table.columns[3].header == "Price on a CPU"
    assert table.title.endswith(" h on a CPU (a guess) in all.")


def test_nothing_is_missing_when_all_is_recorded(complete: dict[str, Table]) -> None:
    assert complete["missing"].rows == ()
    assert complete["missing"].title == "What has not been run. Nothing: every planned run is recorded."


def test_the_total_cost_counts_a_run_of_two_groups_once(complete: dict[str, Table]) -> None:
    *groups, everything = lines(complete["cost"])
    runs = len(complete["runs"].rows)
    assert everything[:2] == ["all, each run once", str(runs)]
    assert sum(int(row[1]) for row in groups) > runs
    assert everything[5:] == ["900 MiB"]


def test_a_group_called_all_has_costs_beside_those_of_all_groups(root: Path) -> None:
    seen, one, other = Registry(), make_cell([0.7]), make_cell([0.8], kernel_size=5)
    table = build("cost", make_evidence(*one, all=other), root)
    for quantity in table.quantities:
        seen.add(quantity)
    assert [line[:2] for line in lines(table)] == [["sweep", "1"], ["all", "1"], ["all, each run once", "2"]]


def test_a_list_of_runs_too_long_for_paper_is_condensed_there_to_a_line_a_cell() -> None:
    declared = read_tables(Path(__file__).resolve().parent.parent)["runs"]
    cells = [make_cell([0.70, 0.71], patch_size=p, kernel_size=k) for p in (1, 2, 4, 8) for k in range(1, 15)]
    evidence = make_evidence(*(status for cell in cells for status in cell), waiting(make_run(0, kernel_size=15)))
    table = build_table(declared, SimpleNamespace(evidence=evidence))
    short = table.condensed
    assert len(table.rows) == 113
    assert short is not None and [column.key for column in short.columns] == [
        "cell", "n", "seeds", "accuracy", "seconds", "commit"
    ]  # fmt: skip
    assert lines(short)[0] == ["e5-p1-k1", "2", "0–1", "70.50 ± 6.35 % (n = 2)", "600 s (n = 2)", "0000000"]
    assert lines(short)[-1][0] == "e5-p8-k14"
    assert short.note.endswith("1 of 57 cells, of which no run has begun, is left out here. Device: a CPU (2 threads).")
    assert "the 113 runs, a line each, stand in the Markdown and HTML reports and in tables/runs.csv" in short.note
    assert set(table.quantities) > set(short.quantities)


def test_a_condensed_list_of_runs_from_several_devices_has_a_column_for_them(root: Path) -> None:
    here = [make_cell([0.70], patch_size=p, kernel_size=k) for p in (1, 2, 4, 8) for k in range(1, 30)]
    there = measured(make_run(0, kernel_size=30), 0.7)
    record = replace(there.record, provenance={**there.record.provenance, "gpu": "a GPU"})
    evidence = make_evidence(*(status for cell in here for status in cell), replace(there, record=record))
    short = build_table(read_tables(root)["runs"], SimpleNamespace(evidence=evidence)).condensed
    devices = [column.key for column in short.columns].index("device")
    assert {row[devices] for row in lines(short)} == {"a CPU (2 threads)", "a GPU"}
    assert "Device" not in short.note


def test_a_list_of_runs_that_paper_holds_is_not_condensed(root: Path) -> None:
    evidence = make_evidence(*make_cell([0.70, 0.71]), waiting(make_run(0, kernel_size=5)))
    assert build_table(read_tables(root)["runs"], SimpleNamespace(evidence=evidence)).condensed is None


def test_seeds_that_follow_upon_each_other_are_joined() -> None:
    assert run_list._ranges([0, 1, 2, 5, 7, 8]) == "0–2, 5, 7–8"


def test_accepted_records_are_marked_and_each_reason_stands_once_with_its_runs(root: Path) -> None:
    first, second, third = make_cell([0.70, 0.71, 0.72])
    accepted = [keep(status, "only names changed") for status in (first, second)]
    facts = SimpleNamespace(evidence=make_evidence(*accepted, third))
    declared = read_tables(root)
    table = build_table(declared["accepted"], facts)
    assert lines(table) == [["only names changed", "e5-p8-k3, seeds 0–1"]]
    assert table.title.endswith(" 2 records were accepted.")
    listed = build_table(declared["runs"], facts)
    assert [line[1] for line in lines(listed)] == ["measured, accepted", "measured, accepted", "measured"]
    assert "3 measured; 2 accepted though the code changed later." in listed.title


def keep(status: RunStatus, why: str) -> RunStatus:
    """STATUS as it is after its code changed and a person accepted its record."""
    assert status.record is not None
    return replace(status, record=status.record.accept("f" * 64, why, "2026-11-02"), key="f" * 64)


def test_each_claim_stands_with_its_sentence_its_source_and_how_sure_that_is(complete: dict[str, Table]) -> None:
    rows = {line[0]: line[1:] for line in lines(complete["claims"])}
    assert len(rows) == len(complete["claims"].rows)
    assert rows["authors-25"] == [
        "The authors' script reaches 92.60 % after 25 epochs (256/8, patch size 2, kernel size 5).",
        "README of locuslab/convmixer-cifar10",
        "seen in primary source",
    ]


def test_a_quoted_count_is_of_the_data_set_and_a_size_may_be_a_word(root: Path) -> None:
    row = quoted("paper", "71", 3, "600")
    other = replace(row, id="b", dataset="CIFAR-100", parameters_thousands="999")
    evidence = make_evidence(*make_cell([0.7]), *make_cell([0.7], kernel_size="none"))
    table = build("parameters", evidence, root, row, other, columns=["patch_size", "kernel_size"], where={})
    assert [line[:3] for line in lines(table)] == [["8", "3", "600 k"], ["8", "none", DASH]]


def test_numbers_of_epochs_stand_in_their_order(root: Path) -> None:
    evidence = make_evidence(*make_cell([0.7], epochs=100), *make_cell([0.6], epochs=5), *make_cell([0.65], epochs=25))
    options = {"group": "sweep", "columns": ["epochs"], "beside": ["paper"], "against": "paper"}
    assert build("comparison", evidence, root, **options).columns[-2].header == "Ours (5 or 25 or 100 epochs)"


def test_runs_of_a_protocol_that_the_table_does_not_have_are_refused(root: Path) -> None:
    options = {"protocols": ["short"], "groups": {"shrot": ["sweep"]}}
    with pytest.raises(UnknownName, match="groups: 'shrot' is none of the table's protocols: short"):
        build("settings", make_evidence(*make_cell([0.7])), root, **options)
