"""Whether report/out is what a build would make now, told from a manifest in about ten milliseconds.

Only the standard library, and of that only what starts quickly: this runs before anything else is imported. Like git's
index, the manifest holds each file's size, time of change and digest. A file with the known size and time counts as
unchanged, unless it changed so shortly before the manifest was written that its time cannot tell; then its content is
compared. So a checkout, which changes every time but no content, costs one comparison and is current.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

VERSION = 2
MANIFEST = ".cache/build.json"
RACY_NS = 20_000_000  # file systems keep the time of change in steps of up to some milliseconds
_INPUTS = (".py", ".yaml", ".ipynb", ".json", ".jsonl")
_PACKAGES = ("jinja2-", "matplotlib-", "numpy-", "pandas-", "pypandoc_binary-", "scipy-", "typst-")

Entry = list  # [size, mtime_ns, digest]


@dataclass(frozen=True)
class Snapshot:
    """The inputs as they were when a build began: path from the root -> [size, time of change in ns, digest]."""

    environment: str
    inputs: dict[str, Entry]


def missing_if_current(root: str | os.PathLike[str]) -> list[str] | None:
    """What the last build below ROOT said is still to run; None where something has changed since.

    That is an input, an output, Python or a package.
    """
    manifest = _read(root)
    if manifest is None or manifest["environment"] != _environment():
        return None
    refreshed = False
    for part, listed in (("inputs", dict(_inputs(root))), ("outputs", dict(_outputs(root)))):
        known = manifest[part]
        if known.keys() != listed.keys() or not listed:
            return None
        for path, entry in known.items():
            size, changed = listed[path]
            if size != entry[0]:
                return None
            if changed == entry[1] and changed < manifest["written"] - RACY_NS:
                continue
            if _digest(root, path) != entry[2]:
                return None
            entry[1], refreshed = changed, True
    if refreshed:
        _write(root, manifest)
    return manifest["missing"]


def begin(root: str | os.PathLike[str]) -> Snapshot:
    """The inputs below ROOT as they are now; take it before reading them, so that a later change is noticed."""
    manifest = _read(root)
    known, written = (manifest["inputs"], manifest["written"]) if manifest else ({}, 0)
    inputs = {}
    for path, (size, changed) in _inputs(root):
        entry = known.get(path)
        same = entry is not None and entry[:2] == [size, changed] and changed < written - RACY_NS
        inputs[path] = entry if same else [size, changed, _digest(root, path)]
    return Snapshot(_environment(), inputs)


def remember(root: str | os.PathLike[str], snapshot: Snapshot, missing: Iterable[str] = ()) -> None:
    """Note that report/out is what the inputs of SNAPSHOT make, and the lines that say what is MISSING in it."""
    outputs = {path: [size, changed, _digest(root, path)] for path, (size, changed) in _outputs(root)}
    listed = {"inputs": snapshot.inputs, "outputs": outputs, "missing": list(missing)}
    _write(root, {"environment": snapshot.environment, **listed})


def _read(root: str | os.PathLike[str]) -> dict | None:
    """The manifest; None where there is none, or none of this version."""
    try:
        with open(os.path.join(root, MANIFEST), encoding="utf-8") as file:
            manifest = json.load(file)
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("version") == VERSION else None


def _write(root: str | os.PathLike[str], manifest: dict) -> None:
    path = os.path.join(root, MANIFEST)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({**manifest, "version": VERSION, "written": time.time_ns()}, file)
    os.replace(temporary, path)


def _environment() -> str:
    """Python's version and those of the packages that make the report, read from the names in site-packages."""
    names = [".".join(map(str, sys.version_info[:3]))]
    for folder in sys.path:
        if folder.endswith(("site-packages", "dist-packages")) and os.path.isdir(folder):
            found = (name for name in os.listdir(folder) if name.endswith(".dist-info"))
            names += sorted(name.removesuffix(".dist-info") for name in found if name.lower().startswith(_PACKAGES))
    return " ".join(names)


def _inputs(root: str | os.PathLike[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Everything that can change the report: code, plan, notebooks, records, prose, templates."""
    for entry in _entries(os.fspath(root)):
        if entry.name == "report":
            yield from _files(root, "report", everything=True, without="out")
        elif entry.name == "templates":
            yield from _files(root, "templates", everything=True)
        elif entry.name != "tests" and os.path.isfile(os.path.join(entry.path, "__init__.py")):
            yield from _files(root, entry.name, without="executed")
        elif entry.name == "build.py":
            yield entry.name, _stat(entry)


def _outputs(root: str | os.PathLike[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    yield from _files(root, "report/out", everything=True)


def _files(
    root: str | os.PathLike[str], folder: str, *, everything: bool = False, without: str = ""
) -> Iterator[tuple[str, tuple[int, int]]]:
    """The files below FOLDER with size and time of change, less the folder WITHOUT, hidden ones and Python's caches."""
    for entry in _entries(os.path.join(root, folder)):
        path = f"{folder}/{entry.name}"
        if entry.name.startswith(".") or entry.name in ("__pycache__", without):
            continue
        if entry.is_dir():
            yield from _files(root, path, everything=everything)
        elif everything or entry.name.endswith(_INPUTS):
            yield path, _stat(entry)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _stat(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        found = entry.stat()
    except OSError:  # a link to nothing: what reads it says so
        return -1, 0
    return found.st_size, found.st_mtime_ns


def _digest(root: str | os.PathLike[str], path: str) -> str:
    from hashlib import blake2b

    try:
        with open(os.path.join(root, path), "rb") as file:
            return blake2b(file.read(), digest_size=16).hexdigest()
    except OSError:
        return ""
