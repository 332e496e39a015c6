"""Real processes for tests: a command as a person starts it, the kernels that work for it, and waiting for something."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
# A mount that only one process and its children see; works for root, and for others where the system lets them.
UNSHARE = ["unshare", "--map-root-user", "--mount"]
CAN_MOUNT = bool(
    shutil.which("unshare") and subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
)


def start_build(
    root: Path,
    *arguments: str,
    code: Path = REPOSITORY,
    prefix: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Starts `python build.py ARGUMENTS` for the repository ROOT, one thread a run.

    Args:
        code: the folder of build.py, of which the working folder is.
        prefix: a command that runs this one.
        variables: instead of the environment.
    """
    # A background job of a shell ignores Ctrl-C, and so would its children.
    program = (
        "import signal, sys, pathlib; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"sys.path.insert(0, {str(code)!r}); import build; "
        f"sys.exit(build.main({list(arguments)!r}, pathlib.Path({str(root)!r})))"
    )
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", program],
        cwd=code,
        env={**(os.environ if variables is None else variables), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], seconds: float = 240) -> tuple[int, str, str]:
    """(exit code, what it printed, what it printed as errors); a process that will not end is killed, and a failure."""
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    if process.returncode != -signal.SIGINT:  # Python itself was interrupted, before or after all that is ours.
        assert "Traceback (most recent call last)" not in re.sub(r"(?m)^  .*$", "", errors), errors
    return process.returncode, output, errors


def find_kernels(root: Path) -> list[int]:
    """The kernel processes that work in the folder, but for those that were forked."""
    return find_processes(root, of=b"ipykernel_launcher")


def find_processes(root: Path, of: bytes = b"") -> list[int]:
    """The processes that work in the folder, with OF in their command."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if of in (entry / "cmdline").read_bytes() and (entry / "cwd").resolve() == root.resolve():
                found.append(int(entry.name))
        except OSError:  # It has ended, or is not ours.
            continue
    return found


def kill(process: int, how: signal.Signals = signal.SIGKILL) -> bool:
    """Sends the signal; False where the process has ended already."""
    try:
        os.kill(process, how)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Waits until the condition holds; a failure where it does not come to."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
