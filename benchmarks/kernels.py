"""How far our GPU kernels are from what the GPU can do, and how they compare with cuDNN and torch.compile.

    python benchmarks/kernels.py [--models p2k5 p4k9 p1k9] [--batch 512] [--tune] [--save] [--rehearse]

The two ceilings, a device-to-device copy and a large matrix product, are measured in the same run. A kernel's floor is
the greater of its bytes (each tensor read or written once) at the copy's rate and its operations at the product's;
"share" is floor over time. "error" is the distance from the first peer's result in the same precision, relative in the
norm: about 0.01 in bfloat16. ``--tune`` tries other tile sizes. ``--rehearse`` does all of this tiny, by Triton's
interpreter on the CPU: its errors mean something, its times nothing.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

if "--rehearse" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"  # Triton reads it when it is imported, which torch does

import torch
import torch.nn.functional as F
import triton
from torch import Tensor
from triton.runtime.errors import OutOfResources

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from kernel_work import Scale, describe_depthwise, describe_norm, describe_pointwise

from convmixer.fused import forward_fused
from convmixer.gpu import GraphedStep, find_obstacle_of_device
from convmixer.model import ConvMixer
from convmixer.triton_depthwise import CONVOLUTION_TILES, WEIGHT_GRADIENT_TILES, choose_tiles, convolve, weight_gradient

Row = dict[str, Any]
MODELS = {"p2k5": (2, 5), "p4k9": (4, 9), "p1k9": (1, 9)}  # patch size and kernel size
PATHS = ("eager", "eager channels_last", "compiled channels_last", "kernels", "kernels + graph")
TILES = {
    "positions": (64, 128),
    "images": (64, 128, 256),
    "inputs": (32, 64, 128),
    "stages": (2, 3, 4),
    "warps": (4, 8),
}
REHEARSAL = Scale(width=4, depth=1, image_size=8, batch=3, dtype=torch.float32, rehearsed=True)
REHEARSED_TILES = {"positions": (64, 128), "images": (64,), "inputs": (32,), "stages": (2,), "warps": (4,)}


def measure_seconds(function: Callable[[], object], scale: Scale) -> float:
    """The median time of a call on the GPU, with a cold second-level cache."""
    if scale.rehearsed:
        began = time.perf_counter()
        function()
        return time.perf_counter() - began
    return triton.testing.do_bench(function, warmup=50, rep=200, return_mode="median") / 1000


def measure_ceilings(scale: Scale) -> dict[str, float]:
    """Bytes a second of a copy, those read and those written, and FLOP a second of a large product."""
    side = 64 if scale.rehearsed else 8192
    source, a, b = (scale.draw(side, side) for _ in range(3))
    target = torch.empty_like(source)
    copied = 2 * source.nbytes / measure_seconds(lambda: target.copy_(source), scale)
    return {"bytes_per_second": copied, "flops_per_second": 2 * side**3 / measure_seconds(lambda: a @ b, scale)}


def measure_kernels(scale: Scale, model: str, ceilings: dict[str, float]) -> list[Row]:
    """One row a kernel: what it moves and multiplies, its time, its share of the floor, its error, the peers' times."""
    torch.manual_seed(0)
    patch_size, kernel_size = MODELS[model]
    grid = scale.image_size // patch_size
    works = *describe_depthwise(scale, grid, kernel_size), *describe_norm(scale, grid), describe_pointwise(scale, grid)
    rows = []
    for work in works:
        error, seconds = work.error(), measure_seconds(work.ours, scale)
        peers = {name: 1000 * measure_seconds(peer, scale) for name, peer in work.peers.items()}
        row = {"model": model, "kernel": work.name, "MB": work.touches * work.activation_bytes / 1e6}
        row |= {"GFLOP": work.flops / 1e9, "ms": 1000 * seconds, "share": work.floor(**ceilings) / seconds}
        rows.append({**row, "error": error, "peers, ms": ", ".join(f"{name} {ms:.3g}" for name, ms in peers.items())})
    return rows


def make_step(
    model: ConvMixer, forward: Callable[[Tensor], Tensor], scale: Scale
) -> tuple[Callable[..., tuple[Tensor, ...]], torch.optim.Optimizer]:
    """A training step of ``forward``, fit to be captured, and its optimiser."""
    rate = torch.tensor(1e-3, device=scale.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, fused=True, capturable=not scale.rehearsed)

    def step(images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(scale.device, dtype=scale.dtype, enabled=not scale.rehearsed):
            logits = forward(images)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        optimiser.step()
        return (loss.detach(),)

    return step, optimiser


def measure_step(scale: Scale, name: str, path: str) -> Row:
    """A whole training step on one batch that lies on the GPU: images a second, peak memory and the third loss."""
    torch.manual_seed(0)
    patch_size, kernel_size = MODELS[name]
    images = torch.randn(scale.batch, 3, scale.image_size, scale.image_size, device=scale.device)
    labels = torch.arange(scale.batch, device=scale.device) % 10
    sizes = {"width": scale.width, "depth": scale.depth, "patch_size": patch_size, "kernel_size": kernel_size}
    model = ConvMixer(**sizes, num_classes=10).to(scale.device)
    model.to(memory_format=torch.channels_last if "channels_last" in path else torch.contiguous_format)
    forward: Callable[[Tensor], Tensor] = scale.compile(model) if "compiled" in path else model
    if "kernels" in path:
        forward = partial(forward_fused, model)
    if not scale.rehearsed:
        torch.cuda.reset_peak_memory_stats()
    step, optimiser = make_step(model, forward, scale)
    run = GraphedStep(step, (images, labels), model, optimiser) if "graph" in path and not scale.rehearsed else step
    losses = [run(images, labels)[0].item() for _ in range(3)]
    peak = 0.0 if scale.rehearsed else torch.cuda.max_memory_allocated() / 2**20
    seconds = measure_seconds(lambda: run(images, labels), scale)
    row = {"model": name, "path": path, "images/s": scale.batch / seconds, "ms": 1000 * seconds}
    return {**row, "peak MiB": peak, "third loss": losses[2]}


def measure_tiles(scale: Scale, model: str) -> list[Row]:
    """Times of the depthwise kernels with each choice of tiles that fits, the fastest first."""
    patch_size, kernel_size = MODELS[model]
    grid = scale.image_size // patch_size
    x, weight = scale.draw(scale.width, scale.batch, grid**2), scale.draw_parameter(scale.width, 1, *[kernel_size] * 2)
    bias = scale.draw_parameter(scale.width)
    kernels = {
        "forward": (
            CONVOLUTION_TILES,
            lambda tiles: convolve(x, weight, grid, bias=bias, activation="gelu", tiles=tiles),
        ),
        "weight gradient": (WEIGHT_GRADIENT_TILES, lambda tiles: weight_gradient(x, x, kernel_size, grid, tiles=tiles)),
    }
    choices = REHEARSED_TILES if scale.rehearsed else TILES
    rows: list[Row] = []
    for (kernel, (default, run)), values in product(kernels.items(), product(*choices.values())):
        tiles = replace(default, **dict(zip(choices, values, strict=True)))
        try:
            seconds = measure_seconds(lambda run=run, tiles=tiles: run(tiles), scale)
        except OutOfResources:  # it wants more shared memory than there is
            continue
        row = {"model": model, "kernel": kernel, **asdict(tiles), "ms": 1000 * seconds}
        rows.append({**row, "default": "default" if tiles == choose_tiles(default, grid) else ""})
    return sorted(rows, key=lambda row: (row["kernel"], row["ms"]))


def as_table(rows: list[Row]) -> str:
    def show(value: object) -> str:
        if not isinstance(value, float):
            return str(value)
        return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"

    lines = ["| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    return "\n".join(lines + ["| " + " | ".join(map(show, row.values())) + " |" for row in rows])


def describe_machine(scale: Scale) -> str:
    device = platform.machine() if scale.rehearsed else torch.cuda.get_device_name()
    versions = f"torch {torch.__version__}, Triton {triton.__version__}, cuDNN {torch.backends.cudnn.version()}"
    return f"{device}, Python {platform.python_version()}, {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--tune", action="store_true", help="try other tile sizes too")
    parser.add_argument("--save", action="store_true", help="write tables and JSON to benchmarks/results/")
    parser.add_argument("--rehearse", action="store_true", help="tiny, on the CPU; saves nothing")
    arguments = parser.parse_args()
    scale = REHEARSAL if arguments.rehearse else Scale(batch=arguments.batch)
    obstacle = None if scale.rehearsed else find_obstacle_of_device(torch.device(scale.device))
    if obstacle:
        raise SystemExit(f"path 'triton' cannot be measured here: {obstacle}; --rehearse tries the code on a CPU")
    ceilings = measure_ceilings(scale)
    results = {
        "kernels": [row for model in arguments.models for row in measure_kernels(scale, model, ceilings)],
        "training steps": [measure_step(scale, model, path) for model in arguments.models for path in PATHS],
        "tiles": [row for model in arguments.models for row in measure_tiles(scale, model)] if arguments.tune else [],
    }
    day, machine = datetime.now(UTC).date(), describe_machine(scale)
    copied, multiplied = (rate / 1e12 for rate in ceilings.values())
    rates = f"copy {copied:.3g} TB/s, product {multiplied:.3g} TFLOP/s"
    page = f"# GPU kernels\n\n{day}, {machine}, batch {scale.batch}; {rates}\n"
    page += "".join(f"\n## {title.capitalize()}\n\n{as_table(rows)}\n" for title, rows in results.items() if rows)
    print(page)
    if arguments.save and not scale.rehearsed:
        place = ROOT / "benchmarks/results" / f"kernels-{day}"
        place.with_suffix(".md").write_text(page)
        content = {"date": str(day), "machine": machine, "batch": scale.batch, "ceilings": ceilings, **results}
        place.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
