"""The authors' prose: Jinja fills in quantities, tables, figures and references, pandoc turns it into every format.

The prose is filled in once for all formats: a quantity brings its own words in each of them as raw pieces of Markdown
(`` `…`{=latex}`…`{=html} ``), of which pandoc's filter keeps those of the format it writes. They bear a seal, so that
no author can write one: text of theirs is never passed on unescaped. Numbers of tables and figures follow the order in
which the prose places them, so it is filled in twice: first to see the order.
"""

import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import jinja2

from experiments.reading import MAX_SECTION_BYTES, read_text
from experiments.spec import ConfigurationError, MissingTool
from report.bibliography import check_bibliography, check_style
from report.formats import ANGLE, TEMPLATE_FAULTS, Fragment, compiled, escape_prose, refusal, template_fault
from report.prose_language import ProseEnvironment
from report.quantities import Quantity
from report.verdicts import Outcome, Verdict

RAW = {"markdown": "gfm", "latex": "latex", "html": "html", "typst": "typst"}
BACK_MATTER = "90"  # sections numbered from here on stand behind the references
REFERENCES = "# References {.unnumbered}\n\n::: {#refs}\n:::"
KINDS = {"tab": "Table", "fig": "Figure"}

PANDOC_SECONDS = 120  # brackets within brackets can keep it busy for ever
PANDOC_MEMORY = "1g"  # of its heap; a report takes a tenth of it

Pieces = Mapping[str, str]  # one thing in every format: format name -> its text in that format's language


class Filled(str):
    """Prose that is filled in; `seal` ends the format of every raw piece in it that is not the author's."""

    seal: str

    def __new__(cls, text: str, seal: str) -> Self:
        """TEXT under SEAL."""
        made = super().__new__(cls, text)
        made.seal = seal
        return made


def make_seal(sources: Iterable[str]) -> str:
    """A digest of the authors' SOURCES, which therefore cannot hold it themselves; the same for the same sources."""
    return hashlib.blake2b("\0".join(sources).encode(), digest_size=16).hexdigest()


def raw_inline(pieces: Pieces, seal: str) -> Fragment:
    """PIECES as raw inline Markdown under SEAL."""
    spans = (_raw_span(" ".join(text.split("\n")), f"{RAW[name]}-{seal}") for name, text in pieces.items())
    return Fragment("".join(spans))


def raw_block(pieces: Pieces, seal: str) -> Fragment:
    """PIECES as raw blocks of Markdown under SEAL."""
    blocks = []
    for name, text in pieces.items():
        fence = "`" * max(3, _longest_run(text) + 1)
        blocks.append(f"\n\n{fence}{{={RAW[name]}-{seal}}}\n{text}\n{fence}\n\n")
    return Fragment("".join(blocks))


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _raw_span(text: str, format: str) -> str:
    fence = "`" * (_longest_run(text) + 1)
    edge = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{edge}{text}{edge}{fence}{{={format}}}"


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
    seen: Callable[[Quantity], Any],
    cache: Path | None = None,
    closing: tuple[str, str] | None = None,
) -> Filled:
    """The sections in FOLDER as one text of Markdown, with NAMES filled in.

    SEEN is told of every quantity that is printed; compiled templates are kept in CACHE. CLOSING is a table and a
    section that places it, added at the end unless the prose places that table itself. Raises ConfigurationError,
    naming file and line, for an unknown name, a raw number, a table placed twice, a reference to nothing.
    """
    placements = Placements()
    sources = {path.name: read_text(path, MAX_SECTION_BYTES) for path in sorted(folder.glob("*.md"))}
    sections = list(sources)
    if not sections:
        raise ConfigurationError(f"{folder}: there is no section; expected files such as 00-summary.md")
    seal = make_seal(sources.values())
    made = _environment(folder, sources, setters, seen, cache, seal)
    for is_final in (False, True):
        made.globals |= {**names, **_placing(placements, setters, is_final, seal)}
        texts = [_render(made, name, folder) for name in sections]
        closed = [] if closing is None or f"tab:{closing[0]}" in placements.placed else [closing[1]]
        last = [made.from_string(text).render() for text in closed]
        if not is_final:
            placements.settle()
    front = [text for name, text in zip(sections, texts, strict=True) if name < BACK_MATTER]
    back = [text for name, text in zip(sections, texts, strict=True) if name >= BACK_MATTER]
    return Filled("\n\n".join([*front, REFERENCES, *back, *last]), seal)


def _placing(
    placements: Placements, setters: Setters, is_final: bool, seal: str
) -> dict[str, Callable[[str], Fragment]]:
    def placer(kind: str, set_it: Callable[[str, str], Pieces]) -> Callable[[str], Fragment]:
        def place(name: str) -> Fragment:
            placements.place(f"{kind}:{name}")
            return raw_block(set_it(name, placements.numbers[f"{kind}:{name}"]), seal) if is_final else Fragment("")

        return place

    def ref(id: str) -> Fragment:
        if not isinstance(id, str) or id.partition(":")[0] not in (*KINDS, "sec"):
            raise ConfigurationError(f"ref({id!r}): a reference begins with tab:, fig: or sec:")
        return placements.reference(id) if is_final else Fragment("")

    return {"table": placer("tab", setters.table), "figure": placer("fig", setters.figure), "ref": ref}


def _environment(
    folder: Path,
    sources: Mapping[str, str],
    setters: Setters,
    seen: Callable[[Quantity], Any],
    cache: Path | None,
    seal: str,
) -> jinja2.Environment:
    def finalize(value: Any) -> str:
        if isinstance(value, Fragment | jinja2.Undefined):
            return str(value)
        if isinstance(value, Quantity):
            seen(value)
            return raw_inline(setters.quantity(value), seal)
        if isinstance(value, Verdict | Outcome):
            return raw_inline(setters.outcome(value.outcome if isinstance(value, Verdict) else value), seal)
        if isinstance(value, str):
            return _bound(value)
        raise ConfigurationError(refusal(value, "the prose"))

    return ProseEnvironment(
        bytecode_cache=compiled(cache),
        loader=jinja2.FunctionLoader(lambda name: (sources[name], str(folder / name), None)),
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        **ANGLE,
    )


def _bound(text: str) -> str:
    """TEXT that a word of the vocabulary made; marked where it has digits, so that a page tells it from typed ones."""
    escaped = escape_prose(text)
    return f"[{escaped}]{{.bound}}" if any(character.isdigit() for character in text) else escaped


def _render(made: jinja2.Environment, name: str, folder: Path) -> str:
    place = f"{folder.parent.parent.name}/{folder.parent.name}/{folder.name}/{name}"
    try:
        return made.get_template(name).render()
    except RecursionError as error:
        raise ConfigurationError(f"{place}: brackets stand too deep within each other to be read") from error
    except TEMPLATE_FAULTS as error:
        raise ConfigurationError(template_fault(error, place, name, made.globals)) from error


@dataclass(frozen=True)
class Prose:
    """The prose in every format, and the headings for a list of contents."""

    bodies: Pieces
    contents: tuple[Mapping[str, Any], ...]


def pandoc_binary() -> str:
    """Where pandoc is: that of the wheel, called directly because starting Python for it would double its time.

    The wheel's own search is asked only where it is not in its usual place, or the environment names another.
    """
    wheel = find_spec("pypandoc")
    usual = Path(wheel.origin).parent / "files" / "pandoc" if wheel is not None and wheel.origin else None
    if usual is not None and usual.is_file() and "PYPANDOC_PANDOC" not in os.environ:
        return str(usual)
    import pypandoc

    try:
        return pypandoc.get_pandoc_path()
    except OSError as error:
        raise MissingTool("pandoc is not there; install the wheel pypandoc-binary") from error


class Conversion:
    """Pandoc at work on TEXT; `finish` waits for it. Use as a context manager, which keeps its temporary folder.

    Citations come from PAPER/references.bib in the style PAPER/numeric.csl.
    """

    def __init__(self, text: str, paper: Path, filter_path: Path) -> None:
        self._folder = tempfile.TemporaryDirectory()
        source, self._out = Path(self._folder.name, "prose.md"), Path(self._folder.name, "prose")
        source.write_text(text, encoding="utf-8")
        check_bibliography(paper / "references.bib")
        check_style(paper / "numeric.csl")
        command = [pandoc_binary(), "+RTS", f"-M{PANDOC_MEMORY}", "-RTS", "lua", str(filter_path), str(source)]
        command += [str(paper / "references.bib"), str(paper / "numeric.csl"), str(self._out)]
        command += [text.seal if isinstance(text, Filled) else ""]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._process as process:  # closes its pipe and waits
            process.kill()
        self._folder.cleanup()

    def finish(self) -> Prose:
        """The prose in every format. Raises ConfigurationError with pandoc's own words where it refuses the text."""
        try:
            _, complaints = self._process.communicate(timeout=PANDOC_SECONDS)
        except subprocess.TimeoutExpired as error:
            why = f"it is not done after {PANDOC_SECONDS} s; look for many brackets or quotations within each other"
            raise ConfigurationError(f"pandoc: {why}") from error
        if self._process.returncode or complaints.strip():
            raise ConfigurationError(f"pandoc: {complaints.strip() or f'ended with {self._process.returncode}'}")
        bodies = {name: self._out.with_suffix(f".{name}").read_text(encoding="utf-8").rstrip("\n") for name in RAW}
        contents = json.loads(self._out.with_suffix(".toc").read_text(encoding="utf-8"))
        return Prose(bodies, tuple(contents))
