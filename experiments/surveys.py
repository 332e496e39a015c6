"""What is known of modules by their content, kept in a file: to read a syntax tree takes longer than all else of a status.

The file is a help and no source of truth: without it, or with one that cannot be read, everything is computed anew. An
entry's name is a digest of the module's content, of the code that surveys it and of Python's version.
"""

import contextlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import syntax
from experiments.files import write_atomically

_MOST = 1000  # modules, in all their states


class Surveys:
    """The surveys of modules, those of an earlier command from a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        code = Path(syntax.__file__).read_text(encoding="utf-8")
        self._kind = syntax.sha256(f"{sys.version_info[:2]} {code}")
        self._known = _read(path)
        self._used: dict[str, syntax.Survey] = {}

    def of(self, source: str, place: str) -> syntax.Survey:
        """As `syntax.survey_module`."""
        name = syntax.sha256(f"{self._kind} {source}")
        if name not in self._used:
            self._used[name] = self._known.get(name) or syntax.survey_module(source, place)
        return self._used[name]

    def keep(self) -> None:
        """Stores what is new, and forgets the oldest of very many. Where the file cannot be written, nothing happens."""
        if self._used.keys() <= self._known.keys():
            return
        self._known = dict(list({**self._known, **self._used}.items())[-_MOST:])
        content = {name: [dict(survey.definitions), survey.imports] for name, survey in self._known.items()}
        with contextlib.suppress(OSError):
            write_atomically(self._path, json.dumps(content, ensure_ascii=False))


def _read(path: Path) -> dict[str, syntax.Survey]:
    """The file's surveys; none where it cannot be read, is damaged or is not as we write it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: _make_survey(*entry) for name, entry in content.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _make_survey(definitions: Mapping[str, Any], imports: list[Any]) -> syntax.Survey:
    if not all(type(text) is str for text in definitions.values()):
        raise ValueError
    return syntax.Survey(
        definitions, [(int(level), str(module), list(map(str, names))) for level, module, names in imports]
    )
