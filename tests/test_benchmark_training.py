"""The benchmark of training speed is rehearsed tiny; what it compares agrees, and its page says what was measured."""

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from convmixer.data import Dataset
from convmixer.model import ConvMixer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import training
import training_peers
import training_work
from training_results import CELLS, Ceilings, Results, Speed, Task, as_json, find_targets, make_page

TASK = Task(
    variant="native",
    device="cpu",
    patch_size=2,
    kernel_size=5,
    batch_size=64,
    seconds=0.1,
    width=16,
    depth=2,
    rehearsed=True,
)
CEILINGS = Ceilings(flops_per_second=2e9, bytes_per_second=4e9, precision="fp32", machine="a machine, torch 0")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return training_work.prepare_data(TASK)


def rehearse(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/training.py", *arguments]
    return subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)


def read_rows(page: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]


def test_the_rehearsal_measures_every_variant_of_a_cpu(root: Path) -> None:
    before = sorted((root / "benchmarks/results").glob("training-*"))
    run = rehearse(root, "--rehearse", "--save", "--cells", "p4k9")
    assert run.returncode == 0, run.stderr
    head, _, *rows = read_rows(run.stdout)
    assert head == ["variant", "precision", "images/s", "s/epoch", "x authors", "x timm", "of floor", "peak MiB"]
    assert [row[0] for row in rows] == ["authors", "timm", "plain", "channel-major", "native", "native-bf16"]
    measured = [row for row in rows if "not measured" not in row[1]]
    assert [row[0] for row in measured][:4] == ["authors", "timm", "plain", "channel-major"]  # native: with a compiler
    assert all(float(row[2].replace(",", "")) > 0 for row in measured)
    assert "A rehearsal: none of the numbers below mean anything." in run.stdout
    assert sorted((root / "benchmarks/results").glob("training-*")) == before


def test_the_rehearsal_tries_the_variants_of_a_gpu_too(root: Path) -> None:
    run = rehearse(root, "--rehearse", "--device", "cuda", "--cells", "p2k5")
    assert run.returncode == 0, run.stderr
    *measured, triton = read_rows(run.stdout)[2:]
    assert [row[0] for row in measured] == ["authors", "authors-16", "timm-compiled", "plain"]
    assert all(re.fullmatch(r"[\d.,]+", row[2]) for row in measured)
    assert (triton[0], set(triton[2:])) == ("triton", {"–"})
    assert triton[1].startswith("not measured: choose_forward: path 'triton' cannot be taken: ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which would be measured")
def test_without_a_gpu_the_rehearsal_is_offered(root: Path) -> None:
    run = rehearse(root, "--device", "cuda")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "training cannot be measured here: choose_device: device is 'cuda', but torch sees 0 GPUs; take another or "
        "leave it out; --rehearse tries the code on a CPU\n"
    )


@pytest.mark.parametrize("build", [training_peers.build_authors_model, training_peers.build_timm_model])
@pytest.mark.parametrize("cell", CELLS)
def test_the_peers_compute_what_we_compute(cell: str, build: Callable[..., nn.Module], digits: Dataset) -> None:
    task = replace(TASK, patch_size=CELLS[cell][0], kernel_size=CELLS[cell][1])
    torch.manual_seed(0)
    ours, theirs = ConvMixer(**training_work.model_sizes(task, digits)), build(task, digits)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    images = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(theirs(images), ours(images), rtol=1e-5, atol=1e-5)


def test_both_ways_to_load_give_whole_batches_without_end(digits: Dataset) -> None:
    recipe = training_work.prepare_recipe(replace(TASK, batch_size=400))
    for batches in (
        training_peers.load_as_authors(digits, recipe, workers=0),
        training_peers.draw_batches(digits, recipe, torch.device("cpu")),
    ):
        for _ in range(2):  # an epoch of 640 images has one whole batch
            images, labels = next(batches)
            assert (images.shape, images.dtype, labels.shape) == ((400, 3, 8, 8), torch.float32, (400,))
            assert abs(images.mean().item()) < 0.3  # normalised, then flipped and distorted


@pytest.mark.parametrize(("cell", "gflop"), [("p2k5", 0.889), ("p4k9", 0.270), ("p1k9", 4.245)])
def test_the_work_of_an_image_is_that_of_the_convolutions_three_times(cell: str, gflop: float, digits: Dataset) -> None:
    patch_size, kernel_size = CELLS[cell]
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    task = replace(TASK, patch_size=patch_size, kernel_size=kernel_size, width=256, depth=8)
    macs, values = training_work.count_work(task, replace(digits, train_images=images))
    assert round(6 * macs / 1e9, 3) == gflop
    assert values == 10 * 8 * 256 * (32 // patch_size) ** 2


def test_the_stopwatch_leaves_the_warm_up_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 101.0, 103.0, 103.5])  # begun, not yet over, over, and when it was over
    monkeypatch.setattr(training_peers.time, "perf_counter", lambda: next(now))
    watch = training_peers.Stopwatch(warm_up_images=20, seconds=2.0, device=torch.device("cpu"))
    assert [watch.is_over(images) for images in (10, 20, 30, 40)] == [False, False, False, True]
    assert (watch.images, watch.elapsed) == (20, 3.5)


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A script in place of the one that measures; a task that is not rehearsed has a process of its own."""
    path = tmp_path / "worker.py"
    monkeypatch.setattr(training, "WORKER", path)
    yield path


def test_a_process_of_its_own_gets_the_task_and_its_last_line_is_the_result(worker: Path) -> None:
    worker.write_text("import json, sys; print('noise'); print(json.dumps({'got': json.loads(sys.argv[1])}))")
    got = training.measure(replace(TASK, rehearsed=False))["got"]
    assert Task(**got) == replace(TASK, rehearsed=False)


@pytest.mark.parametrize(
    ("program", "reason", "is_expected"),
    [
        ('print(\'{"obstacle": "no compiler"}\')', "no compiler", True),
        ("raise MemoryError('too much')", "the process ended with 1: MemoryError: too much", False),
        ("import os; os.kill(os.getpid(), 9)", "the process ended with -9: it said nothing", False),
    ],
)
def test_what_cannot_be_measured_is_told_with_its_reason(
    program: str, reason: str, is_expected: bool, worker: Path
) -> None:
    worker.write_text(program)
    with pytest.raises(training.NotMeasuredError) as raised:
        training.measure(replace(TASK, rehearsed=False))
    assert (str(raised.value), raised.value.is_expected) == (reason, is_expected)


def test_a_variant_that_failed_is_not_tried_again_and_the_others_go_on(
    worker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speed = json.dumps({**vars(make_speed(10)), "images": 64})
    ceilings = json.dumps(vars(CEILINGS))
    worker.write_text(
        "import json, sys\nvariant = json.loads(sys.argv[1])['variant']\n"
        f"print(dict(ceilings='''{ceilings}''', native='''{speed}''')[variant])"
    )
    tasks = {"p2k5": [replace(TASK, rehearsed=False, variant=name) for name in ("timm", "native")]}
    results, failed = training.measure_rounds(tasks, argparse.Namespace(device="cpu", rounds=2, seconds=0.1))
    assert failed
    assert results.missing == {("p2k5", "timm"): "the process ended with 1: KeyError: 'timm'"}
    assert {place: list(by_round) for place, by_round in results.speeds.items()} == {("p2k5", "native"): [1, 2]}
    assert capsys.readouterr().err.splitlines() == [
        "round 1, p2k5, timm: the process ended with 1: KeyError: 'timm'",
        "round 1, p2k5, native: 64 images/s",
        "round 2, p2k5, native: 64 images/s",
    ]


def make_speed(images_per_second: int) -> Speed:
    return Speed(
        images=images_per_second,
        seconds=1.0,
        peak_mib=2000.4,
        peak_mib_before=800.0,
        precision="fp32",
        flops_per_image=1_000_000,
        bytes_per_image=1_000_000,
    )


@pytest.fixture
def results() -> Results:
    """Made-up speeds: the machine was twice as fast in round 2, in which one variant is not there."""
    speeds = {
        ("p2k5", "authors"): {1: make_speed(50), 2: make_speed(100), 3: make_speed(50)},
        ("p2k5", "channel-major"): {1: make_speed(100), 3: make_speed(100)},
        ("p2k5", "native"): {1: make_speed(400), 2: make_speed(800), 3: make_speed(500)},
    }
    missing = {("p2k5", "timm"): "no such thing"}
    setting = {"date": "2026-01-02", "device": "cpu", "rounds": 3, "seconds": 20.0}
    return Results(**setting, ceilings=CEILINGS, speeds=speeds, missing=missing)


def test_the_page_takes_ratios_within_a_round_and_names_targets_and_what_is_missing(results: Results) -> None:
    variants = ("authors", "timm", "channel-major", "native")
    tasks = [replace(TASK, rehearsed=False, variant=name) for name in variants]
    assert make_page(results, {"p2k5": tasks}) == (
        "# Training speed\n"
        "\n"
        "2026-01-02, a machine, torch 0. Rounds: 3, with 20 s for each variant. Product in fp32 2 GFLOP/s, "
        "copy 4.0 GB/s.\n"
        "\n"
        "## ConvMixer-16/2, p 2, k 5, batch 64\n"
        "\n"
        "0.001 GFLOP and at least 1 MB an image: at most 2,000 and 4,000 images/s.\n"
        "\n"
        "| variant | precision | images/s | s/epoch | x authors | x timm | of floor | peak MiB |\n"
        "| --- | --- | --: | --: | --: | --: | --: | --: |\n"
        "| authors | fp32 | 50 (50–100) | 1,000 | 1 (1–1) | – | 2.5% | 2,000 (800) |\n"
        "| timm | not measured: no such thing | – | – | – | – | – | – |\n"
        "| channel-major | fp32 | 100 (100–100) | 500 | 2 (2–2), target 2.5 missed | – | 5.0% | 2,000 (800) |\n"
        "| native | fp32 | 500 (400–800) | 100 | 8 (8–10), target 7 met | – | 25.0% | 2,000 (800) |\n"
    )


def test_the_fallback_that_has_a_target_is_the_one_that_is_taken_on_the_processor(results: Results) -> None:
    fp32, bf16 = results, replace(results, ceilings=replace(CEILINGS, precision="bf16"))
    gpu = replace(bf16, device="cuda")
    found = [
        [find_targets(some, name).get("authors") for name in ("plain", "channel-major")] for some in (fp32, bf16, gpu)
    ]
    assert found == [[None, 2.5], [2.5, None], [None, None]]


def test_the_json_holds_every_round(results: Results) -> None:
    content = json.loads(as_json(results))
    assert [(row["variant"], row["round"], row["images"]) for row in content["speeds"]][:2] == [
        ("authors", 1, 50),
        ("authors", 2, 100),
    ]
    assert len(content["speeds"]) == 8
    assert content["not measured"] == [{"cell": "p2k5", "variant": "timm", "why": "no such thing"}]
    assert content["ceilings"] == vars(CEILINGS)


def test_a_ceiling_is_the_best_of_all_rounds() -> None:
    other = replace(CEILINGS, flops_per_second=1e9, bytes_per_second=5e9)
    assert CEILINGS.or_better(other) == replace(CEILINGS, bytes_per_second=5e9)


def test_the_page_on_the_floor_has_the_figures_of_the_newest_results(root: Path) -> None:
    newest = max((root / "benchmarks/results").glob("training-cpu-*.json"))
    content = json.loads(newest.read_text())
    speeds: dict[tuple[str, str], dict[int, Speed]] = {}
    for row in content["speeds"]:
        cell, variant, number = (row.pop(name) for name in ("cell", "variant", "round"))
        speeds.setdefault((cell, variant), {})[number] = Speed(**row)
    results = Results(
        **{name: content[name] for name in ("date", "device", "rounds", "seconds")},
        ceilings=Ceilings(**content["ceilings"]),
        speeds=speeds,
    )
    page = (root / "benchmarks/README.md").read_text()
    assert f"(results/{newest.stem}.md)" in page
    rows = {found[1]: row[1:] for row in read_rows(page) if (found := re.match("`([\\w-]+)`: ", row[0]))}
    assert set(rows) == {variant for _, variant in speeds}
    for variant, cells in rows.items():
        for cell, text in zip(CELLS, cells, strict=True):
            rate, times, share = re.fullmatch(r"([\d.,]+) \(([\d.]+), (\d+) %\)", text).groups()
            of_rounds = speeds[cell, variant].values()
            found = statistics.median(speed.images_per_second for speed in of_rounds)
            assert float(rate.replace(",", "")) == pytest.approx(found, rel=0.01)
            assert float(times) == pytest.approx(statistics.median(results.ratios(cell, variant, "authors")), abs=0.051)
            of_floor = 100 * found * results.ceilings.floor(next(iter(of_rounds)))
            assert int(share) == pytest.approx(of_floor, abs=0.51)


def test_the_page_lists_every_command(root: Path) -> None:
    page = (root / "benchmarks/README.md").read_text()
    commands = {path.name for path in (root / "benchmarks").glob("*.py") if "ArgumentParser(" in path.read_text()}
    assert set(re.findall(r"^\| `python benchmarks/(\w+\.py)` ", page, re.MULTILINE)) == commands
