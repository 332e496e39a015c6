"""Ends a kernel that will not end: past its deadline, or without a sign of life.

A sign of life is a new state of one of the run's files (progress, checkpoint, the notebook after each cell), or that
the kernel's processes have computed. A kernel that is stopped, deadlocked or waits for a dead server gives none; one that
computes for ever is ended by its deadline. Times are measured by a clock that nobody sets.
"""

import threading
import time
from collections.abc import Callable

import psutil

from experiments.files import read_change
from experiments.running.progress import format_seconds
from experiments.running.workspace import Workspace
from experiments.spec import Resources

QUIET_SECONDS = 30 * 60.0  # Long enough for any download and any first compilation.
_LEAST_LOAD = 0.05  # Of one core. A kernel that does nothing uses less: its threads only look whether to end.
_POLL_SECONDS = 5.0


class Watch:
    """Looks after one kernel from `begin` until `end`; `verdict` says why it was ended, and is empty where it was not."""

    def __init__(self, workspace: Workspace, resources: Resources, kill: Callable[[int], None]) -> None:
        quiet, hours = resources.quiet_minutes, resources.hours
        self.quiet_seconds = QUIET_SECONDS if quiet is None else quiet * 60
        self.limit_seconds = None if hours is None else hours * 3600
        self.verdict = ""
        self._files = (workspace.progress, workspace.checkpoint, workspace.notebook)
        self._kill = kill
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, process: int) -> None:
        """Watches the kernel with this process id from now on."""
        self._thread = threading.Thread(target=self._look_after, args=(process,), daemon=True, name="watch")
        self._thread.start()

    def end(self) -> None:
        """Watches no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _look_after(self, process: int) -> None:
        begun = sign = time.monotonic()
        files, computed = self._read_files(), _read_cpu_seconds(process)
        while not self._over.wait(min(_POLL_SECONDS, self.quiet_seconds / 10)):
            now = time.monotonic()
            files_now, computed_now = self._read_files(), _read_cpu_seconds(process)
            if files_now != files or computed_now - computed > _LEAST_LOAD * (now - sign):
                sign, files, computed = now, files_now, computed_now
            if self.limit_seconds is not None and now - begun > self.limit_seconds:
                words = format_seconds(self.limit_seconds)
                self.verdict = f"ended after {words}, the most that the plan gives it; run it again to go on"
            elif now - sign > self.quiet_seconds:
                words = format_seconds(self.quiet_seconds)
                self.verdict = f"hung: for {words} it neither computed nor got any further; it was ended"
            if self.verdict:
                self._kill(process)
                return

    def _read_files(self) -> tuple[int, ...]:
        return tuple(read_change(path) for path in self._files)


def _read_cpu_seconds(process: int) -> float:
    """The processor time that the process and its children, living or ended, have used."""
    try:
        parent = psutil.Process(process)
        members = [parent, *parent.children(recursive=True)]
        return sum(sum(member.cpu_times()[:4]) for member in members)
    except psutil.Error:  # It has ended, or one of its children just now.
        return 0.0
