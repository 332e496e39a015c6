"""Faults with real processes: whatever is killed, stopped, full or wrong, no record is lost, half-written or doubled, and
`run` again ends with the numbers of an undisturbed run.

Two repetitions of each drill by default; `python benchmarks/drills.py` does a hundred.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from experiments.fingerprint import fingerprint
from experiments.running.workspace import Workspace
from tests.processes import CAN_MOUNT, UNSHARE, find_kernels, finish, kill, start_build, wait_for
from tests.small_repository import PLAN, edit, make_repository, open_repository

DRILLS = int(os.environ.get("DRILLS", "2"))
RUNS = ("tiny-z2-s0", "tiny-z2-s1")
NAME = RUNS[0]
pytestmark = pytest.mark.timeout(900)
MOUNTS = pytest.mark.skipif(not CAN_MOUNT, reason="no private mounts here: full and read-only disks are not tried")


def repeated(test: Callable[..., None]) -> Callable[..., None]:
    """A drill that is done DRILLS times, each time with another seed of its random moments."""
    return pytest.mark.drill(pytest.mark.parametrize("seed", range(DRILLS))(test))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "root", PLAN.replace("fine.ipynb", "counts-slowly.ipynb"))


def expect(name: str) -> list[float]:
    """What an undisturbed run of counts-slowly.ipynb comes to, step by step."""
    size, seed = int(name[6]), int(name[9])
    values = [seed + size]
    for _ in range(30):
        values.append((values[-1] * 1103515245 + 12345) % 2**31)
    return [value / 2**31 for value in values]


def check_ledger(root: Path, names: tuple[str, ...] | None = None) -> None:
    """Each record there is sound, complete and right; with NAMES, there are exactly these."""
    plan, ledger = open_repository(root)
    for record in ledger.load(plan):
        assert list(record.history["column 0"]) == expect(record.run)
        assert record.metrics == {"test_accuracy": expect(record.run)[-1]}
        assert record.cost["seconds"] >= 0
    if names is not None:
        files = sorted(path.name for path in ledger.records_folder.iterdir())
        assert files == sorted(f"{name}.json" for name in names)
        kept = sorted(path.name for path in ledger.executed_folder.iterdir())
        assert kept == [f"{name}.ipynb" for name in names if name.endswith("s0")]
        assert list((root / ".cache").rglob("*.pt")) == []


def run_again(root: Path, *names: str) -> None:
    """`run` ends with 0, and the ledger is as if nothing had happened."""
    code, _, errors = finish(start_build(root, "run", "-j", "2", *names))
    assert code == 0, errors
    check_ledger(root, names)


def wait_a_moment(root: Path, process: subprocess.Popen[str], seed: int) -> None:
    """Until a random moment between the begin of the process and its end."""
    generator = random.Random(seed)
    if generator.random() < 0.7:  # Most of the time is spent in starting; most of what can break comes later.
        wait_for(lambda: find_kernels(root) or process.poll() is not None)
    time.sleep(generator.uniform(0, 6))


@repeated
def test_a_kernel_that_is_killed(root: Path, seed: int) -> None:
    process = start_build(root, "run", "-j", "2", "-k", *RUNS)
    wait_a_moment(root, process, seed)
    killed = [kernel for kernel in find_kernels(root)[:1] if kill(kernel)]
    code, _, errors = finish(process)
    assert code == 0 or ("the kernel died" in errors and killed)
    check_ledger(root)
    run_again(root, *RUNS)


@repeated
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_driver_that_is_killed(root: Path, how: signal.Signals, seed: int) -> None:
    process = start_build(root, "run", "-j", "2", *RUNS)
    wait_a_moment(root, process, seed + 1000)
    kill(process.pid, how)
    code, _, errors = finish(process)
    expected = -9 if how is signal.SIGKILL else 130
    assert code in (expected, 0, -how), errors  # -how: before build.py has set its handlers.
    wait_for(lambda: not find_kernels(root))
    check_ledger(root)
    run_again(root, *RUNS)


@repeated
def test_signals_that_come_again_do_not_disturb_the_end(root: Path, seed: int) -> None:
    process = start_build(root, "run", "-j", "2", *RUNS)
    wait_for(find_workspace(root).checkpoint.is_file)
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGINT):
        kill(process.pid, how)
        time.sleep(random.Random(seed).choice([0.01, 0.05, 0.2]))
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT, -signal.SIGTERM)  # the latter when Python itself ends
    assert errors.splitlines()[-1] == "interrupted", errors
    wait_for(lambda: not find_kernels(root))
    run_again(root, *RUNS)


def test_a_kernel_that_hangs_is_ended_and_its_run_goes_on(root: Path) -> None:
    edit(root / "experiments/plan.yaml", "defaults: {", "defaults: {resources: {quiet_minutes: 0.25}, ")
    process = start_build(root, "run", NAME)
    checkpoint = find_workspace(root).checkpoint
    wait_for(checkpoint.is_file)
    (kernel,) = find_kernels(root)
    kill(kernel, signal.SIGSTOP)
    code, _, errors = finish(process)
    assert code == 1
    assert f"{NAME}: hung: for 15 s it neither computed nor got any further; it was ended" in errors
    assert find_kernels(root) == []
    edit(root / "experiments/plan.yaml", "resources: {quiet_minutes: 0.25}, ", "")
    run_again(root, NAME)


def test_a_kernel_that_computes_for_ever_is_ended_by_its_deadline(root: Path) -> None:
    edit(root / "experiments/plan.yaml", "defaults: {", "defaults: {resources: {hours: 0.002, quiet_minutes: 600}, ")
    edit(root / "experiments/plan.yaml", "counts-slowly", "computes-for-ever")
    code, _, errors = finish(start_build(root, "run", NAME))
    assert code == 1
    assert f"{NAME}: ended after 7 s, the most that the plan gives it; run it again to go on" in errors
    assert find_kernels(root) == []


def test_memory_that_is_used_up(root: Path) -> None:
    edit(root / "experiments/plan.yaml", "counts-slowly", "uses-up-the-memory")
    code, _, errors = finish(start_build(root, "run", NAME))
    assert code == 1
    assert f"{NAME}: uses-up-the-memory.ipynb: cell [3] raised MemoryError" in errors
    check_that_it_goes_on_from_its_checkpoint(root)


def test_a_kernel_that_the_system_kills_for_its_memory(root: Path) -> None:
    """Here the test is the system: it kills as that does, once the memory is really held."""
    edit(root / "experiments/plan.yaml", "counts-slowly", "uses-up-the-memory")
    edit(root / "experiments/uses-up-the-memory.ipynb", '\\"MemoryError\\"', '\\"SIGKILL\\"')
    process = start_build(root, "run", NAME)
    told = find_workspace(root)
    wait_for(lambda: told.read_progress() == ("the memory is full", 0.5))
    (kernel,) = find_kernels(root)
    assert psutil.Process(kernel).memory_info().rss > 4 * (64 << 20)
    kill(kernel)
    code, _, errors = finish(process)
    assert code == 1
    assert f"{NAME}: the kernel died" in errors and "often the memory was used up" in errors
    check_that_it_goes_on_from_its_checkpoint(root)


def check_that_it_goes_on_from_its_checkpoint(root: Path) -> None:
    """Nothing of the failed attempt is in the ledger, and the next one ends with the numbers of an undisturbed run."""
    check_ledger(root)
    assert [*(root / "experiments").glob("records/*"), *(root / "experiments").glob("executed/*")] == []
    assert find_workspace(root).checkpoint.is_file()
    run_again(root, NAME)
    plan, ledger = open_repository(root)
    assert ledger.load(plan)[0].cost["attempts"] == 2


@repeated
def test_two_drivers_at_once_do_each_run_once(root: Path, seed: int) -> None:
    drivers = [start_build(root, "run", "-j", "2", *RUNS)]
    time.sleep(random.Random(seed).uniform(0, 3))
    drivers.append(start_build(root, "run", "-j", "1", *RUNS))
    ended = [finish(driver) for driver in drivers]
    assert [code for code, _, _ in ended] == [0, 0]
    told = [line for _, _, errors in ended for line in errors.splitlines() if "test_accuracy" in line]
    assert sorted(line.split()[1].rstrip(":") for line in told) == sorted(RUNS)
    check_ledger(root, RUNS)


@MOUNTS
def test_a_disk_that_is_full_when_the_record_is_written(root: Path) -> None:
    records = root / "experiments" / "records"
    records.mkdir()
    # One page: enough for the file by which the driver tries, not for a record.
    mount = [*UNSHARE, "sh", "-c", f'mount -t tmpfs -o size=4k none {records} && exec "$@"', "sh"]
    code, _, errors = finish(start_build(root, "run", NAME, prefix=mount))
    assert code == 1
    assert (
        f"{NAME}: experiments/records/{NAME}.json: the record could not be written: No space left on device; the "
        "checkpoint is kept: free some space or grant write permission, then run it again"
    ) in errors
    assert list(records.iterdir()) == []
    assert find_workspace(root).checkpoint.is_file()
    run_again(root, NAME)
    plan, ledger = open_repository(root)
    assert ledger.load(plan)[0].cost["attempts"] == 2


@MOUNTS
def test_a_ledger_that_cannot_be_written_is_noticed_before_anything_is_computed(root: Path) -> None:
    records = root / "experiments" / "records"
    records.mkdir()
    mount = [*UNSHARE, "sh", "-c", f'mount -t tmpfs -o ro none {records} && exec "$@"', "sh"]
    code, _, errors = finish(start_build(root, "run", NAME, prefix=mount))
    assert (code, errors.splitlines()[-1]) == (
        2,
        (
            "error: experiments/records: cannot be written: Read-only file system; "
            "no run was started, because its record could not be saved"
        ),
    )
    assert not (root / ".cache" / "checkpoints").exists()
    run_again(root, NAME)


BACKWARDS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t which, struct timespec *now) {
    int (*ask)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = ask(which, now);
    if (!failed && which == CLOCK_REALTIME) now->tv_sec = 2 * START - now->tv_sec;
    return failed;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: a clock that runs backwards is not tried")
def test_a_clock_that_runs_backwards(root: Path, tmp_path: Path) -> None:
    (tmp_path / "backwards.c").write_text(BACKWARDS.replace("START", str(int(time.time()))))
    library = tmp_path / "backwards.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "backwards.c", "-ldl"], check=True)
    backwards = {**os.environ, "LD_PRELOAD": str(library)}
    process = start_build(root, "run", NAME, variables=backwards)
    wait_for(find_workspace(root).checkpoint.is_file)
    kill(process.pid)
    finish(process)
    wait_for(lambda: not find_kernels(root))
    code, _, errors = finish(start_build(root, "run", NAME, variables=backwards))
    assert code == 0, errors
    check_ledger(root, (NAME,))
    plan, ledger = open_repository(root)
    assert ledger.load(plan)[0].cost["attempts"] == 2


def find_workspace(root: Path) -> Workspace:
    """That of the first run, under today's key."""
    plan, _ = open_repository(root)
    return Workspace(root / ".cache", NAME, fingerprint(plan.run(NAME), root).key)
