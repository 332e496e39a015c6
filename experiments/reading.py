"""Reading files that a stranger may have sent: plain files of bounded size, in UTF-8, without characters that deceive.

Records, plans, claims and prose come in pull requests. Nothing here runs or follows what stands in them: a link, a
device or a pipe is not opened, a file is read up to its limit only, and a character that hides text or turns its
direction round is refused with its line. The limits are far above what a paper needs; they end a build that would
otherwise eat the machine.
"""

import os
import re
import stat
import unicodedata
from pathlib import Path

from experiments.spec import ConfigurationError

MIB = 2**20
MAX_RECORD_BYTES = MIB  # a record with 50,000 images and 300 epochs has a tenth of it
MAX_NOTEBOOK_BYTES = 4 * MIB
MAX_TEXT_BYTES = MIB  # plan.yaml, claims.yaml, original.csv, references.bib and their like
MAX_SECTION_BYTES = 128 * 1024  # of prose, over which many patterns are searched
MAX_NAME = 120  # characters of a run or a file: with a suffix it still fits every file system

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Windows gives these names to devices, whatever their suffix.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
# Controls, line breaks that only some programs know, overrides and isolates of direction, marks of byte order, tags.
_DECEIVING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\n"  # nothing that deceives, and no other line break


REMEDY = "it hides or reorders text, so a person sees different text from what the program reads; remove it"


class Unreadable(ConfigurationError):
    """A file that is not read; `why` is the message without the file's name."""

    def __init__(self, path: Path, why: str, line: int = 0, message: str = "") -> None:
        super().__init__(f"{path.name}{f':{line}' if line else ''}: {message or why}")
        self.why = why


def read_text(path: Path, limit: int = MAX_TEXT_BYTES) -> str:
    """The text of PATH, line breaks as in text mode.

    Raises:
        Unreadable: it cannot be read, is no plain file, has more than LIMIT bytes, is not UTF-8 (nor its name) or holds
            a character that deceives; the message names the file and, where there is one, the line.
    """
    if find_deceiving(path.name):  # also what Python has in the place of a byte that is not UTF-8
        raise Unreadable(path, "its name is not UTF-8, or has a character that nobody sees; rename the file")
    content = read_bytes(path, limit)
    if not content.translate(None, _PLAIN):  # a thousand records at once
        return content.decode("ascii")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        why = f"found the byte 0x{content[error.start]:02X}; expected UTF-8: save the file so"
        raise Unreadable(path, why, line) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.startswith("\ufeff"):  # so does Excel save every CSV
        raise Unreadable(path, "found a mark of byte order (BOM); expected UTF-8 without it: save the file so", 1)
    found = find_deceiving(text)
    if found is not None:
        line = text.count("\n", 0, found.start()) + 1
        raise Unreadable(path, f"found {name_character(found[0])}; {REMEDY}", line)
    return text


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of the plain file PATH; a link in its place is not followed.

    Raises:
        Unreadable: it is no such file, or has more than LIMIT bytes.
    """
    try:
        # Without O_NONBLOCK a named pipe would wait for a writer for ever.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if path.is_symlink():
            raise Unreadable(path, "it is a link; expected the file itself") from error
        why = error.strerror or "it cannot be opened"
        raise Unreadable(path, why, message=f"cannot be read: {why}; expected {path}") from error
    told = os.fstat(handle)
    if not stat.S_ISREG(told.st_mode):
        os.close(handle)
        raise Unreadable(path, "it is no plain file; expected one")
    with open(handle, "rb") as file:
        content = file.read(min(told.st_size, limit) + 1)  # to make room for LIMIT bytes takes longer than to read
        if len(content) > told.st_size:  # it has grown, or its file system tells no sizes
            content += file.read(limit + 1 - len(content))
    if len(content) > limit:
        raise Unreadable(path, f"it has more than {limit:,} bytes, the most that is read of such a file")
    return content


def find_deceiving(text: str) -> re.Match[str] | None:
    """The first character of TEXT that a reader cannot see and that changes what is seen; None mostly."""
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():  # a thousand records at once
        return None
    return _DECEIVING.search(text)


def name_character(character: str) -> str:
    """How a message calls it: `U+202E RIGHT-TO-LEFT OVERRIDE`."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()


def is_file_name(name: object) -> bool:
    """Whether a file can safely have this NAME on every system: short, in ASCII, no path, no device."""
    return (
        isinstance(name, str)
        and len(name) <= MAX_NAME
        and FILE_NAME.fullmatch(name) is not None
        and not name.endswith(".")
        and _DEVICES.fullmatch(name) is None
    )


FILE_NAME_RULE = f"at most {MAX_NAME} letters, digits, dots, hyphens and underscores, and no device of Windows"


def refuse_links(folder: Path) -> None:
    """Raises ConfigurationError at the first link in FOLDER or below it: a link could lead anywhere on this machine."""
    pending = [folder]
    while pending:
        here = pending.pop()
        if here.is_symlink():
            place = here.relative_to(folder.parent).as_posix()
            raise ConfigurationError(f"{place}: it is a link; expected the file or folder itself")
        try:
            with os.scandir(here) as entries:
                pending += [Path(entry.path) for entry in entries if entry.is_symlink() or _is_searched(entry)]
        except FileNotFoundError:
            continue


def _is_searched(entry: "os.DirEntry[str]") -> bool:
    """Folders, less Python's and hidden ones, which nothing reads as input."""
    return entry.is_dir(follow_symlinks=False) and entry.name != "__pycache__" and not entry.name.startswith(".")
