"""What must hold of this repository as it is tracked: its plan, notebooks, ledger, locks, README and outputs."""

import base64
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments import doctor
from experiments.ledger import Ledger
from experiments.notebooks import code_cells
from experiments.plan import Plan, load_plan
from experiments.spec import State
from experiments.status import statuses
from experiments.strict_yaml import read_yaml
from report import freshness
from report.arguments import make_parser, parse

EXECUTED_BYTES = 64 * 1024
STATEMENT = re.compile(r"<%\s*(if|elif|else|endif)\b(.*?)%>|<<\s*(table|figure)\(\"([\w-]+)\"\)", re.DOTALL)
ANY_RUN = re.compile(r"any_run\(([^()=]*)\)")


@pytest.fixture(scope="module")
def plan(root: Path) -> Plan:
    return load_plan(root / "experiments/plan.yaml")


@pytest.fixture(scope="module")
def ledger(root: Path) -> Ledger:
    return Ledger(root / "experiments")


def tracked(root: Path) -> list[str]:
    """The paths that git tracks, or every file outside hidden folders where there is no git."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=False, capture_output=True, text=True)
    if listing.returncode == 0:
        return [name for name in listing.stdout.split("\0") if name and (root / name).exists()]
    files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return [path.as_posix() for path in files if path.parts[0] not in (".venv", "data") and path.parts[0][0] != "."]


def test_the_rehearsal_has_every_group_of_the_plan(plan: Plan) -> None:
    rehearsal = load_plan(plan.path, smoke=True)
    assert list(rehearsal.groups) == list(plan.groups)
    assert not rehearsal.runs.keys() & plan.runs.keys()


def test_what_is_looked_for_on_a_machine_is_what_is_declared(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    report, runs = (
        sorted(re.split("[>=]", package)[0] for package in packages)
        for packages in (project["dependencies"], project["optional-dependencies"]["train"])
    )
    assert sorted(doctor._REPORT_PACKAGES) == report
    assert sorted(name.rstrip("-").replace("_", "-") for name in freshness._PACKAGES) == report
    assert sorted(doctor._RUN_PACKAGES) == runs


def test_every_record_is_sound_and_none_is_stale(root: Path, plan: Plan, ledger: Ledger) -> None:
    records, faults = ledger.inspect(plan)
    assert faults == []
    assert [found.why for found in statuses(plan, ledger, root, records=records) if found.state is State.STALE] == []


def test_every_record_comes_from_a_commit_without_local_changes(plan: Plan, ledger: Ledger) -> None:
    for record in ledger.load(plan):
        assert record.provenance["dirty"] is not True, record.run
        assert re.fullmatch("[0-9a-f]{40}", record.provenance["commit"] or ""), record.run


def test_the_first_seed_of_each_recorded_cell_has_its_executed_notebook(plan: Plan, ledger: Ledger) -> None:
    wanted = {record.run for record in ledger.load(plan) if plan.runs[record.run].first}
    assert {path.stem for path in ledger.executed_folder.glob("*.ipynb")} == wanted


def test_executed_notebooks_are_small_and_hold_no_picture_of_the_data_set(root: Path, ledger: Ledger) -> None:
    for path in ledger.executed_folder.glob("*.ipynb"):
        assert path.stat().st_size <= EXECUTED_BYTES, path.name
        text = path.read_text()
        assert str(root) not in text and str(Path.home()) not in text, path.name
        for cell in json.loads(text)["cells"]:
            if "dataset-images" in cell["metadata"].get("tags", ()):
                assert not any("image/png" in output.get("data", {}) for output in cell["outputs"]), path.name


def test_notebooks_are_stored_without_outputs(root: Path) -> None:
    notebooks = sorted((root / "experiments").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        cells = json.loads(path.read_text())["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code), path.name
        assert len({cell["id"] for cell in cells}) == len(cells), path.name
        assert len(code_cells(path)) == len(code)


def test_no_image_of_the_data_set_is_tracked(root: Path) -> None:
    """No tracked file holds the raw bytes of the first test images, and none is as large as a batch of them."""
    files = [root / name for name in tracked(root)]
    assert max(path.stat().st_size for path in files) < 2 * 2**20
    assert not [path for path in files if "cifar-10-batches" in path.as_posix()]


def test_the_locks_agree_and_cover_what_the_project_asks_for(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    light, full = (pins(root / name) for name in ("requirements-report.lock", "requirements.lock"))
    assert light.items() <= full.items()
    assert not {"torch", "papermill"} & light.keys()
    extras = project["optional-dependencies"]
    asked = {name_of(text) for text in project["dependencies"]}
    assert asked <= light.keys()
    assert (asked | {name_of(text) for extra in extras.values() for text in extra}) - {project["name"]} <= full.keys()


def test_the_locks_name_no_host_and_pin_every_file_by_its_hash(root: Path) -> None:
    for name in ("requirements-report.lock", "requirements.lock", "tests/validators.lock"):
        text = (root / name).read_text()
        assert "://" not in text and "--index" not in text and "--find-links" not in text
        entries = re.split(r"\n(?=\S)", text.strip())
        assert all("--hash=sha256:" in entry for entry in entries), name


def pins(path: Path) -> dict[str, tuple[str, ...]]:
    """name -> its versions (more than one where they depend on the Python version)."""
    found: dict[str, tuple[str, ...]] = {}
    for name, version in re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", path.read_text(), re.MULTILINE):
        found[name] = (*found.get(name, ()), version)
    return found


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=!~ ]", requirement)[0]


def commands_of(page: Path) -> list[list[str]]:
    """Every `python build.py ...` in the page, split as a shell does; a placeholder in capitals stands for itself."""
    lines = re.findall(
        r"^(?:python3?|\.venv/bin/python) build\.py[^\n`]*|`python build\.py[^`]*`", page.read_text(), re.MULTILINE
    )
    lines += [line.strip() for line in page.read_text().splitlines() if line.strip().startswith("python build.py")]
    return [shlex.split(line.strip("`"))[2:] for line in lines]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_command_on_the_page_is_one(root: Path, page: str) -> None:
    commands = commands_of(root / page)
    assert commands
    for command in commands:
        if command[:1] != ["COMMAND"]:
            assert parse(command).verb, command


def test_every_verb_is_documented(root: Path) -> None:

    readme = (root / "README.md").read_text()
    assert [verb for verb in make_parser()[1] if f"build.py {verb}" not in readme and verb != "report"] == []


def test_the_readmes_two_commands_are_targets_of_the_makefile(root: Path) -> None:
    for target in ("report", "test"):
        assert f"make {target}\n" in (root / "README.md").read_text()
        run = subprocess.run(["make", "-n", target], cwd=root, check=False, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr


def test_a_venv_that_could_not_be_made_is_begun_anew_the_next_time(root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "Makefile", tmp_path)
    (tmp_path / "requirements-report.lock").touch()
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n[ $1 = -m ] || exit 0\nmkdir -p .venv/bin; ln -s /bin/sh .venv/bin/python; exit 1\n")
    python.chmod(0o755)
    run = subprocess.run(["make", f"PYTHON={python}", "report"], cwd=tmp_path, check=False, capture_output=True)
    assert run.returncode == 2 and (tmp_path / ".venv/bin").is_dir()
    assert not (tmp_path / ".venv/bin/python").is_symlink()


def test_links_between_the_pages_lead_somewhere(root: Path) -> None:
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", (root / page).read_text())
        assert [link for link in links if not (root / link).exists()] == [], page


def test_a_table_or_figure_stands_where_its_own_groups_have_run(root: Path) -> None:
    """Else the sentence beside it may be about other runs: it said "after the shorter training" of the longer one's."""
    groups = {
        f"{kind}:{name}": set(groups_in(declared))
        for kind in ("table", "figure")
        for name, declared in read_yaml(root / f"report/paper/{kind}s.yaml")[f"{kind}s"].items()
    }
    conditions: list[str] = []
    placed = 0
    for text in (path.read_text(encoding="utf-8") for path in sorted((root / "report/paper/sections").glob("*.md"))):
        for word, rest, kind, name in STATEMENT.findall(text):
            if word == "if":
                conditions.append(rest)
            elif word == "endif":
                conditions.pop()
            elif word:
                conditions[-1] = ""
            asked = [found for condition in conditions for found in ANY_RUN.findall(condition)]
            if kind and asked and groups[f"{kind}:{name}"]:
                placed += 1
                assert set(re.findall(r'"([\w-]+)"', asked[-1])) == groups[f"{kind}:{name}"], f"{kind} {name}"
    assert placed > 10


def groups_in(declared: Any) -> Iterator[str]:
    """The groups that a declaration of a table or figure names."""
    for name, value in declared.items() if isinstance(declared, dict) else ():
        if name == "group":
            yield value
        elif name == "groups":
            yield from value
        elif isinstance(value, list):
            for item in value:
                yield from groups_in(item)


def test_bits_of_the_records_are_as_many_as_the_test_images(plan: Plan, ledger: Ledger) -> None:
    for record in ledger.load(plan):
        assert record.correct is not None and record.correct.count == record.settings["test_images"]
        assert len(base64.b64decode(record.correct.bits)) == -(-record.correct.count // 8)


def test_what_is_tracked_is_what_a_rebuild_gives(root: Path) -> None:
    run = subprocess.run([sys.executable, "build.py", "check"], cwd=root, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
