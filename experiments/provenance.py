"""Where a run's numbers come from: commit, versions, device. Nothing that names a person, a host or a folder."""

import importlib.metadata
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments import machine
from experiments.git import read_commit

STARTED_VARIABLE = "REPRODUCTION_STARTED"
EXECUTOR_VARIABLE = "REPRODUCTION_EXECUTOR"
# By these the services of continuous integration tell a process that it runs there: GitHub Actions sets both.
CI_VARIABLES = ("CI", "GITHUB_ACTIONS")
_UNSET = frozenset({"", "0", "false", "no", "off"})
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


def gather() -> dict[str, Any]:
    """The provenance of this process's results. Imports nothing: torch is asked only where the run has loaded it."""
    commit, dirty = read_commit(ROOT)
    device_class = machine.used_device_class()
    gpu, driver = machine.read_gpu() if device_class == "cuda" else (None, None)
    cpu = machine.read_cpu()
    return {
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "versions": _read_versions(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu,
        "processor": machine.read_processor(),
        "device": gpu or cpu,
        "device_class": device_class,
        "gpu": gpu,
        "driver": driver,
        "threads": machine.count_threads(),
        "started": os.environ.get(STARTED_VARIABLE) or utc_now(),
        "executor": os.environ.get(EXECUTOR_VARIABLE) or "by hand",
    }


def local_executor() -> str:
    """Who runs what is run on this machine: `ci` where a service of continuous integration says so, else `local`."""
    said = (os.environ.get(name, "").strip().lower() for name in CI_VARIABLES)
    return "local" if _UNSET.issuperset(said) else "ci"


def utc_now() -> str:
    """The time as ISO 8601 text in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
