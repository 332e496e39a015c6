"""Compile for a GPU that need not be there what our launches would launch, and tell what it takes of the GPU.

    python -m tests.compiled WIDTH BATCH GRID KERNEL_SIZE DTYPE

prints a JSON list, an object for each kernel of one layer's forward and backward pass.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from convmixer.triton_depthwise import convolve, convolve_gradient, weight_gradient
from convmixer.triton_normalise import BatchNorm, gather_statistics, normalise, normalise_gradient

HOPPER = GPUTarget("cuda", 90, 32)
POINTERS = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.float16: "*fp16"}
CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"

compiled: list[dict[str, object]] = []


def compile_instead(function: triton.JITFunction, *args: Any, grid: object, warmup: bool, **kwargs: Any) -> None:
    """Takes the place of ``JITFunction.run``: compile for these arguments, as a launch would, and launch nothing."""
    given = dict(zip(function.arg_names, args, strict=False)) | kwargs
    options = {name: given.pop(name) for name in ("num_warps", "num_stages", "enable_fp_fusion") if name in given}
    signature, constants, attributes = {}, {}, {}
    for place, parameter in enumerate(function.params):
        value = given[parameter.name]
        if parameter.is_constexpr or value is None or (isinstance(value, int) and value == 1):
            signature[parameter.name], constants[parameter.name] = "constexpr", value
            continue
        signature[parameter.name] = describe(value)
        if isinstance(value, Tensor) or (isinstance(value, int) and value % 16 == 0):
            attributes[(place,)] = [["tt.divisibility", 16]]
    kernel = triton.compile(ASTSource(function, signature, constants, attributes), target=HOPPER, options=options)
    resources = read_resources(kernel.asm["cubin"])
    wgmma = kernel.asm["ptx"].count("wgmma.mma_async")  # the tensor cores' own instruction on Hopper
    compiled.append({"kernel": function.__name__, "shared": kernel.metadata.shared, "wgmma": wgmma, **resources})


def describe(value: object) -> str:
    if isinstance(value, Tensor):
        return POINTERS[value.dtype]
    return "i32" if isinstance(value, int) else "fp32"


def read_resources(cubin: bytes) -> dict[str, int]:
    """Registers of a thread, and bytes of local memory that its stack takes, spilled registers included."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        report = subprocess.run([CUOBJDUMP, "-res-usage", file.name], check=True, capture_output=True, text=True)
    found = re.search(r"REG:(\d+) STACK:(\d+) .*LOCAL:(\d+)", report.stdout + report.stderr)
    assert found, report.stdout
    registers, stack, local = map(int, found.groups())
    return {"registers": registers, "stack": stack, "local": local}


def launch_all(width: int, batch: int, grid: int, kernel_size: int, dtype: torch.dtype) -> None:
    x = torch.zeros(width, batch, grid**2, dtype=dtype)
    weight = torch.zeros(width, 1, kernel_size, kernel_size)
    norm = BatchNorm(*(torch.ones(width) for _ in range(4)), True, 0.1, 1e-5)
    y, statistics = convolve(x, weight, grid, bias=norm.beta, activation="gelu")
    _, moments = normalise(y, norm.beta, norm, statistics, "gelu", x)
    statistics = gather_statistics(y, norm.beta, "gelu")
    normalise_gradient(x, y, norm.beta, norm.gamma, moments, "gelu", True)
    weight_gradient(x, y, kernel_size, grid)
    convolve_gradient(y, weight, grid, add=x)


def main() -> None:
    triton.JITFunction.run = compile_instead
    width, batch, grid, kernel_size = map(int, sys.argv[1:5])
    launch_all(width, batch, grid, kernel_size, getattr(torch, sys.argv[5]))
    print(json.dumps(compiled))


if __name__ == "__main__":
    main()
