"""Figures show every run, say in words what is missing, and come out as the same bytes each time."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import yaml

from experiments.prices import Price
from experiments.spec import ConfigurationError
from experiments.status import RunStatus
from report.contrasts import find_contrasts
from report.evidence import Evidence
from report.figures import Figure, build_figures, read_figures, refuse_bands_of_no_rule
from report.judge.claims import read_claims
from report.original import Quoted
from report.plots import charts
from report.plots.canvas import Canvas
from report.plots.charts import draw_effect
from report.plots.contrast_charts import draw_forest, draw_scatter
from report.plots.drawing import STYLE, Studio, draw
from report.plots.figure import Row
from report.plots.series_charts import draw_series, tick_labels, word_places
from report.unknown import UnknownName
from tests.judging import DIRECTION, ORIGINAL
from tests.made_up import make_cell, make_evidence, make_run, waiting, without_epochs
from tests.small_paper import HOSTILE

CLASSES = {
    "class": ["cat", HOSTILE],
    "train_images": [4500, 4500],
    "test_images": [1000, 1000],
    "test_accuracy": [0.5, 0.75],
}


def declare(folder: Path, kind: str, **fields: Any) -> Path:
    path = folder / "figures.yaml"
    declared = {"kind": kind, "title": "A title.", "note": "A note.", **fields}
    path.write_text(yaml.safe_dump({"version": 1, "figures": {"demo": declared}}), encoding="utf-8")
    return path


def quoted(who: str, epochs: int, accuracy: str) -> Quoted:
    cell = {"width": 256, "depth": 8, "patch_size": 8, "kernel_size": 3}
    row = f"{who}-{epochs}", who, "", accuracy, "", "CIFAR-10", cell, epochs, "", None, "source", "seen", ""
    return Quoted(*row, sizes=frozenset(cell))


def with_breakdown(evidence: Evidence) -> Evidence:
    statuses = [
        replace(status, record=replace(status.record, breakdown=CLASSES)) for status in evidence.statuses.values()
    ]
    return make_evidence(*statuses)


def sweep() -> Evidence:
    """Kernel size 3 with three seeds, 5 with one, 7 planned."""
    return make_evidence(
        *make_cell([0.50, 0.51, 0.52], kernel_size=3),
        *make_cell([0.55], kernel_size=5),
        waiting(make_run(0, kernel_size=7)),
    )


def effect(folder: Path, evidence: Evidence, *originals: Quoted) -> Figure:
    path = declare(folder, "effect", panels=[{"group": "sweep", "parameter": "kernel_size"}])
    return build_figures(path, evidence, {row.id: row for row in originals})["demo"]


def test_an_effect_shows_every_run_the_mean_and_what_others_report(tmp_path: Path) -> None:
    made = effect(tmp_path, sweep(), quoted("paper", 200, "95.0"), quoted("earlier report", 5, "60.0"))
    at_three = [row for row in made.rows if row["level"] == 3]
    assert [(row["who"], row["test_accuracy"]) for row in at_three] == [
        ("run", 0.5),
        ("run", 0.51),
        ("run", 0.52),
        ("mean", 0.51),
        ("original", 0.95),
        ("earlier report", 0.6),
    ]
    assert [(row["who"], row["test_accuracy"]) for row in made.rows if row["level"] == 7] == [("pending", None)]


def test_a_third_partys_run_and_a_row_without_all_sizes_are_not_drawn_as_the_original(tmp_path: Path) -> None:
    unsized = replace(quoted("paper", 200, "96.03"), cell={"patch_size": 8, "kernel_size": 3})
    made = effect(tmp_path, sweep(), quoted("another reproduction", 200, "95.89"), unsized)
    assert {row["who"] for row in made.rows} == {"run", "mean", "pending"}


def test_the_caption_says_how_many_runs_under_which_recipe(tmp_path: Path) -> None:
    words = "1 to 3 runs a setting (cifar10, keras, fp32)"
    assert words in effect(tmp_path, sweep()).note
    path = declare(tmp_path, "rows", groups=["sweep"])
    assert words in build_figures(path, sweep(), {})["demo"].note
    path = declare(tmp_path, "curves", groups=["sweep"], column="test_accuracy")
    assert f"{words}." in build_figures(path, sweep(), {})["demo"].note


def test_a_method_without_epochs_is_drawn_without_them(tmp_path: Path) -> None:
    cells = [*make_cell([0.50, 0.51, 0.52], kernel_size=3), *make_cell([0.55], kernel_size=5)]
    evidence = make_evidence(*without_epochs(cells))
    row = replace(quoted("paper", 200, "95.0"), epochs=None)
    made = effect(tmp_path, evidence, row)
    assert made.alt == (
        "Dot plots of test accuracy. kernel size 3: 51.00 % (3 runs), original 95.0 %; kernel size 5: 55.00 % (1 run)."
    )
    assert "epochs" not in made.note
    path = declare(tmp_path, "rows", groups=["sweep"])
    assert [line["row"] for line in build_figures(path, evidence, {})["demo"].rows][-1] == "kernel size 5"
    panels = [{"metric": "parameters", "text": "parameters"}]
    path = declare(tmp_path, "scatter", groups=["sweep"], label="kernel_size", panels=panels)
    made = build_figures(path, evidence, {})["demo"]
    assert "kernel size 3: 51.00 % (3 runs)" in made.alt
    canvas = Canvas()
    draw_scatter(canvas, made.rows, made.options)
    assert [text.get_text() for text in canvas.legends[0].get_texts()] == ["3", "5"]


def test_rows_without_any_run_of_ours_show_what_others_report(tmp_path: Path) -> None:
    path, row = declare(tmp_path, "rows", groups=["sweep"]), quoted("paper", 200, "95.0")
    made = build_figures(path, make_evidence(waiting(make_run(0)), waiting(make_run(1))), {row.id: row})["demo"]
    assert made.note == "No run of ours counts yet; hollow marks are others' results. A note."
    assert [line["who"] for line in made.rows] == ["pending", "original"]


def test_alternative_text_tells_the_data(tmp_path: Path) -> None:
    assert effect(tmp_path, sweep()).alt == (
        "Dot plots of test accuracy. kernel size 3: 51.00 % (3 runs); kernel size 5: 55.00 % (1 run); "
        "kernel size 7: pending."
    )


def test_alternative_text_tells_what_others_report_as_it_was_printed(tmp_path: Path) -> None:
    row = quoted("earlier report", 5, "60.5")
    assert "kernel size 3: 51.00 % (3 runs), original after 200 epochs 95.0 %, earlier report 60.5 %; " in (
        effect(tmp_path, sweep(), quoted("paper", 200, "95.0"), row).alt
    )
    made = build_figures(declare(tmp_path, "rows", groups=["sweep"]), sweep(), {row.id: row})["demo"]
    assert "kernel size 3, 5 epochs: 51.00 % (3 runs), earlier report 60.5 %; " in made.alt


def test_the_earlier_report_is_shown_only_with_as_many_epochs(tmp_path: Path) -> None:
    made = effect(tmp_path, sweep(), quoted("earlier report", 40, "80.0"))
    assert "earlier report" not in {row["who"] for row in made.rows}


def test_the_csv_has_every_row_with_raw_fractions(tmp_path: Path) -> None:
    lines = effect(tmp_path, sweep()).data["demo.csv"].splitlines()
    assert lines[:2] == [
        "panel,level,who,epochs,seed,test_accuracy,n,low,high",
        "sweep,3,run,5,0,0.5,,,",
    ]


def test_without_any_run_a_figure_says_so_and_names_the_price(tmp_path: Path) -> None:
    made = effect(tmp_path, make_evidence(waiting(make_run(0)), waiting(make_run(1))))
    assert made.message == (
        "Nothing to draw yet: none of the 2 runs that this figure shows is recorded "
        "(2 runs to come, about 1 h (a guess))."
    )
    assert made.rows == ()


def test_classes_stand_in_the_order_of_their_means_with_their_images(tmp_path: Path) -> None:
    path = declare(tmp_path, "classes", group="sweep", cell={"kernel_size": 3})
    made = build_figures(path, with_breakdown(make_evidence(*make_cell([0.5, 0.6], kernel_size=3))), {})["demo"]
    assert made.options["order"] == ["cat", HOSTILE]
    assert made.rows[0] == {"class": "cat", "train_images": 4500, "test_images": 1000, "seed": 0, "test_accuracy": 0.5}
    assert "2 runs" in made.note


def with_columns(status: RunStatus, **columns: Any) -> RunStatus:
    return replace(status, record=replace(status.record, breakdown=columns))


def test_a_class_without_accuracy_or_images_is_left_out_or_marked(tmp_path: Path) -> None:
    first, second = make_cell([0.5, 0.6], kernel_size=3)
    first = with_columns(
        first, **{"class": [3, 5, None], "test_images": [10, None, 10], "test_accuracy": [0.5, 0.9, 0]}
    )
    second = with_columns(second, **{"class": [3, 5, 7], "test_accuracy": [0.7, None, None]})
    path = declare(tmp_path, "classes", group="sweep", cell={"kernel_size": 3})
    made = build_figures(path, make_evidence(first, second), {})["demo"]
    assert made.rows == (
        {"class": "3", "test_images": 10, "seed": 0, "test_accuracy": 0.5},
        {"class": "5", "test_images": None, "seed": 0, "test_accuracy": 0.9},
        {"class": "3", "seed": 1, "test_accuracy": 0.7},
    )
    assert made.options["order"] == ["3", "5"] and "from 3 with 60.00 % to 5 with 90.00 %" in made.alt
    draw(made, tmp_path)
    pairs = [with_columns(status, **{"class": ["cat"], "test_accuracy": [None]}) for status in (first, second)]
    assert build_figures(path, make_evidence(*pairs), {})["demo"].message == (
        "Nothing to draw: no run has measured accuracy by class (runs recorded: 2 of 2)."
    )


def test_epochs_without_a_value_are_left_out_of_the_curves(tmp_path: Path) -> None:
    def with_curve(status: RunStatus, *curve: float | None) -> RunStatus:
        return replace(status, record=replace(status.record, history={"validation_accuracy": list(curve)}))

    cell, other = make_cell([0.5, 0.6], kernel_size=3), make_cell([0.5], kernel_size=5)
    evidence = make_evidence(
        with_curve(cell[0], None, 0.4, 0.5), with_curve(cell[1], None, 0.6, None), with_curve(other[0], None, None)
    )
    path = declare(tmp_path, "curves", groups=["sweep"], column="validation_accuracy")
    made = build_figures(path, evidence, {})["demo"]
    assert [(row["epoch"], row["seed"], row["validation_accuracy"]) for row in made.rows] == [
        (2, 0, 0.4),
        (3, 0, 0.5),
        (2, 1, 0.6),
    ]
    assert made.note.endswith("1 of 2 settings has no measurement of it and is not drawn.")
    assert made.alt.endswith("50.00 % (1 run).")
    draw(made, tmp_path)
    nothing = make_evidence(*(with_curve(status, None) for status in cell))
    assert build_figures(path, nothing, {})["demo"].message == (
        "Nothing to draw: no run has measured validation accuracy (runs recorded: 2 of 2)."
    )


def test_many_curves_are_told_apart_by_a_panel_for_each_value_of_one_parameter(tmp_path: Path) -> None:
    cells = [make_cell([0.5, 0.6], patch_size=p, kernel_size=k) for k in (3, 5, 7, 9) for p in (1, 2, 4)]
    path = declare(tmp_path, "curves", groups=["sweep"], column="test_accuracy")
    made = build_figures(path, make_evidence(*(status for cell in cells for status in cell)), {})["demo"]
    assert list(dict.fromkeys((row["panel"], row["setting"]) for row in made.rows)) == [
        (f"5 epochs, patch size {p}", f"kernel size {k}") for p in (1, 2, 4) for k in (3, 5, 7, 9)
    ]


def test_where_no_parameter_leaves_few_curves_a_panel_the_one_that_leaves_fewest_is_taken(tmp_path: Path) -> None:
    cells = [
        make_cell([0.5, 0.6], patch_size=p, kernel_size=k) for k in range(3, 10) for p in (1, 2, 4, 8, 16, 32, 64, 128)
    ]
    path = declare(tmp_path, "curves", groups=["sweep"], column="test_accuracy")
    made = build_figures(path, make_evidence(*(status for cell in cells for status in cell)), {})["demo"]
    assert len({row["panel"] for row in made.rows}) == 8


@pytest.mark.parametrize(("panels", "rows"), [(3, [3]), (4, [4]), (6, [3, 3]), (7, [4, 3])])
def test_panels_stand_in_even_rows_on_one_scale(panels: int, rows: list[int]) -> None:
    from matplotlib.figure import Figure as Canvas

    grid = charts._grid(Canvas(), panels, columns=4, row_inches=2, rest_inches=1)
    found = Counter(axes.get_subplotspec().rowspan.start for axes in grid)
    assert [found[row] for row in sorted(found)] == rows


def with_loss() -> Evidence:
    statuses = make_cell([0.50, 0.52])
    return make_evidence(
        *(
            replace(status, record=replace(status.record, history={"train_loss": [2.5, 1.25 + seed]}))
            for seed, status in enumerate(statuses)
        )
    )


def test_curves_of_a_loss_are_no_per_cent(tmp_path: Path) -> None:
    made = build_figures(declare(tmp_path, "curves", groups=["sweep"], column="train_loss"), with_loss(), {})["demo"]
    assert made.alt.startswith("Learning curves of train loss against epochs. Mean at the last epoch, ")
    assert made.alt.endswith(": 1.75 (2 runs).")
    canvas = Canvas()
    charts.draw_curves(canvas, made.rows, made.options)
    (axes,) = canvas.axes
    assert axes.get_ylabel() == "train loss"
    assert list(axes.lines[0].get_ydata()) == [2.5, 1.75]


def test_a_column_that_no_history_has_is_refused_as_soon_as_there_is_a_record(tmp_path: Path) -> None:
    path = declare(tmp_path, "curves", groups=["sweep"], column="train_los")
    with pytest.raises(UnknownName) as caught:
        build_figures(path, with_loss(), {})
    assert str(caught.value) == (
        "figures.yaml: figures.demo: column: the histories have no column 'train_los'; they have train_loss"
    )
    assert build_figures(path, make_evidence(waiting(make_run(0))), {})["demo"].message


def test_curves_have_a_row_an_epoch_and_seed(tmp_path: Path) -> None:
    path = declare(tmp_path, "curves", groups=["sweep"], column="test_accuracy")
    made = build_figures(path, sweep(), {})["demo"]
    assert len(made.rows) == 2 * 4
    assert made.note.endswith("1 of 3 settings has no recorded run yet and is not drawn.")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "pie"}, ("figures.yaml: figures.demo.kind: found 'pie'; expected "
         "blocks | classes | curves | effect | rows | forest | scatter | hours | budget | conditions | filters | confusion | hardness")),
        ({"groups": ["sweep"], "kind": "rows", "colour": "red"},
         "figures.yaml: figures.demo: unknown field 'colour'; the fields are groups, kind, note, title"),
        ({"kind": "rows"}, "figures.yaml: figures.demo: the field 'groups' is missing"),
        ({"kind": "rows", "groups": ["sweep"], "title": " "},
         "figures.yaml: figures.demo.title: found ' '; expected text that is not empty"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_figures(declare(tmp_path, **change))
    assert str(caught.value) == message


def test_figures_of_another_version_are_refused(tmp_path: Path) -> None:
    path = declare(tmp_path, "rows", groups=["sweep"])
    path.write_text(path.read_text().replace("version: 1", "version: 7"))
    with pytest.raises(ConfigurationError) as caught:
        read_figures(path)
    assert str(caught.value) == "figures.yaml: version: found 7; expected 1"


def test_a_sweep_is_of_the_cells_where_all_that_is_named_holds_and_one_without_a_run_is_left_out(
    tmp_path: Path,
) -> None:
    evidence = make_evidence(*make_cell([0.5], patch_size=4), *make_cell([0.6], patch_size=4, kernel_size=5),
                             waiting(make_run(0, patch_size=2)))  # fmt: skip
    panels = [{"group": "sweep", "parameter": "kernel_size", "where": {"patch_size": size}} for size in (4, 2)]
    made = build_figures(declare(tmp_path, "effect", panels=panels), evidence, {})["demo"]
    assert {row["panel"] for row in made.rows} == {"sweep, patch size 4"}
    assert "diamonds their means, 1 run a setting" in made.note  # a single run has no interval
    assert made.note.endswith(" 1 of 2 sweeps has no recorded run yet and is not drawn.")


def test_a_sweep_without_a_cell_is_refused(tmp_path: Path) -> None:
    panels = [{"group": "sweep", "parameter": "kernel_size", "where": {"patch_size": 16}}]
    with pytest.raises(
        UnknownName, match="figures.yaml: figures.demo: where: no cell of group 'sweep' has patch_size=16"
    ):
        build_figures(declare(tmp_path, "effect", panels=panels), sweep(), {})


def test_a_rehearsal_that_lacks_a_figures_cells_leaves_the_figure_out(tmp_path: Path) -> None:
    rehearsed = [replace(status, run=replace(status.run, smoke=True)) for status in sweep().statuses.values()]
    panels = [{"group": "sweep", "parameter": "kernel_size", "where": {"patch_size": 16}}]
    made = build_figures(declare(tmp_path, "effect", panels=panels), make_evidence(*rehearsed), {})["demo"]
    assert made.message == "Nothing to draw: this rehearsal leaves its cells out."


def test_a_panel_is_called_after_what_all_its_levels_share(tmp_path: Path) -> None:
    panels = [{"group": "sweep", "parameter": "kernel_size"}, {"group": "other", "parameter": "patch_size"}]
    cells = [*make_cell([0.5]), *make_cell([0.6], kernel_size=5, patch_size=4)]
    other = [*make_cell([0.6], kernel_size=5, patch_size=4), *make_cell([0.7], kernel_size=5, patch_size=2)]
    made = build_figures(declare(tmp_path, "effect", panels=panels), make_evidence(*cells, other=other), {})["demo"]
    assert [panel["title"] for panel in made.options["panels"]] == ["5 epochs", "kernel size 5"]


def test_a_sweep_with_two_cells_of_one_level_is_refused(tmp_path: Path) -> None:
    panels = [{"group": "sweep", "parameter": "kernel_size"}]
    mixed = make_evidence(*make_cell([0.5]), *make_cell([0.6], patch_size=4))
    with pytest.raises(UnknownName) as caught:
        build_figures(declare(tmp_path, "effect", panels=panels), mixed, {})
    assert str(caught.value) == (
        "figures.yaml: figures.demo: where: cells of group 'sweep' with kernel_size=3 differ in patch_size; "
        "name a value, as in {patch_size: 8}"
    )


def forest(folder: Path, evidence: Evidence, **fields: Any) -> Figure:
    given = {"groups": ["sweep"], "base": {"kernel_size": 3}, "original": "paper", "margin": 0.005, "confidence": 0.9}
    return build_figures(declare(folder, "forest", **{**given, **fields}), evidence, {})["demo"]


def test_a_forest_has_the_difference_of_each_change_from_its_base(tmp_path: Path) -> None:
    made = forest(tmp_path, make_evidence(*make_cell([0.50, 0.52]), *make_cell([0.54, 0.56], kernel_size=5),
                                          waiting(make_run(0, kernel_size=7))))  # fmt: skip
    first, second = made.rows
    assert (first["row"], first["who"], first["n"]) == ("kernel size 5", "mean", 2)
    assert first["difference"] == pytest.approx(0.04)
    assert first["low"] == pytest.approx(0.04 - 2.919986 * 0.02 / 2**0.5, abs=1e-7)  # t at 95 %, 2 degrees of freedom
    assert second == {"row": "kernel size 7", "who": "pending", "difference": None}
    assert "The band is the margin of 0.50 pp." in made.note and "90 % intervals (Welch)" in made.note
    assert made.alt == (
        "Forest plot of differences in test accuracy with 90 % intervals (Welch). "
        "kernel size 5: +4.00 pp, between −0.13 pp and +8.13 pp; kernel size 7: pending."
    )


def test_a_forest_of_two_groups_has_each_change_once_beside_the_base_of_the_first(tmp_path: Path) -> None:
    base, five, seven = make_cell([0.50, 0.52]), make_cell([0.54, 0.56], kernel_size=5), make_cell([0.6], kernel_size=7)
    made = forest(tmp_path, make_evidence(*base, *five, more=[*five, *seven]), groups=["sweep", "more"])
    assert [row["row"] for row in made.rows] == ["kernel size 5", "kernel size 7"]
    assert [row["difference"] for row in made.rows] == pytest.approx([0.04, 0.09])
    swapped = {"groups": ["more", "sweep"], "base": {"kernel_size": 7}}
    made = forest(tmp_path, make_evidence(*base, *five, more=[*five, *seven]), **swapped)
    assert [row["row"] for row in made.rows] == ["kernel size 5", "kernel size 3"]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("margin", 0.02, "a margin of the claims on its groups: null, 0.005"),
        ("confidence", 0.5, "one of 0.9, 0.95, by which the claims on its groups are judged or means printed"),
        ("groups", ["other"], "a margin of the claims on its groups: null"),
    ],
)
def test_a_band_or_an_interval_that_no_rule_has_is_refused(
    tmp_path: Path, field: str, value: object, expected: str
) -> None:
    given = {"groups": ["sweep"], "base": {"kernel_size": 3}, "original": "paper", "margin": 0.005, "confidence": 0.9}
    claim = replace(DIRECTION, group="sweep", margin=0.005)
    refuse_bands_of_no_rule(declare(tmp_path, "forest", **given), [claim])
    with pytest.raises(ConfigurationError) as caught:
        refuse_bands_of_no_rule(declare(tmp_path, "forest", **{**given, field: value}), [claim])
    found = f"{'margin' if field == 'groups' else field}: found {0.005 if field == 'groups' else value}"
    assert str(caught.value) == f"figures.yaml: figures.demo.{found}; expected {expected}"


def test_a_forest_beside_somebody_whom_original_csv_does_not_quote_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"^original.csv has no row of 'papr'; it has those of paper$"):
        find_contrasts(make_evidence(*make_cell([0.5])), ORIGINAL, ["sweep"], {}, "papr")


def test_a_forest_without_any_difference_says_so(tmp_path: Path) -> None:
    made = forest(tmp_path, make_evidence(*make_cell([0.5]), waiting(make_run(0, kernel_size=5))))
    assert made.message == "Nothing to draw: no run has measured a difference (runs recorded: 1 of 2)."
    assert made.rows == ()


def test_a_scatter_sets_accuracy_against_a_metric_for_each_measured_cell(tmp_path: Path) -> None:
    panels = [{"metric": "parameters", "text": "parameters"}]
    path = declare(tmp_path, "scatter", groups=["sweep"], label="kernel_size", panels=panels)
    made = build_figures(path, sweep(), {})["demo"]
    assert [(row["panel"], row["label"], row["x"], row["n"]) for row in made.rows] == [
        ("parameters", "3", 600_458, 3),
        ("parameters", "5", 600_458, 1),
    ]
    assert made.note.endswith("1 of 3 settings has no recorded run yet and is not drawn.")


def test_points_of_a_scatter_that_share_their_label_are_told_apart(tmp_path: Path) -> None:
    panels = [{"metric": "seconds", "text": "seconds"}]
    path = declare(tmp_path, "scatter", groups=["sweep"], label="recipe", panels=panels)
    made = build_figures(path, sweep(), {})["demo"]
    assert [row["label"] for row in made.rows] == ["keras, kernel size 3", "keras, kernel size 5"]
    assert "recipe keras, kernel size 5, 5 epochs: 55.00 % (1 run)" in made.alt


def test_no_two_marks_of_a_scatter_look_alike() -> None:
    rows = [
        {"panel": "x", "label": f"{n}", "setting": "5 epochs", "x": n, "test_accuracy": 0.5, "low": None, "high": None}
        for n in range(1, 20)
    ]
    canvas = Canvas()
    draw_scatter(canvas, tuple(rows), {"panels": {"x": "x"}})
    (legend,) = canvas.legends
    looks = {(line.get_color(), line.get_marker()) for line in legend.get_lines()}
    assert len(looks) == len(rows)


def test_titles_of_panels_beside_each_other_do_not_overlap() -> None:
    common = {"level": 3, "who": "run", "epochs": 5, "test_accuracy": 0.5}
    panels = [{"panel": f"{n}", "parameter": "size", "title": f"model mlp, wrong labels 0.{n}"} for n in range(4)]
    with matplotlib.rc_context(STYLE):
        canvas = Canvas(layout="constrained")
        draw_effect(canvas, tuple({**common, "panel": panel["panel"]} for panel in panels), {"panels": panels})
        canvas.draw_without_rendering()
    boxes = [axes._left_title.get_window_extent() for axes in canvas.axes]
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
    assert boxes[-1].x1 <= canvas.bbox.x1


def test_ticks_of_a_scatter_are_whole_numbers_only_where_the_values_are(tmp_path: Path) -> None:
    row = {"panel": "seconds", "label": "a", "setting": "5 epochs", "test_accuracy": 0.5, "low": None, "high": None}
    for values, words in (((0.9, 1.6), "1.2"), ((500_000, 2_000_000), "1,000,000")):
        canvas = Canvas()
        draw_scatter(canvas, tuple({**row, "x": x} for x in values), {"panels": {"seconds": "seconds"}})
        canvas.draw_without_rendering()
        labels = [tick.get_text() for tick in canvas.axes[0].get_xticklabels()]
        assert words in labels and len(set(labels)) == len(labels)


def test_levels_that_are_texts_stand_in_the_order_of_the_plan(tmp_path: Path) -> None:
    cells = [make_cell([0.5 + place / 10], kernel_size=name) for place, name in enumerate("bca", 1)]
    evidence = make_evidence(*(status for cell in cells for status in cell))
    path = declare(tmp_path, "effect", panels=[{"group": "sweep", "parameter": "kernel_size"}])
    made = build_figures(path, evidence, {})["demo"]
    assert list(dict.fromkeys(row["level"] for row in made.rows)) == ["b", "c", "a"]
    canvas = Canvas()
    draw_effect(canvas, made.rows, made.options)
    assert [tick.get_text() for tick in canvas.axes[0].get_xticklabels()] == ["b", "c", "a"]


def test_the_margin_that_is_drawn_is_the_claims(root: Path) -> None:
    claims = read_claims(root / "report/paper/claims.yaml").claims
    drawn = read_figures(root / "report/paper/figures.yaml")["equivalence"]["margin"]
    assert {drawn} == {claim.margin for id, claim in claims.items() if id.startswith("equivalence-")}


def test_hours_that_were_taken_stand_beside_those_to_come(tmp_path: Path) -> None:
    measured, waits = make_cell([0.5, 0.6]), waiting(make_run(2, groups=("other",), patch_size=2))
    hours = [replace(s, record=replace(s.record, cost={**s.record.cost, "seconds": 1800.0})) for s in measured]
    later = replace(waits, price=Price(5400.0, "extrapolated", "cpu"))
    made = build_figures(declare(tmp_path, "hours"), make_evidence(*hours, other=[later]), {})["demo"]
    assert made.rows == (
        {"group": "sweep", "what": "took", "runs": 2, "hours": 1.0},
        {"group": "other", "what": "to come", "runs": 1, "hours": 1.5},
    )
    assert made.alt.endswith("on a logarithmic scale. sweep: took 1 h; other: about 1.5 h to come.")
    assert made.note.endswith("Hollow marks are estimates for a CPU (extrapolated).")


def test_hours_that_one_run_did_not_take_are_no_sum(tmp_path: Path) -> None:
    one, other = make_cell([0.5, 0.6])
    untimed = replace(other, record=replace(other.record, cost={**other.record.cost, "seconds": None}))
    made = build_figures(declare(tmp_path, "hours"), make_evidence(one, untimed), {})["demo"]
    assert made.rows == ()
    assert "no run has measured" in made.message


def every_kind(folder: Path, root: Path) -> list[Figure]:
    evidence = with_breakdown(
        make_evidence(
            *make_cell([0.5, 0.6], kernel_size=3, fraction=1.0), *make_cell([0.7], kernel_size=5, fraction=1.0)
        )
    )
    kinds: dict[str, dict[str, Any]] = {
        "classes": {"group": "sweep", "cell": {"kernel_size": 3}},
        "curves": {"groups": ["sweep"], "column": "test_accuracy"},
        "forest": {
            "groups": ["sweep"],
            "base": {"kernel_size": 3},
            "original": "paper",
            "margin": 0.1,
            "confidence": 0.9,
        },
        "scatter": {
            "groups": ["sweep"],
            "label": "kernel_size",
            "panels": [{"metric": "parameters", "text": "parameters"}],
        },
        "hours": {},
        "budget": {"group": "sweep", "panels": ["patch_size"]},
        "conditions": {"group": "sweep", "label": ["kernel_size"], "panels": {"moved": {"test_accuracy": "0"}}},
        "effect": {"panels": [{"group": "sweep", "parameter": "kernel_size"}]},
        "rows": {"groups": ["sweep"]},
    }
    original = {"a": quoted("paper", 200, "95.0")}
    made = [build_figures(declare(folder, kind, **item), evidence, original)["demo"] for kind, item in kinds.items()]
    blocks = read_figures(root / "report/paper/figures.yaml")["architecture"]["blocks"]
    return [*made, Figure("demo", "blocks", "A title.", "", "", options={"blocks": blocks})]


def test_a_legend_that_is_too_long_for_one_line_takes_two(tmp_path: Path) -> None:
    from matplotlib.figure import Figure as Canvas

    long = [*range(1, 40)]
    rows = [{"who": "original", "epochs": epochs} for epochs in long] + [{"who": "run", "epochs": 5}]
    for found, lines in ((rows[-2:], 1), (rows, 2)):
        canvas = Canvas()
        charts._legend(canvas, found)
        (legend,) = canvas.legends
        assert -(-len(legend.get_texts()) // legend._ncols) == lines


def test_an_image_of_a_diagram_needs_no_detail(tmp_path: Path) -> None:
    blocks = [{"role": "image", "text": "image"}, {"role": "plain", "text": "linear"}]
    path = declare(tmp_path, "blocks", blocks=blocks)
    draw(build_figures(path, sweep(), {})["demo"], tmp_path)
    assert (tmp_path / "demo.svg").is_file()


def test_a_diagram_is_told_by_its_boxes_and_has_them_as_data(tmp_path: Path) -> None:
    inner = [
        {"role": "layer", "text": "depthwise\nconvolution", "detail": "k × k", "residual": "start"},
        {"role": "norm", "text": "GELU\nbatch norm"},
        {"role": "sum", "text": "+", "residual": "end"},
    ]
    blocks = [{"role": "image", "text": "image", "detail": "c channels"}, {"repeat": "× d", "blocks": inner}]
    path = declare(tmp_path, "blocks", blocks=[*blocks, {"role": "plain", "text": "linear", "detail": "h → n"}])
    made = build_figures(path, sweep(), {})["demo"]
    assert made.data == {
        "demo.csv": "block,role,size,repeated,residual\n"
        "image,image,c channels,,\n"
        "depthwise convolution,layer,k × k,× d,start\n"
        "GELU and batch norm,norm,,× d,\n"
        "+,sum,,× d,end\n"
        "linear,plain,h → n,,\n"
    }
    assert made.alt == (
        "Block diagram, from left to right: image (c channels); repeated × d: depthwise convolution (k × k), where the "
        "residual connection starts, then GELU and batch norm, then +, where the residual connection ends; linear (h → n)."
    )


def test_every_kind_is_drawn_to_the_same_bytes_each_time(tmp_path: Path, root: Path) -> None:
    with Studio() as studio:
        for made in every_kind(tmp_path, root):
            first, second = tmp_path / f"{made.kind}-1", tmp_path / f"{made.kind}-2"
            first.mkdir()
            second.mkdir()
            draw(made, first)
            studio.draw(made, second).result()
            svg = (first / "demo.svg").read_bytes()
            assert svg == (second / "demo.svg").read_bytes()
            assert b"<svg" in svg
            assert b"<script" not in svg
            assert b"<text" not in svg  # glyphs are paths


@pytest.mark.parametrize(
    ("ticks", "labels"),
    [
        ([22.5, 45, 90, 180, 225], ["22.5", "45", "90", "", "225"]),
        ([0.5, 1_800], ["0.5", "1,800"]),
        ([89.98], ["90"]),
    ],
)
def test_numbers_at_a_logarithmic_axis_leave_each_other_room(ticks: list[float], labels: list[str]) -> None:
    assert tick_labels(ticks) == labels


def series(*places: str | float) -> tuple[Row, ...]:
    """Two lines over PLACES, in a panel that has them all and in one that has the first."""
    common = {"test_accuracy": 0.5, "low": 0.4, "high": 0.6, "n": 3}
    marks = [("one", place) for place in places] + [("two", places[0])]
    return tuple({**common, "panel": panel, "line": line, "x": x} for line in ("a", "b") for panel, x in marks)


def test_severities_stand_at_their_values_and_the_marks_of_each_beside_each_other() -> None:
    canvas = Canvas()
    draw_series(canvas, series("0", "1", "5"), {"x": "", "log": False})
    axes = canvas.axes[0]
    assert [(tick.get_position()[0], tick.get_text()) for tick in axes.get_xticklabels()] == [
        (0, "0"),
        (1, "1"),
        (5, "5"),
    ]
    one, other = (container.lines[0].get_xdata() for container in axes.containers)
    assert list(one) == pytest.approx([-0.09, 0.91, 4.91]) and list(other) == pytest.approx([0.09, 1.09, 5.09])


def test_words_that_are_no_numbers_stand_at_even_steps() -> None:
    assert word_places(["as stored", "1", "5"]) == {"as stored": 0, "1": 1, "5": 2}


def test_panels_over_images_seen_have_one_scale() -> None:
    canvas = Canvas()
    draw_series(canvas, series(90.0, 225.0, 1800.0), {"x": "images seen", "log": True})
    full, sparse = canvas.axes
    assert full.get_xlim() == sparse.get_xlim() and full.get_xlim()[0] < 90


def test_a_forest_of_ours_alone_needs_no_legend() -> None:
    rows = [{"row": "a", "who": "mean", "difference": 0.1}, {"row": "a", "who": "original", "difference": 0.2}]
    for shown, legends in ((rows[:1], 0), (rows, 1)):
        canvas = Canvas()
        draw_forest(canvas, tuple(shown), {"margin": 0.0})
        assert len(canvas.legends) == legends


@pytest.mark.parametrize(("original", "texts"), [(0.956, ["95.6 ↑"]), (0.715, [])])
def test_a_value_far_above_ours_stands_in_digits_and_does_not_flatten_them(original: float, texts: list[str]) -> None:
    common = {"panel": "sweep", "level": 3, "epochs": 5}
    ours = [{**common, "who": "run", "test_accuracy": value} for value in (0.70, 0.71, 0.72)]
    canvas = Canvas(layout="constrained")
    options = {"panels": [{"panel": "sweep", "parameter": "kernel size", "title": ""}]}
    draw_effect(canvas, (*ours, {**common, "who": "original", "epochs": 200, "test_accuracy": original}), options)
    (axes,) = canvas.axes
    assert [text.get_text() for text in axes.texts] == texts
    assert axes.get_ylim()[1] < 75 and max(axes.get_yticks()) < (72.3 if texts else 75)
    shown = [y for line in axes.lines for y in line.get_ydata() if line.get_transform() == axes.transData]
    assert (71.5 in [round(float(y), 6) for y in shown]) is not bool(texts)


def test_a_cell_of_two_groups_is_drawn_once_with_the_runs_of_the_first(tmp_path: Path) -> None:
    first, second, third = make_cell([0.5, 0.6, 0.7])
    evidence = make_evidence(first, second, other=[third])
    made = build_figures(declare(tmp_path, "rows", groups=["sweep", "other"]), evidence, {})["demo"]
    assert [(row["who"], row["test_accuracy"]) for row in made.rows] == [("run", 0.5), ("run", 0.6), ("mean", 0.55)]
    curves = declare(tmp_path, "curves", groups=["sweep", "other"], column="test_accuracy")
    assert {row["seed"] for row in build_figures(curves, evidence, {})["demo"].rows} == {0, 1}


@pytest.mark.parametrize("groups", [["sweep", "other"], ["other", "sweep"]])
def test_cells_of_two_notebooks_are_told_apart_by_what_each_has(tmp_path: Path, groups: list[str]) -> None:
    other = [make_cell([0.6], kernel_size=size, norm=norm)[0] for size, norm in ((5, "batch"), (7, "none"))]
    evidence = make_evidence(*make_cell([0.5]), other=other)
    settings = {"kernel size 3", "kernel size 5, norm batch", "kernel size 7, norm none"}
    curves = declare(tmp_path, "curves", groups=groups, column="test_accuracy")
    assert {row["setting"] for row in build_figures(curves, evidence, {})["demo"].rows} == settings
    rows = build_figures(declare(tmp_path, "rows", groups=groups), evidence, {})["demo"].rows
    assert {row["row"] for row in rows} == {f"{setting}, 5 epochs" for setting in settings}


@pytest.mark.parametrize(
    ("kind", "fields", "what"),
    [
        ("scatter", {"groups": ["sweep"], "label": "kernel_size"}, "energy joules"),
        ("conditions", {"group": "sweep", "label": ["kernel_size"]}, "accuracy under these conditions"),
    ],
)
def test_what_no_run_has_measured_is_told_in_place_of_empty_axes(
    tmp_path: Path, kind: str, fields: dict[str, Any], what: str
) -> None:
    metrics = {"energy_joules": "energy"}
    panels = {"scatter": [{"metric": "energy_joules", "text": "energy"}], "conditions": {"a panel": metrics}}[kind]
    made = build_figures(declare(tmp_path, kind, **fields, panels=panels), sweep(), {})["demo"]
    assert made.message == f"Nothing to draw: no run has measured {what} (runs recorded: 4 of 5)."
