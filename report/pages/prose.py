"""The authors' prose: Jinja fills in quantities, tables, figures and references, once for all formats.

A quantity, table or figure leaves a hole, which each format fills with its own words after pandoc; the text of authors
is never passed on unescaped. Numbers of tables and figures follow the order in which the prose places them, so it is
filled in twice: first to see the order.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import jinja2

from experiments.reading import MAX_SECTION_BYTES, read_text
from experiments.spec import ConfigurationError
from report.judge.trials import Outcome
from report.judge.verdict import Verdict
from report.pages.formats import (
    ANGLE,
    TEMPLATE_FAULTS,
    Fragment,
    Unknown,
    compiled,
    escape_prose,
    refusal,
    template_fault,
)
from report.pages.holes import Holes, Pieces, make_seal
from report.pages.prose_language import ProseEnvironment
from report.quantities import Quantity
from report.sentences import Sentence, joined

BACK_MATTER = "90"  # sections numbered from here on stand behind the references
REFERENCES = "# References {.unnumbered}\n\n::: {#refs}\n:::"
KINDS = {"tab": "Table", "fig": "Figure"}


class Filled(str):
    """Prose that is filled in, but for its `holes`."""

    holes: Holes

    def __new__(cls, text: str, holes: Holes) -> Self:
        """TEXT with its HOLES."""
        made = super().__new__(cls, text)
        made.holes = holes
        return made


@dataclass
class Placements:
    """The tables and figures that the prose has placed so far, in order; their final `numbers` by `tab:…`, `fig:…`."""

    placed: list[str] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)

    def place(self, id: str) -> None:
        """Note that ID is placed here. Raises ConfigurationError at the second time."""
        if id in self.placed:
            raise ConfigurationError(f"{id!r} is placed twice; place it once and refer to it with ref({id!r})")
        self.placed.append(id)

    def settle(self) -> None:
        """Number what was placed, tables and figures apart, and begin anew."""
        for kind in KINDS:
            ids = [id for id in self.placed if id.startswith(f"{kind}:")]
            self.numbers |= {id: str(number) for number, id in enumerate(ids, 1)}
        self.placed.clear()

    def reference(self, id: str) -> Fragment:
        """`Table 1` with a link to it, as Markdown; for `sec:…` an empty link that pandoc's filter fills."""
        kind = id.partition(":")[0]
        if kind == "sec":
            return Fragment(f"[](#{id})")
        if id not in self.numbers:
            valid = ", ".join(sorted(self.numbers)) or "nothing"
            raise ConfigurationError(f"ref({id!r}) refers to what the prose does not place; it places {valid}")
        return Fragment(f"[{KINDS[kind]}\N{NO-BREAK SPACE}{self.numbers[id]}](#{id})")


@dataclass(frozen=True)
class Setters:
    """How things are set in every format at once."""

    quantity: Callable[[Quantity], Pieces]
    outcome: Callable[[Outcome], Pieces]
    table: Callable[[str, str], Pieces]  # name, number
    figure: Callable[[str, str], Pieces]


def fill_in(
    folder: Path,
    names: Mapping[str, Any],
    setters: Setters,
    seen: Callable[[Quantity | Verdict], Any],
    cache: Path | None = None,
    closing: tuple[str, str] | None = None,
) -> Filled:
    """The sections in FOLDER as one text of Markdown, with NAMES filled in.

    SEEN is told of every quantity and verdict that is printed; compiled templates are kept in CACHE. CLOSING is a table and a
    section that places it, added at the end unless the prose places that table itself. Raises ConfigurationError,
    naming file and line, for an unknown name, a raw number, a table placed twice, a reference to nothing.
    """
    placements = Placements()
    sources = {path.name: read_text(path, MAX_SECTION_BYTES) for path in sorted(folder.glob("*.md"))}
    sections = list(sources)
    if not sections:
        raise ConfigurationError(f"{folder}: there is no section; expected files such as 00-summary.md")
    holes = Holes(make_seal([*sources.values(), *_bibliography(folder.parent)]))
    made = _environment(folder, sources, setters, seen, cache, holes)
    for is_final in (False, True):
        holes.clear()
        made.globals |= {**names, **_placing(placements, setters, is_final, holes)}
        texts = [_render(made, name, folder) for name in sections]
        closed = [] if closing is None or f"tab:{closing[0]}" in placements.placed else [closing[1]]
        last = [made.from_string(text).render() for text in closed]
        if not is_final:
            placements.settle()
    front = [text for name, text in zip(sections, texts, strict=True) if name < BACK_MATTER]
    back = [text for name, text in zip(sections, texts, strict=True) if name >= BACK_MATTER]
    return Filled("\n\n".join([*front, REFERENCES, *back, *last]), holes)


def _bibliography(paper: Path) -> list[str]:
    """The text of the bibliography, whose words reach the pages beside the prose."""
    path = paper / "references.bib"
    return [read_text(path)] if path.is_file() else []


def _placing(
    placements: Placements, setters: Setters, is_final: bool, holes: Holes
) -> dict[str, Callable[[str], Fragment]]:
    def placer(kind: str, set_it: Callable[[str, str], Pieces]) -> Callable[[str], Fragment]:
        def place(name: str) -> Fragment:
            placements.place(f"{kind}:{name}")
            return holes.block(set_it(name, placements.numbers[f"{kind}:{name}"])) if is_final else Fragment("")

        return place

    def ref(id: str | tuple[str, ...]) -> Fragment:
        ids = id if isinstance(id, tuple) else (id,)  # a tuple is an item's of a word that gives a list
        for one in ids:
            if not isinstance(one, str) or one.partition(":")[0] not in (*KINDS, "sec"):
                raise ConfigurationError(f"ref({one!r}): a reference begins with tab:, fig: or sec:")
        return Fragment(", ".join(map(placements.reference, ids)) if is_final else "")

    return {"table": placer("tab", setters.table), "figure": placer("fig", setters.figure), "ref": ref}


def _environment(
    folder: Path,
    sources: Mapping[str, str],
    setters: Setters,
    seen: Callable[[Quantity | Verdict], Any],
    cache: Path | None,
    holes: Holes,
) -> jinja2.Environment:
    def finalize(value: Any) -> str:
        if isinstance(value, Fragment | jinja2.Undefined):
            return str(value)
        if isinstance(value, Quantity):
            seen(value)
            return holes.inline(setters.quantity(value))
        if isinstance(value, Sentence):
            return "".join(map(finalize, value.parts))
        if isinstance(value, Verdict):  # what was decided on fewer epochs never stands there as if it were the paper's
            seen(value)
            said = value.printed
            words = holes.inline(setters.outcome(said)) if isinstance(said, Outcome) else finalize(said)
            return words + value.reservation
        if isinstance(value, Outcome):
            raise ConfigurationError(
                f'the prose prints {value.value!r}, an outcome by itself; print the verdict, << verdict("…") >>, which '
                "says under which protocol it was reached"
            )
        if isinstance(value, str):
            return _bound(value)
        raise ConfigurationError(refusal(value, "the prose"))

    made = ProseEnvironment(
        bytecode_cache=compiled(cache),
        loader=jinja2.FunctionLoader(lambda name: (_keep_breaks(sources[name]), str(folder / name), None)),
        undefined=Unknown,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        **ANGLE,
    )
    made.filters["join"] = _join
    return made


@jinja2.pass_eval_context  # as Jinja's own: templates that were compiled before would call it so
def _join(context: Any, items: Iterable[Any], between: str = "") -> Sentence:
    """Texts and quantities one after the other, with a text BETWEEN them; each stays what it is."""
    listed = list(items)
    for item in listed:
        if isinstance(item, Outcome) or not isinstance(item, str | Quantity):
            raise ConfigurationError(refusal(item, "the prose"))
    return joined(between, listed)


_TAG = re.compile(r"<%.*?%>|<#.*?#>", re.DOTALL)


def _keep_breaks(text: str) -> str:
    """TEXT with a plus at the end of each statement that ends a line of words: Jinja would take its line break away.

    A statement with a line of its own leaves no empty line, which trim_blocks is for.
    """

    def keep(found: re.Match[str]) -> str:
        before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
        ends_words = text[found.end() : found.end() + 1] == "\n" and _TAG.sub("", before).strip()
        return f"{found[0][:-2]}+{found[0][-2:]}" if ends_words and found[0][-3] not in "+-" else found[0]

    return _TAG.sub(keep, text)


def _bound(text: str) -> str:
    """TEXT that a word of the vocabulary made; marked where it has digits, so that a page tells it from typed ones.

    The blanks around it, as a part of a sentence has them, stay outside of the mark, where pandoc keeps them.
    """
    if not any(character.isdigit() for character in text):
        return escape_prose(text)
    before, words, after = re.fullmatch(r"(\s*)(.*?)(\s*)", text, re.DOTALL).groups()
    return f"{before}[{escape_prose(words)}]{{.bound}}{after}"


def _render(made: jinja2.Environment, name: str, folder: Path) -> str:
    place = f"{folder.parent.parent.name}/{folder.parent.name}/{folder.name}/{name}"
    try:
        return made.get_template(name).render()
    except RecursionError as error:
        raise ConfigurationError(f"{place}: brackets stand too deep within each other to be read") from error
    except TEMPLATE_FAULTS as error:
        raise ConfigurationError(template_fault(error, place, name, made.globals)) from error
