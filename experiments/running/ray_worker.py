"""The other half of `ray_cluster`: what runs in a Ray worker, on a machine that shares no files with the driver."""

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from experiments.files import read_change
from experiments.recording import DATA_VARIABLE
from experiments.running.orders import Answer, Order, catch
from experiments.running.workspace import Workspace

_POLL_SECONDS = 0.5
_CHECKPOINT_SECONDS = 10.0  # Checkpoints travel no more often than this, save the first.


@dataclass(frozen=True)
class Begun:
    """The worker has begun; until then the run has waited for a machine."""


@dataclass(frozen=True)
class Told:
    """How far a run is: its progress file and its notebook, as they are."""

    progress: bytes
    notebook: bytes


@dataclass(frozen=True)
class Checkpoint:
    """A new checkpoint."""

    content: bytes


def work(order: Order, key: str, checkpoint: bytes | None, data: str) -> Iterator[Begun | Told | Checkpoint | Answer]:
    """Computes a run in the working folder that Ray has laid out; tells of it meanwhile, and gives the answer last.

    Args:
        checkpoint: what an earlier worker came to.
        data: the driver's folder of data sets, for the case that this machine has it too.
    """
    root = Path.cwd()
    if Path(data).is_dir():
        os.environ.setdefault(DATA_VARIABLE, data)
    with tempfile.TemporaryDirectory(prefix="run-", ignore_cleanup_errors=True) as folder:
        workspace = Workspace(Path(folder), order.run.name, key)
        if checkpoint is not None:
            workspace.keep_checkpoint(checkpoint)
        yield Begun()
        answers: list[Answer] = []
        thread = threading.Thread(target=lambda: answers.append(_answer(order, root, workspace)), daemon=True)
        thread.start()
        yield from _follow(workspace, thread)
        yield Told(_read(workspace.progress), _read(workspace.notebook))
        yield answers[0]


def _answer(order: Order, root: Path, workspace: Workspace) -> Answer:
    def compute_checked() -> Answer:
        from experiments.execute import compute_ordered

        return compute_ordered(order, root, workspace)

    return catch(compute_checked, order.run.name)


def _follow(workspace: Workspace, thread: threading.Thread) -> Iterator[Told | Checkpoint]:
    """Each new progress and checkpoint, while the thread computes."""
    progress, state, sent = b"", read_change(workspace.checkpoint), 0.0
    while thread.is_alive():
        thread.join(_POLL_SECONDS)
        now = read_change(workspace.checkpoint)
        if now != state and (sent == 0.0 or time.monotonic() - sent > _CHECKPOINT_SECONDS):
            state, sent = now, time.monotonic()
            if content := _read(workspace.checkpoint):  # Where the notebook has taken it away, the driver's stays.
                yield Checkpoint(content)
        if (told := _read(workspace.progress)) and told != progress:
            progress = told
            yield Told(progress, b"")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
