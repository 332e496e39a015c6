"""Words that pages and messages put alike."""

from experiments.spec import State
from report.sentences import price_text
from report.words import ascending, parameters_text
from tests.made_up import make_run, waiting


def test_a_text_among_parameters_is_told_from_a_number() -> None:
    assert parameters_text({"hidden": "16", "depth": 2}) == "hidden='16', depth=2"


def test_numbers_stand_by_their_size_and_versions_as_they_follow_upon_each_other() -> None:
    texts = ["16", "2", "none", "2.10.0", "1e-3", "2.9.0", "nan", "0.5", "2", "EPYC"]
    assert ascending(texts) == ["1e-3", "0.5", "2", "16", "2.9.0", "2.10.0", "EPYC", "nan", "none"]


def test_stale_runs_are_told_among_those_to_come() -> None:
    stale, pending = waiting(make_run(0), State.STALE), waiting(make_run(1))
    assert price_text([stale]) == "1 run to come (1 stale), about 0.5 h (a guess)"
    assert price_text([stale, pending]) == "2 runs to come (1 stale), about 1 h (a guess)"
