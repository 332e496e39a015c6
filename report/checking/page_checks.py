"""What must hold of the written pages: links lead somewhere, pictures have words, all formats say the same numbers."""

import html
import os.path
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from report.checking.findings import Finding
from report.quantities import Quantity
from report.tables import Table

SUMMARY_WORDS = 400
WORDS_OF_A_PICTURE = 4  # a shorter alternative text only names the picture
PAGES = {"markdown": "report.md", "html": "report.html", "latex": "report.tex"}
_NUMBER = re.compile(r"\d(?:[\d.,]*\d)?")
_HTML_LINK = re.compile(r"""<a\b[^>]*?\bhref="([^"]*)\"""")
_HTML_ID = re.compile(r"""<[a-zA-Z][^>]*?\sid="([^"]*)\"""")
_HTML_PICTURE = re.compile(r"""<img\b[^>]*>|<svg\b(?![^>]*aria-hidden="true")[^>]*>""")
_SCRIPT = re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL)
_MARKDOWN_LINK = re.compile(r"(?<!\\)\]\(([^()\s]+)\)")
_MARKDOWN_PICTURE = re.compile(r"(?<!\\)!\[((?:[^\]\\]|\\.)*)\]\(([^()\s]+)\)")
_LATEX_PICTURE = re.compile(r"\\includegraphics(?:\[([^\n]*?)\])?\{figures/")
_UNDRAWN = re.compile(r"\\protected\\def(.)\{\\standin\{\"[0-9A-F]+\}\{\\missing\{([0-9A-F]+)\}\}\}")


def inspect_pages(out: Path, root: Path) -> Iterator[Finding]:
    """The faults of the pages in OUT, which are to stand in ROOT/report/out."""
    texts = {name: (out / file).read_text(encoding="utf-8") for name, file in PAGES.items() if (out / file).is_file()}
    places = (out, root / "report/out")
    if "html" in texts:
        page, place = _SCRIPT.sub(_blank, texts["html"]), f"report/out/{PAGES['html']}"
        yield from _inspect_links(page, place, _HTML_LINK, _HTML_ID, places)
        for found in _HTML_PICTURE.finditer(page):
            words = re.search(r'\b(?:aria-label|alt)="([^"]*)"', found[0])
            yield from _inspect_alt(html.unescape(words[1]) if words else "", _at(page, found.start(), place))
    if "markdown" in texts:
        page, place = texts["markdown"], f"report/out/{PAGES['markdown']}"
        yield from _inspect_links(page, place, _MARKDOWN_LINK, re.compile(r'<a id="([^"]*)">'), places)
        for found in _MARKDOWN_PICTURE.finditer(page):
            yield from _inspect_alt(found[1], _at(page, found.start(), place))
        yield from _inspect_summary(page, place)
    if "latex" in texts:
        yield from _inspect_latex(texts["latex"], f"report/out/{PAGES['latex']}")


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def _at(text: str, position: int, place: str) -> str:
    return f"{place}:{text.count(chr(10), 0, position) + 1}"


def _inspect_links(
    page: str, place: str, links: re.Pattern[str], ids: re.Pattern[str], places: tuple[Path, ...]
) -> Iterator[Finding]:
    """Links within the page against its ids, links to files against the folders PLACES; what is on the web is left."""
    anchors = Counter(html.unescape(found[1]) for found in ids.finditer(page))
    for twice in sorted(anchor for anchor, times in anchors.items() if times > 1):
        yield Finding("broken-link", place, f"two places are called {twice!r}: a link can lead to one of them only")
    seen: set[str] = set()
    for found in links.finditer(page):
        target = html.unescape(found[1])
        if target in seen or re.match(r"https?://|mailto:|data:", target):
            continue
        seen.add(target)
        file, _, anchor = target.partition("#")
        # By the names alone: the way back out of a folder that is not there yet leads to the same file.
        if file and not any(os.path.exists(os.path.normpath(folder / file)) for folder in places):
            yield Finding("broken-link", _at(page, found.start(), place), f"{target!r} leads to no file")
        elif not file and anchor not in anchors:
            yield Finding("broken-link", _at(page, found.start(), place), f"{target!r} leads to no place of the page")


def _inspect_alt(words: str, place: str) -> Iterator[Finding]:
    if len(words.split()) < WORDS_OF_A_PICTURE:
        yield Finding("alt-text", place, "a picture does not say in words what it shows", "a sentence", words)


def _inspect_summary(page: str, place: str) -> Iterator[Finding]:
    """The words of the summary as they are printed, from its heading to the next one."""
    found = re.search(r"^#+ (?:<a[^>]*></a>)?[^\n]*[Ss]ummary[^\n]*\n(.*?)(?=^#+ |\Z)", page, re.DOTALL | re.MULTILINE)
    if not found:
        return
    text = html.unescape(re.sub(r"\]\([^()\s]*\)|<[^>]*>|[*\\\[]", "", found[1]))
    words = len(re.findall(r"[\w\d][\w\d.,'’%+-]*", text))
    if words > SUMMARY_WORDS:
        limit = f"at most {SUMMARY_WORDS} words"
        yield Finding("summary-long", _at(page, found.start(), place), "the printed summary", limit, f"{words} words")


def _inspect_latex(page: str, place: str) -> Iterator[Finding]:
    for found in _LATEX_PICTURE.finditer(page):
        words = re.search(r"alt=\{(.*)\}", found[1] or "")
        yield from _inspect_alt(words[1] if words else "", _at(page, found.start(), place))
    for found in _UNDRAWN.finditer(page):
        used = page.find(found[1], found.end())
        message = f"no font of TeX has {found[1]!r} (U+{found[2]}), which is printed as its number"
        yield Finding("missing-glyph", _at(page, max(used, found.start()), place), message)


def inspect_log(log: str, place: str) -> Iterator[Finding]:
    """What a log of TeX says of boxes that stick out by more than a point, and of letters without a glyph."""
    for found in re.finditer(r"^Overfull \\hbox \(([\d.]+)pt too wide\)([^\n]*)", log, re.MULTILINE):
        if float(found[1]) > 1:
            yield Finding("overfull-box", place, f"a line sticks out by {found[1]} pt{found[2]}")
    for text in sorted(set(re.findall(r"^Missing character: (There is no .+? in font [^\s:]+)", log, re.MULTILINE))):
        yield Finding("missing-glyph", place, text)


def inspect_formats(out: Path, printed: Iterable[Quantity], tables: Iterable[Table]) -> Iterator[Finding]:
    """The numbers that a page lacks though another format prints them.

    On paper a long table stands condensed: what is in the whole one is looked for in Markdown and HTML, what is in the
    condensed one in LaTeX.
    """
    whole, short, replaced = set(), set(), set()
    for table in tables:
        whole |= _quantities(table)
        if table.condensed is not None:
            short |= _quantities(table.condensed)
            replaced |= _quantities(table)
    texts = {name: _numbers(name, out / file) for name, file in PAGES.items() if (out / file).is_file()}
    for quantity in printed:
        for name, numbers in texts.items():
            if quantity.id in (replaced - short if name == "latex" else short - whole):
                continue
            if any(text not in numbers for text in _NUMBER.findall(quantity.parts.value)):
                message = f"the number {quantity.id!r} is not on the page"
                yield Finding("formats-differ", f"report/out/{PAGES[name]}", message, quantity.parts.text, "nothing")


def _quantities(table: Table) -> set[str]:
    return {quantity.id for quantity in replace(table, condensed=None).quantities}


def _numbers(name: str, path: Path) -> set[str]:
    text = path.read_text(encoding="utf-8")
    if name == "html":
        text = html.unescape(re.sub(r"<[^>]*>", " ", _SCRIPT.sub(" ", text)))
    return set(_NUMBER.findall(text))
