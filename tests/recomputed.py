"""The report's arithmetic once more, by pandas and scipy alone, from the files that are committed.

Nothing of the repository's own code is imported here: whoever doubts the report can read this file and the records. It
knows the claims by claims.yaml, the groups by plan.yaml, what others reported by original.csv.
"""

import base64
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import stats

ACCURACY = "test_accuracy"
YOUNGER = {"fraction": 1.0, "corruptions": False}  # parameters that the first records lack, and as what they were made
HOW_COMPUTED = {"path", "precision"}  # cells that differ in nothing else are paired by seed


@dataclass(frozen=True)
class Estimate:
    """A number with what stands beside it; None where there is no such thing."""

    value: float
    low: float | None = None
    high: float | None = None
    sd: float | None = None


def read_records(folder: Path) -> pd.DataFrame:
    """One row a record, by run: its parameters, metrics, costs, its cell (the name without the seed), the images."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        row = {"run": content["run"], "cell": re.sub(r"-s\d+$", "", content["run"]), "digest": content["digest"]}
        row |= YOUNGER | content["parameters"] | content["metrics"] | content["cost"]
        row |= {name: content["settings"].get(name) for name in ("train_images", "multiply_accumulates")}
        validation = [column for name, column in content["history"].items() if name.startswith("validation_")]
        row["is_validated"] = any(value is not None for column in validation for value in column)
        correct = content["correct"]
        rows.append(row | {"images": correct["count"], "bits": correct["bits"], "provenance": content["provenance"]})
    return pd.DataFrame(rows).set_index("run", drop=False)


def count_recognised(runs: pd.DataFrame) -> np.ndarray:
    """How many of RUNS are right on each test image."""
    bits = [np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8)) for text in runs.bits]
    return np.sum(bits, axis=0)[: runs.images.iloc[0]]


def read_original(path: Path) -> pd.DataFrame:
    """What others reported, by id."""
    return pd.read_csv(path, comment="#", dtype=str, keep_default_na=False).set_index("id")


def estimate_mean(values: pd.Series, images: float | None = None) -> Estimate:
    """Mean, sd and 95 % t interval; of IMAGES' equal shares with the binomial error of one, at least an image."""
    mean, sd, n = values.mean(), values.std(ddof=1), len(values)
    if n == 1:
        return Estimate(mean)
    if sd == 0 and images is not None:
        sd = max(np.sqrt(mean * (1 - mean) / images), 1 / images)
    low, high = stats.t.interval(0.95, n - 1, mean, sd / np.sqrt(n)) if sd > 0 else (mean, mean)
    return Estimate(mean, low, high, sd)


def are_pairs(a: pd.DataFrame, b: pd.DataFrame, names: Iterable[str]) -> bool:
    """Whether the runs belong together seed by seed: the cells differ only in how they are computed."""
    differing = {name for name in names if not _same(a[name].iloc[0], b[name].iloc[0])}
    return differing <= HOW_COMPUTED | {"seed"} and sorted(a.seed) == sorted(b.seed)


def _same(a: Any, b: Any) -> bool:
    return a == b or (pd.isna(a) and pd.isna(b))


def compare(a: pd.DataFrame, b: pd.DataFrame, names: Iterable[str]) -> Any:
    """scipy's own result of the t test of A against B, paired or Welch's."""
    first, second = a.sort_values("seed")[ACCURACY], b.sort_values("seed")[ACCURACY]
    if are_pairs(a, b, names):
        return stats.ttest_rel(first.to_numpy(), second.to_numpy())
    return stats.ttest_ind(first, second, equal_var=False)


def estimate_difference(a: pd.DataFrame, b: pd.DataFrame, names: Iterable[str]) -> Estimate:
    """Mean of A minus mean of B with its 95 % interval, from two runs each on."""
    value = a[ACCURACY].mean() - b[ACCURACY].mean()
    if min(len(a), len(b)) < 2:
        return Estimate(value)
    interval = compare(a, b, names).confidence_interval(0.95)
    return Estimate(value, interval.low, interval.high)


def estimate_gap(values: pd.Series, quoted: float) -> Estimate:
    """Our mean minus a QUOTED value that is taken as it stands."""
    found = estimate_mean(values)
    if found.low is None or found.high is None:
        return Estimate(found.value - quoted)
    return Estimate(found.value - quoted, found.low - quoted, found.high - quoted, found.sd)


def wilson(share: float, images: int) -> tuple[float, float]:
    """Wilson's 95 % interval of the share of the test images that one network gets right."""
    interval = stats.binomtest(round(share * images), images).proportion_ci(0.95, method="wilson")
    return interval.low, interval.high


def equal_p(result_of: Any, margin: float) -> float:
    """Two one-sided tests that what RESULT_OF says the t statistic of lies within +-MARGIN."""
    return max(result_of(-margin, "greater"), result_of(margin, "less"))


def p_direction(better: pd.Series, worse: pd.Series) -> float:
    """Welch's one-sided p."""
    return stats.ttest_ind(better, worse, equal_var=False, alternative="greater").pvalue


def p_equal_value(values: pd.Series, quoted: float, margin: float) -> float:
    """That our mean lies within the margin of the quoted value."""
    return equal_p(lambda at, side: stats.ttest_1samp(values, quoted + at, alternative=side).pvalue, margin)


def p_above(values: pd.Series, quoted: float) -> float:
    """That our mean lies above the quoted value."""
    return stats.ttest_1samp(values, quoted, alternative="greater").pvalue


def p_equivalent(a: pd.DataFrame, b: pd.DataFrame, margin: float, names: Iterable[str]) -> float:
    """That the means of two cells differ by less than the margin."""
    first, second = (cell.sort_values("seed")[ACCURACY].to_numpy() for cell in (a, b))
    if are_pairs(a, b, names):
        return equal_p(lambda at, side: stats.ttest_rel(first - at, second, alternative=side).pvalue, margin)
    return equal_p(
        lambda at, side: stats.ttest_ind(first - at, second, equal_var=False, alternative=side).pvalue, margin
    )


def p_rising(levels: Sequence[Sequence[float]]) -> float:
    """Jonckheere and Terpstra's exact one-sided p.

    Each level against all before it is a Mann and Whitney statistic, and where nothing rises these are independent: the
    distribution of the sum is their convolution.
    """
    statistic = sum(
        (low < high) + (low == high) / 2 for a, b in itertools.combinations(levels, 2) for low in a for high in b
    )
    before = np.cumsum([0, *map(len, levels)])
    chances = [_mann_whitney(int(n), len(level)) for n, level in zip(before[1:], levels[1:], strict=False)]
    return float(reduce(np.convolve, chances)[int(np.floor(statistic)) :].sum())


def _mann_whitney(m: int, n: int) -> np.ndarray:
    """P(U = u) of M and N values without ties, by the recurrence on which sample the largest value is of."""
    counts: dict[tuple[int, int], np.ndarray] = {}
    for i, j in itertools.product(range(m + 1), range(n + 1)):
        counts[i, j] = np.ones(1) if not (i and j) else np.zeros(i * j + 1)
        if i and j:
            counts[i, j][: (i - 1) * j + 1] += counts[i - 1, j]
            counts[i, j][i:] += counts[i, j - 1]
    return counts[m, n] / counts[m, n].sum()


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p values."""
    ranked = pd.Series(p_values).sort_values(kind="stable")
    return (ranked * np.arange(len(ranked), 0, -1)).clip(upper=1).cummax().to_dict()


def find_p(reasons: str) -> list[tuple[str, str]]:
    """Relation and number of each p in the first of a verdict's reasons: `(p = 0.012)`, `(p < 0.001, paired by seed)`."""
    return re.findall(r"\(p (=|<) ([0-9.]+)", reasons.partition("; ")[0])


def find_holm(reasons: str) -> list[tuple[str, str]]:
    """The same of each p that stands there after Holm's adjustment: `(p = 0.139, after Holm 0.693)`."""
    found = re.findall(r", after Holm (< )?([0-9.]+)", reasons.partition("; ")[0])
    return [("<" if below else "=", number) for below, number in found]


def is_printed_as(p: float, relation: str, number: str) -> bool:
    """Whether P rounds to the printed NUMBER, or lies below it where `<` says so."""
    half = 0.5 * 10.0 ** -len(number.partition(".")[2])
    return p < float(number) if relation == "<" else abs(p - float(number)) <= half * (1 + 1e-9)


class Plan:
    """Which parameters the cells of a group have, by plan.yaml, and which records are theirs."""

    def __init__(self, path: Path, records: pd.DataFrame) -> None:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.usual = {name: item["usual"] for name, item in content["variant"].items()}
        self.defaults, self.groups = content["defaults"]["parameters"], content["groups"]
        self.recorded = {name: runs for name, runs in records.groupby("cell")}
        self._first = {name: runs.iloc[0].dropna().to_dict() for name, runs in self.recorded.items()}
        self._none, self.names = records[:0], [name for name in records if name in self._named()]

    def cells(self, group: str, where: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The cells of GROUP with these parameters, complete but for the seed."""
        item = self.groups[group]
        shared = {**self.usual, **self.defaults, **item.get("parameters", {})}
        grid = item.get("grid", {})
        listed = item.get("cells") or [
            dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
        ]
        cells = [{**shared, **cell} for cell in listed]
        return [cell for cell in cells if all(cell[name] == value for name, value in where.items())]

    def runs(self, cell: Mapping[str, Any]) -> pd.DataFrame:
        """The records of a cell; a parameter that a record lacks is as usual."""
        for name, first in self._first.items():
            if all(first.get(parameter, self.usual.get(parameter)) == value for parameter, value in cell.items()):
                return self.recorded[name]
        return self._none

    def _named(self) -> set[str]:
        """Every parameter that the plan names."""
        groups = self.groups.values()
        cells = [*(group.get("parameters", {}) for group in groups), *(group.get("grid", {}) for group in groups)]
        cells += [cell for group in groups for cell in group.get("cells", ())]
        return {*self.usual, *self.defaults, *(name for cell in cells for name in cell)}


def find_p_values(
    claims: Mapping[str, Any], gated: set[str], plan: Plan, original: pd.DataFrame
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """The p of each claim of claims.yaml, and the same after Holm where it has a family.

    None where a cell has not the runs that the rule asks for, or the claim is among GATED; such a one counts as 1.
    """
    listed = claims["claims"]
    raw = {
        id: None if id in gated else _judge(claim, claim.get("min_seeds", claims["min_seeds"]), plan, original)
        for id, claim in listed.items()
    }
    adjusted = dict(raw)
    for family in {claim["family"] for claim in listed.values() if "family" in claim}:
        members = [id for id, claim in listed.items() if claim.get("family") == family]
        after = holm({id: 1.0 if raw[id] is None else raw[id] for id in members})
        adjusted |= {id: None if raw[id] is None else after[id] for id in members}
    return raw, adjusted


def opposite(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of claims.yaml, each direction and trend the other way round."""
    other = {"increasing": "decreasing", "decreasing": "increasing"}
    turned = {}
    for id, claim in claims["claims"].items():
        swapped = {"better": claim.get("worse"), "worse": claim.get("better"), "order": other.get(claim.get("order"))}
        turned[id] = {**claim, **{name: value for name, value in swapped.items() if name in claim}}
    return {**claims, "claims": turned}


def _judge(claim: Mapping[str, Any], least: int, plan: Plan, original: pd.DataFrame) -> float | None:
    """The claim's own p before Holm; None where a cell has fewer runs than LEAST, or the claim needs no test."""
    cells = [plan.runs(cell) for cell in _cells_of(claim, plan)]
    if not cells or any(len(cell) < least for cell in cells):
        return None
    quoted = float(original.accuracy_pct[claim["quoted"][0]]) / 100 if claim.get("quoted") else 0.0
    match claim["kind"]:
        case "direction":
            return p_direction(cells[0][ACCURACY], cells[1][ACCURACY])
        case "trend":
            return p_rising([cell[ACCURACY].tolist() for cell in cells])
        case "equality":
            return p_equal_value(cells[0][ACCURACY], quoted, claim["margin"])
        case "threshold":
            return p_above(cells[0][ACCURACY], quoted)
        case "equivalence":
            return p_equivalent(cells[0], cells[1], claim["margin"], plan.names)
    raise ValueError(f"nobody has said how to recompute a claim of kind {claim['kind']!r}")


def _cells_of(claim: Mapping[str, Any], plan: Plan) -> list[dict[str, Any]]:
    """The cells that a claim compares: better first, a trend's in the claimed order; none for other kinds."""
    if claim.get("untested") or claim["kind"] in ("count", "compound"):
        return []
    named = {
        "direction": [claim.get("better"), claim.get("worse")],
        "equivalence": [claim.get("cell"), claim.get("reference")],
    }.get(claim["kind"], [claim.get("cell", {})])
    cells = [cell for where in named for cell in plan.cells(claim["group"], where or {})]
    if claim["kind"] == "trend":
        cells.sort(key=lambda cell: cell[claim["along"]], reverse=claim["order"] == "decreasing")
    return cells
