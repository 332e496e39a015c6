"""metadata.yaml, read with distrust: every field of the shape that the pages and the journal's files rely on.

Which fields a report needs is for the first page and for `check` to say; here those that are there must be texts, or
lists of entries with texts. What the journal's template prints as it stands may hold nothing that TeX acts upon.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from experiments.strict_yaml import read_yaml
from report.fields import check_names, mapping, refuse

_TEXTS = ("title", "keywords", "abstract", "type", "domain", "language", "bibliography", "license")
_PEOPLE = {"authors": "name", "affiliations": "code", "contributors": None}  # list -> what each entry must have
_PAIRS = ("code", "data", "replication", "review", "dates", "article", "journal")  # lists of one-key maps
_FIELDS = frozenset({*_TEXTS, *_PEOPLE, *_PAIRS})
BIBLIOGRAPHY = "references.bib"  # the only file that is read
_ESCAPED = frozenset({"name", "address", "cite"})  # of an entry; the journal's template prints the others as they stand
_ACTIVE = frozenset("\\{}^$")
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_SCALARS = (str, int, float, date)


def read_metadata(path: Path) -> dict[str, Any]:
    """The fields of PATH. Raises ConfigurationError with file and field for one of another shape."""
    metadata, place = read_yaml(path), path.name
    check_names(metadata, _FIELDS, (), place)
    for field in _TEXTS:
        if not isinstance(metadata.get(field) or "", str):
            refuse(f"{place}: {field}", metadata[field], "text")
    if metadata.get("license") and not _SPDX.fullmatch(metadata["license"]):
        refuse(f"{place}: license", metadata["license"], "the SPDX name of one licence, such as MIT")
    if (metadata.get("bibliography") or BIBLIOGRAPHY) != BIBLIOGRAPHY:
        refuse(f"{place}: bibliography", metadata["bibliography"], f"{BIBLIOGRAPHY!r}, the file that is read")
    for field in (*_PEOPLE, *_PAIRS):
        for at, entry in _entries(metadata.get(field), f"{place}: {field}"):
            needed = _PEOPLE.get(field)
            if needed and not entry.get(needed):
                refuse(f"{at}.{needed}", entry.get(needed), "text that is not empty")
            for name, value in entry.items():
                _check_value(name, value, f"{at}.{name}", is_escaped=name in _ESCAPED and field != "journal")
    return metadata


def _entries(entries: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if entries is None:
        return
    if not isinstance(entries, list):
        refuse(place, entries, "a list of maps such as `- url: …`")
    for number, entry in enumerate(entries, 1):
        yield f"{place}[{number}]", mapping(entry, f"{place}[{number}]")


# What a link may lead to, and what a DOI and an ORCID are made of: the templates would refuse others without naming the field.
_FORMS = {
    "url": (re.compile(r"(https?://|mailto:)\S+"), "an address that begins with https://"),
    "doi": (re.compile(r"10\.\S+/\S+"), "a DOI such as 10.5281/zenodo.1234567, without the address before it"),
    "orcid": (re.compile(r"[0-9X-]+"), "an ORCID such as 0000-0002-1825-0097"),
}


def _check_value(name: Any, value: Any, place: str, *, is_escaped: bool) -> None:
    if not isinstance(name, str) or (value is not None and not isinstance(value, _SCALARS)):
        refuse(place, value, "text")
    if name == "name" and not isinstance(value or "", str):
        refuse(place, value, "text")
    found = sorted(_ACTIVE & set(str(value)))
    if found and not is_escaped:
        refuse(place, value, f"text without {found[0]!r}, upon which the journal's TeX would act")
    if name in _FORMS and value and not _FORMS[name][0].fullmatch(str(value)):
        refuse(place, value, _FORMS[name][1])
