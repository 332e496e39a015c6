"""A kernel that gives no sign of life is ended, and no other."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.running import watch as watching
from experiments.running.watch import Watch
from experiments.running.workspace import Workspace
from experiments.spec import Resources
from tests.processes import kill, wait_for

QUIET = Resources(quiet_minutes=2 / 60)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path, "a-run", "0" * 64)
    workspace.begin()
    return workspace


@pytest.fixture
def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) as process:
        yield process
        process.kill()


def test_a_process_that_does_nothing_is_ended(workspace: Workspace, sleeping: subprocess.Popen[bytes]) -> None:
    watch = Watch(workspace, QUIET, lambda process: kill(process) and None)
    watch.begin(sleeping.pid)
    assert sleeping.wait(timeout=60) == -9
    watch.end()
    assert watch.verdict == "hung: for 2 s it neither computed nor got any further; it was ended"


def test_one_that_tells_of_its_progress_is_not(workspace: Workspace, sleeping: subprocess.Popen[bytes]) -> None:
    watch = Watch(workspace, Resources(quiet_minutes=0.1), lambda process: kill(process) and None)
    watch.begin(sleeping.pid)
    end = time.monotonic() + 8
    while time.monotonic() < end:
        workspace.keep(str(time.monotonic()).encode(), b"")
        time.sleep(0.2)
    watch.end()
    assert (watch.verdict, sleeping.poll()) == ("", None)


def test_one_that_computes_is_not_before_its_deadline(
    workspace: Workspace, busy: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_LEAST_LOAD", 0.001)  # A busy machine gives it little.
    watch = Watch(workspace, Resources(quiet_minutes=2 / 60, hours=6 / 3600), lambda process: kill(process) and None)
    watch.begin(busy.pid)
    assert busy.wait(timeout=60) == -9
    watch.end()
    assert watch.verdict == "ended after 6 s, the most that the plan gives it; run it again to go on"


def test_what_a_living_child_computes_is_a_sign_of_life() -> None:
    program = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-S', '-c', 'while True: pass']); "
        "sys.stdin.read(); child.kill()"
    )
    command = [sys.executable, "-S", "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:  # the end of the block closes it
        wait_for(lambda: watching._read_cpu_seconds(process.pid) > 0.5)


def test_what_ended_children_have_computed_is_not_forgotten() -> None:
    program = (
        "import subprocess, sys, time; "
        "subprocess.run([sys.executable, '-S', '-c', 'for _ in range(10**7): pass']); print('done', flush=True); "
        "time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "done\n"
        assert watching._read_cpu_seconds(process.pid) > 0.1
        process.kill()
    wait_for(lambda: watching._read_cpu_seconds(process.pid) == 0.0)
