"""The benchmark of the judge asks each of its questions, and its page says which shares are not what is stated."""

from numpy.random import default_rng

from benchmarks.judge import ERRORS, ROOM, Share, make_page, measure
from benchmarks.judge_errors import list_errors
from benchmarks.judge_papers import Question, make_sweep, make_ways
from benchmarks.judge_power import list_power
from tests.judging import sweep, ways


def question(stated: float = 0.05, *, is_held: bool = True) -> Question:
    return Question("kind", "what is true", "counted", stated, lambda noise: bool(noise.random() < 0.25), is_held)


def test_every_question_is_answered_and_each_is_asked_once() -> None:
    questions = (*list_errors(), *list_power())
    for asked in questions:
        assert asked.answer(default_rng(0)) in (True, False), asked
    assert len({(asked.kind, asked.truth, asked.asked) for asked in questions}) == len(questions)


def test_drawn_cells_are_those_of_the_tests_bench() -> None:
    levels = ([0.7, 0.71, 0.72], [0.69, 0.7])
    assert [cell.values() for cell in make_sweep(*levels).cells("sweep")] == [
        cell.values() for cell in sweep(*levels).cells("sweep")
    ]
    assert [cell.values() for cell in make_ways(*levels).cells("sweep")] == [
        cell.values() for cell in ways(*levels).cells("sweep")
    ]
    assert make_sweep([0.5, 0.6, 0.7], [0.1, 0.2]).cells("sweep")[0].values() == (0.5, 0.6, 0.7)
    assert make_sweep(*levels).cells("sweep")[0].values() == tuple(levels[0])


def test_the_same_papers_are_drawn_each_time() -> None:
    first, again = (measure([question(), question()], 3000, is_error=True) for _ in range(2))
    assert [share.yes for share in first] == [share.yes for share in again]
    assert first[0].yes != first[1].yes


def test_a_share_beyond_the_stated_one_is_called_so_and_fails_beyond_its_room() -> None:
    kept, near, far = (Share(question(), yes, 10_000, True) for yes in (560, 580, 620))
    assert (kept.beyond, kept.is_kept) == (0.0, True)
    assert (round(near.beyond, 4), near.is_kept, far.is_kept) == (0.008, True, False)
    weak = Share(question(0.8), 7_700, 10_000, False)
    assert (round(weak.beyond, 4), weak.is_kept) == (0.03, False)
    assert Share(question(0.8, is_held=False), 10, 10_000, False).is_kept
    assert ERRORS > 2 and ROOM[True] < ROOM[False]


def test_the_page_lists_what_is_beyond() -> None:
    errors = [Share(question(), 500, 10_000, True), Share(question(), 580, 10_000, True)]
    page = make_page(errors, [Share(question(0.8, is_held=False), 1_200, 2_000, False)], 60.0)
    assert (
        "Of 2 lines on error that are held to what is stated, 1 keep it; the others: kind, what is true: 5.80 %."
        in page
    )
    assert (
        "| kind | what is true | counted | 10,000 | ≤ 5.00 % | 5.80 % | 5.36 % to 6.28 % | **0.80 pp beyond** |" in page
    )
    assert "| kind | what is true | counted | 2,000 | ≥ 80.00 % | 60.00 % | 57.84 % to 62.13 % | told |" in page
