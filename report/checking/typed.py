"""Results that are typed inside template expressions, where no pattern over the prose sees them.

An expression prints what the vocabulary makes: words called, their attributes, lists of them joined. A text with digits
of its own or an outcome, a raw value, or a filter or operator that turns a number into text would print what no run stands behind.
Conditions and the arguments of words are free.
"""

import re
from collections.abc import Iterator

import jinja2
from jinja2 import nodes

from report.judge.trials import Outcome
from report.pages.formats import ANGLE

FILTERS = frozenset({"join"})
VERDICT = re.compile(rf"\b(?:{'|'.join(sorted(Outcome, key=len, reverse=True))})\b")
_NAME = re.compile(r"[A-Za-z][\w:-]*")  # an id such as earlier-p4-k9
_TEXTS = frozenset({"parts", "details", "quoted", "aggregate"})  # of a quantity: its number without its origin
_MAKES_TEXT = (nodes.Concat, nodes.BinExpr)


def typed_results(text: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) of every expression in the section TEXT that may print a typed result.

    A text that Jinja cannot read has none: building it gives a better message.
    """
    try:
        tree = jinja2.Environment(**ANGLE).parse(text)
    except (jinja2.TemplateSyntaxError, RecursionError, ValueError):  # a number of thousands of digits is the last
        return
    for statement in tree.find_all((nodes.Output, nodes.Assign, nodes.For)):
        if isinstance(statement, nodes.Assign):
            yield from _inspect(statement.node)
        elif isinstance(statement, nodes.For):  # whose list may be printed item by item
            yield from _inspect(statement.iter)
        else:
            for node in statement.nodes:
                if not isinstance(node, nodes.TemplateData):
                    yield from _inspect(node)


def _inspect(node: nodes.Node) -> Iterator[tuple[int, str]]:
    if message := _fault(node):
        yield node.lineno, message
        return
    inner = {nodes.Call: "node", nodes.Getitem: "node"}.get(type(node))
    if inner:  # not the arguments, nor the index
        yield from _inspect(getattr(node, inner))
        return
    for child in node.iter_child_nodes(exclude=("test",) if isinstance(node, nodes.CondExpr) else None):
        yield from _inspect(child)


def _fault(node: nodes.Node) -> str:
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        is_number = any(character.isdigit() for character in node.value) and not _NAME.fullmatch(node.value)
        return f"the text {node.value!r} is typed by hand" if is_number or VERDICT.search(node.value) else ""
    if isinstance(node, nodes.Getattr) and (node.attr == "value" or node.attr.startswith("_")):
        return f"the attribute {node.attr!r} is a raw number; print the quantity itself"
    if isinstance(node, nodes.Getattr) and node.attr in _TEXTS:
        return f"the attribute {node.attr!r} is a text of a number; print the quantity itself"
    if (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Getattr)
        and isinstance(node.node.node, nodes.Const)
    ):
        return f"{node.node.attr}() makes a text of its arguments; print the quantity itself"
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        return f"the filter {node.name!r} makes a text of a value; print the quantity itself"
    if isinstance(node, _MAKES_TEXT) and not isinstance(node, nodes.And | nodes.Or):
        return "an operator makes a text or number of its own; print quantities one by one"
    return ""
