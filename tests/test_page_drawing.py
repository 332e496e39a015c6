"""Drawings on the web page: their ids and colours, letters that stand there once, marks that share a path."""

import re

from report.pages.page_drawing import PageDrawings

LETTER = '<path id="Sans-41" d="M 0 4863 \nL 10 20 \nz\n" transform="scale(0.015625)"/>'


def inlined(content: str, page: PageDrawings | None = None) -> str:
    """CONTENT of a drawing as the page holds it, less the svg element."""
    svg = f'<?xml version="1.0"?><svg xmlns:xlink="http://www.w3.org/1999/xlink">{content}</svg>'
    return re.sub(r"^<svg[^>]*>|</svg>\n$", "", (page or PageDrawings()).inline(svg, "words"))


def test_a_drawing_has_words_and_the_page_s_colours_and_nothing_that_reaches_beyond_it() -> None:
    svg = (
        '<?xml version="1.0"?><!DOCTYPE svg><svg width="1.5555pt" xmlns="http://www.w3.org/2000/svg"><metadata>a</metadata>'
        '<defs><style>*{a}</style></defs><!-- <b> --><g id="x"><path d="M 0 0 \nL 1.23456 -0.001 \n" '
        'style="fill: #1b1b1a; stroke: none"/></g></svg>'
    )
    assert PageDrawings().inline(svg, 'a "b"') == (
        '<svg role="img" aria-label="a &quot;b&quot;" style="stroke-linejoin:round;stroke-linecap:butt" width="1.56pt">'
        '<path d="M0 0L1.23 0" style="fill:currentColor;stroke:none"/></svg>\n'
    )


def test_ids_are_each_drawing_s_own_and_only_where_something_refers_to_them() -> None:
    content = '<clipPath id="p1"><rect id="r" width="2"/></clipPath><g id="a" clip-path="url(#p1)"><path d="z"/></g>'
    page = PageDrawings()
    for number in (1, 2):
        assert inlined(content, page) == (
            f'<clipPath id="_{number}p0"><rect width="2"/></clipPath><g clip-path="url(#_{number}p0)"><path d="z"/></g>\n'
        )


def test_a_letter_stands_on_the_page_once() -> None:
    page, used = PageDrawings(), '<use xlink:href="#Sans-41" transform="translate(63.6230 0)"/>'
    letter = '<path d="M0 4863L10 20z" transform="scale(0.015625)" id="_0"/>'
    assert inlined(f"<defs>{LETTER}</defs>{used}", page) == f'<defs>{letter}</defs><use href="#_0" x="63.62"/>'
    assert inlined(f"<defs>{LETTER}</defs>{used}", page) == '<use href="#_0" x="63.62"/>'
    other = LETTER.replace("4863", "1")  # another letter of the same name
    assert 'href="#_1"' in inlined(f"<defs>{other}</defs>{used}", page)


def test_scales_are_kept_to_the_last_digit() -> None:
    moved = '<g transform="translate(1.0042 2.118) scale(0.015625)"><path d="z"/></g>'
    assert 'transform="translate(1 2.12) scale(0.015625)"' in inlined(moved)


def marks(*points: tuple[float, float], style: str = "fill: red; opacity: 0.5") -> str:
    placed = "".join(f'<use xlink:href="#m" x="{x}" y="{y}" style="{style}"/>\n   ' for x, y in points)
    return f'<defs><path id="m" d="z"/></defs>{placed}'


def test_marks_alike_are_the_points_of_one_path_each_painted_by_itself() -> None:
    assert inlined(marks((1.123456, 2), (3, -0.5), (5, 6))) == (
        '<defs><path d="z" id="_1p0"/></defs><marker id="_1m0" overflow="visible" markerUnits="userSpaceOnUse">'
        '<use href="#_1p0" style="fill:red;opacity:0.5"/></marker>'
        '<path d="M1.12 2 3 -0.5 5 6h0" style="fill:none;marker-start:url(#_1m0);marker-mid:url(#_1m0)"/>'
    )


def test_few_marks_stay_as_they_are() -> None:
    assert inlined(marks((1, 2), (3, 4), style="fill: red")) == (
        '<defs><path d="z" id="_1p0"/></defs><use x="1" y="2" style="fill:red" href="#_1p0"/>'
        '<use x="3" y="4" style="fill:red" href="#_1p0"/>'
    )


def test_one_marker_serves_all_marks_that_look_like_it() -> None:
    points = ((1, 2), (3, 4), (5, 6))
    text = inlined(f'{marks(*points)}<g clip-path="url(#m)">{marks(*points).split("</defs>")[1]}</g>')
    assert (text.count("<marker"), text.count("marker-mid")) == (1, 2)
