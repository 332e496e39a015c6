"""The depthwise kernels against float64 and torch, everything allocated being poisoned with NaN; and compiled."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.interpreted import DEVICE, import_kernels, poison_allocations, relative_error

kernels = import_kernels("convmixer.triton_depthwise")
bands = import_kernels("convmixer.triton_bands")

# torch tells, once, that an even kernel may need a padded copy of its input.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

WIDTH = 2
BATCHES = (1, 3, 17)
# float32: sums of up to 5,000 products whose own rounding is 6e-8. 16 bits: the inputs are the same, the taps and the
# result are rounded, each to 2**-9 (bfloat16, but 2**-8 by the interpreter, which cuts it off) or 2**-12 (float16).
TOLERANCES = {torch.float32: 2e-6, torch.bfloat16: 8e-3, torch.float16: 5e-4}
SMALL_TILES = kernels.Tiles(positions=16, images=16, inputs=16, stages=2, warps=4)


@pytest.fixture(autouse=True)
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    poison_allocations(monkeypatch)


def draw(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)


def expect(x: Tensor, weight: Tensor, gradient: Tensor, grid: int) -> tuple[Tensor, Tensor, Tensor]:
    """Result and gradients to input and taps by torch in float64, channel-major."""
    images = x.cpu().double().unflatten(2, (grid, grid)).transpose(0, 1).requires_grad_()
    taps = weight.cpu().double().requires_grad_()
    result = F.conv2d(images, taps, padding="same", groups=len(weight))
    result.backward(gradient.cpu().double().unflatten(2, (grid, grid)).transpose(0, 1))
    assert images.grad is not None and taps.grad is not None
    return result.detach().transpose(0, 1).flatten(2), images.grad.transpose(0, 1).flatten(2), taps.grad


def check(kernel_size: int, grid: int, batch: int, dtype: torch.dtype = torch.float32, **tiles: object) -> None:
    width = 1 + kernel_size % 2
    x, gradient, add = (draw(width, batch, grid**2, dtype=dtype, seed=seed) for seed in (1, 2, 3))
    weight = draw(width, 1, kernel_size, kernel_size)
    result, to_input, to_taps = expect(x, weight, gradient, grid)
    found, statistics = kernels.convolve(x, weight, grid, **tiles)
    assert statistics is None
    assert found.dtype == dtype
    assert relative_error(found, result) < TOLERANCES[dtype]
    found = kernels.convolve_gradient(gradient, weight, grid, add=add, **tiles)
    assert relative_error(found, to_input + add.cpu().double()) < TOLERANCES[dtype]
    found = kernels.weight_gradient(x, gradient, kernel_size, grid, **tiles)
    assert found.dtype == torch.float32
    assert relative_error(found, to_taps) < TOLERANCES[torch.float32]


@pytest.mark.parametrize("kernel_size", range(1, 10))
@pytest.mark.parametrize("grid", [1, 2, 5, 7, 8, 16])
def test_result_and_gradients_are_those_of_float64(kernel_size: int, grid: int) -> None:
    check(kernel_size, grid, BATCHES[(kernel_size + grid) % len(BATCHES)])


@pytest.mark.parametrize(("kernel_size", "grid", "batch"), [(3, 5, 17), (9, 7, 17), (4, 8, 3), (1, 5, 3)])
def test_other_tiles_change_nothing(kernel_size: int, grid: int, batch: int) -> None:
    check(kernel_size, grid, batch, tiles=SMALL_TILES)


def test_the_largest_grid_of_the_paper_is_computed() -> None:
    check(9, 32, 3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("kernel_size", "grid", "batch"), [(5, 16, 3), (9, 8, 17), (4, 7, 1)])
def test_sixteen_bits_lose_what_their_rounding_costs(
    kernel_size: int, grid: int, batch: int, dtype: torch.dtype
) -> None:
    check(kernel_size, grid, batch, dtype)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize(("grid", "batch"), [(5, 3), (7, 17), (16, 3)])
def test_statistics_are_those_of_the_activated_result(grid: int, batch: int, activation: str) -> None:
    x, weight, bias = draw(WIDTH, batch, grid**2), draw(WIDTH, 1, 3, 3), draw(WIDTH)
    y, statistics = kernels.convolve(x, weight, grid, bias=bias, activation=activation, tiles=SMALL_TILES)
    activated = getattr(F, activation)(y.cpu().double() + bias.cpu().double().view(-1, 1, 1)).flatten(1)
    counts, means, deviations = statistics.parts.cpu().double().unbind(1)
    assert counts.sum(1).tolist() == [batch * grid**2] * WIDTH
    mean = (counts * means).sum(1, keepdim=True) / counts.sum(1, keepdim=True)
    torch.testing.assert_close(mean, activated.mean(1, keepdim=True), rtol=1e-5, atol=1e-6)
    variance = (deviations + counts * (means - mean) ** 2).sum(1) / counts.sum(1)
    torch.testing.assert_close(variance, activated.var(1, correction=0), rtol=1e-5, atol=0)


def test_the_same_inputs_give_the_same_bits() -> None:
    x, gradient = (draw(WIDTH, 17, 49, seed=seed) for seed in (1, 2))
    once, again = (kernels.weight_gradient(x, gradient, 5, 7, tiles=SMALL_TILES) for _ in range(2))
    assert torch.equal(once, again)


@pytest.mark.parametrize(
    ("grid", "kernel_size", "rows", "groups", "lead", "inputs", "outputs"),
    [
        (16, 5, 4, 4, 2, 128, 64),
        (8, 9, 8, 1, 0, 64, 64),
        (32, 9, 2, 16, 4, 320, 64),
        (7, 3, 7, 1, 0, 49, 64),
        (5, 4, 5, 1, 0, 25, 32),
        (1, 9, 1, 1, 0, 1, 16),
        (10, 3, 6, 2, 1, 80, 64),
        (65, 3, 1, 65, 1, 195, 128),
    ],
)
def test_the_grid_is_cut_into_groups_of_rows(
    grid: int, kernel_size: int, rows: int, groups: int, lead: int, inputs: int, outputs: int
) -> None:
    found = bands.Bands(grid, kernel_size, (kernel_size - 1) // 2, 64)
    assert (found.rows, found.groups, found.lead) == (rows, groups, lead)
    assert (found.inputs, found.outputs) == (inputs, outputs)


def test_a_large_grid_takes_four_rows_at_a_time() -> None:
    default = kernels.CONVOLUTION_TILES
    assert kernels.choose_tiles(default, 16) == default
    found = kernels.choose_tiles(default, 32)
    assert found == kernels.Tiles(positions=128, images=128, inputs=64, stages=3, warps=8)
    assert kernels.choose_tiles(default, 64) == found
    assert bands.Bands(32, 9, 4, found.positions).sizes() == {
        "GRID": 32,
        "ROWS": 4,
        "LEAD": 4,
        "INPUTS": 384,
        "OUTPUTS": 128,
    }


def test_every_kernel_compiles_for_hopper_without_spilling(root: Path, tmp_path: Path) -> None:
    """For the layer that the paper's patch size 2, kernel size 5 has; on tensor cores, within a multiprocessor."""
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "tests.compiled", "256", "512", "16", "5", "bfloat16"]
    run = subprocess.run(command, cwd=root, env=environment, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = {kernel["kernel"]: kernel for kernel in json.loads(run.stdout)}
    assert set(found) == {
        "write_bands",
        "multiply_bands",
        "multiply_gradients",
        "fold_pairs",
        "_gather_statistics",
        "_normalise",
        "_sum_gradients",
        "_normalise_gradient",
    }
    assert {kernel["stack"] + kernel["local"] for kernel in found.values()} == {0}
    assert all(3 * kernel["shared"] <= 227 * 1024 for kernel in found.values())  # three programs at a time
    assert {name for name, kernel in found.items() if kernel["wgmma"]} == {"multiply_bands", "multiply_gradients"}
