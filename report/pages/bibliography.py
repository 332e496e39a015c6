"""references.bib and the citation style: their entries, and what both may hold, which is no program and no address.

The fields of an entry are TeX's language, and report/out/rescience hands them on to TeX as they stand: a title could
read files or, where TeX is allowed to, start programs. A style can name a parent, which pandoc would fetch from the
web, and entities, which can grow without end.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.reading import read_text
from experiments.spec import ConfigurationError

# Accents, letters and punctuation that TeX spells, and what sets words apart.
_STYLES = ("emph", "textbf", "textit", "textsc", "texttt", "textsuperscript", "textsubscript")
_MARKS = ("textendash", "textemdash", "textquotesingle", "times", "cdot")
_ACCENTS = ("c", "k", "r", "u", "v", "H", "b", "d", "t")
_LETTERS = ("aa", "AA", "ae", "AE", "oe", "OE", "o", "O", "l", "L", "ss", "i", "j", "dh", "DH", "th", "TH")
_GREEK = ("alpha", "beta", "gamma", "delta", "epsilon", "lambda", "mu", "pi", "sigma", "omega")
COMMANDS = frozenset((*_STYLES, *_MARKS, *_ACCENTS, *_LETTERS, *_GREEK))
_COMMAND = re.compile(r"\\([A-Za-z]+|.)", re.DOTALL)
_ENTRY_TYPE = re.compile(r"@\s*preamble\b", re.IGNORECASE)
_ENTRY = re.compile(r"^\s*@(?!comment|string|preamble)\w+\s*\{\s*([^,\s]+)\s*,", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(r"[\s,]*(\w+)\s*=\s*")
_BARE = re.compile(r"[^\s,}]*")  # a number, or the name of a text


@dataclass(frozen=True)
class Entry:
    """A work: the line where its entry begins, and its fields by their names in small letters, in TeX's language."""

    line: int
    fields: Mapping[str, str]


def read_bibliography(paper: Path) -> dict[str, Entry]:
    """The entries of references.bib in the folder PAPER; none where there is no such file."""
    path = paper / "references.bib"
    return read_entries(read_text(path)) if path.is_file() else {}


def read_entries(text: str) -> dict[str, Entry]:
    """The entries of a bibliography by their keys, each on one line or on many."""
    return {
        found[1]: Entry(text.count("\n", 0, found.start(1)) + 1, _read_fields(text, found.end()))
        for found in _ENTRY.finditer(text)
    }


def _read_fields(text: str, at: int) -> dict[str, str]:
    fields: dict[str, str] = {}
    while found := _FIELD.match(text, at):
        value, at = _read_value(text, found.end())
        fields[found[1].lower()] = " ".join(value.split())
    return fields


def _read_value(text: str, at: int) -> tuple[str, int]:
    """What a field is set to at AT, and where that ends: within braces of its own the sign that would end it does not."""
    closing = {"{": "}", '"': '"'}.get(text[at : at + 1])
    if closing is None:
        bare = _BARE.match(text, at)
        return (bare[0], bare.end()) if bare else ("", at)
    depth = 0
    for end in range(at + 1, len(text)):
        if text[end] == closing and not depth:
            return text[at + 1 : end], end + 1
        depth += (text[end] == "{") - (text[end] == "}")
    return text[at + 1 :], len(text)


def check_bibliography(path: Path) -> None:
    """Raises ConfigurationError, with file and line, where PATH holds what TeX would act upon."""
    text = read_text(path)
    for found in _COMMAND.finditer(text):
        if found[1].isalpha() and found[1] not in COMMANDS:
            _refuse(
                path, text, found.start(), f"the command {found[0]!r}; expected accents and \\emph, \\texttt or \\_"
            )
    for wrong, what in ((re.compile(r"\^\^"), "'^^', which spells any character for TeX"), (_ENTRY_TYPE, "a preamble")):
        if found := wrong.search(text):
            _refuse(path, text, found.start(), f"{what}; remove it")


def check_style(path: Path) -> None:
    """Raises ConfigurationError where the style PATH would have something fetched or expanded."""
    text = read_text(path)
    for wrong, what in (
        ("independent-parent", "a parent, which would be fetched"),
        ("<!DOCTYPE", "a declaration of entities"),
    ):
        if wrong in text:
            _refuse(path, text, text.index(wrong), f"{what}; expected an independent style")


def _refuse(path: Path, text: str, position: int, what: str) -> None:
    raise ConfigurationError(f"{path.name}:{text.count(chr(10), 0, position) + 1}: found {what}")
