"""Every printed mean, interval and p value, recomputed by tests/recomputed.py from the committed records."""

import csv
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests import recomputed
from tests.recomputed import Estimate, Plan

# The first words of what has no mean, interval or p: counted from other files than the records, or a price.
COUNTED = {"claim", "count", "epochs", "price", "rule", "rules", "setting", "table"}
SIZES = ("width", "depth", "patch_size", "kernel_size")
SUMS = {
    "attempts": lambda runs: runs.attempts.sum(),
    "hours": lambda runs: runs.seconds.sum() / 3600,
    "memory": lambda runs: runs.peak_memory_mib.max(),
    "runs": len,
    "seconds-a-run": lambda runs: runs.seconds.mean(),
}
COUNTS = {  # in the captions of figures; what else stands there is counted from what is declared or planned
    "fewest-runs": lambda runs: runs.groupby("cell").size().min(),
    "most-runs": lambda runs: runs.groupby("cell").size().max(),
    "runs": len,
    "images": lambda runs: runs.images.iloc[0],
    "networks": lambda runs: runs.bits.nunique(),
    "recognised-by-all": lambda runs: (recomputed.count_recognised(runs) == len(runs)).sum(),
    "recognised-by-none": lambda runs: (recomputed.count_recognised(runs) == 0).sum(),
}
CHECKLIST = {  # what else stands there is counted from the plan and the claims
    "attempts": lambda runs: runs.attempts.sum(),
    "recorded": len,
    "runs": len,
    "settings": lambda runs: runs.cell.nunique(),
    "settings-with-spread": lambda runs: (runs.groupby("cell").size() > 1).sum(),
    "energy-runs": lambda runs: runs.energy_joules.notna().sum(),
    "machines-runs": lambda runs: sum(bool(provenance["versions"]) for provenance in runs.provenance),
    "models-runs": lambda runs: runs.bits.notna().sum(),
    "seeds-runs": lambda runs: runs.seed.notna().sum(),
    "size-runs": lambda runs: runs.parameters.notna().sum(),
    "time-runs": lambda runs: runs.seconds.notna().sum(),
    "validation-runs": lambda runs: runs.is_validated.sum(),
}
BY_NAME = {"figure": COUNTS, "checklist": CHECKLIST}
AT = {"figure": 1, "checklist": 0}  # where the name stands after the first word
Found = Mapping[str, Any]  # an entry of provenance.json


@pytest.fixture(scope="module")
def printed(root: Path) -> Found:
    """provenance.json as it is tracked."""
    return json.loads((root / "report/out/provenance.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def records(root: Path) -> pd.DataFrame:
    return recomputed.read_records(root / "experiments/records")


@pytest.fixture(scope="module")
def original(root: Path) -> pd.DataFrame:
    return recomputed.read_original(root / "report/paper/original.csv")


def test_the_records_as_csv_give_the_printed_means(root: Path, printed: Found) -> None:
    frame = pd.read_csv(root / "report/out/records.csv")
    means = frame[frame["state"] == "measured"].groupby("cell")["test_accuracy"].agg(["mean", "count"])
    compared = 0
    for id, entry in printed["quantities"].items():
        if entry["state"] == "measured" and re.fullmatch("(?!run/)[^/]+/((?!-minus-)[^/])+/test_accuracy", id):
            (cell,) = entry["cells"]
            assert means.loc[cell, "mean"] == pytest.approx(entry["value"]), id
            assert means.loc[cell, "count"] == entry["n"], id
            compared += 1
    assert compared > 10


def recompute(id: str, records: pd.DataFrame, original: pd.DataFrame, entry: Found) -> Estimate:
    """What stands behind the quantity ID, from the records and original.csv alone."""
    first, *rest = id.split("/")
    if first == "run":
        return Estimate(records.loc[rest[0], rest[1]])
    if first == "cost":
        return Estimate(float(SUMS[rest[1]](records.loc[entry["runs"]])))
    if first == "figure":
        return Estimate(float(COUNTS[rest[1]](records.loc[entry["runs"]])))
    if first == "checklist":
        return Estimate(float(CHECKLIST[rest[0]](records)))
    if first == "environment":
        return Estimate(sum(_knows(provenance, rest[0], "/".join(rest[1:])) for provenance in records.provenance))
    if first == "parameters":
        sizes = dict(item.split("=") for item in re.split("-(?=[a-z_]+=)", rest[1]))
        return Estimate(count_parameters(*(int(sizes[name]) for name in SIZES)))
    if first == "original":
        return Estimate(
            sum(sign * _quoted(row, original) for sign, row in zip((1, -1), id.split("-minus-"), strict=False))
        )
    return _recompute_cells(id, records, original)


def count_parameters(h: int, d: int, p: int, k: int) -> int:
    """Those of a ConvMixer of ten classes on colour images, layer by layer."""
    norm, block = 2 * h, (h * k * k + h) + (h * h + h)
    return (3 * p * p * h + h + norm) + d * (block + 2 * norm) + (10 * h + 10)


def _recompute_cells(id: str, records: pd.DataFrame, original: pd.DataFrame) -> Estimate:
    """The mean of a cell, its difference from another cell, or from a quoted value."""
    if found := re.fullmatch("[^/]+/([^/]+)-minus-(original/.+/accuracy)/test_accuracy", id):
        cell = records[records.cell == found[1]]
        return recomputed.estimate_gap(cell.test_accuracy, _quoted(found[2], original))
    if found := re.fullmatch("[^/]+/([^/]+)-minus-(?:[^/]+/)?([^/]+)/test_accuracy", id):
        a, b = (records[records.cell == name] for name in found.groups())
        return recomputed.estimate_difference(a, b, _parameters(records))
    if found := re.fullmatch("[^/]+/([^/]+)/images-seen", id):
        cell = records[records.cell == found[1]]
        (seen,) = set(cell.epochs * cell.train_images)
        return Estimate(float(seen))
    if found := re.fullmatch("[^/]+/([^/]+)/multiply-accumulates", id):
        (count,) = set(records[records.cell == found[1]].multiply_accumulates)
        return Estimate(count / 1e6)
    if found := re.fullmatch("[^/]+/([^/]+)/([a-z_0-9]+)/mean", id):  # a cost, without an interval
        return Estimate(float(records[records.cell == found[1]][found[2]].mean()))
    if found := re.fullmatch("[^/]+/([^/]+)/([a-z_0-9]+)", id):
        cell = records[records.cell == found[1]]
        images = cell.images.iloc[0] if found[2] == recomputed.ACCURACY else None
        return recomputed.estimate_mean(cell[found[2]], images)
    raise AssertionError(f"nobody has said how to recompute {id!r}")


def _parameters(records: pd.DataFrame) -> list[str]:
    """The columns that are parameters: those before the metrics."""
    names = list(records.columns)
    return [name for name in names[names.index("digest") + 1 : names.index("test_accuracy")] if name != "seed"]


def _quoted(text: str, original: pd.DataFrame) -> float:
    """`original/<id>/accuracy`, or `/parameters`."""
    _, id, what = text.split("/")
    row = original.loc[id]
    return float(row.accuracy_pct) / 100 if what == "accuracy" else 1000 * float(row.parameters_thousands)


def _knows(provenance: Found, name: str, value: str) -> bool:
    return str({**provenance, **provenance["versions"]}.get(name)) == value


def test_every_printed_number_is_what_the_records_say(
    printed: Found, records: pd.DataFrame, original: pd.DataFrame
) -> None:
    differing, tried, with_interval = [], 0, 0
    for id, entry in printed["quantities"].items():
        first, *rest = id.split("/")
        is_counted = first in COUNTED or (first in BY_NAME and rest[AT[first]] not in BY_NAME[first])
        if entry["value"] is None or (entry["spread"] is None and is_counted):
            continue
        spread = {key: value for key, value in (entry["spread"] or {}).items() if key != "kind" and value is not None}
        theirs, ours = {"value": entry["value"], **spread}, recompute(id, records, original, entry)
        if any(not agree(getattr(ours, name), value) for name, value in theirs.items()):
            differing.append((id, theirs, ours))
        tried, with_interval = tried + 1, with_interval + bool(spread)
    assert differing == []
    assert tried > 50 and with_interval > 10


def agree(ours: float | None, theirs: float) -> bool:
    return ours is not None and math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)


def test_no_run_of_a_cell_is_left_out_of_its_mean(printed: Found, records: pd.DataFrame) -> None:
    tried = 0
    for id, entry in printed["quantities"].items():
        if (
            (found := re.fullmatch("[^/]+/([^/]+)/test_accuracy", id))
            and "-minus-" not in id
            and found[1] in set(records.cell)
        ):
            assert sorted(entry["runs"]) == sorted(records[records.cell == found[1]].run), id
            assert entry["n"] == len(entry["runs"]), id
            tried += 1
    assert tried > 10


def test_the_records_behind_the_report_are_the_committed_ones(printed: Found, records: pd.DataFrame) -> None:
    assert {run: entry["digest"] for run, entry in printed["records"].items()} == records.digest.to_dict()


def test_the_interval_of_each_single_run_is_wilsons(printed: Found, records: pd.DataFrame) -> None:
    tried = 0
    for id, entry in printed["quantities"].items():
        found = re.search("95 % Wilson interval of these weights ([0-9.]+) % to ([0-9.]+) %", entry["aggregate"])
        if found is None:
            continue
        run = records.loc[id.split("/")[1]]
        low, high = recomputed.wilson(run.test_accuracy, run.images)
        assert (found[1], found[2]) == (f"{100 * low:.2f}", f"{100 * high:.2f}"), id
        tried += 1
    assert tried == len(records)


def test_every_printed_p_is_what_the_records_say(root: Path, records: pd.DataFrame, original: pd.DataFrame) -> None:
    tables = root / "report/out/tables"
    claims = yaml.safe_load((root / "report/paper/claims.yaml").read_text(encoding="utf-8"))
    verdicts = {row["id"]: row for row in read_table(tables / "verdicts.csv")}
    gated = {id for id in claims["claims"] if id not in verdicts or verdicts[id]["verdict"] == "NOT COMPARABLE"}
    plan = Plan(root / "experiments/plan.yaml", records)
    raw, adjusted = recomputed.find_p_values(claims, gated, plan, original)
    turned, turned_adjusted = recomputed.find_p_values(recomputed.opposite(claims), gated, plan, original)
    tried = adjusted_tried = 0
    for row in read_table(tables / "reasons.csv"):
        is_opposite = " opposite " in row["reasons"].partition("; ")[0]
        own, holm = (turned, turned_adjusted) if is_opposite else (raw, adjusted)
        before = [(own[row["id"]], *found) for found in recomputed.find_p(row["reasons"])]
        after = [(holm[row["id"]], *found) for found in recomputed.find_holm(row["reasons"])]
        for ours, relation, number in (*before, *after):
            assert ours is not None and recomputed.is_printed_as(ours, relation, number), (row["id"], ours)
        tried, adjusted_tried = tried + len(before), adjusted_tried + len(after)
    assert tried > 3 and adjusted_tried > 0


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
