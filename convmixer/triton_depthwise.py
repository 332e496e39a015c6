"""The depthwise convolution as products on tensor cores, in Triton: forward, input gradient, weight gradient.

Activations are channel-major, (width, batch, positions), contiguous; a position is a place of the square grid, row by
row. A channel's convolution is a product with a band of its Toeplitz matrix (``triton_bands``), which multiplies
``grid * (rows + kernel_size - 1)`` times for an output where a direct convolution does ``kernel_size**2`` times: for
images of 32 pixels 0.8 times (patch size 4, kernel size 9) to 5 times (2 and 5) as often, but in a unit that is some 15
times as fast, so that memory sets the pace. Sums are in float32 in a fixed order: the same inputs give the same bits.
"""

from dataclasses import dataclass, replace

import torch
import triton
from torch import Tensor

from convmixer.triton_bands import Bands, fold_pairs, multiply_bands, multiply_gradients, tile, write_bands
from convmixer.triton_normalise import Statistics


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """The sizes of one program; all but ``stages`` and ``warps`` are upper bounds, taken down where a layer is smaller.

    ``positions`` of the output that one band serves, ``images``, and ``inputs``, all of the product's three sides;
    ``stages`` tiles are on their way from memory at once, and ``warps`` of 32 threads share the work.
    """

    positions: int
    images: int
    inputs: int
    stages: int
    warps: int


# By arithmetic, not yet by measurement: 64 positions keep the band dense, 128 rows fill two tensor-core instructions,
# and with 16-bit numbers three programs share a multiprocessor's 227 KiB. `benchmarks/kernels.py --tune` tries others.
CONVOLUTION_TILES = Tiles(positions=64, images=128, inputs=64, stages=3, warps=4)
WEIGHT_GRADIENT_TILES = Tiles(positions=64, images=64, inputs=128, stages=3, warps=8)
MOST_POSITIONS = 128
PROGRAMS = 528  # of the weight gradient at least: 4 for each of the 132 multiprocessors of a Hopper GPU


def choose_tiles(default: Tiles, grid: int) -> Tiles:
    """``default``, but four rows of a larger grid at a time, as far as a program's registers go.

    A group reads ``kernel_size - 1`` rows more than it writes: at a grid of 32 and a kernel of 9 the weight gradient
    then fetches 12 instead of 18 bytes for each output from the second-level cache, which sets its pace there.
    """
    positions = min(4 * grid, MOST_POSITIONS)
    return default if positions <= default.positions else replace(default, positions=positions, warps=8)


def convolve(
    x: Tensor,
    weight: Tensor,
    grid: int,
    *,
    bias: Tensor | None = None,
    activation: str | None = None,
    tiles: Tiles | None = None,
) -> tuple[Tensor, Statistics | None]:
    """The depthwise convolution of x (width, batch, positions) with weight (width, 1, k, k), padding "same".

    The result has no bias added. With an ``activation``, "gelu" or "relu", the second value holds the statistics of
    ``activation(result + bias)``, gathered while the result is at hand; otherwise it is ``None``.
    """
    kernel_size, tiles = weight.shape[-1], tiles or choose_tiles(CONVOLUTION_TILES, grid)
    bands = Bands(grid, kernel_size, (kernel_size - 1) // 2, tiles.positions)
    parts = bands.groups * triton.cdiv(x.shape[1], tile(x.shape[1], tiles.images))
    statistics = torch.empty(x.shape[0], 3, parts, dtype=torch.float32, device=x.device) if activation else None
    result = _multiply(x, _write(weight, bands, x.dtype), bands, tiles, None, bias, activation, statistics)
    return result, None if statistics is None else Statistics(statistics)


def convolve_gradient(
    gradient: Tensor, weight: Tensor, grid: int, *, add: Tensor, tiles: Tiles | None = None
) -> Tensor:
    """The gradient to the convolution's input, plus ``add``, the gradient that came past it by the residual.

    ``gradient`` belongs to the output; all of them are (width, batch, positions).
    """
    kernel_size, tiles = weight.shape[-1], tiles or choose_tiles(CONVOLUTION_TILES, grid)
    bands = Bands(grid, kernel_size, kernel_size // 2, tiles.positions)
    return _multiply(gradient, _write(weight, bands, add.dtype, flipped=True), bands, tiles, add, None, None, None)


def weight_gradient(x: Tensor, gradient: Tensor, kernel_size: int, grid: int, *, tiles: Tiles | None = None) -> Tensor:
    """The gradient to the taps, (width, 1, k, k) float32, from the input and the output's gradient."""
    width, batch, _ = x.shape
    tiles = tiles or choose_tiles(WEIGHT_GRADIENT_TILES, grid)
    bands = Bands(grid, kernel_size, (kernel_size - 1) // 2, tiles.positions)
    images, chunk = tile(batch, tiles.images), tile(bands.inputs, tiles.inputs)
    chunks, turns = triton.cdiv(bands.inputs, chunk), triton.cdiv(batch, images)
    splits = min(turns, triton.cdiv(PROGRAMS, width * chunks))
    pairs = torch.empty(splits, width, bands.inputs, bands.outputs, dtype=torch.float32, device=x.device)
    multiply_gradients[(chunks, width, splits)](
        x,
        gradient,
        pairs,
        batch,
        triton.cdiv(turns, splits),
        **bands.sizes(),
        GROUPS=bands.groups,
        IMAGES=images,
        CHUNK=chunk,
        **_options(x, tiles),
    )
    taps = torch.empty(width, 1, kernel_size, kernel_size, dtype=torch.float32, device=x.device)
    folded = triton.next_power_of_2(kernel_size**2)
    fold_pairs[(width,)](pairs, taps, splits, **bands.sizes(), **bands.taps(), TAPS=folded, enable_fp_fusion=True)
    return taps


def _write(weight: Tensor, bands: Bands, dtype: torch.dtype, flipped: bool = False) -> Tensor:
    """The band of each channel, (width, inputs, outputs); of the kernel turned by 180 degrees if ``flipped``."""
    width, chunk = len(weight), tile(bands.inputs, 64)
    band = torch.empty(width, bands.inputs, bands.outputs, dtype=dtype, device=weight.device)
    launch = write_bands[(triton.cdiv(bands.inputs, chunk), width)]
    launch(
        weight.contiguous(), band, **bands.sizes(), **bands.taps(), FLIPPED=flipped, CHUNK=chunk, enable_fp_fusion=True
    )
    return band


def _multiply(
    x: Tensor,
    band: Tensor,
    bands: Bands,
    tiles: Tiles,
    add: Tensor | None,
    bias: Tensor | None,
    activation: str | None,
    statistics: Tensor | None,
) -> Tensor:
    width, batch, _ = x.shape
    images = tile(batch, tiles.images)
    result = torch.empty_like(x)
    multiply_bands[(bands.groups * triton.cdiv(batch, images), width)](
        x,
        band,
        result,
        add,
        bias,
        statistics,
        batch,
        **bands.sizes(),
        GROUPS=bands.groups,
        ACTIVATION=activation,
        IMAGES=images,
        CHUNK=tile(bands.inputs, tiles.inputs),
        **_options(x, tiles),
    )
    return result


def _options(x: Tensor, tiles: Tiles) -> dict[str, int | bool]:
    """How a kernel is compiled; float32 takes twice the memory, and twice the registers where no tensor core helps."""
    stages, warps = (min(2, tiles.stages), 8) if x.dtype == torch.float32 else (tiles.stages, tiles.warps)
    return {"num_warps": warps, "num_stages": stages, "enable_fp_fusion": True}
