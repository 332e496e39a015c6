"""What can be checked of the authors' files as they stand: placeholders, typed results, citations, metadata.

Nothing is built for it, so every finding has a file and a line. The build itself refuses the ones in `FATAL`.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.reading import MAX_SECTION_BYTES, read_text, refuse_links
from experiments.rules import CLAIMS, ORIGINAL, parse_quoted
from experiments.spec import ConfigurationError
from experiments.strict_yaml import read_yaml
from report.checking.findings import Finding
from report.checking.typed import VERDICT, typed_results
from report.checklist import FILE as CHECKLIST
from report.checklist import open_questions, read_answers
from report.fields import is_number
from report.pages.bibliography import read_bibliography
from report.pages.front import flat
from report.pages.metadata import read_metadata
from report.pages.origins import SECTION

_STYLE = "numeric.csl"  # of citations: what stands beside their numbers is printed on every page
FATAL = frozenset({"placeholder", "typed-result", "raw-format", "image", "citation-unknown", "reference-unknown"})
HEADINGS = (
    "Scope of Reproducibility",
    "Methodology",
    "Results",
    "What was easy",
    "What was difficult",
    "Communication with original authors",
)

_PLACEHOLDER = re.compile(
    r"\bTODO\b|\bFIXME\b|\bXXX\b|\bTBD\b|\bdfd\b|<add\b|lorem ipsum"
    r"|write (?:some ?thing|more) ?he*r?e|write some ?thing"
    r"|state the main claim|briefly describe|start with your overall conclusion|describe which parts"
    r"|no exception will be allowed|template and style guide",
    re.IGNORECASE,
)
_DECIMAL = r"(?<![\w.,-])(?:0\.\d{3,}|[1-9]\d\.\d{1,2})(?![\w.]*\d)"  # 0.7123, 71.23
_RESULT = re.compile(
    r"(?<![\w.,-])[±+−-]?\d+(?:[.,]\d+)?(?:\s|&\w+;|&#\w+;|[\\*_~]){0,9}(?:%|pp\b|per ?cent\b|percentage points?\b)"
    # 71.23 %, 3 pp, **71** %, 71&nbsp;%
    rf"|{_DECIMAL}"
)
_WORD = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    r"|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)"
)
# What is a result though no sign of per cent follows: p = .03, a p value of 3e-5, 75 points, 2 pts, ± 0.3, 9,710 of 10,000,
# seventy-five per cent, two point five percentage points.
_UNUSUAL = re.compile(
    r"(?<!\w)p(?:[-\s]values?)?\s*(?:[=<>≤≥:]|\b(?:of|is|was|below|under|above)\b)\s*(?:0?\.\d+|\d+(?:\.\d+)?\s?e-\d+)"
    r"|(?<![\w.,-])\d+(?:[.,]\d+)?\s+(?:points\b(?!\s+of)|pts?\b|p\.\s?p\.)|±\s*\d[\d.]*|(?<![\w.,)-])\.\d{2,}\b"
    r"|(?<![\w.,-])\d[\d,.]*\s+(?:out\s+of\s+(?:the\s+|all\s+)?\d[\d,]*|of\s+(?:the\s+|all\s+)?\d{1,3}(?:,?\d{3})+\b)"
    rf"|\b{_WORD}(?:[-\s](?:point\s)?{_WORD}){{0,5}}\s+(?:per ?cent|percentage points?)\b",
    re.IGNORECASE,
)
# The level of an interval, or of a chance, which is no result.
_LEVEL = re.compile(r"\b\d+(?:\.\d+)? %(?= (?:\w+ )?intervals?\b)|\bchance of \d+ %")
# What pages print of plan and claims. The reasons of margins they do not, a sentence is compared with what it quotes.
_PRINTED = re.compile(r"\.(?:deviations\[\d+\]|untested|source|title)$")
_UNSEEN = r"<%(?:(?!<%).)*?%>|<#(?:(?!<#).)*?#>|<!--(?:(?!<!--).)*?-->"  # of a template, and comments; none in another
_PIECE = re.compile(
    r"[^\\&*_~<\[\]\x80-\U0010ffff]+|\\(?P<escaped>[!-/:-@\[-`{-~])|&#?\w{1,32};"
    rf"|(?P<unseen>{_UNSEEN}|\[|\](?:\([^()\n]*\)|\{{[^{{}}\n]*\}})?)|.",  # and what makes words a link
    re.DOTALL,
)
_MATHS = re.compile(r"(?<!\\)\$(?!\s)[^$\n]+(?<!\s)\$(?!\d)|\$\$.*?\$\$", re.DOTALL)
_SHARE = re.compile(
    r"\d(?:\\[,;:! ]|[\s~{}])*\\(?:%|(?:text|mathrm|mbox)\{\s*(?:per ?cent|pp|points)\b)"
    r"|\\pm\b[\s{]*\d"
)  # 71.2\,\%, \pm 0.3 in mathematics
_SHARE_QUOTED = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s?%")
_UNIT = re.compile(r"(?:\s|&\w+;|[\\*_~]){0,9}(?:%|pp\b|per ?cent\b|percentage points?\b)")  # after a formula
_TEMPLATE = re.compile(r"<%.*?%>|<<.*?>>|<#.*?#>", re.DOTALL)
_CODE = re.compile(r"^```.*?^```|^~~~.*?^~~~|`[^`\n]*`", re.DOTALL | re.MULTILINE)  # printed as it stands
_CODED = re.compile(
    r"\d+(?:[.,]\d+)?\s*(?:[%％٪]|pp\b|per ?cent\b|percentage points?\b)|±\s*\d[\d.]*"
)  # settings may stand there
_RAW_FORMAT = re.compile(r"\{\s*=\s*\w+")  # {=html} lets a text through to one format as it is
# What another language would make of the text, and Markdown prints as it stands.
_TAG = re.compile(
    r"(?<!\\)</?(?:a|abbr|b|blockquote|br|center|code|details|div|em|figure|font|h[1-6]|hr|i|iframe|img|kbd|li|mark|ol|p|pre"
    r"|q|s|script|small|span|strike|strong|style|sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul)(?:\s[^<>\n]*)?/?>",
    re.IGNORECASE,
)
_TEX = re.compile(r"(?<!\\)\\[A-Za-z]{2,}")
_CURLY = re.compile(r"\{\{[^\n]*?\}\}|\{%[^\n]*?%\}")
_IMAGE = re.compile(r"!\[")
_CITATION = re.compile(r"(?<![\w\\.])@\{?([A-Za-z0-9_][\w:.#$%&+?<>~/-]*\w)")
_PLACED = re.compile(r"\b(table|figure)\(\s*[\"']([^\"']+)[\"']\s*\)")
_REFERRED = re.compile(r"\bref\(\s*[\"']([^\"']+)[\"']\s*\)")
# `Figure 3`, unless it is another work's: the paper's Table 2, Table 2 of [@key], [@key, Table 2].
_TYPED_REFERENCE = re.compile(
    r"(?<!['’]s )(?<!original )(?<!their )\b(?:Figure|Fig\.|Table|Section)(?:\s|&nbsp;)\d+\b(?!\.\w)(?!\s(?:of|in|there)\b)"
)
_CITED = re.compile(r"\[[^\[\]]*@[^\[\]]*\]")
_STATEMENTS = re.compile(r"^[ \t]*(?:<%.*?%>|<#.*?#>)[ \t]*\n", re.DOTALL | re.MULTILINE)
_SECTION_ID = re.compile(r"^#+ .*\{[^}]*#([\w:.-]+)", re.MULTILINE)
# What is not prose: code, mathematics, template brackets, comments, addresses. Blanked out: lines keep their place.
_NOT_PROSE = re.compile(
    r"^```.*?^```|^~~~.*?^~~~|<<.*?>>|\$\$.*?\$\$|`[^`\n]*`|(?<!\\)\$(?!\s)[^$\n]+(?<!\s)\$(?!\d)"
    rf"|(?P<unseen>{_UNSEEN}|\]\([^()\n]*\))|https?://\S+",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Section:
    """A file of the prose: its place from the root, and its text."""

    place: str
    text: str

    @cached_property
    def prose(self) -> str:
        """The text less code, mathematics and template brackets; line breaks stay."""
        return _NOT_PROSE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), self.text)

    @cached_property
    def joined(self) -> str:
        """The same with the statements and comments, which as_printed takes out: what stands around them is one word."""
        return _NOT_PROSE.sub(lambda found: found["unseen"] or re.sub(r"[^\n]", " ", found[0]), self.text)

    def at(self, position: int) -> str:
        """`file:line` of a position in the text."""
        return f"{self.place}:{self.text.count(chr(10), 0, position) + 1}"


def read_sections(root: Path) -> list[Section]:
    """The sections below ROOT in their order."""
    paths = sorted((root / "report/paper/sections").glob("*.md"))
    return [Section(path.relative_to(root).as_posix(), read_text(path, MAX_SECTION_BYTES)) for path in paths]


def inspect_manuscript(root: Path) -> list[Finding]:
    """Everything that can be found without building."""
    refuse_links(root / "report/paper")
    sections = read_sections(root)
    return [
        *(finding for section in sections for finding in _inspect_words(section)),
        *_inspect_citations(root, sections),
        *_inspect_captions(root),
        *_inspect_sentences(root),
        *_inspect_references(sections),
        *_inspect_checklist(root, sections),
        *_inspect_summary(sections),
        *_inspect_metadata(root),
    ]


def refuse_faults(root: Path) -> None:
    """Raise ConfigurationError with every fault of the prose with which no report may be built."""
    faults = [
        str(finding).removeprefix(f"{finding.severity} ")  # whoever prints the exception says that it is an error
        for finding in inspect_manuscript(root)
        if finding.rule in FATAL
    ]
    if faults:
        raise ConfigurationError("\n".join(faults))


def _inspect_words(section: Section) -> Iterator[Finding]:
    without_templates = re.sub(r"<[%#].*?[%#]>", lambda m: re.sub(r"[^\n]", " ", m[0]), section.text, flags=re.DOTALL)
    for found in _PLACEHOLDER.finditer(without_templates):
        yield Finding("placeholder", section.at(found.start()), f"{found[0]!r} is no sentence of the report")
    for found in _RAW_FORMAT.finditer(without_templates):
        yield Finding("raw-format", section.at(found.start()), f"{found[0]!r} passes text to one format unescaped")
    for found in (*_TAG.finditer(section.prose), *_TEX.finditer(section.prose)):
        yield Finding(
            "raw-format", section.at(found.start()), f"{found[0]!r} is no Markdown and is printed as it stands"
        )
    for found in _CURLY.finditer(section.prose):
        message = f"{found[0]!r} is printed as it stands: Jinja's brackets are angles here, << >> and <% %>"
        yield Finding("raw-format", section.at(found.start()), message)
    for found in _TYPED_REFERENCE.finditer(_CITED.sub(lambda cited: " " * len(cited[0]), section.prose)):
        yield Finding("reference-typed", section.at(found.start()), f"{found[0]!r} is typed by hand, and no link")
    for found in _IMAGE.finditer(section.prose):
        yield Finding("image", section.at(found.start()), "an image in the prose has no number, caption or source")
    yield from _inspect_results(section)


def _inspect_results(section: Section) -> Iterator[Finding]:
    """Results typed in sentences, in mathematics and in template expressions."""
    seen = set()
    for found in _RESULT.finditer(section.prose):
        seen.add(section.text.count("\n", 0, found.start()))
        yield Finding("typed-result", section.at(found.start()), f"{found[0].strip()!r} is typed by hand")
    plain, places = as_printed(section.joined)
    for found in (*_RESULT.finditer(plain), *_UNUSUAL.finditer(plain)):
        place = places[found.start()]
        if section.text.count("\n", 0, place) not in seen:  # hidden from the eyes of the pattern, not of the reader
            yield Finding("typed-result", section.at(place), f"{found[0].strip()!r} is typed by hand")
    for found in VERDICT.finditer(plain):
        yield Finding("typed-result", section.at(places[found.start()]), f"{found[0]!r} is typed by hand")
    for formula in _MATHS.finditer(section.text):
        is_share = _SHARE.search(formula[0]) or _UNIT.match(section.text, formula.end())
        if is_share or VERDICT.search(formula[0]):
            yield Finding("typed-result", section.at(formula.start()), f"{formula[0]!r} is typed by hand")
    for code in _CODE.finditer(_TEMPLATE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), section.text)):
        for found in (*_CODED.finditer(code[0]), *VERDICT.finditer(code[0])):
            place = section.at(code.start() + found.start())
            yield Finding("typed-result", place, f"{found[0]!r} is typed by hand")
    for line, message in typed_results(section.text):
        yield Finding("typed-result", f"{section.place}:{line}", message)


def _inspect_captions(root: Path) -> Iterator[Finding]:
    """Results typed in captions, labels, titles, the abstract and the checklist, and in what claims.yaml prints beside the
    sentences; and verdicts in all that plan, claims and bibliography say.

    A note may say of an interval that it is one of 95 %, and of a chance that it is 80 %; a question or a claim may name
    the value that it is about.
    """
    paper, plan = root / "report/paper", root / "experiments/plan.yaml"
    metadata = read_metadata(paper / "metadata.yaml")
    results = [
        (f"report/paper/metadata.yaml: {field}", metadata.get(field)) for field in ("title", "keywords", "abstract")
    ]
    verdicts: list[tuple[str, Any]] = []
    for kind in ("tables", "figures"):
        content = read_yaml(paper / f"{kind}.yaml") if (paper / f"{kind}.yaml").is_file() else {}
        results += [
            (f"report/paper/{kind}.yaml: {place}", text)
            for part in (kind, "labels")
            for place, text in _leaves(content.get(part), part)
        ]
    checklist = read_yaml(paper / CHECKLIST) if (paper / CHECKLIST).is_file() else {}
    results += [
        (f"report/paper/{CHECKLIST}: {place}", text) for place, text in _leaves(checklist.get("answers"), "answers")
    ]
    for path, part in ((plan, "groups"), (paper / CLAIMS, "claims"), (paper / CLAIMS, "protocols")):
        content, file = read_yaml(path) if path.is_file() else {}, path.relative_to(root).as_posix()
        for place, text in _leaves(content.get(part), part):
            (results if _PRINTED.search(place) else verdicts).append((f"{file}: {place}", text))
    verdicts += [
        (f"report/paper/references.bib:{entry.line}", value)
        for entry in read_bibliography(paper).values()
        for value in entry.fields.values()
    ]
    if (paper / _STYLE).is_file():
        results.append((f"report/paper/{_STYLE}", html.unescape(read_text(paper / _STYLE))))
    for texts, patterns in ((results, (_RESULT, _UNUSUAL, VERDICT)), (verdicts, (VERDICT,))):
        for place, text in texts:
            plain = as_printed(text)[0] if isinstance(text, str) else ""
            if place.endswith(".note"):
                plain = _LEVEL.sub("", plain)
            for found in {one.start(): one for pattern in patterns for one in pattern.finditer(plain)}.values():
                yield Finding("typed-result", place, f"{found[0].strip()!r} is typed by hand")


def _leaves(content: Any, place: str) -> Iterator[tuple[str, Any]]:
    """(place, value) of all that CONTENT holds, also of the names that a declaration gives to what it shows."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield f"{place}: a name", name
            yield from _leaves(value, f"{place}.{name}")
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from _leaves(value, f"{place}[{index}]")
    else:
        yield place, content


def _inspect_sentences(root: Path) -> Iterator[Finding]:
    """The shares in a claim's sentence that are not those of the rows that it quotes and is judged by."""
    path, original = (root / "report/paper" / name for name in (CLAIMS, ORIGINAL))
    claims = read_yaml(path).get("claims") if path.is_file() else None
    quoted = parse_quoted(read_text(original), original.name) if original.is_file() else {}
    for id, item in claims.items() if isinstance(claims, dict) else ():
        if not isinstance(item, dict) or not isinstance(item.get("quoted"), list):
            continue
        known = [row["accuracy_pct"] for row in (quoted.get(str(name)) for name in item["quoted"]) if row]
        for found in _SHARE_QUOTED.finditer(str(item.get("sentence", ""))) if known else ():
            if not any(is_number(value) and float(value) == float(found[1]) for value in known):
                place, rows = f"report/paper/{CLAIMS}: claims.{id}.sentence", ", ".join(known)
                yield Finding(
                    "typed-result", place, f"{found[0]!r} is none of the values that the claim quotes: {rows}"
                )


def as_printed(prose: str) -> tuple[str, list[int]]:
    """PROSE about as a reader sees it, and where each of its characters stands in it.

    Without emphasis, the brackets of links, statements, comments, the backslashes of escapes, and characters that take no
    room; entities and wide or raised figures as the plain ones that they look like.
    """
    kept, places = [], list[int]()
    for found in _PIECE.finditer(prose):
        text = _plain(found)
        kept.append(text)
        places += range(*found.span()) if text == found[0] else [found.start()] * len(text)
    return "".join(kept), places


def _plain(found: re.Match[str]) -> str:
    if found["escaped"]:
        return found["escaped"]
    if found["unseen"]:
        return ""
    text = "" if found[0] in "*_~" else unicodedata.normalize("NFKC", html.unescape(found[0]))
    if text.isascii():
        return text
    return "".join(character for character in text if unicodedata.category(character) != "Cf")


def _inspect_citations(root: Path, sections: list[Section]) -> Iterator[Finding]:
    entries, cited = read_bibliography(root / "report/paper"), set()
    for section in sections:
        for found in _CITATION.finditer(section.prose):
            cited.add(found[1])
            if found[1] not in entries:
                yield Finding(
                    "citation-unknown", section.at(found.start()), f"{found[0]!r} has no entry in references.bib"
                )
    for key in entries.keys() - cited:
        yield Finding("entry-unused", f"report/paper/references.bib:{entries[key].line}", f"{key!r} is not cited")


def _inspect_references(sections: list[Section]) -> Iterator[Finding]:
    """References against what is placed; conditions in the prose are not evaluated, the build sees to those."""
    short = {"table": "tab", "figure": "fig"}
    placed = {
        f"{short[found[1]]}:{found[2]}": section.at(found.start())
        for section in sections
        for found in _PLACED.finditer(section.text)
    }
    targets = placed.keys() | {found[1] for section in sections for found in _SECTION_ID.finditer(section.text)}
    referred = set()
    for section in sections:
        for found in _REFERRED.finditer(section.text):
            referred.add(found[1])
            if found[1] not in targets:
                valid = ", ".join(sorted(targets))
                message = f"ref({found[1]!r}) has no target; there are {valid}"
                yield Finding("reference-unknown", section.at(found.start()), message)
    for id in sorted(placed.keys() - referred):
        yield Finding("float-unreferenced", placed[id], f"{id!r} is placed and never mentioned")


def _inspect_checklist(root: Path, sections: list[Section]) -> Iterator[Finding]:
    """The questions that wait for the authors, and the sections that an answer names and that are not there."""
    place, answers = f"report/paper/{CHECKLIST}: answers", read_answers(root / "report/paper")
    texts = (SECTION, *(section.text for section in sections))
    targets = {found[1] for text in texts for found in _SECTION_ID.finditer(text)}
    for id in open_questions(answers) if answers is not None else ():
        yield Finding("checklist-open", place, f"the question {id!r} is not answered")
    for id, given in (answers or {}).items():
        for name in given.where:
            if name not in targets:
                message = f"{name!r} is no section; there are {', '.join(sorted(targets))}"
                yield Finding("reference-unknown", f"{place}.{id}.where", message)


def _inspect_summary(sections: list[Section]) -> Iterator[Finding]:
    if not sections:
        return
    summary = sections[0]
    for heading in HEADINGS:
        found = re.search(rf"^(?:\*\*|#+ ){re.escape(heading)}", summary.text, re.MULTILINE | re.IGNORECASE)
        if not found:
            yield Finding("summary-heading", f"{summary.place}:1", f"the heading {heading!r} is missing")
        elif not _starts_paragraph(summary.text, found.start()):
            message = f"the heading {heading!r} starts no paragraph: leave an empty line before it"
            yield Finding("summary-heading", summary.at(found.start()), message)


def _starts_paragraph(text: str, position: int) -> bool:
    """Whether an empty line or a heading stands before POSITION, lines of statements alone aside."""
    line = _STATEMENTS.sub("", f"\n{text[:position]}").split("\n")[-2]
    return not line.strip() or line.startswith("#")


def _inspect_metadata(root: Path) -> Iterator[Finding]:
    place, metadata = "report/paper/metadata.yaml", read_metadata(root / "report/paper/metadata.yaml")
    for field in (
        "title",
        "authors",
        "affiliations",
        "keywords",
        "abstract",
        "type",
        "domain",
        "language",
        "bibliography",
    ):
        if not metadata.get(field):
            yield Finding("metadata-incomplete", place, f"the field {field!r} is missing or empty")
    for field, part in (("code", "url"), ("replication", "cite"), ("replication", "url")):
        if not flat(metadata, field).get(part):
            yield Finding("metadata-incomplete", place, f"{field}: {part!r} is missing or empty")
    contacts = [author for author in metadata.get("authors") or [] if "*" in str(author.get("affiliations", ""))]
    if len(contacts) != 1:
        yield Finding(
            "metadata-incomplete", place, "authors: the contact's star", "exactly one author with *", f"{len(contacts)}"
        )
    for number, text in enumerate(read_text(root / place).splitlines(), 1):
        if "example.org" in text.partition("#")[0]:
            yield Finding("metadata-example", f"{place}:{number}", text.strip())
