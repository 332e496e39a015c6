"""What this machine has, and what it lacks for what. Heavy packages are asked in a process of their own."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

# Nothing else here: it has to work where no package is installed.
if TYPE_CHECKING:
    from experiments.plan import Plan

_TIMEOUT_SECONDS = 300  # The first import of torch on a cold disk is slow.
_REPORT = "the report"
_RUNS = "runs"


def show_machinery(name: str) -> str:
    """A file beside `build.py` of the machinery, which need not be the paper's folder, as it is called from here."""
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), name)
    try:
        return os.path.relpath(path)
    except ValueError:  # on another drive
        return path


_INSTALL_REPORT = f"{Path(sys.executable).name} -m pip install -r {show_machinery('requirements-report.lock')}"
_INSTALL_RUNS = f"{Path(sys.executable).name} -m pip install -r {show_machinery('requirements.lock')}"
_INSTALL_OTHER = "install the package that has this module, which the method imports"

# Distribution -> the module to import.
_REPORT_PACKAGES = {
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "orjson": "orjson",
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
    "timm": "timm",
    "papermill": "papermill",
    "ipykernel": "ipykernel",
    "jupyter-client": "jupyter_client",
    "nvidia-ml-py": "pynvml",
    "pillow": "PIL",
    "psutil": "psutil",
    "safetensors": "safetensors",
    "scikit-learn": "sklearn",
    "tqdm": "tqdm",
}
_OF_EVERY_RUN = frozenset({"papermill", "ipykernel", "jupyter-client", "psutil"})
_OF_RUNS_ON_CUDA = frozenset({"torch", "nvidia-ml-py"})  # They see the device, whatever computes on it.


@dataclass(frozen=True)
class Need:
    """One thing looked for; `vital` means that the report cannot be built without it."""

    name: str
    good: bool
    found: str
    purpose: str
    remedy: str
    vital: bool = False


def find_missing() -> str:
    """Which packages of the report are not installed, a line each and what to do; empty where all are there."""
    listed = [_examine_package(name, "", _REPORT, _INSTALL_REPORT) for name in _REPORT_PACKAGES]
    if all(finding.good for finding in listed):
        return ""
    lines = [
        f"{'ok' if item.good else 'MISSING':<8}{item.name:<18}{item.found}" for item in (_examine_python(), *listed)
    ]
    remedy = f"{_INSTALL_REPORT}, or use {show_machinery('.venv/bin/python')}, which `make report` makes"
    return "\n".join([*lines, f"for the report: {remedy}; then ask again for the rest"])


def examine(root: Path, plan: "Plan") -> list[Need]:
    """Everything that some command needs for this paper, in the order in which one meets the need."""
    imported = _list_imports(root, plan)
    on_cuda = "cuda" in {*plan.speed, *(run.needs for run in plan.runs.values())}
    always = _OF_EVERY_RUN | (_OF_RUNS_ON_CUDA if on_cuda else frozenset())
    packages = {name: module for name, module in _RUN_PACKAGES.items() if name in always or module in imported}
    others = sorted(imported.difference(_RUN_PACKAGES.values(), _REPORT_PACKAGES.values(), sys.stdlib_module_names))
    errors, cuda = _try_imports([*packages.values(), *others])
    return [
        _examine_python(),
        *(_examine_package(name, "", _REPORT, _INSTALL_REPORT) for name in _REPORT_PACKAGES),
        _examine_pandoc(),
        *(_examine_package(name, errors[module], _RUNS, _INSTALL_RUNS) for name, module in packages.items()),
        *(Need(name, not errors[name], errors[name] or "there", _RUNS, _INSTALL_OTHER) for name in others),
        *([_examine_cuda(cuda)] if on_cuda else ()),
        *(_examine_data(root, name, folder) for name, folder in plan.data.items()),
        _examine_program("git", "the commit in a record; check, diff and bundle of a repository", "install git"),
        _examine_program("latexmk", "report --pdf latexmk", "install latexmk and XeTeX; report.pdf is made without"),
    ]


def find_devices() -> tuple[str, ...]:
    """The device classes that runs can compute on here."""
    return ("cpu", "cuda") if _try_imports(["torch"])[1] else ("cpu",)


def _list_imports(root: Path, plan: "Plan") -> set[str]:
    """The packages that the plan's notebooks import, by themselves or through the repository's modules."""
    from experiments.fingerprint import find_packages

    notebooks = {root / "experiments" / run.notebook for run in plan.runs.values()}
    return {name.partition(".")[0] for notebook in notebooks for name in find_packages(notebook, root)}


def _examine_python() -> Need:
    version = ".".join(map(str, sys.version_info[:3]))
    return Need("Python", sys.version_info >= (3, 11), version, _REPORT, "install Python 3.11 or newer", vital=True)


def _examine_package(name: str, error: str, purpose: str, remedy: str) -> Need:
    """An installed package also counts as missing where importing it gave an error: half an installation is none."""
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found, error = "not installed", "not installed"
    else:
        found += f", but it cannot be imported: {error}" if error else ""
    return Need(name, not error, found, purpose, remedy, vital=purpose == _REPORT)


def _examine_pandoc() -> Need:
    """pandoc comes inside the wheel pypandoc-binary."""
    remedy = f"install pypandoc-binary anew: {_INSTALL_REPORT}"
    try:
        import pypandoc

        return Need("pandoc", True, pypandoc.get_pandoc_version(), _REPORT, remedy, vital=True)
    except (ImportError, OSError) as error:
        return Need("pandoc", False, str(error).splitlines()[0], _REPORT, remedy, vital=True)


def _examine_cuda(name: str) -> Need:
    from experiments import machine

    return Need(
        "CUDA device",
        bool(name),
        name or f"none; runs use the CPU ({machine.read_cpu()})",
        "runs of large models",
        "use a machine with an NVIDIA GPU, or the runs that a CPU affords (build.py status)",
    )


def _examine_data(root: Path, name: str, folder: str) -> Need:
    from experiments.recording import DATA_VARIABLE

    place = Path(os.path.expanduser(os.environ.get(DATA_VARIABLE) or root / "data")) / folder
    remedy = f"unpack it into data/{folder}, set {DATA_VARIABLE}, or let the first run download it"
    return Need(name, place.is_dir(), "there" if place.is_dir() else "not there", "runs on it", remedy)


def _examine_program(name: str, purpose: str, remedy: str) -> Need:
    found = shutil.which(name) is not None
    return Need(name, found, "there" if found else "not there", purpose, remedy)


_PROBE = """
import importlib, json, sys
errors = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        errors[name] = ""
    except Exception as error:
        errors[name] = f"{type(error).__name__}: {error}"
torch = sys.modules.get("torch")
print(json.dumps([errors, torch.cuda.get_device_name() if torch and torch.cuda.is_available() else ""]))
"""


def _try_imports(modules: Sequence[str]) -> tuple[dict[str, str], str]:
    """(each module's error, or nothing; the name of the CUDA device that torch sees, or nothing), by a child."""
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _PROBE, *modules],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=True,
        )
        errors, cuda = json.loads(done.stdout.splitlines()[-1])
        return errors, cuda
    except subprocess.TimeoutExpired:
        return dict.fromkeys(modules, f"no answer in {_TIMEOUT_SECONDS} s"), ""
    except (subprocess.CalledProcessError, ValueError, IndexError) as error:
        return dict.fromkeys(modules, f"Python ended: {error}"), ""
