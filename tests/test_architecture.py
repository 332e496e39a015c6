"""Imports go one way, the light half stays light, the machinery names no paper — and these tests can fail."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LAYERS = ("convmixer", "experiments", "report", "build")  # a module may import its own layer and those before it
HEAVY = {"torch", "torchvision", "timm", "papermill", "nbclient", "sklearn"}
# Packages of report/, each of which may import those before it; the modules beside them tie them together.
PACKAGES = ("judge", "listings", "plots", "pages", "checking", "diffs", "review")
MAY_RUN_NOTEBOOKS = {"experiments/running/notebook_runs.py"}


def imports(source: str) -> Iterator[str]:
    """Every module that SOURCE imports, at any depth of the code, `from a import b` as a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_against_the_way(place: str, source: str) -> list[str]:
    """What the module at PLACE (`report/tables.py`) imports though its layer may not."""
    layer = place.split("/")[0].removesuffix(".py")
    faults = []
    for name in imports(source):
        top = name.split(".")[0]
        if top in LAYERS and LAYERS.index(top) > LAYERS.index(layer):
            faults.append(f"{place} imports {name}: {layer} comes before {top}")
        if (ahead := _package(name.split("."))) > (own := _package(place.split("/"))) >= 0:
            faults.append(f"{place} imports {name}: {PACKAGES[own]} comes before {PACKAGES[ahead]}")
        if top == "convmixer" and layer != "convmixer":
            faults.append(f"{place} imports {name}: only notebooks reach the method")
        if top in HEAVY and layer != "convmixer" and place not in MAY_RUN_NOTEBOOKS:
            faults.append(f"{place} imports {name}: the light half works without it")
    return faults


def _package(parts: list[str]) -> int:
    """Which of PACKAGES a module lies in, by the parts of its name or path; -1 for none."""
    inside = parts[0] == "report" and len(parts) > 2 and parts[1] in PACKAGES
    return PACKAGES.index(parts[1]) if inside else -1


def modules(root: Path) -> list[Path]:
    return [root / "build.py", *(path for layer in LAYERS[:3] for path in sorted((root / layer).rglob("*.py")))]


def test_imports_go_one_way_and_the_light_half_is_light(root: Path) -> None:
    faults = [
        fault
        for path in modules(root)
        for fault in imports_against_the_way(path.relative_to(root).as_posix(), path.read_text())
    ]
    assert faults == []
    assert {path.parent.name for path in (root / "report").glob("*/__init__.py")} == set(PACKAGES)


@pytest.mark.parametrize(
    ("place", "source", "fault"),
    [
        ("convmixer/model.py", "from experiments import spec", "convmixer comes before experiments"),
        ("experiments/plan.py", "def load():\n    import report.render", "experiments comes before report"),
        ("experiments/execute.py", "import convmixer.model", "only notebooks reach the method"),
        ("report/tables.py", "from convmixer.model import ConvMixer", "only notebooks reach the method"),
        ("report/tables.py", "if 1:\n    import torch.nn as nn", "the light half works without it"),
        ("report/judge/gates.py", "from report.pages.formats import plain", "judge comes before pages"),
        ("build.py", "import papermill", "the light half works without it"),
    ],
)
def test_an_import_against_the_way_is_found(place: str, source: str, fault: str) -> None:
    assert any(fault in found for found in imports_against_the_way(place, source))


def test_the_machinery_names_no_paper(root: Path) -> None:
    """Everything but convmixer/, the plan, the notebooks and report/paper/ serves any paper."""
    machinery = [root / "build.py", *(root / "experiments").rglob("*.py"), *(root / "report").rglob("*.py")]
    machinery += [path for path in (root / "templates").rglob("*") if path.is_file()]
    assert len(machinery) > 20
    found = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for path in machinery
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search("conv ?mixer|trockman", line, re.IGNORECASE)
    ]
    assert found == []


BLOCKER = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (blocked by the test)", name=name)
sys.meta_path.insert(0, Absent())
"""


def run_without_heavy_modules(root: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python where importing torch, papermill and their like fails, as after the light install."""
    (folder / "sitecustomize.py").write_text(BLOCKER.format(names=HEAVY))
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *command], cwd=root, env=environment, check=False, capture_output=True, text=True
    )


def test_the_blocker_blocks(root: Path, tmp_path: Path) -> None:
    run = run_without_heavy_modules(root, tmp_path, "-c", "import torch")
    assert run.returncode == 1
    assert "blocked by the test" in run.stderr


def test_check_and_report_work_without_torch_and_papermill(root: Path, tmp_path: Path) -> None:
    for command in (["build.py", "check"], ["build.py", "status"]):
        run = run_without_heavy_modules(root, tmp_path, *command)
        assert run.returncode == 0, run.stdout + run.stderr
