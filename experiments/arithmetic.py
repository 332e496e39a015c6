"""Arithmetic written in the plan: an expression of a run's parameters, and nothing that a program could hide in."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from experiments.spec import ConfigurationError

MAX_EXPONENT = 64
MAX_CHARACTERS = 1000  # of an expression
MAX_DEPTH = 100  # of its tree, which Python can still walk; a sum of 100 terms is that deep
MAX_WHOLE = 10**300  # of every step: powers of powers fill the memory where they do not overflow as fractions do

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}


def parse(text: str, place: str) -> ast.expr:
    """The expression's tree; only numbers, names, parentheses and + - * / // % ** are allowed.

    Raises:
        ConfigurationError: anything else stands in it.
    """
    if isinstance(text, str) and len(text) > MAX_CHARACTERS:
        raise ConfigurationError(f"{place}: {len(text):,} characters; expected at most {MAX_CHARACTERS:,}")
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval").body
    except (SyntaxError, AttributeError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigurationError(f"{place}: {text!r} is no arithmetic expression") from error
    if _measure_depth(tree) > MAX_DEPTH:
        raise ConfigurationError(f"{place}: {text!r} is nested more than {MAX_DEPTH} deep; expected a simpler one")
    for node in ast.walk(tree):
        if not _is_allowed(node):
            raise ConfigurationError(
                f"{place}: {ast.unparse(node) or type(node).__name__!r} is not allowed in arithmetic; "
                "use numbers, parameters, parentheses and + - * / // % **"
            )
    return tree


def evaluate(tree: ast.expr, values: Mapping[str, Any], place: str) -> float:
    """The expression's value; `values` names what may stand in it.

    Raises:
        ConfigurationError: an unknown or non-numeric name, a division by zero, or a result that is not finite.
    """
    try:
        result = float(_evaluate(tree, values, place))
    except (ArithmeticError, ValueError) as error:
        raise ConfigurationError(f"{place}: {ast.unparse(tree)!r} cannot be computed: {error}") from error
    if not math.isfinite(result):
        raise ConfigurationError(f"{place}: {ast.unparse(tree)!r} is {result!r}; expected a finite number")
    return result


def _measure_depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def _is_allowed(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    harmless = (ast.BinOp, ast.UnaryOp, ast.Name, ast.expr_context, *_BINARY, *_UNARY)
    return isinstance(node, harmless)


def _evaluate(node: ast.expr, values: Mapping[str, Any], place: str) -> float:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return _look_up(name, values, place)
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_evaluate(operand, values, place))
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _evaluate(left, values, place), _evaluate(right, values, place)
            if isinstance(op, ast.Pow) and (abs(b) > MAX_EXPONENT or (a < 0 and b != int(b))):
                raise ConfigurationError(
                    f"{place}: exponent {b!r}; expected at most {MAX_EXPONENT}, of a positive base"
                )
            result = _BINARY[type(op)](a, b)
            if isinstance(result, int) and abs(result) > MAX_WHOLE:
                raise ConfigurationError(f"{place}: a step gives more than 1e300; expected a smaller number")
            return result
    raise ConfigurationError(f"{place}: {ast.unparse(node)!r} is not allowed in arithmetic")


def _look_up(name: str, values: Mapping[str, Any], place: str) -> float:
    value = values.get(name)
    if name not in values:
        raise ConfigurationError(f"{place}: unknown name {name!r}; the parameters are {', '.join(sorted(values))}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigurationError(f"{place}: parameter {name!r} is {value!r}; expected a number")
    return value
