"""This repository with a small plan of its own: ConvMixers that learn the embedded digits in a second or two."""

import shutil
from pathlib import Path

from experiments.spec import Record

REPOSITORY = Path(__file__).parent.parent
RUN = "digits-w8-s0"
PLAN = """version: 1
name: "digits-w{{width}}-s{{seed}}"
work: "width * epochs"
speed: {{cpu: 10}}
defaults:
  notebook: train.ipynb
  parameters: {{dataset: digits, recipe: smoke, epochs: 2, depth: 1, patch_size: 2, kernel_size: 3}}
  resources: {resources}
groups:
  widths:
    title: Two widths
    question: Does width matter?
    grid: {{width: [8, 16]}}
    seeds: [0, 1]
"""


def make_digits_repository(folder: Path, resources: str = "{}") -> Path:
    """Lays out the code, the notebook and a plan of four runs in the folder, which is returned."""
    ignored = shutil.ignore_patterns("__pycache__", "records", "executed", "*.jsonl", "paper", "out")
    for name in ("convmixer", "experiments", "report"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    shutil.copy(REPOSITORY / "build.py", folder)
    (folder / "experiments" / "plan.yaml").write_text(PLAN.format(resources=resources))
    return folder


def numbers_of(record: Record) -> tuple[object, ...]:
    """All of a record that must not depend on where, when and in how many attempts it was computed."""
    history = {name: values for name, values in record.history.items() if "seconds" not in name}
    return record.run, record.key, record.parameters, record.metrics, history, record.correct, record.settings
