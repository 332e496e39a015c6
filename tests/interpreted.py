"""Our Triton kernels for tests: as they are where there is a GPU, by Triton's interpreter on the CPU elsewhere."""

import importlib
import os
import sys
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

NAMES = tuple(f"convmixer.{name}" for name in ("triton_normalise", "triton_bands", "triton_depthwise", "fused"))
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def import_kernels(name: str) -> ModuleType:
    """The module ``name``, one of NAMES, whose kernels run on DEVICE; each call gives the same one."""
    pytest.importorskip("triton", reason="Triton is not installed: its kernels are not tried")
    return importlib.import_module(name) if DEVICE == "cuda" else _interpreted()[name]


@cache
def _interpreted() -> dict[str, ModuleType]:
    """Copies of the modules, imported while Triton is told to interpret; sys.modules stays as it was."""
    _mend_interpreter()
    hidden = {name: sys.modules.pop(name) for name in NAMES if name in sys.modules}
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    try:
        _interpret_standard_library()
        return {name: importlib.import_module(name) for name in NAMES}
    finally:
        for name in NAMES:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)
        os.environ.pop("TRITON_INTERPRET")
        if before is not None:
            os.environ["TRITON_INTERPRET"] = before


def _interpret_standard_library() -> None:
    """Let the interpreter have tl.sum and its like too: torch imported Triton before it was told to interpret."""
    import triton
    import triton.experimental.gluon  # refuses to be imported, as the interpreter does on its way, after this change
    import triton.language as tl

    for module in (tl, tl.standard):
        for name, function in vars(module).copy().items():
            if isinstance(function, triton.JITFunction):
                setattr(module, name, triton.jit(function.fn))


def _mend_interpreter() -> None:
    """Let the interpreter multiply bfloat16 as numbers; Triton 3.9 multiplies their bits as whole numbers."""
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    plain = InterpreterBuilder.create_dot

    def widen(handle: TensorHandle) -> TensorHandle:
        if handle.dtype.scalar != tl.bfloat16:
            return handle
        return TensorHandle((handle.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    def create_dot(self: InterpreterBuilder, a: TensorHandle, b: TensorHandle, *rest: object) -> TensorHandle:
        return plain(self, widen(a), widen(b), *rest)

    InterpreterBuilder.create_dot = create_dot


def poison_allocations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill all that torch allocates without a value with NaN, so that nothing unwritten passes for a result."""
    for name in ("empty", "empty_like"):
        allocate = getattr(torch, name)

        def poisoned(*arguments: object, allocate: Any = allocate, **options: object) -> torch.Tensor:
            made = allocate(*arguments, **options)
            return made.fill_(torch.nan) if made.is_floating_point() else made

        monkeypatch.setattr(torch, name, poisoned)


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The norm of the difference over the norm of what was expected; NaN if anything found is NaN."""
    found = found.detach().double().cpu()
    return ((found - expected).norm() / expected.norm()).item()
