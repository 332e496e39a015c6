"""Runs and records that nobody ran, for tests of what the report makes of them."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.plan import load_plan
from experiments.prices import Price
from experiments.spec import Group, Record, Run, State
from experiments.status import RunStatus
from report.evidence import Evidence
from report.facts import Facts, gather
from report.judge.claims import read_claims
from report.listings.table_kinds import read_tables

_USUAL = {"activation": "gelu", "norm": "batch", "residual": "depthwise", "without": "nothing"}
SETTINGS = {
    "dataset": "cifar10",
    "epochs": 5,
    "recipe": "keras",
    "precision": "fp32",
    "train_images": 45_000,
    "batch_size": 128,
    "clip_norm": None,
}
PROVENANCE = {
    "commit": "0" * 40,
    "dirty": False,
    "python": "3.11.2",
    "versions": {"torch": "2.15.0"},
    "platform": "Linux",
    "cpu": "a CPU",
    "processor": "model 1",
    "device": "a CPU",
    "device_class": "cpu",
    "gpu": None,
    "driver": None,
    "threads": 2,
    "started": "2026-11-01T00:00:00Z",
    "executor": "local",
}
COST = {
    "seconds": 600.0,
    "train_seconds": 540.0,
    "work": 1000.0,
    "peak_memory_mib": 900.0,
    "energy_joules": None,
    "attempts": 1,
}


def make_run(seed: int, groups: Sequence[str] = ("sweep",), **parameters: Any) -> Run:
    """A run named after what varies in these tests."""
    full = {"dataset": "cifar10", "recipe": "keras", "epochs": 5, "width": 256, "depth": 8, "patch_size": 8}
    full |= {"kernel_size": 3, **parameters}
    cell = "-".join(f"{name[0]}{full[name]}" for name in ("epochs", "patch_size", "kernel_size"))
    return Run(f"{cell}-s{seed}", "train.ipynb", {**full, "seed": seed}, tuple(groups), cell)


def make_record(run: Run, accuracy: float, *, parameters: int = 600_458, **settings: Any) -> Record:
    """The record that RUN would have left with this test accuracy."""
    resolved = {**SETTINGS, **{name: run.parameters[name] for name in ("dataset", "epochs", "recipe")}, **settings}
    return Record(
        run=run.name,
        notebook=run.notebook,
        parameters=run.parameters,
        key="0" * 64,
        fingerprint={},
        metrics={"test_accuracy": accuracy, "parameters": parameters},
        history={"test_accuracy": [accuracy / 2, accuracy]},
        correct=None,
        breakdown=None,
        settings=resolved,
        provenance=PROVENANCE,
        cost=COST,
    )


def measured(run: Run, accuracy: float, **settings: Any) -> RunStatus:
    """RUN as measured."""
    record = make_record(run, accuracy, **settings)
    return RunStatus(run, State.MEASURED, "", Price(600.0, "recorded", "cpu"), record, record.key)


def waiting(run: Run, state: State = State.PENDING, why: str = "planned, not run", record: Any = None) -> RunStatus:
    """RUN as not measured, for the reason given; half an hour by a guess."""
    return RunStatus(run, state, why, Price(1800.0, "guess", "cpu"), record, "1" * 64)


def make_group(name: str, runs: Iterable[Run]) -> Group:
    """A group of these runs."""
    return Group(name, f"Title of {name}", f"Question of {name}?", "", "train.ipynb", tuple(runs))


def make_evidence(*statuses: RunStatus, **groups: Sequence[RunStatus]) -> Evidence:
    """Evidence with the group `sweep` of STATUSES, and further groups by name."""
    named = {"sweep": statuses, **{name.replace("_", "-"): listed for name, listed in groups.items()}}
    every = {status.run.name: status for listed in named.values() for status in listed}
    made = [make_group(name, [status.run for status in listed]) for name, listed in named.items() if listed]
    return Evidence(made, every.values())


def make_cell(
    accuracies: Sequence[float], *, settings: Mapping[str, Any] | None = None, **parameters: Any
) -> list[RunStatus]:
    """A cell with one measured run for each of ACCURACIES, seeds from 0."""
    runs = [make_run(seed, **parameters) for seed in range(len(accuracies))]
    return [measured(run, accuracy, **(settings or {})) for run, accuracy in zip(runs, accuracies, strict=True)]


def without_epochs(statuses: Iterable[RunStatus]) -> list[RunStatus]:
    """STATUSES of a method that knows no epochs, such as one that solves an equation."""

    def less(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name != "epochs"}

    return [
        replace(
            status,
            run=replace(status.run, parameters=less(status.run.parameters)),
            record=status.record
            and replace(
                status.record,
                parameters=less(status.record.parameters),
                settings=less(status.record.settings),
                history={},
            ),
        )
        for status in statuses
    ]


def make_facts(
    root: Path, *, runs: int | None = None, names: Container[str] | None = None, smoke: bool = False
) -> Facts:
    """The repository's own plan and claims, with its first RUNS measured (None: all of them), or those of these NAMES."""
    plan = load_plan(root / "experiments" / "plan.yaml", smoke=smoke)
    formula = read_claims(root / "report" / "paper" / "claims.yaml").formulas["parameters"]
    tables = [table for table in read_tables(root).values() if table.kind == "conditions"]
    tested = {metric: 0.5 for table in tables for metric in table.options["conditions"]}
    statuses = []
    for index, run in enumerate(plan.runs.values()):
        if (runs is not None and index >= runs) or (names is not None and run.name not in names):
            statuses.append(waiting(run))
            continue
        status = measured(run, made_up_accuracy(run), parameters=int(formula.evaluate(run.parameters)))
        more = tested if run.parameters.get("corruptions") else {}
        metrics = {"train_accuracy": made_up_accuracy(run) + 0.02, **more, **status.record.metrics}
        if "shown" in run.parameters:  # of the notebook that looks inside
            metrics |= {f"middle_share_{block}": 0.02 for block in range(1, run.parameters["depth"] + 1)}
        statuses.append(replace(status, record=replace(status.record, metrics=metrics)))
    return gather(root, plan, statuses)


def made_up_accuracy(run: Run) -> float:
    """Better with smaller patches, larger kernels and more epochs, worse by an ablation; seeds differ by a tenth of a point."""
    size, kernel, epochs = (int(run.parameters[name]) for name in ("patch_size", "kernel_size", "epochs"))
    changed = sum(run.parameters.get(name, usual) != usual for name, usual in _USUAL.items())
    return 0.60 + 0.02 * kernel - 0.01 * size + 0.0005 * epochs + 0.001 * run.seed - 0.005 * changed
