"""How far each C++ kernel of the CPU path is from what this machine can do: `python benchmarks/native.py [--save]`.

For half a block at a time, of ConvMixer-256, forward and backward, with activations in fp32 and, where the kernels
compute it, in bf16: milliseconds for a batch, the floor, and the share of it that is reached. The floor is the larger of
two times, both by rates that the same run measures: the multiplications by torch's best matrix product, of bf16 for
products of bf16 and of fp32 for all else, and the bytes that have to cross the memory bus (every tensor that is read or
written, once) by a copy. A tensor that still lies in the cache can beat the second; activations of small grids do.

The last column is the share of a training step's time, so that the largest number shows where to look next.
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from convmixer import native
from convmixer.device import raise_allocator_thresholds

RESULTS = ROOT / "benchmarks" / "results"
CELLS = ((4, 9, 128), (2, 5, 128), (1, 9, 32))  # patch size, kernel size, images
WIDTH, IMAGE_SIZE = 256, 32
MEBI = 1 << 20


def best(work: Callable[[], object], repeats: int = 8) -> float:
    """The fastest of some repetitions, in seconds."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def measure_products(dtype: torch.dtype) -> float:
    """FLOP/s of the best matrix product."""
    flops = 0.0
    for rows, inner, columns in ((256, 256, 8192), (16384, 256, 256), (2048, 2048, 2048)):
        a, b = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
        flops = max(flops, 2 * rows * inner * columns / best(lambda a=a, b=b: a @ b))
    return flops


def measure_copy() -> float:
    """bytes/s, both ways counted."""
    large, other = torch.randn(64 * MEBI), torch.empty(64 * MEBI)
    return 2 * 4 * len(large) / best(lambda: other.copy_(large))


def make_norm() -> native.Norm:
    vectors = {name: torch.rand(WIDTH) for name in ("bias", "weight", "shift", "mean", "inverse_deviation")}
    running = {"running_mean": torch.zeros(WIDTH), "running_variance": torch.ones(WIDTH)}
    return native.Norm(**vectors, **running, momentum=0.1, epsilon=1e-5, training=True, activation="gelu")


def count_taps(grid: int, kernel_size: int) -> int:
    """Multiplications of a depthwise convolution over one image of one channel, those with the padding left out."""
    before = (kernel_size - 1) // 2
    reach = [min(grid, at - before + kernel_size) - max(0, at - before) for at in range(grid)]
    return sum(reach) ** 2


def measure_cell(
    kernels: native.Kernels,
    cell: tuple[int, int, int],
    dtype: torch.dtype,
    rates: dict[torch.dtype, float],
    copy: float,
) -> list[str]:
    """The rows of one cell's table, with activations of ``dtype``."""
    patch_size, kernel_size, images = cell
    grid = IMAGE_SIZE // patch_size
    columns = images * grid**2
    x, dz = torch.randn(WIDTH, columns).to(dtype), torch.randn(WIDTH, columns).to(dtype)
    weight = torch.randn(WIDTH, WIDTH)
    taps, norm = torch.randn(WIDTH, 1, kernel_size, kernel_size), make_norm()
    y, _ = kernels.mix_places(norm, taps, x, grid)
    tensor, product = x.nbytes, 2 * WIDTH**2 * columns / rates[dtype]
    depthwise = 2 * WIDTH * images * count_taps(grid, kernel_size) / rates[torch.float32]
    parts = {  # work, seconds of its multiplications, bytes
        "matrix product, forward": (lambda: kernels.multiply(weight, x), product, 2 * tensor),
        "its input gradient": (lambda: kernels.multiply(weight, x, transposed=True), product, 2 * tensor),
        "its weight gradient": (lambda: kernels.multiply_transposed(dz, x), product, 2 * tensor),
        "GELU and norm, forward": (lambda: kernels.normalise(norm, y), 0, 2 * tensor),
        "GELU and norm, backward": (lambda: kernels.normalise_backward(norm, y, dz), 0, 3 * tensor),
        "depthwise, GELU, norm, shortcut, forward": (
            lambda: kernels.mix_places(norm, taps, x, grid),
            depthwise,
            3 * tensor,
        ),
        "the same, backward": (
            lambda: kernels.mix_places_backward(norm, taps, x, y, dz, grid),
            2 * depthwise,
            4 * tensor,
        ),
    }
    seconds = {name: best(work) for name, (work, _, _) in parts.items()}
    total = sum(seconds.values())
    name = "fp32, the weight gradient by torch" if dtype == torch.float32 else "bf16"
    rows = [f"\np {patch_size}, k {kernel_size}, {images} images, {name} ({tensor / MEBI:.0f} MiB a tensor)\n"]
    rows += ["| kernel | ms | floor ms | reached | of a step |", "|---|--:|--:|--:|--:|"]
    for name, (_, multiplications, moved) in parts.items():
        floor = max(multiplications, moved / copy)
        rows.append(
            f"| {name} | {seconds[name] * 1e3:.1f} | {floor * 1e3:.1f} | {floor / seconds[name]:.0%} | "
            f"{seconds[name] / total:.0%} |"
        )
    return rows


def describe_machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{model}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/native-<date>.md")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    raise_allocator_thresholds()
    kernels = native.load()
    if isinstance(kernels, str):
        parser.exit(5, f"the kernels cannot be measured: {kernels}\n")
    dtypes = (torch.float32, torch.bfloat16) if kernels.has_bf16 else (torch.float32,)
    rates, copy = {dtype: measure_products(dtype) for dtype in dtypes}, measure_copy()
    products = ", ".join(f"{rate / 1e9:.0f} in {dtype}" for dtype, rate in rates.items()).replace("torch.", "")
    rows = [
        f"`python benchmarks/native.py`, {date.today()}: {describe_machine()}",
        "",
        f"Matrix product, GFLOP/s: {products}; copy {copy / 1e9:.0f} GB/s.",
    ]
    for cell in CELLS:
        for dtype in dtypes:
            rows += measure_cell(kernels, cell, dtype, rates, copy)
    page = "\n".join(rows) + "\n"
    print(page)
    if arguments.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"native-{date.today()}.md").write_text(page)


if __name__ == "__main__":
    main()
