"""A folder that is replaced as a whole: written beside it, and swapped in at the end."""

import contextlib
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

YOUNG_SECONDS = 60  # a folder that was made so recently may not have its lock yet


class swapped_in:
    """A folder to write to, which takes the place of OUT when the block ends well and vanishes when it does not.

    A process that is killed leaves its folder: the next one removes it. A lock tells it from one that is in use.
    """

    def __init__(self, out: Path) -> None:
        self._out = out

    def __enter__(self) -> Path:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        _remove_orphans(self._out)
        self._new = Path(tempfile.mkdtemp(prefix=f".{self._out.name}-", dir=self._out.parent))
        self._lock = _lock(self._new)
        self._new.chmod(0o755)
        for name in ("figures", "tables"):
            (self._new / name).mkdir()
        return self._new

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._swap()
            else:
                shutil.rmtree(self._new, ignore_errors=True)
        finally:
            if self._lock is not None:
                os.close(self._lock)

    def _swap(self) -> None:
        old = self._new.with_name(f"{self._new.name}-old")
        if self._out.exists():
            self._out.rename(old)
        try:
            self._new.rename(self._out)
        except BaseException:  # an interruption too: a report is there at any time
            if old.exists() and not self._out.exists():
                old.rename(self._out)
            shutil.rmtree(self._new, ignore_errors=True)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _remove_orphans(out: Path) -> None:
    """Removes what killed processes have left beside OUT; brings OUT back where one was killed between two renames."""
    ours = re.compile(rf"\.{re.escape(out.name)}-[a-z0-9_]{{8}}(-old)?")
    for folder in sorted(out.parent.glob(f".{out.name}-*")):
        if not ours.fullmatch(folder.name) or not (folder / "tables").is_dir():
            continue
        if time.time() - folder.stat().st_ctime < YOUNG_SECONDS:
            continue
        lock = _lock(folder)
        if lock is None:
            continue
        if folder.name.endswith("-old") and not out.exists():
            folder.rename(out)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock(folder: Path) -> int | None:
    """A lock on FOLDER, held until it is closed or this process ends; None where another has it, or no system does."""
    try:
        import fcntl
    except ImportError:  # Windows: there orphans stay
        return None
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
    return None
