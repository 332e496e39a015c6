"""How long `python build.py` takes from N recorded runs: from cold, with nothing changed, with one run's result changed;
and how long `python build.py status`.

    python benchmarks/rebuild.py [--records 50 500 5000] [--repeats 5] [--save]

Each N gets a copy of the repository with a ledger of N made-up records (never the repository's own). A command is
timed as a whole process, and the fastest of the repeats counts: the machine may be shared. Its peak memory is the
largest process's; beside it stands the most that all its processes held together, a shared page counted once. The
floor, timed in turn in the same run: starting Python for "nothing changed" and "status"; importing pandas, matplotlib,
scipy and jinja2 for the others. On a machine that is not idle only the ratio to the floor says anything.
"""

import argparse
import base64
import contextlib
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from experiments.fingerprint import Fingerprinter
from experiments.plan import load_plan
from experiments.schema import format_record
from experiments.spec import Correct, Record, Run

COPIED = ("build.py", "pyproject.toml", "convmixer", "experiments", "report", "templates")
TEST_IMAGES = 10_000
FLOORS = {
    "nothing changed": "pass",
    "one changed": "import jinja2, matplotlib.pyplot, pandas, scipy.stats",
    "cold": "import jinja2, matplotlib.pyplot, pandas, scipy.stats",
    "status": "pass",
}


def made_up_record(run: Run, key: str, noise: random.Random) -> Record:
    """A record of plausible size and shape whose numbers are drawn, not measured."""
    bits = bytes(noise.getrandbits(8) | noise.getrandbits(8) for _ in range(TEST_IMAGES // 8))
    correct = Correct("test", TEST_IMAGES, base64.b64encode(bits).decode())
    accuracy = correct.ones() / TEST_IMAGES
    epochs = int(run.parameters["epochs"])
    rising = [accuracy - 0.3 * (1 - epoch / epochs) for epoch in range(1, epochs)] + [accuracy]
    columns = ("train_accuracy", "validation_accuracy", "test_accuracy")
    losses = ("train_loss", "validation_loss", "test_loss")
    history = {"epoch": list(range(1, epochs + 1)), "learning_rate": [1e-3] * epochs, "seconds": [60.0] * epochs}
    history |= {name: rising for name in columns} | {name: [1 - value for value in rising] for name in losses}
    known = recorded_like(run)
    return Record(
        run=run.name,
        notebook=run.notebook,
        parameters=run.parameters,
        key=key,
        fingerprint=known.get("fingerprint", {}),
        metrics=known.get("metrics", {})
        | {"test_accuracy": accuracy, "test_loss": 1 - accuracy, "parameters": 600_000},
        history=history,
        correct=correct,
        breakdown=known.get("breakdown"),
        settings=settle(known.get("settings", {}), run),
        provenance=known.get("provenance", {}),
        cost=known.get("cost", {}) | {"seconds": 60.0 * epochs, "work": run.work},
    )


@cache
def every_record() -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(path.read_text()) for path in sorted((ROOT / "experiments/records").glob("*.json")))


def recorded_like(run: Run) -> dict[str, Any]:
    """The first of the repository's own records that RUN's notebook made on the same tests, and so has its metrics."""
    wanted = run.notebook, run.parameters.get("corruptions", False)
    alike = (k for k in every_record() if (k["notebook"], k["parameters"].get("corruptions", False)) == wanted)
    return next(alike, {})


def settle(known: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Settings as a run with these parameters would record them: its own parameters, and what "auto" may come to."""
    resolved = {"path": "native", "precision": "fp32"}
    chosen = {name: value for name, value in run.parameters.items() if name in known}
    return {
        **known,
        **{name: resolved.get(name, value) if value == "auto" else value for name, value in chosen.items()},
    }


def lay_out(folder: Path, records: int) -> list[Path]:
    """A copy of the repository below FOLDER whose plan has at least RECORDS runs, RECORDS of them recorded."""
    for name in COPIED:
        source = ROOT / name
        ignored = shutil.ignore_patterns("__pycache__", "out", "records", "executed", "failures.jsonl")
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    plan_path = folder / "experiments/plan.yaml"
    content = yaml.safe_load(plan_path.read_text())
    cells = len({run.cell for run in load_plan(plan_path).runs.values()})
    for group in content["groups"].values():
        group["seeds"] = list(range(-(-records // cells) or 1))  # a plan has runs also where none is recorded
    plan_path.write_text(yaml.safe_dump(content, sort_keys=False))
    plan = load_plan(plan_path)
    noise = random.Random(0)
    folder_of_records = folder / "experiments/records"
    folder_of_records.mkdir()
    fingerprinter = Fingerprinter(folder)  # reads each module once
    for run in list(plan.runs.values())[:records]:
        record = made_up_record(run, fingerprinter.of(run).key, noise)
        (folder_of_records / f"{run.name}.json").write_text(format_record(record))
    return sorted(folder_of_records.iterdir())


def change_one(path: Path, noise: random.Random) -> None:
    """Replaces one record by one of the same run with another result, so that tables and figures change."""
    old = Record.from_text(path.read_text(), path.name)
    run = Run(old.run, old.notebook, old.parameters, (), "", old.cost["work"])
    path.write_text(format_record(made_up_record(run, old.key, noise)))


def timed(command: list[str], folder: Path) -> float:
    """Seconds of a command that must succeed, as a whole process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, error = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode} in {folder}:\n{error.decode()}")
    return seconds


def peak_mib(command: list[str], folder: Path) -> tuple[float, float]:
    """Peak memory of COMMAND: of the largest process, and of it and its children together, looked at every 20 ms."""
    program = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    arguments = [sys.executable, "-c", program, *command]
    together = 0.0
    with subprocess.Popen(arguments, cwd=folder, stdout=subprocess.PIPE, text=True) as run:
        while run.poll() is None:
            together = max(together, sum(map(proportional_mib, descendants(run.pid))))
            time.sleep(0.02)
        assert run.stdout is not None and run.returncode == 0
        return float(run.stdout.read().strip().splitlines()[-1]), together


def descendants(process: int) -> list[int]:
    """The processes below PROCESS (Linux)."""
    found = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return [*found, *(grandchild for child in found for grandchild in descendants(child))]


def proportional_mib(process: int) -> float:
    """The memory of PROCESS, a page that n processes share counted as 1/n; 0 where it has ended."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
    return 0.0


def measure(folder: Path, records: list[Path], repeats: int) -> list[dict[str, object]]:
    """One row a situation: medians of REPEATS runs, each beside its floor."""
    build = [sys.executable, "build.py"]

    def make_cold() -> None:
        shutil.rmtree(folder / ".cache", ignore_errors=True)
        shutil.rmtree(folder / "report/out", ignore_errors=True)

    noise = random.Random(1)
    situations: dict[str, Callable[[], object]] = {
        "cold": make_cold,
        "nothing changed": lambda: None,
        "status": lambda: None,
        "one changed": lambda: change_one(records[0], noise),
    }
    timed(build, folder)  # byte code of the copy
    rows = []
    for name, prepare in situations.items():
        command = [*build, "status"] if name == "status" else build
        pairs = []
        for _ in range(repeats):
            prepare()
            pairs.append((timed(command, folder), timed([sys.executable, "-c", FLOORS[name]], folder)))
        seconds, floor = (min(times) for times in zip(*pairs, strict=True))
        prepare()
        peak, together = peak_mib(command, folder)
        rows.append(
            {
                "records": len(records),
                "situation": name,
                "seconds": seconds,
                "floor": floor,
                "ratio": seconds / floor,
                "MiB": peak,
                "sum": together,
            }
        )
    return rows


def as_table(rows: list[dict[str, object]]) -> str:
    lines = ["| records | situation | seconds | floor | ratio | MiB | MiB, all |", "|--:|---|--:|--:|--:|--:|--:|"]
    for row in rows:
        lines.append(
            f"| {row['records']:,} | {row['situation']} | {row['seconds']:.3f} | {row['floor']:.3f} "
            f"| {row['ratio']:.1f} | {row['MiB']:.0f} | {row['sum']:.0f} |"
        )
    return "\n".join(lines)


def machine() -> str:
    names = ("jinja2", "matplotlib", "pandas", "scipy", "typst", "pypandoc_binary")
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    processor = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {libraries}"


def whole_from(least: int) -> Callable[[str], int]:
    """The type of an argument: a whole number of at least LEAST."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} on")
        return int(text)

    return read


def load_average() -> str:
    """How busy the machine was before, for a page."""
    return f"Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores when it began."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=whole_from(1), nargs="+", default=[50, 500, 5000])
    parser.add_argument("--repeats", type=whole_from(1), default=5)
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results/")
    arguments = parser.parse_args()
    rows, before = [], load_average()
    for number in arguments.records:
        with tempfile.TemporaryDirectory(prefix="rebuild-") as folder:
            rows += measure(Path(folder), lay_out(Path(folder), number), arguments.repeats)
    day = datetime.now(UTC).date()
    page = f"# Rebuilding the report\n\n{day}, {machine()}; the fastest of {arguments.repeats}. {before}\n\n{as_table(rows)}\n"
    print(page)
    if arguments.save:
        (ROOT / "benchmarks/results" / f"rebuild-{day}.md").write_text(page)


if __name__ == "__main__":
    main()
