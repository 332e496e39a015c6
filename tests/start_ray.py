"""A Ray cluster of two nodes on this machine, each with one processor.

For tests, and by hand: `python tests/start_ray.py` keeps it up until Ctrl-C and says what to export.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

_STORE_BYTES = 100_000_000
_MOST_STARTS = 4  # Ray ends a node whose helpers take a quarter of a minute to start, as they do on a busy machine.


@contextlib.contextmanager
def start_ray() -> Iterator[dict[str, str]]:
    """Gives the variables by which Ray's programs find the cluster; its nodes end with the block.

    The nodes work in a folder of their own and know nothing of this repository. HOME, which is that folder, tells their
    processes from others.

    Raises:
        RuntimeError: a node does not come up; with what `ray start` has said.
    """
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:  # Sockets want short paths.
        variables = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        variables |= {"HOME": folder, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
        port = _find_free_port()
        try:
            _start_node(["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}"], variables)
            _start_node([f"--address=127.0.0.1:{port}"], variables)
            yield {**variables, "RAY_ADDRESS": f"127.0.0.1:{port}"}
        finally:
            for process in list_processes(folder):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


def list_processes(home: str, words: str = "") -> list[psutil.Process]:
    """The processes of the cluster, and what they have started, whose command line has the words."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOME") == home and words in " ".join(process.cmdline()):
                found.append(process)
    return found


def _start_node(arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    program = Path(sys.executable).with_name("ray")
    command = [program, "start", "--num-cpus=1", f"--object-store-memory={_STORE_BYTES}", *arguments]
    for _ in range(_MOST_STARTS):
        known = {process.pid for process in list_processes(variables["HOME"])}
        done = subprocess.run(
            command, env=variables, cwd=variables["HOME"], capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode == 0:
            return
        for process in list_processes(variables["HOME"]):
            if process.pid not in known:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
    raise RuntimeError(f"no Ray node after {_MOST_STARTS} starts:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _find_free_port() -> int:
    with socket.socket() as item:
        item.bind(("127.0.0.1", 0))
        return item.getsockname()[1]


def main() -> None:
    """Keeps a cluster up until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A background job of a shell would ignore it.
    with start_ray() as variables, contextlib.suppress(KeyboardInterrupt):
        print("\n".join(f"export {name}={value}" for name, value in variables.items() if "RAY" in name), flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
