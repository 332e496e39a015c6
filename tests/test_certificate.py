"""The certificate: what it says as a whole, its exit code, its JSON by the schema, and its page."""

from dataclasses import replace
from typing import Any

import pytest

from experiments.prices import Price
from experiments.running.reruns import Rerun
from experiments.spec import Correct
from report.review.agreement import Yardstick, judge_rerun
from report.review.certificate import Asked, Certificate, Overall, Verified
from report.review.certificate_page import format_certificate
from report.review.leverage import Leverage
from report.review.spot_check import Candidate, Pick
from report.statistics import Interval
from tests.made_up import make_record, make_run
from tests.made_up import measured as make_status
from tests.schemas import faults_of

SPREAD = Yardstick(0.005, 8, 12, "within 4 cells of the same settings")


def verify(again: float | None, *, seed: int = 0, error: str = "", **changes: Any) -> Verified:
    """A run that was recorded with 64 %, run again with this accuracy; None where it did not end."""
    status = replace(make_status(make_run(seed), 0.64), price=Price(600.0, "recorded", "cpu"))
    recorded = replace(make_record(status.run, 0.64), digest="a" * 64, correct=Correct("test", 10_000, ""))
    rerun = Rerun(status, recorded, "cpu")
    pick = Pick(Candidate(rerun, Leverage(1.5, ("1 of 3 runs of its cell", "claim a_b, REPRODUCED"))), 1.5, 0)
    second = (
        None if again is None else replace(make_record(status.run, again), digest="b" * 64, correct=recorded.correct)
    )
    judged = None if second is None else judge_rerun(recorded, second, (SPREAD,), changes.get("changes", ()), 1)
    made = Verified(pick, recorded, second, judged, error, "", ())
    return replace(made, **changes)


def certify(*runs: Verified) -> Certificate:
    return Certificate(
        "A paper", Asked(("e5-*",), "sweep", None), "c" * 40, False, "2026-01-01T00:00:00Z", 600.0, 432.1, 23, runs
    )


AGREES, DISAGREES = verify(0.641), verify(0.7, seed=1)
FAILED, NOT_BEGUN = verify(None, seed=2, error="e5-p8-k3-s2: the kernel died"), verify(None, seed=3)
NOT_JUDGED = replace(AGREES, judged=judge_rerun(AGREES.recorded, verify(0.7).again, (), ("the code",), 1))


@pytest.mark.parametrize(
    ("runs", "overall", "code", "summary"),
    [
        ((AGREES,), Overall.CONFIRMED, 0, "1 run picked: agrees 1"),
        ((AGREES, NOT_BEGUN), Overall.IN_PART, 0, "2 runs picked: agrees 1, not begun 1"),
        ((AGREES, DISAGREES, FAILED), Overall.NOT_CONFIRMED, 3, "3 runs picked: agrees 1, disagrees 1, failed 1"),
        ((AGREES, FAILED), Overall.UNDECIDED, 1, "2 runs picked: agrees 1, failed 1"),
        ((AGREES, NOT_JUDGED), Overall.UNDECIDED, 4, "2 runs picked: agrees 1, not judged 1"),
        ((AGREES, NOT_JUDGED, NOT_BEGUN), Overall.UNDECIDED, 4, "3 runs picked: agrees 1, not judged 1, not begun 1"),
        ((NOT_BEGUN,), Overall.UNDECIDED, 4, "1 run picked: not begun 1"),
    ],
)
def test_the_whole_follows_from_the_runs(runs: tuple[Verified, ...], overall: Overall, code: int, summary: str) -> None:
    certificate = certify(*runs)
    assert (certificate.overall, certificate.exit_code) == (overall, code)
    assert certificate.summary.split("; ")[0] == summary


def test_the_heading_says_how_many_of_the_picked_runs_were_confirmed() -> None:
    assert certify(AGREES).heading == "Confirmed: agreement in 1 of 1 picked run"
    assert certify(AGREES, NOT_BEGUN).heading == "Confirmed in part: agreement in 1 of 2 picked runs"
    assert certify(NOT_BEGUN).heading == "Could not be judged: agreement in 0 of 1 picked run"


def test_page_and_json_say_alike_that_runs_were_not_begun() -> None:
    certificate = certify(AGREES, NOT_BEGUN)
    assert "**Confirmed in part: agreement in 1 of 2 picked runs.** " in format_certificate(certificate)
    document = certificate.to_json()
    assert (document["overall"], document["counts"]["not begun"]) == ("confirmed in part", 1)
    assert faults_of("certificate", document) == []


def test_the_summary_counts_the_bits_that_are_the_same_and_those_that_were_due() -> None:
    assert certify(verify(0.64)).summary == "1 run picked: agrees 1; same bits 1"
    assert certify(verify(0.64), AGREES, DISAGREES).summary == (
        "3 runs picked: agrees 2, disagrees 1; same bits 1, other bits though the same were due 2"
    )


@pytest.mark.parametrize(
    ("verified", "code"),
    [
        (AGREES, "same"),
        (verify(0.641, changes=("model: double() changed",), accepted="the same product"), "accepted"),
        (verify(0.641, changes=("model: double() changed",)), "stale"),
    ],
)
def test_the_code_of_a_record_is_told(verified: Verified, code: str) -> None:
    assert verified.code == code


def test_the_json_is_as_its_schema_has_it_whatever_became_of_the_runs() -> None:
    document = certify(AGREES, DISAGREES, FAILED, NOT_BEGUN, NOT_JUDGED).to_json()
    assert faults_of("certificate", document) == []
    assert document["counts"] == {"agrees": 1, "disagrees": 1, "not judged": 1, "failed": 1, "not begun": 1}
    first, _, failed, not_begun, _ = document["runs"]
    assert (first["record"]["accuracy"], first["again"]["accuracy"]) == (0.64, 0.641)
    assert first["judged"]["spread"] == {"sd": 0.005, "degrees": 8, "runs": 12, "basis": SPREAD.basis}
    assert (failed["again"], failed["judged"], failed["why"]) == (None, None, "e5-p8-k3-s2: the kernel died")
    assert not_begun["why"] == "the budget was used up before it"


def test_what_was_asked_for_is_told() -> None:
    assert str(Asked()) == "any run, on the device of its record"
    assert str(Asked(("a*", "b"), None, "cpu")) == "runs called a* or b, on cpu"


def test_the_json_of_another_form_is_found() -> None:
    document = certify(AGREES).to_json()
    del document["runs"][0]["judged"]["same_bits"]
    document["overall"] = "good"
    assert faults_of("certificate", document)[0] == (
        "overall: 'good' is not one of ['confirmed', 'confirmed in part', 'not confirmed', 'could not be judged']"
    )
    assert len(faults_of("certificate", document)) == 2


def test_the_page_says_what_was_run_by_what_and_how_it_was_judged() -> None:
    accepted = verify(0.641, changes=("a()", "b()"), accepted="The same *product*.")
    page = format_certificate(certify(accepted, DISAGREES, NOT_BEGUN))
    assert page.splitlines()[:22] == [
        "# Certificate of verification",
        "",
        "Of *A paper*.",
        "",
        "**Not confirmed: agreement in 1 of 3 picked runs.** 3 runs picked: agrees 1, disagrees 1, not begun 1; same bits 0, other bits though the same were due 1.",
        "",
        "| | |",
        "|---|---|",
        "| code and records | commit cccccccccc |",
        "| asked for | runs called e5-\\* of group sweep, on the device of its record |",
        "| of these | 23 recorded; those below were picked and run again from scratch |",
        "| begun | 2026-01-01T00:00:00Z |",
        "| took | 7 min, budget 10 min |",
        "| computed by | a CPU (Linux), 2 threads, Python 3.11.2, torch 2.15.0 |",
        "",
        "## Runs",
        "",
        "| run | recorded | run again | expected | same bits | outcome |",
        "|---|---:|---:|---:|---|---|",
        "| e5-p8-k3-s0 | 64.00 % | 64.10 % | 62.37 % to 65.63 % | no | agrees |",
        "| e5-p8-k3-s1 | 64.00 % | 70.00 % | 62.37 % to 65.63 % | no | disagrees |",
        "| e5-p8-k3-s3 | 64.00 % | — | — | — | not begun |",
    ]
    assert page.splitlines()[23] == (
        "**e5-p8-k3-s0** Agrees: within the interval for a second run. Picked for: 1 of 3 runs of its cell; claim "
        "a\\_b, REPRODUCED. Its record is older than today’s code and was accepted: The same \\*product\\*. Standard "
        "deviation 0.50&nbsp;pp (n&nbsp;=&nbsp;12, degrees of freedom 8): within 4 cells of the same settings. Not as recorded, so that "
        "other bits are no surprise: a(), b()."
    )
    assert "t · sd · √2" in page.splitlines()[-1]


def test_the_page_expects_no_accuracy_that_there_cannot_be() -> None:
    assert AGREES.judged is not None
    wide = replace(AGREES, judged=replace(AGREES.judged, interval=Interval(-0.2, 1.3)))
    assert "| 0.00 % to 100.00 % |" in format_certificate(certify(wide))


def test_the_page_says_that_a_stale_record_is_not_what_was_run() -> None:
    page = format_certificate(certify(verify(0.641, changes=("a()", "b()", "c()", "d()"))))
    assert (
        "Its record is stale, so that this tells of today’s code and not of the record’s: a(), b(), c() and 1 more."
        in page
    )
