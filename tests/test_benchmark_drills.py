"""The drills of the suite are found with all of their repetitions, and one that failed is told."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import drills
from benchmarks.drills import Outcome, as_table, drill_of, find, read

KILLED = "test_a_driver_that_is_killed"


def written() -> Iterator[str]:
    """The tests of the whole suite that are repeated, as their files say."""
    for file in Path(__file__).parent.glob("test_*.py"):
        yield from re.findall(r"^@repeated\n(?:@.*\n)*def (test_\w+)", file.read_text(), re.MULTILINE)


def test_every_drill_of_the_suite_is_found_with_its_repetitions() -> None:
    nodes = find(3, [])
    assert {node.partition("::")[2].partition("[")[0] for node in nodes} == set(written())
    assert len(nodes) == 3 * len({drill_of(node) for node in nodes})
    assert [node[-5:] for node in find(2, [f"{KILLED}[9"])] == ["[9-0]", "[9-1]"]


def test_a_drill_is_called_by_what_it_does_and_how() -> None:
    assert drill_of(f"tests/test_drills.py::{KILLED}[9-17]") == "a driver that is killed (SIGKILL)"
    assert drill_of("tests/test_ray.py::test_a_worker_dies[17]") == "a worker dies"


def test_what_a_pytest_has_found_is_counted_by_drill(tmp_path: Path) -> None:
    case = '<testcase classname="tests.test_drills" name="test_{}[{}]" time="{}">{}</testcase>'
    cases = [
        case.format("it_falls", 0, 1.0, ""),
        case.format("it_falls", 1, 3.0, '<failure message="a record is lost&#10;and more">...</failure>'),
        case.format("it_waits", 0, 2.5, ""),
        case.format("it_is_not_there", 0, 0.0, '<skipped message="no Slurm here"/>'),
    ]
    (tmp_path / "result.xml").write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    outcomes = read(tmp_path / "result.xml")
    assert outcomes[1] == Outcome("it falls", "failed", 3.0, "a record is lost")
    assert as_table(outcomes).splitlines()[2:] == [
        "| it falls | 2 | 1 | 2.0 |",
        "| it waits | 1 | 1 | 2.5 |",
        "| it is not there | 1 | not here | 0.0 |",
    ]


def test_a_campaign_does_its_drills_and_ends_with_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--repetitions", "2", "--jobs", "2", "--only", "test_a_writer_that_is_killed"]
    monkeypatch.setattr(sys, "argv", ["drills.py", *chosen])
    assert drills.main() == 0
    assert "| a writer that is killed leaves a whole record | 2 | 2 | " in capsys.readouterr().out


def test_a_word_that_is_in_no_drill_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["drills.py", "--only", "earthquake"])
    with pytest.raises(SystemExit) as ended:
        drills.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("--only: in no drill's name is one of: earthquake")
