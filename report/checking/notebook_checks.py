"""Whether the executed notebooks that are kept show the runs whose records they stand beside."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.ledger import Ledger
from experiments.reading import MAX_NOTEBOOK_BYTES, Unreadable, read_text
from experiments.recording import CAPTION, shown_value
from experiments.spec import Record
from experiments.tampering import edited_notebooks
from report.checking.findings import Finding, unless_git_fails

_LINE = re.compile(r"  (\S+) +(\S+)")  # as `experiments.recording` shows a metric or a cost


def inspect_notebooks(root: Path, records: Mapping[str, Record]) -> Iterator[Finding]:
    """What is wrong with executed notebooks: edited, no notebook, of no record, with other numbers than its RECORDS have."""
    yield from unless_git_fails("experiments/executed", _inspect_past(root))
    ledger = Ledger(root / "experiments")
    for path in sorted(ledger.executed_folder.glob("*.ipynb")):
        place = path.relative_to(root).as_posix()
        record = records.get(path.stem)
        if record is None:
            remedy = "delete the notebook, or restore the record from git"
            yield Finding("notebook-differs", place, "there is no record of this run", remedy=remedy)
            continue
        try:
            shown = _shown(json.loads(read_text(path, MAX_NOTEBOOK_BYTES)))
        except (Unreadable, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            why = error.why if isinstance(error, Unreadable) else "it is no notebook of format 4"
            yield Finding("notebook-differs", place, why)
            continue
        known = {**record.cost, **record.metrics}
        for name, value in shown.items():
            if name in known and known[name] is not None and (expected := shown_value(known[name])) != value:
                message = f"it shows {name} {value}, and its record has {expected}"
                yield Finding("notebook-differs", f"{place}: {name}", message, expected, value)


def inspect_sources(root: Path, names: Iterable[str]) -> Iterator[Finding]:
    """The notebooks NAMES, from which runs begin, that keep outputs: pictures of data, or numbers that nobody can trace."""
    for name in sorted(names):
        cells = json.loads(read_text(root / "experiments" / name, MAX_NOTEBOOK_BYTES))["cells"]
        if kept := sum(bool(cell.get("outputs")) for cell in cells):
            message = f"{kept} of its cells hold outputs" if kept > 1 else "a cell of it holds outputs"
            yield Finding("notebook-outputs", f"experiments/{name}", message)


def _inspect_past(root: Path) -> Iterator[Finding]:
    """The notebooks that git ever held otherwise."""
    for name in edited_notebooks(root / "experiments"):
        message = "it was changed after its run, as git's past shows"
        yield Finding("notebook-differs", f"experiments/executed/{name}", message)


def _shown(notebook: Mapping[str, Any]) -> dict[str, str]:
    """The values of the table that the last cell shows; none where outputs were cut to keep the notebook small."""
    found: dict[str, str] = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            text = "".join(output.get("data", {}).get("text/plain", ()))
            if text.startswith(CAPTION):
                found |= dict(_LINE.findall(text))
    return found
