"""Kernels that start in a fraction of a second, for many short runs: forked from a process that has imported already.

A `WarmStart` is that process. A kernel's command is then this module with the socket's path: a stub that asks for a
fork and lives as long as the fork does, so that jupyter_client sees an ordinary process. Whichever of the three ends,
the others learn it by a closed socket or pipe: kill the stub and its kernel goes, end the caller and everything goes.

Only where the system can fork; elsewhere, and for long runs, kernels start in the ordinary way.
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

_READY = "ready\n"
_LAUNCHER = "ipykernel.kernelapp"
_INLINE = "module://matplotlib_inline.backend_inline"  # What ipykernel sets, too late for a matplotlib that is loaded.


@contextlib.contextmanager
def warm_start(root: Path, modules: Iterable[str]) -> Iterator[list[str] | None]:
    """Gives the command of kernels that have these modules; None where the system cannot fork.

    Args:
        root: the folder that the imports are made in.
        modules: what to import beforehand; names that are no modules are passed over.
    """
    if not hasattr(os, "fork") or sys.platform == "darwin":  # macOS's own libraries do not survive a fork.
        yield None
        return
    from experiments.running.threads import limit_waiting
    from experiments.search_path import search_path  # Here, because the stub is this file alone.

    with tempfile.TemporaryDirectory(prefix="kernels-") as folder:
        address = str(Path(folder) / "socket")
        command = [sys.executable, "-W", "ignore", "-m", __name__]
        server = subprocess.Popen(
            [*command, "serve", address, *modules],
            cwd=root,
            env={**os.environ, **limit_waiting(os.environ), "MPLBACKEND": _INLINE, "PYTHONPATH": search_path()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        with server:
            ready = server.stdout.readline() == _READY
            stub = [sys.executable, "-S", "-E", str(Path(__file__).resolve()), "ask", address, "{connection_file}"]
            yield stub if ready else None  # Leaving closes stdin, which ends the server and every kernel.


def _serve(address: str, modules: Iterable[str]) -> NoReturn:
    """Imports, then forks a kernel for each that asks, until the caller's end of stdin is closed."""
    _end_with(sys.stdin.fileno())  # While modules are imported too, after which the folder of the address may be gone.
    for name in (_LAUNCHER, *modules):
        with contextlib.suppress(Exception):  # A name that is no module, or one that the notebook will stumble over.
            importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for the forks.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen()
        alive, held = os.pipe()  # Nothing is written: the forks see its end when this process is gone.
        sys.stdout.write(_READY)
        sys.stdout.flush()
        # Nobody reads that pipe any more, and each kernel says some words on it: a hundred and seventy would fill it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                os.close(held)
                _become_kernel(connection, alive)
            connection.close()


def _end_with(descriptor: int) -> None:
    """From now on, this process and its group end when the other end of the descriptor is closed."""

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _become_kernel(connection: socket.socket, alive: int) -> NoReturn:
    """Turns a fork into the kernel that the stub has asked for."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection.makefile("r", encoding="utf-8") as request:
        asked = json.loads(request.readline())
    _end_with(connection.fileno())
    _end_with(alive)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    _obey_thread_limit()
    sys.argv = ["ipykernel_launcher", "-f", asked["connection_file"], "--log-level=ERROR"]
    sys.argv.append("--HistoryManager.hist_file=:memory:")  # Not the user's own history.
    sys.path[0] = ""
    sys.modules[_LAUNCHER].launch_new_instance()
    os._exit(0)


def _obey_thread_limit() -> None:
    """The libraries read this variable when they are loaded, which is before the fork."""
    torch, threads = sys.modules.get("torch"), os.environ.get("OMP_NUM_THREADS", "")
    if torch is not None and threads.isdigit():
        torch.set_num_threads(int(threads))


def _ask(address: str, connection_file: str) -> None:
    """Asks for a kernel, and lives as long as it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Meant for the kernel, which is about to be ended otherwise.
    request = {"connection_file": connection_file, "folder": os.getcwd(), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(address)
        connection.sendall(json.dumps(request).encode() + b"\n")
        while connection.recv(1):
            pass


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(sys.argv[2], sys.argv[3:])
    else:
        _ask(sys.argv[2], sys.argv[3])
