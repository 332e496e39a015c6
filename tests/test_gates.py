"""A hostile reviewer's papers: seeds left out, records copied, runs mixed, rules bent. Each is refused or shown."""

from dataclasses import replace
from typing import Any

import pytest

from experiments.spec import ConfigurationError, ReproductionError, Run, State
from experiments.status import RunStatus
from report.evidence import Evidence
from report.judge.claims import Claim, ClaimKind, Protocol
from report.judge.gates import setting_text
from report.judge.trials import Outcome
from report.verdicts import check
from tests.judging import DIRECTION, EQUALITY, ORIGINAL, THRESHOLD, TREND, bits, claim, claims_file, judged, sweep
from tests.made_up import SETTINGS, make_cell, make_evidence, make_run, measured, waiting

LOW, HIGH = (0.600, 0.602, 0.601), (0.650, 0.652, 0.648)


def test_seeds_that_are_planned_and_missing_stand_in_the_verdict() -> None:
    """Three good seeds of five: decided, but nobody can overlook the other two."""
    cell = [*make_cell((0.720, 0.721, 0.722)), *(waiting(make_run(seed)) for seed in (3, 4))]
    verdict = judged(make_evidence(*cell), THRESHOLD)
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.reasons[1] == "provisional, on 3 of 5 planned runs: e5-p8-k3 lacks seeds 3, 4"
    verdict = judged(make_evidence(*cell[:4]), THRESHOLD)
    assert verdict.reasons[1] == "provisional, on 3 of 4 planned runs: e5-p8-k3 lacks seed 3"


def test_seeds_picked_from_the_middle_are_named() -> None:
    runs = {0: 0.720, 3: 0.721, 4: 0.722}
    cell = [
        measured(make_run(seed), runs[seed]) if seed in runs else waiting(make_run(seed), State.FAILED, "it diverged")
        for seed in range(5)
    ]
    verdict = judged(make_evidence(*cell), THRESHOLD)
    assert verdict.reasons[1] == "provisional, on 3 of 5 planned runs: e5-p8-k3 lacks seeds 1, 2"


def test_recorded_seeds_that_another_group_plans_stand_in_the_verdict() -> None:
    """Whoever runs ten seeds and plans the best three for the claim names the other seven."""
    spare = [measured(make_run(seed), 0.680) for seed in (3, 4)]
    verdict = judged(make_evidence(*make_cell((0.720, 0.721, 0.722)), spare=spare), THRESHOLD)
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.reasons[1] == "recorded as well, and not judged: seeds 3, 4 of e5-p8-k3"
    verdict = judged(make_evidence(*make_cell((0.720, 0.721)), spare=spare[:1]), THRESHOLD)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons[1] == "recorded as well, and not judged: seed 3 of e5-p8-k3"


def test_a_recorded_level_that_the_group_of_a_trend_leaves_out_stands_in_the_verdict() -> None:
    levels = [run for size, values in ((3, LOW), (5, (0.62, 0.621, 0.622)), (7, HIGH)) for run in at(size, values)]
    verdict = judged(make_evidence(*levels, coarse=at(9, LOW)), TREND)
    assert verdict.outcome is Outcome.REPRODUCED
    assert "recorded as well, and not judged: seeds 0, 1, 2 of kernel size 9" in verdict.reasons
    planned = [waiting(make_run(seed, kernel_size=9)) for seed in range(3)]
    for others in (planned, make_cell(LOW, kernel_size=9, patch_size=4)):  # not run, and of another network
        assert not any("not judged" in why for why in judged(make_evidence(*levels, coarse=others), TREND).reasons)


def at(size: int, accuracies: tuple[float, ...]) -> list[RunStatus]:
    return make_cell(accuracies, kernel_size=size)


def with_images(status: RunStatus, seed: int) -> RunStatus:
    assert status.record is not None
    right = [(index * (seed + 3)) % 11 < 7 for index in range(100)]
    return replace(status, record=replace(status.record, correct=bits(right)))


def with_history(status: RunStatus, history: dict[str, Any]) -> RunStatus:
    assert status.record is not None
    return replace(status, record=replace(status.record, history=history))


def test_a_copied_record_is_no_second_run() -> None:
    cell = [with_images(status, seed) for seed, status in enumerate(make_cell((0.720, 0.721, 0.722)))]
    assert judged(make_evidence(*cell), THRESHOLD).outcome is Outcome.REPRODUCED
    curves = {**cell[1].record.history, "rate": [0.1, 0.0]}
    first = with_history(cell[1], {**curves, "seconds": [1.0, 2.0]})
    # a copy with another time, or with a number written otherwise, is a copy
    for changed in ({"seconds": [1.0, 2.0]}, {"seconds": [1.0, 2.1]}, {"seconds": [1.0, 2.0], "rate": [0.1, 0]}):
        copy = with_history(cell[2], {**curves, **changed})
        copy = replace(copy, record=replace(copy.record, correct=cell[1].record.correct))
        verdict = judged(make_evidence(cell[0], first, copy), THRESHOLD)
        assert (verdict.outcome, verdict.reasons) == (
            Outcome.INCONCLUSIVE,
            ("the runs of seeds 1, 2 of e5-p8-k3 are the same image by image: a copied record is no second run",),
        )


def test_the_same_images_right_by_another_training_are_no_copy() -> None:
    """A coincidence where test images are few; that is told from a copy by the curves, which no two trainings share."""
    first, second, third = (with_images(status, 0) for status in make_cell((0.720, 0.721, 0.722)))
    assert judged(make_evidence(first, second, third), THRESHOLD).outcome is Outcome.REPRODUCED
    copy = with_history(third, second.record.history)
    assert judged(make_evidence(first, second, copy), THRESHOLD).outcome is Outcome.INCONCLUSIVE


def test_a_single_run_decides_nothing_however_clear_it_looks() -> None:
    verdict = judged(sweep((0.1,), (0.9,)), DIRECTION)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons[0].endswith("; a single run shows no more than its own accuracy")


def test_unequal_numbers_of_runs_are_all_used() -> None:
    verdict = judged(sweep(LOW, (*HIGH, 0.651, 0.649)), DIRECTION)
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.ours is not None and verdict.ours.aggregate.endswith(", 5 against 3 runs")
    assert len(verdict.ours.origin) == 8


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_accuracy_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ReproductionError, match="statistics of finite numbers only"):
        judged(sweep((0.6, 0.61, value), HIGH), DIRECTION)


def test_runs_of_one_cell_with_different_epochs_are_not_averaged() -> None:
    odd = measured(make_run(3), 0.72, epochs=40)
    verdict = judged(make_evidence(*make_cell((0.720, 0.721, 0.722)), odd), THRESHOLD)
    assert verdict.outcome is Outcome.NOT_COMPARABLE
    assert verdict.reasons == ("e5-p8-k3: its runs differ in epochs: 5, 40",)


def planned(*cells: dict[str, Any], seeds: int = 3) -> Evidence:
    """Evidence in which nothing is recorded yet."""
    return make_evidence(*(waiting(make_run(seed, **cell)) for cell in cells for seed in range(seeds)))


@pytest.mark.parametrize("one", [DIRECTION, TREND], ids=lambda one: one.kind.value)
@pytest.mark.parametrize(
    ("name", "other"), [("dataset", "digits"), ("epochs", 40), ("recipe", "paper"), ("train_images", 50_000)]
)
def test_cells_under_other_settings_are_no_effect_of_what_a_claim_is_about(one: Claim, name: str, other: Any) -> None:
    sizes = [make_cell(values, kernel_size=size) for size, values in ((3, LOW), (7, (0.700, 0.702, 0.698)))]
    cells = [*sizes[0], *make_cell(HIGH, kernel_size=5, settings={name: other}), *sizes[1]]
    verdict = judged(make_evidence(*cells), replace(one, protocol=None))
    assert verdict.outcome is Outcome.NOT_COMPARABLE
    assert verdict.reasons[0].startswith(f"the cells that the rule compares differ in {name} ")


def test_cells_that_are_planned_with_other_epochs_are_refused_before_they_are_run() -> None:
    evidence = planned({"kernel_size": 3, "epochs": 15}, {"kernel_size": 5, "epochs": 45})
    with pytest.raises(ConfigurationError) as caught:
        check(claims_file(DIRECTION), evidence, ORIGINAL)
    assert str(caught.value) == (
        "claims.yaml: claims.it: the cells that its rule compares are planned with epochs 45 and 15, and would be NOT "
        "COMPARABLE; name or plan cells that agree in dataset, epochs, recipe, train images"
    )
    value = replace(EQUALITY, cell={"kernel_size": 3})
    assert check(claims_file(value), evidence, ORIGINAL) == []


def test_models_that_are_only_counted_may_be_trained_in_several_ways() -> None:
    evidence = planned({"kernel_size": 3, "epochs": 15}, {"kernel_size": 3, "epochs": 45})
    one = claim(ClaimKind.COUNT, quoted=("a",), protocol=None, group=None)
    assert check(claims_file(one), evidence, ORIGINAL) == []


def test_a_claim_for_which_fewer_seeds_are_planned_than_it_needs_is_told() -> None:
    evidence = make_evidence(
        *(waiting(make_run(seed, kernel_size=size)) for size, seeds in ((3, 12), (5, 4)) for seed in range(seeds))
    )
    assert check(claims_file(replace(DIRECTION, min_seeds=10)), evidence, ORIGINAL) == [
        (
            "claims.yaml: claims.it: e5-p8-k5 is planned with 4 of the 10 seeds that min_seeds asks for, so that the claim "
            "stays INCONCLUSIVE: plan more, or state now that fewer do"
        )
    ]
    whole = claim(ClaimKind.COMPOUND, id="whole", parts=("it",), group=None, protocol=None)
    assert check(claims_file(replace(DIRECTION, min_seeds=4), whole), evidence, ORIGINAL) == []


def test_a_setting_that_is_a_list_is_a_deviation_like_any_other() -> None:
    protocol = Protocol("ours", "the original", "its README", {"betas": 0.9})
    cell = make_cell((0.720, 0.721, 0.722), settings={"betas": [0.9, 0.999]})
    verdict = judged(make_evidence(*cell), replace(THRESHOLD, protocol=protocol))
    assert verdict.outcome is Outcome.NOT_COMPARABLE
    assert verdict.reasons == ("our runs differ from the original's in betas [0.9, 0.999] (original 0.9)",)


def test_of_many_deviations_the_first_three_are_told_and_how_many_more_there_are() -> None:
    for amount, more in ((4, ""), (5, " and 2 more settings")):
        settings = {f"s{number}": number for number in range(amount)}
        protocol = Protocol("ours", "the original", "its README", settings)
        verdict = judged(make_evidence(*make_cell((0.720, 0.721))), replace(THRESHOLD, protocol=protocol))
        told = [f"s{number} not recorded (original {number})" for number in range(3 if more else amount)]
        assert verdict.reasons == (f"our runs differ from the original's in {', '.join(told)}{more}",)
        assert len(verdict.deviations) == amount


def test_settings_of_several_runs_are_told_once_each_and_as_a_reader_has_them() -> None:
    runs = [measured(make_run(seed), 0.72, flip=flip, clip_norm=None) for seed, flip in enumerate((True, False, True))]
    protocol = Protocol("ours", "the original", "its README", {"flip": None, "clip_norm": 1.0, "epochs": 12_000})
    verdict = judged(make_evidence(*runs), replace(THRESHOLD, protocol=protocol))
    assert [(d.setting, d.original, d.ours) for d in verdict.deviations] == [
        ("flip", "none", "False, True"),
        ("clip_norm", "1", "none"),
        ("epochs", "12,000", "5"),
    ]


def test_cells_that_were_computed_alike_are_named_together() -> None:
    cells = [
        status
        for size, path in ((3, "native"), (5, "native"), (7, "plain"))
        for status in make_cell((0.60 + size / 100, 0.601 + size / 100, 0.602 + size / 100), kernel_size=size)
        for status in [replace(status, record=replace(status.record, settings={**SETTINGS, "path": path}))]
    ]
    told = "the cells differ in path: native at kernel size 3, 5; plain at kernel size 7"
    assert judged(make_evidence(*cells), TREND).reasons[1] == told
    to_come = waiting(make_run(0, kernel_size=9))
    assert told in judged(make_evidence(*cells, to_come), TREND).reasons  # a cell without runs has no way of computing


def test_a_rehearsal_decides_nothing_even_where_every_setting_fits() -> None:
    cell = [replace(status, run=replace(status.run, smoke=True)) for status in make_cell((0.720, 0.721, 0.722))]
    verdict = judged(make_evidence(*cell), THRESHOLD)
    assert (verdict.outcome, verdict.reasons) == (Outcome.NOT_COMPARABLE, ("a rehearsal decides nothing",))


def test_a_claim_on_cells_that_a_rehearsal_leaves_out_is_not_tested() -> None:
    cell = [replace(status, run=replace(status.run, smoke=True)) for status in make_cell((0.720, 0.721, 0.722))]
    verdict = judged(make_evidence(*cell), DIRECTION)
    assert (verdict.outcome, verdict.reasons) == (Outcome.NOT_TESTED, ("this rehearsal leaves its cells out",))


def architecture(name: str, accuracies: tuple[float, ...], **sizes: Any) -> list[RunStatus]:
    runs = [make_run(seed, architecture=name, **sizes) for seed in range(len(accuracies))]
    named = [Run(f"{name}-s{run.seed}", run.notebook, run.parameters, run.groups, name) for run in runs]
    return [measured(run, accuracy) for run, accuracy in zip(named, accuracies, strict=True)]


def test_a_word_that_tells_cells_apart_names_them_alone() -> None:
    cells = [*architecture("convmixer", (0.7,)), *architecture("vit", (0.6,), width=96, depth=6)]
    one = replace(DIRECTION, better={"architecture": "convmixer"}, worse={"architecture": "vit"})
    assert (
        judged(make_evidence(*cells), one)
        .reasons[0]
        .startswith("too few runs: architecture convmixer has 1 of 3 runs, architecture vit has 1 of 3 runs")
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9999999, "0.9999999"),
        (1_234_567.0, "1,234,567"),
        (45_000, "45,000"),
        (1e-5, "1e\N{MINUS SIGN}5"),
        (1e-10, "1e\N{MINUS SIGN}10"),
        (-0.5, "\N{MINUS SIGN}0.5"),
        (None, "none"),
        (True, "True"),
        ("pre-activation", "pre-activation"),
    ],
)
def test_a_setting_is_told_with_all_its_digits(value: Any, text: str) -> None:
    assert setting_text(value) == text
