"""The reproducibility checklist: the program answers what the records tell, and only that; the authors the rest."""

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.spec import ConfigurationError
from report.checking.manuscript import inspect_manuscript
from report.checklist import OPEN, QUESTIONS, REPLIES, Item, Known, answer_all, open_questions, read_answers
from report.pages.prose import fill_in
from report.pages.vocabulary import Vocabulary
from report.unknown import UnknownName
from tests.made_up import make_cell, make_facts
from tests.test_prose import SETTERS

EVERY = [id for part in QUESTIONS.values() for id in part]


def write(folder: Path, text: str) -> Path:
    """A folder with a checklist.yaml whose answers are TEXT."""
    (folder / "checklist.yaml").write_text(f"version: 1\nanswers:{text}\n", encoding="utf-8")
    return folder


def known(*accuracies: list[float], **changes: object) -> Known:
    """What is known of cells with runs of these ACCURACIES, CHANGES made to each record."""
    cells = [make_cell(list(values), kernel_size=3 + 2 * number) for number, values in enumerate(accuracies)]
    records = tuple(replace(status.record, **changes) for cell in cells for status in cell)
    return Known(len(records) + 2, records, tuple(map(len, cells)), {})


def filled(answers: str = " {}", facts: Known | None = None, *, folder: Path) -> dict[str, Item]:
    """The list by question id."""
    given = read_answers(write(folder, answers)) or {}
    return dict(zip(EVERY, answer_all(given, facts or known([0.7, 0.8])), strict=True))


def test_every_question_is_answered_once_and_only_what_records_tell_by_the_program(tmp_path: Path) -> None:
    items = filled(folder=tmp_path)
    assert {id for id, item in items.items() if item.is_computed} == REPLIES.keys()
    assert (
        {id for id, item in items.items() if item.answer == OPEN} == EVERY - REPLIES.keys() == set(open_questions({}))
    )
    assert [item.part for item in items.values() if item.begins] == list(QUESTIONS)


@pytest.mark.parametrize("value", ["yes", "no", "in part", "not applicable", '"yes"'])
def test_an_answer_of_the_authors_is_printed_as_it_stands(tmp_path: Path, value: str) -> None:
    item = filled(f"\n  model: {{answer: {value}, where: [sec:models], note: 'it is.'}}", folder=tmp_path)["model"]
    assert (item.answer, item.where, item.note) == (value.strip('"'), ("sec:models",), "it is")


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ("\n  modle: {answer: yes}", "checklist.yaml: answers: found 'modle'; expected one of "),
        ("\n  model: yes", "checklist.yaml: answers.model: found True; expected a mapping"),
        (
            "\n  model: {answer: maybe}",
            "answers.model.answer: found 'maybe'; expected yes, in part, no, not applicable",
        ),
        ("\n  model: {answer: 1}", "answers.model.answer: found 1; expected yes, in part, no, not applicable"),
        ("\n  model: {where: [sec:data]}", "answers.model: the field 'answer' is missing"),
        ("\n  model: {answer: yes, where: sec:data}", "answers.model.where: found 'sec:data'; expected a list of"),
        ("\n  model: {answer: yes, where: [tab:runs]}", "answers.model.where: found ['tab:runs']; expected a list of"),
        ("\n  model: {answer: yes, note: ''}", "answers.model.note: found ''; expected text that is not empty"),
        ("\n  runs: {answer: yes}", "answers.runs.answer: found True; expected none: this question is answered from"),
        (" []", "checklist.yaml: answers: found []; expected a mapping"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_place(tmp_path: Path, answers: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_answers(write(tmp_path, answers))
    assert message in str(caught.value)


def test_the_program_says_how_many_runs_have_what_is_asked_for(tmp_path: Path) -> None:
    items = filled(facts=known([0.7, 0.8], [0.9]), folder=tmp_path)
    assert (items["runs"].answer, items["runs"].note.partition(", ")[0]) == ("yes", "3 of 5 planned runs are recorded")
    assert (items["variation"].answer, items["variation"].note.partition(";")[0]) == (
        "in part",
        "1 of 2 recorded settings have two runs or more",
    )
    assert (items["seeds"].answer, items["seeds"].note) == ("yes", "3 of 3 recorded runs name theirs")
    assert items["energy"].answer == "no"
    assert items["models"].answer == "no"


@pytest.mark.parametrize(("joules", "answer"), [([1.0, 2.0], "yes"), ([1.0, None], "in part"), ([None, None], "no")])
def test_energy_that_one_run_could_not_read_is_given_in_part(
    tmp_path: Path, joules: list[float | None], answer: str
) -> None:
    facts = known([0.7, 0.8])
    metered = [
        replace(record, cost={**record.cost, "energy_joules": value})
        for record, value in zip(facts.recorded, joules, strict=True)
    ]
    item = filled(facts=replace(facts, recorded=tuple(metered)), folder=tmp_path)["energy"]
    assert item.answer == answer
    assert item.note.startswith(f"{sum(value is not None for value in joules)} of 2 recorded runs")


def test_a_column_that_a_recipe_without_validation_leaves_empty_is_no_result(tmp_path: Path) -> None:
    empty = {"epoch": [1, 2], "validation_accuracy": [None, None]}
    assert filled(facts=known([0.7], history=empty), folder=tmp_path)["validation"].answer == "no"
    measured = {"epoch": [1, 2], "validation_accuracy": [None, 0.5]}
    assert filled(facts=known([0.7], history=measured), folder=tmp_path)["validation"].answer == "yes"


def test_nothing_is_claimed_of_an_empty_ledger(tmp_path: Path) -> None:
    items = filled(facts=Known(5, (), (), {}), folder=tmp_path)
    assert {items[id].answer for id in REPLIES.keys() - {"runs", "claims"}} == {"no"}
    assert items["runs"].note == "0 of 5 planned runs are recorded"


def test_the_papers_own_list_is_complete_and_names_sections_that_are_there(root: Path) -> None:
    answers = read_answers(root / "report/paper")
    assert answers is not None
    assert open_questions(answers) == []
    assert [f for f in inspect_manuscript(root) if "checklist" in f.place or f.rule == "checklist-open"] == []


def paper(folder: Path, answers: str) -> Path:
    """A paper of one section with these ANSWERS."""
    (folder / "report/paper/sections").mkdir(parents=True)
    (folder / "report/paper/sections/10-body.md").write_text("# Body {#sec:body}\n", encoding="utf-8")
    (folder / "report/paper/metadata.yaml").write_text('title: "T"\n', encoding="utf-8")
    (folder / "report/paper/references.bib").write_text("", encoding="utf-8")
    write(folder / "report/paper", answers)
    return folder


def test_a_section_that_is_not_there_and_a_result_in_a_note_are_found(tmp_path: Path) -> None:
    answers = "\n  model: {answer: yes, where: [sec:body, sec:nowhere], note: it reaches 71.2 %}"
    found = {finding.rule: finding for finding in inspect_manuscript(paper(tmp_path, answers))}
    assert found["reference-unknown"].message == "'sec:nowhere' is no section; there are sec:body, sec:origins"
    assert found["typed-result"].place == "report/paper/checklist.yaml: answers.model.note"


def test_prose_repeats_the_list_and_refers_to_its_sections(root: Path, tmp_path: Path) -> None:
    text = (
        "<% for item in checklist() %>\n<% if item.begins %>\n\n## << item.part >>\n\n<% endif %>\n"
        "- << item.question >> << item.answer >><% if item.where %>: << ref(item.where) >><% endif %>\n\n<% endfor %>\n"
    )
    sections = tmp_path / "report/paper/sections"
    sections.mkdir(parents=True)
    (sections / "10-body.md").write_text(text, encoding="utf-8")
    filled_in = fill_in(sections, Vocabulary(make_facts(root)).words, SETTERS, lambda quantity: None)
    assert filled_in.count("\n## ") == len(QUESTIONS)
    assert filled_in.count("\n- ") == len(EVERY)
    assert "- Are the assumptions stated\\? yes: [](#sec:statistics), [](#sec:limits)" in filled_in


def test_a_paper_without_the_file_has_no_list(root: Path) -> None:
    without = Vocabulary(replace(make_facts(root), answers=None))
    with pytest.raises(UnknownName, match=r"checklist\(\): there is no report/paper/checklist.yaml"):
        without.checklist()
