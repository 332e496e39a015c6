"""A reviewer's spot check: a few recorded runs, run again from scratch and judged against their records."""

import json
import shutil
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments import doctor, provenance
from experiments.files import write_atomically
from experiments.fingerprint import find_all_code
from experiments.git import read_commit
from experiments.ledger import Ledger
from experiments.plan import Plan, load_plan, select
from experiments.prices import Prices
from experiments.running.progress import Monitor, format_seconds
from experiments.running.reruns import Repetition, Rerun, run_again
from experiments.running.workspace import Workspace
from experiments.spec import ACCURACY, ConfigurationError, MissingTool, Record
from experiments.status import RunStatus, statuses
from report.diffs.meaning import make_meaning
from report.pages.metadata import read_metadata
from report.review.agreement import find_yardsticks, has_same_bits, judge_rerun
from report.review.certificate import Asked, Certificate, Verified
from report.review.certificate_page import format_certificate
from report.review.leverage import weigh_runs
from report.review.spot_check import Candidate, Pick, choose

FOLDER = ".verify"
_WRITTEN = frozenset({"certificate.json", "certificate.md", "records", "executed", "cache", "failures.jsonl"})


@dataclass(frozen=True)
class SpotCheck:
    """What is to be run again: the picks, of how many recorded runs, and all that the certificate needs afterwards."""

    root: Path
    title: str
    asked: Asked
    picks: tuple[Pick, ...]
    budget_seconds: float
    recorded: int
    left_out: int
    cells: dict[str, list[Record]]

    def __str__(self) -> str:
        seconds = sum(pick.candidate.seconds for pick in self.picks)
        budget = format_seconds(self.budget_seconds)
        told = f"{len(self.picks)} of {self.recorded} recorded runs, about {format_seconds(seconds)} of {budget}"
        more = f"; {self.left_out} need a device that is not here or not asked for" if self.left_out else ""
        return "\n".join([*map(str, self.picks), told + more])


def plan_verification(
    root: Path,
    patterns: Sequence[str] = (),
    group: str | None = None,
    *,
    budget_seconds: float,
    device_class: str | None = None,
) -> SpotCheck:
    """Which recorded runs to run again: on DEVICE_CLASS, each by default on that of its record.

    Raises:
        ConfigurationError: no chosen run is recorded, or none fits into the budget.
        MissingTool: this machine lacks the device.
        RecordFault: a record cannot be trusted; there is no need to run it again.
    """
    title = str(read_metadata(root / "report" / "paper" / "metadata.yaml").get("title") or "")
    plan, ledger = load_plan(root / "experiments" / "plan.yaml"), Ledger(root / "experiments")
    chosen = {run.name for run in select(plan, patterns, group)}
    records = [record for record in ledger.load(plan) if ACCURACY in record.metrics]
    found = statuses(plan, ledger, root, records=records)
    wanted = _place(found, chosen, Prices(plan, records), device_class)
    if not wanted:
        raise ConfigurationError(f"verify: none of the {len(chosen)} chosen runs is recorded; run them first")
    reruns = _keep_possible(wanted)
    meaning = make_meaning(root, plan, found)
    leverages = weigh_runs(meaning.cells.values(), meaning.verdicts)
    candidates = [Candidate(rerun, leverages[rerun.run.name]) for rerun in reruns]
    picks = choose(candidates, budget_seconds)
    if not picks:
        raise ConfigurationError(_tell_cheapest(candidates, budget_seconds))
    left_out = len(wanted) - len(reruns)
    asked = Asked(tuple(patterns), group, device_class)
    return SpotCheck(root, title, asked, picks, budget_seconds, len(wanted), left_out, _by_cell(plan, records))


def _place(found: Sequence[RunStatus], chosen: Container[str], prices: Prices, device_class: str | None) -> list[Rerun]:
    """The chosen runs that are recorded, on the devices that are to compute them, with their prices there."""
    reruns = []
    for item in found:
        if item.run.name in chosen and item.record is not None:
            device = device_class or item.record.provenance["device_class"]
            reruns.append(Rerun(replace(item, price=prices.of(item.run, device)), item.record, device))
    return reruns


def _keep_possible(reruns: Sequence[Rerun]) -> list[Rerun]:
    """Those that this machine can compute where they are to be computed."""
    wanted = {rerun.device_class for rerun in reruns}
    devices = doctor.find_devices() if wanted != {"cpu"} else ("cpu",)
    possible = [r for r in reruns if r.device_class in devices and r.run.needs in (None, r.device_class)]
    if not possible:
        needed = wanted | {rerun.run.needs for rerun in reruns if rerun.run.needs}
        raise MissingTool(
            f"verify: none of the {len(reruns)} recorded runs can be run again: they need {' and '.join(sorted(needed))}, "
            f"and this machine has {', '.join(devices)}; see `build.py doctor`, or name another --device"
        )
    return possible


def _tell_cheapest(candidates: Sequence[Candidate], budget_seconds: float) -> str:
    cheapest = min(candidates, key=lambda candidate: candidate.seconds)
    return (
        f"verify: nothing fits into --budget {format_seconds(budget_seconds)}: the cheapest of {len(candidates)} recorded "
        f"runs, {cheapest.name!r}, takes about {format_seconds(cheapest.seconds)}; "
        f"--budget {int(cheapest.seconds // 60) + 1}m is enough for it"
    )


def _by_cell(plan: Plan, records: Sequence[Record]) -> dict[str, list[Record]]:
    cells: dict[str, list[Record]] = {}
    for record in records:
        cells.setdefault(plan.runs[record.run].cell, []).append(record)
    return cells


def carry_out(check: SpotCheck, folder: Path, monitor: Monitor) -> Certificate:
    """Runs the picks again in FOLDER, which an earlier verification may have filled, and writes the certificate there.

    Raises:
        ConfigurationError: FOLDER holds something else, or a verification is running there.
        KeyboardInterrupt: after the kernels were stopped; there is no certificate then.
    """
    empty(folder)
    started, begun = provenance.utc_now(), time.monotonic()
    reruns = [pick.candidate.rerun for pick in check.picks]
    code = find_all_code({rerun.run.notebook for rerun in reruns}, check.root)
    commit, dirty = read_commit(check.root, code)
    repetition = run_again(reruns, check.root, folder, budget_seconds=check.budget_seconds, monitor=monitor)
    tests = _count_tests(check, repetition)
    runs = tuple(_verify(pick, check, repetition, tests) for pick in check.picks)
    certificate = Certificate(
        title=check.title,
        asked=check.asked,
        commit=commit,
        dirty=dirty,
        started=started,
        budget_seconds=check.budget_seconds,
        spent_seconds=time.monotonic() - begun,
        recorded=check.recorded,
        runs=runs,
    )
    text = json.dumps(certificate.to_json(), indent=1, ensure_ascii=False)
    write_atomically(folder / "certificate.json", text + "\n")
    write_atomically(folder / "certificate.md", format_certificate(certificate))
    if not repetition.failures:  # Else it holds the notebooks, as far as they came.
        shutil.rmtree(folder / "cache", ignore_errors=True)
    return certificate


def _count_tests(check: SpotCheck, repetition: Repetition) -> int:
    """How many runs share the level: those that ended without the same bits."""
    recorded = {pick.candidate.name: pick.candidate.rerun.record for pick in check.picks}
    return sum(not has_same_bits(recorded[name], again) for name, again in repetition.records.items()) or 1


def _verify(pick: Pick, check: SpotCheck, repetition: Repetition, tests: int) -> Verified:
    status, recorded = pick.candidate.rerun.status, pick.candidate.rerun.record
    again = repetition.records.get(status.run.name)
    judged = None
    if again is not None:
        yardsticks = find_yardsticks(recorded, check.cells, status.run.cell)
        code = ("the code",) if status.changes else ()
        judged = judge_rerun(recorded, again, yardsticks, code, tests)
    error = repetition.failures.get(status.run.name, "")
    return Verified(pick, recorded, again, judged, error, status.acceptance or "", status.changes)


def empty(folder: Path) -> None:
    """Takes away what an earlier verification left in FOLDER, and nothing else."""
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if foreign := sorted(there - _WRITTEN):
        raise ConfigurationError(
            f"verify: --out: the folder {folder.name!r} holds other files, such as {foreign[0]!r}; name a new or an "
            "empty folder"
        )
    if running := Workspace.list_running(folder / "cache"):
        raise ConfigurationError(f"verify: {running[0]} is being verified there; wait for it or stop it")
    shutil.rmtree(folder, ignore_errors=True)
