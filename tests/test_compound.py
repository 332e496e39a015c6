"""Claims that are several at once."""

from dataclasses import replace

import pytest

from report.judge.claims import OURS, ClaimKind
from report.judge.trials import Outcome
from tests.judging import THRESHOLD, claim, sweep, verdicts_on, with_provenance
from tests.made_up import make_cell, make_evidence

ABOVE, BELOW, OPEN = (0.72, 0.722, 0.721), (0.70, 0.702, 0.701), (0.70, 0.71, 0.722)
BOTH = claim(ClaimKind.COMPOUND, id="both", group=None, protocol=None, parts=("small", "large"))
PARTS = (
    replace(THRESHOLD, id="small", cell={"kernel_size": 3}),
    replace(THRESHOLD, id="large", cell={"kernel_size": 5}, quoted=("large",)),
)


@pytest.mark.parametrize(
    ("small", "large", "outcome"),
    [
        (ABOVE, ABOVE, Outcome.REPRODUCED),
        (BELOW, BELOW, Outcome.NOT_REPRODUCED),
        (ABOVE, BELOW, Outcome.PARTIAL),
        (ABOVE, OPEN, Outcome.INCONCLUSIVE),
        (OPEN, OPEN, Outcome.INCONCLUSIVE),
    ],
)
def test_a_compound_follows_its_parts_and_lists_them(
    small: tuple[float, ...], large: tuple[float, ...], outcome: Outcome
) -> None:
    verdicts = verdicts_on(sweep(small, large), BOTH, *PARTS)
    parts = ", ".join(f"{id} {verdicts[id].outcome.value}" for id in ("small", "large"))
    assert (verdicts["both"].outcome, verdicts["both"].reasons) == (outcome, (parts,))
    assert list(verdicts) == ["both", "small", "large"]


def test_a_compound_that_was_changed_after_the_runs_of_its_parts_says_so() -> None:
    cells = [make_cell(level, kernel_size=size) for size, level in ((3, ABOVE), (5, ABOVE))]
    statuses = with_provenance([status for cell in cells for status in cell], rules={"both": "before"})
    verdict = verdicts_on(make_evidence(*statuses), replace(BOTH, digest="today"), *PARTS)["both"]
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.reasons == ("small REPRODUCED, large REPRODUCED", "its rule was changed after 6 of 6 runs")
    assert (verdict.why, verdict.besides) == (
        "small REPRODUCED, large REPRODUCED",
        ("its rule was changed after 6 of 6 runs",),
    )


def test_a_part_of_our_own_is_not_called_reproduced() -> None:
    ours = replace(PARTS[0], certainty=OURS, main=False)
    verdict = verdicts_on(sweep(ABOVE, OPEN), BOTH, ours, PARTS[1])["both"]
    assert verdict.reasons == ("small shown, large INCONCLUSIVE",)


def test_a_compound_of_which_nothing_is_tested_says_why_once() -> None:
    untested = [replace(part, cell={}, group=None, untested="no run is planned") for part in PARTS]
    verdict = verdicts_on(sweep(ABOVE), BOTH, *untested)["both"]
    assert (verdict.outcome, verdict.reasons) == (Outcome.NOT_TESTED, ("no run is planned",))
