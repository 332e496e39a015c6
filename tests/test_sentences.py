"""A sentence is the text that it reads as, and its numbers stay numbers that lead somewhere."""

import json
import pickle
from pathlib import Path

import pytest

from report.pages.formats import FORMATS, environment
from report.quantities import Kind, count
from report.sentences import Numbers, Sentence, joined, quantities_of, without_stop
from tests.small_paper import accuracy

NUMBERS = Numbers("claim/it", ("run-s0",))
THREE = NUMBERS.count("three", 3, "three of them")


def test_a_sentence_is_the_text_that_it_reads_as() -> None:
    sentence = Sentence("of ", THREE, " runs, ", Sentence("p = ", NUMBERS.probability("p", 0.0123, "a p")))
    assert sentence == "of 3 runs, p = 0.012"
    assert json.dumps(sentence) == '"of 3 runs, p = 0.012"'
    assert [quantity.id for quantity in quantities_of(sentence)] == ["claim/it/three", "claim/it/p"]
    assert quantities_of("of 3 runs") == ()


def test_a_quantity_in_a_sentence_reads_as_it_does_on_a_page() -> None:
    assert Sentence("it has ", accuracy()) == f"it has {accuracy().parts.text}"


def test_sentences_that_are_joined_or_lose_their_stop_keep_their_numbers() -> None:
    whole = joined("; ", ("", "one", Sentence(THREE, "."), THREE))
    assert (whole, len(quantities_of(whole))) == ("one; 3.; 3", 2)
    assert (without_stop(Sentence(THREE, " a.")), without_stop("a."), without_stop("")) == ("3 a", "a", "")
    assert quantities_of(without_stop(Sentence(THREE, "."))) == (THREE,)


def test_a_sentence_goes_to_another_process_with_its_numbers() -> None:
    sentence = pickle.loads(pickle.dumps(Sentence("of ", THREE)))
    assert (sentence, quantities_of(sentence)) == ("of 3", (THREE,))


@pytest.mark.parametrize(
    ("seconds", "text", "kind"), [(45, "45 s", Kind.NUMBER), (700, "12 min", Kind.NUMBER), (9000, "2.5 h", Kind.HOURS)]
)
def test_a_rough_time_has_the_unit_that_suits_it(seconds: float, text: str, kind: Kind) -> None:
    time = NUMBERS.rough_time("time", seconds, "a price")
    assert (time.parts.text, time.kind) == (text, kind)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("markdown", "a\\_b p&nbsp;=&nbsp;[3](#cell:a); c"),
        ("latex", r"a\_b p~=~\origin{cell:a}{3}; c"),
        ("html", 'a_b p&nbsp;=&nbsp;<a class="q" href="#cell:a" data-q="a/b">3</a>; c'),
        ("typst", r'a\_b p~\=~#origin("cell:a")[3];; c'),
    ],
)
def test_each_format_escapes_the_words_of_a_sentence_and_links_its_numbers(root: Path, name: str, text: str) -> None:
    finalize = environment(FORMATS[name], root / "templates", anchor_of=lambda quantity: "cell:a").finalize
    sentence = Sentence("a_b p = ", count("a/b", 3, "threes"), "; c")
    assert finalize(sentence) == text
    assert "cell:a" not in finalize.sentence(sentence, link=False)
