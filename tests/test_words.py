"""Words that pages and messages put alike."""

from experiments.spec import State
from report.words import parameters_text, price_text
from tests.made_up import make_run, waiting


def test_a_text_among_parameters_is_told_from_a_number() -> None:
    assert parameters_text({"hidden": "16", "depth": 2}) == "hidden='16', depth=2"


def test_stale_runs_are_told_among_those_to_come() -> None:
    stale, pending = waiting(make_run(0), State.STALE), waiting(make_run(1))
    assert price_text([stale]) == "1 run to come (1 stale), about 0.5 h (a guess)"
    assert price_text([stale, pending]) == "2 runs to come (1 stale), about 1 h (a guess)"
