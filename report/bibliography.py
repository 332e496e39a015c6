"""What references.bib and the citation style may hold: words, accents and a few commands; no program and no address.

The fields of an entry are TeX's language, and report/out/rescience hands them on to TeX as they stand: a title could
read files or, where TeX is allowed to, start programs. A style can name a parent, which pandoc would fetch from the
web, and entities, which can grow without end.
"""

import re
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
