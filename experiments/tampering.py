"""What was changed of records and executed notebooks after their runs: git often holds them as they were written."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments import schema
from experiments.git import GitFailed, read_blobs, read_head, run_git
from experiments.reading import MAX_RECORD_BYTES, Unreadable, read_bytes, read_text
from experiments.schema import RecordFault

_SEARCHED_VERSIONS = 20
_MAY_CHANGE = re.compile(r"accepted\b|digest$")


def name_change(path: Path, place: str, fault: RecordFault) -> RecordFault:
    """The fault, naming what differs from the last sound version in git; the fault as it is where there is none."""
    try:
        found = read_bytes(path, MAX_RECORD_BYTES)
        sound = _last_sound_version(path)
        changes = [] if sound is None else list(list_changes(sound, json.loads(found)))
    except (ValueError, RecursionError, Unreadable, GitFailed):
        return fault
    changes = [change for change in changes if change[0] != "digest"] or changes
    if not changes:
        return fault
    field, expected, found = changes[0]
    more = f" (and {len(changes) - 1} more fields)" if len(changes) > 1 else ""
    message = (
        f"found {found}, but git holds {expected}{more}: the record was changed after the run; "
        f"restore it by `git checkout -- {place}`"
    )
    return RecordFault(fault.place, field, message, expected=expected, found=found)


def changed_since_commit(folder: Path) -> Iterable[tuple[str, list[tuple[str, str, str]]]]:
    """(file name, its changes as (field, committed, found)) of each record in FOLDER that git's HEAD holds otherwise.

    A committed record that is gone has the one change ("file", "a record", "nothing"). Nothing where there is no git.

    Raises:
        GitFailed: the repository cannot be asked; likewise for the other two.
    """
    differing = {name: blob for name, blob in _differing_from_head(folder).items() if name.endswith(".json") and blob}
    contents = read_blobs(folder, differing.values())
    for name, blob in differing.items():
        committed = contents.get(blob, b"")
        if not (folder / name).exists():
            yield name, [("file", "a record", "nothing")]
            continue
        try:
            found = json.loads(read_text(folder / name, MAX_RECORD_BYTES))
            changes = list(list_changes(json.loads(committed), found))
        except (ValueError, OSError, RecursionError, Unreadable) as error:
            changes = [("file", "a record", str(error))]
        if changes:  # else only its ends of lines differ
            yield name, [change for change in changes if change[0] != "digest"] or changes


def edited_after_run(folder: Path) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """(file name, its changes) of each record in FOLDER of which git ever held the same run with something else in it.

    A run that is made again begins at another time. What a record of one run may gain is acceptances, and with them
    another digest; none that it had may go or change. Nothing where there is no git; of a shallow clone what it has.
    """
    versions = _list_versions(folder)
    contents = read_blobs(folder, [blob for blobs in versions.values() for blob in blobs])
    for name, blobs in sorted(versions.items()):
        found = _parse((folder / name).read_bytes()) if (folder / name).is_file() else None
        began = _began(found)
        if found is None or began is None:
            continue
        for blob in blobs:
            once = _parse(contents.get(blob, b""))
            if once is None or _began(once) != began:
                continue
            changes = [item for item in list_changes(once, found) if not _MAY_CHANGE.match(item[0])]
            if changes := changes + _lost_acceptances(once, found):
                yield name, changes
                break


def repeated_after_run(folder: Path) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """(file name, its changes) of each record in FOLDER of whose run git ever held another one that counted as it does.

    A run is made again where its code has changed. Where it has not, the same seed gives the same metrics on the same
    machine, and whoever repeats it until they please should be seen to.
    """
    versions = _list_versions(folder)
    contents = read_blobs(folder, [blob for blobs in versions.values() for blob in blobs])
    for name, blobs in sorted(versions.items()):
        found = _parse((folder / name).read_bytes()) if (folder / name).is_file() else None
        for once in (_parse(contents.get(blob, b"")) for blob in blobs) if found is not None else ():
            if once is None or _began(once) == _began(found) or not _list_keys(once) & _list_keys(found):
                continue
            if changes := list(list_changes(once.get("metrics"), found.get("metrics"), "metrics")):
                yield name, changes
                break


def dropped_after_run(folder: Path) -> list[str]:
    """The file names under which git's past has records of runs that neither HEAD nor any record in FOLDER is of."""
    in_head = _differing_from_head(folder)
    last = {
        name: next(iter(blobs))
        for name, blobs in _list_versions(folder, every=True).items()
        if blobs and name not in in_head and not (folder / name).is_file()
    }
    if not last:
        return []
    contents = read_blobs(folder, last.values())
    kept = [_identify(_parse(path.read_bytes())) for path in folder.glob("*.json") if path.is_file()]
    return sorted(name for name, blob in last.items() if _identify(_parse(contents.get(blob, b""))) not in kept)


def _identify(content: Mapping[str, Any] | None) -> tuple[str | None, Any]:
    """What one run has and no other does, whatever it is called."""
    return _began(content), (content or {}).get("metrics")


def _list_keys(content: Mapping[str, Any]) -> set[str]:
    """The keys under which a record ever counted: its own, and those for which it was accepted."""
    accepted = content.get("accepted")
    given = [content, *(accepted if isinstance(accepted, list) else [])]
    return {str(item["key"]) for item in given if isinstance(item, dict) and "key" in item}


def _lost_acceptances(once: Mapping[str, Any], found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The acceptances that were given ONCE and are not among those FOUND, as changes."""
    before, now = (content.get("accepted") for content in (once, found))
    if not isinstance(before, list) or not isinstance(now, list):
        return []
    pairs = itertools.zip_longest(before, now[: len(before)], fillvalue="nothing")
    return [
        change
        for index, (one, other) in enumerate(pairs)
        if one not in now
        for change in list_changes(one, other, f"accepted[{index}]")
    ]


def edited_notebooks(folder: Path) -> Iterator[str]:
    """The executed notebooks below FOLDER of which there were more versions than their run was ever made.

    A notebook is written when its run ends and never again, so that each of its contents belongs to one run.
    """
    notebooks = _list_versions(folder / "executed", suffix=".ipynb")
    if not notebooks:
        return
    records = _list_versions(folder / "records", every=True)
    known = read_blobs(folder, [blob for name in notebooks for blob in records.get(_record_of(name), ())])
    for name, blobs in sorted(notebooks.items()):
        path, record = folder / "executed" / name, _record_of(name)
        if not path.is_file():
            continue
        contents = [known[blob] for blob in records.get(record, ()) if blob in known]
        if (folder / "records" / record).is_file():
            contents.append((folder / "records" / record).read_bytes())
        runs = {_began(_parse(content)) for content in contents} - {None}
        if len({*blobs, _blob_of(path.read_bytes())}) > len(runs):
            yield name


def _record_of(notebook: str) -> str:
    return f"{notebook.removesuffix('.ipynb')}.json"


def _blob_of(content: bytes) -> str:
    """What git calls a text of this content, which a checkout may have given other ends of lines."""
    content = content.replace(b"\r\n", b"\n")
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _list_versions(
    folder: Path, place: str = ".", *, suffix: str = ".json", every: bool = False
) -> dict[str, dict[str, None]]:
    """File name -> the blobs that git ever held of it, the newest first; of EVERY file or of those that changed."""
    if read_head(folder) is None:
        return {}
    # Against each parent of a merge, which may hold what none of them did; on every branch, also where another's file
    # was taken.
    how = ("-m", "--full-history", "--format=", "--raw", "--no-renames", "--no-abbrev", "--relative")
    versions: dict[str, dict[str, None]] = {}
    for line in (run_git(folder, "log", *how, "--", place) or "").splitlines():
        old, new, name = _parse_raw(line)
        if name.endswith(suffix) and "/" not in name:
            versions.setdefault(name, {}).update({blob: None for blob in (new, old) if set(blob) != {"0"}})
    if every:
        return versions
    changed = set(_differing_from_head(folder))
    return {name: blobs for name, blobs in versions.items() if len(blobs) > 1 or name in changed}


def _parse_raw(line: str) -> tuple[str, str, str]:
    """(blob before, blob after, file name) of a LINE of git's raw differences; the name is empty in any other line."""
    about, _, name = line.partition("\t")
    if not line.startswith(":"):
        return "", "", ""
    _, _, old, new, _ = about.split(" ")
    return old, new, name


def _differing_from_head(folder: Path) -> dict[str, str]:
    """Tracked file in FOLDER that is not as HEAD has it -> the blob that HEAD has; empty where it has none."""
    if read_head(folder) is None:
        return {}
    told = run_git(folder, "diff", "--raw", "--no-renames", "--no-abbrev", "--relative", "HEAD", "--", ".") or ""
    found = (_parse_raw(line) for line in told.splitlines())
    return {name: "" if set(old) == {"0"} else old for old, _, name in found if name}


def _parse(content: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(content[:MAX_RECORD_BYTES])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _began(content: Mapping[str, Any] | None) -> str | None:
    """When the run of a record began, which no other run of it did."""
    about = content.get("provenance") if content is not None else None
    return about.get("started") if isinstance(about, dict) else None


def _last_sound_version(path: Path) -> Mapping[str, Any] | None:
    """The newest content of the file in git whose digest is right."""
    blobs = list(_list_versions(path.parent, path.name, every=True).get(path.name, ()))[:_SEARCHED_VERSIONS]
    contents = read_blobs(path.parent, blobs)
    for text in (contents[blob].decode("utf-8", "replace") for blob in blobs if blob in contents):
        try:
            content = json.loads(text)
            if content["digest"] == schema.digest_of(text):
                return content
        except (ValueError, KeyError, TypeError):
            continue
    return None


def list_changes(expected: Any, found: Any, field: str = "") -> Iterable[tuple[str, str, str]]:
    """(field, expected, found) of every leaf that differs."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted(expected.keys() | found.keys()):
            deeper = f"{field}.{name}" if field else name
            yield from list_changes(expected.get(name), found.get(name), deeper)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, pair in enumerate(zip(expected, found, strict=True)):
            yield from list_changes(*pair, f"{field}[{index}]")
    elif expected != found:
        yield field, _shorten(expected), _shorten(found)


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-15:]}"
