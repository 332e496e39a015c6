"""What a notebook hands over, and what it may not."""

import json
import re
from pathlib import Path
from typing import Any

import numpy
import pytest

from experiments import machine, provenance, recording
from experiments.files import write_atomically
from experiments.git import read_commit
from experiments.recording import checkpoint_path, record, report_progress
from experiments.spec import MIME, ConfigurationError
from tests.small_git import commit, git


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The display outputs, as a Jupyter kernel would send them."""
    bundles: list[dict[str, Any]] = []
    monkeypatch.setattr(recording, "_display", bundles.append)
    return bundles


def test_one_output_carries_the_payload_and_a_table(shown: list[dict[str, Any]]) -> None:
    record(
        metrics={"test_accuracy": numpy.float64(0.7), "parameters": numpy.int64(1234)},
        history={"loss": numpy.array([2.0, 1.0])},
        correct=numpy.array([True] * 7 + [False] * 3),
        breakdown={"class": ("a", "b"), "test_accuracy": [0.6, 0.8]},
        settings={"recipe": "tiny", "betas": (0.9, 0.999), "clip": None},
        cost={"train_seconds": 3.5},
    )
    assert len(shown) == 1
    assert sorted(shown[0]) == [MIME, "text/html", "text/plain"]
    payload = json.loads(json.dumps(shown[0][MIME]))
    assert payload["metrics"] == {"test_accuracy": 0.7, "parameters": 1234}
    assert payload["history"] == {"loss": [2.0, 1.0]}
    assert payload["correct"] == {"split": "test", "count": 10, "bits": "/gA="}
    assert payload["breakdown"] == {"class": ["a", "b"], "test_accuracy": [0.6, 0.8]}
    assert payload["settings"] == {"recipe": "tiny", "betas": [0.9, 0.999], "clip": None}
    assert payload["cost"]["train_seconds"] == 3.5
    assert shown[0]["text/plain"].splitlines()[:3] == [
        "Record of this run",
        "  test_accuracy    0.7",
        "  parameters       1,234",
    ]


def test_arrays_are_kept_in_eight_bits_and_small_whole_numbers_exactly(shown: list[dict[str, Any]]) -> None:
    weights, labels = numpy.random.default_rng(0).normal(size=(3, 2, 2)), [0, 9, 3, -127]
    record(metrics={"x": 1}, arrays={"weights": weights, "labels": labels, "nothing": numpy.zeros(2)})
    kept = {name: recording.Packed.from_json(array) for name, array in shown[0][MIME]["arrays"].items()}
    assert (kept["labels"].scale, list(kept["labels"].steps())) == (1, labels)
    assert list(kept["nothing"].steps()) == [0, 0]
    assert kept["weights"].shape == (3, 2, 2)
    again = kept["weights"].scale * numpy.array(kept["weights"].steps()).reshape(3, 2, 2)
    assert abs(again - weights).max() <= abs(weights).max() / 254 * 1.0001


@pytest.mark.parametrize("value", [3, [], [[1], [2, 3]], ["a"], [float("nan")]])
def test_what_is_no_array_of_numbers_is_refused(shown: list[dict[str, Any]], value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"record\(\): arrays\['a'\] "):
        record(metrics={"x": 1}, arrays={"a": value})
    assert shown == []


def test_the_bits_are_those_of_numpys_packbits(shown: list[dict[str, Any]]) -> None:
    correct = numpy.random.default_rng(0).random(1001) < 0.5
    record(metrics={"x": 1}, correct=correct)
    bits = recording.Correct(**shown[0][MIME]["correct"]).packed()
    assert bits == numpy.packbits(correct).tobytes()


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({"metrics": {}}, "metrics is empty; expected at least one name and number"),
        ({"metrics": {"loss": float("nan")}}, "metrics['loss'] is nan; expected a finite number"),
        ({"metrics": {"loss": "low"}}, "metrics['loss'] is 'low'; expected a finite number"),
        ({"metrics": {"good": True}}, "metrics['good'] is True; expected a finite number"),
        (
            {"metrics": {"x": 1}, "history": {"a": [1], "b": [1, 2]}},
            "the columns of history differ in length: {'a': 1, 'b': 2}",
        ),
        (
            {"metrics": {"x": 1}, "history": {"a": [float("inf")]}},
            "history['a'][0] is inf; expected text, a number or a list",
        ),
        (
            {"metrics": {"x": 1}, "correct": [1, 0]},
            "correct holds 1; expected one boolean a test image, at least one",
        ),
        (
            {"metrics": {"x": 1}, "settings": {"model": {}}},
            "settings['model'] is {}; expected text, a number or a list",
        ),
    ],
)
def test_what_is_no_plain_number_is_refused(shown: list[dict[str, Any]], results: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        record(**results)
    assert str(caught.value) == f"record(): {message}"
    assert shown == []


def test_a_name_that_is_markup_is_shown_as_text(shown: list[dict[str, Any]]) -> None:
    record(metrics={"<script>": 1})
    assert "&lt;script&gt;" in shown[0]["text/html"] and "<script>" not in shown[0]["text/html"]


def test_outside_jupyter_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    record(metrics={"test_accuracy": 0.5})
    assert capsys.readouterr().out.startswith("Record of this run\n  test_accuracy")


def test_what_a_machine_cannot_measure_is_not_shown(
    shown: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows does not tell a process's memory."""
    monkeypatch.setattr(machine, "peak_memory_mib", lambda device_class: None)
    record(metrics={"test_accuracy": 0.5}, cost={"train_seconds": 3.5})
    assert shown[0][MIME]["cost"] == {"peak_memory_mib": None, "train_seconds": 3.5}
    assert shown[0]["text/plain"].splitlines()[1:] == ["  test_accuracy  0.5", "  train_seconds  3.5"]
    assert "memory" not in shown[0]["text/html"]


def test_by_hand_there_is_no_checkpoint_and_no_progress_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (recording.CHECKPOINT_VARIABLE, recording.PROGRESS_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    assert checkpoint_path() is None
    report_progress("half", 0.5)


def test_a_run_knows_its_checkpoint_and_where_to_tell_its_progress(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(recording.CHECKPOINT_VARIABLE, str(tmp_path / "c.pt"))
    monkeypatch.setenv(recording.PROGRESS_VARIABLE, str(tmp_path / "p.json"))
    report_progress("nearly", 1.5)
    assert checkpoint_path() == tmp_path / "c.pt"
    assert json.loads((tmp_path / "p.json").read_text()) == {"text": "nearly", "fraction": 1.0}


def test_provenance_has_the_records_fields_and_no_name_of_anyone() -> None:
    gathered = provenance.gather()
    assert sorted(gathered) == [
        "commit",
        "cpu",
        "device",
        "device_class",
        "dirty",
        "driver",
        "executor",
        "gpu",
        "platform",
        "processor",
        "python",
        "started",
        "threads",
        "versions",
    ]
    assert gathered["executor"] == "by hand"
    assert gathered["versions"]["numpy"] == numpy.__version__
    assert str(Path.home()) not in json.dumps(gathered)


@pytest.mark.parametrize(
    ("variables", "executor"),
    [
        ({}, "local"),
        ({"CI": "true"}, "ci"),
        ({"CI": "woodpecker"}, "ci"),
        ({"GITHUB_ACTIONS": "true"}, "ci"),
        ({"CI": "False", "GITHUB_ACTIONS": ""}, "local"),
        ({"CI": "0"}, "local"),
    ],
)
def test_a_run_on_this_machine_is_by_ci_where_the_environment_says_so(
    variables: dict[str, str], executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert provenance.local_executor() == executor


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="only Linux lists the features of a processor")
def test_a_processor_is_told_from_one_with_other_features(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.search(r"features [0-9a-f]{12}$", machine.read_processor())
    texts = [
        "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\nflags\t\t: sse avx\n\nprocessor: 1\n",
        "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\nflags\t\t: avx sse avx512f\n",
        "CPU implementer\t: 0x41\nCPU part\t: 0xd40\nFeatures\t: fp asimd\n",
        "processor\t: 0\n",
    ]
    found = []
    for text in texts:
        monkeypatch.setattr(Path, "read_text", lambda self, text=text, **_: text)
        found.append(machine.read_processor())
    assert [text and text.rpartition(" ")[0] for text in found] == [
        "vendor AuthenticAMD, family 25, model 1, features",
        "vendor AuthenticAMD, family 25, model 1, features",
        "implementer 0x41, part 0xd40, features",
        None,
    ]
    assert len(set(found)) == 4


def test_outside_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert read_commit(tmp_path) == (None, None)
    monkeypatch.setenv("PATH", "")
    assert read_commit(tmp_path) == (None, None)


def test_code_that_differs_from_the_commit_is_told_and_a_replaced_record_is_no_code(tmp_path: Path) -> None:
    for place in ("method.py", "experiments/records/a.json", "papers/b/experiments/executed/c.ipynb"):
        write_atomically(tmp_path / place, "as committed")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "a paper")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    assert read_commit(tmp_path) == (head, False)
    write_atomically(tmp_path / "experiments/records/a.json", "run again")
    write_atomically(tmp_path / "papers/b/experiments/executed/c.ipynb", "run again")
    assert read_commit(tmp_path) == (head, False)
    assert read_commit(tmp_path / "papers") == (head, False)
    write_atomically(tmp_path / "notes.py", "of no run")
    write_atomically(tmp_path / "later.py", "not committed yet")
    assert read_commit(tmp_path, [tmp_path / "method.py"]) == (head, False)
    assert read_commit(tmp_path, [tmp_path / "method.py", tmp_path / "later.py"]) == (head, True)
    write_atomically(tmp_path / "method.py", "edited")
    assert read_commit(tmp_path) == (head, True)
    assert read_commit(tmp_path / "papers") == (head, True)
