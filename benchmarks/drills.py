"""Each fault drill many times, at other random moments each time: how often nothing was lost and the numbers were right.

    python benchmarks/drills.py [--repetitions 100] [--jobs 4] [--only WORD ...] [--save]

These are the tests of the suite, which repeats each of them twice. JOBS rows of them run side by side, each with a Slurm
and a Ray of its own. Ends with 1 where one of them failed.
"""

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.rebuild import load_average, machine, whole_from

FILES = ("tests/test_drills.py", "tests/test_drills_files.py", "tests/test_slurm.py", "tests/test_ray.py")
PYTEST = (sys.executable, "-m", "pytest", "-q", "--override-ini=addopts=", "-p", "no:cacheprovider")
NODE = re.compile(r"(?P<file>[^:]+)::test_(?P<name>\w+)\[(?:(?P<signal>\d+)-)?(?P<seed>\d+)\]")


@dataclass(frozen=True)
class Outcome:
    """How one repetition of a drill ended: `passed`, `failed` or `skipped`, with the last line of what it said."""

    drill: str
    ended: str
    seconds: float
    words: str = ""


def drill_of(node: str) -> str:
    """What a drill is called in the table: its test's name in words, and the signal where it has several."""
    found = NODE.fullmatch(node)
    assert found, node
    how = f" ({signal.Signals(int(found['signal'])).name})" if found["signal"] else ""
    return found["name"].replace("_", " ") + how


def find(repetitions: int, only: list[str]) -> list[str]:
    """The drills, one a repetition; with ONLY, those in whose name one of its words is."""
    command = [*PYTEST, "--collect-only", "-m", "drill", *FILES]
    environment = _environment(repetitions)
    listed = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    if listed.returncode:
        sys.exit(listed.stdout + listed.stderr)
    nodes = [line for line in listed.stdout.splitlines() if NODE.fullmatch(line)]
    return [node for node in nodes if not only or any(word in node for word in only)]


def _environment(repetitions: int) -> dict[str, str]:
    return {**os.environ, "DRILLS": str(repetitions)}


def start(nodes: list[str], repetitions: int, result: Path) -> "subprocess.Popen[bytes]":
    """A pytest that does NODES one after the other and writes RESULT."""
    command = [*PYTEST, f"--junitxml={result}", f"--basetemp={result.with_suffix('')}", *nodes]
    return subprocess.Popen(command, cwd=ROOT, env=_environment(repetitions), stdout=2)  # standard error


def read(result: Path) -> list[Outcome]:
    """The outcomes that a pytest has written."""
    outcomes = []
    for case in ElementTree.parse(result).iter("testcase"):
        node = f"{case.attrib['classname'].replace('.', '/')}.py::{case.attrib['name']}"
        bad = next((part for part in case if part.tag in ("failure", "error", "skipped")), None)
        ended = "passed" if bad is None else "skipped" if bad.tag == "skipped" else "failed"
        words = "" if bad is None else bad.attrib.get("message", "").strip().partition("\n")[0]
        outcomes.append(Outcome(drill_of(node), ended, float(case.attrib["time"]), words))
    return outcomes


def as_table(outcomes: list[Outcome]) -> str:
    """One line a drill: repetitions, those that ended well, the median of their seconds."""
    drills: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        drills[outcome.drill].append(outcome)
    lines = ["| drill | repetitions | nothing lost, numbers right | seconds each |", "|---|--:|--:|--:|"]
    for drill, listed in drills.items():
        passed, skipped = (sum(one.ended == word for one in listed) for word in ("passed", "skipped"))
        done = "not here" if skipped else str(passed)
        lines.append(f"| {drill} | {len(listed)} | {done} | {statistics.median(one.seconds for one in listed):.1f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=whole_from(1), default=100)
    parser.add_argument("--jobs", type=whole_from(1), default=4)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="drills in whose test's name one of them is"
    )
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results/")
    arguments = parser.parse_args()
    before, repetitions = load_average(), arguments.repetitions
    drills = find(repetitions, arguments.only)
    if not drills:
        parser.error(f"--only: in no drill's name is one of: {', '.join(arguments.only)}")
    rows = [drills[first :: arguments.jobs] for first in range(arguments.jobs)]
    with tempfile.TemporaryDirectory(prefix="drills-") as folder:
        results = [Path(folder, f"{number}.xml") for number in range(len(rows))]
        running = [start(nodes, repetitions, result) for nodes, result in zip(rows, results, strict=True) if nodes]
        for process in running:
            process.wait()
        outcomes = [outcome for result in results if result.is_file() for outcome in read(result)]
    day = datetime.now(UTC).date()
    page = (
        f"# Fault drills\n\n{day}, {machine()}; {arguments.jobs} rows side by side. {before}\n\n{as_table(outcomes)}\n"
    )
    print(page)
    failed = [outcome for outcome in outcomes if outcome.ended == "failed"]
    for outcome in failed:
        print(f"FAILED {outcome.drill}: {outcome.words}", file=sys.stderr)
    if arguments.save:
        (ROOT / "benchmarks/results" / f"drills-{day}.md").write_text(page)
    return 1 if failed or len(outcomes) < len(drills) else 0


if __name__ == "__main__":
    sys.exit(main())
