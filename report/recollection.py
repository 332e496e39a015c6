"""What `status` has said is said again as long as nothing has changed: a ledger of ten thousand records is not read for it.

Like `freshness`, whose manifests it keeps, this imports nothing that Python's start has not loaded.
"""

import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from report import freshness

# Only what is asked without patterns is kept: each manifest has a line for every file.
_KEPT = (["status"], ["status", "--runs"], ["status", "--explain"], ["status", "--json"])


def say_again(root: "str | os.PathLike[str]", arguments: list[str]) -> int | None:
    """Prints what the command with these ARGUMENTS printed, and gives its exit code; None where it has to be run."""
    if arguments not in _KEPT:
        return None
    told = freshness.recall(root, _name(arguments), _describe_reader())
    if told is None:
        return None
    try:
        code, count = map(int, told[:2])
    except ValueError:  # not as we write it
        return None
    sys.stdout.write("\n".join(told[2 : 2 + count]))
    sys.stderr.write("\n".join(told[2 + count :]))
    return code


def say(root: "str | os.PathLike[str]", arguments: list[str], command: Callable[[], int]) -> int:
    """Runs COMMAND, which prints, and keeps what it prints for the next time; its exit code."""
    if arguments not in _KEPT:
        return command()
    snapshot = freshness.begin(root, _name(arguments), _describe_reader())
    sys.stdout, sys.stderr = out, errors = _Listener(sys.stdout), _Listener(sys.stderr)
    try:
        code = command()
    finally:
        sys.stdout, sys.stderr = out.stream, errors.stream
    lines, faults = out.text.split("\n"), errors.text.split("\n")
    try:
        freshness.note(root, _name(arguments), snapshot, [str(code), str(len(lines)), *lines, *faults])
    except OSError:  # A folder that cannot be written costs time, and nothing else.
        pass
    return code


class _Listener:
    """A stream that passes on what is written, and remembers it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _name(arguments: list[str]) -> str:
    return f".cache/{''.join(arguments)}.txt"


def _describe_reader() -> str:
    """The environment, and what else decides on the words and how they look: the terminal, and the machine's devices."""
    variables = ("COLUMNS", "LINES", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "CUDA_VISIBLE_DEVICES")
    told = [f"{name}={os.environ[name]!r}" for name in variables if name in os.environ]
    for stream in (sys.stdout, sys.stderr):
        is_terminal = stream.isatty()
        told.append(str(tuple(os.get_terminal_size(stream.fileno())) if is_terminal else stream.encoding))
    has_torch = any(os.path.isdir(os.path.join(folder, "torch")) for folder in sys.path)
    return " ".join([freshness.describe_environment(), *told, f"{has_torch} {os.path.exists('/dev/nvidiactl')}"])
