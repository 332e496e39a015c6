"""How many seconds a training needs to an accuracy on CIFAR-10: ConvMixer-256/8, patches of 2, kernels of 5, five seeds.

    python benchmarks/seconds_to_accuracy.py [--device cuda|cpu] [--accuracy 94] [--seeds 0 1 2 3 4]
                                             [--epochs 100] [--path auto] [--precision auto] [--save] [--rehearse]

Each seed is trained to its end by the authors' recipe for 100 epochs (or 25), in a process of its own, as fast as the
device allows (``deterministic`` off). The seconds are those of training and of testing all 10,000 images after each
epoch; loading is not in them. "reached" is the first epoch whose test accuracy is at least the one asked for, "ended"
the last one: to stop at the first would be to choose by the test images, so the seconds to the end are the safe figure
if the mean accuracy there is high enough.

``--rehearse`` trains a tiny network on the embedded digits on the CPU to 50 %, and saves nothing.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from one_training import Outcome, Training
from rebuild import load_average, whole_from
from training import NotMeasuredError, ask_process
from training_results import set_table

WORKER = ROOT / "benchmarks/one_training.py"


def make_training(seed: int, arguments: argparse.Namespace) -> Training:
    how = {"path": arguments.path, "precision": arguments.precision, "deterministic": False, "seed": seed}
    if arguments.rehearse:
        sizes = {"patch_size": 2, "kernel_size": 3, "width": 16, "depth": 1}
        return Training(**how, **sizes, device="cpu", recipe="smoke", epochs=5, dataset="digits")
    sizes = {"patch_size": 2, "kernel_size": 5}
    return Training(**how, **sizes, device=arguments.device, recipe="authors", epochs=arguments.epochs)


def make_page(trained: Training, outcomes: dict[int, Outcome], accuracy: float, day: str, load: str) -> str:
    """The Markdown page: a row for each seed, and the means."""
    one = next(iter(outcomes.values()))
    model = f"ConvMixer-{trained.width}/{trained.depth}, p {trained.patch_size}, k {trained.kernel_size}"
    heads = ["seed", f"seconds to {accuracy:g} %", "reached in epoch", "seconds to the end", "accuracy at the end, %"]
    rows = [describe_seed(seed, outcome, accuracy) for seed, outcome in outcomes.items()]
    return (
        f"# Seconds to {accuracy:g} %\n\n{day}, {one.machine}. {load} {model}, {trained.dataset}, recipe {trained.recipe}, "
        f"{trained.epochs} epochs, path {one.path} in {one.precision}.\n\n"
        + set_table([heads, ["--:"] * len(heads), *rows])
        + f"\n{sum_up(list(outcomes.values()), accuracy)}\n"
    )


def describe_seed(seed: int, outcome: Outcome, accuracy: float) -> list[str]:
    """One row of the table."""
    reached, last = find_epoch(outcome, accuracy), outcome.epochs[-1]
    first = ["–", "never"] if reached is None else [f"{sum_seconds(outcome, reached):.1f}", str(reached)]
    return [str(seed), *first, f"{sum_seconds(outcome, last['epoch']):.1f}", f"{100 * last['test_accuracy']:.2f}"]


def find_epoch(outcome: Outcome, accuracy: float) -> int | None:
    """The first epoch, from 1, whose test accuracy in per cent is at least ``accuracy``."""
    return next((epoch["epoch"] for epoch in outcome.epochs if 100 * epoch["test_accuracy"] >= accuracy), None)


def sum_seconds(outcome: Outcome, epoch: int) -> float:
    """From the beginning to the end of this epoch."""
    return sum(one["seconds"] for one in outcome.epochs[:epoch])


def sum_up(outcomes: Sequence[Outcome], accuracy: float) -> str:
    """How many seeds reached it and in what time, and the mean accuracy at the end."""
    reached = [sum_seconds(one, epoch) for one in outcomes if (epoch := find_epoch(one, accuracy)) is not None]
    ends = [100 * one.epochs[-1]["test_accuracy"] for one in outcomes]
    whole = [sum_seconds(one, len(one.epochs)) for one in outcomes]
    first = f", in {show_mean(reached)} s" if reached else ""
    return (
        f"{len(reached)} of {len(outcomes)} seeds reached {accuracy:g} %{first}. At the end, after {show_mean(whole)} s, "
        f"the accuracy is {show_mean(ends)} %."
    )


def show_mean(values: Sequence[float]) -> str:
    """The mean, with the standard deviation where there are several."""
    return f"{statistics.fmean(values):.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--accuracy", type=float, help="in per cent; by default 94, rehearsed 50")
    parser.add_argument("--seeds", type=whole_from(0), nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=int, choices=(25, 100), default=100, help="the authors' two commands")
    parser.add_argument("--path", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--save", action="store_true", help="write the page to benchmarks/results/")
    parser.add_argument("--rehearse", action="store_true", help="tiny, on the CPU; saves nothing")
    arguments = parser.parse_args()
    if arguments.accuracy is None:
        arguments.accuracy = 50.0 if arguments.rehearse else 94.0
    if not 0 < arguments.accuracy <= 100:
        parser.error(f"--accuracy is {arguments.accuracy:g}; expected more than 0 and at most 100 per cent")
    return arguments


def main() -> None:
    arguments, load = parse_arguments(), load_average()
    outcomes: dict[int, Outcome] = {}
    for seed in dict.fromkeys(arguments.seeds):
        try:
            outcomes[seed] = Outcome(**ask_process(WORKER, asdict(make_training(seed, arguments))))
        except NotMeasuredError as error:
            raise SystemExit(
                f"seed {seed} cannot be measured here: {error}; --rehearse tries the code on a CPU"
            ) from error
        print(f"seed {seed}: {', '.join(describe_seed(seed, outcomes[seed], arguments.accuracy)[1:])}", file=sys.stderr)
    day = str(datetime.now(UTC).date())
    page = make_page(make_training(arguments.seeds[0], arguments), outcomes, arguments.accuracy, day, load)
    if arguments.rehearse:
        page += "\nA rehearsal: none of these numbers mean anything.\n"
    print(page, end="")
    if arguments.save and not arguments.rehearse:
        (ROOT / "benchmarks/results" / f"seconds-to-{arguments.accuracy:g}-{day}.md").write_text(page)


if __name__ == "__main__":
    main()
