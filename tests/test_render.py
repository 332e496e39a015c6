"""A report comes out in every format with the same words, all of them as text, whole or not at all."""

import base64
import hashlib
import html
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.spec import ConfigurationError, MissingTool, State
from report import render
from report.figures import Figure
from report.judge.trials import Outcome
from report.pages import pdf, swapping
from report.pages.compose import Composer
from report.pages.conversion import pandoc_binary
from report.pages.drawings import begin_drawing
from report.pages.formats import FORMATS, environment
from report.pages.layout import lay_out, set_table
from report.pages.swapping import swapped_in
from report.plots.drawing import Studio
from report.tables import Column, Table
from tests.made_up import make_evidence, make_run, measured, waiting
from tests.small_paper import HOSTILE, METADATA, PROSE, accuracy, context, figure, figures, make_paper, pending, table

GOLDEN = Path(__file__).parent / "golden"


def compose(
    folder: Path,
    root: Path,
    text: str = "plain",
    engine: str = "typst",
    wanted: Iterable[str] = render.OUTPUTS,
    prose: dict[str, str] | None = None,
    **changes: object,
) -> Path:
    """The small paper with TEXT everywhere, in FOLDER/out."""
    paper, out = make_paper(folder / "paper", root, prose), folder / "out"
    for name in ("figures", "tables"):
        (out / name).mkdir(parents=True)
    drawn_figures = figures(text)
    with Studio() as studio:
        drawn = begin_drawing(drawn_figures.values(), out / "figures", studio, folder / "cache")
        Composer(paper, context(text, **changes), drawn_figures, out).write(wanted, engine, drawn)
    return out


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """The small paper with hostile text in every place that holds text."""
    return compose(tmp_path_factory.mktemp("hostile"), root, HOSTILE)


def read_by_pandoc(path: Path, reader: str) -> str:
    command = [pandoc_binary(), "-f", reader, "-t", "plain", "--wrap=none", str(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.sub(r"\s+", " ", text)


def words_of_pdf(path: Path) -> str:
    import pypdf

    return re.sub(r"\s+", "", "".join(page.extract_text() for page in pypdf.PdfReader(path).pages))


@pytest.mark.parametrize("name", FORMATS)
def test_the_fragments_of_a_format_are_as_kept(root: Path, name: str) -> None:
    """REFRESH_GOLDEN=1 writes the files anew; look at the difference before you keep it."""
    format = FORMATS[name]
    made = environment(format, root / "templates")
    values = {key: getattr(figure(), key) for key in ("name", "title", "note", "alt", "message")}
    fragments = [
        made.finalize(accuracy()),
        made.finalize(pending()),
        made.finalize(Outcome.PARTIAL),
        made.get_template(f"table.{format.suffix}").render(
            table=set_table(lay_out(table()), "1", format, made.finalize)
        ),
        made.get_template(f"figure.{format.suffix}").render(
            figure={
                **values,
                "number": "1",
                "inline": "SVG",
                "data": [("Data", "demo.csv"), ("Images", "demo.images.csv")],
            }
        ),
    ]
    text = "\n\n".join(fragments) + "\n"
    path = GOLDEN / f"fragments.{format.suffix}"
    if os.environ.get("REFRESH_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("file", "reader"), [("report.md", "gfm"), ("report.html", "html")])
def test_hostile_text_is_text_on_a_page(hostile: Path, file: str, reader: str) -> None:
    assert read_by_pandoc(hostile / file, reader).count(HOSTILE) >= 4  # prose, caption, cell, figures


def test_text_right_after_what_a_template_sets_is_no_part_of_a_call(tmp_path: Path, root: Path) -> None:
    """To Typst `#super[1](none)` is a call, `#super[1].Then` a field, and `;` the end of either."""
    texts = ("(none)", ".Then", "[x]", ";x")
    institutes = [{"code": str(number), "name": text} for number, text in enumerate(texts)]
    waiting = ", ".join(f"<< waiting >>{text}" for text in texts)
    prose = PROSE | {"10-body.md": PROSE["10-body.md"].replace("<< waiting >>", waiting)}
    metadata = METADATA | {"affiliations": institutes}
    words = words_of_pdf(compose(tmp_path, root, wanted=("pdf",), metadata=metadata, prose=prose) / "report.pdf")
    for number, text in enumerate(texts):
        assert f"{number}{text}" in words
        assert f"pending{text}" in words


def test_html_has_one_script_allowed_by_its_digest_no_outside_request_and_unique_ids(hostile: Path) -> None:
    text = (hostile / "report.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL)
    assert [attributes for attributes, _ in scripts] == [' type="application/json" id="page:data"', ""]
    digest = base64.b64encode(hashlib.sha256(scripts[1][1].encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    assert f'content="{policy}"' in text
    assert re.findall(r'<(?:link|img|iframe|object|embed)\b|@import|url\((?!#)|src="', text) == []
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r'href="#([^"]*)"', text))
    assert targets <= set(map(html.unescape, ids))


def test_markdown_and_html_have_one_title_with_the_sections_a_level_below_it(hostile: Path) -> None:
    text = (hostile / "report.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert re.search(r"^## <a id=[^>]*></a>1 Body$", text, re.MULTILINE)
    assert (hostile / "report.html").read_text(encoding="utf-8").count("<h1") == 1


def test_html_has_captions_scopes_and_words_for_the_blind(hostile: Path) -> None:
    text = (hostile / "report.html").read_text(encoding="utf-8")
    assert '<html lang="en">' in text
    assert "<caption>" in text
    assert '<th scope="col"' in text
    assert '<th scope="row"' in text
    assert f'role="img" aria-label="{html.escape("Alternative to " + HOSTILE)}' in text


def test_the_pdf_by_typst_has_the_text_and_the_states(hostile: Path) -> None:
    words = words_of_pdf(hostile / "report.pdf")
    shown = HOSTILE.replace("中", "U+4E2D") if "中" not in words else HOSTILE
    assert shown.replace(" ", "") in words
    assert "pending" in words
    assert "71.23±0.41%(n=3)" in words


def test_the_pdf_by_latexmk_has_the_text_and_the_states(tmp_path: Path, root: Path) -> None:
    if shutil.which("latexmk") is None or shutil.which("xelatex") is None:
        pytest.skip("latexmk or xelatex is not installed: the LaTeX report was not compiled")
    words = words_of_pdf(compose(tmp_path, root, HOSTILE, "latexmk") / "report.pdf")
    assert "&%_#${}" in words
    assert "<script>alert(1)</script>" in words
    assert "pending" in words
    assert "71.23±0.41%(n=3)" in words


def test_nothing_is_made_for_a_pdf_that_is_not_asked_for(tmp_path: Path, root: Path) -> None:
    out = compose(tmp_path, root, engine="latexmk", wanted=("html",))
    assert {path.suffix for path in out.rglob("*.*")} == {".html", ".svg", ".csv", ".json"}


def test_the_last_column_of_a_table_over_pages_is_as_wide_as_its_words_in_latex(tmp_path: Path, root: Path) -> None:
    import pypdf

    if shutil.which("latexmk") is None or shutil.which("xelatex") is None:
        pytest.skip("latexmk or xelatex is not installed: the LaTeX report was not compiled")
    sentence = "A sentence that is long enough to be broken into several lines of its column."
    rows = tuple((f"claim-{n}", sentence, "carried over") for n in range(40))
    columns = (Column("claim", "Claim"), Column("sentence", "Sentence"), Column("certainty", "Certainty"))
    long = {"demo": Table("demo", "A finding.", "A note.", columns, rows)}
    pages = pypdf.PdfReader(compose(tmp_path, root, engine="latexmk", tables=long) / "report.pdf").pages
    places: list[float] = []

    def look(text: str, here: list[float], matrix: list[float], *font: object) -> None:
        if text.startswith("carried over"):
            places.append(here[4] + matrix[4])

    for page in pages:
        page.extract_text(visitor_text=look)
    assert len(places) == len(rows)
    assert set(places) == {places[0]} and 510 - 55 < places[0]  # the text ends at 510 points; the words take 48


def test_without_latexmk_the_message_says_what_to_do(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingTool) as caught:
        pdf.pdf_by_latexmk(hostile)
    assert str(caught.value) == ("latexmk is not there; install TeX Live (latexmk, xelatex) or build with --pdf typst")


def test_the_same_facts_make_the_same_bytes(hostile: Path, tmp_path: Path, root: Path) -> None:
    again = compose(tmp_path, root, HOSTILE)
    names = sorted(path.relative_to(hostile) for path in hostile.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert [name for name in names if (hostile / name).read_bytes() != (again / name).read_bytes()] == []


def test_no_output_holds_a_path_of_this_machine(hostile: Path) -> None:
    for path in hostile.rglob("*"):
        if path.is_file():
            assert os.fsencode(str(hostile.parent)) not in path.read_bytes(), path.name


def test_a_smoke_report_says_so_first_in_every_format(tmp_path: Path, root: Path) -> None:
    out = compose(tmp_path, root, smoke=True)
    for name in ("report.md", "report.tex", "report.html"):
        text = (out / name).read_text(encoding="utf-8")
        assert text.index("Smoke report: it rehearses") < text.index("Reproducibility summary")
    assert words_of_pdf(out / "report.pdf").index("Smokereport") < words_of_pdf(out / "report.pdf").index(
        "Reproducibility"
    )


def test_a_figure_without_data_is_told_in_words_and_not_drawn(tmp_path: Path, root: Path) -> None:
    out = compose(tmp_path, root)
    assert not (out / "figures/absent.svg").exists()
    for name in ("report.md", "report.tex", "report.html"):
        assert "Nothing to draw yet of plain." in (out / name).read_text(encoding="utf-8")


def test_a_failed_build_leaves_the_old_report_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.md").write_text("old", encoding="utf-8")
    with pytest.raises(ZeroDivisionError), swapped_in(out) as folder:
        (folder / "report.md").write_text("new", encoding="utf-8")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (out / "report.md").read_text(encoding="utf-8") == "old"


def test_a_good_build_replaces_the_old_report_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "stray.md").write_text("old", encoding="utf-8")
    with swapped_in(out) as folder:
        (folder / "report.md").write_text("new", encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert sorted(path.name for path in out.iterdir()) == ["figures", "report.md", "tables"]


def leave(folder: Path, text: str) -> Path:
    """A folder as a killed build leaves it."""
    (folder / "tables").mkdir(parents=True)
    (folder / "report.md").write_text(text, encoding="utf-8")
    return folder


def test_what_a_killed_build_left_is_removed_and_a_folder_in_use_is_not(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(swapping, "YOUNG_SECONDS", 0)
    leave(tmp_path / ".out-abcd1234", "orphan")
    leave(tmp_path / ".out-notes", "not ours")
    with swapped_in(tmp_path / "out") as used, swapped_in(tmp_path / "out") as also_used:
        there = {path.name for path in tmp_path.iterdir()}
    assert there == {".out-notes", used.name, also_used.name}


def test_a_build_killed_between_the_renames_loses_no_report(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(swapping, "YOUNG_SECONDS", 0)
    leave(tmp_path / ".out-abcd1234-old", "the report")
    with pytest.raises(ZeroDivisionError), swapped_in(tmp_path / "out"):
        raise ZeroDivisionError
    assert (tmp_path / "out/report.md").read_text(encoding="utf-8") == "the report"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pdf": "word"}, "pdf: found 'word'; expected typst | latexmk"),
        ({"formats": ["docx"]}, "formats: found 'docx'; expected any of markdown, latex, html, pdf"),
    ],
)
def test_an_unknown_output_is_refused(root: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        render.build_report(root, **arguments)
    assert str(caught.value) == message


def test_a_folder_with_other_files_is_not_replaced(tmp_path: Path, root: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigurationError) as caught:
        render.build_report(root, out=tmp_path)
    assert str(caught.value) == (
        f"the folder {os.path.relpath(tmp_path)!r} holds other files, which a build would replace: thesis.tex; "
        "move them, or name a new or an empty folder by --out"
    )
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    with pytest.raises(ConfigurationError, match=r"thesis\.tex' is a file; name a folder"):
        render.build_report(root, out=tmp_path / "thesis.tex")


def test_a_file_beside_an_earlier_report_is_not_replaced_and_the_report_s_own_are(tmp_path: Path) -> None:
    pages = [format.report for format in FORMATS.values()]
    for name in ("provenance.json", "report.pdf", *pages, "tables/a.csv", "figures/a.svg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    render._refuse_foreign_folder(tmp_path)
    (tmp_path / "notes.md").write_text("thoughts")
    (tmp_path / "tables/a.ods").write_text("")
    with pytest.raises(ConfigurationError, match=r"which a build would replace: notes\.md, tables/a\.ods; move them"):
        render._refuse_foreign_folder(tmp_path)


def test_all_that_is_not_measured_is_still_to_run() -> None:
    done = measured(make_run(0), 0.7)
    other = [waiting(make_run(1), State.STALE), waiting(make_run(2), State.GATED, "needs a CUDA device")]
    context = SimpleNamespace(evidence=make_evidence(done, *other))
    assert render.missing_runs(context) == ("sweep: 2 runs to come (1 stale), about 1 h (a guess)",)
    assert render.missing_runs(SimpleNamespace(evidence=make_evidence(done))) == ()


def test_a_file_that_is_called_as_a_report_s_is_replaced_only_where_there_is_a_report(tmp_path: Path) -> None:
    (tmp_path / "report.tex").write_text("years of work")
    with pytest.raises(ConfigurationError, match=r"which a build would replace: report\.tex; move them"):
        render._refuse_foreign_folder(tmp_path)


def test_an_interruption_between_the_two_renames_brings_the_old_report_back(tmp_path: Path, monkeypatch) -> None:
    out, rename = tmp_path / "out", Path.rename
    out.mkdir()
    (out / "report.md").write_text("old", encoding="utf-8")

    def interrupted(path: Path, target: Path) -> None:
        if target == out and not path.name.endswith("-old"):
            raise KeyboardInterrupt
        rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), swapped_in(out):
        pass
    assert (out / "report.md").read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("html/table.html", "\n{{ tabel.name }}", ":2: 'tabel' is undefined; it may use table"),
        (
            "html/quantity.html",
            "{{ part }}",
            ":1: 'part' is undefined; it may use anchor, id, is_measured, n, pad, pad_width, parts",
        ),
        ("latex/verdict.tex", "<% include 'x' %>", ":1: includes 'x', which is not there"),
        ("latex/verdict.tex", None, ": cannot be read; expected the file beside the others"),
    ],
)
def test_a_template_at_fault_is_told_with_its_place(
    tmp_path: Path, root: Path, file: str, text: str | None, message: str
) -> None:
    paper = make_paper(tmp_path, root)
    (paper / "templates").unlink()
    shutil.copytree(root / "templates", paper / "templates")
    template = paper / "templates" / file
    template.unlink() if text is None else template.write_text(text, encoding="utf-8")
    composer = Composer(paper, context(), figures(), tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        composer.write(render.OUTPUTS, "typst", {})
    assert f"templates/{file}{message}" in str(caught.value)


def test_a_raw_number_in_the_report_s_template_is_told_with_file_and_line(tmp_path: Path, root: Path) -> None:
    paper = make_paper(tmp_path, root)
    (paper / "templates").unlink()
    shutil.copytree(root / "templates", paper / "templates")
    (paper / "templates/markdown/report.md").write_text("\n{{ 0.5 }}", encoding="utf-8")
    out = tmp_path / "out"
    (out / "tables").mkdir(parents=True)
    (out / "figures").mkdir()
    with pytest.raises(ConfigurationError, match=r"^templates/markdown/report\.md:2: the template prints 0\.5, a raw"):
        Composer(paper, context(), figures(), out).write(render.OUTPUTS, "typst", {})


def test_an_unknown_table_is_told_with_the_known_ones(tmp_path: Path, root: Path) -> None:
    paper = make_paper(tmp_path, root, {"10-body.md": "<< table('demos') >>"})
    with pytest.raises(ConfigurationError) as caught:
        Composer(paper, context(), figures(), tmp_path).write(render.OUTPUTS, "typst", {})
    assert str(caught.value) == "report/paper/sections/10-body.md:1: there is no table 'demos'; there are demo, origins"


def test_characters_that_tex_may_lack_get_a_stand_in() -> None:
    assert pdf.standins("a é – → μ 中") == [
        ("μ", "03BC", r"\ensuremath{\mu}"),
        ("→", "2192", r"\ensuremath{\rightarrow}"),
        ("中", "4E2D", r"\missing{4E2D}"),
    ]


def test_figures_are_drawn_beside_the_other_work_and_kept(tmp_path: Path) -> None:
    class Counting(Studio):
        drawn = 0

        def draw(self, item: Figure, folder: Path):
            Counting.drawn += 1
            return super().draw(item, folder)

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with Counting() as studio:
            begin_drawing([figure()], tmp_path / name, studio, tmp_path / "cache")["demo"].wait()
    assert Counting.drawn == 1
    assert (tmp_path / "one/demo.svg").read_bytes() == (tmp_path / "two/demo.svg").read_bytes()


def test_a_drawing_that_two_wait_for_is_kept_once_and_whole(tmp_path: Path) -> None:
    with Studio() as studio:
        drawing = begin_drawing([figure()], tmp_path, studio, tmp_path / "cache")["demo"]
        with ThreadPoolExecutor(2) as pool:
            assert set(pool.map(lambda _: drawing.wait(), range(2))) == {tmp_path / "demo.svg"}
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.read_bytes() == (tmp_path / "demo.svg").read_bytes()


def test_paper_has_the_condensed_table_and_other_pages_and_the_csv_the_whole(tmp_path: Path, root: Path) -> None:
    short = replace(table("in short"), title="Condensed.")
    out = compose(tmp_path, root, tables={"demo": replace(table("in full"), condensed=short)})
    for name, (there, not_there) in {
        "report.md": ("in full", "in short"),
        "report.html": ("in full", "in short"),
        "report.tex": ("in short", "in full"),
        "tables/demo.csv": ("in full", "in short"),
    }.items():
        text = (out / name).read_text(encoding="utf-8")
        assert there in text and not_there not in text, name
    words = words_of_pdf(out / "report.pdf")
    assert "inshort" in words and "infull" not in words
