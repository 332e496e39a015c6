"""The benchmarks that repeat whole trainings are rehearsed tiny, and their pages say what came out."""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from convmixer import ConvMixerError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import one_training
import seconds_to_accuracy
import spread
from one_training import Outcome, Training
from spread import Condition

CELL = {"seed": 0, "recipe": "keras", "epochs": 1, "patch_size": 8, "kernel_size": 5}
TRAINING = Training(device="cpu", path="plain", precision="fp32", deterministic=True, **CELL)


def rehearse(root: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, f"benchmarks/{command}.py", "--rehearse", "--save", *arguments],
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
    )


def read_rows(page: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]


def make_outcome(weights: str, accuracies: Sequence[float] = (0.5,), loss: float = 1.5) -> Outcome:
    epochs = [
        {"epoch": number, "train_loss": loss, "test_loss": loss, "test_accuracy": accuracy, "seconds": 2.0}
        for number, accuracy in enumerate(accuracies, 1)
    ]
    found = {"path": "plain", "precision": "fp32", "train_images": 4500, "threads": 1, "machine": "a machine"}
    return Outcome(weights=weights * 64, epochs=epochs, **found)


def test_the_rehearsal_repeats_a_training_with_the_same_bits_whatever_the_switch(root: Path) -> None:
    before = sorted((root / "benchmarks/results").iterdir())
    run = rehearse(root, "spread", "--ways", "plain-fp32", "--threads", "1", "--repeats", "2")
    assert run.returncode == 0, run.stderr
    head, _, on, off = read_rows(run.stdout)
    assert head[:5] == ["way", "threads", "deterministic", "runs", "weights"]
    assert [row[:4] for row in (on, off)] == [["plain-fp32", "1", word, "2"] for word in ("on", "off")]
    assert re.fullmatch("the same bits, `[0-9a-f]{8}`", on[4])
    assert on[4:] == off[4:]
    assert all(cell.endswith("(0; 0)") for cell in on[5:])
    assert "Each condition gave the same bits every time.\n\nThe switch on or off changes no bit.\n" in run.stdout
    assert sorted((root / "benchmarks/results").iterdir()) == before


def test_the_page_tells_what_differs_by_itself_by_the_switch_and_by_the_threads() -> None:
    outcomes = {
        Condition("plain-fp32", 1, True): [make_outcome("a"), make_outcome("a")],
        Condition("plain-fp32", 1, False): [make_outcome("b", loss=1.25), make_outcome("b", loss=1.25)],
        Condition("plain-fp32", 2, True): [make_outcome("c"), make_outcome("c")],
        Condition("plain-fp32", 2, False): [make_outcome("d", [0.5]), make_outcome("e", [0.502])],
    }
    missing = {Condition("native-fp32", 1, True): "no compiler"}
    page = spread.make_page(outcomes, missing, TRAINING, "2026-01-02", "Load average 0.0.")
    assert page == (
        "# The spread from run to run\n"
        "\n"
        "2026-01-02, a machine. Load average 0.0. Seed 0, ConvMixer-256/8, p 8, k 5, recipe keras, 1 epoch of 4,500 images "
        "of cifar10; behind each mean (greatest less least; standard deviation).\n"
        "\n"
        "| way | threads | deterministic | runs | weights | train loss | test loss | test accuracy, % |\n"
        "| --- | --- | --- | --- | --- | --: | --: | --: |\n"
        "| plain-fp32 | 1 | on | 2 | the same bits, `aaaaaaaa` | 1.5 (0; 0) | 1.5 (0; 0) | 50 (0; 0) |\n"
        "| plain-fp32 | 1 | off | 2 | the same bits, `bbbbbbbb` | 1.25 (0; 0) | 1.25 (0; 0) | 50 (0; 0) |\n"
        "| plain-fp32 | 2 | on | 2 | the same bits, `cccccccc` | 1.5 (0; 0) | 1.5 (0; 0) | 50 (0; 0) |\n"
        "| plain-fp32 | 2 | off | 2 | 2 different | 1.5 (0; 0) | 1.5 (0; 0) | 50.1 (0.2; 0.14) |\n"
        "| native-fp32 | 1 | on | 0 | not measured: no compiler | – | – | – |\n"
        "\n"
        "Not the same bits every time: plain-fp32, 2 threads, switch off.\n"
        "\n"
        "The switch on or off changes bits in: plain-fp32.\n"
        "\n"
        "The number of threads changes bits in: plain-fp32.\n"
    )


def test_what_cannot_be_repeated_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = tmp_path / "worker.py"
    monkeypatch.setattr(spread, "WORKER", worker)
    worker.write_text(
        "import json, os, sys\n"
        f"outcome = json.loads('''{json_of(make_outcome('a'))}''')\n"
        "training = json.loads(sys.argv[1])\n"
        "assert training['deterministic'], 'a crash'\n"
        "assert os.environ['OMP_NUM_THREADS'] == '2'\n"
        "print(json.dumps(outcome if training['precision'] == 'fp32' else {'obstacle': 'no bf16'}))\n"
    )
    conditions = [
        Condition("native-fp32", 2, True),
        Condition("native-bf16", 2, True),
        Condition("native-fp32", 2, False),
    ]
    arguments = argparse.Namespace(device="cpu", repeats=2, rehearse=True)
    outcomes, missing, failed = spread.repeat(conditions, arguments)
    assert failed
    assert {condition: len(some) for condition, some in outcomes.items()} == {conditions[0]: 2}
    assert missing == {
        conditions[1]: "no bf16",
        conditions[2]: "the process ended with 1: AssertionError: a crash",
    }
    assert len(capsys.readouterr().err.splitlines()) == 4


def json_of(outcome: Outcome) -> str:

    return json.dumps(asdict(outcome))


def test_on_a_gpu_determinism_is_prepared_before_cuda_is_asked_for_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr(one_training, "choose_device", lambda name: gpu)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is put back as it was
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    found: list[str | None] = []

    def ask(precision: str, device: torch.device) -> str:
        found.append(os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
        return "fp16"

    monkeypatch.setattr(one_training, "choose_precision", ask)
    with pytest.raises(ConvMixerError, match="'cuda' only emulates bf16"):
        one_training.train_once(replace(TRAINING, device="cuda", precision="bf16"))
    assert found == [":4096:8"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--threads", "1", "3"], "--threads is 3, and this process may use 2 cores"),
        (
            ["--ways", "triton-fp32"],
            "--ways triton-fp32 is none of cpu; it has plain-fp32, plain-bf16, channel-major-fp32",
        ),
        (["--fraction", "nan"], "--fraction is nan; expected a number above 0 and at most 1"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    arguments: list[str], complaint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(spread, "count_cores", lambda: 2)
    monkeypatch.setattr(sys, "argv", ["spread.py", *arguments])
    with pytest.raises(SystemExit) as stopped:
        spread.parse_arguments()
    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err


def test_the_rehearsal_trains_to_an_accuracy(root: Path) -> None:
    before = sorted((root / "benchmarks/results").iterdir())
    run = rehearse(root, "seconds_to_accuracy", "--seeds", "3", "--accuracy", "20")
    assert run.returncode == 0, run.stderr
    (row,) = read_rows(run.stdout)[2:]
    assert row[0] == "3"
    assert 0 < float(row[1]) <= float(row[3])
    assert "1 of 1 seeds reached 20 %, in " in run.stdout
    assert sorted((root / "benchmarks/results").iterdir()) == before


def test_the_page_tells_which_seeds_reached_the_accuracy_and_when() -> None:
    outcomes = {0: make_outcome("a", [0.5, 0.95, 0.93]), 1: make_outcome("b", [0.5, 0.6, 0.92])}
    page = seconds_to_accuracy.make_page(TRAINING, outcomes, 94.0, "2026-01-02", "Load average 0.0.")
    assert page.endswith(
        "| seed | seconds to 94 % | reached in epoch | seconds to the end | accuracy at the end, % |\n"
        "| --: | --: | --: | --: | --: |\n"
        "| 0 | 4.0 | 2 | 6.0 | 93.00 |\n"
        "| 1 | – | never | 6.0 | 92.00 |\n"
        "\n"
        "1 of 2 seeds reached 94 %, in 4.00 s. At the end, after 6.00 ± 0.00 s, the accuracy is 92.50 ± 0.71 %.\n"
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which would be measured")
def test_without_a_gpu_the_rehearsal_to_an_accuracy_is_offered(root: Path) -> None:
    run = subprocess.run(
        [sys.executable, "benchmarks/seconds_to_accuracy.py"], cwd=root, check=False, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "seed 0 cannot be measured here: choose_device: device is 'cuda', but torch sees 0 GPUs; take another or leave it "
        "out; --rehearse tries the code on a CPU\n"
    )
