"""ro-crate-metadata.json: what each file of the bundle is, and which run made which record (RO-Crate 1.1).

A record is the result of a CreateAction whose instrument is the notebook, whose object is the plan, and whose times are
those of the run. Nothing here is a time of packing, so that the same files give the same metadata.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from experiments.spec import Record
from report.pages.citation import title_of
from report.pages.front import flat
from report.pages.journal import is_orcid, split_name

METADATA = "ro-crate-metadata.json"
UNDATED = "2000-01-01"  # the date of a bundle in which nothing is recorded: a crate must have one
PROCESS_RUN = "https://w3id.org/ro/wfrun/process/0.5"
PLAN = "experiments/plan.yaml"
_MEDIA_TYPES = {
    "bib": "application/x-bibtex", "cff": "application/yaml", "csv": "text/csv", "html": "text/html",
    "ipynb": "application/x-ipynb+json", "json": "application/json", "md": "text/markdown", "pdf": "application/pdf",
    "py": "text/x-python", "svg": "image/svg+xml", "tex": "application/x-tex", "toml": "application/toml",
    "yaml": "application/yaml", "yml": "application/yaml",
}  # fmt: skip
# What the files that a reviewer looks for are; the others are called by their path.
_NAMES = {
    "CITATION.cff": "How to cite this reproduction", "LICENSE": "The licence of the code",
    "MACHINERY.md": "Which machinery builds the report, and where it is",
    "README.md": "How to build the report and repeat a run", "codecheck.yml": "The manifest for a CODECHECK",
    PLAN: "What is run: groups, grids, seeds", "report/paper/claims.yaml": "The claims and the rules that judge them",
    "report/out/report.pdf": "The report", "report/out/report.html": "The report as a web page",
    "report/out/provenance.json": "Where each printed number comes from",
    "report/out/records.csv": "Every record in a line: parameters, metrics, cost",
    "requirements.lock": "The environment of runs and tests",
    "requirements-report.lock": "The environment of the report",
}  # fmt: skip

Entity = dict[str, Any]


def crate_metadata(
    metadata: Mapping[str, Any], contents: Mapping[str, bytes], records: Iterable[Record], licence: str
) -> str:
    """The text of ro-crate-metadata.json for a bundle of CONTENTS (path -> bytes), in which RECORDS are."""
    records = sorted(records, key=lambda record: record.run)
    url = flat(metadata, "code").get("url", "")
    people = [_person(number, author, url) for number, author in enumerate(metadata["authors"], 1)]
    agent = {"@id": people[0]["@id"]}
    actions = [_action(record, contents, agent) for record in records]
    terms = f"https://spdx.org/licenses/{licence}"
    root = _root(metadata, contents, records, people, actions) | {"license": {"@id": terms}}
    others = _context_entities(metadata, licence, terms)
    graph = [_descriptor(), root, *_files(contents, url), *actions, *people, *others]
    context = ["https://w3id.org/ro/crate/1.1/context", {"sha256": "https://schema.org/sha256"}]
    return json.dumps({"@context": context, "@graph": graph}, indent=1, ensure_ascii=False) + "\n"


def published(records: Iterable[Record]) -> str:
    """The day of the last recorded run, in ISO 8601: what a bundle holds is as old as that."""
    return max((record.provenance["started"][:10] for record in records), default=UNDATED)


def _descriptor() -> Entity:
    about = {"about": {"@id": "./"}, "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"}}
    return {"@id": METADATA, "@type": "CreativeWork", **about}


def _root(
    metadata: Mapping[str, Any],
    contents: Mapping[str, bytes],
    records: list[Record],
    people: list[Entity],
    actions: list[Entity],
) -> Entity:
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": title_of(metadata),
        "description": " ".join((metadata.get("abstract") or title_of(metadata)).split()),
        "datePublished": published(records),
        "author": _references(person["@id"] for person in people),
        "publisher": {"@id": people[0]["@id"]},
        "keywords": metadata.get("keywords") or "",
        "conformsTo": {"@id": PROCESS_RUN},
        "hasPart": _references(map(quote, contents)),
    }
    if actions:
        root["mentions"] = _references(action["@id"] for action in actions)
    original, code = flat(metadata, "replication"), flat(metadata, "code")
    if original.get("url"):
        root["citation"] = {"@id": original["url"]}
    if code.get("url"):
        root["url"] = code["url"]
    if code.get("doi"):
        root["identifier"] = f"https://doi.org/{code['doi']}"
    return root


def _references(ids: Iterable[str]) -> Entity | list[Entity]:
    """References to IDS; a single one stands alone, as the specification recommends."""
    references = [{"@id": id} for id in ids]
    return references[0] if len(references) == 1 else references


def _files(contents: Mapping[str, bytes], url: str) -> Iterator[Entity]:
    """Each file with its size and digest; a notebook that runs executed, under PLAN's folder, is software too."""
    for path, content in contents.items():
        suffix, digest = path.rpartition(".")[2], hashlib.sha256(content).hexdigest()
        entity: Entity = {"@id": quote(path), "@type": "File", "name": _NAMES.get(path, path)}
        if suffix == "ipynb" and path.count("/") == PLAN.count("/"):
            entity |= {"@type": ["File", "SoftwareSourceCode"], "programmingLanguage": {"@id": "#python"}}
            entity |= {"version": digest[:12]} | ({"url": url} if url else {})
        entity |= {"encodingFormat": _MEDIA_TYPES.get(suffix, "text/plain")}
        yield entity | {"contentSize": str(len(content)), "sha256": digest}


def _action(record: Record, contents: Mapping[str, bytes], agent: Entity) -> Entity:
    """The run behind RECORD: the notebook with these parameters, by this device, from when to when."""
    settings = ", ".join(f"{name}={value}" for name, value in record.parameters.items())
    results = [f"experiments/records/{record.run}.json", f"experiments/executed/{record.run}.ipynb"]
    started = datetime.fromisoformat(record.provenance["started"])
    ended = started + timedelta(seconds=round(float(record.cost["seconds"])))
    return {
        "@id": f"#run/{record.run}",
        "@type": "CreateAction",
        "name": f"Run {record.run}",
        "description": f"{record.notebook} with {settings}, on {record.provenance['device']}",
        "instrument": {"@id": quote(f"experiments/{record.notebook}")},
        "object": {"@id": PLAN},
        "result": _references(path for path in results if path in contents),
        "agent": agent,
        "startTime": started.isoformat(),
        "endTime": ended.isoformat(),
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }


def _person(number: int, author: Mapping[str, Any], url: str) -> Entity:
    """A person under the ORCID, else a group or a person whom only this bundle knows."""
    orcid, name = str(author.get("orcid") or ""), " ".join(str(author["name"]).split())
    if not is_orcid(orcid):
        entity = {"@id": f"#author-{number}", "@type": "Person" if "," in name else "Organization", "name": name}
        return entity | ({"url": url} if url and entity["@type"] == "Organization" else {})
    given, family = split_name(name)
    entity = {"@id": f"https://orcid.org/{orcid}", "@type": "Person", "name": name}
    return entity | {"givenName": given, "familyName": family}


def _context_entities(metadata: Mapping[str, Any], licence: str, terms: str) -> Iterator[Entity]:
    named = {"name": licence, "identifier": licence, "description": f"{licence} licence"}
    yield {"@id": terms, "@type": "CreativeWork", **named}
    yield {"@id": PROCESS_RUN, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    yield {"@id": "#python", "@type": "ComputerLanguage", "name": "Python", "url": "https://www.python.org/"}
    original = flat(metadata, "replication")
    if original.get("url"):
        entity = {"@id": original["url"], "@type": "ScholarlyArticle", "name": original.get("cite", "")}
        yield entity | ({"identifier": f"https://doi.org/{original['doi']}"} if original.get("doi") else {})
