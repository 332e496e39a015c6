"""Verdicts by a table of cases: clearly there, clearly not, straddling, one seed, none, other settings, wrong names."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.spec import ConfigurationError, Correct, State
from report import statistics
from report.evidence import Evidence
from report.judge import power
from report.judge.claims import OURS, Claim, ClaimKind, Claims, Protocol
from report.judge.effect_rules import trend
from report.judge.gates import Deviation
from report.judge.trials import Outcome, Sources, Tails
from report.judge.verdict import Verdict, title_prefix
from report.listings import claim_tables
from report.original import Quoted
from report.unknown import UnknownName
from report.verdicts import check, judge
from tests.judging import (
    EQUALITY,
    EQUIVALENCE,
    ORIGINAL,
    PROTOCOL,
    THRESHOLD,
    claim,
    claims_file,
    judged,
    quoted,
    sweep,
    verdicts_on,
    ways,
)
from tests.made_up import make_cell, make_evidence, make_facts, make_run, waiting

LONG = Protocol("long", "the original", "its README", {"dataset": "cifar10", "epochs": 200, "batch_size": 128})
DIRECTION = claim(
    ClaimKind.DIRECTION,
    better={"kernel_size": 5},
    worse={"kernel_size": 3},
    margin=0.005,
    family="effects",
    quoted=("large", "b"),
    essential=("dataset",),
)
TREND = claim(
    ClaimKind.TREND,
    along="kernel_size",
    order="increasing",
    margin=0.005,
    family="effects",
    essential=("dataset",),
)
COUNT = claim(ClaimKind.COUNT, quoted=("a",), protocol=None, group=None)

LOW, HIGH, TOP = (0.600, 0.602, 0.601), (0.650, 0.652, 0.648), (0.700, 0.703, 0.698)
NEAR = (0.6005, 0.6015, 0.601)
NOISY = (0.55, 0.62, 0.66)


@pytest.mark.parametrize(
    ("evidence", "outcome", "reason"),
    [
        (sweep(LOW, HIGH), Outcome.REPRODUCED, "the difference has the claimed sign (p < 0.001)"),
        (
            sweep(HIGH, LOW),
            Outcome.NOT_REPRODUCED,
            "the difference has the opposite sign (p < 0.001)",
        ),
        (sweep(LOW, NEAR), Outcome.NOT_REPRODUCED, "the effect is absent: the difference lies within ± 0.50 pp"),
        (sweep(LOW, NOISY), Outcome.INCONCLUSIVE, "neither the claimed effect (p = 0.403) nor its absence is shown"),
        (
            sweep(LOW, HIGH[:1]),
            Outcome.INCONCLUSIVE,
            "too few runs: kernel size 5 has 1 of 3 runs; a single run shows no more than its own accuracy",
        ),
    ],
    ids=["above", "below", "absent", "straddling", "one seed"],
)
def test_a_direction(evidence: Evidence, outcome: Outcome, reason: str) -> None:
    verdict = judged(evidence, DIRECTION)
    assert (verdict.outcome, verdict.reasons) == (outcome, (reason,))


@pytest.mark.parametrize(
    ("evidence", "rule", "reached"),
    [
        (sweep((0.60, 0.61, 0.62), (0.62, 0.63, 0.64)), DIRECTION, "0"),
        (sweep((0.62, 0.63, 0.64), (0.60, 0.61, 0.62)), DIRECTION, "0"),
        (sweep((0.7115, 0.712, 0.714)), THRESHOLD, "the quoted value"),
    ],
)
def test_an_effect_that_is_shown_though_its_printed_interval_reaches_none_says_so(
    evidence: Evidence, rule: Claim, reached: str
) -> None:
    verdict = judged(evidence, rule)
    assert verdict.is_decided and verdict.reasons[1] == f"the 95 % interval, which is two-sided, reaches {reached}"


def test_a_direction_reports_the_quoted_difference_ours_and_p() -> None:
    verdict = judged(sweep(LOW, HIGH), DIRECTION)
    texts = [quantity.parts.text for quantity in verdict.quantities]
    assert texts == ["+2.00 pp", "+4.90 ± 0.42 pp (n = 3)", "< 0.001"]
    assert verdict.probability is not None and verdict.detectable is not None and verdict.ours is not None
    assert set(verdict.probability.origin) == set(verdict.detectable.origin) == set(verdict.ours.origin)
    assert len(verdict.probability.origin) == 6
    assert verdict.is_tested and verdict.is_decided


@pytest.mark.parametrize(
    ("evidence", "outcome", "reason"),
    [
        (sweep(LOW, HIGH, TOP), Outcome.REPRODUCED, "accuracy follows kernel size in the claimed order (p < 0.001)"),
        (
            sweep(TOP, HIGH, LOW),
            Outcome.NOT_REPRODUCED,
            "accuracy follows kernel size in the opposite order (p < 0.001)",
        ),
        (
            sweep(LOW, TOP, HIGH, (0.75, 0.751, 0.752)),
            Outcome.PARTIAL,
            "the trend is there (p = 0.005), but reversed from 5 to 7",
        ),
        (
            sweep(LOW, NEAR, (0.6004, 0.602, 0.6008)),
            Outcome.NOT_REPRODUCED,
            "the effect is absent: the end-to-end difference lies within ± 0.50 pp",
        ),
        (
            sweep(NOISY, NOISY, NOISY),
            Outcome.INCONCLUSIVE,
            "neither the claimed effect (p = 0.585) nor its absence is shown",
        ),
        (
            sweep(LOW, HIGH, TOP[:2]),
            Outcome.INCONCLUSIVE,
            "too few runs: kernel size 7 has 2 of 3 runs",
        ),
    ],
    ids=["rising", "falling", "one step reversed", "absent", "straddling", "a seed short"],
)
def test_a_trend(evidence: Evidence, outcome: Outcome, reason: str) -> None:
    verdict = judged(evidence, TREND)
    assert (verdict.outcome, verdict.reasons) == (outcome, (reason,))


def test_an_opposite_order_shares_the_error_rate_of_its_family_and_must_show_between_the_ends() -> None:
    falling = sweep((0.704, 0.7045, 0.705), (0.702, 0.703, 0.704), (0.700, 0.701, 0.7025))
    alone = replace(TREND, margin=0.0)
    trial = trend(alone, Sources(falling, {}, {}))
    assert trial.tails is not None and trial.tails.opposite < 0.05
    assert trial.judge(trial.tails, 0.0)[0] is Outcome.NOT_REPRODUCED
    assert trial.judge(Tails(1.0, 0.06), 0.0)[0] is Outcome.INCONCLUSIVE
    ends_meet = sweep((0.703, 0.705, 0.690), (0.7015, 0.702, 0.7025), (0.689, 0.7005, 0.7001), (0.688, 0.699, 0.7002))
    unclear = trend(alone, Sources(ends_meet, {}, {}))
    assert unclear.tails.opposite < 0.05
    assert unclear.judge(unclear.tails, 0.0)[0] is Outcome.INCONCLUSIVE


def test_a_trend_is_printed_between_the_levels_that_are_quoted_and_judged_over_all() -> None:
    rows = {f"k{size}": replace(quoted(f"k{size}"), cell={"kernel_size": size}) for size in (3, 5, 7, 9)}
    one = claim(**{**vars(TREND), "quoted": ("k5", "k3")})
    verdict = judge(Claims(0.05, 3, {"it": one}, {}, {}), sweep(LOW, HIGH, TOP), rows)["it"]
    assert verdict.ours is not None and verdict.ours.parts.value == "+4.90"
    assert verdict.span == (
        "reported and ours are the difference between kernel size 5 and 3, the end-to-end difference is between 7 and 3"
    )
    waits = judge(claims_file(one), sweep(LOW, HIGH, TOP[:1]), rows)["it"]
    assert (waits.outcome, waits.span) == (Outcome.INCONCLUSIVE, verdict.span)
    upper, whole = (
        judge(claims_file(replace(one, quoted=ends)), sweep(LOW, HIGH, TOP), rows)["it"].span
        for ends in (("k7", "k5"), ("k7", "k3"))
    )
    assert upper.startswith("reported and ours are the difference between kernel size 7 and 5, ") and whole == ""
    with pytest.raises(ConfigurationError) as caught:
        judge(Claims(0.05, 3, {"it": replace(one, quoted=("k9", "k3"))}, {}, {}), sweep(LOW, HIGH, TOP), rows)
    assert str(caught.value) == (
        "claims.yaml: claims.it.quoted: 'k9' is for kernel size 9, which is no level of group 'sweep'; its levels are "
        "3, 5, 7: quote an effect between two"
    )


def test_a_falling_trend_is_judged_in_its_own_order() -> None:
    falling = claim(ClaimKind.TREND, along="kernel_size", order="decreasing", margin=0.005, family="effects")
    verdict = judged(sweep(TOP, HIGH, LOW), falling)
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.ours is not None and verdict.ours.parts.value == "+9.93"


@pytest.mark.parametrize(
    ("accuracies", "outcome", "reason"),
    [
        (
            (0.7095, 0.7105, 0.7102),
            Outcome.REPRODUCED,
            (
                "our mean is within ± 1.00 pp (p < 0.001); the quoted value lies inside the 95 % prediction interval for "
                "one more run"
            ),
        ),
        (
            (0.750, 0.752, 0.751),
            Outcome.NOT_REPRODUCED,
            (
                "the interval of the difference lies wholly outside ± 1.00 pp, and the quoted value lies outside the "
                "95 % prediction interval for one more run"
            ),
        ),
        (
            (0.738, 0.750, 0.762),
            Outcome.INCONCLUSIVE,
            (
                "the interval of the difference lies wholly outside ± 1.00 pp, but the quoted value lies inside the "
                "95 % prediction interval for one more run"
            ),
        ),
        (
            (0.70, 0.72, 0.74),
            Outcome.INCONCLUSIVE,
            (
                "the runs do not settle it (p = 0.500); the quoted value lies inside the 95 % prediction interval for "
                "one more run"
            ),
        ),
        (
            (0.71,),
            Outcome.INCONCLUSIVE,
            "too few runs: e5-p8-k3 has 1 of 3 runs; a single run shows no more than its own accuracy",
        ),
    ],
    ids=["within", "outside", "outside but as one more run might be", "straddling", "one seed"],
)
def test_an_equality(accuracies: Sequence[float], outcome: Outcome, reason: str) -> None:
    verdict = judged(sweep(accuracies), EQUALITY)
    assert (verdict.outcome, verdict.reasons) == (outcome, (reason,))


@pytest.mark.parametrize(("text", "by"), [("71", "0.50 pp"), ("71.0", ""), ("71.00", "")])
def test_an_equality_says_that_its_quoted_value_was_rounded_where_the_margin_is_not_far_more(
    text: str, by: str
) -> None:
    judged_claim, evidence = replace(EQUALITY, margin=0.008), sweep((0.7101, 0.711, 0.709))
    rows = {"a": quoted("a", text)}
    reasons = judge(claims_file(judged_claim), evidence, rows)["it"].reasons
    told = f"the quoted value, {text} %, may have been rounded by {by}, which no interval covers"
    assert reasons[1:] == ((told,) if by else ())


def test_an_equality_says_what_other_margins_would_give() -> None:
    verdict = judged(sweep((0.715, 0.717, 0.716)), EQUALITY)
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.sensitivity == (
        ("half the margin", Outcome.INCONCLUSIVE),
        ("twice the margin", Outcome.REPRODUCED),
    )


@pytest.mark.parametrize(
    ("accuracies", "outcome"),
    [
        ((0.72, 0.722, 0.721), Outcome.REPRODUCED),
        ((0.70, 0.702, 0.701), Outcome.NOT_REPRODUCED),
        ((0.707, 0.708, 0.709), Outcome.INCONCLUSIVE),
        ((0.70, 0.71, 0.722), Outcome.INCONCLUSIVE),
        ((0.72, 0.722), Outcome.INCONCLUSIVE),
    ],
    ids=["above", "below", "below as one run may be", "straddling", "a seed short"],
)
def test_a_threshold(accuracies: Sequence[float], outcome: Outcome) -> None:
    assert judged(sweep(accuracies), THRESHOLD).outcome is outcome


@pytest.mark.parametrize(
    ("parameters", "outcome", "reason"),
    [
        (600_458, Outcome.REPRODUCED, "the model is recorded and agrees"),
        (601_458, Outcome.NOT_REPRODUCED, "patch size 8, kernel size 3: 601,458, quoted 600 k"),
    ],
)
def test_a_count_is_exact_to_the_thousand(parameters: int, outcome: Outcome, reason: str) -> None:
    verdict = judged(make_evidence(*make_cell([0.7], settings={"parameters": parameters})), COUNT)
    assert (verdict.outcome, verdict.reasons) == (outcome, (reason,))


@pytest.mark.parametrize(
    ("text", "outcome"), [("600.5", Outcome.REPRODUCED), ("600.4", Outcome.NOT_REPRODUCED), ("6E2", Outcome.REPRODUCED)]
)
def test_a_count_agrees_to_the_last_digit_that_is_quoted(text: str, outcome: Outcome) -> None:
    original = {"a": replace(ORIGINAL["a"], parameters_thousands=text, prefix="more than")}
    status = make_cell([0.7], settings={"parameters": 600_458})
    verdict = judge(Claims(0.05, 3, {"it": COUNT}, {}, {}), make_evidence(*status), original)["it"]
    assert verdict.outcome is outcome
    if outcome is Outcome.NOT_REPRODUCED:
        assert verdict.reasons == ("patch size 8, kernel size 3: 600,458, quoted 600.4 k",)


def test_a_count_that_differs_is_told_in_the_words_of_the_papers_labels() -> None:
    status = make_cell([0.7], settings={"parameters": 1_000})
    named = make_evidence(*status)
    labelled = Evidence(named.groups.values(), status, {"patch_size": "Patch size p", "kernel_size": "Taps"})
    (reason,) = judge(Claims(0.05, 3, {"it": COUNT}, {}, {}), labelled, ORIGINAL)["it"].reasons
    assert reason == "patch size 8, taps 3: 1,000, quoted 600 k"


def test_a_count_of_models_that_are_recorded_in_part_is_inconclusive() -> None:
    both = claim(ClaimKind.COUNT, quoted=("a", "other"), protocol=None, group=None)
    other = Quoted("other", "paper", "", "", "700", "cifar10", {"kernel_size": 9}, 5, "", None, "Table 1", "seen", "")
    evidence = make_evidence(*make_cell(LOW), waiting(make_run(0, kernel_size=9)))
    verdicts = judge(Claims(0.05, 3, {"it": both}, {}, {}), evidence, {**ORIGINAL, "other": other})
    assert verdicts["it"].outcome is Outcome.INCONCLUSIVE
    assert verdicts["it"].reasons == ("1 of 2 models is recorded, and agrees",)


def test_a_count_takes_the_data_set_however_the_row_spells_it() -> None:
    original = {"a": replace(ORIGINAL["a"], dataset="CIFAR-10")}
    verdict = judge(Claims(0.05, 3, {"it": COUNT}, {}, {}), sweep(LOW), original)["it"]
    assert verdict.outcome is Outcome.REPRODUCED


@pytest.mark.parametrize(
    ("row", "model"),
    [
        ({"cell": {"kernel_size": 31}}, "dataset='cifar10', kernel_size=31"),
        ({"dataset": "MNIST"}, "dataset='MNIST', patch_size=8, kernel_size=3"),
        ({"cell": {}}, "dataset='cifar10'"),
    ],
    ids=["other sizes", "another data set", "no sizes"],
)
def test_a_count_of_a_model_that_nobody_plans_is_refused_before_its_runs(row: dict[str, Any], model: str) -> None:
    claims = Claims(0.05, 3, {"it": COUNT}, {}, {})
    with pytest.raises(ConfigurationError) as caught:
        check(claims, make_evidence(waiting(make_run(0))), {"a": replace(ORIGINAL["a"], **row)})
    assert str(caught.value) == (
        f"claims.yaml: claims.it.quoted: no cell of the plan is the model of 'a': {model}; plan it, or leave the row out"
    )


@pytest.mark.parametrize("one", [DIRECTION, EQUALITY, THRESHOLD], ids=lambda one: one.kind.value)
def test_without_a_run_a_claim_is_not_tested(one: Claim) -> None:
    planned = [waiting(make_run(seed, kernel_size=kernel)) for kernel in (3, 5) for seed in range(3)]
    verdict = judged(make_evidence(*planned), one)
    runs, hours = (6, "3") if one is DIRECTION else (3, "1.5")
    assert verdict.outcome is Outcome.NOT_TESTED
    assert verdict.reasons == (f"{runs} runs to come, about {hours} h (a guess)",)
    assert not verdict.is_tested and not verdict.is_decided


def test_a_claim_whose_runs_are_stale_says_so_and_is_not_tested() -> None:
    stale = [waiting(make_run(seed), State.STALE, "method.train: train() changed") for seed in range(3)]
    verdict = judged(make_evidence(*stale), EQUALITY)
    assert verdict.outcome is Outcome.NOT_TESTED
    assert verdict.reasons == ("e5-p8-k3: 3 stale: method.train: train() changed",)


def test_a_claim_that_nothing_is_planned_for_gives_its_own_reason() -> None:
    verdict = judged(sweep(LOW), claim(ClaimKind.DIRECTION, untested="no baseline is planned", family="effects"))
    assert (verdict.outcome, verdict.reasons) == (Outcome.NOT_TESTED, ("no baseline is planned",))


def test_a_claim_that_is_called_untested_gives_its_reason_as_long_as_the_runs_that_it_names_wait() -> None:
    planned = [waiting(make_run(seed, kernel_size=kernel)) for kernel in (3, 5) for seed in range(3)]
    verdict = judged(make_evidence(*planned), replace(DIRECTION, untested="out of scope"))
    assert (verdict.outcome, verdict.reasons) == (Outcome.NOT_TESTED, ("out of scope",))


def test_a_verdict_notes_its_power_its_margins_and_its_runs_in_the_words_of_its_claim() -> None:
    power_note = "smallest true difference that these runs would have shown with a chance of 80 %: 0.60 pp"
    runs = "the same whichever of the 6 runs is left out"
    assert judged(sweep(LOW, HIGH), DIRECTION).notes == (
        power_note,
        "the same with half the margin or twice the margin",
        runs,
    )
    near = replace(DIRECTION, margin=0.03, quoted=())
    assert judged(sweep(LOW, HIGH), near).notes[1:] == (
        "with half the margin: REPRODUCED",
        "with twice the margin: PARTIAL",
        runs,
    )
    assert judged(sweep(LOW, HIGH), replace(near, certainty=OURS)).notes[1:3] == (
        "with half the margin: shown",
        "with twice the margin: shown in part",
    )
    gated = judged(sweep(LOW, HIGH, dataset="digits"), DIRECTION)
    assert (gated.outcome, gated.notes) == (Outcome.NOT_COMPARABLE, ())


def test_a_value_under_other_settings_is_not_comparable_and_lists_them() -> None:
    verdict = judged(sweep(LOW), claim(ClaimKind.EQUALITY, protocol=LONG, cell={}, quoted=("a",), margin=0.01))
    assert verdict.outcome is Outcome.NOT_COMPARABLE
    assert verdict.deviations == (Deviation("epochs", "200", "5"),)
    assert verdict.reasons == ("our runs differ from the original's in epochs 5 (original 200)",)


def test_a_setting_that_was_not_recorded_counts_as_a_deviation() -> None:
    protocol = Protocol("x", "the original", "its README", {"momentum": 0.9})
    verdict = judged(sweep(LOW), claim(ClaimKind.EQUALITY, protocol=protocol, cell={}, quoted=("a",), margin=0.01))
    assert verdict.deviations == (Deviation("momentum", "0.9", "not recorded"),)


def test_a_direction_under_other_settings_goes_on_and_says_so() -> None:
    verdict = judged(sweep(LOW, HIGH, TOP), claim(**{**vars(TREND), "protocol": LONG}))
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.reasons[1] == "otherwise than the original: epochs 5 (original 200)"
    assert verdict.is_decided and verdict.is_reduced


def test_a_direction_stops_at_an_essential_setting() -> None:
    verdict = judged(sweep(LOW, HIGH, TOP, dataset="digits"), TREND)
    assert verdict.outcome is Outcome.NOT_COMPARABLE
    assert verdict.reasons == ("our runs differ from the original's in dataset digits (original cifar10)",)


def test_cells_of_different_epochs_are_not_compared() -> None:
    evidence = make_evidence(*make_cell(LOW), *make_cell(HIGH, kernel_size=5, settings={"epochs": 40}))
    verdict = judged(evidence, DIRECTION)
    assert verdict.outcome is Outcome.NOT_COMPARABLE
    assert verdict.reasons == ("the cells that the rule compares differ in epochs 5, 40",)


def test_cells_of_different_precision_are_compared_with_a_reservation() -> None:
    evidence = make_evidence(*make_cell(LOW), *make_cell(HIGH, kernel_size=5, settings={"precision": "bf16"}))
    verdict = judged(evidence, DIRECTION)
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.reasons[1] == "the cells differ in precision: bf16 at kernel size 5; fp32 at kernel size 3"


def test_a_cell_whose_runs_differ_in_a_setting_is_not_comparable() -> None:
    first, second, third = make_cell((0.71, 0.711, 0.712))
    (other,) = make_cell((0.711,), settings={"train_images": 50_000})
    verdict = judged(make_evidence(first, second, third, _as_seed(other, 3)), EQUALITY)
    assert verdict.outcome is Outcome.NOT_COMPARABLE
    assert verdict.reasons == ("e5-p8-k3: its runs differ in train_images: 45000, 50000",)


def _as_seed(status: Any, seed: int) -> Any:
    run = make_run(seed)
    return replace(status, run=run, record=replace(status.record, run=run.name, parameters=run.parameters))


def test_holm_shares_the_error_rate_and_counts_untested_claims() -> None:
    barely = sweep((0.600, 0.606, 0.612), (0.612, 0.620, 0.628))
    alone = judged(barely, DIRECTION)
    others = [
        claim(ClaimKind.DIRECTION, id=f"untested-{index}", untested="nothing planned", family="effects")
        for index in range(2)
    ]
    shared = judged(barely, DIRECTION, *others)
    assert alone.probability is not None and shared.probability is not None
    assert shared.probability.value == pytest.approx(3 * (alone.probability.value or 0))
    assert (alone.outcome, shared.outcome) == (Outcome.REPRODUCED, Outcome.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("outcomes", "prefix"),
    [
        ([Outcome.NOT_TESTED, Outcome.INCONCLUSIVE, Outcome.NOT_COMPARABLE], ""),
        ([Outcome.REPRODUCED, Outcome.NOT_TESTED], "[Re]"),
        ([Outcome.PARTIAL, Outcome.NOT_REPRODUCED], "[Re]"),
        ([Outcome.NOT_REPRODUCED, Outcome.NOT_TESTED], "[¬Re]"),
        ([Outcome.NOT_REPRODUCED, Outcome.NOT_REPRODUCED, Outcome.REPRODUCED], "[¬Re]"),
    ],
)
def test_the_title_follows_the_main_claims(outcomes: list[Outcome], prefix: str) -> None:
    main = {str(index): Verdict(EQUALITY, outcome, (), "") for index, outcome in enumerate(outcomes)}
    minor = {"minor": Verdict(claim(ClaimKind.EQUALITY, main=False), Outcome.NOT_REPRODUCED, (), "")}
    assert title_prefix({**main, **minor}) == prefix


def test_a_reduced_protocol_gives_no_title() -> None:
    """Five epochs refute nothing of two hundred: such a verdict stands in the report and not in its title."""
    main = replace(DIRECTION, main=True)
    fewer, other = Deviation("epochs", "200", "5"), Deviation("precision", "fp32", "bf16")
    failed = Verdict(main, Outcome.NOT_REPRODUCED, (), "", deviations=(fewer,))
    assert failed.is_reduced and title_prefix({"a": failed}) == ""
    held = Verdict(main, Outcome.REPRODUCED, (), "", deviations=(other,))
    assert not held.is_reduced and title_prefix({"a": failed, "b": held}) == "[Re]"
    assert not Verdict(main, Outcome.INCONCLUSIVE, (), "", deviations=(fewer,)).is_reduced  # it says nothing anyway
    beyond = replace(failed, claim=replace(main, certainty=OURS))
    assert not beyond.is_reduced and not beyond.is_main  # there is no original whose protocol it could reduce
    assert (failed.reservation, held.reservation, beyond.reservation) == (" under a reduced protocol", "", "")


def test_a_compound_is_reduced_where_a_part_is() -> None:
    parts = replace(DIRECTION, id="a", protocol=LONG, main=False), replace(DIRECTION, id="b", main=False)
    whole = claim(ClaimKind.COMPOUND, id="whole", parts=("a", "b"), main=True, group=None, protocol=None)
    verdicts = verdicts_on(sweep(LOW, HIGH), *parts, whole)
    assert verdicts["whole"].outcome is Outcome.REPRODUCED
    assert verdicts["whole"].is_reduced and title_prefix(verdicts) == ""


def test_a_claim_on_an_unknown_cell_is_refused_by_name() -> None:
    with pytest.raises(UnknownName) as caught:
        judged(sweep(LOW, HIGH), claim(ClaimKind.EQUALITY, cell={"kernel_size": 9}, quoted=("a",), margin=0.01))
    assert str(caught.value) == (
        "claims.yaml: claims.it: no cell of group 'sweep' with kernel_size=9; name exactly one of: kernel_size=3; kernel_size=5"
    )


def test_a_direction_of_a_cell_against_itself_is_refused() -> None:
    one = claim(ClaimKind.DIRECTION, better={"kernel_size": 3}, worse={"kernel_size": 3, "epochs": 5}, family="effects")
    with pytest.raises(ConfigurationError) as caught:
        judged(sweep(LOW, HIGH), one)
    assert str(caught.value) == "claims.yaml: claims.it: better and worse are the same cell, 'e5-p8-k3'"


def test_a_claim_on_an_unknown_quoted_value_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError) as caught:
        judged(sweep(LOW), claim(ClaimKind.EQUALITY, cell={}, quoted=("c",), margin=0.01))
    assert str(caught.value) == "claims.yaml: claims.it.quoted: 'c' is not in original.csv, which has a, b, large"


@pytest.mark.parametrize(
    ("one", "row", "quoted_value", "ours"),
    [
        (replace(EQUALITY, cell={"kernel_size": 5}), "a", 3, 5),
        (replace(THRESHOLD, quoted=("large",)), "large", 5, 3),
        (replace(DIRECTION, quoted=("b", "large")), "b", 3, 5),
        (replace(DIRECTION, quoted=("large", "large")), "large", 5, 3),
    ],
    ids=["equality", "threshold", "wrong way round", "one row for both"],
)
def test_a_quoted_value_of_another_network_is_refused(one: Claim, row: str, quoted_value: int, ours: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        judged(sweep(LOW, HIGH), one)
    assert str(caught.value) == (
        f"claims.yaml: claims.it.quoted: {row!r} is for kernel size {quoted_value}, the claim's cell has {ours}: quote the "
        "row of that cell, or correct `cell` in original.csv"
    )


@pytest.mark.parametrize(
    ("one", "remedy"),
    [
        (replace(EQUALITY, quoted=("bound",)), "quote a value, or let `kind` be threshold"),
        (replace(DIRECTION, quoted=("large", "bound")), "quote two values, or none"),
        (replace(TREND, quoted=("large", "bound")), "quote two values, or none"),
    ],
    ids=lambda one: one.kind.value if isinstance(one, Claim) else "",
)
def test_a_bound_is_refused_where_a_value_is_needed(one: Claim, remedy: str) -> None:
    rows = {**ORIGINAL, "bound": quoted("bound", "60", prefix="at least")}
    with pytest.raises(ConfigurationError) as caught:
        judge(claims_file(one), sweep(LOW, HIGH, TOP), rows)
    assert str(caught.value) == (
        f"claims.yaml: claims.it.quoted: 'bound' is a bound, 'at least 60', where a claim of kind {one.kind} needs a value: "
        f"{remedy}"
    )


def test_a_threshold_on_a_bound_is_decided_and_prints_no_distance_from_it() -> None:
    rows = {"bound": quoted("bound", "50", prefix="more than")}
    verdict = judge(claims_file(replace(THRESHOLD, quoted=("bound",))), sweep(LOW), rows)["it"]
    assert (verdict.outcome, verdict.difference) == (Outcome.REPRODUCED, None)
    assert [quantity.parts.text for quantity in verdict.quantities] == ["more than 50 %", "60.10 ± 0.25 % (n = 3)"]


def test_a_row_has_what_is_usual_and_a_directions_rows_may_have_other_sizes_than_ours() -> None:
    usual = {"kernel_size": 5}
    rows = {"base": replace(quoted("base"), cell={"patch_size": 1}, usual=usual), "b": quoted("b", patch_size=1)}
    same_size = {"better": {"kernel_size": 5, "patch_size": 8}, "worse": {"kernel_size": 3, "patch_size": 8}}
    one = replace(DIRECTION, **same_size, quoted=("base", "b"))
    assert judge(claims_file(one), sweep(LOW, HIGH), rows)["it"].outcome is Outcome.REPRODUCED
    with pytest.raises(ConfigurationError, match="'base' is for kernel size 5, the claim's cell has 3"):
        judge(claims_file(replace(one, quoted=("base", "base"))), sweep(LOW, HIGH), rows)


def test_a_quoted_row_without_the_number_that_is_asked_for_is_told_with_the_claim() -> None:
    rows = {"a": replace(ORIGINAL["a"], parameters_thousands="")}
    counted = claim(ClaimKind.COUNT, quoted=("a",), group=None)
    with pytest.raises(ConfigurationError) as caught:
        judge(Claims(0.05, 3, {"it": counted}, {}, {}), sweep(LOW), rows)
    assert str(caught.value) == "claims.yaml: claims.it: original.csv: 'a' quotes no parameter count"


def test_a_trend_over_two_parameters_is_refused() -> None:
    evidence = make_evidence(*make_cell(LOW), *make_cell(HIGH, kernel_size=5), *make_cell(TOP, patch_size=4))
    with pytest.raises(ConfigurationError) as caught:
        judged(evidence, TREND)
    assert str(caught.value) == (
        "claims.yaml: claims.it: the 3 cells of group 'sweep' differ in kernel_size, patch_size; "
        "expected at least three that differ in 'kernel_size' alone"
    )


def test_a_trend_needs_both_its_order_and_a_difference_between_the_ends() -> None:
    """Each alone errs: an order among noisy ends is no rise, and two ends apart are no order."""
    noisy_ends = sweep((0.688, 0.699, 0.7002), (0.689, 0.7005, 0.7001), (0.7015, 0.702, 0.7025), (0.703, 0.705, 0.690))
    trial = trend(replace(TREND, margin=0.0), Sources(noisy_ends, {}, {}))
    assert trial.tails is not None and trial.tails.claimed < 0.05
    assert trial.judge(trial.tails, 0.0)[0] is Outcome.INCONCLUSIVE
    shuffled = sweep((0.700, 0.701, 0.702), (0.720, 0.721, 0.722), (0.690, 0.691, 0.692), (0.704, 0.705, 0.7065))
    verdict = judged(shuffled, replace(TREND, margin=0.0))
    assert verdict.probability is not None and (verdict.probability.value or 0) > 0.05
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_an_effect_is_slight_where_two_one_sided_tests_at_alpha_say_so_and_not_before() -> None:
    for low, high, slight in ((LOW, NEAR, Outcome.NOT_REPRODUCED), (LOW, (0.603, 0.604, 0.605), Outcome.PARTIAL)):
        bounds = statistics.welch(high, low).interval(0.90)
        reach = max(abs(bounds.low), abs(bounds.high))
        for factor, is_slight in ((1.001, True), (0.999, False)):
            outcome = judged(sweep(low, high), replace(DIRECTION, quoted=(), margin=factor * reach)).outcome
            assert (outcome is slight) is is_slight, (low, high, factor)


def test_what_the_runs_could_have_shown_is_the_smallest_effect_at_the_level_of_their_test() -> None:
    low, high, top = map(statistics.summarise, (LOW, HIGH, TOP))
    gap = power.smallest_gap
    others = [replace(DIRECTION, id=f"untested-{index}", untested="nothing planned") for index in range(2)]
    for evidence, claims, expected in (
        (sweep(LOW, HIGH), [DIRECTION], gap(power.foresee(high, low), 0.05)),
        (sweep(LOW, HIGH), [DIRECTION, *others], gap(power.foresee(high, low), 0.05 / 3)),
        (sweep(LOW, HIGH, TOP), [TREND], gap(power.foresee(top, low), 0.025)),  # its ends are tested on both sides
        (sweep(LOW, HIGH, TOP), [TREND, *others], gap(power.foresee(top, low), 0.05 / 3)),
        (sweep(LOW), [THRESHOLD], gap(power.foresee(low), 0.05)),
        (sweep(LOW), [EQUALITY], power.smallest_margin(power.foresee(low), 0.05)),
    ):
        detectable = judged(evidence, *claims).detectable
        assert detectable is not None and detectable.value == pytest.approx(expected), claims[0].kind
    plain, native = (0.700, 0.710, 0.690, 0.705), (0.701, 0.712, 0.6915, 0.7065)
    differences = statistics.summarise([b - a for a, b in zip(plain, native, strict=True)])
    three = statistics.summarise(native[:3])
    for evidence, seen in (
        (ways(plain, native), power.foresee(differences)),
        (ways(plain, native[:3]), power.foresee(three, statistics.summarise(plain))),
    ):
        detectable = judged(evidence, EQUIVALENCE).detectable
        assert detectable is not None and detectable.value == pytest.approx(power.smallest_margin(seen, 0.05))


@pytest.mark.parametrize("one", [EQUALITY, THRESHOLD], ids=lambda one: one.kind.value)
def test_a_claim_on_a_value_tells_its_distance_and_where_one_more_run_would_fall(one: Claim) -> None:
    expected = statistics.prediction_interval(LOW)
    verdict = judged(sweep(LOW), one)
    prediction, ours = verdict.prediction, verdict.ours
    assert prediction is not None and prediction.spread is not None and ours is not None
    assert (prediction.spread.low, prediction.spread.high) == (expected.low, expected.high)
    assert prediction.spread.kind == "95 % prediction interval for one more run"
    assert (prediction.value, prediction.n) == (ours.value, ours.n)
    assert prediction.id != ours.id  # one id stands for one number
    assert judged(sweep(LOW[:2]), one).prediction is None
    assert verdict.difference is not None and verdict.difference.parts.text == "\N{MINUS SIGN}10.90 ± 0.25 pp (n = 3)"


def test_a_rehearsal_never_decides_a_claim(root: Path) -> None:
    outcomes = {id: verdict.outcome for id, verdict in make_facts(root, smoke=True).verdicts.items()}
    assert set(outcomes.values()) == {Outcome.NOT_COMPARABLE, Outcome.NOT_TESTED}


def test_with_one_record_no_claim_on_accuracy_is_decided(root: Path) -> None:
    for id, verdict in make_facts(root, runs=1).verdicts.items():
        assert not verdict.is_decided or verdict.claim.kind is ClaimKind.COUNT, id


def equal_runs(*, images: int | None) -> Evidence:
    """Three runs with exactly 71 %, of as many test IMAGES as named."""
    statuses = make_cell([0.71] * 3, patch_size=8, kernel_size=3)
    if images is not None:
        correct = Correct("test", images, "")
        statuses = [replace(status, record=replace(status.record, correct=correct)) for status in statuses]
    return make_evidence(*statuses)


WITHIN_TWO = claim(ClaimKind.EQUALITY, cell={"kernel_size": 3}, margin=0.02, quoted=("a",))


def test_equal_runs_are_judged_by_the_binomial_error_and_say_so() -> None:
    verdict = judged(equal_runs(images=10_000), WITHIN_TWO)
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.reasons == (
        (
            "our mean is within ± 2.00 pp (p = 0.008); the quoted value lies inside the 95 % prediction interval for one "
            "more run"
        ),
        (
            "the runs of e5-p8-k3 are exactly equal: check that their seeds differ; the binomial error of the test images "
            "stands for their spread"
        ),
    )
    assert verdict.ours is not None and verdict.ours.parts.text == "71.00 ± 1.13 % (n = 3)"
    tight = judged(equal_runs(images=10_000), replace(WITHIN_TWO, margin=0.005))
    assert tight.outcome is Outcome.INCONCLUSIVE


def test_equal_runs_of_an_unknown_number_of_images_decide_nothing() -> None:
    verdict = judged(equal_runs(images=None), WITHIN_TWO)
    assert (verdict.outcome, verdict.reasons[0]) == (
        Outcome.INCONCLUSIVE,
        "the runs of e5-p8-k3 are exactly equal, so that nothing is known of their spread",
    )


@pytest.mark.parametrize("rounding", [1e-10, 1e-7])
def test_runs_that_differ_by_rounding_alone_are_equal_runs(rounding: float) -> None:
    """As where a notebook adds up batches in another order each time; a spread of rounding would show anything."""
    equal, other = [0.711, 0.711, 0.711 + rounding], [0.7111, 0.7111, 0.7111 + rounding]
    for verdict in (judged(sweep(equal), THRESHOLD), judged(sweep(equal, other), DIRECTION)):
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert verdict.reasons[0].endswith("exactly equal, so that nothing is known of their spread")
    assert judged(ways(equal, [0.711] * 3), EQUIVALENCE).outcome is Outcome.INCONCLUSIVE


def test_another_precision_is_told_and_a_value_is_compared_all_the_same() -> None:
    half = replace(PROTOCOL, settings={**PROTOCOL.settings, "precision": "fp16"})
    evidence = make_evidence(*make_cell([0.709, 0.710, 0.711], patch_size=8, kernel_size=3))
    verdict = judged(evidence, replace(WITHIN_TWO, protocol=half))
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.deviations == (Deviation("precision", "fp16", "fp32"),)
    assert verdict.reasons[1:] == ("in another arithmetic: precision fp32 (original fp16)",)


def test_a_trend_over_words_is_refused_for_the_alphabet_is_no_order() -> None:
    cells = [
        make_cell([0.6 + step / 100] * 3, kernel_size=size) for step, size in enumerate(("small", "medium", "large"))
    ]
    with pytest.raises(ConfigurationError) as caught:
        judged(make_evidence(*(status for cell in cells for status in cell)), TREND)
    assert str(caught.value) == (
        "claims.yaml: claims.it.along: the levels of 'kernel_size' are small, medium, large; expected numbers, for words "
        "have no order of their own: claim a direction between two of them"
    )


def test_a_quoted_count_is_that_of_our_data_set_however_its_name_is_written() -> None:
    counting = claims_file(claim(ClaimKind.COUNT, quoted=("a",), group=None))
    evidence = make_evidence(*make_cell([0.7], kernel_size=3))
    for name in ("cifar10", "CIFAR-10"):
        assert (
            judge(counting, evidence, {"a": replace(ORIGINAL["a"], dataset=name)})["it"].outcome is Outcome.REPRODUCED
        )
    with pytest.raises(UnknownName, match="no cell of the plan is the model of 'a': dataset='CIFAR-100'"):
        judge(counting, evidence, {"a": replace(ORIGINAL["a"], dataset="CIFAR-100")})


def test_another_precision_is_a_deviation_and_no_reduced_protocol() -> None:
    protocol = replace(PROTOCOL, settings={"precision": "fp32"})
    levels = [0.60, 0.61, 0.62], [0.80, 0.81, 0.82]
    verdict = judged(sweep(*levels, precision="bf16"), replace(DIRECTION, protocol=protocol, essential=(), quoted=()))
    assert (verdict.outcome, verdict.reservation) == (Outcome.REPRODUCED, "")
    assert [deviation.text for deviation in verdict.deviations] == ["precision bf16 (original fp32)"]
    assert claim_tables._protocol(verdict) == "with deviations"


def test_a_value_on_other_data_is_refused_and_one_after_other_epochs_not_comparable_without_any_protocol() -> None:
    evidence, bare = sweep([0.709, 0.710, 0.711]), replace(EQUALITY, protocol=None)
    long = judge(claims_file(bare), evidence, {"a": replace(ORIGINAL["a"], epochs=200)})["it"]
    why = "ours after 5 epochs, the quoted value after 200"
    assert (long.outcome, long.reasons) == (Outcome.NOT_COMPARABLE, (why,))
    with pytest.raises(ConfigurationError) as caught:
        judge(claims_file(bare), evidence, {"a": replace(ORIGINAL["a"], dataset="ImageNet")})
    assert str(caught.value) == (
        "claims.yaml: claims.it.quoted: 'a' is a result on ImageNet, the claim's cell is on cifar10: quote one on the same "
        "data, or correct `dataset` in original.csv"
    )
