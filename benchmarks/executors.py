"""What a run costs beside its own computing, and whether anything grows or stalls over many: N runs on this machine.

    python benchmarks/executors.py [--runs 100] [--jobs 1] [--kernels cold warm] [--torch]

Each run is a notebook that imports (with --torch, PyTorch too), records one number and ends, so all of its time is
overhead: kernel, Papermill, record. Cold kernels start a Python each, warm ones are forked from one that has imported
already. The driver's memory, open files and threads are looked at ten times on the way; a leak shows as a slope.

Beside the seconds stands their ratio to a floor, timed in turn before each tenth: a Python that imports what a kernel
does and ends. On a machine that is not idle only the ratio says anything.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from experiments.executors import LocalExecutor
from experiments.ledger import Ledger
from experiments.plan import load_plan
from experiments.spec import Record, Run, RunFailed
from experiments.status import statuses

PLAN = """version: 1
name: "empty-z{{size}}-s{{seed}}"
work: "1"
speed: {{cpu: 1}}
groups:
  many:
    title: Empty runs
    question: What does a run cost that computes nothing?
    notebook: empty.ipynb
    grid: {{size: [1]}}
    seeds: {seeds}
"""
IMPORTS = "import numpy"
RECORD = "from experiments.recording import record\nrecord(metrics={'test_accuracy': 1.0})"
PARTS = 10


@dataclass(frozen=True)
class Look:
    """The driver at one moment: runs done, seconds since the begin, memory, open files, threads, child processes."""

    done: int
    seconds: float
    memory_mib: float
    files: int
    threads: int
    children: int


class Recorder:
    """A monitor that looks at this process when a run has ended."""

    def __init__(self, every: int) -> None:
        self.looks: list[Look] = []
        self._every, self._done, self._begun = every, 0, time.monotonic()
        self._process = psutil.Process()

    def start(self, run: Run, price_seconds: float) -> None:
        """A run begins."""

    def advance(self, run: Run, words: str, fraction: float) -> None:
        """A run goes on."""

    def finish(self, run: Run, record: Record) -> None:
        """A run is recorded."""
        self._done += 1
        if self._done % self._every == 0:
            process = self._process
            memory, children = process.memory_info().rss / 2**20, len(process.children(recursive=True))
            seconds = time.monotonic() - self._begun
            self.looks.append(Look(self._done, seconds, memory, process.num_fds(), process.num_threads(), children))

    def fail(self, run: Run, error: RunFailed) -> None:
        """A run has failed, which ends the benchmark."""
        raise error

    def leave(self, run: Run) -> None:
        """Another process has the run: there is none."""


def main() -> None:
    """Measures each kind of kernel and prints a table for each."""
    options = _parse()
    imports = f"{IMPORTS}, torch" if options.torch else IMPORTS
    for kernels in options.kernels:
        floor = statistics.median(_time_floor(imports) for _ in range(5))
        with _lay_out(options.runs, imports) as root:
            looks = _measure(root, options.runs, options.jobs, warm=kernels == "warm")
        _print(looks, f"{options.runs} runs, {kernels} kernels, -j {options.jobs}, {imports}", floor, options.jobs)


def _measure(root: Path, runs: int, jobs: int, *, warm: bool) -> list[Look]:
    plan, ledger = load_plan(root / "experiments" / "plan.yaml"), Ledger(root / "experiments")
    tasks = statuses(plan, ledger, root)
    recorder = Recorder(max(1, runs // PARTS))
    outcome = LocalExecutor(root, ledger, root / ".cache", jobs, warm=warm).run(tasks, recorder)
    assert len(outcome.recorded) == len(ledger.load(plan)) == runs, "a run is lost"
    return recorder.looks


def _print(looks: list[Look], title: str, floor: float, jobs: int) -> None:
    print(f"\n{title}; floor {floor:.2f} s\n")
    print("| runs | s a run | of the floor | driver MiB | open files | threads | children |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    before = Look(0, 0.0, 0.0, 0, 0, 0)
    for look in looks:
        seconds = (look.seconds - before.seconds) / (look.done - before.done) * jobs
        print(
            f"| {look.done} | {seconds:.2f} | {seconds / floor:.2f} | {look.memory_mib:.0f} | {look.files} "
            f"| {look.threads} | {look.children} |"
        )
        before = look


def _time_floor(imports: str) -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", f"import ipykernel.kernelapp; {imports}"], check=True)
    return time.monotonic() - begun


@contextlib.contextmanager
def _lay_out(runs: int, imports: str) -> Iterator[Path]:
    """A repository with a plan of so many empty runs."""
    with tempfile.TemporaryDirectory(prefix="executors-") as folder:
        experiments = Path(folder) / "experiments"
        experiments.mkdir()
        (experiments / "plan.yaml").write_text(PLAN.format(seeds=list(range(runs))))
        sources = {"parameters": "seed = 0\nsize = 1", "imports": imports, "record": RECORD}
        cells = [
            {
                "cell_type": "code",
                "id": name,
                "source": source,
                "metadata": {"tags": ["parameters"]} if name == "parameters" else {},
                "execution_count": None,
                "outputs": [],
            }
            for name, source in sources.items()
        ]
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        (experiments / "empty.ipynb").write_text(json.dumps(notebook))
        yield Path(folder)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--kernels", nargs="+", choices=("cold", "warm"), default=["cold", "warm"])
    parser.add_argument("--torch", action="store_true", help="the notebook imports PyTorch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
