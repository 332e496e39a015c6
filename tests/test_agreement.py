"""When a run that was run again agrees with its record: by what spread, in which interval, and bit by bit."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from experiments.spec import Correct, Packed, Record
from report.review.agreement import (
    LEVEL,
    Agreement,
    Yardstick,
    differing_machine,
    expect_second,
    find_yardsticks,
    has_same_bits,
    judge_rerun,
)
from report.statistics import Interval
from tests.made_up import PROVENANCE, make_record, make_run

CORRECT = Correct("test", 10_000, "")


def record(accuracy: float, seed: int = 0, patch_size: int = 8, **settings: Any) -> Record:
    made = make_record(make_run(seed, patch_size=patch_size), accuracy, **settings)
    return replace(made, correct=CORRECT)


def cell(accuracies: Sequence[float], patch_size: int = 8, **settings: Any) -> list[Record]:
    return [record(accuracy, seed, patch_size, **settings) for seed, accuracy in enumerate(accuracies)]


def yardsticks_of(cells: dict[str, list[Record]], name: str = "a") -> tuple[Yardstick, ...]:
    return find_yardsticks(cells[name][0], cells, name)


SPREAD = Yardstick(0.005, 8, 12, "within 4 cells of the same settings")


def test_four_other_seeds_are_enough_for_their_own_spread() -> None:
    cells = {"a": cell([0.9, 0.64, 0.65, 0.66, 0.65]), "b": cell([0.1, 0.9, 0.5], 4)}
    (found,) = yardsticks_of(cells)
    assert found == Yardstick(pytest.approx(0.01 * math.sqrt(2 / 3)), 3, 4, "other seeds of its cell")


def test_seeds_that_were_run_under_other_settings_do_not_count() -> None:
    mixed = [*cell([0.9, 0.64, 0.65, 0.66]), record(0.1, 4, precision="bf16")]
    assert yardsticks_of({"a": mixed}) == (Yardstick(pytest.approx(0.01), 2, 3, "other seeds of its cell"),)


def test_two_other_seeds_share_the_spread_of_like_cells_and_the_record_itself_never_counts() -> None:
    cells = {
        "a": cell([0.9, 0.64, 0.66]),  # squares about the mean of the others: 2 x 0.01^2
        "b": cell([0.70, 0.73, 0.76], 4),  # 2 x 0.03^2
        "c": cell([0.5], 2),
        "d": cell([0.1, 0.9], 1, epochs=9),  # trained otherwise
    }
    assert yardsticks_of(cells) == (
        Yardstick(pytest.approx(0.01 * math.sqrt(2)), 1, 2, "other seeds of its cell"),
        Yardstick(pytest.approx(math.sqrt((2e-4 + 18e-4) / 3)), 3, 5, "within 2 cells of the same settings"),
    )


def named(cells: Sequence[Record], **words: str) -> list[Record]:
    return [replace(item, parameters={**item.parameters, **words}) for item in cells]


def test_another_architecture_lends_no_spread_and_another_way_of_computing_does() -> None:
    cells = {
        "a": named(cell([0.9, 0.64, 0.66]), architecture="convmixer", path="plain"),
        "b": named(cell([0.70, 0.73, 0.76], 4), architecture="convmixer", path="native"),
        "c": named(cell([0.70, 0.71, 0.72], 4), architecture="vit", path="plain"),
    }
    own = Yardstick(pytest.approx(0.01 * math.sqrt(2)), 1, 2, "other seeds of its cell")
    pooled = Yardstick(pytest.approx(math.sqrt((2e-4 + 18e-4) / 3)), 3, 5, "within 2 cells of the same settings")
    assert yardsticks_of(cells) == (own, pooled)
    assert yardsticks_of({name: cells[name] for name in "ac"}) == (own,)


NOISY = [0.3, 0.5, 0.8]


@pytest.mark.parametrize("others", [[NOISY], [NOISY, [0.65, 0.655, 0.66], [0.2, 0.5, 0.7]]])
def test_a_noisy_cell_lends_its_spread_to_no_quiet_one(others: list[list[float]]) -> None:
    cells = {"a": cell([0.9, 0.650, 0.652, 0.654])}
    cells |= {f"b{size}": cell(values, size) for size, values in enumerate(others, 1)}
    found = yardsticks_of(cells)
    assert found == (Yardstick(pytest.approx(0.002), 2, 3, "other seeds of its cell"),)
    judged = judge_rerun(record(0.652), record(0.5), found, ("the code",), 1)
    assert judged.agreement is Agreement.DISAGREES


def test_a_second_run_outside_its_own_cells_spread_disagrees_though_like_cells_would_let_it() -> None:
    quiet, like = Yardstick(0.0001, 1, 2, "other seeds of its cell"), Yardstick(0.005, 8, 12, "within 4 cells")
    judged = judge_rerun(record(0.64), record(0.65), (quiet, like), ("the code",), 1)
    assert (judged.agreement, judged.yardstick) == (Agreement.DISAGREES, quiet)
    assert judged.interval == expect_second(0.64, quiet, 1 - LEVEL / 2)
    assert judge_rerun(record(0.64), record(0.65), (like,), ("the code",), 1).agreement is Agreement.AGREES
    assert judge_rerun(record(0.64), record(0.65), (like, quiet), ("the code",), 1) == judged  # the narrowest decides


def test_a_single_run_is_judged_by_like_cells_and_alone_by_nothing() -> None:
    assert yardsticks_of({"a": cell([0.9]), "b": cell([0.5])}) == ()
    found = yardsticks_of({"a": cell([0.9]), "b": cell([0.5, 0.52], 4)})
    assert found == (Yardstick(pytest.approx(0.02 / math.sqrt(2)), 1, 2, "within 1 cell of the same settings"),)
    unlike = {"a": cell([0.9]), "b": cell(NOISY, 4), "c": cell([0.6, 0.601, 0.602], 2)}
    assert yardsticks_of(unlike) == ()


@pytest.mark.parametrize("rounding", [0.0, 1e-10])
def test_equal_runs_are_given_the_binomial_error_of_the_test_images(rounding: float) -> None:
    binomial = math.sqrt(0.6 * 0.4 / 10_000)
    found = yardsticks_of({"a": cell([0.5, 0.6, 0.6 + rounding])})
    assert found == (Yardstick(pytest.approx(binomial), 1, 2, "other seeds of its cell"),)
    bare = [replace(item, correct=None) for item in cell([0.5, 0.6, 0.6 + rounding])]
    assert yardsticks_of({"a": bare}) == ()


def test_the_interval_is_that_of_the_difference_of_two_draws() -> None:
    half = stats.t.ppf(0.975, 8) * 0.005 * math.sqrt(2)
    assert expect_second(0.64, SPREAD, 0.95) == Interval(pytest.approx(0.64 - half), pytest.approx(0.64 + half))


@pytest.mark.parametrize(
    ("again", "of", "agreement", "why"),
    [
        (0.651, 1, Agreement.AGREES, "within the interval for a second run"),
        (0.661, 1, Agreement.DISAGREES, "outside the interval for a second run"),
        (0.619, 1, Agreement.DISAGREES, "outside the interval for a second run"),
        (0.661, 4, Agreement.AGREES, "within the interval for a second run"),  # of four, each has a fourth of the level
    ],
)
def test_a_second_run_agrees_within_the_interval(again: float, of: int, agreement: Agreement, why: str) -> None:
    judged = judge_rerun(record(0.64), record(again), (SPREAD,), ("the code",), of)
    assert (judged.agreement, judged.why, judged.same_bits) == (agreement, why, False)
    assert judged.interval == expect_second(0.64, SPREAD, 1 - LEVEL / of)


def test_the_same_bits_agree_without_any_spread() -> None:
    judged = judge_rerun(record(0.64), record(0.64), (), (), 1)
    assert (judged.agreement, judged.why, judged.interval) == (Agreement.AGREES, "the same bits", None)
    assert not judged.lacks_due_bits


def test_other_bits_are_told_where_the_same_were_due() -> None:
    due = judge_rerun(record(0.64), record(0.641), (SPREAD,), (), 1)
    assert due.lacks_due_bits
    assert due.why == (
        "within the interval for a second run; the same bits were due, as code, versions and machine are the record's "
        "as far as it names them"
    )
    assert not judge_rerun(record(0.64), record(0.641), (SPREAD,), ("the code",), 1).lacks_due_bits


@pytest.mark.parametrize(
    ("yardstick", "settings", "why"),
    [
        (None, {}, "the bits differ, and no record tells how far seeds differ under these settings"),
        (
            Yardstick(0.2, 1, 2, "other seeds of its cell"),
            {},
            "the bits differ, and too few records tell how far seeds differ: any value would do",
        ),
        (SPREAD, {"precision": "bf16"}, "it was computed with precision bf16 (recorded fp32), which is not comparable"),
    ],
)
def test_what_cannot_be_judged_says_why(yardstick: Yardstick | None, settings: dict[str, str], why: str) -> None:
    judged = judge_rerun(record(0.64), record(0.1, **settings), yardstick and (yardstick,) or (), ("the code",), 1)
    assert (judged.agreement, judged.why) == (Agreement.NOT_JUDGED, why)


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {"test_accuracy": 0.6400000001}},
        {"history": {"test_accuracy": [0.31, 0.64], "seconds": [1.0, 2.0]}},
        {"history": {"test_accuracy": [0.32, 0.64]}},
        {"correct": Correct("test", 10_000, "AA==")},
        {"metrics": {"test_accuracy": 0.64, "parameters": 600_458, "noise_5_accuracy": 0.4}},
        {"breakdown": {"class": ["cat"], "test_accuracy": [0.5]}},
        {"arrays": {"filters": Packed((1,), 1.0, "AQ==")}},
    ],
)
def test_bits_are_those_of_all_that_a_table_or_a_figure_may_show(changes: dict[str, Any]) -> None:
    recorded = replace(record(0.64), history={"test_accuracy": [0.32, 0.64], "loss": [1.0, 0.5]})
    assert not has_same_bits(recorded, replace(recorded, **changes))


def test_times_in_the_history_and_the_metrics_are_no_bits() -> None:
    recorded = replace(
        record(0.64), history={"test_accuracy": [0.32, 0.64], "seconds": [1.0, 2.0], "load_seconds": [1, 1]}
    )
    again = replace(recorded, history={"test_accuracy": [0.32, 0.64], "seconds": [3.0, 4.0], "load_seconds": [2, 2]})
    assert has_same_bits(recorded, again)
    slower = {**again.metrics, "train_seconds": 9.0, "images_per_second": 5.0}
    assert has_same_bits(recorded, replace(again, metrics=slower))


@pytest.mark.parametrize(("value", "again"), [(0.2, 0.95), (0.8, 0.05)])
def test_an_interval_that_ends_within_what_an_accuracy_can_be_judges(value: float, again: float) -> None:
    wide = Yardstick(0.2, 8, 12, "within 4 cells of the same settings")
    judged = judge_rerun(record(value), record(again), (wide,), ("the code",), 1)
    assert judged.interval is not None and (judged.interval.low <= 0) is not (judged.interval.high >= 1)
    assert judged.agreement is Agreement.DISAGREES


def test_what_differs_in_versions_and_machine_is_listed() -> None:
    changed = {**PROVENANCE, "threads": 4, "versions": {"torch": "2.16.0", "timm": "1.0"}, "started": "later"}
    again = replace(record(0.64), provenance=changed)
    assert differing_machine(record(0.64), again) == (
        "torch 2.16.0 (recorded 2.15.0)",
        "threads 4 (recorded 2)",
    )
    assert differing_machine(again, record(0.64)) == ("torch 2.15.0 (recorded 2.16.0)", "threads 2 (recorded 4)")
    assert differing_machine(record(0.64), record(0.7)) == ()


@pytest.mark.parametrize("name", ["python", "platform", "cpu", "device", "gpu", "driver", "threads"])
def test_on_another_machine_in_any_respect_the_same_bits_are_not_due(name: str) -> None:
    again = replace(record(0.641), provenance={**PROVENANCE, name: "other"})
    judged = judge_rerun(record(0.64), again, (SPREAD,), (), 1)
    assert judged.differing == (f"{name} other (recorded {PROVENANCE[name]})",)
    assert not judged.lacks_due_bits


@pytest.mark.parametrize(
    ("recorded", "again", "told"),
    [
        ("model 1", "model 2", "processor model 2 (recorded model 1)"),
        (None, "model 1", "processor model 1 (recorded unknown)"),
        (None, None, "processor unknown (recorded unknown)"),
    ],
)
def test_the_same_bits_are_not_due_unless_both_name_the_same_processor(
    recorded: str | None, again: str | None, told: str
) -> None:
    first, second = record(0.64), record(0.641)
    first = replace(first, provenance={**PROVENANCE, "processor": recorded})
    second = replace(second, provenance={**PROVENANCE, "processor": again})
    if recorded is None:  # a record that is older than the field
        del first.provenance["processor"]
    judged = judge_rerun(first, second, (SPREAD,), (), 1)
    assert judged.differing == (told,)
    assert not judged.lacks_due_bits


def test_true_records_are_called_disagreeing_no_more_often_than_the_level_and_false_ones_are_found() -> None:
    """A thousand certificates of two runs each, seeds normal about their cell's mean; then a record that is 5 sd too good."""
    draw, sd, wrong, found, papers = random.Random(0), 0.005, 0, 0, 1000
    for _ in range(papers):
        cells = {
            name: cell([draw.gauss(0.6, sd) for _ in range(3)], size) for name, size in (("a", 1), ("b", 2), ("c", 4))
        }
        outcomes = [
            judge_rerun(
                cells[name][0],
                record(draw.gauss(0.6, sd)),
                find_yardsticks(cells[name][0], cells, name),
                ("the code",),
                2,
            ).agreement
            for name in ("a", "b")
        ]
        wrong += Agreement.DISAGREES in outcomes
        cells["a"][0] = record(0.6 + 7 * sd)
        yardsticks = find_yardsticks(cells["a"][0], cells, "a")
        again = record(draw.gauss(0.6, sd))
        found += judge_rerun(cells["a"][0], again, yardsticks, ("the code",), 1).agreement is Agreement.DISAGREES
    assert wrong / papers < LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / papers)
    assert found / papers > 0.9
