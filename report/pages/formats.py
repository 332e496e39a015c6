"""The output formats: how each escapes text, which brackets its templates use, and what may not reach a page.

Every `<< expression >>` of every template goes through `finalize`: text is escaped for the format, a quantity and a
verdict are set by the format's own template, and a raw number is refused. `Fragment` marks text that is already in
the format's language; only templates make it.
"""

import functools
import hashlib
import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any

import jinja2

from experiments.search_path import MACHINERY
from experiments.spec import ConfigurationError, ReproductionError
from report.judge.trials import Outcome
from report.judge.verdict import Verdict
from report.quantities import Quantity
from report.sentences import Sentence

ANGLE = {
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "block_start_string": "<%",
    "block_end_string": "%>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}
CURLY: dict[str, str] = {}
NONBREAKING = {"markdown": "&nbsp;", "latex": "~", "html": "&nbsp;", "typst": "~"}


# A verdict is told by word and symbol, never by colour alone.
SYMBOLS = {
    "REPRODUCED": "✓",
    "PARTIAL": "◐",
    "NOT REPRODUCED": "✗",
    "INCONCLUSIVE": "≈",
    "NOT COMPARABLE": "≠",
    "NOT TESTED": "○",
}


class Fragment(str):
    """Text that is already in the language of its format: it is not escaped again."""

    __slots__ = ()


def _without_controls(text: str) -> str:
    """TEXT less the control characters no format can hold; line breaks become spaces, for values are one line."""
    if text.isprintable():  # as nearly every text is
        return text
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", re.sub(r"\s*[\r\n\t]+\s*", " ", text))


# A number and its unit, the two sides of a ± and what n or p is stay on one line; in a sentence the number comes next.
_TIE = "\N{NO-BREAK SPACE}"
_TIED = re.compile(
    r"(?<=\d) (?=(?:%|± |(?:pp|h|s|MiB)\b))|(?<=±) (?=\d|$)|(?<=\b[np]) (?=[<=] |$)|(?<=^<) (?=\d)|(?<=\b[np] [<=]) (?=\d|$)"
)


def _typographic(text: str) -> str:
    """TEXT with apostrophes inside words and after a plural as print has them, and with spaces that do not break.

    Elsewhere a straight quote may mean just that.
    """
    if "'" in text:
        apostrophe = r"(?<=\w)'(?=\w)" if re.search(r"(?<!\w)'", text) else r"(?<=\w)'(?=\w)|(?<=s)'(?!\w)"
        text = re.sub(apostrophe, "\N{RIGHT SINGLE QUOTATION MARK}", text)
    return _TIED.sub(_TIE, text) if " " in text else text


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after \\ or \item a bracket would be read as an option
    "]": "{]}",
    "*": "{*}",  # after \\ it would be part of that command
}


def escape_latex(text: str) -> str:
    """TEXT for LaTeX; two hyphens stay two hyphens, and two commas no quotation mark."""
    escaped = "".join(_LATEX.get(character, character) for character in _typographic(_without_controls(text)))
    return re.sub(r"([-,])(?=\1)", r"\1{}", escaped).replace(_TIE, NONBREAKING["latex"])


def escape_html(text: str) -> str:
    """TEXT for HTML, inside elements and quoted attributes."""
    return html.escape(_typographic(_without_controls(text)), quote=True).replace(_TIE, NONBREAKING["html"])


def escape_typst(text: str) -> str:
    """TEXT for Typst markup; a full stop is escaped where it could make a list or an ellipsis."""
    escaped = re.sub(
        r"""[\\*_`#$<>@\[\]~=+\-/"'{}&|^%]|\.(?=[.\s]|$)""", r"\\\g<0>", _typographic(_without_controls(text))
    )
    return escaped.replace(_TIE, NONBREAKING["typst"])


def escape_markdown(text: str) -> str:
    """TEXT for GitHub's Markdown, tables included; what could begin a list or a heading is escaped at the start."""
    escaped = re.sub(r"[\\`*_\[\]<>#|~$&^{}]", r"\\\g<0>", _typographic(_without_controls(text)))
    escaped = escaped.replace(_TIE, NONBREAKING["markdown"])
    return re.sub(r"^\s*(?:(?=[-+=])|\d+(?=[.)](?:\s|$)))", r"\g<0>\\", escaped)


def escape_prose(text: str) -> str:
    """TEXT for pandoc's Markdown, where every punctuation mark of ASCII may be escaped."""
    return re.sub(r"[!-/:-@\[-`{-~]", r"\\\g<0>", _typographic(_without_controls(text)))


def find_templates(root: Path) -> Path:
    """The folder of the formats: ROOT/templates where the paper has one of its own, else the machinery's."""
    own = root / "templates"
    return own if own.is_dir() else MACHINERY / "templates"


@dataclass(frozen=True)
class Format:
    """One output format: its folder below templates/, its files' suffix, its escaping, its template brackets.

    `is_paged`: it becomes sheets of paper, on which a table of hundreds of rows serves nobody.
    """

    name: str
    suffix: str
    escape: Callable[[str], str]
    brackets: dict[str, str]
    is_paged: bool = False

    @property
    def report(self) -> str:
        """The name of the report's file."""
        return f"report.{self.suffix}"


FORMATS = {
    "markdown": Format("markdown", "md", escape_markdown, CURLY),
    "latex": Format("latex", "tex", escape_latex, ANGLE, is_paged=True),
    "html": Format("html", "html", escape_html, CURLY),
    "typst": Format("typst", "typ", escape_typst, ANGLE, is_paged=True),
}


def compiled(cache: Path | None) -> jinja2.BytecodeCache | None:
    """Where Jinja keeps compiled templates: compiling them takes longer than all the rest of rendering.

    Jinja asks whether the template is the same; what becomes of its statements and texts is decided in the modules here.
    """
    if cache is None:
        return None
    cache.mkdir(parents=True, exist_ok=True)
    return jinja2.FileSystemBytecodeCache(str(cache), f"{_digest_of_compiler()}-%s.cache")


@functools.cache
def _digest_of_compiler() -> str:
    """Of Jinja's version and of the modules of this package, which set up the environments."""
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join([jinja2.__version__.encode(), *sources])).hexdigest()[:16]


def environment(
    format: Format,
    templates: Path,
    cache: Path | None = None,
    anchor_of: Callable[[Quantity], str] = lambda quantity: "",
) -> jinja2.Environment:
    """The Jinja environment of FORMAT, with templates from TEMPLATES/<format name>, kept compiled in CACHE.

    ANCHOR_OF says where in the report the origin of a quantity is told; a quantity without such a place is no link.
    """
    made = jinja2.Environment(
        bytecode_cache=compiled(cache),
        loader=jinja2.FileSystemLoader(templates / format.name),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        auto_reload=False,
        **format.brackets,
    )
    made.finalize = Finalize(made, format, anchor_of)
    made.filters["fragment"] = lambda text: Fragment(text.strip())  # what a macro has made
    made.filters["nonbreaking"] = lambda text: Fragment(format.escape(text).replace(" ", NONBREAKING[format.name]))
    made.filters["string_literal"] = lambda text: Fragment(text.replace("\\", "\\\\").replace('"', '\\"'))
    made.filters["attribute"] = lambda text: Fragment(html.escape(text))  # of HTML, the very same text
    made.filters["url"] = lambda text: Fragment(escape_url(text, format.name))
    return made


def escape_url(address: str, format_name: str) -> str:
    """ADDRESS as the argument of a link in FORMAT_NAME. Only web, mail and local addresses are let through."""
    if not re.match(r"(https?://|mailto:|#|[\w./-]+$)", address):
        raise ConfigurationError(f"{address!r} is not an address that a report links to; use https:// or mailto:")
    ends_link = "()" if format_name == "markdown" else ""
    quoted = re.sub(rf"""[\s<>"'`{{}}\\^|{ends_link}]""", lambda m: f"%{ord(m[0]):02X}", address)
    if format_name == "latex":
        return re.sub(r"[%#&_]", r"\\\g<0>", quoted)
    return html.escape(quoted) if format_name == "html" else quoted


class Finalize:
    """What becomes of a value between the brackets of a template: escaped text, a set quantity, or an error."""

    def __init__(self, made: jinja2.Environment, format: Format, anchor_of: Callable[[Quantity], str]) -> None:
        self._environment = made
        self._format = format
        self._anchor_of = anchor_of
        self._set: dict[Any, Fragment] = {}

    def __call__(self, value: Any) -> str:
        if isinstance(value, Fragment | jinja2.Undefined):
            return str(value)
        if isinstance(value, Quantity):
            return self.quantity(value)
        if isinstance(value, Sentence):
            return self.sentence(value)
        if isinstance(value, Verdict):
            return self(value.printed) + self._format.escape(value.reservation)
        if isinstance(value, Outcome):
            return self.outcome(value)
        if isinstance(value, Enum) and isinstance(value.value, str):
            return self._format.escape(value.value)
        if isinstance(value, str):
            return self._format.escape(value)
        raise ConfigurationError(refusal(value, "the template"))

    def quantity(
        self, quantity: Quantity, *, unit: bool = True, n: bool = True, pad: str = "", link: bool = True
    ) -> Fragment:
        """QUANTITY by the format's quantity template, with its unit and n where these are not in a column's header.

        PAD is the text whose width stays free after it, so that the decimal points of a column stand in one line. It
        is a LINK to its origin, unless it stands right there.
        """
        words, anchor = quantity.parts, self._anchor_of(quantity) if link else ""
        id = quantity.id if anchor else ""

        def values() -> dict[str, Any]:
            is_measured, width = quantity.is_measured, Fragment(len(pad) + 1)
            told = {"parts": words, "is_measured": is_measured, "id": id, "anchor": Fragment(anchor)}
            return told | {"unit": unit, "n": n, "pad": pad, "pad_width": width}

        # Of a list of runs thousands read alike, and are set once: none of them is a link.
        return self._once("quantity", (words, anchor, id, unit, n, pad), values)

    def sentence(self, sentence: Sentence, *, link: bool = True) -> Fragment:
        """SENTENCE with its numbers set as quantities."""
        parts = (
            self._format.escape(part) if isinstance(part, str) else self.quantity(part, link=link)
            for part in sentence.parts
        )
        return Fragment("".join(parts))

    def outcome(self, outcome: Outcome) -> Fragment:
        """The word and the symbol of a verdict's OUTCOME by the format's verdict template."""
        shown = {"outcome": outcome.value, "symbol": Fragment(SYMBOLS[outcome.value])}
        return self._once("verdict", outcome, lambda: shown)

    def _once(self, template: str, key: Any, values: Callable[[], Mapping[str, Any]]) -> Fragment:
        """What TEMPLATE makes of VALUES, which KEY stands for."""
        found = self._set.get((template, key))
        if found is None:
            file = f"{template}.{self._format.suffix}"
            text = render_template(self._environment, file, f"templates/{self._format.name}/{file}", values())
            found = self._set[template, key] = Fragment(text.strip())
        return found


# What an expression of a template may raise through its author's fault.
TEMPLATE_FAULTS = (
    ReproductionError, jinja2.TemplateError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError
)  # fmt: skip


class Unknown(jinja2.StrictUndefined):
    """A name that is not there; of an attribute, the message lists those that there are."""

    @property
    def _undefined_message(self) -> str:
        thing, name = self._undefined_obj, self._undefined_name
        if self._undefined_hint or type(thing).__module__.partition(".")[0] != "report":
            return super()._undefined_message
        known = [key for key in dir(thing) if not key.startswith("_") and not callable(getattr(thing, key))]
        return f"{name!r} is no attribute of a {type(thing).__name__}; it has {', '.join(known)}"


def render_template(made: jinja2.Environment, file: str, place: str, values: Mapping[str, Any]) -> str:
    """The template FILE of MADE with VALUES. Raises ConfigurationError with PLACE and line where it is at fault."""
    try:
        return made.get_template(file).render(values)
    except TEMPLATE_FAULTS as error:
        raise ConfigurationError(template_fault(error, place, file, values)) from error


def template_fault(error: BaseException, place: str, file: str, names: Iterable[str]) -> str:
    """What is wrong with the template FILE at PLACE, with the line where it is known, and what it may name."""
    line = error.lineno if isinstance(error, jinja2.TemplateSyntaxError) else _line(error.__traceback__, file)
    where = f"{place}:{line}" if line else place
    if isinstance(error, jinja2.TemplateNotFound):
        what = "cannot be read" if error.name == file else f"includes {error.name!r}, which is not there"
        return f"{where}: {what}" if line else f"{where}: {what}; expected the file beside the others"
    if isinstance(error, jinja2.UndefinedError):
        known = f"; it may use {', '.join(sorted(names))}" if str(error.message).endswith("is undefined") else ""
        return f"{where}: {error.message}{known}"
    if isinstance(error, RecursionError):
        return f"{where}: it includes itself"
    return f"{where}: {error.message if isinstance(error, jinja2.TemplateSyntaxError) else error}"


def _line(trace: TracebackType | None, file: str) -> int:
    """The line of the template FILE in which an error arose, 0 where it is not known: Jinja leaves it in the trace."""
    line = 0
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).name == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def refusal(value: Any, place: str) -> str:
    """Why VALUE may not be printed at PLACE."""
    return (
        f"{place} prints {value!r}, a raw {type(value).__name__}: a number reaches a page only as a quantity, which "
        "knows its n, its state and its origin; print accuracy(...), count(...), parameters(...) or their like"
    )
