"""Compiles and loads the C++ kernels of ``native.cpp``: ``load() -> Kernels``, or why it cannot be done.

A C++ compiler is all that it takes (3 seconds, once for each machine: the library is cached). Without one, the
training runs on paths in pure torch.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from convmixer import ConvMixerError

SOURCE = Path(__file__).with_name("native.cpp")
# What native.cpp is; a test compares. It stands here because results belong to the code that made them, and a record's
# key is computed from Python modules: who changes the kernels changes this line, and with it the key.
SOURCE_SHA256 = "9c2ebca02d67dacb79294df72ca76421bd063b88544c0985c96d88f99f446c90"

COMPILER_VARIABLE = "CXX"
CACHE_VARIABLE = "XDG_CACHE_HOME"
FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
COMPILE_SECONDS = 120

# Side of the grid of patches: a block of 16 images of one channel then takes 64 KiB, and stays in the cache.
GREATEST_GRID = 32

_ACTIVATIONS = {"gelu": 0, "relu": 1}


class _Norm(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("bias", "weight", "shift", "running_mean", "running_variance")),
        *((name, ctypes.c_void_p) for name in ("mean", "inverse_deviation")),
        ("momentum", ctypes.c_float),
        ("epsilon", ctypes.c_float),
        ("training", ctypes.c_int),
    )


class _NormGradients(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_void_p) for name in ("bias", "weight", "shift"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Norm:
    """A convolution's bias and the batch normalisation after it; all tensors float32 (channels,).

    ``mean`` and ``inverse_deviation`` are those that a forward pass used, of the batch or running: it writes them.
    """

    bias: Tensor
    weight: Tensor
    shift: Tensor
    running_mean: Tensor
    running_variance: Tensor
    mean: Tensor
    inverse_deviation: Tensor
    momentum: float
    epsilon: float
    training: bool
    activation: str

    def as_structure(self) -> _Norm:
        names = ("bias", "weight", "shift", "running_mean", "running_variance", "mean", "inverse_deviation")
        pointers = (_address(getattr(self, name)) for name in names)
        return _Norm(*pointers, self.momentum, self.epsilon, self.training)


@dataclass(frozen=True, kw_only=True, eq=False)
class NormGradients:
    """The gradients that a backward pass writes; all float32 (channels,)."""

    bias: Tensor
    weight: Tensor
    shift: Tensor

    @classmethod
    def like(cls, norm: Norm) -> "NormGradients":
        return cls(
            bias=torch.empty_like(norm.bias), weight=torch.empty_like(norm.bias), shift=torch.empty_like(norm.bias)
        )

    def as_structure(self) -> _NormGradients:
        return _NormGradients(_address(self.bias), _address(self.weight), _address(self.shift))


class Kernels:
    """The functions of ``native.cpp`` on activations of the layout described there, (channels, columns).

    Activations are float32, or all bfloat16 if ``has_bf16``; weights and their gradients are float32. All raise
    ``MemoryError`` where there is too little for them.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self.lanes = int(library.convmixer_lanes())  # images in a block
        self.has_bf16 = bool(library.convmixer_has_bf16())  # whether processor and compiler know products of bf16

    def multiply(self, a: Tensor, b: Tensor, *, transposed: bool = False) -> Tensor:
        """``a @ b``, or ``a.T @ b`` if ``transposed``; a is a weight, b and the result are (rows, columns)."""
        inner, rows = a.shape if transposed else reversed(a.shape)
        out = b.new_empty(rows, b.shape[1])
        sizes = (ctypes.c_int64(size) for size in (rows, inner, b.shape[1]))
        self._call("multiply", b, _pointer(a), int(transposed), *_pointers(b, out), *sizes, _threads())
        return out

    def multiply_transposed(self, a: Tensor, b: Tensor) -> Tensor:
        """``a @ b.T`` of activations, the gradient of a weight: float32 (rows of a, rows of b)."""
        if a.dtype == torch.float32:
            return a @ b.T  # as fast as ours
        out = a.new_empty(len(a), len(b), dtype=torch.float32)
        sizes = (ctypes.c_int64(size) for size in (len(a), len(b), a.shape[1]))
        self._call("multiply_transposed", a, *_pointers(a, b), _pointer(out), *sizes, _threads())
        return out

    def normalise(self, norm: Norm, y: Tensor) -> Tensor:
        """Batch normalisation of ``activation(y + bias)``."""
        z = torch.empty_like(y)
        self._call("normalise", y, _reference(norm), _ACTIVATIONS[norm.activation], *_pointers(y, z), *_sizes(y))
        return z

    def normalise_backward(self, norm: Norm, y: Tensor, dz: Tensor) -> tuple[Tensor, NormGradients]:
        """The gradient of ``normalise``'s ``y``, and those of the norm."""
        dy, gradients = torch.empty_like(y), NormGradients.like(norm)
        self._call(
            "normalise_backward",
            y,
            *(_reference(norm), _reference(gradients), _ACTIVATIONS[norm.activation]),
            *_pointers(y, dz, dy),
            *_sizes(y),
        )
        return dy, gradients

    def mix_places(self, norm: Norm, weight: Tensor, x: Tensor, grid: int) -> tuple[Tensor, Tensor]:
        """``y`` = the depthwise convolution of ``x`` by ``weight`` (channels, 1, k, k), and ``x + normalise(y)``."""
        y, z = torch.empty_like(x), torch.empty_like(x)
        self._call(
            "mix_places",
            x,
            *(_reference(norm), _ACTIVATIONS[norm.activation], _pointer(weight)),
            *_pointers(x, y, z),
            *_grid_sizes(x, weight, grid),
        )
        return y, z

    def mix_places_backward(
        self, norm: Norm, weight: Tensor, x: Tensor, y: Tensor, dz: Tensor, grid: int
    ) -> tuple[Tensor, Tensor, NormGradients]:
        """The gradients of ``mix_places``'s ``x`` and ``weight``, and those of the norm."""
        dx, weight_gradient, gradients = torch.empty_like(x), torch.empty_like(weight), NormGradients.like(norm)
        self._call(
            "mix_places_backward",
            x,
            *(_reference(norm), _reference(gradients), _ACTIVATIONS[norm.activation], _pointer(weight)),
            *_pointers(x, y, dz, dx),
            _pointer(weight_gradient),
            *_grid_sizes(x, weight, grid),
        )
        return dx, weight_gradient, gradients

    def _call(self, name: str, activation: Tensor, *arguments: object) -> None:
        """The function ``name`` for activations of this one's type."""
        if activation.dtype == torch.bfloat16 and not self.has_bf16:
            raise ConvMixerError("native kernels: activations are torch.bfloat16, which they do not compute here")
        suffix = "bf16" if activation.dtype == torch.bfloat16 else "fp32"
        if getattr(self._library, f"convmixer_{name}_{suffix}")(*arguments):
            raise MemoryError("native kernels: no memory for what they keep between two passes")


def _address(tensor: Tensor, kind: torch.dtype = torch.float32) -> int:
    if tensor.dtype != kind or tensor.device.type != "cpu" or not tensor.is_contiguous():
        raise ConvMixerError(
            f"native kernels: a tensor is {tensor.dtype} on {tensor.device} with strides {tensor.stride()}; expected "
            f"{kind} on the CPU, contiguous"
        )
    return tensor.data_ptr()


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(_address(tensor))


def _pointers(*activations: Tensor) -> list[ctypes.c_void_p]:
    """Of activations, which have one type."""
    kind = torch.bfloat16 if activations[0].dtype == torch.bfloat16 else torch.float32
    return [ctypes.c_void_p(_address(tensor, kind)) for tensor in activations]


def _reference(values: Norm | NormGradients) -> object:
    return ctypes.byref(values.as_structure())


def _threads() -> int:
    """As many as torch uses, and never more than there are cores for this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(torch.get_num_threads(), cores)


def _sizes(y: Tensor) -> tuple[ctypes.c_int64, ctypes.c_int64, int]:
    return ctypes.c_int64(y.shape[0]), ctypes.c_int64(y.shape[1]), _threads()


def _grid_sizes(x: Tensor, weight: Tensor, grid: int) -> tuple[ctypes.c_int64, ctypes.c_int64, int, int, int]:
    return ctypes.c_int64(x.shape[0]), ctypes.c_int64(x.shape[1] // grid**2), grid, weight.shape[-1], _threads()


@lru_cache(maxsize=1)
def load() -> Kernels | str:
    """The kernels, compiled if need be; where that cannot be done, the reason in a sentence.

    Raises ``ConvMixerError`` if the source is not the one that this module names.
    """
    source = SOURCE.read_bytes()
    found = hashlib.sha256(source).hexdigest()
    if found != SOURCE_SHA256:
        raise ConvMixerError(
            f"native kernels: {SOURCE.name} has sha256 {found!r}, and native.py says {SOURCE_SHA256!r}: results belong "
            "to the code that made them, so write the new one there, or restore the file"
        )
    compiler = _find_compiler()
    if isinstance(compiler, str):
        return compiler
    try:
        return Kernels(_load_library(compiler, source))
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or error
        return f"{SOURCE.name} could not be compiled and loaded: {str(detail).strip().splitlines()[0]}"


def _find_compiler() -> list[str] | str:
    """The command that compiles, or why there is none."""
    named = os.environ.get(COMPILER_VARIABLE)
    if not named:
        found = next((path for name in ("g++", "clang++", "c++") if (path := shutil.which(name))), None)
        return (
            [found] if found else f"no C++ compiler was found (g++, clang++, or the one named in ${COMPILER_VARIABLE})"
        )
    command = shlex.split(named)  # such as "ccache g++"
    if command and shutil.which(command[0]):
        return command
    return f"${COMPILER_VARIABLE} is {named!r}, which is no program here"


def _load_library(compiler: list[str], source: bytes) -> ctypes.CDLL:
    """The library for this source, compiler and processor, from the cache or compiled into it."""
    version = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    target = "\n".join((version, *FLAGS, platform.machine(), _processor()))
    digest = hashlib.sha256(source + target.encode()).hexdigest()[:20]
    library = _cache() / f"native-{digest}.so"
    if not _is_whole(library):
        _compile(compiler, library)
    return ctypes.CDLL(str(library))


def _is_whole(library: Path) -> bool:
    """Whether the library is there as it was written; loading a torn one would end the process."""
    check = library.with_suffix(".sha256")
    try:
        return check.read_text() == hashlib.sha256(library.read_bytes()).hexdigest()
    except OSError:
        return False


def _compile(compiler: list[str], library: Path) -> None:
    """Write the library and then its checksum, each whole or not at all."""
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".native-") as folder:
        partial, check = Path(folder) / library.name, Path(folder) / "sha256"
        command = [*compiler, *FLAGS, "-fopenmp", "-shared", "-fPIC", "-o", str(partial), str(SOURCE)]
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=COMPILE_SECONDS)
        check.write_text(hashlib.sha256(partial.read_bytes()).hexdigest())
        os.replace(partial, library)
        os.replace(check, library.with_suffix(".sha256"))


def _cache() -> Path:
    """Where compiled kernels are kept between processes."""
    root = os.environ.get(CACHE_VARIABLE)
    return (Path(root) if root else Path.home() / ".cache") / "convmixer"


def _processor() -> str:
    """The features that ``-march=native`` makes use of, as Linux lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
