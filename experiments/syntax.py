"""Digests of Python source by its syntax tree: what does not change the meaning does not change the digest."""

import ast
import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from experiments.spec import ConfigurationError

REST = "<module>"  # Stands for the statements of a module that are neither function nor class.

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SILENT_FIELDS = ("ctx", "kind", "type_comment")  # Follow from the position, or mean nothing when run.
_MAGIC = re.compile(r"^(\s*)(?:[A-Za-z_][\w., ]*=\s*)?[%!].*$")
# Beside SyntaxError: a NUL or half a surrogate; brackets, operators or calls within each other without end.
NO_CODE = (ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Survey:
    """What counts of a module.

    `definitions` has the SHA-256 of each top-level function and class by name, and of the other statements together as
    `REST`; `imports` the import statements, wherever they stand, as (level, module, names).
    """

    definitions: Mapping[str, str]
    imports: Sequence[tuple[int, str, Sequence[str]]]


@functools.lru_cache(maxsize=256)
def survey_module(source: str, place: str) -> Survey:
    """What counts of a module's source; `place` names it in the error."""
    tree = parse_source(source, place)
    parts: dict[str, list[str]] = {}
    for statement in _drop_docstring(tree.body):
        name = statement.name if isinstance(statement, _DEFINITIONS) else REST
        try:
            parts.setdefault(name, []).append(spell(statement))
        except RecursionError as error:
            raise ConfigurationError(f"{place}:{statement.lineno}: nested too deep to be read: {error}") from error
    definitions = {name: sha256("\n".join(texts)) for name, texts in sorted(parts.items())}
    return Survey(definitions, tuple(list_imports(tree)))


def list_imports(tree: ast.Module) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """The import statements of a tree as (level, module, names): of `import a.b` the names are modules, `module` empty."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield 0, "", tuple(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or "", tuple(alias.name for alias in node.names)


@functools.lru_cache(maxsize=256)
def digest_cell(source: str) -> str | None:
    """SHA-256 of a notebook's cell; None where nothing is left when comments are gone.

    IPython's line magics count as they are written; a cell that is no Python (`%%bash`) counts by its text.
    """
    tree = parse_cell(source)
    if tree is None:
        return sha256(source.strip())
    try:
        return sha256("\n".join(spell(statement) for statement in tree.body)) if tree.body else None
    except RecursionError:
        return sha256(source.strip())


def parse_cell(source: str) -> ast.Module | None:
    """The tree of a notebook's cell, magics turned into strings; None where it is no Python."""
    lines = source.splitlines()
    quoted = (f"{match[1]}{match[0].strip()!r}" if (match := _MAGIC.match(line)) else line for line in lines)
    for text in (source, "\n".join(quoted)):
        try:
            return ast.parse(text)
        except (SyntaxError, *NO_CODE):
            continue
    return None


def parse_source(source: str, place: str) -> ast.Module:
    """The tree of a module; `place` names it in the error."""
    try:
        return ast.parse(source)
    except (SyntaxError, *NO_CODE) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise ConfigurationError(f"{place}{line}: this is no Python: {str(error) or 'nested too deep'}") from error


def spell(node: ast.AST) -> str:
    """The tree as text. Empty fields are skipped, for each version of Python adds some; docstrings are left out."""
    parts: list[str] = []
    _spell(node, parts.append)
    return "".join(parts)


def sha256(text: str) -> str:
    """SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _spell(node: object, write: Callable[[str], None]) -> None:
    if isinstance(node, ast.Constant):
        write(f"({type(node.value).__name__} {node.value!r})")
    elif isinstance(node, ast.AST):
        write(f"({type(node).__name__}")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in _SILENT_FIELDS:
                continue
            write(f" {name}=")
            is_body = name == "body" and isinstance(node, _DEFINITIONS)
            _spell(_drop_docstring(value) if is_body else value, write)
        write(")")
    elif isinstance(node, list):
        write("[")
        for item in node:
            _spell(item, write)
            write(",")
        write("]")
    else:
        write(repr(node))


def _drop_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return body
