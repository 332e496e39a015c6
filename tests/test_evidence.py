"""What a cell says of its runs, and how two cells, or a cell and a quoted value, are compared."""

import math
from dataclasses import replace

import pytest

from experiments.spec import Correct, State
from experiments.status import RunStatus
from report.cells import Parameters, kind_of
from report.cells import make_cell as gather_cell
from report.comparisons import are_pairs, compare, difference, gap, quoted_difference
from report.evidence import Evidence
from report.facts import total
from report.quantities import Fidelity, Kind, Quantity, Registry, Spread, Tier
from report.statistics import summarise
from report.unknown import UnknownName
from tests.judging import quoted
from tests.made_up import make_cell, make_evidence, make_run, measured, waiting

QUOTED = quoted("x", "70")


def test_a_cell_is_the_mean_of_its_measured_runs() -> None:
    (cell,) = make_evidence(*make_cell([0.70, 0.71, 0.72])).cells("sweep")
    quantity = cell.quantity()
    summary = summarise([0.70, 0.71, 0.72])
    assert quantity == Quantity(
        id="sweep/e5-p8-k3/test_accuracy",
        kind=Kind.ACCURACY,
        value=summary.mean,
        spread=Spread(summary.interval().low, summary.interval().high, summary.sd, "95 % t interval of the mean"),
        n=3,
        planned=3,
        fidelity=Fidelity("cifar10", 5, "keras", "fp32", 45_000),
        origin=("e5-p8-k3-s0", "e5-p8-k3-s1", "e5-p8-k3-s2"),
        aggregate="mean of the last epoch's test accuracy",
        tier=Tier.RUN_HERE,
    )
    assert quantity.parts.text == "71.00 ± 2.48 % (n = 3)"
    assert cell.seeds == (0, 1, 2)


def test_one_run_of_three_has_no_spread_and_says_what_is_to_come() -> None:
    first, *others = (make_run(seed) for seed in range(3))
    (cell,) = make_evidence(measured(first, 0.7), *map(waiting, others)).cells()
    assert cell.quantity().parts.text == "70.00 % (n = 1 of 3)"
    assert cell.quantity().why == "2 runs to come, about 1 h (a guess)"


@pytest.mark.parametrize(
    ("states", "state", "why"),
    [
        ([State.PENDING, State.PENDING], State.PENDING, "2 runs to come, about 1 h (a guess)"),
        ([State.PENDING, State.STALE], State.STALE, "1 stale, 1 pending: reason 1"),
        ([State.FAILED, State.GATED], State.FAILED, "1 failed, 1 gated: reason 0"),
        ([State.GATED, State.GATED], State.GATED, "2 gated: reason 0"),
    ],
)
def test_a_cell_without_a_measured_run_says_what_its_runs_are(states: list[State], state: State, why: str) -> None:
    planned = [waiting(make_run(seed), known, f"reason {seed}") for seed, known in enumerate(states)]
    quantity = make_evidence(*planned).cells()[0].quantity()
    assert (quantity.state, quantity.value, quantity.why) == (state, None, why)


def test_a_stale_record_never_counts() -> None:
    stale = measured(make_run(1), 0.1).record
    evidence = make_evidence(*make_cell([0.7]), waiting(make_run(1), State.STALE, "train() changed", stale))
    assert evidence.cells()[0].values() == (0.7,)
    assert evidence.cells()[0].quantity().why == "1 stale: train() changed"


def test_runs_of_a_cell_that_differ_in_precision_are_not_averaged() -> None:
    runs = measured(make_run(0), 0.70), measured(make_run(1), 0.71, precision="bf16")
    quantity = make_evidence(*runs).cells()[0].quantity()
    assert (quantity.state, quantity.value) == (State.NOT_COMPARABLE, None)
    assert quantity.why == "its runs differ in precision: bf16, fp32"


@pytest.mark.parametrize(
    ("name", "other"),
    [("dataset", "digits"), ("epochs", 40), ("recipe", "paper"), ("precision", "bf16"), ("train_images", 50_000)],
)
def test_whatever_setting_runs_differ_in_they_are_neither_averaged_nor_compared(name: str, other: object) -> None:
    same, changed = measured(make_run(0), 0.70), measured(make_run(1), 0.71, **{name: other})
    mixed = make_evidence(same, changed).cells()[0].quantity()
    assert (mixed.state, mixed.value) == (State.NOT_COMPARABLE, None)
    one, two = make_evidence(same, *make_cell([0.71], kernel_size=5, settings={name: other})).cells()
    assert difference(two, one).state is (State.MEASURED if name == "precision" else State.NOT_COMPARABLE)


def test_a_parameter_count_has_neither_n_nor_spread() -> None:
    (cell,) = make_evidence(*make_cell([0.70, 0.71])).cells()
    assert cell.quantity("parameters").parts.text == "600,458"


def test_a_cost_that_was_not_measured_is_gated() -> None:
    (cell,) = make_evidence(*make_cell([0.70])).cells()
    assert cell.quantity("energy_joules").state is State.GATED
    assert cell.quantity("seconds").parts.text == "600 s (n = 1)"


def test_a_sum_of_what_one_run_did_not_measure_is_no_number() -> None:
    first, second = (status.record for status in make_cell([0.70, 0.71]))
    assert total("sum", Kind.HOURS, [first, second], "seconds", "time", 1 / 3600).parts.text == "0.33 h"
    unmeasured = replace(second, cost={**second.cost, "train_seconds": None})
    assert total("sum", Kind.HOURS, [first, unmeasured], "train_seconds", "time").state is State.GATED


def test_a_misspelt_metric_is_refused_with_the_known_ones() -> None:
    (cell,) = make_evidence(*make_cell([0.70])).cells()
    with pytest.raises(UnknownName) as caught:
        cell.quantity("test_acuracy")
    assert str(caught.value) == (
        "record 'e5-p8-k3-s0' has no metric 'test_acuracy'; it has attempts, energy_joules, parameters, "
        "peak_memory_mib, seconds, test_accuracy, train_seconds, work"
    )


def test_a_metric_is_printed_by_the_ending_of_its_name() -> None:
    names = ("validation_accuracy", "parameters", "train_seconds", "peak_memory_mib", "test_loss", "middle_share_1")
    kinds = (Kind.ACCURACY, Kind.PARAMETERS, Kind.SECONDS, Kind.MEMORY, Kind.NUMBER, Kind.SHARE)
    assert tuple(map(kind_of, names)) == kinds


def with_images(status: RunStatus, count: int | None) -> RunStatus:
    assert status.record is not None
    return replace(status, record=replace(status.record, correct=count and Correct("test", count, "")))


def test_equal_accuracies_of_several_runs_are_told_from_those_of_one_and_say_nothing_of_other_metrics() -> None:
    one, two = (make_evidence(*make_cell([0.7] * n)).cells()[0] for n in (1, 2))
    assert (one.is_without_spread, two.is_without_spread) == (False, True)
    (known,) = make_evidence(*(with_images(status, 10_000) for status in make_cell([0.7, 0.7]))).cells()
    assert known.summary().sd == pytest.approx(math.sqrt(0.7 * 0.3 / 10_000))
    assert known.summary("seconds").sd == 0.0


@pytest.mark.parametrize(("counts", "images"), [((100, 100), 100), ((100, 200), None), ((100, None), None)])
def test_a_cell_knows_its_test_images_where_its_runs_agree(counts: tuple[int | None, ...], images: int | None) -> None:
    cell = [with_images(status, count) for status, count in zip(make_cell([0.7, 0.71]), counts, strict=True)]
    assert make_evidence(*cell).cells()[0].test_images == images


def test_a_cell_without_a_measured_run_has_the_settings_that_are_planned() -> None:
    (cell,) = make_evidence(waiting(make_run(0, epochs=40))).cells()
    assert cell.fidelity == Fidelity("cifar10", 40, "keras")


def test_a_cell_is_found_by_as_few_parameters_as_needed() -> None:
    evidence = make_evidence(*make_cell([0.7]), *make_cell([0.8], kernel_size=5))
    assert evidence.cell("sweep", {"kernel_size": 5}).values() == (0.8,)
    assert evidence.matching({"kernel_size": 5, "width": 256}) == (evidence.cell("sweep", {"kernel_size": 5}),)
    assert evidence.matching({"kernel_size": 5, "height": 1}) == ()


@pytest.mark.parametrize(
    ("group", "parameters", "message"),
    [
        ("swep", {}, "there is no group 'swep'; the plan has sweep"),
        (
            "sweep",
            {},
            "2 cells of group 'sweep' with no parameter named; name exactly one of: kernel_size=3; kernel_size=5",
        ),
        (
            "sweep",
            {"kernel": 5},
            (
                "group 'sweep' has no parameter 'kernel'; its cells have dataset, depth, epochs, kernel_size, patch_size, "
                "recipe, width"
            ),
        ),
    ],
)
def test_an_unknown_cell_is_refused(group: str, parameters: dict[str, int], message: str) -> None:
    evidence = make_evidence(*make_cell([0.7]), *make_cell([0.8], kernel_size=5))
    with pytest.raises(UnknownName) as caught:
        evidence.cell(group, parameters)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["epochs", "fraction"])
def test_a_parameter_that_no_author_named_is_asked_of_the_notebook(name: str) -> None:
    with pytest.raises(UnknownName) as caught:
        Parameters({"width": 256})[name]
    assert str(caught.value) == f"the notebook needs a parameter {name!r}, which this names; the cells have width"


@pytest.mark.parametrize(
    ("label", "text"),
    [("Kernel size k", "kernel size 3"), ("MLP ratio", "MLP ratio 3"), ("Hidden layers", "hidden layers 3")],
)
def test_a_parameter_is_called_by_its_label_less_the_symbol_of_a_tables_head(label: str, text: str) -> None:
    plain = make_evidence(*make_cell([0.7]))
    labelled = Evidence(plain.groups.values(), plain.statuses.values(), {"kernel_size": label})
    assert labelled.cells()[0].words(["kernel_size", "patch_size"]) == f"{text}, patch size 8"


def test_a_cell_of_two_groups_counts_once_in_the_whole() -> None:
    shared = make_cell([0.70, 0.71])
    evidence = make_evidence(*shared, other=shared)
    assert (len(evidence.cells()), len(evidence.runs()), len(evidence.recorded())) == (1, 2, 2)
    assert evidence.recorded("other") == evidence.recorded("sweep")


def test_evidence_without_a_run_of_a_group_lacks_it_wherever_no_other_group_plans_it() -> None:
    first, second = make_cell([0.70, 0.71])
    evidence = make_evidence(first, second, *make_cell([0.80], kernel_size=5), other=[second])
    assert (len(evidence.recorded()), len(evidence.matching({"kernel_size": 5})[0].records)) == (3, 1)
    fewer = evidence.without("sweep", {status.run.name for status in evidence.runs("sweep")})
    assert {record.run for record in fewer.recorded()} == {second.run.name}
    assert fewer.matching({"kernel_size": 5})[0].records == fewer.recorded("sweep") == ()
    assert len(evidence.recorded()) == 3


def test_a_difference_has_welchs_interval_and_both_origins() -> None:
    evidence = make_evidence(*make_cell([0.70, 0.71, 0.72]), *make_cell([0.80, 0.81], kernel_size=5))
    low, high = evidence.cells()
    quantity = difference(high, low)
    assert quantity.parts.text == "+9.50 ± 2.49 pp (n = 2)"
    assert quantity.aggregate == "difference of the means, e5-p8-k5 minus e5-p8-k3, 2 against 3 runs"
    assert len(quantity.origin) == 5


def test_differences_from_a_cell_that_two_groups_plan_with_other_seeds_are_two_quantities() -> None:
    base, changed = make_cell([0.70, 0.71, 0.75]), make_cell([0.80, 0.81], kernel_size=5)
    evidence = make_evidence(*base, other=[*base[:2], *changed])
    here, there, other = evidence.cells("sweep")[0], *evidence.cells("other")
    registry = Registry()
    printed = [registry.add(quantity) for quantity in (difference(other, here), difference(other, there))]
    assert [quantity.id for quantity in printed] == [
        "other/e5-p8-k5-minus-sweep/e5-p8-k3/test_accuracy",
        "other/e5-p8-k5-minus-e5-p8-k3/test_accuracy",
    ]


def test_a_difference_of_single_runs_has_no_interval() -> None:
    low, high = make_evidence(*make_cell([0.70]), *make_cell([0.80], kernel_size=5)).cells()
    assert difference(low, high).parts.text == "\N{MINUS SIGN}10.00 pp (n = 1)"


def test_a_cell_that_groups_plan_with_different_seeds_has_the_runs_of_all_in_the_whole() -> None:
    first, second, third = make_cell([0.70, 0.71, 0.72])
    evidence = make_evidence(first, second, other=[second, third])
    (cell,) = evidence.cells()
    assert (cell.seeds, cell.planned) == ((0, 1, 2), 3)
    assert [cell.seeds for cell in (*evidence.cells("sweep"), *evidence.cells("other"))] == [(0, 1), (1, 2)]
    assert len(evidence.recorded()) == len(evidence.runs()) == 3


def test_a_difference_to_a_pending_cell_is_pending() -> None:
    low, high = make_evidence(*make_cell([0.70]), waiting(make_run(0, kernel_size=5))).cells()
    assert difference(high, low).state is State.PENDING
    assert difference(high, low).why == "1 run to come, about 0.5 h (a guess)"


def test_cells_of_different_epochs_have_no_difference() -> None:
    low, high = make_evidence(*make_cell([0.70]), *make_cell([0.80], epochs=40)).cells()
    quantity = difference(high, low)
    assert (quantity.state, quantity.why) == (State.NOT_COMPARABLE, "the cells differ in epochs 5 and 40")


def test_cells_of_different_precision_have_a_difference_that_says_so() -> None:
    half = {"precision": "bf16"}
    low, high = make_evidence(*make_cell([0.70, 0.71]), *make_cell([0.80, 0.81], kernel_size=5, settings=half)).cells()
    quantity = difference(high, low)
    assert (quantity.state, quantity.why) == (State.MEASURED, "precision bf16 and fp32")
    assert quantity.fidelity == Fidelity("cifar10", 5, "keras", None, 45_000)
    alike = difference(low, low)
    assert (alike.why, alike.fidelity) == ("", low.fidelity)


def test_runs_are_pairs_where_nothing_but_the_computing_differs_be_it_in_path_precision_or_both() -> None:
    cells = {
        name: make_cell([0.70, 0.71], **parameters)
        for name, parameters in {
            "base": {"path": "plain", "precision": "fp32"},
            "path": {"path": "native", "precision": "fp32"},
            "both": {"path": "native", "precision": "bf16"},
            "more": {"path": "native", "precision": "fp32", "width": 128},
        }.items()
    }
    base, path, both, more = (gather_cell("sweep", name, statuses) for name, statuses in cells.items())
    assert [are_pairs(other, base) for other in (path, both, more)] == [True, True, False]
    assert not are_pairs(path.without({base.statuses[0].run.name}), base)


def test_pairs_that_differ_by_exactly_the_same_have_the_error_of_one_test_image() -> None:
    base, other = (
        gather_cell("sweep", path, [with_images(status, 10_000) for status in make_cell(values, path=path)])
        for path, values in (("plain", [0.70, 0.71, 0.69, 0.72]), ("native", [0.701, 0.711, 0.691, 0.721]))
    )
    found = compare(other, base)
    assert (found.difference, found.error, found.degrees) == (pytest.approx(0.001), pytest.approx(0.0001 / 2), 3)


def test_a_gap_to_a_quoted_value_has_the_interval_of_our_mean() -> None:
    (cell,) = make_evidence(*make_cell([0.70, 0.71, 0.72])).cells()
    quantity = gap(cell, QUOTED)
    assert quantity.parts.text == "+1.00 ± 2.48 pp (n = 3)"
    assert quantity.origin[-1] == "Table 1"
    assert quantity.id == "sweep/e5-p8-k3-minus-original/x/accuracy/test_accuracy"


def test_a_value_after_other_epochs_has_no_gap() -> None:
    (cell,) = make_evidence(*make_cell([0.70], epochs=40)).cells()
    quantity = gap(cell, QUOTED)
    assert (quantity.state, quantity.why) == (State.NOT_COMPARABLE, "ours after 40 epochs, the quoted value after 5")


def test_a_value_on_other_data_has_no_gap() -> None:
    (cell,) = make_evidence(*make_cell([0.70])).cells()
    quantity = gap(cell, replace(QUOTED, dataset="ImageNet"))
    assert (quantity.state, quantity.why) == (State.NOT_COMPARABLE, "ours on cifar10, the quoted value on ImageNet")


def test_runs_that_are_exactly_equal_have_no_interval_unless_it_is_known_what_one_image_is() -> None:
    equal, other = make_evidence(*make_cell([0.70] * 3), *make_cell([0.80, 0.81, 0.82], kernel_size=5)).cells()
    assert equal.quantity().parts.text == "70.00 % (n = 3)"
    assert gap(equal, replace(QUOTED, accuracy_pct="69.0")).parts.text == "+1.00 pp (n = 3)"
    assert difference(other, equal).parts.text == "+11.00 pp (n = 3)"
    native = make_cell([0.71] * 3, path="native")
    renamed = [
        replace(status, run=replace(status.run, name=f"n-{status.run.name}", cell="native")) for status in native
    ]
    pair = make_evidence(*make_cell([0.70] * 3, path="plain"), *renamed).cells()
    assert are_pairs(*pair) and difference(*reversed(pair)).parts.text == "+1.00 pp (n = 3)"


def test_from_a_quoted_bound_there_is_no_distance() -> None:
    (cell,) = make_evidence(*make_cell([0.70, 0.71, 0.72])).cells()
    for prefix in ("more than", "at least"):
        bound = replace(QUOTED, prefix=prefix)
        for quantity in (gap(cell, bound), quoted_difference(QUOTED, bound), quoted_difference(bound, QUOTED)):
            assert (quantity.state, quantity.why) == (State.NOT_COMPARABLE, f"'{prefix} 70' is a bound and no value")
    (planned,) = make_evidence(waiting(make_run(0))).cells()
    assert gap(planned, bound).state is State.PENDING


def test_the_difference_of_two_quoted_values_is_ours_to_compute() -> None:
    quantity = quoted_difference(QUOTED, replace(quoted("y", "65"), source="Table 2"))
    assert (quantity.parts.text, quantity.tier) == ("+5.00 pp", Tier.COMPUTED)
    assert quantity.origin == ("Table 1", "Table 2")
    assert quantity.fidelity == QUOTED.accuracy.fidelity


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"precision": "mixed"}, "cifar10, 5 epochs, recipe keras, mixed, 45,000 training images"),
        ({"precision": 16, "recipe": ["a", "b"]}, "cifar10, 5 epochs, recipe ['a', 'b'], 16, 45,000 training images"),
        ({"train_images": 45_000.0}, "cifar10, 5 epochs, recipe keras, fp32, 45,000 training images"),
        ({"train_images": "all"}, "cifar10, 5 epochs, recipe keras, fp32"),
    ],
)
def test_settings_of_any_type_that_a_record_may_have_are_told(settings: dict[str, object], words: str) -> None:
    (cell,) = make_evidence(*make_cell([0.70], settings=settings)).cells()
    quantity = cell.quantity()
    assert quantity.fidelity.words == words
    assert {quantity: words} and dict(quantity.details)["Settings"] == words


def test_cells_of_which_one_has_a_parameter_more_are_no_pairs_whichever_comes_first() -> None:
    plain, more = make_cell([0.70, 0.71]), make_cell([0.72, 0.73], path="native", dropout=0.5)
    renamed = [replace(status, run=replace(status.run, name=f"m-{status.run.name}", cell="more")) for status in more]
    (one,), (other,) = (make_evidence(*plain, more=renamed).cells(group) for group in ("sweep", "more"))
    assert not are_pairs(one, other) and not are_pairs(other, one)
