"""The reproducibility checklist: the program answers what records tell, the authors the rest in paper/checklist.yaml.

The questions are those of the checklists of machine learning (Pineau et al., 2021, and the lists that conferences and
ReScience made of it), in our words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.plan_file import suggest
from experiments.spec import FrozenMapping, Record
from experiments.strict_yaml import read_yaml
from report.fields import check_names, line, mapping, refuse
from report.judge.verdict import Verdict
from report.sentences import PLANNED, Numbers, Sentence, counted, joined

FILE = "checklist.yaml"
OPEN = "not answered yet"


class Answer(StrEnum):
    """What can be said to a question."""

    YES = "yes"
    IN_PART = "in part"
    NO = "no"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Answered:
    """What the authors write to one question: an `answer`, none where the program gives it, sections and a note."""

    answer: Answer | None = None
    where: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Item:
    """A question with its answer as a page prints it; `where` are ids of sections, `note` says more.

    `begins` the first of the `part` that the question belongs to.
    """

    part: str
    begins: bool
    question: str
    answer: str
    is_computed: bool
    where: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Known:
    """What the program answers from."""

    planned: int
    recorded: tuple[Record, ...]
    runs_of_cells: tuple[int, ...]  # of those with a run
    verdicts: Mapping[str, Verdict]

    @cached_property
    def numbers(self) -> Numbers:
        """For numbers that come from the recorded runs."""
        return Numbers("checklist", tuple(record.run for record in self.recorded))


_Reply = Callable[[Known], tuple[Answer, str]]

# Part -> id of a question -> the question.
QUESTIONS: Mapping[str, Mapping[str, str]] = {
    "Models and theory": {
        "model": "Is the model described completely?",
        "assumptions": "Are the assumptions stated?",
        "size": "Are the sizes of the models stated, and what training them costs?",
        "theory": "Is every theoretical statement proved?",
    },
    "Data": {
        "statistics": "Is it told how many examples and classes the data have?",
        "splits": "Is it told what was trained on, validated on and tested on?",
        "preparation": "Is it told what was left out, and how the rest was prepared?",
        "access": "Is it told where the data can be had, and under which licence?",
        "collection": "For data of our own: is it told how they were collected?",
    },
    "Code": {
        "dependencies": "Are all dependencies named with their versions?",
        "training": "Is the code that trains there?",
        "evaluation": "Is the code that evaluates there?",
        "models": "Are the trained models there, or which examples each of them got right?",
        "commands": "Does each result have the command that makes it?",
        "licence": "Has the code a licence that lets others use it?",
        "archive": "Is the code kept by an archive, under an identifier?",
    },
    "Experiments": {
        "hyperparameters": "Are all hyperparameters given, with the ranges tried and how they were chosen?",
        "deviations": "Are the differences from the original's procedure listed?",
        "runs": "Is the number of runs given, with those that were interrupted or are missing?",
        "seeds": "Are the seeds given?",
        "selection": "Was nothing chosen by results on the test set?",
        "measure": "Is the measure defined?",
        "variation": "Does each mean stand with its number of runs and its spread?",
        "intervals": "Is it told what the intervals cover, which tests were made, and how many of them?",
        "rules": "Were the rules of judgement fixed before the results?",
        "validation": "Are results on validation data there beside those on test data?",
        "time": "Is the time of training given?",
        "energy": "Is the energy of training given?",
        "machines": "Are the machines and the versions described?",
    },
    "Conclusions": {
        "claims": "Is every claim listed with its source, and judged or said to be untested?",
        "origins": "Can each number be followed to the runs that it comes from?",
        "limitations": "Are the limitations told?",
        "contact": "Were the authors of the original asked?",
    },
}


def _size(known: Known) -> tuple[Answer, str]:
    counting = sum("parameters" in record.metrics for record in known.recorded)
    return _share(known, counting, "size", "runs that counted the parameters of their model", "count their parameters")


def _models(known: Known) -> tuple[Answer, str]:
    keeping = sum(record.correct is not None for record in known.recorded)
    what = "runs that keep which examples were right"
    return _share(known, keeping, "models", what, "keep which examples were right")


def _runs(known: Known) -> tuple[Answer, str]:
    numbers = Numbers("checklist", PLANNED)
    recorded = numbers.count("recorded", len(known.recorded), "recorded runs")
    planned = numbers.count("planned", known.planned, "planned runs")
    attempts = [record.cost.get("attempts") for record in known.recorded]
    tries: tuple[Any, ...] = ()
    if attempts and None not in attempts:
        tries = (", in ", counted(known.numbers.count("attempts", sum(attempts), "attempts"), "attempt"))
    return Answer.YES, Sentence(recorded, " of ", planned, " planned runs are recorded", *tries)


def _seeds(known: Known) -> tuple[Answer, str]:
    seeded = sum("seed" in record.parameters for record in known.recorded)
    return _share(known, seeded, "seeds", "runs that name their seed", "name theirs")


def _variation(known: Known) -> tuple[Answer, str]:
    several = sum(runs > 1 for runs in known.runs_of_cells)
    numbers = known.numbers
    settings = counted(numbers.count("settings", len(known.runs_of_cells), "settings with a run"), "recorded setting")
    shown = numbers.count("settings-with-spread", several, "settings with two runs or more")
    text = Sentence(shown, " of ", settings, " have two runs or more; of a single one no spread can be shown")
    return _how_many(several, len(known.runs_of_cells)), text


def _validation(known: Known) -> tuple[Answer, str]:
    having = sum(map(_was_validated, known.recorded))
    return _share(known, having, "validation", "runs with results on validation data", "have them, in their records")


def _was_validated(record: Record) -> bool:
    """Whether RECORD has a number on validation data; a recipe that trains on all images leaves them empty."""
    columns = record.history.items()
    return any(value is not None for name, column in columns if name.startswith("validation_") for value in column)


def _time(known: Known) -> tuple[Answer, str]:
    timed = sum(record.cost.get("seconds") is not None for record in known.recorded)
    return _share(known, timed, "time", "runs with their time", "have theirs")


def _energy(known: Known) -> tuple[Answer, str]:
    metered = sum(record.cost.get("energy_joules") is not None for record in known.recorded)
    return _share(known, metered, "energy", "runs that read the energy of their device", "could read it")


def _machines(known: Known) -> tuple[Answer, str]:
    naming = sum(bool(record.provenance.get("versions")) for record in known.recorded)
    return _share(known, naming, "machines", "runs that name their machine and versions", "name theirs")


def _claims(known: Known) -> tuple[Answer, str]:
    numbers = Numbers("checklist", PLANNED)
    judged = sum(verdict.is_tested for verdict in known.verdicts.values())
    claims = counted(numbers.count("claims", len(known.verdicts), "claims"), "claim")
    untested = numbers.count("claims-untested", len(known.verdicts) - judged, "claims without a run")
    return Answer.YES, Sentence(claims, ", ", untested, " of them said to be untested")


def _share(known: Known, having: int, name: str, what: str, do: str) -> tuple[Answer, str]:
    """HAVING of all recorded runs DO what is asked for."""
    numbers, all_runs = known.numbers, len(known.recorded)
    part = numbers.count(f"{name}-runs", having, what)
    whole = counted(numbers.count("runs", all_runs, "recorded runs"), "recorded run")
    return _how_many(having, all_runs), Sentence(part, " of ", whole, f" {do}")


def _how_many(having: int, of: int) -> Answer:
    if not having:
        return Answer.NO
    return Answer.YES if having == of else Answer.IN_PART


# What the program answers; the authors answer the rest.
REPLIES: Mapping[str, _Reply] = {
    "size": _size,
    "models": _models,
    "runs": _runs,
    "seeds": _seeds,
    "variation": _variation,
    "validation": _validation,
    "time": _time,
    "energy": _energy,
    "machines": _machines,
    "claims": _claims,
}


def read_answers(paper: Path) -> Mapping[str, Answered] | None:
    """The authors' answers in the folder PAPER by question; None where there is no checklist.yaml.

    Raises ConfigurationError, naming question and field, for what is no answer.
    """
    path = paper / FILE
    if not path.is_file():
        return None
    content = read_yaml(path)
    check_names(content, {"version", "answers"}, {"version", "answers"}, FILE)
    if content["version"] != 1:
        refuse(f"{FILE}: version", content["version"], "1")
    known = [id for part in QUESTIONS.values() for id in part]
    answers = {}
    for id, item in mapping(content["answers"], f"{FILE}: answers").items():
        if id not in known:
            refuse(f"{FILE}: answers", id, f"one of {', '.join(known)}{suggest(str(id), known)}")
        answers[id] = _read_answer(id, item, f"{FILE}: answers.{id}")
    return FrozenMapping(answers)


def _read_answer(id: str, item: Any, place: str) -> Answered:
    fields = {"where", "note"} if id in REPLIES else {"answer", "where", "note"}
    if id in REPLIES and "answer" in mapping(item, place):
        refuse(f"{place}.answer", item["answer"], "none: this question is answered from the records")
    check_names(mapping(item, place), fields, fields - {"where", "note"}, place)
    where = item.get("where", [])
    if not isinstance(where, list) or not all(isinstance(one, str) and one.startswith("sec:") for one in where):
        refuse(f"{place}.where", where, "a list of sections, as in [sec:data]")
    note = line(item["note"], f"{place}.note").rstrip(".") if "note" in item else ""
    return Answered(_as_answer(item["answer"], f"{place}.answer") if "answer" in item else None, tuple(where), note)


def _as_answer(value: Any, place: str) -> Answer:
    """VALUE as an answer; to YAML a bare yes or no is true or false."""
    words = ("no", "yes")[value] if isinstance(value, bool) else value
    if words not in list(Answer):
        refuse(place, value, ", ".join(Answer))
    return Answer(words)


def answer_all(answers: Mapping[str, Answered], known: Known) -> tuple[Item, ...]:
    """The whole list, with the ANSWERS of the authors and those that follow from what is KNOWN."""
    items = []
    for part, questions in QUESTIONS.items():
        for number, (id, question) in enumerate(questions.items()):
            given = answers.get(id, Answered())
            answer, note = REPLIES[id](known) if id in REPLIES else (given.answer or OPEN, "")
            notes = joined("; ", (note, given.note))
            items.append(Item(part, number == 0, question, str(answer), id in REPLIES, given.where, notes))
    return tuple(items)


def open_questions(answers: Mapping[str, Answered]) -> list[str]:
    """The ids of the questions that only the authors can answer, and have not."""
    return [id for part in QUESTIONS.values() for id in part if id not in REPLIES and id not in answers]
