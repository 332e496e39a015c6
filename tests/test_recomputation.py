"""The independent recomputation and the judge agree, claim by claim, where every run of the plan is made up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from experiments.plan import load_plan
from report.evidence import Evidence
from report.judge.claims import read_claims
from report.judge.trials import Outcome
from report.judge.verdict import Verdict
from report.original import read_original
from report.verdicts import judge
from tests import recomputed
from tests.judging import EQUALITY, THRESHOLD, judged, sweep
from tests.made_up import made_up_accuracy, measured

_IMAGES = {"keras": 45_000, "short": 45_000, "authors": 50_000, "paper": 50_000}
GATED = (Outcome.NOT_TESTED, Outcome.NOT_COMPARABLE)


@pytest.fixture(scope="module")
def evidence(root: Path) -> Evidence:
    """Every run of the plan as measured, its seeds half a percentage point apart."""
    plan, noise = load_plan(root / "experiments/plan.yaml"), np.random.default_rng(4)
    claims = read_claims(root / "report/paper/claims.yaml")
    statuses = []
    for run in plan.runs.values():
        accuracy = round(made_up_accuracy(run) - 0.001 * run.seed + noise.normal(0, 0.005), 4)
        status = measured(run, accuracy, parameters=int(claims.formulas["parameters"].evaluate(run.parameters)))
        assert status.record is not None
        protocol = {name: run.parameters[name] for name in ("epochs", "recipe")} | {
            "train_images": _IMAGES[str(run.parameters["recipe"])]
        }
        settings = {**status.record.settings, **protocol}
        statuses.append(replace(status, record=replace(status.record, settings=settings)))
    return Evidence(plan.groups.values(), statuses)


@pytest.fixture(scope="module")
def verdicts(root: Path, evidence: Evidence) -> dict[str, Verdict]:
    paper = root / "report/paper"
    plan = load_plan(root / "experiments/plan.yaml")
    return judge(read_claims(paper / "claims.yaml"), evidence, read_original(paper / "original.csv", plan.naming))


def test_every_p_that_the_judge_finds_is_found_without_it(
    root: Path, evidence: Evidence, verdicts: dict[str, Verdict]
) -> None:
    paper = root / "report/paper"
    rows = [
        {"run": record.run, "cell": record.run.rpartition("-s")[0], **record.parameters, **record.metrics}
        for record in evidence.recorded()
    ]
    claims = yaml.safe_load((paper / "claims.yaml").read_text(encoding="utf-8"))
    raw, adjusted = recomputed.find_p_values(
        claims,
        {id for id, verdict in verdicts.items() if verdict.outcome in GATED},
        recomputed.Plan(root / "experiments/plan.yaml", pd.DataFrame(rows)),
        recomputed.read_original(paper / "original.csv"),
    )
    tried = set()
    for id, verdict in verdicts.items():
        if verdict.probability is not None:
            assert adjusted[id] == pytest.approx(verdict.probability.value, rel=1e-9), id
        of_holm = recomputed.find_holm(verdict.reasons[0])
        printed = [(raw[id], *found) for found in recomputed.find_p(verdict.reasons[0])]
        for found, relation, number in [*printed, *((adjusted[id], *one) for one in of_holm)]:
            assert found is not None and recomputed.is_printed_as(found, relation, number), (id, found, verdict.reasons)
            tried.add((verdict.claim.kind.value, bool(of_holm)))
    assert tried >= {("direction", True), ("trend", True), ("equivalence", False)}


@pytest.mark.parametrize("seed", range(12))
def test_the_p_of_a_quoted_value_is_found_without_the_judge(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.71, 0.006, 4).round(4)
    found = (
        (EQUALITY, recomputed.p_equal_value(pd.Series(values), 0.71, 0.01)),
        (THRESHOLD, recomputed.p_above(pd.Series(values), 0.71)),
    )
    for claim, ours in found:
        verdict = judged(sweep(values.tolist()), claim)
        ours = 1 - ours if "is below the quoted" in verdict.reasons[0] else ours
        ((relation, number),) = recomputed.find_p(verdict.reasons[0])
        assert recomputed.is_printed_as(ours, relation, number), (claim.id, ours, verdict.reasons)
