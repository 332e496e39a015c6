"""The machine as a process sees it: processor, cores, memory, and the GPUs by NVML. Never imports torch, and NVML only when a GPU is asked about."""

import hashlib
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.running.threads import THREAD_VARIABLES

VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"
_ORDER_VARIABLE = "CUDA_DEVICE_ORDER"


def read_cpu() -> str:
    """The processor's name as the system has it."""
    return _read_cpuinfo().get("model name") or platform.processor() or platform.machine()


def read_processor() -> str | None:
    """Maker, model and a digest of the features, on which compiled code depends; None where the system does not list them.

    The name in `cpu` does not tell them: clouds sell several generations by one name.
    """
    first = _read_cpuinfo()
    features = first.get("flags") or first.get("Features")  # of x86, of ARM
    if not features:
        return None
    words = {"vendor_id": "vendor", "cpu family": "family", "model": "model"}
    words |= {"CPU implementer": "implementer", "CPU part": "part"}
    named = [f"{word} {first[name]}" for name, word in words.items() if name in first]
    digest = hashlib.sha256(" ".join(sorted(features.split())).encode()).hexdigest()[:12]
    return ", ".join([*named, f"features {digest}"])


def _read_cpuinfo() -> dict[str, str]:
    """What Linux tells of its first processor; nothing elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_threads() -> int:
    """The threads that this process computes with: PyTorch's, else as many as the environment lets the libraries take."""
    if (torch := sys.modules.get("torch")) is not None:
        return torch.get_num_threads()
    limits = (os.environ.get(name, "") for name in THREAD_VARIABLES)
    return next((int(limit) for limit in limits if limit.isdecimal() and int(limit) > 0), count_cores())


def used_device_class() -> str:
    """`"cuda"` where this process has computed on a CUDA device, `"cpu"` otherwise."""
    torch = sys.modules.get("torch")
    used = torch is not None and torch.cuda.is_initialized() and torch.cuda.max_memory_allocated() > 0
    return "cuda" if used else "cpu"


def peak_memory_mib(device_class: str) -> float | None:
    """The most memory that the run held, MiB: the device's allocations on CUDA, the process's resident set on a CPU."""
    if device_class == "cuda":
        return round(sys.modules["torch"].cuda.max_memory_allocated() / 2**20, 1)
    try:
        import resource
    except ImportError:  # Windows has no such module.
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)  # bytes on macOS, KiB elsewhere


def count_gpus() -> int:
    """The CUDA devices that NVML sees; 0 without it."""
    return _ask_nvml(lambda nvml: nvml.nvmlDeviceGetCount()) or 0


def read_gpu() -> tuple[str, str | None]:
    """The CUDA device's name and its driver's version."""
    name = sys.modules["torch"].cuda.get_device_name()
    driver = _ask_nvml(lambda nvml: nvml.nvmlSystemGetDriverVersion())
    return name, driver and _as_text(driver)


def read_energy_joules() -> float | None:
    """The energy counter of the GPU that CUDA calls its first; only differences of two readings mean something.

    None without one, and where it cannot be told which of the machine's GPUs that is.
    """

    def read(nvml: Any) -> int | None:
        gpu = _find_first_gpu(nvml)
        return None if gpu is None else nvml.nvmlDeviceGetTotalEnergyConsumption(gpu)

    millijoules = _ask_nvml(read)
    return None if millijoules is None else millijoules / 1000


def _find_first_gpu(nvml: Any) -> Any:
    """NVML's handle of the first GPU that CUDA may see: NVML itself counts all, whatever the variable says."""
    gpus = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    entry = os.environ.get(VISIBLE_VARIABLE, "0").partition(",")[0].strip()
    if entry.startswith("GPU-"):
        found = [gpu for gpu in gpus if _as_text(nvml.nvmlDeviceGetUUID(gpu)).startswith(entry)]
    else:  # CUDA counts from the fastest GPU on unless told otherwise; NVML as they are plugged in.
        in_order = os.environ.get(_ORDER_VARIABLE) == "PCI_BUS_ID" or len(set(map(nvml.nvmlDeviceGetName, gpus))) == 1
        found = gpus[int(entry) :][:1] if in_order and entry.isdecimal() else []
    return found[0] if len(found) == 1 else None


def _as_text(value: str | bytes) -> str:
    """What NVML tells: bytes in its older versions."""
    return value.decode() if isinstance(value, bytes) else value


def _ask_nvml(question: Callable[[Any], Any]) -> Any:
    """NVML's answer; None where there is no such library, driver or device."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        try:
            return question(pynvml)
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None
