"""The quick way out is taken exactly when nothing that counts has changed."""

import os
import platform
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from report import freshness

INPUTS = {
    "build.py": "main()",
    "method/__init__.py": "",
    "method/model.py": "model = 1",
    "single.py": "of one file",
    "loose/model.py": "no __init__",
    "loose/deeper/model.py": "no __init__",
    "src/package/__init__.py": "",
    "experiments/__init__.py": "",
    "experiments/plan.yaml": "version: 1",
    "experiments/train.ipynb": "{}",
    "experiments/records/a.json": "{}",
    "report/__init__.py": "",
    "report/render.py": "render = 1",
    "report/paper/sections/00-summary.md": "# Summary",
    "templates/latex/report.tex": "tex",
}
LONG_AGO = 1_000_000_000_000_000_000


def write(path: Path, text: str, when: int | None = LONG_AGO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if when is not None:
        os.utime(path, ns=(when, when))


def is_current(root: Path) -> bool:
    return freshness.missing_if_current(root) is not None


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A tree that was built just now; every file is old."""
    for name, text in INPUTS.items():
        write(tmp_path / name, text)
    snapshot = freshness.begin(tmp_path)
    for name in ("report.md", "figures/a.svg"):
        write(tmp_path / "report/out" / name, name)
    freshness.remember(tmp_path, snapshot)
    return tmp_path


def test_it_is_current_as_long_as_nothing_changes(built: Path) -> None:
    assert is_current(built)
    assert is_current(built)


@pytest.mark.parametrize("line", ["abc", "1 2 x build.py", ""])
def test_a_damaged_manifest_counts_as_none(built: Path, line: str) -> None:
    manifest = built / freshness.MANIFEST
    head, environment, _, *rest = manifest.read_text().split("\n")
    manifest.write_text("\n".join([head, environment, line, *rest]))
    assert not is_current(built)
    freshness.remember(built, freshness.begin(built))
    assert is_current(built)


def test_it_tells_what_the_last_build_said_is_still_to_run(built: Path) -> None:
    assert freshness.missing_if_current(built) == []
    freshness.remember(built, freshness.begin(built), ("sizes: 4 runs to come",))
    assert freshness.missing_if_current(built) == ["sizes: 4 runs to come"]


def test_a_link_to_nothing_is_an_input_as_others_are(built: Path) -> None:
    (built / "experiments/records/b.json").symlink_to("nowhere.json")
    assert not is_current(built)
    freshness.remember(built, freshness.begin(built))
    assert is_current(built)


@pytest.mark.parametrize("name", ["templates/latex/report.tex", "templates/latex"])
def test_a_change_behind_a_link_is_noticed_though_its_size_is_the_same(built: Path, name: str) -> None:
    (built / name).rename(built / "elsewhere")
    (built / name).symlink_to(built / "elsewhere")
    freshness.remember(built, freshness.begin(built))
    assert is_current(built)
    write(built / "elsewhere" / "report.tex" if name == "templates/latex" else built / "elsewhere", "TEX", when=None)
    assert not is_current(built)


def test_it_is_not_current_before_the_first_build(tmp_path: Path) -> None:
    assert not is_current(tmp_path)


@pytest.mark.parametrize("name", [*INPUTS, "report/out/report.md"])
def test_a_changed_file_is_noticed_whether_its_size_changes_or_only_its_content(built: Path, name: str) -> None:
    text = (built / name).read_text(encoding="utf-8")
    write(built / name, text + "x", when=None)
    assert not is_current(built)
    if text:
        write(built / name, text[:-1] + "#", when=None)
        assert not is_current(built)


@pytest.mark.parametrize("name", [*INPUTS, "report/out/report.md"])
def test_a_file_that_is_gone_is_noticed(built: Path, name: str) -> None:
    (built / name).unlink()
    assert not is_current(built)


@pytest.mark.parametrize("name", ["experiments/records/b.json", "report/paper/new.yaml", "report/out/stray.md"])
def test_a_file_too_many_is_noticed(built: Path, name: str) -> None:
    write(built / name, "new")
    assert not is_current(built)


@pytest.mark.parametrize("name", ["tests/test_a.py", "README.md", "report/.out-x/a.md", "data/images/a.py"])
def test_what_cannot_change_the_report_is_ignored(built: Path, name: str) -> None:
    write(built / name, "new")
    assert is_current(built)


def manifest(root: Path) -> list[str]:
    return (root / freshness.MANIFEST).read_text(encoding="utf-8").split("\n")


def test_a_touched_file_with_its_old_content_is_current_and_its_new_time_is_kept(built: Path) -> None:
    write(built / "experiments/plan.yaml", INPUTS["experiments/plan.yaml"], when=LONG_AGO + 5)
    assert is_current(built)
    assert [line for line in manifest(built) if f" {LONG_AGO + 5} " in line and line.endswith("/plan.yaml")]


def test_an_edit_that_keeps_size_and_date_is_noticed(built: Path) -> None:
    """However long after the build: its time of change is that of the directory entry, which nobody sets."""
    backdate(built, 10**9)
    write(built / "experiments/plan.yaml", "version: 2", when=LONG_AGO)
    assert not is_current(built)


def test_a_file_put_in_the_place_of_another_with_the_same_size_and_date_is_noticed(built: Path) -> None:
    backdate(built, 10**9)
    write(built / "other", "version: 2", when=LONG_AGO)
    os.replace(built / "other", built / "experiments/plan.yaml")
    assert not is_current(built)


def backdate(root: Path, by_ns: int) -> None:
    """Rewrite the manifest as if all, files and manifest, had been written so much earlier."""
    head, environment, *rest = manifest(root)
    version, written, *counts = head.split(" ")
    lines = [" ".join([version, str(int(written) - by_ns), *counts]), environment, *rest]
    (root / freshness.MANIFEST).write_text("\n".join(lines), encoding="utf-8")


def test_a_change_in_the_moment_of_the_build_is_noticed_though_all_its_times_are_the_known_ones(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system keeps time in steps: two edits within one look alike. So do these, where every time is the same."""
    now = int(manifest(built)[0].split(" ")[1])

    def add(listing: freshness.Listing, entry: os.DirEntry[str], path: str) -> None:
        listing.newest = now
        listing.add_name(path, f"{entry.stat().st_size} {now} {now}")

    monkeypatch.setattr(freshness.Listing, "add", add)
    monkeypatch.setattr("time.time_ns", lambda: now)
    freshness.remember(built, freshness.begin(built))
    assert is_current(built)
    write(built / "experiments/plan.yaml", "version: 2", when=None)
    assert not is_current(built)


def test_a_change_while_a_build_runs_is_noticed(built: Path) -> None:
    snapshot = freshness.begin(built)
    write(built / "experiments/plan.yaml", "version: 2", when=None)
    freshness.remember(built, snapshot)
    assert not is_current(built)


def test_another_python_or_package_is_noticed(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "describe_environment", lambda: "3.99.0 jinja2-99")
    assert not is_current(built)


def test_the_environment_is_python_and_the_packages_that_make_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / name for name in ("one/site-packages", "two/dist-packages", "three")]
    for place, name in zip(places, ("jinja2-9.1", "PyYAML-7.0", "numpy-3.0"), strict=True):
        (place / f"{name}.dist-info").mkdir(parents=True)
        (place / "torch-9.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [*map(str, places), str(tmp_path / "none/site-packages")])
    monkeypatch.delenv("PYPANDOC_PANDOC", raising=False)
    assert freshness.describe_environment() == f"{platform.python_version()} jinja2-9.1 PyYAML-7.0"
    monkeypatch.setenv("PYPANDOC_PANDOC", "/a/pandoc")
    assert freshness.describe_environment() == f"{platform.python_version()} /a/pandoc jinja2-9.1 PyYAML-7.0"


def test_every_package_that_the_report_needs_is_in_the_environment(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.match(r"[\w-]+", text)[0].replace("-", "_") for text in asked}
    for name in names:
        (tmp_path / "site-packages" / f"{name}-1.0.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site-packages")])
    assert set(freshness.describe_environment().split(" ")[1:]) == {f"{name}-1.0" for name in names}


@pytest.mark.parametrize("folder", ["experiments/records", "report/paper"])
def test_a_folder_that_has_become_a_link_is_looked_at_by_the_command(built: Path, folder: str) -> None:
    (built / folder).rename(built / "elsewhere")
    (built / folder).symlink_to(built / "elsewhere", target_is_directory=True)
    freshness.remember(built, freshness.begin(built))
    assert not is_current(built)


@pytest.mark.parametrize("text", ["", "{", "3", "3 1 0 0 0", "2 1 0 0 0\n\n", "3 x 0 0 0\n\n"])
def test_a_manifest_that_cannot_be_read_means_not_current(built: Path, text: str) -> None:
    (built / freshness.MANIFEST).write_text(text, encoding="utf-8")
    assert not is_current(built)


def test_a_manifest_that_was_cut_off_means_not_current(built: Path) -> None:
    whole = (built / freshness.MANIFEST).read_text(encoding="utf-8")
    for length in range(0, len(whole) - 1, len(whole) // 20):
        (built / freshness.MANIFEST).write_text(whole[:length], encoding="utf-8")
        assert not is_current(built), length


def test_a_name_with_a_line_break_is_an_input_as_others_are(built: Path) -> None:
    write(built / "report/paper/sections/a\nb.md", "one")
    freshness.remember(built, freshness.begin(built))
    assert is_current(built)
    write(built / "report/paper/sections/a\nb.md", "two", when=None)
    assert not is_current(built)


def test_which_executed_notebooks_there_are_counts_and_not_what_is_in_them(built: Path) -> None:
    write(built / "experiments/executed/a.ipynb", "{}")
    assert not is_current(built)
    freshness.remember(built, freshness.begin(built))
    write(built / "experiments/executed/a.ipynb", "other", when=None)
    assert is_current(built)


def test_it_imports_nothing_that_starting_python_has_not(root: Path) -> None:
    code = "import sys; known = {*sys.modules}; import build, report.freshness as f; f.missing_if_current({!r}); print(*{*sys.modules} - known)"
    run = subprocess.run(
        [sys.executable, "-c", code.replace("{!r}", repr(str(root)))],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(run.stdout.split()) <= {"build", "report", "report.freshness", "hashlib", "_hashlib", "_blake2"}
