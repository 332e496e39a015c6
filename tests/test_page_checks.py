"""The written pages: what is sound is left alone, what is not has file and line."""

from pathlib import Path

import pytest

from report.checking.page_checks import inspect_formats, inspect_log, inspect_pages
from report.tables import Column, Table
from tests.small_paper import accuracy

SENTENCE = "Learning curves of three runs."


def inspect(folder: Path, **texts: str) -> list[tuple[str, str, str]]:
    out = folder / "out"
    out.mkdir()
    for name, text in texts.items():
        (out / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return [(finding.rule, finding.place, finding.message) for finding in inspect_pages(out, folder)]


def test_sound_pages_have_no_finding(tmp_path: Path) -> None:
    (tmp_path / "report/out").mkdir(parents=True)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/a.json").write_text("{}", encoding="utf-8")
    html = (
        f'<svg role="img" aria-label="{SENTENCE}"></svg><svg aria-hidden="true"></svg><p id="a&amp;b">'
        '<a href="#a&amp;b">b</a><a href="https://example.org/x">x</a><a href="../../experiments/a.json">r</a></p>'
        "<script>let link = '<a href=\"#nowhere\">';</script>"
    )
    markdown = f'<a id="fig:a"></a>\n![{SENTENCE}](a.svg) and \\](#no) and [b](#fig:a)\n'
    latex = f"\\includegraphics[width=\\linewidth,alt={{{SENTENCE} {{[}}x{{]}}}}]{{figures/a.pdf}}\\par\n"
    markdown += "[a](report.html)"
    assert inspect(tmp_path, report_html=html, report_md=markdown, report_tex=latex, a_svg="") == []


def test_a_link_to_a_record_is_sound_also_where_the_report_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/a.json").write_text("{}", encoding="utf-8")
    page = '<a href="../../experiments/a.json">a</a><a href="../../experiments/b.json">b</a>'
    ((_, _, message),) = inspect(tmp_path, report_html=page)
    assert message == "'../../experiments/b.json' leads to no file"


@pytest.mark.parametrize(
    ("file", "text", "rule", "line", "message"),
    [
        ("report_html", '\n<a class="x" href="#no">', "broken-link", ":2", "'#no' leads to no place of the page"),
        ("report_html", '<a href="gone.csv">', "broken-link", ":1", "'gone.csv' leads to no file"),
        ("report_html", '<i id="a"></i><b id="a"></b>', "broken-link", "", "two places are called 'a': a link"),
        ("report_md", "\n\n[a](#no)", "broken-link", ":3", "'#no' leads to no place of the page"),
        ("report_html", "<p><img src='a.png'>", "alt-text", ":1", "a picture does not say in words what it shows"),
        ("report_md", "![](report.md)", "alt-text", ":1", "a picture does not say in words what it shows"),
        ("report_tex", "\\includegraphics{figures/a.pdf}", "alt-text", ":1", "a picture does not say in words"),
        (
            "report_tex",
            '\\catcode"4E2D=\\active \\protected\\def中{\\standin{"4E2D}{\\missing{4E2D}}}\n\nsee 中',
            "missing-glyph",
            ":3",
            "no font of TeX has '中' (U+4E2D), which is printed as its number",
        ),
    ],
)
def test_a_fault_is_found_at_its_line(tmp_path: Path, file: str, text: str, rule: str, line: str, message: str) -> None:
    ((found, place, what),) = inspect(tmp_path, **{file: text})
    assert (found, place) == (rule, f"report/out/{file.replace('_', '.')}{line}")
    assert what.startswith(message)


def test_the_printed_summary_is_counted_without_its_marks(tmp_path: Path) -> None:
    head = "# Title\n\n## Reproducibility summary\n\n"
    words = "word " * 399 + "[1&nbsp;±&nbsp;](#a) "
    rest = '\n## 1 Introduction\n\n<a id="a"></a>' + "word " * 500
    assert inspect(tmp_path, report_md=head + words + rest) == []
    (tmp_path / "long").mkdir()
    ((rule, place, _),) = inspect(tmp_path / "long", report_md=head + words + "more" + rest)
    assert (rule, place) == ("summary-long", "report/out/report.md:3")


def test_what_tex_says_of_hairs_is_left_and_of_more_is_told_once(tmp_path: Path) -> None:
    log = "Overfull \\hbox (0.9pt too wide) in paragraph\n" + "Missing character: There is no x in font [a]:b!\n" * 2
    assert [finding.message for finding in inspect_log(log, "a.tex")] == ["There is no x in font [a]"]


def test_a_condensed_table_stands_for_the_whole_one_on_paper_only(tmp_path: Path) -> None:
    one, mean = accuracy(0.7123, 1, "one"), accuracy(0.7, 3, "mean")
    columns = (Column("a", "A"),)
    table = Table("t", "T", "", columns, ((one,),), condensed=Table("t", "T", "", columns, ((mean,),)))
    for name, text in (("report.md", "71.23"), ("report.html", "<p>71.23"), ("report.tex", "70.00")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert list(inspect_formats(tmp_path, [one, mean], [table])) == []
    found = list(inspect_formats(tmp_path, [one, mean], []))
    assert {finding.place for finding in found} == {f"report/out/report.{suffix}" for suffix in ("md", "html", "tex")}
