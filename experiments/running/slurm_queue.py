"""What Slurm's commands are asked: which jobs there are, how one ended, and to end some.

By `squeue` and `scontrol`, not by `sacct`: many clusters, and every small one, keep no accounts.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from experiments.spec import MissingTool

_OWN_JOB = "SLURM_JOB_ID"
_CONFIGURATION = "SLURM_CONF"
_PROGRAMS = ("sbatch", "srun", "squeue", "scancel", "scontrol")
_LOG_LINES = 8
_TIMEOUT_SECONDS = 60


def require_slurm() -> None:
    """Raises MissingTool with the remedy where no job can be submitted from here."""
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise MissingTool(
            "submitit is not installed, and --executor slurm needs it; install it by: pip install submitit"
        ) from error
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        raise MissingTool(f"{missing[0]} is not installed, and --executor slurm needs it; run this on the cluster")
    done = _ask("scontrol", "ping")
    if done.returncode or "is UP" not in done.stdout:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise MissingTool(
            f"Slurm's controller does not answer: {words[-1] if words else 'no output'}; "
            "try `scontrol ping`, and set SLURM_CONF if the configuration lies elsewhere"
        )


def read_queue() -> dict[str, str] | None:
    """This user's jobs that wait, run or end -> why one waits, else nothing; None where Slurm does not answer just now."""
    done = _ask("squeue", "--me", "--noheader", "--array", "--format=%i|%T|%r")
    if done.returncode:
        return None
    queue = {}
    for line in done.stdout.splitlines():
        job, state, why = (*line.split("|", 2), "", "")[:3]
        queue[job.strip()] = why if state == "PENDING" else ""
    return queue


def cancel(jobs: Iterable[str]) -> None:
    """Ends the jobs at once, or takes them out of the queue.

    What computes is killed first, as the step that it is: a job that is cancelled computes on until the cluster's
    KillWait is over, 30 seconds by default, for its kernel does not hear the signal before.
    """
    if listed := list(jobs):
        _ask("scancel", "--signal=KILL", *(f"{job}.0" for job in listed))
        _ask("scancel", "--full", *listed)


@contextlib.contextmanager
def hide_own_job() -> Iterator[None]:
    """Hides the job that this process itself is part of: sbatch would hand its memory and its place in an array on."""
    is_hidden = _OWN_JOB in os.environ
    names = [name for name in os.environ if is_hidden and name.startswith("SLURM_") and name != _CONFIGURATION]
    hidden = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(hidden)


def describe_end(job: str, log: Path) -> str:
    """How a job ended that has left no answer: its state, as far as Slurm remembers, and the end of its log."""
    words = _ask("scontrol", "show", "job", job).stdout.split()
    state = next((word.partition("=")[2] for word in words if word.startswith("JobState=")), "of unknown state")
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    except OSError:
        lines = []
    shown = "".join(f"\n  {line}" for line in lines)
    return f"Slurm job {job} ended without an answer: {state}; the end of its log:{shown}"


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]}: no answer in {_TIMEOUT_SECONDS} s")
    except OSError as error:  # No memory, or no more processes, at this moment.
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]}: cannot be run: {error.strerror or error}")
