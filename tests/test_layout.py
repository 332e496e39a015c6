"""Tables become what templates print: headers in lines, columns that wrap, room for what stands in a column."""

import json
from pathlib import Path

import pytest
import typst

from report.judge.trials import Outcome
from report.listings.table_kinds import build_table, read_tables
from report.pages import layout
from report.pages.formats import FORMATS, environment
from report.pages.layout import SetTable, lay_out, set_table
from report.quantities import count
from report.tables import Cell, Column, Table
from tests.made_up import make_facts
from tests.small_paper import accuracy, table


def laid_out(root: Path, made: Table, name: str = "markdown") -> SetTable:
    return set_table(lay_out(made), "1", FORMATS[name], environment(FORMATS[name], root / "templates").finalize)


def text_table(*cells: str, columns: int = 1, rows: int = 1) -> Table:
    names = tuple(Column(f"c{index}", f"Column {index}") for index in range(columns))
    return Table("t", "Title.", "", names, tuple(tuple(cells) for _ in range(rows)))


def test_cells_are_set_and_terse_where_the_header_has_the_unit_and_a_column_n(root: Path) -> None:
    made = laid_out(root, table())
    assert tuple(row.cells for row in made.rows) == (
        ("a row", "71.23&nbsp;±&nbsp;0.41", "3", "✓&nbsp;**REPRODUCED**"),
        ("single", "70.00", "1", "≠&nbsp;**NOT COMPARABLE**"),
        ("waiting", "pending", "0", "○&nbsp;**NOT TESTED**"),
    )


def test_a_cell_brings_unit_and_n_where_the_header_has_neither(root: Path) -> None:
    made = Table("t", "Title.", "", (Column("a", "Accuracy"),), ((accuracy(),),))
    assert laid_out(root, made).rows[0].cells == ("71.23&nbsp;±&nbsp;0.41&nbsp;% (n&nbsp;=&nbsp;3)",)


def test_a_value_without_spread_leaves_room_for_one_so_that_points_align(root: Path) -> None:
    assert laid_out(root, table(), "latex").rows[1].cells[1] == r"70.00\hphantom{~±~0.41}"
    assert laid_out(root, table(), "typst").rows[1].cells[1] == "70.00#hide[~±~0.41];"


def test_headers_break_into_lines_no_wider_than_their_cells_need(root: Path) -> None:
    column = Column("d", "Difference to the earlier report", "pp", "right")
    made = Table("t", "Title.", "", (column,), ((count("c", 1, "counted"),),))
    assert laid_out(root, made).columns[0].lines == ("Difference to", "the earlier", "report")


def test_a_header_does_not_break_inside_its_parentheses(root: Path) -> None:
    column = Column("d", "Original (200 epochs)", "%", "right")
    made = Table("t", "Title.", "", (column,), ((count("c", 1, "counted"),),))
    assert laid_out(root, made).columns[0].lines == ("Original", "(200 epochs)")


def test_only_a_column_of_long_sentences_wraps(root: Path) -> None:
    made = laid_out(root, text_table("short", "a sentence of more than thirty-two characters", "x" * 40, columns=3))
    assert [column.wraps for column in made.columns] == [False, True, False]
    assert made.ruled


@pytest.mark.parametrize(
    ("columns", "wide", "dense"), [(1, False, False), (4, False, False), (5, False, True), (6, True, True)]
)
def test_a_table_grows_dense_then_into_the_margin(root: Path, columns: int, wide: bool, dense: bool) -> None:
    made = laid_out(root, text_table(*["x" * 17] * columns, columns=columns))
    assert (made.wide, made.dense) == (wide, dense)


def test_the_widest_cell_of_every_column_is_among_those_that_the_typesetter_measures(
    root: Path, tmp_path: Path
) -> None:
    facts = make_facts(root)
    made = [build_table(declared, facts) for declared in read_tables(root).values()]
    columns = [
        (listed, index) for listed in made for index, column in enumerate(lay_out(listed).columns) if column.widest
    ]
    cells = [layout._cells(listed, index) for listed, index in columns]
    (tmp_path / "cells.json").write_text(json.dumps(cells), encoding="utf-8")
    (tmp_path / "widths.typ").write_text(
        '#set text(font: "Libertinus Serif", size: 8.8pt, number-width: "tabular")\n'
        '#context [#metadata(json("cells.json").map(c => c.map(cell => measure(text(cell)).width.pt()))) <widths>]',
        encoding="utf-8",
    )
    found = typst.query(tmp_path / "widths.typ", "<widths>", field="value", one=True, ignore_system_fonts=True)
    assert sum(map(len, cells)) > 2000
    for (listed, index), widths in zip(columns, json.loads(found), strict=True):
        measured = max(widths[row] for row in lay_out(listed).columns[index].widest)
        assert measured >= max(widths) - 0.1, (listed.name, listed.columns[index].header)


def test_columns_before_paragraphs_stand_above_them_on_paper(root: Path) -> None:
    paragraph = "as a reader sees it " * 10
    listed = text_table("claim", "its verdict", paragraph, paragraph, columns=4, rows=2)
    made = laid_out(root, listed)
    assert (made.leading, made.wide, [float(column.weight) for column in made.columns[2:]]) == (2, True, [1, 1])
    assert sum(float(column.share) for column in made.columns) == pytest.approx(0.95, abs=0.01)
    for name, begun in (
        ("latex", r"\textbf{claim}\quad its verdict\newline as a reader"),
        ("typst", r"[#strong[claim]#h(1em)its verdict \ as a reader"),
        ("html", 'claim</th><td>its verdict</td><td class="wraps">as a reader'),
    ):
        format = FORMATS[name]
        template = environment(format, root / "templates").get_template(f"table.{format.suffix}")
        text = template.render(table=laid_out(root, listed, name))
        assert text.count(begun) == 2, name


@pytest.mark.parametrize(
    "cells", [("a", "as a reader sees it " * 10), ("a", "it is " * 40, "a word " * 6, "it is " * 40)]
)
def test_a_single_column_of_paragraphs_or_shorter_ones_beside_them_leave_every_column_in_its_place(
    root: Path, cells: tuple[str, ...]
) -> None:
    assert laid_out(root, text_table(*cells, columns=len(cells))).leading == 0


def test_a_table_of_many_lines_may_break_over_pages(root: Path) -> None:
    sentence = "word " * 60
    assert not laid_out(root, text_table("a", rows=24)).long
    assert laid_out(root, text_table("a", rows=25)).long
    assert laid_out(root, text_table("a", sentence, columns=2, rows=10)).long


def test_an_empty_table_says_so(root: Path) -> None:
    for format in FORMATS.values():
        made = environment(format, root / "templates")
        empty = set_table(lay_out(text_table("a", rows=0)), "1", format, made.finalize)
        assert "Nothing to list." in made.get_template(f"table.{format.suffix}").render(table=empty)


@pytest.mark.parametrize("cell", [Outcome.PARTIAL, "text", accuracy()])
def test_every_kind_of_cell_is_set(root: Path, cell: Cell) -> None:
    assert laid_out(root, Table("t", "Title.", "", (Column("a", "A"),), ((cell,),))).rows[0].cells[0]
