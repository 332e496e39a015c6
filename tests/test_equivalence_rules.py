"""Claims that two cells give the same accuracy, within a margin."""

from dataclasses import replace

import pytest

from experiments.spec import ConfigurationError
from report.judge.claims import ClaimKind
from report.judge.trials import Outcome
from tests.judging import DIRECTION, EQUIVALENCE, claim, judged, sweep, ways
from tests.made_up import make_cell, make_evidence

PLAIN = (0.700, 0.710, 0.690, 0.705)
CLOSE = (0.701, 0.7095, 0.691, 0.7045)


def test_ways_that_agree_seed_by_seed_are_equivalent_though_seeds_differ_by_more_than_the_margin() -> None:
    verdict = judged(ways(PLAIN, CLOSE), EQUIVALENCE)
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.reasons == ("the difference lies within ± 0.50 pp (p < 0.001, paired by seed)",)
    assert verdict.ours is not None and verdict.ours.spread is not None
    assert verdict.ours.parts.value == "+0.03"
    assert verdict.ours.spread.kind == "95 % interval of the difference (paired by seed)"


def test_without_the_same_seeds_the_runs_are_independent_and_nothing_is_dropped() -> None:
    verdict = judged(ways(PLAIN, CLOSE[:3]), EQUIVALENCE)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons[0] == "the runs do not settle it (p = 0.283, by Welch's method)"
    assert verdict.ours is not None and verdict.ours.spread is not None
    assert verdict.ours.spread.kind == "95 % interval of the difference (Welch)"


@pytest.mark.parametrize(
    ("native", "outcome", "reason"),
    [
        (
            (0.720, 0.731, 0.710, 0.726),
            Outcome.NOT_REPRODUCED,
            "the 95 % interval of the difference lies wholly outside ± 0.50 pp (paired by seed)",
        ),
        (
            (0.701, 0.712, 0.6915, 0.7065),
            Outcome.REPRODUCED,
            "the difference lies within ± 0.50 pp (p < 0.001, paired by seed), though it is not zero",
        ),
        ((0.690, 0.720, 0.695, 0.700), Outcome.INCONCLUSIVE, "the runs do not settle it (p = 0.177, paired by seed)"),
    ],
    ids=["apart", "apart by less than matters", "straddling"],
)
def test_an_equivalence(native: tuple[float, ...], outcome: Outcome, reason: str) -> None:
    verdict = judged(ways(PLAIN, native), EQUIVALENCE)
    assert (verdict.outcome, verdict.reasons) == (outcome, (reason,))


def test_swapping_cell_and_reference_changes_no_outcome() -> None:
    swapped = replace(EQUIVALENCE, cell=EQUIVALENCE.reference, reference=EQUIVALENCE.cell)
    slight = (0.701, 0.712, 0.6915, 0.7065)
    for native in (
        CLOSE,
        (0.720, 0.731, 0.710, 0.726),
        (0.690, 0.720, 0.695, 0.700),
        (0.699, 0.716, 0.700, 0.707),
        slight,
    ):
        one, other = judged(ways(PLAIN, native), EQUIVALENCE), judged(ways(PLAIN, native), swapped)
        assert (other.outcome, other.reasons) == (one.outcome, one.reasons)


def test_pairs_that_agree_to_the_image_are_equal_but_only_where_an_image_is_known() -> None:
    known, unknown = judged(ways(PLAIN, PLAIN, images=10_000), EQUIVALENCE), judged(ways(PLAIN, PLAIN), EQUIVALENCE)
    assert known.outcome is Outcome.REPRODUCED
    assert unknown.outcome is Outcome.INCONCLUSIVE
    assert unknown.reasons == (
        "the differences of the pairs are exactly equal, so that nothing is known of their spread",
    )


def test_networks_of_different_shape_are_no_pairs_even_with_the_same_seeds() -> None:
    shapes = claim(ClaimKind.EQUIVALENCE, cell={"kernel_size": 5}, reference={"kernel_size": 3}, margin=0.005)
    assert judged(sweep(PLAIN, CLOSE), shapes).reasons == ("the runs do not settle it (p = 0.222, by Welch's method)",)


def test_the_way_of_computing_is_what_is_asked_and_no_unfairness() -> None:
    assert not any("differ in path" in reason for reason in judged(ways(PLAIN, CLOSE), EQUIVALENCE).reasons)


def test_a_sweep_whose_cells_were_computed_in_different_ways_says_so() -> None:
    shapes = claim(ClaimKind.EQUIVALENCE, cell={"kernel_size": 5}, reference={"kernel_size": 3}, margin=0.005)
    cells = (
        *make_cell(PLAIN, settings={"path": "plain"}),
        *make_cell(CLOSE, kernel_size=5, settings={"path": "native"}),
    )
    assert (
        judged(make_evidence(*cells), shapes).reasons[1]
        == "the cells differ in path: native at kernel size 5; plain at kernel size 3"
    )


def test_cells_of_different_epochs_are_not_compared() -> None:
    shapes = claim(ClaimKind.EQUIVALENCE, cell={"kernel_size": 5}, reference={"kernel_size": 3}, margin=0.005)
    cells = (*make_cell(PLAIN), *make_cell(CLOSE, kernel_size=5, settings={"epochs": 40}))
    verdict = judged(make_evidence(*cells), shapes)
    assert verdict.outcome is Outcome.NOT_COMPARABLE
    assert verdict.reasons == ("the cells that the rule compares differ in epochs 5, 40",)


def test_a_cell_is_not_compared_with_itself() -> None:
    same = claim(ClaimKind.EQUIVALENCE, cell={"kernel_size": 3}, reference={"patch_size": 8}, margin=0.005)
    with pytest.raises(ConfigurationError) as caught:
        judged(sweep(PLAIN), same)
    assert str(caught.value) == "claims.yaml: claims.it: cell and reference are the same one, 'e5-p8-k3'"


def test_a_direction_between_ways_of_computing_is_judged_on_the_pairs_whose_interval_is_printed() -> None:
    better = claim(
        ClaimKind.DIRECTION, better={"path": "native"}, worse={"path": "plain"}, margin=0.002, family="effects"
    )
    plain, native = (0.700, 0.710, 0.720, 0.730), (0.7051, 0.7149, 0.7252, 0.7349)
    verdict = judged(ways(plain, native), better)
    assert verdict.ours is not None and verdict.ours.parts.text == "+0.50 ± 0.02 pp (n = 4)"
    assert (verdict.outcome, verdict.reasons) == (
        Outcome.REPRODUCED,
        ("the difference has the claimed sign (p < 0.001)",),
    )
    assert "paired by seed where both cells have the same seeds" in verdict.rule
    assert verdict.stability == "the same whichever of the 4 pairs is left out"
    assert judged(ways(plain, native[:3]), better).outcome is Outcome.INCONCLUSIVE  # no pairs any more
    assert judged(ways(plain, plain), better).reasons[0].startswith("the differences of the pairs are exactly equal")
    assert "paired" not in judged(sweep(plain, native), DIRECTION).rule
