"""Prose, bibliography, metadata and tables of strangers: they print, and reach neither Python, TeX, the web nor a file."""

import csv
import io
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.reading import FILE_NAME_RULE
from experiments.spec import ConfigurationError
from report.checking.manuscript import refuse_faults
from report.fields import file_names
from report.figures import read_figures
from report.judge.claims import read_claims
from report.listings.table_kinds import read_tables
from report.original import CSV_COLUMNS, read_original
from report.pages import conversion
from report.pages.bibliography import check_bibliography, check_style
from report.pages.citation import citation_file
from report.pages.conversion import Conversion
from report.pages.metadata import read_metadata
from report.pages.prose import Filled, Setters, fill_in
from report.quantities import Quantity
from report.review.bundle import members
from tests.small_paper import accuracy, figure, make_paper, table

SETTERS = Setters(*[lambda *_: {"latex": "x"}] * 4)
PLACE = "report/paper/sections/10-body.md"


def filled_in(folder: Path, text: str) -> Filled:
    """TEXT as the only section, with a quantity, a text and a method for its words."""
    sections = folder / "report/paper/sections"
    sections.mkdir(parents=True)
    (sections / "10-body.md").write_text(text, encoding="utf-8")
    words = {"ours": accuracy(), "text": "plain", "word": accuracy}
    return fill_in(sections, words, SETTERS, lambda quantity: None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<< word.__globals__ >>", "access to attribute '__globals__' of 'function' object is unsafe."),
        ("<< ours.__class__.__mro__ >>", "access to attribute '__class__' of 'Quantity' object is unsafe."),
        ("<< ''.__class__ >>", "access to attribute '__class__' of 'str' object is unsafe."),
        ("<< text.format(1) >>", "access to attribute 'format' of 'str' object is unsafe."),
        ("<< text['__class__'] >>", "access to attribute '__class__' of 'str' object is unsafe."),
        ("<< ours.__init__.__globals__ >>", "access to attribute '__init__' of 'Quantity' object is unsafe."),
        ("<< 'x' * 10000000000 >>", "the prose may not calculate: found '*'"),
        ("<< 9 ** 9 ** 9 >>", "the prose may not calculate: found '**'"),
        ("<< text | attr('x') >>", "No filter named 'attr'."),
        ("<< text | map(attribute='x') >>", "No filter named 'map'."),
        ("<< range(9) >>", "'range' is undefined; it may use figure, ours, ref, table, text, word"),
        ("<< 1e400 >>", "the prose may not use a number without an end"),
        ("<< cycler >>", "'cycler' is undefined; it may use figure, ours, ref, table, text, word"),
        ("<% include '/etc/passwd' %>", "the prose may not use include"),
        ("<% import 'x' as y %>", "the prose may not use import"),
        ("<% extends 'x' %>", "the prose may not use extends"),
        ("<% macro f() %>x<% endmacro %>", "the prose may not use macro"),
        ("<% for a in text %>x<% endfor %>", "the prose may not use a loop over anything but a list that stands there"),
        ("<% for a in [1] %><% for b in [1] %>x<% endfor %><% endfor %>", "the prose may not use a loop within a loop"),
    ],
)
def test_the_prose_calls_its_words_and_nothing_else(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        filled_in(tmp_path, text)
    assert str(caught.value).startswith(f"{PLACE}:1: {message}")


def test_words_their_values_and_short_lists_can_be_used(tmp_path: Path) -> None:
    text = "<< text >><% if ours.is_measured and word().n > 2 %> yes<% endif %><% for a in ['b', 'c'] %> << a >><% endfor %>"
    assert filled_in(tmp_path, text).startswith("plain yes b c")


def test_brackets_within_brackets_end_with_a_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        filled_in(tmp_path, f"<< {'(' * 5000} >>")
    assert str(caught.value) == f"{PLACE}: brackets stand too deep within each other to be read"


@pytest.mark.parametrize("name", ["10-body.md", "sections", "paper"])
def test_prose_behind_a_link_is_not_read(tmp_path: Path, root: Path, name: str) -> None:
    paper = make_paper(tmp_path / "paper", root)
    (tmp_path / "secret").write_text("the secret")
    place = next(path for path in (paper / "report").rglob(name)) if name != "paper" else paper / "report/paper"
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "secret" if name == "10-body.md" else tmp_path / "moved")
    with pytest.raises(ConfigurationError, match=f"{name}: it is a link; expected the file or folder itself$"):
        refuse_faults(paper)


def convert(root: Path, text: str, paper: Path | None = None) -> dict[str, str]:
    with Conversion(text, paper or root / "report/paper", root / "templates/prose.lua") as running:
        return dict(running.finish().bodies)


def refusal(root: Path, text: str, paper: Path | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        convert(root, text, paper)
    return str(caught.value)


RAW = "pandoc: a text would pass to {} as it stands: {}; write it as text"
FORMULA = "pandoc: the prose has the formula {}; expected one without ^^ and without comments"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("`<script>`{=html}", RAW.format("html", "<script>")),
        ("```{=latex}\n\\input{x}\n```", RAW.format("latex", r"\input{x}")),
        ("`#read()`{=typst-}", RAW.format("typst-", "#read()")),
        ("$^^5cinput{/etc/passwd}$", FORMULA.format("^^5cinput{/etc/passwd}")),
        ("$$a^^4b$$", FORMULA.format("a^^4b")),
        (
            "[a](javascript:alert%281%29)",
            "pandoc: the prose links to javascript:alert%281%29; expected https://, mailto:",
        ),
        ("[a](java&#115;cript&colon;x)", "pandoc: the prose links to javascript:x; expected https://, mailto:"),
        ("[a](DATA:text/html,x)", "pandoc: the prose links to DATA:text/html,x; expected https://, mailto:"),
        ("[a]{onclick=x}", "pandoc: the prose gives the attribute onclick to a Span; expected only"),
        ("# A {style=x}", "pandoc: the prose gives the attribute style to a Header; expected only"),
        ("::: {onload=x}\na\n:::", "pandoc: the prose gives the attribute onload to a Div; expected only"),
        ("![a](/etc/passwd)", "pandoc: the prose has the image /etc/passwd; declare a figure"),
        (r"$\input{/etc/passwd}$", "pandoc: [WARNING] Could not convert TeX math"),
        (r"$\def\a{\write18{id}}\a$", "pandoc: [WARNING] Could not convert TeX math"),
        (r"$\text{\input{x}}$", "pandoc: [WARNING] Could not convert TeX math"),
    ],
)
def test_text_that_one_format_would_act_upon_is_refused(root: Path, text: str, message: str) -> None:
    assert refusal(root, text).startswith(message)


def test_an_author_cannot_write_a_raw_piece_even_from_parts(tmp_path: Path, root: Path) -> None:
    text = filled_in(tmp_path, '`\\input{x}`{<< "" >>=latex}')
    assert "`\\input{x}`{=latex}" in text
    assert refusal(root, text) == RAW.format("latex", r"\input{x}")


def test_blocks_of_metadata_name_no_files_for_pandoc_to_read(root: Path) -> None:
    bodies = convert(root, "---\ncitation-abbreviations: /etc/hostname\nheader-includes: '\\input{x}'\n---\n\nText.\n")
    assert all("citation-abbreviations" in body for body in bodies.values())
    assert r"\input{x}" not in bodies["latex"]


def test_markup_of_other_languages_is_text(root: Path) -> None:
    bodies = convert(
        root, "<script>alert(1)</script> \\write18{id} \\newcommand{\\a}{b} #eval(1)\n\n    \\end{verbatim}\n"
    )
    assert "<script" not in bodies["html"]
    assert r"\textbackslash write18\{id\}" in bodies["latex"]
    assert r"\end{verbatim}" not in bodies["latex"].replace("\n\\end{verbatim}\n", "", 1)
    assert r"\#eval(1)" in bodies["typst"]


def test_pandoc_is_stopped_where_it_would_not_end(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "PANDOC_SECONDS", 1)
    message = "pandoc: it is not done after 1 s; look for many brackets or quotations within each other"
    assert refusal(root, "[" * 400) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (r"title = {\input{/etc/passwd}}", r"references.bib:2: found the command '\\input'; expected accents"),
        (r"title = {\immediate\write18{id}}", r"references.bib:2: found the command '\\immediate'; expected accents"),
        (
            r"title = {\includegraphics{/etc/passwd}}",
            r"references.bib:2: found the command '\\includegraphics'; expected",
        ),
        (r"title = {\href{javascript:x}{y}}", r"references.bib:2: found the command '\\href'; expected accents"),
        ("title = {^^5cinput}", "references.bib:2: found '^^', which spells any character for TeX; remove it"),
        ("}\n@PREAMBLE{x", "references.bib:3: found a preamble; remove it"),
    ],
)
def test_a_bibliography_holds_no_program(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "references.bib"
    path.write_text(f"@article{{a,\n{text}\n}}\n")
    with pytest.raises(ConfigurationError) as caught:
        check_bibliography(path)
    assert str(caught.value).startswith(message)


def test_a_bibliography_brings_no_script_into_a_link(tmp_path: Path, root: Path) -> None:
    (tmp_path / "numeric.csl").write_bytes((root / "report/paper/numeric.csl").read_bytes())
    (tmp_path / "references.bib").write_text("@misc{a,\n title = {T},\n url = {javascript:alert(1)}\n}\n")
    bodies = convert(root, "See [@a].", tmp_path)
    assert '<a href="https://javascript:alert(1)">' in bodies["html"]  # an address of no host
    assert not any(re.search(r"""["({]javascript:alert\(1\)["')]""", body) for body in bodies.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<link rel="independent-parent" href="http://a"/>', "a parent, which would be fetched"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>', "a declaration of entities"),
    ],
)
def test_a_style_fetches_and_expands_nothing(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "numeric.csl"
    path.write_text(f"<style>\n{text}</style>")
    with pytest.raises(ConfigurationError) as caught:
        check_style(path)
    assert str(caught.value) == f"numeric.csl:2: found {message}; expected an independent style"


@pytest.mark.parametrize("name", ["../../../x", "/tmp/x", "a/b", "..", ".x", "nul", "x" * 200, 3])
@pytest.mark.parametrize("kind", ["figures", "tables"])
def test_a_figure_or_table_is_written_nowhere_else(tmp_path: Path, kind: str, name: object) -> None:
    path = tmp_path / f"report/paper/{kind}.yaml"
    path.parent.mkdir(parents=True)
    labels = "labels: {}\n" if kind == "tables" else ""
    path.write_text(f"version: 1\n{labels}{kind}:\n  {name!r}: {{kind: rows}}\n")
    with pytest.raises(ConfigurationError) as caught:
        read_figures(path) if kind == "figures" else read_tables(tmp_path)
    assert str(caught.value) == f"{kind}.yaml: {kind}: the name: found {f'{name!r}'[:200]}; expected {FILE_NAME_RULE}"


def test_two_names_of_one_file_are_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        file_names({"runs": {}, "Runs": {}}, "tables.yaml: tables")
    expected = "a name that differs from 'runs' in more than capitals"
    assert str(caught.value) == f"tables.yaml: tables: the name: found 'Runs'; expected {expected}"


@pytest.mark.parametrize("text", ["=HYPERLINK(A1)", "+1+1", "-2+3", "@SUM(A1)", "\t=1"])
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    exported = [
        replace(table(), rows=((text, *table().rows[0][1:]),)).csv,
        replace(figure(), rows=({"row": text},)).data["demo.csv"],
    ]
    for content in exported:
        cells = [cell for row in csv.reader(io.StringIO(content)) for cell in row]
        assert f"'{text}" in cells
        assert text not in cells


def test_negative_numbers_in_a_csv_stay_numbers() -> None:
    loss = replace(accuracy(), value=-0.25)
    assert isinstance(loss, Quantity)
    rows = csv.DictReader(io.StringIO(replace(table(), rows=(("a", loss, "-", table().rows[0][3]),)).csv))
    assert [(row["ours"], row["n"]) for row in rows] == [("-0.25", "-")]


METADATA = {
    "title: [a]": "title: found ['a']; expected text",
    "authors: {name: a}": "authors: found {'name': 'a'}; expected a list of maps such as `- url: …`",
    "authors: [a]": "authors[1]: found 'a'; expected a mapping",
    "authors: [{orcid: a}]": "authors[1].name: found None; expected text that is not empty",
    "code: [{url: [a]}]": "code[1].url: found ['a']; expected text",
    r"code: [{url: '\input{/etc/passwd}'}]": (
        r"code[1].url: found '\\input{/etc/passwd}'; expected text without '\\', upon which the journal's TeX would act"
    ),
    "authors: [{name: a, orcid: '^^5c'}]": (
        "authors[1].orcid: found '^^5c'; expected text without '^', upon which the journal's TeX would act"
    ),
    "titel: a": (
        "unknown field 'titel'; the fields are abstract, affiliations, article, authors, bibliography, code, "
        "contributors, data, dates, domain, journal, keywords, language, license, replication, review, title, type"
    ),
    "bibliography: refs.bib": "bibliography: found 'refs.bib'; expected 'references.bib', the file that is read",
    "code: [{doi: 'https://doi.org/10.1/x'}]": (
        "code[1].doi: found 'https://doi.org/10.1/x'; expected a DOI such as 10.5281/zenodo.1234567, without the address "
        "before it"
    ),
    "journal: [{name: '}'}]": "journal[1].name: found '}'; expected text without '}', upon which the journal's TeX would act",
}


@pytest.mark.parametrize(("text", "message"), METADATA.items())
def test_metadata_of_another_shape_or_with_commands_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "metadata.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_metadata(path)
    assert str(caught.value) == f"metadata.yaml: {message}"


def test_an_identifier_cannot_add_a_line_to_the_citation_file(tmp_path: Path) -> None:
    (tmp_path / "report/paper").mkdir(parents=True)
    text = 'title: T\nauthors: [{name: "A B", orcid: "x\\"\\nlicense: evil\\nz: \\""}]\n'
    (tmp_path / "report/paper/metadata.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match="expected an ORCID such as 0000-0002-1825-0097"):
        citation_file(tmp_path)
    name = text.replace("x\\", "0000-0002-1825-0097").split(", orcid")[0].replace("A B", "A \\nlicense: evil") + "}]\n"
    (tmp_path / "report/paper/metadata.yaml").write_text(name)
    assert "\nlicense: evil" not in citation_file(tmp_path)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("accuracy_pct", "²", ":2: accuracy_pct: found '²'; expected a number in digits, such as 91.2, or nothing"),
        (
            "accuracy_pct",
            "9_1",
            ":2: accuracy_pct: found '9_1'; expected a number in digits, such as 91.2, or nothing",
        ),
        (
            "accuracy_pct",
            "1e400",
            ":2: accuracy_pct: found '1e400'; expected a number in digits, such as 91.2, or nothing",
        ),
        ("epochs", "²", ":2: epochs: found '²'; expected a whole number or nothing"),
        ("epochs", "9" * 5000, f":2: epochs: found '{'9' * 199}; expected a whole number or nothing"),
        ("note", "a" * 200_000, ": this is no CSV: field larger than field limit (131072)"),
    ],
)
def test_quoted_numbers_are_of_ascii_and_of_a_bounded_length(
    tmp_path: Path, column: str, value: str, message: str
) -> None:
    path = tmp_path / "original.csv"
    row = dict.fromkeys(CSV_COLUMNS, "") | dict.fromkeys(("id", "who", "dataset", "source", "certainty"), "a")
    path.write_text(f"{','.join(CSV_COLUMNS)}\n{','.join((row | {column: value}).values())}\n")
    with pytest.raises(ConfigurationError) as caught:
        read_original(path)
    assert str(caught.value).startswith(f"original.csv{message}")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("claims: {a: 1}", "claims.a: found 1; expected a mapping"),
        (
            "claims: {'a b': {}}",
            "claims: the name: found 'a b'; expected letters, digits, dots, hyphens and underscores",
        ),
        ("protocols: [a]", "protocols: found ['a']; expected a mapping"),
        ("claims: {a: {kind: [b]}}", "claims.a.kind: found ['b']; expected direction | trend"),
    ],
)
def test_claims_of_another_shape_are_refused(tmp_path: Path, part: str, message: str) -> None:
    name = part.partition(":")[0]
    rest = {"version": "1", "alpha": "0.05", "min_seeds": "3", "protocols": "{}", "claims": "{}"}
    rest.pop(name)
    path = tmp_path / "claims.yaml"
    path.write_text("\n".join([part, *(f"{key}: {value}" for key, value in rest.items())]))
    with pytest.raises(ConfigurationError) as caught:
        read_claims(path)
    assert str(caught.value).startswith(f"claims.yaml: {message}")


def test_a_bundle_packs_no_file_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    assert members(tmp_path) == ["a"]
    os.symlink("/etc/passwd", tmp_path / "b")
    with pytest.raises(ConfigurationError) as caught:
        members(tmp_path)
    assert str(caught.value) == "b: it is a link, which could lead to any file of this machine; remove it"
