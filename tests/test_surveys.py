"""What is kept of modules is what their content says, whatever becomes of the file that keeps it."""

import json
from pathlib import Path

import pytest

from experiments import surveys, syntax
from experiments.surveys import Surveys

SOURCE = '"""Doc."""\nimport a.b\nfrom . import c\n\ndef f(x):\n    from d import e\n    return x + 1\n'


def keep(path: Path, *sources: str) -> Surveys:
    known = Surveys(path)
    for source in sources:
        known.of(source, "m.py")
    known.keep()
    return known


def test_what_is_kept_is_what_the_module_says(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "code.json"
    keep(path, SOURCE)
    survey = Surveys(path).of(SOURCE, "m.py")
    assert survey.definitions == syntax.survey_module(SOURCE, "m.py").definitions
    assert [tuple(entry[:2]) for entry in survey.imports] == [(0, ""), (1, ""), (0, "d")]
    assert [list(entry[2]) for entry in survey.imports] == [["a.b"], ["c"], ["e"]]


def test_another_content_is_surveyed_anew_and_the_old_one_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "code.json"
    keep(path, SOURCE)
    changed = SOURCE.replace("x + 1", "x + 2")
    assert keep(path, changed).of(changed, "m.py") != Surveys(path).of(SOURCE, "m.py")
    assert len(json.loads(path.read_text())) == 2


def test_a_known_module_is_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "code.json"
    keep(path, SOURCE)
    written = path.stat().st_mtime_ns
    monkeypatch.setattr(syntax, "survey_module", lambda source, place: pytest.fail("parsed"))
    keep(path, SOURCE)
    assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"f": "', '"f": 1, "g": "'),
        lambda text: "[" * 100_000,
        lambda text: json.dumps({name: [{}] for name in json.loads(text)}),
    ],
)
def test_a_damaged_file_is_no_loss(tmp_path: Path, damage) -> None:
    path = tmp_path / "code.json"
    keep(path, SOURCE)
    path.write_text(damage(path.read_text()))
    assert keep(path, SOURCE).of(SOURCE, "m.py").definitions == syntax.survey_module(SOURCE, "m.py").definitions
    assert len(json.loads(path.read_text())) == 1


def test_entries_of_other_code_or_another_python_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "code.json"
    keep(path, SOURCE)
    monkeypatch.setattr(surveys.sys, "version_info", (4, 0))
    keep(path, SOURCE)
    assert len(json.loads(path.read_text())) == 2


def test_a_folder_that_cannot_be_written_is_no_loss(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert keep(tmp_path / "file" / "code.json", SOURCE).of(SOURCE, "m.py").imports


def test_the_oldest_of_many_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "_MOST", 3)
    path = tmp_path / "code.json"
    for number in range(5):
        keep(path, f"x = {number}")
    assert len(json.loads(path.read_text())) == 3
