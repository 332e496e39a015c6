"""What Jinja may do in the prose: print, place, choose and repeat a short list, and nothing that reaches into Python.

Prose comes from authors and from pull requests. Jinja's own sandbox keeps its expressions from Python's inner parts;
here only the words of the vocabulary can be called at all, only what they return has attributes, and the statements
are those below. So a section can neither run code nor keep the build busy.
"""

import math
from collections.abc import Iterable
from enum import Enum
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

FILTERS = ("join", "length")
LISTS = ("checklist",)  # words that give a list of a fixed length
_VALUES = (nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Name, nodes.NSRef)
_EXPRESSIONS = (nodes.Call, nodes.Keyword, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Test)
_CONDITIONS = (nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr)
_STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign)
# Jinja reads them; the check of typed results names them with a better message.
_REFUSED_ELSEWHERE = (nodes.Concat, nodes.BinExpr, nodes.UnaryExpr)
_ALLOWED = (*_VALUES, *_EXPRESSIONS, *_CONDITIONS, *_STATEMENTS, *_REFUSED_ELSEWHERE)


class ProseEnvironment(ImmutableSandboxedEnvironment):
    """Jinja for the prose; set `globals` to the words and they are all that can be called."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in FILTERS}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """What a word has returned may be asked for what it holds, not for what it is made of."""
        ours = type(obj).__module__.partition(".")[0] == "report" or isinstance(obj, Enum)
        return ours and not callable(value) and super().is_safe_attribute(obj, attr, value)

    def is_safe_callable(self, obj: Any) -> bool:
        """The words, and no method of what they return."""
        return any(obj == word for word in self.globals.values())

    def wrap_str_format(self, value: Any) -> None:
        """No `format` of a text either: it is an attribute like any other."""

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """No arithmetic: a text times a thousand million fills the memory, and a page prints quantities as they are."""
        raise jinja2.exceptions.SecurityError(f"the prose may not calculate: found {operator!r}")

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for what, line in _list_refused(tree):
            raise jinja2.TemplateSyntaxError(f"the prose may not use {what}", line, name, filename)
        return tree


def _list_refused(tree: nodes.Template) -> Iterable[tuple[str, int]]:
    """(what, line) of every statement that the prose does not have, and of loops that could be long."""
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            yield type(node).__name__.lower(), node.lineno
        if isinstance(node, nodes.Const) and isinstance(node.value, float) and not math.isfinite(node.value):
            yield "a number without an end", node.lineno
    for loop in tree.find_all(nodes.For):
        if not isinstance(loop.iter, nodes.List | nodes.Tuple) and not _gives_list(loop.iter):
            words = " or ".join(f"{word}()" for word in LISTS)
            yield f"a loop over anything but a list that stands there or {words}", loop.lineno
        if loop.recursive or any(True for _ in loop.find_all(nodes.For)):
            yield "a loop within a loop", loop.lineno


def _gives_list(node: nodes.Node) -> bool:
    """Whether NODE calls one of the words whose list may be repeated."""
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in LISTS
