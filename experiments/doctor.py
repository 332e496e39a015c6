"""What this machine has, and what it lacks for what. Heavy packages are asked in a process of their own."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from experiments import provenance
from experiments.plan import Plan
from experiments.recording import DATA_VARIABLE

_TIMEOUT_SECONDS = 120  # The first import of torch on a cold disk is slow.
_REPORT = "the report"
_RUNS = "runs"
_INSTALL_REPORT = f"{Path(sys.executable).name} -m pip install -r requirements-report.lock"
_INSTALL_RUNS = f"{Path(sys.executable).name} -m pip install -r requirements.lock"

# Distribution -> the module to import, in the order of pyproject.toml.
_REPORT_PACKAGES = {
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "pandas": "pandas",
    "pypandoc-binary": "pypandoc",
    "pyyaml": "yaml",
    "rich": "rich",
    "scipy": "scipy",
    "typst": "typst",
}
_RUN_PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "papermill": "papermill",
    "ipykernel": "ipykernel",
    "scikit-learn": "sklearn",
    "tqdm": "tqdm",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked for; `vital` means that the report cannot be built without it."""

    name: str
    good: bool
    found: str
    purpose: str
    remedy: str
    vital: bool = False


def examine(root: Path, plan: Plan) -> list[Finding]:
    """Everything that some command needs, in the order in which one meets the need."""
    return [
        _examine_python(),
        *(_examine_package(name, module, _REPORT, _INSTALL_REPORT) for name, module in _REPORT_PACKAGES.items()),
        _examine_pandoc(),
        *(_examine_package(name, module, _RUNS, _INSTALL_RUNS) for name, module in _RUN_PACKAGES.items()),
        _examine_cuda(),
        *(_examine_data(root, name, folder) for name, folder in plan.data.items()),
        _examine_program("git", "the commit in a record; naming a changed field", "install git"),
        _examine_program("latexmk", "report --pdf latexmk", "install latexmk and XeTeX; report.pdf is made without"),
    ]


def find_devices() -> tuple[str, ...]:
    """The device classes that runs can compute on here."""
    return ("cpu", "cuda") if _ask_torch_for_cuda() else ("cpu",)


def _examine_python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", sys.version_info >= (3, 11), version, _REPORT, "install Python 3.11 or newer", vital=True)


def _examine_package(name: str, module: str, purpose: str, remedy: str) -> Finding:
    """A package counts where it can really be imported: half an installation does not."""
    vital = purpose == _REPORT
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", purpose, remedy, vital)
    if purpose == _REPORT:
        return Finding(name, True, version, purpose, remedy, vital)
    error = _run_python(f"import {module}")[1]
    found = f"{version}, but it cannot be imported: {error.splitlines()[-1]}" if error else version
    return Finding(name, not error, found, purpose, remedy, vital)


def _examine_pandoc() -> Finding:
    """pandoc comes inside the wheel pypandoc-binary."""
    remedy = f"install pypandoc-binary anew: {_INSTALL_REPORT}"
    try:
        import pypandoc

        return Finding("pandoc", True, pypandoc.get_pandoc_version(), _REPORT, remedy, vital=True)
    except (ImportError, OSError) as error:
        return Finding("pandoc", False, str(error).splitlines()[0], _REPORT, remedy, vital=True)


def _examine_cuda() -> Finding:
    name = _ask_torch_for_cuda()
    return Finding(
        "CUDA device",
        bool(name),
        name or f"none; runs use the CPU ({provenance.read_cpu()})",
        "runs of large models",
        "use a machine with an NVIDIA GPU, or the runs that a CPU affords (build.py status)",
    )


def _examine_data(root: Path, name: str, folder: str) -> Finding:
    place = Path(os.environ.get(DATA_VARIABLE) or root / "data") / folder
    remedy = f"unpack it into data/{folder}, set {DATA_VARIABLE}, or let the first run download it"
    return Finding(name, place.is_dir(), "there" if place.is_dir() else "not there", "runs on it", remedy)


def _examine_program(name: str, purpose: str, remedy: str) -> Finding:
    found = shutil.which(name) is not None
    return Finding(name, found, "there" if found else "not there", purpose, remedy)


def _ask_torch_for_cuda() -> str:
    """The name of the CUDA device that torch sees; empty without one, or without torch."""
    return _run_python("import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')")[0]


def _run_python(code: str) -> tuple[str, str]:
    """(output, errors) of a line of Python in a process of its own; errors only where it fails."""
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer in {_TIMEOUT_SECONDS} s"
    return (done.stdout.strip(), "") if done.returncode == 0 else ("", done.stderr.strip() or "failed")
