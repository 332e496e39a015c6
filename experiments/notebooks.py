"""Reading notebooks without running them: their code cells and the parameters that they take."""

import ast
import functools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.reading import MAX_NOTEBOOK_BYTES, Unreadable, read_text
from experiments.spec import ConfigurationError, Scalar
from experiments.syntax import NO_CODE, parse_cell

REQUIRED = object()  # The default of a parameter that is declared, as in `seed: int`, but has no value.
_ASKS = re.compile(r"^\s*\?|\?\s*$")  # IPython's help
_KINDS = {"str": str, "int": int, "float": float, "bool": bool}
# YAML 1.1 takes 1e-3 for text: a number with a power has a point, and a sign before the power.
_BARE_POWER = re.compile(r"[-+]?[\d.]+[eE][-+]?\d+")
_REMEDY = " (to YAML a number with a power has a point and a sign: 1.0e-3)"


@dataclass(frozen=True)
class Cell:
    """A code cell: its id (or its index, where the notebook is older than ids), position and source."""

    id: str
    index: int
    source: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Parameter:
    """What the cell tagged `parameters` says of one name."""

    name: str
    kind: type
    default: Any

    def check(self, value: Any, place: str) -> Scalar:
        """The value, if it is of the parameter's kind; an int also serves as a float."""
        fits = type(value) is self.kind or (self.kind is float and type(value) is int)
        if not fits or (self.kind is float and not math.isfinite(value)):
            raise ConfigurationError(
                f"{place}: parameter {self.name!r} is {value!r}; expected {self.kind.__name__}, as in the notebook"
                f"{_REMEDY if self.kind is float and _BARE_POWER.fullmatch(str(value)) else ''}"
            )
        return float(value) if self.kind is float else value


def code_cells(path: Path) -> tuple[Cell, ...]:
    """The notebook's code cells, in order."""
    try:
        text = read_text(path, MAX_NOTEBOOK_BYTES)
    except Unreadable as error:
        raise ConfigurationError(f"{path}: the notebook cannot be read: {error.why}") from error
    return _parse_cells(text, str(path))


def refuse_broken_cells(path: Path) -> None:
    """Raises ConfigurationError for the first cell that is no Python: a run would train for hours and end at it.

    Cells that IPython understands, with magics or of another language, are its own matter.
    """
    for cell in code_cells(path):
        is_ipythons = cell.source.lstrip().startswith("%%") or any(map(_ASKS.search, cell.source.splitlines()))
        if is_ipythons or parse_cell(cell.source) is not None:
            continue
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            where = f"cell {cell.index + 1}, line {error.lineno or 1}"
            raise ConfigurationError(f"{path.name}: {where}: {error.msg}") from error
        except NO_CODE as error:
            why = str(error) or "nested too deep"
            raise ConfigurationError(f"{path.name}: cell {cell.index + 1} is no code: {why}") from error


def notebook_parameters(path: Path) -> Mapping[str, Parameter]:
    """The parameters that the notebook takes, by name.

    Raises:
        ConfigurationError: there is not exactly one cell tagged `parameters`, or it holds more than assignments of
            plain values (so that nothing but the values themselves can change a run).
    """
    tagged = [cell for cell in code_cells(path) if "parameters" in cell.tags]
    if len(tagged) != 1:
        raise ConfigurationError(f"{path}: {len(tagged)} cells are tagged 'parameters'; expected one")
    return _parse_parameters(tagged[0].source, str(path))


def resolve_parameters(
    known: Mapping[str, Parameter], given: Mapping[str, Any], notebook: str, place: str
) -> dict[str, Scalar]:
    """Every parameter of the notebook with its value: the one given, or the notebook's default.

    Raises:
        ConfigurationError: a name that the notebook lacks, a value of another type, or a required one not given.
    """
    if unknown := sorted(given.keys() - known.keys()):
        names = ", ".join(known) or "none"
        raise ConfigurationError(f"{place}: {notebook} has no parameter {unknown[0]!r}; it has {names}")
    values = {name: given.get(name, parameter.default) for name, parameter in known.items()}
    if missing := [name for name, value in values.items() if value is REQUIRED]:
        raise ConfigurationError(f"{place}: parameter {missing[0]!r} of {notebook} has no default; give it a value")
    return {name: known[name].check(value, place) for name, value in values.items()}


@functools.lru_cache(maxsize=64)
def _parse_cells(text: str, place: str) -> tuple[Cell, ...]:
    try:
        cells = json.loads(text)["cells"]
        found = tuple(
            Cell(
                id=str(cell.get("id", index)),
                index=index,
                source="".join(cell["source"]),
                tags=tuple(cell.get("metadata", {}).get("tags", ())),
            )
            for index, cell in enumerate(cells)
            if cell["cell_type"] == "code"
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigurationError(f"{place}: this is no notebook of format 4: {error}") from error
    for cell in found:  # A run's key has the cells by their ids: of two with one id it would see the second alone.
        if (index := next(other.index for other in found if other.id == cell.id)) != cell.index:
            where = f"cells {index + 1} and {cell.index + 1}"
            raise ConfigurationError(f"{place}: {where} have the id {cell.id!r}; give one of them another")
    return found


@functools.lru_cache(maxsize=64)
def _parse_parameters(source: str, place: str) -> Mapping[str, Parameter]:
    parameters: dict[str, Parameter] = {}
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise ConfigurationError(f"{place}: the cell tagged 'parameters', line {error.lineno}: {error.msg}") from error
    except NO_CODE as error:
        why = str(error) or "nested too deep"
        raise ConfigurationError(f"{place}: the cell tagged 'parameters' is no code: {why}") from error
    for statement in statements:
        name, annotation, value = _read_assignment(statement)
        kind = _KINDS.get(annotation) if annotation else type(value)
        if name is None or kind not in _KINDS.values() or (value is REQUIRED and not annotation):
            code = ast.get_source_segment(source, statement)
            raise ConfigurationError(
                f"{place}: the cell tagged 'parameters', line {statement.lineno}: {code!r:.200}; "
                "expected `name = value` or `name: type` with a str, int, float or bool"
            )
        parameters[name] = Parameter(name, kind, value)
        if value is not REQUIRED:
            parameters[name] = Parameter(name, kind, parameters[name].check(value, place))
    return parameters


def _read_assignment(statement: ast.stmt) -> tuple[str | None, str | None, Any]:
    """(name, annotation, value) of `name = value`, `name: type = value` or `name: type`; no name for other code."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            annotation = None
        case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id=annotation), value=value):
            pass
        case _:
            return None, None, None
    if value is None:
        return name, annotation, REQUIRED
    try:
        return name, annotation, ast.literal_eval(value)
    except (TypeError, *NO_CODE):  # TypeError: a list for a name, as in `{[1]: 2}`
        return None, None, None
