"""What a check can find: the rules, each with an id that stays, and a finding with its place."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from experiments.git import GitFailed

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Rule:
    """A rule that a finished report keeps; ERROR or WARNING, what it asks, and what to do where it is broken."""

    severity: Severity
    what: str
    fix: str


RULES = {
    "ledger-fault": Rule(
        "error", "every record is whole and belongs to the plan", "restore the record, or run it again"
    ),
    "stale-record": Rule(
        "error", "every record was made by today's code", "run it again, or keep it with `build.py accept RUN --why …`"
    ),
    "git-unchecked": Rule(
        "error",
        "where there is a repository, git tells its past",
        "make `git log` work there: install git, or let it trust the folder as its message says",
    ),
    "past-missing": Rule(
        "warning",
        "the clone has the whole past, in which edits of records show",
        "`git fetch --unshallow`, or clone the repository, without --depth",
    ),
    "record-changed": Rule(
        "warning", "committed records are as they were committed", "commit the new run, or `git checkout` the record"
    ),
    "record-edited": Rule(
        "error",
        "no record differs from what git ever held of the same run, but for being accepted",
        "restore it from git, or run it again: `build.py run RUN --force`",
    ),
    "record-repeated": Rule(
        "warning",
        "no run was made again by the same code and gave another result",
        "say in the report why it was made again and what it gave before; another device or number of threads is a reason",
    ),
    "record-dropped": Rule(
        "warning",
        "every run that git's past has a record of is recorded still",
        "restore the record from git and plan its run, or say in the report why it is left out",
    ),
    "notebook-differs": Rule(
        "error",
        "every executed notebook that is kept shows the numbers of its record",
        "restore the notebook from git, or run it again: `build.py run RUN --force`",
    ),
    "notebook-outputs": Rule(
        "warning",
        "a notebook that runs begin from holds no outputs, which no run of the plan has made",
        "clear them in Jupyter, or by `jupyter nbconvert --clear-output --inplace FILE`; a record does not go stale by it",
    ),
    "record-dirty": Rule(
        "warning",
        "every record was made from committed code",
        "commit the code and run it again: nobody else can check out what made it",
    ),
    "value-stale": Rule(
        "error", "no page lacks a number because its records are stale", "run them again, or `build.py accept` them"
    ),
    "value-pending": Rule(
        "warning", "every planned run is recorded, as a finished report has it", "run them: `build.py run --group …`"
    ),
    "ignored-tracked": Rule(
        "error",
        "git tracks no cache, which is trusted, and no file that it is told to ignore",
        "git rm --cached FILE; a cache is made by each machine for itself",
    ),
    "record-copied": Rule(
        "error",
        "no record is another run's, image by image and epoch by epoch",
        "run it again: two trainings never agree so far, so that the copy is no second run",
    ),
    "mixed-fidelity": Rule(
        "warning",
        "the runs of a cell agree in data, epochs, recipe and precision",
        "run the odd ones again under the settings of the others; till then the cell has no number",
    ),
    "claim-untested": Rule(
        "warning", "every claim has been tested", "run what it waits for, or say in the report why it stays untested"
    ),
    "checklist-open": Rule(
        "warning",
        "every question of the checklist has an answer",
        "answer it in report/paper/checklist.yaml: yes, in part, no or not applicable, and in which section",
    ),
    "title-prefix": Rule(
        "warning", "the title says [Re] or [¬Re]", "nothing by hand: it comes with the verdicts on the main claims"
    ),
    "rule-changed": Rule(
        "warning",
        "every claim's rule is as it was before the runs that it judges",
        "restore the rule in claims.yaml, or leave the change and its mention in the report for readers to judge",
    ),
    "output-differs": Rule(
        "error", "tracked outputs are what a build makes", "run `python build.py` and look at the change"
    ),
    "output-missing": Rule("error", "every output is there", "run `python build.py`"),
    "output-unknown": Rule(
        "error", "report/out holds nothing else", "move the file; report/out is replaced as a whole"
    ),
    "pdf-unchecked": Rule(
        "warning", "PDFs can be compared with a build's", "build them with the locked version of typst, or read them"
    ),
    "build-fails": Rule("error", "the report can be built", "fix what the message names"),
    "placeholder": Rule(
        "error", "no placeholder or instruction is left in the prose", "write the sentence, or delete it"
    ),
    "typed-result": Rule(
        "error",
        "no result or verdict is typed in the prose",
        "print it as a quantity, such as << accuracy(…) >> or << original(…) >>, or as << verdict(…) >>",
    ),
    "raw-format": Rule(
        "error", "the prose is Markdown, and the same in every format", "write it as Markdown, or put it in a template"
    ),
    "image": Rule(
        "error", "figures are declared, numbered and drawn from records", "declare it in figures.yaml: << figure(…) >>"
    ),
    "citation-unknown": Rule(
        "error", "every citation has an entry", "correct the key, or add the entry to references.bib"
    ),
    "entry-unused": Rule("warning", "every entry of references.bib is cited", "cite it, or delete the entry"),
    "reference-unknown": Rule(
        "error", "every reference has its target", "place the table or figure, or correct the name"
    ),
    "reference-typed": Rule(
        "warning",
        "tables, figures and sections are referred to by name, and numbered by the build",
        "write << ref('fig:…') >>, << ref('tab:…') >> or << ref('sec:…') >>; of another work say `Table 2 of [@key]`",
    ),
    "float-unreferenced": Rule("warning", "every table and figure is mentioned", "mention it with << ref(…) >>"),
    "claim-unused": Rule(
        "error",
        "every claim is printed with its verdict",
        "print << verdict(…) >> or place a table of verdicts, or delete the claim",
    ),
    "formats-differ": Rule(
        "error", "every format prints the same numbers", "fix the template of the format that lacks the number"
    ),
    "broken-link": Rule(
        "error", "every link within the report leads somewhere", "correct the link, or place what it leads to"
    ),
    "alt-text": Rule("error", "every picture says in words what it shows", "give the figure an `alt` of a sentence"),
    "overfull-box": Rule("warning", "no line sticks out of the page", "shorten the line or the table's cells"),
    "missing-glyph": Rule(
        "warning", "every letter has a glyph", "write it with letters that the font has, or name another font"
    ),
    "tex-unchecked": Rule(
        "warning", "boxes and glyphs can be looked at in TeX's log", "install TeX Live's xelatex and latexmk"
    ),
    "metadata-incomplete": Rule("error", "metadata.yaml has what the journal needs", "fill in the field"),
    "metadata-example": Rule("warning", "metadata.yaml names real people and places", "replace the example"),
    "metadata-journal": Rule(
        "error", "the journal's own tools take metadata.yaml", "write the field as the message says"
    ),
    "citation-file": Rule(
        "warning", "CITATION.cff says what metadata.yaml says", "run `python build.py bundle`, which writes it"
    ),
    "summary-heading": Rule(
        "error",
        "the summary has its six headings, each at the start of a paragraph",
        "add the heading in bold, after an empty line",
    ),
    "summary-long": Rule("error", "the summary fits on the first page: at most 400 words", "shorten it"),
}
# What holds of a report that goes to the journal, and rarely before.
OF_A_FINISHED_REPORT = frozenset(
    {"metadata-example", "value-pending", "claim-untested", "checklist-open", "title-prefix", "tex-unchecked"}
)


@dataclass(frozen=True)
class Finding:
    """One broken rule: where (`file:line`), what, and where it is a difference, what was expected and found."""

    rule: str
    place: str
    message: str
    expected: str = ""
    found: str = ""
    remedy: str = ""  # where it is another one than the rule's

    @property
    def severity(self) -> Severity:
        """As the rule has it."""
        return RULES[self.rule].severity

    @property
    def fix(self) -> str:
        """What to do."""
        return self.remedy or RULES[self.rule].fix

    def __str__(self) -> str:
        lines = [f"{self.severity} {self.rule}: {self.place}: {self.message}"]
        if self.expected or self.found:
            lines += [f"  expected: {self.expected}", f"  found:    {self.found}"]
        return "\n".join([*lines, f"  to do: {self.fix}"])


def unless_git_fails(place: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The FINDINGS that git's past gives for PLACE; where git cannot tell it, that is the finding."""
    try:
        yield from findings
    except GitFailed as error:
        yield Finding("git-unchecked", place, str(error))


def list_rules() -> str:
    """Every rule for a reader at a terminal: id, severity, what it asks, what to do."""
    width = max(map(len, RULES))
    lines = []
    for id, rule in RULES.items():
        severity = severity_of(id)
        lines += [f"{id:{width}}  {severity:8}  {rule.what}", f"{'':{width}}  {'':8}  to do: {rule.fix}"]
    return "\n".join(lines)


def severity_of(id: str) -> str:
    """The severity of a rule in words: `--strict` where it is looked at with that option alone."""
    return "--strict" if id in OF_A_FINISHED_REPORT else RULES[id].severity
