"""report/out/rescience: the paper in the files and shapes of the ReScience C template, from the parts of report.tex.

The journal's template inputs metadata.tex, content.tex and a bibliography for biblatex. Here the body of report.tex is
cut into summary, content and appendix, and its citations become commands of biblatex again, which numbers them.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from experiments.spec import ReproductionError
from report.pages.formats import FORMATS, Format, Fragment, environment, find_templates, render_template
from report.pages.journal import BIBLIOGRAPHY, journal_fields, to_latex, to_yaml

SUBMISSION = "rescience"
_FORMAT = Format(SUBMISSION, "tex", FORMATS["latex"].escape, FORMATS["latex"].brackets)
_CITATION = re.compile(r"\{\[\}((?:\\citeproc\{ref-[^{}]+\}\{\d+\}(?:, )?)+)\{\]\}")
_KEY = re.compile(r"\\citeproc\{ref-([^{}]+)\}")
# The list of references as pandoc writes it; a paper without citations has only its heading.
_REFERENCES = re.compile(
    r"\\section\*\{References\}[^\n]*\n(?:\\addcontentsline[^\n]*\n)?\n*"
    r"(?:\\protect\\phantomsection\\label\{refs\}\n?)?"
    r"(?:\\begin\{CSLReferences\}.*?\\end\{CSLReferences\}\n*)?",
    re.DOTALL,
)
_RUN_IN = re.compile(r"^\\textbf\{([^{}]+)\} --- ", re.MULTILINE)


@dataclass(frozen=True)
class Manuscript:
    """The three files of prose that the journal's article.tex inputs, as LaTeX; the appendix may be empty."""

    summary: str
    content: str
    appendix: str


def cut(body: str) -> Manuscript:
    """BODY of report.tex as summary, content and appendix. Raises ReproductionError where it is not of this shape."""
    parts = body.split("\n\\newpage\n", 1)
    rest, removed = _REFERENCES.subn("", parts[-1])
    if len(parts) != 2 or removed != 1:
        raise ReproductionError(
            "report.tex cannot be cut into the journal's files: expected the summary, \\newpage, the sections and one "
            "list of references; put the summary first and number the sections after it"
        )
    content, _, appendix = rest.partition("\n\\appendix\n")
    summary = _RUN_IN.sub(r"\\subsubsection*{\1} ", parts[0])
    return Manuscript(*(cite(part.strip("\n")) for part in (summary, content, appendix)))


def cite(text: str) -> str:
    """TEXT with `\\cite{key}` where citeproc set a number. Raises ReproductionError where one is left over."""
    cited = _CITATION.sub(lambda found: rf"\cite{{{','.join(_KEY.findall(found[1]))}}}", text)
    left = re.search(r".{0,40}\\citeproc.{0,60}", cited)
    if left:
        raise ReproductionError(
            f"report.tex has a citation that biblatex cannot be given: {left[0]!r}; cite by [@key] or [@key; @other]"
        )
    return cited


def write_submission(
    folder: Path, root: Path, metadata: Mapping[str, Any], report: jinja2.Template, values: Mapping[str, Any]
) -> None:
    """Write FOLDER/rescience from the LaTeX template REPORT and its VALUES; FOLDER has the figures as PDF already.

    Raises ReproductionError where the body cannot be cut.
    """
    place = folder / SUBMISSION
    (place / "figures").mkdir(parents=True)
    shutil.copyfile(root / "report/paper/references.bib", place / BIBLIOGRAPHY)
    fields = journal_fields(metadata)
    manuscript = cut(str(values["body"]))
    context = report.new_context(dict(values))
    macros = {name: Fragment("".join(report.blocks[name](context)).strip("\n")) for name in ("standins", "macros")}
    texts = {"metadata.yaml": to_yaml(fields), "metadata.tex": to_latex(fields)}
    made = environment(_FORMAT, find_templates(root))
    for name, text in vars(manuscript).items():
        if text:
            texts[f"{name}.tex"] = _set(made, "section", body=Fragment(text))
    texts["packages.tex"] = _set(made, "packages", **macros)
    texts["plain.tex"] = _set(made, "plain")
    texts["article.tex"] = _set(made, "article", front=values["front"], appendix=manuscript.appendix)
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")
    for path in sorted((folder / "figures").glob("*.pdf")):
        if any(f"figures/{path.stem}" in text for text in texts.values()):  # one that stands nowhere is not submitted
            shutil.copyfile(path, place / "figures" / path.name)


def _set(made: jinja2.Environment, name: str, **values: Any) -> str:
    return render_template(made, f"{name}.tex", f"templates/{SUBMISSION}/{name}.tex", values).strip("\n") + "\n"
