"""Every format escapes text, refuses raw numbers, and sets quantities and verdicts by its own templates."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.spec import ConfigurationError
from report.judge.trials import Outcome
from report.pages import formats
from report.pages.conversion import pandoc_binary
from report.pages.formats import FORMATS, Format, Fragment, environment, escape_prose, escape_url
from tests.small_paper import HOSTILE, accuracy, pending

SET = {
    "markdown": ("71.23&nbsp;±&nbsp;0.41&nbsp;% (n&nbsp;=&nbsp;3)", "pending", "✗&nbsp;**NOT REPRODUCED**"),
    "latex": (r"71.23~±~0.41\,\% (n~=~3)", r"\resultstate{pending}", r"\verdict{✗}{NOT REPRODUCED}"),
    "typst": (r"71.23~±~0.41~\% (n~\=~3)", "#state[pending];", "#verdict[✗][NOT REPRODUCED];"),
}


@pytest.fixture(params=FORMATS)
def format(request: pytest.FixtureRequest) -> Format:
    return FORMATS[request.param]


@pytest.mark.parametrize("name", SET)
def test_quantities_and_outcomes_are_set_by_the_templates_of_the_format(root: Path, name: str) -> None:
    finalize = environment(FORMATS[name], root / "templates").finalize
    assert (finalize(accuracy()), finalize(pending()), finalize(Outcome.NOT_REPRODUCED)) == SET[name]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("markdown", "[71.23&nbsp;±&nbsp;0.41&nbsp;% (n&nbsp;=&nbsp;3)](#cell:a)"),
        ("latex", r"\origin{cell:a}{71.23~±~0.41\,\% (n~=~3)}"),
        ("typst", r'#origin("cell:a")[71.23~±~0.41~\% (n~\=~3)];'),
        (
            "html",
            (
                '<a class="q" href="#cell:a" data-q="group/cell/test_accuracy">71.23&nbsp;±&nbsp;0.41&nbsp;% '
                '<span class="n">(n&nbsp;=&nbsp;3)</span></a>'
            ),
        ),
    ],
)
def test_a_quantity_is_a_link_to_its_origin(root: Path, name: str, text: str) -> None:
    finalize = environment(FORMATS[name], root / "templates", anchor_of=lambda quantity: "cell:a").finalize
    assert finalize(accuracy()) == text
    assert "cell:a" not in finalize.quantity(accuracy(), link=False)


def test_a_state_looks_different_from_a_number_in_every_format(root: Path, format: Format) -> None:
    finalize = environment(format, root / "templates").finalize
    assert "pending" in finalize(pending())
    assert not any(digit in str(finalize(pending())).partition(">")[2] for digit in "0123456789")


@pytest.mark.parametrize("value", [0.7123, 3, True, None, [1]])
def test_a_raw_number_is_refused_in_every_format(root: Path, format: Format, value: object) -> None:
    made = environment(format, root / "templates")
    start, end = made.variable_start_string, made.variable_end_string
    with pytest.raises(ConfigurationError) as caught:
        made.from_string(f"{start} value {end}").render(value=value)
    assert str(caught.value) == (
        f"the template prints {value!r}, a raw {type(value).__name__}: a number reaches a page only as a "
        "quantity, which knows its n, its state and its origin; print accuracy(...), count(...), parameters(...) or "
        "their like"
    )


def test_a_literal_number_in_a_template_is_refused_too(root: Path) -> None:
    with pytest.raises(ConfigurationError, match="a raw float"):
        environment(FORMATS["latex"], root / "templates").from_string("<< 71.23 >>").render()


def test_a_template_that_was_compiled_by_other_code_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jinja asks for the template alone, and has put the text of its constants into what it keeps."""
    (tmp_path / "html").mkdir()
    (tmp_path / "html/one.html").write_text("{{ 'text' }}")

    def render(escape: Callable[[str], str]) -> str:
        made = environment(replace(FORMATS["html"], escape=escape), tmp_path, tmp_path / "cache")
        return made.get_template("one.html").render()

    assert render(str.upper) == "TEXT"
    assert render(str.title) == "TEXT"
    monkeypatch.setattr(formats, "_digest_of_compiler", lambda: "of other code")
    assert render(str.title) == "Text"


def test_what_templates_are_compiled_by_is_jinja_and_every_module_of_the_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = formats._digest_of_compiler.__wrapped__
    seen = [digest()]
    with monkeypatch.context() as patch:
        patch.setattr("jinja2.__version__", "9.9")
        seen.append(digest())
    shutil.copytree(Path(formats.__file__).parent, tmp_path / "pages")
    monkeypatch.setattr(formats, "__file__", str(tmp_path / "pages/formats.py"))
    assert digest() == seen[0]
    with (tmp_path / "pages/prose_language.py").open("a") as file:
        file.write("#")
    assert len({*seen, digest()}) == 3


def test_text_is_escaped_once_and_fragments_never(root: Path) -> None:
    made = environment(FORMATS["html"], root / "templates")
    assert made.from_string("{{ a }} {{ b }}").render(a="<b>", b=Fragment("<b>")) == "&lt;b&gt; <b>"


@pytest.mark.parametrize(
    ("name", "reader"), [("markdown", "gfm"), ("latex", "latex"), ("html", "html"), ("typst", "typst")]
)
def test_escaped_text_reads_as_the_text_it_was(name: str, reader: str) -> None:
    escaped = FORMATS[name].escape(HOSTILE)
    if name == "latex":  # commands that pandoc's reader does not know
        for command, character in ((r"\textquotesingle{}", "'"), (r"\textasciigrave{}", "`"), (r"\textbar{}", "|")):
            assert command in escaped
            escaped = escaped.replace(command, character)
    command = [pandoc_binary(), "-f", reader, "-t", "plain", "--wrap=none"]
    read = subprocess.run(command, input=escaped, capture_output=True, text=True, check=True).stdout
    straight = str.maketrans("\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}", "'`")
    assert read.strip().translate(straight) == HOSTILE


def test_text_in_prose_reads_as_the_text_it_was() -> None:
    command = [pandoc_binary(), "-f", "markdown-smart", "-t", "plain", "--wrap=none"]
    read = subprocess.run(command, input=escape_prose(HOSTILE), capture_output=True, text=True, check=True).stdout
    assert read.strip() == HOSTILE


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("markdown", "71&nbsp;±&nbsp;3&nbsp;% of 2&nbsp;h (p&nbsp;=&nbsp;0.1) the authors’ day’s"),
        ("latex", r"71~±~3~\% of 2~h (p~=~0.1) the authors’ day’s"),
        ("html", "71&nbsp;±&nbsp;3&nbsp;% of 2&nbsp;h (p&nbsp;=&nbsp;0.1) the authors’ day’s"),
        ("typst", r"71~±~3~\% of 2~h (p~\=~0.1) the authors’ day’s"),
    ],
)
def test_numbers_keep_their_units_on_the_line_and_apostrophes_are_those_of_print(name: str, text: str) -> None:
    assert FORMATS[name].escape("71 ± 3 % of 2 h (p = 0.1) the authors' day's") == text
    assert "’" not in FORMATS[name].escape("the family 'directions' of authors")


@pytest.mark.parametrize("start", ["- a", "+ a", "= a", "1. a", "12) a", "# a", "> a"])
def test_text_that_looks_like_a_list_stays_a_line(start: str) -> None:
    for name, reader in (("markdown", "gfm"), ("typst", "typst")):
        command = [pandoc_binary(), "-f", reader, "-t", "plain"]
        read = subprocess.run(command, input=FORMATS[name].escape(start), capture_output=True, text=True, check=True)
        assert " ".join(read.stdout.split()) == start


def test_no_two_characters_become_another_in_latex_or_typst() -> None:
    assert FORMATS["typst"].escape("a...b. c--") == r"a\.\..b\. c\-\-"
    assert FORMATS["latex"].escape("a---b,,,c **") == "a-{}-{}-b,{},{},c {*}{*}"


def test_control_characters_and_line_breaks_do_not_reach_a_page(format: Format) -> None:
    assert format.escape("a\x00b\n\tc\x1b") == "ab c"


def test_only_web_mail_and_local_addresses_are_linked() -> None:
    assert escape_url("https://x.org/a b?c=d&e#f%20_", "latex") == r"https://x.org/a\%20b?c=d\&e\#f\%20\_"
    assert escape_url('https://x.org/"&', "html") == "https://x.org/%22&amp;"
    assert escape_url("https://x.org/a_(b", "markdown") == "https://x.org/a_%28b"
    with pytest.raises(ConfigurationError) as caught:
        escape_url("javascript:alert(1)", "html")
    assert str(caught.value) == (
        "'javascript:alert(1)' is not an address that a report links to; use https:// or mailto:"
    )


def test_the_page_finds_the_origin_of_a_number_by_its_very_id(root: Path) -> None:
    made = environment(FORMATS["html"], root / "templates", anchor_of=lambda quantity: "from:0")
    text = made.finalize.quantity(replace(accuracy(), id="original/o'brien<1/accuracy"))
    assert 'data-q="original/o&#x27;brien&lt;1/accuracy"' in text
