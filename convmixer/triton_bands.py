"""The bands of Toeplitz matrices that make a depthwise convolution a product, and the kernels that multiply by them.

A channel's convolution is a product with its Toeplitz matrix (input position, output position), of which only a band
is not zero: ``rows + kernel_size - 1`` rows of inputs reach ``rows`` rows of outputs. The band is the same for each
group of rows, so it is written out once for each channel, a few MiB in all, which the second-level cache holds. The
kernels are called by ``triton_depthwise``; activations are (width, batch, positions), contiguous.
"""

from dataclasses import dataclass
from functools import cached_property

import triton
import triton.language as tl

from convmixer.triton_normalise import activate, summarise

SMALLEST = 16  # the least side of a tile that tensor cores take


@dataclass(frozen=True)
class Bands:
    """How a square grid is cut into groups of output rows, and which inputs each group reaches.

    ``before`` is the number of input rows and columns that the kernel reaches before an output: (k - 1) // 2 for
    padding "same", k // 2 for its gradient. If one group holds the whole grid, its inputs are the grid's and no more.
    """

    grid: int
    kernel_size: int
    before: int
    positions: int  # the most that a group should have, if one row has no more

    @cached_property
    def rows(self) -> int:
        """Rows of outputs of a group."""
        return max(1, min(self.grid, self.positions // self.grid))

    @cached_property
    def groups(self) -> int:
        return -(-self.grid // self.rows)

    @cached_property
    def lead(self) -> int:
        """Rows of inputs before a group's first row of outputs."""
        return self.before if self.groups > 1 else 0

    @cached_property
    def inputs(self) -> int:
        """Input positions that a group reaches, those outside of the grid counted too."""
        return self.grid * (self.rows + self.kernel_size - 1 if self.groups > 1 else self.grid)

    @cached_property
    def outputs(self) -> int:
        """Output positions of a group, up to the next size that a tile can have."""
        return tile(self.rows * self.grid)

    def sizes(self) -> dict[str, int]:
        """The kernels' arguments of the same meaning."""
        names = ("grid", "rows", "lead", "inputs", "outputs")
        return {name.upper(): getattr(self, name) for name in names}

    def taps(self) -> dict[str, int]:
        """The arguments of those kernels that know single taps."""
        return {"KERNEL_SIZE": self.kernel_size, "BEFORE": self.before}


def tile(size: int, most: int | None = None) -> int:
    """The least side of a tile that holds ``size``, but no more than ``most``."""
    fitting = max(SMALLEST, triton.next_power_of_2(size))
    return fitting if most is None else min(most, fitting)


@triton.jit
def write_bands(
    weight,  # (width, k, k)
    band,  # (width, INPUTS, OUTPUTS)
    GRID: tl.constexpr,
    ROWS: tl.constexpr,
    LEAD: tl.constexpr,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    KERNEL_SIZE: tl.constexpr,
    BEFORE: tl.constexpr,
    FLIPPED: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """The tap that joins each pair (input, output) of a group of rows, 0 where none does."""
    channel = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0) * CHUNK + tl.arange(0, CHUNK)[:, None]
    o = tl.arange(0, OUTPUTS)[None, :]
    row = i // GRID - LEAD - o // GRID + BEFORE
    column = i % GRID - o % GRID + BEFORE
    joined = (row >= 0) & (row < KERNEL_SIZE) & (column >= 0) & (column < KERNEL_SIZE)
    joined &= (i < INPUTS) & (o < ROWS * GRID)
    tap = row * KERNEL_SIZE + column
    if FLIPPED:
        tap = KERNEL_SIZE * KERNEL_SIZE - 1 - tap
    value = tl.load(weight + channel * (KERNEL_SIZE * KERNEL_SIZE) + tap, mask=joined, other=0.0)
    tl.store(band + channel * (INPUTS * OUTPUTS) + i * OUTPUTS + o, value.to(band.dtype.element_ty), mask=i < INPUTS)


@triton.jit
def multiply_bands(
    x,  # (width, batch, GRID * GRID), as result and add
    band,  # (width, INPUTS, OUTPUTS)
    result,
    add,  # or None
    bias,  # (width,) or None, for the statistics alone
    statistics,  # (width, 3, parts), if ACTIVATION
    batch,
    GRID: tl.constexpr,
    ROWS: tl.constexpr,
    LEAD: tl.constexpr,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    GROUPS: tl.constexpr,
    ACTIVATION: tl.constexpr,
    IMAGES: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """One group of rows of IMAGES images of a channel: (images, inputs) @ (inputs, outputs)."""
    POSITIONS: tl.constexpr = GRID * GRID
    ALIGNED: tl.constexpr = GRID & -GRID  # the greatest power of 2 that divides each row's first position
    part, channel = tl.program_id(0), tl.program_id(1).to(tl.int64)
    group = part % GROUPS
    image = (part // GROUPS) * IMAGES + tl.arange(0, IMAGES)[:, None]
    there = image < batch
    first = tl.multiple_of((group * ROWS - LEAD) * GRID, ALIGNED)
    begin = tl.multiple_of(tl.maximum(first, 0), ALIGNED)
    end = tl.multiple_of(tl.minimum(first + INPUTS, POSITIONS), ALIGNED)
    images = (channel * batch + image) * POSITIONS
    o = tl.arange(0, OUTPUTS)[None, :]
    total = tl.zeros((IMAGES, OUTPUTS), tl.float32)
    for start in range(begin, end, CHUNK):
        across, down = start + tl.arange(0, CHUNK)[None, :], start + tl.arange(0, CHUNK)[:, None]
        inputs = tl.load(x + images + across, mask=there & (across < end), other=0.0)
        taps = tl.load(band + channel * (INPUTS * OUTPUTS) + (down - first) * OUTPUTS + o, mask=down < end, other=0.0)
        total = tl.dot(inputs, taps, total, input_precision="ieee")
    position = group * (ROWS * GRID) + o
    inside = there & (o < ROWS * GRID) & (position < POSITIONS)
    if add is not None:
        total += tl.load(add + images + position, mask=inside, other=0.0).to(tl.float32)
    rounded = total.to(result.dtype.element_ty)
    tl.store(result + images + position, rounded, mask=inside)
    if ACTIVATION is not None:
        value = activate(rounded.to(tl.float32) + tl.load(bias + channel).to(tl.float32), ACTIVATION)
        summarise(value, inside, statistics + channel * (3 * tl.num_programs(0)) + part, tl.num_programs(0))


@triton.jit
def multiply_gradients(
    x,  # (width, batch, GRID * GRID), as gradient
    gradient,
    pairs,  # (splits, width, INPUTS, OUTPUTS)
    batch,
    turns,  # of IMAGES images each, for a program
    GRID: tl.constexpr,
    ROWS: tl.constexpr,
    LEAD: tl.constexpr,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    GROUPS: tl.constexpr,
    IMAGES: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """The gradient to each entry of a channel's band, (inputs, images) @ (images, outputs), over all groups of rows."""
    POSITIONS: tl.constexpr = GRID * GRID
    ALIGNED: tl.constexpr = GRID & -GRID
    channel, split = tl.program_id(1).to(tl.int64), tl.program_id(2)
    i = tl.program_id(0) * CHUNK + tl.arange(0, CHUNK)
    o = tl.arange(0, OUTPUTS)
    total = tl.zeros((CHUNK, OUTPUTS), tl.float32)
    for step in range(turns * GROUPS):
        group = step % GROUPS
        image = (split * turns + step // GROUPS) * IMAGES + tl.arange(0, IMAGES)[:, None]
        images = (channel * batch + image) * POSITIONS
        source = (tl.multiple_of((group * ROWS - LEAD) * GRID, ALIGNED) + i)[None, :]
        position = (tl.multiple_of(group * (ROWS * GRID), ALIGNED) + o)[None, :]
        reached = (image < batch) & (i < INPUTS)[None, :] & (source >= 0) & (source < POSITIONS)
        inside = (image < batch) & (o < ROWS * GRID)[None, :] & (position < POSITIONS)
        inputs = tl.load(x + images + source, mask=reached, other=0.0)
        outputs = tl.load(gradient + images + position, mask=inside, other=0.0)
        total = tl.dot(tl.trans(inputs), outputs, total, input_precision="ieee")
    place = (split * tl.num_programs(1) + channel) * (INPUTS * OUTPUTS)
    tl.store(pairs + place + i[:, None] * OUTPUTS + o[None, :], total, mask=(i < INPUTS)[:, None])


@triton.jit
def fold_pairs(
    pairs,  # (splits, width, INPUTS, OUTPUTS)
    taps,  # (width, k * k)
    splits,
    GRID: tl.constexpr,
    ROWS: tl.constexpr,
    LEAD: tl.constexpr,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    KERNEL_SIZE: tl.constexpr,
    BEFORE: tl.constexpr,
    TAPS: tl.constexpr,
):
    """The gradient to each tap of a channel: the sum over the pairs that it joins."""
    channel = tl.program_id(0).to(tl.int64)
    tap = tl.arange(0, TAPS)[:, None]
    o = tl.arange(0, OUTPUTS)[None, :]
    row = o // GRID + tap // KERNEL_SIZE - BEFORE + LEAD
    column = o % GRID + tap % KERNEL_SIZE - BEFORE
    i = row * GRID + column
    joined = (tap < KERNEL_SIZE * KERNEL_SIZE) & (o < ROWS * GRID) & (column >= 0) & (column < GRID)
    joined &= (i >= 0) & (i < INPUTS)
    total = tl.zeros((TAPS, OUTPUTS), tl.float32)
    for split in range(splits):
        place = (split * tl.num_programs(0) + channel) * (INPUTS * OUTPUTS)
        total += tl.load(pairs + place + i * OUTPUTS + o, mask=joined, other=0.0)
    t = tl.arange(0, TAPS)
    tl.store(taps + channel * (KERNEL_SIZE * KERNEL_SIZE) + t, tl.sum(total, 1), mask=t < KERNEL_SIZE * KERNEL_SIZE)
