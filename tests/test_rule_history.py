"""Rules that were changed, written or taken away after the runs that they judge."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from experiments.rules import rules_at
from report.checks import inspect_rules, inspect_states
from report.judge.rule_history import RuleHistory, rule_history, withdrawn
from report.judge.trials import Outcome
from tests.judging import DIRECTION, THRESHOLD, judged, verdicts_on, with_provenance
from tests.made_up import make_cell, make_evidence
from tests.small_git import commit, git

ABOVE, BELOW = (0.720, 0.721, 0.722), (0.700, 0.701, 0.702)
FIXED = replace(THRESHOLD, digest="today")


def records(*rules: dict[str, str] | None) -> list:
    """One record for each of RULES; None where the record does not say."""
    cell = make_cell([0.72 + 0.001 * index for index in range(len(rules))])
    pairs = zip(cell, rules, strict=True)
    kept = [status if kept is None else with_provenance([status], rules=kept)[0] for status, kept in pairs]
    return [status.record for status in kept]


def test_a_rule_fixed_before_its_runs_needs_no_word() -> None:
    history = rule_history(FIXED, records({"it": "today"}, {"it": "today"}))
    assert history == RuleHistory(records=2)
    assert (history.warnings, history.note) == ((), "")


def test_rules_changed_or_written_later_are_told_from_records_that_do_not_say() -> None:
    history = rule_history(FIXED, records({"it": "before"}, {"other": "today"}, None, {"it": "today"}))
    assert history == RuleHistory(records=4, changed=1, younger=1, unrecorded=1)
    assert history.warnings == (
        "its rule was changed after at least 1 of 4 runs",
        "its rule was written after at least 1 of 4 runs",
    )
    assert history.note == "1 of 4 runs was recorded without the rule's digest"


def test_git_is_asked_only_for_the_commits_of_runs_that_do_not_say() -> None:
    saying, silent = records({"it": "today"}, None)
    silent = replace(silent, provenance={**silent.provenance, "commit": "1" * 40})
    assert rule_history(FIXED, [saying, silent]).commits == ("1" * 40,)


def test_a_verdict_by_a_rule_that_was_changed_after_the_runs_says_so() -> None:
    statuses = with_provenance(make_cell(ABOVE), rules={"it": "before"})
    verdict = judged(make_evidence(*statuses), FIXED)
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.reasons[-1] == "its rule was changed after 3 of 3 runs"


def test_a_claim_that_cannot_be_compared_or_has_too_few_runs_says_so_too() -> None:
    statuses = with_provenance(make_cell(ABOVE[:2]), rules={"it": "before"})
    verdict = judged(make_evidence(*statuses), FIXED)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons[-1] == "its rule was changed after 2 of 2 runs"


def test_a_claim_that_is_called_untested_after_its_runs_is_judged_on_them_and_says_so() -> None:
    statuses = with_provenance(make_cell(BELOW), rules={"it": "today"})
    verdict = judged(make_evidence(*statuses), replace(FIXED, untested="out of scope"))
    assert verdict.outcome is Outcome.NOT_REPRODUCED
    assert verdict.reasons[-1] == "judged though it is called untested (out of scope)"


def test_a_claim_that_no_longer_names_its_runs_still_says_that_its_rule_was_changed() -> None:
    statuses = [
        *with_provenance(make_cell(BELOW), rules={"it": "before"}),
        *with_provenance(make_cell(ABOVE, kernel_size=5), rules={"another": "today"}),
    ]
    bare = replace(FIXED, group=None, cell={}, quoted=(), untested="out of scope")
    verdict = judged(make_evidence(*statuses), bare)
    assert verdict.outcome is Outcome.NOT_TESTED
    assert verdict.reasons == ("out of scope", "its rule was changed after 3 of 3 runs")
    same = with_provenance(make_cell(BELOW), rules={"it": "today"})
    assert judged(make_evidence(*same), bare).reasons == ("out of scope",)


def test_git_says_what_records_without_a_digest_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "report/paper"
    folder.mkdir(parents=True)
    rules = {"it": {"kind": "threshold", "margin": 0.01}, "gone": {"kind": "count"}}
    (folder / "claims.yaml").write_text(json.dumps({"claims": rules}))
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "the rules")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    verdicts = {
        id: judged(make_evidence(*with_provenance(make_cell(ABOVE), commit=head)), replace(FIXED, id=id))
        for id in ("it", "new")
    }
    assert [verdict.history.note for verdict in verdicts.values()] == [
        "3 of 3 runs were recorded without the rule's digest"
    ] * 2
    assert rules_at(tmp_path, head) is not None
    assert [rules_at(tmp_path, odd) for odd in ("HEAD", "--help", "0" * 40)] == [None] * 3
    rules["it"]["margin"], rules["new"] = 0.06, {"kind": "count"}
    (folder / "claims.yaml").write_text(json.dumps({"claims": {id: rules[id] for id in verdicts}}))
    found = list(inspect_rules(tmp_path, verdicts))
    assert [(item.rule, item.place, item.message, item.expected, item.found) for item in found] == [
        (
            "rule-changed",
            "report/paper/claims.yaml: it",
            "git's past has another rule of it at the commits of its first runs: margin",
            "0.01",
            "0.06",
        ),
        (
            "rule-changed",
            "report/paper/claims.yaml: new",
            "git's past has no rule of it at the commits of 3 of its runs",
            "",
            "",
        ),
        (
            "rule-changed",
            "report/paper/claims.yaml: gone",
            "git's past has this claim at the commits of runs that count, and it was taken away",
            "",
            "",
        ),
    ]


def test_a_family_that_is_smaller_than_at_its_runs_is_told(tmp_path: Path) -> None:
    """A claim that has not run moves to another family: no rule of a claim with runs changes, and Holm asks less of it."""
    folder = tmp_path / "report/paper"
    folder.mkdir(parents=True)
    rules = {id: {"kind": "direction", "family": "effects"} for id in ("it", "waiting")}
    (folder / "claims.yaml").write_text(json.dumps({"claims": rules}))
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "the rules")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    statuses = [*make_cell(BELOW), *make_cell(ABOVE, kernel_size=5)]
    evidence = make_evidence(*with_provenance(statuses, commit=head, rules={"it": "today", "waiting": "today"}))
    claim, waits = (replace(DIRECTION, id=id, digest="today") for id in ("it", "waiting"))
    waits = replace(waits, untested="out of scope", group=None, better={}, worse={})
    assert list(inspect_rules(tmp_path, verdicts_on(evidence, claim, waits))) == []
    found = list(inspect_rules(tmp_path, verdicts_on(evidence, claim, replace(waits, family="others"))))
    assert [(item.place, item.message) for item in found] == [
        (
            "report/paper/claims.yaml: it",
            "its family 'effects' has 1 claim, and had 2 at the commits of its runs",
        )
    ]


def test_claims_taken_away_after_their_runs_are_counted() -> None:
    kept = records({"it": "today", "gone": "x"}, {"gone": "x", "also": "y"}, None)
    assert list(withdrawn({"it": FIXED}, kept)) == [("also", 1), ("gone", 2)]


def test_the_check_warns_of_rules_changed_and_of_claims_taken_away() -> None:
    statuses = with_provenance(make_cell(ABOVE), rules={"it": "before", "gone": "x"})
    evidence = make_evidence(*statuses)
    context = SimpleNamespace(
        verdicts={"it": judged(evidence, FIXED)}, claims={"it": FIXED}, evidence=evidence, metadata={"title": "[Re] It"}
    )
    with patch("report.render.missing_runs", return_value=[]):
        context.registry = SimpleNamespace(printed=[])
        found = list(inspect_states(context))
    assert [(finding.rule, finding.severity, finding.place, finding.message) for finding in found] == [
        ("rule-changed", "warning", "report/paper/claims.yaml: it", "its rule was changed after 3 of 3 runs"),
        ("rule-changed", "warning", "report/paper/claims.yaml: gone", "the claim was taken away after 3 runs"),
    ]
