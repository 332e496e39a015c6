"""A hostile reviewer's papers: seeds left out, records copied, runs mixed, rules bent. Each is refused or shown."""

from dataclasses import replace
from typing import Any

import pytest

from experiments.spec import ConfigurationError, ReproductionError, Run, State
from experiments.status import RunStatus
from report.claims import Protocol
from report.evidence import Evidence
from report.gates import setting_text
from report.trials import Outcome
from report.verdicts import check
from tests.judging import DIRECTION, EQUALITY, ORIGINAL, THRESHOLD, bits, claims_file, judged, sweep
from tests.made_up import make_cell, make_evidence, make_run, measured, waiting

LOW, HIGH = (0.600, 0.602, 0.601), (0.650, 0.652, 0.648)


def test_seeds_that_are_planned_and_missing_stand_in_the_verdict() -> None:
    """Three good seeds of five: decided, but nobody can overlook the other two."""
    cell = [*make_cell((0.720, 0.721, 0.722)), *(waiting(make_run(seed)) for seed in (3, 4))]
    verdict = judged(make_evidence(*cell), THRESHOLD)
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.reasons[1] == "provisional, on 3 of 5 planned runs: e5-p8-k3 lacks seeds 3, 4"


def test_seeds_picked_from_the_middle_are_named() -> None:
    runs = {0: 0.720, 3: 0.721, 4: 0.722}
    cell = [
        measured(make_run(seed), runs[seed]) if seed in runs else waiting(make_run(seed), State.FAILED, "it diverged")
        for seed in range(5)
    ]
    verdict = judged(make_evidence(*cell), THRESHOLD)
    assert verdict.reasons[1] == "provisional, on 3 of 5 planned runs: e5-p8-k3 lacks seeds 1, 2"


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
    assert verdict.reasons == ("e5-p8-k3: its runs differ in epochs: 40, 5",)


def planned(*cells: dict[str, Any], seeds: int = 3) -> Evidence:
    """Evidence in which nothing is recorded yet."""
    return make_evidence(*(waiting(make_run(seed, **cell)) for cell in cells for seed in range(seeds)))


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


def test_a_claim_for_which_fewer_seeds_are_planned_than_it_needs_is_told() -> None:
    evidence = planned({"kernel_size": 3}, {"kernel_size": 5}, seeds=4)
    assert check(claims_file(replace(DIRECTION, min_seeds=10)), evidence, ORIGINAL) == [
        (
            "claims.yaml: claims.it: e5-p8-k5 is planned with 4 of the 10 seeds that min_seeds asks for, so that the claim "
            "stays INCONCLUSIVE: plan more, or state now that fewer do"
        )
    ]
    assert check(claims_file(replace(DIRECTION, min_seeds=4)), evidence, ORIGINAL) == []


def test_a_setting_that_is_a_list_is_a_deviation_like_any_other() -> None:
    protocol = Protocol("ours", "the original", "its README", {"betas": 0.9})
    cell = make_cell((0.720, 0.721, 0.722), settings={"betas": [0.9, 0.999]})
    verdict = judged(make_evidence(*cell), replace(THRESHOLD, protocol=protocol))
    assert verdict.outcome is Outcome.NOT_COMPARABLE
    assert verdict.reasons == ("our runs differ from the original's in betas [0.9, 0.999] (original 0.9)",)


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
