"""Which field of a damaged record was changed: git often holds the record as it was written."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from experiments import provenance, schema
from experiments.schema import RecordFault

_SEARCHED_COMMITS = 20


def name_change(path: Path, place: str, fault: RecordFault) -> RecordFault:
    """The fault, naming what differs from the last sound version in git; the fault as it is where there is none."""
    sound = _last_sound_version(path)
    if sound is None:
        return fault
    try:
        changes = list(_list_changes(sound, json.loads(path.read_text(encoding="utf-8"))))
    except (ValueError, OSError, RecursionError):
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
    """
    names = provenance.run_git(folder, "diff", "--name-only", "--relative", "HEAD", "--", ".") or ""
    for name in names.splitlines():
        committed = provenance.run_git(folder, "show", f"HEAD:./{name}")
        if not name.endswith(".json") or committed is None:
            continue
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))
            changes = list(_list_changes(json.loads(committed), found))
        except FileNotFoundError:
            changes = [("file", "a record", "nothing")]
        except (ValueError, OSError, RecursionError) as error:
            changes = [("file", "a record", str(error))]
        yield name, [change for change in changes if change[0] != "digest"] or changes


def _last_sound_version(path: Path) -> Mapping[str, Any] | None:
    """The newest content of the file in git whose digest is right."""
    commits = provenance.run_git(path.parent, "log", f"-{_SEARCHED_COMMITS}", "--format=%H", "--", path.name)
    for commit in (commits or "").split():
        text = provenance.run_git(path.parent, "show", f"{commit}:./{path.name}")
        try:
            content = json.loads(text or "")
            if content["digest"] == schema.digest_of(text or ""):
                return content
        except (ValueError, KeyError, TypeError):
            continue
    return None


def _list_changes(expected: Any, found: Any, field: str = "") -> Iterable[tuple[str, str, str]]:
    """(field, expected, found) of every leaf that differs."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted(expected.keys() | found.keys()):
            deeper = f"{field}.{name}" if field else name
            yield from _list_changes(expected.get(name), found.get(name), deeper)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, pair in enumerate(zip(expected, found, strict=True)):
            yield from _list_changes(*pair, f"{field}[{index}]")
    elif expected != found:
        yield field, _shorten(expected), _shorten(found)


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-15:]}"
