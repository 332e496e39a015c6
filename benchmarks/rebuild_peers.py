"""How long it takes to see that nothing has changed: `python build.py` beside doit, DVC and Snakemake.

    python benchmarks/rebuild_peers.py [--records 500] [--repeats 5] [--tools FOLDER] [--save]

Every tool gets the same copy of the repository with the same made-up records, is told the same inputs and the same
command, and has run once. Then all are asked again, in turn, as whole processes; the fastest of the repeats counts. The
ratio is one of processor time, which other work on the machine changes least: none of the tools waits for anything.
Each peer lives in a virtual environment of its own below FOLDER, which is made on the first call (from the network) and
kept for the next: none of them belongs to this project.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.rebuild import lay_out, load_average, machine, timed, whole_from
from report.freshness import list_inputs

STAMP = "built.stamp"  # the output of the task: Snakemake and DVC remove an output before they make it again
BUILD = f"{sys.executable} build.py && touch {STAMP}"


@dataclass(frozen=True)
class Peer:
    """A tool: its package, the file that tells it the task, and its commands; `factor` is how much slower we expect."""

    name: str
    file: str
    prepare: tuple[str, ...]
    run: tuple[str, ...]
    factor: float

    def describe(self, inputs: Iterable[str]) -> str:
        """The content of its file."""
        return _DESCRIPTIONS[self.name](list(inputs))


def describe_for_doit(inputs: list[str]) -> str:
    """A task with every input named."""
    return (
        f"def task_report():\n    return {{'actions': [{BUILD!r}], 'file_dep': {inputs!r}, 'targets': [{STAMP!r}]}}\n"
    )


def describe_for_dvc(inputs: list[str]) -> str:
    """A stage with every input named."""
    listed = "".join(f"      - {path}\n" for path in inputs)
    return f"stages:\n  report:\n    cmd: {BUILD}\n    deps:\n{listed}    outs:\n      - {STAMP}\n"


def describe_for_snakemake(inputs: list[str]) -> str:
    """A rule with every input named."""
    return f"rule report:\n    input: {inputs!r}\n    output: {STAMP!r}\n    shell: {BUILD!r}\n"


_DESCRIPTIONS = {"doit": describe_for_doit, "dvc": describe_for_dvc, "snakemake": describe_for_snakemake}
PEERS = (
    Peer("doit", "dodo.py", (), ("doit",), 1.3),
    Peer("dvc", "dvc.yaml", ("dvc", "init", "--no-scm"), ("dvc", "repro"), 5),
    Peer("snakemake", "Snakefile", (), ("snakemake", "--cores", "1", "report"), 8),
)


def install(peer: Peer, tools: Path) -> Path:
    """The folder of the peer's commands; its environment is made where it is not there yet."""
    folder = tools / peer.name
    commands = folder / "bin"
    if not (commands / peer.name).is_file():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([commands / "python", "-m", "pip", "install", "--quiet", peer.name], check=True)
    return commands


def version_of(peer: Peer, commands: Path) -> str:
    """The version that is installed there."""
    program = f"from importlib.metadata import version; print(version({peer.name!r}))"
    run = subprocess.run([commands / "python", "-c", program], check=True, capture_output=True, text=True)
    return run.stdout.strip()


def command_of(commands: Path, words: tuple[str, ...]) -> list[str]:
    """The words of a command, the first as the program below COMMANDS."""
    return [str(commands / words[0]), *words[1:]]


def prepare(peer: Peer, commands: Path, folder: Path, inputs: Iterable[str]) -> None:
    """Tells the peer its task and lets it run it once."""
    (folder / peer.file).write_text(peer.describe(inputs), encoding="utf-8")
    if peer.prepare:
        timed(command_of(commands, peer.prepare), folder)
    timed(command_of(commands, peer.run), folder)


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds of processor time, which costs are compared by, and seconds by the clock."""

    cpu: float
    seconds: float


def cost_of(command: list[str], folder: Path) -> Cost:
    """The cost of a command that must succeed, and of its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = timed(command, folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds)


def fastest(costs: list[Cost]) -> Cost:
    """The least of each."""
    return Cost(min(cost.cpu for cost in costs), min(cost.seconds for cost in costs))


def measure(folder: Path, tools: Path, repeats: int) -> list[tuple[str, Cost, float]]:
    """(tool with its version, cost, factor expected) of each, ours first."""
    build = [sys.executable, "build.py"]
    timed(build, folder)
    timed(build, folder)  # what was written in the moment of the build is looked at a second time here
    inputs = [line.split(" ", 3)[3] for line in list_inputs(folder).lines]
    inputs = [path for path in inputs if not Path(path).is_absolute()]  # the copy has the code of its own
    commands = {peer: install(peer, tools) for peer in PEERS}
    for peer in PEERS:
        prepare(peer, commands[peer], folder, inputs)
    ours: list[Cost] = []
    theirs: dict[Peer, list[Cost]] = {peer: [] for peer in PEERS}
    for _ in range(repeats):
        ours.append(cost_of(build, folder))
        for peer in PEERS:
            theirs[peer].append(cost_of(command_of(commands[peer], peer.run), folder))
    rows = [(f"{peer.name} {version_of(peer, commands[peer])}", fastest(theirs[peer]), peer.factor) for peer in PEERS]
    return [("python build.py", fastest(ours), 1.0), *rows]


def as_table(rows: list[tuple[str, Cost, float]]) -> str:
    """The rows as Markdown, each beside ours."""
    lines = ["| tool | processor s | times ours | aim | clock s |", "|---|--:|--:|--:|--:|"]
    ours = rows[0][1]
    for name, cost, factor in rows:
        lines.append(f"| {name} | {cost.cpu:.3f} | {cost.cpu / ours.cpu:.1f} | {factor:g} | {cost.seconds:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=whole_from(1), default=500)
    parser.add_argument("--repeats", type=whole_from(1), default=5)
    parser.add_argument("--tools", type=Path, default=Path(tempfile.gettempdir(), "rebuild-peers"))
    parser.add_argument("--save", action="store_true", help="write the page to benchmarks/results/")
    arguments = parser.parse_args()
    before = load_average()
    with tempfile.TemporaryDirectory(prefix="rebuild-") as place:
        folder = Path(place)
        number = len(lay_out(folder, arguments.records))
        table = as_table(measure(folder, arguments.tools, arguments.repeats))
    day = datetime.now(UTC).date()
    page = (
        f"# Nothing has changed, and who sees it how fast\n\n{day}, {machine()}; {number:,} records; the fastest of "
        f"{arguments.repeats}, in turn. {before}\n\n{table}\n"
    )
    print(page)
    if arguments.save:
        (ROOT / "benchmarks/results" / f"rebuild-peers-{day}.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
