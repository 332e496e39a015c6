"""Arithmetic in the plan: what it computes, and what it refuses."""

import ast

import pytest

from experiments import arithmetic
from experiments.spec import ConfigurationError

VALUES = {"a": 7, "b": 2.5, "text": "x", "flag": True}


@pytest.mark.parametrize(
    ("text", "value"),
    [("a", 7.0), ("a // 2 * (b + -1)", 4.5), ("a % 4 + 2 ** 3 / +4", 5.0), ("a *\n b", 17.5)],
)
def test_computes(text: str, value: float) -> None:
    assert arithmetic.evaluate(arithmetic.parse(text, "p"), VALUES, "p") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a +", "p: 'a +' is no arithmetic expression"),
        ("open('x')", "p: \"open('x')\" is not allowed in arithmetic; "),
        ("a.real", "p: 'a.real' is not allowed in arithmetic; "),
        ("a if b else 1", "p: 'a if b else 1' is not allowed in arithmetic; "),
        ("True", "p: 'True' is not allowed in arithmetic; "),
        ("'x' * 3", "p: \"'x'\" is not allowed in arithmetic; "),
        ("c", "p: unknown name 'c'; the parameters are a, b, flag, text"),
        ("text", "p: parameter 'text' is 'x'; expected a number"),
        ("flag", "p: parameter 'flag' is True; expected a number"),
        ("a / (b - 2.5)", "p: 'a / (b - 2.5)' cannot be computed: "),
        ("9 ** 9 ** 9", "p: exponent 387420489; expected at most 64, of a positive base"),
        ("(0 - a) ** 0.5", "p: exponent 0.5; expected at most 64, of a positive base"),
        ("1e308 * 10", "p: '1e+308 * 10' is inf; expected a finite number"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        arithmetic.evaluate(arithmetic.parse(text, "p"), VALUES, "p")
    assert str(caught.value).startswith(message)


def test_a_tree_that_was_never_checked_is_not_run() -> None:
    with pytest.raises(ConfigurationError, match="is not allowed in arithmetic"):
        arithmetic.evaluate(ast.parse("f()", mode="eval").body, VALUES, "p")
