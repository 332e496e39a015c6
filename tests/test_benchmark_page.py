"""The benchmarks of the report are laid out for any number of records, and refuse what is none."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import page, rebuild, rebuild_peers
from experiments.plan import load_plan


def test_a_report_without_a_record_is_laid_out_with_its_plan(tmp_path: Path) -> None:
    assert rebuild.lay_out(tmp_path, 0) == []
    assert load_plan(tmp_path / "experiments/plan.yaml").runs


@pytest.mark.parametrize(
    ("benchmark", "option", "text", "least"),
    [
        (page, "--records", "-1", 0),
        (page, "--repeats", "0", 1),
        (rebuild, "--records", "0", 1),
        (rebuild_peers, "--records", "many", 1),
    ],
)
def test_what_is_no_number_of_records_or_repeats_is_refused(
    benchmark: ModuleType,
    option: str,
    text: str,
    least: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", f"{option}={text}"])
    with pytest.raises(SystemExit) as caught:
        benchmark.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"argument {option}: {text!r} is no number from {least} on\n")
