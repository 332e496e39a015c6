"""What a run keeps while it is not done: how often it was begun, what its checkpoint is worth, and who has it."""

import os
from pathlib import Path

import pytest

from experiments.running.workspace import Workspace
from experiments.spec import RunBusy

KEY = "0123456789abcdef" * 4


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("experiments.running.workspace.time.time", clock)
    return clock


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "cache", "run-s0", KEY)


def save_checkpoint(workspace: Workspace, clock: Clock, after_seconds: float) -> None:
    clock.now += after_seconds
    workspace.keep_checkpoint(b"weights")
    os.utime(workspace.checkpoint, (clock.now, clock.now))


def test_the_seconds_before_an_attempt_are_those_that_went_into_its_checkpoint(
    workspace: Workspace, clock: Clock
) -> None:
    assert workspace.begin() == (1, 0.0)
    save_checkpoint(workspace, clock, after_seconds=60)
    clock.now += 30  # lost: the run was killed half a minute after its checkpoint
    assert workspace.begin() == (2, 60.0)
    clock.now += 500  # killed before a checkpoint of its own: the old one is worth what it was
    assert workspace.begin() == (3, 60.0)
    save_checkpoint(workspace, clock, after_seconds=40)
    assert workspace.begin() == (4, 100.0)


def test_without_a_checkpoint_nothing_of_the_earlier_attempts_is_left_but_their_number(
    workspace: Workspace, clock: Clock
) -> None:
    workspace.begin()
    save_checkpoint(workspace, clock, after_seconds=60)
    workspace.begin()
    workspace.checkpoint.unlink()
    assert workspace.begin() == (3, 0.0)


def test_an_attempt_that_has_waited_for_a_machine_counts_from_its_true_beginning(
    workspace: Workspace, clock: Clock
) -> None:
    workspace.begin()
    clock.now += 3600
    workspace.begin_late()
    save_checkpoint(workspace, clock, after_seconds=60)
    assert workspace.begin() == (2, 60.0)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"number": "x"}', '{"number": 1}'])
def test_a_damaged_count_of_attempts_begins_again(workspace: Workspace, clock: Clock, text: str) -> None:
    workspace.begin()
    workspace.attempts.write_text(text)
    assert workspace.begin() == (1, 0.0)


def test_a_new_attempt_has_no_progress_of_the_one_before(workspace: Workspace) -> None:
    workspace.begin()
    workspace.keep(b'{"text": "epoch 3", "fraction": 0.5}', b"")
    assert workspace.read_progress() == ("epoch 3", 0.5)
    workspace.begin()
    assert workspace.read_progress() is None


def test_what_is_told_of_a_run_that_waits_keeps_how_far_it_was(workspace: Workspace) -> None:
    workspace.begin()
    workspace.tell("waits")
    assert workspace.read_progress() == ("waits", 0.0)
    workspace.keep(b'{"text": "epoch 3", "fraction": 0.5}', b"")
    workspace.tell("waits")
    assert workspace.read_progress() == ("waits", 0.5)


def test_a_failure_keeps_notebook_and_checkpoint_and_the_end_keeps_nothing(workspace: Workspace) -> None:
    workspace.begin()
    workspace.keep_checkpoint(b"weights")
    workspace.keep(b'{"text": "epoch 3", "fraction": 0.5}', b"{}")
    workspace.fail()
    assert workspace.failed_notebook.read_bytes() == b"{}"
    assert workspace.checkpoint.is_file()
    assert not workspace.notebook.exists() and workspace.read_progress() is None
    workspace.finish()
    assert [path for path in workspace.cache.rglob("*") if path.is_file()] == []


def test_another_key_s_checkpoint_is_neither_used_nor_counted(workspace: Workspace, clock: Clock) -> None:
    workspace.begin()
    save_checkpoint(workspace, clock, after_seconds=60)
    other = Workspace(workspace.cache, workspace.run, "f" * 64)
    assert other.begin() == (1, 0.0)
    assert workspace.checkpoint.is_file()


def test_a_lock_is_had_by_one_and_driver_and_worker_have_one_each(workspace: Workspace) -> None:
    assert Workspace.list_running(workspace.cache) == ()
    with workspace.lock(), workspace.lock("workers"):
        for who in ("locks", "workers"):
            with pytest.raises(RunBusy, match="^run-s0: another process is running it"), workspace.lock(who):
                pass
        assert Workspace.list_running(workspace.cache) == ("run-s0",)
    assert Workspace.list_running(workspace.cache) == ()
    with workspace.lock():
        pass
