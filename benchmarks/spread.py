"""How far apart the same training ends when it is done again: the same seed, each time in a process of its own.

    python benchmarks/spread.py [--device cpu|cuda] [--ways NAME ...] [--threads N ...] [--repeats N]
                                [--fraction F] [--epochs N] [--save] [--rehearse]

A ConvMixer-256/8 with patches of 8 and kernels of 5 is trained on a tenth of CIFAR-10 by the keras recipe for one epoch,
as the notebook trains it, and tested on 2,000 images. A condition is a way of computing (path and precision), a number
of threads, and whether the ``deterministic`` switch of ``train`` is on, which it is by default. Each condition has its
turn once a round.

How to read the table. "weights" tells whether all tensors of the trained network came out the same bit by bit, with the
first digits of their digest, by which conditions can be compared too; else how many different networks there were.
Behind the mean of each measure stand, in brackets, the greatest less the least and the standard deviation.

``--rehearse`` trains tiny networks on the embedded digits and saves nothing. The exit code is 1 where a training failed.
"""

import argparse
import math
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from one_training import Outcome, Training
from rebuild import load_average, whole_from
from training import NotMeasuredError, ask_process
from training_results import set_table

from experiments.machine import count_cores
from experiments.running.threads import limit_threads, limit_waiting

WORKER = ROOT / "benchmarks/one_training.py"
WAYS = {  # path and precision
    "cpu": {
        "plain-fp32": ("plain", "fp32"),
        "plain-bf16": ("plain", "bf16"),
        "channel-major-fp32": ("channel-major", "fp32"),
        "native-fp32": ("native", "fp32"),
        "native-bf16": ("native", "bf16"),
    },
    "cuda": {
        "plain-fp32": ("plain", "fp32"),
        "plain-bf16": ("plain", "bf16"),
        "triton-fp32": ("triton", "fp32"),
        "triton-bf16": ("triton", "bf16"),
    },
}
MEASURES = {
    "train loss": ("train_loss", 1.0),
    "test loss": ("test_loss", 1.0),
    "test accuracy, %": ("test_accuracy", 100.0),
}
SHOWN_DIGITS = 8  # of a digest


@dataclass(frozen=True)
class Condition:
    """Under which a training is repeated."""

    way: str
    threads: int
    deterministic: bool

    def __str__(self) -> str:
        return f"{self.way}, {self.threads} thread{'s' * (self.threads > 1)}, switch {describe(self.deterministic)}"


def describe(deterministic: bool) -> str:
    return "on" if deterministic else "off"


def make_training(condition: Condition, arguments: argparse.Namespace) -> Training:
    path, precision = WAYS[arguments.device][condition.way]
    how = {"device": arguments.device, "path": path, "precision": precision, "deterministic": condition.deterministic}
    if arguments.rehearse:
        sizes = {"patch_size": 2, "kernel_size": 3, "width": 8, "depth": 1}
        return Training(**how, **sizes, seed=0, recipe="smoke", epochs=1, dataset="digits")
    part = {"fraction": arguments.fraction, "test_images": 2000}
    return Training(**how, **part, seed=0, recipe="keras", epochs=arguments.epochs, patch_size=8, kernel_size=5)


def repeat(
    conditions: Sequence[Condition], arguments: argparse.Namespace
) -> tuple[dict[Condition, list[Outcome]], dict[Condition, str], bool]:
    """The outcomes of each condition, why others have none, and whether anything failed that should not."""
    outcomes: dict[Condition, list[Outcome]] = {}
    missing: dict[Condition, str] = {}
    failed = False
    for number, condition in product(range(1, arguments.repeats + 1), conditions):
        if condition in missing:
            continue
        variables = limit_waiting(os.environ) | limit_threads(condition.threads)  # as `build.py run` sets them
        try:
            outcome = Outcome(**ask_process(WORKER, asdict(make_training(condition, arguments)), variables))
        except NotMeasuredError as error:
            missing[condition] = told = str(error)
            failed |= not error.is_expected
        else:
            outcomes.setdefault(condition, []).append(outcome)
            told = f"{outcome.weights[:SHOWN_DIGITS]}, {outcome.epochs[-1]['seconds']:.1f} s"
        print(f"round {number}, {condition}: {told}", file=sys.stderr, flush=True)
    return outcomes, missing, failed


def make_page(
    outcomes: dict[Condition, list[Outcome]], missing: dict[Condition, str], trained: Training, day: str, load: str
) -> str:
    """The Markdown page: the machine, a row for each condition, and which conditions agree."""
    one = next((some[0] for some in outcomes.values()), None)
    where = one.machine if one else "nothing was measured"
    model = f"ConvMixer-{trained.width}/{trained.depth}, p {trained.patch_size}, k {trained.kernel_size}"
    epochs = f"{trained.epochs} epoch{'s' * (trained.epochs > 1)}"
    images = f"{one.train_images:,} images of {trained.dataset}" if one else trained.dataset
    heads = ["way", "threads", "deterministic", "runs", "weights", *MEASURES]
    lines = [heads, [*["---"] * 5, *["--:"] * len(MEASURES)]]
    lines += [describe_condition(condition, outcomes.get(condition), missing) for condition in {**outcomes, **missing}]
    return (
        f"# The spread from run to run\n\n{day}, {where}. {load} Seed {trained.seed}, {model}, recipe "
        f"{trained.recipe}, {epochs} of {images}; behind each mean (greatest less least; standard deviation).\n\n"
        + set_table(lines)
        + "".join(f"\n{sentence}\n" for sentence in find_agreements(outcomes))
    )


def describe_condition(
    condition: Condition, outcomes: list[Outcome] | None, missing: dict[Condition, str]
) -> list[str]:
    """One row of the table."""
    head = [condition.way, str(condition.threads), describe(condition.deterministic)]
    if condition in missing:
        return [*head, str(len(outcomes or ())), f"not measured: {missing[condition]}", *["–"] * len(MEASURES)]
    networks = find_networks(outcomes)
    weights = (
        f"the same bits, `{outcomes[0].weights[:SHOWN_DIGITS]}`" if len(networks) == 1 else f"{len(networks)} different"
    )
    last = [outcome.epochs[-1] for outcome in outcomes]
    measures = [show_spread([factor * epoch[name] for epoch in last]) for name, factor in MEASURES.values()]
    return [*head, str(len(outcomes)), weights, *measures]


def find_networks(outcomes: Sequence[Outcome]) -> set[str]:
    """The digests of the different networks among these."""
    return {outcome.weights for outcome in outcomes}


def show_spread(values: Sequence[float]) -> str:
    """The mean, and in brackets the greatest less the least and the standard deviation."""
    spread = max(values) - min(values)
    deviation = statistics.stdev(values) if spread else 0.0  # the mean of equal floats may be another float
    return f"{statistics.fmean(values):.6g} ({spread:.2g}; {deviation:.2g})"


def find_agreements(outcomes: dict[Condition, list[Outcome]]) -> list[str]:
    """Sentences on which conditions repeat themselves, and on what the switch and the threads change."""
    differing = [str(condition) for condition, some in outcomes.items() if len(find_networks(some)) > 1]
    sentences = [
        f"Not the same bits every time: {'; '.join(differing)}."
        if differing
        else "Each condition gave the same bits every time."
    ]
    for what, rest in (
        ("The switch on or off", lambda condition: (condition.way, condition.threads)),
        ("The number of threads", lambda condition: (condition.way, condition.deterministic)),
    ):
        sentences += compare(what, outcomes, rest)
    return sentences


def compare(what: str, outcomes: dict[Condition, list[Outcome]], rest: Callable[[Condition], tuple]) -> list[str]:
    """In which ways conditions that are equal but for WHAT give the same bits, by the key REST; nothing without such."""
    groups: dict[tuple, list[Condition]] = {}
    for condition, some in outcomes.items():
        if len(find_networks(some)) == 1:  # of what differs by itself, nothing else can be said
            groups.setdefault(rest(condition), []).append(condition)
    same: dict[str, bool] = {}
    for some in (some for some in groups.values() if len(some) > 1):
        networks = set().union(*(find_networks(outcomes[condition]) for condition in some))
        same[some[0].way] = same.get(some[0].way, True) and len(networks) == 1
    if not same:
        return []
    changed = [way for way, is_same in same.items() if not is_same]
    return [f"{what} changes bits in: {', '.join(changed)}." if changed else f"{what} changes no bit."]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=WAYS, default="cpu")
    known = list(dict.fromkeys(way for ways in WAYS.values() for way in ways))
    parser.add_argument("--ways", nargs="+", choices=known, help="by default all of the device")
    parser.add_argument("--threads", type=whole_from(1), nargs="+", help="by default 1 and 2, on a GPU 1")
    parser.add_argument("--repeats", type=whole_from(2), default=3)
    parser.add_argument("--fraction", type=float, default=0.1, help="of the training images; by default a tenth")
    parser.add_argument("--epochs", type=whole_from(1), default=1)
    parser.add_argument("--save", action="store_true", help="write the page to benchmarks/results/")
    parser.add_argument("--rehearse", action="store_true", help="tiny, on the digits; saves nothing")
    arguments = parser.parse_args()
    arguments.ways = list(dict.fromkeys(arguments.ways or WAYS[arguments.device]))
    if stray := [way for way in arguments.ways if way not in WAYS[arguments.device]]:
        parser.error(f"--ways {stray[0]} is none of {arguments.device}; it has {', '.join(WAYS[arguments.device])}")
    cores = count_cores()
    arguments.threads = sorted(set(arguments.threads or ([1] if arguments.device == "cuda" else [1, min(2, cores)])))
    if arguments.threads[-1] > cores:
        parser.error(f"--threads is {arguments.threads[-1]}, and this process may use {cores} cores")
    if not (math.isfinite(arguments.fraction) and 0 < arguments.fraction <= 1):
        parser.error(f"--fraction is {arguments.fraction:g}; expected a number above 0 and at most 1")
    return arguments


def main() -> None:
    arguments, load = parse_arguments(), load_average()
    conditions = [Condition(*values) for values in product(arguments.ways, arguments.threads, (True, False))]
    outcomes, missing, failed = repeat(conditions, arguments)
    day = str(datetime.now(UTC).date())
    page = make_page(outcomes, missing, make_training(conditions[0], arguments), day, load)
    if arguments.rehearse:
        page += "\nA rehearsal: none of these numbers mean anything.\n"
    print(page, end="")
    if arguments.save and not arguments.rehearse:
        (ROOT / "benchmarks/results" / f"spread-{day}.md").write_text(page)
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
