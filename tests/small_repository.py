"""A repository as small as can be: one module, one plan, tiny notebooks. For tests of what runs and keeps records."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.fingerprint import fingerprint
from experiments.ledger import Ledger
from experiments.plan import Plan, load_plan
from experiments.spec import Correct, Record

NOTEBOOKS = Path(__file__).parent / "notebooks"
MODEL = '''"""A method."""

from method.data import CHECKSUM


def double(value):
    """Twice the value."""
    return 2 * value  # the method


class Model:
    def forward(self, value):
        return double(value) + len(CHECKSUM)
'''
PLAN = """version: 1
name: "{name}-z{size}-s{seed}"
work: "size * 10"
speed: {cpu: 5, cuda: 50}
defaults: {notebook: fine.ipynb, parameters: {name: tiny}}
groups:
  sizes:
    title: Two sizes
    question: Does size matter?
    cells: [{size: 2}, {size: 3}]
    seeds: [0, 1]
  larger:
    title: A larger one
    question: Does more size matter more?
    grid: {size: [3, 4]}
    seeds: [0]
smoke: {parameters: {name: smoke}, seeds: [0], groups: [sizes]}
"""
PROVENANCE = {
    "commit": None,
    "dirty": None,
    "python": "3.11.2",
    "versions": {},
    "platform": "Linux x86_64",
    "cpu": "a CPU",
    "device": "a CPU",
    "device_class": "cpu",
    "gpu": None,
    "driver": None,
    "threads": 2,
    "started": "2026-01-01T00:00:00Z",
    "executor": "local",
}
COST = {"seconds": 4.0, "work": 20, "peak_memory_mib": 100.0, "energy_joules": None, "attempts": 1}


def make_repository(folder: Path, plan: str = PLAN) -> Path:
    """Lays the repository out in the folder, which is returned."""
    (folder / "method").mkdir(parents=True)
    (folder / "method" / "__init__.py").write_text('"""The method."""\n')
    (folder / "method" / "model.py").write_text(MODEL)
    (folder / "method" / "data.py").write_text('CHECKSUM = "abc"\n')
    shutil.copytree(NOTEBOOKS, folder / "experiments")
    (folder / "experiments" / "plan.yaml").write_text(plan)
    return folder


def open_repository(root: Path) -> tuple[Plan, Ledger]:
    """The plan and the ledger of a repository."""
    return load_plan(root / "experiments" / "plan.yaml"), Ledger(root / "experiments")


def make_record(root: Path, name: str, **changes: Any) -> Record:
    """A sound record of a run of the plan, under today's key; three of four test images are right."""
    run = load_plan(root / "experiments" / "plan.yaml").run(name)
    today = fingerprint(run, root)
    record = Record(
        run=run.name,
        notebook=run.notebook,
        parameters=run.parameters,
        key=today.key,
        fingerprint=today.to_json(),
        metrics={"test_accuracy": 0.75},
        history={"epoch": [1, 2], "test_accuracy": [0.5, 0.75]},
        correct=Correct("test", 4, "0A=="),
        breakdown=None,
        settings={"recipe": "tiny", "clip_norm": None},
        provenance=PROVENANCE,
        cost=COST,
    )
    return replace(record, **changes)


def edit(path: Path, old: str, new: str) -> None:
    """Replaces the one place of a text in a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new), encoding="utf-8")
