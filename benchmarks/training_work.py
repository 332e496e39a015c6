"""What `benchmarks/training.py` measures, each in a process of its own: the authors' way, timm's model, and ours.

    python benchmarks/training_work.py '{"variant": "native", ...}'

takes a ``Task`` and prints, as one line of JSON, what ``answer`` returns.
"""

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from training_peers import LOADER_WORKERS, Stopwatch, train_as_authors, train_timm
from training_results import Ceilings, Speed, Task

from convmixer import ConvMixerError
from convmixer.data import Dataset, load
from convmixer.device import Precision, choose_device, choose_precision
from convmixer.history import Progress
from convmixer.model import ConvMixer, multiply_accumulates
from convmixer.recipe import Recipe, choose_recipe
from convmixer.train import train

# Activations of one image that a block must read or write when each of its halves is one kernel: on the way there the
# input and the output, on the way back the gradient, the input again and the gradient to it; 5 for each half.
TOUCHES = 10

# Path and precision of our own variants that are not a path with "auto": with that, channel-major is refused where the
# processor is faster in bf16.
WAYS = {
    "channel-major": ("channel-major", "fp32"),
    "native": ("native", "fp32"),
    "native-bf16": ("native", "bf16"),
}

# On a GPU so many that the batches which 16 loader workers prepared meanwhile, two each, are used up.
WARM_UP_STEPS = {"cpu": 1, "cuda": 40}


def measure_speed(task: Task) -> Speed:
    """Train as ``task`` says until its time is over; ``ConvMixerError`` where it cannot be done on this machine."""
    device = choose_device(task.device)
    data, recipe = prepare_data(task), prepare_recipe(task)
    stopwatch = Stopwatch(WARM_UP_STEPS[device.type] * task.batch_size, task.seconds, device)
    torch.manual_seed(0)
    before = find_peak_mib(device)
    if task.variant in LOADER_WORKERS:
        precision = train_as_authors(task, data, recipe, device, stopwatch)
    elif task.variant in ("timm", "timm-compiled"):
        precision = train_timm(task, data, recipe, device, stopwatch)
    else:
        precision = train_ours(task, data, recipe, device, stopwatch)
    macs, activations = count_work(task, data)
    return Speed(
        images=stopwatch.images,
        seconds=stopwatch.elapsed,
        peak_mib=find_peak_mib(device),
        peak_mib_before=before,
        precision=precision,
        flops_per_image=6 * macs,  # a multiplication and an addition; forward, and the gradients to input and weight
        bytes_per_image=activations * (4 if choose_precision("auto", device) == "fp32" else 2),
    )


def prepare_data(task: Task) -> Dataset:
    """CIFAR-10, in rehearsal 640 grey digits in three channels; of the test images one, as evaluating is not timed."""
    data = load("digits" if task.rehearsed else "cifar10")
    if task.rehearsed:
        images, labels = data.train_images[:640].repeat(1, 3, 1, 1), data.train_labels[:640]
        data = replace(data, train_images=images, train_labels=labels, mean=data.mean * 3, std=data.std * 3)
        data = replace(data, test_images=data.test_images.repeat(1, 3, 1, 1))
    return replace(data, test_images=data.test_images[:1], test_labels=data.test_labels[:1])


def prepare_recipe(task: Task) -> Recipe:
    """The authors' 25 epochs, which never end, in whole batches: another size would be compiled anew as it is timed."""
    return replace(choose_recipe("authors"), epochs=100_000, batch_size=task.batch_size, drop_last_batch=True)


def count_work(task: Task, data: Dataset) -> tuple[int, int]:
    """Of one image: multiply-accumulates of the forward pass, and values read or written at least in training."""
    size, sizes = data.image_shape[1], model_sizes(task, data)
    positions = (size // task.patch_size) ** 2
    return multiply_accumulates(**sizes, image_size=size), TOUCHES * task.depth * task.width * positions


def model_sizes(task: Task, data: Dataset) -> dict[str, int]:
    patches = {"patch_size": task.patch_size, "kernel_size": task.kernel_size}
    return {"width": task.width, "depth": task.depth, **patches, "num_classes": len(data.classes)}


def train_ours(task: Task, data: Dataset, recipe: Recipe, device: torch.device, stopwatch: Stopwatch) -> Precision:
    """The project's own training, looked at where it tells its progress, which is after the device has caught up."""
    path, precision = WAYS.get(task.variant, (task.variant, "auto"))
    model = ConvMixer(**model_sizes(task, data))
    per_epoch = len(data.train_labels) // recipe.batch_size * recipe.batch_size

    def look(progress: Progress) -> None:
        if stopwatch.is_over((progress.epoch - 1) * per_epoch + progress.step * recipe.batch_size):
            raise _TimeIsOver

    # The peers are not deterministic either.
    options = {"precision": precision, "path": path, "deterministic": False}
    try:
        train(model, data, recipe, seed=0, device=device, progress=look, **options)
    except _TimeIsOver:
        return choose_precision(precision, device)
    raise AssertionError(f"{recipe.epochs} epochs ended before the time of {task.seconds} s was over")


class _TimeIsOver(Exception):
    """Ends a training from within its telling of progress; no error."""


def find_peak_mib(device: torch.device) -> float:
    """The greatest memory of this process so far, in MiB; on a GPU, what torch allocated there."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss: bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure_ceilings(task: Task) -> Ceilings:
    """The best rates of a copy and of a matrix product, in the precision in which this device is fastest."""
    device = choose_device(task.device)
    precision = choose_precision("auto", device)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    side = 64 if task.rehearsed else {"cpu": 2048, "cuda": 8192}[device.type]
    shapes = [(side, side, side), *((256, 256, side * factor) for factor in (4, 16, 64))]  # the latter as pointwise
    source = torch.empty((1 << 18 if task.rehearsed else 1 << 28), dtype=torch.uint8, device=device).fill_(1)
    target = torch.empty_like(source)
    return Ceilings(
        flops_per_second=max(find_product_rate(shape, dtype, device) for shape in shapes),
        bytes_per_second=2 * source.nbytes / find_least_seconds(lambda: target.copy_(source), device),
        precision=precision,
        machine=f"{describe_machine(device)}, {torch.get_num_threads()} threads",
    )


def find_product_rate(shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> float:
    """FLOP a second of (m, k) times (k, n)."""
    m, k, n = shape
    a, b = torch.randn(m, k, dtype=dtype, device=device), torch.randn(k, n, dtype=dtype, device=device)
    out = torch.empty(m, n, dtype=dtype, device=device)
    return 2 * m * k * n / find_least_seconds(lambda: torch.mm(a, b, out=out), device)


def find_least_seconds(function: Callable[[], object], device: torch.device, repeats: int = 10) -> float:
    """Of ``repeats`` calls, after two that warm up."""
    times = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times[2:])


def describe_machine(device: torch.device) -> str:
    from importlib.metadata import version

    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "timm"))
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    processor = next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    features = torch.backends.cpu.get_cpu_capability()
    gpu = f"{torch.cuda.get_device_name(device)} beside " if device.type == "cuda" else ""
    return f"{gpu}{processor}, {os.cpu_count()} cores, {features}, Python {platform.python_version()}, {libraries}"


def answer(content: dict[str, Any]) -> dict[str, Any]:
    """The ``Speed`` or the ``Ceilings`` of the ``Task`` that ``content`` is, or {"obstacle": why there is none here}."""
    task = Task(**content)
    try:
        return asdict(measure_ceilings(task) if task.variant == "ceilings" else measure_speed(task))
    except ConvMixerError as error:
        return {"obstacle": str(error)}


if __name__ == "__main__":
    print(json.dumps(answer(json.loads(sys.argv[1]))))
