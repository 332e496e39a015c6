"""A check finds one changed digit wherever it is, and says where, what was expected and what to do."""

import shutil
from pathlib import Path

import pytest

from report.checks import check, compare
from report.findings import Finding
from report.render import build_report

TRACKED = ("build.py", "convmixer", "experiments", "report", "templates")


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A copy of this repository with a fresh report."""
    copy = tmp_path_factory.mktemp("copy")
    for name in TRACKED:
        ignored = shutil.ignore_patterns("__pycache__", "out", ".*")
        source = root / name
        shutil.copytree(source, copy / name, ignore=ignored) if source.is_dir() else shutil.copy(source, copy / name)
    build_report(copy)
    return copy


@pytest.fixture
def restored(checked: Path) -> Path:
    """The copy, with report/out put back after the test."""
    kept = checked / "kept"
    shutil.copytree(checked / "report/out", kept)
    yield checked
    shutil.rmtree(checked / "report/out")
    kept.rename(checked / "report/out")


def errors(root: Path) -> list[Finding]:
    return [finding for finding in check(root) if finding.severity == "error"]


def test_a_fresh_report_holds(checked: Path) -> None:
    assert errors(checked) == []


def change(path: Path, old: str, new: str) -> int:
    """Change the first OLD in PATH; its line."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text.count("\n", 0, text.index(old)) + 1


def test_one_changed_digit_is_found_in_a_table_and_in_every_format(restored: Path) -> None:
    out = restored / "report/out"
    lines = {
        "tables/parameters.csv": change(out / "tables/parameters.csv", "559114", "559115"),
        "report.md": change(out / "report.md", "559,114", "559,115"),
        "report.tex": change(out / "report.tex", "559,114", "559,115"),
        "report.html": change(out / "report.html", ">559,114", ">559,115"),
    }
    found = errors(restored)
    assert {finding.place for finding in found} == {f"report/out/{name}:{line}" for name, line in lines.items()}
    for finding in found:
        assert finding.rule == "output-differs"
        assert "114" in finding.expected
        assert "115" in finding.found


def test_files_missing_and_too_many_are_found(restored: Path) -> None:
    (restored / "report/out/report.tex").unlink()
    (restored / "report/out/stray.md").write_text("stray", encoding="utf-8")
    assert [(finding.rule, finding.place) for finding in errors(restored)] == [
        ("output-missing", "report/out/report.tex"),
        ("output-unknown", "report/out/stray.md"),
    ]


def test_a_report_that_cannot_be_built_is_a_finding(restored: Path) -> None:
    section = restored / "report/paper/sections/10-introduction.md"
    text = section.read_text(encoding="utf-8")
    section.write_text(text + "\n<< unknown_word >>\n", encoding="utf-8")
    try:
        (finding,) = errors(restored)
    finally:
        section.write_text(text, encoding="utf-8")
    assert finding.rule == "build-fails"
    assert finding.message.startswith(
        f"report/paper/sections/10-introduction.md:{text.count(chr(10)) + 2}: 'unknown_word' is undefined"
    )


def test_a_damaged_record_is_a_finding_and_nothing_is_built_from_it(restored: Path) -> None:
    records = restored / "experiments/records"
    records.mkdir(exist_ok=True)
    broken = records / "cifar10-keras-e5-w256-d8-p4-k9-s99.json"
    broken.write_text('{"schema": 1}', encoding="utf-8")
    try:
        found = errors(restored)
    finally:
        broken.unlink()
    assert {finding.rule for finding in found} == {"ledger-fault"}
    assert all("p4-k9-s99.json" in finding.place for finding in found)


def write(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def test_a_difference_names_file_line_and_column_with_its_surroundings(tmp_path: Path) -> None:
    rebuilt = write(tmp_path / "a", report="one\n" + "x" * 100 + "71.23 %" + "y" * 100 + "\n")
    tracked = write(tmp_path / "b", report="one\n" + "x" * 100 + "71.24 %" + "y" * 100 + "\n")
    (finding,) = compare(tracked, rebuilt, "out")
    assert str(finding) == (
        "error output-differs: out/report.md:2: column 105 differs from a fresh build\n"
        f"  expected: …{'x' * 56}71.23 %{'y' * 57}…\n"
        f"  found:    …{'x' * 56}71.24 %{'y' * 57}…\n"
        "  to do: run `python build.py` and look at the change"
    )


def test_a_line_too_many_does_not_hide_behind_those_after_it(tmp_path: Path) -> None:
    rebuilt = write(tmp_path / "a", report="1\n2\n3\n")
    tracked = write(tmp_path / "b", report="1\nnew\n2\n3\n")
    (finding,) = compare(tracked, rebuilt, "out")
    assert (finding.place, finding.expected, finding.found) == ("out/report.md:2", "", "new")


def test_many_differences_are_summed_up(tmp_path: Path) -> None:
    rebuilt = write(tmp_path / "a", report="\n".join("abcdefg"))
    tracked = write(tmp_path / "b", report="\n".join("ABCDEFG"))
    findings = compare(tracked, rebuilt, "out")
    assert [finding.place for finding in findings] == [
        "out/report.md:1",
        "out/report.md:2",
        "out/report.md:3",
        "out/report.md",
    ]
    assert findings[-1].message == "4 more lines differ"


def test_windows_line_ends_are_a_difference(tmp_path: Path) -> None:
    rebuilt, tracked = write(tmp_path / "a", report="1\n"), write(tmp_path / "b")
    (tracked / "report.md").write_bytes(b"1\r\n")
    assert [finding.rule for finding in compare(tracked, rebuilt, "out")] == ["output-differs"]
