"""What a person is told while runs go on."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from experiments.running import progress
from experiments.running.progress import format_seconds, open_monitor
from experiments.spec import RunFailed
from tests.small_repository import make_record, make_repository, open_repository


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (5400, "1.5 h"), (86_400, "24 h"), (200_000, "2.3 d")],
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert format_seconds(seconds) == words


@pytest.mark.parametrize("terminal", [False, True])
def test_results_and_failures_are_told_on_a_terminal_and_off_it(tmp_path: Path, terminal: bool) -> None:
    root = make_repository(tmp_path / "root")
    plan, _ = open_repository(root)
    one, two, other = plan.run("tiny-z2-s0"), plan.run("tiny-z2-s1"), plan.run("tiny-z3-s0")
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, color_system=None)
    with open_monitor(3, console) as monitor:
        monitor.start(one, 4.0)
        monitor.advance(one, "epoch 1/2 [bold]", 0.5)
        monitor.finish(one, make_record(root, one.name))
        monitor.start(two, 4.0)
        monitor.fail(two, RunFailed("tiny-z2-s1: it raised [red]"))
        monitor.start(other, 4.0)
        monitor.leave(other)
    text = file.getvalue()
    told = [
        "tiny-z2-s0: test_accuracy 0.7500 in 4 s",
        "FAILED tiny-z2-s1: it raised [red]",
        "tiny-z3-s0: left to another process, which is running it or has recorded it",
    ]
    for number, line in enumerate(told, 1):
        assert (line if terminal else f"[{number}/3] {line}\n") in text


def test_off_a_terminal_progress_is_told_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path / "root")
    run = open_repository(root)[0].run("tiny-z2-s0")
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    file = io.StringIO()
    with open_monitor(1, Console(file=file, width=100)) as monitor:
        monitor.start(run, 4.0)
        for now[0], epoch in ((1.0, 1), (31.0, 2), (32.0, 3), (70.0, 3), (140.0, 3)):
            monitor.advance(run, f"epoch {epoch}/9", 0.25)
    assert file.getvalue().splitlines() == [
        "tiny-z2-s0: begun, about 4 s",
        "tiny-z2-s0: 25%, epoch 2/9",
        "tiny-z2-s0: 25%, epoch 3/9",
    ]
