"""Writing files so that a crash leaves the whole new one or what was there before."""

import errno
import os
import tempfile
from pathlib import Path


def read_change(path: Path) -> int:
    """When the file was last written, in ns; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def probe_writing(folder: Path) -> None:
    """Writes a file into the folder, made if need be, and removes it: better to fail now than after hours.

    Raises:
        OSError: that is not possible.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".probe-", suffix=".tmp", dir=folder) as file:
        file.write(b"x")
        file.flush()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes text (in UTF-8) or bytes to a temporary file beside `path`, which takes its place when it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes files that only their owner may read.
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # That of a full disk does not say which file it was.
            error.filename = str(path)
        raise
    if hasattr(os, "O_DIRECTORY"):  # Windows cannot open a folder.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno != errno.EINVAL:  # SMB and others know no such thing; the file is there all the same.
                raise
        finally:
            os.close(folder)
