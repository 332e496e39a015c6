"""Whether report/out is what a build would make now, told from a manifest before anything slow is imported.

Like git's index, the manifest holds each file's size, times of change and digest, one line a file. The times are those
of the content and of the directory entry, which no program sets: an edit that keeps size and date is noticed too. A
file whose line is the known one counts as unchanged, unless it changed so shortly before the manifest was written that
a time cannot tell; then, and where only a time differs, its content is compared. So a checkout, which changes every
time but no content, costs one comparison and is current.

Nothing here imports a module that Python's start has not loaded, and classes are plain for that reason: `json` or
`dataclasses` alone would take longer than looking at five hundred files.
"""

import os
import stat
import sys
import time

VERSION = "3"
MANIFEST = ".cache/build.txt"
RACY_NS = 20_000_000  # file systems keep the time of change in steps of up to some milliseconds
_MACHINERY = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
_DISTRUSTED = ("experiments", "experiments/records", "report", "report/paper", "report/paper/sections")
_INPUTS = (".py", ".yaml", ".ipynb", ".json", ".jsonl")
_PACKAGES = (
    "jinja2-",
    "matplotlib-",
    "numpy-",
    "orjson-",
    "pandas-",
    "pypandoc_binary-",
    "pyyaml-",
    "rich-",
    "scipy-",
    "typst-",
)


class Snapshot:
    """The inputs as they were when a build began: a line each (see `Listing`), their digests, and the environment."""

    __slots__ = ("digests", "environment", "lines")

    def __init__(self, environment: str, lines: list[str], digests: list[str]) -> None:
        self.environment, self.lines, self.digests = environment, lines, digests


class Listing:
    """Files in their order, a line each: size, two times of change in ns, path from the root; and the newest time."""

    __slots__ = ("lines", "newest")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.newest = 0

    def add(self, entry: "os.DirEntry[str]", path: str) -> None:
        """Takes ENTRY up as PATH; a link to nothing too: what reads it says so."""
        try:
            found = entry.stat()
            size, changed, moved = found.st_size, found.st_mtime_ns, found.st_ctime_ns
        except OSError:
            size, changed, moved = -1, 0, 0
        if changed > self.newest or moved > self.newest:
            self.newest = max(changed, moved)
        self.add_name(path, f"{size} {changed} {moved}")

    def add_name(self, path: str, told: str = "0 0 0") -> None:
        """Takes up a file of which only the name counts."""
        self.lines.append(f"{told} {path}" if "\n" not in path else f"{told} {path}".replace("\n", "\0"))


class _Manifest:
    """What the last build left: its environment, when it was noted (ns), what it told, and both lists of files."""

    __slots__ = ("digests", "environment", "lines", "told", "written")

    def __init__(self, environment: str, told: list[str], lines: list[list[str]], digests: list[list[str]]) -> None:
        self.environment, self.told, self.lines, self.digests = environment, told, lines, digests
        self.written = 0


def missing_if_current(root: "str | os.PathLike[str]") -> list[str] | None:
    """What the last build below ROOT said is still to run; None where something has changed since.

    That is an input, an output, Python or a package.
    """
    return _told_if_current(root, MANIFEST, describe_environment(), _list_outputs(root))


def recall(root: "str | os.PathLike[str]", name: str, environment: str) -> list[str] | None:
    """The lines noted below ROOT in the manifest NAME; None where an input, or ENVIRONMENT, is another one since."""
    return _told_if_current(root, name, environment, Listing())


def _told_if_current(root: "str | os.PathLike[str]", name: str, environment: str, outputs: Listing) -> list[str] | None:
    manifest = _read(root, name)
    if manifest is None or manifest.environment != environment or _is_linked(root):
        return None
    refreshed = False
    for part, listing in enumerate((list_inputs(root), outputs)):
        if listing.lines == manifest.lines[part] and listing.newest < manifest.written - RACY_NS:
            continue
        try:
            is_known = _has_known_content(root, listing.lines, manifest, part)
        except ValueError:  # A line of the manifest is damaged.
            is_known = False
        if not is_known:
            return None
        manifest.lines[part], refreshed = listing.lines, True
    if refreshed:
        try:
            _write(root, manifest, name)
        except OSError:  # A folder that cannot be written costs time, and nothing else.
            pass
    return manifest.told


def _is_linked(root: "str | os.PathLike[str]") -> bool:
    """Whether one of the folders that are read with distrust has become a link since; the command refuses it."""
    return any(os.path.islink(os.path.join(root, folder)) for folder in _DISTRUSTED)


def begin(root: "str | os.PathLike[str]", name: str = MANIFEST, environment: str = "") -> Snapshot:
    """The inputs below ROOT as they are now; take it before reading them, so that a later change is noticed.

    What the manifest NAME, or else the last build's, knows of them is not read again.
    """
    lines = list_inputs(root).lines
    known: dict[str, str] = {}
    for manifest in (_read(root, MANIFEST), _read(root, name) if name != MANIFEST else None):
        if manifest is None:
            continue
        pairs = zip(manifest.lines[0], manifest.digests[0], strict=True)
        try:
            known.update([(line, digest) for line, digest in pairs if not _is_racy(line, manifest.written)])
        except ValueError:  # A line is damaged, so that the others are not believed either.
            continue
    digests = [known.get(line) or _digest(root, line) for line in lines]
    return Snapshot(environment or describe_environment(), lines, digests)


def remember(root: "str | os.PathLike[str]", snapshot: Snapshot, missing: "tuple[str, ...] | list[str]" = ()) -> None:
    """Note that report/out is what the inputs of SNAPSHOT make, and the lines that say what is MISSING in it."""
    outputs = _list_outputs(root).lines
    digests = [snapshot.digests, [_digest(root, line) for line in outputs]]
    told = [line.replace("\n", " ") for line in missing]
    _write(root, _Manifest(snapshot.environment, told, [snapshot.lines, outputs], digests), MANIFEST)


def note(root: "str | os.PathLike[str]", name: str, snapshot: Snapshot, told: list[str]) -> None:
    """Note in the manifest NAME what the inputs of SNAPSHOT give, as lines."""
    _write(root, _Manifest(snapshot.environment, told, [snapshot.lines, []], [snapshot.digests, []]), name)


def list_inputs(root: "str | os.PathLike[str]") -> Listing:
    """Everything that can change the report: code, plan, notebooks, records, prose, templates."""
    listing = Listing()
    if os.path.realpath(root) != _MACHINERY:  # A paper of its own: the code and the formats lie elsewhere.
        for folder in ("experiments", "report"):
            _list_modules(listing, os.path.join(_MACHINERY, folder))
        _list_files(listing, root, os.path.join(_MACHINERY, "templates"), everything=True)
    for entry in _entries(os.fspath(root)):
        if entry.name == "report":
            _list_files(listing, root, "report", everything=True, without="out")
        elif entry.name == "templates":
            _list_files(listing, root, "templates", everything=True)
        elif entry.name == "experiments" or _is_package(entry):
            _list_files(listing, root, entry.name, without="executed")
        elif entry.name.endswith(".py"):  # build.py, and modules that a notebook may import
            listing.add(entry, entry.name)
        elif _is_visible_folder(entry):
            _list_loose_modules(listing, root, entry.name)
    for entry in _entries(os.path.join(root, "experiments/executed")):  # The report links to those that there are.
        listing.add_name(f"experiments/executed/{entry.name}")
    return listing


def _list_outputs(root: "str | os.PathLike[str]") -> Listing:
    listing = Listing()
    _list_files(listing, root, "report/out", everything=True)
    return listing


def _list_files(
    listing: Listing, root: "str | os.PathLike[str]", folder: str, *, everything: bool = False, without: str = ""
) -> None:
    """Adds the files below FOLDER, less the folder WITHOUT, hidden ones and Python's caches."""
    for entry in _entries(os.path.join(root, folder)):
        name = entry.name
        if name.startswith(".") or name == without or name == "__pycache__":
            continue
        # Two links to where they stand would double the walk at every level; one to a format's folder is followed.
        if entry.is_dir(follow_symlinks=folder == "templates"):
            _list_files(listing, root, f"{folder}/{name}", everything=everything)
        elif everything or name.endswith(_INPUTS):
            listing.add(entry, f"{folder}/{name}")


def _list_loose_modules(listing: Listing, root: "str | os.PathLike[str]", folder: str) -> None:
    """Adds the modules of FOLDER, from which Python imports although it has no `__init__.py`; what has none is data."""
    entries = _entries(os.path.join(root, folder))
    modules = [entry for entry in entries if entry.name.endswith(".py")]
    for entry in modules:
        listing.add(entry, f"{folder}/{entry.name}")
    for entry in filter(_is_visible_folder, entries):
        if _is_package(entry):
            _list_files(listing, root, f"{folder}/{entry.name}")
        elif modules:
            _list_loose_modules(listing, root, f"{folder}/{entry.name}")


def _list_modules(listing: Listing, folder: str) -> None:
    """Adds the modules of a package, by their absolute paths."""
    for entry in _entries(folder):
        if entry.name.endswith(".py"):
            listing.add(entry, entry.path)
        elif _is_package(entry):
            _list_modules(listing, entry.path)


def _is_package(entry: "os.DirEntry[str]") -> bool:
    return entry.name != "tests" and os.path.isfile(os.path.join(entry.path, "__init__.py"))


def _is_visible_folder(entry: "os.DirEntry[str]") -> bool:
    return entry.name not in ("tests", "__pycache__") and entry.name[0] != "." and entry.is_dir(follow_symlinks=False)


def _entries(folder: str) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _has_known_content(root: "str | os.PathLike[str]", lines: list[str], manifest: _Manifest, part: int) -> bool:
    """Whether the files of LINES are those of the manifest, those looked into whose times do not tell."""
    known, digests = manifest.lines[part], manifest.digests[part]
    if len(lines) != len(known) or not lines:
        return False
    for line, old, digest in zip(lines, known, digests, strict=True):
        size, path = _size_and_path(line)
        if (size, path) != _size_and_path(old):
            return False
        if (line != old or _is_racy(old, manifest.written)) and _digest(root, line) != digest:
            return False
    return True


def _size_and_path(line: str) -> tuple[str, str]:
    size, _, _, path = line.split(" ", 3)
    return size, path


def _is_racy(line: str, written: int) -> bool:
    """Whether the file may have changed again after it was looked at, without another time of change."""
    _, changed, moved, _ = line.split(" ", 3)
    return max(int(changed), int(moved)) >= written - RACY_NS


def _digest(root: "str | os.PathLike[str]", line: str) -> str:
    """The digest of the file of LINE, `-` where it cannot be read; of a link, which may lead to an endless device, the times."""
    from hashlib import blake2b

    path = os.path.join(root, _size_and_path(line)[1].replace("\0", "\n"))
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return " ".join(line.split(" ", 3)[:3])
        if not stat.S_ISREG(mode):
            return "-"
        with open(path, "rb", buffering=0) as file:
            return blake2b(file.read(), digest_size=16).hexdigest()
    except OSError:
        return "-"


def describe_environment() -> str:
    """Python's version, another pandoc, and the versions in site-packages of what makes the report."""
    names = [".".join(map(str, sys.version_info[:3])), *filter(None, [os.environ.get("PYPANDOC_PANDOC")])]
    for folder in sys.path:
        if folder.endswith(("site-packages", "dist-packages")) and os.path.isdir(folder):
            found = (name for name in os.listdir(folder) if name.endswith(".dist-info"))
            names += sorted(name.removesuffix(".dist-info") for name in found if name.lower().startswith(_PACKAGES))
    return " ".join(names)


def _read(root: "str | os.PathLike[str]", name: str) -> _Manifest | None:
    """The manifest; None where there is none, it is another version's, or it is not whole."""
    try:
        with open(os.path.join(root, name), encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            head, *rest = file.read().split("\n")
        version, *numbers = head.split(" ")
        written, told, inputs, outputs = map(int, numbers)
    except (OSError, ValueError):
        return None
    if version != VERSION or len(rest) != 2 + told + 2 * inputs + 2 * outputs:
        return None
    pieces, start = [], 1
    for length in (told, inputs, inputs, outputs, outputs):
        pieces.append(rest[start : start + length])
        start += length
    manifest = _Manifest(rest[0], pieces[0], pieces[1::2], pieces[2::2])
    manifest.written = written
    return manifest


def _write(root: "str | os.PathLike[str]", manifest: _Manifest, name: str) -> None:
    """Stores the manifest, whole or not at all."""
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    (inputs, outputs), (digests, others) = manifest.lines, manifest.digests
    head = f"{VERSION} {time.time_ns()} {len(manifest.told)} {len(inputs)} {len(outputs)}"
    lines = [head, manifest.environment, *manifest.told, *inputs, *digests, *outputs, *others, ""]
    with open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.write("\n".join(lines))
    os.replace(temporary, path)
