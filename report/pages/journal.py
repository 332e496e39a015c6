"""metadata.yaml as the journal's own tools read it, and the LaTeX definitions that they make of it.

The journal's parser ends with a traceback, drops an author or prints a blank where a key is missing, a space stands
in a list of affiliations or an ISO date is not quoted. So every key is written and every scalar quoted; what the
journal's template cannot print is named here with its field.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from report.pages.front import flat
from report.words import listed

BIBLIOGRAPHY = "bibliography.bib"
_TEXTS = ("type", "domain", "language")
# The fields that the journal writes as lists of one-key maps, with the keys that its parser wants to find.
_LISTS = {
    "code": ("url", "doi", "swh"),
    "data": ("url", "doi"),
    "replication": ("cite", "bib", "url", "doi"),
    "review": ("url", "doi"),
    "dates": ("received", "accepted", "published"),
    "article": ("number", "doi", "url"),
    "journal": ("name", "issn", "volume", "issue"),
}
_WANTED_ROLES = {"editor": 1, "reviewer": 2}
_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_SPECIAL |= {character: rf"\{character}" for character in "&%$#_{}"}

Fields = dict[str, Any]


def escape_field(text: str) -> str:
    """TEXT for the journal's template, which prints metadata as it stands; a bracket stays, for titles begin `[Re]`."""
    return "".join(_SPECIAL.get(character, character) for character in _plain(text))


def _plain(value: object) -> str:
    """VALUE on one line with single spaces: at a double one the journal's parser ends with a traceback."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", "" if value is None else str(value)).split())


def journal_fields(metadata: Mapping[str, Any]) -> Fields:
    """METADATA with every key that the journal's parser wants, every value a text as it prints it."""
    fields: Fields = {
        "title": escape_field(metadata["title"]),
        "authors": [_author(author) for author in metadata["authors"]],
        "affiliations": [_affiliation(entry) for entry in metadata["affiliations"]],
        "keywords": escape_field(metadata["keywords"]),
    }
    for field, keys in _LISTS.items():
        given = flat(metadata, field)
        escape = escape_field if field == "replication" else _plain
        fields[field] = {key: (escape if key == "cite" else _plain)(given.get(key)) for key in keys}
    fields["contributors"] = list(_contributors(metadata.get("contributors") or []))
    fields["abstract"] = escape_field(metadata.get("abstract") or "").replace(r"\&", "&")  # their tool escapes it
    fields["bibliography"] = BIBLIOGRAPHY
    return fields | {field: escape_field(metadata.get(field) or "") for field in _TEXTS}


def _author(entry: Mapping[str, Any]) -> dict[str, str]:
    return {
        "name": escape_field(entry.get("name") or ""),
        "orcid": _plain(entry.get("orcid")),
        "email": _plain(entry.get("email")),
        "affiliations": re.sub(r"\s", "", _plain(entry.get("affiliations"))),
    }


def _affiliation(entry: Mapping[str, Any]) -> dict[str, str]:
    texts = {key: escape_field(entry.get(key) or "") for key in ("name", "address")}
    return {"code": _plain(entry.get("code")), **texts}


def _contributors(given: list[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """One editor and two reviewers at least, with blank names where there are none yet."""
    for role, wanted in _WANTED_ROLES.items():
        people = [entry for entry in given if entry.get("role") == role]
        for entry in [*people, *[{}] * (wanted - len(people))]:
            yield {"name": escape_field(entry.get("name") or ""), "orcid": _plain(entry.get("orcid")), "role": role}


def faults(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the journal's tools or template cannot take: (field, what is wrong with it)."""
    codes = {_plain(entry.get("code")) for entry in metadata.get("affiliations") or []}
    for number, author in enumerate(metadata.get("authors") or [], 1):
        marks = [mark for mark in _plain(author.get("affiliations")).replace(" ", "").split(",") if mark]
        if not set(marks) - {"*"}:
            yield f"authors[{number}].affiliations", "names no affiliation, so that the journal's tool drops the author"
        unknown = sorted(set(marks) - {"*"} - codes)
        if unknown:
            yield f"authors[{number}].affiliations", f"names {', '.join(unknown)}, which affiliations does not have"
        orcid = _plain(author.get("orcid"))
        if orcid and not is_orcid(orcid):
            yield f"authors[{number}].orcid", f"{orcid!r} is no ORCID such as 0000-0002-1825-0097"
    for field in ("code", "data", "review", "replication"):
        url = flat(metadata, field).get("url", "")
        if re.search(r"[%#\s{}\\]", url):
            yield f"{field}.url", f"{url!r} has one of % # {{ }} \\ or a space, at which the journal's LaTeX stops"
    for word in ("rescience c", "machine learning"):
        if word not in (metadata.get("keywords") or ""):
            yield "keywords", f"lack {word!r}, which the journal's check asks for"
    if metadata.get("type") not in ("Replication", "Reproduction"):
        yield "type", f"{metadata.get('type')!r} is none of a report's: Replication or Reproduction"


def is_orcid(text: str) -> bool:
    """Whether TEXT is an ORCID with a right check digit (ISO 7064, 11-2)."""
    if not re.fullmatch(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]", text):
        return False
    total = 0
    for digit in text.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    return text[-1] == "0123456789X"[(12 - total % 11) % 11]


def to_yaml(fields: Fields) -> str:
    """FIELDS as metadata.yaml of the journal: double-quoted scalars, lists of one-key maps where it has them."""
    lines = ["# Generated by build.py from report/paper/metadata.yaml; the title's prefix follows the verdicts."]
    for field, value in fields.items():
        if isinstance(value, str):
            lines.append(f"{field}: {quoted(value)}")
            continue
        lines.append(f"{field}:")
        if isinstance(value, dict):
            lines += [f"  - {key}: {quoted(text)}" for key, text in value.items()]
        else:
            for entry in value:
                starts = ("  - ", *["    "] * (len(entry) - 1))
                lines += [f"{start}{key}: {quoted(entry[key])}" for start, key in zip(starts, entry, strict=True)]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """TEXT as JSON spells it, which YAML reads as the same text."""
    return json.dumps(text, ensure_ascii=False)


def to_latex(fields: Fields) -> str:
    """FIELDS as the definitions that the journal's tool makes of metadata.yaml, for a machine without that tool.

    One difference: without a date of publication its year is blank, where the tool prints the year of the day.
    """
    by_role = {role: [c for c in fields["contributors"] if c["role"] == role] for role in _WANTED_ROLES}
    contact = next((author for author in fields["authors"] if "*" in author["affiliations"].split(",")), {})
    people = {"editor": by_role["editor"][0], "reviewerI": by_role["reviewer"][0], "reviewerII": by_role["reviewer"][1]}
    dates = {key: long_date(text) for key, text in fields["dates"].items()}
    defined = {f"{name}{key.upper()}": person[key] for name, person in people.items() for key in ("name", "orcid")}
    for name in ("code", "data", "replication", "review"):
        printed = (item for item in fields[name].items() if (name, item[0]) != ("review", "doi"))
        defined |= {f"{name}{key.upper()}": text for key, text in printed}
    defined |= {f"date{key.upper()}": text for key, text in dates.items()}
    defined |= {f"article{key.upper()}": fields[key] for key in ("title", "type", "domain", "bibliography", "keywords")}
    defined |= {"articleABSTRACT": fields["abstract"].replace("&", r"\&"), "articleYEAR": dates["published"][-4:]}
    defined |= {f"article{key.upper()}": fields["article"][key] for key in ("number", "doi")}
    defined |= {f"contact{key.upper()}": contact.get(key, "") for key in ("name", "email")}
    defined |= {f"journal{key.upper()}": fields["journal"][key] for key in ("name", "volume", "issue")}
    names = [author["name"] for author in fields["authors"]]
    for style, spell in (("FULL", str), ("ABBRV", _abbreviated), ("SHORT", _family)):
        defined[f"authors{style}"] = _listed([spell(name) for name in names])
    lines = [f"\\def \\{name}{{{text}}}" for name, text in defined.items()]
    return "\n".join([*lines, r"\title{\articleTITLE}", r"\date{}", *_title_block(fields)]) + "\n"


def _title_block(fields: Fields) -> Iterator[str]:
    for author in fields["authors"]:
        marks = [code for code in author["affiliations"].split(",") if code != "*"]
        marks += [rf"\orcid{{{author['orcid']}}}"] if author["orcid"] else []
        yield rf"\author[{','.join(marks)}]{{{author['name']}}}"
    for entry in fields["affiliations"]:
        text = ", ".join(part for part in (entry["name"], entry["address"]) if part)
        yield rf"\affil[{entry['code']}]{{{text}}}"


def long_date(text: str) -> str:
    """A date as the journal prints it, `01 November 2018`; what is in none of its spellings stays as it is."""
    for spelling in ("%Y-%m-%d", "%B %d, %Y", "%d %B %Y"):
        try:
            return datetime.strptime(text, spelling).strftime("%d %B %Y")
        except ValueError:
            continue
    return text


def _family(name: str) -> str:
    return split_name(name)[1]


def split_name(name: str) -> tuple[str, str]:
    """Given names and family name of `First Last` or, with a suffix, of `Last Suffix, First`."""
    if "," in name:
        family, _, given = name.partition(",")
        return given.strip(), family.strip()
    given, _, family = name.rpartition(" ")
    return given, family


def _abbreviated(name: str) -> str:
    given, family = split_name(name)
    initials = "".join("-".join(f"{part[0].upper()}." for part in word.split("-") if part) for word in given.split())
    return f"{initials} {family}".strip()


def _listed(names: list[str]) -> str:
    return f"{names[0]} et al." if len(names) > 3 else listed(names)
