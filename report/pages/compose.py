"""Everything set in every format, and the files of one report written to one folder.

What takes time goes on side by side. Pandoc reads the prose, with a mark where a table or a drawing goes, while the
tables are set; the typesetter makes the PDF, as soon as its parts are there, while the other formats are put together.
"""

import re
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.spec import ConfigurationError
from report.context import Context
from report.judge.verdict import Verdict
from report.pages.conversion import Conversion, Prose
from report.pages.drawings import Drawing
from report.pages.formats import FORMATS, Finalize, Format, Fragment, environment, find_templates, render_template
from report.pages.front import Front, build_front
from report.pages.layout import Layout, lay_out, set_table
from report.pages.origins import ORIGINS_TABLE, SECTION, as_json, provenance
from report.pages.page import Page, page_data
from report.pages.page_drawing import PageDrawings
from report.pages.pdf import pdf_by_latexmk, pdf_by_typst, standins
from report.pages.prose import Setters, fill_in
from report.pages.rescience import SUBMISSION, write_submission
from report.pages.tracing import Tracing
from report.plots.figure import Figure
from report.quantities import Quantity
from report.sentences import quantities_of
from report.tables import as_csv

RECORDS = "records.csv"  # every record in a line, for who computes with the results


class Composer:
    """Sets everything in every format and writes the files of one report."""

    def __init__(
        self, root: Path, context: Context, figures: Mapping[str, Figure], folder: Path, cache: Path | None = None
    ) -> None:
        """Writes to FOLDER; what can be used again is kept in CACHE, ROOT/.cache where none is named."""
        cache = cache or root / ".cache"
        self._compiled, self._conversions = cache / "jinja", cache / "prose"
        self._root, self._context, self._figures, self._folder = root, context, figures, folder
        self._templates = find_templates(root)
        self._tracing = Tracing(context)
        self._environments = {
            name: environment(format, self._templates, self._compiled, self._tracing.anchor_of)
            for name, format in FORMATS.items()
        }
        self._finalizers: dict[str, Finalize] = {name: made.finalize for name, made in self._environments.items()}
        self._numbers: dict[str, str] = {}  # of the tables that the prose places
        self._layouts: dict[tuple[str, bool], Layout] = {}

    def write(self, wanted: Iterable[str], pdf: str, drawn: Mapping[str, Drawing]) -> None:
        """All files of the report; waits for the drawings where they are needed."""
        kept = {"markdown", "latex", "html"} & set(wanted)
        needed = kept | ({"latex"} if "pdf" in wanted and pdf == "latexmk" else set())
        with ThreadPoolExecutor(2) as beside, self._converted() as conversion:
            first = ("typst",) if "pdf" in wanted and pdf == "typst" else ()
            tables = {name: self._set_tables(FORMATS[name]) for name in (*first, *sorted(needed))}
            prose = conversion.finish()
            typeset = printable = None
            if first:
                text = self._report(FORMATS["typst"], prose, tables.pop("typst"))
                typeset = beside.submit(self._typeset, text, drawn)
            if "latex" in needed:
                printable = beside.submit(_write_pdfs, drawn)
            for name in ("markdown", "html"):
                if name in needed:
                    self._write_page(FORMATS[name], prose, tables.pop(name), drawn)
            self._write_data()
            if printable is not None:
                printable.result()
                self._write_page(FORMATS["latex"], prose, tables.pop("latex"), drawn)
            if typeset is not None:
                typeset.result()
        if "pdf" in wanted and pdf == "latexmk":
            (self._folder / "report.pdf").write_bytes(pdf_by_latexmk(self._folder))
        if "latex" not in kept:
            (self._folder / FORMATS["latex"].report).unlink(missing_ok=True)
            shutil.rmtree(self._folder / SUBMISSION, ignore_errors=True)

    def _typeset(self, text: str, drawn: Mapping[str, Drawing]) -> None:
        """The PDF of TEXT by the embedded typesetter; its own source is not kept."""
        for drawing in drawn.values():
            drawing.wait()
        source = self._folder / FORMATS["typst"].report
        source.write_text(text, encoding="utf-8")
        (self._folder / "report.pdf").write_bytes(pdf_by_typst(source))
        source.unlink()

    def _write_page(
        self, format: Format, prose: Prose, tables: Mapping[str, str], drawn: Mapping[str, Drawing]
    ) -> None:
        """The report in FORMAT with its TABLES; for LaTeX the figures lie beside it as PDF already."""
        values = self._values(format, prose, tables)
        text = self._template("report", format, **values) + "\n"
        if format.name == "html":
            drawings, inlined = PageDrawings(), {}
            for name, drawing in drawn.items():
                svg = drawing.wait().read_text(encoding="utf-8")
                # One that stands nowhere may not keep an outline that the others look for.
                if _mark("figure", name) in text:
                    inlined[name] = drawings.inline(svg, self._figures[name].alt)
            text = _put_in("figure", inlined, text)
        if format.name == "latex":
            template = self._environments[format.name].get_template(format.report)
            write_submission(self._folder, self._root, self._context.metadata, template, values)
        (self._folder / format.report).write_text(text, encoding="utf-8")

    @cached_property
    def front(self) -> Front:
        """The first page's words."""
        return build_front(self._context.metadata, smoke=self._context.smoke)

    def _converted(self) -> Conversion:
        setters = Setters(self._quantity, self._outcome, self._table, self._figure)
        paper = self._root / "report/paper"
        closing = (ORIGINS_TABLE, SECTION)
        text = fill_in(paper / "sections", self._context.words, setters, self._note, self._compiled, closing)
        self._tracing.settle(tuple(self._numbers))
        return Conversion(text, paper, self._templates / "prose.lua", self._conversions)

    def _note(self, printed: Quantity | Verdict) -> None:
        """What the prose prints."""
        if isinstance(printed, Verdict):
            self._context.told.add(printed.claim.id)
        else:
            self._context.registry.add(printed)

    def _quantity(self, quantity: Quantity) -> dict[str, str]:
        return {name: finalize.quantity(quantity) for name, finalize in self._finalizers.items()}

    def _outcome(self, outcome: Any) -> dict[str, str]:
        return {name: finalize.outcome(outcome) for name, finalize in self._finalizers.items()}

    def _table(self, name: str, number: str) -> dict[str, str]:
        """Marks where the table goes."""
        table = _named(self._tracing.tables, name, "table")
        for quantity in table.quantities:
            self._context.registry.add(quantity)
        self._context.told.update(table.claims)
        self._numbers[name] = number
        return dict.fromkeys(FORMATS, _mark("table", name))

    def _set_tables(self, format: Format) -> dict[str, str]:
        """Every table that the prose places, in the language of FORMAT."""
        return {name: self._set_table(name, format) for name in self._numbers}

    def _set_table(self, name: str, format: Format) -> str:
        """The table in the language of FORMAT."""
        table = self._tracing.shown(name, format.is_paged)
        is_condensed = table is not self._tracing.tables[name]
        if (name, is_condensed) not in self._layouts:
            self._layouts[name, is_condensed] = lay_out(table)
        layout, finalize = self._layouts[name, is_condensed], self._finalizers[format.name]
        made = set_table(layout, self._numbers[name], format, finalize, self._tracing.places(name, format.is_paged))
        return self._template("table", format, table=made)

    @cached_property
    def _notebooks(self) -> tuple[str, ...]:
        """The runs whose executed notebook is kept."""
        return tuple(sorted(path.stem for path in (self._root / "experiments/executed").glob("*.ipynb")))

    @property
    def _page_data(self) -> Fragment:
        context = self._context
        return page_data(context.registry.printed, self._tracing.origins, context.evidence.recorded(), self._notebooks)

    def _figure(self, name: str, number: str) -> dict[str, str]:
        figure = _named(self._figures, name, "figure")
        for quantity in (*quantities_of(figure.note), *quantities_of(figure.message)):
            self._context.registry.add(quantity)
        values = {key: getattr(figure, key) for key in ("name", "title", "note", "alt", "message")}
        values |= {"number": number, "data": _data_links(figure), "inline": Fragment(_mark("figure", name))}
        return {key: self._template("figure", format, figure=values) for key, format in FORMATS.items()}

    def _template(self, name: str, format: Format, **values: Any) -> str:
        """A template of FORMAT, with its place in the message where it is at fault."""
        file = f"{name}.{format.suffix}"
        place = f"templates/{format.name}/{file}"
        return render_template(self._environments[format.name], file, place, values).strip("\n")

    def _report(self, format: Format, prose: Prose, tables: Mapping[str, str]) -> str:
        """The report in FORMAT with its TABLES."""
        return self._template("report", format, **self._values(format, prose, tables)) + "\n"

    def _values(self, format: Format, prose: Prose, tables: Mapping[str, str]) -> dict[str, Any]:
        """What the template of the report is given, with its TABLES; in HTML a drawing is still a mark."""
        body = _put_in("table", tables, prose.bodies[format.name])
        values = {"front": self.front, "body": Fragment(body), "contents": prose.contents}
        if format.name == "html":
            values |= {"page": Page(self._templates), "data": self._page_data}
        if format.name == "latex":
            values["standins"] = [tuple(map(Fragment, entry)) for entry in standins(body + repr(self.front))]
        return values

    def _write_data(self) -> None:
        """The records, tables and figures as CSV, and where each printed number comes from."""
        records = self._context.frame
        joined = records.assign(groups=records["groups"].map("; ".join))
        (self._folder / RECORDS).write_text(as_csv(joined), encoding="utf-8")
        for name, table in self._tracing.tables.items():
            (self._folder / f"tables/{name}.csv").write_text(table.csv, encoding="utf-8")
        for figure in self._figures.values():
            for file, content in figure.data.items():
                (self._folder / "figures" / file).write_text(content, encoding="utf-8")
        floats = self._tracing.tables.values(), self._figures.values()
        told = provenance(self._context, self._tracing.origins, self._notebooks, *floats)
        with (self._folder / "provenance.json").open("wb") as file:
            file.writelines(as_json(told))


def _write_pdfs(drawn: Mapping[str, Drawing]) -> None:
    for drawing in drawn.values():
        drawing.write_pdf()


def _data_links(figure: Figure) -> list[tuple[str, str]]:
    """The words of the link to each file of FIGURE's data, and the file."""
    return list(zip(("Data", *(about.capitalize() for about in figure.more)), figure.files, strict=False))


def _mark(kind: str, name: str) -> str:
    """Where a table or a drawing goes; no value can hold it, for every format escapes one of its characters."""
    return f"<!--{kind}:{name}-->"


def _put_in(kind: str, made: Mapping[str, str], text: str) -> str:
    """TEXT with what was MADE in the places of its marks, all at once: a page of thousands of runs has megabytes."""
    return re.sub(_mark(kind, "([^<>]+)"), lambda found: made.get(found[1], found[0]), text)


def _named(known: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in known:
        raise ConfigurationError(f"there is no {what} {name!r}; there are {', '.join(sorted(known))}")
    return known[name]
