"""Every number on every page has its origin, and all formats print the same numbers with the same origins."""

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from experiments.strict_yaml import read_yaml
from report.comparisons import difference
from report.evidence import Evidence
from report.pages.formats import FORMATS
from report.pages.origins import Origin, Origins, as_json, cell_anchor, origins_table, row_anchors
from report.quantities import Kind, Quantity, Tier, count
from report.render import build_report
from report.tables import Column, Table
from tests.example_repository import EXAMPLE
from tests.made_up import make_cell, make_evidence, make_run, measured, waiting

EMPTY = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
# Digits that are no results, told apart by markup: numbers of sections, titles, references, citations, code, formulas,
# what the authors typed in a sentence, and the drawings, whose data have a file.
TOLD_APART = frozenset({"h1", "h2", "h3", "h4", "code", "math", "nav", "svg"})
NUMBERS_OF_A_RUN = (3, 4)  # the columns of the list of runs with accuracy and time, which have no markup of their own
CLASSES = frozenset({"number", "stated", "citation", "csl-entry", "head", "banner"})
# Of a table's cells those in which the machine makes sentences; in the others a text is a name, a setting or an author's.
SENTENCES = frozenset(
    {("tab:rules", 3), ("tab:reasons", 3), ("tab:reasons", 4), ("tab:untested", 3), ("tab:missing", 3)}
)
# What a sentence of the machine may say without an origin: names, settings, seeds, levels of confidence.
NAMES = re.compile(
    r"\b(?:Table|Figure) \d+\.|\b[a-z]+[\w]*(?:-\w+)*-[\w-]*\d[\w-]*|\b(?:cifar|fp|bf)\d+\b|\bseeds? \d+(?:[–, ]+\d+)*\b"
    r"|\b\d+(?:\.\d+)? %(?= (?:t |prediction )?intervals?\b)|\bchance of \d+ %|lies above 0\b|counted from 0\b"
    r"|\bbetween (?:[a-z ]+)?\d+ and \d+\b|\d+ epochs\b"
    r"|\b[\d,]+ training images\b|\b[a-z ]+ [\d,.]+ \(original [\d,.]+\)|\b(?:patch|kernel) size \d+(?:, \d+)*\b"
    r"|\b\(?\d+(?:(?:, \d+)* and \d+)? threads?\b|\bfirst \d+(?: to \d+)? channels\b"
)


def of_authors(root: Path) -> tuple[str, ...]:
    """What the authors typed into captions and claims, the longest first."""
    paper = root / "report/paper"
    floats = [item for kind in ("tables", "figures") for item in read_yaml(paper / f"{kind}.yaml")[kind].values()]
    texts = [item[field] for item in floats for field in ("title", "note")]
    claims = read_yaml(paper / "claims.yaml")["claims"].values()
    texts += [text for claim in claims for text in (claim["sentence"], claim["source"], *claim.get("deviations", ()))]
    return tuple(sorted({normal(text).rstrip(".") for text in texts if text}, key=len, reverse=True))


class Walk(HTMLParser):
    """Every text with a digit in the body of a page: what stands outside of all markup, and each number with its id."""

    def __init__(self, authors: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.authors = authors
        self.open: list[tuple[str, dict[str, str]]] = []
        self.homeless: list[str] = []
        self.numbers: list[tuple[str, str]] = []
        self.column = 0

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        found = {name: value or "" for name, value in attributes}
        if "q" in found.get("class", "").split():
            self.numbers.append((found["data-q"], ""))
        if tag == "tr":
            self.column = 0
        self.column += tag in ("td", "th")
        if tag not in EMPTY:
            self.open.append((tag, found))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, text: str) -> None:
        inside = {tag for tag, _ in self.open}
        classes = {name for _, found in self.open for name in found.get("class", "").split()}
        if self._row() and self.column in NUMBERS_OF_A_RUN and text != "–":
            self.numbers.append((self._row(), text))
        elif "q" in classes:
            id, before = self.numbers[-1]
            self.numbers[-1] = id, before + text
        elif not re.search(r"\d", text) or "main" not in inside:
            return
        elif not (
            inside & TOLD_APART or classes & CLASSES or any(f.get("href", "").startswith("#") for _, f in self.open)
        ):
            if "figure" in inside or "bound" in classes:
                text = self._made_by_the_machine(text, inside)
            if re.search(r"\d", text):
                self.homeless.append(text.strip())

    def _made_by_the_machine(self, text: str, inside: set[str]) -> str:
        """TEXT less what the authors typed and what may stand there; nothing of a table's cell that is no sentence."""
        name = next((found.get("id", "") for tag, found in self.open if tag == "figure"), "")
        if name and not inside & {"caption", "figcaption"} and (name, self.column) not in SENTENCES:
            return ""
        text = normal(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
        for typed in self.authors:
            text = text.replace(typed, "")
        return NAMES.sub("", text)

    def _row(self) -> str:
        """In the list of runs: the anchor of the row."""
        return next((found["id"] for tag, found in self.open if found.get("id", "").startswith("run:")), "")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """The repository's own report, with the source of the PDF instead of the PDF itself."""
    folder = tmp_path_factory.mktemp("report")
    with patch("report.pages.compose.pdf_by_typst", lambda source: source.read_bytes()):
        built = build_report(root, out=folder / "out", cache=folder / "cache")
    (built.out / "report.pdf").rename(built.out / "report.typ")
    return built.out


def normal(text: str) -> str:
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())


def fits(printed: str, entry: dict[str, Any]) -> bool:
    """Whether PRINTED is the text of ENTRY, or that less its unit or its n, which may stand in a table's header."""
    full = normal(entry["text"])
    without_n = re.sub(r" \(n = [^)]*\)$", "", full)
    unit = f" {entry['unit']}" if entry["unit"] else ""
    return normal(printed) in {full, without_n, without_n.removesuffix(unit), full.replace(f"{unit} (", " (")}


def test_no_number_of_the_page_is_without_origin(report: Path, root: Path) -> None:
    walk, told = Walk(of_authors(root)), json.loads((report / "provenance.json").read_text(encoding="utf-8"))
    walk.feed((report / "report.html").read_text(encoding="utf-8"))
    assert walk.homeless == []
    assert len(walk.numbers) > 50
    by_row: dict[str, list[Any]] = {}
    for id, entry in told["quantities"].items():
        if id.startswith("run/"):
            by_row.setdefault("run:" + id.split("/")[1], []).append(entry)
    for id, text in walk.numbers:
        known = [told["quantities"][id]] if id in told["quantities"] else by_row.get(id, [])
        assert any(fits(text, entry) for entry in known), (id, text)


def test_the_walk_notices_a_number_without_origin() -> None:
    walk = Walk()
    walk.feed(
        '<main><h2>1 Setup</h2><p>Of <a class="q" data-q="a/b" href="#x">3</a> runs<br> 71.23 % are right.</p></main>'
    )
    assert (walk.homeless, walk.numbers) == (["71.23 % are right."], [("a/b", "3")])


@pytest.mark.parametrize(
    ("markup", "homeless"),
    [
        ('<figure id="fig:a"><figcaption><strong>Figure 1.</strong> Typed: 5 of 7. Ours: 71.23 %</figcaption></figure>', "71.23"),
        ('<figure id="tab:a"><caption>Means with a 95 % t interval, of 3 runs</caption></figure>', "of 3 runs"),
        ('<figure id="tab:reasons"><tr><td>a</td><td>b</td><td>kernel size 9 (p = 0.03)</td></tr></figure>', "p = 0.03"),
        ('<p><span class="bound">5 epochs at seed 3 reach 71 %</span></p>', "71 %"),
    ],
)  # fmt: skip
def test_the_walk_notices_a_number_in_a_caption_a_reason_or_a_word(markup: str, homeless: str) -> None:
    walk = Walk(("Typed: 5 of 7",))
    walk.feed(f"<main>{markup}</main>")
    assert len(walk.homeless) == 1 and homeless in walk.homeless[0]


def test_the_list_of_runs_is_the_same_in_markdown_and_on_the_web(report: Path) -> None:
    page, text = ((report / FORMATS[name].report).read_text(encoding="utf-8") for name in ("html", "markdown"))
    (whole,) = re.findall(RUNS["html"], page, re.DOTALL)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", whole)[1:]]
    expected = [[normal(html.unescape(re.sub(r"<[^>]*>", "", cell))) for cell in row] for row in rows]
    (whole,) = re.findall(RUNS["markdown"], text, re.DOTALL)
    rows = [line.strip("| ").split(" | ") for line in whole.splitlines()[4:] if line.startswith("|")]
    links = re.compile(r'<a id="[^"]*"></a>|\[([^\]]*)\]\([^)]*\)')
    found = [[normal(html.unescape(links.sub(r"\1", cell)).replace("\\", "")) for cell in row] for row in rows]
    assert len(found) > 100
    assert found == expected


def test_every_float_names_the_file_of_its_data(report: Path) -> None:
    told, page = json.loads((report / "provenance.json").read_text()), (report / "report.html").read_text()
    floats = re.findall(r'<figure[^>]* id="(tab|fig):([^"]+)"', page)
    assert floats
    for kind, name in floats:
        data = told["tables" if kind == "tab" else "figures"][name]["data"]
        assert data is None or (report / data).is_file()


def test_every_record_names_its_file_and_the_executed_notebook_that_is_kept(report: Path, root: Path) -> None:
    records = json.loads((report / "provenance.json").read_text(encoding="utf-8"))["records"]
    kept = {path.stem for path in (root / "experiments/executed").glob("*.ipynb")}
    assert {run for run, entry in records.items() if entry["notebook"]} == kept & records.keys() != records.keys()
    for entry in records.values():
        assert (root / entry["record"]).is_file()
        assert entry["notebook"] is None or (root / entry["notebook"]).is_file()


def of_markdown(text: str) -> list[tuple[str, str]]:
    found = re.findall(r"\[((?:[^\[\]\\]|\\.)*)\]\(#((?:cell|from):[^)]+)\)", text)
    return [(anchor, re.sub(r"\\(.)", r"\1", html.unescape(words))) for words, anchor in found]


def of_html(text: str) -> list[tuple[str, str]]:
    found = re.findall(r'<a class="q[^"]*" href="#([^"]+)"[^>]*>(.*?)</a>', text, re.DOTALL)
    return [(anchor, html.unescape(re.sub(r"<[^>]*>", "", words))) for anchor, words in found]


def of_latex(text: str) -> list[tuple[str, str]]:
    text = re.sub(r"^\\fixedcolumn.*", "", text, flags=re.MULTILINE)  # cells that are measured there and printed below
    found = re.findall(r"\\origin\{([^}]*)\}\{((?:[^{}]|\{[^{}]*\})*)\}", text)
    plain = (re.sub(r"\\resultstate\{([^}]*)\}|\{([][])\}|\\textless\{\}", r"\1\2", words) for _, words in found)
    return [
        (anchor, re.sub(r"~|\\,", " ", words).replace("\\", ""))
        for (anchor, _), words in zip(found, plain, strict=True)
    ]


def of_typst(text: str) -> list[tuple[str, str]]:
    text = re.sub(r"fitting\(.*", "", text)  # cells that are measured there and printed below
    found = re.findall(r'#origin\("([^"]*)"\)\[((?:[^\[\]\\]|\\.|#state\[[^\]]*\])*)\]', text)
    plain = (re.sub(r"#state\[([^\]]*)\];", r"\1", words).replace("~", " ") for _, words in found)
    return [(anchor, re.sub(r"\\(.)", r"\1", words)) for (anchor, _), words in zip(found, plain, strict=True)]


# The list of runs stands condensed on paper, under another note.
RUNS = {
    "markdown": r'<a id="tab:runs">.*?(?=\n\n<a id=|\n#)',
    "html": r'<figure class="table[^>]*id="tab:runs">.*?</figure>',
    "latex": r"\{tab:runs\}.*?\\end\{longtable\}",
    "typst": r'\[#strong\[Table \d+\.\] Every planned run\\?\..*?#label\("tab:runs"\)',
}
READ = {"markdown": of_markdown, "html": of_html, "latex": of_latex, "typst": of_typst}


def numbers_of(report: Path, name: str) -> list[tuple[str, str]]:
    """The anchor and the text of every number of a format, in their order, but for the list of runs."""
    text = (report / FORMATS[name].report).read_text(encoding="utf-8")
    short, found = re.subn(RUNS[name], "", text, flags=re.DOTALL)
    assert found == 1
    return [(anchor, normal(words).replace("< ", "")) for anchor, words in READ[name](short)]


@pytest.mark.parametrize("name", ["markdown", "latex", "typst"])
def test_all_formats_print_the_same_numbers_with_the_same_origins(report: Path, name: str) -> None:
    expected = numbers_of(report, "html")
    assert len(expected) > 500
    assert numbers_of(report, name) == expected


def test_every_link_to_an_origin_has_its_target_in_every_format(report: Path) -> None:
    page, paper, text = ((report / f"report.{suffix}").read_text(encoding="utf-8") for suffix in ("html", "tex", "md"))
    anchors = {anchor for anchor, _ in of_html(page)}
    assert anchors <= set(re.findall(r' id="([^"]+)"', page))
    assert anchors <= set(re.findall(r"\\hypertarget\{([^}]+)\}", paper))
    assert anchors <= set(re.findall(r'<a id="([^"]+)">', text))


def test_a_number_that_is_traced_is_one_number_wherever_it_stands_and_is_listed(root: Path, tmp_path: Path) -> None:
    asked: dict[str, list[Quantity]] = {}
    find = Origins.of

    def listen(origins: Origins, quantity: Quantity) -> Origin:
        asked.setdefault(quantity.id, []).append(quantity)
        return find(origins, quantity)

    with patch.object(Origins, "of", listen):
        built = build_report(
            root / EXAMPLE, out=tmp_path / "out", formats=["markdown", "html"], cache=tmp_path / "cache"
        )
    printed = {quantity.id: quantity for quantity in built.context.registry.printed}
    assert len(printed) > 100
    assert {id for id, quantities in asked.items() for quantity in quantities if quantity != printed.get(id)} == set()


def traced(quantity: Quantity, evidence: Evidence | None = None) -> Origin:
    return Origins(evidence or make_evidence(*make_cell([0.7, 0.8]))).of(quantity)


def test_the_mean_of_a_cell_leads_to_the_cell_and_is_re_aggregated() -> None:
    evidence = make_evidence(*make_cell([0.7, 0.8]))
    (cell,) = evidence.cells()
    runs = tuple(record.run for record in cell.records)
    command = f"python build.py run --force {cell.name}"
    expected = Origin(Tier.RE_AGGREGATED, (cell.name,), runs, (), cell_anchor(cell.name), command)
    assert traced(cell.quantity(), evidence) == expected


@pytest.mark.parametrize(("cells", "is_named"), [(1, True), (3, True), (4, False)])
def test_the_command_that_makes_a_number_again_names_its_cells_where_they_are_few(cells: int, is_named: bool) -> None:
    evidence = make_evidence(*(status for k in range(cells) for status in make_cell([0.7], kernel_size=k)))
    names = [cell.name for cell in evidence.cells()]
    runs = tuple(record.run for record in evidence.recorded())
    origin = traced(count("count/runs", cells, "runs", origin=runs), evidence)
    assert origin.command == (f"python build.py run --force {' '.join(names)}" if is_named else "python build.py")


def test_numbers_of_the_same_runs_share_a_row_in_whichever_order_they_name_them() -> None:
    evidence = make_evidence(*make_cell([0.7]), *make_cell([0.8], kernel_size=5))
    runs = tuple(record.run for record in evidence.recorded())
    anchors = {traced(count("count/runs", 2, "runs", origin=order), evidence).anchor for order in (runs, runs[::-1])}
    assert len(runs) == 2 and len(anchors) == 1


def test_what_is_quoted_and_what_is_computed_from_one_source_have_rows_of_their_own() -> None:
    quoted = Quantity("original/a", Kind.ACCURACY, 0.9, origin=("Table 1",), tier=Tier.QUOTED, quoted="90")
    computed = replace(quoted, id="original/a-minus-b", tier=Tier.COMPUTED, quoted="")
    origins = [traced(quoted), traced(computed)]
    assert len({origin.anchor for origin in origins}) == 2
    assert [row[0] for row in origins_table(origins, ())[0].rows] == ["computed", "quoted"]


def test_no_two_names_share_an_anchor_and_each_is_one_in_every_format() -> None:
    names = ["a_b", "a b", "a.b", "a-b", "a_5f_b", "a%b"]
    anchors = [cell_anchor(name) for name in names]
    assert anchors[:2] == ["cell:a_5f_b", "cell:a_20_b"]
    assert len(set(anchors)) == len(names)
    assert all(re.fullmatch(r"cell:[\w.-]+", anchor) for anchor in anchors)


@pytest.mark.parametrize(("executor", "tier"), [("local", Tier.RUN_HERE), ("ci", Tier.RUN_BY_CI)])
def test_a_value_of_one_run_is_told_by_who_ran_it(executor: str, tier: Tier) -> None:
    status = measured(make_run(0), 0.7)
    assert status.record is not None
    record = replace(status.record, provenance={**status.record.provenance, "executor": executor})
    evidence = make_evidence(replace(status, record=record))
    assert traced(evidence.cells()[0].quantity(), evidence).tier is tier


def test_a_number_that_waits_for_its_runs_leads_to_its_cell_all_the_same() -> None:
    evidence = make_evidence(waiting(make_run(0)))
    (cell,) = evidence.cells()
    origin = traced(cell.quantity(), evidence)
    assert (origin.anchor, origin.runs, origin.tier) == (cell_anchor(cell.name), (), Tier.COMPUTED)


def test_what_is_quoted_or_counted_leads_to_the_table_of_origins() -> None:
    quoted = Quantity("original/a", Kind.ACCURACY, 0.9, origin=("Table 1",), tier=Tier.QUOTED, quoted="90")
    origins = [traced(quoted), traced(count("count/runs", 3, "runs"))]
    assert [(origin.tier, origin.words, origin.command) for origin in origins] == [
        (Tier.QUOTED, "Table 1", ""),
        (Tier.COMPUTED, "experiments/plan.yaml, the ledger and claims.yaml, counted", "python build.py"),
    ]
    table, anchors = origins_table(origins, {"cell:a"})
    assert table.rows == (
        ("computed", "experiments/plan.yaml, the ledger and claims.yaml, counted"),
        ("quoted", "Table 1"),
    )
    assert anchors == ((origins[1].anchor,), (origins[0].anchor,))
    assert origins_table(origins, [origin.anchor for origin in origins])[0].rows == ()


def test_all_that_waits_for_its_runs_shares_a_row_of_the_table_of_origins() -> None:
    evidence = make_evidence(
        *(waiting(make_run(0, kernel_size=k)) for k in (3, 5, 7, 9)), *make_cell([0.7, 0.8], patch_size=4)
    )
    origins = [traced(cell.quantity(), evidence) for cell in evidence.cells()]
    table, anchors = origins_table(origins, ())
    *pending, measured_one = sorted(origins, key=lambda origin: len(origin.runs))
    names = sorted(cell for origin in pending for cell in origin.cells)
    assert table.rows == (
        (Tier.RE_AGGREGATED.value, measured_one.words),
        ("pending", f"{', '.join(names[:3])} and 1 more, no run yet"),
    )
    assert anchors == ((measured_one.anchor,), tuple(sorted(origin.anchor for origin in pending)))


def test_a_number_that_is_not_comparable_does_not_wait_for_the_runs_that_there_are() -> None:
    evidence = make_evidence(*make_cell([0.7, 0.8], epochs=5), *make_cell([0.7, 0.8], epochs=10))
    a, b = evidence.cells()
    origin = traced(difference(a, b), evidence)
    assert (origin.words, origin.is_waiting) == (f"{a.name}, {b.name}, 4 runs", False)


def test_the_first_run_of_a_cell_is_the_cell_s_row() -> None:
    evidence = make_evidence(*make_cell([0.7, 0.8]))
    names = [status.run.name for status in evidence.runs()]
    table = Table("runs", "Runs.", "", (Column("run", "Run"),), tuple((name,) for name in names))
    cell = cell_anchor(evidence.cells()[0].name)
    assert row_anchors(table, Origins(evidence)) == ((f"run:{names[0]}", cell), (f"run:{names[1]}",))
    assert row_anchors(replace(table, columns=(Column("name", "Run"),)), Origins(evidence)) == ((), ())


def test_the_json_of_all_numbers_is_what_the_standard_library_reads() -> None:
    told = {
        "b": [1, 2.5, None, True, [], {}],
        "a": {'é\n"': "<\u2028>", "low": 1e-7, "t": (1, ("x",))},
        "c": {},
        "": -0.0,
    }
    text = b"".join(as_json(told)).decode()
    assert json.loads(text) == json.loads(json.dumps(told))
    assert [line.strip() for line in text.splitlines()[:3]] == ["{", '"": -0.0,', '"a": {']
