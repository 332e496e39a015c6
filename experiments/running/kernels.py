"""Kernels that run under this very Python, in the repository's root, and can all be stopped at once.

An installed kernelspec named `python3` may belong to another environment; here none is looked up. Heavy: imports
jupyter_client, which comes with papermill.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop

from experiments.search_path import search_path

_COMMAND = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]

_POLL_SECONDS = 0.005  # until a killed kernel is gone; jupyter_client looks every 0.1 s, a sixth of a short run
_LONGEST_SOCKET = 100  # characters that the path of a Unix socket may have everywhere


class KernelsStopped(Exception):
    """The kernels were stopped on purpose: what ended with them is interrupted, not failed."""


class Kernels:
    """The kernel processes that are alive, and the command that starts one; safe to use from several threads."""

    def __init__(self, command: Sequence[str] = _COMMAND, ignored_signals: Sequence[str] = ()) -> None:
        self._command = _ignore(ignored_signals) + list(command)
        self._lock = threading.Lock()
        self._processes: set[int] = set()
        self.stopped = False

    def add(self, process: int) -> None:
        """Counts a kernel as alive; one that starts after `stop` is stopped as well."""
        with self._lock:
            self._processes.add(process)
            if self.stopped:
                _kill(process)

    def remove(self, process: int) -> None:
        """Counts a kernel as gone."""
        with self._lock:
            self._processes.discard(process)

    def end(self, process: int) -> None:
        """Kills one kernel with the processes that it started, if it is alive."""
        with self._lock:
            if process in self._processes:
                _kill(process)

    def stop(self) -> None:
        """Kills every kernel with the processes that it started, and each that starts from now on."""
        with self._lock:
            self.stopped = True
            for process in self._processes:
                _kill(process)

    def make_manager(
        self, folder: Path, environment: Mapping[str, str], begun: Callable[[int], None]
    ) -> type[AsyncKernelManager]:
        """A manager class for one run: its kernel works in `folder` with these variables beside the usual ones.

        `begun` is told the kernel's process id.
        """
        kernels = self

        class RunKernelManager(AsyncKernelManager):
            """Starts this Python's kernel, whatever kernelspecs are installed.

            It is spoken to by Unix sockets in a folder of its own. Of ports the free ones are looked for first and bound
            later, by the kernel: where many kernels start, another one may have taken them meanwhile.
            """

            _sockets: Path | None = None

            @property
            def kernel_spec(self) -> KernelSpec:
                return KernelSpec(argv=kernels._command, display_name="Python 3", language="python")

            async def start_kernel(self, **options: Any) -> None:
                if kernels.stopped:
                    raise KernelsStopped
                self._sockets = Path(tempfile.mkdtemp(prefix="kernel-"))
                self.connection_file = str(self._sockets / "connection.json")
                if len(str(self._sockets / "socket-5")) <= _LONGEST_SOCKET:
                    self.transport, self.ip = "ipc", str(self._sockets / "socket")
                options |= {"cwd": str(folder), "env": {**os.environ, "PYTHONPATH": search_path(), **environment}}
                await self._async_start_kernel(**options)
                kernels.add(self.provisioner.pid)
                begun(self.provisioner.pid)

            async def _async_wait(self, pollinterval: float = _POLL_SECONDS) -> None:
                await super()._async_wait(pollinterval)

            async def cleanup_resources(self, restart: bool = False) -> None:
                if self.provisioner is not None and self.provisioner.pid:
                    kernels.remove(self.provisioner.pid)
                await self._async_cleanup_resources(restart)
                if self._sockets is not None:
                    shutil.rmtree(self._sockets, ignore_errors=True)

        return RunKernelManager


@contextlib.contextmanager
def own_event_loop() -> Iterator[None]:
    """Gives this thread the event loop that jupyter_client would make by itself, and closes it, which that does not."""
    loop = ensure_event_loop()
    try:
        yield
    finally:
        if not loop.is_running():  # It runs where the caller is asynchronous: then it is not ours.
            loop.close()
            asyncio.set_event_loop(None)


def _ignore(signals: Sequence[str]) -> list[str]:
    """The beginning of a command that does not hear these signals, such as `USR2`: what is ignored stays so."""
    return ["/bin/sh", "-c", f'trap "" {" ".join(signals)}; exec "$@"', "sh"] if signals else []


def _kill(process: int) -> None:
    """Ends a kernel at once; it leads a process group of its own, so that its children end with it."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process, signal.SIGKILL)
        else:
            os.kill(process, signal.SIGTERM)
    except OSError:  # It has ended by itself.
        pass
