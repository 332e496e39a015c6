"""The key of a run: a digest of all that makes its numbers, and of nothing else.

It covers the notebook's code cells, the parameters, and the syntax trees of the repository's modules that the
notebook imports, directly or through others; the checksums of data sets stand in such a module. Comments, docstrings,
formatting, outputs, Markdown and positions do not count. Modules are found by reading `import` statements, wherever
in the code they stand; one imported by a computed name is not seen. The package `experiments` hands the record over
and makes no number: it is left out.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import syntax
from experiments.notebooks import Cell, code_cells
from experiments.spec import ConfigurationError, Record, Run
from experiments.surveys import Surveys

IGNORED_PACKAGES = frozenset({"experiments"})
_SHORT = 8  # Hexadecimal digits of the digests that only explain a change; the key has all 64.


@dataclass(frozen=True)
class Fingerprint:
    """The key, and short digests of its parts by which a change is explained.

    `notebook` is by cell (its id), `modules` by module and top-level definition; `code` is the digest of both, without
    the parameters.
    """

    key: str
    notebook: Mapping[str, str]
    parameters: Mapping[str, Any]
    modules: Mapping[str, Mapping[str, str]]
    code: str

    def to_json(self) -> dict[str, Any]:
        """What a record holds beside the key and the parameters, which have fields of their own.

        A module's definitions stand in one text: a ledger is read a thousand times for each time they are compared.
        """
        modules = {
            module: ", ".join(f"{name} {digest}" for name, digest in parts.items())
            for module, parts in self.modules.items()
        }
        return {"notebook": dict(self.notebook), "modules": modules}


def fingerprint(run: Run, root: Path, cache: Path | None = None) -> Fingerprint:
    """The fingerprint of a run by the files below the repository's root, as they are now; CACHE as in `Fingerprinter`.

    Raises:
        ConfigurationError: the notebook or a module cannot be read.
    """
    return Fingerprinter(root, cache).of(run)


class Fingerprinter:
    """Fingerprints of many runs: each notebook and its modules are read once, when first asked for.

    What is known of a module by its content is kept in the folder CACHE. Without one nothing is written, and nothing
    that an earlier command wrote is believed.
    """

    def __init__(self, root: Path, cache: Path | None = None) -> None:
        self.root = root
        self._surveys = None if cache is None else Surveys(cache / "code.json")
        self._codes: dict[str, tuple[str, Mapping[str, str], Mapping[str, Mapping[str, str]]]] = {}

    def of(self, run: Run) -> Fingerprint:
        """The fingerprint of a run; see `fingerprint`."""
        return self.of_notebook(run.notebook, run.parameters)

    def of_notebook(self, name: str, parameters: Mapping[str, Any] | None = None) -> Fingerprint:
        """The fingerprint of a notebook with these parameters."""
        if name not in self._codes:
            self._codes[name] = self._read_code(name)
        code, notebook, modules = self._codes[name]
        given = dict((parameters or {}).items())  # dict(parameters) looks each name up, which takes three times as long
        key = syntax.sha256(code + json.dumps(given, sort_keys=True))
        return Fingerprint(key, notebook, given, modules, code)

    def _read_code(self, name: str) -> tuple[str, Mapping[str, str], Mapping[str, Mapping[str, str]]]:
        """The digest of a notebook with its modules, and the short digests of the parts."""
        # The cell tagged `parameters` holds plain values only, and all of them are among the run's parameters.
        cells = [cell for cell in code_cells(self.root / "experiments" / name) if "parameters" not in cell.tags]
        digests = {cell.id: digest for cell in cells if (digest := syntax.digest_cell(cell.source))}
        survey = syntax.survey_module if self._surveys is None else self._surveys.of
        found = _follow_imports(cells, self.root, survey)[0]
        modules = {module: dict(found[module].definitions) for module in sorted(found)}
        if self._surveys is not None:
            self._surveys.keep()
        # Of the cells the order counts and not the id, of the definitions the name and not the order.
        code = syntax.sha256(json.dumps([list(digests.values()), modules], sort_keys=True))
        short = {module: _shorten(parts) for module, parts in modules.items()}
        return code, _shorten(digests), short


def explain(record: Record, today: Fingerprint) -> tuple[str, ...]:
    """What has changed since the record was made, each change in words; empty where the key is today's."""
    if record.key == today.key:
        return ()
    notebook = record.fingerprint.get("notebook", {})
    modules = {module: _split(text) for module, text in record.fingerprint.get("modules", {}).items()}
    reasons = [
        *_compare_parameters(record.parameters, today.parameters),
        *_compare(notebook, today.notebook, f"{record.notebook}: cell {{}}"),
    ]
    for module in sorted(modules.keys() | today.modules.keys()):
        if module not in today.modules:
            reasons.append(f"{module} is no longer imported")
        elif module not in modules:
            reasons.append(f"{module} is imported now")
        elif modules[module] != today.modules[module]:
            reasons += _compare(modules[module], today.modules[module], f"{module}: {{}}", call="()")
    return tuple(reasons) or (f"{record.notebook}: the order of the cells changed",)


def find_packages(notebook: Path, root: Path) -> list[str]:
    """Names that a notebook and the repository's modules import from elsewhere; some may be no modules but members."""
    return sorted(_follow_imports(code_cells(notebook), root, syntax.survey_module)[1])


def find_code(notebook: str, today: Fingerprint, root: Path) -> list[Path]:
    """The files whose code a fingerprint of TODAY covers: the notebook, and the repository's modules that it imports."""
    modules = (_locate(name, root) for name in today.modules)
    return [root / "experiments" / notebook, *(path for path in modules if path is not None)]


def find_all_code(notebooks: Iterable[str], root: Path, cache: Path | None = None) -> list[Path]:
    """The files whose code runs of the NOTEBOOKS rest on, as they are now; CACHE as in `Fingerprinter`."""
    today = Fingerprinter(root, cache)
    return [path for name in sorted(notebooks) for path in find_code(name, today.of_notebook(name), root)]


def _follow_imports(
    cells: Iterable[Cell], root: Path, survey: Callable[[str, str], syntax.Survey]
) -> tuple[dict[str, syntax.Survey], set[str]]:
    """(the repository's modules that the cells import, and those that these import; the names imported from elsewhere)."""
    found: dict[str, syntax.Survey] = {}
    others: set[str] = set()
    trees = (syntax.parse_cell(cell.source) for cell in cells)
    queue = [name for tree in trees if tree for name in _list_names(syntax.list_imports(tree), "")]
    while queue:
        name = queue.pop()
        path = _locate(name, root)
        if path is None and not (root / name.split(".")[0]).is_dir():
            others.add(name)
        if path is None or name in found or name.split(".")[0] in IGNORED_PACKAGES:
            continue
        found[name] = survey(_read(path), str(path))
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        queue += _list_names(found[name].imports, package)
    return found, others


def _list_names(imports: Iterable[tuple[int, str, Sequence[str]]], package: str) -> Iterator[str]:
    """Each name that may be a module: `import a.b` gives a and a.b, `from a import b` likewise."""
    for level, module, members in imports:
        parents = package.split(".")[: len(package.split(".")) - level + 1] if level else []
        base = ".".join([*parents, *([module] if module else [])])
        for name in [base, *(f"{base}.{member}" for member in members)] if base else members:
            parts = name.split(".")
            yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _locate(name: str, root: Path) -> Path | None:
    """The module's file below the root; None for what is installed, and for names that are no modules."""
    stem = root.joinpath(*name.split("."))
    candidates = (stem / "__init__.py", stem.with_name(f"{stem.name}.py"))
    return next((path for path in candidates if path.is_file()), None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: the module cannot be read: {error}") from error


def _shorten(digests: Mapping[str, str]) -> dict[str, str]:
    return {name: digest[:_SHORT] for name, digest in digests.items()}


def _split(text: str) -> dict[str, str]:
    """The definitions of a module with their digests, from the one text in which a record has them."""
    return dict(part.split(" ", 1) for part in text.split(", ") if part)


def _compare(old: Mapping[str, str], new: Mapping[str, str], words: str, call: str = "") -> Iterator[str]:
    """What was added, removed and changed between two sets of digests."""
    for name in [*new, *(name for name in old if name not in new)]:
        if old.get(name) == new.get(name):
            continue
        shown = "a statement outside functions" if name == syntax.REST else f"{name}{call}"
        change = "was added" if name not in old else "was removed" if name not in new else "changed"
        yield f"{words.format(shown)} {change}"


def _compare_parameters(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield f"parameter {name} was removed"
        elif name not in old:
            yield f"parameter {name}={new[name]!r} was added"
        elif old[name] != new[name]:
            yield f"parameter {name} changed from {old[name]!r} to {new[name]!r}"
