"""Everything set in every format, and the files of one report written to one folder."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from experiments.spec import ConfigurationError
from report.context import Context
from report.drawing import INK, PAPER, QUIET, RULE, Studio
from report.figures import Figure
from report.formats import FORMATS, Finalize, Format, Fragment, environment, render_template
from report.front import Front, build_front
from report.layout import set_table
from report.pdf import pdf_by_latexmk, pdf_by_typst, pdf_of_svg, standins
from report.prose import Conversion, Prose, Setters, fill_in
from report.quantities import Quantity, parts


def begin_drawing(figures: Iterable[Figure], folder: Path, studio: Studio, cache: Path) -> dict[str, "Drawing"]:
    """Every figure with something to draw, begun; one whose rows and drawing code were seen before is copied."""
    code = b"".join(Path(__file__).with_name(name).read_bytes() for name in ("drawing.py", "diagram.py", "charts.py"))
    cache.mkdir(parents=True, exist_ok=True)
    drawn_by = version("matplotlib")
    drawn = {}
    for figure in figures:
        if figure.message:
            continue
        content = repr((figure.name, figure.kind, figure.rows, figure.options, drawn_by)).encode()
        kept = cache / f"{hashlib.sha256(code + content).hexdigest()[:32]}.svg"
        path = folder / f"{figure.name}.svg"
        if kept.is_file():
            shutil.copyfile(kept, path)
        drawn[figure.name] = Drawing(path, kept, None if kept.is_file() else studio.draw(figure, folder))
    return drawn


@dataclass(frozen=True)
class Drawing:
    """A figure's SVG, which may still be on its way."""

    path: Path
    kept: Path
    future: Future[None] | None

    def wait(self) -> Path:
        """The path, once the drawing is there."""
        if self.future is not None:
            self.future.result()
            shutil.copyfile(self.path, self.kept)
        return self.path


class Composer:
    """Sets everything in every format and writes the files of one report."""

    def __init__(
        self, root: Path, context: Context, figures: Mapping[str, Figure], folder: Path, cache: Path | None = None
    ) -> None:
        """Writes to FOLDER; compiled templates are kept in CACHE, ROOT/.cache where none is named."""
        self._compiled = (cache or root / ".cache") / "jinja"
        self._root, self._context, self._figures, self._folder = root, context, figures, folder
        self._templates = root / "templates"
        self._environments = {
            name: environment(format, self._templates, self._compiled) for name, format in FORMATS.items()
        }
        self._finalizers: dict[str, Finalize] = {name: made.finalize for name, made in self._environments.items()}

    def write(self, wanted: Iterable[str], pdf: str, drawn: Mapping[str, Drawing]) -> None:
        """All files of the report; waits for the drawings where they are needed."""
        with self._converted() as conversion:
            self._write_data()
            prose = conversion.finish()
        figures = {name: item.wait().read_text(encoding="utf-8") for name, item in drawn.items()}
        sources = {name: self._report(FORMATS[name], prose, figures) for name in FORMATS}
        kept = {"markdown", "latex", "html"} & set(wanted)
        if "latex" in kept or pdf == "latexmk":
            for name in figures:
                (self._folder / f"figures/{name}.pdf").write_bytes(pdf_of_svg(self._folder / "figures", name))
        for name, text in sources.items():
            (self._folder / FORMATS[name].report).write_text(text, encoding="utf-8")
        if "pdf" in wanted:
            engine = {
                "typst": lambda: pdf_by_typst(self._folder / "report.typ"),
                "latexmk": lambda: pdf_by_latexmk(self._folder),
            }
            (self._folder / "report.pdf").write_bytes(engine[pdf]())
        for name in sources.keys() - kept:
            (self._folder / FORMATS[name].report).unlink()

    @cached_property
    def front(self) -> Front:
        """The first page's words."""
        return build_front(self._context.metadata, smoke=self._context.smoke)

    def _converted(self) -> Conversion:
        setters = Setters(self._quantity, self._outcome, self._table, self._figure)
        paper = self._root / "report/paper"
        text = fill_in(paper / "sections", self._context.words, setters, self._context.registry.add, self._compiled)
        return Conversion(text, paper, self._templates / "prose.lua")

    def _quantity(self, quantity: Quantity) -> dict[str, str]:
        return {name: finalize.quantity(quantity) for name, finalize in self._finalizers.items()}

    def _outcome(self, outcome: Any) -> dict[str, str]:
        return {name: finalize.outcome(outcome) for name, finalize in self._finalizers.items()}

    def _table(self, name: str, number: str) -> dict[str, str]:
        table = _named(self._context.tables, name, "table")
        for quantity in table.quantities:
            self._context.registry.add(quantity)
        return {
            key: self._template("table", format, table=set_table(table, number, format, self._finalizers[key]))
            for key, format in FORMATS.items()
        }

    def _figure(self, name: str, number: str) -> dict[str, str]:
        figure = _named(self._figures, name, "figure")
        values = {key: getattr(figure, key) for key in ("name", "title", "note", "alt", "message")}
        values |= {"number": number, "has_data": bool(figure.rows), "inline": Fragment(_placeholder(name))}
        return {key: self._template("figure", format, figure=values) for key, format in FORMATS.items()}

    def _template(self, name: str, format: Format, **values: Any) -> str:
        """A template of FORMAT, with its place in the message where it is at fault."""
        file = f"{name}.{format.suffix}"
        place = f"templates/{format.name}/{file}"
        return render_template(self._environments[format.name], file, place, values).strip("\n")

    def _report(self, format: Format, prose: Prose, figures: Mapping[str, str]) -> str:
        body = prose.bodies[format.name]
        if format.name == "html":
            for name, svg in figures.items():
                body = body.replace(_placeholder(name), inline_svg(name, svg, self._figures[name].alt))
        values = {"front": self.front, "body": Fragment(body), "contents": prose.contents}
        if format.name == "latex":
            values["standins"] = [tuple(map(Fragment, entry)) for entry in standins(body + repr(self.front))]
        return self._template("report", format, **values) + "\n"

    def _write_data(self) -> None:
        """The tables and figures as CSV, and where each printed number comes from."""
        for name, table in self._context.tables.items():
            table.frame.to_csv(self._folder / f"tables/{name}.csv", index=False, lineterminator="\n")
        for name, figure in self._figures.items():
            if figure.rows:
                (self._folder / f"figures/{name}.csv").write_text(figure.csv, encoding="utf-8")
        text = json.dumps(provenance(self._context), indent=1, sort_keys=True, ensure_ascii=False)
        (self._folder / "provenance.json").write_text(text + "\n", encoding="utf-8")


def _placeholder(name: str) -> str:
    """Where a drawing goes, as long as it is not drawn."""
    return f"<!--figure:{name}-->"


def _named(known: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in known:
        raise ConfigurationError(f"there is no {what} {name!r}; there are {', '.join(sorted(known))}")
    return known[name]


def inline_svg(name: str, svg: str, alt: str) -> str:
    """SVG for the HTML page: its own ids, no style that reaches beyond it, the page's colours, a text for the blind."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    for colour, variable in (
        (INK, "currentColor"),
        (PAPER, "var(--page)"),
        (QUIET, "var(--quiet)"),
        (RULE, "var(--rule)"),
    ):
        svg = svg.replace(colour, variable)
    label = FORMATS["html"].escape(alt)
    opening = f'<svg role="img" aria-label="{label}" style="stroke-linejoin:round;stroke-linecap:butt"'
    return svg.replace("<svg", opening, 1).strip()


def provenance(context: Context) -> dict[str, Any]:
    """Every printed number with its raw value, its state and what it was made from; every record with its digest."""
    printed = {}
    for quantity in context.registry.printed:
        printed[quantity.id] = {
            "text": parts(quantity).text,
            "value": quantity.value,
            "state": quantity.state.value,
            "n": quantity.n,
            "tier": quantity.tier.value,
            "aggregate": quantity.aggregate,
            "origin": list(quantity.origin),
        }
    records = {record.run: {"key": record.key, "digest": record.digest} for record in context.evidence.recorded()}
    return {"quantities": printed, "records": records}
