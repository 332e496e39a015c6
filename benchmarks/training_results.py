"""What `benchmarks/training.py` has measured, and the page that it makes of it. Imports nothing heavy."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace

CELLS = {"p2k5": (2, 5), "p4k9": (4, 9), "p1k9": (1, 9)}  # patch size and kernel size
PEERS = ("authors", "authors-16", "timm", "timm-compiled")
TARGETS = {  # the least ratio to a peer
    "native": {"authors": 7.0},
    "native-bf16": {"authors": 7.0},
    "triton": {"authors": 20.0, "authors-16": 20.0, "timm-compiled": 2.0},
}
FALLBACK_TARGETS = {"authors": 2.5}  # of pure torch, for a CPU without a compiler
EPOCH_IMAGES = 50_000


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one process measures: ``variant`` is one of ``training.VARIANTS``, or "ceilings" for the machine's rates."""

    variant: str
    device: str
    patch_size: int
    kernel_size: int
    batch_size: int
    seconds: float  # to train for after the warm-up
    width: int = 256
    depth: int = 8
    rehearsed: bool = False


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What was measured of one variant of one cell in one round."""

    images: int
    seconds: float
    peak_mib: float
    peak_mib_before: float  # the training, with libraries and data set loaded
    precision: str
    flops_per_image: int
    bytes_per_image: int

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """What the machine can do, and what it is."""

    flops_per_second: float
    bytes_per_second: float
    precision: str
    machine: str

    def floor(self, speed: Speed) -> float:
        """The least seconds that an image can take."""
        return max(speed.flops_per_image / self.flops_per_second, speed.bytes_per_image / self.bytes_per_second)

    def or_better(self, other: "Ceilings") -> "Ceilings":
        """The better of the rates of two rounds, since a ceiling is what can be reached."""
        rates = ("flops_per_second", "bytes_per_second")
        return replace(self, **{name: max(getattr(self, name), getattr(other, name)) for name in rates})


@dataclass(kw_only=True)
class Results:
    """All that one run of the benchmark measures; ``speeds`` and ``missing`` are by (cell, variant)."""

    date: str
    device: str
    rounds: int
    seconds: float
    ceilings: Ceilings
    speeds: dict[tuple[str, str], dict[int, Speed]] = field(default_factory=dict)  # by round
    missing: dict[tuple[str, str], str] = field(default_factory=dict)  # why it was not measured

    def ratios(self, cell: str, variant: str, peer: str) -> list[float]:
        """How many times as fast as ``peer``, in each round in which both were measured."""
        own, theirs = self.speeds.get((cell, variant), {}), self.speeds.get((cell, peer), {})
        return [own[number].images_per_second / theirs[number].images_per_second for number in own if number in theirs]


def make_page(results: Results, tasks: dict[str, list[Task]]) -> str:
    """The Markdown page: the machine, then a section for each cell of ``tasks`` with a row for each task."""
    best = results.ceilings
    head = (
        f"# Training speed\n\n{results.date}, {best.machine}. Rounds: {results.rounds}, with {results.seconds:g} s for "
        f"each variant. Product in {best.precision} {best.flops_per_second / 1e9:,.0f} GFLOP/s, copy "
        f"{best.bytes_per_second / 1e9:,.1f} GB/s.\n"
    )
    if any(task.rehearsed for some in tasks.values() for task in some):
        head += "\nA rehearsal: none of the numbers below mean anything.\n"
    return head + "".join(f"\n{describe_cell(results, cell, some)}" for cell, some in tasks.items())


def describe_cell(results: Results, cell: str, tasks: list[Task]) -> str:
    """A cell's heading, its floor and its table."""
    task, names = tasks[0], [task.variant for task in tasks]
    model = f"ConvMixer-{task.width}/{task.depth}, p {task.patch_size}, k {task.kernel_size}"
    text = f"## {model}, batch {task.batch_size}\n"
    work = next((speed for name in names for speed in results.speeds.get((cell, name), {}).values()), None)
    if work is not None:
        text += (
            f"\n{work.flops_per_image / 1e9:.3g} GFLOP and at least {work.bytes_per_image / 1e6:.3g} MB an image: "
            f"at most {results.ceilings.flops_per_second / work.flops_per_image:,.0f} and "
            f"{results.ceilings.bytes_per_second / work.bytes_per_image:,.0f} images/s.\n"
        )
    peers = [peer for peer in PEERS if peer in names]
    columns = ["images/s", "s/epoch", *(f"x {peer}" for peer in peers), "of floor", "peak MiB"]
    lines = [["variant", "precision", *columns], ["---", "---", *["--:"] * len(columns)]]
    lines += [describe_variant(results, cell, name, peers) for name in names]
    return f"{text}\n{set_table(lines)}"


def set_table(lines: Iterable[Iterable[str]]) -> str:
    """A table in Markdown: of LINES the first is its head, the second how its columns are aligned."""
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def describe_variant(results: Results, cell: str, variant: str, peers: list[str]) -> list[str]:
    """One row of a cell's table."""
    if (cell, variant) not in results.speeds:
        return [variant, f"not measured: {results.missing[cell, variant]}", *["–"] * (len(peers) + 4)]
    speeds = list(results.speeds[cell, variant].values())
    rates, targets = [speed.images_per_second for speed in speeds], find_targets(results, variant)
    peak, before = (max(getattr(speed, name) for speed in speeds) for name in ("peak_mib", "peak_mib_before"))
    return [
        variant,
        speeds[0].precision,
        show_spread(rates),
        show_number(EPOCH_IMAGES / statistics.median(rates)),
        *(show_ratio(results.ratios(cell, variant, peer), targets.get(peer)) for peer in peers),
        f"{results.ceilings.floor(speeds[0]) * statistics.median(rates):.1%}",
        f"{peak:,.0f} ({before:,.0f})",
    ]


def find_targets(results: Results, variant: str) -> dict[str, float]:
    """The least ratios to peers that the project set itself for ``variant`` on this machine."""
    fallback = "plain" if results.ceilings.precision == "bf16" else "channel-major"  # as ``paths`` chooses
    if (results.device, variant) == ("cpu", fallback):
        return FALLBACK_TARGETS
    return TARGETS.get(variant, {})


def show_spread(values: list[float]) -> str:
    """The median, with the least and the greatest where there are several."""
    median, least, greatest = map(show_number, (statistics.median(values), min(values), max(values)))
    return median if len(values) == 1 else f"{median} ({least}–{greatest})"


def show_number(value: float) -> str:
    """With three digits, or without a fraction from 100 on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def show_ratio(ratios: list[float], target: float | None) -> str:
    """The spread and whether the median reaches ``target``, if there is one."""
    if not ratios or target is None:
        return show_spread(ratios) if ratios else "–"
    return f"{show_spread(ratios)}, target {target:g} {'met' if statistics.median(ratios) >= target else 'missed'}"


def as_json(results: Results) -> str:
    """Everything that was measured, round by round."""
    speeds = [
        {"cell": cell, "variant": variant, "round": number, **asdict(speed)}
        for (cell, variant), by_round in results.speeds.items()
        for number, speed in by_round.items()
    ]
    missing = [{"cell": cell, "variant": variant, "why": why} for (cell, variant), why in results.missing.items()]
    setting = {name: getattr(results, name) for name in ("date", "device", "rounds", "seconds")}
    content = {**setting, "ceilings": asdict(results.ceilings), "speeds": speeds, "not measured": missing}
    return json.dumps(content, indent=1) + "\n"
