"""Kernels that are forked from a process which has imported already: as good as others, and gone when they should be."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.execute import execute
from experiments.executors import LocalExecutor
from experiments.fingerprint import find_packages
from experiments.running.kernels import Kernels
from experiments.running.progress import open_monitor
from experiments.running.warm_kernels import warm_start
from experiments.status import statuses
from tests.processes import wait_for
from tests.small_repository import make_repository, open_repository

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    return make_repository(tmp_path / "root")


def test_several_runs_leave_the_records_that_cold_kernels_leave(root: Path) -> None:
    plan, ledger = open_repository(root)
    tasks = statuses(plan, ledger, root)[:3]
    executor = LocalExecutor(root, ledger, root / ".cache", jobs=2, warm=True)
    with open_monitor(len(tasks)) as monitor:
        outcome = executor.run(tasks, monitor)
    assert (outcome.failed, outcome.skipped) == ((), ())
    assert [record.run for record in ledger.load(plan)] == [task.run.name for task in tasks]
    assert {record.metrics["test_accuracy"] for record in outcome.recorded} == {0.75}


def test_a_warm_kernel_has_its_own_folder_and_variables(root: Path) -> None:
    plan, ledger = open_repository(root)
    run = replace(plan.run("tiny-z2-s0"), notebook="tells-where-it-is.ipynb")
    with warm_start(root, ["json", "no_such_module"]) as command:
        assert command is not None
        execute(run, root, ledger, threads=3, kernels=Kernels(command))
    cells = json.loads(ledger.executed_path(run.name).read_text())["cells"]
    place = next(cell for cell in cells if cell["id"] == "place")["outputs"][0]["text"][0].split()
    assert (place[0], place[-1]) == (".", "3")


def test_a_warm_kernel_may_say_more_than_a_pipe_holds(root: Path) -> None:
    """As many kernels do together: each prints some words about how to connect to it."""
    plan, ledger = open_repository(root)
    notebook = json.loads((root / "experiments" / "tells-where-it-is.ipynb").read_text())
    place = next(cell for cell in notebook["cells"] if cell["id"] == "place")
    place["source"] = 'import os\nprint(os.write(1, b"x" * 300_000))'
    (root / "experiments" / "talks.ipynb").write_text(json.dumps(notebook))
    with warm_start(root, []) as command:
        assert command is not None
        execute(replace(plan.run("tiny-z2-s0"), notebook="talks.ipynb"), root, ledger, kernels=Kernels(command))
    assert '"300000\\n"' in ledger.executed_path("tiny-z2-s0").read_text()


def test_what_a_notebook_imports_from_elsewhere_is_found(root: Path) -> None:
    path = root / "experiments" / "tells-where-it-is.ipynb"
    assert find_packages(path, root) == ["IPython", "IPython.display", "IPython.display.display", "os", "sys"]
    assert {"torch", "matplotlib.pyplot"} <= set(find_packages(REPOSITORY / "experiments" / "train.ipynb", REPOSITORY))


def test_who_begins_kernels_ends_without_a_word_while_it_still_imports(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(3)\n")
    command = [sys.executable, "-m", "experiments.running.warm_kernels", "serve", str(tmp_path / "gone/socket"), "slow"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(REPOSITORY)))}
    server = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_for((tmp_path / "begun").exists)
    assert server.communicate(timeout=30) == (b"", b"")  # which closes its input first
    assert server.returncode == -signal.SIGKILL
