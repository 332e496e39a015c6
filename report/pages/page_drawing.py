"""A drawing as the web page holds it: its words for the blind, the page's colours, and as few bytes as it can do with.

A ledger of thousands of runs has a mark for each in several figures, and every figure brings the outlines of its
letters. On the page a letter's outline stands once for all drawings, marks that look alike are the points of one path,
numbers end at a hundredth of a point, and what only structures matplotlib's file is left out.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from report.pages.formats import FORMATS
from report.plots.drawing import INK, OURS, PAPER, QUIET, RULE

FEW_MARKS = 3  # at least this many alike marks are worth a path
_COLOURS = {
    INK: "currentColor",
    "#000000": "currentColor",
    PAPER: "var(--page)",
    QUIET: "var(--quiet)",
    RULE: "var(--rule)",
    OURS.lower(): "var(--blue)",
}
_LINK = "{http://www.w3.org/1999/xlink}href"
_NAMES_ID = re.compile(r"url\(#([^)]+)\)")
_DECIMALS = re.compile(r"-?\d*\.\d+")
_MOVED = re.compile(r"translate\((\S+)(?: (\S+))?\)")
_PLACED = {"href", "x", "y"}


class PageDrawings:
    """The drawings of one page, which share the outlines of letters."""

    def __init__(self) -> None:
        self._glyphs: dict[str, str] = {}  # by outline
        self._drawings = 0

    def inline(self, svg: str, alt: str) -> str:
        """SVG for the page, with the words ALT; its ids are its own, and no style reaches beyond it."""
        self._drawings += 1
        root = ElementTree.fromstring(_in_page_colours(svg))
        _clean(root)
        _uncover(root)
        self._rename(root)
        _gather_marks(root, f"_{self._drawings}m")
        kept = {key: _rounded(root.attrib[key]) for key in ("width", "height", "viewBox") if key in root.attrib}
        label = {"role": "img", "aria-label": alt, "style": "stroke-linejoin:round;stroke-linecap:butt"}
        root.attrib = {**label, **kept}
        return _written(root)

    def _rename(self, root: Element) -> None:
        """Short ids for what is referred to, none for the rest; a letter that an earlier drawing has brought goes."""
        named = {element.attrib.pop("id"): element for element in root.iter() if "id" in element.attrib}
        used = {id for element in root.iter() for id in _references(element)}
        new: dict[str, str] = {}
        for id in (id for id in named if id in used):
            outline = _outline(named[id])
            new[id] = self._glyphs.get(outline, f"_{len(self._glyphs)}" if outline else f"_{self._drawings}p{len(new)}")
            if outline in self._glyphs:
                named[id].tag = ""
                continue
            named[id].set("id", new[id])
            if outline:
                self._glyphs[outline] = new[id]
        for element in root.iter():
            for key, value in element.attrib.items():
                if key == "href" and value.startswith("#"):
                    element.set(key, f"#{new[value[1:]]}")
                elif "url(#" in value:
                    element.set(key, _NAMES_ID.sub(lambda found: f"url(#{new[found[1]]})", value))
        _unwrap(root)


def _in_page_colours(svg: str) -> str:
    svg = re.sub(r"<!DOCTYPE[^>]*>|<!--.*?-->", "", svg, flags=re.DOTALL)
    for colour, variable in _COLOURS.items():
        svg = svg.replace(colour, variable)
    return svg


def _uncover(root: Element) -> None:
    """Without its sheet of paper a wide drawing shows the page's shadow, which tells that it goes on."""
    first = next((element for element in root.iter() if element.tag == "path"), None)
    if first is not None and _COLOURS[PAPER] in first.get("style", "") + first.get("fill", ""):
        first.tag = ""


def _outline(element: Element) -> str:
    """The outline of a letter, which has no look of its own; "" for anything else."""
    is_letter = element.tag == "path" and "style" not in element.attrib and "transform" in element.attrib
    return element.get("d", "") + element.attrib["transform"] if is_letter else ""


def _references(element: Element) -> Iterator[str]:
    for key, value in element.attrib.items():
        if key == "href" and value.startswith("#"):
            yield value[1:]
        yield from _NAMES_ID.findall(value)


def _clean(root: Element) -> None:
    """Plain names, short numbers; neither metadata nor style sheets, whose rules would hold for the whole page."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else "metadata"
        element.text = element.text.strip() if element.text else None
        element.tail = None
        if _LINK in element.attrib:
            element.set("href", element.attrib.pop(_LINK))
        for key, value in list(element.attrib.items()):
            if key == "d":
                element.set(key, re.sub(r"\s*([A-Za-z])\s*", _first_group, _rounded(value)).strip())
            elif key == "style":
                element.set(key, re.sub(r"\s*([:;])\s*", _first_group, value).strip("; "))
            elif key in ("x", "y", "width", "height"):
                element.set(key, _rounded(value))
            elif key == "transform":
                _shorten_transform(element, value)
    for parent in root.iter():
        for child in [child for child in parent if child.tag in ("metadata", "style")]:
            parent.remove(child)


def _first_group(found: re.Match[str]) -> str:
    """As the template `\\1`, which `re` makes anew at every place."""
    return found[1]


def _rounded(numbers: str) -> str:
    """NUMBERS, the decimal ones among them to a hundredth."""
    return _DECIMALS.sub(lambda found: f"{round(float(found[0]), 2) + 0.0:.2f}".rstrip("0").rstrip("."), numbers)


def _shorten_transform(element: Element, value: str) -> None:
    """Moves are rounded, scales are not; a letter that is only moved is placed instead."""
    value = _MOVED.sub(lambda found: _rounded(found[0]), value)
    found = _MOVED.fullmatch(value)
    if found and element.tag == "use" and not {"x", "y"} & set(element.attrib):
        del element.attrib["transform"]
        element.attrib |= {key: at for key, at in zip("xy", found.groups(), strict=True) if at and at != "0"}
    else:
        element.set("transform", value)


def _unwrap(element: Element) -> None:
    """What holds nothing and groups that say nothing are left out, their content kept."""
    kept: list[Element] = []
    for child in element:
        _unwrap(child)
        if child.tag == "" or (child.tag in ("g", "defs") and not len(child)):
            continue
        kept.extend(child if child.tag == "g" and not child.attrib else [child])
    element[:] = kept


def _gather_marks(root: Element, prefix: str) -> None:
    """Marks alike that follow upon each other become the points of one path, each with the mark upon it.

    They are painted one by one as before, so that where they lie upon each other it shows.
    """
    markers: dict[tuple[str, str], str] = {}
    for parent in list(root.iter()):
        found: list[Element] = []
        for (href, style), alike in groupby(parent, lambda child: (_mark_of(child), child.get("style", ""))):
            marks = list(alike)
            if not href or len(marks) < FEW_MARKS:
                found += marks
                continue
            if (href, style) not in markers:
                markers[href, style] = f"{prefix}{len(markers)}"
                found.append(_marker(markers[href, style], href, style))
            at = f"url(#{markers[href, style]})"
            points = " ".join(f"{mark.attrib['x']} {mark.attrib['y']}" for mark in marks)
            # Without the last step of no length, a marker at the end would be needed, and stand twice on a single point.
            found.append(
                Element("path", {"d": f"M{points}h0", "style": f"fill:none;marker-start:{at};marker-mid:{at}"})
            )
        if len(found) != len(parent):
            parent[:] = found


def _mark_of(element: Element) -> str:
    """What a placed mark shows; "" for anything else."""
    is_mark = element.tag == "use" and _PLACED <= set(element.attrib) <= {*_PLACED, "style"}
    return element.get("href", "") if is_mark else ""


def _marker(id: str, href: str, style: str) -> Element:
    marker = Element("marker", {"id": id, "overflow": "visible", "markerUnits": "userSpaceOnUse"})
    marker.append(Element("use", {"href": href} | ({"style": style} if style else {})))
    return marker


def _written(element: Element) -> str:
    """ELEMENT as HTML has it."""
    escape = FORMATS["html"].escape
    attributes = "".join(f' {key}="{escape(value)}"' for key, value in element.attrib.items())
    inner = escape(element.text or "") + "".join(map(_written, element))
    line = "\n" if element.tag in ("g", "svg") else ""
    return f"<{element.tag}{attributes}>{inner}</{element.tag}>{line}" if inner else f"<{element.tag}{attributes}/>"
