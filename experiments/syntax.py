"""Digests of Python source by its syntax tree: what does not change the meaning does not change the digest."""

import ast
import functools
import hashlib
import re
from collections.abc import Iterator, Mapping

from experiments.spec import ConfigurationError

REST = "<module>"  # Stands for the statements of a module that are neither function nor class.

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SILENT_FIELDS = ("ctx", "kind", "type_comment")  # Follow from the position, or mean nothing when run.
_MAGIC = re.compile(r"^(\s*)(?:[A-Za-z_][\w., ]*=\s*)?[%!].*$")


@functools.lru_cache(maxsize=256)
def digest_module(source: str, place: str) -> Mapping[str, str]:
    """SHA-256 of each top-level function and class by name, and of the other statements together as `REST`."""
    parts: dict[str, list[str]] = {}
    for statement in _drop_docstring(parse_source(source, place).body):
        name = statement.name if isinstance(statement, _DEFINITIONS) else REST
        parts.setdefault(name, []).append(spell(statement))
    return {name: sha256("\n".join(texts)) for name, texts in sorted(parts.items())}


@functools.lru_cache(maxsize=256)
def digest_cell(source: str) -> str | None:
    """SHA-256 of a notebook's cell; None where nothing is left when comments are gone.

    IPython's line magics count as they are written; a cell that is no Python (`%%bash`) counts by its text.
    """
    tree = parse_cell(source)
    if tree is None:
        return sha256(source.strip())
    return sha256("\n".join(spell(statement) for statement in tree.body)) if tree.body else None


def parse_cell(source: str) -> ast.Module | None:
    """The tree of a notebook's cell, magics turned into strings; None where it is no Python."""
    lines = source.splitlines()
    quoted = (f"{match[1]}{match[0].strip()!r}" if (match := _MAGIC.match(line)) else line for line in lines)
    for text in (source, "\n".join(quoted)):
        try:
            return ast.parse(text)
        except SyntaxError:
            continue
    return None


def parse_source(source: str, place: str) -> ast.Module:
    """The tree of a module; `place` names it in the error."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigurationError(f"{place}{line}: this is no Python: {error}") from error


def spell(node: ast.AST) -> str:
    """The tree as text. Empty fields are skipped, for each version of Python adds some; docstrings are left out."""
    return "".join(_spell(node))


def sha256(text: str) -> str:
    """SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _spell(node: object) -> Iterator[str]:
    match node:
        case ast.Constant(value=value):
            yield f"({type(value).__name__} {value!r})"
        case ast.AST():
            yield f"({type(node).__name__}"
            for name, value in ast.iter_fields(node):
                if value is None or value == [] or name in _SILENT_FIELDS:
                    continue
                yield f" {name}="
                is_body = name == "body" and isinstance(node, _DEFINITIONS)
                yield from _spell(_drop_docstring(value) if is_body else value)
            yield ")"
        case list():
            yield "["
            for item in node:
                yield from _spell(item)
                yield ","
            yield "]"
        case _:
            yield repr(node)


def _drop_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return body
