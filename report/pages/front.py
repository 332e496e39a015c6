"""The first page from metadata.yaml: title, authors, panel and notes, as text that each format escapes for itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.spec import ConfigurationError

BLANK = "—"
SMOKE = (
    "Smoke report: it rehearses the way from run to page with tiny models on an embedded data set. "
    "None of its numbers says anything about the paper."
)


@dataclass(frozen=True)
class Author:
    """One author; `marks` are the codes of the affiliations, superscript on the page."""

    name: str
    marks: str
    orcid: str


@dataclass(frozen=True)
class Affiliation:
    """An affiliation under its code."""

    code: str
    text: str


@dataclass(frozen=True)
class Front:
    """What the report's template prints before the prose; `panel` and `notes` hold labelled lines."""

    title: str
    kind: str
    banner: str
    journal: str
    issue: str
    status: str
    notice: str
    authors: tuple[Author, ...]
    affiliations: tuple[Affiliation, ...]
    keywords: tuple[str, ...]
    panel: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str, str], ...]

    @property
    def plain_authors(self) -> str:
        """All names, separated by commas."""
        return ", ".join(author.name for author in self.authors)

    @property
    def short_authors(self) -> str:
        """The names as a footer has room for them: more than three become the first and `et al.`"""
        return f"{self.authors[0].name} et al." if len(self.authors) > 3 else self.plain_authors

    @property
    def plain_keywords(self) -> str:
        """All keywords, separated by commas."""
        return ", ".join(self.keywords)


def flat(metadata: Mapping[str, Any], field: str) -> dict[str, str]:
    """A field that the journal writes as a list of one-key maps (`code: [{url: …}, {doi: …}]`) as one map."""
    entries = metadata.get(field) or []
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ConfigurationError(
            f"metadata.yaml: {field}: found {entries!r}; expected a list of maps such as `- url: …`"
        )
    return {name: str(value or "") for entry in entries for name, value in entry.items()}


def build_front(metadata: Mapping[str, Any], *, smoke: bool) -> Front:
    """The first page's words. Raises ConfigurationError, naming the field, where metadata.yaml lacks one."""
    for field in ("title", "authors", "affiliations", "keywords", "type", "domain"):
        if not metadata.get(field):
            raise ConfigurationError(f"metadata.yaml: the field {field!r} is missing or empty")
    dates, article, journal = (flat(metadata, field) for field in ("dates", "article", "journal"))
    name = journal.get("name") or "ReScience C"
    published = bool(article.get("doi"))
    return Front(
        title=metadata["title"],
        kind=f"{metadata['type']} / {metadata['domain']}",
        banner=name.upper(),
        journal=name if published else f"Prepared for {name}",
        issue=f"{journal.get('volume', '')}.{journal.get('issue', '')} (#{article.get('number', '')})"
        if published
        else "",
        status="smoke report" if smoke else _status(metadata, published),
        notice=SMOKE if smoke else "",
        authors=tuple(_author(author) for author in metadata["authors"]),
        affiliations=tuple(_affiliation(entry) for entry in metadata["affiliations"]),
        keywords=tuple(word.strip() for word in metadata["keywords"].split(",")),
        panel=_panel(metadata, dates, article),
        notes=tuple(_notes(metadata)),
    )


def _status(metadata: Mapping[str, Any], published: bool) -> str:
    if published:
        return ""
    return "under review" if flat(metadata, "review").get("url") else "not yet submitted"


def _author(entry: Mapping[str, Any]) -> Author:
    codes = [code for code in str(entry.get("affiliations", "")).split(",") if code and code != "*"]
    return Author(entry["name"], ",".join(codes), str(entry.get("orcid") or ""))


def _affiliation(entry: Mapping[str, Any]) -> Affiliation:
    parts = (entry.get("name"), entry.get("address"))
    return Affiliation(str(entry["code"]), ", ".join(str(part) for part in parts if part))


def _people(metadata: Mapping[str, Any], role: str) -> str:
    names = [entry.get("name") for entry in metadata.get("contributors") or [] if entry.get("role") == role]
    return ", ".join(name for name in names if name) or BLANK


def _panel(
    metadata: Mapping[str, Any], dates: Mapping[str, str], article: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    return (
        ("Edited by", _people(metadata, "editor")),
        ("Reviewed by", _people(metadata, "reviewer")),
        ("Received", dates.get("received") or BLANK),
        ("Published", dates.get("published") or BLANK),
        ("DOI", article.get("doi") or BLANK),
    )


def _notes(metadata: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Label, text and address of the lines at the foot of the first page; lines without content are left out."""
    contact = next((a for a in metadata["authors"] if "*" in str(a.get("affiliations", ""))), {})
    original, code, data = (flat(metadata, field) for field in ("replication", "code", "data"))
    notes = [
        ("A replication of", original.get("cite", ""), original.get("url", "")),
        ("Code:", code.get("url", ""), code.get("url", "")),
        ("Archived:", code.get("swh") or code.get("doi", ""), ""),
        ("Data:", data.get("url", ""), data.get("url", "")),
        ("Correspondence:", contact.get("email", ""), f"mailto:{contact.get('email', '')}"),
        ("Review:", flat(metadata, "review").get("url", ""), flat(metadata, "review").get("url", "")),
    ]
    return [note for note in notes if note[1]]
