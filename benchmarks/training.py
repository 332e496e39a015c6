"""Training images a second, data and augmentation included: our paths beside the authors' way and timm's model.

    python benchmarks/training.py [--device cpu|cuda] [--cells p2k5 p4k9 p1k9] [--variants NAME ...]
                                  [--rounds N] [--seconds N] [--save] [--rehearse]

A ConvMixer-256/8 is trained on CIFAR-10 by the authors' 25-epoch recipe (RandAugment 2/12, flips) in batches of 512; of
64 for p1k9 on a CPU, where the authors' way needs more than 24 GiB for 512. The variants:

``authors``, ``authors-16``  the authors' script: PIL transforms in 2 or 16 loader workers, fp32; fp16 on a GPU
``timm``, ``timm-compiled``  timm's model, channels_last, data and our augmentation in memory; compiled, in bf16 on a GPU
``native-bf16``              our own ``train`` on the path ``native``, with activations in bf16
the others                   our own ``train`` on the path of that name, in the precision that it chooses

How to read the tables. In each round all variants take their turn, each in a process of its own, so that drift of the
machine hits all alike. A ratio is taken within a round; what is printed is the median over the rounds and, in brackets,
the least and the greatest. "images/s" counts whole batches for ``--seconds`` after a warm-up; "s/epoch" is what 50,000
images take at that rate, without evaluation. The floor is the longer of two times, at rates measured in the same run in
the precision that is fastest here: the multiplications (three times the forward pass's) at the rate of the best matrix
product, and the least traffic (``TOUCHES`` in ``training_work.py``) at that of a copy; augmentation is not in it.
"peak MiB" is the greatest memory of the training process, loader workers not counted, and in brackets what libraries
and data set take before training; on a GPU it is what torch allocated there. "target" is what the project set itself.

``--rehearse`` tries every variant tiny, on the embedded digits, on the CPU and in one process: its numbers mean nothing.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from training_results import CELLS, Ceilings, Results, Speed, Task, as_json, make_page

WORKER = ROOT / "benchmarks/training_work.py"
VARIANTS = {
    "cpu": ("authors", "timm", "plain", "channel-major", "native", "native-bf16"),
    "cuda": ("authors", "authors-16", "timm-compiled", "plain", "triton"),
}


class NotMeasuredError(Exception):
    """A child measured nothing; ``is_expected`` where the variant cannot be taken on this machine, with the reason."""

    def __init__(self, reason: str, is_expected: bool) -> None:
        super().__init__(reason)
        self.is_expected = is_expected


def make_task(cell: str, variant: str, arguments: argparse.Namespace) -> Task:
    patch_size, kernel_size = CELLS[cell]
    common = {"variant": variant, "patch_size": patch_size, "kernel_size": kernel_size, "seconds": arguments.seconds}
    if arguments.rehearse:
        return Task(**common, device="cpu", batch_size=64, width=16, depth=2, rehearsed=True)
    batch_size = 64 if (cell, arguments.device) == ("p1k9", "cpu") else 512
    return Task(**common, device=arguments.device, batch_size=batch_size)


def measure(task: Task) -> dict[str, Any]:
    """What a fresh process measures of ``task``, a rehearsed one here; ``NotMeasuredError`` if it measures nothing."""
    if task.rehearsed:
        from training_work import answer  # imports torch, which would count in the memory of every child from now on

        return refuse_obstacle(answer(asdict(task)))
    return ask_process(WORKER, asdict(task))


def ask_process(worker: Path, content: dict[str, Any], variables: dict[str, str] | None = None) -> dict[str, Any]:
    """What ``worker`` answers to ``content`` in a fresh process, with these environment variables besides."""
    command = [sys.executable, str(worker), json.dumps(content)]
    environment = {**os.environ, **(variables or {})}
    run = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    last = (run.stdout.strip().splitlines() or [""])[-1]
    if run.returncode != 0 or not last:
        said = (run.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NotMeasuredError(f"the process ended with {run.returncode}: {said}", is_expected=False)
    return refuse_obstacle(json.loads(last))


def refuse_obstacle(result: dict[str, Any]) -> dict[str, Any]:
    """``result``, unless it tells why there is none."""
    if "obstacle" in result:
        raise NotMeasuredError(result["obstacle"], is_expected=True)
    return result


def measure_ceilings(task: Task) -> Ceilings:
    try:
        return Ceilings(**measure(task))
    except NotMeasuredError as error:
        raise SystemExit(f"training cannot be measured here: {error}; --rehearse tries the code on a CPU") from error


def measure_rounds(tasks: dict[str, list[Task]], arguments: argparse.Namespace) -> tuple[Results, bool]:
    """Every task of every cell once a round, the machine's rates at the beginning of each; and whether any failed."""
    ceilings_task = replace(next(iter(tasks.values()))[0], variant="ceilings")
    setting = {"device": arguments.device, "rounds": arguments.rounds, "seconds": arguments.seconds}
    results = Results(date=str(datetime.now(UTC).date()), ceilings=measure_ceilings(ceilings_task), **setting)
    failed = False
    for number in range(1, arguments.rounds + 1):
        if number > 1:
            results.ceilings = results.ceilings.or_better(measure_ceilings(ceilings_task))
        for cell, some in tasks.items():
            for task in some:
                if (cell, task.variant) not in results.missing:
                    failed |= not add_speed(results, number, cell, task)
    return results, failed


def add_speed(results: Results, number: int, cell: str, task: Task) -> bool:
    """Measure ``task`` in round ``number`` and tell the outcome; whether nothing went wrong."""
    is_good = True
    try:
        speed = Speed(**measure(task))
    except NotMeasuredError as error:
        results.missing[cell, task.variant] = outcome = str(error)
        is_good = error.is_expected
    else:
        results.speeds.setdefault((cell, task.variant), {})[number] = speed
        outcome = f"{speed.images_per_second:,.0f} images/s"
    print(f"round {number}, {cell}, {task.variant}: {outcome}", file=sys.stderr, flush=True)
    return is_good


def parse_arguments() -> argparse.Namespace:
    known = list(dict.fromkeys(name for names in VARIANTS.values() for name in names))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=VARIANTS, default="cpu")
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--variants", nargs="+", choices=known, help="by default all of the device")
    parser.add_argument("--rounds", type=int, help="by default 3, rehearsed 1")
    parser.add_argument("--seconds", type=float, help="for each variant and round, after the warm-up; by default 20")
    parser.add_argument("--save", action="store_true", help="write tables and JSON to benchmarks/results/")
    parser.add_argument("--rehearse", action="store_true", help="tiny, on the CPU; saves nothing")
    arguments = parser.parse_args()
    if arguments.rounds is None:
        arguments.rounds = 1 if arguments.rehearse else 3
    if arguments.seconds is None:
        arguments.seconds = 0.1 if arguments.rehearse else 20.0
    if arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}; expected 1 or more")
    if arguments.seconds <= 0:
        parser.error(f"--seconds is {arguments.seconds:g}; expected more than 0")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    variants = dict.fromkeys(arguments.variants or VARIANTS[arguments.device])
    tasks = {cell: [make_task(cell, variant, arguments) for variant in variants] for cell in arguments.cells}
    results, failed = measure_rounds(tasks, arguments)
    page = make_page(results, tasks)
    print(page, end="")
    if arguments.save and not arguments.rehearse:
        place = ROOT / "benchmarks/results" / f"training-{arguments.device}-{results.date}"
        place.with_suffix(".md").write_text(page)
        place.with_suffix(".json").write_text(as_json(results))
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
