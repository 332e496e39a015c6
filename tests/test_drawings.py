"""A drawing is taken from the cache exactly when it is the one that would be drawn."""

import math
import re
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import matplotlib
import pytest

from report import freshness
from report.pages import drawings
from report.plots.drawing import Studio, draw
from report.plots.figure import Figure

ROWS = ({"row": "one", "who": "mean", "epochs": 5, "n": 1, "test_accuracy": 0.7, "low": None, "high": None},)
FIGURE = Figure("demo", "rows", "Title.", "", "Alt.", ROWS)


class Here(Studio):
    """Draws in this process, and counts."""

    def __init__(self) -> None:
        self.drawn = 0

    def draw(self, figure: Figure, folder: Path) -> Future[None]:
        self.drawn += 1
        done: Future[None] = Future()
        done.set_result(draw(figure, folder))
        return done


def drawn_anew(figure: Figure, folder: Path) -> bool:
    """Builds the drawing with what FOLDER keeps; whether it had to be drawn."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    studio = Here()
    drawing = drawings.begin_drawing([figure], out, studio, folder / "cache")["demo"]
    assert drawing.wait().read_text(encoding="utf-8").rstrip().endswith("</svg>")
    drawing.write_pdf()
    assert (out / "demo.pdf").read_bytes().startswith(b"%PDF")
    return studio.drawn == 1


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder whose cache has the drawing of FIGURE."""
    assert drawn_anew(FIGURE, tmp_path)
    return tmp_path


def test_what_was_drawn_is_not_drawn_again(kept: Path) -> None:
    first = (kept / "out/demo.svg").read_bytes(), (kept / "out/demo.pdf").read_bytes()
    assert not drawn_anew(FIGURE, kept)
    assert ((kept / "out/demo.svg").read_bytes(), (kept / "out/demo.pdf").read_bytes()) == first


@pytest.mark.parametrize("change", [{"rows": ({**ROWS[0], "test_accuracy": 0.71},)}, {"options": {"margin": 0.1}}])
def test_other_rows_or_options_are_drawn(kept: Path, change: dict) -> None:
    assert drawn_anew(replace(FIGURE, **change), kept)


def test_other_words_around_a_figure_are_none_of_its_drawing(kept: Path) -> None:
    assert not drawn_anew(replace(FIGURE, title="Other.", note="Other.", alt="Other."), kept)


def test_changed_drawing_code_draws_again(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawings, "drawing_code", lambda: b"other")
    assert drawn_anew(FIGURE, kept)


def test_another_python_or_package_draws_again(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "describe_environment", lambda: "3.11.7 matplotlib-99")
    assert drawn_anew(FIGURE, kept)


def test_a_kept_drawing_that_was_cut_off_is_drawn_again(kept: Path) -> None:
    (svg,) = (kept / "cache").glob("*.svg")
    svg.write_bytes(svg.read_bytes()[:-20])
    assert drawn_anew(FIGURE, kept)
    (pdf,) = (kept / "cache").glob("*.pdf")
    whole = pdf.read_bytes()
    pdf.write_bytes(whole[:-20])
    assert not drawn_anew(FIGURE, kept)
    assert pdf.read_bytes() == whole


def test_the_drawing_code_is_that_of_every_module_that_draws() -> None:
    code = drawings.drawing_code()
    for line in (
        b"def draw_rows(", b"def draw_forest(", b"def draw_blocks(", b"class Canvas(", b"class Figure:", b"def pdf_of_svg("
    ):  # fmt: skip
        assert line in code
    assert b"def judge(" not in code  # else every change of a rule would draw all figures


def test_imports_are_found_wherever_they_stand() -> None:
    source = "from report.one.deep import a\nimport report.two as b\ndef f():\n    from report import three, four\n"
    source += "    from report.pages import (\n        five,\n    )\nfrom other.six import g\n"
    expected = {"report.one.deep", "report.two", "report.three", "report.four", "report.pages.five"}
    assert set(drawings._imported(source)) >= expected
    assert not any("six" in name for name in drawings._imported(source))


def test_a_matplotlibrc_of_this_machine_changes_no_drawing(tmp_path: Path) -> None:
    draw(FIGURE, tmp_path)
    plain = (tmp_path / "demo.svg").read_bytes()
    with matplotlib.rc_context({"lines.linewidth": 8, "axes.labelpad": 30, "axes.xmargin": 0.3}):
        draw(FIGURE, tmp_path)
        assert matplotlib.rcParams["lines.linewidth"] == 8
    assert (tmp_path / "demo.svg").read_bytes() == plain


def test_an_id_does_not_depend_on_the_last_bit_of_a_coordinate(tmp_path: Path) -> None:
    """Matplotlib makes ids as digests of coordinates, which processors round differently."""
    figures = FIGURE, replace(FIGURE, rows=({**ROWS[0], "test_accuracy": math.nextafter(0.7, 1)},))
    texts = []
    for number, figure in enumerate(figures):
        folder = tmp_path / str(number)
        folder.mkdir()
        draw(figure, folder)
        texts.append((folder / "demo.svg").read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    ids = re.findall(r' id="([^"]+)"', texts[0])
    assert len(ids) == len(set(ids))
    assert {target for target in re.findall(r'(?:url\(|href=")#([^")]+)', texts[0])} <= set(ids)
    assert not re.search(r"[0-9a-f]{10}", "".join(ids))
