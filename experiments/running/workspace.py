"""A run's untracked files while it is not done: checkpoint, progress, the notebook as far as it is, a lock."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from experiments.files import write_atomically
from experiments.spec import ConfigurationError, RunBusy

LOCKS = ("locks", "workers")
_LOCK_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Workspace:
    """The files of one run under one key, below the cache folder. Another key's checkpoint is not touched or used."""

    cache: Path
    run: str
    key: str

    @property
    def folder(self) -> Path:
        """Where the run's checkpoints lie."""
        return self.cache / "checkpoints" / self.run

    @property
    def checkpoint(self) -> Path:
        """What a killed run goes on from; made by the notebook."""
        return self.folder / f"{self.key[:16]}.pt"

    @property
    def attempts(self) -> Path:
        """How often the run was begun under this key, and the seconds that its checkpoint is worth."""
        return self.folder / f"{self.key[:16]}.attempts.json"

    @property
    def progress(self) -> Path:
        """How far the run is; written by `recording.report_progress`."""
        return self.cache / "running" / f"{self.run}.progress.json"

    @property
    def notebook(self) -> Path:
        """The notebook as far as it is executed."""
        return self.cache / "running" / f"{self.run}.ipynb"

    @property
    def failed_notebook(self) -> Path:
        """The notebook of the last failure, with its traceback."""
        return self.cache / "failed" / f"{self.run}.ipynb"

    def begin(self) -> tuple[int, float]:
        """Begins an attempt; returns its number, from 1, and the seconds that went into the checkpoint before it."""
        for path in (self.checkpoint, self.notebook, self.failed_notebook):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.progress.unlink(missing_ok=True)
        number, seconds, started = self._read_attempts()
        if self.checkpoint.is_file():
            seconds += max(0.0, self.checkpoint.stat().st_mtime - started)
        else:
            seconds = 0.0  # Nothing of the earlier attempts is left.
        self._write_attempts(number + 1, seconds)
        return number + 1, seconds

    def begin_late(self) -> None:
        """Lets the attempt count from now on: it has waited for a machine until now."""
        number, seconds, _ = self._read_attempts()
        self._write_attempts(number, seconds)

    def keep_checkpoint(self, content: bytes) -> None:
        """Keeps a checkpoint that was made on another machine, whole or not at all."""
        write_atomically(self.checkpoint, content)

    def keep(self, progress: bytes, notebook: bytes) -> None:
        """Keeps what another machine has told of the run, where it has told it."""
        for path, content in ((self.progress, progress), (self.notebook, notebook)):
            if content:
                write_atomically(path, content)

    def tell(self, words: str) -> None:
        """Tells of a run that nobody computes just now."""
        told = self.read_progress()
        if told is None or told[0] != words:
            self.keep(json.dumps({"text": words, "fraction": told[1] if told else 0.0}).encode(), b"")

    def discard(self) -> None:
        """Removes every checkpoint of the run, with the count of its attempts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self) -> None:
        """Removes what only an unfinished run needs, other keys' checkpoints included."""
        self.discard()
        for path in (self.notebook, self.progress, self.failed_notebook):
            with contextlib.suppress(OSError):  # The run is recorded, whatever stays of it here.
                path.unlink(missing_ok=True)

    def fail(self) -> None:
        """Keeps the notebook of a failed attempt where a person is told to look; the checkpoint stays."""
        self.progress.unlink(missing_ok=True)
        if self.notebook.is_file():
            os.replace(self.notebook, self.failed_notebook)

    def read_progress(self) -> tuple[str, float] | None:
        """What the notebook last told of its progress: words, and a fraction in 0..1."""
        try:
            content = json.loads(self.progress.read_text(encoding="utf-8"))
            return str(content["text"]), float(content["fraction"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextlib.contextmanager
    def lock(self, who: str = "locks", patience_seconds: float = 0.0) -> Iterator[None]:
        """Keeps a second process from doing the same: two would write one checkpoint, or one record.

        Args:
            who: `locks` for the driver, who sees to the run from its begin until it is recorded; `workers` for whoever
                computes, which may be a job that has outlived its driver.
            patience_seconds: how long to wait for a process that has the lock.

        Raises:
            RunBusy: another process has the lock.
            ConfigurationError: the file system has no locks.
        """
        path = self.cache / who / self.run
        path.parent.mkdir(parents=True, exist_ok=True)
        end = time.monotonic() + patience_seconds
        with path.open("a", encoding="utf-8") as file:
            while not _lock(file):
                if time.monotonic() >= end:
                    raise RunBusy(f"{self.run}: another process is running it; wait for that or stop it")
                time.sleep(_LOCK_POLL_SECONDS)
            yield

    @staticmethod
    def list_running(cache: Path) -> tuple[str, ...]:
        """The runs below the cache folder that another process drives or computes."""
        running = set()
        for path in (path for who in LOCKS for path in (cache / who).glob("*")):
            try:
                with Workspace(cache, path.name, "").lock(path.parent.name):
                    continue
            except RunBusy:
                running.add(path.name)
        return tuple(sorted(running))

    def _write_attempts(self, number: int, seconds: float) -> None:
        content = {"number": number, "seconds": seconds, "started": time.time()}
        write_atomically(self.attempts, json.dumps(content) + "\n")

    def _read_attempts(self) -> tuple[int, float, float]:
        try:
            content = json.loads(self.attempts.read_text(encoding="utf-8"))
            return int(content["number"]), float(content["seconds"]), float(content["started"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0.0, time.time()


def _lock(file: TextIO) -> bool:
    """Whether the file is locked now; False where another process has the lock."""
    try:
        import fcntl
    except ImportError:  # Windows: there the user takes care.
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # Lustre without the option `flock`, NFS without its lock service
        raise ConfigurationError(
            f"{file.name}: cannot be locked: {error.strerror or error}; without locks two processes could run one run: "
            "mount the file system with locks, or make .cache a link to a folder on another one"
        ) from error
    return True
