"""Where a run's numbers come from: commit, versions, device. Nothing that names a person, a host or a folder."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

STARTED_VARIABLE = "REPRODUCTION_STARTED"
EXECUTOR_VARIABLE = "REPRODUCTION_EXECUTOR"
ROOT = Path(__file__).resolve().parent.parent

# Distribution -> the module that it installs; a version is recorded where the run has really imported the module.
PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "numpy": "numpy",
    "pandas": "pandas",
    "scikit-learn": "sklearn",
    "matplotlib": "matplotlib",
    "ipykernel": "ipykernel",
}

# What runs and builds write, of this paper and of any beside it, as git's pathspecs.
_OUTCOMES = tuple(
    f":(top,exclude,glob)**/{place}/**" for place in ("experiments/records", "experiments/executed", "report/out")
)


def gather() -> dict[str, Any]:
    """The provenance of this process's results. Imports nothing: torch is asked only where the run has loaded it."""
    commit, dirty = read_commit(ROOT)
    device_class = used_device_class()
    gpu, driver = _read_gpu() if device_class == "cuda" else (None, None)
    cpu = read_cpu()
    return {
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "versions": _read_versions(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu,
        "processor": read_processor(),
        "device": gpu or cpu,
        "device_class": device_class,
        "gpu": gpu,
        "driver": driver,
        "threads": _count_threads(),
        "started": os.environ.get(STARTED_VARIABLE) or utc_now(),
        "executor": os.environ.get(EXECUTOR_VARIABLE) or "by hand",
    }


def utc_now() -> str:
    """The time as ISO 8601 text in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_commit(root: Path) -> tuple[str | None, bool | None]:
    """The checked-out commit, and whether tracked files differ from it; (None, None) where there is no git.

    What runs and builds write does not count: a run that replaces its record has not changed the code of the next.
    """
    commit = run_git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    changed = list_changed(root) if commit else None
    return (commit or "").strip() or None, None if changed is None else bool(changed)


def list_changed(root: Path) -> list[str] | None:
    """The tracked files that differ from the commit, from the top of the repository; None where there is no git."""
    told = run_git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--", ":/", *_OUTCOMES)
    return None if told is None else [entry[3:] for entry in told.split("\0") if entry]


def list_untracked(root: Path, names: Iterable[str]) -> list[str]:
    """Those of the files NAMES below ROOT that git does not track; none where there is no git."""
    told = run_git(root, "ls-files", "--others", "-z", "--", *(f":(literal){name}" for name in names))
    return [name for name in (told or "").split("\0") if name]


def run_git(root: Path, *arguments: str) -> str | None:
    """What `git <arguments>` prints; None where git or the repository is missing, or git reports an error."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def read_blobs(root: Path, blobs: Iterable[str]) -> dict[str, bytes]:
    """Blob -> its content, by one process of git; without those that a clone lacks of its past."""
    command = ["git", "-C", str(root), "cat-file", "--batch"]
    try:
        done = subprocess.run(command, input="\n".join(blobs).encode(), capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found, at = {}, 0
    while (
        end := done.stdout.find(b"\n", at)
    ) >= 0:  # `<blob> blob <size>`, the content, a line break; or `<blob> missing`
        blob, _, size = done.stdout[at:end].decode("ascii", "replace").partition(" blob ")
        at = end + 1
        if size.isdigit():
            found[blob] = done.stdout[at : at + int(size)]
            at += int(size) + 1
    return found


def read_cpu() -> str:
    """The processor's name as the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def read_processor() -> str | None:
    """Maker, model and a digest of the features, on which compiled code depends; None where the system does not list them.

    The name in `cpu` does not tell them: clouds sell several generations by one name.
    """
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    first = {name.strip(): value.strip() for name, _, value in lines}
    features = first.get("flags") or first.get("Features")  # of x86, of ARM
    if not features:
        return None
    words = {"vendor_id": "vendor", "cpu family": "family", "model": "model"}
    words |= {"CPU implementer": "implementer", "CPU part": "part"}
    named = [f"{word} {first[name]}" for name, word in words.items() if name in first]
    digest = hashlib.sha256(" ".join(sorted(features.split())).encode()).hexdigest()[:12]
    return ", ".join([*named, f"features {digest}"])


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


def read_energy_joules() -> float | None:
    """The first CUDA device's energy counter; None without one. Only differences of two readings mean something."""
    millijoules = _ask_nvml(lambda nvml: nvml.nvmlDeviceGetTotalEnergyConsumption(nvml.nvmlDeviceGetHandleByIndex(0)))
    return None if millijoules is None else millijoules / 1000


def _read_versions() -> dict[str, str]:
    versions = {}
    for distribution, module in PACKAGES.items():
        if module not in sys.modules:
            continue
        try:
            versions[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            versions[distribution] = str(getattr(sys.modules[module], "__version__", "unknown"))
    return versions


def count_gpus() -> int:
    """The CUDA devices that NVML sees; 0 without it."""
    return _ask_nvml(lambda nvml: nvml.nvmlDeviceGetCount()) or 0


def _read_gpu() -> tuple[str, str | None]:
    """The CUDA device's name and its driver's version."""
    name = sys.modules["torch"].cuda.get_device_name()
    driver = _ask_nvml(lambda nvml: nvml.nvmlSystemGetDriverVersion())
    return name, driver.decode() if isinstance(driver, bytes) else driver


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


def _count_threads() -> int:
    """The threads that this process computes with."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return torch.get_num_threads()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
