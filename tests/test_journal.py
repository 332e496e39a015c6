"""The journal's own tools read our metadata.yaml without a crash, a blank or a lost author, whatever stands in it."""

from typing import Any

import pytest
import yaml

from report.pages.journal import (
    escape_field,
    faults,
    is_orcid,
    journal_fields,
    long_date,
    split_name,
    to_latex,
    to_yaml,
)
from tests.small_paper import HOSTILE

METADATA: dict[str, Any] = {
    "title": "[Re] Patches & more",
    "authors": [
        {"name": "Ann  B. Lee-Ray", "orcid": "0000-0002-1825-0097", "email": "a@example.org", "affiliations": "1, 2,*"},
        {"name": "Roe III, Bob", "orcid": None, "affiliations": "2"},
    ],
    "affiliations": [{"code": 1, "name": "A & B", "address": None}, {"code": "2", "name": "C", "address": "Town"}],
    "keywords": "rescience c, machine learning, 100 %",
    "abstract": "Ours & theirs: 5 % of #1",
    "type": "Replication",
    "domain": "Machine Learning",
    "language": "Python",
    "bibliography": "references.bib",
    "code": [{"url": "https://example.org/code"}],
    "replication": [{"cite": "A & B. T, 2022.", "bib": "ab", "url": "https://example.org/a.pdf"}],
    "dates": [{"received": "2026-01-02"}],
}


def read_as_the_journal_does(text: str) -> dict[str, Any]:
    """What the journal's parser takes from metadata.yaml: it asks for keys by index, splits at commas, and so on."""
    document = yaml.safe_load(text)
    for key in ("keywords", "type", "domain", "language", "bibliography", "review", "contributors"):
        assert document[key] is not None
    lists = {name: {k: v for entry in document[name] for k, v in entry.items()} for name in document if name in LISTS}
    for name, keys in LISTS.items():
        assert all(isinstance(lists[name][key], str) for key in keys), name
    contacts = [author for author in document["authors"] if "*" in author["affiliations"].split(",")]
    assert len(contacts) == 1, "without a contact the tool ends with an AttributeError"
    for author in document["authors"]:
        assert all(word for word in author["name"].split(" ")), "the tool takes the first letter of every word"
        assert len(author["orcid"]) in (0, 19)
    assert all(len(entry["address"]) >= 0 for entry in document["affiliations"])
    roles = [entry["role"] for entry in document["contributors"]]
    assert roles.count("editor") >= 1 and roles.count("reviewer") >= 2
    return document | lists


LISTS = {
    "code": ("url", "doi", "swh"),
    "data": ("url", "doi"),
    "replication": ("cite", "bib", "url", "doi"),
    "review": ("url",),
    "dates": ("received", "accepted", "published"),
    "article": ("number", "doi", "url"),
    "journal": ("name", "issn", "volume", "issue"),
}


def test_every_key_is_there_and_every_value_a_text() -> None:
    read = read_as_the_journal_does(to_yaml(journal_fields(METADATA)))
    assert read["title"] == r"[Re] Patches \& more"
    assert [author["name"] for author in read["authors"]] == ["Ann B. Lee-Ray", "Roe III, Bob"]
    assert [author["affiliations"] for author in read["authors"]] == ["1,2,*", "2"]
    assert read["affiliations"] == [
        {"code": "1", "name": r"A \& B", "address": ""}, {"code": "2", "name": "C", "address": "Town"},
    ]  # fmt: skip
    assert read["dates"]["received"] == "2026-01-02"  # unquoted it would be a date object, printed blank
    assert read["bibliography"] == "bibliography.bib"
    assert read["abstract"] == r"Ours & theirs: 5 \% of \#1"  # the tool escapes & itself, and only that


def test_hostile_text_stays_one_line_of_text() -> None:
    hostile = {**METADATA, "title": f"[Re] {HOSTILE}\nnext", "abstract": HOSTILE, "keywords": HOSTILE}
    read = read_as_the_journal_does(to_yaml(journal_fields(hostile)))
    assert read["title"] == escape_field(f"[Re] {HOSTILE} next")
    assert r"\& \% \_ \# \$ \{ \} \textasciitilde{} \textasciicircum{} \textbackslash{}" in read["title"]


def test_the_definitions_are_those_of_the_journals_tool() -> None:
    lines = to_latex(journal_fields(METADATA)).splitlines()
    assert r"\def \authorsFULL{Ann B. Lee-Ray and Roe III, Bob}" in lines
    assert r"\def \authorsABBRV{A.B. Lee-Ray and B. Roe III}" in lines
    assert r"\def \authorsSHORT{Lee-Ray and Roe III}" in lines
    assert r"\def \dateRECEIVED{02 January 2026}" in lines
    assert r"\def \articleYEAR{}" in lines
    assert r"\def \articleABSTRACT{Ours \& theirs: 5 \% of \#1}" in lines
    assert r"\def \contactEMAIL{a@example.org}" in lines
    assert lines[-4:] == [
        r"\author[1,2,\orcid{0000-0002-1825-0097}]{Ann B. Lee-Ray}", r"\author[2]{Roe III, Bob}",
        r"\affil[1]{A \& B}", r"\affil[2]{C, Town}",
    ]  # fmt: skip
    assert len([line for line in lines if line.startswith(r"\def ")]) == 36


def test_more_than_three_authors_are_the_first_and_others() -> None:
    people = [{"name": f"Ann Lee{n}", "affiliations": "1,*" if n == 0 else "1"} for n in range(4)]
    assert r"\def \authorsABBRV{A. Lee0 et al.}" in to_latex(journal_fields({**METADATA, "authors": people}))


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"authors": [{"name": "A", "affiliations": None}]}, "authors[1].affiliations", "names no affiliation"),
        ({"authors": [{"name": "A", "affiliations": "9,*"}]}, "authors[1].affiliations", "names 9, which affiliations"),
        (
            {"authors": [{"name": "A", "affiliations": "1,*", "orcid": "0000-0002-1825-0098"}]},
            "authors[1].orcid", "'0000-0002-1825-0098' is no ORCID such as",
        ),
        ({"code": [{"url": "https://example.org/#readme"}]}, "code.url", "at which the journal's LaTeX stops"),
        ({"keywords": "machine learning"}, "keywords", "lack 'rescience c'"),
        ({"type": "Essay"}, "type", "'Essay' is none of a report's"),
    ],
)  # fmt: skip
def test_what_the_journal_cannot_take_is_named(change: dict[str, Any], field: str, message: str) -> None:
    ((found, why),) = faults({**METADATA, **change})
    assert found == field
    assert message in why


def test_sound_metadata_has_no_fault() -> None:
    assert list(faults(METADATA)) == []


def test_names_dates_and_orcids() -> None:
    assert [is_orcid(text) for text in ("0000-0002-1694-233X", "0000-0002-1694-2330", "x")] == [True, False, False]
    assert split_name("Ann B. Lee") == ("Ann B.", "Lee")
    assert split_name("Plato") == ("", "Plato")
    assert [long_date(text) for text in ("November 1, 2018", "2018-11-01", "soon", "")] == [
        "01 November 2018", "01 November 2018", "soon", "",
    ]  # fmt: skip
