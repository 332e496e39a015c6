"""The prose: what it names, how tables and figures are numbered, and a message with file and line for each mistake."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.spec import ConfigurationError
from report.judge.claims import OURS
from report.judge.gates import Deviation
from report.judge.trials import Outcome
from report.judge.verdict import Verdict
from report.pages.conversion import Conversion
from report.pages.formats import FORMATS, environment
from report.pages.prose import Setters, fill_in
from report.quantities import Quantity
from report.sentences import Sentence
from tests.judging import DIRECTION
from tests.small_paper import HOSTILE, PROSE, accuracy, make_paper, pending

SETTERS = Setters(
    quantity=lambda quantity: {"latex": "Q", "html": "<q>"},
    outcome=lambda outcome: {"latex": outcome.value},
    table=lambda name, number: {"latex": f"table {name} is {number}"},
    figure=lambda name, number: {"latex": f"figure {name} is {number}"},
)


def filled_in(folder: Path, text: str, **names: object) -> str:
    """TEXT as the only section, filled in, less the references."""
    sections = folder / "report/paper/sections"
    sections.mkdir(parents=True)
    (sections / "10-body.md").write_text(text, encoding="utf-8")
    filled = fill_in(sections, names, SETTERS, lambda quantity: None)
    return filled.holes.fill(filled.partition("\n\n# References")[0], "latex")


def test_a_quantity_brings_its_words_for_each_format_and_is_noted_as_printed(tmp_path: Path) -> None:
    sections, printed = tmp_path / "report/paper/sections", list[Quantity]()
    sections.mkdir(parents=True)
    (sections / "10-body.md").write_text("It is << ours >>.", encoding="utf-8")
    text = fill_in(sections, {"ours": accuracy()}, SETTERS, printed.append)
    assert [text.holes.fill(text, name)[:10] for name in ("latex", "html", "markdown")] == [
        "It is `Q`{",
        "It is `<q>",
        "It is ``{=",
    ]
    assert set(printed) == {accuracy()}


@pytest.mark.parametrize(("epochs", "words"), [("5", " under a reduced protocol"), ("", "")])
def test_a_verdict_of_a_reduced_protocol_says_so_wherever_it_is_printed(
    tmp_path: Path, epochs: str, words: str
) -> None:
    deviations = (Deviation("epochs", "200", epochs),) if epochs else ()
    verdict = Verdict(DIRECTION, Outcome.REPRODUCED, (), "", deviations=deviations)
    text = filled_in(tmp_path, "It is << verdict >>.", verdict=verdict)
    assert text.startswith("It is `REPRODUCED`{=") and text.endswith(f"}}{words}.")
    made = environment(FORMATS["markdown"], Path(__file__).parent.parent / "templates")
    assert made.from_string("{{ verdict }}").render(verdict=verdict).endswith(f"**REPRODUCED**{words}")


@pytest.mark.parametrize("outcome", [Outcome.REPRODUCED, Outcome.INCONCLUSIVE])
def test_nothing_of_our_own_is_called_reproduced_in_prose_either(tmp_path: Path, outcome: Outcome) -> None:
    verdict = Verdict(replace(DIRECTION, certainty=OURS, main=False), outcome, (), "")
    words = {Outcome.REPRODUCED: "shown", Outcome.INCONCLUSIVE: "inconclusive"}[outcome]
    assert filled_in(tmp_path, "It is << verdict >>.", verdict=verdict) == f"It is {words}."
    made = environment(FORMATS["markdown"], Path(__file__).parent.parent / "templates")
    assert made.from_string("{{ verdict }}").render(verdict=verdict) == words


@pytest.mark.parametrize("part", ["outcome", "printed", "sensitivity[0][1]"])
def test_an_outcome_by_itself_is_refused_as_it_may_be_another_one_s_or_lack_its_reservation(
    tmp_path: Path, part: str
) -> None:
    verdict = Verdict(DIRECTION, Outcome.REPRODUCED, (), "", sensitivity=(("half the margin", Outcome.PARTIAL),))
    with pytest.raises(ConfigurationError, match=r"an outcome by itself; print the verdict, << verdict"):
        filled_in(tmp_path, f"It is << verdict.{part} >>.", verdict=verdict)


def test_numbers_follow_the_order_of_placement_also_for_references_before_it(tmp_path: Path) -> None:
    text = filled_in(
        tmp_path, "<< ref('tab:b') >>, << ref('fig:x') >>\n\n<< table('a') >>\n\n<< figure('x') >>\n\n<< table('b') >>"
    )
    assert text.startswith("[Table\N{NO-BREAK SPACE}2](#tab:b), [Figure\N{NO-BREAK SPACE}1](#fig:x)\n")
    assert [text.index(words) for words in ("table a is 1", "figure x is 1", "table b is 2")]


def test_a_condition_decides_what_is_numbered(tmp_path: Path) -> None:
    text = filled_in(tmp_path, "<% if absent %>\n<< table('a') >>\n<% endif %>\n<< table('b') >>\n", absent=False)
    assert "table b is 1" in text
    assert "table a" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n<% if yes %>b<% endif %>\n\n**c**", "a\nb\n\n**c**"),
        ("a <# why #>\nb", "a \nb"),
        ("a\n<% if yes %><# why #>\nb\n<% endif %>\nc", "a\nb\nc"),
        ("a<%\nif yes %>b<% else %>\nc<% endif %>\nd", "ab\nd"),
        ("a\n<% if yes %>b<% endif -%>\nc", "a\nbc"),
    ],
)
def test_a_statement_takes_away_no_line_break_but_that_of_a_line_of_its_own(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert filled_in(tmp_path, text, yes=True) == expected


ATTRIBUTES = "aggregate, details, fidelity, id, is_measured, kind, n, origin, parts, planned, quoted, spread, state, tier, value, why"
NAMES = "it may use figure, number, ours, ref, table"
ONCE = "place it once and refer to it with ref('tab:a')"
NOWHERE = "ref('tab:b') refers to what the prose does not place; it places tab:a"
RAW_FLOAT = (
    "the prose prints 0.5, a raw float: a number reaches a page only as a quantity, which knows its n, its state and "
    "its origin; print accuracy(...), count(...), parameters(...) or their like"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\n\n<< unknown >>", f":3: 'unknown' is undefined; {NAMES}"),
        ("<< number >>", f":1: {RAW_FLOAT}"),
        ("\n<< ours.valu >>", f":2: 'valu' is no attribute of a Quantity; it has {ATTRIBUTES}"),
        ("<< table('a') >>\n<< table('a') >>", f":2: 'tab:a' is placed twice; {ONCE}"),
        ("<< table('a') >>\n<< ref('tab:b') >>", f":2: {NOWHERE}"),
        ("\n<< 1 / 0 >>", ":2: the prose may not calculate: found '/'"),
        ("\n<% include 'x' %>", ":2: the prose may not use include"),
        ("\n<< 'a' | nonsense >>", ":2: No filter named 'nonsense'."),
        ("<< ref('a') >>", ":1: ref('a'): a reference begins with tab:, fig: or sec:"),
        ("text\n<% if %>", ":2: Expected an expression, got 'end of statement block'"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        filled_in(tmp_path, text, number=0.5, ours=accuracy())
    assert str(caught.value) == f"report/paper/sections/10-body.md{message}"


def test_the_references_stand_before_the_back_matter(tmp_path: Path, root: Path) -> None:
    folder = make_paper(tmp_path, root, {"90-end.md": "# End", "10-body.md": "# Body"}) / "report/paper/sections"
    text = fill_in(folder, {}, SETTERS, lambda quantity: None)
    assert text == "# Body\n\n# References {.unnumbered}\n\n::: {#refs}\n:::\n\n# End"


def test_no_section_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no section; expected files such as 00-summary.md"):
        fill_in(tmp_path, {}, SETTERS, lambda quantity: None)


WANTED = "expected only {#identifier .appendix .unnumbered}, of a heading"


def converted(root: Path, text: str) -> Conversion:
    return Conversion(text, root / "report/paper", root / "templates/prose.lua")


def test_sections_are_numbered_alike_in_every_format(root: Path) -> None:
    text = (
        "# A {.unnumbered}\n\n# B\n\n## C {#sec:c}\n\nSee [](#sec:c), [](#sec:e).\n\n# D {.appendix}\n\n## E {#sec:e}\n"
    )
    with converted(root, text) as conversion:
        prose = conversion.finish()
    numbers = [(entry["number"], entry["title"]) for entry in prose.contents if entry["title"] != "References"]
    assert numbers == [("", "A"), ("1", "B"), ("1.1", "C"), ("A", "D"), ("A.1", "E")]
    assert '<h3 id="sec:c"><span class="number">1.1</span>C</h3>' in prose.bodies["html"]
    assert '## <a id="sec:c"></a>1.1 C' in prose.bodies["markdown"]
    assert "\\newpage\n\n\\section{B}" in prose.bodies["latex"]
    assert "\\appendix\n\n\\section{D}" in prose.bodies["latex"]
    assert "#show: appendix\n#let floating = in-order\n= D" in prose.bodies["typst"]
    for body in prose.bodies.values():
        assert "Section" in body
        assert "Appendix" in body


def test_raw_html_and_tex_of_the_prose_are_text(root: Path) -> None:
    with converted(root, r"A <script>alert(x)</script> \input{/etc/passwd} <div>x</div>") as conversion:
        bodies = conversion.finish().bodies
    assert "&lt;script&gt;alert(x)&lt;/script&gt; \\input{/etc/passwd} &lt;div&gt;x&lt;/div&gt;" in bodies["html"]
    assert r"\textless script\textgreater alert(x)" in bodies["latex"]
    assert r"\textbackslash input\{/etc/passwd\}" in bodies["latex"]
    assert r"\<script\>alert(x)\</script\>" in bodies["markdown"]
    assert r"\<script\>alert(x)\</script\>" in bodies["typst"]


def test_a_reference_to_no_section_is_told(root: Path) -> None:
    with converted(root, "[](#sec:none)") as conversion, pytest.raises(ConfigurationError) as caught:
        conversion.finish()
    assert str(caught.value) == ("pandoc: the prose refers to section #sec:none, and no heading has this identifier")


def test_an_identifier_of_two_headings_is_told_with_both_places(tmp_path: Path, root: Path) -> None:
    text = "# A {#sec:a}\n\n# B {#sec:ab}\n\n# C {#sec:a}\n"
    folder = make_paper(tmp_path, root, {"10-body.md": text})
    conversion = Conversion(text, folder / "report/paper", root / "templates/prose.lua")
    with conversion, pytest.raises(ConfigurationError) as caught:
        conversion.finish()
    assert str(caught.value) == (
        "pandoc: two headings have the identifier 'sec:a' (10-body.md:1, 10-body.md:5); give one of them another, or none"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# H {onclick=x}", f"the prose gives the attribute onclick to a Header; {WANTED}"),
        ("[x]{onclick=x}", f"the prose gives the attribute onclick to a Span; {WANTED}"),
        ("[x]{.printed}", f"the prose gives the class printed to a Span; {WANTED}"),
        ("::: runs\nx\n:::", f"the prose gives the class runs to a Div; {WANTED}"),
        ("# H {.printed}", f"the prose gives the class printed to a Header; {WANTED}"),
        ("`x`{.q}", f"the prose gives the class q to a Code; {WANTED}"),
        ("[x](#a){.q}", f"the prose gives the class q to a Link; {WANTED}"),
        ("[x]{#cell:a}", f"the prose gives the identifier cell:a to a Span; {WANTED}"),
        ("[x](javascript:a)", "the prose links to javascript:a; expected https://, mailto: or #identifier"),
        ("[x](DATA:a/b)", "the prose links to DATA:a/b; expected https://, mailto: or #identifier"),
        (
            "![x](a.png)",
            "the prose has the image a.png; declare a figure in figures.yaml and place it by figure(...)",
        ),
    ],
)
def test_what_a_page_would_run_fetch_or_hide_is_refused(root: Path, text: str, message: str) -> None:
    with converted(root, text) as conversion, pytest.raises(ConfigurationError) as caught:
        conversion.finish()
    assert str(caught.value) == f"pandoc: {message}"


def test_a_bibliography_that_is_none_is_told_with_its_line(tmp_path: Path, root: Path) -> None:
    shutil.copy(root / "report/paper/numeric.csl", tmp_path)
    (tmp_path / "references.bib").write_text("@misc{a,\n  title = {{X}\n}\n@misc{b, title = {Y}}\n", encoding="utf-8")
    filter_path = root / "templates/prose.lua"
    with Conversion("[@a]", tmp_path, filter_path) as conversion, pytest.raises(ConfigurationError) as caught:
        conversion.finish()
    assert "references.bib: (line 4, column 1): unexpected '@'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_style_is_told_in_a_line(tmp_path: Path, root: Path) -> None:
    (tmp_path / "numeric.csl").write_text("", encoding="utf-8")
    (tmp_path / "references.bib").write_text("", encoding="utf-8")
    filter_path = root / "templates/prose.lua"
    with Conversion("x", tmp_path, filter_path) as conversion, pytest.raises(ConfigurationError) as caught:
        conversion.finish()
    assert str(caught.value).startswith("pandoc: references.bib or numeric.csl cannot be used: ")
    assert "\n" not in str(caught.value)


def test_an_entry_whose_braces_do_not_close_is_told_with_its_line(tmp_path: Path, root: Path) -> None:
    shutil.copyfile(root / "report/paper/numeric.csl", tmp_path / "numeric.csl")
    (tmp_path / "references.bib").write_text(
        "@misc{a,\n title = {A,\n year = {2020}\n}\n@misc{b, title={B}}\n", encoding="utf-8"
    )
    with Conversion("x", tmp_path, root / "templates/prose.lua") as made, pytest.raises(ConfigurationError) as caught:
        made.finish()
    assert str(caught.value).endswith("references.bib: (line 5, column 1): unexpected '@'")


def test_citations_are_numbered_and_linked_in_every_format(root: Path) -> None:
    with converted(root, "See [@he2016deep].") as conversion:
        bodies = conversion.finish().bodies
    assert r"\citeproc{ref-he2016deep}{1}" in bodies["latex"]
    assert '<a href="#ref-he2016deep" role="doc-biblioref">1</a>' in bodies["html"]
    assert "[1](#ref-he2016deep)" in bodies["markdown"]
    assert "#link(<ref-he2016deep>)[1]" in bodies["typst"]


def test_values_of_the_small_paper_stay_out_of_each_other_s_formats(tmp_path: Path, root: Path) -> None:
    folder = make_paper(tmp_path, root) / "report/paper/sections"
    setters = Setters(
        quantity=lambda quantity: {name: f"only-{name}" for name in ("markdown", "latex", "html", "typst")},
        outcome=lambda outcome: {"latex": "o"},
        table=SETTERS.table,
        figure=SETTERS.figure,
    )
    names = {"text": HOSTILE, "ours": accuracy(), "waiting": pending(), "verdict": "o"}
    with converted(root, fill_in(folder, names, setters, lambda quantity: None)) as conversion:
        bodies = conversion.finish().bodies
    for name, body in bodies.items():
        assert f"only-{name}" in body
        assert body.count("only-") == 2
    assert set(PROSE) == {path.name for path in folder.iterdir()}


def test_the_numbers_of_a_sentence_stay_quantities_in_the_prose_also_where_several_are_joined(tmp_path: Path) -> None:
    reasons = (Sentence("7 of ", accuracy(), " there"), "plain", accuracy())
    text = filled_in(tmp_path, '<< reasons | join("; ") >>.', reasons=reasons)
    assert re.sub(r"\{=hole-\w+\}", "", text) == r"[7 of]{.bound} `Q` there\; plain\; `Q`."


@pytest.mark.parametrize("raw", [0.71, 3, None, Outcome.REPRODUCED])
def test_what_may_not_be_printed_alone_may_not_be_joined_either(tmp_path: Path, raw: object) -> None:
    with pytest.raises(ConfigurationError, match="raw|outcome"):
        filled_in(tmp_path, '<< listed | join(", ") >>', listed=["a", raw])
